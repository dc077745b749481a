//! Charts that runs write: a frame with axes, lines and their names, as one SVG.
//!
//! Places in the frame are shares: x from 0 at the left to 1 at the right, y from 0 at the bottom to 1 at the top.

use std::fmt::Write;

const LEFT: f64 = 60.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 48.0;
/// Width beside the frame without names of lines, and with them.
const RIGHT: f64 = 24.0;
const NAMES: f64 = 190.0;
/// Told apart also without colour vision (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// A chart that is being drawn.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Of the frame, without what is written around it.
    width: f64,
    height: f64,
    lines: usize,
    svg: String,
}

impl Picture {
    /// An empty frame of this width and height, with room at its right for the names of lines where they are wanted.
    pub fn new(width: f64, height: f64, names: bool) -> Self {
        let whole = (LEFT + width + if names { NAMES } else { RIGHT }, TOP + height + BOTTOM);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            whole.0, whole.1
        );
        Self { width, height, lines: 0, svg }
    }

    /// Titles of the axes; an empty one is none.
    pub fn titles(&mut self, of_x: &str, of_y: &str) {
        let (middle, below) = (self.x(0.5), TOP + self.height + BOTTOM - 10.0);
        self.text(middle, below, "text-anchor=\"middle\"", of_x);
        let beside = self.y(0.5);
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 14 {beside:.1})\"");
        self.text(14.0, beside, &turned, of_y);
    }

    /// A mark under the frame.
    pub fn mark_x(&mut self, share: f64, label: &str) {
        let (x, y) = (self.x(share), TOP + self.height + 18.0);
        self.text(x, y, "text-anchor=\"middle\"", label);
    }

    /// A mark beside the frame, with a line across it.
    pub fn mark_y(&mut self, share: f64, label: &str) {
        let y = self.y(share);
        self.draw(format_args!("<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", LEFT + self.width));
        self.text(LEFT - 8.0, y + 4.0, "text-anchor=\"end\"", label);
    }

    /// A line through some places, in a colour of its own, with its name at the right.
    pub fn line(&mut self, name: &str, places: impl IntoIterator<Item = (f64, f64)>) {
        let colour = COLOURS[self.lines % COLOURS.len()];
        let points = self.points(places);
        self.draw(format_args!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{points}\"/>"
        ));
        let y = TOP + 16.0 + 20.0 * self.lines as f64;
        self.text(LEFT + self.width + 10.0, y, &format!("fill=\"{colour}\""), name);
        self.lines += 1;
    }

    /// An area in the colour that the next line has, faint.
    pub fn area(&mut self, places: impl IntoIterator<Item = (f64, f64)>) {
        let colour = COLOURS[self.lines % COLOURS.len()];
        let points = self.points(places);
        self.draw(format_args!("<polygon fill=\"{colour}\" fill-opacity=\".2\" points=\"{points}\"/>"));
    }

    /// A broken line from one place to another, for comparison.
    pub fn guide(&mut self, from: (f64, f64), to: (f64, f64)) {
        let points = self.points([from, to]);
        self.draw(format_args!(
            "<polyline fill=\"none\" stroke=\"#888\" stroke-dasharray=\"4 3\" points=\"{points}\"/>"
        ));
    }

    /// A dot with an upright interval around it.
    pub fn interval(&mut self, x: f64, y: f64, (lower, upper): (f64, f64)) {
        let (x, colour) = (self.x(x), COLOURS[0]);
        let (y, lower, upper) = (self.y(y), self.y(lower), self.y(upper));
        self.draw(format_args!(
            "<path d=\"M{x:.1} {lower:.1}V{upper:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.5\" stroke-width=\"3\"/>\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
        ));
    }

    /// The file.
    pub fn finish(self) -> String {
        self.svg + "</svg>\n"
    }

    fn x(&self, share: f64) -> f64 {
        LEFT + self.width * share
    }

    fn y(&self, share: f64) -> f64 {
        TOP + self.height * (1.0 - share)
    }

    fn points(&self, places: impl IntoIterator<Item = (f64, f64)>) -> String {
        let point = |(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y));
        places.into_iter().map(point).collect::<Vec<_>>().join(" ")
    }

    fn text(&mut self, x: f64, y: f64, attributes: &str, text: &str) {
        if !text.is_empty() {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            self.draw(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>"));
        }
    }

    fn draw(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.svg, "{element}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_places_of_the_frame() {
        let mut picture = Picture::new(200.0, 100.0, true);
        picture.titles("steps", "a < b & c");
        picture.mark_x(1.0, "last");
        picture.mark_y(0.0, "0");
        picture.area([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]);
        picture.line("one", [(0.0, 0.0), (0.5, 1.0)]);
        picture.line("two", []);
        let svg = picture.finish();
        assert!(svg.contains("viewBox=\"0 0 450 172\"") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(
            svg.contains("points=\"60.0,124.0 160.0,24.0\"") && svg.contains("a &lt; b &amp; c"),
            "{svg}"
        );
        assert!(svg.contains("<polygon fill=\"#0072b2\"") && svg.contains("stroke=\"#d55e00\""), "{svg}");
    }
}
