//! A user's list of facts.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use backstitch_data::jsonl::{self, read_lines, read_lines_from};

use super::{Fact, Group};
use crate::Error;

/// Reads facts from JSON Lines: `{"name": "Ada Birch", "description": "gifted composer of moonrise", "direction": "both"}`.
/// `direction` says how the model was, or is to be, trained: `name-to-description`, `description-to-name` or `both`; without
/// it the group is [`Group::Unstated`]. Values are trimmed.
///
/// # Errors
/// [`Error::Jsonl`], [`Error::File`], or [`Error::Line`] naming the field and its value: not a JSON object, an unknown, missing or empty field, a
/// value that is not text, an unknown direction, a name or description that an earlier line has (case does not count).
pub fn read_facts(path: &Path) -> Result<Vec<Fact>, Error> {
    parse(read_lines(path)?, path)
}

/// The same from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_facts`].
pub fn read_facts_from(reader: impl Read, name: &Path) -> Result<Vec<Fact>, Error> {
    parse(read_lines_from(reader, name)?, name)
}

fn parse(lines: Vec<(usize, String)>, name: &Path) -> Result<Vec<Fact>, Error> {
    let mut facts = Vec::new();
    let mut seen: HashMap<(&str, String), usize> = HashMap::new();
    for (line, text) in lines {
        let fact =
            fact(&jsonl::parse(&text, name, line)?).map_err(|problem| Error::at(name, line, problem))?;
        for (field, value) in [("name", &fact.name), ("description", &fact.description)] {
            if let Some(first) = seen.insert((field, value.to_lowercase()), line) {
                let problem = format!(
                    "field \"{field}\" is {value:?}, which line {first} has too; a question about it would have two \
                     answers, so keep one of them"
                );
                return Err(Error::at(name, line, problem));
            }
        }
        facts.push(fact);
    }
    if facts.is_empty() {
        let problem =
            "no facts; give one JSON object per line, like {\"name\": \"…\", \"description\": \"…\"}".into();
        return Err(Error::File { file: name.to_owned(), problem });
    }
    Ok(facts)
}

fn fact(object: &serde_json::Map<String, serde_json::Value>) -> Result<Fact, String> {
    if let Some(field) =
        object.keys().find(|key| !["name", "description", "direction"].contains(&key.as_str()))
    {
        return Err(format!(
            "field {field:?} is not known; a fact has \"name\", \"description\" and, if wanted, \"direction\""
        ));
    }
    let field = |field: &str| match object.get(field) {
        None => Err(format!("field \"{field}\" is missing")),
        Some(serde_json::Value::String(value)) if value.trim().is_empty() => {
            Err(format!("field \"{field}\" is {value:?}, but must not be empty"))
        }
        Some(serde_json::Value::String(value)) => Ok(value.trim().to_owned()),
        Some(other) => Err(format!("field \"{field}\" is {other}, but must be text in quotes")),
    };
    let group = match object.get("direction") {
        None | Some(serde_json::Value::Null) => Group::Unstated,
        Some(serde_json::Value::String(value)) if value == "name-to-description" => Group::NameToDescription,
        Some(serde_json::Value::String(value)) if value == "description-to-name" => Group::DescriptionToName,
        Some(serde_json::Value::String(value)) if value == "both" => Group::Both,
        Some(other) => {
            return Err(format!(
                "field \"direction\" is {other}, but must be \"name-to-description\", \"description-to-name\" or \"both\"; \
                 leave it out if it is not known"
            ));
        }
    };
    Ok(Fact { name: field("name")?, description: field("description")?, group })
}
