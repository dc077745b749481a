//! Paths of factors and firms, and when firms default.
//!
//! Paths are drawn in chunks of a fixed number, each from a stream of its own, so that they do not depend on the number of threads.
//! Factors move exactly from date to date; between dates the assets of a firm are a Brownian bridge in the logarithm.

use backstitch_numerics::Stream;
use rayon::prelude::*;

use super::closed_form::default_probability;
use super::numbers::{exp, fill_normals, vectorized};
use super::portfolio::{FactorKind, Portfolio};

/// Paths of a chunk. Fixed: every draw rests on it.
pub const CHUNK: usize = 256;

/// How far the barrier moves towards the assets, in standard deviations of a step, so that hits at the dates only are as frequent
/// as hits of the barrier at any time (Broadie, Glasserman and Kou): −ζ(1/2)/√(2π).
const SHIFT: f64 = 0.582_597_157_939_010_6;

/// Dates on which paths are known: even steps, and every maturity.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Ascending, from 0 to the last maturity, in years.
    pub times: Vec<f64>,
}

/// How defaults between dates are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Monitoring {
    /// By the probability that a Brownian bridge between the two dates touches the barrier: no bias.
    #[default]
    Bridge,
    /// At dates only, against a barrier moved by 0.5826 standard deviations of a step.
    Shifted,
    /// At dates only: too few defaults, by an amount of the order of the root of a step.
    Dates,
}

/// A drift under which a firm defaults more often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tilt {
    /// Position of the firm.
    pub firm: usize,
    /// θ: drift, per year, of that part of the firm's Brownian motion that no factor and no firm before it moves.
    pub drift: f64,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// The seed.
    pub seed: u64,
    /// What for: other purposes have other draws.
    pub purpose: &'a str,
    /// The second half of every chunk mirrors the first.
    pub antithetic: bool,
    /// How defaults are noticed.
    pub monitoring: Monitoring,
    /// Another measure.
    pub tilt: Option<Tilt>,
}

/// Some paths. Values lie path beside path, so that loops over paths are vector code.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Its number.
    pub index: usize,
    /// Number of paths.
    pub paths: usize,
    /// Number of steps.
    pub steps: usize,
    drivers: usize,
    factors: usize,
    /// For every date and driver: ln(S/S₀) of `gbm`, the value of `ou`, ln(A/D) of firms.
    logarithms: Vec<f64>,
    /// For every date and factor.
    levels: Vec<f64>,
    /// For every step and driver: of its Brownian motion under the risk-neutral measure.
    increments: Vec<f64>,
    /// For every date: ln dQ/dQ^θ; empty where they are the same.
    weights: Vec<f64>,
    /// For every firm.
    defaults: Vec<Hit>,
}

/// When a firm defaults on a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The first date at which the default is known; [`usize::MAX`] if there is none.
    pub date: usize,
    /// When, in years.
    pub time: f64,
}

impl Hit {
    const NEVER: Self = Self { date: usize::MAX, time: f64::INFINITY };
}

