mod common;
use unforget::engine::*;
use unforget::guard::{check::*, suite::Suite};
use unforget_quant::{gguf::Gguf, lora};
#[test]
fn try_it() {
    let model = common::base();
    let which = std::env::var("WHICH").unwrap_or("gentle".into());
    let tier: Tier = std::env::var("TIER")
        .unwrap_or("smoke".into())
        .parse()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.gguf");
    let base = Gguf::open(&common::base_file()).unwrap();
    lora::convert_peft(
        &common::repository().join(format!("models/adapters/triage-{which}")),
        &base,
        &out,
    )
    .unwrap();
    let mut stack = AdapterStack::base();
    stack
        .push(Adapter::load(&model, &out, "a").unwrap(), 1.0)
        .unwrap();
    let mut suite = Suite::builtin().unwrap();
    if std::env::var("NODOMAIN").is_err() {
        suite
            .set_domain_file("models/suites/triage_test.jsonl".as_ref())
            .unwrap();
    }
    let mut options = MeasureOptions::of(tier);
    if let Ok(c) = std::env::var("CACHE") {
        options.cache = Some(c.into());
    }
    let t = std::time::Instant::now();
    options.n_threads = std::env::var("NT").ok().map(|n| n.parse().unwrap());
    let budget = unforget::guard::budget::Budget::embedded().unwrap();
    let c = check(&model, &stack, &suite, &budget, tier, &options, |p| {
        println!(
            "{:6.1}s look {} {} {}/{}",
            t.elapsed().as_secs_f64(),
            p.look.number(),
            p.group,
            p.done,
            p.total
        )
    })
    .unwrap();
    println!(
        "VERDICT {} {} look {:?} {:?}",
        c.outcome.verdict, c.outcome.reason, c.outcome.look, c.outcome.warnings
    );
    for g in &c.outcome.groups {
        println!(
            "{:20} {:20} n {:4} delta {:8.4} [{:?} {:?}] budget {:?} {:?} {}",
            g.title(),
            g.metric.to_string(),
            g.n,
            g.delta,
            g.ci_low,
            g.ci_high,
            g.budget,
            g.verdict,
            g.reason
        );
    }
    let m = c.measurements;
    for s in m.series() {
        println!(
            "{:20} {:20} n {:4} base {:8.4} adapted {:8.4} chance {:?}",
            s.group(),
            s.metric().to_string(),
            s.pairs().len(),
            s.base_mean(),
            s.adapted_mean(),
            s.chance()
        );
    }
    for t in m.text() {
        println!("{t:?}");
    }
    for n in m.noise_floor() {
        println!("{n:?}");
    }
    println!("{:?} {:?}", m.work(), memory_use());
}
