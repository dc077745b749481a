//! What a model of text says about P(target | condition), directly or by way of other variables.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::vocabulary::{FIRST_VARIABLE, Vocabulary};
use crate::Error;

/// Largest scaffold that is summed over exactly: 4096 prompts per query.
pub const LARGEST_EXACT: usize = 12;

/// Joint probability of the two value tokens below which a reading is doubtful.
pub const LEAST_MASS: f64 = 0.9;

/// Settings of [`Estimator::free`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreeParameters {
    /// Runs per query that are averaged: 10 in the paper.
    pub runs: usize,
    /// Variables chosen before a run is discarded: 100 in the paper.
    pub most_steps: usize,
}

impl Default for FreeParameters {
    fn default() -> Self {
        Self { runs: 10, most_steps: 100 }
    }
}

/// Estimates of all queries by one route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimates {
    /// P(target = 1 | condition = value) for each query; `None` if every run of it was discarded.
    pub values: Vec<Option<f64>>,
    /// How much probability the two value tokens had where a value was read.
    pub mass: Mass,
    /// Runs made (free generation only).
    pub runs: usize,
    /// Runs that never came to the target (free generation only).
    pub discarded: usize,
    /// Mean number of variables between condition and target in the runs that count.
    pub mean_steps: f64,
}

impl Estimates {
    /// What the user should know before trusting the estimates.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Mass { readings, below, lowest } = self.mass;
        if below > 0 {
            warnings.push(format!(
                "in {below} of {readings} readings the tokens 0 and 1 together had a probability below {LEAST_MASS} (lowest \
                 {lowest:.3}): the model is not sure that a value comes next; train it longer, or check the form of the prompts"
            ));
        }
        if self.discarded > 0 {
            warnings.push(format!(
                "{} of {} free runs never chose the target and were discarded",
                self.discarded, self.runs
            ));
        }
        let empty = self.values.iter().filter(|value| value.is_none()).count();
        if empty > 0 {
            warnings.push(format!("{empty} queries have no estimate because all their runs were discarded"));
        }
        warnings
    }
}

/// Joint probability of the two value tokens over all readings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mass {
    /// Values read.
    pub readings: usize,
    /// Readings below [`LEAST_MASS`].
    pub below: usize,
    /// The lowest; 1 before the first reading.
    pub lowest: f64,
}

impl Default for Mass {
    fn default() -> Self {
        Self { readings: 0, below: 0, lowest: 1.0 }
    }
}

/// Asks a model for estimates.
///
/// The model is a closure: it gets prompts (tokens of the [`Vocabulary`]; [`Vocabulary::text`] makes text of them) and gives for each
/// the natural logarithms of the probabilities of the next token, one per token of the vocabulary; minus infinity where a token
/// is excluded. Prompts of all queries come together, one batch per step.
#[derive(Debug)]
pub struct Estimator<'a, M> {
    vocabulary: &'a Vocabulary,
    model: M,
    mass: Mass,
}

impl<'a, M: FnMut(&[Vec<u32>]) -> Result<Vec<Vec<f64>>, Error>> Estimator<'a, M> {
    /// Takes the vocabulary and the model.
    pub fn new(vocabulary: &'a Vocabulary, model: M) -> Self {
        Self { vocabulary, model, mass: Mass::default() }
    }

    /// The direct estimate: the target right after the condition.
    ///
    /// # Errors
    /// [`Error::Answer`] for an answer of the wrong shape, and what the model returns.
    pub fn direct(&mut self, queries: &[Query]) -> Result<Estimates, Error> {
        self.scaffolded(queries, &vec![Vec::new(); queries.len()])
    }

