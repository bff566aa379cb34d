//! A chat in the terminal. usage: cargo run --release --example chat -- MODEL.gguf
#![allow(clippy::print_stdout)]

use std::io::{BufRead, Write};

use unforget::engine::{
    ChatMessage, GenerateOptions, Model, ModelOptions, Session, SessionOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: chat MODEL.gguf")?;
    let model = Model::open(path.as_ref(), ModelOptions::default())?;
    let mut session = Session::new(&model, &SessionOptions::default())?;
    let mut messages = Vec::new();
    for line in std::io::stdin().lock().lines() {
        messages.push(ChatMessage::user(line?));
        let prompt = model.tokenize_chat(&messages)?;
        // Only the new message is computed: the session still has the rest.
        let mut answer = session.generate(&prompt, &GenerateOptions::default())?;
        for piece in &mut answer {
            print!("{}", piece?);
            std::io::stdout().flush()?;
        }
        let outcome = answer.finish();
        println!(
            "\n[{} of {} prompt tokens were there, {:.0} tokens/s]",
            outcome.usage.cached_tokens,
            outcome.usage.prompt_tokens,
            outcome.timings.decode_tokens_per_s
        );
        messages.push(ChatMessage::assistant(outcome.text));
    }
    Ok(())
}
