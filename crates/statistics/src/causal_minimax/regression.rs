//! Fitting one column by others: structural equations, the predictor and plain baselines share it.

use backstitch_numerics::{Matrix, Stream};

use super::network::Network;
use super::parameters::{Form, Parameters};
use super::solve::solve;
use crate::minimise::minimise;

/// Fits `target` by the columns `inputs` of a standardised table: squared error by half its mean, plus the penalty.
pub(crate) fn fit(
    table: &Matrix,
    inputs: &[usize],
    target: usize,
    units: usize,
    parameters: &Parameters,
    stream: &mut Stream,
) -> Network {
    let gathered = gather(table, inputs);
    let targets: Vec<f64> = table.column(target).collect();
    if parameters.form == Form::Linear || inputs.is_empty() {
        return linear(&gathered, &targets, parameters.decay);
    }
    let mut best: Option<(f64, Vec<f64>)> = None;
    for _ in 0..parameters.fit_starts {
        let mut network = Network::random(inputs.len(), units, stream);
        let mut activations = vec![0.0; units];
        let mut unused = vec![0.0; inputs.len()];
        let start = network.parameters.clone();
        let mut objective = |point: &[f64], gradient: &mut [f64]| {
            network.parameters.copy_from_slice(point);
            let share = 1.0 / targets.len() as f64;
            let mut value = 0.0;
            for (row, &target) in targets.iter().enumerate() {
                let x = gathered.row(row);
                let error = network.forward(x, &mut activations) - target;
                value += 0.5 * share * error * error;
                network.backward(x, &activations, share * error, Some(gradient), &mut unused);
            }
            for (place, (slot, &parameter)) in gradient.iter_mut().zip(point).enumerate() {
                if network.is_weight(place) {
                    value += 0.5 * parameters.decay * parameter * parameter;
                    *slot += parameters.decay * parameter;
                }
            }
            value
        };
        let end = minimise(start, parameters.fit_iterations, &mut objective);
        let value = objective(&end, &mut vec![0.0; end.len()]);
        if best.as_ref().is_none_or(|(least, _)| value < *least) {
            best = Some((value, end));
        }
    }
    let mut network = Network::zeros(inputs.len(), units);
    if let Some((_, parameters)) = best {
        network.parameters = parameters;
    }
    network
}

/// The columns `inputs` of a table, row after row.
pub(crate) fn gather(table: &Matrix, inputs: &[usize]) -> Matrix {
    Matrix::from_fn(table.rows(), inputs.len(), |row, place| table[(row, inputs[place])])
}

/// Ridge regression with an intercept that is not penalised.
fn linear(x: &Matrix, y: &[f64], decay: f64) -> Network {
    let (rows, columns) = (x.rows() as f64, x.columns());
    let means: Vec<f64> = (0..columns).map(|column| x.column(column).sum::<f64>() / rows).collect();
    let mean = y.iter().sum::<f64>() / rows;
    let (mut a, mut b) = (vec![0.0; columns * columns], vec![0.0; columns]);
    for (row, &target) in y.iter().enumerate() {
        let values = x.row(row);
        for i in 0..columns {
            let deviation = (values[i] - means[i]) / rows;
            b[i] += deviation * (target - mean);
            for j in 0..columns {
                a[i * columns + j] += deviation * (values[j] - means[j]);
            }
        }
    }
    for i in 0..columns {
        a[i * columns + i] += decay;
    }
    let weights = solve(a, b);
    let intercept = mean - weights.iter().zip(&means).map(|(weight, mean)| weight * mean).sum::<f64>();
    let mut network = Network::zeros(columns, 0);
    network.parameters[0] = intercept;
    network.parameters[1..].copy_from_slice(&weights);
    network
}
