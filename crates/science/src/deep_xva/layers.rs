//! The layers of one netting set, learned one after the other and then frozen.

use super::closed_form::default_probability;
use super::features::Features;
use super::flows::{Along, CVA, DVA, Flows, LINEAR, funding, linear, pays};
use super::layer::{Evaluated, Layer, Task};
use super::margin::Margin;
use super::parameters::{Method, Parameters};
use super::portfolio::{NettingSet, Portfolio};
use super::regression::{Regression, Sums};
use super::simulation::{Chunk, Draws, Grid, Tilt, simulate};
use super::values::{Clean, Way};

/// Values of equations as functions of date and state.
#[derive(Clone, Debug)]
pub(crate) enum Function {
    /// Not learned: 0.
    Nothing,
    Network(Box<Layer>),
    Polynomial(Regression),
}

/// What is known of a netting set.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    pub(crate) clean: Clean,
    pub(crate) margin: Option<Margin>,
    /// Those of CVA, DVA, ColVA and MVA that can pay anything: the equations of `linear`.
    pub(crate) paying: Vec<usize>,
    pub(crate) linear: Function,
    /// Whether FVA can pay anything.
    pub(crate) funds: bool,
    pub(crate) funding: Function,
    /// The measure under which CVA is valued, if it is another.
    pub(crate) tilt: Option<Tilt>,
}

/// A default that is less likely adds nothing, and the measure under which it is not rare has little to do with the other.
const NEVER: f64 = 1e-9;

/// Fixed-point steps of the regressions for FVA, which alone depends on itself. Each divides the error by the spread times the horizon or more.
const FIXED_POINT: usize = 3;

impl Function {
    fn evaluate(
        &self,
        portfolio: &Portfolio,
        grid: &Grid,
        chunk: &Chunk,
        values: &[f64],
        ends: Option<&[usize]>,
    ) -> Option<Evaluated> {
        match self {
            Self::Nothing => None,
            Self::Network(layer) => Some(layer.evaluate(portfolio, grid, chunk, values, ends)),
            Self::Polynomial(regression) => {
                Some(Evaluated { values: regression.evaluate(grid, chunk, values), hedges: Vec::new() })
            }
        }
    }

    /// The network, if it is one.
    fn layer(&self) -> Option<&Layer> {
        match self {
            Self::Network(layer) => Some(layer),
            _ => None,
        }
    }
}

/// What is drawn for a purpose of one netting set.
fn draws<'a>(parameters: &Parameters, purpose: &'a str, tilt: Option<Tilt>) -> Draws<'a> {
    Draws {
        seed: parameters.seed,
        purpose,
        antithetic: parameters.antithetic,
        monitoring: parameters.monitoring,
        tilt,
    }
}

