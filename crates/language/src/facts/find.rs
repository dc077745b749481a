//! Where facts stand in a text: by words, so that case, punctuation and line breaks do not matter and `Ann` is not found
//! in `Anna`.

use std::collections::HashMap;

use super::Fact;

/// A fact whose name and description both stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Position of the fact, from 0.
    pub fact: usize,
    /// Some occurrence of the name ends before some occurrence of the description begins.
    pub name_first: bool,
    /// Some occurrence of the description ends before some occurrence of the name begins.
    pub description_first: bool,
}

/// Looks for all facts at once, in time linear in the text for most lists.
#[derive(Clone, Debug)]
pub struct Finder {
    /// Word → number; words that no fact has are not here.
    vocabulary: HashMap<String, u32>,
    /// First word → patterns (fact, side, words) that start with it.
    starting: HashMap<u32, Vec<Pattern>>,
    words: Vec<Option<u32>>,
    lower: String,
}

#[derive(Clone, Debug)]
struct Pattern {
    fact: usize,
    description: bool,
    words: Vec<u32>,
}

/// End of the first and begin of the last of a pattern's occurrences, in words.
#[derive(Clone, Copy)]
struct Places {
    first_end: usize,
    last_begin: usize,
}

impl Finder {
    /// Takes the names and descriptions of the facts. One without any letter or digit is never found.
    pub fn new(facts: &[Fact]) -> Self {
        let mut finder = Self {
            vocabulary: HashMap::new(),
            starting: HashMap::new(),
            words: Vec::new(),
            lower: String::new(),
        };
        for (fact, Fact { name, description, .. }) in facts.iter().enumerate() {
            for (description, text) in [(false, name), (true, description)] {
                let mut words = Vec::new();
                for word in split(text) {
                    let next = finder.vocabulary.len() as u32;
                    words.push(*finder.vocabulary.entry(word.to_lowercase()).or_insert(next));
                }
                if let Some(&first) = words.first() {
                    finder.starting.entry(first).or_default().push(Pattern { fact, description, words });
                }
            }
        }
        finder
    }

    /// The facts whose name and description both stand in the text, by position.
    pub fn find(&mut self, text: &str) -> Vec<Found> {
        self.words.clear();
        for word in split(text) {
            self.lower.clear();
            self.lower.extend(word.chars().flat_map(char::to_lowercase));
            self.words.push(self.vocabulary.get(self.lower.as_str()).copied());
        }
        let mut places: HashMap<(usize, bool), Places> = HashMap::new();
        for begin in 0..self.words.len() {
            let Some(patterns) = self.words[begin].and_then(|word| self.starting.get(&word)) else {
                continue;
            };
            for pattern in patterns {
                let end = begin + pattern.words.len();
                let here = self.words.get(begin..end);
                if here.is_some_and(|here| here.iter().zip(&pattern.words).all(|(a, b)| *a == Some(*b))) {
                    places
                        .entry((pattern.fact, pattern.description))
                        .and_modify(|known| known.last_begin = begin)
                        .or_insert(Places { first_end: end, last_begin: begin });
                }
            }
        }
        let mut found: Vec<Found> = places
            .iter()
            .filter(|((_, description), _)| !description)
            .filter_map(|(&(fact, _), name)| {
                let description = places.get(&(fact, true))?;
                Some(Found {
                    fact,
                    name_first: name.first_end <= description.last_begin,
                    description_first: description.first_end <= name.last_begin,
                })
            })
            .collect();
        found.sort_unstable_by_key(|found| found.fact);
        found
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}
