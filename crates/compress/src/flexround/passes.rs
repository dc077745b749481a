//! Values through the layers of a network, and gradients back.

use std::borrow::Cow;

use super::activations::ActivationGrid;
use super::network::{Affine, Layer, Network, Window};
use crate::Rows;
use crate::rows::{add_transposed_times, times, times_transposed};

/// Rows that are worked on at a time where nothing is kept.
const PIECE: usize = 256;

/// A value between two layers with those that were kept for later.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    pub(super) rows: Rows,
    pub(super) kept: Vec<(String, Rows)>,
}

/// What a layer keeps for its gradient.
enum Seen {
    /// Rows of inputs of an affine layer, and what rounding them let pass: one factor per number of the value.
    Inputs(Rows, Option<Vec<f32>>),
    /// The value before or after an activation, whichever its slope is told from.
    Value(Rows),
    Nothing,
}

/// What a pass keeps.
pub(super) struct Tape {
    first: usize,
    seen: Vec<Seen>,
}

/// Sees a layer and a gradient.
pub(super) type Watch<'a> = &'a mut dyn FnMut(usize, &Rows);

/// Gradients of an affine layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// Outputs × inputs.
    pub weights: Rows,
    /// One per output; empty if the layer has no bias.
    pub bias: Vec<f32>,
}

impl Network {
    /// Outputs: rows × outputs.
    pub fn outputs_of(&self, inputs: &Rows) -> Rows {
        rayon::scope(|_| self.all_outputs(inputs))
    }

    fn all_outputs(&self, inputs: &Rows) -> Rows {
        let mut found = Rows::default();
        for first in (0..inputs.rows()).step_by(PIECE) {
            let part = inputs.part(first, PIECE.min(inputs.rows() - first));
            let mut value = Value { rows: part, kept: Vec::new() };
            (0..self.layers.len()).for_each(|layer| self.step(layer, &mut value, None));
            found.append(&value.rows);
        }
        found
    }

    /// Outputs of a batch and, for errors that a function makes of them, the gradients of all affine layers.
    pub fn gradients(&self, inputs: &Rows, errors: impl FnOnce(&mut Rows) + Send) -> (Rows, Vec<Gradient>) {
        rayon::scope(|_| self.all_gradients(inputs, errors))
    }

    fn all_gradients(&self, inputs: &Rows, errors: impl FnOnce(&mut Rows)) -> (Rows, Vec<Gradient>) {
        let layers = 0..self.layers.len();
        let mut value = Value { rows: inputs.clone(), kept: Vec::new() };
        let tape = self.pass(layers, &mut value, &mut |_, _| None);
        let outputs = value.rows.clone();
        let mut errors_of = value.rows;
        errors(&mut errors_of);
        (outputs, self.back(tape, errors_of, None).into_iter().map(|(_, gradient)| gradient).collect())
    }

