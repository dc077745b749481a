//! A picture of a schedule.

use std::fmt::Write;

use super::schedule::resample;
use crate::Error;

/// A line of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its label.
    pub name: String,
    /// Multipliers over the run; any number of them.
    pub multipliers: Vec<f64>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 48.0;
/// Most points of a line: more than the picture is wide.
const PLACES: usize = 600;
/// Told apart also without colour vision (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// Draws lines, and behind them the band of the first one if it has one, over the share of the run.
///
/// # Errors
/// [`Error::Length`] for a line with fewer than two points.
pub fn draw(lines: &[Line], band: Option<&[(f64, f64)]>) -> Result<String, Error> {
    let x = |share: f64| LEFT + (WIDTH - LEFT - RIGHT) * share;
    // A band may reach above the peak.
    let ends = |pick: fn(&(f64, f64)) -> f64| band.map(|band| band.iter().map(pick).collect::<Vec<_>>());
    let (lower, upper) = (ends(|end| end.0), ends(|end| end.1));
    let top = upper.iter().flatten().copied().fold(1.0, f64::max);
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
    let points = |values: &[f64]| -> Result<Vec<String>, Error> {
        let shown = resample(values, values.len().clamp(2, PLACES))?;
        let last = (shown.len() - 1) as f64;
        let point = |(place, value): (usize, &f64)| format!("{:.1},{:.1}", x(place as f64 / last), y(*value));
        Ok(shown.iter().enumerate().map(point).collect())
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for value in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let height = y(value);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {height:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            height + 4.0
        );
    }
    for percent in [0, 25, 50, 75, 100] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{percent} %</text>",
            x(f64::from(percent) / 100.0),
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">steps of the run</text><text x=\"14\" y=\"{:.1}\" \
         text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">multiplier of the peak rate</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10.0,
        HEIGHT / 2.0,
        HEIGHT / 2.0
    );
    if let (Some(lower), Some(upper)) = (&lower, &upper) {
        let mut around = points(upper)?;
        around.extend(points(lower)?.into_iter().rev());
        let _ = writeln!(
            svg,
            "<polygon fill=\"{}\" fill-opacity=\".2\" points=\"{}\"/>",
            COLOURS[0],
            around.join(" ")
        );
    }
    for (place, line) in lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             fill=\"{colour}\">{}</text>",
            points(&line.multipliers)?.join(" "),
            WIDTH - RIGHT + 10.0,
            TOP + 16.0 + 20.0 * place as f64,
            line.name.replace('&', "&amp;").replace('<', "&lt;")
        );
    }
    Ok(svg + "</svg>\n")
}
