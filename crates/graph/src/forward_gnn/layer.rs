//! One layer: its forward pass, and the gradient of its own parameters.

use std::sync::Arc;

use backstitch_numerics::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::attention;
use super::parameters::Convolution;
use crate::dense::{Dense, Ledger, PIECE};
use crate::rows::Rows;
use crate::structure::{Structure, Weighing};

/// Part of the columns of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Block<'a> {
    Sparse(&'a Rows),
    Dense(&'a Dense),
}

impl Block<'_> {
    fn columns(&self) -> usize {
        match self {
            Self::Sparse(rows) => rows.columns(),
            Self::Dense(dense) => dense.columns(),
        }
    }
}

/// What a layer reads: blocks side by side, and where it is known the same after one propagation.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) own: Vec<Block<'a>>,
    pub(crate) around: Option<Vec<Block<'a>>>,
}

impl<'a> Input<'a> {
    pub(crate) fn dense(dense: &'a Dense) -> Self {
        Self { own: vec![Block::Dense(dense)], around: None }
    }
}

/// `out (+)= [blocks] · weights`.
fn product(blocks: &[Block<'_>], weights: &Dense, add: bool, out: &mut Dense) {
    let mut from = 0;
    for block in blocks {
        let add = add || from > 0;
        match block {
            Block::Sparse(rows) => rows.product(weights, from, add, out),
            Block::Dense(dense) => dense.product(weights, from, add, out),
        }
        from += block.columns();
    }
}

/// `[blocks]' · gradient`.
fn transposed_product(blocks: &[Block<'_>], gradient: &Dense) -> Dense {
    let rows = blocks.iter().map(Block::columns).sum();
    let mut out = Dense::zeros(rows, gradient.columns());
    let mut from = 0;
    for block in blocks {
        match block {
            Block::Sparse(rows) => rows.transposed_product(gradient, from, &mut out),
            Block::Dense(dense) => dense.transposed_product(gradient, from, &mut out),
        }
        from += block.columns();
    }
    out
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) convolution: Convolution,
    /// Weights (inputs × outputs) and bias (1 × outputs); with SAGE the weights of the node itself, with GAT the two vectors of
    /// attention (2 × outputs: of the neighbour, of the node).
    pub(crate) parameters: Vec<Dense>,
}

/// What a forward pass leaves: the output, and what attention needs to go back.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    pub(crate) output: Dense,
    pub(crate) attention: attention::Kept,
}

/// Memory that passes share.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) ledger: Arc<Ledger>,
    /// One matrix for each shape that was asked for.
    products: Vec<Dense>,
}

impl Scratch {
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Self {
        Self { ledger: Arc::clone(ledger), products: Vec::new() }
    }

    /// A matrix of a shape, whose values are anything.
    fn of(&mut self, rows: usize, columns: usize) -> &mut Dense {
        let known = self.products.iter().position(|dense| (dense.rows(), dense.columns()) == (rows, columns));
        let place = known.unwrap_or_else(|| {
            self.products.push(Dense::counted(rows, columns, &self.ledger));
            self.products.len() - 1
        });
        &mut self.products[place]
    }
}

impl Convolution {
    pub(crate) fn weighing(self) -> Weighing {
        match self {
            Self::Gcn | Self::None => Weighing::Symmetric,
            Self::Sage => Weighing::Mean,
            Self::Gat => Weighing::Plain,
        }
    }

    /// Whether the input may be propagated once for all epochs.
    pub(crate) fn is_linear(self) -> bool {
        matches!(self, Self::Gcn | Self::Sage)
    }
}

impl Layer {
    /// Weights of Glorot, biases zero.
    pub(crate) fn new(convolution: Convolution, inputs: usize, outputs: usize, stream: &mut Stream) -> Self {
        let mut glorot = |rows: usize, columns: usize, sum: usize| {
            let bound = (6.0 / sum.max(1) as f64).sqrt();
            Dense::from_fn(rows, columns, |_, _| (bound * (2.0 * stream.uniform() - 1.0)) as f32)
        };
        let mut parameters = vec![glorot(inputs, outputs, inputs + outputs), Dense::zeros(1, outputs)];
        match convolution {
            Convolution::Sage => parameters.push(glorot(inputs, outputs, inputs + outputs)),
            Convolution::Gat => {
                let heads = attention::heads(outputs);
                parameters.push(glorot(2, outputs, heads + outputs / heads));
            }
            Convolution::Gcn | Convolution::None => {}
        }
        Self { convolution, parameters }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.parameters[0].rows()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.parameters[0].columns()
    }