    /// The scaffolded estimate, exactly: `Σ_s P(t | c, s) Π_k P(s_k | c, s_<k)` over all values of the scaffold, in its order.
    ///
    /// # Errors
    /// As [`Estimator::direct`]; [`Error::Parameter`] if there is not one scaffold per query, or one has more than 12 variables.
    pub fn scaffolded(&mut self, queries: &[Query], scaffolds: &[Vec<usize>]) -> Result<Estimates, Error> {
        check_scaffolds(queries, scaffolds)?;
        if let Some(scaffold) = scaffolds.iter().find(|scaffold| scaffold.len() > LARGEST_EXACT) {
            return Err(Error::Parameter {
                name: "scaffold",
                value: format!("{} variables", scaffold.len()),
                allowed: format!("at most {LARGEST_EXACT} variables for the exact sum"),
                way_out: "use the sampled estimate",
            });
        }
        let mut branches: Vec<Branch> = queries
            .iter()
            .enumerate()
            .map(|(query, asked)| Branch { query, given: vec![(asked.condition, asked.value)], weight: 1.0 })
            .collect();
        let mut values = vec![Some(0.0); queries.len()];
        while !branches.is_empty() {
            let asked = |branch: &Branch| {
                let next = scaffolds[branch.query].get(branch.given.len() - 1);
                next.copied().unwrap_or(queries[branch.query].target)
            };
            let prompts: Vec<Vec<u32>> = branches
                .iter()
                .map(|branch| {
                    let target = queries[branch.query].target;
                    self.vocabulary.prompt(target, &branch.given, Some(asked(branch)))
                })
                .collect();
            let read = self.read(&prompts)?;
            let mut next = Vec::new();
            for (branch, one) in branches.iter().zip(read) {
                let Branch { query, given, weight } = branch;
                if given.len() > scaffolds[*query].len() {
                    if let Some(value) = &mut values[*query] {
                        *value += weight * one;
                    }
                    continue;
                }
                for (value, probability) in [(false, 1.0 - one), (true, one)] {
                    if weight * probability > 0.0 {
                        let mut given = given.clone();
                        given.push((asked(branch), value));
                        next.push(Branch { query: *query, given, weight: weight * probability });
                    }
                }
            }
            branches = next;
        }
        let steps = scaffolds.iter().map(Vec::len).sum::<usize>() as f64 / queries.len().max(1) as f64;
        Ok(self.estimates(values, 0, 0, steps))
    }

    /// The scaffolded estimate by sampling, as in the paper: every variable of the scaffold is drawn from the model, then P(t) is
    /// read; the mean over `runs`. Run r of query i has a stream of its own.
    ///
    /// # Errors
    /// As [`Estimator::direct`]; [`Error::Parameter`] if there is not one scaffold per query, or `runs` is zero.
    pub fn scaffolded_by_sampling(
        &mut self,
        queries: &[Query],
        scaffolds: &[Vec<usize>],
        runs: usize,
        seed: u64,
    ) -> Result<Estimates, Error> {
        check_scaffolds(queries, scaffolds)?;
        check_runs(runs)?;
        let mut all =
            start(queries, runs, |query, run| Stream::new(seed, &format!("locality scaffold {query} {run}")));
        let longest = scaffolds.iter().map(Vec::len).max().unwrap_or(0);
        for place in 0..longest {
            let mut open: Vec<(&mut Run, usize)> = all
                .iter_mut()
                .filter_map(|run| scaffolds[run.query].get(place).map(|&variable| (run, variable)))
                .collect();
            self.draw_values(queries, &mut open)?;
        }
        self.finish(queries, all, runs, 0)
    }

