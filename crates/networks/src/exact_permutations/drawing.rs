//! A picture of the number of models against the number of bits.

use backstitch_claim::picture::Picture;

/// A line of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its label.
    pub name: String,
    /// Bits and models, both positive.
    pub points: Vec<(usize, u64)>,
}

/// Draws curves over a logarithmic axis of models. No curve, or none with a point, gives an empty frame.
pub fn draw(curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let first = points().map(|point| point.0).min().unwrap_or(2);
    let last = points().map(|point| point.0).max().unwrap_or(3).max(first + 1);
    let most = points().map(|point| point.1).max().unwrap_or(10).max(10);
    let decades = (most as f64).log10().ceil();
    let x = |bits: usize| (bits - first) as f64 / (last - first) as f64;
    let y = |models: f64| models.log10() / decades;
    let mut picture = Picture::new(390.0, 330.0, true);
    for decade in 0..=decades as i32 {
        picture.mark_y(y(10_f64.powi(decade)), &10_u64.pow(decade.unsigned_abs()).to_string());
    }
    for bits in [first, first + (last - first) / 2, last] {
        picture.mark_x(x(bits), &bits.to_string());
    }
    picture.titles("bits k", "models N");
    for curve in curves {
        picture.line(&curve.name, curve.points.iter().map(|&(bits, models)| (x(bits), y(models as f64))));
    }
    picture.finish()
}
