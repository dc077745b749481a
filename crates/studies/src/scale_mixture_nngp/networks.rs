//! Random networks of finite width beside the process of their limit.
//!
//! Networks are drawn layer by layer: given the activations H of a layer at some inputs, the units of the next one are independent
//! normals of covariance w² Hᵀ H / width + b². That is their distribution exactly, and needs no weights.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::special::beta_probability;
use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::scale_mixture_nngp::{Architecture, Hyperparameters, Kernel, Parameters, Prior};

use super::Configuration;

/// Inputs at which networks are looked at, and numbers per input.
const INPUTS: usize = 5;
const FEATURES: usize = 3;
/// Hidden layers.
const DEPTH: usize = 2;

type Square = [[f64; INPUTS]; INPUTS];

pub(super) fn run(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut stream = Stream::new(cell.seed, "scale-mixture-nngp networks");
    let x = Matrix::from_fn(INPUTS, FEATURES, |_, _| stream.normal());
    let hyperparameters = Hyperparameters { noise: 0.0, ..Hyperparameters::default() };
    let architecture = Architecture { depth: DEPTH, ..Parameters::default().architecture };
    let kernel = Kernel::new(architecture, &hyperparameters)
        .and_then(|kernel| kernel.matrix(&x))
        .map_err(CellError::new)?;
    let kernel: Square = std::array::from_fn(|row| std::array::from_fn(|column| kernel[(row, column)]));
    let factor = cholesky(kernel);
    let shape = configuration.shape;
    let prior = Prior::InverseGamma { shape, scale: shape };
    let mut probabilities: Vec<f64> = (0..configuration.networks)
        .map(|_| {
            let mut outputs = network(&x, &hyperparameters, configuration.width, &mut stream);
            let scale = prior.sample(&mut stream);
            for output in &mut outputs {
                *output *= match cell.arm.as_str() {
                    "fixed-scale" => 1.0,
                    "scale-per-output" => prior.sample(&mut stream).sqrt(),
                    _ => scale.sqrt(),
                };
            }
            // yᵀ K⁻¹ y / 5 has the F distribution with 5 and 2 shape degrees of freedom under the Student-t process.
            let square: f64 = solve(&factor, outputs).iter().map(|value| value * value).sum();
            beta_probability(square / (square + 2.0 * shape), 0.5 * INPUTS as f64, shape)
        })
        .collect();
    probabilities.sort_by(f64::total_cmp);
    let n = probabilities.len() as f64;
    let distance = probabilities.iter().enumerate().fold(0.0, |most: f64, (place, p)| {
        most.max((p - place as f64 / n).abs()).max(((place + 1) as f64 / n - p).abs())
    });
    context.observe("ks", n.sqrt() * distance);
    Ok(())
}

/// The outputs of a random network at a scale of 1.
fn network(x: &Matrix, hyper: &Hyperparameters, width: usize, stream: &mut Stream) -> [f64; INPUTS] {
    let (weight, bias) = (hyper.weight_std.powi(2), hyper.bias_std.powi(2));
    let mut covariance: Square = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let sum: f64 = x.row(row).iter().zip(x.row(column)).map(|(x, y)| x * y).sum();
            weight * sum / FEATURES as f64 + bias
        })
    });
    for layer in 1..=DEPTH {
        let factor = cholesky(covariance);
        let mut sums: Square = [[0.0; INPUTS]; INPUTS];
        for _ in 0..width {
            let unit = draw(&factor, stream).map(|value| value.max(0.0));
            for row in 0..INPUTS {
                for column in 0..INPUTS {
                    sums[row][column] += unit[row] * unit[column] / width as f64;
                }
            }
        }
        covariance = sums.map(|row| {
            row.map(
                |sum| {
                    if layer < DEPTH { weight * sum + bias } else { hyper.last_weight_std.powi(2) * sum }
                },
            )
        });
    }
    draw(&cholesky(covariance), stream)
}

fn draw(factor: &Square, stream: &mut Stream) -> [f64; INPUTS] {
    let normals: [f64; INPUTS] = std::array::from_fn(|_| stream.normal());
    std::array::from_fn(|row| (0..=row).map(|by| factor[row][by] * normals[by]).sum())
}

/// The lower factor; a direction without spread (a network in which hardly a unit is active) gets none.
fn cholesky(matrix: Square) -> Square {
    let mut factor = [[0.0; INPUTS]; INPUTS];
    for row in 0..INPUTS {
        for column in 0..=row {
            let sum: f64 = (0..column).map(|by| factor[row][by] * factor[column][by]).sum();
            let left = matrix[row][column] - sum;
            factor[row][column] = if row == column {
                left.max(0.0).sqrt()
            } else if factor[column][column] > 0.0 {
                left / factor[column][column]
            } else {
                0.0
            };
        }
    }
    factor
}

fn solve(factor: &Square, mut right: [f64; INPUTS]) -> [f64; INPUTS] {
    for row in 0..INPUTS {
        let sum: f64 = (0..row).map(|by| factor[row][by] * right[by]).sum();
        right[row] = (right[row] - sum) / factor[row][row];
    }
    right
}
