//! Just enough SVG for the plots: shapes that take their colours from the page's style, text escaped.

use super::escape::xml;

/// A drawing that grows by shapes. Lengths are in pixels, at which it is shown unless the page is narrower.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    shapes: String,
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

impl Svg {
    /// Nothing drawn yet.
    #[must_use]
    pub const fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            shapes: String::new(),
        }
    }

    /// A line in the colours of `class`.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.shapes.push_str(&format!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A rectangle; sizes below nothing are none.
    pub fn rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64)) {
        let (width, height) = (size.0.max(0.0), size.1.max(0.0));
        self.shapes.push_str(&format!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            corner.0, corner.1
        ));
    }

    /// A point with what is shown when it is pointed at.
    pub fn circle(&mut self, class: &str, at: (f64, f64), radius: f64, title: &str) {
        self.shapes.push_str(&format!(
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"><title>{}</title></circle>",
            at.0,
            at.1,
            xml(title)
        ));
    }

    /// Lines from point to point.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        self.shapes.push_str(&format!(
            "<polyline class=\"{class}\" points=\"{}\"/>",
            points.join(" ")
        ));
    }

    /// A text, escaped.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.shapes.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            at.0,
            at.1,
            xml(text)
        ));
    }

    /// The whole drawing; `title` is what a screen reader says.
    #[must_use]
    pub fn finish(self, title: &str) -> String {
        let Self {
            width,
            height,
            shapes,
        } = self;
        let title = xml(title);
        format!(
            "<svg role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             style=\"max-width:{width:.0}px\">{shapes}</svg>"
        )
    }
}

/// A linear scale from values to pixels. Values outside are drawn at the edge.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// From `from..to` to `start..end`; a range without width gets one.
    #[must_use]
    pub fn new(from: f64, to: f64, start: f64, end: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self {
            from,
            to,
            start,
            end,
        }
    }

    /// The place of a value.
    #[must_use]
    pub fn at(self, value: f64) -> f64 {
        let part = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + part * (self.end - self.start)
    }

    /// Round values inside, about `wanted` of them: steps of 1, 2 or 5 times a power of ten.
    #[must_use]
    pub fn ticks(self, wanted: usize) -> Vec<f64> {
        let rough = (self.to - self.from) / wanted.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        // More could only come from numbers too large to draw.
        (first..=last)
            .take(50)
            .map(|tick| tick as f64 * step)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Scale::new(0.0, 1.0, 0.0, 100.0).ticks(5),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(
            Scale::new(0.0, 3.4, 0.0, 100.0).ticks(4),
            [0.0, 1.0, 2.0, 3.0]
        );
        assert!(Scale::new(0.0, 0.0, 0.0, 100.0).ticks(4).len() > 1);
        assert!(Scale::new(0.0, 1e300, 0.0, 100.0).ticks(4).len() <= 50);
    }

    #[test]
    fn values_outside_stay_on_the_drawing() {
        let scale = Scale::new(0.0, 2.0, 10.0, 110.0);
        assert_eq!(
            (scale.at(1.0), scale.at(9.0), scale.at(-9.0)),
            (60.0, 110.0, 10.0)
        );
    }

    #[test]
    fn text_is_escaped() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((0.0, 0.0), Anchor::Start, "<b>");
        svg.circle("dot", (1.0, 1.0), 2.0, "\"&");
        let text = svg.finish("a'b");
        assert!(
            text.contains("&lt;b&gt;") && text.contains("&quot;&amp;") && text.contains("a&#39;b")
        );
    }
}
