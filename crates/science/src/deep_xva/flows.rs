//! What each adjustment pays along a path: the right-hand sides of the layers.

use super::portfolio::{NettingSet, Portfolio, TradeKind};
use super::simulation::{Chunk, Grid};

/// Amounts, discounted to today, on every date and path, of one or several backward equations that end together.
#[derive(Clone, Debug)]
pub(crate) struct Flows {
    pub(crate) paths: usize,
    /// For every path: the date at which it ends. Flows after are 0.
    pub(crate) ends: Vec<usize>,
    /// For every equation, date and path; empty for an equation that cannot pay.
    pub(crate) amounts: Vec<Vec<f64>>,
}

/// Positions among the linear adjustments.
pub(crate) const CVA: usize = 0;
pub(crate) const DVA: usize = 1;
pub(crate) const COLVA: usize = 2;
pub(crate) const MVA: usize = 3;
/// How many there are.
pub(crate) const LINEAR: usize = 4;

/// Values of a netting set along the paths of a chunk: one per date and path each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Along {
    /// Clean value.
    pub(crate) value: Vec<f64>,
    /// Initial margin received; empty if there is none.
    pub(crate) received: Vec<f64>,
    /// Initial margin posted; empty if there is none.
    pub(crate) posted: Vec<f64>,
}

impl Flows {
    fn new(paths: usize, dates: usize, equations: usize) -> Self {
        Self { paths, ends: vec![dates - 1; paths], amounts: vec![vec![0.0; dates * paths]; equations] }
    }

    /// What is paid in all on every path.
    pub(crate) fn totals(&self, equation: usize) -> Vec<f64> {
        let mut totals = vec![0.0; self.paths];
        for row in self.amounts[equation].chunks_exact(self.paths) {
            totals.iter_mut().zip(row).for_each(|(total, amount)| *total += amount);
        }
        totals
    }

    /// Some of the equations.
    pub(crate) fn only(mut self, equations: &[usize]) -> Self {
        self.amounts =
            equations.iter().map(|&equation| std::mem::take(&mut self.amounts[equation])).collect();
        self
    }
}

/// Which of the linear adjustments can pay anything, by the terms of the set. The others are exactly 0.
pub(crate) fn pays(portfolio: &Portfolio, set: &NettingSet) -> [bool; LINEAR] {
    let market = &portfolio.market;
    let loses = |firm: Option<usize>| firm.is_some_and(|firm| portfolio.firms[firm].recovery < 1.0);
    let mut pays = [false; LINEAR];
    // Without a threshold all that is owed is held.
    pays[CVA] = loses(Some(set.counterparty)) && set.threshold_received > 0.0;
    pays[DVA] = loses(portfolio.bank()) && set.threshold_posted > 0.0;
    pays[COLVA] = set.threshold_received.is_finite() && market.collateral_received != market.rate
        || set.threshold_posted.is_finite() && market.collateral_posted != market.rate;
    pays[MVA] = set.margin.is_some() && market.borrowing != market.margin_posted;
    pays
}

/// Layer 1: payoffs at maturity of the trades that `learned` picks.
pub(crate) fn payoffs(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    chunk: &Chunk,
    learned: impl Fn(&super::portfolio::Trade) -> bool,
) -> Flows {
    let mut flows = Flows::new(chunk.paths, grid.times.len(), 1);
    for trade in set.trades.iter().filter(|trade| learned(trade)) {
        let date = grid.times.partition_point(|&time| time < trade.maturity).min(grid.steps());
        let discount = trade.quantity * (-portfolio.market.rate * trade.maturity).exp();
        let amounts = &mut flows.amounts[0][date * chunk.paths..][..chunk.paths];
        for (path, amount) in amounts.iter_mut().enumerate() {
            let x = trade
                .underlying
                .iter()
                .map(|&(factor, weight)| weight * chunk.level(date, factor)[path])
                .sum();
            *amount += discount * TradeKind::payoff(trade.kind, x, trade.strike);
        }
    }
    flows
}

