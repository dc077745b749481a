//! Which variables of a joint sample are seen, and the training text made of them.

use std::collections::HashSet;

use backstitch_numerics::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::graph::Distances;
use super::sample::Samples;
use super::vocabulary::Vocabulary;
use crate::Error;

/// Observations of one random stream; fixed, so that threads do not change them.
const CHUNK: usize = 4096;

/// How far one sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Radius {
    /// P(r) = success·(1 − success)^(r − 1), r = 1, 2, …
    Geometric {
        /// Above 0, at most 1.
        success: f64,
    },
    /// P(r) ∝ r^(−exponent), r = 1, 2, …
    Zipf {
        /// Above 1.
        exponent: f64,
    },
    /// Everything.
    Everything,
}

/// What is observed of a joint sample. The default is the paper's local condition.
///
/// A centre is drawn uniformly; the variables within a drawn radius of it are seen, each dropped with a probability. *Wrong
/// locality* is the same with the [`Distances`] of another net.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How far.
    pub radius: Radius,
    /// Probability that a variable within the radius is dropped.
    pub drop: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { radius: Radius::Geometric { success: 0.5 }, drop: 0.2 }
    }
}

impl Policy {
    /// The paper's other local condition: Zipf(2).
    pub fn zipf() -> Self {
        Self { radius: Radius::Zipf { exponent: 2.0 }, drop: 0.2 }
    }

    /// All variables, none dropped.
    pub fn fully_observed() -> Self {
        Self { radius: Radius::Everything, drop: 0.0 }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let (name, value, allowed, holds) = match self.radius {
            Radius::Geometric { success } => {
                ("success", success, "above 0 and at most 1", success > 0.0 && success <= 1.0)
            }
            Radius::Zipf { exponent } => {
                ("exponent", exponent, "a finite number above 1", exponent > 1.0 && exponent.is_finite())
            }
            Radius::Everything => ("", 0.0, "", true),
        };
        if !holds {
            let way_out = "the paper has a geometric radius of 0.5 and a Zipf radius of 2";
            return Err(Error::Parameter {
                name,
                value: value.to_string(),
                allowed: allowed.into(),
                way_out,
            });
        }
        if !(0.0..1.0).contains(&self.drop) {
            return Err(Error::Parameter {
                name: "drop",
                value: self.drop.to_string(),
                allowed: "from 0, below 1".into(),
                way_out: "the paper has 0.2; at 1 nothing would be seen",
            });
        }
        Ok(())
    }
}

/// Chooses the variables of samples.
#[derive(Clone, Debug)]
pub struct Observer<'d> {
    policy: Policy,
    distances: &'d Distances,
    /// P(radius ≤ r), r = 1, 2, … up to the number of variables.
    cumulative: Vec<f64>,
    /// Partners of each variable that it may not be seen with.
    forbidden: Vec<Vec<usize>>,
}

impl<'d> Observer<'d> {
    /// Takes the graph that locality goes by, and the pairs that must never be seen together.
    ///
    /// # Errors
    /// [`Error::Parameter`], also for a pair out of range.
    pub fn new(policy: Policy, distances: &'d Distances, held_out: &[(usize, usize)]) -> Result<Self, Error> {
        policy.validate()?;
        let n = distances.variables();
        let mut forbidden = vec![Vec::new(); n];
        for &(a, b) in held_out {
            if a >= n || b >= n || a == b {
                return Err(Error::Parameter {
                    name: "held_out",
                    value: format!("({a}, {b})"),
                    allowed: format!("two different positions from 0 to {}", n - 1),
                    way_out: "make the pairs from the same net",
                });
            }
            forbidden[a].push(b);
            forbidden[b].push(a);
        }
        // No two variables are further apart than there are variables: beyond that every radius is the same.
        let mut cumulative: Vec<f64> = Vec::new();
        match policy.radius {
            Radius::Geometric { success } => {
                cumulative.extend((1..n).map(|r| 1.0 - (1.0 - success).powi(r as i32)))
            }
            Radius::Zipf { exponent } => {
                let total = zeta(exponent);
                let mut sum = 0.0;
                cumulative.extend((1..n).map(|r| {
                    sum += (r as f64).powf(-exponent) / total;
                    sum
                }));
            }
            Radius::Everything => {}
        }
        Ok(Self { policy, distances, cumulative, forbidden })
    }

