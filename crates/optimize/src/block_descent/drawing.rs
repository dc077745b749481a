//! A picture of the objective and the certificate against the iterations.

use std::fmt::Write;

use super::certificate::CertificateKind;
use super::fit::Measurement;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 48.0;
/// Points of a line; a longer trace is thinned.
const MOST_POINTS: usize = 1_000;
/// Decades of the axis; what is smaller stands at its lower end.
const MOST_DECADES: f64 = 24.0;

/// Draws the certificate, and how far the objective is above the lowest one measured, over a logarithmic axis. A trace without a positive
/// number gives an empty frame.
pub fn draw(trace: &[Measurement], kind: CertificateKind) -> String {
    let lowest = trace.iter().map(|line| line.value).fold(f64::INFINITY, f64::min);
    let certificate = match kind {
        CertificateKind::DualityGap => "duality gap",
        CertificateKind::GradientMapping => "gradient mapping",
    };
    // Told apart also without colour vision (Okabe and Ito).
    let curves = [
        ("objective above lowest", "#0072b2", points(trace, |line| line.value - lowest)),
        (certificate, "#d55e00", points(trace, |line| line.certificate)),
    ];
    let values = || curves.iter().flat_map(|curve| &curve.2).map(|point| point.1.log10());
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let high = if high.is_finite() { high.ceil() } else { 0.0 };
    let low = values().fold(high - 1.0, f64::min).floor().max(high - MOST_DECADES);
    let last = trace.last().map_or(1, |line| line.iteration).max(1);
    let x = |iteration: usize| LEFT + (WIDTH - LEFT - RIGHT) * iteration as f64 / last as f64;
    let y = |decade: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - decade.max(low)) / (high - low);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let step = ((high - low) / 8.0).ceil().max(1.0);
    let mut decade = high;
    while decade >= low {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">1e{decade}</text>",
            y(decade),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(decade) + 4.0
        );
        decade -= step;
    }
    for iteration in [0, last] {
        let (place, height) = (x(iteration), HEIGHT - BOTTOM + 18.0);
        let _ = writeln!(
            svg,
            "<text x=\"{place:.1}\" y=\"{height:.1}\" text-anchor=\"middle\">{iteration}</text>"
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">blocks updated</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10.0
    );
    for (place, (name, colour, points)) in curves.iter().enumerate() {
        let line: String = points
            .iter()
            .map(|(iteration, value)| format!("{:.1},{:.1} ", x(*iteration), y(value.log10())))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             fill=\"{colour}\">{name}</text>",
            line.trim_end(),
            WIDTH - RIGHT + 10.0,
            TOP + 16.0 + 20.0 * place as f64,
        );
    }
    svg + "</svg>\n"
}

/// The positive values of a trace.
fn points(trace: &[Measurement], value: impl Fn(&Measurement) -> f64) -> Vec<(usize, f64)> {
    let every = trace.len().div_ceil(MOST_POINTS).max(1);
    let kept = trace.iter().enumerate().filter(|(place, _)| place % every == 0 || place + 1 == trace.len());
    kept.map(|(_, line)| (line.iteration, value(line))).filter(|point| point.1 > 0.0).collect()
}