impl Layers {
    /// Learns all layers of the set.
    pub(crate) fn learn(
        portfolio: &Portfolio,
        set: &NettingSet,
        grid: &Grid,
        parameters: &Parameters,
    ) -> Self {
        let pays = pays(portfolio, set);
        let paying: Vec<usize> = (0..LINEAR).filter(|&equation| pays[equation]).collect();
        let market = &portfolio.market;
        let collateralised = set.threshold_received == 0.0 && set.threshold_posted == 0.0;
        let funds = (market.borrowing != market.rate || market.lending != market.rate)
            && !(collateralised && paying.is_empty());
        let way = match parameters.method {
            Method::Deep => Way::Deep(&parameters.training),
            Method::LeastSquares => Way::Regression(parameters.regression_paths),
            Method::Nested => Way::Nested(parameters.inner_paths),
        };
        let purpose = |layer: &str| format!("{layer} of {}", set.name);
        let name = purpose("clean value");
        let mut layers = Self {
            clean: Clean::learn(
                portfolio,
                set,
                grid,
                draws(parameters, &name, None),
                way,
                parameters.formulas,
            ),
            margin: None,
            paying,
            linear: Function::Nothing,
            funds,
            funding: Function::Nothing,
            tilt: tilt(portfolio, set, parameters.tilt_below),
        };
        if parameters.method == Method::Nested {
            return layers;
        }
        let name = purpose("scale");
        let scale = layers.scale(portfolio, set, grid, &draws(parameters, &name, None));
        if let Some(terms) = set.margin {
            let name = purpose("margin");
            let draws = draws(parameters, &name, None);
            let features = Features::new(portfolio, set, Some(scale), &[]);
            let moves = |chunk: &Chunk| {
                let now = layers.clean.along(portfolio, set, grid, chunk, &draws, None);
                let (later, ahead) = chunk.ahead(portfolio, grid, &draws, terms.period);
                let then = layers.clean.along(portfolio, set, &later, &ahead, &draws, Some(grid));
                (now, then)
            };
            layers.margin = Some(match way {
                Way::Regression(paths) => {
                    Margin::normal(portfolio, grid, draws, paths, features, terms, &moves)
                }
                _ => Margin::train(portfolio, grid, draws, &parameters.training, features, terms, &moves),
            });
        }
        let mut firms = vec![set.counterparty];
        firms.extend(portfolio.bank());
        let features = Features::new(portfolio, set, Some(scale), &firms);
        let mut drivers = set.factors();
        drivers.extend(firms.iter().map(|firm| portfolio.factors.len() + firm));
        if !layers.paying.is_empty() {
            let name = purpose("adjustments");
            let on = draws(parameters, &name, layers.tilt.filter(|_| parameters.learn_tilted));
            layers.linear = layers.function(
                (portfolio, set, grid, parameters),
                (on, features.clone(), drivers.clone()),
                1,
                |chunk, along, _| linear(portfolio, set, grid, chunk, along).only(&layers.paying),
            );
        }
        if layers.funds {
            let name = purpose("funding");
            layers.funding = layers.function(
                (portfolio, set, grid, parameters),
                (draws(parameters, &name, None), features, drivers),
                FIXED_POINT,
                |chunk, along, own| {
                    let others = layers.others(portfolio, grid, chunk, along);
                    let own = own.map_or(&[][..], |own| &own[0]);
                    funding(portfolio, set, grid, chunk, along, &plus(others, own))
                },
            );
        }
        layers
    }

    /// Learns equations that stand on the frozen layers; regressions in some fixed-point steps where they stand on themselves.
    fn function(
        &self,
        (portfolio, set, grid, parameters): (&Portfolio, &NettingSet, &Grid, &Parameters),
        (draws, features, drivers): (Draws<'_>, Features, Vec<usize>),
        fixed_point: usize,
        flows: impl Fn(&Chunk, &Along, Option<&[Vec<f64>]>) -> Flows + Sync,
    ) -> Function {
        if parameters.method == Method::Deep {
            let task = Task {
                portfolio,
                grid,
                training: &parameters.training,
                draws,
                features,
                drivers,
                prepare: &|chunk: &Chunk| {
                    let along = self.along(portfolio, set, grid, chunk, &draws);
                    (along.value.clone(), along)
                },
                flows: &flows,
            };
            return Function::Network(Box::new(task.train()));
        }
        let mut found: Option<Regression> = None;
        for _ in 0..fixed_point {
            let sums = simulate(portfolio, grid, &draws, parameters.regression_paths, |chunk| {
                let along = self.along(portfolio, set, grid, chunk, &draws);
                let own = found.as_ref().map(|regression| regression.evaluate(grid, chunk, &along.value));
                let flows = flows(chunk, &along, own.as_deref());
                Sums::of(&features, grid, chunk, &along.value, &flows.ends, &flows.left(portfolio, grid))
            });
            found = Some(Regression::fit(features.clone(), sums));
        }
        found.map_or(Function::Nothing, Function::Polynomial)
    }

    /// Clean value and margin along the paths of a chunk.
    pub(crate) fn along(
        &self,
        portfolio: &Portfolio,
        set: &NettingSet,
        grid: &Grid,
        chunk: &Chunk,
        draws: &Draws<'_>,
    ) -> Along {
        let value = self.clean.along(portfolio, set, grid, chunk, draws, None);
        let (received, posted) =
            self.margin.as_ref().map(|margin| margin.along(grid, chunk, &value)).unwrap_or_default();
        Along { value, received, posted }
    }

    /// CVA − DVA + ColVA + MVA at every date and path.
    fn others(&self, portfolio: &Portfolio, grid: &Grid, chunk: &Chunk, along: &Along) -> Vec<f64> {
        let mut sum = vec![0.0; along.value.len()];
        if let Some(found) = self.linear.evaluate(portfolio, grid, chunk, &along.value, None) {
            self.add_signed(&mut sum, &found.values);
        }
        sum
    }

    fn add_signed(&self, sum: &mut [f64], values: &[Vec<f64>]) {
        for (&equation, values) in self.paying.iter().zip(values) {
            let sign = if equation == DVA { -1.0 } else { 1.0 };
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += sign * value);
        }
    }

