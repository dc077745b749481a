//! From operators to a chain of stages.
//!
//! Every value of a graph is kept as an affine function of the state: what came out of the last activations. An activation ends a stage;
//! values that are needed after it are carried past it by the identity. A chain carries none, a skip connection one.

use super::linear::{Map, Sparse};
use super::network::{Activation, MOST_WEIGHTS, Network, Stage, check_activation};
use crate::Error;

/// Most inputs of a network.
pub(super) const MOST_INPUTS: usize = 1 << 22;

/// Largest kernel, stride, dilation and padding.
const MOST_STEPS: usize = 1 << 16;

/// A value of the graph, without the batch.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) shape: Vec<usize>,
    /// One row per number, one column per number of the state.
    rows: Sparse,
    constants: Vec<f64>,
    /// Whether the value is the state.
    whole: bool,
}

/// What an operator cannot do, and what to do about it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) problem: String,
    pub(super) way_out: &'static str,
}

pub(super) fn refuse<T>(problem: impl Into<String>, way_out: &'static str) -> Result<T, Refusal> {
    Err(Refusal { problem: problem.into(), way_out })
}

/// A window that moves over an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Rows above, columns to the left, rows below, columns to the right.
    pub(super) padding: [usize; 4],
}

/// A network being put together.
#[derive(Debug)]
pub(super) struct Builder {
    stages: Vec<Stage>,
}

const TOO_LARGE: &str = "use a smaller network";

impl Builder {
    /// The input, and a builder.
    pub(super) fn new(shape: Vec<usize>) -> Result<(Self, Value), Refusal> {
        let count = size(&shape).filter(|count| (1..=MOST_INPUTS).contains(count));
        let Some(count) = count else {
            return refuse(
                format!("an input of shape {shape:?} is not from 1 to {MOST_INPUTS} numbers"),
                TOO_LARGE,
            );
        };
        Ok((Self { stages: Vec::new() }, whole(shape, count)))
    }

    /// Applies an activation. Values in `carried` are wanted after it.
    pub(super) fn activation(
        &mut self,
        value: &Value,
        activation: Activation,
        carried: &mut [&mut Value],
    ) -> Result<Value, Refusal> {
        if let Err(error) = check_activation(activation) {
            return refuse(error.to_string(), "train with another share");
        }
        let parts = || std::iter::once(value).chain(carried.iter().map(|value| &**value));
        let mut rows = Sparse::new(value.rows.columns());
        let (mut bias, mut activations) = (Vec::new(), Vec::new());
        for (place, part) in parts().enumerate() {
            for row in 0..part.rows.rows() {
                rows.push_row(part.rows.row(row));
            }
            bias.extend_from_slice(&part.constants);
            let kind = if place == 0 { activation } else { Activation::Identity };
            activations.resize(bias.len(), kind);
        }
        enough(rows.entries())?;
        let width = bias.len();
        self.stages.push(Stage { map: Map::new(rows), bias, activations });
        let mut from = 0;
        let mut selected = |shape: &[usize], count: usize| {
            let mut rows = Sparse::new(width);
            for place in from..from + count {
                rows.push_row([(place as u32, 1.0)]);
            }
            from += count;
            Value { shape: shape.to_vec(), rows, constants: vec![0.0; count], whole: count == width }
        };
        let found = selected(&value.shape, value.constants.len());
        for value in carried.iter_mut() {
            **value = selected(&value.shape, value.constants.len());
        }
        Ok(found)
    }

    /// The network whose output is a value.
    pub(super) fn finish(self, value: Value) -> Result<Network, Error> {
        Network::checked(self.stages, Map::new(value.rows), value.constants)
    }
}

impl Value {
    /// How many numbers it has.
    pub(super) fn count(&self) -> usize {
        self.constants.len()
    }

    /// A linear map of the value: row after row of (number, weight), plus constants.
    fn mapped<R: IntoIterator<Item = (u32, f64)>>(
        &self,
        shape: Vec<usize>,
        rows: impl Iterator<Item = R>,
        constants: Vec<f64>,
    ) -> Result<Self, Refusal> {
        let mut found = Sparse::new(self.rows.columns());
        let mut sums = vec![0.0; self.rows.columns()];
        let mut constants = constants;
        for (constant, row) in constants.iter_mut().zip(rows) {
            if self.whole {
                found.push_row(row);
            } else {
                let mut touched = std::collections::BTreeSet::new();
                for (number, weight) in row {
                    *constant += weight * self.constants[number as usize];
                    for (column, own) in self.rows.row(number as usize) {
                        sums[column as usize] += weight * own;
                        touched.insert(column);
                    }
                }
                found.push_row(
                    touched.iter().map(|&column| (column, std::mem::take(&mut sums[column as usize]))),
                );
            }
            enough(found.entries())?;
        }
        Ok(Self { shape, rows: found, constants, whole: false })
    }

