//! Elastic weight consolidation: what moving each weight away from where a task left it costs.

use backstitch_numerics::Matrix;

use super::layer::{Gradient, Split};
use super::network::Network;
use super::products::{add, transposed_times};
use super::task::Task;

/// Rows of a pass over a task.
const PIECE: usize = 500;

/// Sums over tasks, for every layer they share: of the diagonals of the Fisher information, and of those times the weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Elastic {
    pub(super) importance: Vec<Matrix>,
    pub(super) anchored: Vec<Matrix>,
}

impl Elastic {
    pub(super) fn new(weights: &[Matrix]) -> Self {
        let zeros: Vec<Matrix> =
            weights.iter().map(|weights| Matrix::zeros(weights.rows(), weights.columns())).collect();
        Self { importance: zeros.clone(), anchored: zeros }
    }

    /// Adds the gradient of `elasticity / 2 · Σ_tasks F (w − w_task)²`.
    pub(super) fn pull(&self, elasticity: f64, layers: &[Split], gradients: &mut [Gradient]) {
        for (((importance, anchored), layer), gradient) in
            self.importance.iter().zip(&self.anchored).zip(layers).zip(gradients)
        {
            let parts = importance.values().iter().zip(anchored.values()).zip(layer.plain.values());
            for (target, ((importance, anchored), weight)) in
                gradient.plain.values_mut().iter_mut().zip(parts)
            {
                *target += elasticity * (importance * weight - anchored);
            }
        }
    }

    /// Adds a task: mean squares of the gradient of every row's own loss, at the weights where the task ended.
    pub(super) fn anchor(&mut self, task: &Task, network: &Network) {
        let all: Vec<usize> = (0..task.labels().len()).collect();
        let squares = |matrix: &Matrix| {
            let mut squares = matrix.clone();
            squares.values_mut().iter_mut().for_each(|value| *value *= *value);
            squares
        };
        for rows in all.chunks(PIECE) {
            let (inputs, labels) = task.rows(rows);
            let (mut outputs, tape) = network.forward(network.first_inputs(inputs), None);
            super::network::cross_entropy(&mut outputs, &labels);
            // Errors of single rows, not of their mean.
            outputs.values_mut().iter_mut().for_each(|value| *value *= rows.len() as f64);
            let (_, errors) = network.backward(&tape, outputs);
            for (place, importance) in self.importance.iter_mut().enumerate() {
                // A row's gradient is an outer product, and so is its square.
                let found = transposed_times(&squares(&errors[place]), &squares(&tape.inputs[place]));
                add(importance, 1.0 / all.len() as f64, &found);
                for ((anchored, found), weight) in self.anchored[place]
                    .values_mut()
                    .iter_mut()
                    .zip(found.values())
                    .zip(network.layers[place].plain.values())
                {
                    *anchored += found / all.len() as f64 * weight;
                }
            }
        }
    }
}
