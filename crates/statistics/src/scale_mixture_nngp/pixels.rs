//! Images: covariances per pixel, and sums over the nine pixels around each.

use super::parameters::ImageShape;

/// Per pixel the mean product of two images over channels.
pub(crate) fn products(image: ImageShape, left: &[f64], right: &[f64]) -> Vec<f64> {
    let channels = image.channels;
    let pixels = left.chunks_exact(channels).zip(right.chunks_exact(channels));
    pixels
        .map(|(one, other)| one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>() / channels as f64)
        .collect()
}

/// Replaces every pixel by a ninth of the sum over itself and its neighbours; outside the image are zeros.
pub(crate) fn around(image: ImageShape, values: &mut [f64], scratch: &mut [f64]) {
    let (height, width) = (image.height, image.width);
    for row in 0..height {
        let line = &values[row * width..(row + 1) * width];
        for column in 0..width {
            let left = if column > 0 { line[column - 1] } else { 0.0 };
            let right = if column + 1 < width { line[column + 1] } else { 0.0 };
            scratch[row * width + column] = left + line[column] + right;
        }
    }
    for row in 0..height {
        for column in 0..width {
            let at = row * width + column;
            let above = if row > 0 { scratch[at - width] } else { 0.0 };
            let below = if row + 1 < height { scratch[at + width] } else { 0.0 };
            values[at] = (above + scratch[at] + below) / 9.0;
        }
    }
}
