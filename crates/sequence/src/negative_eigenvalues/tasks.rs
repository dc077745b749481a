//! State-tracking tasks to learn from where there is no file: parity, counting, modular arithmetic, products of group elements.

use backstitch_numerics::Stream;

use crate::Error;

/// Tokens, and for each position its label or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Tokens, from 0.
    pub tokens: Vec<u32>,
    /// As many as tokens.
    pub labels: Vec<Option<u32>>,
}

impl Example {
    /// The same sequence with the label of its last position only.
    #[must_use]
    pub fn last_only(mut self) -> Self {
        let last = self.labels.len().saturating_sub(1);
        self.labels[..last].fill(None);
        self
    }
}

/// A group of permutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// All permutations of three things: 6.
    S3,
    /// All permutations of four things: 24.
    S4,
    /// The even permutations of five things: 60, and not solvable.
    A5,
    /// All permutations of five things: 120.
    S5,
}

impl Group {
    /// How many things are permuted.
    pub fn things(self) -> usize {
        match self {
            Self::S3 => 3,
            Self::S4 => 4,
            Self::A5 | Self::S5 => 5,
        }
    }

    /// Its elements in lexicographic order; the first is the identity.
    pub fn elements(self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for _ in 0..self.things() {
            let longer = |start: &Vec<usize>| {
                let start = start.clone();
                let free = (0..self.things()).filter(|thing| !start.contains(thing)).collect::<Vec<_>>();
                free.into_iter().map(move |thing| [start.as_slice(), &[thing]].concat())
            };
            all = all.iter().flat_map(longer).collect();
        }
        if self == Self::A5 {
            all.retain(|element| reflections(element).is_multiple_of(2));
        }
        all
    }
}

/// The fewest swaps that make a permutation: things less cycles. As many reflections are needed to write its matrix.
pub fn reflections(permutation: &[usize]) -> usize {
    let mut seen = vec![false; permutation.len()];
    let mut cycles = 0;
    for start in 0..permutation.len() {
        if !seen[start] {
            cycles += 1;
        }
        let mut at = start;
        while !seen[at] {
            seen[at] = true;
            at = permutation[at];
        }
    }
    permutation.len() - cycles
}

/// A task of which every sequence can be labelled exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Bits; the label is the parity of the ones so far.
    Parity,
    /// Tokens `stay` and `step`; the label is the number of steps so far, modulo this.
    Count(usize),
    /// Tokens `stay`, `forward` and `back` on a circle of so many places; the label is the place.
    Cycle(usize),
    /// Digits below the modulus with `+`, `-` and `*` between them, the product first, then `=`, whose label is the value. Other positions
    /// have no label.
    Modular(usize),
    /// Elements of a group; the label is the product so far.
    Group {
        /// The group.
        group: Group,
        /// Only the identity and swaps of two things.
        swaps: bool,
    },
}

impl Task {
    /// Checks the sizes.
    ///
    /// # Errors
    /// If a modulus is too small or too large, or a group of even permutations is asked for its swaps.
    pub fn validate(self) -> Result<(), Error> {
        match self {
            Self::Count(modulus) | Self::Cycle(modulus) | Self::Modular(modulus)
                if !(2..=1000).contains(&modulus) =>
            {
                Err(Error::Parameter {
                    name: "modulus",
                    value: modulus.to_string(),
                    allowed: "from 2 to 1000",
                    way_out: "with one residue there is nothing to tell apart",
                })
            }
            Self::Group { group: Group::A5, swaps: true } => Err(Error::Parameter {
                name: "swaps",
                value: "true".into(),
                allowed: "false for A5, which has no swaps",
                way_out: "take S5, or all elements of A5",
            }),
            _ => Ok(()),
        }
    }

