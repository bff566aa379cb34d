//! Ready GGUF adapters: checking and measuring them must not panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| unforget_quant_fuzz::adapter(data));
