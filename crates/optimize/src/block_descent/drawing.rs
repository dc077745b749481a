//! A picture of the objective and the certificate against the iterations.

use backstitch_claim::picture::Picture;

use super::certificate::CertificateKind;
use super::fit::Measurement;

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
    let curves = [
        ("objective above lowest", points(trace, |line| line.value - lowest)),
        (certificate, points(trace, |line| line.certificate)),
    ];
    let values = || curves.iter().flat_map(|curve| &curve.1).map(|point| point.1.log10());
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let high = if high.is_finite() { high.ceil() } else { 0.0 };
    let low = values().fold(high - 1.0, f64::min).floor().max(high - MOST_DECADES);
    let last = trace.last().map_or(1, |line| line.iteration).max(1);
    let x = |iteration: usize| iteration as f64 / last as f64;
    let y = |decade: f64| (decade.max(low) - low) / (high - low);
    let mut picture = Picture::new(380.0, 330.0, true);
    let step = ((high - low) / 8.0).ceil().max(1.0);
    let mut decade = high;
    while decade >= low {
        picture.mark_y(y(decade), &format!("1e{decade}"));
        decade -= step;
    }
    for iteration in [0, last] {
        picture.mark_x(x(iteration), &iteration.to_string());
    }
    picture.titles("blocks updated", "");
    for (name, points) in &curves {
        picture.line(name, points.iter().map(|(iteration, value)| (x(*iteration), y(value.log10()))));
    }
    picture.finish()
}

/// The positive values of a trace.
fn points(trace: &[Measurement], value: impl Fn(&Measurement) -> f64) -> Vec<(usize, f64)> {
    let every = trace.len().div_ceil(MOST_POINTS).max(1);
    let kept = trace.iter().enumerate().filter(|(place, _)| place % every == 0 || place + 1 == trace.len());
    kept.map(|(_, line)| (line.iteration, value(line))).filter(|point| point.1 > 0.0).collect()
}
