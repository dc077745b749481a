//! Data and networks of the study: classifiers of clusters and of handwritten digits, trained in plain Rust.

use backstitch_claim::CellError;
use backstitch_data::embedded::DIGITS;
use backstitch_networks::lipschitz::{Activation, DenseLayer, Network};
use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};

/// Rows with a label each.
pub(super) struct Labelled {
    pub(super) rows: Matrix,
    pub(super) labels: Vec<usize>,
}

/// Points anywhere in the unit cube, each with the label of the nearest of 5d leaders, whose labels are random.
pub(super) fn clusters(features: usize, classes: usize, count: usize, stream: &mut Stream) -> Labelled {
    let leaders = Matrix::from_fn(5 * features, features, |_, _| stream.uniform());
    let labels: Vec<usize> = (0..leaders.rows()).map(|_| stream.below(classes)).collect();
    let rows = Matrix::from_fn(count, features, |_, _| stream.uniform());
    let nearest = |row: &[f64]| {
        let distance = |leader: usize| -> f64 {
            row.iter().zip(leaders.row(leader)).map(|(one, other)| (one - other).powi(2)).sum()
        };
        (0..leaders.rows()).min_by(|one, other| distance(*one).total_cmp(&distance(*other))).unwrap_or(0)
    };
    let labels = (0..count).map(|row| labels[nearest(rows.row(row))]).collect();
    Labelled { rows, labels }
}

/// Images of 8 × 8 pixels from 0 to 1, in random order.
pub(super) fn digits(stream: &mut Stream) -> Result<Labelled, CellError> {
    let table = DIGITS.table().map_err(CellError::new)?.values;
    let pixels = table.columns() - 1;
    let order = stream.permutation(table.rows());
    Ok(Labelled {
        rows: Matrix::from_fn(order.len(), pixels, |row, pixel| table[(order[row], pixel)] / 16.0),
        // Labels are digits.
        labels: order.iter().map(|&row| table[(row, pixels)] as usize).collect(),
    })
}

impl Labelled {
    /// The first rows, and the others.
    pub(super) fn split(&self, first: usize) -> (Self, Self) {
        let part = |from: usize, to: usize| Self {
            rows: Matrix::from_fn(to - from, self.rows.columns(), |row, column| {
                self.rows[(from + row, column)]
            }),
            labels: self.labels[from..to].to_vec(),
        };
        let first = first.min(self.labels.len());
        (part(0, first), part(first, self.labels.len()))
    }
}

