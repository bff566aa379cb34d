//! One page with plots that needs nothing else: no network, no scripts.

use super::super::certificate::{Body, Certificate};
use super::super::flips::Flips;
use super::super::verdict::{GroupResult, Verdict};
use super::escape::xml;
use super::style::STYLE;
use crate::engine::ContentHash;

use super::{number, plots, ruled, seal, signed, subject, work};

/// The page forbids itself everything but its own style: what an id says can never run or load anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The report as one HTML page.
#[must_use]
pub fn render(certificate: &Certificate) -> String {
    let body = certificate.body();
    let outcome = &body.outcome;
    let title = xml(&format!("guard: {} - {}", outcome.verdict, subject(body)));
    let mut page = head(&title);
    let verdict = outcome.verdict;
    page.push_str(&format!(
        "<h1>Guard: <span class=\"v-{verdict}\">{verdict}</span></h1>\n<p>{}<br>{}</p>\n",
        xml(&subject(body)),
        xml(&outcome.reason)
    ));
    warnings(&mut page, body);
    table(&mut page, body);
    let plots = [
        (
            "Scores",
            "Grey: the base. Coloured: with the adapter; the line is the interval of where it may lie.",
            plots::scores(body),
        ),
        (
            "Harm against the budget",
            "1 is the budget of each rule. A rule is met where the whole line is left of it. \
             Beyond 3 budgets it is drawn at the edge.",
            plots::harms(body),
        ),
        (
            "Divergence by token position",
            "Mean KL(base, adapted) in nats: damage that grows with length shows here.",
            plots::divergence(body),
        ),
        (
            "Gain against harm",
            "Every scale of the sweep; the ring marks the one that was picked.",
            plots::sweep(body),
        ),
        (
            "Items that changed sides",
            "Lost to the left, won to the right.",
            plots::flips(body),
        ),
    ];
    for (title, words, plot) in plots {
        if let Some(plot) = plot {
            page.push_str(&format!(
                "<section><h2>{title}</h2>\n<p class=\"dim\">{words}</p>\n{plot}</section>\n"
            ));
        }
    }
    body.outcome
        .flips
        .iter()
        .for_each(|one| flips(&mut page, one));
    text(&mut page, body);
    provenance(&mut page, certificate);
    page.push_str("</body>\n</html>\n");
    page
}

/// All up to the page's first line; `title` is escaped already.
pub(super) fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
}

fn warnings(page: &mut String, body: &Body) {
    let mut items = body.outcome.warnings.clone();
    if let Some(overlap) = &body.overlap
        && !overlap.ids.is_empty()
    {
        let (n, of) = (overlap.ids.len(), overlap.compared);
        let ids = overlap.ids.join(", ");
        items.push(format!(
            "{n} of {of} items stand in the adapter's training rows too: {ids}"
        ));
    }
    if items.is_empty() {
        return;
    }
    page.push_str("<ul>");
    for item in items {
        page.push_str(&format!("<li class=\"v-undecided\">{}</li>", xml(&item)));
    }
    page.push_str("</ul>\n");
}

fn table(page: &mut String, body: &Body) {
    page.push_str(
        "<section><h2>Rules</h2>\n<div class=\"scroll\"><table>\n<tr><th>group</th><th>metric</th><th>n</th>\
         <th>base</th><th>adapted</th><th>delta</th><th>interval</th><th>budget</th><th>McNemar p</th>\
         <th>verdict</th></tr>\n",
    );
    ruled(body).into_iter().for_each(|row| line(page, row));
    let confidence = body.outcome.confidence.value() * 100.0;
    page.push_str(&format!(
        "</table></div>\n<p class=\"dim\">Intervals of the difference at {confidence:.2} %. Point at a verdict for its \
         reason.</p></section>\n"
    ));
}

fn line(page: &mut String, row: &GroupResult) {
    let range = match (row.ci_low, row.ci_high) {
        (Some(low), Some(high)) => format!("{} to {}", signed(low), signed(high)),
        _ => "unknown".to_owned(),
    };
    let (class, word) = match row.verdict {
        Some(verdict) => (verdict.as_str(), verdict.as_str()),
        None => ("none", "not judged"),
    };
    let blocks = match (row.verdict, row.action) {
        (Some(Verdict::Pass) | None, _) | (_, super::super::budget::Action::Block) => "",
        _ => " (does not block)",
    };
    page.push_str(&format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{range}</td><td>{}</td>\
         <td>{}</td><td class=\"v-{class}\" title=\"{}\">{word}{blocks}</td></tr>\n",
        xml(&row.title()),
        xml(row.metric.as_str()),
        row.n,
        number(row.base),
        number(row.adapted),
        signed(row.delta),
        row.budget.map_or_else(String::new, number),
        row.mcnemar_p.map_or_else(String::new, number),
        xml(&row.reason),
    ));
}

