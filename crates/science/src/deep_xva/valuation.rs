//! From learned layers to numbers with standard errors, on paths that no layer was trained on.

use rayon::prelude::*;

use super::closed_form::default_probability;
use super::layer::Layer;
use super::layers::{Layers, VALUED_TILTED};
use super::parameters::{Method, Parameters};
use super::portfolio::Portfolio;
use super::sample::{Sample, estimate, sample};
use super::sensitivity::{Today, sensitivities};
use super::simulation::{Draws, Grid, Tilt, simulate};
use crate::Error;

/// The method: `DeepXva::new(parameters)?.value(&portfolio)?`.
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

impl Estimate {
    /// Whether its sign is told: it is at least two standard errors from 0, or exact.
    pub fn is_clear(&self) -> bool {
        self.mean.abs() >= 2.0 * self.standard_error
    }
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
    /// All adjustments that are not `None`, costs less benefits: take it from the clean value.
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
    /// How the clean value was learned; `None` where formulas give all of it.
    pub learned_clean: Option<Learned>,
    /// How the layers above have learned; in the order of [`ADJUSTMENTS`].
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
    /// A posteriori: root of the mean squared mismatch at the end of a path, P − Y₀ − Σ D ζ·ΔB, on paths of the valuation under the
    /// risk-neutral measure. It bounds √(Σ E D² |ζ − its exact value on the grid|² h), and the root mean square error of Y rolled forward
    /// from Y₀ with ζ, discounted, at every date.
    pub mismatch: f64,
    /// The share of the variance that the hedge takes away: 1 − Var(P − M)/Var P.
    pub explained: f64,
}

/// Derivatives with respect to one driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Name of the factor or the firm.
    pub driver: String,
    /// Of the clean value. `None`, here and below, where the method has no value, or where the driver follows from the others.
    pub clean: Option<Estimate>,
    /// In the order of [`ADJUSTMENTS`]; without what is paid in the first step.
    pub adjustments: [Option<Estimate>; 5],
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
    ///
    /// # Errors
    /// A netting set has initial margin, and the method is [`Method::Nested`]: CVA and DVA rest on margin, which inner simulations do not
    /// have.
    pub fn value(&self, portfolio: &Portfolio) -> Result<Valuation, Error> {
        let parameters = &self.parameters;
        let mut sets = portfolio.netting_sets.iter();
        if let (Method::Nested, Some(set)) = (parameters.method, sets.find(|set| set.margin.is_some())) {
            return Err(Error::Portfolio {
                problem: format!(
                    "netting set `{}` has initial margin, which inner simulations do not have",
                    set.name
                ),
                way_out: "take networks or least squares, or leave out margin_level and margin_days".into(),
            });
        }
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
                    learned_clean: layers[index]
                        .clean
                        .layer()
                        .map(|layer| learned((layer, 0), 0, &samples[index])),
                    learned: std::array::from_fn(|adjustment| {
                        let network = layers[index].network(adjustment)?;
                        Some(learned(network, 1 + adjustment, &samples[index]))
                    }),
                    exceeded: exceeded(&samples[index]),
                    sensitivities: sensitivities(
                        (portfolio, set, &grid),
                        &layers[index],
                        parameters,
                        (&samples[index], tilted[index].as_deref()),
                    ),
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
        Ok(Valuation { times: grid.times, counterparties, sets })
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
        let todays: Vec<Today> =
            sets.iter().map(|&set| Today::new(portfolio, &portfolio.netting_sets[set], grid)).collect();
        let chunks = simulate(portfolio, grid, &draws, parameters.paths, |chunk| {
            sets.iter()
                .zip(&todays)
                .map(|(&set, today)| {
                    let terms = &portfolio.netting_sets[set];
                    sample(portfolio, terms, grid, &layers[set], (chunk, &draws, today), parameters)
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
        // What one set has no value of, all together have none of.
        if sets.iter().any(|&set| samples[set].iter().any(|sample| sample.columns[column].is_empty())) {
            return sum;
        }
        for &set in sets {
            let own = if tilt { tilted[set].as_ref() } else { Some(&samples[set]) };
            let numbers = own.into_iter().flatten().map(|sample| &sample.columns[column][..]);
            if sum.is_empty() {
                numbers.for_each(|numbers| sum.extend_from_slice(numbers));
            } else {
                let numbers = numbers.flatten();
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
        *adjustment = estimate(&numbers);
        if tilt {
            apart = adjustment.unwrap_or_default();
        } else if rest.is_empty() {
            rest = numbers.iter().map(|number| SIGNS[place] * number).collect();
        } else {
            rest.iter_mut().zip(&numbers).for_each(|(sum, number)| *sum += SIGNS[place] * number);
        }
    }
    let rest = estimate(&rest).unwrap_or_default();
    let firm = &portfolio.firms[counterparty];
    let (rate, horizon) = (portfolio.market.rate, portfolio.horizon());
    Values {
        name,
        default_probability: default_probability(firm.assets, firm.barrier, rate, firm.volatility, horizon),
        clean: estimate(&summed(0, false)).unwrap_or_default(),
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

/// How a column follows its hedge.
fn learned((layer, equation): (&Layer, usize), column: usize, samples: &[Sample]) -> Learned {
    let paths = samples.iter().map(|sample| sample.paths).sum::<usize>() as f64;
    let variance = |first: usize| {
        let sum = |place: usize| samples.iter().map(|sample| sample.spread[column][place]).sum::<f64>();
        (sum(first + 1) / paths - (sum(first) / paths).powi(2)).max(0.0)
    };
    let (before, after) = (variance(0), variance(2));
    let explained = if before > 0.0 { 1.0 - after / before } else { 1.0 };
    Learned { value: layer.learned[equation], mismatch: after.sqrt(), explained }
}
