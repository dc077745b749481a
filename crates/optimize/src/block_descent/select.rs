//! Which block is next: fixed and variable blocks, and the rules that choose among them.

use std::cmp::Ordering;

use backstitch_numerics::Stream;

use super::dense::{Cholesky, largest_eigenvalue};
use super::forest::{colour_partition, forest_partition, greedy_forest};
use super::parameters::{Blocks, Parameters, Partition, Rule, Update};
use super::problem::Problem;
use super::state::State;

/// Rounds of hard thresholding, and the change at which it ends.
const THRESHOLDINGS: usize = 10;
const SETTLED: f64 = 1e-10;
/// Fewest coordinates that a growing block takes beside those that are not at rest, and most that it has.
const FIRST_GROWTH: usize = 32;
const MOST_GROWING: usize = 1_000;

/// A block that stays the same.
#[derive(Clone, Debug)]
pub(super) struct FixedBlock {
    pub(super) coordinates: Vec<usize>,
    /// At least the largest eigenvalue of its matrix; 0 where nothing asks for it.
    pub(super) lipschitz: f64,
    /// Of its matrix, where a rule or an update asks for it.
    pub(super) factor: Option<Cholesky>,
}

/// The next block.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// The number of a fixed one.
    Fixed(usize),
    /// These coordinates.
    Variable(Vec<usize>),
}

/// Chooses blocks.
pub(super) struct Selector {
    rule: Rule,
    blocks: Blocks,
    pub(super) fixed: Vec<FixedBlock>,
    /// The diagonal that majorises the Hessian.
    row_sums: Vec<f64>,
    smoothness: f64,
    /// Numbers of blocks, or coordinates, in an order that is drawn.
    order: Vec<usize>,
    next: usize,
    stream: Stream,
    scores: Vec<f64>,
}

impl Selector {
    pub(super) fn new(parameters: &Parameters, blocks: Blocks, state: &mut State<'_>) -> Self {
        let problem = state.problem;
        let rule = parameters.rule;
        let natural: Vec<usize> = (0..problem.features()).collect();
        let partition = match (blocks, problem.matrix()) {
            (Blocks::Fixed { partition, size }, _) => fixed_partition(problem, partition, size),
            (Blocks::Colours, Some(graph)) => colour_partition(graph, &natural),
            (Blocks::Trees, Some(graph)) => forest_partition(graph, &natural),
            _ => Vec::new(),
        };
        // Matrices of trees and of colours are never made: messages solve them.
        let dense = matches!(blocks, Blocks::Fixed { .. });
        let by_matrix = parameters.update == Update::Matrix
            || (problem.is_quadratic() && parameters.update == Update::Newton);
        let wants_factor = dense && problem.penalty.is_none() && (rule == Rule::Gsq || by_matrix);
        let wants_lipschitz =
            matches!(rule, Rule::Lipschitz | Rule::Gsl) || parameters.update == Update::Gradient;
        let fixed: Vec<FixedBlock> = partition
            .into_iter()
            .map(|coordinates| {
                let matrix = (wants_factor || (dense && wants_lipschitz))
                    .then(|| state.block_matrix(&coordinates, false));
                let lipschitz = match &matrix {
                    Some(matrix) if wants_lipschitz => largest_eigenvalue(matrix),
                    // Only row sums are at hand where no matrix is made.
                    _ if wants_lipschitz => row_sum_bound(state, &coordinates),
                    _ => 0.0,
                };
                let factor = matrix.filter(|_| wants_factor).map(|matrix| {
                    state.multiplications += Cholesky::cost(coordinates.len());
                    Cholesky::lifted(&matrix)
                });
                FixedBlock { coordinates, lipschitz, factor }
            })
            .collect();
        let order = if fixed.is_empty() { problem.live.clone() } else { (0..fixed.len()).collect() };
        let variable = matches!(blocks, Blocks::Variable(_));
        let row_sums = if variable && rule == Rule::Gsl { problem.majoriser() } else { Vec::new() };
        let thresholds = variable && rule == Rule::Gsq && problem.penalty.is_none();
        let smoothness = if thresholds { problem.smoothness() } else { 0.0 };
        Self {
            rule,
            blocks,
            fixed,
            row_sums,
            smoothness,
            order,
            next: 0,
            stream: Stream::new(parameters.seed, "block-descent"),
            scores: vec![0.0; problem.dimension()],
        }
    }

    /// The next block; nothing if the rule sees no coordinate that would move.
    pub(super) fn choose(&mut self, state: &mut State<'_>, gradient: &[f64]) -> Option<Choice> {
        match self.blocks {
            Blocks::Variable(size) => self.variable(size, state, gradient).map(Choice::Variable),
            Blocks::Growing => self.growing(state, gradient).map(Choice::Variable),
            Blocks::GreedyTree => self.tree(state, gradient).map(Choice::Variable),
            _ => self.among_fixed(state, gradient).map(Choice::Fixed),
        }
    }