    /// The names of the tokens, in their order.
    pub fn tokens(self) -> Vec<String> {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Self::Parity => named(&["0", "1"]),
            Self::Count(_) => named(&["stay", "step"]),
            Self::Cycle(_) => named(&["stay", "forward", "back"]),
            Self::Modular(modulus) => {
                let digits = (0..modulus).map(|digit| digit.to_string());
                digits.chain(["+", "-", "*", "="].map(String::from)).collect()
            }
            Self::Group { group, swaps } => moves(group, swaps).iter().map(|element| name(element)).collect(),
        }
    }

    /// The names of the labels, in their order.
    pub fn labels(self) -> Vec<String> {
        let numbers = |count: usize| (0..count).map(|number| number.to_string()).collect();
        match self {
            Self::Parity => vec!["even".into(), "odd".into()],
            Self::Count(modulus) | Self::Cycle(modulus) | Self::Modular(modulus) => numbers(modulus),
            Self::Group { group, .. } => group.elements().iter().map(|element| name(element)).collect(),
        }
    }

    /// A sampler of sequences.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn sampler(self) -> Result<Sampler, Error> {
        self.validate()?;
        let (elements, moves) = match self {
            Self::Group { group, swaps } => (group.elements(), moves(group, swaps)),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Sampler { task: self, elements, moves })
    }
}

fn moves(group: Group, swaps: bool) -> Vec<Vec<usize>> {
    let mut elements = group.elements();
    if swaps {
        elements.retain(|element| reflections(element) <= 1);
    }
    elements
}

fn name(permutation: &[usize]) -> String {
    permutation.iter().map(|thing| (thing + 1).to_string()).collect()
}

/// Draws sequences of a task.
#[derive(Clone, Debug)]
pub struct Sampler {
    task: Task,
    elements: Vec<Vec<usize>>,
    moves: Vec<Vec<usize>>,
}

impl Sampler {
    /// A sequence of so many tokens (at least 1; of modular arithmetic at least 2, and an even number: one less where it is odd).
    pub fn draw(&self, length: usize, stream: &mut Stream) -> Example {
        let length = length.max(1);
        match self.task {
            Task::Parity => self.walk(length, 2, stream, |state, token| (state + token) % 2),
            Task::Count(modulus) => self.walk(length, 2, stream, |state, token| (state + token) % modulus),
            Task::Cycle(modulus) => {
                self.walk(length, 3, stream, |state, token| (state + [0, 1, modulus - 1][token]) % modulus)
            }
            Task::Modular(modulus) => modular(length, modulus, stream),
            Task::Group { .. } => self.walk(length, self.moves.len(), stream, |state, token| {
                let (now, by) = (&self.elements[state], &self.moves[token]);
                let next: Vec<usize> = by.iter().map(|&thing| now[thing]).collect();
                self.elements.binary_search(&next).unwrap_or(0)
            }),
        }
    }

    fn walk(
        &self,
        length: usize,
        tokens: usize,
        stream: &mut Stream,
        next: impl Fn(usize, usize) -> usize,
    ) -> Example {
        let mut state = 0;
        let drawn: Vec<usize> = (0..length).map(|_| stream.below(tokens)).collect();
        let labels = drawn.iter().map(|&token| {
            state = next(state, token);
            Some(state as u32)
        });
        let labels = labels.collect();
        Example { tokens: drawn.into_iter().map(|token| token as u32).collect(), labels }
    }
}

fn modular(length: usize, modulus: usize, stream: &mut Stream) -> Example {
    let digits = (length / 2).max(1);
    let (mut tokens, mut total, mut factor, mut sign) = (Vec::new(), 0, 1, 1);
    for at in 0..digits {
        let digit = stream.below(modulus);
        tokens.push(digit as u32);
        factor = factor * digit % modulus;
        let operation = if at + 1 == digits { 3 } else { stream.below(3) };
        tokens.push((modulus + operation) as u32);
        if operation != 2 {
            total = (total + sign * factor) % modulus;
            (factor, sign) = (1, if operation == 1 { modulus - 1 } else { 1 });
        }
    }
    let mut labels = vec![None; tokens.len()];
    labels[2 * digits - 1] = Some(total as u32);
    Example { tokens, labels }
}
