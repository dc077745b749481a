//! Observations as text and as tokens.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::observe::Observation;
use crate::Error;

/// Token of `###\ntarget:`, which starts every sample.
pub const START: u32 = 0;
/// Token of the first variable; the others follow.
pub const FIRST_VARIABLE: u32 = 1;

/// How values become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueTokens {
    /// `0` and `1`, the same two for all variables, as the digits of the paper's text: a model must first learn to which name a
    /// digit belongs.
    Shared,
    /// `X5=0` and `X5=1`, two of each variable's own: learned in far fewer steps.
    Own,
}

/// One token for the start, one per variable, then those of the values.
///
/// Text: `###\ntarget: X17\nX5=0\nX8=1\nX17=1\n`. Tokens: start, X17, X5, 0, X8, 1, X17, 1; with tokens of their own, the values are
/// X5=0, X8=1 and X17=1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    names: Vec<String>,
    values: ValueTokens,
}

impl Vocabulary {
    /// Takes the names of the variables, by position, and how values become tokens.
    pub fn new(names: &[String], values: ValueTokens) -> Self {
        Self { names: names.to_vec(), values }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        let values = match self.values {
            ValueTokens::Shared => 2,
            ValueTokens::Own => 2 * self.names.len(),
        };
        FIRST_VARIABLE as usize + self.names.len() + values
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

    /// The variable of a token that names one.
    pub fn named(&self, token: u32) -> Option<usize> {
        let variable = token.checked_sub(FIRST_VARIABLE)? as usize;
        (variable < self.names.len()).then_some(variable)
    }

    /// Token of a value of a variable.
    pub fn value(&self, variable: usize, value: bool) -> u32 {
        let place = match self.values {
            ValueTokens::Shared => 0,
            ValueTokens::Own => 2 * variable,
        };
        FIRST_VARIABLE + (self.names.len() + place) as u32 + u32::from(value)
    }

    /// The value that a token says of a variable.
    pub fn said(&self, variable: usize, token: u32) -> Option<bool> {
        [false, true].into_iter().find(|&value| self.value(variable, value) == token)
    }

    /// All tokens as words, by number: for a tokenizer file.
    pub fn tokens(&self) -> Vec<String> {
        let values: Vec<String> = match self.values {
            ValueTokens::Shared => vec!["0".into(), "1".into()],
            ValueTokens::Own => {
                self.names.iter().flat_map(|name| [format!("{name}=0"), format!("{name}=1")]).collect()
            }
        };
        std::iter::once("###".to_owned()).chain(self.names.iter().cloned()).chain(values).collect()
    }

    /// A training sample as tokens.
    pub fn encode(&self, observation: &Observation) -> Vec<u32> {
        let target = observation.values.last().map(|&(v, _)| self.variable(v));
        let values =
            observation.values.iter().flat_map(|&(v, value)| [self.variable(v), self.value(v, value)]);
        [START].into_iter().chain(target).chain(values).collect()
    }

    /// A prompt that ends where the value of the last variable is next: a target, then variables with values, then one
    /// variable without.
    pub fn prompt(&self, target: usize, given: &[(usize, bool)], asked: Option<usize>) -> Vec<u32> {
        let values = given.iter().flat_map(|&(v, value)| [self.variable(v), self.value(v, value)]);
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
            let name = self.named(token).map(|v| &self.names[v]);
            let before = place.checked_sub(1).and_then(|before| self.named(tokens[before]));
            let value = before.and_then(|v| self.said(v, token));
            // Writing to a string cannot fail.
            let _ = match (place, token, name, value) {
                (0, START, ..) => write!(text, "###\ntarget:"),
                (1, _, Some(name), _) => writeln!(text, " {name}"),
                (_, _, Some(name), _) if place >= 2 && place.is_multiple_of(2) => write!(text, "{name}="),
                (_, _, _, Some(value)) if place >= 3 => writeln!(text, "{}", u32::from(value)),
                _ => return Err(Error::Token { token, place }),
            };
        }
        Ok(text)
    }
}
