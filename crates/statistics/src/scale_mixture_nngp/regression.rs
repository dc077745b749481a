//! The entry point of regression: checks, standardisation, the search, the model.

use backstitch_numerics::{Matrix, Stream};

use super::evidence::search;
use super::inducing::rows;
use super::model::{Model, finite, of, standardise};
use super::parameters::Parameters;
use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct ScaleMixtureNngp {
    parameters: Parameters,
}

/// Rows on which the search runs where inducing points are used: enough for a handful of hyper-parameters.
const SEARCH_ROWS: usize = 1000;

impl ScaleMixtureNngp {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Standardises, searches hyper-parameters of largest evidence, and keeps what predictions need. `x` is n × d, `y` has n values.
    ///
    /// # Errors
    /// See the module.
    pub fn fit(&self, x: &Matrix, y: &[f64]) -> Result<Model, Error> {
        let parameters = &self.parameters;
        let n = x.rows();
        if x.columns() == 0 {
            return Err(Error::NoColumns);
        }
        if n < 2 {
            return Err(Error::OneRow { rows: n });
        }
        if y.len() != n {
            return Err(Error::Shape { what: "the target", found: (y.len(), 1), expected: (n, 1) });
        }
        parameters.architecture.fits(n, x.columns())?;
        finite(x)?;
        if let Some((row, &value)) = y.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(Error::NotFinite { row, column: x.columns(), value });
        }
        if parameters.inducing.is_none() && n > parameters.exact_rows {
            // The kernel, its factor and its inverse's root.
            let bytes = n.saturating_mul(n).saturating_mul(24);
            return Err(Error::TooManyRows { rows: n, limit: parameters.exact_rows, bytes });
        }
        let target = of(y);
        if !(target.mean.is_finite() && target.deviation.is_finite()) {
            let value = y.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            return Err(Error::TooLarge { column: x.columns(), value });
        }
        if y.iter().all(|&value| value == y[0]) {
            return Err(Error::ConstantTarget { value: y[0] });
        }
        let inputs = standardise(x)?;
        let mut which: Vec<usize> = (0..n).collect();
        if parameters.inducing.is_some() && n > SEARCH_ROWS {
            which = Stream::new(parameters.seed, "scale-mixture-nngp search rows").permutation(n);
            which.truncate(SEARCH_ROWS);
            which.sort_unstable();
        }
        let chosen = if parameters.iterations == 0 {
            (parameters.initial, parameters.prior)
        } else {
            let some = rows(x, &which);
            let some = Matrix::from_fn(some.rows(), some.columns(), |row, column| {
                (some[(row, column)] - inputs[column].mean) / inputs[column].deviation
            });
            let targets: Vec<f64> =
                which.iter().map(|&row| (y[row] - target.mean) / target.deviation).collect();
            search(parameters, &some, &targets)?
        };
        Model::fitted(parameters, x, y, (inputs, target), chosen)
    }
}
