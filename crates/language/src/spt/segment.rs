//! Cutting a sentence into semantic units by rules.
//!
//! A unit starts where the last one ends, so the units joined are the sentence, whatever the rules decide.

use std::collections::HashMap;

use serde::Serialize;

use super::parameters::OPENERS;
use crate::Error;

/// What made a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A span that the user gave.
    Entity,
    /// A string in double quotes.
    Quote,
    /// A run of capitalised words.
    Name,
    /// One or more connectors.
    Connector,
    /// What stands between, or a piece of it.
    Clause,
    /// The marks that end the sentence. They stay at the end in every order, because where they stand would otherwise tell
    /// the original position of their neighbour.
    Final,
}

/// A piece of a sentence. White space and closing marks after it belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Its bytes of the sentence.
    pub text: &'a str,
    /// What made it.
    pub kind: Kind,
}

/// The rules, ready for many sentences.
#[derive(Clone, Debug)]
pub(super) struct Segmenter {
    /// First word in lower case → the remaining words of each phrase, longest phrase first.
    connectors: HashMap<String, Vec<Vec<String>>>,
    longest_unit: usize,
}

impl Segmenter {
    pub(super) fn new(connectors: &[String], longest_unit: usize) -> Self {
        let mut map: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for connector in connectors {
            let mut words = connector.split(' ').map(str::to_lowercase);
            let first = words.next().unwrap_or_default();
            map.entry(first).or_default().push(words.collect());
        }
        for phrases in map.values_mut() {
            phrases.sort_by_key(|rest| std::cmp::Reverse(rest.len()));
        }
        Self { connectors: map, longest_unit }
    }

    /// The units of a sentence. `spans` are byte ranges of entities, in any order.
    pub(super) fn segment<'a>(
        &self,
        text: &'a str,
        spans: &[(usize, usize)],
    ) -> Result<Vec<Unit<'a>>, Error> {
        let entities = sorted_spans(text, spans)?;
        let last_entity_end = entities.last().map_or(0, |&(_, end)| end);
        let body_end = final_marks(text, last_entity_end);
        let mut cutter = Cutter {
            rules: self,
            text,
            units: Vec::with_capacity(8),
            open: None,
            words: 0,
            sentence_start: true,
            lower: String::new(),
        };
        let mut position = 0;
        for &(start, end) in &entities {
            cutter.stretch_with_quotes(position, start);
            cutter.protect(start, Kind::Entity);
            position = end;
        }
        cutter.stretch_with_quotes(position, body_end);
        let mut starts = cutter.units;
        if starts.is_empty() && !text.is_empty() {
            // White space, or nothing but final marks.
            starts.push((0, Kind::Clause));
        } else if body_end < text.len() {
            starts.push((body_end, Kind::Final));
        }
        if let Some(first) = starts.first_mut() {
            first.0 = 0;
        }
        let ends = starts.iter().skip(1).map(|&(start, _)| start).chain([text.len()]);
        Ok(starts
            .iter()
            .zip(ends)
            .map(|(&(start, kind), end)| Unit { text: &text[start..end], kind })
            .collect())
    }
}

/// Are these the pieces of the sentence, in order and without a gap?
///
/// # Errors
/// [`Error::Changed`] with the first byte that differs.
pub fn check_units<T: AsRef<str>>(text: &str, units: &[T]) -> Result<(), Error> {
    let mut byte = 0;
    let whole = text.as_bytes();
    for unit in units {
        for &found in unit.as_ref().as_bytes() {
            if whole.get(byte) != Some(&found) {
                return Err(Error::Changed { byte });
            }
            byte += 1;
        }
    }
    if byte < whole.len() { Err(Error::Changed { byte }) } else { Ok(()) }
}

/// The spans in their order, if each lies in the sentence and no two overlap.
pub(super) fn sorted_spans(text: &str, spans: &[(usize, usize)]) -> Result<Vec<(usize, usize)>, Error> {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    for &(start, end) in &sorted {
        let problem = if start >= end {
            "is empty".to_owned()
        } else if end > text.len() {
            format!("ends after the sentence, which has {} bytes", text.len())
        } else if !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            "cuts a character in two".to_owned()
        } else {
            continue;
        };
        return Err(Error::Span { start, end, problem });
    }
    match sorted.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        Some(pair) => Err(Error::OverlappingSpans { first: pair[0], second: pair[1] }),
        None => Ok(sorted),
    }
}