impl Grid {
    /// `steps` even steps to the last maturity, and the maturities between.
    pub fn new(portfolio: &Portfolio, steps: usize) -> Self {
        let horizon = portfolio.horizon();
        let even = (0..=steps.max(1)).map(|step| horizon * step as f64 / steps.max(1) as f64);
        let mut times: Vec<f64> = even.chain(portfolio.trades().map(|trade| trade.maturity)).collect();
        times.sort_by(f64::total_cmp);
        // Where two nearly coincide the maturity is kept: trades look for theirs.
        let maturities: Vec<f64> = portfolio.trades().map(|trade| trade.maturity).collect();
        let mut kept: Vec<f64> = Vec::with_capacity(times.len());
        for time in times {
            match kept.last_mut() {
                Some(last) if time - *last < 1e-9 * horizon => {
                    if maturities.contains(&time) {
                        *last = time;
                    }
                }
                _ => kept.push(time),
            }
        }
        Self { times: kept }
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// Length of a step, in years.
    pub fn step(&self, step: usize) -> f64 {
        self.times[step + 1] - self.times[step]
    }
}

impl Tilt {
    /// The drift under which the firm defaults before the horizon with a probability of a half; `None` if it is that likely
    /// without, or if factors move all of the firm.
    pub fn towards_default(portfolio: &Portfolio, firm: usize) -> Option<Self> {
        let terms = &portfolio.firms[firm];
        let driver = portfolio.factors.len() + firm;
        let own = portfolio.root[(driver, driver)];
        let probability = |theta: f64| {
            let drift = portfolio.market.rate + terms.volatility * own * theta;
            default_probability(terms.assets, terms.barrier, drift, terms.volatility, portfolio.horizon())
        };
        if probability(0.0) >= 0.5 || own < 0.05 {
            return None;
        }
        let (mut low, mut high) = (-1.0, 0.0);
        while probability(low) < 0.5 && low > -1e6 {
            low *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            *(if probability(middle) < 0.5 { &mut high } else { &mut low }) = middle;
        }
        Some(Self { firm, drift: 0.5 * (low + high) })
    }
}

/// Draws `paths` paths (rounded up to an even number) and gives what `visit` makes of each chunk, in order.
pub fn simulate<T: Send>(
    portfolio: &Portfolio,
    grid: &Grid,
    draws: &Draws<'_>,
    paths: usize,
    visit: impl Fn(&Chunk) -> T + Sync,
) -> Vec<T> {
    let paths = paths.next_multiple_of(2);
    (0..paths.div_ceil(CHUNK))
        .into_par_iter()
        .map_init(Chunk::default, |chunk, index| {
            chunk.draw(portfolio, grid, draws, index, CHUNK.min(paths - index * CHUNK));
            visit(chunk)
        })
        .collect()
}

impl Chunk {
    /// Draws the chunk of this number.
    pub fn draw(
        &mut self,
        portfolio: &Portfolio,
        grid: &Grid,
        draws: &Draws<'_>,
        index: usize,
        paths: usize,
    ) {
        let (drivers, factors, steps) = (portfolio.drivers(), portfolio.factors.len(), grid.steps());
        (self.paths, self.steps, self.drivers, self.factors) = (paths, steps, drivers, factors);
        self.index = index;
        // All but weights and defaults are written whole below.
        self.logarithms.resize((steps + 1) * drivers * paths, 0.0);
        self.levels.resize((steps + 1) * factors * paths, 0.0);
        self.increments.resize(steps * drivers * paths, 0.0);
        self.weights.clear();
        if draws.tilt.is_some() {
            self.weights.resize((steps + 1) * paths, 0.0);
        }
        self.defaults.clear();
        self.defaults.resize(portfolio.firms.len() * paths, Hit::NEVER);
        let mut stream = Stream::new(draws.seed, &format!("deep-xva {} {index}", draws.purpose));
        let mut bridge = Stream::new(draws.seed, &format!("deep-xva {} bridge {index}", draws.purpose));
        for (driver, first) in self.logarithms[..drivers * paths].chunks_exact_mut(paths).enumerate() {
            first.fill(start(portfolio, driver));
        }
        for (factor, first) in self.levels[..factors * paths].chunks_exact_mut(paths).enumerate() {
            first.fill(portfolio.factors[factor].start);
        }
        let mut normals = vec![0.0; drivers * paths];
        let independent = if draws.antithetic { paths / 2 } else { paths };
        let mut words = vec![0; (drivers * independent).div_ceil(2)];
        let mut drawn = vec![0.0; 2 * words.len()];
        let mut touches = Vec::new();
        for step in 0..steps {
            stream.words(&mut words);
            let (left, right) = drawn.split_at_mut(words.len());
            fill_normals(&words, left, right);
            for (row, drawn) in normals.chunks_exact_mut(paths).zip(drawn.chunks_exact(independent)) {
                let (first, second) = row.split_at_mut(independent);
                first.copy_from_slice(drawn);
                second.iter_mut().zip(drawn).for_each(|(mirrored, normal)| *mirrored = -*normal);
            }
            vectorized(
                #[inline(always)]
                || self.advance(portfolio, grid.step(step), draws.tilt, step, &normals),
            );
            for firm in 0..portfolio.firms.len() {
                self.notice(portfolio, grid, draws.monitoring, (step, firm), (&mut bridge, &mut touches));
            }
        }
    }

