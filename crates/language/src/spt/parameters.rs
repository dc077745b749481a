//! The settings of the method.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Words and phrases at which a clause is split, unless told otherwise. Adjacent ones make one unit (`is known as`).
pub const CONNECTORS: [&str; 30] = [
    "is",
    "was",
    "are",
    "were",
    "has been",
    "had been",
    "became",
    "who",
    "whose",
    "which",
    "that",
    "where",
    "when",
    "while",
    "because",
    "and",
    "or",
    "but",
    "known for",
    "known as",
    "famous for",
    "remembered as",
    "remembered for",
    "called",
    "named",
    "goes by",
    "answers to",
    "born in",
    "such as",
    "as well as",
];

/// Words that are capitalised only because a sentence starts with them. At the start they are no name.
pub(super) const OPENERS: [&str; 44] = [
    "a", "after", "all", "although", "an", "as", "at", "before", "both", "by", "can", "did", "do", "does",
    "during", "each", "even", "every", "for", "from", "he", "her", "here", "his", "how", "if", "in", "it",
    "its", "no", "of", "on", "once", "she", "since", "the", "their", "there", "they", "this", "to", "we",
    "what", "with",
];

/// How often each order is drawn; the weights need not sum to one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderWeights {
    /// The order of the sentence.
    pub original: f64,
    /// Last unit first.
    pub reversed: f64,
    /// A uniform random permutation of the units.
    pub permuted: f64,
}

impl Default for OrderWeights {
    fn default() -> Self {
        Self { original: 1.0, reversed: 1.0, permuted: 1.0 }
    }
}

/// The default draws the three orders equally often and splits by the connectors above.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// How often each order is drawn.
    pub weights: OrderWeights,
    /// Words and phrases that are units of their own; case does not count. Phrases are words with one space between.
    pub connectors: Vec<String>,
    /// A stretch between boundaries with more words is cut into pieces of this many. At least 1.
    pub longest_unit: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            weights: OrderWeights::default(),
            connectors: CONNECTORS.iter().map(|&connector| connector.to_owned()).collect(),
            longest_unit: 8,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let OrderWeights { original, reversed, permuted } = self.weights;
        for (name, value) in
            [("weights.original", original), ("weights.reversed", reversed), ("weights.permuted", permuted)]
        {
            if !value.is_finite() || value < 0.0 {
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    allowed: "a finite number from 0".into(),
                    way_out: "weights say how often each order is drawn; 0 leaves an order out",
                });
            }
        }
        if original + reversed + permuted <= 0.0 || !(original + reversed + permuted).is_finite() {
            return Err(Error::Parameter {
                name: "weights",
                value: format!("{original}, {reversed}, {permuted}"),
                allowed: "not all zero, with a finite sum".into(),
                way_out: "give at least one order a positive weight",
            });
        }
        if self.longest_unit == 0 {
            return Err(Error::Parameter {
                name: "longest_unit",
                value: "0".into(),
                allowed: "at least 1".into(),
                way_out: "it is a number of words; 8 is the default",
            });
        }
        let phrase = |text: &str| {
            !text.is_empty()
                && text.split(' ').all(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric))
        };
        if let Some(connector) = self.connectors.iter().find(|connector| !phrase(connector)) {
            return Err(Error::Parameter {
                name: "connectors",
                value: format!("{connector:?}"),
                allowed: "words of letters and digits with one space between".into(),
                way_out: "take punctuation and other white space out",
            });
        }
        Ok(())
    }
}
