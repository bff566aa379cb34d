//! A table for the terminal, at most 100 columns wide.

use super::super::certificate::Certificate;
use super::super::flips::Flips;
use super::super::verdict::{GroupResult, Verdict};
use super::escape::{plain, short};
use super::{number, ruled, seal, signed, subject, work};

/// Terminals are at least so wide, or wrap.
const WIDTH: usize = 100;
/// Ids of flips shown a group; all are in the certificate.
const MOST_IDS: usize = 6;

/// Whether verdicts are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI escapes.
    Yes,
    /// Plain text.
    No,
}

/// The report as lines of text.
#[must_use]
pub fn render(certificate: &Certificate, colour: Colour) -> String {
    let body = certificate.body();
    let outcome = &body.outcome;
    let mut text = format!(
        "verdict: {}\n",
        paint(outcome.verdict.as_str(), Some(outcome.verdict), colour)
    );
    let mut say = |words: &str| wrap(&mut text, words);
    say(&subject(body));
    say(&outcome.reason);
    table(&mut text, &ruled(body), outcome.confidence.value(), colour);
    let unruled = outcome
        .groups
        .iter()
        .filter(|group| group.budget.is_none())
        .count();
    let mut say = |words: &str| wrap(&mut text, words);
    if unruled > 0 {
        say(&format!(
            "{unruled} more figures without a rule are in the certificate"
        ));
    }
    for one in &outcome.text {
        say(&format!(
            "KL {}: mean {}, p50 {}, p99 {}, max {}, top-1 agreement {:.1} %, {} tokens",
            one.stratum,
            number(one.mean),
            number(one.p50),
            number(one.p99),
            number(one.max),
            one.top1_agreement * 100.0,
            one.n_tokens
        ));
    }
    for flips in &outcome.flips {
        if !flips.negative.is_empty() {
            say(&flipped(flips));
        }
    }
    for group in ruled(body) {
        if matches!(group.verdict, Some(Verdict::Fail | Verdict::Undecided)) {
            let (title, metric, reason) = (group.title(), group.metric, &group.reason);
            say(&format!("{title} {metric}: {reason}"));
        }
    }
    for (why, names) in not_judged(&ruled(body)) {
        say(&format!("{why}: {names}"));
    }
    if let Some(overlap) = &body.overlap
        && !overlap.ids.is_empty()
    {
        let (n, of) = (overlap.ids.len(), overlap.compared);
        say(&format!(
            "{n} of {of} items stand in the training rows too: {}",
            listed(&overlap.ids)
        ));
    }
    for warning in &outcome.warnings {
        say(&format!("warning: {warning}"));
    }
    say(&work(body));
    say(&seal(certificate));
    text
}

/// Rules that decided nothing, a line for each reason.
fn not_judged(rows: &[&GroupResult]) -> Vec<(&'static str, String)> {
    type Is = fn(&GroupResult) -> bool;
    let reasons: [(&str, Is); 2] = [
        (
            "the base is not above chance, so that continuous metrics alone judge",
            |row| !row.too_few_items && row.above_chance == Some(false),
        ),
        ("not judged, fewer items than the budget asks for", |row| {
            row.too_few_items
        }),
    ];
    let named = |is: Is| {
        let rows = rows.iter().filter(|row| row.verdict.is_none() && is(row));
        let names = rows.map(|row| format!("{} {}", row.title(), row.metric));
        names.collect::<Vec<_>>().join(", ")
    };
    reasons
        .into_iter()
        .map(|(why, is)| (why, named(is)))
        .filter(|(_, names)| !names.is_empty())
        .collect()
}

/// What flipped and what it shares.
fn flipped(flips: &Flips) -> String {
    let mut words = format!(
        "{} {}: {} lost, {} won: {}",
        flips.group,
        flips.metric,
        flips.negative.len(),
        flips.positive.len(),
        listed(&flips.negative)
    );
    for part in &flips.common {
        let (kind, name, n, of) = (&part.kind, &part.name, part.flips, part.items);
        words.push_str(&format!("; {kind} {name} {n} of {of}"));
    }
    words
}

fn listed(ids: &[String]) -> String {
    let mut shown = ids
        .iter()
        .take(MOST_IDS)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if ids.len() > MOST_IDS {
        shown.push_str(&format!(", and {} more", ids.len() - MOST_IDS));
    }
    shown
}

