//! A page of curves: how a run went, step by step.

use super::escape::xml;
use super::html::head;
use super::plots::{WIDTH, axis, side_axis};
use super::svg::{Anchor, Scale, Svg};

/// A figure over the steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is.
    pub title: String,
    /// How to read it.
    pub words: String,
    /// Step and figure. What is not finite is left out.
    pub points: Vec<(f64, f64)>,
}

/// The page: a title, what is known of the run in lines of name and value, and the curves that have points.
#[must_use]
pub fn render(title: &str, facts: &[(String, String)], curves: &[Curve]) -> String {
    let title = xml(title);
    let mut page = head(&title);
    page.push_str(&format!(
        "<h1>{title}</h1>\n<div class=\"scroll\"><table>\n"
    ));
    for (name, value) in facts {
        let (name, value) = (xml(name), xml(value));
        page.push_str(&format!("<tr><td>{name}</td><td>{value}</td></tr>\n"));
    }
    page.push_str("</table></div>\n");
    for curve in curves {
        if let Some(plot) = plot(curve) {
            let (title, words) = (xml(&curve.title), xml(&curve.words));
            page.push_str(&format!(
                "<section><h2>{title}</h2>\n<p class=\"dim\">{words}</p>\n{plot}</section>\n"
            ));
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn plot(curve: &Curve) -> Option<String> {
    let (left, bottom) = (70.0, 220.0);
    let points: Vec<(f64, f64)> = (curve.points.iter().copied())
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).reduce(f64::max);
    let x = Scale::new(0.0, most(|point| point.0)?, left, WIDTH - 20.0);
    let y = Scale::new(0.0, most(|point| point.1)?, bottom, 10.0);
    let mut svg = Svg::new(WIDTH, bottom + 40.0);
    axis(&mut svg, x, bottom, 6);
    side_axis(&mut svg, y, left, WIDTH - 20.0);
    svg.text((WIDTH / 2.0, bottom + 36.0), Anchor::Middle, "step");
    let drawn: Vec<(f64, f64)> = points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
    svg.polyline("line0", &drawn);
    Some(svg.finish(&curve.title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_facts_are_on_the_page_and_stay_text() {
        let curve = |title: &str, points: &[(f64, f64)]| Curve {
            title: title.to_owned(),
            words: "down is good".to_owned(),
            points: points.to_vec(),
        };
        let curves = [
            curve("loss <i>", &[(1.0, 2.0), (2.0, 1.0), (3.0, f64::NAN)]),
            curve("nothing", &[]),
        ];
        let facts = [("rows".to_owned(), "<b>".to_owned())];
        let page = render("trained a & b", &facts, &curves);
        assert!(page.contains("loss &lt;i&gt;") && page.contains("<td>&lt;b&gt;</td>"));
        assert!(page.contains("a &amp; b") && !page.contains("nothing") && !page.contains("NaN"));
        assert_eq!(page.matches("<polyline").count(), 1);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}
