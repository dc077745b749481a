//! Constants of ReLU networks with two inputs, exactly: the box is cut into the pieces on which the network is affine.
//!
//! It shares nothing with the bounds, which are held to it: polygons are cut along the lines where neurons switch. The number of pieces
//! grows with the square of that of neurons, and more inputs would take polytopes.

use super::network::DenseLayer;
use super::region::Region;
use crate::Error;

/// Pieces smaller than this are left out: rounding makes slivers.
const SMALLEST_AREA: f64 = 1e-12;

type Polygon = Vec<[f64; 2]>;
/// Slopes in both inputs, and a constant.
type Affine = [f64; 3];

/// The ℓ∞ Lipschitz constant of each output of a chain of dense layers with ReLUs between them, over a box of two inputs.
///
/// Pieces of an area below 1e-12 are left out.
///
/// # Errors
/// [`Error::Width`] if the box, a layer or a bias does not fit, or the first layer has another number of inputs than two.
pub fn planar_constants(layers: &[DenseLayer], region: &Region) -> Result<Vec<f64>, Error> {
    let (low, high) = (region.lower(), region.upper());
    if low.len() != 2 {
        return Err(Error::Width { what: "box".into(), found: low.len(), expected: 2 });
    }
    let mut width = 2;
    for (place, (weights, bias)) in layers.iter().enumerate() {
        for (what, found, expected) in
            [("input", weights.columns(), width), ("bias", bias.len(), weights.rows())]
        {
            if found != expected {
                return Err(Error::Width { what: format!("{what} of layer {place}"), found, expected });
            }
        }
        width = weights.rows();
    }
    let square = vec![[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]];
    let mut pieces: Vec<(Polygon, Vec<Affine>)> = vec![(square, vec![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])];
    let outputs = layers.last().map_or(0, |(weights, _)| weights.rows());
    let mut largest = vec![0.0_f64; outputs];
    for (place, layer) in layers.iter().enumerate() {
        let mut next = Vec::new();
        for (polygon, values) in pieces {
            let before = through(layer, &values);
            if place + 1 == layers.len() {
                for (largest, [one, two, _]) in largest.iter_mut().zip(before) {
                    *largest = largest.max(one.abs() + two.abs());
                }
            } else {
                next.extend(cut(polygon, &before));
            }
        }
        pieces = next;
    }
    Ok(largest)
}

fn through((weights, bias): &DenseLayer, values: &[Affine]) -> Vec<Affine> {
    (0..weights.rows())
        .map(|row| {
            let mut sum = [0.0, 0.0, bias[row]];
            for (weight, value) in weights.row(row).iter().zip(values) {
                (0..3).for_each(|part| sum[part] += weight * value[part]);
            }
            sum
        })
        .collect()
}

/// The pieces of a polygon on which every function keeps its sign, with the functions as ReLUs leave them.
fn cut(polygon: Polygon, functions: &[Affine]) -> Vec<(Polygon, Vec<Affine>)> {
    let mut pieces = vec![(polygon, Vec::new())];
    for &function in functions {
        let mut next = Vec::new();
        for (polygon, after) in pieces {
            for (side, kept) in [(1.0, function), (-1.0, [0.0; 3])] {
                let part = half(&polygon, function.map(|entry| side * entry));
                if area(&part) > SMALLEST_AREA {
                    let mut after: Vec<Affine> = after.clone();
                    after.push(kept);
                    next.push((part, after));
                }
            }
        }
        pieces = next;
    }
    pieces
}

/// The part of a convex polygon where a function is not negative.
fn half(polygon: &Polygon, function: Affine) -> Polygon {
    let value = |point: [f64; 2]| function[0] * point[0] + function[1] * point[1] + function[2];
    let mut kept = Vec::new();
    for (place, &from) in polygon.iter().enumerate() {
        let to = polygon[(place + 1) % polygon.len()];
        let (one, other) = (value(from), value(to));
        if one >= 0.0 {
            kept.push(from);
        }
        if (one > 0.0) != (other > 0.0) && one != other {
            let share = one / (one - other);
            kept.push([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
        }
    }
    kept
}

fn area(polygon: &Polygon) -> f64 {
    let pairs = polygon.iter().enumerate().map(|(place, one)| (one, polygon[(place + 1) % polygon.len()]));
    0.5 * pairs.map(|(one, other)| one[0] * other[1] - one[1] * other[0]).sum::<f64>().abs()
}