    /// Free generation: the model chooses the next variable itself, then its value, until it chooses the target, whose probability
    /// is read. The mean over the runs of each query that come to the target within `most_steps` choices. Variables already given
    /// may be chosen again, as in the paper. Run r of query i has a stream of its own.
    ///
    /// # Errors
    /// As [`Estimator::direct`]; [`Error::Parameter`] if `runs` or `most_steps` is zero.
    pub fn free(
        &mut self,
        queries: &[Query],
        parameters: &FreeParameters,
        seed: u64,
    ) -> Result<Estimates, Error> {
        check_runs(parameters.runs)?;
        if parameters.most_steps == 0 {
            return Err(Error::Parameter {
                name: "most_steps",
                value: "0".into(),
                allowed: "at least 1".into(),
                way_out: "100 is the paper's",
            });
        }
        let mut open = start(queries, parameters.runs, |query, run| {
            Stream::new(seed, &format!("locality free {query} {run}"))
        });
        let started = open.len();
        let mut arrived = Vec::with_capacity(started);
        for _ in 0..parameters.most_steps {
            if open.is_empty() {
                break;
            }
            let prompts: Vec<Vec<u32>> = open
                .iter()
                .map(|run| self.vocabulary.prompt(queries[run.query].target, &run.given, None))
                .collect();
            let answers = self.ask(&prompts)?;
            let names = FIRST_VARIABLE as usize..FIRST_VARIABLE as usize + self.vocabulary.names().len();
            let mut choices = Vec::with_capacity(open.len());
            for (prompt, (run, answer)) in open.iter_mut().zip(&answers).enumerate() {
                choices.push(choose(&answer[names.clone()], prompt, &mut run.stream)?);
            }
            let mut rest = Vec::new();
            let mut chosen = Vec::new();
            for (run, choice) in open.into_iter().zip(choices) {
                if choice == queries[run.query].target {
                    arrived.push(run);
                } else {
                    rest.push(run);
                    chosen.push(choice);
                }
            }
            self.draw_values(queries, &mut rest.iter_mut().zip(chosen).collect::<Vec<_>>())?;
            open = rest;
        }
        let discarded = started - arrived.len();
        arrived.sort_by_key(|run| (run.query, run.number));
        self.finish(queries, arrived, parameters.runs, discarded)
    }

    /// Draws the value of one variable in every run.
    fn draw_values(&mut self, queries: &[Query], open: &mut [(&mut Run, usize)]) -> Result<(), Error> {
        if open.is_empty() {
            return Ok(());
        }
        let prompts: Vec<Vec<u32>> = open
            .iter()
            .map(|(run, variable)| {
                self.vocabulary.prompt(queries[run.query].target, &run.given, Some(*variable))
            })
            .collect();
        for ((run, variable), one) in open.iter_mut().zip(self.read(&prompts)?) {
            let value = run.stream.uniform() < one;
            run.given.push((*variable, value));
        }
        Ok(())
    }

    /// Reads the target in every run and averages per query.
    fn finish(
        &mut self,
        queries: &[Query],
        runs: Vec<Run>,
        per_query: usize,
        discarded: usize,
    ) -> Result<Estimates, Error> {
        let prompts: Vec<Vec<u32>> = runs
            .iter()
            .map(|run| {
                let target = queries[run.query].target;
                self.vocabulary.prompt(target, &run.given, Some(target))
            })
            .collect();
        let read = if prompts.is_empty() { Vec::new() } else { self.read(&prompts)? };
        let mut sums = vec![(0.0, 0_usize); queries.len()];
        for (run, one) in runs.iter().zip(read) {
            sums[run.query].0 += one;
            sums[run.query].1 += 1;
        }
        let steps: usize = runs.iter().map(|run| run.given.len() - 1).sum();
        let mean_steps = steps as f64 / runs.len().max(1) as f64;
        let values = sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect();
        Ok(self.estimates(values, per_query * queries.len(), discarded, mean_steps))
    }

    fn estimates(
        &mut self,
        values: Vec<Option<f64>>,
        runs: usize,
        discarded: usize,
        mean_steps: f64,
    ) -> Estimates {
        Estimates { values, mass: std::mem::take(&mut self.mass), runs, discarded, mean_steps }
    }

