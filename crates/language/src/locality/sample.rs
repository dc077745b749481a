//! Joint samples of a net, 64 at a time.

use backstitch_numerics::{Matrix, Stream};
use rand::Rng;
use rayon::prelude::*;

use super::network::Network;
use crate::Error;

/// Words of 64 samples that one random stream makes. Fixed, so that threads do not change the samples.
const CHUNK_WORDS: usize = 256;

/// Bits of a probability: a uniform draw of so many bits is compared with it.
const BITS: u32 = 53;

/// Up to so many rows a table is compared 64 samples at a time; above, one at a time.
const MOST_ROWS: usize = 64;

/// Joint samples of all variables: one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    rows: usize,
    variables: usize,
    /// `bits[word * variables + variable]`: samples 64·word to 64·word + 63 of a variable; bits past the last sample are zero.
    bits: Vec<u64>,
}

impl Samples {
    /// `rows` independent samples of the net. Exact up to 2⁻⁵³ in every conditional probability.
    pub fn draw(network: &Network, rows: usize, seed: u64) -> Self {
        let variables = network.len();
        let words = rows.div_ceil(64);
        let mut bits = vec![0; words * variables];
        bits.par_chunks_mut(CHUNK_WORDS * variables).enumerate().for_each(|(chunk, bits)| {
            let mut stream = Stream::new(seed, &format!("locality samples {chunk}"));
            let plan = Plan::new(network);
            bits.chunks_mut(variables).for_each(|word| plan.draw(word, &mut stream));
        });
        let over = words * 64 - rows;
        if over > 0 {
            bits[(words - 1) * variables..].iter_mut().for_each(|word| *word &= u64::MAX >> over);
        }
        Self { rows, variables, bits }
    }

    /// A user's table of zeros and ones, one row per sample.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming row and column of another value, or if the table is empty.
    pub fn from_table(table: &Matrix) -> Result<Self, Error> {
        let (rows, variables) = (table.rows(), table.columns());
        if rows == 0 || variables == 0 {
            return Err(Error::Parameter {
                name: "table",
                value: format!("{rows} rows, {variables} columns"),
                allowed: "at least one of each".into(),
                way_out: "give one row per sample and one column per variable",
            });
        }
        let mut bits = vec![0; rows.div_ceil(64) * variables];
        for row in 0..rows {
            for (column, &value) in table.row(row).iter().enumerate() {
                if value == 1.0 {
                    bits[row / 64 * variables + column] |= 1 << (row % 64);
                } else if value != 0.0 {
                    return Err(Error::Parameter {
                        name: "table",
                        value: format!("{value} in row {}, column {}", row + 1, column + 1),
                        allowed: "0 or 1".into(),
                        way_out: "code the two values of every column as 0 and 1",
                    });
                }
            }
        }
        Ok(Self { rows, variables, bits })
    }

    /// Number of samples.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of variables.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// The value of a variable in a sample.
    ///
    /// # Panics
    /// If either is out of range.
    pub fn get(&self, row: usize, variable: usize) -> bool {
        assert!(
            row < self.rows && variable < self.variables,
            "sample {row}, variable {variable} out of range"
        );
        self.bits[row / 64 * self.variables + variable] >> (row % 64) & 1 == 1
    }

    /// The words of every variable.
    pub(super) fn columns(&self) -> Vec<Vec<u64>> {
        let column = |v| self.bits.iter().skip(v).step_by(self.variables).copied().collect();
        (0..self.variables).into_par_iter().map(column).collect()
    }

    /// How often (a, b) was (0,0), (1,0), (0,1), (1,1): bit 0 of the index is the value of a.
    pub fn counts(&self, a: usize, b: usize) -> [u64; 4] {
        let (mut ones_a, mut ones_b, mut both) = (0, 0, 0);
        for word in self.bits.chunks_exact(self.variables) {
            ones_a += u64::from(word[a].count_ones());
            ones_b += u64::from(word[b].count_ones());
            both += u64::from((word[a] & word[b]).count_ones());
        }
        let rows = self.rows as u64;
        [rows + both - ones_a - ones_b, ones_a - both, ones_b - both, both]
    }
}

/// Thresholds of all tables in fixed point: true if 53 random bits are below.
struct Plan<'n> {
    network: &'n Network,
    thresholds: Vec<Vec<u64>>,
}

impl<'n> Plan<'n> {
    fn new(network: &'n Network) -> Self {
        let fixed = |p: &f64| (p * (1_u64 << BITS) as f64) as u64;
        let thresholds = (0..network.len()).map(|v| network.table(v).iter().map(fixed).collect()).collect();
        Self { network, thresholds }
    }

    /// 64 joint samples.
    fn draw(&self, word: &mut [u64], stream: &mut Stream) {
        let mut rows = [0; MOST_ROWS];
        for &variable in self.network.order() {
            let parents = self.network.parents(variable);
            let thresholds = &self.thresholds[variable];
            word[variable] = if thresholds.len() > MOST_ROWS {
                one_by_one(word, parents, thresholds, stream)
            } else {
                // Which samples are in which row of the table: every parent halves the sets.
                rows[0] = u64::MAX;
                for (k, &parent) in parents.iter().enumerate() {
                    for row in 0..1 << k {
                        rows[row | 1 << k] = rows[row] & word[parent];
                        rows[row] &= !word[parent];
                    }
                }
                compare(&rows[..thresholds.len()], thresholds, stream)
            };
        }
    }
}

/// For 64 samples at once: is a uniform draw of 53 bits below the threshold of the sample's row? Bits are compared from the
/// highest; half of the undecided samples are decided by each, so about eight random words do for all.
fn compare(rows: &[u64], thresholds: &[u64], stream: &mut Stream) -> u64 {
    let bit = |b: u32| {
        rows.iter()
            .zip(thresholds)
            .fold(0, |all, (&row, &threshold)| all | if threshold >> b & 1 == 1 { row } else { 0 })
    };
    // A threshold of 2⁵³ is always above.
    let mut result = bit(BITS);
    let mut undecided = !result;
    for b in (0..BITS).rev() {
        if undecided == 0 {
            break;
        }
        let threshold = bit(b);
        let random = stream.next_u64();
        result |= undecided & threshold & !random;
        undecided &= !(threshold ^ random);
    }
    result
}

fn one_by_one(word: &[u64], parents: &[usize], thresholds: &[u64], stream: &mut Stream) -> u64 {
    (0..64).fold(0, |all, lane| {
        let row =
            parents.iter().enumerate().fold(0, |row, (k, &p)| row | ((word[p] >> lane & 1) as usize) << k);
        let below = stream.next_u64() >> (64 - BITS) < thresholds[row];
        all | u64::from(below) << lane
    })
}
