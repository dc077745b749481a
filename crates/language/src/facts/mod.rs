//! Facts of the form (name, description), the sentences that state them, and the questions that ask for them.
//!
//! One generator serves reversal-curse, spt and the later rooms that need facts. [`people`] makes fictitious people in
//! sentences of words; [`symbolic`] makes pairs of single tokens joined by arrows; [`read_facts`] reads a user's list.
//! All of them end in [`FactSet`]: facts, training records and test records.
//!
//! # The two directions
//!
//! A sentence states a fact in one [`Direction`]: name first, or description first. The last slot of the sentence is
//! its *target*. A fact's [`Group`] says in which directions training sentences state it. A question is *forward* if
//! the fact was trained in the question's direction, and *reversed* if it was not.
//!
//! # Records
//!
//! A [`Record`] is a line of JSON: `{"prompt": "the wise potter of autumn is called", "completion": " Ada Holloway",
//! "fact": 4, "group": "description-to-name", "direction": "description-to-name", "template": 1}`. The completion starts
//! with a space, so prompt + completion is the sentence.
//!
//! # What is checked
//!
//! [`FactSet::check`] refuses a set in which a test sentence is a training sentence (by SHA-256), a training record
//! states a fact in a direction its group does not have, or any training sentence, whatever its record says, holds name and
//! description in the forbidden order. [`NGrams`] measures what a test sentence shares with training.
//!
//! # Example
//!
//! ```
//! use backstitch_language::facts::{PeopleParameters, people};
//!
//! let set = people(&PeopleParameters::default(), 0)?;
//! assert_eq!(set.facts.len(), 150);
//! set.check()?;
//! let first = &set.train[0];
//! assert_eq!(first.completion, format!(" {}", set.target(first)));
//! # Ok::<(), backstitch_language::Error>(())
//! ```

mod find;
mod overlap;
mod people;
mod read;
mod symbolic;
mod template;
mod words;

use std::collections::HashMap;

use backstitch_data::hash::sha256_of_bytes;
use serde::{Deserialize, Serialize};

pub use find::{Finder, Found};
pub use overlap::NGrams;
pub use people::{PeopleParameters, people, people_templates};
pub use read::{read_facts, read_facts_from};
pub use symbolic::{SymbolicParameters, symbolic};
pub use template::{Template, Templates};

use crate::Error;

/// Which way a sentence goes, or a question asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Name first; the description is the target.
    NameToDescription,
    /// Description first; the name is the target.
    DescriptionToName,
}

impl Direction {
    /// Both directions.
    pub const BOTH: [Self; 2] = [Self::NameToDescription, Self::DescriptionToName];

    /// The other one.
    pub fn reversed(self) -> Self {
        match self {
            Self::NameToDescription => Self::DescriptionToName,
            Self::DescriptionToName => Self::NameToDescription,
        }
    }

    /// As it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameToDescription => "name-to-description",
            Self::DescriptionToName => "description-to-name",
        }
    }
}

/// In which directions a fact is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Name first only.
    NameToDescription,
    /// Description first only.
    DescriptionToName,
    /// Both ways.
    Both,
    /// Not known: what a user's list means when it says nothing.
    #[default]
    Unstated,
}

impl Group {
    /// Is a fact of this group trained in this direction? `None` if it is not known.
    pub fn trains(self, direction: Direction) -> Option<bool> {
        match self {
            Self::NameToDescription => Some(direction == Direction::NameToDescription),
            Self::DescriptionToName => Some(direction == Direction::DescriptionToName),
            Self::Both => Some(true),
            Self::Unstated => None,
        }
    }

    fn is_unstated(&self) -> bool {
        *self == Self::Unstated
    }

    /// As it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameToDescription => "name-to-description",
            Self::DescriptionToName => "description-to-name",
            Self::Both => "both",
            Self::Unstated => "unstated",
        }
    }
}

/// A name and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// In which directions it is trained.
    #[serde(rename = "direction", default, skip_serializing_if = "Group::is_unstated")]
    pub group: Group,
}

impl Fact {
    /// What a question in this direction wants as its answer.
    pub fn target(&self, direction: Direction) -> &str {
        match direction {
            Direction::NameToDescription => &self.description,
            Direction::DescriptionToName => &self.name,
        }
    }
}

/// A training sentence, or a question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The sentence up to just before the target.
    pub prompt: String,
    /// A space and the rest: the target, and what follows it in the sentence.
    pub completion: String,
    /// Position of the fact, from 0.
    pub fact: usize,
    /// The fact's group.
    pub group: Group,
    /// The direction of this sentence.
    pub direction: Direction,
    /// Position of the template among those of its direction: training templates first, then held-out ones.
    pub template: usize,
}

impl Record {
    /// The whole sentence.
    pub fn text(&self) -> String {
        format!("{}{}", self.prompt, self.completion)
    }

    /// Does it ask in a direction that its fact was not trained in? `None` if that is not known.
    pub fn is_reversed(&self) -> Option<bool> {
        self.group.trains(self.direction).map(|trained| !trained)
    }
}

