//! Small models trained in plain loops: softmax regression and a network with one hidden layer, by SGD with momentum or Adam.

use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};

/// What is learned: rows of features, each with a class.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// One row per example.
    pub(super) features: Matrix,
    /// The class of each.
    pub(super) classes: Vec<usize>,
    /// How many classes there are.
    pub(super) count: usize,
    /// Units of the hidden layer; 0 for softmax regression.
    pub(super) hidden: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Optimizer {
    /// Momentum 0.9.
    Sgd,
    /// Moments 0.9 and 0.95.
    Adam,
}

/// What is the same in all runs of a cell but the peak rate and the multipliers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Training<'a> {
    pub(super) task: &'a Task,
    pub(super) optimizer: Optimizer,
    pub(super) batch: usize,
    pub(super) seed: u64,
    /// Which order of the examples: runs of other orders differ in nothing else.
    pub(super) order: u64,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(super) struct Trained {
    /// Mean loss of all rows at the last point; infinite or NaN if the run diverged.
    pub(super) loss: f64,
    /// The norm of every gradient, l2 for SGD and l1 for Adam.
    pub(super) norms: Vec<f64>,
}

impl Training<'_> {
    /// One run of as many steps as there are multipliers of the peak rate.
    pub(super) fn run(&self, peak: f64, multipliers: &[f64]) -> Trained {
        let mut model = Model::new(self.task, &mut Stream::new(self.seed, "schedule study initial weights"));
        let mut order = Stream::new(self.seed, &format!("schedule study order {}", self.order));
        let mut state = State::new(self.optimizer, model.weights.len());
        let mut norms = Vec::with_capacity(multipliers.len());
        let mut queue = Vec::new();
        for multiplier in multipliers {
            if queue.len() < self.batch {
                queue = order.permutation(self.task.classes.len());
            }
            let batch = queue.split_off(queue.len() - self.batch);
            model.gradient(self.task, &batch);
            norms.push(state.norm(&model.gradient));
            state.step(&mut model, peak * multiplier);
        }
        Trained { loss: model.mean_loss(self.task), norms }
    }
}

/// Weights as one vector: for each layer, a row of weights and a bias per unit.
struct Model {
    weights: Vec<f64>,
    gradient: Vec<f64>,
    /// Units of the hidden layer and their derivatives, and scores of the classes.
    hidden: Vec<f64>,
    slopes: Vec<f64>,
    scores: Vec<f64>,
}

impl Model {
    /// Zero for softmax regression, normal with variance 1/inputs for a network.
    fn new(task: &Task, stream: &mut Stream) -> Self {
        let inputs = task.features.columns();
        let mut weights = Vec::new();
        let layers = match task.hidden {
            0 => vec![(inputs, task.count)],
            hidden => vec![(inputs, hidden), (hidden, task.count)],
        };
        for (from, to) in layers {
            let scale = if task.hidden == 0 { 0.0 } else { (from as f64).sqrt().recip() };
            for _ in 0..to {
                weights.extend((0..from).map(|_| scale * stream.normal()));
                weights.push(0.0);
            }
        }
        let gradient = vec![0.0; weights.len()];
        let (hidden, scores) = (vec![0.0; task.hidden], vec![0.0; task.count]);
        Self { weights, gradient, slopes: hidden.clone(), hidden, scores }
    }

    /// Fills the gradient of the mean loss of some rows.
    fn gradient(&mut self, task: &Task, rows: &[usize]) {
        self.gradient.fill(0.0);
        let share = 1.0 / rows.len() as f64;
        let first = task.hidden * (task.features.columns() + 1);
        for &row in rows {
            let input = task.features.row(row);
            self.loss(task, row);
            for (class, score) in self.scores.iter_mut().enumerate() {
                *score = share * (*score - f64::from(u8::from(class == task.classes[row])));
            }
            let (below, above) = self.gradient.split_at_mut(first);
            if task.hidden == 0 {
                backward(input, &self.scores, above);
                continue;
            }
            backward(&self.hidden, &self.scores, above);
            self.slopes.fill(0.0);
            for (line, score) in self.weights[first..].chunks_exact(task.hidden + 1).zip(&self.scores) {
                for (slope, weight) in self.slopes.iter_mut().zip(line) {
                    *slope += score * weight;
                }
            }
            for (slope, unit) in self.slopes.iter_mut().zip(&self.hidden) {
                *slope *= 1.0 - unit * unit;
            }
            backward(input, &self.slopes, below);
        }
    }

