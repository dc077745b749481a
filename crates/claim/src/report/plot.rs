//! Plots as inline SVG.

use std::collections::BTreeMap;

use super::{number, page::escape};
use crate::judge::Judgement;
use crate::run::VerdictFile;
use crate::study::{Role, Study};

/// Ours and the control's interval against the margin, on one small axis. Nothing if not run.
pub(super) fn strip(claim: &Judgement) -> String {
    let ours = [claim.estimate, claim.lower, claim.upper];
    let control = [claim.control.estimate, claim.control.lower, claim.control.upper];
    let known: Vec<f64> =
        ours.iter().chain(&control).flatten().copied().filter(|value| value.is_finite()).collect();
    if ours.iter().any(Option::is_none) || known.is_empty() {
        return String::new();
    }
    let scale = Scale::around(known.iter().copied().chain([claim.margin]), 8.0, 192.0);
    let mut svg = String::from(
        "<svg viewBox=\"0 0 200 34\" width=\"200\" height=\"34\" role=\"img\" aria-label=\"interval of the claim and of its control against the margin\">",
    );
    let margin = scale.place(claim.margin);
    svg.push_str(&format!(
        "<line class=\"margin\" x1=\"{margin:.1}\" x2=\"{margin:.1}\" y1=\"2\" y2=\"32\"/>"
    ));
    for (class, y, [estimate, lower, upper]) in [("ours", 11.0, ours), ("control", 24.0, control)] {
        if let (Some(estimate), Some(lower), Some(upper)) = (estimate, lower, upper) {
            svg.push_str(&format!(
                "<g class=\"{class}\"><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" stroke-width=\"2\"/><circle cx=\"{:.1}\" cy=\"{y}\" r=\"3.5\" stroke=\"none\"/></g>",
                scale.place(lower),
                scale.place(upper),
                scale.place(estimate),
            ));
        }
    }
    svg + "</svg>"
}

/// (arm, setting) → cell → sum and number of its values.
type Groups<'a> = BTreeMap<(usize, &'a str), BTreeMap<&'a str, (f64, f64)>>;

/// For every metric one figure: each cell a dot, arms as rows, settings side by side within a row.
pub(super) fn observations(study: &Study, verdict: &VerdictFile) -> String {
    let mut html = String::from("<div class=\"plots\">");
    for metric in study.metrics {
        // arm → setting → values; items of a cell are averaged, a plot of thousands of dots says less.
        let mut groups = Groups::new();
        for observation in &verdict.observations {
            let position =
                study.arms.iter().position(|arm| arm.name == observation.arm && arm.role != Role::Prepare);
            if let (Some(arm), Some(value)) = (position, observation.measurement.value)
                && observation.measurement.metric == metric.name
            {
                let cells = groups.entry((arm, &observation.setting)).or_default();
                let (sum, count) = cells.entry(&observation.cell).or_default();
                (*sum, *count) = (*sum + value, *count + 1.0);
            }
        }
        if groups.is_empty() {
            continue;
        }
        html.push_str(&format!(
            "<figure><figcaption><code>{}</code> {}</figcaption>",
            escape(metric.name),
            escape(metric.description)
        ));
        html.push_str(&dots(study, &groups));
        html.push_str("</figure>");
    }
    html + "</div>"
}

fn dots(study: &Study, groups: &Groups<'_>) -> String {
    const LEFT: f64 = 118.0;
    const WIDTH: f64 = 400.0;
    const LINE: f64 = 15.0;
    let mean = |&(sum, count): &(f64, f64)| sum / count;
    let scale = Scale::around(groups.values().flat_map(|cells| cells.values().map(mean)), LEFT, WIDTH - 10.0);
    let height = LINE * groups.len() as f64 + 24.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">");
    for (i, ((arm, setting), cells)) in groups.iter().enumerate() {
        let y = LINE * i as f64 + 10.0;
        let name = study.arms[*arm].name;
        let colour = arm % 6;
        svg.push_str(&format!(
            "<text x=\"0\" y=\"{:.1}\">{} · {}</text><line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            y + 4.0,
            escape(name),
            escape(setting),
            WIDTH - 10.0
        ));
        for (cell, value) in cells {
            svg.push_str(&format!(
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"var(--series-{colour})\" fill-opacity=\".55\"><title>{}: {}</title></circle>",
                scale.place(mean(value)),
                escape(cell),
                number(mean(value)),
            ));
        }
    }
    let y = height - 4.0;
    svg.push_str(&format!("<text x=\"{LEFT}\" y=\"{y:.1}\">{}</text>", number(scale.low)));
    svg.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text></svg>",
        WIDTH - 10.0,
        number(scale.high)
    ));
    svg
}

/// A linear axis.
struct Scale {
    low: f64,
    high: f64,
    left: f64,
    right: f64,
}

impl Scale {
    /// An axis that spans the finite values, with a little room if they are all the same.
    fn around(values: impl Iterator<Item = f64>, left: f64, right: f64) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (mut low, mut high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        } else if low == high {
            let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            (low, high) = (low - room, high + room);
        }
        Self { low, high, left, right }
    }

    /// Where a value stands; what is infinite or outside stands at the end.
    fn place(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.left + share * (self.right - self.left)
    }
}
