//! A certificate made readable: [`text`] for the terminal, [`html`] with plots, [`markdown`] and [`junit`] for
//! pipelines; [`curves`] for a run of training. Renderers return strings and decide nothing: every figure and word comes from the certificate.
//!
//! What a certificate holds comes from files of others: names and ids are escaped for each format, and control
//! characters never get through.

pub mod curves;
pub mod escape;
pub mod html;
pub mod junit;
pub mod markdown;
mod plots;
pub mod style;
pub mod svg;
pub mod text;

use super::certificate::{Body, Certificate, MeasuredAdapter};
use super::verdict::{GroupResult, Verdict};

/// What a report is about, in words: `triage at scales 0 to 1 on smollm2, tier gate`.
fn subject(body: &Body) -> String {
    let name = |adapter: &MeasuredAdapter| {
        let MeasuredAdapter {
            name,
            scale,
            profile,
            ..
        } = adapter;
        let profile = match profile.is_flat() {
            true => String::new(),
            false => format!(" ({profile})"),
        };
        format!("{name} at scales 0 to {scale}{profile}")
    };
    let adapters = match body.adapters.as_slice() {
        [] => "no adapter".to_owned(),
        all => all.iter().map(name).collect::<Vec<_>>().join(" + "),
    };
    let (base, tier) = (&body.base.name, &body.tier);
    format!("{adapters} on {base}, tier {tier}")
}

/// How to tell whether this certificate is meant: its id and who signed it.
fn seal(certificate: &Certificate) -> String {
    let id = certificate.id();
    match certificate.signer() {
        Some(key) => format!("certificate {id}, signed by {key}"),
        None => format!("certificate {id}, not signed"),
    }
}

/// Results that a rule is about, worst first; the order of measuring within each verdict.
fn ruled(body: &Body) -> Vec<&GroupResult> {
    let mut rows: Vec<&GroupResult> = body
        .outcome
        .groups
        .iter()
        .filter(|group| group.budget.is_some())
        .collect();
    rows.sort_by_key(|group| match group.verdict {
        Some(Verdict::Fail) => 0,
        Some(Verdict::Undecided) => 1,
        Some(Verdict::Pass) => 2,
        None => 3,
    });
    rows
}

/// A measured number, short: three decimals, fewer where it is large.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{value:.1e}")
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.2}")
    } else if size > 0.0 && size < 0.0005 {
        // A difference that is there is not shown as none.
        format!("{value:.0e}")
    } else {
        format!("{value:.3}")
    }
}

fn signed(value: f64) -> String {
    let text = number(value);
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// What a run cost, in words.
fn work(body: &Body) -> String {
    let work = &body.outcome.work;
    let mut text = format!(
        "{} items, {} tokens and {} rows of logits in {:.1} s: {:.0} tokens/s, {:.2} of the bare prefill's {:.0}, {:.2} \
         counting the logits",
        work.n_items,
        work.n_tokens,
        work.n_rows,
        work.seconds,
        work.tokens_per_s,
        work.share_of_prefill(),
        work.raw_prefill_tokens_per_s,
        work.share_of_floor()
    );
    if work.base_cached {
        text.push_str("; base from the cache");
    }
    let look = body.outcome.look;
    let decided = body.outcome.verdict != Verdict::Undecided;
    if decided && look.number < look.of {
        let (number, of, saved) = (look.number, look.of, work.items_saved);
        text.push_str(&format!(
            "; decided at look {number} of {of}, {saved} items saved"
        ));
    }
    text
}
