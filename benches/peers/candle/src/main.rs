//! Candle's quantized llama, measured as llama-bench measures: a prompt of arbitrary tokens, then single tokens from an empty
//! context, each after one to warm up; the time to load is left out. Tokens a second and peak memory as JSON.
//!
//! usage: candle-peer MODEL.gguf PROMPT GENERATE REPETITIONS; threads by `RAYON_NUM_THREADS`

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompt, generate, repetitions] = arguments.as_slice() else {
        return Err("usage: candle-peer MODEL.gguf PROMPT GENERATE REPETITIONS".into());
    };
    let (prompt, generate): (usize, usize) = (prompt.parse()?, generate.parse()?);
    let repetitions: usize = repetitions.parse()?;

    let mut file = BufReader::new(File::open(model)?);
    let content = Content::read(&mut file)?;
    let n_vocab = content
        .tensor_infos
        .get("token_embd.weight")
        .ok_or("no token_embd.weight")?
        .shape
        .dims()[0];
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    let tokens: Vec<u32> = (0..prompt.max(generate))
        .map(|i| u32::try_from((i * 7919 + 13) % n_vocab))
        .collect::<Result<_, _>>()?;

    let (mut prefills, mut decodes) = (Vec::new(), Vec::new());
    for _ in 0..=repetitions {
        prefills.push(prefill(&mut model, &tokens[..prompt])?);
        decodes.push(decode(&mut model, &tokens[..generate])?);
    }
    let mean = |speeds: &[f64]| speeds[1..].iter().sum::<f64>() / repetitions as f64;
    println!(
        "{}",
        serde_json::json!({
            "prefill": mean(&prefills),
            "decode": mean(&decodes),
            "peak": peak_bytes()?,
        })
    );
    Ok(())
}

/// Position 0 begins anew: what was computed before is dropped.
fn prefill(model: &mut ModelWeights, tokens: &[u32]) -> candle_core::Result<f64> {
    let start = Instant::now();
    let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
    model.forward(&input, 0)?;
    Ok(tokens.len() as f64 / start.elapsed().as_secs_f64())
}

fn decode(model: &mut ModelWeights, tokens: &[u32]) -> candle_core::Result<f64> {
    let start = Instant::now();
    for (position, token) in tokens.iter().enumerate() {
        let input = Tensor::new(&[*token], &Device::Cpu)?.unsqueeze(0)?;
        model.forward(&input, position)?;
    }
    Ok(tokens.len() as f64 / start.elapsed().as_secs_f64())
}

/// Most memory that was ever resident, as Linux counts it.
fn peak_bytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kilobytes.ok_or("no VmHWM")?.parse::<u64>()? * 1024)
}
