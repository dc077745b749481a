//! From learned layers to numbers with standard errors, on paths that no layer was trained on.

use rayon::prelude::*;

use super::clean::trade_value;
use super::closed_form::default_probability;
use super::flows::{Along, LINEAR, payoffs};
use super::layers::{Layers, VALUED_TILTED};
use super::parameters::{Method, Parameters};
use super::portfolio::{FactorKind, NettingSet, Portfolio};
use super::simulation::{Chunk, Draws, Grid, Tilt, simulate};
use crate::Error;

/// The method: `DeepXva::new(parameters)?.value(&portfolio)`.
#[derive(Clone, Debug)]
pub struct DeepXva {
    parameters: Parameters,
}

/// Names of the adjustments, in the order in which they are given.
pub const ADJUSTMENTS: [&str; 5] = ["CVA", "DVA", "ColVA", "MVA", "FVA"];
/// +1 for costs, −1 for benefits.
pub const SIGNS: [f64; 5] = [1.0, -1.0, 1.0, 1.0, 1.0];

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error, over paths; the error of the layers is not in it.
    pub standard_error: f64,
}

/// What is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Valuation {
    /// Dates, in years.
    pub times: Vec<f64>,
    /// One per counterparty, in the order of the portfolio.
    pub counterparties: Vec<Values>,
    /// One per netting set.
    pub sets: Vec<SetValuation>,
}

/// Values of a counterparty or a netting set.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Its name.
    pub name: String,
    /// Probability of default of the counterparty before the last maturity.
    pub default_probability: f64,
    /// Clean value.
    pub clean: Estimate,
    /// In the order of [`ADJUSTMENTS`]; `None` where the method has none.
    pub adjustments: [Option<Estimate>; 5],
    /// All adjustments there are, costs less benefits: take it from the clean value.
    pub total: Estimate,
}

/// What is found of a netting set.
#[derive(Clone, Debug, PartialEq)]
pub struct SetValuation {
    /// Values today.
    pub values: Values,
    /// Position of its counterparty.
    pub counterparty: usize,
    /// For every date, means over all paths whether or not anybody has defaulted, not discounted.
    pub profile: Profile,
    /// How the layers have learned; in the order of [`ADJUSTMENTS`].
    pub learned: [Option<Learned>; 5],
    /// Shares of the moves over the margin period, on paths of the valuation, that go beyond the margin received and the margin posted;
    /// one less the level is aimed at. `None` without margin.
    pub exceeded: Option<[f64; 2]>,
    /// For each driver of the set: derivatives with respect to today's value of the factor, or to the assets of the firm.
    pub sensitivities: Vec<Sensitivity>,
}

/// Means at every date.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Profile {
    /// E V⁺.
    pub positive: Vec<f64>,
    /// E V⁻, not negative.
    pub negative: Vec<f64>,
    /// E (V − C − IM received)⁺: what is lost at worst.
    pub unsecured: Vec<f64>,
    /// Mean initial margin received.
    pub received: Vec<f64>,
    /// Mean initial margin posted.
    pub posted: Vec<f64>,
}

/// How a layer has learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// Y₀ at the end of the training.
    pub value: f64,
    /// A posteriori: root of the mean squared mismatch at the end, on paths of the valuation under the risk-neutral measure.
    pub mismatch: f64,
    /// The share of the variance that the hedge takes away: 1 − Var(P − M)/Var P.
    pub explained: f64,
}

/// Derivatives with respect to one driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Name of the factor or the firm.
    pub driver: String,
    /// Of the clean value.
    pub clean: Option<f64>,
    /// In the order of [`ADJUSTMENTS`].
    pub adjustments: [Option<f64>; 5],
}

/// Numbers per path: the clean value, then the adjustments.
const COLUMNS: usize = 1 + ADJUSTMENTS.len();
/// Sums per date of a profile.
const PROFILES: usize = 5;

/// What a chunk of paths says of one set.
struct Sample {
    /// For every column, one number per independent path; empty where there is none.
    columns: [Vec<f64>; COLUMNS],
    /// The same before hedges are taken away.
    raw: [Vec<f64>; COLUMNS],
    /// Sums over paths, date by date.
    profile: Vec<[f64; PROFILES]>,
    /// Moves beyond the margin received, beyond that posted, and all.
    moves: [f64; 3],
    paths: usize,
}

