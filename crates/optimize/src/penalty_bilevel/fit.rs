//! The iterations: y and z follow x, x follows the penalised gradient.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::gradient::{Sets, penalty_slope};
use super::lower::{Effort, Level, residual_of};
use super::parameters::{Estimate, Loop, Parameters};
use super::problem::{Bilevel, Calls, Counted, Samples, Slopes, add, distance};
use super::sets::ConvexSet;
use super::upper::{Mover, mapping};

/// Why the iterations ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The gradient mapping of x fell to the tolerance.
    Converged,
    /// All iterations were used.
    IterationsUsed,
    /// A number was no longer finite.
    Diverged,
}

/// One line of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Iterations before it, this one among them.
    pub iteration: usize,
    /// σ.
    pub sigma: f64,
    /// f(x, y).
    pub upper_value: f64,
    /// Length of the gradient mapping of x at the y and z of this iteration, on whole gradients.
    pub gradient: f64,
    /// The larger residual of the two lower-level problems, on whole gradients.
    pub residual: f64,
    /// Gradients that were taken so far; what was taken to measure is not counted.
    pub calls: Calls,
}

/// The result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit {
    /// x.
    pub x: Vec<f64>,
    /// y, which minimises `σ f + g` as far as it was followed.
    pub y: Vec<f64>,
    /// z, which minimises g as far as it was followed.
    pub z: Vec<f64>,
    /// The last σ; with extrapolation half of it belongs to y.
    pub sigma: f64,
    /// Why the iterations ended.
    pub outcome: Outcome,
    /// How many there were.
    pub iterations: usize,
    /// Gradients that were taken.
    pub calls: Calls,
    /// Lines along the way, the last iteration among them.
    pub trace: Vec<Measurement>,
}

/// The two parts of a gradient.
struct Slot {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Slot {
    fn new(p: usize, q: usize) -> Self {
        Self { x: vec![0.0; p], y: vec![0.0; q] }
    }

    fn slopes(&mut self) -> Slopes<'_> {
        Slopes::both(&mut self.x, &mut self.y)
    }

    /// STORM: `new + (1 − η)(self − old)`.
    fn follow(&mut self, new: &Self, old: &Self, share: f64) {
        for (kept, (new, old)) in [(&mut self.x, (&new.x, &old.x)), (&mut self.y, (&new.y, &old.y))] {
            for ((kept, new), old) in kept.iter_mut().zip(new).zip(old) {
                *kept = new + (1.0 - share) * (*kept - old);
            }
        }
    }
}

/// A lower-level variable: the minimiser of g or of `factor·σ f + g`.
struct Follower {
    /// What σ is multiplied by; 0 for g alone.
    factor: f64,
    /// The weight of its gradient in the extrapolation.
    weight: f64,
    point: Vec<f64>,
    centre: Vec<f64>,
    before: Vec<f64>,
    of_f: Slot,
    of_g: Slot,
    residual: f64,
}

impl Follower {
    fn new(factor: f64, weight: f64, start: &[f64], p: usize) -> Self {
        let q = start.len();
        Self {
            factor,
            weight,
            point: start.to_vec(),
            centre: start.to_vec(),
            before: start.to_vec(),
            of_f: Slot::new(p, q),
            of_g: Slot::new(p, q),
            residual: f64::INFINITY,
        }
    }
}

/// The state of a run.
struct Run<'a, P: ?Sized> {
    parameters: &'a Parameters,
    problem: Counted<'a, P>,
    sets: Sets<'a>,
    stream: Stream,
    /// The minimisers of `σ f + g`, then that of g.
    followers: Vec<Follower>,
    x: Vec<f64>,
    /// x where the last estimates were made.
    x_before: Vec<f64>,
}