/// Weights as they are kept between cells.
#[derive(Serialize, Deserialize)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Serialize, Deserialize)]
struct Layer {
    inputs: usize,
    /// Outputs × inputs, row after row.
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Layers {
    /// Trains a ReLU classifier by Adam on the cross-entropy.
    pub(super) fn train(
        widths: &[usize],
        data: &Labelled,
        epochs: usize,
        batch: usize,
        rate: f64,
        stream: &mut Stream,
    ) -> Self {
        let layers = widths
            .windows(2)
            .map(|pair| {
                let scale = (2.0 / pair[0] as f64).sqrt();
                let weights = (0..pair[0] * pair[1]).map(|_| scale * stream.normal()).collect();
                Layer { inputs: pair[0], weights, bias: vec![0.0; pair[1]] }
            })
            .collect();
        let mut network = Self(layers);
        let mut adam = Adam::new(&network, rate);
        for _ in 0..epochs {
            for rows in stream.permutation(data.labels.len()).chunks(batch) {
                let mut gradient = network.zeros();
                for &row in rows {
                    network.add_gradient(
                        data.rows.row(row),
                        data.labels[row],
                        1.0 / rows.len() as f64,
                        &mut gradient,
                    );
                }
                adam.step(&mut network, &gradient);
            }
        }
        network
    }

    pub(super) fn dense(&self) -> Vec<DenseLayer> {
        let layer = |layer: &Layer| {
            let Layer { inputs, weights, bias } = layer;
            let weights = Matrix::from_fn(bias.len(), *inputs, |row, column| weights[row * inputs + column]);
            (weights, bias.clone())
        };
        self.0.iter().map(layer).collect()
    }

    pub(super) fn network(&self) -> Result<Network, CellError> {
        Network::dense(&self.dense(), Activation::Relu).map_err(CellError::new)
    }

    fn zeros(&self) -> Vec<(Vec<f64>, Vec<f64>)> {
        self.0.iter().map(|layer| (vec![0.0; layer.weights.len()], vec![0.0; layer.bias.len()])).collect()
    }

    /// Adds `share` times the gradient of minus the logarithm of the label's probability.
    fn add_gradient(&self, row: &[f64], label: usize, share: f64, gradient: &mut [(Vec<f64>, Vec<f64>)]) {
        let mut values = vec![row.to_vec()];
        for (place, layer) in self.0.iter().enumerate() {
            let input = &values[place];
            let mut output = layer.bias.clone();
            for (value, weights) in output.iter_mut().zip(layer.weights.chunks(layer.inputs)) {
                *value += weights.iter().zip(input).map(|(weight, input)| weight * input).sum::<f64>();
                if place + 1 < self.0.len() {
                    *value = value.max(0.0);
                }
            }
            values.push(output);
        }
        let logits = &values[self.0.len()];
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        let mut slopes: Vec<f64> =
            logits.iter().map(|logit| share * (logit - largest).exp() / total).collect();
        slopes[label] -= share;
        for (place, layer) in self.0.iter().enumerate().rev() {
            let input = &values[place];
            let (weights, bias) = &mut gradient[place];
            let mut before = vec![0.0; layer.inputs];
            for (output, slope) in slopes.iter().enumerate().filter(|(_, slope)| **slope != 0.0) {
                bias[output] += slope;
                let range = output * layer.inputs..(output + 1) * layer.inputs;
                weights[range.clone()].iter_mut().zip(input).for_each(|(sum, input)| *sum += slope * input);
                before.iter_mut().zip(&layer.weights[range]).for_each(|(sum, weight)| *sum += slope * weight);
            }
            before.iter_mut().zip(input).filter(|(_, input)| **input <= 0.0).for_each(|(sum, _)| *sum = 0.0);
            slopes = before;
        }
    }
}

/// Share of rows whose largest output is that of their label.
pub(super) fn accuracy(network: &Network, data: &Labelled) -> Result<f64, CellError> {
    let mut right = 0;
    for (row, &label) in data.labels.iter().enumerate() {
        let outputs = network.evaluate(data.rows.row(row)).map_err(CellError::new)?;
        right += usize::from(outputs.iter().all(|output| *output <= outputs[label]));
    }
    Ok(right as f64 / data.labels.len() as f64)
}

struct Adam {
    first: Vec<(Vec<f64>, Vec<f64>)>,
    second: Vec<(Vec<f64>, Vec<f64>)>,
    rate: f64,
    /// Powers of the two decays.
    powers: (f64, f64),
}

impl Adam {
    fn new(network: &Layers, rate: f64) -> Self {
        Self { first: network.zeros(), second: network.zeros(), rate, powers: (1.0, 1.0) }
    }

    fn step(&mut self, network: &mut Layers, gradient: &[(Vec<f64>, Vec<f64>)]) {
        self.powers = (self.powers.0 * 0.9, self.powers.1 * 0.999);
        let (one, two) = (1.0 - self.powers.0, 1.0 - self.powers.1);
        let rate = self.rate;
        let update = |values: &mut [f64], first: &mut [f64], second: &mut [f64], gradient: &[f64]| {
            for place in 0..values.len() {
                first[place] = 0.9 * first[place] + 0.1 * gradient[place];
                second[place] = 0.999 * second[place] + 0.001 * gradient[place].powi(2);
                values[place] -= rate * first[place] / one / ((second[place] / two).sqrt() + 1e-8);
            }
        };
        for (place, layer) in network.0.iter_mut().enumerate() {
            let (first, second) = (&mut self.first[place], &mut self.second[place]);
            update(&mut layer.weights, &mut first.0, &mut second.0, &gradient[place].0);
            update(&mut layer.bias, &mut first.1, &mut second.1, &gradient[place].1);
        }
    }
}