    fn among_fixed(&mut self, state: &State<'_>, gradient: &[f64]) -> Option<usize> {
        match self.rule {
            Rule::Random => return Some(self.stream.below(self.fixed.len())),
            Rule::Cyclic => {
                let block = self.next % self.fixed.len();
                self.next += 1;
                return Some(block);
            }
            Rule::Lipschitz => {
                let total: f64 = self.fixed.iter().map(|block| block.lipschitz).sum();
                let mut left = self.stream.uniform() * total;
                let hit = self.fixed.iter().position(|block| {
                    left -= block.lipschitz;
                    left < 0.0
                });
                return Some(hit.unwrap_or(self.fixed.len() - 1));
            }
            _ => {}
        }
        let problem = state.problem;
        let score = |block: &FixedBlock| -> f64 {
            let each = block.coordinates.iter();
            match (self.rule, &block.factor) {
                (Rule::Gs, _) => each.map(|&i| mapping(state, gradient, i).powi(2)).sum(),
                (Rule::Gsl, _) => each.map(|&i| promise(state, gradient, i, block.lipschitz)).sum(),
                (Rule::Gsq, Some(factor)) => {
                    let slopes: Vec<f64> = each.map(|&i| gradient[i]).collect();
                    factor.quadratic_form(&slopes)
                }
                _ => each.map(|&i| promise(state, gradient, i, problem.lipschitz(i))).sum(),
            }
        };
        let scores: Vec<f64> = self.fixed.iter().map(score).collect();
        let best = (0..scores.len()).min_by(|&a, &b| descending(scores[a], scores[b]).then(a.cmp(&b)))?;
        (scores[best] > 0.0).then_some(best)
    }

    fn variable(&mut self, size: usize, state: &mut State<'_>, gradient: &[f64]) -> Option<Vec<usize>> {
        let problem = state.problem;
        let size = size.min(problem.live.len());
        match self.rule {
            Rule::Random => {
                for place in 0..size {
                    let other = place + self.stream.below(self.order.len() - place);
                    self.order.swap(place, other);
                }
                Some(self.order[..size].to_vec())
            }
            Rule::Cyclic => {
                if self.next == 0 {
                    self.stream.shuffle(&mut self.order);
                }
                let end = self.order.len().min(self.next + size);
                let block = self.order[self.next..end].to_vec();
                self.next = if end == self.order.len() { 0 } else { end };
                Some(block)
            }
            Rule::Lipschitz => {
                // The smallest of exponential times with these rates: draws without replacement in proportion to them.
                for &i in &problem.live {
                    self.scores[i] = self.stream.uniform().max(f64::MIN_POSITIVE).ln() / problem.lipschitz(i);
                }
                Some(top(&problem.live, &self.scores, size))
            }
            Rule::Gs => {
                problem.live.iter().for_each(|&i| self.scores[i] = mapping(state, gradient, i).abs());
                self.best(problem, size)
            }
            Rule::Gsl => {
                let Self { scores, row_sums, .. } = self;
                problem.live.iter().for_each(|&i| scores[i] = promise(state, gradient, i, row_sums[i]));
                self.best(problem, size)
            }
            Rule::Gsd | Rule::Gsq => {
                self.score_by_coordinates(state, gradient);
                if self.rule == Rule::Gsq && problem.penalty.is_none() {
                    return self.thresholded(size, state, gradient);
                }
                self.best(problem, size)
            }
        }
    }

    fn score_by_coordinates(&mut self, state: &State<'_>, gradient: &[f64]) {
        for &i in &state.problem.live {
            self.scores[i] = promise(state, gradient, i, state.problem.lipschitz(i));
        }
    }

    fn best(&self, problem: &Problem, size: usize) -> Option<Vec<usize>> {
        let block = top(&problem.live, &self.scores, size);
        block.iter().any(|&i| self.scores[i] > 0.0).then_some(block)
    }

    /// Iterative hard thresholding: gradient steps on the quadratic bound of the change, of which the largest entries are kept.
    fn thresholded(&mut self, size: usize, state: &mut State<'_>, gradient: &[f64]) -> Option<Vec<usize>> {
        let problem = state.problem;
        let mut block = self.best(problem, size)?;
        let mut changes: Vec<f64> = block.iter().map(|&i| -gradient[i] / problem.lipschitz(i)).collect();
        for _ in 0..THRESHOLDINGS {
            let product = state.bound_times(&block, &changes);
            let mut moved: Vec<f64> = gradient
                .iter()
                .zip(&product)
                .map(|(slope, more)| -(slope + more) / self.smoothness)
                .collect();
            block.iter().zip(&changes).for_each(|(&i, change)| moved[i] += change);
            problem.live.iter().for_each(|&i| self.scores[i] = moved[i].abs());
            let kept = top(&problem.live, &self.scores, size);
            let mut apart = moved;
            let next: Vec<f64> = kept.iter().map(|&i| apart[i]).collect();
            let mut before = vec![0.0; apart.len()];
            block.iter().zip(&changes).for_each(|(&i, change)| before[i] = *change);
            apart.fill(0.0);
            kept.iter().zip(&next).for_each(|(&i, change)| apart[i] = *change);
            let step = apart.iter().zip(&before).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
            (block, changes) = (kept, next);
            if step < SETTLED {
                break;
            }
        }
        Some(block)
    }