fn flips(page: &mut String, flips: &Flips) {
    let (lost, won) = (flips.negative.len(), flips.positive.len());
    let (group, metric) = (xml(&flips.group), flips.metric);
    page.push_str(&format!(
        "<details><summary>{group} {metric}: {lost} lost, {won} won</summary>"
    ));
    for part in &flips.common {
        page.push_str(&format!(
            "<p>{} <b>{}</b>: {} of its {} items lost</p>",
            xml(&part.kind),
            xml(&part.name),
            part.flips,
            part.items
        ));
    }
    for (word, ids) in [("lost", &flips.negative), ("won", &flips.positive)] {
        if !ids.is_empty() {
            let ids: Vec<String> = ids.iter().map(|id| xml(id)).collect();
            page.push_str(&format!("<p class=\"dim\">{word}: {}</p>", ids.join(", ")));
        }
    }
    page.push_str("</details>\n");
}

fn text(page: &mut String, body: &Body) {
    if body.outcome.text.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Text</h2>\n<div class=\"scroll\"><table>\n<tr><th>text</th><th>tokens</th><th>mean KL</th>\
         <th>p50</th><th>p99</th><th>max</th><th>ln perplexity ratio</th><th>top-1 agreement</th></tr>\n",
    );
    for one in &body.outcome.text {
        page.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1} %</td></tr>\n",
            xml(&one.stratum),
            one.n_tokens,
            number(one.mean),
            number(one.p50),
            number(one.p99),
            number(one.max),
            signed(one.ln_perplexity_ratio),
            one.top1_agreement * 100.0
        ));
    }
    page.push_str("</table></div></section>\n");
}

fn provenance(page: &mut String, certificate: &Certificate) {
    let body = certificate.body();
    let file = |what: &str, name: &str, sha256: ContentHash| {
        format!("<li>{what} {}: {sha256}</li>", xml(name))
    };
    page.push_str("<section><h2>Made from</h2>\n<ul class=\"dim\">");
    page.push_str(&file("base", &body.base.name, body.base.sha256));
    body.adapters
        .iter()
        .for_each(|adapter| page.push_str(&file("adapter", &adapter.name, adapter.sha256)));
    page.push_str(&format!(
        "<li>suite: {}</li><li>budget: {}</li><li>unforget {}, {}</li><li>{}</li><li>{}</li></ul></section>\n",
        body.suite_sha256,
        body.budget_sha256,
        xml(&body.code_version),
        xml(&body.created),
        xml(&work(body)),
        xml(&seal(certificate))
    ));
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    fn page() -> String {
        render(&Certificate::seal(&sample::body(), None).unwrap())
    }

    #[test]
    fn hostile_names_stay_text() {
        let page = page();
        assert!(!page.contains("<script"), "a name became markup");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;|`"));
    }

    #[test]
    fn needs_nothing_from_outside() {
        let page = page();
        for word in [
            "http://",
            "https://",
            "src=",
            "url(",
            "@import",
            "<link",
            "<iframe",
            "javascript:",
        ] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("Content-Security-Policy"));
        assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    }

    #[test]
    fn has_every_plot_and_its_figures() {
        let page = page();
        assert_eq!(page.matches("<svg ").count(), 5);
        assert_eq!(
            page.matches("<svg ").count(),
            page.matches("</svg>").count()
        );
        for heading in [
            "Scores",
            "Harm against the budget",
            "Divergence by token position",
            "Gain against harm",
        ] {
            assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
        }
        assert!(
            !page.contains("NaN") && !page.contains("inf"),
            "every length is a number"
        );
    }

    #[test]
    fn tags_are_closed() {
        let page = page();
        for tag in [
            "section", "table", "tr", "td", "details", "ul", "li", "p", "div", "text", "circle",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_check_without_anything_to_draw_has_a_page_too() {
        let mut body = sample::body();
        body.outcome.groups.clear();
        body.outcome.flips.clear();
        body.outcome.text.clear();
        body.sweep.clear();
        let page = render(&Certificate::seal(&body, None).unwrap());
        assert!(!page.contains("<svg") && page.ends_with("</html>\n"));
    }
}
