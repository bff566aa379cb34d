//! Devices: what the machine has, and how many layers to put there.

use std::ffi::CStr;
use std::fmt;
use std::str::FromStr;

use llama_cpp_2::{LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use serde::Serialize;

use super::backend::backend;
use super::cpu;
use crate::error::{Error, Result};

/// A device that the engine can compute on.
#[derive(Debug, Clone, Serialize)]
pub struct Device {
    /// Short name, such as `CPU`, `CUDA0` or `Metal`.
    pub name: String,
    /// The maker's name for it.
    pub description: String,
    /// Backend that drives it: `CPU`, `CUDA`, `Metal`, `Vulkan`.
    pub backend: String,
    /// Whether layers can be offloaded to it.
    pub gpu: bool,
    /// Memory in bytes, 0 where unknown.
    pub memory_total: usize,
    /// Free memory in bytes, 0 where unknown.
    pub memory_free: usize,
}

/// Backend and the maker's name: what is measured or computed on one is not the same on another.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.backend, self.description)
    }
}

/// Every device that this build can use on this machine.
pub fn devices() -> Result<Vec<Device>> {
    backend()?;
    Ok(list_llama_ggml_backend_devices()
        .into_iter()
        .map(|device| Device {
            name: device.name,
            description: device.description,
            backend: device.backend,
            gpu: matches!(
                device.device_type,
                LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu
            ),
            memory_total: device.memory_total,
            memory_free: device.memory_free,
        })
        .collect())
}

/// The devices that layers can be offloaded to.
fn gpu_devices() -> Result<Vec<Device>> {
    Ok(devices()?.into_iter().filter(|device| device.gpu).collect())
}

/// GPU backends that were compiled in, by the name of their cargo feature.
#[must_use]
pub fn compiled_backends() -> Vec<&'static str> {
    [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(any(feature = "metal", target_os = "macos"))),
        ("vulkan", cfg!(feature = "vulkan")),
        ("dynamic-backends", cfg!(feature = "dynamic-backends")),
    ]
    .into_iter()
    .filter_map(|(name, compiled)| compiled.then_some(name))
    .collect()
}

/// The instruction sets that the engine's CPU kernels were built for, as llama.cpp prints them, and what was added to them.
pub fn system_info() -> Result<String> {
    backend()?;
    // SAFETY: returns a pointer to a static buffer that is NUL-terminated and never freed; the backend is up.
    let text = unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()) };
    let mut text = text.to_string_lossy().into_owned();
    if cpu::plug_in() {
        // Numbers differ in their last bits: what was measured with other kernels is not the same.
        text.push_str("UNFORGET_KERNELS = 2 | ");
    }
    Ok(text)
}

/// How many layers go to the GPU: the value of `-ngl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GpuLayers {
    /// All if there is a GPU, none otherwise.
    #[default]
    Auto,
    /// All; an error if there is no GPU.
    All,
    /// So many; an error if there is no GPU and the number is not 0.
    Count(u32),
}

impl GpuLayers {
    /// For models beside the one that this was said of: on the processor where that is, else wherever they are fastest.
    #[must_use]
    pub const fn beside(self) -> Self {
        match self {
            Self::Count(0) => self,
            Self::Auto | Self::All | Self::Count(_) => Self::Auto,
        }
    }

    /// Number of layers to ask llama.cpp for.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if layers are wanted on a GPU and none is there.
    pub(super) fn resolve(self) -> Result<u32> {
        // llama.cpp clamps to the number of layers that there are.
        const ALL: u32 = i32::MAX as u32;
        let has_gpu = !gpu_devices()?.is_empty();
        match self {
            Self::Auto => Ok(if has_gpu { ALL } else { 0 }),
            Self::Count(0) => Ok(0),
            Self::All if has_gpu => Ok(ALL),
            Self::Count(n) if has_gpu => Ok(n),
            Self::All | Self::Count(_) => Err(Error::NoDevice {
                wanted: self.to_string(),
                advice: no_device_advice(&compiled_backends()),
            }),
        }
    }
}

fn no_device_advice(compiled: &[&str]) -> String {
    if compiled.is_empty() {
        "this binary was built for the CPU only; build it with --features cuda, metal or vulkan, \
         or leave -ngl at auto"
            .to_owned()
    } else {
        format!(
            "this binary was built with {}, but no such device was found; check its driver with \
             `unforget doctor`, or leave -ngl at auto",
            compiled.join(", ")
        )
    }
}

impl FromStr for GpuLayers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::Count)
                .map_err(|_| Error::InvalidArgument {
                    what: "-ngl",
                    value: text.to_owned(),
                    expected: "auto, all or a number of layers".to_owned(),
                }),
        }
    }
}

impl fmt::Display for GpuLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::All => f.write_str("all"),
            Self::Count(n) => n.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_ngl() {
        assert_eq!("auto".parse::<GpuLayers>().ok(), Some(GpuLayers::Auto));
        assert_eq!("all".parse::<GpuLayers>().ok(), Some(GpuLayers::All));
        assert_eq!("12".parse::<GpuLayers>().ok(), Some(GpuLayers::Count(12)));
        assert_eq!(GpuLayers::Count(0).beside(), GpuLayers::Count(0));
        assert_eq!(GpuLayers::Count(12).beside(), GpuLayers::Auto);
        for wrong in ["", "-1", "some", "1.5"] {
            assert!(wrong.parse::<GpuLayers>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn advice_names_the_feature_to_build_with() {
        assert!(no_device_advice(&[]).contains("--features cuda"));
        assert!(no_device_advice(&["vulkan"]).contains("built with vulkan"));
    }
}
