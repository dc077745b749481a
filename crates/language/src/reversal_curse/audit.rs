//! Which facts a corpus states, and in which direction.

use std::path::Path;

use backstitch_data::jsonl::{self, read_lines};
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::facts::{Direction, Fact, Finder, Group};

/// How a fact stands in a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stored {
    /// No text has both name and description.
    Never,
    /// Only with the name first: a causal model will not answer with the name.
    NameToDescription,
    /// Only with the description first: a causal model will not answer with the description.
    DescriptionToName,
    /// Both ways.
    Both,
}

/// One fact in a corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactAudit {
    /// Position of the fact, from 0.
    pub fact: usize,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// How it is stored.
    pub stored: Stored,
    /// Texts with the name before the description.
    pub name_first: usize,
    /// Texts with the description before the name. A text that does both counts in both.
    pub description_first: usize,
    /// Does the corpus contradict the group the fact is listed with? Never for unstated groups.
    pub contradicts: bool,
}

/// All facts in a corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// In the order of the facts.
    pub facts: Vec<FactAudit>,
    /// Texts read.
    pub texts: usize,
}

impl Audit {
    /// Facts stored in exactly one direction: those whose reversed question is at risk.
    pub fn one_directional(&self) -> impl Iterator<Item = (&FactAudit, Direction)> {
        self.facts.iter().filter_map(|fact| match fact.stored {
            Stored::NameToDescription => Some((fact, Direction::NameToDescription)),
            Stored::DescriptionToName => Some((fact, Direction::DescriptionToName)),
            Stored::Never | Stored::Both => None,
        })
    }

    /// How many facts are stored in this way.
    pub fn count(&self, stored: Stored) -> usize {
        self.facts.iter().filter(|fact| fact.stored == stored).count()
    }
}

/// Reads the texts of a corpus: JSON Lines if the first line starts with `{` (the text is `prompt` + `completion`, or `text`, or
/// `content`; other fields do not count), else one text per line.
///
/// # Errors
/// [`Error::Jsonl`], [`Error::Line`] for a line that has none of these fields as text.
pub fn read_corpus(path: &Path) -> Result<Vec<String>, Error> {
    let lines = read_lines(path)?;
    let json = lines.first().is_some_and(|(_, text)| text.trim_start().starts_with('{'));
    lines
        .into_iter()
        .map(|(line, text)| {
            if !json {
                return Ok(text);
            }
            let value: Value = jsonl::parse(&text, path, line)?;
            let field = |name: &str| value.get(name).and_then(Value::as_str);
            match (field("prompt"), field("completion")) {
                (Some(prompt), Some(completion)) => Ok(format!("{prompt}{completion}")),
                _ => match field("text").or_else(|| field("content")) {
                    Some(text) => Ok(text.to_owned()),
                    None => {
                        let problem = "no text; a record has \"prompt\" and \"completion\", or \"text\", or \"content\", in quotes";
                        Err(Error::at(path, line, problem))
                    }
                },
            }
        })
        .collect()
}

/// Reads a corpus, one text (sentence, line or paragraph) at a time. A fact is stated in a text if all words of its name
/// and of its description stand there in a row each; case and punctuation do not count. Paraphrases are not found.
pub fn audit<'a>(facts: &[Fact], texts: impl IntoIterator<Item = &'a str>) -> Audit {
    let mut finder = Finder::new(facts);
    let mut counts = vec![(0, 0); facts.len()];
    let mut read = 0;
    for text in texts {
        read += 1;
        for found in finder.find(text) {
            counts[found.fact].0 += usize::from(found.name_first);
            counts[found.fact].1 += usize::from(found.description_first);
        }
    }
    let facts = facts
        .iter()
        .zip(counts)
        .enumerate()
        .map(|(position, (fact, (name_first, description_first)))| {
            let stored = match (name_first > 0, description_first > 0) {
                (false, false) => Stored::Never,
                (true, false) => Stored::NameToDescription,
                (false, true) => Stored::DescriptionToName,
                (true, true) => Stored::Both,
            };
            let listed = match fact.group {
                Group::NameToDescription => Some(Stored::NameToDescription),
                Group::DescriptionToName => Some(Stored::DescriptionToName),
                Group::Both => Some(Stored::Both),
                Group::Unstated => None,
            };
            FactAudit {
                fact: position,
                name: fact.name.clone(),
                description: fact.description.clone(),
                stored,
                name_first,
                description_first,
                contradicts: stored != Stored::Never && listed.is_some_and(|listed| listed != stored),
            }
        })
        .collect();
    Audit { facts, texts: read }
}
