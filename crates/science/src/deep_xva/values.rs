//! Layer 1 along paths: clean values of netting sets, from closed formulas, networks, regressions or inner simulations.

use backstitch_numerics::Stream;

use super::clean::add_closed_form;
use super::features::Features;
use super::flows::{Flows, payoffs};
use super::layer::{Layer, Task, Training};
use super::portfolio::{FactorKind, NettingSet, Portfolio, Trade};
use super::regression::{Regression, Sums};
use super::simulation::{Chunk, Draws, Grid, simulate, transition};

/// Where values of trades come from that are not taken from a closed formula.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// There are none.
    Nothing,
    /// A trained layer.
    Network(Box<Layer>),
    /// Regressions.
    Polynomial(Regression),
    /// As many inner paths from every date and path.
    Inner(usize),
}

/// The clean value of one netting set.
#[derive(Clone, Debug)]
pub(crate) struct Clean {
    /// Whether closed formulas are used where there are any.
    formulas: bool,
    source: Source,
}

/// How layer 1 is had.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    Deep(&'a Training),
    /// With as many paths.
    Regression(usize),
    /// With as many inner paths.
    Nested(usize),
}

impl Clean {
    /// Learns what has to be learned.
    pub(crate) fn learn(
        portfolio: &Portfolio,
        set: &NettingSet,
        grid: &Grid,
        draws: Draws<'_>,
        way: Way<'_>,
        formulas: bool,
    ) -> Self {
        let learned = |trade: &Trade| !(formulas && trade.has_closed_form());
        if !set.trades.iter().any(learned) {
            return Self { formulas, source: Source::Nothing };
        }
        let features = Features::new(portfolio, set, None, &[]);
        let flows = |chunk: &Chunk| payoffs(portfolio, set, grid, chunk, learned);
        let source = match way {
            Way::Nested(inner) => Source::Inner(inner),
            Way::Deep(training) => {
                let task = Task {
                    portfolio,
                    grid,
                    training,
                    draws,
                    features,
                    drivers: set.factors(),
                    prepare: &|_: &Chunk| (Vec::new(), ()),
                    flows: &|chunk: &Chunk, (): &(), _: Option<&[Vec<f64>]>| flows(chunk),
                };
                Source::Network(Box::new(task.train()))
            }
            Way::Regression(paths) => {
                let sums = simulate(portfolio, grid, &draws, paths, |chunk: &Chunk| {
                    let flows = flows(chunk);
                    Sums::of(&features, grid, chunk, &[], &flows.ends, &flows.left(portfolio, grid))
                });
                Source::Polynomial(Regression::fit(features, sums))
            }
        };
        Self { formulas, source }
    }

    /// The values at every date and path. `since` gives, for every date, from which time on trades that have matured meanwhile count
    /// with what they pay; the dates themselves where it is `None`.
    pub(crate) fn along(
        &self,
        portfolio: &Portfolio,
        set: &NettingSet,
        grid: &Grid,
        chunk: &Chunk,
        draws: &Draws<'_>,
        since: Option<&Grid>,
    ) -> Vec<f64> {
        let (paths, last) = (chunk.paths, grid.times[grid.steps()]);
        let since = since.unwrap_or(grid);
        let learned = |trade: &Trade| !(self.formulas && trade.has_closed_form());
        let mut values = match &self.source {
            Source::Nothing | Source::Inner(_) => vec![0.0; grid.times.len() * paths],
            Source::Network(layer) => layer.evaluate(portfolio, grid, chunk, &[], None).values.swap_remove(0),
            Source::Polynomial(regression) => regression.evaluate(grid, chunk, &[]).swap_remove(0),
        };
        let mut inner = Inner::new(draws, chunk);
        for (date, row) in values.chunks_exact_mut(paths).enumerate() {
            let time = grid.times[date];
            let open = set.trades.iter().filter(|trade| trade.maturity >= since.times[date]);
            let (open, matured): (Vec<&Trade>, Vec<&Trade>) = open.partition(|trade| trade.maturity > time);
            // At the last date, and when all that was learned has matured, the functions have nothing to say.
            if time >= last || !open.iter().any(|trade| learned(trade)) {
                row.fill(0.0);
            }
            for trade in &open {
                if !learned(trade) {
                    add_closed_form(portfolio, trade, grid, chunk, date, row);
                } else if let Source::Inner(inner_paths) = self.source {
                    inner.add(portfolio, trade, chunk, date, trade.maturity - time, inner_paths, row);
                }
            }
            for trade in matured {
                for (path, value) in row.iter_mut().enumerate() {
                    let x = trade
                        .underlying
                        .iter()
                        .map(|&(factor, weight)| weight * chunk.level(date, factor)[path])
                        .sum();
                    *value += trade.quantity * trade.kind.payoff(x, trade.strike);
                }
            }
        }
        values
    }

