//! A model made of counts: the theory of the paper without a network.

use std::collections::HashMap;

use super::infer::Pairs;
use super::network::Network;
use super::observe::Observation;
use super::vocabulary::Vocabulary;
use crate::Error;

/// The best a model can do that knows each variable alone and each pair that was seen together, and assumes nothing else: the
/// value of a variable follows its conditional probability given the *last* variable before it that it was ever seen with, and its
/// marginal if there is none. Every variable not yet given is equally likely to be chosen next.
#[derive(Clone, Debug)]
pub struct CountModel {
    vocabulary: Vocabulary,
    /// Zeros and ones of each variable, counted or in probability.
    single: Vec<[f64; 2]>,
    /// (given, asked) → how much there is of (given, asked) at index given + 2·asked.
    pairs: HashMap<(usize, usize), [f64; 4]>,
}

impl CountModel {
    /// Counts observations. A sample of n variables takes n² counts.
    pub fn fit(observations: &[Observation], vocabulary: &Vocabulary) -> Self {
        let mut single = vec![[0.0; 2]; vocabulary.names().len()];
        let mut pairs: HashMap<(usize, usize), [f64; 4]> = HashMap::new();
        for Observation { values } in observations {
            for &(a, x) in values {
                single[a][usize::from(x)] += 1.0;
                for &(b, y) in values.iter().filter(|&&(b, _)| b != a) {
                    pairs.entry((a, b)).or_default()[usize::from(x) + 2 * usize::from(y)] += 1.0;
                }
            }
        }
        Self { vocabulary: vocabulary.clone(), single, pairs }
    }

    /// What [`CountModel::fit`] tends to with more and more samples in which only the pairs of `together` are seen: the theory,
    /// without noise. `together` has positions of variables of `pairs`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a position out of range.
    pub fn of_pairs(
        pairs: &Pairs,
        together: &[(usize, usize)],
        vocabulary: &Vocabulary,
    ) -> Result<Self, Error> {
        let n = pairs.variables().min(vocabulary.names().len());
        if let Some((a, b)) = together.iter().find(|(a, b)| *a >= n || *b >= n) {
            return Err(Error::Parameter {
                name: "together",
                value: format!("({a}, {b})"),
                allowed: format!("positions from 0 to {}", n.saturating_sub(1)),
                way_out: "make the pairs from the same net",
            });
        }
        let single = (0..n).map(|v| [1.0 - pairs.marginal(v), pairs.marginal(v)]).collect();
        let both = together.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
        let pairs = both.map(|(a, b)| ((a, b), pairs.joint(a, b))).collect();
        Ok(Self { vocabulary: vocabulary.clone(), single, pairs })
    }

    /// Were the two ever seen together?
    pub fn has_seen(&self, a: usize, b: usize) -> bool {
        self.pairs.contains_key(&(a, b))
    }

    /// Log-probabilities of the next token after each prompt: the model of an [`super::Estimator`].
    ///
    /// # Errors
    /// [`Error::Answer`] for a prompt that is not one of the [`Vocabulary`].
    pub fn next(&self, prompts: &[Vec<u32>]) -> Result<Vec<Vec<f64>>, Error> {
        prompts.iter().enumerate().map(|(place, prompt)| self.after(place, prompt)).collect()
    }

    fn after(&self, place: usize, prompt: &[u32]) -> Result<Vec<f64>, Error> {
        let wrong = || Error::Answer {
            prompt: place,
            problem: "cannot be given: the prompt has another form".into(),
        };
        let variable = |token: u32| self.vocabulary.named(token).ok_or_else(wrong);
        let mut log = vec![f64::NEG_INFINITY; self.vocabulary.len()];
        let body = prompt.get(2..).ok_or_else(wrong)?;
        let mut given = Vec::with_capacity(body.len() / 2);
        let (pairs, rest) = body.as_chunks::<2>();
        for &[name, value] in pairs {
            let variable = variable(name)?;
            given.push((variable, self.vocabulary.said(variable, value).ok_or_else(wrong)?));
        }
        let Some(&asked) = rest.first() else {
            let open: Vec<usize> =
                (0..self.single.len()).filter(|v| given.iter().all(|(seen, _)| seen != v)).collect();
            open.iter().for_each(|&v| log[self.vocabulary.variable(v) as usize] = -(open.len() as f64).ln());
            return Ok(log);
        };
        let asked = variable(asked)?;
        let known = given.iter().rev().find_map(|&(v, x)| {
            let counts = self.pairs.get(&(v, asked))?;
            let [zero, one] = [counts[usize::from(x)], counts[usize::from(x) + 2]];
            (zero + one > 0.0).then_some([zero, one])
        });
        let [zero, one] = known.unwrap_or(self.single[asked]);
        let total = zero + one;
        let share = |count: f64| if total > 0.0 { count / total } else { 0.5 };
        log[self.vocabulary.value(asked, false) as usize] = share(zero).ln();
        log[self.vocabulary.value(asked, true) as usize] = share(one).ln();
        Ok(log)
    }
}

/// A chain Y0 → Y1 → … with the given P(Y0 = 1) and P(Y = 1 | last one 0), P(Y = 1 | last one 1) of the others.
///
/// # Errors
/// [`Error::Variable`] for a probability outside [0, 1].
pub fn chain(first: f64, transitions: &[[f64; 2]]) -> Result<Network, Error> {
    let n = transitions.len() + 1;
    let parents = (0..n).map(|v| v.checked_sub(1).into_iter().collect()).collect();
    let tables = [vec![first]].into_iter().chain(transitions.iter().map(|row| row.to_vec())).collect();
    Network::new((0..n).map(|v| format!("Y{v}")).collect(), parents, tables)
}
