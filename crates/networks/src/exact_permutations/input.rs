//! Inputs and permutations: bits in, positions of the ones out.

use backstitch_numerics::{Matrix, Stream};

use crate::Error;

/// Longest inputs of which all 2^k − 1 are listed.
pub const LONGEST_LISTED: usize = 12;

/// A 0/1 input with at least one one. The network sees it divided by the root of the number of ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    length: usize,
    ones: Vec<usize>,
}

impl Input {
    /// The input of `length` bits with ones at these positions, in any order.
    ///
    /// # Errors
    /// [`Error::ZeroInput`] without a position; [`Error::Length`] if one is outside; twice the same counts once.
    pub fn new(length: usize, ones: &[usize]) -> Result<Self, Error> {
        let mut ones = ones.to_vec();
        ones.sort_unstable();
        ones.dedup();
        match ones.last() {
            None => Err(Error::ZeroInput { input: 0 }),
            Some(&last) if last >= length => Err(Error::Length { input: 0, found: last + 1, length }),
            Some(_) => Ok(Self { length, ones }),
        }
    }

    /// The rows of a table of zeros and ones.
    ///
    /// # Errors
    /// [`Error::NoInputs`], [`Error::Length`], [`Error::NotBinary`], [`Error::ZeroInput`].
    pub fn from_table(table: &Matrix, length: usize) -> Result<Vec<Self>, Error> {
        if table.rows() == 0 {
            return Err(Error::NoInputs);
        }
        if table.columns() != length {
            return Err(Error::Length { input: 0, found: table.columns(), length });
        }
        (0..table.rows()).map(|input| Self::from_row(input, table.row(input))).collect()
    }

    fn from_row(input: usize, row: &[f64]) -> Result<Self, Error> {
        if let Some(bit) = row.iter().position(|&value| value != 0.0 && value != 1.0) {
            return Err(Error::NotBinary { input, bit, value: row[bit] });
        }
        let ones: Vec<usize> = (0..row.len()).filter(|&bit| row[bit] == 1.0).collect();
        if ones.is_empty() {
            return Err(Error::ZeroInput { input });
        }
        Ok(Self { length: row.len(), ones })
    }

    /// All 2^k − 1 inputs.
    ///
    /// # Errors
    /// [`Error::TooManyInputs`] above [`LONGEST_LISTED`] bits.
    pub fn all(length: usize) -> Result<Vec<Self>, Error> {
        if length > LONGEST_LISTED {
            return Err(Error::TooManyInputs {
                what: format!("the cube of {length} bits"),
                found: format!("2^{length} - 1"),
                limit: (1 << LONGEST_LISTED) - 1,
                way_out: "take a sample of them",
            });
        }
        let ones = |word: usize| (0..length).filter(move |bit| word >> bit & 1 == 1).collect();
        Ok((1..1_usize << length).map(|word| Self { length, ones: ones(word) }).collect())
    }

    /// All inputs with exactly two ones, or a sample of `most` of them if there are more.
    pub fn pairs(length: usize, most: usize, stream: &mut Stream) -> Vec<Self> {
        let pairs = (0..length).flat_map(|i| (i + 1..length).map(move |j| Self { length, ones: vec![i, j] }));
        let mut pairs: Vec<Self> = pairs.collect();
        if pairs.len() > most {
            stream.shuffle(&mut pairs);
            pairs.truncate(most);
        }
        pairs
    }

    /// A random input with this many ones.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `ones` is 0 or above the length.
    pub fn random(length: usize, ones: usize, stream: &mut Stream) -> Result<Self, Error> {
        if ones == 0 || ones > length {
            return Err(super::ones_outside(ones, length));
        }
        let mut positions = stream.permutation(length);
        positions.truncate(ones);
        Self::new(length, &positions)
    }

    /// Number of bits.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Positions of the ones, ascending.
    pub fn ones(&self) -> &[usize] {
        &self.ones
    }

    /// Whether a bit is one.
    pub fn has(&self, bit: usize) -> bool {
        self.ones.binary_search(&bit).is_ok()
    }

    /// How many ones two inputs share.
    pub fn overlap(&self, other: &Self) -> usize {
        self.ones.iter().filter(|&&bit| other.has(bit)).count()
    }
}

/// A permutation: input bit i goes to output bit `target(i)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    targets: Vec<usize>,
}

impl Permutation {
    /// From the target of every bit.
    ///
    /// # Errors
    /// [`Error::Permutation`] unless every bit is a target exactly once.
    pub fn new(targets: Vec<usize>) -> Result<Self, Error> {
        let length = targets.len();
        if length == 0 {
            return Err(Error::Permutation { length: 1, problem: "there are no targets".into() });
        }
        let mut seen = vec![false; length];
        for &target in &targets {
            let problem = match seen.get(target) {
                None => format!("{target} is no bit"),
                Some(true) => format!("{target} is there twice"),
                Some(false) => {
                    seen[target] = true;
                    continue;
                }
            };
            return Err(Error::Permutation { length, problem });
        }
        Ok(Self { targets })
    }

    /// Every bit to itself.
    pub fn identity(length: usize) -> Self {
        Self { targets: (0..length).collect() }
    }

    /// Number of bits.
    pub fn length(&self) -> usize {
        self.targets.len()
    }

    /// Where a bit goes.
    pub fn target(&self, bit: usize) -> usize {
        self.targets[bit]
    }

    /// Where every bit goes.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }
}