    /// What is not at rest, and as many again that promise most.
    fn growing(&mut self, state: &State<'_>, gradient: &[f64]) -> Option<Vec<usize>> {
        let problem = state.problem;
        self.score_by_coordinates(state, gradient);
        let rest = problem.penalty.rest();
        let (support, others): (Vec<usize>, Vec<usize>) =
            problem.live.iter().partition(|&&i| state.point[i] != rest);
        let promising: Vec<usize> = others.into_iter().filter(|&i| self.scores[i] > 0.0).collect();
        if promising.is_empty() && support.iter().all(|&i| self.scores[i] == 0.0) {
            return None;
        }
        if support.len() >= MOST_GROWING {
            // Too many for one block: the most promising ones, whatever they are.
            return self.best(problem, MOST_GROWING);
        }
        let growth = support.len().max(FIRST_GROWTH).min(MOST_GROWING - support.len());
        let mut block = support;
        block.extend(top(&promising, &self.scores, growth));
        block.sort_unstable();
        Some(block)
    }

    /// A forest from the nodes in the order of their promise.
    fn tree(&mut self, state: &State<'_>, gradient: &[f64]) -> Option<Vec<usize>> {
        let problem = state.problem;
        let graph = problem.matrix()?;
        if self.rule == Rule::Random {
            self.stream.shuffle(&mut self.order);
        } else {
            for &i in &problem.live {
                self.scores[i] = match self.rule {
                    Rule::Gs => gradient[i].abs(),
                    _ => gradient[i].abs() / problem.lipschitz(i).sqrt(),
                };
            }
            let scores = &self.scores;
            self.order.sort_unstable_by(|&a, &b| descending(scores[a], scores[b]).then(a.cmp(&b)));
            if self.scores[self.order[0]] == 0.0 {
                return None;
            }
        }
        Some(greedy_forest(graph, &self.order))
    }
}

/// The step of a coordinate alone, times its Lipschitz constant: its slope where nothing holds it.
fn mapping(state: &State<'_>, gradient: &[f64], i: usize) -> f64 {
    let lipschitz = state.problem.lipschitz(i);
    lipschitz * (state.point[i] - state.problem.penalty.step(state.point[i], gradient[i], lipschitz))
}

/// The decrease that a coordinate promises with a curvature.
fn promise(state: &State<'_>, gradient: &[f64], i: usize, curvature: f64) -> f64 {
    let (penalty, x, slope) = (&state.problem.penalty, state.point[i], gradient[i]);
    let target = penalty.step(x, slope, curvature);
    let step = target - x;
    let decrease = -slope * step - 0.5 * curvature * step * step - penalty.l1 * (target.abs() - x.abs());
    // What rounding leaves of zero is none.
    decrease.max(0.0)
}

fn row_sum_bound(state: &State<'_>, coordinates: &[usize]) -> f64 {
    let sums = state.problem.majoriser();
    coordinates.iter().map(|&i| sums[i]).fold(0.0, f64::max)
}

/// Larger first, what is no number last.
fn descending(one: f64, other: f64) -> Ordering {
    other.total_cmp(&one)
}

/// The candidates with the largest scores, ascending by number; of equal ones the first.
fn top(candidates: &[usize], scores: &[f64], size: usize) -> Vec<usize> {
    let mut block = candidates.to_vec();
    if size < block.len() {
        block.select_nth_unstable_by(size, |&a, &b| descending(scores[a], scores[b]).then(a.cmp(&b)));
        block.truncate(size);
    }
    block.sort_unstable();
    block
}

/// Fixed blocks of the coordinates that the value depends on.
fn fixed_partition(problem: &Problem, partition: Partition, size: usize) -> Vec<Vec<usize>> {
    let mut order = problem.live.clone();
    if partition != Partition::Order {
        order.sort_by(|&a, &b| problem.lipschitz(a).total_cmp(&problem.lipschitz(b)));
    }
    if partition == Partition::Averaged {
        // The smallest, the largest, the second smallest, …
        let n = order.len();
        order =
            (0..n).map(|place| order[if place % 2 == 0 { place / 2 } else { n - 1 - place / 2 }]).collect();
    }
    order.chunks(size).map(<[usize]>::to_vec).collect()
}
