//! What an adapter makes its base forget: a first look of about a minute.
//! usage: cargo run --release --example guard -- MODEL.gguf ADAPTER.gguf
#![allow(clippy::print_stdout)]

use unforget::engine::{Adapter, AdapterStack, Model, ModelOptions};
use unforget::guard::budget::Budget;
use unforget::guard::certificate::Certificate;
use unforget::guard::check::{MeasureOptions, Tier, check};
use unforget::guard::report::text::{Colour, render};
use unforget::guard::suite::Suite;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, adapter] = arguments.as_slice() else {
        return Err("usage: guard MODEL.gguf ADAPTER.gguf".into());
    };
    let model = Model::open(model.as_ref(), ModelOptions::default())?;
    let mut stack = AdapterStack::base();
    stack.push(Adapter::load(&model, adapter.as_ref(), "adapter")?, 1.0)?;
    let (suite, budget) = (Suite::builtin()?, Budget::embedded()?);
    let options = MeasureOptions::of(Tier::Smoke);
    let checked = check(&model, &stack, &suite, &budget, &options, |at| {
        println!("{:>5} of {} items, {}", at.done, at.total, at.group);
    })?;
    let body = checked.body(&model, &stack, &suite, &budget, Tier::Smoke, None)?;
    println!("{}", render(&Certificate::seal(&body, None)?, Colour::No));
    Ok(())
}
