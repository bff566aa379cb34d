//! Writer and reader against each other, and both against bytes written by hand.

mod common;

use proptest::prelude::*;
use unforget_quant::Error;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Array, Gguf, Metadata, StringArray, Value, Writer};

/// A whole GGUF v3 file, written from the specification: one key of each kind that matters, and a
/// tensor of each of two types.
fn golden() -> Vec<u8> {
    let mut file = Vec::new();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(b"GGUF\x03\x00\x00\x00");
    put(b"\x02\x00\x00\x00\x00\x00\x00\x00"); // two tensors
    put(b"\x03\x00\x00\x00\x00\x00\x00\x00"); // three keys
    put(b"\x14\x00\x00\x00\x00\x00\x00\x00general.architecture");
    put(b"\x08\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00tiny"); // a string
    put(b"\x05\x00\x00\x00\x00\x00\x00\x00tiny.");
    put(b"\x06\x00\x00\x00\x00\x00\xc0\x3f"); // f32 1.5
    put(b"\x05\x00\x00\x00\x00\x00\x00\x00words");
    put(b"\x09\x00\x00\x00\x08\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"); // two strings
    put(b"\x01\x00\x00\x00\x00\x00\x00\x00a\x02\x00\x00\x00\x00\x00\x00\x00\xc3\xa4");
    put(b"\x01\x00\x00\x00\x00\x00\x00\x00v\x01\x00\x00\x00"); // tensor v, one dimension
    put(b"\x02\x00\x00\x00\x00\x00\x00\x00"); // of two values
    put(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"); // F32 at 0
    put(b"\x01\x00\x00\x00\x00\x00\x00\x00w\x02\x00\x00\x00"); // tensor w, two dimensions
    put(b"\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"); // 2 by 1
    put(b"\x01\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00"); // F16 at 32
    let pad = |file: &mut Vec<u8>| file.resize(file.len().next_multiple_of(32), 0);
    pad(&mut file);
    file.extend_from_slice(b"\x00\x00\x80\x3f\x00\x00\x00\xc0"); // 1, -2
    pad(&mut file);
    file.extend_from_slice(b"\x00\x3c\x00\xb8"); // 1, -0.5
    pad(&mut file);
    file
}

fn golden_metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "tiny")
        .set("tiny.", 1.5_f32)
        .set("words", StringArray::from_iter(["a", "ä"]));
    metadata
}

#[test]
fn the_golden_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("golden.gguf");
    std::fs::write(&path, golden()).unwrap();
    let file = Gguf::open(&path).unwrap();
    assert_eq!(file.path(), path);
    assert_eq!((file.version(), file.alignment()), (3, 32));
    assert_eq!(file.file_len(), golden().len() as u64);
    assert_eq!(file.architecture(), Some("tiny"));
    assert_eq!(*file.metadata(), golden_metadata());
    let words = file.metadata().get("words").unwrap().strings().unwrap();
    assert_eq!(words.iter().collect::<Vec<_>>(), ["a", "ä"]);
    assert_eq!((words.get(1), words.get(2)), (Some("ä"), None));
    let v = file.tensor("v").unwrap();
    assert_eq!(file.tensor_values(v).unwrap(), [1.0, -2.0]);
    let w = file.tensor("w").unwrap();
    assert_eq!(
        (w.shape.as_slice(), w.ty),
        ([2, 1].as_slice(), GgmlType::F16)
    );
    assert_eq!(file.tensor_values(w).unwrap(), [1.0, -0.5]);
    assert!(file.tensor("x").is_none());
    let summary = file.summary();
    assert_eq!(
        (summary.n_params, summary.n_bytes, summary.n_tensors),
        (4, 12, 2)
    );
    assert_eq!(summary.bits_per_weight, 24.0);
}

#[test]
fn the_golden_file_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("golden.gguf");
    let mut writer = Writer::new(golden_metadata());
    writer.tensor("v", &[2], GgmlType::F32, common::f32_bytes(&[1.0, -2.0]));
    writer.stream("w", &[2, 1], GgmlType::F16, |out| {
        out.write_all(b"\x00\x3c\x00\xb8").unwrap();
        Ok(())
    });
    assert_eq!(writer.write(&path).unwrap(), golden().len() as u64);
    assert_eq!(std::fs::read(&path).unwrap(), golden());
    assert_eq!(common::listing(dir.path()), ["golden.gguf"]);
}