/// Where the marks that end the sentence begin, if they stand after `from`; else the length.
fn final_marks(text: &str, from: usize) -> usize {
    let marked = text.trim_end().len();
    let body = text[..marked].trim_end_matches(is_final).len();
    if body < marked && body >= from && body > 0 { body } else { text.len() }
}

fn is_final(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

/// Marks after which a clause ends: the first ones only before white space (`3,000` is a number).
fn is_spaced_clause_mark(c: char) -> bool {
    matches!(c, ',' | ';' | ':')
}

fn is_wide_clause_mark(c: char) -> bool {
    matches!(c, '，' | '；' | '：' | '、')
}

/// White space and marks that belong to what stands before them.
fn is_glue(c: char) -> bool {
    c.is_whitespace()
        || is_final(c)
        || is_spaced_clause_mark(c)
        || is_wide_clause_mark(c)
        || matches!(c, ')' | ']' | '}' | '”' | '»')
}

fn closing_quote(opening: char) -> Option<&'static [char]> {
    match opening {
        '"' => Some(&['"']),
        '“' => Some(&['”']),
        '„' => Some(&['“', '”']),
        '«' => Some(&['»']),
        _ => None,
    }
}

struct Cutter<'r, 'a> {
    rules: &'r Segmenter,
    text: &'a str,
    /// Start and kind of each unit so far.
    units: Vec<(usize, Kind)>,
    /// The kind that further words may be added to.
    open: Option<Kind>,
    /// Words of the open clause.
    words: usize,
    /// Is the next word the first of a sentence?
    sentence_start: bool,
    lower: String,
}

impl Cutter<'_, '_> {
    fn protect(&mut self, start: usize, kind: Kind) {
        self.units.push((start, kind));
        self.open = None;
        self.sentence_start = false;
    }

    /// A stretch without entities: quoted strings are taken out of it.
    fn stretch_with_quotes(&mut self, mut start: usize, end: usize) {
        let mut search = start;
        while let Some((at, opening)) =
            self.text[search..end].char_indices().find(|&(_, c)| closing_quote(c).is_some())
        {
            let quote = search + at;
            let inside = quote + opening.len_utf8();
            let closing = closing_quote(opening).unwrap_or_default();
            match self.text[inside..end].char_indices().find(|(_, c)| closing.contains(c)) {
                Some((length, mark)) => {
                    self.stretch(start, quote);
                    self.protect(quote, Kind::Quote);
                    start = inside + length + mark.len_utf8();
                    search = start;
                }
                // Never closed: an ordinary mark.
                None => search = inside,
            }
        }
        self.stretch(start, end);
    }

    /// A stretch without entities and quotes.
    fn stretch(&mut self, start: usize, end: usize) {
        let mut position = start;
        // What follows a protected unit directly belongs to it.
        if !self.units.is_empty() {
            position = self.skip_glue(position, end);
        }
        while position < end {
            let rest = &self.text[position..end];
            let Some(c) = rest.chars().next() else { break };
            if c.is_alphanumeric() {
                position = self.word(position, end);
            } else if is_wide_clause_mark(c)
                || (is_spaced_clause_mark(c) && !rest[1..].starts_with(|next: char| !next.is_whitespace()))
            {
                // At the very start there is nothing that the mark could belong to.
                self.open_clause(position);
                self.open = None;
                position = self.skip_glue(position, end);
            } else if is_final(c) && rest[c.len_utf8()..].starts_with(char::is_whitespace) {
                self.open_clause(position);
                self.open = None;
                self.sentence_start = true;
                position = self.skip_glue(position, end);
            } else {
                if !c.is_whitespace() {
                    self.open_clause(position);
                }
                position += c.len_utf8();
            }
        }
        self.open = None;
    }

    /// Opens a clause unless one is open.
    fn open_clause(&mut self, position: usize) {
        if self.open != Some(Kind::Clause) {
            self.units.push((position, Kind::Clause));
            self.open = Some(Kind::Clause);
            self.words = 0;
        }
    }

