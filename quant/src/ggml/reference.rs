//! Our files against those of llama.cpp's own quantizer, tensor by tensor and byte by byte.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use crate::gguf::Gguf;
use crate::quantize::{FileType, Request, quantize};
use crate::rewrite::Options;

/// The base model that the workspace's tests fetch.
fn base_file() -> PathBuf {
    let home = std::env::var_os("UNFORGET_TEST_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-home"),
        PathBuf::from,
    );
    let folder = home.join("models/smollm2");
    std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "gguf"))
        .unwrap_or_else(|| panic!("{} holds no model: run `make test`", folder.display()))
}

fn by_llama_cpp(input: &Path, out: &Path, file_type: FileType, pure: bool) {
    let text = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let (input, out) = (text(input), text(out));
    // SAFETY: a plain function that fills a struct by value.
    let mut params = unsafe { ggml_sys::llama_model_quantize_default_params() };
    params.nthread = 2;
    params.ftype = file_type.id() as ggml_sys::llama_ftype;
    params.allow_requantize = true;
    params.pure_ = pure;
    // SAFETY: both strings end in a zero and outlive the call, like the parameters.
    let status = unsafe { ggml_sys::llama_model_quantize(input.as_ptr(), out.as_ptr(), &params) };
    assert_eq!(status, 0, "{file_type}");
}

#[test]
fn files_hold_the_bytes_that_llama_cpp_writes() {
    let input = base_file();
    let source = Gguf::open(&input).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours.gguf"), dir.path().join("theirs.gguf"));
    for (file_type, pure) in [
        (FileType::F16, false),
        (FileType::Q8_0, true),
        (FileType::Q4_0, false),
        (FileType::Q4_K_M, false),
        (FileType::Q3_K_L, false),
        (FileType::Q2_K, false),
    ] {
        let request = Request {
            file_type,
            pure,
            allow_requantize: true,
            imatrix: None,
        };
        quantize(&source, &ours, &request, &Options::default()).unwrap();
        by_llama_cpp(&input, &theirs, file_type, pure);
        let (ours, theirs) = (Gguf::open(&ours).unwrap(), Gguf::open(&theirs).unwrap());
        assert_eq!(ours.tensors().len(), theirs.tensors().len());
        for tensor in ours.tensors() {
            let name = &tensor.name;
            let reference = theirs.tensor(name).unwrap();
            assert_eq!(tensor.ty, reference.ty, "{file_type}: {name}");
            assert!(
                ours.tensor_bytes(tensor) == theirs.tensor_bytes(reference),
                "{file_type}: {name} differs"
            );
        }
        for key in ["general.file_type", "general.quantization_version"] {
            assert_eq!(
                ours.metadata().u64(key),
                theirs.metadata().u64(key),
                "{key}"
            );
        }
    }
}