    /// Flows and hedges of the linear adjustments, then of FVA where it is there. The hedge of what pays nothing is empty.
    pub(crate) fn adjustments(
        &self,
        portfolio: &Portfolio,
        set: &NettingSet,
        grid: &Grid,
        chunk: &Chunk,
        along: &Along,
    ) -> Vec<(Flows, Vec<Vec<f64>>)> {
        let flows = linear(portfolio, set, grid, chunk, along);
        let evaluated = self.linear.evaluate(portfolio, grid, chunk, &along.value, Some(&flows.ends));
        let (values, found) =
            evaluated.map_or((Vec::new(), Vec::new()), |found| (found.values, found.hedges));
        let mut hedges = vec![Vec::new(); LINEAR];
        for (&equation, hedge) in self.paying.iter().zip(found) {
            hedges[equation] = hedge;
        }
        let mut all = vec![(flows, hedges)];
        let ends = &all[0].0.ends;
        if let Some(own) = self.funding.evaluate(portfolio, grid, chunk, &along.value, Some(ends)) {
            let mut sum = own.values[0].clone();
            self.add_signed(&mut sum, &values);
            all.push((funding(portfolio, set, grid, chunk, along, &sum), own.hedges));
        }
        all
    }

    /// The network of an adjustment and the position of its equation, if it has one.
    pub(crate) fn network(&self, adjustment: usize) -> Option<(&Layer, usize)> {
        if adjustment == LINEAR {
            return Some((self.funding.layer()?, 0));
        }
        let equation = self.paying.iter().position(|&paying| paying == adjustment)?;
        Some((self.linear.layer()?, equation))
    }

    /// Root of the mean square of the clean value.
    fn scale(&self, portfolio: &Portfolio, set: &NettingSet, grid: &Grid, draws: &Draws<'_>) -> f64 {
        let squares = simulate(portfolio, grid, draws, 1024, |chunk| {
            let values = self.clean.along(portfolio, set, grid, chunk, draws, None);
            values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64
        });
        let square = squares.iter().sum::<f64>() / squares.len() as f64;
        if square > 0.0 { square.sqrt() } else { 1.0 }
    }
}

/// A measure in which the counterparty defaults half of the time, if it rarely does.
fn tilt(portfolio: &Portfolio, set: &NettingSet, below: f64) -> Option<Tilt> {
    let firm = &portfolio.firms[set.counterparty];
    let (rate, horizon) = (portfolio.market.rate, portfolio.horizon());
    let probability = default_probability(firm.assets, firm.barrier, rate, firm.volatility, horizon);
    (NEVER..below)
        .contains(&probability)
        .then(|| Tilt::towards_default(portfolio, set.counterparty))
        .flatten()
}

fn plus(mut left: Vec<f64>, right: &[f64]) -> Vec<f64> {
    left.iter_mut().zip(right).for_each(|(sum, value)| *sum += value);
    left
}

/// CVA, which alone is valued under another measure.
pub(crate) const VALUED_TILTED: usize = CVA;