/// Runs the method from a point that was checked.
pub(super) fn run<P: Bilevel + ?Sized>(
    parameters: &Parameters,
    problem: &P,
    sets: Sets<'_>,
    x: &[f64],
    y: &[f64],
) -> Fit {
    let (mut x, mut y) = (x.to_vec(), y.to_vec());
    sets.upper.project(&mut x);
    sets.lower.project(&mut y);
    let factors: &[(f64, f64)] = if parameters.extrapolate {
        &[(1.0, -1.0), (0.5, 2.0), (0.0, 0.0)]
    } else {
        &[(1.0, 1.0), (0.0, 0.0)]
    };
    // z begins where y does: from two basins of g the difference of their gradients would be large and wrong.
    let followers =
        factors.iter().map(|&(factor, weight)| Follower::new(factor, weight, &y, x.len())).collect();
    let run = Run {
        parameters,
        problem: Counted::new(problem),
        sets,
        stream: Stream::new(parameters.seed, "penalty-bilevel samples"),
        followers,
        x_before: x.clone(),
        x,
    };
    run.iterate()
}

impl<P: Bilevel + ?Sized> Run<'_, P> {
    fn iterate(mut self) -> Fit {
        let parameters = self.parameters;
        let whole = parameters.batch.is_none();
        let mut mover = Mover::new(parameters.upper_step, self.x.len());
        let mut direction = vec![0.0; self.x.len()];
        let mut sigma = parameters.sigma.first();
        let mut residual = f64::INFINITY;
        let (mut trace, mut outcome, mut done) = (Vec::new(), Outcome::IterationsUsed, 0);
        while done < parameters.iterations {
            done += 1;
            sigma = parameters.sigma.next(done, sigma, residual);
            match parameters.interleaving {
                Loop::Double => self.double(sigma, &mut direction),
                Loop::Single => self.single(sigma, done == 1, &mut direction),
            }
            residual = self.followers.iter().map(|follower| follower.residual).fold(0.0, f64::max);
            let measure = done.is_multiple_of(parameters.measure_every) || done == parameters.iterations;
            let stoppable = whole && parameters.tolerance > 0.0;
            let mut converged = false;
            if measure || stoppable {
                let length = mover.length(sigma);
                let gradient = if whole {
                    mapping(&self.x, &direction, length, self.sets.upper)
                } else {
                    let exact;
                    (residual, exact) = self.measured(sigma);
                    mapping(&self.x, &exact, length, self.sets.upper)
                };
                // A gradient is only as good as the lower level was solved.
                converged = stoppable && gradient <= parameters.tolerance && residual <= sigma;
                if measure || converged {
                    let line = self.line(done, sigma, gradient, residual);
                    trace.push(line);
                    if !(line.upper_value.is_finite() && gradient.is_finite() && residual.is_finite()) {
                        outcome = Outcome::Diverged;
                        break;
                    }
                }
            }
            if converged {
                outcome = Outcome::Converged;
                break;
            }
            mover.step(&mut self.x, &direction, sigma);
            self.sets.upper.project(&mut self.x);
        }
        let z = self.followers.pop().map_or_else(Vec::new, |follower| follower.point);
        let y = self.followers.pop().map_or_else(Vec::new, |follower| follower.point);
        Fit { x: self.x, y, z, sigma, outcome, iterations: done, calls: self.problem.calls, trace }
    }

    fn line(&self, iteration: usize, sigma: f64, gradient: f64, residual: f64) -> Measurement {
        // z is the last follower; the one before it belongs to the smallest σ.
        let y = &self.followers[self.followers.len() - 2].point;
        let upper_value = self.problem.problem.upper_value(&self.x, y);
        Measurement { iteration, sigma, upper_value, gradient, residual, calls: self.problem.calls }
    }

    /// The length of a lower-level step, and the radius of the proximal term.
    fn lengths(&self, sigma: f64) -> (f64, Option<f64>) {
        let problem = self.problem.problem;
        let curvature = problem.lower_smoothness(&self.x) + sigma * problem.upper_smoothness();
        let curvature = if curvature > 0.0 { curvature } else { 1.0 };
        let radius = self.parameters.proximal.then_some(0.5 / curvature);
        let whole = curvature + radius.map_or(0.0, |radius| 1.0 / radius);
        let share = if self.parameters.accelerated { 1.0 } else { 0.5 };
        (self.parameters.lower_step.unwrap_or(share / whole), radius)
    }

    /// Several lower-level steps, then a direction for x.
    fn double(&mut self, sigma: f64, direction: &mut [f64]) {
        let parameters = self.parameters;
        for place in 0..self.followers.len() {
            let own = sigma * self.followers[place].factor;
            let (step, radius) = self.lengths(own);
            let follower = &mut self.followers[place];
            if let Some(batch) = parameters.batch {
                for _ in 0..parameters.lower_steps {
                    let drawn = Drawn::new(&mut self.stream, self.problem.problem, batch);
                    self.problem.lower(
                        &self.x,
                        &follower.point,
                        drawn.lower(),
                        Slopes::in_y(&mut follower.of_g.y),
                    );
                    if own > 0.0 {
                        self.problem.upper(
                            &self.x,
                            &follower.point,
                            drawn.upper(),
                            Slopes::in_y(&mut follower.of_f.y),
                        );
                    }
                    follower.descend(own, step, radius, self.sets.lower);
                }
            } else {
                let proximal = radius.map(|radius| (&follower.centre[..], radius));
                let level = Level { x: &self.x, sigma: own, set: self.sets.lower, step, proximal };
                let tolerance = TOLERANCE * sigma * sigma;
                let effort =
                    Effort { steps: parameters.lower_steps, tolerance, accelerated: parameters.accelerated };
                follower.residual = level.solve(&mut self.problem, &mut follower.point, effort, |_, _| ());
                // What the proximal term adds to the gradient is missing in the level's own.
                follower.residual +=
                    radius.map_or(0.0, |radius| distance(&follower.point, &follower.centre) / radius);
            }
            follower.mix(parameters.mixing);
        }
        self.direction_of_x(sigma, direction);
    }

    /// `Σ weight (∇_x f + (∇_x g(y) − ∇_x g(z))/σ)` on whole gradients or on one batch.
    fn direction_of_x(&mut self, sigma: f64, direction: &mut [f64]) {
        let Some(batch) = self.parameters.batch.map(|batch| self.parameters.upper_batch.unwrap_or(batch))
        else {
            self.whole_direction(sigma, direction);
            return;
        };
        let drawn = Drawn::new(&mut self.stream, self.problem.problem, batch);
        for follower in &mut self.followers {
            self.problem.lower(&self.x, &follower.point, drawn.lower(), Slopes::in_x(&mut follower.of_g.x));
            if follower.factor > 0.0 {
                self.problem.upper(
                    &self.x,
                    &follower.point,
                    drawn.upper(),
                    Slopes::in_x(&mut follower.of_f.x),
                );
            }
        }
        self.add_up(sigma, direction);
    }

    fn whole_direction(&mut self, sigma: f64, direction: &mut [f64]) {
        let Some((plain, penalised)) = self.followers.split_last() else { return };
        direction.fill(0.0);
        let mut slope = vec![0.0; self.x.len()];
        for follower in penalised {
            let own = sigma * follower.factor;
            penalty_slope(&mut self.problem, &self.x, &follower.point, &plain.point, own, &mut slope);
            add(direction, follower.weight, &slope);
        }
    }

    /// The direction from the parts that the followers hold.
    fn add_up(&self, sigma: f64, direction: &mut [f64]) {
        let Some((plain, penalised)) = self.followers.split_last() else { return };
        direction.fill(0.0);
        for follower in penalised {
            let own = sigma * follower.factor;
            let parts = follower.of_f.x.iter().zip(&follower.of_g.x).zip(&plain.of_g.x);
            for (sum, ((of_f, of_g), of_z)) in direction.iter_mut().zip(parts) {
                *sum += follower.weight * (of_f + (of_g - of_z) / own);
            }
        }
    }

    /// Estimates of all gradients at one point, then one step of every follower.
    fn single(&mut self, sigma: f64, first: bool, direction: &mut [f64]) {
        let drawn =
            self.parameters.batch.map(|batch| Drawn::new(&mut self.stream, self.problem.problem, batch));
        let (lower, upper) =
            drawn.as_ref().map_or((Samples::All, Samples::All), |drawn| (drawn.lower(), drawn.upper()));
        let share = match self.parameters.estimate {
            Estimate::Storm { share } if !first => share,
            _ => 1.0,
        };
        for follower in &mut self.followers {
            if share >= 1.0 {
                self.problem.lower(&self.x, &follower.point, lower, follower.of_g.slopes());
                if follower.factor > 0.0 {
                    self.problem.upper(&self.x, &follower.point, upper, follower.of_f.slopes());
                }
                continue;
            }
            let mut new = Slot::new(self.x.len(), follower.point.len());
            let mut old = Slot::new(self.x.len(), follower.point.len());
            self.problem.lower(&self.x, &follower.point, lower, new.slopes());
            self.problem.lower(&self.x_before, &follower.before, lower, old.slopes());
            follower.of_g.follow(&new, &old, share);
            if follower.factor > 0.0 {
                self.problem.upper(&self.x, &follower.point, upper, new.slopes());
                self.problem.upper(&self.x_before, &follower.before, upper, old.slopes());
                follower.of_f.follow(&new, &old, share);
            }
        }
        self.add_up(sigma, direction);
        self.x_before.copy_from_slice(&self.x);
        for place in 0..self.followers.len() {
            let own = sigma * self.followers[place].factor;
            let (step, radius) = self.lengths(own);
            let follower = &mut self.followers[place];
            follower.before.copy_from_slice(&follower.point);
            follower.descend(own, step, radius, self.sets.lower);
            follower.mix(self.parameters.mixing);
        }
    }

    /// Residual and direction on whole gradients, which are not counted and change nothing.
    fn measured(&mut self, sigma: f64) -> (f64, Vec<f64>) {
        let calls = self.problem.calls;
        let mut direction = vec![0.0; self.x.len()];
        self.whole_direction(sigma, &mut direction);
        let mut residual: f64 = 0.0;
        for follower in &self.followers {
            let own = sigma * follower.factor;
            residual =
                residual.max(residual_of(&mut self.problem, &self.x, &follower.point, own, self.sets.lower));
        }
        self.problem.calls = calls;
        (residual, direction)
    }
}

