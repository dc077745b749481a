//! What a chunk of paths says of one netting set.

use super::clean::trade_value;
use super::flows::{Along, payoffs};
use super::layers::Layers;
use super::numbers::{sum_of, vectorized};
use super::parameters::Parameters;
use super::portfolio::{NettingSet, Portfolio, Trade};
use super::sensitivity::{Moments, Today};
use super::simulation::{Chunk, Draws, Grid};
use super::valuation::{ADJUSTMENTS, Estimate};

/// Numbers per path: the clean value, then the adjustments.
pub(crate) const COLUMNS: usize = 1 + ADJUSTMENTS.len();
/// Sums per date of a profile.
pub(crate) const PROFILES: usize = 5;

/// What a chunk of paths says of one set.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// For every column, one number per independent path; empty where there is none.
    pub(crate) columns: [Vec<f64>; COLUMNS],
    /// For every column, sums over all paths of its numbers and their squares before hedges are taken away, then after.
    pub(crate) spread: [[f64; 4]; COLUMNS],
    /// For every column and driver: what sensitivities rest on.
    pub(crate) moments: [Vec<Moments>; COLUMNS],
    /// Sums over paths, date by date.
    pub(crate) profile: Vec<[f64; PROFILES]>,
    /// Moves beyond the margin received, beyond that posted, and all.
    pub(crate) moves: [f64; 3],
    pub(crate) paths: usize,
}

/// Values and adjustments on the paths of a chunk.
pub(crate) fn sample(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    layers: &Layers,
    (chunk, draws, today): (&Chunk, &Draws<'_>, &Today),
    parameters: &Parameters,
) -> Sample {
    let along = layers.along(portfolio, set, grid, chunk, draws);
    let mut columns: [Vec<f64>; COLUMNS] = Default::default();
    let mut spread = [[0.0; 4]; COLUMNS];
    let sums = |numbers: &[f64]| (numbers.iter().sum::<f64>(), numbers.iter().map(|x| x * x).sum::<f64>());
    let exact = exact_value(portfolio, set, parameters.formulas);
    let learned = |trade: &Trade| !(parameters.formulas && trade.has_closed_form());
    columns[0] = vec![exact; chunk.paths];
    if set.trades.iter().any(learned) {
        let flows = payoffs(portfolio, set, grid, chunk, learned);
        let mut totals = flows.totals(0);
        (spread[0][0], spread[0][1]) = sums(&totals);
        if let Some(layer) = layers.clean.layer() {
            let hedges = layer.evaluate(portfolio, grid, chunk, &[], Some(&flows.ends)).hedges;
            totals.iter_mut().zip(&hedges[0]).for_each(|(total, hedge)| *total -= hedge);
        }
        (spread[0][2], spread[0][3]) = sums(&totals);
        columns[0].iter_mut().zip(totals).for_each(|(value, total)| *value += total);
    }
    let mut place = 1;
    for (flows, hedges) in layers.adjustments(portfolio, set, grid, chunk, &along) {
        for equation in 0..flows.amounts.len() {
            let mut totals = flows.totals(equation);
            (spread[place][0], spread[place][1]) = sums(&totals);
            // Weighted hedges would have a mean of 0 and a variance of their own: paths that do not default, rare under the other
            // measure, weigh most.
            if let Some(hedge) = hedges.get(equation).filter(|_| draws.tilt.is_none()) {
                totals.iter_mut().zip(hedge).for_each(|(total, hedge)| *total -= hedge);
            }
            (spread[place][2], spread[place][3]) = sums(&totals);
            for (path, total) in totals.iter_mut().enumerate() {
                *total *= chunk.weight(flows.ends[path], path);
            }
            columns[place] = totals;
            place += 1;
        }
    }
    if !layers.funds {
        // Borrowing and lending at the risk-free rate cost nothing.
        columns[place] = vec![0.0; chunk.paths];
    }
    let moments = columns.each_ref().map(|column| today.moments(chunk, column, parameters.antithetic));
    if parameters.antithetic {
        columns.iter_mut().for_each(|column| {
            let half = column.len() / 2;
            let (first, second) = column.split_at(half);
            *column = first.iter().zip(second).map(|(a, b)| 0.5 * (a + b)).collect();
        });
    }
    let profile = profile(set, &along, chunk.paths);
    let moves = moves(portfolio, set, grid, layers, chunk, draws, &along);
    Sample { columns, spread, moments, profile, moves, paths: chunk.paths }
}

/// Sums over paths, date by date.
fn profile(set: &NettingSet, along: &Along, paths: usize) -> Vec<[f64; PROFILES]> {
    let nothing = vec![0.0; paths];
    let row = |values: &'_ [f64], date: usize| -> std::ops::Range<usize> {
        if values.is_empty() { 0..0 } else { date * paths..(date + 1) * paths }
    };
    let of = |date: usize| {
        let value = &along.value[row(&along.value, date)];
        let received = match &along.received[row(&along.received, date)] {
            [] => &nothing[..],
            received => received,
        };
        let posted = &along.posted[row(&along.posted, date)];
        vectorized(
            #[inline(always)]
            || {
                [
                    sum_of(value, value, |value, _| value.max(0.0)),
                    sum_of(value, value, |value, _| (-value).max(0.0)),
                    sum_of(value, received, |value, margin| {
                        (value - set.collateral(value) - margin).max(0.0)
                    }),
                    sum_of(received, received, |margin, _| margin),
                    sum_of(posted, posted, |margin, _| margin),
                ]
            },
        )
    };
    (0..along.value.len() / paths).map(of).collect()
}

/// Moves of the clean value over the margin period: beyond the margin received, beyond that posted, and all.
fn moves(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    layers: &Layers,
    chunk: &Chunk,
    draws: &Draws<'_>,
    along: &Along,
) -> [f64; 3] {
    let Some(terms) = set.margin.filter(|_| layers.margin.is_some()) else { return [0.0; 3] };
    let (later, ahead) = chunk.ahead(portfolio, grid, draws, terms.period);
    let then = layers.clean.along(portfolio, set, &later, &ahead, draws, Some(grid));
    let mut found = [0.0; 3];
    for at in 0..grid.steps() * chunk.paths {
        let rise = then[at] - along.value[at];
        found[0] += f64::from(u8::from(rise > along.received[at]));
        found[1] += f64::from(u8::from(-rise > along.posted[at]));
        found[2] += 1.0;
    }
    found
}

/// Clean value today of the trades whose formula is used.
pub(crate) fn exact_value(portfolio: &Portfolio, set: &NettingSet, formulas: bool) -> f64 {
    let start = |factor: usize| portfolio.factors[factor].start;
    let exact = set.trades.iter().filter(|trade| formulas && trade.has_closed_form());
    exact.map(|trade| trade_value(portfolio, trade, start, trade.maturity)).sum()
}

/// Mean and standard error; `None` of no numbers.
pub(crate) fn estimate(numbers: &[f64]) -> Option<Estimate> {
    let count = numbers.len();
    if count == 0 {
        return None;
    }
    let (sum, squares) = vectorized(
        #[inline(always)]
        || {
            let sum = sum_of(numbers, numbers, |number, _| number);
            let mean = sum / count as f64;
            (sum, sum_of(numbers, numbers, |number, _| (number - mean) * (number - mean)))
        },
    );
    let variance = squares / (count.max(2) - 1) as f64;
    Some(Estimate { mean: sum / count as f64, standard_error: (variance / count as f64).sqrt() })
}
