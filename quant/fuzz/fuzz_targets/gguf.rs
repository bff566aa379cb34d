//! GGUF files: reading must not panic, and what was accepted must be readable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| unforget_quant_fuzz::gguf(data));
