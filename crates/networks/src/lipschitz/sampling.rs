//! Slopes that are there: Jacobians at points of the region, which no upper bound may be below.

use backstitch_numerics::{Matrix, Stream};
use rayon::prelude::*;

use super::network::Network;
use super::region::Region;

/// Points drawn from one stream. Fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 64;
/// Best points of each output from which the search climbs, and steps of a climb.
const CLIMBS: usize = 2;
const STEPS: usize = 24;

/// What was seen of the Jacobian at points of a region.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sampled {
    /// Largest sum of absolute entries of each row: a lower bound of the local Lipschitz constant of that output.
    pub norms: Vec<f64>,
    /// Where it was seen, outputs × inputs.
    pub points: Matrix,
    /// Smallest and largest entry seen, outputs × inputs.
    pub least: Matrix,
    /// As `least`.
    pub most: Matrix,
    /// Points looked at.
    pub count: usize,
}

impl Sampled {
    /// Takes another point into account.
    pub(super) fn add(&mut self, network: &Network, output: usize, point: &[f64]) {
        let mut seen = Seen::new(network, point);
        seen.look(network, point, Some(output));
        let norm = seen.best[output].0;
        if norm > self.norms[output] {
            self.norms[output] = norm;
            self.points.row_mut(output).copy_from_slice(point);
        }
    }
}

/// Looks at the middle, at random points inside and at random corners, and climbs from the best ones.
pub(super) fn sample(network: &Network, region: &Region, samples: usize, seed: u64) -> Sampled {
    let middle: Vec<f64> = region
        .lower()
        .iter()
        .zip(region.upper())
        .map(|(low, high)| (0.5 * low + 0.5 * high).clamp(*low, *high))
        .collect();
    let mut seen = Seen::new(network, &middle);
    seen.look(network, &middle, None);
    let parts: Vec<Seen> = (0..samples.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut stream = Stream::new(seed, &format!("lipschitz sampling {chunk}"));
            let mut seen = Seen::new(network, &middle);
            for place in chunk * CHUNK..samples.min((chunk + 1) * CHUNK) {
                seen.look(network, &drawn(region, place % 2 == 1, &mut stream), None);
            }
            seen
        })
        .collect();
    for part in &parts {
        seen.merge(part);
    }
    let climbs = samples.min(CLIMBS);
    for _ in 0..climbs {
        let starts: Vec<Vec<f64>> = seen.best.iter().map(|(_, point)| point.clone()).collect();
        let parts: Vec<Seen> = starts
            .into_par_iter()
            .enumerate()
            .map(|(output, start)| {
                let mut seen = Seen::new(network, &middle);
                for side in [1.0, -1.0] {
                    climb(network, region, &start, output, side, &mut seen);
                }
                seen
            })
            .collect();
        for part in &parts {
            seen.merge(part);
        }
    }
    let inputs = network.inputs();
    let mut points = Matrix::zeros(network.outputs(), inputs);
    for (output, (_, point)) in seen.best.iter().enumerate() {
        points.row_mut(output).copy_from_slice(point);
    }
    let norms = seen.best.iter().map(|(norm, _)| *norm).collect();
    Sampled { norms, points, least: seen.least, most: seen.most, count: seen.count }
}

/// A point of the region: anywhere, or at a corner.
fn drawn(region: &Region, corner: bool, stream: &mut Stream) -> Vec<f64> {
    let ends = region.lower().iter().zip(region.upper());
    ends.map(|(low, high)| {
        let share = stream.uniform();
        if corner {
            if share < 0.5 { *low } else { *high }
        } else {
            (low + share * (high - low)).clamp(*low, *high)
        }
    })
    .collect()
}

/// Steps along the signs of the gradient of an output, up or down: where it is large, neurons tend to be on.
fn climb(network: &Network, region: &Region, start: &[f64], output: usize, side: f64, seen: &mut Seen) {
    let mut point = start.to_vec();
    for step in 0..STEPS {
        let gradient = seen.look(network, &point, Some(output));
        let share = 0.5 * 0.85_f64.powi(i32::try_from(step).unwrap_or(i32::MAX));
        for (place, value) in point.iter_mut().enumerate() {
            let (low, high) = (region.lower()[place], region.upper()[place]);
            *value = (*value + side * share * (high - low) * gradient[(0, place)].signum()).clamp(low, high);
        }
    }
}

struct Seen {
    best: Vec<(f64, Vec<f64>)>,
    least: Matrix,
    most: Matrix,
    count: usize,
}

impl Seen {
    /// Nothing yet; `point` stands where every norm is zero.
    fn new(network: &Network, point: &[f64]) -> Self {
        let (outputs, inputs) = (network.outputs(), network.inputs());
        Self {
            best: vec![(0.0, point.to_vec()); outputs],
            least: Matrix::from_fn(outputs, inputs, |_, _| f64::INFINITY),
            most: Matrix::from_fn(outputs, inputs, |_, _| f64::NEG_INFINITY),
            count: 0,
        }
    }

    /// Takes the Jacobian at a point into account, or one row of it, and gives it.
    fn look(&mut self, network: &Network, point: &[f64], only: Option<usize>) -> faer::Mat<f64> {
        let jacobian = network.slopes_at(point, only);
        for row in 0..jacobian.nrows() {
            let output = only.unwrap_or(row);
            let mut norm = 0.0;
            let (least, most) = (self.least.row_mut(output), self.most.row_mut(output));
            for (input, entry) in jacobian.row(row).iter().enumerate() {
                norm += entry.abs();
                least[input] = least[input].min(*entry);
                most[input] = most[input].max(*entry);
            }
            if norm > self.best[output].0 {
                self.best[output] = (norm, point.to_vec());
            }
        }
        self.count += 1;
        jacobian
    }

    /// The earlier point stays where norms are equal.
    fn merge(&mut self, other: &Self) {
        for (own, other) in self.best.iter_mut().zip(&other.best) {
            if other.0 > own.0 {
                own.clone_from(other);
            }
        }
        for output in 0..self.least.rows() {
            let (own, seen) = (self.least.row_mut(output), other.least.row(output));
            own.iter_mut().zip(seen).for_each(|(own, seen)| *own = own.min(*seen));
            let (own, seen) = (self.most.row_mut(output), other.most.row(output));
            own.iter_mut().zip(seen).for_each(|(own, seen)| *own = own.max(*seen));
        }
        self.count += other.count;
    }
}
