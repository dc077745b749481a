//! Clean values by closed formulas: of forwards on any basket, and of options on one factor.

use super::closed_form::{bachelier, black};
use super::numbers::{normal_probability_fast, vectorized};
use super::portfolio::{FactorKind, Portfolio, Trade, TradeKind};
use super::simulation::{Chunk, Grid};

impl Trade {
    /// Whether a closed formula gives its value.
    pub fn has_closed_form(&self) -> bool {
        self.kind == TradeKind::Forward || self.underlying.len() == 1
    }
}

/// Mean of a factor after `time` from `level`, and the deviation of its logarithm (`gbm`) or of itself (`ou`).
fn outlook(portfolio: &Portfolio, factor: usize, level: f64, time: f64) -> (f64, f64) {
    let terms = &portfolio.factors[factor];
    match terms.kind {
        FactorKind::Gbm => {
            let growth = (portfolio.market.rate - terms.income) * time;
            (level * growth.exp(), terms.volatility * time.sqrt())
        }
        FactorKind::Ou => {
            let keep = (-terms.reversion * time).exp();
            let variance = -(-2.0 * terms.reversion * time).exp_m1() / (2.0 * terms.reversion);
            (terms.mean + (level - terms.mean) * keep, terms.volatility * variance.sqrt())
        }
    }
}

/// The clean value of a trade with a closed formula when its factors are at `levels`, `remaining` years before maturity.
pub fn trade_value(
    portfolio: &Portfolio,
    trade: &Trade,
    levels: impl Fn(usize) -> f64,
    remaining: f64,
) -> f64 {
    let remaining = remaining.max(0.0);
    let discount = trade.quantity * (-portfolio.market.rate * remaining).exp();
    let (mean, deviation, lognormal) = match trade.underlying[..] {
        [(factor, weight)] => {
            let (mean, deviation) = outlook(portfolio, factor, levels(factor), remaining);
            let lognormal = portfolio.factors[factor].kind == FactorKind::Gbm;
            (weight * mean, if lognormal { deviation } else { weight.abs() * deviation }, lognormal)
        }
        _ => {
            let means = trade
                .underlying
                .iter()
                .map(|&(factor, weight)| weight * outlook(portfolio, factor, levels(factor), remaining).0);
            (means.sum(), 0.0, false)
        }
    };
    let sign = match trade.kind {
        TradeKind::Forward => return discount * (mean - trade.strike),
        TradeKind::Call => 1.0,
        TradeKind::Put => -1.0,
    };
    // A negative weight on a lognormal factor turns both sides round.
    if lognormal && mean < 0.0 {
        return discount * black(-mean, -trade.strike, deviation, -sign);
    }
    discount
        * if lognormal {
            black(mean, trade.strike, deviation, sign)
        } else {
            bachelier(mean, trade.strike, deviation, sign)
        }
}

/// Adds the value of a trade with a closed formula to `values`, path by path, at a date. From its maturity on it is worth what it
/// pays on the factors at that date.
pub(crate) fn add_closed_form(
    portfolio: &Portfolio,
    trade: &Trade,
    grid: &Grid,
    chunk: &Chunk,
    date: usize,
    values: &mut [f64],
) {
    let remaining = (trade.maturity - grid.times[date]).max(0.0);
    let plain_option = trade.kind != TradeKind::Forward
        && remaining > 0.0
        && trade.strike > 0.0
        && trade.underlying[0].1 > 0.0
        && portfolio.factors[trade.underlying[0].0].kind == FactorKind::Gbm;
    if plain_option {
        add_options(portfolio, trade, chunk, date, remaining, values);
    } else if trade.kind == TradeKind::Forward {
        add_forwards(portfolio, trade, chunk, date, remaining, values);
    } else {
        for (path, value) in values.iter_mut().enumerate() {
            *value += trade_value(portfolio, trade, |factor| chunk.level(date, factor)[path], remaining);
        }
    }
}

/// Forwards are linear: what a unit of each factor is worth, and a constant.
fn add_forwards(
    portfolio: &Portfolio,
    trade: &Trade,
    chunk: &Chunk,
    date: usize,
    remaining: f64,
    values: &mut [f64],
) {
    let at_zero = trade_value(portfolio, trade, |_| 0.0, remaining);
    values.iter_mut().for_each(|value| *value += at_zero);
    for &(factor, weight) in &trade.underlying {
        let one = trade.quantity
            * weight
            * (-portfolio.market.rate * remaining).exp()
            * (outlook(portfolio, factor, 1.0, remaining).0 - outlook(portfolio, factor, 0.0, remaining).0);
        values.iter_mut().zip(chunk.level(date, factor)).for_each(|(value, level)| *value += one * level);
    }
}

/// Options on one lognormal factor, in vector code.
fn add_options(
    portfolio: &Portfolio,
    trade: &Trade,
    chunk: &Chunk,
    date: usize,
    remaining: f64,
    values: &mut [f64],
) {
    let (factor, weight) = trade.underlying[0];
    let (growth, deviation) = outlook(portfolio, factor, 1.0, remaining);
    let sign = if trade.kind == TradeKind::Call { 1.0 } else { -1.0 };
    let discount = sign * trade.quantity * (-portfolio.market.rate * remaining).exp();
    let first = (weight * growth * portfolio.factors[factor].start / trade.strike).ln();
    let (ahead, inverse) = (weight * growth, 1.0 / deviation);
    vectorized(
        #[inline(always)]
        || {
            let rows = values.iter_mut().zip(chunk.logarithm(date, factor)).zip(chunk.level(date, factor));
            for ((value, &y), &level) in rows {
                let d = (first + y).mul_add(inverse, 0.5 * deviation);
                let above = ahead * level * normal_probability_fast(sign * d);
                let below = trade.strike * normal_probability_fast(sign * (d - deviation));
                *value = discount.mul_add(above - below, *value);
            }
        },
    );
}