    /// `weights · value + bias`, weights by (output, input).
    pub(super) fn dense(
        &self,
        outputs: usize,
        weights: impl Fn(usize, usize) -> f64,
        bias: Vec<f64>,
    ) -> Result<Self, Refusal> {
        let inputs = self.count();
        let weights = &weights;
        let rows =
            (0..outputs).map(|row| (0..inputs).map(move |column| (column as u32, weights(row, column))));
        self.mapped(vec![outputs], rows, bias)
    }

    /// A convolution of an image (channels × height × width); weights are outputs × channels per group × kernel.
    pub(super) fn convolution(
        &self,
        window: &Window,
        groups: usize,
        outputs: usize,
        weights: &[f64],
        bias: &[f64],
    ) -> Result<Self, Refusal> {
        let (channels, grid) = self.image()?;
        let places = window.places(grid)?;
        if groups == 0 || !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return refuse(
                format!("{groups} groups do not divide {channels} channels and {outputs} outputs"),
                "repair the model",
            );
        }
        let deep = channels / groups;
        let area = window.kernel[0] * window.kernel[1];
        if outputs * deep * area != weights.len() || bias.len() != outputs {
            return refuse(
                format!(
                    "{} weights and {} biases do not fill {outputs} outputs of {deep} channels and a kernel of {:?}",
                    weights.len(),
                    bias.len(),
                    window.kernel
                ),
                "repair the model",
            );
        }
        let numbers = places[0].checked_mul(places[1]).and_then(|places| places.checked_mul(outputs));
        enough(numbers.and_then(|numbers| numbers.checked_mul(deep * area)).unwrap_or(usize::MAX))?;
        let count = places[0] * places[1];
        let rows = (0..outputs * count).map(|number| {
            let (output, place) = (number / count, number % count);
            let at = [place / places[1], place % places[1]];
            let first = output / (outputs / groups) * deep;
            let own = &weights[output * deep * area..(output + 1) * deep * area];
            (0..deep).flat_map(move |channel| {
                window.inside(at, grid).map(move |(tap, pixel)| {
                    (((first + channel) * grid[0] * grid[1] + pixel) as u32, own[channel * area + tap])
                })
            })
        });
        let constants = (0..outputs * count).map(|number| bias[number / count]).collect();
        self.mapped(vec![outputs, places[0], places[1]], rows, constants)
    }

    /// Means over windows of every channel of an image. With `padded`, what lies outside counts as zeros.
    pub(super) fn average(&self, window: &Window, padded: bool) -> Result<Self, Refusal> {
        let (channels, grid) = self.image()?;
        let places = window.places(grid)?;
        let area = window.kernel[0] * window.kernel[1];
        let count = places[0] * places[1];
        enough(channels.saturating_mul(count).saturating_mul(area))?;
        let rows = (0..channels * count).map(|number| {
            let (channel, place) = (number / count, number % count);
            let at = [place / places[1], place % places[1]];
            let size = if padded { area } else { window.inside(at, grid).count().max(1) };
            window
                .inside(at, grid)
                .map(move |(_, pixel)| ((channel * grid[0] * grid[1] + pixel) as u32, 1.0 / size as f64))
        });
        self.mapped(vec![channels, places[0], places[1]], rows, vec![0.0; channels * count])
    }

    /// Number by number, `scale · value + shift`.
    pub(super) fn scaled(
        &self,
        scale: impl Fn(usize) -> f64,
        shift: impl Fn(usize) -> f64,
    ) -> Result<Self, Refusal> {
        let count = self.count();
        let rows = (0..count).map(|number| [(number as u32, scale(number))]);
        self.mapped(self.shape.clone(), rows, (0..count).map(shift).collect())
    }

    /// Batch normalisation as it is after training: scale, shift, mean and variance, one number per channel each.
    pub(super) fn normalised(&self, parts: [&[f64]; 4], epsilon: f64) -> Result<Self, Refusal> {
        let [scale, shift, mean, variance] = parts;
        let area = self.count() / scale.len().max(1);
        let factor = |channel: usize| scale[channel] / (variance[channel] + epsilon).sqrt();
        self.scaled(
            |number| factor(number / area),
            |number| shift[number / area] - factor(number / area) * mean[number / area],
        )
    }

    /// The sum with `sign` times another value.
    pub(super) fn plus(&self, other: &Self, sign: f64) -> Result<Self, Refusal> {
        if self.shape != other.shape {
            return refuse(
                format!("shapes {:?} and {:?} differ", self.shape, other.shape),
                "only values of equal shape are added",
            );
        }
        let mut rows = Sparse::new(self.rows.columns());
        for row in 0..self.rows.rows() {
            let mut sum = std::collections::BTreeMap::new();
            for (column, weight) in self.rows.row(row) {
                *sum.entry(column).or_insert(0.0) += weight;
            }
            for (column, weight) in other.rows.row(row) {
                *sum.entry(column).or_insert(0.0) += sign * weight;
            }
            rows.push_row(sum);
        }
        let constants =
            self.constants.iter().zip(&other.constants).map(|(one, other)| one + sign * other).collect();
        Ok(Self { shape: self.shape.clone(), rows, constants, whole: false })
    }

    /// The same numbers in another shape.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Result<Self, Refusal> {
        if size(&shape) != Some(self.count()) {
            return refuse(
                format!("{} numbers do not fill the shape {shape:?}", self.count()),
                "repair the model",
            );
        }
        Ok(Self { shape, ..self.clone() })
    }

    pub(super) fn flat(&self) -> Self {
        Self { shape: vec![self.count()], ..self.clone() }
    }

    fn image(&self) -> Result<(usize, [usize; 2]), Refusal> {
        match *self.shape.as_slice() {
            [channels, height, width] => Ok((channels, [height, width])),
            _ => refuse(
                format!("the value has the shape {:?}, but must be channels × height × width", self.shape),
                "only convolutions and pooling in two dimensions are read",
            ),
        }
    }
}

