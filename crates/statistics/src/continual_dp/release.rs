//! The running release: rows in, private sums out, in memory that does not grow with the stream.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};

use super::factor::{BLOCK, Exponentials, Variance, honaker_weight};
use super::noise::{Key, block, discrete_gaussian, discrete_laplace};
use super::parameters::{Mechanism, Parameters, Plan, Query};
use crate::Error;

/// The private answer after a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// Rows so far.
    pub time: usize,
    /// The running sum of each column, with noise. Not rounded, and it can be negative: both can be changed freely.
    pub values: Vec<f64>,
    /// Standard error of each value.
    pub standard_error: f64,
}

/// A release under way.
#[derive(Clone, Debug)]
pub struct Release {
    parameters: Parameters,
    plan: Plan,
    key: Key,
    steps: usize,
    counters: Counters,
    words: ChaCha12Rng,
}

/// Everything a release needs to continue. It contains the key and partial sums of the data: keep it as the data are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What was asked for.
    pub parameters: Parameters,
    /// Rows so far.
    pub steps: usize,
    key: Key,
    counters: Saved,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Saved {
    Toeplitz { variance: Variance, columns: Vec<Column> },
    Tree { columns: Vec<Vec<Node>> },
}

#[derive(Clone, Debug)]
enum Counters {
    Toeplitz {
        factor: Exponentials,
        /// `w_t` of the current block of steps; all 1 without normalisation.
        weights: Vec<f64>,
        variance: Variance,
        columns: Vec<Column>,
    },
    Tree {
        honaker: bool,
        /// Per column one open node per binary digit of the time, lowest first; digits that are 0 hold no meaning.
        columns: Vec<Vec<Node>>,
    },
}

/// One counter of a Toeplitz factorisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Column {
    /// Buffers of `C D x`.
    encoder: Vec<f64>,
    /// Buffers of `C⁻¹ u`.
    decoder: Vec<f64>,
    /// `Σ w_s (C⁻¹ u)_s`.
    estimate: f64,
}

/// A node of the tree: its exact sum in grid steps, and what is published of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    sum: i64,
    estimate: f64,
}

impl Release {
    /// `plan` is that of the parameters.
    pub(crate) fn start(parameters: Parameters, plan: Plan, key: Key) -> Self {
        let counters = match parameters.factor() {
            Some(factor) => {
                let column = Column {
                    encoder: vec![0.0; factor.order()],
                    decoder: vec![0.0; factor.order()],
                    estimate: 0.0,
                };
                let variance = Variance::new(&factor);
                Counters::Toeplitz {
                    factor,
                    weights: Vec::new(),
                    variance,
                    columns: vec![column; parameters.columns],
                }
            }
            None => Counters::Tree {
                honaker: parameters.mechanism == Mechanism::Honaker,
                columns: vec![Vec::new(); parameters.columns],
            },
        };
        let words = block(&key, 0);
        Self { parameters, plan, key, steps: 0, counters, words }
    }

