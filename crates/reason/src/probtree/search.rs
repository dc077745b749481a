//! Passages for a question.

use backstitch_data::bm25::{Bm25, Bm25Error, Bm25Parameters};
use backstitch_data::passages::Passage;

/// Passages with an index.
#[derive(Clone, Debug)]
pub struct Passages {
    passages: Vec<Passage>,
    index: Bm25,
}

impl Passages {
    /// Indexes passages, titles and texts.
    ///
    /// # Errors
    /// A parameter of the index outside its range.
    pub fn new(passages: Vec<Passage>, parameters: Bm25Parameters) -> Result<Self, Bm25Error> {
        let index = Bm25::new(
            passages.iter().map(|passage| format!("{} {}", passage.title, passage.text)),
            parameters,
        )?;
        Ok(Self { passages, index })
    }

    /// All passages.
    pub fn all(&self) -> &[Passage] {
        &self.passages
    }

    /// Those that are found for several queries, so many each: in the order of the queries, the best of each first, every title and text
    /// once, and no more than fit into so many characters. The first is given in any case.
    pub(super) fn find(&self, queries: &[(&str, u32)], characters: usize) -> Vec<&Passage> {
        let mut found: Vec<&Passage> = Vec::new();
        let mut left = characters;
        for (query, most) in queries {
            for hit in self.index.search(query, *most as usize) {
                let passage = &self.passages[hit.text];
                if found.iter().any(|other| (&other.title, &other.text) == (&passage.title, &passage.text)) {
                    continue;
                }
                let length = shown(passage).chars().count();
                if length > left && !found.is_empty() {
                    return found;
                }
                left = left.saturating_sub(length);
                found.push(passage);
            }
        }
        found
    }
}

/// A passage as the model reads it, on one line.
pub(super) fn shown(passage: &Passage) -> String {
    let text = passage.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if passage.title.is_empty() { text } else { format!("{}: {text}", passage.title) }
}
