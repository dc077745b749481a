//! Sentences in drawn orders, and the baselines that the method is compared with.

use std::io::Read;
use std::path::Path;

use backstitch_data::jsonl::{self, read_lines, read_lines_from};
use backstitch_numerics::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::order::{Order, join, movable, words};
use super::segment::{Kind, Unit, check_units, sorted_spans};
use super::{OrderWeights, Spt};
use crate::Error;

/// A sentence to be augmented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    /// The sentence.
    pub text: String,
    /// Entities as byte ranges `[start, end)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<(usize, usize)>,
    /// Units made elsewhere (by a language model, or by hand) instead of the rules. All of them move, final marks too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Vec<String>>,
}

impl From<&str> for Sentence {
    fn from(text: &str) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Reads sentences: JSON Lines `{"text": "…", "spans": [[0, 9]]}` (or `"units": ["…", "…"]`) if the first line starts with `{`, else one
/// sentence per line.
///
/// # Errors
/// [`Error::Jsonl`], [`Error::File`]; [`Error::Line`] for spans that overlap or leave the sentence. Units that are not the sentence are no
/// error here: [`Spt::augment_all`] reports them.
pub fn read_sentences(path: &Path) -> Result<Vec<Sentence>, Error> {
    parse(read_lines(path)?, path)
}

/// The same from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_sentences`].
pub fn read_sentences_from(reader: impl Read, name: &Path) -> Result<Vec<Sentence>, Error> {
    parse(read_lines_from(reader, name)?, name)
}

fn parse(lines: Vec<(usize, String)>, name: &Path) -> Result<Vec<Sentence>, Error> {
    if lines.is_empty() {
        return Err(Error::File { file: name.into(), problem: "no sentences; give one per line".into() });
    }
    let json = lines[0].1.trim_start().starts_with('{');
    lines
        .into_iter()
        .map(|(line, text)| {
            if !json {
                return Ok(Sentence { text, ..Sentence::default() });
            }
            let sentence: Sentence = jsonl::parse(&text, name, line)?;
            match sorted_spans(&sentence.text, &sentence.spans) {
                Ok(_) => Ok(sentence),
                Err(error) => Err(Error::at(name, line, error.to_string())),
            }
        })
        .collect()
}

/// What is trained on: the method, or what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The sentence as it is.
    Standard,
    /// Its words from last to first, half of the time (else as they are).
    WordReverse,
    /// Its words in random order, half of the time.
    WordShuffle,
    /// Its units from last to first, half of the time (entity-preserving reverse training).
    UnitReverse,
    /// SPT: the units in an order drawn with the weights of the parameters.
    Permutation,
}

impl Arm {
    /// All arms.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::WordReverse, Self::WordShuffle, Self::UnitReverse, Self::Permutation];
}

/// A sentence in some order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Augmented {
    /// The text.
    pub text: String,
    /// The order drawn.
    pub order: Order,
    /// Units that could move.
    pub units: usize,
}

/// A sentence that was left in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Position of the sentence, from 0.
    pub sentence: usize,
    /// Why.
    pub problem: String,
}

/// All sentences, augmented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Augmentation {
    /// In the order given, `draws` of each.
    pub texts: Vec<Augmented>,
    /// Sentences of one unit or none: they have one order only.
    pub one_unit: usize,
    /// Sentences whose units (made elsewhere) are not the sentence.
    pub reports: Vec<Report>,
}

impl Spt {
    /// A sentence in a given order.
    ///
    /// # Errors
    /// As [`Spt::segment`].
    pub fn rearrange(
        &self,
        text: &str,
        entities: &[(usize, usize)],
        order: Order,
        stream: &mut Stream,
    ) -> Result<Augmented, Error> {
        Ok(arranged(&self.segment(text, entities)?, order, stream))
    }

