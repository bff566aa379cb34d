//! How to open a model: a builder.

use std::ffi::c_char;

use unforget::engine::{GpuLayers, ModelOptions};

use crate::boundary::call;
use crate::handle::{edit, free, give};
use crate::out::Out;
use crate::status::uf_status;
use crate::text;

/// Layers on the GPU: all if there is a GPU, none otherwise. The default.
pub const UF_GPU_LAYERS_AUTO: i32 = -1;
/// Layers on the GPU: all; opening fails with UF_NOT_FOUND if there is no GPU.
pub const UF_GPU_LAYERS_ALL: i32 = -2;

/// How to open a model. Opaque; used by one thread at a time.
pub struct uf_model_options {
    pub(crate) options: ModelOptions,
}

/// Makes options with the defaults.
///
/// out: gets them. The caller owns them and releases them with uf_model_options_free; a model that was opened with them
/// does not need them any more.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_options_new(out: *mut *mut uf_model_options) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_model_options {
            options: ModelOptions::default(),
        }));
        Ok(())
    })
}

/// Sets how many layers are computed on a GPU: a number, UF_GPU_LAYERS_AUTO or UF_GPU_LAYERS_ALL.
///
/// UF_USAGE: `options` is null, or the number is none of these.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_options_set_gpu_layers(
    options: *mut uf_model_options,
    gpu_layers: i32,
) -> uf_status {
    let change = |builder: &mut uf_model_options| {
        builder.options.gpu_layers = match gpu_layers {
            UF_GPU_LAYERS_AUTO => GpuLayers::Auto,
            UF_GPU_LAYERS_ALL => GpuLayers::All,
            n => GpuLayers::Count(u32::try_from(n).map_err(|_| {
                text::invalid(
                    "gpu_layers",
                    n.to_string(),
                    "a number of layers, UF_GPU_LAYERS_AUTO or UF_GPU_LAYERS_ALL",
                )
            })?),
        };
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Sets the name that messages and reports call the model by; by default the file's.
///
/// name: UTF-8, `name_len` bytes (at most 32,768), copied.
/// UF_USAGE: a pointer is null, or the name is empty, too long or not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_options_set_name(
    options: *mut uf_model_options,
    name: *const c_char,
    name_len: usize,
) -> uf_status {
    let change = |builder: &mut uf_model_options| {
        // SAFETY: the header's rules.
        let name = unsafe { text::short("name", name, name_len) }?;
        builder.options.name = Some(name.to_owned());
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("options", options, change) }
}

/// Releases options. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_model_options_free(options: *mut uf_model_options) {
    // SAFETY: the header's rules.
    unsafe { free(options) }
}
