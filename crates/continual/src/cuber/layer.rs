//! A layer in coordinates: what of its weights lies in the directions that earlier tasks use, and what lies outside.
//!
//! With the orthonormal directions as rows of O, weights are `w = w⊥ + w_c O` with `w⊥ O' = 0`, and inputs have the coordinates
//! `c = x O'`. Every projection of the paper is then a choice of columns of `w_c`, whose gradient is `errors' c`.
//!
//! `w⊥` itself is not held, since each of its updates would be a product with O. Held is `v`, which gets the updates `errors' x` of plain
//! training, and `e = v O'`, which gets `errors' c`: then `w⊥ = v − e O`, and outputs are `x v' − c e' + c w_c'`. So the only product of a batch
//! with O is that of its coordinates.

use backstitch_numerics::Matrix;

use super::products::{
    add, add_columns, add_times, add_times_transposed, columns, inner, rows, times, times_transposed,
    transposed_times,
};

/// Scales in the directions of one earlier task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaled {
    /// The earlier task.
    pub(super) task: usize,
    /// Its directions, as rows of O.
    pub(super) columns: Vec<usize>,
    /// Q: square, one row per direction.
    pub(super) scale: Matrix,
}

impl Scaled {
    /// Scales that change nothing.
    pub(super) fn new(task: usize, columns: Vec<usize>) -> Self {
        let count = columns.len();
        let scale = Matrix::from_fn(count, count, |row, column| f64::from(u8::from(row == column)));
        Self { task, columns, scale }
    }

    /// Q − 1.
    fn change(&self) -> Matrix {
        let mut change = self.scale.clone();
        for place in 0..change.rows() {
            change[(place, place)] -= 1.0;
        }
        change
    }
}

/// A layer while it is used for one task.
#[derive(Clone, Debug)]
pub(super) struct Split {
    /// O: directions × inputs, orthonormal rows.
    pub(super) directions: Matrix,
    /// v: outputs × inputs.
    pub(super) plain: Matrix,
    /// e: outputs × directions.
    excess: Matrix,
    /// w_c: outputs × directions.
    pub(super) inside: Matrix,
    /// Scales of this task.
    pub(super) scaled: Vec<Scaled>,
}

/// What a layer keeps of a batch for its gradient.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// c: rows × directions.
    coordinates: Matrix,
    /// c after scaling.
    rescaled: Matrix,
}

/// The gradient of a layer.
#[derive(Clone, Debug)]
pub(super) struct Gradient {
    /// Of v: of the weights outside of the directions, and what [`Self::excess`] takes away from it.
    pub(super) plain: Matrix,
    /// Of e: coordinates of the former.
    pub(super) excess: Matrix,
    /// Of w_c.
    pub(super) inside: Matrix,
    /// Of each Q.
    pub(super) scales: Vec<Matrix>,
    /// Of the inputs, where it was wanted: rows × inputs.
    pub(super) inputs: Option<Matrix>,
}

impl Gradient {
    /// Of the weights in full: outputs × inputs.
    pub(super) fn whole(&self, directions: &Matrix) -> Matrix {
        let mut inside = self.inside.clone();
        add(&mut inside, -1.0, &self.excess);
        let mut whole = self.plain.clone();
        add_times(&mut whole, 1.0, &inside, directions);
        whole
    }

    /// Sum of the squares of all its entries.
    pub(super) fn square(&self) -> f64 {
        let outside = inner(&self.plain, &self.plain) - inner(&self.excess, &self.excess);
        outside.max(0.0) + inner(&self.inside, &self.inside)
    }
}

/// A matrix of weights or of a gradient, split at directions: what lies outside, and the coordinates inside.
pub(super) fn split(whole: &Matrix, directions: &Matrix) -> (Matrix, Matrix) {
    let inside = times_transposed(whole, directions);
    let mut outside = whole.clone();
    add_times(&mut outside, -1.0, &inside, directions);
    (outside, inside)
}

/// w̃: weights as a task uses them.
pub(super) fn effective(weights: &Matrix, directions: &Matrix, scaled: &[Scaled]) -> Matrix {
    let mut found = weights.clone();
    for own in scaled {
        let basis = rows(directions, &own.columns);
        let along = times_transposed(weights, &basis);
        add_times(&mut found, 1.0, &times(&along, &own.change()), &basis);
    }
    found
}

