//! The iterations: choose a block, update it, measure, end.

use serde::Serialize;

use super::certificate::{CertificateKind, certificate, kind, unit};
use super::parameters::{Blocks, Parameters, Update};
use super::problem::{Problem, Smooth};
use super::select::{Choice, Selector};
use super::state::State;
use super::step::Step;
use crate::Error;

/// Measurements with the same active set after which the end-game begins.
const PATIENCE: usize = 5;
/// Most coordinates of its block.
const MOST_FREE: usize = 2_000;
/// It goes on while the certificate falls below this share of the one before.
const PROGRESS: f64 = 0.5;
/// What a growing block may leave of its violation while the free coordinates change: the next block holds them again. Afterwards it is
/// solved exactly, which ends it.
const GROWING_ACCURACY: f64 = 0.1;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The certificate is within the tolerance.
    Converged,
    /// All iterations were used.
    IterationsUsed,
    /// No coordinate moves any more: this is as near as rounding lets the rule come.
    Stalled,
}

/// What was measured before an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// Updates so far.
    pub iteration: usize,
    /// The objective.
    pub value: f64,
    /// The certificate.
    pub certificate: f64,
    /// Coordinates that are neither zero under a penalty nor on a bound.
    pub free: usize,
    /// Multiplications so far, those of choosing blocks included, those of measuring not.
    pub multiplications: u64,
}

/// A solution with what is known of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Solution {
    /// The point; of a softmax the weights of feature 0 for all classes, then those of feature 1, …
    pub point: Vec<f64>,
    /// The objective.
    pub value: f64,
    /// The certificate: how far from the minimum the point may be.
    pub certificate: f64,
    /// What the certificate says.
    pub kind: CertificateKind,
    /// What the tolerance is a share of.
    pub unit: f64,
    /// How the run ended.
    pub outcome: Outcome,
    /// Updates of a block.
    pub iterations: usize,
    /// The iteration from which on the same coordinates were free; nothing without penalty and bounds.
    pub identified: Option<usize>,
    /// One line per measurement.
    pub trace: Vec<Measurement>,
}

pub(super) fn run(parameters: &Parameters, problem: &Problem) -> Result<Solution, Error> {
    let blocks = parameters.resolved(problem)?;
    let mut state = State::new(problem);
    let kind = kind(problem);
    let mut selector = Selector::new(parameters, blocks, &mut state);
    let mut run = Run::new(parameters, problem, blocks, kind);
    let (mut gradient, mut iteration) = (vec![0.0; problem.dimension()], 0);
    let every = run.measure_every(selector.fixed.len());
    let outcome = loop {
        let greedy = parameters.rule.is_greedy();
        if greedy {
            state.gradient(&mut gradient);
        }
        let mut chosen = None;
        if iteration % every == 0 || iteration == parameters.iterations {
            if !greedy {
                let before = state.multiplications;
                state.gradient(&mut gradient);
                state.multiplications = before;
            }
            run.measure(&state, iteration, &gradient)?;
            if run.converged() {
                break Outcome::Converged;
            }
            chosen = run.end_game(&state);
        }
        if iteration == parameters.iterations {
            break Outcome::IterationsUsed;
        }
        let ending = chosen.is_some();
        let choice = match chosen {
            Some(free) => Some(Choice::Variable(free)),
            None => selector.choose(&mut state, &gradient),
        };
        let Some(choice) = choice else {
            break Outcome::Stalled;
        };
        let (block, fixed) = match &choice {
            Choice::Fixed(number) => {
                let fixed = &selector.fixed[*number];
                (&fixed.coordinates, Some(fixed))
            }
            Choice::Variable(block) => (block, None),
        };
        // In the end-game the gradient was just measured.
        let slopes: Vec<f64> = if greedy || ending {
            block.iter().map(|&i| gradient[i]).collect()
        } else {
            block.iter().map(|&i| state.slope(i)).collect()
        };
        let forest = !ending && matches!(blocks, Blocks::Colours | Blocks::Trees | Blocks::GreedyTree);
        let update = if ending { Update::Newton } else { parameters.update };
        let accuracy = if blocks == Blocks::Growing && run.quiet == 0 { GROWING_ACCURACY } else { 0.0 };
        let moved = Step { block, slopes: &slopes, fixed, forest, accuracy }.take(&mut state, update);
        iteration += 1;
        // The same gradient would choose the same block for ever.
        if greedy && !moved && !ending {
            run.measure(&state, iteration, &gradient)?;
            break if run.converged() { Outcome::Converged } else { Outcome::Stalled };
        }
    };
    Ok(run.finish(state, outcome, iteration))
}

