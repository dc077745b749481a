//! BM25: which texts share the rarest words with a query.
//!
//! With `f` the number of times a word stands in a text of `length` words, `N` texts of `average` length and `n` of them that hold the
//! word, the score of a text is the sum over the words of the query, repeated ones counted as often, of
//!
//! ```text
//! ln(1 + (N − n + 0.5) / (n + 0.5)) · f / (f + k1 · (1 − b + b · length / average))
//! ```
//!
//! This is the formula of Lucene (Robertson's without the constant factor k1 + 1, which changes no order). Words are runs of letters,
//! digits and underscores in lower case; there is no stemming and no list of stop words, whose weight is small by itself.
//!
//! # Example
//! ```
//! use backstitch_data::bm25::{Bm25, Bm25Parameters};
//! let index = Bm25::new(["The Kelda flows north.", "A lake in the south."], Bm25Parameters::default())?;
//! assert_eq!(index.search("Where does the Kelda flow?", 1)[0].text, 0);
//! # Ok::<(), backstitch_data::bm25::Bm25Error>(())
//! ```

use std::collections::HashMap;

/// The two parameters of the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25Parameters {
    /// How slowly further occurrences of a word stop counting, 0 or more; 1.2 by default, as in Lucene.
    pub k1: f64,
    /// How much long texts are held back, 0 to 1; 0.75 by default.
    pub b: f64,
}

impl Default for Bm25Parameters {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// A parameter outside its range, or too many texts.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, but must be {allowed}; {way_out}")]
pub struct Bm25Error {
    /// What is wrong.
    name: &'static str,
    /// The value found.
    value: String,
    /// The allowed range.
    allowed: &'static str,
    /// What to do about it.
    way_out: &'static str,
}

/// A text that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its position among the texts.
    pub text: usize,
    /// Its score, above 0.
    pub score: f64,
}

/// An index over texts. What a word adds to the score of a text does not depend on the query, and is computed once.
#[derive(Clone, Debug)]
pub struct Bm25 {
    /// Position of every word.
    words: HashMap<String, usize>,
    /// Where the texts of a word begin in `postings`; one entry more than there are words.
    starts: Vec<usize>,
    /// The texts that hold a word, in their order, and what it adds to their scores.
    postings: Vec<(u32, f64)>,
    texts: usize,
}

impl Bm25 {
    /// Indexes texts, in time linear in their length.
    ///
    /// # Errors
    /// A parameter outside its range, or more than 2^32 − 1 texts.
    pub fn new<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
        parameters: Bm25Parameters,
    ) -> Result<Self, Bm25Error> {
        let Bm25Parameters { k1, b } = parameters;
        let refused =
            |name, value: String, allowed, way_out| Err(Bm25Error { name, value, allowed, way_out });
        if !(k1 >= 0.0 && k1.is_finite()) {
            return refused("k1", k1.to_string(), "0 or more", "1.2 is usual");
        }
        if !(0.0..=1.0).contains(&b) {
            return refused("b", b.to_string(), "0 to 1", "0.75 is usual");
        }
        let mut words: HashMap<String, usize> = HashMap::new();
        // By text: its length, and how often it holds which word.
        let mut lengths = Vec::new();
        let mut counts: Vec<(usize, u32, u32)> = Vec::new();
        let mut held: Vec<usize> = Vec::new();
        let mut word = String::new();
        for text in texts {
            let number = u32::try_from(lengths.len()).ok().filter(|number| *number < u32::MAX);
            let Some(number) = number else {
                return refused("texts", "2^32 - 1 or more".into(), "fewer", "search parts of them");
            };
            let mut in_text: Vec<usize> = Vec::new();
            each_word(text.as_ref(), &mut word, |word| {
                in_text.push(match words.get(word) {
                    Some(&place) => place,
                    None => {
                        held.push(0);
                        words.insert(word.to_owned(), held.len() - 1);
                        held.len() - 1
                    }
                });
            });
            lengths.push(in_text.len());
            in_text.sort_unstable();
            for same in in_text.chunk_by(|one, other| one == other) {
                held[same[0]] += 1;
                counts.push((same[0], number, same.len() as u32));
            }
        }
        let texts = lengths.len();
        let average = lengths.iter().sum::<usize>() as f64 / texts.max(1) as f64;
        let mut starts = Vec::with_capacity(held.len() + 1);
        starts.push(0);
        for count in &held {
            starts.push(starts[starts.len() - 1] + count);
        }
        let mut places = starts.clone();
        let mut postings = vec![(0, 0.0); counts.len()];
        for (word, text, count) in counts {
            let (with, count) = (held[word] as f64, f64::from(count));
            let rarity = (1.0 + (texts as f64 - with + 0.5) / (with + 0.5)).ln();
            let length = lengths[text as usize] as f64 / average;
            postings[places[word]] = (text, rarity * count / (count + k1 * (1.0 - b + b * length)));
            places[word] += 1;
        }
        Ok(Self { words, starts, postings, texts })
    }

    /// The `most` best texts that share a word with the query, best first, the earlier of equals first.
    pub fn search(&self, query: &str, most: usize) -> Vec<Hit> {
        let mut scores = vec![0.0; self.texts];
        let mut touched: Vec<u32> = Vec::new();
        each_word(query, &mut String::new(), |word| {
            let Some(&place) = self.words.get(word) else { return };
            for &(text, score) in &self.postings[self.starts[place]..self.starts[place + 1]] {
                let sum = &mut scores[text as usize];
                if *sum == 0.0 {
                    touched.push(text);
                }
                *sum += score;
            }
        });
        let mut hits: Vec<Hit> = touched
            .into_iter()
            .map(|text| Hit { text: text as usize, score: scores[text as usize] })
            .collect();
        let better =
            |one: &Hit, other: &Hit| other.score.total_cmp(&one.score).then(one.text.cmp(&other.text));
        if most < hits.len() && most > 0 {
            hits.select_nth_unstable_by(most - 1, better);
        }
        hits.truncate(most);
        hits.sort_unstable_by(better);
        hits
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.texts
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.texts == 0
    }
}

/// Hands over the words of a text, one after the other, in lower case. `word` is where they are put together.
fn each_word(text: &str, word: &mut String, mut found: impl FnMut(&str)) {
    word.clear();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character.to_ascii_lowercase());
        } else if !character.is_ascii() && character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else if !word.is_empty() {
            found(word);
            word.clear();
        }
    }
    if !word.is_empty() {
        found(word);
        word.clear();
    }
}