    /// What the network has learned of the value today, if there is one, and how its hedges stand: ζ for each driver.
    pub(crate) fn layer(&self) -> Option<&Layer> {
        match &self.source {
            Source::Network(layer) => Some(layer),
            _ => None,
        }
    }
}

impl Flows {
    /// What is still paid from each date on, the date included, as values of that date.
    pub(crate) fn left(&self, portfolio: &Portfolio, grid: &Grid) -> Vec<Vec<f64>> {
        let of = |amounts: &Vec<f64>| {
            let mut left = amounts.clone();
            for date in (0..grid.steps()).rev() {
                let (now, later) = left.split_at_mut((date + 1) * self.paths);
                let now = &mut now[date * self.paths..];
                now.iter_mut().zip(later).for_each(|(sum, next)| *sum += *next);
            }
            for (row, time) in left.chunks_exact_mut(self.paths).zip(&grid.times) {
                let growth = (portfolio.market.rate * time).exp();
                row.iter_mut().for_each(|value| *value *= growth);
            }
            left
        };
        self.amounts.iter().map(of).collect()
    }
}

/// Inner simulations: from a date straight to a maturity.
struct Inner {
    stream: Stream,
    normals: Vec<f64>,
}

impl Inner {
    fn new(draws: &Draws<'_>, chunk: &Chunk) -> Self {
        Self {
            stream: Stream::new(draws.seed, &format!("deep-xva {} inner {}", draws.purpose, chunk.index)),
            normals: Vec::new(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one place calls it")]
    fn add(
        &mut self,
        portfolio: &Portfolio,
        trade: &Trade,
        chunk: &Chunk,
        date: usize,
        remaining: f64,
        inner: usize,
        values: &mut [f64],
    ) {
        let moves: Vec<(f64, f64, f64)> = trade
            .underlying
            .iter()
            .map(|&(factor, _)| {
                let (keep, add, scale) = transition(portfolio, factor, remaining);
                (keep, add, scale * remaining.sqrt())
            })
            .collect();
        let highest = trade.underlying.iter().map(|&(factor, _)| factor).max().unwrap_or(0);
        self.normals.resize(highest + 1, 0.0);
        let discount = trade.quantity * (-portfolio.market.rate * remaining).exp() / inner as f64;
        for (path, value) in values.iter_mut().enumerate() {
            let mut sum = 0.0;
            for _ in 0..inner {
                self.normals.iter_mut().for_each(|normal| *normal = self.stream.normal());
                let mut x = 0.0;
                for (&(factor, weight), (keep, add, scale)) in trade.underlying.iter().zip(&moves) {
                    let root = portfolio.root.row(factor);
                    let moved: f64 = self.normals.iter().zip(root).take(factor + 1).map(|(z, w)| z * w).sum();
                    let y = keep * chunk.logarithm(date, factor)[path] + add + scale * moved;
                    let terms = &portfolio.factors[factor];
                    x += weight * if terms.kind == FactorKind::Gbm { terms.start * y.exp() } else { y };
                }
                sum += trade.kind.payoff(x, trade.strike);
            }
            *value += discount * sum;
        }
    }
}