/// Layers 2 and 3: CVA, DVA, ColVA and MVA, all of which end at the first default of the two parties.
pub(crate) fn linear(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    chunk: &Chunk,
    along: &Along,
) -> Flows {
    let (market, paths) = (&portfolio.market, chunk.paths);
    let pays = pays(portfolio, set);
    let size = |pays: bool| if pays { grid.times.len() * paths } else { 0 };
    let amounts = pays.iter().map(|&pays| vec![0.0; size(pays)]).collect();
    let mut flows = Flows { paths, ends: vec![0; paths], amounts };
    let discounts: Vec<f64> = grid.times.iter().map(|time| (-market.rate * time).exp()).collect();
    let end = ends(portfolio, set, grid, chunk);
    let margin = |amounts: &[f64], at: usize| amounts.get(at).copied().unwrap_or(0.0);
    for (path, end) in end.into_iter().enumerate() {
        flows.ends[path] = end.date;
        let until = if pays[COLVA] || pays[MVA] { end.date } else { 0 };
        for date in 0..until {
            let at = date * paths + path;
            let time = end.time.min(grid.times[date + 1]) - grid.times[date];
            let discounted = discounts[date] * time;
            if pays[COLVA] {
                let held = set.collateral(along.value[at]);
                let rate = if held > 0.0 { market.collateral_received } else { market.collateral_posted };
                flows.amounts[COLVA][at] = discounted * (rate - market.rate) * held;
            }
            if pays[MVA] {
                let spread = market.borrowing - market.margin_posted;
                flows.amounts[MVA][at] = discounted * spread * margin(&along.posted, at);
            }
        }
        if let Some(firm) =
            end.defaults.filter(|&firm| pays[if firm == set.counterparty { CVA } else { DVA }])
        {
            let at = end.date * paths + path;
            let (value, held) = (along.value[at], set.collateral(along.value[at]));
            let discounted = (-market.rate * end.time).exp() * (1.0 - portfolio.firms[firm].recovery);
            if firm == set.counterparty {
                flows.amounts[CVA][at] = discounted * (value - held - margin(&along.received, at)).max(0.0);
            } else {
                flows.amounts[DVA][at] = discounted * (-(value - held + margin(&along.posted, at))).max(0.0);
            }
        }
    }
    flows
}

/// Layer 4: FVA, with the sum of all adjustments at every date and path.
pub(crate) fn funding(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    chunk: &Chunk,
    along: &Along,
    adjustments: &[f64],
) -> Flows {
    let (market, paths) = (&portfolio.market, chunk.paths);
    let mut flows = Flows::new(paths, grid.times.len(), 1);
    let discounts: Vec<f64> = grid.times.iter().map(|time| (-market.rate * time).exp()).collect();
    for (path, end) in ends(portfolio, set, grid, chunk).into_iter().enumerate() {
        flows.ends[path] = end.date;
        for date in 0..end.date {
            let at = date * paths + path;
            let time = end.time.min(grid.times[date + 1]) - grid.times[date];
            let needed = along.value[at] - adjustments[at] - set.collateral(along.value[at]);
            let spread = if needed > 0.0 { market.borrowing } else { market.lending } - market.rate;
            flows.amounts[0][at] = discounts[date] * time * spread * needed;
        }
    }
    flows
}

struct End {
    date: usize,
    time: f64,
    /// The firm that defaults first, if one does.
    defaults: Option<usize>,
}

fn ends(portfolio: &Portfolio, set: &NettingSet, grid: &Grid, chunk: &Chunk) -> Vec<End> {
    let last = grid.steps();
    let end = |path: usize| {
        let theirs = chunk.hit(set.counterparty, path);
        let first = portfolio.bank().map(|bank| (chunk.hit(bank, path), bank));
        let (hit, firm) = match first {
            Some((ours, bank)) if ours.time < theirs.time => (ours, bank),
            _ => (theirs, set.counterparty),
        };
        if hit.date > last {
            return End { date: last, time: grid.times[last], defaults: None };
        }
        End { date: hit.date, time: hit.time, defaults: Some(firm) }
    };
    (0..chunk.paths).map(end).collect()
}
