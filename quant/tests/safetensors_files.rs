//! Reading safetensors: values, totals, and files that are cut or of another kind.

mod common;

use common::{Tensors, f16_bytes, f32_bytes, write_safetensors};
use proptest::prelude::*;
use safetensors::Dtype;
use unforget_quant::Error;
use unforget_quant::safetensors::Safetensors;

fn sample() -> Tensors {
    let bf16: Vec<u8> = [1.0_f32, -2.5]
        .iter()
        .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
        .collect();
    Tensors::from([
        (
            "a".into(),
            (
                Dtype::F32,
                vec![2, 3],
                f32_bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ),
        ),
        ("b".into(), (Dtype::F16, vec![2], f16_bytes(&[0.5, -1.5]))),
        ("c".into(), (Dtype::BF16, vec![1, 2], bf16)),
        ("d".into(), (Dtype::I64, vec![1], vec![0; 8])),
        (
            "n".into(),
            (Dtype::F16, vec![2], f16_bytes(&[1.0, f32::NAN])),
        ),
        (
            "i".into(),
            (Dtype::F32, vec![1], f32_bytes(&[f32::INFINITY])),
        ),
    ])
}

#[test]
fn values_shapes_and_totals() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.safetensors");
    write_safetensors(&path, &sample());
    let file = Safetensors::open(&path).unwrap();
    let values = |name: &str| file.values(file.tensor(name).unwrap());
    assert_eq!(values("a").unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(values("b").unwrap(), [0.5, -1.5]);
    assert_eq!(values("c").unwrap(), [1.0, -2.5]);
    assert_eq!(file.tensor("a").unwrap().ggml_shape(), [3, 2]);
    assert!(matches!(values("d"), Err(Error::Unsupported { .. })));
    let nan = values("n").unwrap_err();
    assert!(
        matches!(&nan, Error::NonFinite { tensor, index: 1, .. } if tensor == "n"),
        "{nan}"
    );
    assert!(
        values("i")
            .unwrap_err()
            .to_string()
            .contains("tensor i holds inf")
    );
    let summary = file.summary();
    assert_eq!(
        (summary.n_tensors, summary.n_params, summary.n_bytes),
        (6, 14, 48)
    );
    assert_eq!(summary.by_type[0].ty, "F32");
}

#[test]
fn every_truncation_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.safetensors");
    write_safetensors(&path, &sample());
    let bytes = std::fs::read(&path).unwrap();
    for n in 0..bytes.len() {
        std::fs::write(&path, &bytes[..n]).unwrap();
        match Safetensors::open(&path).unwrap_err() {
            Error::WrongFormat { .. } if n == 0 => {}
            Error::Truncated { needed, found, .. } => {
                assert!(found == n as u64 && needed > found && needed <= bytes.len() as u64);
            }
            other => panic!("{n} bytes: {other}"),
        }
    }
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.safetensors");
    for (bytes, named) in [
        (b"PK\x03\x04".as_slice(), "PyTorch"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{", "header"),
        (b"version https://git-lfs", "header"),
        (b"\x01\x00\x00\x00\x00\x00\x00\x00x", "no JSON header"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = Safetensors::open(&path).unwrap_err();
        assert!(matches!(error, Error::WrongFormat { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 4]);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(
        Safetensors::open(&path),
        Err(Error::Invalid { .. })
    ));
}

#[test]
fn offsets_that_overflow_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.safetensors");
    let end = u64::MAX;
    let header = format!(r#"{{"a":{{"dtype":"U8","shape":[{end}],"data_offsets":[0,{end}]}}}}"#);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(
        Safetensors::open(&path),
        Err(Error::Truncated { .. })
    ));
}

/// A file with this header and eight bytes of data.
fn with_header(header: &str) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.safetensors");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 8]);
    std::fs::write(&path, bytes).unwrap();
    Safetensors::open(&path).unwrap_err()
}

#[test]
fn tensors_that_share_a_name_or_their_data_are_refused() {
    let tensor = |name: &str, from: u32, to: u32| {
        let n = (to - from) / 4;
        format!(r#""{name}":{{"dtype":"F32","shape":[{n}],"data_offsets":[{from},{to}]}}"#)
    };
    let both = |a: String, b: String| with_header(&format!("{{{a},{b}}}"));
    let twice = both(tensor("a", 0, 4), tensor("a", 4, 8));
    assert!(twice.to_string().contains("tensor a twice"), "{twice}");
    let again = both(tensor("a", 0, 8), tensor("a", 0, 8));
    assert!(again.to_string().contains("tensor a twice"), "{again}");
    for (a, b) in [((0, 8), (0, 8)), ((0, 8), (4, 8)), ((0, 4), (0, 8))] {
        let shared = both(tensor("a", a.0, a.1), tensor("b", b.0, b.1));
        assert!(matches!(shared, Error::Invalid { .. }), "{shared}");
    }
    let gap = with_header(&format!("{{{}}}", tensor("a", 4, 8)));
    assert!(matches!(gap, Error::Invalid { .. }), "{gap}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn damage_never_panics(damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.safetensors");
        write_safetensors(&path, &sample());
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in damage {
            let n = bytes.len();
            bytes[at % n] = value;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = Safetensors::open(&path) {
            for tensor in file.tensors() {
                prop_assert_eq!(file.bytes(tensor).len() as u64, tensor.n_bytes);
                let _ = file.values(tensor);
            }
        }
    }
}
