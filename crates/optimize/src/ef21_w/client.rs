//! A client: one objective, what it has told the server so far, and its answer to a new point.

use backstitch_numerics::Stream;

use super::compressor::{Compressed, Compressor};
use super::parameters::{Algorithm, Initial, Parameters};
use crate::objective::Objective;

/// The state of one client.
pub(super) struct Client<'a, O> {
    objective: &'a O,
    /// What its gradient is multiplied with before it is compared with the estimate: 1/(n w_i) in EF21-W, else 1.
    factor: f64,
    /// What its messages are multiplied with when they are added up: w_i in EF21-W, else 1/n.
    share: f64,
    /// The estimate g_i that the server has too; with EF14 what was left out so far, e_i.
    estimate: Vec<f64>,
    /// The gradient at the last point, if it took part and used all rows.
    gradient: Vec<f64>,
    /// Room for what is compressed.
    difference: Vec<f64>,
    order: Vec<u32>,
    rows: Vec<usize>,
    participation: Stream,
    batches: Stream,
    draws: Stream,
}

/// What the rounds have in common for all clients.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) compressor: Compressor,
    pub(super) step: f64,
}

impl<'a, O: Objective> Client<'a, O> {
    /// Client `number` of all.
    pub(super) fn new(objective: &'a O, number: usize, factor: f64, share: f64, seed: u64) -> Self {
        let dimension = objective.dimension();
        let stream = |purpose: &str| Stream::new(seed, &format!("ef21-w client {number} {purpose}"));
        Self {
            objective,
            factor,
            share,
            estimate: vec![0.0; dimension],
            gradient: vec![0.0; dimension],
            difference: vec![0.0; dimension],
            order: Vec::new(),
            rows: Vec::new(),
            participation: stream("participation"),
            batches: stream("batches"),
            draws: stream("compressor"),
        }
    }

    /// What its messages are multiplied with.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// The gradient at the last point; see [`Rules::measures`].
    pub(super) fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// The exact gradient at a point, kept as [`Self::gradient`].
    pub(super) fn measure(&mut self, point: &[f64]) {
        self.objective.gradient(point, &mut self.gradient);
    }

    /// The value at a point.
    pub(super) fn value(&self, point: &[f64]) -> f64 {
        self.objective.value(point)
    }

    /// The first message; the first gradient has been measured.
    pub(super) fn begin(&mut self, rules: Rules<'_>) -> Option<Compressed> {
        match rules.parameters.algorithm {
            Algorithm::Ef21 | Algorithm::Ef21W | Algorithm::GradientDescent => {
                for (entry, slope) in self.difference.iter_mut().zip(&self.gradient) {
                    *entry = self.factor * slope;
                }
                let message = match rules.parameters.initial {
                    Initial::Exact => Compressed::Dense(self.difference.clone()),
                    Initial::Compressed => {
                        rules.compressor.compress(&self.difference, &mut self.draws, &mut self.order)
                    }
                };
                message.add_to(1.0, &mut self.estimate);
                Some(message)
            }
            // They start from nothing and answer the first point as any other.
            Algorithm::Ef14 | Algorithm::Dcgd => self.answer_measured(rules),
        }
    }

    /// `‖g_i − ∇f_i/(n w_i)‖²` at the point of the last measured gradient.
    pub(super) fn squared_error(&self) -> f64 {
        let pairs = self.estimate.iter().zip(&self.gradient);
        pairs.map(|(estimate, slope)| (estimate - self.factor * slope).powi(2)).sum()
    }

    /// The answer to a new point; nothing from a client that does not take part.
    pub(super) fn answer(&mut self, rules: Rules<'_>, point: &[f64]) -> Option<Compressed> {
        let parameters = rules.parameters;
        if parameters.participation < 1.0 && self.participation.uniform() >= parameters.participation {
            return None;
        }
        let all = self.objective.samples();
        match parameters.batch.filter(|batch| *batch < all) {
            None => self.objective.gradient(point, &mut self.gradient),
            Some(batch) => {
                if self.rows.is_empty() {
                    self.rows.extend(0..all);
                }
                for place in 0..batch {
                    let other = place + self.batches.below(all - place);
                    self.rows.swap(place, other);
                }
                self.objective.sample_gradient(point, &self.rows[..batch], &mut self.gradient);
            }
        }
        self.answer_measured(rules)
    }

    /// The answer from the gradient that was just computed.
    fn answer_measured(&mut self, rules: Rules<'_>) -> Option<Compressed> {
        let parts = self.difference.iter_mut().zip(&self.gradient).zip(&self.estimate);
        match rules.parameters.algorithm {
            Algorithm::Ef21 | Algorithm::Ef21W | Algorithm::GradientDescent => {
                for ((entry, slope), estimate) in parts {
                    *entry = self.factor * slope - estimate;
                }
                let message = rules.compressor.compress(&self.difference, &mut self.draws, &mut self.order);
                message.add_to(1.0, &mut self.estimate);
                Some(message)
            }
            Algorithm::Ef14 => {
                for ((entry, slope), memory) in parts {
                    *entry = rules.step * slope + memory;
                }
                let message = rules.compressor.compress(&self.difference, &mut self.draws, &mut self.order);
                self.estimate.copy_from_slice(&self.difference);
                message.add_to(-1.0, &mut self.estimate);
                Some(message)
            }
            Algorithm::Dcgd => {
                Some(rules.compressor.compress(&self.gradient, &mut self.draws, &mut self.order))
            }
        }
    }
}