    /// The variables seen in one sample, in random order, at least one: if all are dropped, everything is drawn again. Of a
    /// held-out pair that is in sight, one is dropped at random.
    pub fn observe(&self, stream: &mut Stream) -> Vec<usize> {
        let n = self.distances.variables();
        loop {
            let mut seen: Vec<usize> = match self.policy.radius {
                Radius::Everything => (0..n).collect(),
                Radius::Geometric { .. } | Radius::Zipf { .. } => {
                    let centre = stream.below(n);
                    let radius = self.radius(stream);
                    self.distances.within(centre, radius).collect()
                }
            };
            if self.policy.drop > 0.0 {
                seen.retain(|_| stream.uniform() >= self.policy.drop);
            }
            stream.shuffle(&mut seen);
            self.part(&mut seen, stream);
            if !seen.is_empty() {
                return seen;
            }
        }
    }

    fn radius(&self, stream: &mut Stream) -> u32 {
        let draw = stream.uniform();
        1 + self.cumulative.partition_point(|&up_to| up_to <= draw) as u32
    }

    /// Drops one of every held-out pair. The list is in random order already, so which pair goes first is random.
    fn part(&self, seen: &mut Vec<usize>, stream: &mut Stream) {
        while let Some((a, b)) = seen
            .iter()
            .find_map(|&a| self.forbidden[a].iter().copied().find(|b| seen.contains(b)).map(|b| (a, b)))
        {
            let gone = if stream.below(2) == 0 { a } else { b };
            seen.retain(|&v| v != gone);
        }
    }
}

/// Σ r^(−s): a sum, and the integral with half a term for the rest (relative error below 1e-9 from 1000 terms on).
fn zeta(s: f64) -> f64 {
    let last = 1000.0_f64;
    let head: f64 = (1..1000).map(|r| f64::from(r).powf(-s)).sum();
    head + last.powf(1.0 - s) / (s - 1.0) + 0.5 * last.powf(-s) + s / 12.0 * last.powf(-s - 1.0)
}

/// What was seen of a sample: variables with values in the order of the text; the last one is the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Variable and value.
    pub values: Vec<(usize, bool)>,
}

/// One observation of every joint sample.
///
/// # Errors
/// [`Error::Parameter`] if samples and distances have different numbers of variables.
pub fn observe_all(samples: &Samples, observer: &Observer<'_>, seed: u64) -> Result<Vec<Observation>, Error> {
    if samples.variables() != observer.distances.variables() {
        return Err(Error::Parameter {
            name: "samples",
            value: format!("{} variables", samples.variables()),
            allowed: format!("the {} variables of the graph", observer.distances.variables()),
            way_out: "wrong locality needs another net of the same size",
        });
    }
    let chunks: Vec<Vec<Observation>> = (0..samples.rows().div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut stream = Stream::new(seed, &format!("locality observations {chunk}"));
            (chunk * CHUNK..samples.rows().min((chunk + 1) * CHUNK))
                .map(|row| {
                    let values =
                        observer.observe(&mut stream).into_iter().map(|v| (v, samples.get(row, v))).collect();
                    Observation { values }
                })
                .collect()
        })
        .collect();
    Ok(chunks.into_iter().flatten().collect())
}

/// Checks that no held-out pair is seen together in any observation, and returns how many were looked at.
///
/// # Errors
/// [`Error::HeldOutTogether`] with the first that does.
pub fn check_held_out(
    observations: &[Observation],
    held_out: &[(usize, usize)],
    vocabulary: &Vocabulary,
) -> Result<usize, Error> {
    let pairs: HashSet<(usize, usize)> = held_out.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
    let involved: HashSet<usize> = pairs.iter().map(|&(a, _)| a).collect();
    for (sample, observation) in observations.iter().enumerate() {
        let seen: Vec<usize> =
            observation.values.iter().map(|&(v, _)| v).filter(|v| involved.contains(v)).collect();
        for (place, &a) in seen.iter().enumerate() {
            if let Some(&b) = seen[place + 1..].iter().find(|&&b| pairs.contains(&(a, b))) {
                let name = |v: usize| vocabulary.names().get(v).cloned().unwrap_or_else(|| v.to_string());
                return Err(Error::HeldOutTogether { first: name(a), second: name(b), sample });
            }
        }
    }
    Ok(observations.len())
}
