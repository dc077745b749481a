//! Exact probabilities by eliminating variables.

use rayon::prelude::*;

use super::network::Network;
use super::sample::Samples;
use crate::Error;

/// Most variables of a table: 2²² numbers, 32 MiB.
const WIDEST: usize = 22;

/// A function of some binary variables. Bit k of the index is the value of the k-th variable.
#[derive(Clone, Debug)]
struct Factor {
    /// Ascending.
    variables: Vec<usize>,
    values: Vec<f64>,
}

impl Network {
    /// P of every combination of values of some distinct variables: bit k of the index is the value of `variables[k]`.
    ///
    /// # Errors
    /// [`Error::TooWide`] if a table over more than 22 variables would be needed; [`Error::Parameter`] for a variable out of range
    /// or given twice.
    pub fn joint(&self, variables: &[usize]) -> Result<Vec<f64>, Error> {
        for (place, &variable) in variables.iter().enumerate() {
            if variable >= self.len() || variables[..place].contains(&variable) {
                return Err(Error::Parameter {
                    name: "variables",
                    value: format!("{variables:?}"),
                    allowed: format!("distinct positions from 0 to {}", self.len() - 1),
                    way_out: "give each variable once, by its position in the net",
                });
            }
        }
        let ancestral = self.ancestral(variables);
        let factors = (0..self.len()).filter(|&v| ancestral[v]).map(|v| self.factor(v)).collect();
        let rest = (0..self.len()).filter(|&v| ancestral[v] && !variables.contains(&v)).collect();
        let factor = eliminate(factors, rest, variables)?;
        // From ascending variables to the order asked for.
        let places: Vec<usize> =
            factor.variables.iter().map(|v| variables.iter().position(|w| w == v).unwrap_or(0)).collect();
        let mut joint = vec![0.0; 1 << variables.len()];
        for (index, &value) in factor.values.iter().enumerate() {
            let target =
                places.iter().enumerate().fold(0, |target, (k, &place)| target | (index >> k & 1) << place);
            joint[target] = value;
        }
        Ok(joint)
    }

    /// The joint distribution of every pair of variables.
    ///
    /// # Errors
    /// [`Error::TooWide`].
    pub fn pairs(&self) -> Result<Pairs, Error> {
        let n = self.len();
        let list: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
        let joints: Result<Vec<Vec<f64>>, Error> =
            list.par_iter().map(|&(a, b)| self.joint(&[a, b])).collect();
        let mut pairs = Pairs { variables: n, joint: vec![[0.0; 4]; n * n] };
        for (&(a, b), joint) in list.iter().zip(joints?) {
            pairs.set(a, b, [joint[0], joint[1], joint[2], joint[3]]);
        }
        for v in 0..n {
            let one = self.joint(&[v])?[1];
            pairs.joint[v * n + v] = [1.0 - one, 0.0, 0.0, one];
        }
        Ok(pairs)
    }

    /// Which variables are among these or their ancestors.
    pub(super) fn ancestral(&self, variables: &[usize]) -> Vec<bool> {
        let mut inside = vec![false; self.len()];
        let mut open = variables.to_vec();
        while let Some(v) = open.pop() {
            if !std::mem::replace(&mut inside[v], true) {
                open.extend(self.parents(v));
            }
        }
        inside
    }

    fn factor(&self, variable: usize) -> Factor {
        let mut variables = self.parents(variable).to_vec();
        variables.push(variable);
        variables.sort_unstable();
        let place = |v: usize| variables.iter().position(|&w| w == v).unwrap_or(0);
        let (own, parents) =
            (place(variable), self.parents(variable).iter().map(|&p| place(p)).collect::<Vec<_>>());
        let values = (0..1_usize << variables.len())
            .map(|index| {
                let row =
                    parents.iter().enumerate().fold(0, |row, (k, &place)| row | (index >> place & 1) << k);
                let p = self.table(variable)[row];
                if index >> own & 1 == 1 { p } else { 1.0 - p }
            })
            .collect();
        Factor { variables, values }
    }
}

/// Sums out `rest`, the variable with the smallest resulting table first; multiplies what is left over `keep`.
fn eliminate(mut factors: Vec<Factor>, mut rest: Vec<usize>, keep: &[usize]) -> Result<Factor, Error> {
    while !rest.is_empty() {
        let width = |&v: &usize| {
            let mut scope: Vec<usize> = factors
                .iter()
                .filter(|f| f.variables.contains(&v))
                .flat_map(|f| f.variables.iter().copied())
                .collect();
            scope.sort_unstable();
            scope.dedup();
            scope.len()
        };
        let Some(choice) = (0..rest.len()).min_by_key(|&place| width(&rest[place])) else { break };
        let variable = rest.swap_remove(choice);
        let (with, without): (Vec<Factor>, Vec<Factor>) =
            factors.into_iter().partition(|factor| factor.variables.contains(&variable));
        factors = without;
        factors.push(sum_out(&product(&with, &[])?, variable));
    }
    product(&factors, keep)
}