fn table(text: &mut String, rows: &[&GroupResult], confidence: f64, colour: Colour) {
    if rows.is_empty() {
        return;
    }
    let percent = format!("{:.4}", confidence * 100.0);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    let interval = format!("{percent}% interval");
    text.push('\n');
    text.push_str(&line(
        [
            "group", "metric", "n", "base", "adapted", "delta", &interval, "budget",
        ],
        "verdict",
    ));
    for row in rows {
        let range = match (row.ci_low, row.ci_high) {
            (Some(low), Some(high)) => format!("{} {}", signed(low), signed(high)),
            _ => "unknown".to_owned(),
        };
        let cells = [
            &short(&row.title(), 18),
            row.metric.as_str(),
            &row.n.to_string(),
            &number(row.base),
            &number(row.adapted),
            &signed(row.delta),
            &range,
            &row.budget.map_or_else(String::new, number),
        ];
        text.push_str(&line(cells, &judged(row, colour)));
    }
    text.push('\n');
}

fn line(cells: [&str; 8], verdict: &str) -> String {
    let [group, metric, n, base, adapted, delta, range, budget] = cells;
    let line = format!(
        "{group:<18} {metric:<19} {n:>5} {base:>6} {adapted:>7} {delta:>7} {range:>15} {budget:>6} {verdict}"
    );
    format!("{}\n", line.trim_end())
}

/// The verdict's word; a failing rule that only warns says so.
fn judged(row: &GroupResult, colour: Colour) -> String {
    use super::super::budget::Action;
    match (row.verdict, row.action) {
        (None, _) => "-".to_owned(),
        (Some(Verdict::Fail), Action::Warn) => paint("warning", Some(Verdict::Undecided), colour),
        (Some(verdict), Action::Block) => paint(verdict.as_str(), Some(verdict), colour),
        (Some(verdict), _) => verdict.as_str().to_owned(),
    }
}

fn paint(word: &str, verdict: Option<Verdict>, colour: Colour) -> String {
    let code = match (colour, verdict) {
        (Colour::No, _) | (_, None) => return word.to_owned(),
        (_, Some(Verdict::Pass)) => 32,
        (_, Some(Verdict::Fail)) => 31,
        (_, Some(Verdict::Undecided)) => 33,
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// Words on lines of at most [`WIDTH`] characters; a longer word is broken.
fn wrap(text: &mut String, words: &str) {
    let words = plain(words);
    let mut used = 0;
    for word in words.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        let indent = if used == 0 { 0 } else { 1 };
        if used > 0 && used + indent + letters.len() > WIDTH {
            text.push_str("\n  ");
            used = 2;
        } else if indent == 1 {
            text.push(' ');
            used += 1;
        }
        for letter in letters {
            if used == WIDTH {
                text.push_str("\n  ");
                used = 2;
            }
            text.push(letter);
            used += 1;
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    fn certificate() -> Certificate {
        Certificate::seal(&sample::body(), None).unwrap()
    }

    #[test]
    fn fits_a_hundred_columns_and_names_what_failed() {
        let text = render(&certificate(), Colour::No);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(text.starts_with("verdict: fail\n"), "{text}");
        let first = text
            .lines()
            .find(|line| line.starts_with("arithmetic"))
            .unwrap();
        assert_eq!(
            first,
            "arithmetic         acc_norm              200  0.600   0.200  -0.400   -0.465 -0.328  0.100 fail"
        );
        assert!(
            text.contains("arithmetic acc_norm: 80 lost, 0 won"),
            "{text}"
        );
        assert!(
            text.replace("\n  ", " ")
                .contains("continuous metrics alone judge: reasoning acc_norm"),
            "{text}"
        );
        assert!(text.contains("KL prose: mean 1.130"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn colours_stand_on_verdicts_only() {
        let text = render(&certificate(), Colour::Yes);
        assert!(
            text.contains("\u{1b}[31mfail\u{1b}[0m") && text.contains("\u{1b}[32mpass\u{1b}[0m")
        );
        let plain = text
            .replace("\u{1b}[31m", "")
            .replace("\u{1b}[32m", "")
            .replace("\u{1b}[33m", "");
        assert_eq!(
            plain.replace("\u{1b}[0m", ""),
            render(&certificate(), Colour::No)
        );
    }

    #[test]
    fn an_escape_in_a_name_does_not_reach_the_terminal() {
        let mut body = sample::body();
        body.adapters[0].name = "x\u{1b}[2J".to_owned();
        body.outcome.groups[0].name = "\u{1b}]0;title\u{7}".to_owned();
        let certificate = Certificate::seal(&body, None).unwrap();
        assert!(!render(&certificate, Colour::No).contains('\u{1b}'));
    }

    #[test]
    fn long_words_are_broken() {
        let mut text = String::new();
        wrap(&mut text, &format!("a {} b", "x".repeat(250)));
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert_eq!(text.matches('x').count(), 250);
    }
}