    /// What an affine layer multiplies its weights with: its input, or patches of it.
    pub(super) fn inputs_of<'a>(&self, layer: usize, value: &'a Rows) -> Cow<'a, Rows> {
        match &self.layers[layer] {
            Layer::Affine(Affine { window: Some(window), .. }) => {
                Cow::Owned(patches(value, &self.shapes[layer], *window, sides(&self.shapes[layer + 1])))
            }
            _ => Cow::Borrowed(value),
        }
    }

    /// Outputs of an affine layer for rows of its inputs.
    fn applied(&self, layer: usize, affine: &Affine, products: Rows) -> Rows {
        let mut found = products;
        if !affine.bias.is_empty() {
            for row in 0..found.rows() {
                found.row_mut(row).iter_mut().zip(&affine.bias).for_each(|(value, bias)| *value += bias);
            }
        }
        if affine.window.is_some() { channels_first(&found, &self.shapes[layer + 1]) } else { found }
    }

    /// One layer for all rows of a value, a piece at a time where patches are made.
    pub(super) fn advance(&self, layer: usize, value: &mut Value, grid: Option<&ActivationGrid>) {
        if !matches!(self.layers[layer], Layer::Affine(_)) {
            return self.step(layer, value, None);
        }
        let mut found = Rows::default();
        for first in (0..value.rows.rows()).step_by(PIECE) {
            let rows = value.rows.part(first, PIECE.min(value.rows.rows() - first));
            let mut part = Value { rows, kept: Vec::new() };
            self.step(layer, &mut part, grid);
            found.append(&part.rows);
        }
        value.rows = found;
    }

    /// One layer, nothing kept. Inputs of affine layers are rounded where a grid is given; their products are what `multiply` makes of them.
    pub(super) fn step_with(
        &self,
        layer: usize,
        value: &mut Value,
        grid: Option<&ActivationGrid>,
        multiply: impl FnOnce(&Rows) -> Rows,
    ) {
        match &self.layers[layer] {
            Layer::Affine(affine) => {
                if let Some(grid) = grid {
                    grid.round(value.rows.values_mut());
                }
                let products = multiply(&self.inputs_of(layer, &value.rows));
                value.rows = self.applied(layer, affine, products);
            }
            Layer::Relu => value.rows.values_mut().iter_mut().for_each(|x| *x = x.max(0.0)),
            Layer::LeakyRelu(share) => {
                value.rows.values_mut().iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { share * *x });
            }
            Layer::Tanh => value.rows.values_mut().iter_mut().for_each(|x| *x = x.tanh()),
            Layer::Sigmoid => value.rows.values_mut().iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp())),
            Layer::Flatten => {}
            Layer::AveragePooling(window) => {
                value.rows = pooled(&value.rows, &self.shapes[layer], *window, &self.shapes[layer + 1]);
            }
            Layer::Keep(name) => {
                value.kept.retain(|(own, _)| own != name);
                value.kept.push((name.clone(), value.rows.clone()));
            }
            Layer::Add(name) => {
                if let Some((_, other)) = value.kept.iter().find(|(own, _)| own == name) {
                    value.rows.values_mut().iter_mut().zip(other.values()).for_each(|(x, other)| *x += other);
                }
            }
        }
    }

    pub(super) fn step(&self, layer: usize, value: &mut Value, grid: Option<&ActivationGrid>) {
        self.step_with(layer, value, grid, |inputs| match &self.layers[layer] {
            Layer::Affine(affine) => times_transposed(inputs, &affine.weights),
            _ => Rows::default(),
        });
    }

    /// Some layers, with what gradients need. `rounded` may round the input of an affine layer in place, and then says what passes.
    pub(super) fn pass(
        &self,
        layers: std::ops::Range<usize>,
        value: &mut Value,
        rounded: &mut dyn FnMut(usize, &mut Rows) -> Option<Vec<f32>>,
    ) -> Tape {
        let mut tape = Tape { first: layers.start, seen: Vec::new() };
        for layer in layers {
            let seen = match &self.layers[layer] {
                Layer::Affine(affine) => {
                    let passes = rounded(layer, &mut value.rows);
                    let inputs = self.inputs_of(layer, &value.rows).into_owned();
                    let products = times_transposed(&inputs, &affine.weights);
                    value.rows = self.applied(layer, affine, products);
                    Seen::Inputs(inputs, passes)
                }
                Layer::Relu | Layer::LeakyRelu(_) => {
                    let before = value.rows.clone();
                    self.step(layer, value, None);
                    Seen::Value(before)
                }
                Layer::Tanh | Layer::Sigmoid => {
                    self.step(layer, value, None);
                    Seen::Value(value.rows.clone())
                }
                _ => {
                    self.step(layer, value, None);
                    Seen::Nothing
                }
            };
            tape.seen.push(seen);
        }
        tape
    }

    /// Gradients of the affine layers of a pass, first to last, each with its layer. `watch` sees the gradients with respect to the rounded
    /// inputs of affine layers.
    pub(super) fn back(
        &self,
        tape: Tape,
        errors: Rows,
        mut watch: Option<Watch<'_>>,
    ) -> Vec<(usize, Gradient)> {
        let mut errors = errors;
        let mut of_kept: Vec<(&String, Rows)> = Vec::new();
        let mut found = Vec::new();
        let first_affine = (tape.first..tape.first + tape.seen.len())
            .find(|&layer| matches!(self.layers[layer], Layer::Affine(_)))
            .unwrap_or(usize::MAX);
        for (place, seen) in tape.seen.into_iter().enumerate().rev() {
            let layer = tape.first + place;
            match (&self.layers[layer], seen) {
                (Layer::Affine(affine), Seen::Inputs(inputs, passes)) => {
                    let own = if affine.window.is_some() {
                        channels_last(&errors, &self.shapes[layer + 1])
                    } else {
                        errors
                    };
                    let mut weights = Rows::zeros(affine.weights.rows(), affine.weights.columns());
                    add_transposed_times(&mut weights, &own, &inputs);
                    let bias = if affine.bias.is_empty() { Vec::new() } else { column_sums(&own) };
                    found.push((layer, Gradient { weights, bias }));
                    if layer <= first_affine && watch.is_none() {
                        break;
                    }
                    let below = times(&own, &affine.weights);
                    errors = match affine.window {
                        Some(window) => {
                            unpatched(&below, &self.shapes[layer], window, sides(&self.shapes[layer + 1]))
                        }
                        None => below,
                    };
                    if let Some(watch) = &mut watch {
                        watch(layer, &errors);
                    }
                    if layer <= first_affine {
                        break;
                    }
                    if let Some(passes) = passes {
                        errors.values_mut().iter_mut().zip(passes).for_each(|(x, passes)| *x *= passes);
                    }
                }
                (Layer::Relu, Seen::Value(before)) => {
                    let pairs = errors.values_mut().iter_mut().zip(before.values());
                    pairs.for_each(|(x, before)| *x = if *before > 0.0 { *x } else { 0.0 });
                }
                (Layer::LeakyRelu(share), Seen::Value(before)) => {
                    let pairs = errors.values_mut().iter_mut().zip(before.values());
                    pairs.for_each(|(x, before)| *x *= if *before > 0.0 { 1.0 } else { *share });
                }
                (Layer::Tanh, Seen::Value(after)) => {
                    let pairs = errors.values_mut().iter_mut().zip(after.values());
                    pairs.for_each(|(x, after)| *x *= 1.0 - after * after);
                }
                (Layer::Sigmoid, Seen::Value(after)) => {
                    let pairs = errors.values_mut().iter_mut().zip(after.values());
                    pairs.for_each(|(x, after)| *x *= after * (1.0 - after));
                }
                (Layer::AveragePooling(window), _) => {
                    errors = unpooled(&errors, &self.shapes[layer], *window, &self.shapes[layer + 1]);
                }
                (Layer::Keep(name), _) => {
                    if let Some(at) = of_kept.iter().position(|(own, _)| *own == name) {
                        let (_, other) = of_kept.swap_remove(at);
                        errors.values_mut().iter_mut().zip(other.values()).for_each(|(x, other)| *x += other);
                    }
                }
                (Layer::Add(name), _) => match of_kept.iter_mut().find(|(own, _)| *own == name) {
                    Some((_, other)) => {
                        other.values_mut().iter_mut().zip(errors.values()).for_each(|(x, more)| *x += more);
                    }
                    None => of_kept.push((name, errors.clone())),
                },
                _ => {}
            }
        }
        // What was kept before the first layer takes no gradient.
        found.reverse();
        found
    }
}

