//! Pairs of single tokens joined by arrows: the smallest setting in which a direction can be missing.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::{Fact, FactSet, Group, Template, Templates};
use crate::Error;

/// The default has 400 pairs over two alphabets of 400 tokens each (800 tokens and two arrows), 70 % trained both ways.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SymbolicParameters {
    /// Pairs; each has a token `a…` and a token `b…` of its own, so a guess among all tokens of one alphabet is right with
    /// probability 1/pairs.
    pub pairs: usize,
    /// Share of pairs trained both ways. Of the others, half are trained in one direction and half in the other.
    pub both: f64,
}

impl Default for SymbolicParameters {
    fn default() -> Self {
        Self { pairs: 400, both: 0.7 }
    }
}

impl SymbolicParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        if self.pairs < 4 || self.pairs > 1_000_000 {
            return Err(Error::Parameter {
                name: "pairs",
                value: self.pairs.to_string(),
                allowed: "from 4 to 1000000".into(),
                way_out: "400 is the published size of the vocabulary",
            });
        }
        if !(0.0..=1.0).contains(&self.both) {
            return Err(Error::Parameter {
                name: "both",
                value: self.both.to_string(),
                allowed: "from 0 to 1".into(),
                way_out: "it is a share of the pairs; 0.7 is published",
            });
        }
        Ok(())
    }
}

/// The pairs in random order, with sentences `a17 -> b203` and `b203 <- a17`. Every pair is asked in both directions in
/// the same two patterns; test records hold only questions whose sentence is not in training, so all of them are reversed.
/// What was trained is asked by [`FactSet::train`] itself.
///
/// # Errors
/// [`Error::Parameter`].
pub fn symbolic(parameters: &SymbolicParameters, seed: u64) -> Result<FactSet, Error> {
    parameters.validate()?;
    let pairs = parameters.pairs;
    let mut stream = Stream::new(seed, "facts symbolic");
    let partner = stream.permutation(pairs);
    let rank = stream.permutation(pairs);
    let both = (parameters.both * pairs as f64).round() as usize;
    let facts: Vec<Fact> = (0..pairs)
        .map(|pair| Fact {
            name: format!("a{pair}"),
            description: format!("b{}", partner[pair]),
            group: match rank[pair].checked_sub(both) {
                None => Group::Both,
                Some(rest) if rest < (pairs - both) / 2 => Group::NameToDescription,
                Some(_) => Group::DescriptionToName,
            },
        })
        .collect();
    let arrow = |text| Template::new(text).map(|template| vec![template]);
    // The same pattern is given as training and as held-out one; what both hold is taken out of the test.
    let (right, left) = (arrow("{name} -> {description}")?, arrow("{description} <- {name}")?);
    let templates = Templates::new((right.clone(), right), (left.clone(), left))?;
    let mut set = FactSet::new(facts, &templates);
    set.test.retain(|record| record.is_reversed() == Some(true));
    for record in &mut set.test {
        record.template = 0;
    }
    Ok(set)
}
