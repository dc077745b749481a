//! Observations as text and as tokens.

use std::fmt::Write;

use super::observe::Observation;
use crate::Error;

/// Token of `###\ntarget:`, which starts every sample.
pub const START: u32 = 0;
/// Token of the value 0. The value 1 is the next one.
pub const ZERO: u32 = 1;
/// Token of the value 1.
pub const ONE: u32 = 2;
/// Token of the first variable; the others follow.
pub const FIRST_VARIABLE: u32 = 3;

/// One token per variable, one per value, one for the start: variables + 3 in all.
///
/// Text: `###\ntarget: X17\nX5=0\nX8=1\nX17=1\n`. Tokens: start, X17, X5, 0, X8, 1, X17, 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    names: Vec<String>,
}

impl Vocabulary {
    /// Takes the names of the variables, by position.
    pub fn new(names: &[String]) -> Self {
        Self { names: names.to_vec() }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.names.len() + FIRST_VARIABLE as usize
    }

    /// Never: there are tokens without a variable.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Names of the variables.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Token of a variable.
    pub fn variable(&self, variable: usize) -> u32 {
        FIRST_VARIABLE + variable as u32
    }

    /// Token of a value.
    pub fn value(&self, value: bool) -> u32 {
        if value { ONE } else { ZERO }
    }

    /// All tokens as words, by number: for a tokenizer file.
    pub fn tokens(&self) -> Vec<String> {
        ["###", "0", "1"].into_iter().map(str::to_owned).chain(self.names.iter().cloned()).collect()
    }

    /// A training sample as tokens.
    pub fn encode(&self, observation: &Observation) -> Vec<u32> {
        let target = observation.values.last().map(|&(v, _)| self.variable(v));
        let values = observation.values.iter().flat_map(|&(v, value)| [self.variable(v), self.value(value)]);
        [START].into_iter().chain(target).chain(values).collect()
    }

    /// A prompt that ends where the value of the last variable is next: a target, then variables with values, then one
    /// variable without.
    pub fn prompt(&self, target: usize, given: &[(usize, bool)], asked: Option<usize>) -> Vec<u32> {
        let values = given.iter().flat_map(|&(v, value)| [self.variable(v), self.value(value)]);
        let asked = asked.map(|v| self.variable(v));
        [START, self.variable(target)].into_iter().chain(values).chain(asked).collect()
    }

    /// Tokens as the text that they stand for; the text of a prompt is the beginning of the text of a sample.
    ///
    /// # Errors
    /// [`Error::Token`] for a token that is not in the vocabulary or not at its place.
    pub fn text(&self, tokens: &[u32]) -> Result<String, Error> {
        let mut text = String::new();
        for (place, &token) in tokens.iter().enumerate() {
            let variable = token.checked_sub(FIRST_VARIABLE).map(|v| v as usize);
            // Writing to a string cannot fail.
            let _ = match (place, token, variable.and_then(|v| self.names.get(v))) {
                (0, START, _) => write!(text, "###\ntarget:"),
                (1, _, Some(name)) => writeln!(text, " {name}"),
                (_, _, Some(name)) if place >= 2 && place.is_multiple_of(2) => write!(text, "{name}="),
                (_, ZERO | ONE, _) if place >= 3 && !place.is_multiple_of(2) => {
                    writeln!(text, "{}", token - ZERO)
                }
                _ => return Err(Error::Token { token, place }),
            };
        }
        Ok(text)
    }
}