fn column_sums(rows: &Rows) -> Vec<f32> {
    let mut sums = vec![0.0; rows.columns()];
    for row in 0..rows.rows() {
        sums.iter_mut().zip(rows.row(row)).for_each(|(sum, value)| *sum += value);
    }
    sums
}

fn sides(shape: &[usize]) -> [usize; 2] {
    [shape[1], shape[2]]
}

/// Calls `work` with every pair (place in the input plane, place in the window) of one output place that lies inside the input.
fn in_window(
    window: Window,
    [height, width]: [usize; 2],
    [down, right]: [usize; 2],
    mut work: impl FnMut(usize, usize),
) {
    for tall in 0..window.kernel[0] {
        let Some(row) = (down * window.stride[0] + tall * window.dilation[0]).checked_sub(window.padding[0])
        else {
            continue;
        };
        for wide in 0..window.kernel[1] {
            let column =
                (right * window.stride[1] + wide * window.dilation[1]).checked_sub(window.padding[1]);
            if let Some(column) = column.filter(|&column| column < width && row < height) {
                work(row * width + column, tall * window.kernel[1] + wide);
            }
        }
    }
}

/// One row for every output place: channels × height × width of its window.
fn patches(value: &Rows, shape: &[usize], window: Window, [down, right]: [usize; 2]) -> Rows {
    let (channels, plane, taps) = (shape[0], shape[1] * shape[2], window.kernel[0] * window.kernel[1]);
    let mut found = Rows::zeros(value.rows() * down * right, channels * taps);
    let places = places(window, sides(shape), [down, right]);
    for row in 0..value.rows() {
        let from = value.row(row);
        for (place, pairs) in places.iter().enumerate() {
            let to = found.row_mut(row * down * right + place);
            for channel in 0..channels {
                let (from, to) = (&from[channel * plane..][..plane], &mut to[channel * taps..][..taps]);
                pairs.iter().for_each(|&(own, tap)| to[tap] = from[own]);
            }
        }
    }
    found
}

