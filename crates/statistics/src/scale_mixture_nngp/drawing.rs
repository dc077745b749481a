//! A picture of calibration: what intervals promise, and what they hold.

use std::fmt::Write;

const SIZE: f64 = 360.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;

/// Draws the share of targets inside intervals against their level. `points` has a level, the share, and the ends of an interval for
/// the share, all from 0 to 1.
pub fn draw_calibration(points: &[(f64, f64, (f64, f64))]) -> String {
    let side = SIZE - LEFT - TOP;
    let x = |level: f64| LEFT + side * level;
    let y = |share: f64| TOP + side * (1.0 - share);
    let height = TOP + side + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {SIZE} {height}\" role=\"img\" aria-label=\"calibration\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mark}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{mark}</text>",
            y(mark),
            x(1.0),
            LEFT - 6.0,
            y(mark) + 4.0,
            x(mark),
            y(0.0) + 16.0
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">level of the interval</text>\
         <text x=\"13\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 13 {:.1})\">share of targets inside</text>",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0),
        x(0.5),
        y(0.0) + 34.0,
        y(0.5),
        y(0.5)
    );
    for (level, share, (lower, upper)) in points {
        let _ = writeln!(
            svg,
            "<path d=\"M{0:.1} {1:.1}V{2:.1}\" stroke=\"#0072b2\" stroke-opacity=\"0.5\" stroke-width=\"3\"/>\
             <circle cx=\"{0:.1}\" cy=\"{3:.1}\" r=\"3.5\" fill=\"#0072b2\"/>",
            x(*level),
            y(*lower),
            y(*upper),
            y(*share)
        );
    }
    svg.push_str("</svg>\n");
    svg
}