/// A record as others publish it: prompt and completion only; further fields are ignored. Read with
/// [`backstitch_data::jsonl::read_jsonl`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The sentence up to just before the target.
    pub prompt: String,
    /// The rest, with the space that it starts with.
    pub completion: String,
}

/// Facts with the sentences that train them and the questions that test them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactSet {
    /// The facts; records name them by position.
    pub facts: Vec<Fact>,
    /// Training sentences: every fact, in the directions of its group, in every training template.
    pub train: Vec<Record>,
    /// Questions: every fact, in both directions, in every held-out template.
    pub test: Vec<Record>,
}

impl FactSet {
    /// Training sentences for the groups of the facts and questions in both directions.
    pub fn new(facts: Vec<Fact>, templates: &Templates) -> Self {
        let mut train = Vec::new();
        let mut test = Vec::new();
        for (position, fact) in facts.iter().enumerate() {
            for direction in Direction::BOTH {
                let (training, held_out) = templates.of(direction);
                let record = |(template, pattern): (usize, &Template)| {
                    let (prompt, completion) = pattern.fill(fact, direction);
                    Record { prompt, completion, fact: position, group: fact.group, direction, template }
                };
                if fact.group.trains(direction) == Some(true) {
                    train.extend(training.iter().enumerate().map(record));
                }
                let numbered = held_out.iter().enumerate().map(|(i, pattern)| (training.len() + i, pattern));
                test.extend(numbered.map(record));
            }
        }
        Self { facts, train, test }
    }

    /// What a record's question wants as its answer.
    ///
    /// # Panics
    /// If the record names a fact that is not here; [`FactSet::check`] excludes it.
    pub fn target(&self, record: &Record) -> &str {
        self.facts[record.fact].target(record.direction)
    }

    /// The question after a sentence that states its fact the other way round, as the model would see it in its prompt: the control
    /// that shows whether attention reverses what weights do not. `None` if no training sentence goes the other way.
    pub fn in_context(&self, question: &Record, separator: &str) -> Option<Record> {
        let other = |record: &&Record| {
            record.fact == question.fact && record.direction == question.direction.reversed()
        };
        let stated = self.train.iter().find(other)?.text();
        Some(Record { prompt: format!("{stated}{separator}{}", question.prompt), ..question.clone() })
    }

    /// Checks that training and test share no sentence and that no fact leaks into a direction it is not listed with.
    ///
    /// # Errors
    /// [`Error::NoSuchFact`], [`Error::Leak`], [`Error::BothDirections`], [`Error::WrongDirection`].
    pub fn check(&self) -> Result<(), Error> {
        for records in [&self.train, &self.test] {
            for (position, record) in records.iter().enumerate() {
                if record.fact >= self.facts.len() {
                    return Err(Error::NoSuchFact {
                        record: position,
                        fact: record.fact,
                        facts: self.facts.len(),
                    });
                }
            }
        }
        check_disjoint(&self.train, &self.test)?;
        let texts: Vec<String> = self.train.iter().map(Record::text).collect();
        check_directions(&self.facts, texts.iter().map(String::as_str))
    }
}

/// Refuses test sentences that are training sentences, by SHA-256 of the whole sentence.
///
/// # Errors
/// [`Error::Leak`] with the first such pair.
pub fn check_disjoint(train: &[Record], test: &[Record]) -> Result<(), Error> {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(train.len());
    for (position, record) in train.iter().enumerate() {
        seen.entry(sha256_of_bytes(record.text().as_bytes())).or_insert(position);
    }
    for (position, record) in test.iter().enumerate() {
        let text = record.text();
        if let Some(&train) = seen.get(&sha256_of_bytes(text.as_bytes())) {
            return Err(Error::Leak { test: position, train, text });
        }
    }
    Ok(())
}

/// Refuses training texts that state a one-directional fact the other way round (by where its words stand, whatever the
/// records say).
///
/// # Errors
/// [`Error::BothDirections`] or [`Error::WrongDirection`] for the first such fact.
pub fn check_directions<'a>(facts: &[Fact], texts: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    let mut finder = Finder::new(facts);
    // For each fact: stated with the name first, with the description first.
    let mut stated = vec![[false; 2]; facts.len()];
    for text in texts {
        for found in finder.find(text) {
            stated[found.fact][0] |= found.name_first;
            stated[found.fact][1] |= found.description_first;
        }
    }
    for (position, (fact, [name_first, description_first])) in facts.iter().zip(stated).enumerate() {
        let (listed, other, reversed) = match fact.group {
            Group::NameToDescription => (name_first, description_first, Direction::DescriptionToName),
            Group::DescriptionToName => (description_first, name_first, Direction::NameToDescription),
            Group::Both | Group::Unstated => continue,
        };
        if listed && other {
            return Err(Error::BothDirections { fact: position, name: fact.name.clone() });
        }
        if other {
            return Err(Error::WrongDirection {
                fact: position,
                name: fact.name.clone(),
                listed: fact.group.as_str().into(),
                found: reversed.as_str().into(),
            });
        }
    }
    Ok(())
}