    fn skip_glue(&mut self, position: usize, end: usize) -> usize {
        let rest = &self.text[position..end];
        let after = rest.trim_start_matches(is_glue);
        let skipped = &rest[..rest.len() - after.len()];
        if skipped.trim_end().ends_with(is_final) && skipped.ends_with(char::is_whitespace) {
            self.sentence_start = true;
        }
        end - after.len()
    }

    /// Takes the word at `position`, with all that belongs to it, and returns where it goes on.
    fn word(&mut self, position: usize, end: usize) -> usize {
        let first = std::mem::take(&mut self.sentence_start);
        let word_end = word_end(self.text, position, end);
        let word = &self.text[position..word_end];
        if let Some(run_end) = self.name_run(position, word_end, end, first) {
            self.protect(position, Kind::Name);
            return self.skip_glue(run_end, end);
        }
        if let Some(phrase_end) = self.connector(position, word_end, end) {
            if self.open != Some(Kind::Connector) {
                self.units.push((position, Kind::Connector));
                self.open = Some(Kind::Connector);
            }
            let rest = &self.text[phrase_end..end];
            return end - rest.trim_start().len();
        }
        let starts_clause = self.open != Some(Kind::Clause);
        if !starts_clause && self.words >= self.rules.longest_unit {
            self.open = None;
        }
        self.open_clause(position);
        self.words += 1;
        debug_assert!(!word.is_empty());
        word_end
    }

    /// End of the run of capitalised words that starts here, if one does.
    fn name_run(&mut self, position: usize, word_end_here: usize, end: usize, first: bool) -> Option<usize> {
        let word = &self.text[position..word_end_here];
        if !is_capitalised(word) || (first && self.is_opener(word)) {
            return None;
        }
        let mut run_end = name_end(self.text, position, word_end_here, end);
        loop {
            let rest = &self.text[run_end..end];
            let next = end - rest.trim_start().len();
            if next == run_end || !self.text[next..end].starts_with(char::is_alphanumeric) {
                return Some(run_end);
            }
            let next_end = word_end(self.text, next, end);
            if !is_capitalised(&self.text[next..next_end]) {
                return Some(run_end);
            }
            run_end = name_end(self.text, next, next_end, end);
        }
    }

    fn is_opener(&mut self, word: &str) -> bool {
        self.lower(word);
        OPENERS.binary_search(&self.lower.as_str()).is_ok() || self.rules.connectors.contains_key(&self.lower)
    }

    /// End of the connector that starts here, if one does.
    fn connector(&mut self, position: usize, word_end_here: usize, end: usize) -> Option<usize> {
        self.lower(&self.text[position..word_end_here]);
        let phrases = self.rules.connectors.get(&self.lower)?;
        phrases.iter().find_map(|rest| {
            let mut at = word_end_here;
            for wanted in rest {
                let after = &self.text[at..end];
                let next = end - after.trim_start().len();
                if next == at || !self.text[next..end].starts_with(char::is_alphanumeric) {
                    return None;
                }
                at = word_end(self.text, next, end);
                if !same_word(&self.text[next..at], wanted) {
                    return None;
                }
            }
            Some(at)
        })
    }

    fn lower(&mut self, word: &str) {
        self.lower.clear();
        self.lower.extend(word.chars().flat_map(char::to_lowercase));
    }
}

fn same_word(word: &str, lower: &str) -> bool {
    word.chars().flat_map(char::to_lowercase).eq(lower.chars())
}

/// End of the word that starts at `position`: letters and digits, with apostrophes and hyphens between them.
fn word_end(text: &str, position: usize, end: usize) -> usize {
    let mut characters = text[position..end].char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let inside = c.is_alphanumeric()
            || (matches!(c, '\'' | '’' | '-')
                && characters.peek().is_some_and(|(_, next)| next.is_alphanumeric()));
        if !inside {
            return position + at;
        }
    }
    end
}

/// A capital first letter; the pronoun `I` is no name.
fn is_capitalised(word: &str) -> bool {
    word != "I" && word.starts_with(char::is_uppercase)
}

/// The word's end, or one further if it is an initial with its point (`J. K. Rowling`).
fn name_end(text: &str, start: usize, word_end: usize, end: usize) -> usize {
    let one_letter = text[start..word_end].chars().nth(1).is_none();
    if one_letter && text[word_end..end].starts_with(". ") { word_end + 1 } else { word_end }
}
