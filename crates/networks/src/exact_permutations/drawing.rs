//! A picture of the number of models against the number of bits.

use std::fmt::Write;

/// A line of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its label.
    pub name: String,
    /// Bits and models, both positive.
    pub points: Vec<(usize, u64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 48.0;
/// Told apart also without colour vision (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// Draws curves over a logarithmic axis of models. No curve, or none with a point, gives an empty frame.
pub fn draw(curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let first = points().map(|point| point.0).min().unwrap_or(2);
    let last = points().map(|point| point.0).max().unwrap_or(3).max(first + 1);
    let most = points().map(|point| point.1).max().unwrap_or(10).max(10);
    let decades = (most as f64).log10().ceil();
    let x = |bits: usize| LEFT + (WIDTH - LEFT - RIGHT) * (bits - first) as f64 / (last - first) as f64;
    let y = |models: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * models.log10() / decades;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for decade in 0..=decades as i32 {
        let height = y(10_f64.powi(decade));
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {height:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            height + 4.0,
            10_u64.pow(decade.unsigned_abs())
        );
    }
    for bits in [first, first + (last - first) / 2, last] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{bits}</text>",
            x(bits),
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">bits k</text><text x=\"14\" y=\"{:.1}\" \
         text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">models N</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10.0,
        HEIGHT / 2.0,
        HEIGHT / 2.0
    );
    for (place, curve) in curves.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let line: String = curve
            .points
            .iter()
            .map(|&(bits, models)| format!("{:.1},{:.1} ", x(bits), y(models as f64)))
            .collect();
        let height = TOP + 16.0 + 20.0 * place as f64;
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/><text x=\"{:.1}\" \
             y=\"{height:.1}\" fill=\"{colour}\">{}</text>",
            line.trim_end(),
            WIDTH - RIGHT + 10.0,
            curve.name.replace('&', "&amp;").replace('<', "&lt;")
        );
    }
    svg + "</svg>\n"
}