/// The reverse of [`patches`], which adds up what a number gave to several patches.
fn unpatched(found: &Rows, shape: &[usize], window: Window, [down, right]: [usize; 2]) -> Rows {
    let (channels, plane, taps) = (shape[0], shape[1] * shape[2], window.kernel[0] * window.kernel[1]);
    let mut value = Rows::zeros(found.rows() / (down * right), channels * plane);
    let places = places(window, sides(shape), [down, right]);
    for row in 0..value.rows() {
        let to = value.row_mut(row);
        for (place, pairs) in places.iter().enumerate() {
            let from = found.row(row * down * right + place);
            for channel in 0..channels {
                let (to, from) = (&mut to[channel * plane..][..plane], &from[channel * taps..][..taps]);
                pairs.iter().for_each(|&(own, tap)| to[own] += from[tap]);
            }
        }
    }
    value
}

fn places(window: Window, sides: [usize; 2], [down, right]: [usize; 2]) -> Vec<Vec<(usize, usize)>> {
    let all = (0..down * right).map(|place| {
        let mut pairs = Vec::new();
        in_window(window, sides, [place / right, place % right], |own, tap| pairs.push((own, tap)));
        pairs
    });
    all.collect()
}

/// Rows of channels, one for every place, as rows of channels × places.
fn channels_first(products: &Rows, shape: &[usize]) -> Rows {
    let (channels, places) = (shape[0], shape[1] * shape[2]);
    let mut found = Rows::zeros(products.rows() / places, channels * places);
    for row in 0..found.rows() {
        let to = found.row_mut(row);
        for place in 0..places {
            let from = products.row(row * places + place);
            from.iter().enumerate().for_each(|(channel, value)| to[channel * places + place] = *value);
        }
    }
    found
}

/// The reverse of [`channels_first`].
fn channels_last(value: &Rows, shape: &[usize]) -> Rows {
    let (channels, places) = (shape[0], shape[1] * shape[2]);
    let mut found = Rows::zeros(value.rows() * places, channels);
    for row in 0..value.rows() {
        let from = value.row(row);
        for place in 0..places {
            let to = found.row_mut(row * places + place);
            to.iter_mut().enumerate().for_each(|(channel, value)| *value = from[channel * places + place]);
        }
    }
    found
}

fn pooled(value: &Rows, shape: &[usize], window: Window, after: &[usize]) -> Rows {
    let (plane, share) = (shape[1] * shape[2], 1.0 / (window.kernel[0] * window.kernel[1]) as f32);
    let places = places(window, sides(shape), sides(after));
    let mut found = Rows::zeros(value.rows(), shape[0] * places.len());
    for row in 0..value.rows() {
        let (from, to) = (value.row(row), found.row_mut(row));
        for (from, to) in from.chunks(plane).zip(to.chunks_mut(places.len())) {
            for (to, pairs) in to.iter_mut().zip(&places) {
                *to = share * pairs.iter().map(|&(own, _)| from[own]).sum::<f32>();
            }
        }
    }
    found
}

fn unpooled(errors: &Rows, shape: &[usize], window: Window, after: &[usize]) -> Rows {
    let (plane, share) = (shape[1] * shape[2], 1.0 / (window.kernel[0] * window.kernel[1]) as f32);
    let places = places(window, sides(shape), sides(after));
    let mut found = Rows::zeros(errors.rows(), shape[0] * plane);
    for row in 0..errors.rows() {
        let (from, to) = (errors.row(row), found.row_mut(row));
        for (from, to) in from.chunks(places.len()).zip(to.chunks_mut(plane)) {
            for (from, pairs) in from.iter().zip(&places) {
                pairs.iter().for_each(|&(own, _)| to[own] += share * from);
            }
        }
    }
    found
}
