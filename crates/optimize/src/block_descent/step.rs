//! What is done with a block: one method per update, each of which never raises the objective.

use super::block_quadratic::minimise;
use super::dense::{Cholesky, dot, largest_eigenvalue};
use super::forest::solve_forest;
use super::parameters::Update;
use super::select::FixedBlock;
use super::state::State;

/// Share of the predicted decrease that a step must reach.
const ARMIJO: f64 = 1e-10;
/// Rounding of two objectives, relative.
const ROUNDING: f64 = 1e-14;
/// A coordinate nearer than this to a bound may be held by it (two-metric projection).
const NEAR: f64 = 1e-4;
/// Most tries of a line search.
const TRIES: usize = 60;

/// A block with its slopes.
pub(super) struct Step<'a> {
    pub(super) block: &'a [usize],
    pub(super) slopes: &'a [f64],
    /// What is known of a fixed block.
    pub(super) fixed: Option<&'a FixedBlock>,
    /// Whether the graph of the block has no cycle.
    pub(super) forest: bool,
    /// How far the model of the block is minimised: 0 for all the way, otherwise the share of the violation that may be left.
    pub(super) accuracy: f64,
}

impl Step<'_> {
    /// Updates the block; whether a coordinate changed.
    pub(super) fn take(&self, state: &mut State<'_>, update: Update) -> bool {
        let target = match update {
            Update::Gradient => self.gradient(state),
            Update::LineSearch => self.line_search(state),
            Update::Matrix => self.matrix(state),
            Update::Newton if state.problem.is_quadratic() => self.matrix(state),
            Update::Newton => self.newton(state),
            Update::TwoMetric => self.two_metric(state),
        };
        let changed = self.block.iter().zip(&target).any(|(&i, x)| state.point[i] != *x);
        if changed {
            state.move_to(self.block, &target);
        }
        changed
    }

    fn point(&self, state: &State<'_>) -> Vec<f64> {
        self.block.iter().map(|&i| state.point[i]).collect()
    }

    fn proximal(&self, state: &State<'_>, lipschitz: f64) -> Vec<f64> {
        let penalty = &state.problem.penalty;
        let pairs = self.block.iter().zip(self.slopes);
        pairs.map(|(&i, slope)| penalty.step(state.point[i], *slope, lipschitz)).collect()
    }

    fn gradient(&self, state: &mut State<'_>) -> Vec<f64> {
        let lipschitz = match self.fixed {
            Some(fixed) => fixed.lipschitz,
            None if self.block.len() == 1 => state.problem.lipschitz(self.block[0]),
            None if self.forest => {
                let sums = state.problem.majoriser();
                self.block.iter().map(|&i| sums[i]).fold(0.0, f64::max)
            }
            None => {
                let matrix = state.block_matrix(self.block, false);
                state.multiplications += Cholesky::cost(self.block.len());
                largest_eigenvalue(&matrix)
            }
        };
        self.proximal(state, lipschitz)
    }

    fn line_search(&self, state: &mut State<'_>) -> Vec<f64> {
        let mut lipschitz = self.block.iter().map(|&i| state.problem.lipschitz(i)).fold(0.0, f64::max);
        let value = state.value();
        let mut target = self.proximal(state, lipschitz);
        for _ in 0..TRIES {
            let changes = self.changes(state, &target);
            let trial = state.trial(self.block, &changes);
            let promised = self.linear(state, &changes, &target) + 0.5 * lipschitz * dot(&changes, &changes);
            if state.value_after(&trial, 1.0, self.block, &target)
                <= value + promised + ROUNDING * value.abs()
            {
                break;
            }
            lipschitz *= 2.0;
            target = self.proximal(state, lipschitz);
        }
        target
    }

    fn matrix(&self, state: &mut State<'_>) -> Vec<f64> {
        let problem = state.problem;
        if let Some(graph) = problem.matrix().filter(|_| self.forest) {
            let side: Vec<f64> = self.slopes.iter().map(|slope| -slope).collect();
            if let Some(changes) = solve_forest(graph, self.block, problem.ridge, &side) {
                state.multiplications += 5 * self.block.len() as u64;
                return self.point(state).iter().zip(changes).map(|(x, change)| x + change).collect();
            }
        }
        if let Some(factor) = self.fixed.and_then(|fixed| fixed.factor.as_ref()) {
            let mut changes: Vec<f64> = self.slopes.iter().map(|slope| -slope).collect();
            factor.solve(&mut changes);
            state.multiplications += (self.block.len() * self.block.len()) as u64;
            return self.point(state).iter().zip(changes).map(|(x, change)| x + change).collect();
        }
        let matrix = state.block_matrix(self.block, false);
        let (target, cost) =
            minimise(&matrix, self.slopes, &self.point(state), &problem.penalty, self.accuracy);
        state.multiplications += cost;
        target
    }

    fn newton(&self, state: &mut State<'_>) -> Vec<f64> {
        let matrix = state.block_matrix(self.block, true);
        let point = self.point(state);
        let (target, cost) = minimise(&matrix, self.slopes, &point, &state.problem.penalty, self.accuracy);
        state.multiplications += cost;
        let changes = self.changes(state, &target);
        let predicted = self.linear(state, &changes, &target);
        if predicted >= 0.0 {
            return point;
        }
        let value = state.value();
        let trial = state.trial(self.block, &changes);
        let mut share = 1.0;
        for _ in 0..TRIES {
            // The whole step ends at the target to the last bit, which keeps zeros zero.
            let reached: Vec<f64> = if share == 1.0 {
                target.clone()
            } else {
                point.iter().zip(&changes).map(|(x, change)| x + share * change).collect()
            };
            let found = state.value_after(&trial, share, self.block, &reached);
            if found <= value + ARMIJO * share * predicted + ROUNDING * value.abs() {
                return reached;
            }
            // The minimiser of the parabola through both values and the slope, kept within bounds.
            let parabola = -0.5 * predicted * share * share / (found - value - share * predicted);
            share = if parabola.is_finite() { parabola.clamp(0.1 * share, 0.5 * share) } else { 0.1 * share };
        }
        point
    }

    /// Coordinates held by a bound move along the gradient, the others by Newton; the path is projected.
    fn two_metric(&self, state: &mut State<'_>) -> Vec<f64> {
        let penalty = state.problem.penalty;
        let point = self.point(state);
        // Within the bounds the penalty is linear: l1 is only allowed from zero up.
        let slopes: Vec<f64> = self.slopes.iter().map(|slope| slope + penalty.l1).collect();
        let held = |place: usize| {
            (point[place] - penalty.lower < NEAR && slopes[place] > 0.0)
                || (penalty.upper - point[place] < NEAR && slopes[place] < 0.0)
        };
        let (active, working): (Vec<usize>, Vec<usize>) =
            (0..self.block.len()).partition(|&place| held(place));
        let mut direction = vec![0.0; self.block.len()];
        let total: f64 = active.iter().map(|&place| state.problem.lipschitz(self.block[place])).sum();
        active.iter().for_each(|&place| direction[place] = -slopes[place] / total);
        if !working.is_empty() {
            let coordinates: Vec<usize> = working.iter().map(|&place| self.block[place]).collect();
            let matrix = state.block_matrix(&coordinates, true);
            let mut step: Vec<f64> = working.iter().map(|&place| -slopes[place]).collect();
            Cholesky::lifted(&matrix).solve(&mut step);
            state.multiplications += Cholesky::cost(working.len());
            working.iter().zip(step).for_each(|(&place, change)| direction[place] = change);
        }
        let value = state.value();
        let mut share = 1.0;
        for _ in 0..TRIES {
            let target: Vec<f64> =
                point.iter().zip(&direction).map(|(x, change)| penalty.clamped(x + share * change)).collect();
            let changes = self.changes(state, &target);
            let newton: f64 = working.iter().map(|&place| share * slopes[place] * direction[place]).sum();
            let gradient: f64 = active.iter().map(|&place| slopes[place] * changes[place]).sum();
            let trial = state.trial(self.block, &changes);
            let found = state.value_after(&trial, 1.0, self.block, &target);
            if found <= value + ARMIJO * (newton + gradient) + ROUNDING * value.abs() {
                return target;
            }
            share *= 0.5;
        }
        point
    }

    fn changes(&self, state: &State<'_>, target: &[f64]) -> Vec<f64> {
        self.block.iter().zip(target).map(|(&i, x)| x - state.point[i]).collect()
    }

    /// The decrease to first order, penalty included.
    fn linear(&self, state: &State<'_>, changes: &[f64], target: &[f64]) -> f64 {
        let l1 = state.problem.penalty.l1;
        let penalty: f64 =
            self.block.iter().zip(target).map(|(&i, x)| l1 * (x.abs() - state.point[i].abs())).sum();
        dot(self.slopes, changes) + penalty
    }
}
