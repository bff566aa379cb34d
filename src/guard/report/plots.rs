//! The plots of a report: scores with intervals, harm against the budget, KL by token position, the sweep's frontier,
//! flips. Each returns nothing where there is nothing to draw.

use super::super::certificate::Body;
use super::super::frontier::{best, frontier};
use super::super::metric::Metric;
use super::super::verdict::{GroupResult, Verdict};
use super::escape::short;
use super::svg::{Anchor, Scale, Svg};
use super::{number, ruled, signed};

/// Width of all plots.
pub(super) const WIDTH: f64 = 760.0;
/// Where names end and bars begin.
const LEFT: f64 = 250.0;
/// Height of a row of bars.
const ROW: f64 = 30.0;
/// Names longer than this do not fit in front of the bars.
const NAME: usize = 34;
/// Harm beyond so many budgets is drawn at the edge: how far beyond no longer matters.
const MOST_BUDGETS: f64 = 3.0;

/// Base and adapted score of each right-or-wrong metric with the interval of the difference.
pub fn scores(body: &Body) -> Option<String> {
    let all: Vec<&GroupResult> = body
        .outcome
        .groups
        .iter()
        .filter(|group| group.metric.is_proportion() && group.metric != Metric::Acc)
        .collect();
    if all.is_empty() {
        return None;
    }
    let height = ROW * all.len() as f64 + 30.0;
    let mut svg = Svg::new(WIDTH, height);
    let x = Scale::new(0.0, 1.0, LEFT, WIDTH - 20.0);
    axis(&mut svg, x, height - 30.0, 5);
    for (i, group) in all.iter().enumerate() {
        let top = ROW * i as f64;
        svg.text((LEFT - 8.0, top + 18.0), Anchor::End, &name(group));
        svg.rect("base", (LEFT, top + 5.0), (x.at(group.base) - LEFT, 8.0));
        svg.rect(
            class(group),
            (LEFT, top + 14.0),
            (x.at(group.adapted) - LEFT, 8.0),
        );
        if let (Some(low), Some(high)) = (group.ci_low, group.ci_high) {
            let (from, to) = (x.at(group.base + low), x.at(group.base + high));
            whisker(&mut svg, (from, to), top + 18.0);
        }
    }
    Some(svg.finish("scores of the base and with the adapter, with intervals"))
}

/// The interval of each rule's harm as multiples of its budget.
pub fn harms(body: &Body) -> Option<String> {
    let rows: Vec<(&GroupResult, [f64; 3])> = ruled(body)
        .into_iter()
        .filter_map(|group| Some((group, in_budgets(group)?)))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let height = ROW * rows.len() as f64 + 30.0;
    let mut svg = Svg::new(WIDTH, height);
    let x = Scale::new(-1.0, MOST_BUDGETS, LEFT, WIDTH - 20.0);
    axis(&mut svg, x, height - 30.0, 4);
    svg.line("limit", (x.at(1.0), 0.0), (x.at(1.0), height - 30.0));
    for (i, (group, [low, harm, high])) in rows.iter().enumerate() {
        let middle = ROW * i as f64 + 14.0;
        svg.text((LEFT - 8.0, middle + 4.0), Anchor::End, &name(group));
        whisker(&mut svg, (x.at(*low), x.at(*high)), middle);
        let title = format!("{}: {}", name(group), group.reason);
        svg.circle(class(group), (x.at(*harm), middle), 5.0, &title);
    }
    Some(svg.finish("harm in multiples of the budget, with intervals"))
}

/// Lower bound, estimate and upper bound of the harm. A wanted gain has no harm to draw.
fn in_budgets(group: &GroupResult) -> Option<[f64; 3]> {
    use super::super::budget::Direction;
    let budget = group.budget.filter(|budget| *budget > 0.0)?;
    if group.direction == Direction::Gain {
        return None;
    }
    let (low, high) = (group.ci_low?, group.ci_high?);
    let harms = if group.metric.higher_is_better() {
        [-high, -group.delta, -low]
    } else {
        [low, group.delta, high]
    };
    Some(harms.map(|harm| harm / budget))
}

/// Mean KL by token position, a line a stratum.
pub fn divergence(body: &Body) -> Option<String> {
    let strata: Vec<_> = body
        .outcome
        .text
        .iter()
        .filter(|text| text.by_position.len() > 1)
        .collect();
    let values = || strata.iter().flat_map(|text| &text.by_position).copied();
    let most = values().fold(0.0, f64::max);
    let longest = strata
        .iter()
        .map(|text| text.by_position.len() * text.bucket.max(1))
        .max()?;
    let (bottom, left) = (230.0, 60.0);
    let mut svg = Svg::new(WIDTH, bottom + 40.0);
    let x = Scale::new(0.0, longest as f64, left, WIDTH - 130.0);
    let y = Scale::new(0.0, most, bottom, 10.0);
    axis(&mut svg, x, bottom, 6);
    side_axis(&mut svg, y, left, WIDTH - 130.0);
    svg.text(
        (WIDTH / 2.0, bottom + 36.0),
        Anchor::Middle,
        "token position",
    );
    for (i, text) in strata.iter().enumerate() {
        let bucket = text.bucket.max(1) as f64;
        let place = |(i, kl): (usize, &f64)| (x.at((i as f64 + 0.5) * bucket), y.at(*kl));
        let points: Vec<(f64, f64)> = text.by_position.iter().enumerate().map(place).collect();
        // Four styles, then again from the first.
        svg.polyline(["line0", "line1", "line2", "line3"][i % 4], &points);
        if let Some((x, y)) = points.last() {
            svg.text((x + 6.0, y + 4.0), Anchor::Start, &short(&text.stratum, 16));
        }
    }
    Some(svg.finish("mean KL divergence by token position"))
}

