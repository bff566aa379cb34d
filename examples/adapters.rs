//! One prompt, answered by the base and under an adapter at several scales.
//! usage: cargo run --release --example adapters -- MODEL.gguf ADAPTER.gguf PROMPT
#![allow(clippy::print_stdout)]

use unforget::engine::{
    Adapter, AdapterStack, ChatMessage, GenerateOptions, Model, ModelOptions, PoolLimits,
    SessionOptions, SessionPool,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, adapter, prompt] = arguments.as_slice() else {
        return Err("usage: adapters MODEL.gguf ADAPTER.gguf PROMPT".into());
    };
    let model = Model::open(model.as_ref(), ModelOptions::default())?;
    let adapter = Adapter::load(&model, adapter.as_ref(), "adapter")?;
    let prompt = model.tokenize_chat(&[ChatMessage::user(prompt)])?;
    let options = GenerateOptions {
        max_tokens: 48,
        ..GenerateOptions::default()
    };
    // A session for each stack: going back to one finds what was computed under it.
    let mut pool = SessionPool::new(&model, SessionOptions::default(), PoolLimits::default())?;
    for scale in [0.0, 0.5, 1.0, 0.0] {
        let mut stack = AdapterStack::base();
        stack.push(adapter.clone(), scale)?;
        let answer = pool
            .session(&stack)?
            .generate(&prompt, &options)?
            .run(|_| true)?;
        let cached = answer.usage.cached_tokens;
        println!("scale {scale}, {cached} tokens cached: {}", answer.text);
    }
    Ok(())
}