    /// One step of all drivers and of the weights.
    #[inline(always)]
    fn advance(&mut self, portfolio: &Portfolio, h: f64, tilt: Option<Tilt>, step: usize, normals: &[f64]) {
        let (paths, drivers, factors) = (self.paths, self.drivers, self.factors);
        let root_h = h.sqrt();
        let increments = &mut self.increments[step * drivers * paths..][..drivers * paths];
        let tilted = tilt.map(|tilt| (factors + tilt.firm, tilt.drift));
        for (driver, row) in increments.chunks_exact_mut(paths).enumerate() {
            let own = portfolio.root.row(driver);
            row.fill(tilted.map_or(0.0, |(by, drift)| own[by] * drift * h));
            for (weight, normals) in own[..=driver].iter().zip(normals.chunks_exact(paths)) {
                if *weight != 0.0 {
                    let scale = weight * root_h;
                    row.iter_mut().zip(normals).for_each(|(sum, z)| *sum = scale.mul_add(*z, *sum));
                }
            }
        }
        let (before, after) = self.logarithms.split_at_mut((step + 1) * drivers * paths);
        let before = before[step * drivers * paths..].chunks_exact(paths);
        let rows = before.zip(after.chunks_exact_mut(paths)).zip(increments.chunks_exact(paths));
        for (driver, ((before, after), increments)) in rows.enumerate() {
            let (keep, add, scale) = transition(portfolio, driver, h);
            for ((before, after), increment) in before.iter().zip(after).zip(increments) {
                *after = scale.mul_add(*increment, keep.mul_add(*before, add));
            }
        }
        let levels = &mut self.levels[(step + 1) * factors * paths..][..factors * paths];
        let after = &self.logarithms[(step + 1) * drivers * paths..];
        for (index, (levels, after)) in
            levels.chunks_exact_mut(paths).zip(after.chunks_exact(paths)).enumerate()
        {
            let factor = &portfolio.factors[index];
            match factor.kind {
                FactorKind::Gbm => {
                    levels.iter_mut().zip(after).for_each(|(level, y)| *level = factor.start * exp(*y));
                }
                FactorKind::Ou => levels.copy_from_slice(after),
            }
        }
        if let Some((by, drift)) = tilted {
            let (before, after) = self.weights.split_at_mut((step + 1) * paths);
            let normals = &normals[by * paths..][..paths];
            for ((before, after), z) in before[step * paths..].iter().zip(after).zip(normals) {
                *after = before - drift * root_h * z - 0.5 * drift * drift * h;
            }
        }
    }

    /// Which paths of a firm default in a step.
    fn notice(
        &mut self,
        portfolio: &Portfolio,
        grid: &Grid,
        monitoring: Monitoring,
        (step, firm): (usize, usize),
        (stream, touches): (&mut Stream, &mut Vec<f64>),
    ) {
        let (paths, drivers) = (self.paths, self.drivers);
        let h = grid.step(step);
        let variance = portfolio.firms[firm].volatility.powi(2) * h;
        let barrier = if monitoring == Monitoring::Shifted { SHIFT * variance.sqrt() } else { 0.0 };
        let at = |date: usize| (date * drivers + self.factors + firm) * paths;
        let before = &self.logarithms[at(step)..][..paths];
        let after = &self.logarithms[at(step + 1)..][..paths];
        // Probabilities of a touch, far from the barrier too small to matter.
        touches.resize(paths, 0.0);
        let bridge = monitoring == Monitoring::Bridge;
        vectorized(
            #[inline(always)]
            || {
                for ((touch, &from), &to) in touches.iter_mut().zip(before).zip(after) {
                    let between = if bridge { exp(-2.0 * from * to / variance) } else { 0.0 };
                    *touch = if to <= barrier { 1.0 } else { between };
                }
            },
        );
        let hits = &mut self.defaults[firm * paths..][..paths];
        for (path, &touch) in touches.iter().enumerate() {
            // Below, no uniform draw of 53 bits can decide otherwise.
            if touch < 1e-16 || hits[path].date != usize::MAX {
                continue;
            }
            if touch >= 1.0 || stream.uniform() < touch {
                let time =
                    grid.times[step] + h * first_passage_share(before[path], after[path], variance, stream);
                hits[path] = Hit { date: step + 1, time };
            }
        }
    }

    /// ln(S/S₀) of a `gbm`, the value of an `ou`, or ln(A/D) of a firm, on every path.
    pub fn logarithm(&self, date: usize, driver: usize) -> &[f64] {
        &self.logarithms[(date * self.drivers + driver) * self.paths..][..self.paths]
    }

    /// The value of a factor on every path.
    pub fn level(&self, date: usize, factor: usize) -> &[f64] {
        &self.levels[(date * self.factors + factor) * self.paths..][..self.paths]
    }

    /// The increment, from `step` to the next date, of the Brownian motion of a driver under the risk-neutral measure.
    pub fn increment(&self, step: usize, driver: usize) -> &[f64] {
        &self.increments[(step * self.drivers + driver) * self.paths..][..self.paths]
    }