impl DeepXva {
    /// Checks the parameters.
    ///
    /// # Errors
    /// On a parameter outside its range.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Learns the layers of every netting set and values them.
    pub fn value(&self, portfolio: &Portfolio) -> Valuation {
        let parameters = &self.parameters;
        let grid = Grid::new(portfolio, parameters.steps);
        let layers: Vec<Layers> = portfolio
            .netting_sets
            .par_iter()
            .map(|set| Layers::learn(portfolio, set, &grid, parameters))
            .collect();
        let all: Vec<usize> = (0..layers.len()).collect();
        let samples = self.sample(portfolio, &grid, &layers, &all, None);
        // One measure per counterparty that rarely defaults.
        let mut tilted: Vec<Option<Vec<Sample>>> = (0..layers.len()).map(|_| None).collect();
        for counterparty in 0..portfolio.counterparties {
            let theirs: Vec<usize> = all
                .iter()
                .copied()
                .filter(|&set| portfolio.netting_sets[set].counterparty == counterparty)
                .collect();
            let Some(tilt) = theirs.first().and_then(|&set| layers[set].tilt) else { continue };
            for (set, samples) in
                theirs.iter().zip(self.sample(portfolio, &grid, &layers, &theirs, Some(tilt)))
            {
                tilted[*set] = Some(samples);
            }
        }
        let sets = all
            .iter()
            .map(|&index| {
                let set = &portfolio.netting_sets[index];
                let values =
                    values(portfolio, set.name.clone(), set.counterparty, &[index], &samples, &tilted);
                SetValuation {
                    values,
                    counterparty: set.counterparty,
                    profile: profile(&samples[index], grid.times.len()),
                    learned: learned(&layers[index], &samples[index]),
                    exceeded: exceeded(&samples[index]),
                    sensitivities: sensitivities(portfolio, set, &grid, &layers[index], parameters),
                }
            })
            .collect();
        let counterparties = (0..portfolio.counterparties)
            .map(|counterparty| {
                let theirs: Vec<usize> = all
                    .iter()
                    .copied()
                    .filter(|&set| portfolio.netting_sets[set].counterparty == counterparty)
                    .collect();
                let name = portfolio.firms[counterparty].name.clone();
                values(portfolio, name, counterparty, &theirs, &samples, &tilted)
            })
            .collect();
        Valuation { times: grid.times, counterparties, sets }
    }

    /// For each of some sets, what the chunks say.
    fn sample(
        &self,
        portfolio: &Portfolio,
        grid: &Grid,
        layers: &[Layers],
        sets: &[usize],
        tilt: Option<Tilt>,
    ) -> Vec<Vec<Sample>> {
        let parameters = &self.parameters;
        let purpose = match tilt {
            None => "valuation".to_owned(),
            Some(tilt) => format!("valuation {}", tilt.firm),
        };
        let draws = Draws {
            seed: parameters.seed,
            purpose: &purpose,
            antithetic: parameters.antithetic,
            monitoring: parameters.monitoring,
            tilt,
        };
        let chunks = simulate(portfolio, grid, &draws, parameters.paths, |chunk| {
            sets.iter()
                .map(|&set| {
                    let terms = &portfolio.netting_sets[set];
                    sample(portfolio, terms, grid, &layers[set], chunk, &draws, parameters)
                })
                .collect::<Vec<Sample>>()
        });
        let mut by_set: Vec<Vec<Sample>> = sets.iter().map(|_| Vec::with_capacity(chunks.len())).collect();
        for chunk in chunks {
            chunk.into_iter().zip(&mut by_set).for_each(|(sample, samples)| samples.push(sample));
        }
        by_set
    }
}

