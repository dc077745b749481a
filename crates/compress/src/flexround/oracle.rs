//! Gradients of the learner held to central differences of the plain formulas in double precision.
//!
//! Rounding has no slope, so the surrogate that straight-through gradients are those of is differentiated: what rounding and clipping
//! did at the point is kept (the distance to the rounded value where it was not clipped, the bound where it was).

use backstitch_numerics::Stream;

use super::grid::Grid;
use super::learner::{BETA_1, Gradient, Learner};
use super::moments::Moments;
use super::parameters::{Granularity, Parameters, Rounding, Start};
use crate::Rows;

const OUTPUTS: usize = 3;
const INPUTS: usize = 8;
const TAPS: usize = 4;

/// All that is learned.
#[derive(Clone)]
struct Point {
    log_scales: Vec<f64>,
    elements: Vec<f64>,
    log_rows: Vec<f64>,
    log_channels: Vec<f64>,
}

impl Point {
    /// Every number of the point in turn.
    fn number(&mut self, place: usize) -> &mut f64 {
        let mut place = place;
        for part in [&mut self.log_scales, &mut self.elements, &mut self.log_rows, &mut self.log_channels] {
            if place < part.len() {
                return &mut part[place];
            }
            place -= part.len();
        }
        panic!("no number {place}");
    }

    fn count(&self) -> usize {
        self.log_scales.len() + self.elements.len() + self.log_rows.len() + self.log_channels.len()
    }
}

struct Plain {
    rounding: Rounding,
    weights: Vec<f64>,
    inputs: Vec<Vec<f64>>,
    zeros: Vec<f64>,
    top: f64,
}

impl Plain {
    fn quotient(&self, point: &Point, row: usize, column: usize) -> f64 {
        let scale = point.log_scales[if point.log_scales.len() == 1 { 0 } else { row }].exp();
        let element = point.elements[row * INPUTS + column];
        let plain = self.weights[row * INPUTS + column] / scale;
        if self.rounding == Rounding::AdaQuant {
            return plain + element;
        }
        let of_row = point.log_rows.get(row).copied().unwrap_or(0.0);
        let of_channel = point.log_channels.get(column / TAPS).copied().unwrap_or(0.0);
        plain / (element + of_row + of_channel).exp()
    }

    /// The loss at `point`, with rounding frozen as it is at `frozen`.
    fn loss(&self, point: &Point, frozen: &Point) -> f64 {
        let mut apart = [0.0; OUTPUTS * INPUTS];
        for row in 0..OUTPUTS {
            let at = |values: &[f64]| values[if values.len() == 1 { 0 } else { row }];
            let (zero, scale) = (at(&self.zeros), at(&point.log_scales).exp());
            for column in 0..INPUTS {
                let was = self.quotient(frozen, row, column);
                let nearest = was.round_ties_even();
                let clipped = nearest.clamp(-zero, self.top - zero);
                let units = if self.rounding == Rounding::AdaRound {
                    let own = self.weights[row * INPUTS + column] / scale;
                    let up =
                        (1.2 / (1.0 + (-point.elements[row * INPUTS + column]).exp()) - 0.1).clamp(0.0, 1.0);
                    (own.floor() + up).clamp(-zero, self.top - zero)
                } else if clipped == nearest {
                    self.quotient(point, row, column) + (nearest - was)
                } else {
                    clipped
                };
                apart[row * INPUTS + column] = scale * units - self.weights[row * INPUTS + column];
            }
        }
        let mut loss = 0.0;
        for x in &self.inputs {
            for row in 0..OUTPUTS {
                let own: f64 = (0..INPUTS).map(|column| apart[row * INPUTS + column] * x[column]).sum();
                loss += own * own / self.inputs.len() as f64;
            }
        }
        loss
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for granularity in [Granularity::Tensor, Granularity::Channel] {
        for (rounding, taps) in [
            (Rounding::FlexRound, None),
            (Rounding::FlexRound, Some(TAPS)),
            (Rounding::AdaQuant, None),
            (Rounding::AdaRound, None),
        ] {
            let mut stream = Stream::new(3, "oracle");
            let weights = Rows::from_fn(OUTPUTS, INPUTS, |_, _| stream.normal() as f32);
            let inputs = Rows::from_fn(40, INPUTS, |_, _| stream.normal() as f32);
            let mut moments = Moments::new(INPUTS);
            moments.add(&inputs).unwrap();
            let parameters = Parameters {
                rounding,
                bits: 3,
                granularity,
                start: Start::Search,
                steps: 1000,
                penalty: 0.0,
                rate: Some(1e-2),
                ..Parameters::default()
            };
            let grid = Grid::of(&weights, &parameters);
            let mut learner = Learner::new(&weights, &grid, &parameters, taps);
            let target = moments.target(&weights);
            let factor = 2.0 / 40.0;
            let mut products = Rows::zeros(OUTPUTS, INPUTS);
            // Some steps away from the beginning, where all divisors are 1.
            for _ in 0..5 {
                learner.round_with(moments.gram(), &mut products);
                learner.descend(Gradient::Moments { products: &products, target: &target, factor });
            }
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
            let [log_scales, elements, log_rows, log_channels] = learner.learned().map(wide);
            let point = Point { log_scales, elements, log_rows, log_channels };
            let before: Vec<f64> = learner.first_moments();
            learner.round_with(moments.gram(), &mut products);
            learner.descend(Gradient::Moments { products: &products, target: &target, factor });
            let after: Vec<f64> = learner.first_moments();
            let plain = Plain {
                rounding,
                weights: wide(weights.values()),
                inputs: (0..40).map(|row| wide(inputs.row(row))).collect(),
                zeros: grid.zeros.iter().map(|zero| f64::from(*zero)).collect(),
                top: f64::from(grid.top()),
            };
            let beta = f64::from(BETA_1);
            let largest = (0..point.count())
                .map(|place| ((after[place] - beta * before[place]) / (1.0 - beta)).abs())
                .fold(0.0, f64::max);
            let skipped = if rounding == Rounding::AdaRound { point.log_scales.len() } else { 0 };
            for place in skipped..point.count() {
                let gradient = (after[place] - beta * before[place]) / (1.0 - beta);
                let moved = |by: f64| {
                    let mut moved = point.clone();
                    *moved.number(place) += by;
                    plain.loss(&moved, &point)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (gradient - difference).abs() < 1e-3 * largest,
                    "{rounding:?} {granularity:?} {taps:?} {place}: {gradient} {difference}"
                );
            }
        }
    }
}
