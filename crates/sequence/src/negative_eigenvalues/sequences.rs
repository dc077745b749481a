//! Labelled sequences from a file, and their names as numbers.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use backstitch_data::jsonl::{self, JsonlError};
use serde::Deserialize;

use super::tasks::Example;
use crate::Error;

/// What a sequence is labelled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Nothing: a sequence to predict for.
    None,
    /// Its last position.
    Last(String),
    /// Every position.
    Each(Vec<String>),
}

/// One sequence of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// Names of the tokens; at least one.
    pub tokens: Vec<String>,
    /// Names of the labels.
    pub labels: Labels,
}

/// Reads sequences: JSON Lines `{"tokens": "a b a", "label": "x"}` with one label at the end, or `"labels": "x y x"` with one per token (texts
/// with spaces between the names, or lists of texts); or a table with the columns `tokens` and `label` or `labels`, separated by comma,
/// semicolon or tab. Without labels the sequences are there to be predicted. The file may be packed with gzip.
///
/// # Errors
/// Names the file, the line, and what is wrong: no sequence, an empty one, labels that are not as many as tokens, both kinds of labels.
pub fn read_sequences(file: &Path) -> Result<Vec<Sequence>, Error> {
    parse(jsonl::read_lines(file), file)
}

/// The same from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_sequences`].
pub fn read_sequences_from(reader: impl Read, name: &Path) -> Result<Vec<Sequence>, Error> {
    parse(jsonl::read_lines_from(reader, name), name)
}

const FORMAT: &str =
    "give lines like {\"tokens\": \"a b a\", \"label\": \"x\"}, or a table with the columns tokens and label";

fn parse(lines: Result<Vec<(usize, String)>, JsonlError>, file: &Path) -> Result<Vec<Sequence>, Error> {
    let lines = lines.map_err(|error| Error::data(error.to_string(), FORMAT))?;
    let Some((_, first)) = lines.first() else {
        return Err(Error::data(format!("{}: no sequences", file.display()), FORMAT));
    };
    let sequences: Vec<Sequence> = if first.trim_start().starts_with('{') {
        lines.iter().map(|(line, text)| of_json(text, file, *line)).collect::<Result<_, _>>()?
    } else {
        of_table(&lines, file)?
    };
    for sequence in &sequences {
        check(sequence).map_err(|problem| refused(file, sequence.line, &problem))?;
    }
    Ok(sequences)
}

fn refused(file: &Path, line: usize, problem: &str) -> Error {
    Error::data(format!("{}, line {line}: {problem}", file.display()), FORMAT)
}

fn check(sequence: &Sequence) -> Result<(), String> {
    if sequence.tokens.is_empty() {
        return Err("no tokens".into());
    }
    match &sequence.labels {
        Labels::Each(labels) if labels.len() != sequence.tokens.len() => {
            Err(format!("{} labels for {} tokens", labels.len(), sequence.tokens.len()))
        }
        Labels::Last(label) if label.trim().is_empty() => Err("the label is empty".into()),
        _ => Ok(()),
    }
}

/// Names in one text, or each in its own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    Text(String),
    List(Vec<String>),
}