impl Split {
    pub(super) fn new(weights: &Matrix, directions: &Matrix, scaled: Vec<Scaled>) -> Self {
        let (plain, inside) = split(weights, directions);
        let excess = Matrix::zeros(inside.rows(), inside.columns());
        Self { directions: directions.clone(), plain, excess, inside, scaled }
    }

    /// A layer without directions.
    pub(super) fn whole(weights: &Matrix) -> Self {
        Self::new(weights, &Matrix::zeros(0, weights.columns()), Vec::new())
    }

    /// The weights, without scales.
    pub(super) fn weights(&self) -> Matrix {
        let mut inside = self.inside.clone();
        add(&mut inside, -1.0, &self.excess);
        let mut weights = self.plain.clone();
        add_times(&mut weights, 1.0, &inside, &self.directions);
        weights
    }

    /// Coordinates of rows of inputs: rows × directions.
    pub(super) fn coordinates(&self, inputs: &Matrix) -> Matrix {
        times_transposed(inputs, &self.directions)
    }

    /// Outputs for rows of inputs with their coordinates, and what the gradient needs beside the inputs.
    pub(super) fn forward(&self, inputs: &Matrix, coordinates: Matrix) -> (Matrix, Seen) {
        let mut rescaled = coordinates.clone();
        for own in &self.scaled {
            let part = times_transposed(&columns(&coordinates, &own.columns), &own.change());
            add_columns(&mut rescaled, &own.columns, &part);
        }
        let mut outputs = times_transposed(inputs, &self.plain);
        add_times_transposed(&mut outputs, 1.0, &rescaled, &self.inside);
        add_times_transposed(&mut outputs, -1.0, &coordinates, &self.excess);
        (outputs, Seen { coordinates, rescaled })
    }

    /// The gradient for errors at the outputs.
    pub(super) fn backward(
        &self,
        inputs: &Matrix,
        seen: &Seen,
        errors: &Matrix,
        wants_inputs: bool,
    ) -> Gradient {
        let mut of_coordinates = times(errors, &self.inside);
        let of_rescaled: Vec<Matrix> =
            self.scaled.iter().map(|own| columns(&of_coordinates, &own.columns)).collect();
        let scales = self
            .scaled
            .iter()
            .zip(&of_rescaled)
            .map(|(own, part)| transposed_times(part, &columns(&seen.coordinates, &own.columns)))
            .collect();
        let of_inputs = wants_inputs.then(|| {
            for (own, part) in self.scaled.iter().zip(&of_rescaled) {
                add_columns(&mut of_coordinates, &own.columns, &times(part, &own.change()));
            }
            add_times(&mut of_coordinates, -1.0, errors, &self.excess);
            let mut of_inputs = times(errors, &self.plain);
            add_times(&mut of_inputs, 1.0, &of_coordinates, &self.directions);
            of_inputs
        });
        Gradient {
            plain: transposed_times(errors, inputs),
            excess: transposed_times(errors, &seen.coordinates),
            inside: transposed_times(errors, &seen.rescaled),
            scales,
            inputs: of_inputs,
        }
    }