fn sample(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    layers: &Layers,
    chunk: &Chunk,
    draws: &Draws<'_>,
    parameters: &Parameters,
) -> Sample {
    let along = layers.along(portfolio, set, grid, chunk, draws);
    let mut columns: [Vec<f64>; COLUMNS] = Default::default();
    let mut raw: [Vec<f64>; COLUMNS] = Default::default();
    let learned = |trade: &super::portfolio::Trade| !(parameters.formulas && trade.has_closed_form());
    let flows = payoffs(portfolio, set, grid, chunk, learned);
    raw[0] = flows.totals(0);
    columns[0].clone_from(&raw[0]);
    if let Some(layer) = layers.clean.layer() {
        let hedges = layer.evaluate(portfolio, grid, chunk, &[], Some(&flows.ends)).hedges;
        columns[0].iter_mut().zip(&hedges[0]).for_each(|(total, hedge)| *total -= hedge);
    }
    let exact = exact_value(portfolio, set, parameters.formulas);
    columns[0].iter_mut().for_each(|value| *value += exact);
    let mut place = 1;
    for (flows, hedges) in layers.adjustments(portfolio, set, grid, chunk, &along) {
        for equation in 0..flows.amounts.len() {
            let mut totals = flows.totals(equation);
            raw[place].clone_from(&totals);
            // Weighted hedges would have a mean of 0 and a variance of their own: paths that do not default, rare under the other
            // measure, weigh most.
            if let Some(hedge) = hedges.get(equation).filter(|_| draws.tilt.is_none()) {
                totals.iter_mut().zip(hedge).for_each(|(total, hedge)| *total -= hedge);
            }
            for (path, total) in totals.iter_mut().enumerate() {
                *total *= chunk.weight(flows.ends[path], path);
            }
            columns[place] = totals;
            place += 1;
        }
    }
    if parameters.method == Method::Nested {
        // Inner simulations know no margin.
        columns[LINEAR] = Vec::new();
    } else if place == LINEAR + 1 {
        // Borrowing and lending at the risk-free rate cost nothing.
        columns[place] = vec![0.0; chunk.paths];
    }
    if parameters.antithetic {
        columns.iter_mut().chain(&mut raw).for_each(|column| {
            let half = column.len() / 2;
            let (first, second) = column.split_at(half);
            *column = first.iter().zip(second).map(|(a, b)| 0.5 * (a + b)).collect();
        });
    }
    let mut profile = vec![[0.0; PROFILES]; grid.times.len()];
    for (date, sums) in profile.iter_mut().enumerate() {
        for path in 0..chunk.paths {
            let at = date * chunk.paths + path;
            let value = along.value[at];
            let received = along.received.get(at).copied().unwrap_or(0.0);
            sums[0] += value.max(0.0);
            sums[1] += (-value).max(0.0);
            sums[2] += (value - set.collateral(value) - received).max(0.0);
            sums[3] += received;
            sums[4] += along.posted.get(at).copied().unwrap_or(0.0);
        }
    }
    let moves = moves(portfolio, set, grid, layers, chunk, draws, &along);
    Sample { columns, raw, profile, moves, paths: chunk.paths }
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
fn exact_value(portfolio: &Portfolio, set: &NettingSet, formulas: bool) -> f64 {
    let start = |factor: usize| portfolio.factors[factor].start;
    let exact = set.trades.iter().filter(|trade| formulas && trade.has_closed_form());
    exact.map(|trade| trade_value(portfolio, trade, start, trade.maturity)).sum()
}

/// Mean and standard error of numbers that come in pieces.
fn estimate(numbers: impl Iterator<Item = f64> + Clone) -> Option<Estimate> {
    let count = numbers.clone().count();
    if count == 0 {
        return None;
    }
    let mean = numbers.clone().sum::<f64>() / count as f64;
    let squares: f64 = numbers.map(|number| (number - mean).powi(2)).sum();
    let variance = squares / (count.max(2) - 1) as f64;
    Some(Estimate { mean, standard_error: (variance / count as f64).sqrt() })
}

/// Sums over sets, path by path, so that standard errors know what sets share.
fn values(
    portfolio: &Portfolio,
    name: String,
    counterparty: usize,
    sets: &[usize],
    samples: &[Vec<Sample>],
    tilted: &[Option<Vec<Sample>>],
) -> Values {
    let summed = |column: usize, tilt: bool| -> Vec<f64> {
        let mut sum: Vec<f64> = Vec::new();
        for &set in sets {
            let own = if tilt { tilted[set].as_ref() } else { Some(&samples[set]) };
            let numbers = own.into_iter().flatten().flat_map(|sample| sample.columns[column].iter());
            if sum.is_empty() {
                sum = numbers.copied().collect();
            } else {
                sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            }
        }
        sum
    };
    let has_tilt = sets.iter().any(|&set| tilted[set].is_some());
    let mut adjustments = [None; 5];
    let mut rest: Vec<f64> = Vec::new();
    let mut apart = Estimate::default();
    for (place, adjustment) in adjustments.iter_mut().enumerate() {
        let tilt = has_tilt && place == VALUED_TILTED;
        let numbers = summed(1 + place, tilt);
        *adjustment = estimate(numbers.iter().copied());
        if tilt {
            apart = adjustment.unwrap_or_default();
        } else if rest.is_empty() {
            rest = numbers.iter().map(|number| SIGNS[place] * number).collect();
        } else {
            rest.iter_mut().zip(&numbers).for_each(|(sum, number)| *sum += SIGNS[place] * number);
        }
    }
    let rest = estimate(rest.iter().copied()).unwrap_or_default();
    let firm = &portfolio.firms[counterparty];
    let (rate, horizon) = (portfolio.market.rate, portfolio.horizon());
    Values {
        name,
        default_probability: default_probability(firm.assets, firm.barrier, rate, firm.volatility, horizon),
        clean: estimate(summed(0, false).into_iter()).unwrap_or_default(),
        adjustments,
        total: Estimate {
            mean: rest.mean + apart.mean,
            standard_error: rest.standard_error.hypot(apart.standard_error),
        },
    }
}

fn profile(samples: &[Sample], dates: usize) -> Profile {
    let paths = samples.iter().map(|sample| sample.paths).sum::<usize>() as f64;
    let mean = |place: usize| -> Vec<f64> {
        (0..dates)
            .map(|date| samples.iter().map(|sample| sample.profile[date][place]).sum::<f64>() / paths)
            .collect()
    };
    Profile { positive: mean(0), negative: mean(1), unsecured: mean(2), received: mean(3), posted: mean(4) }
}

fn exceeded(samples: &[Sample]) -> Option<[f64; 2]> {
    let sum = |place: usize| samples.iter().map(|sample| sample.moves[place]).sum::<f64>();
    (sum(2) > 0.0).then(|| [sum(0) / sum(2), sum(1) / sum(2)])
}

fn learned(layers: &Layers, samples: &[Sample]) -> [Option<Learned>; 5] {
    let mut found = [None; 5];
    let functions = [(&layers.linear, 0), (&layers.funding, LINEAR)];
    for (function, first) in functions {
        let Some(layer) = function.layer() else { continue };
        for (equation, &value) in layer.learned.iter().enumerate() {
            let column = 1 + first + equation;
            let variance = |numbers: &dyn Fn(&Sample) -> &Vec<f64>| {
                let all: Vec<f64> =
                    samples.iter().flat_map(|sample| numbers(sample).iter().copied()).collect();
                estimate(all.iter().copied()).map_or(0.0, |e| e.standard_error.powi(2) * all.len() as f64)
            };
            let before = variance(&|sample| &sample.raw[column]);
            let after = variance(&|sample| &sample.columns[column]);
            let explained = if before > 0.0 { 1.0 - after / before } else { 1.0 };
            found[first + equation] = Some(Learned { value, mismatch: after.sqrt(), explained });
        }
    }
    found
}

/// From ζ today: ζ = volatility × today's value × derivative (for `ou` without the value).
fn sensitivities(
    portfolio: &Portfolio,
    set: &NettingSet,
    grid: &Grid,
    layers: &Layers,
    parameters: &Parameters,
) -> Vec<Sensitivity> {
    let factors = portfolio.factors.len();
    let scale = |driver: usize| match portfolio.factors.get(driver) {
        Some(factor) if factor.kind == FactorKind::Ou => factor.volatility,
        Some(factor) => factor.volatility * factor.start,
        None => portfolio.firms[driver - factors].volatility * portfolio.firms[driver - factors].assets,
    };
    let mut chunk = Chunk::default();
    let draws = Draws {
        seed: parameters.seed,
        purpose: "today",
        antithetic: false,
        monitoring: parameters.monitoring,
        tilt: None,
    };
    chunk.draw(portfolio, grid, &draws, 0, 2);
    let values = layers.clean.along(portfolio, set, grid, &chunk, &draws, None);
    let mut drivers = set.factors();
    drivers.push(factors + set.counterparty);
    drivers.extend(portfolio.bank().map(|bank| factors + bank));
    drivers
        .into_iter()
        .map(|driver| {
            let driver_name = match portfolio.factors.get(driver) {
                Some(factor) => factor.name.clone(),
                None => portfolio.firms[driver - factors].name.clone(),
            };
            let of = |layer: &super::layer::Layer, equation: usize| {
                let place = layer.drivers().iter().position(|&own| own == driver)?;
                Some(layer.today(grid, &chunk, &values, equation)[place] / scale(driver))
            };
            let mut adjustments = [None; 5];
            for (function, first, count) in [(&layers.linear, 0, LINEAR), (&layers.funding, LINEAR, 1)] {
                if let Some(layer) = function.layer() {
                    for equation in 0..count {
                        adjustments[first + equation] = of(layer, equation);
                    }
                }
            }
            let clean = match portfolio.factors.get(driver) {
                None => Some(0.0),
                Some(factor) => {
                    let bump = 1e-4
                        * factor.volatility
                        * if factor.kind == FactorKind::Gbm { factor.start } else { 1.0 };
                    let bumped = |by: f64| {
                        let mut other = portfolio.clone();
                        other.factors[driver].start += by;
                        exact_value(&other, set, parameters.formulas)
                    };
                    let exact = (bumped(bump) - bumped(-bump)) / (2.0 * bump);
                    let learned =
                        set.trades.iter().any(|trade| !(parameters.formulas && trade.has_closed_form()));
                    match layers.clean.layer() {
                        Some(layer) => Some(exact + of(layer, 0).unwrap_or(0.0)),
                        None => (!learned).then_some(exact),
                    }
                }
            };
            Sensitivity { driver: driver_name, clean, adjustments }
        })
        .collect()
}
