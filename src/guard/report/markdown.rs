//! Markdown, for a pull request or a job's summary.

use super::super::certificate::Certificate;
use super::super::verdict::GroupResult;
use super::escape::markdown as escape;
use super::{number, ruled, seal, signed, subject, work};

/// The report as Markdown.
#[must_use]
pub fn render(certificate: &Certificate) -> String {
    let body = certificate.body();
    let outcome = &body.outcome;
    let mut text = format!(
        "## Guard: {}\n\n{}\n\n{}\n\n",
        outcome.verdict,
        escape(&subject(body)),
        escape(&outcome.reason)
    );
    text.push_str(
        "| group | metric | n | base | adapted | delta | interval | budget | verdict |\n",
    );
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|---|\n");
    for row in ruled(body) {
        text.push_str(&line(row));
    }
    text.push('\n');
    for warning in &outcome.warnings {
        text.push_str(&format!("- warning: {}\n", escape(warning)));
    }
    text.push_str(&format!(
        "- {}\n- {}\n",
        escape(&work(body)),
        escape(&seal(certificate))
    ));
    text
}

fn line(row: &GroupResult) -> String {
    let range = match (row.ci_low, row.ci_high) {
        (Some(low), Some(high)) => format!("{} to {}", signed(low), signed(high)),
        _ => "unknown".to_owned(),
    };
    let verdict = match row.verdict {
        Some(verdict) => verdict.to_string(),
        None => "-".to_owned(),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {range} | {} | {verdict} |\n",
        escape(&row.title()),
        escape(row.metric.as_str()),
        row.n,
        number(row.base),
        number(row.adapted),
        signed(row.delta),
        row.budget.map_or_else(String::new, number),
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn a_table_that_names_cannot_break() {
        let text = render(&Certificate::seal(&sample::body(), None).unwrap());
        assert!(text.starts_with("## Guard: fail\n"));
        let row = "| arithmetic | acc\\_norm | 200 | 0.600 | 0.200 | -0.400 | -0.465 to -0.328 | 0.100 | fail |";
        assert!(text.contains(row), "{text}");
        assert!(!text.contains("<script"));
        for line in text.lines().filter(|line| line.starts_with("| ")) {
            let cells = line.replace("\\|", "").matches('|').count();
            assert_eq!(cells, 10, "{line}");
        }
    }
}
