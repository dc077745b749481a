//! Plots as inline SVG.

use std::collections::BTreeMap;

use super::{number, page::escape};
use crate::directory::VerdictFile;
use crate::judge::Judgement;
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

/// Arm → cell → sum and number of its values.
type Rows<'a> = BTreeMap<usize, BTreeMap<&'a str, (f64, f64)>>;

/// For every metric one small figure per setting: arms as rows, each cell a dot.
///
/// The axis spans the arms that are compared; a control far off stands at its end, hollow.
pub(super) fn observations(study: &Study, verdict: &VerdictFile) -> String {
    let mut html = String::new();
    for metric in study.metrics {
        let mut settings: BTreeMap<&str, Rows<'_>> = BTreeMap::new();
        for observation in &verdict.observations {
            let arm =
                study.arms.iter().position(|arm| arm.name == observation.arm && arm.role != Role::Prepare);
            if let (Some(arm), Some(value)) = (arm, observation.measurement.value)
                && observation.measurement.metric == metric.name
            {
                // Items of a cell are averaged: a plot of thousands of dots says less.
                let rows = settings.entry(&observation.setting).or_default();
                let (sum, count) = rows.entry(arm).or_default().entry(&observation.cell).or_default();
                (*sum, *count) = (*sum + value, *count + 1.0);
            }
        }
        if settings.is_empty() {
            continue;
        }
        let (name, description) = (escape(metric.name), escape(metric.description));
        html.push_str(&format!("<h3><code>{name}</code> {description}</h3><div class=\"plots\">"));
        for (setting, rows) in settings {
            html.push_str(&format!(
                "<figure><figcaption>{}</figcaption>{}</figure>",
                escape(setting),
                dots(study, &rows)
            ));
        }
        html.push_str("</div>");
    }
    html
}

fn dots(study: &Study, rows: &Rows<'_>) -> String {
    const LEFT: f64 = 132.0;
    const RIGHT: f64 = 350.0;
    const LINE: f64 = 16.0;
    let mean = |&(sum, count): &(f64, f64)| sum / count;
    let is_control = |arm: &usize| study.arms[*arm].role == Role::Control;
    let compared: Vec<f64> = rows
        .iter()
        .filter(|(arm, _)| !is_control(arm))
        .flat_map(|(_, cells)| cells.values().map(mean))
        .collect();
    let all = rows.values().flat_map(|cells| cells.values().map(mean));
    let scale = if compared.is_empty() {
        Scale::around(all, LEFT, RIGHT)
    } else {
        Scale::around(compared.into_iter(), LEFT, RIGHT)
    };
    let height = LINE * rows.len() as f64 + 22.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 360 {height}\" width=\"360\" height=\"{height}\" role=\"img\">");
    for (line, (arm, cells)) in rows.iter().enumerate() {
        let y = LINE * line as f64 + 10.0;
        svg.push_str(&format!(
            "<text x=\"0\" y=\"{:.1}\">{}</text><line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            y + 4.0,
            escape(study.arms[*arm].name),
        ));
        let colour = format!("var(--series-{})", arm % 6);
        let paint = if is_control(arm) {
            format!("fill=\"none\" stroke=\"{colour}\"")
        } else {
            format!("fill=\"{colour}\" fill-opacity=\".6\"")
        };
        for (cell, value) in cells {
            let (x, name, value) = (scale.place(mean(value)), escape(cell), number(mean(value)));
            svg.push_str(&format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" {paint}><title>{name}: {value}</title></circle>"
            ));
        }
    }
    let y = height - 3.0;
    let (low, high) = (number(scale.low), number(scale.high));
    svg.push_str(&format!("<text x=\"{LEFT}\" y=\"{y:.1}\">{low}</text>"));
    svg.push_str(&format!("<text x=\"{RIGHT}\" y=\"{y:.1}\" text-anchor=\"end\">{high}</text></svg>"));
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