/// A lower level counts as solved for one x at this share of σ², which is what the adaptive σ asks for.
pub(super) const TOLERANCE: f64 = 0.1;

impl Follower {
    /// A step along the gradients that are held.
    fn descend(&mut self, sigma: f64, step: f64, radius: Option<f64>, set: &dyn ConvexSet) {
        let mut slope = self.of_g.y.clone();
        if sigma > 0.0 {
            add(&mut slope, sigma, &self.of_f.y);
        }
        let mut moved = self.point.clone();
        add(&mut moved, -step, &slope);
        set.project(&mut moved);
        self.residual = distance(&moved, &self.point) / step;
        let Some(radius) = radius else {
            self.point = moved;
            return;
        };
        for (((point, slope), centre), moved) in
            self.point.iter().zip(&slope).zip(&self.centre).zip(&mut moved)
        {
            *moved = point - step * (slope + (point - centre) / radius);
        }
        set.project(&mut moved);
        self.point = moved;
    }

    fn mix(&mut self, share: f64) {
        for (centre, point) in self.centre.iter_mut().zip(&self.point) {
            *centre += share * (point - *centre);
        }
    }
}

/// A batch of each function; the same one serves y and z, so that its noise cancels between them.
struct Drawn {
    lower: Vec<usize>,
    upper: Vec<usize>,
}

impl Drawn {
    fn new<P: Bilevel + ?Sized>(stream: &mut Stream, problem: &P, batch: usize) -> Self {
        let mut draw = |samples: usize| (0..batch).map(|_| stream.below(samples)).collect();
        Self { lower: draw(problem.lower_samples()), upper: draw(problem.upper_samples()) }
    }

    fn lower(&self) -> Samples<'_> {
        Samples::Chosen(&self.lower)
    }

    fn upper(&self) -> Samples<'_> {
        Samples::Chosen(&self.upper)
    }
}