    /// P(value 1) after each prompt, between the two values of the variable that it ends with.
    fn read(&mut self, prompts: &[Vec<u32>]) -> Result<Vec<f64>, Error> {
        let answers = self.ask(prompts)?;
        let mut values = Vec::with_capacity(prompts.len());
        for (prompt, (tokens, answer)) in prompts.iter().zip(&answers).enumerate() {
            let asked = tokens.last().and_then(|&token| self.vocabulary.named(token)).unwrap_or(0);
            let [zero, one] = [false, true].map(|value| answer[self.vocabulary.value(asked, value) as usize]);
            if zero.max(one) == f64::NEG_INFINITY {
                let problem =
                    "excludes both values where one must come; check the form of the prompts".into();
                return Err(Error::Answer { prompt, problem });
            }
            let mass = zero.exp() + one.exp();
            self.mass.readings += 1;
            self.mass.below += usize::from(mass < LEAST_MASS);
            self.mass.lowest = self.mass.lowest.min(mass);
            values.push(1.0 / (1.0 + (zero - one).exp()));
        }
        Ok(values)
    }

    fn ask(&mut self, prompts: &[Vec<u32>]) -> Result<Vec<Vec<f64>>, Error> {
        let answers = (self.model)(prompts)?;
        if answers.len() != prompts.len() {
            let problem = format!("is missing: {} answers for {} prompts", answers.len(), prompts.len());
            return Err(Error::Answer { prompt: answers.len().min(prompts.len()), problem });
        }
        for (prompt, answer) in answers.iter().enumerate() {
            let problem = if answer.len() != self.vocabulary.len() {
                format!(
                    "has {} log-probabilities, but the vocabulary has {} tokens",
                    answer.len(),
                    self.vocabulary.len()
                )
            } else if let Some(value) = answer.iter().find(|value| value.is_nan() || **value > 1e-3) {
                format!("has the log-probability {value}, but it must be at most 0")
            } else {
                continue;
            };
            return Err(Error::Answer { prompt, problem });
        }
        Ok(answers)
    }
}

/// One combination of values of the first variables of a scaffold.
struct Branch {
    query: usize,
    given: Vec<(usize, bool)>,
    /// Its probability given the condition.
    weight: f64,
}

/// One sampled path from the condition towards the target.
struct Run {
    query: usize,
    number: usize,
    given: Vec<(usize, bool)>,
    stream: Stream,
}

fn start(queries: &[Query], runs: usize, stream: impl Fn(usize, usize) -> Stream) -> Vec<Run> {
    let one = |query: usize, number: usize| Run {
        query,
        number,
        given: vec![(queries[query].condition, queries[query].value)],
        stream: stream(query, number),
    };
    (0..queries.len())
        .flat_map(|query| (0..runs).map(move |run| (query, run)))
        .map(|(q, r)| one(q, r))
        .collect()
}

/// Draws a position with probabilities in proportion to `exp(log_weights)`.
fn choose(log_weights: &[f64], prompt: usize, stream: &mut Stream) -> Result<usize, Error> {
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        let problem = "excludes all variables where one must come; check the form of the prompts".into();
        return Err(Error::Answer { prompt, problem });
    }
    let weights: Vec<f64> = log_weights.iter().map(|weight| (weight - largest).exp()).collect();
    let mut at = stream.uniform() * weights.iter().sum::<f64>();
    for (position, weight) in weights.iter().enumerate() {
        if at < *weight {
            return Ok(position);
        }
        at -= weight;
    }
    // Rounding carried the draw past the end: the last one that is possible.
    Ok(weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0))
}

fn check_scaffolds(queries: &[Query], scaffolds: &[Vec<usize>]) -> Result<(), Error> {
    if queries.len() == scaffolds.len() {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "scaffolds",
        value: format!("{} lists", scaffolds.len()),
        allowed: format!("one for each of the {} queries", queries.len()),
        way_out: "make them from the same queries; a list may be empty",
    })
}

fn check_runs(runs: usize) -> Result<(), Error> {
    if runs > 0 {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "runs",
        value: "0".into(),
        allowed: "at least 1".into(),
        way_out: "10 is the paper's",
    })
}