    /// A sentence in an order drawn with the weights of the parameters.
    ///
    /// # Errors
    /// As [`Spt::segment`].
    pub fn augment(
        &self,
        text: &str,
        entities: &[(usize, usize)],
        stream: &mut Stream,
    ) -> Result<Augmented, Error> {
        let order = Order::draw(&self.parameters().weights, stream);
        self.rearrange(text, entities, order, stream)
    }

    /// A sentence as one arm of a comparison sees it.
    ///
    /// # Errors
    /// As [`Spt::segment`]; [`Error::Changed`] for units (made elsewhere) that are not the sentence.
    pub fn draw(&self, arm: Arm, sentence: &Sentence, stream: &mut Stream) -> Result<Augmented, Error> {
        let half = |other: f64, permuted: f64| OrderWeights { original: 1.0, reversed: other, permuted };
        let (units, weights) = match arm {
            Arm::Standard => (words(&sentence.text), half(0.0, 0.0)),
            Arm::WordReverse => (words(&sentence.text), half(1.0, 0.0)),
            Arm::WordShuffle => (words(&sentence.text), half(0.0, 1.0)),
            Arm::UnitReverse => (self.units_of(sentence)?, half(1.0, 0.0)),
            Arm::Permutation => (self.units_of(sentence)?, self.parameters().weights),
        };
        let order = Order::draw(&weights, stream);
        Ok(arranged(&units, order, stream))
    }

    /// Every sentence `draws` times. Sentence i has a stream of its own (from `seed` and i), so the result depends neither on
    /// threads nor on the other sentences. A sentence whose own units are not its text is reported and stays in its order.
    ///
    /// # Errors
    /// [`Error::Span`] and [`Error::OverlappingSpans`], each with the position of the sentence (from 0), to which the caller can
    /// add a line.
    pub fn augment_all(
        &self,
        sentences: &[Sentence],
        draws: usize,
        seed: u64,
    ) -> Result<Augmentation, (usize, Error)> {
        let each = |(position, sentence): (usize, &Sentence)| {
            let mut stream = Stream::new(seed, &format!("spt sentence {position}"));
            let (units, report) = match self.units_of(sentence) {
                Ok(units) => (units, None),
                Err(Error::Changed { byte }) => {
                    let whole = Unit { text: sentence.text.as_str(), kind: Kind::Clause };
                    (
                        vec![whole],
                        Some(Report { sentence: position, problem: Error::Changed { byte }.to_string() }),
                    )
                }
                Err(error) => return Err((position, error)),
            };
            let texts: Vec<Augmented> = (0..draws)
                .map(|_| {
                    let order = Order::draw(&self.parameters().weights, &mut stream);
                    match report {
                        None => arranged(&units, order, &mut stream),
                        Some(_) => arranged(&units, Order::Original, &mut stream),
                    }
                })
                .collect();
            Ok((texts, report.is_none() && movable(&units) < 2, report))
        };
        let results: Vec<_> = sentences.par_iter().enumerate().map(each).collect();
        let mut all = Augmentation { texts: Vec::new(), one_unit: 0, reports: Vec::new() };
        for result in results {
            let (texts, one_unit, report) = result?;
            all.texts.extend(texts);
            all.one_unit += usize::from(one_unit);
            all.reports.extend(report);
        }
        Ok(all)
    }

    fn units_of<'a>(&self, sentence: &'a Sentence) -> Result<Vec<Unit<'a>>, Error> {
        match &sentence.units {
            None => self.segment(&sentence.text, &sentence.spans),
            Some(units) => {
                check_units(&sentence.text, units)?;
                Ok(units.iter().map(|text| Unit { text, kind: Kind::Clause }).collect())
            }
        }
    }
}

fn arranged(units: &[Unit<'_>], order: Order, stream: &mut Stream) -> Augmented {
    let movable = movable(units);
    let arrangement = order.arrange(movable, stream);
    Augmented { text: join(units, &arrangement), order, units: movable }
}
