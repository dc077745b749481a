//! Branch and bound: undecided neurons are put on either side of their kink, and both halves are bounded anew.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::feasibility::{Answer, Inequalities};
use super::forward::{Decision, Effort, Forward, forward};
use super::jacobian::{RowBounds, row_bounds};
use super::{Network, Parameters, Region};
use crate::Error;

/// Regions that are split together. Fixed, so that results do not depend on the number of threads.
const BATCH: usize = 32;

/// A part of the region, for one output.
struct Part {
    output: usize,
    bound: f64,
    decisions: Vec<Decision>,
    /// The neuron to split next.
    next: (usize, usize),
    /// Parts are told apart by the order in which they were made.
    number: usize,
}

/// What became of a half.
enum Half {
    /// It has no point.
    Empty,
    /// Nothing is left to split.
    Closed {
        bound: f64,
        point: Option<Vec<f64>>,
    },
    Open {
        bound: f64,
        next: (usize, usize),
    },
}

/// What branch and bound found.
pub(super) struct Found {
    /// Upper bounds, one per output.
    pub(super) upper: Vec<f64>,
    /// Points whose Jacobian may be larger than what was sampled, with the output they were met for.
    pub(super) points: Vec<(usize, Vec<f64>)>,
    /// Regions that were bounded.
    pub(super) domains: usize,
}

/// Tightens the bounds of all outputs, the largest first, until the budget is spent or nothing is left to split. `lower` has values
/// that are reached, below which nothing needs to be split.
pub(super) fn branch(
    network: &Network,
    region: &Region,
    parameters: &Parameters,
    root: &Forward,
    rows: &[RowBounds],
    lower: &[f64],
) -> Result<Found, Error> {
    let deadline = parameters.seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let mut lower = lower.to_vec();
    let mut closed = vec![0.0_f64; rows.len()];
    let mut open = BinaryHeap::new();
    let mut number = 0;
    for (output, row) in rows.iter().enumerate() {
        match widest(root, &row.scores) {
            Some(next) => {
                open.push(Part { output, bound: row.norm, decisions: Vec::new(), next, number });
                number += 1;
            }
            None => closed[output] = row.norm,
        }
    }
    let (mut domains, mut points) = (0, Vec::new());
    while domains + 2 <= parameters.domains && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let room = BATCH.min((parameters.domains - domains) / 2);
        let mut batch: Vec<Part> = Vec::with_capacity(room);
        while batch.len() < room {
            let Some(part) = open.pop() else { break };
            if part.bound > lower[part.output] {
                batch.push(part);
            }
        }
        if batch.is_empty() {
            break;
        }
        let halves: Vec<[Result<Half, Error>; 2]> = batch
            .par_iter()
            .map(|part| [false, true].map(|on| half(network, region, parameters, root, part, on)))
            .collect();
        for (part, halves) in batch.into_iter().zip(halves) {
            for (half, on) in halves.into_iter().zip([false, true]) {
                domains += 1;
                match half? {
                    Half::Empty => {}
                    Half::Closed { bound, point } => {
                        closed[part.output] = closed[part.output].max(bound.min(part.bound));
                        if let Some(point) = point {
                            let row = network.slopes_at(&point, Some(part.output));
                            let norm: f64 = row.row(0).iter().map(|entry| entry.abs()).sum();
                            if norm > lower[part.output] {
                                lower[part.output] = norm;
                                points.push((part.output, point));
                            }
                        }
                    }
                    Half::Open { bound, next } => {
                        let mut decisions = part.decisions.clone();
                        decisions.push((part.next.0, part.next.1, on));
                        let bound = bound.min(part.bound);
                        open.push(Part { output: part.output, bound, decisions, next, number });
                        number += 1;
                    }
                }
            }
        }
    }
    let mut upper = closed;
    for part in open {
        upper[part.output] = upper[part.output].max(part.bound);
    }
    // Parts that were left out because a point reaches more.
    upper.iter_mut().zip(&lower).for_each(|(upper, lower)| *upper = upper.max(*lower));
    upper.iter_mut().zip(rows).for_each(|(upper, row)| *upper = upper.min(row.norm));
    Ok(Found { upper, points, domains })
}

/// Bounds one half of a part. Its decisions are all that a part keeps: bounds of its neurons would take much more room.
fn half(
    network: &Network,
    region: &Region,
    parameters: &Parameters,
    root: &Forward,
    part: &Part,
    on: bool,
) -> Result<Half, Error> {
    let mut decisions = part.decisions.clone();
    decisions.push((part.next.0, part.next.1, on));
    let ends = (region.lower(), region.upper());
    let effort = Effort { lines: true, tighten: parameters.tighten, descent: None };
    let Some(bounded) = forward(network, ends, effort, Some(&root.bounds), &decisions)? else {
        return Ok(Half::Empty);
    };
    let answer = Inequalities::of(network, ends, &decisions, &sides(network, &bounded, &decisions))
        .solve(region.lower(), region.upper());
    let point = match answer {
        Answer::Empty => return Ok(Half::Empty),
        Answer::Point(point) => Some(point),
        Answer::Unknown => None,
    };
    let row = row_bounds(&bounded, part.output, parameters.relaxation, parameters.tighten, true)?;
    let bound = row.norm;
    Ok(match widest(&bounded, &row.scores) {
        Some(next) => Half::Open { bound, next },
        None => Half::Closed { bound, point },
    })
}

/// On which side of its kink each neuron is, where that is known.
fn sides(network: &Network, forward: &Forward, decisions: &[Decision]) -> Vec<Vec<Option<bool>>> {
    let mut sides: Vec<Vec<Option<bool>>> = forward
        .bounds
        .iter()
        .zip(&network.stages)
        .map(|((low, high), stage)| {
            let side = |neuron: usize| match stage.activations[neuron].has_kink() {
                true if low[neuron] > 0.0 => Some(true),
                true if high[neuron] < 0.0 => Some(false),
                _ => None,
            };
            (0..low.len()).map(side).collect()
        })
        .collect();
    for &(stage, neuron, on) in decisions {
        sides[stage][neuron] = Some(on);
    }
    sides
}

/// The undecided neuron with the largest score, if there is one.
fn widest(forward: &Forward, scores: &[Vec<f64>]) -> Option<(usize, usize)> {
    let mut best: Option<(f64, (usize, usize))> = None;
    for (stage, (layer, scores)) in forward.layers.iter().zip(scores).enumerate() {
        for (place, &score) in scores.iter().enumerate() {
            if score > best.map_or(0.0, |(most, _)| most) {
                best = Some((score, (stage, layer.alive[place])));
            }
        }
    }
    best.map(|(_, neuron)| neuron)
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Part {}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    /// The largest bound comes first; of equal ones, the older.
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(other.number.cmp(&self.number))
    }
}