    /// Density of the risk-neutral measure with respect to that of the draws, for what is known at a date.
    pub fn weight(&self, date: usize, path: usize) -> f64 {
        self.weights.get(date * self.paths + path).map_or(1.0, |weight| weight.exp())
    }

    /// The factors after a time of `period` more from each date, but not beyond the last: dates of their own, and factors there, from
    /// draws that depend on nothing but the chunk.
    pub(crate) fn ahead(
        &self,
        portfolio: &Portfolio,
        grid: &Grid,
        draws: &Draws<'_>,
        period: f64,
    ) -> (Grid, Self) {
        let last = grid.times[grid.steps()];
        let times: Vec<f64> = grid.times.iter().map(|time| (time + period).min(last)).collect();
        let mut ahead = self.clone();
        let mut stream = Stream::new(draws.seed, &format!("deep-xva {} ahead {}", draws.purpose, self.index));
        let (paths, factors) = (self.paths, self.factors);
        let mut normals = vec![0.0; factors * paths];
        for (date, (&from, &to)) in grid.times.iter().zip(&times).enumerate() {
            if to <= from {
                continue;
            }
            normals.iter_mut().for_each(|normal| *normal = stream.normal());
            for factor in 0..factors {
                let (keep, add, scale) = transition(portfolio, factor, to - from);
                let scale = scale * (to - from).sqrt();
                let own = portfolio.root.row(factor);
                let after = &mut ahead.logarithms[(date * self.drivers + factor) * paths..][..paths];
                for (path, y) in after.iter_mut().enumerate() {
                    let moved: f64 =
                        (0..=factor).map(|other| own[other] * normals[other * paths + path]).sum();
                    *y = keep * *y + add + scale * moved;
                }
                let terms = &portfolio.factors[factor];
                let levels = &mut ahead.levels[(date * factors + factor) * paths..][..paths];
                for (level, &y) in levels.iter_mut().zip(&*after) {
                    *level = if terms.kind == FactorKind::Gbm { terms.start * exp(y) } else { y };
                }
            }
        }
        (Grid { times }, ahead)
    }

    /// When a firm defaults.
    pub fn hit(&self, firm: usize, path: usize) -> Hit {
        self.defaults[firm * self.paths + path]
    }
}

/// What a driver starts from.
fn start(portfolio: &Portfolio, driver: usize) -> f64 {
    match portfolio.factors.get(driver) {
        Some(factor) if factor.kind == FactorKind::Ou => factor.start,
        Some(_) => 0.0,
        None => {
            let firm = &portfolio.firms[driver - portfolio.factors.len()];
            (firm.assets / firm.barrier).ln()
        }
    }
}

/// keep, add and scale of y ↦ keep · y + add + scale · dB over a time `h`.
pub(crate) fn transition(portfolio: &Portfolio, driver: usize, h: f64) -> (f64, f64, f64) {
    let rate = portfolio.market.rate;
    match portfolio.factors.get(driver) {
        Some(factor) if factor.kind == FactorKind::Ou => {
            let keep = (-factor.reversion * h).exp();
            let variance = -(-2.0 * factor.reversion * h).exp_m1() / (2.0 * factor.reversion);
            (keep, factor.mean * (1.0 - keep), factor.volatility * (variance / h).sqrt())
        }
        Some(factor) => {
            let drift = rate - factor.income - 0.5 * factor.volatility * factor.volatility;
            (1.0, drift * h, factor.volatility)
        }
        None => {
            let volatility = portfolio.firms[driver - portfolio.factors.len()].volatility;
            (1.0, (rate - 0.5 * volatility * volatility) * h, volatility)
        }
    }
}

/// The share of a step after which a Brownian bridge from `from` > 0 to `to`, of this variance over the step, first is at 0, given
/// that it is. With T that share, T / (1 − T) is inverse Gaussian with mean from / |to| and shape from² / variance.
fn first_passage_share(from: f64, to: f64, variance: f64, stream: &mut Stream) -> f64 {
    let shape = from * from / variance;
    let mean = from / to.abs().max(1e-12 * from);
    // Michael, Schucany and Haas.
    let y = stream.normal().powi(2);
    let root = (4.0 * mean * shape * y + (mean * y).powi(2)).sqrt();
    let smaller = (mean + mean * mean * y / (2.0 * shape) - mean / (2.0 * shape) * root).max(0.0);
    let odds = if stream.uniform() <= mean / (mean + smaller) { smaller } else { mean * mean / smaller };
    if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
}