    /// A step of gradient descent.
    pub(super) fn step(&mut self, rate: f64, gradient: &Gradient) {
        add(&mut self.plain, -rate, &gradient.plain);
        add(&mut self.excess, -rate, &gradient.excess);
        add(&mut self.inside, -rate, &gradient.inside);
        for (own, gradient) in self.scaled.iter_mut().zip(&gradient.scales) {
            add(&mut own.scale, -rate, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    fn random(rows: usize, columns: usize, stream: &mut Stream) -> Matrix {
        Matrix::from_fn(rows, columns, |_, _| stream.normal())
    }

    /// Orthonormal rows by Gram and Schmidt.
    fn orthonormal(count: usize, width: usize, stream: &mut Stream) -> Matrix {
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for _ in 0..count {
            let mut row: Vec<f64> = (0..width).map(|_| stream.normal()).collect();
            for other in &rows {
                let along: f64 = row.iter().zip(other).map(|(one, other)| one * other).sum();
                row.iter_mut().zip(other).for_each(|(one, other)| *one -= along * other);
            }
            let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
            row.iter_mut().for_each(|value| *value /= norm);
            rows.push(row);
        }
        Matrix::from_fn(count, width, |row, column| rows[row][column])
    }

    /// The paper's form: w̃ = w + Σ (w B Q B' − w B B'), all matrices whole.
    fn plain(weights: &Matrix, directions: &Matrix, scaled: &[Scaled]) -> Matrix {
        let mut effective = weights.clone();
        for own in scaled {
            let basis = Matrix::from_fn(own.columns.len(), weights.columns(), |row, column| {
                directions[(own.columns[row], column)]
            });
            let along = times_transposed(weights, &basis);
            add_times(&mut effective, 1.0, &times(&along, &own.scale), &basis);
            add_times(&mut effective, -1.0, &along, &basis);
        }
        effective
    }

    fn near(one: &Matrix, other: &Matrix, tolerance: f64) {
        for (one, other) in one.values().iter().zip(other.values()) {
            assert!((one - other).abs() <= tolerance * (1.0 + other.abs()), "{one} is not {other}");
        }
    }

    fn example() -> (Matrix, Matrix, Vec<Scaled>, Matrix, Stream) {
        let mut stream = Stream::new(7, "split layers");
        let (weights, directions) = (random(4, 9, &mut stream), orthonormal(5, 9, &mut stream));
        let scaled = vec![
            Scaled { task: 0, columns: vec![0, 3], scale: random(2, 2, &mut stream) },
            Scaled { task: 1, columns: vec![1, 3, 4], scale: random(3, 3, &mut stream) },
        ];
        let inputs = random(6, 9, &mut stream);
        (weights, directions, scaled, inputs, stream)
    }

    #[test]
    fn outputs_are_those_of_the_effective_weights() {
        let (weights, directions, scaled, inputs, _) = example();
        let split = Split::new(&weights, &directions, scaled.clone());
        near(&split.weights(), &weights, 1e-12);
        let expected = times_transposed(&inputs, &plain(&weights, &directions, &scaled));
        near(&split.forward(&inputs, split.coordinates(&inputs)).0, &expected, 1e-12);
        near(&effective(&weights, &directions, &scaled), &plain(&weights, &directions, &scaled), 1e-12);
    }

    #[test]
    fn gradients_are_differences() {
        let (weights, directions, scaled, inputs, mut stream) = example();
        let errors = random(6, 4, &mut stream);
        let value = |weights: &Matrix, scaled: &[Scaled], inputs: &Matrix| {
            let outputs = times_transposed(inputs, &plain(weights, &directions, scaled));
            outputs.values().iter().zip(errors.values()).map(|(one, other)| one * other).sum::<f64>()
        };
        // What v and e had in excess must not be seen.
        let mut split = Split::new(&weights, &directions, scaled.clone());
        let excess = random(4, 5, &mut stream);
        add_times(&mut split.plain, 1.0, &excess, &directions);
        add(&mut split.excess, 1.0, &excess);
        near(&split.weights(), &weights, 1e-12);
        let (outputs, seen) = split.forward(&inputs, split.coordinates(&inputs));
        near(&outputs, &times_transposed(&inputs, &plain(&weights, &directions, &scaled)), 1e-12);
        let gradient = split.backward(&inputs, &seen, &errors, true);
        let of_weights = gradient.whole(&directions);
        assert!((gradient.square() - inner(&of_weights, &of_weights)).abs() < 1e-9 * gradient.square());
        // The sum is linear in each of them, so differences are exact.
        let difference = |changed: f64| changed - value(&weights, &scaled, &inputs);
        let mut found = Matrix::zeros(4, 9);
        for (row, column) in (0..4).flat_map(|row| (0..9).map(move |column| (row, column))) {
            let mut moved = weights.clone();
            moved[(row, column)] += 1.0;
            found[(row, column)] = difference(value(&moved, &scaled, &inputs));
        }
        near(&of_weights, &found, 1e-10);
        let mut found = Matrix::zeros(6, 9);
        for (row, column) in (0..6).flat_map(|row| (0..9).map(move |column| (row, column))) {
            let mut moved = inputs.clone();
            moved[(row, column)] += 1.0;
            found[(row, column)] = difference(value(&weights, &scaled, &moved));
        }
        near(&gradient.inputs.unwrap(), &found, 1e-10);
        for (place, of_scale) in gradient.scales.iter().enumerate() {
            let mut found = Matrix::zeros(of_scale.rows(), of_scale.columns());
            for (row, column) in
                (0..found.rows()).flat_map(|row| (0..of_scale.columns()).map(move |column| (row, column)))
            {
                let mut moved = scaled.clone();
                moved[place].scale[(row, column)] += 1.0;
                found[(row, column)] = difference(value(&weights, &moved, &inputs));
            }
            near(of_scale, &found, 1e-10);
        }
    }
}
