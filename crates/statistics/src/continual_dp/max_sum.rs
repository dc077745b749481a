//! The running maximum of column sums (MaxSum) and the column that has it (SumSelect).

use serde::{Deserialize, Serialize};

use super::factor::{Exponentials, levels};
use super::noise::{Key, MAX_SCALE, block, discrete_gaussian, discrete_laplace, exponential_mechanism};
use super::parameters::{Mechanism, Neighbours, Parameters, Privacy, Query};
use super::privacy::zcdp_rho;
use super::release::{Release, State};
use crate::Error;

/// A row of 0/1 entries.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// All entries.
    Dense(&'a [bool]),
    /// The columns that are 1, each once.
    Ones(&'a [usize]),
    /// The columns that are 0, each once.
    Zeros(&'a [usize]),
}

/// How the maximum is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaxMechanism {
    /// The one of the three with the smallest predicted error.
    Best,
    /// A private counter per column, and the maximum of what they say.
    Counters,
    /// The maximum with noise every so many rows, the last answer in between.
    Recompute,
    /// Always 0 (or column 0): the best there is when T is small.
    Zero,
}

/// What [`MaxSum`] can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxParameters {
    /// Columns of a row.
    pub columns: usize,
    /// Rows at most, T.
    pub horizon: usize,
    /// The demand.
    pub privacy: Privacy,
    /// Which two streams must look alike.
    pub neighbours: Neighbours,
    /// How the maximum is followed.
    pub mechanism: MaxMechanism,
    /// Rows between two recomputations; nothing for the best predicted.
    pub interval: Option<usize>,
    /// Whether the column is released in place of the value.
    pub select: bool,
}

/// The private answer after a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MaxAnswer {
    /// Rows so far.
    pub time: usize,
    /// The maximum, or the column (from 0) with [`MaxParameters::select`].
    pub value: f64,
    /// Standard error of the value at the row it was computed for; for a selection, the expected shortfall of the column's sum.
    pub standard_error: f64,
    /// Rows since the value was computed: it can be short by as much again.
    pub age: usize,
}

/// The running maximum, under way.
#[derive(Clone, Debug)]
pub struct MaxSum {
    parameters: MaxParameters,
    plan: MaxPlan,
    key: Key,
    steps: usize,
    /// Sums less what was added to all.
    sums: Vec<i64>,
    everywhere: i64,
    last: f64,
    counters: Option<Release>,
}

/// Everything a running maximum needs to continue. It contains the key and the data's sums: keep it as the data are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxState {
    /// What was asked for.
    pub parameters: MaxParameters,
    /// Rows so far.
    pub steps: usize,
    key: Key,
    sums: Vec<i64>,
    everywhere: i64,
    last: f64,
    counters: Option<State>,
}

/// The mechanism in use and its noise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MaxPlan {
    mechanism: MaxMechanism,
    interval: usize,
    noise: Noise,
    /// Standard error of a fresh value.
    error: f64,
    /// Predicted error, staleness included.
    predicted: f64,
    rho: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Noise {
    None,
    Gaussian {
        scale: u64,
        grid: u32,
    },
    Laplace {
        scale: u64,
        grid: u32,
    },
    /// ε' of one selection as a ratio.
    Exponential {
        numerator: u32,
        denominator: u32,
    },
}

