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

/// A table of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is.
    pub title: String,
    /// How to read it.
    pub words: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Cells by row.
    pub rows: Vec<Vec<String>>,
}

/// The page: a title, the curves that have points, tables, and what is known of the run in lines of name and value.
#[must_use]
pub fn render(
    title: &str,
    curves: &[Curve],
    tables: &[Table],
    facts: &[(String, String)],
) -> String {
    let title = xml(title);
    let mut page = head(&title);
    page.push_str(&format!("<h1>{title}</h1>\n"));
    for curve in curves {
        if let Some(plot) = plot(curve) {
            section(&mut page, &curve.title, &curve.words, &plot);
        }
    }
    for table in tables {
        section(&mut page, &table.title, &table.words, &cells(table));
    }
    page.push_str("<div class=\"scroll\"><table>\n");
    for (name, value) in facts {
        let (name, value) = (xml(name), xml(value));
        page.push_str(&format!("<tr><td>{name}</td><td>{value}</td></tr>\n"));
    }
    page.push_str("</table></div>\n</body>\n</html>\n");
    page
}

fn section(page: &mut String, title: &str, words: &str, content: &str) {
    let (title, words) = (xml(title), xml(words));
    page.push_str(&format!(
        "<section><h2>{title}</h2>\n<p class=\"dim\">{words}</p>\n{content}</section>\n"
    ));
}

fn cells(table: &Table) -> String {
    let row = |cells: &[String], tag: &str| {
        let cells = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", xml(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows: String = table.rows.iter().map(|cells| row(cells, "td")).collect();
    let header = row(&table.header, "th");
    format!("<div class=\"scroll\"><table>\n{header}{rows}</table></div>\n")
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
        let tables = [Table {
            title: "versions".to_owned(),
            words: "up is good".to_owned(),
            header: vec!["share".to_owned(), "a<b".to_owned()],
            rows: vec![vec!["v1".to_owned(), "0.5".to_owned()]],
        }];
        let page = render("trained a & b", &curves, &tables, &facts);
        assert!(page.contains("<th>a&lt;b</th></tr>\n<tr><td>v1</td><td>0.5</td>"));
        assert!(page.contains("loss &lt;i&gt;") && page.contains("<td>&lt;b&gt;</td>"));
        assert!(page.contains("a &amp; b") && !page.contains("nothing") && !page.contains("NaN"));
        assert_eq!(page.matches("<polyline").count(), 1);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}
