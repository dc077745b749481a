//! Layers one after another, with max(x, 0) between them, and the loss at the end.

use backstitch_numerics::Matrix;

use super::layer::{Gradient, Seen, Split};

/// Rows that predictions are made of at a time.
const PIECE: usize = 512;

/// A network while it is used for one task.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// First to last.
    pub(super) layers: Vec<Split>,
    /// Whether every layer sees a constant 1 as its last input.
    pub(super) bias: bool,
}

/// What a pass keeps for the gradient.
pub(super) struct Tape {
    /// Inputs of every layer, the constant 1 included: rows × inputs.
    pub(super) inputs: Vec<Matrix>,
    seen: Vec<Seen>,
}

impl Network {
    /// What the first layer sees of rows.
    pub(super) fn first_inputs(&self, rows: Matrix) -> Matrix {
        if self.bias { with_one(&rows) } else { rows }
    }

    /// Outputs before the softmax: rows × outputs. Takes what the first layer sees, and its coordinates there where they are known.
    pub(super) fn forward(&self, inputs: Matrix, mut coordinates: Option<Matrix>) -> (Matrix, Tape) {
        let mut tape = Tape { inputs: Vec::with_capacity(self.layers.len()), seen: Vec::new() };
        let mut values = inputs;
        for (place, layer) in self.layers.iter().enumerate() {
            if place > 0 {
                values.values_mut().iter_mut().for_each(|value| *value = value.max(0.0));
                if self.bias {
                    values = with_one(&values);
                }
            }
            let coordinates = coordinates.take().unwrap_or_else(|| layer.coordinates(&values));
            let (outputs, seen) = layer.forward(&values, coordinates);
            tape.inputs.push(std::mem::replace(&mut values, outputs));
            tape.seen.push(seen);
        }
        (values, tape)
    }

    /// Gradients of all layers for errors at the outputs, and the errors at the outputs of every layer.
    pub(super) fn backward(&self, tape: &Tape, errors: Matrix) -> (Vec<Gradient>, Vec<Matrix>) {
        let (mut gradients, mut all_errors) = (Vec::new(), Vec::new());
        let mut errors = errors;
        for (place, layer) in self.layers.iter().enumerate().rev() {
            let mut gradient = layer.backward(&tape.inputs[place], &tape.seen[place], &errors, place > 0);
            let below = gradient.inputs.take().map(|of_inputs| {
                let units = of_inputs.columns() - usize::from(self.bias);
                let mut below = Matrix::zeros(of_inputs.rows(), units);
                for row in 0..below.rows() {
                    let (seen, errors) = (tape.inputs[place].row(row), of_inputs.row(row));
                    for ((target, seen), error) in below.row_mut(row).iter_mut().zip(seen).zip(errors) {
                        *target = if *seen > 0.0 { *error } else { 0.0 };
                    }
                }
                below
            });
            gradients.push(gradient);
            all_errors.push(std::mem::replace(&mut errors, below.unwrap_or(Matrix::zeros(0, 0))));
        }
        gradients.reverse();
        all_errors.reverse();
        (gradients, all_errors)
    }

    /// Loss of rows with labels, and gradients of all layers; takes what [`Self::forward`] takes.
    pub(super) fn loss(
        &self,
        inputs: Matrix,
        coordinates: Option<Matrix>,
        labels: &[usize],
    ) -> (f64, Vec<Gradient>) {
        let (mut outputs, tape) = self.forward(inputs, coordinates);
        let loss = cross_entropy(&mut outputs, labels);
        (loss, self.backward(&tape, outputs).0)
    }

    /// Probabilities of classes: rows × classes.
    pub(super) fn probabilities(&self, rows: &Matrix) -> Matrix {
        let mut values = Vec::new();
        for first in (0..rows.rows()).step_by(PIECE) {
            let count = PIECE.min(rows.rows() - first);
            let piece = Matrix::from_fn(count, rows.columns(), |row, column| rows[(first + row, column)]);
            let (mut outputs, _) = self.forward(self.first_inputs(piece), None);
            (0..outputs.rows()).for_each(|row| {
                softmax(outputs.row_mut(row));
            });
            values.extend_from_slice(outputs.values());
        }
        let classes = self.layers.last().map_or(0, |layer| layer.plain.rows());
        Matrix::from_fn(rows.rows(), classes, |row, class| values[row * classes + class])
    }
}

fn with_one(values: &Matrix) -> Matrix {
    let width = values.columns();
    let mut found = Matrix::zeros(values.rows(), width + 1);
    for row in 0..values.rows() {
        found.row_mut(row)[..width].copy_from_slice(values.row(row));
        found.row_mut(row)[width] = 1.0;
    }
    found
}

/// Turns a row into probabilities; the logarithm of what it was divided by, the largest entry included.
fn softmax(row: &mut [f64]) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
    largest + sum.ln()
}

/// Mean cross-entropy of outputs, which become its gradient.
pub(super) fn cross_entropy(outputs: &mut Matrix, labels: &[usize]) -> f64 {
    let share = 1.0 / labels.len() as f64;
    let mut loss = 0.0;
    for (row, &label) in labels.iter().enumerate() {
        let row = outputs.row_mut(row);
        let own = row[label];
        loss += (softmax(row) - own) * share;
        row[label] -= 1.0;
        row.iter_mut().for_each(|value| *value *= share);
    }
    loss
}
