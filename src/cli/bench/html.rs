//! Results as one page with plots, which needs nothing else: no network, no scripts.

use unforget::guard::report::escape::{short, xml};
use unforget::guard::report::style::STYLE;
use unforget::guard::report::svg::{Anchor, Scale, Svg};

use super::Report;

/// The page forbids itself everything but its own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Width of all plots.
const WIDTH: f64 = 760.0;
/// Where names end and bars begin.
const LEFT: f64 = 300.0;
/// Height of a bar with its gap.
const ROW: f64 = 26.0;
/// Names longer than this do not fit in front of the bars.
const NAME: usize = 44;

/// A bar: its name, its value, and how far it varied.
struct Bar {
    name: String,
    value: f64,
    from: f64,
    to: f64,
}

/// The report as one HTML page.
pub(super) fn render(report: &Report) -> String {
    let title = "unforget bench";
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p class=\"dim\">{}</p>\n",
        xml(&report.system_info)
    );
    let speeds: Vec<Bar> = report
        .results
        .iter()
        .map(|row| Bar {
            name: format!(
                "{}, {}, {}",
                row.test.name(),
                row.setup.model_type,
                row.adapter_mode
            ),
            value: row.result.avg_ts,
            from: row.result.avg_ts - row.result.stddev_ts,
            to: row.result.avg_ts + row.result.stddev_ts,
        })
        .collect();
    section(
        &mut page,
        "Tokens a second",
        "Means; the line is the standard deviation.",
        &speeds,
    );
    let tokens: Vec<Bar> = report
        .results
        .iter()
        .filter_map(|row| {
            let each = row.result.tpot_ms?;
            Some(Bar {
                name: format!("{}, {}", row.test.name(), row.adapter_mode),
                value: each.p50,
                from: each.p50,
                to: each.p99,
            })
        })
        .collect();
    section(
        &mut page,
        "Milliseconds a token",
        "Medians; the line ends at the 99th percentile.",
        &tokens,
    );
    let more: Vec<Bar> = report
        .more
        .iter()
        .map(|quantity| Bar {
            name: quantity.what.clone(),
            value: quantity.ms.p50,
            from: quantity.ms.p50,
            to: quantity.ms.p99,
        })
        .collect();
    section(
        &mut page,
        "Milliseconds of the rest",
        "Medians; the line ends at the 99th percentile.",
        &more,
    );
    let memory: Vec<Bar> = report
        .memory
        .rows()
        .into_iter()
        .map(|(name, bytes)| {
            let megabytes = bytes as f64 / 1e6;
            Bar {
                name,
                value: megabytes,
                from: megabytes,
                to: megabytes,
            }
        })
        .collect();
    section(&mut page, "Memory in MB", "Of the largest test.", &memory);
    compared(&mut page, report);
    page.push_str("</body>\n</html>\n");
    page
}

/// A plot with its figures as a table; nothing where there is nothing.
fn section(page: &mut String, title: &str, words: &str, bars: &[Bar]) {
    if bars.is_empty() {
        return;
    }
    page.push_str(&format!(
        "<section><h2>{title}</h2>\n<p class=\"dim\">{words}</p>\n{}\n<div class=\"scroll\"><table>\
         <tr><th></th><th>value</th><th>from</th><th>to</th></tr>\n",
        plot(title, bars)
    ));
    for bar in bars {
        page.push_str(&format!(
            "<tr><td>{}</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td></tr>\n",
            xml(&bar.name),
            bar.value,
            bar.from,
            bar.to
        ));
    }
    page.push_str("</table></div></section>\n");
}

fn plot(title: &str, bars: &[Bar]) -> String {
    let most = bars
        .iter()
        .map(|bar| bar.to.max(bar.value))
        .fold(0.0, f64::max);
    let height = ROW * bars.len() as f64 + 24.0;
    let x = Scale::new(0.0, most * 1.02, LEFT, WIDTH - 20.0);
    let mut svg = Svg::new(WIDTH, height);
    for tick in x.ticks(5) {
        let at = x.at(tick);
        svg.line("grid", (at, 0.0), (at, height - 20.0));
        svg.text((at, height - 5.0), Anchor::Middle, &format!("{tick}"));
    }
    for (number, bar) in bars.iter().enumerate() {
        let top = ROW * number as f64;
        svg.text(
            (LEFT - 8.0, top + 16.0),
            Anchor::End,
            &short(&bar.name, NAME),
        );
        svg.rect("base", (LEFT, top + 5.0), (x.at(bar.value) - LEFT, 14.0));
        if bar.to > bar.from {
            svg.line(
                "whisker",
                (x.at(bar.from), top + 12.0),
                (x.at(bar.to), top + 12.0),
            );
        }
    }
    svg.finish(title)
}

fn compared(page: &mut String, report: &Report) {
    if report.comparison.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Beside earlier results</h2>\n<div class=\"scroll\"><table><tr><th>test</th><th>before</th>\
         <th>now</th><th>ratio</th><th>p</th><th></th></tr>\n",
    );
    for row in &report.comparison {
        page.push_str(&format!(
            "<tr><td>{}</td><td>{:.2}</td><td>{:.2}</td><td>{:.3}</td><td>{:.4}</td><td>{}</td></tr>\n",
            xml(&row.test),
            row.before_ts,
            row.now_ts,
            row.ratio,
            row.p_value,
            row.verdict()
        ));
    }
    page.push_str("</table></div></section>\n");
}