impl Names {
    fn split(self) -> Vec<String> {
        match self {
            Self::Text(text) => words(&text),
            Self::List(list) => list,
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

fn of_json(text: &str, file: &Path, line: usize) -> Result<Sequence, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Record {
        tokens: Names,
        label: Option<String>,
        labels: Option<Names>,
    }
    let record: Record =
        jsonl::parse(text, file, line).map_err(|error| Error::data(error.to_string(), FORMAT))?;
    let labels = match (record.label, record.labels) {
        (None, None) => Labels::None,
        (Some(label), None) => Labels::Last(label),
        (None, Some(labels)) => Labels::Each(labels.split()),
        (Some(_), Some(_)) => return Err(refused(file, line, "both label and labels")),
    };
    let tokens = record.tokens.split();
    if let Some(token) = tokens.iter().find(|token| token.trim().is_empty()) {
        return Err(refused(file, line, &format!("the token {token:?} has no name")));
    }
    Ok(Sequence { line, tokens, labels })
}

fn of_table(lines: &[(usize, String)], file: &Path) -> Result<Vec<Sequence>, Error> {
    let Some(((first, header), rows)) = lines.split_first() else {
        return Ok(Vec::new());
    };
    let separator = ['\t', ';', ','].into_iter().find(|separator| header.contains(*separator));
    let fields = |line: usize, text: &str| {
        split(text, separator.unwrap_or('\t')).ok_or_else(|| refused(file, line, "a quote is not closed"))
    };
    let names = fields(*first, header)?;
    let column = |wanted: &str| names.iter().position(|name| name.trim() == wanted);
    let (Some(tokens), label, labels) = (column("tokens"), column("label"), column("labels")) else {
        return Err(refused(file, *first, &format!("no column `tokens`; there is {}", names.join(", "))));
    };
    if label.is_some() && labels.is_some() {
        return Err(refused(file, *first, "both label and labels"));
    }
    if rows.is_empty() {
        return Err(refused(file, *first, "no sequences after the header"));
    }
    let read = |(line, text): &(usize, String)| {
        let row = fields(*line, text)?;
        if row.len() != names.len() {
            let problem = format!("{} fields, but the header has {}", row.len(), names.len());
            return Err(refused(file, *line, &problem));
        }
        let labels = match (label, labels) {
            (Some(at), _) => Labels::Last(row[at].trim().to_owned()),
            (_, Some(at)) => Labels::Each(words(&row[at])),
            _ => Labels::None,
        };
        Ok(Sequence { line: *line, tokens: words(&row[tokens]), labels })
    };
    rows.iter().map(read).collect()
}

/// Fields of a line; nothing where a quote stays open.
pub(super) fn split(text: &str, separator: char) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                field.push('"');
                letters.next();
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            letter if letter == separator && !quoted => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

/// Names of tokens and labels in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    /// Tokens.
    pub tokens: Vec<String>,
    /// Labels.
    pub labels: Vec<String>,
}

impl Vocabulary {
    /// All names of the sequences, in alphabetical order; numbers by their size.
    ///
    /// # Errors
    /// If a sequence has no label, or all labels are the same.
    pub fn of(sequences: &[Sequence]) -> Result<Self, Error> {
        let (mut tokens, mut labels) = (BTreeSet::new(), BTreeSet::new());
        for sequence in sequences {
            tokens.extend(&sequence.tokens);
            match &sequence.labels {
                Labels::Last(label) => drop(labels.insert(label)),
                Labels::Each(each) => labels.extend(each),
                Labels::None => {
                    return Err(Error::data(format!("line {}: no label", sequence.line), FORMAT));
                }
            }
        }
        if labels.len() < 2 {
            let found = labels.first().map_or("none".into(), |label| format!("only {label:?}"));
            let problem = format!("of labels there is {found}, but at least 2 are needed");
            return Err(Error::data(problem, "give sequences with different labels"));
        }
        Ok(Self { tokens: in_order(tokens), labels: in_order(labels) })
    }

    /// A sequence in numbers.
    ///
    /// # Errors
    /// Names the line and a token or a label that is not among the names.
    pub fn encode(&self, sequence: &Sequence) -> Result<Example, Error> {
        let unknown = |kind: &str, name: &str, known: &[String]| {
            let shown = known.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let more = if known.len() > 20 { ", …" } else { "" };
            Error::data(
                format!("line {}: the {kind} {name:?} is not known to the model", sequence.line),
                format!("it knows {shown}{more}"),
            )
        };
        let number = |name: &String, names: &[String], kind: &str| {
            let found = names.iter().position(|known| known == name);
            found.map(|at| at as u32).ok_or_else(|| unknown(kind, name, names))
        };
        let tokens = sequence.tokens.iter().map(|name| number(name, &self.tokens, "token"));
        let tokens = tokens.collect::<Result<Vec<u32>, Error>>()?;
        let label = |name: &String| number(name, &self.labels, "label").map(Some);
        let labels = match &sequence.labels {
            Labels::None => vec![None; tokens.len()],
            Labels::Each(names) => names.iter().map(label).collect::<Result<_, _>>()?,
            Labels::Last(name) => {
                let mut labels = vec![None; tokens.len()];
                if let Some(last) = labels.last_mut() {
                    *last = label(name)?;
                }
                labels
            }
        };
        Ok(Example { tokens, labels })
    }
}

fn in_order(names: BTreeSet<&String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_some_and(|numbers| numbers.iter().all(|number| number.is_finite())) {
        let number = |name: &String| name.parse::<f64>().unwrap_or(0.0);
        names.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    names
}