/// The product of factors, over their variables and `more`.
fn product(factors: &[Factor], more: &[usize]) -> Result<Factor, Error> {
    let mut variables: Vec<usize> =
        factors.iter().flat_map(|f| f.variables.iter().copied()).chain(more.iter().copied()).collect();
    variables.sort_unstable();
    variables.dedup();
    if variables.len() > WIDEST {
        return Err(Error::TooWide { width: variables.len(), limit: WIDEST });
    }
    let mut values = vec![1.0; 1 << variables.len()];
    let mut index = vec![0_u32; values.len()];
    for factor in factors {
        // index[i]: where the factor has the values that i gives its variables; doubled bit by bit.
        let mut size = 1;
        for v in &variables {
            let stride = factor.variables.iter().position(|w| w == v).map_or(0, |k| 1 << k);
            let (low, high) = index.split_at_mut(size);
            high.iter_mut().zip(low).for_each(|(high, low)| *high = *low + stride);
            size *= 2;
        }
        values.iter_mut().zip(&index).for_each(|(value, &at)| *value *= factor.values[at as usize]);
    }
    Ok(Factor { variables, values })
}

fn sum_out(factor: &Factor, variable: usize) -> Factor {
    let place = factor.variables.iter().position(|&v| v == variable).unwrap_or(0);
    let low = (1 << place) - 1;
    let values = (0..factor.values.len() / 2)
        .map(|index| {
            let zero = (index & !low) << 1 | index & low;
            factor.values[zero] + factor.values[zero | 1 << place]
        })
        .collect();
    let variables = factor.variables.iter().copied().filter(|&v| v != variable).collect();
    Factor { variables, values }
}

/// The joint distribution of every pair, exact ([`Network::pairs`]) or counted ([`Samples::pairs`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    variables: usize,
    joint: Vec<[f64; 4]>,
}

impl Pairs {
    /// Number of variables.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// P(a, b) of (0,0), (1,0), (0,1), (1,1): bit 0 of the index is the value of a.
    pub fn joint(&self, a: usize, b: usize) -> [f64; 4] {
        self.joint[a * self.variables + b]
    }

    /// P(v = 1).
    pub fn marginal(&self, v: usize) -> f64 {
        self.joint(v, v)[3]
    }

    /// P(target = 1 | condition = value), or `None` if the condition has probability zero.
    pub fn conditional(&self, target: usize, condition: usize, value: bool) -> Option<f64> {
        let joint = self.joint(target, condition);
        let [zero, one] = if value { [joint[2], joint[3]] } else { [joint[0], joint[1]] };
        (zero + one > 0.0).then(|| one / (zero + one))
    }

    /// Mutual information, in nats; never below zero.
    pub fn mutual_information(&self, a: usize, b: usize) -> f64 {
        let joint = self.joint(a, b);
        let (one_a, one_b) = (joint[1] + joint[3], joint[2] + joint[3]);
        let margin = |one: f64, value: usize| if value == 1 { one } else { 1.0 - one };
        let term = |index: usize| {
            let independent = margin(one_a, index & 1) * margin(one_b, index >> 1);
            if joint[index] > 0.0 && independent > 0.0 {
                joint[index] * (joint[index] / independent).ln()
            } else {
                0.0
            }
        };
        (0..4).map(term).sum::<f64>().max(0.0)
    }

    fn set(&mut self, a: usize, b: usize, joint: [f64; 4]) {
        self.joint[a * self.variables + b] = joint;
        self.joint[b * self.variables + a] = [joint[0], joint[2], joint[1], joint[3]];
    }
}

impl Samples {
    /// The counted joint distribution of every pair; no smoothing.
    pub fn pairs(&self) -> Pairs {
        let n = self.variables();
        let mut pairs = Pairs { variables: n, joint: vec![[0.0; 4]; n * n] };
        let list: Vec<(usize, usize)> = (0..n).flat_map(|a| (a..n).map(move |b| (a, b))).collect();
        // Column by column the words of a variable lie side by side, which is several times faster.
        let columns = self.columns();
        let ones = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let single: Vec<u64> = columns.iter().map(|column| ones(column)).collect();
        let together = |&(a, b): &(usize, usize)| -> u64 {
            columns[a].iter().zip(&columns[b]).map(|(x, y)| u64::from((x & y).count_ones())).sum()
        };
        let both: Vec<u64> = list.par_iter().map(together).collect();
        let rows = self.rows() as u64;
        for (&(a, b), both) in list.iter().zip(both) {
            let counts = [rows + both - single[a] - single[b], single[a] - both, single[b] - both, both];
            pairs.set(a, b, counts.map(|count| count as f64 / rows as f64));
        }
        pairs
    }
}