#[test]
fn version_2_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v2.gguf");
    let mut bytes = golden();
    bytes[4] = 2;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(Gguf::open(&path).unwrap().version(), 2);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    std::fs::write(&path, "old").unwrap();
    let attempt = |change: &dyn Fn(&mut Writer)| {
        let mut metadata = Metadata::new();
        metadata.set("k", 1_u32);
        let mut writer = Writer::new(metadata);
        writer.tensor("first", &[4096], GgmlType::F32, vec![0; 4 * 4096]);
        change(&mut writer);
        let error = writer.write(&path).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(common::listing(dir.path()), ["model.gguf"]);
        error
    };
    let reason = |error: Error| match error {
        Error::Invalid { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let short = attempt(&|w| {
        w.stream("t", &[4], GgmlType::F32, |_| Ok(()));
    });
    assert!(reason(short).contains("takes 16 bytes, got 0"));
    let failing = attempt(&|w| {
        w.stream("t", &[4], GgmlType::F32, |_| {
            Err(Error::Convert {
                ty: GgmlType::F32,
                reason: "of the stream".into(),
            })
        });
    });
    assert!(matches!(failing, Error::Convert { .. }));
    let twice = attempt(&|w| {
        w.tensor("first", &[1], GgmlType::F32, vec![0; 4]);
    });
    assert!(reason(twice).contains("appears twice"));
    let shape = attempt(&|w| {
        w.tensor("t", &[33], GgmlType::Q8_0, vec![0; 34]);
    });
    assert!(reason(shape).contains("33"));
}

#[test]
fn an_unwritable_place_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("model.gguf");
    let error = Writer::new(Metadata::new()).write(&path).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("model.gguf"), "{error}");
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<f32>().prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        any::<String>().prop_map(Value::String),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
    ]
}

fn array() -> impl Strategy<Value = Value> {
    use proptest::collection::vec;
    prop_oneof![
        vec(any::<u8>(), 0..9).prop_map(Array::U8),
        vec(any::<i8>(), 0..9).prop_map(Array::I8),
        vec(any::<u16>(), 0..9).prop_map(Array::U16),
        vec(any::<i16>(), 0..9).prop_map(Array::I16),
        vec(any::<u32>(), 0..9).prop_map(Array::U32),
        vec(any::<i32>(), 0..9).prop_map(Array::I32),
        vec(any::<f32>(), 0..9).prop_map(Array::F32),
        vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        vec(any::<String>(), 0..9).prop_map(|v| Array::String(v.iter().collect())),
        vec(any::<u64>(), 0..9).prop_map(Array::U64),
        vec(any::<i64>(), 0..9).prop_map(Array::I64),
        vec(any::<f64>(), 0..9).prop_map(Array::F64),
    ]
    .prop_map(Value::Array)
}

/// NaN is not equal to itself, so values are compared as the bytes they become.
fn same(a: &Metadata, b: &Metadata) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b.iter())
            .all(|(a, b)| format!("{a:?}") == format!("{b:?}"))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        entries in proptest::collection::btree_map("[a-z.]{1,20}", prop_oneof![scalar(), array()], 0..12),
        tensors in proptest::collection::btree_map(
            "[a-z.0-9]{1,60}",
            (
                proptest::sample::select(vec![GgmlType::F32, GgmlType::F16, GgmlType::Q8_0, GgmlType::Q4_K]),
                1..4_u64,
                proptest::collection::vec(1..4_u64, 0..4),
            ),
            0..8,
        ),
        alignment in proptest::sample::select(vec![None, Some(32_u32), Some(64), Some(4096)]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("any.gguf");
        let mut metadata = Metadata::new();
        for (key, value) in entries {
            metadata.set(key, value);
        }
        if let Some(alignment) = alignment {
            metadata.set("general.alignment", alignment);
        }
        let mut writer = Writer::new(metadata.clone());
        let mut expected = Vec::new();
        for (name, (ty, blocks, rest)) in tensors {
            let mut shape = vec![blocks * ty.block_size() as u64];
            shape.extend(rest);
            let n = ty.bytes_for(shape.iter().product()).unwrap() as usize;
            let bytes: Vec<u8> = (0..n).map(|i| (i * 31 + name.len()) as u8).collect();
            writer.tensor(name.clone(), &shape, ty, bytes.clone());
            expected.push((name, shape, ty, bytes));
        }
        writer.write(&path).unwrap();
        let file = Gguf::open(&path).unwrap();
        prop_assert!(same(file.metadata(), &metadata));
        prop_assert_eq!(file.tensors().len(), expected.len());
        for (tensor, (name, shape, ty, bytes)) in file.tensors().iter().zip(expected) {
            prop_assert_eq!(&tensor.name, &name);
            prop_assert_eq!(&tensor.shape, &shape);
            prop_assert_eq!(tensor.ty, ty);
            prop_assert_eq!(file.tensor_bytes(tensor), bytes);
            prop_assert!(tensor.offset.is_multiple_of(file.alignment().into()));
        }
    }
}
