//! How a task relates to earlier ones in a layer, and what its updates may touch there.

use backstitch_numerics::Matrix;
use serde::{Deserialize, Serialize};

use super::layer::{Gradient, Split, split};
use super::parameters::{Parameters, Strategy};
use super::products::inner;

/// How an earlier task counts in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Its directions stay as they are (regime 1).
    Apart,
    /// Its directions stay as they are, and what lies in them is reused through scales (regime 2).
    Reused,
    /// What lies in its directions is reused through scales and may be updated (regime 3).
    Updated,
}

/// How a task relates to an earlier one in a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The earlier task, counted from 0.
    pub task: usize,
    /// Share of the first gradient's length in the directions of the earlier task.
    pub share: f64,
    /// Cosine between the first gradient and that of the earlier task at its end; 0 where one of them vanishes.
    pub cosine: f64,
    /// What that makes it.
    pub kind: Kind,
    /// The step, counted from 1, at which an updated task became a reused one because gradients pointed apart.
    pub demoted: Option<usize>,
    /// Of an updated task: how many of its directions no other task protects.
    pub free: usize,
}

/// What an earlier task left in a layer.
#[derive(Clone, Copy)]
pub(super) struct Earlier<'a> {
    pub(super) columns: &'a [usize],
    /// Outputs × inputs.
    pub(super) gradient: &'a Matrix,
}

/// Keeps the updates of a layer away from what earlier tasks use.
pub(super) struct Guard {
    pub(super) relations: Vec<Relation>,
    /// Whether updates leave a direction alone.
    protected: Vec<bool>,
    /// The tasks that may be updated.
    open: Vec<Open>,
    /// w_c at the start.
    start: Matrix,
}

struct Open {
    relation: usize,
    columns: Vec<usize>,
    /// The earlier task's gradient, split as the layer is.
    outside: Matrix,
    inside: Matrix,
    norm: f64,
}

impl Guard {
    /// For a layer without scales, and the first gradient of the task there.
    pub(super) fn new(
        parameters: &Parameters,
        layer: &Split,
        first: &Gradient,
        earlier: &[Earlier<'_>],
    ) -> Self {
        let norm = first.square().sqrt();
        let mut relations: Vec<Relation> = earlier
            .iter()
            .enumerate()
            .map(|(task, own)| {
                let along: f64 = own.columns.iter().map(|&column| square(first.inside.column(column))).sum();
                let (outside, inside) = split(own.gradient, &layer.directions);
                let of_earlier = square(own.gradient.values().iter().copied()).sqrt();
                let product = inner(&outside, &first.plain) + inner(&inside, &first.inside);
                let cosine = if norm * of_earlier > 0.0 { product / (norm * of_earlier) } else { 0.0 };
                let share = if norm > 0.0 { along.sqrt() / norm } else { 0.0 };
                Relation { task, share, cosine, kind: Kind::Apart, demoted: None, free: 0 }
            })
            .collect();
        if matches!(parameters.strategy, Strategy::Cuber | Strategy::Trgp) && norm > 0.0 {
            let mut order: Vec<usize> = (0..relations.len()).collect();
            order.sort_by(|one, other| relations[*other].share.total_cmp(&relations[*one].share));
            for &place in order.iter().take(parameters.related) {
                let vanishes = square(earlier[place].gradient.values().iter().copied()) == 0.0;
                let own = &mut relations[place];
                if own.share >= parameters.sufficient {
                    let updated = parameters.strategy == Strategy::Cuber
                        && !vanishes
                        && own.cosine >= parameters.positive;
                    own.kind = if updated { Kind::Updated } else { Kind::Reused };
                }
            }
        }
        let mut protected = vec![false; layer.directions.rows()];
        for (relation, own) in relations.iter().zip(earlier) {
            if relation.kind != Kind::Updated {
                own.columns.iter().for_each(|&column| protected[column] = true);
            }
        }
        let mut open = Vec::new();
        for (place, (relation, own)) in relations.iter_mut().zip(earlier).enumerate() {
            if relation.kind == Kind::Updated {
                relation.free = own.columns.iter().filter(|&&column| !protected[column]).count();
                let (outside, inside) = split(own.gradient, &layer.directions);
                let norm = square(own.gradient.values().iter().copied()).sqrt();
                open.push(Open { relation: place, columns: own.columns.to_vec(), outside, inside, norm });
            }
        }
        Self { relations, protected, open, start: layer.inside.clone() }
    }

    /// The earlier tasks whose weights are reused through scales, with their directions.
    pub(super) fn reused<'a>(&self, earlier: &[Earlier<'a>]) -> Vec<(usize, &'a [usize])> {
        let related = self.relations.iter().filter(|relation| relation.kind != Kind::Apart);
        related.map(|relation| (relation.task, earlier[relation.task].columns)).collect()
    }

    /// Turns a gradient into an update that leaves alone what is protected.
    pub(super) fn restrain(&mut self, parameters: &Parameters, step: usize, gradient: &mut Gradient) {
        if !self.open.is_empty() {
            let norm = gradient.square().sqrt();
            let (relations, protected) = (&mut self.relations, &mut self.protected);
            self.open.retain(|own| {
                let product = inner(&own.outside, &gradient.plain) + inner(&own.inside, &gradient.inside);
                let keeps = product >= parameters.positive * own.norm * norm;
                if !keeps {
                    relations[own.relation].demoted = Some(step);
                    own.columns.iter().for_each(|&column| protected[column] = true);
                }
                keeps
            });
        }
        if self.protected.contains(&true) {
            for row in 0..gradient.inside.rows() {
                for (value, protected) in gradient.inside.row_mut(row).iter_mut().zip(&self.protected) {
                    if *protected {
                        *value = 0.0;
                    }
                }
            }
        }
    }

    /// After a step: takes the price of updates off what moved, by its proximal step. What moved less than that is back at its start.
    pub(super) fn shrink(&self, parameters: &Parameters, layer: &mut Split) {
        for own in &self.open {
            let free: Vec<usize> =
                own.columns.iter().copied().filter(|&column| !self.protected[column]).collect();
            let mut moved = 0.0;
            for row in 0..self.start.rows() {
                let (now, start) = (layer.inside.row(row), self.start.row(row));
                moved += square(free.iter().map(|&column| now[column] - start[column]));
            }
            let (moved, price) = (moved.sqrt(), parameters.rate * parameters.penalty);
            let kept = if moved > price { 1.0 - price / moved } else { 0.0 };
            for row in 0..self.start.rows() {
                let (now, start) = (layer.inside.row_mut(row), self.start.row(row));
                for &column in &free {
                    now[column] = start[column] + kept * (now[column] - start[column]);
                }
            }
        }
    }
}

fn square(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum()
}