impl MaxSum {
    /// Checks the parameters, chooses the mechanism and starts. A key serves one release.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: MaxParameters, key: Key) -> Result<Self, Error> {
        let plan = parameters.plan()?;
        let counters = match plan.mechanism {
            MaxMechanism::Counters => {
                let counters = parameters.counters();
                let plan = counters.plan()?;
                Some(Release::start(counters, plan, key.clone()))
            }
            _ => None,
        };
        let sums = vec![0; parameters.columns];
        Ok(Self { parameters, plan, key, steps: 0, sums, everywhere: 0, last: 0.0, counters })
    }

    /// Continues where [`MaxSum::state`] was taken; a state must be continued once (see [`Release::resume`]).
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::State`] if the parts of the state do not fit each other.
    pub fn resume(state: MaxState) -> Result<Self, Error> {
        let mut release = Self::new(state.parameters, state.key)?;
        let fits = state.sums.len() == release.sums.len() && state.steps <= release.parameters.horizon;
        if !fits || state.counters.is_some() != release.counters.is_some() {
            return Err(Error::State("its sums do not fit its parameters".into()));
        }
        release.counters = state.counters.map(Release::resume).transpose()?;
        (release.steps, release.sums) = (state.steps, state.sums);
        (release.everywhere, release.last) = (state.everywhere, state.last);
        Ok(release)
    }

    /// What is needed to continue later.
    pub fn state(&self) -> MaxState {
        MaxState {
            parameters: self.parameters.clone(),
            steps: self.steps,
            key: self.key.clone(),
            sums: self.sums.clone(),
            everywhere: self.everywhere,
            last: self.last,
            counters: self.counters.as_ref().map(Release::state),
        }
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> MaxMechanism {
        self.plan.mechanism
    }

    /// Rows between two recomputations.
    pub fn interval(&self) -> usize {
        self.plan.interval
    }

    /// Predicted error: staleness plus standard error.
    pub fn predicted_error(&self) -> f64 {
        self.plan.predicted
    }

    /// ρ of zCDP that the release spends.
    pub fn rho(&self) -> f64 {
        self.plan.rho
    }

    /// Rows so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Takes a row and releases the maximum, or its column.
    ///
    /// # Errors
    /// [`Error::Horizon`] after the last row of the horizon; [`Error::Shape`] for a row of other columns.
    pub fn push(&mut self, row: Row<'_>) -> Result<MaxAnswer, Error> {
        if self.steps >= self.parameters.horizon {
            return Err(Error::Horizon { horizon: self.parameters.horizon });
        }
        let columns = self.parameters.columns;
        let shape = |found| Error::Shape { what: "the row", found: (1, found), expected: (1, columns) };
        match row {
            Row::Dense(entries) if entries.len() != columns => return Err(shape(entries.len())),
            Row::Dense(_) => {}
            Row::Ones(listed) | Row::Zeros(listed) => {
                if let Some(&beyond) = listed.iter().find(|&&column| column >= columns) {
                    return Err(shape(beyond + 1));
                }
            }
        }
        self.steps += 1;
        if let Some(counters) = &mut self.counters {
            let mut entries = vec![0.0; columns];
            match row {
                Row::Dense(dense) => {
                    entries.iter_mut().zip(dense).for_each(|(entry, &one)| *entry = f64::from(u8::from(one)))
                }
                Row::Ones(ones) => ones.iter().for_each(|&column| entries[column] = 1.0),
                Row::Zeros(zeros) => {
                    entries.fill(1.0);
                    zeros.iter().for_each(|&column| entries[column] = 0.0);
                }
            }
            let answer = counters.push(&entries)?;
            let best = (0..columns).max_by(|&a, &b| answer.values[a].total_cmp(&answer.values[b]));
            let best = best.unwrap_or(0);
            let value = if self.parameters.select { best as f64 } else { answer.values[best] };
            return Ok(MaxAnswer { time: self.steps, value, standard_error: answer.standard_error, age: 0 });
        }
        match row {
            Row::Dense(entries) => {
                self.sums.iter_mut().zip(entries).for_each(|(sum, &one)| *sum += i64::from(one));
            }
            Row::Ones(ones) => ones.iter().for_each(|&column| self.sums[column] += 1),
            Row::Zeros(zeros) => {
                self.everywhere += 1;
                zeros.iter().for_each(|&column| self.sums[column] -= 1);
            }
        }
        if self.plan.mechanism == MaxMechanism::Recompute && self.steps.is_multiple_of(self.plan.interval) {
            self.last = self.recompute();
        }
        let age = if self.plan.mechanism == MaxMechanism::Zero {
            self.steps
        } else {
            self.steps % self.plan.interval
        };
        let standard_error = if self.steps < self.plan.interval { 0.0 } else { self.plan.error };
        Ok(MaxAnswer { time: self.steps, value: self.last, standard_error, age })
    }

    /// A fresh value. Each recomputation has a block of noise words of its own, so a crash neither loses nor repeats any.
    fn recompute(&self) -> f64 {
        let mut words = block(&self.key, (self.steps / self.plan.interval) as u64);
        let maximum = self.sums.iter().max().copied().unwrap_or(0) + self.everywhere;
        let on_grid = |noise: i64, grid: u32| maximum as f64 + noise as f64 / f64::from(grid).exp2();
        match self.plan.noise {
            Noise::None => 0.0,
            // Sum and noise are multiples of the grid below 2^53 grid steps, so the addition is exact.
            Noise::Gaussian { scale, grid } => on_grid(discrete_gaussian(&mut words, scale), grid),
            Noise::Laplace { scale, grid } => on_grid(discrete_laplace(&mut words, scale), grid),
            Noise::Exponential { numerator, denominator } => {
                exponential_mechanism(&mut words, &self.sums, numerator, denominator) as f64
            }
        }
    }
}

impl MaxParameters {
    /// The counters of [`MaxMechanism::Counters`].
    fn counters(&self) -> Parameters {
        let pure = matches!(self.privacy, Privacy::Pure { .. });
        Parameters {
            query: Query::Sum,
            columns: self.columns,
            bound: 1.0,
            mechanism: if pure { Mechanism::Honaker } else { Mechanism::NormalisedSquareRoot },
            privacy: self.privacy,
            horizon: self.horizon,
            neighbours: self.neighbours,
        }
    }

    fn plan(&self) -> Result<MaxPlan, Error> {
        let counters = self.counters();
        let counter_plan = counters.plan()?;
        if let Some(rows) = self.interval
            && !(1..=self.horizon).contains(&rows)
        {
            return Err(Error::Parameter {
                name: "interval",
                value: rows.to_string(),
                allowed: "from 1 to the horizon",
                way_out: "leave it out to get the best predicted one",
            });
        }
        let factor = match counters.factor() {
            Some(factor) => square_root_factor(&factor, self.horizon),
            None => (levels(self.horizon) as f64).sqrt(),
        };
        let deviation = counter_plan.deviation * factor;
        // The largest of d noises exceeds one of them by about this factor.
        let spread = (2.0 * (2.0 * self.columns as f64).ln()).sqrt().max(1.0);
        let of_counters = MaxPlan {
            mechanism: MaxMechanism::Counters,
            interval: 1,
            noise: Noise::None,
            error: deviation,
            predicted: deviation * spread,
            rho: counter_plan.rho,
        };
        let recomputed = self.recomputed(&counters)?;
        let zero = MaxPlan {
            mechanism: MaxMechanism::Zero,
            interval: self.horizon + 1,
            noise: Noise::None,
            error: 0.0,
            predicted: self.horizon as f64,
            rho: 0.0,
        };
        Ok(match self.mechanism {
            MaxMechanism::Counters => of_counters,
            MaxMechanism::Recompute => recomputed,
            MaxMechanism::Zero => zero,
            MaxMechanism::Best => {
                let mut best = zero;
                for plan in [recomputed, of_counters] {
                    if plan.predicted < best.predicted {
                        best = plan;
                    }
                }
                best
            }
        })
    }

    /// The plan of recomputing: one query of `T/r` numbers, each of which a changed row moves by at most 1.
    fn recomputed(&self, counters: &Parameters) -> Result<MaxPlan, Error> {
        let rows = self.horizon as f64;
        let group = match self.neighbours {
            Neighbours::Event => 1.0,
            Neighbours::User(rows) => f64::from(rows),
        };
        let pure = matches!(self.privacy, Privacy::Pure { .. });
        let rho = match self.privacy {
            Privacy::Concentrated { rho } => rho,
            Privacy::Approximate { epsilon, delta } => zcdp_rho(epsilon, delta),
            Privacy::Pure { epsilon } => 0.5 * epsilon * epsilon,
        };
        let width = if self.select { 2.0 * (self.columns.max(2) as f64).ln() } else { 1.0 };
        // Error r + constant/√r (composition of zCDP), or r + constant/r (of ε).
        let interval = self.interval.unwrap_or_else(|| {
            let best = match self.privacy {
                Privacy::Pure { epsilon } => (group * width * rows / epsilon).sqrt(),
                _ => {
                    let curvature = if self.select { 8.0 } else { 2.0 };
                    (0.5 * group * width * (rows / (curvature * rho)).sqrt()).powf(2.0 / 3.0)
                }
            };
            (best.round() as usize).clamp(1, self.horizon)
        });
        let releases = (self.horizon / interval) as f64;
        if self.select {
            let each =
                if pure { (2.0 * rho).sqrt() / releases } else { (8.0 * rho / releases).sqrt() } / group;
            // A ratio of 32-bit numbers, rounded down.
            let denominator = (2f64.powi(31) / each.max(1.0)).floor().max(1.0);
            let numerator = (each * denominator * (1.0 - 1e-12)).floor();
            if !(1.0..=f64::from(u32::MAX)).contains(&numerator) {
                return Err(Error::Parameter {
                    name: "the privacy of one selection",
                    value: format!("{each:e}"),
                    allowed: "from 2^-31 to 2^32",
                    way_out: "give a larger interval",
                });
            }
            let each = numerator / denominator;
            let error = 2.0 * (self.columns as f64).ln() / each;
            let rho = if pure { rho } else { releases * (group * each).powi(2) / 8.0 };
            return Ok(MaxPlan {
                mechanism: MaxMechanism::Recompute,
                interval,
                noise: Noise::Exponential { numerator: numerator as u32, denominator: denominator as u32 },
                error,
                predicted: interval as f64 + error,
                rho,
            });
        }
        // As many draws as recomputations.
        let single = Parameters {
            query: Query::Count,
            columns: 1,
            horizon: (self.horizon / interval).max(1),
            ..counters.clone()
        };
        let sensitivity = group * if pure { releases } else { releases.sqrt() };
        let deviation = sensitivity * single.noise_per_sensitivity()?;
        // As fine as 53 bits allow for sums and noise, which the addition then keeps whole.
        let room = (52.0 - (rows + 16.0 * deviation).log2()).floor();
        let grid = (30.0 - deviation.log2()).ceil().min(room).max(0.0);
        let scale = (deviation * grid.exp2() * (1.0 + 1e-12)).ceil();
        if scale > MAX_SCALE as f64 || (scale < (1 << 20) as f64 && !pure) {
            return Err(Error::Parameter {
                name: "the noise",
                value: format!("{deviation:e}"),
                allowed: "such that sums and noise fit 53 bits",
                way_out: "give another privacy demand or horizon",
            });
        }
        let (scale, grid) = (scale as u64, grid as u32);
        let noise = if pure { Noise::Laplace { scale, grid } } else { Noise::Gaussian { scale, grid } };
        let error = scale as f64 / f64::from(grid).exp2() * if pure { std::f64::consts::SQRT_2 } else { 1.0 };
        let rho = if pure { rho } else { 0.5 * (sensitivity / error).powi(2) };
        let predicted = interval as f64 + error;
        Ok(MaxPlan { mechanism: MaxMechanism::Recompute, interval, noise, error, predicted, rho })
    }
}

/// The error factor of the square root, some 6 % above that of the normalised one and free to compute: near enough to choose by.
fn square_root_factor(factor: &Exponentials, horizon: usize) -> f64 {
    factor.square(horizon)
}