/// Gain against worst harm of every scale of a sweep.
pub fn sweep(body: &Body) -> Option<String> {
    let points = &body.sweep;
    if points.is_empty() {
        return None;
    }
    let (bottom, left) = (250.0, 60.0);
    let range = |value: fn(&super::super::frontier::SweepPoint) -> f64, least: f64, most: f64| {
        let values = points.iter().map(value);
        (
            values.clone().fold(least, f64::min),
            values.fold(most, f64::max),
        )
    };
    let (from, to) = range(|point| point.harm, 0.0, 1.2);
    let x = Scale::new(from, to.min(2.0 * MOST_BUDGETS), left, WIDTH - 20.0);
    let (from, to) = range(|point| point.gain, 0.0, 0.0);
    let y = Scale::new(from, to, bottom, 20.0);
    let mut svg = Svg::new(WIDTH, bottom + 40.0);
    axis(&mut svg, x, bottom, 6);
    side_axis(&mut svg, y, left, WIDTH - 20.0);
    svg.text(
        (WIDTH / 2.0, bottom + 36.0),
        Anchor::Middle,
        "worst harm, in budgets",
    );
    svg.line("limit", (x.at(1.0), 10.0), (x.at(1.0), bottom));
    let outer: Vec<(f64, f64)> = frontier(points)
        .iter()
        .map(|point| (x.at(point.harm), y.at(point.gain)))
        .collect();
    svg.polyline("line0", &outer);
    for point in points {
        let at = (x.at(point.harm), y.at(point.gain));
        let title = format!(
            "{} scale {}: gain {}, harm {} budgets ({})",
            point.profile,
            number(point.scale),
            number(point.gain),
            number(point.harm),
            point.worst_group
        );
        svg.circle(verdict_class(Some(point.verdict)), at, 5.0, &title);
        svg.text(
            (at.0 + 8.0, at.1 - 6.0),
            Anchor::Start,
            &format!("{}", point.scale),
        );
    }
    if let Some(best) = best(points).and_then(|at| points.get(at)) {
        svg.circle("ring", (x.at(best.harm), y.at(best.gain)), 9.0, "picked");
    }
    Some(svg.finish("gain against worst harm at each scale"))
}

/// Items lost and won, a row a group.
pub fn flips(body: &Body) -> Option<String> {
    let all = &body.outcome.flips;
    let most = all
        .iter()
        .map(|flips| flips.negative.len().max(flips.positive.len()))
        .max()?;
    let height = ROW * all.len() as f64 + 10.0;
    let mut svg = Svg::new(WIDTH, height);
    let middle = LEFT + (WIDTH - 20.0 - LEFT) / 2.0;
    // Room for a count behind each bar.
    let length = Scale::new(0.0, most as f64, 0.0, middle - LEFT - 40.0);
    for (i, flips) in all.iter().enumerate() {
        let top = ROW * i as f64 + 5.0;
        let (lost, won) = (flips.negative.len(), flips.positive.len());
        let (lost_length, won_length) = (length.at(lost as f64), length.at(won as f64));
        let label = short(&format!("{} {}", flips.group, flips.metric), NAME);
        svg.text((LEFT - 8.0, top + 14.0), Anchor::End, &label);
        svg.rect(
            "fail",
            (middle - lost_length, top + 3.0),
            (lost_length, 14.0),
        );
        svg.rect("pass", (middle, top + 3.0), (won_length, 14.0));
        svg.text(
            (middle - lost_length - 4.0, top + 14.0),
            Anchor::End,
            &lost.to_string(),
        );
        svg.text(
            (middle + won_length + 4.0, top + 14.0),
            Anchor::Start,
            &won.to_string(),
        );
    }
    svg.line("grid", (middle, 0.0), (middle, height));
    Some(svg.finish("items lost (left) and won (right)"))
}

fn name(group: &GroupResult) -> String {
    short(&format!("{} {}", group.title(), group.metric), NAME)
}

fn class(group: &GroupResult) -> &'static str {
    verdict_class(group.verdict)
}

const fn verdict_class(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Fail) => "fail",
        Some(Verdict::Undecided) => "undecided",
        None => "unjudged",
    }
}

fn whisker(svg: &mut Svg, (from, to): (f64, f64), y: f64) {
    svg.line("whisker", (from, y), (to, y));
    for x in [from, to] {
        svg.line("whisker", (x, y - 4.0), (x, y + 4.0));
    }
}

pub(super) fn axis(svg: &mut Svg, x: Scale, bottom: f64, ticks: usize) {
    for tick in x.ticks(ticks) {
        svg.line("grid", (x.at(tick), 0.0), (x.at(tick), bottom));
        svg.text((x.at(tick), bottom + 18.0), Anchor::Middle, &label(tick));
    }
}

pub(super) fn side_axis(svg: &mut Svg, y: Scale, left: f64, right: f64) {
    for tick in y.ticks(4) {
        svg.line("grid", (left, y.at(tick)), (right, y.at(tick)));
        svg.text((left - 6.0, y.at(tick) + 4.0), Anchor::End, &label(tick));
    }
}

/// A tick without the zeros that it does not need.
fn label(tick: f64) -> String {
    let text = signed(tick);
    let text = text.trim_start_matches('+');
    if text.contains('.') && !text.contains('e') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text.to_owned()
}