    /// The loss of a row; leaves the probabilities of the classes in `scores`.
    fn loss(&mut self, task: &Task, row: usize) -> f64 {
        let input = task.features.row(row);
        let (below, above) = self.weights.split_at(task.hidden * (input.len() + 1));
        if task.hidden == 0 {
            forward(input, above, &mut self.scores);
        } else {
            forward(input, below, &mut self.hidden);
            self.hidden.iter_mut().for_each(|unit| *unit = unit.tanh());
            forward(&self.hidden, above, &mut self.scores);
        }
        let most = self.scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let own = self.scores[task.classes[row]];
        let mut sum = 0.0;
        for score in &mut self.scores {
            *score = (*score - most).exp();
            sum += *score;
        }
        self.scores.iter_mut().for_each(|score| *score /= sum);
        sum.ln() + most - own
    }

    fn mean_loss(&mut self, task: &Task) -> f64 {
        let rows = task.classes.len();
        (0..rows).map(|row| self.loss(task, row)).sum::<f64>() / rows as f64
    }
}

fn forward(input: &[f64], layer: &[f64], output: &mut [f64]) {
    for (line, unit) in layer.chunks_exact(input.len() + 1).zip(output) {
        *unit = line[input.len()] + line.iter().zip(input).map(|(weight, value)| weight * value).sum::<f64>();
    }
}

fn backward(input: &[f64], slopes: &[f64], layer: &mut [f64]) {
    for (line, slope) in layer.chunks_exact_mut(input.len() + 1).zip(slopes) {
        for (sum, value) in line.iter_mut().zip(input) {
            *sum += slope * value;
        }
        line[input.len()] += slope;
    }
}

/// What an optimizer remembers.
struct State {
    optimizer: Optimizer,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl State {
    fn new(optimizer: Optimizer, length: usize) -> Self {
        Self { optimizer, first: vec![0.0; length], second: vec![0.0; length], steps: 0 }
    }

    fn norm(&self, gradient: &[f64]) -> f64 {
        match self.optimizer {
            Optimizer::Sgd => gradient.iter().map(|value| value * value).sum::<f64>().sqrt(),
            Optimizer::Adam => gradient.iter().map(|value| value.abs()).sum(),
        }
    }

    fn step(&mut self, model: &mut Model, rate: f64) {
        const MOMENTUM: f64 = 0.9;
        const SECOND: f64 = 0.95;
        self.steps += 1;
        let moments = self.first.iter_mut().zip(&mut self.second);
        let all = model.weights.iter_mut().zip(&model.gradient).zip(moments);
        match self.optimizer {
            Optimizer::Sgd => {
                for ((weight, slope), (first, _)) in all {
                    *first = MOMENTUM * *first + slope;
                    *weight -= rate * *first;
                }
            }
            Optimizer::Adam => {
                let one = 1.0 - MOMENTUM.powi(self.steps);
                let two = 1.0 - SECOND.powi(self.steps);
                for ((weight, slope), (first, second)) in all {
                    *first = MOMENTUM * *first + (1.0 - MOMENTUM) * slope;
                    *second = SECOND * *second + (1.0 - SECOND) * slope * slope;
                    *weight -= rate * (*first / one) / ((*second / two).sqrt() + 1e-8);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(hidden: usize) -> Task {
        let mut stream = Stream::new(1, "task");
        let features = Matrix::from_fn(40, 3, |_, _| stream.normal());
        let classes = (0..40)
            .map(|row| usize::from(features[(row, 0)] > 0.3) + usize::from(features[(row, 1)] > 0.0))
            .collect();
        Task { features, classes, count: 3, hidden }
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        for hidden in [0, 4] {
            let task = task(hidden);
            let mut stream = Stream::new(2, "weights");
            let mut model = Model::new(&task, &mut stream);
            model.weights.iter_mut().for_each(|weight| *weight = 0.5 * stream.normal());
            let rows: Vec<usize> = (0..40).collect();
            model.gradient(&task, &rows);
            let gradient = model.gradient.clone();
            for (place, slope) in gradient.iter().enumerate() {
                let mut at = |change: f64| {
                    model.weights[place] += change;
                    let loss = model.mean_loss(&task);
                    model.weights[place] -= change;
                    loss
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - difference).abs() < 1e-8, "{hidden} {place}: {slope} {difference}");
            }
        }
    }

    #[test]
    fn both_optimizers_learn_and_runs_repeat() {
        let task = task(4);
        for (optimizer, rate) in [(Optimizer::Sgd, 0.05), (Optimizer::Adam, 0.02)] {
            let training = Training { task: &task, optimizer, batch: 8, seed: 3, order: 0 };
            let run = |steps: usize| training.run(rate, &vec![1.0; steps]);
            assert!(run(400).loss < 0.5 * run(1).loss, "{optimizer:?}: {} {}", run(400).loss, run(1).loss);
            assert_eq!(run(50).norms, run(50).norms);
            let other = Training { order: 1, ..training };
            assert_ne!(run(50).loss, other.run(rate, &[1.0; 50]).loss);
        }
    }
}