    /// Continues where [`Release::state`] was taken, with the noise that an uninterrupted release would have used.
    ///
    /// A state must be continued once: two continuations with different rows share their noise, and their difference is
    /// then not private.
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::State`] if the parts of the state do not fit each other.
    pub fn resume(state: State) -> Result<Self, Error> {
        let plan = state.parameters.plan()?;
        let mut release = Self::start(state.parameters, plan, state.key);
        if state.steps > release.parameters.horizon {
            return Err(Error::State("it is beyond its horizon".into()));
        }
        let columns = release.parameters.columns;
        let misfit = || Error::State("its counters do not fit its parameters".into());
        match (&mut release.counters, state.counters) {
            (
                Counters::Toeplitz { factor, variance, columns: own, .. },
                Saved::Toeplitz { variance: saved, columns: read },
            ) => {
                let order = factor.order();
                let fits = |column: &Column| column.encoder.len() == order && column.decoder.len() == order;
                if read.len() != columns || !read.iter().all(fits) || !saved.fits(order) {
                    return Err(misfit());
                }
                (*variance, *own) = (saved, read);
            }
            (Counters::Tree { columns: own, .. }, Saved::Tree { columns: read }) => {
                let digits = (usize::BITS - state.steps.leading_zeros()) as usize;
                if read.len() != columns || read.iter().any(|nodes| nodes.len() < digits) {
                    return Err(misfit());
                }
                *own = read;
            }
            _ => return Err(misfit()),
        }
        release.steps = state.steps;
        release.enter_block();
        Ok(release)
    }

    /// What is needed to continue later.
    pub fn state(&self) -> State {
        let counters = match &self.counters {
            Counters::Toeplitz { variance, columns, .. } => {
                Saved::Toeplitz { variance: variance.clone(), columns: columns.clone() }
            }
            Counters::Tree { columns, .. } => Saved::Tree { columns: columns.clone() },
        };
        State { parameters: self.parameters.clone(), steps: self.steps, key: self.key.clone(), counters }
    }

    /// Rows so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The noise of this release and what it spends.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes a row and releases the running sums.
    ///
    /// # Errors
    /// [`Error::Horizon`] after the last row of the horizon; [`Error::Shape`] and [`Error::Entry`] for a row that is not
    /// one. Nothing has happened then.
    pub fn push(&mut self, row: &[f64]) -> Result<Answer, Error> {
        if self.steps >= self.parameters.horizon {
            return Err(Error::Horizon { horizon: self.parameters.horizon });
        }
        self.check(row)?;
        if self.steps.is_multiple_of(BLOCK) {
            self.enter_block();
        }
        let (plan, words) = (self.plan, &mut self.words);
        let time = self.steps;
        self.steps += 1;
        let unit = f64::from(plan.grid).exp2();
        let (values, variance) = match &mut self.counters {
            Counters::Toeplitz { factor, weights, variance, columns } => {
                let weight = weights[time % BLOCK];
                let step = |(column, &value): (&mut Column, &f64)| {
                    let encoded = column.encode(factor, value / weight);
                    let released = ((encoded * unit).round() as i64 + draw(words, &plan)) as f64 / unit;
                    column.decode(factor, weight, released)
                };
                (columns.iter_mut().zip(row).map(step).collect(), variance.step(factor, weight))
            }
            Counters::Tree { honaker, columns } => {
                let step = |(nodes, &value): (&mut Vec<Node>, &f64)| {
                    add_leaf(nodes, time, (value * unit).round() as i64, *honaker, unit, || {
                        draw(words, &plan)
                    });
                    digits(time + 1).map(|level| nodes[level].estimate).sum()
                };
                let variance = |level| if *honaker { honaker_weight(level) } else { 1.0 };
                (columns.iter_mut().zip(row).map(step).collect(), digits(time + 1).map(variance).sum())
            }
        };
        Ok(Answer { time: self.steps, values, standard_error: plan.deviation * variance.sqrt() })
    }

    /// Sets the generator and the weights to the block of the current step, and past the noise already used in it.
    fn enter_block(&mut self) {
        let first = self.steps - self.steps % BLOCK;
        self.words = block(&self.key, (first / BLOCK) as u64);
        let used = match &mut self.counters {
            Counters::Toeplitz { factor, weights, columns, .. } => {
                let count = BLOCK.min(self.parameters.horizon - first);
                *weights = match self.parameters.mechanism {
                    _ if count == 0 => Vec::new(),
                    Mechanism::SquareRoot => vec![1.0; count],
                    _ => factor.column_norms(self.parameters.horizon, first, count),
                };
                (self.steps - first) * columns.len()
            }
            // One draw per node that a step completes.
            Counters::Tree { columns, .. } => {
                (first..self.steps).map(|time| 1 + time.trailing_ones() as usize).sum::<usize>()
                    * columns.len()
            }
        };
        for _ in 0..used {
            draw(&mut self.words, &self.plan);
        }
    }

    fn check(&self, row: &[f64]) -> Result<(), Error> {
        let Parameters { columns, bound, query, .. } = self.parameters;
        if row.len() != columns {
            return Err(Error::Shape { what: "the row", found: (1, row.len()), expected: (1, columns) });
        }
        let row_number = self.steps + 1;
        // `!contains` also refuses what is not a number.
        if let Some(column) = row.iter().position(|value| !(0.0..=bound).contains(value)) {
            return Err(Error::Entry { row: row_number, column, value: row[column], bound });
        }
        if query == Query::Histogram {
            let mut ones = 0;
            for (column, &value) in row.iter().enumerate() {
                ones += usize::from(value == 1.0);
                if (value != 0.0 && value != 1.0) || ones > 1 {
                    return Err(Error::Category { row: row_number, column, value });
                }
            }
        }
        Ok(())
    }
}

impl Column {
    /// One number of `C D x`; `value` is an entry of `D x`.
    fn encode(&mut self, factor: &Exponentials, value: f64) -> f64 {
        let mut encoded = value;
        for ((buffer, weight), decay) in self.encoder.iter_mut().zip(&factor.weight).zip(&factor.decay) {
            encoded += weight * *buffer;
            *buffer = decay * *buffer + value;
        }
        encoded
    }

    /// Takes one released number, returns the estimate after it. Everything here is post-processing.
    fn decode(&mut self, factor: &Exponentials, weight: f64, released: f64) -> f64 {
        let known: f64 =
            self.decoder.iter().zip(&factor.weight).map(|(buffer, weight)| buffer * weight).sum();
        let innovation = released - known;
        for (buffer, decay) in self.decoder.iter_mut().zip(&factor.decay) {
            *buffer = decay * *buffer + innovation;
        }
        self.estimate += weight * innovation;
        self.estimate
    }
}

fn draw(words: &mut ChaCha12Rng, plan: &Plan) -> i64 {
    if plan.laplace { discrete_laplace(words, plan.scale) } else { discrete_gaussian(words, plan.scale) }
}

/// The levels at which the binary digit of `time` is 1.
fn digits(time: usize) -> impl Iterator<Item = usize> {
    (0..(usize::BITS - time.leading_zeros()) as usize).filter(move |level| time >> level & 1 == 1)
}

/// Adds the leaf of step `time` (from 0) and every node that it completes.
fn add_leaf(
    nodes: &mut Vec<Node>,
    time: usize,
    leaf: i64,
    honaker: bool,
    unit: f64,
    mut noise: impl FnMut() -> i64,
) {
    let mut sum = leaf;
    let mut estimate = (sum + noise()) as f64 / unit;
    let top = time.trailing_ones() as usize;
    for level in 0..top {
        let left = nodes[level];
        sum += left.sum;
        let own = (sum + noise()) as f64 / unit;
        let weight = if honaker { honaker_weight(level + 1) } else { 1.0 };
        estimate = weight * own + (1.0 - weight) * (left.estimate + estimate);
    }
    if nodes.len() <= top {
        nodes.resize(top + 1, Node::default());
    }
    nodes[top] = Node { sum, estimate };
}

#[cfg(test)]
mod tests {
    use backstitch_numerics::Matrix;

    use super::*;
    use crate::continual_dp::Privacy;

    /// The streaming release against `A x + L z` with dense matrices and the same draws z.
    #[test]
    fn streaming_is_the_matrix_form() {
        let horizon = 150;
        for mechanism in [Mechanism::SquareRoot, Mechanism::NormalisedSquareRoot] {
            let privacy = Privacy::Concentrated { rho: 0.5 };
            let parameters = Parameters { mechanism, privacy, horizon, ..Parameters::default() };
            let plan = parameters.plan().expect("a plan");
            let factor = parameters.factor().expect("exponentials");
            let mut coefficients = vec![1.0];
            coefficients.extend(factor.coefficients(1, horizon - 1));
            let norm = |column: usize| match mechanism {
                Mechanism::SquareRoot => 1.0,
                _ => coefficients[..horizon - column].iter().map(|b| b * b).sum::<f64>().sqrt(),
            };
            let right =
                Matrix::from_fn(
                    horizon,
                    horizon,
                    |i, j| {
                        if i < j { 0.0 } else { coefficients[i - j] / norm(j) }
                    },
                );
            let unit = f64::from(plan.grid).exp2();
            let mut words = block(&Key::from_seed(9), 0);
            let noise: Vec<f64> =
                (0..horizon).map(|_| discrete_gaussian(&mut words, plan.scale) as f64 / unit).collect();
            let row = |time: usize| f64::from(u8::from(time.is_multiple_of(3)));
            // u = R x + z, then R⁻¹ by forward substitution, then prefix sums.
            let mut solved = vec![0.0; horizon];
            let mut release = Release::start(parameters, plan, Key::from_seed(9));
            let mut sum = 0.0;
            for time in 0..horizon {
                let encoded: f64 = (0..=time).map(|from| right[(time, from)] * row(from)).sum();
                let known: f64 = (0..time).map(|from| right[(time, from)] * solved[from]).sum();
                solved[time] = (encoded + noise[time] - known) / right[(time, time)];
                sum += solved[time];
                let answer = release.push(&[row(time)]).expect("a row");
                assert!(
                    (answer.values[0] - sum).abs() < 1e-6,
                    "{mechanism:?} at {time}: {} {sum}",
                    answer.values[0]
                );
            }
        }
    }

    /// The tree against the sum of the noisy nodes of the binary digits, drawn in the same order.
    #[test]
    fn the_tree_is_the_sum_of_its_nodes() {
        let parameters = Parameters { mechanism: Mechanism::Tree, horizon: 64, ..Parameters::default() };
        let plan = parameters.plan().expect("a plan");
        let mut words = block(&Key::from_seed(9), 0);
        let mut nodes = std::collections::HashMap::new();
        let mut release = Release::start(parameters, plan, Key::from_seed(9));
        for time in 1..=64_usize {
            for level in 0..=time.trailing_zeros() {
                let noise = discrete_gaussian(&mut words, plan.scale) as f64 / f64::from(plan.grid).exp2();
                nodes.insert((level, time), f64::from(1 << level) + noise);
            }
            let (mut end, mut sum) = (time, 0.0);
            while end > 0 {
                sum += nodes[&(end.trailing_zeros(), end)];
                end &= end - 1;
            }
            let answer = release.push(&[1.0]).expect("a row");
            assert!((answer.values[0] - sum).abs() < 1e-6, "at {time}: {} {sum}", answer.values[0]);
        }
    }
}
