//! What llama-bench says of every test, by its names. What this program has no option for has llama-bench's default.

use std::time::SystemTime;

use serde::Serialize;
use unforget::date::rfc3339;
use unforget::engine::{ContextParams, Model, compiled_backends, devices};

/// The fields before those of the test itself, in llama-bench's order.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Setup {
    build_commit: &'static str,
    build_number: u32,
    cpu_info: String,
    gpu_info: String,
    backends: String,
    model_filename: String,
    pub(super) model_type: String,
    pub(super) model_size: u64,
    pub(super) model_n_params: u64,
    n_batch: u32,
    n_ubatch: u32,
    pub(super) n_threads: u32,
    cpu_mask: &'static str,
    cpu_strict: bool,
    poll: u32,
    type_k: &'static str,
    type_v: &'static str,
    n_gpu_layers: String,
    n_cpu_moe: u32,
    split_mode: &'static str,
    main_gpu: u32,
    no_kv_offload: bool,
    flash_attn: i32,
    devices: &'static str,
    tensor_split: &'static str,
    tensor_buft_overrides: &'static str,
    load_mode: &'static str,
    lazy_mode: &'static str,
    embeddings: bool,
    no_op_offload: u32,
    no_host: bool,
    repack: bool,
    fit_target: u32,
    fit_min_ctx: u32,
}

impl Setup {
    pub(super) fn of(model: &Model, sizes: &ContextParams, gpu_layers: String) -> Self {
        let backends = compiled_backends();
        let found = devices().unwrap_or_default();
        let names = |gpu: bool| {
            let of_kind = found.iter().filter(|device| device.gpu == gpu);
            let names: Vec<_> = of_kind.map(|device| device.description.trim()).collect();
            names.join(", ")
        };
        Self {
            build_commit: concat!("unforget ", env!("CARGO_PKG_VERSION")),
            build_number: 0,
            cpu_info: names(false),
            gpu_info: names(true),
            backends: match backends.as_slice() {
                [] => "CPU".to_owned(),
                backends => backends.join(","),
            },
            model_filename: model.path().display().to_string(),
            model_type: model.name().to_owned(),
            model_size: model.size(),
            model_n_params: model.n_params(),
            n_batch: sizes.n_batch,
            n_ubatch: sizes.n_ubatch,
            n_threads: sizes.n_threads,
            cpu_mask: "0x0",
            cpu_strict: false,
            poll: 50,
            type_k: sizes.kv_type.name(),
            type_v: sizes.kv_type.name(),
            n_gpu_layers: gpu_layers,
            n_cpu_moe: 0,
            split_mode: "layer",
            main_gpu: 0,
            no_kv_offload: false,
            flash_attn: -1,
            devices: "auto",
            tensor_split: "0.00",
            tensor_buft_overrides: "none",
            load_mode: "mmap",
            lazy_mode: "auto",
            embeddings: false,
            no_op_offload: 0,
            no_host: false,
            repack: true,
            fit_target: 0,
            fit_min_ctx: 0,
        }
    }
}

/// Now, as `2026-01-31T12:00:00Z`.
pub(super) fn now() -> String {
    rfc3339(SystemTime::now())
}