/// What is kept from one measurement to the next.
struct Run<'a> {
    parameters: &'a Parameters,
    problem: &'a Problem,
    blocks: Blocks,
    kind: CertificateKind,
    unit: f64,
    trace: Vec<Measurement>,
    /// Which coordinates were free.
    free: Vec<bool>,
    identified: usize,
    /// Measurements since the free ones changed, or since the end-game was given up.
    quiet: usize,
    /// The certificate before the last step of the end-game.
    before: Option<f64>,
}

impl<'a> Run<'a> {
    fn new(parameters: &'a Parameters, problem: &'a Problem, blocks: Blocks, kind: CertificateKind) -> Self {
        Self {
            parameters,
            problem,
            blocks,
            kind,
            unit: 0.0,
            trace: Vec::new(),
            free: Vec::new(),
            identified: 0,
            quiet: 0,
            before: None,
        }
    }

    fn measure_every(&self, fixed: usize) -> usize {
        let cycle = match self.blocks {
            _ if self.parameters.rule.is_greedy() => 1,
            Blocks::Variable(size) => self.problem.live.len().div_ceil(size),
            Blocks::GreedyTree => 1,
            _ => fixed,
        };
        self.parameters.measure_every.unwrap_or(cycle).max(1)
    }

    fn measure(&mut self, state: &State<'_>, iteration: usize, gradient: &[f64]) -> Result<(), Error> {
        let value = state.value();
        let certificate = certificate(state, self.kind, value, gradient);
        if !(value.is_finite() && certificate.is_finite()) {
            return Err(Error::Overflow { iteration });
        }
        if self.trace.is_empty() {
            self.unit = unit(self.problem, self.kind, certificate);
        }
        self.refuse_separable(state)?;
        let free: Vec<bool> = state.point.iter().map(|x| self.problem.penalty.is_free(*x)).collect();
        if free == self.free {
            self.quiet += 1;
        } else {
            (self.identified, self.quiet) = (iteration, 0);
        }
        let count = free.iter().filter(|free| **free).count();
        self.free = free;
        let multiplications = state.multiplications;
        self.trace.push(Measurement { iteration, value, certificate, free: count, multiplications });
        Ok(())
    }

    /// Without anything that holds the weights, rows on their right sides mean that there is no minimum.
    fn refuse_separable(&self, state: &State<'_>) -> Result<(), Error> {
        let problem = self.problem;
        // Longer weights stay within bounds that are zero or infinite.
        let cone = |bound: f64| bound == 0.0 || bound.is_infinite();
        let held = problem.ridge > 0.0
            || problem.penalty.l1 > 0.0
            || !(cone(problem.penalty.lower) && cone(problem.penalty.upper));
        let classes = matches!(problem.smooth, Smooth::Logistic { .. } | Smooth::Softmax { .. });
        if classes && !held && state.separates() { Err(Error::Separable) } else { Ok(()) }
    }

    fn converged(&self) -> bool {
        self.trace.last().is_some_and(|last| last.certificate <= self.parameters.tolerance * self.unit)
    }

    /// The block of the end-game, where it is time for it.
    fn end_game(&mut self, state: &State<'_>) -> Option<Vec<usize>> {
        // Growing blocks hold all free coordinates anyway.
        let wanted =
            self.parameters.end_game && self.blocks != Blocks::Growing && !self.problem.penalty.is_none();
        let last = self.trace.last()?;
        if !wanted || self.quiet < PATIENCE || last.free == 0 || last.free > MOST_FREE {
            return None;
        }
        if self.before.is_some_and(|before| last.certificate > PROGRESS * before) {
            // The set was not yet the right one.
            (self.before, self.quiet) = (None, 0);
            return None;
        }
        self.before = Some(last.certificate);
        Some((0..state.point.len()).filter(|&i| self.free[i]).collect())
    }

    fn finish(self, state: State<'_>, outcome: Outcome, iterations: usize) -> Solution {
        let last = self.trace.last().copied();
        let (value, certificate) = last.map_or((f64::NAN, f64::NAN), |last| (last.value, last.certificate));
        Solution {
            point: state.point,
            value,
            certificate,
            kind: self.kind,
            unit: self.unit,
            outcome,
            iterations,
            identified: (!self.problem.penalty.is_none()).then_some(self.identified),
            trace: self.trace,
        }
    }
}
