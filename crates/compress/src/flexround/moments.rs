//! What calibration rows say about a layer: second moments of its inputs.

use crate::rows::{add_transposed_times, times};
use crate::{Error, Rows};

/// Sums over calibration rows, from which the output error of any quantised weights follows, so that rows need not be kept.
///
/// With x the input of a layer in the full model, x̂ its input in the quantised one, and δ = x − x̂: Σ x̂ x̂', Σ δ x̂' and Σ δ δ'.
#[derive(Clone, Debug)]
pub struct Moments {
    rows: usize,
    gram: Rows,
    shift: Option<Box<Shift>>,
}

#[derive(Clone, Debug)]
struct Shift {
    cross: Rows,
    own: Rows,
}

impl Moments {
    /// Of no rows, for a layer of so many inputs.
    pub fn new(inputs: usize) -> Self {
        Self { rows: 0, gram: Rows::zeros(inputs, inputs), shift: None }
    }

    /// Adds rows of inputs that are the same in both models: rows × inputs.
    ///
    /// # Errors
    /// [`Error::Calibration`] for rows of another length, or with numbers that are not finite.
    pub fn add(&mut self, inputs: &Rows) -> Result<(), Error> {
        self.check(inputs)?;
        add_transposed_times(&mut self.gram, inputs, inputs);
        self.rows += inputs.rows();
        Ok(())
    }

    /// Adds rows of inputs of the full model and of the quantised one.
    ///
    /// # Errors
    /// As [`Self::add`], and for different numbers of rows.
    pub fn add_pair(&mut self, full: &Rows, quantised: &Rows) -> Result<(), Error> {
        if full == quantised {
            return self.add(full);
        }
        self.check(full)?;
        self.check(quantised)?;
        if full.rows() != quantised.rows() {
            return Err(Error::Calibration {
                problem: format!(
                    "{} rows of the full model for {} of the quantised",
                    full.rows(),
                    quantised.rows()
                ),
                way_out: "give the same rows of both",
            });
        }
        let mut apart = full.clone();
        apart.values_mut().iter_mut().zip(quantised.values()).for_each(|(own, other)| *own -= other);
        let inputs = self.gram.columns();
        let shift = self.shift.get_or_insert_with(|| {
            Box::new(Shift { cross: Rows::zeros(inputs, inputs), own: Rows::zeros(inputs, inputs) })
        });
        add_transposed_times(&mut self.gram, quantised, quantised);
        add_transposed_times(&mut shift.cross, &apart, quantised);
        add_transposed_times(&mut shift.own, &apart, &apart);
        self.rows += full.rows();
        Ok(())
    }

    /// Rows seen.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of the layer.
    pub fn inputs(&self) -> usize {
        self.gram.columns()
    }

    fn check(&self, rows: &Rows) -> Result<(), Error> {
        if rows.columns() != self.inputs() {
            return Err(Error::Calibration {
                problem: format!("rows of {} inputs for a layer of {}", rows.columns(), self.inputs()),
                way_out: "give what the layer takes",
            });
        }
        match rows.first_not_finite() {
            None => Ok(()),
            Some((row, column, value)) => Err(Error::Calibration {
                problem: format!("input {} of row {} is {value}", column + 1, row + 1),
                way_out: "remove the row, or find out why the network gives it",
            }),
        }
    }

    /// Σ x̂ x̂'.
    pub(super) fn gram(&self) -> &Rows {
        &self.gram
    }

    /// W · Σ x x̂': what Ŵ · Σ x̂ x̂' should be.
    pub(super) fn target(&self, weights: &Rows) -> Rows {
        let mut found = times(weights, &self.gram);
        if let Some(shift) = &self.shift {
            let part = times(weights, &shift.cross);
            found.values_mut().iter_mut().zip(part.values()).for_each(|(sum, value)| *sum += value);
        }
        found
    }

    /// The mean squared error of outputs of quantised weights on these rows, as a share of the outputs' mean square; 0 where that is 0.
    ///
    /// # Panics
    /// If the two have other shapes than outputs × [`Self::inputs`].
    pub fn relative_error(&self, weights: &Rows, quantised: &Rows) -> f64 {
        assert_eq!((weights.rows(), weights.columns()), (quantised.rows(), quantised.columns()), "shapes");
        assert_eq!(weights.columns(), self.inputs(), "inputs");
        let (error, signal) = self.errors(weights, quantised);
        if signal > 0.0 { error / signal } else { 0.0 }
    }

    /// Mean over rows of |W x − Ŵ x̂|², and of |W x|².
    pub(super) fn errors(&self, weights: &Rows, quantised: &Rows) -> (f64, f64) {
        let mut apart = weights.clone();
        apart.values_mut().iter_mut().zip(quantised.values()).for_each(|(own, other)| *own -= other);
        // W x − Ŵ x̂ = (W − Ŵ) x̂ + W δ.
        let mut error = inner(&times(&apart, &self.gram), &apart);
        let mut signal = inner(&times(weights, &self.gram), weights);
        if let Some(shift) = &self.shift {
            let own = inner(&times(weights, &shift.own), weights);
            error += 2.0 * inner(&times(weights, &shift.cross), &apart) + own;
            signal += 2.0 * inner(&times(weights, &shift.cross), weights) + own;
        }
        let count = self.rows.max(1) as f64;
        (error.max(0.0) / count, signal.max(0.0) / count)
    }
}

fn inner(left: &Rows, right: &Rows) -> f64 {
    left.values().iter().zip(right.values()).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
}

/// Mean over rows of the squared distance of outputs, computed from the rows themselves, and of the outputs' own squares.
pub(super) fn plain_errors(outputs: &Rows, wanted: &Rows) -> (f64, f64) {
    let pairs = outputs.values().iter().zip(wanted.values());
    let error: f64 = pairs.map(|(own, wanted)| (f64::from(*own) - f64::from(*wanted)).powi(2)).sum();
    let signal: f64 = wanted.values().iter().map(|value| f64::from(*value).powi(2)).sum();
    let count = wanted.rows().max(1) as f64;
    (error / count, signal / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::times_transposed;
    use backstitch_numerics::Stream;

    #[test]
    fn moments_give_the_errors_of_the_rows() {
        let mut stream = Stream::new(0, "moments");
        let mut drawn =
            |rows, columns, scale: f64| Rows::from_fn(rows, columns, |_, _| (scale * stream.normal()) as f32);
        let (full, noise) = (drawn(50, 6, 1.0), drawn(50, 6, 0.1));
        let quantised = Rows::from_fn(50, 6, |row, column| full.row(row)[column] + noise.row(row)[column]);
        let (weights, rounded) = (drawn(4, 6, 1.0), drawn(4, 6, 1.0));
        let mut moments = Moments::new(6);
        moments.add_pair(&full.part(0, 20), &quantised.part(0, 20)).unwrap();
        moments.add_pair(&full.part(20, 30), &quantised.part(20, 30)).unwrap();
        let (error, signal) = moments.errors(&weights, &rounded);
        let (outputs, wanted) = (times_transposed(&quantised, &rounded), times_transposed(&full, &weights));
        let (plain_error, plain_signal) = plain_errors(&outputs, &wanted);
        assert!((error / plain_error - 1.0).abs() < 1e-5 && (signal / plain_signal - 1.0).abs() < 1e-5);
        assert!(moments.add(&drawn(3, 5, 1.0)).is_err());
        let bad = Rows::from_fn(2, 6, |_, column| if column == 3 { f32::NAN } else { 0.0 });
        assert!(moments.add(&bad).unwrap_err().to_string().contains("input 4 of row 1 is NaN"));
    }
}
