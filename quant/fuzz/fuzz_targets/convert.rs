//! PEFT folders, as a configuration, a zero byte and safetensors: what converts must be a sound adapter.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| unforget_quant_fuzz::convert(data));