impl Window {
    /// How many places the window takes in each direction.
    fn places(&self, grid: [usize; 2]) -> Result<[usize; 2], Refusal> {
        let numbers = [self.kernel, self.stride, self.dilation].concat();
        if numbers.iter().chain(&self.padding).any(|number| *number > MOST_STEPS) {
            return refuse(format!("the window {self:?} is too large"), "repair the model");
        }
        let mut places = [0; 2];
        for axis in 0..2 {
            let reach =
                (self.kernel[axis].checked_sub(1)).and_then(|steps| steps.checked_mul(self.dilation[axis]));
            let padded = grid[axis]
                .checked_add(self.padding[axis])
                .and_then(|sum| sum.checked_add(self.padding[axis + 2]));
            let room = reach.zip(padded).and_then(|(reach, padded)| padded.checked_sub(reach + 1));
            let (Some(room), true) = (room, self.stride[axis] > 0 && self.dilation[axis] > 0) else {
                return refuse(
                    format!("the window {self:?} does not fit an image of {grid:?}"),
                    "repair the model",
                );
            };
            places[axis] = room / self.stride[axis] + 1;
        }
        Ok(places)
    }

    /// Which taps of the window at a place lie inside the image: the tap, and the pixel under it.
    fn inside(&self, at: [usize; 2], grid: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
        let Self { kernel, stride, dilation, padding } = *self;
        let under = move |axis: usize, tap: usize| {
            (at[axis] * stride[axis] + tap * dilation[axis])
                .checked_sub(padding[axis])
                .filter(|pixel| *pixel < grid[axis])
        };
        (0..kernel[0] * kernel[1]).filter_map(move |tap| {
            let (row, column) = (under(0, tap / kernel[1])?, under(1, tap % kernel[1])?);
            Some((tap, row * grid[1] + column))
        })
    }
}

/// The product of the dimensions, if it can be counted.
pub(super) fn size(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length))
}

fn whole(shape: Vec<usize>, count: usize) -> Value {
    let mut rows = Sparse::new(count);
    for place in 0..count {
        rows.push_row([(place as u32, 1.0)]);
    }
    Value { shape, rows, constants: vec![0.0; count], whole: true }
}

fn enough(weights: usize) -> Result<(), Refusal> {
    if weights <= MOST_WEIGHTS {
        return Ok(());
    }
    refuse(format!("an affine map has more than {MOST_WEIGHTS} weights when written out"), TOO_LARGE)
}