    /// Whether the parameters are of the shapes that the convolution has.
    pub(crate) fn is_whole(&self) -> bool {
        let shape = |place: usize| self.parameters.get(place).map(|part| (part.rows(), part.columns()));
        let Some((inputs, outputs)) = shape(0) else { return false };
        let third = match self.convolution {
            Convolution::Sage => Some((inputs, outputs)),
            Convolution::Gat => Some((2, outputs)),
            Convolution::Gcn | Convolution::None => None,
        };
        shape(1) == Some((1, outputs)) && shape(2) == third && self.parameters.len() <= 3
    }

    /// The output for an input with a row for every node of the structure.
    pub(crate) fn forward(
        &self,
        input: &Input<'_>,
        structure: &Structure,
        relu: bool,
        pass: &mut Pass,
        scratch: &mut Scratch,
    ) {
        let (nodes, outputs) = (structure.nodes(), self.outputs());
        pass.output.reshape(nodes, outputs, &scratch.ledger);
        let (weights, bias) = (&self.parameters[0], self.parameters[1].values());
        let output = &mut pass.output;
        match self.convolution {
            Convolution::None => {
                product(&input.own, weights, false, output);
                finish(output, Some(bias), relu);
            }
            Convolution::Gcn => {
                if let Some(around) = &input.around {
                    product(around, weights, false, output);
                    finish(output, Some(bias), relu);
                } else {
                    let between = scratch.of(nodes, outputs);
                    product(&input.own, weights, false, between);
                    structure.propagate(between, output, Some(bias), relu);
                }
            }
            Convolution::Sage => {
                if let Some(around) = &input.around {
                    product(around, weights, false, output);
                } else {
                    let between = scratch.of(nodes, outputs);
                    product(&input.own, weights, false, between);
                    structure.propagate(between, output, None, false);
                }
                product(&input.own, &self.parameters[2], true, output);
                finish(output, Some(bias), relu);
            }
            Convolution::Gat => {
                let kept = &mut pass.attention;
                kept.product.reshape(nodes, outputs, &scratch.ledger);
                product(&input.own, weights, false, &mut kept.product);
                kept.forward(structure, &self.parameters[2], output, scratch);
                finish(output, Some(bias), relu);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "buffers are lent by the caller")]
    /// The gradient with respect to the parameters, and where asked for to the input, one dense block.
    ///
    /// `gradient` is that with respect to the output of the pass; it is overwritten.
    pub(crate) fn backward(
        &self,
        input: &Input<'_>,
        structure: &Structure,
        relu: bool,
        pass: &mut Pass,
        gradient: &mut Dense,
        scratch: &mut Scratch,
        to_input: Option<&mut Dense>,
    ) -> Vec<Dense> {
        if relu {
            mask(gradient, &pass.output);
        }
        let (nodes, outputs) = (structure.nodes(), self.outputs());
        let weights = &self.parameters[0];
        let bias = Dense::from_fn(1, outputs, {
            let sums = gradient.column_sums();
            move |_, column| sums[column]
        });
        match self.convolution {
            Convolution::None => {
                if let Some(to_input) = to_input {
                    gradient.product_transposed(weights, 0, false, to_input);
                }
                vec![transposed_product(&input.own, gradient), bias]
            }
            Convolution::Gcn | Convolution::Sage => {
                let around = match &input.around {
                    Some(around) => transposed_product(around, gradient),
                    None => {
                        let between = scratch.of(nodes, outputs);
                        structure.propagate_back(gradient, between);
                        transposed_product(&input.own, between)
                    }
                };
                let sage = self.convolution == Convolution::Sage;
                if let Some(to_input) = to_input {
                    scratch.of(nodes, outputs).product_transposed(weights, 0, false, to_input);
                    if sage {
                        gradient.product_transposed(&self.parameters[2], 0, true, to_input);
                    }
                }
                let mut found = vec![around, bias];
                if sage {
                    found.push(transposed_product(&input.own, gradient));
                }
                found
            }
            Convolution::Gat => {
                let (to_product, vectors) =
                    pass.attention.backward(structure, &self.parameters[2], gradient, scratch);
                if let Some(to_input) = to_input {
                    to_product.product_transposed(weights, 0, false, to_input);
                }
                vec![transposed_product(&input.own, &to_product), bias, vectors]
            }
        }
    }
}

/// Adds the bias, and takes the larger of that and zero, as asked.
fn finish(output: &mut Dense, bias: Option<&[f32]>, relu: bool) {
    let columns = output.columns().max(1);
    output.values_mut().par_chunks_mut(PIECE * columns).for_each(|piece| {
        for row in piece.chunks_mut(columns) {
            if let Some(bias) = bias {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
            if relu {
                row.iter_mut().for_each(|value| *value = value.max(0.0));
            }
        }
    });
}

/// Zero where the output is not above zero.
fn mask(gradient: &mut Dense, output: &Dense) {
    let columns = output.columns().max(1);
    gradient
        .values_mut()
        .par_chunks_mut(PIECE * columns)
        .zip(output.values().par_chunks(PIECE * columns))
        .for_each(|(gradient, output)| {
            for (gradient, output) in gradient.iter_mut().zip(output) {
                *gradient = if *output > 0.0 { *gradient } else { 0.0 };
            }
        });
}

/// Adam with an L2 penalty in the gradient.
#[derive(Debug)]
pub(crate) struct Adam {
    first: Vec<Dense>,
    second: Vec<Dense>,
    step: i32,
    rate: f64,
    decay: f32,
}

impl Adam {
    pub(crate) fn new(layer: &Layer, rate: f64, decay: f64) -> Self {
        let zeros =
            || layer.parameters.iter().map(|part| Dense::zeros(part.rows(), part.columns())).collect();
        Self { first: zeros(), second: zeros(), step: 0, rate, decay: decay as f32 }
    }

    pub(crate) fn step(&mut self, layer: &mut Layer, gradients: &[Dense]) {
        self.step += 1;
        let (beta, gamma) = (0.9_f32, 0.999_f32);
        // Not 1 − 0.999 in single precision, which is 5e-5 too large.
        let (fresh, fresh_square) = (0.1_f32, 0.001_f32);
        let rate = (self.rate / (1.0 - 0.9_f64.powi(self.step))) as f32;
        let correction = (1.0 / (1.0 - 0.999_f64.powi(self.step)).sqrt()) as f32;
        let decay = self.decay;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((part, gradient), (first, second)) in layer.parameters.iter_mut().zip(gradients).zip(moments) {
            let moments = first.values.par_chunks_mut(1 << 14).zip(second.values.par_chunks_mut(1 << 14));
            let given = gradient.values().par_chunks(1 << 14);
            part.values.par_chunks_mut(1 << 14).zip(given).zip(moments).for_each(
                |((values, gradients), (first, second))| {
                    for place in 0..values.len() {
                        let gradient = gradients[place] + decay * values[place];
                        first[place] = beta * first[place] + fresh * gradient;
                        second[place] = gamma * second[place] + fresh_square * gradient * gradient;
                        values[place] -= rate * first[place] / (second[place].sqrt() * correction + 1e-8);
                    }
                },
            );
        }
    }
}

/// Scales gradients so that their common norm is at most `most`.
pub(crate) fn clip(gradients: &mut [Dense], most: f64) {
    let square: f64 = gradients.iter().flat_map(|part| part.values()).map(|g| f64::from(*g).powi(2)).sum();
    let norm = square.sqrt();
    if norm > most {
        let factor = (most / (norm + 1e-6)) as f32;
        gradients.iter_mut().flat_map(|part| part.values_mut()).for_each(|value| *value *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::undirected;

    const VECTORS: &str = include_str!("../../tests/vectors/forward_gnn.json");

    fn numbers(value: &serde_json::Value) -> Vec<f32> {
        value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
    }

    fn dense(rows: usize, columns: usize, values: &[f32]) -> Dense {
        assert_eq!(rows * columns, values.len());
        Dense::from_fn(rows, columns, |row, column| values[row * columns + column])
    }

    fn close(found: &[f32], wanted: &[f32], what: &str) {
        assert_eq!(found.len(), wanted.len(), "{what}");
        for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!((found - wanted).abs() < 2e-5 * (1.0 + wanted.abs()), "{what} {place}: {found} {wanted}");
        }
    }

    #[test]
    fn convolutions_and_gradients_are_those_of_torch_geometric() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let pairs: Vec<(usize, usize)> = serde_json::from_value(vectors["pairs"].clone()).unwrap();
        let (pairs, _) = undirected(7, &pairs).unwrap();
        let x = dense(7, 5, &numbers(&vectors["x"]));
        let factors = numbers(&vectors["factors"]);
        let ledger = Arc::new(Ledger::default());
        for (name, convolution) in
            [("gcn", Convolution::Gcn), ("sage", Convolution::Sage), ("gat", Convolution::Gat)]
        {
            let wanted = &vectors["layers"][name];
            let parts: Vec<Vec<f32>> = wanted["parameters"].as_array().unwrap().iter().map(numbers).collect();
            let mut parameters = vec![dense(5, 8, &parts[0]), dense(1, 8, &parts[1])];
            match convolution {
                Convolution::Sage => parameters.push(dense(5, 8, &parts[2])),
                Convolution::Gat => parameters.push(dense(2, 8, &parts[2])),
                _ => {}
            }
            let layer = Layer { convolution, parameters };
            assert!(layer.is_whole());
            let structure = Structure::new(7, &pairs, convolution.weighing());
            let mut around = Dense::zeros(7, 5);
            structure.propagate(&x, &mut around, None, false);
            let rows = Rows::new(5, (0..7).map(|row| x.row(row).iter().copied().enumerate().collect()));
            let inputs = [
                Input::dense(&x),
                Input { own: vec![Block::Sparse(&rows)], around: None },
                Input { own: vec![Block::Dense(&x)], around: Some(vec![Block::Dense(&around)]) },
            ];
            for (way, input) in inputs.iter().enumerate() {
                let (mut pass, mut scratch) = (Pass::default(), Scratch::new(&ledger));
                layer.forward(input, &structure, true, &mut pass, &mut scratch);
                close(pass.output.values(), &numbers(&wanted["output"]), name);
                let mut gradient = dense(7, 8, &factors);
                let mut to_input = Dense::zeros(7, 5);
                let to = (way == 0).then_some(&mut to_input);
                let gradients =
                    layer.backward(input, &structure, true, &mut pass, &mut gradient, &mut scratch, to);
                for (place, part) in gradients.iter().enumerate() {
                    close(part.values(), &numbers(&wanted["gradients"][place]), name);
                }
                if way == 0 {
                    close(to_input.values(), &numbers(&wanted["to_input"]), name);
                }
            }
        }
    }

    #[test]
    fn adam_takes_the_steps_of_torch() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let parameters = vec![dense(1, 1, &[0.5])];
        let mut layer = Layer { convolution: Convolution::None, parameters };
        let mut adam = Adam::new(&layer, 0.1, 0.01);
        for (gradient, wanted) in [2.0, -1.0, 0.25].into_iter().zip(numbers(&vectors["adam"])) {
            adam.step(&mut layer, &[dense(1, 1, &[gradient])]);
            // Tight enough to tell 0.001 from 1 − 0.999 in single precision, which takes steps 2e-5 too short.
            let found = layer.parameters[0].values()[0];
            assert!((found - wanted).abs() < 3e-7, "{found} {wanted}");
        }
    }

    #[test]
    fn a_large_gradient_is_cut_to_its_norm() {
        let mut gradients = vec![dense(1, 2, &[3.0, 0.0]), dense(1, 1, &[4.0])];
        clip(&mut gradients, 1.0);
        close(gradients[0].values(), &[0.6, 0.0], "clipped");
        close(gradients[1].values(), &[0.8], "clipped");
        clip(&mut gradients, 2.0);
        close(gradients[1].values(), &[0.8], "left alone");
    }
}
