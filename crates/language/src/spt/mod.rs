//! SPT, semantic-aware permutation training: sentences whose units stand in other orders.
//!
//! # What it computes
//!
//! A sentence is cut into semantic units `c_1 … c_n` (an entity, a phrase); the order of words inside a unit never changes. Each
//! time the sentence is drawn for training, one of three orders z is drawn: original (1 … n), reversed (n … 1), or a uniform
//! random permutation. A causal model is then trained on `c_{z_1} c_{z_2} … c_{z_n}` with the ordinary loss
//! `−Σ_i Σ_t log p(c_{z_i,t} | c_{z_<i}, c_{z_i,<t})` and ordinary positions. Questions are asked in natural order.
//! [`crate::train::Course`] is such a training, each time with the sentence that [`Spt::draw`] gives.
//!
//! Units are cut by rules, in this order of priority:
//!
//! 1. spans of entities that the user gives (bytes `[start, end)`, without overlaps);
//! 2. strings in double quotes (`"…"`, `“…”`, `„…“`, `«…»`), quotes included;
//! 3. maximal runs of capitalised words, initials with their point included (`J. K. Rowling`); the first word of a sentence does
//!    not count if it is a function word or a connector, and `I` never does;
//! 4. between those, clauses: split after `,` `;` `:` before white space, after `.` `!` `?` before white space, after their wide forms
//!    anywhere, and around connectors (`is`, `who`, `known for`, …); adjacent connectors are one unit;
//! 5. a clause of more than `longest_unit` words is cut into pieces of that many.
//!
//! White space and closing marks after a unit belong to it; a unit ends where the next begins, so the units joined are the
//! sentence byte for byte. Marks that end the sentence are a unit that stays last.
//!
//! # Paper
//!
//! *Mitigating Reversal Curse in Large Language Models via Semantic-aware Permutation Training*, Findings of ACL 2024, arXiv
//! 2403.00758. No official code is known.
//!
//! # When it helps, and when it does not
//!
//! - Facts stated in one direction become answerable in the other, if questions use words that training has.
//! - Word-level shuffling breaks names apart; the units are what makes the difference ([`Arm`] has both as baselines).
//! - Permuted text teaches a model to write permuted text: keep the original order among the three, and measure perplexity on it.
//! - Where order carries the relation ("Ada praised Bruno"), a permuted sentence says something else.
//! - The rules are made for English and close relatives; scripts without spaces are cut at their clause marks only. Units made by
//!   another segmenter can be given instead ([`Sentence::units`]).
//!
//! # Parameters
//!
//! See [`Parameters`]: weights of the three orders (equal), connectors ([`CONNECTORS`]), `longest_unit` (8, ours).
//!
//! # Deviations from the paper
//!
//! 1. Rules instead of a language model cut the units. Test: `rules_have_the_documented_priority`.
//! 2. Final marks do not move. Test: `final_marks_stay_last_in_every_order`.
//! 3. Units of another segmenter that do not join to the sentence are reported, and the sentence is left in its order. Test:
//!    `foreign_units_that_change_the_text_are_reported`.
//!
//! # Errors
//!
//! [`crate::Error::Parameter`], [`crate::Error::Span`], [`crate::Error::OverlappingSpans`]; [`crate::Error::Changed`] where units
//! are not the sentence (reported, not returned, by [`Spt::augment_all`]).
//!
//! # Cost
//!
//! Linear in the text; sentences in parallel. The result does not depend on the number of threads.
//!
//! # Example
//!
//! ```
//! use backstitch_language::spt::{Order, Parameters, Spt};
//! use backstitch_numerics::Stream;
//!
//! let spt = Spt::new(Parameters::default())?;
//! let text = "Daphne Barrington is known as the director of a film.";
//! let units = spt.segment(text, &[])?;
//! let pieces: Vec<&str> = units.iter().map(|unit| unit.text).collect();
//! assert_eq!(pieces, ["Daphne Barrington ", "is known as ", "the director of a film", "."]);
//! let reversed = spt.rearrange(text, &[], Order::Reversed, &mut Stream::new(0, "example"))?;
//! assert_eq!(reversed.text, "the director of a film is known as Daphne Barrington.");
//! # Ok::<(), backstitch_language::Error>(())
//! ```

mod augment;
mod card;
mod order;
mod parameters;
mod segment;

pub use augment::{Arm, Augmentation, Augmented, Report, Sentence, read_sentences, read_sentences_from};
pub use card::CARD;
pub use order::{Order, join, movable, words};
pub use parameters::{CONNECTORS, OrderWeights, Parameters};
pub use segment::{Kind, Unit, check_units};

use crate::Error;
use segment::Segmenter;

/// The method with checked parameters.
#[derive(Clone, Debug)]
pub struct Spt {
    parameters: Parameters,
    segmenter: Segmenter,
}

impl Spt {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        let segmenter = Segmenter::new(&parameters.connectors, parameters.longest_unit);
        Ok(Self { parameters, segmenter })
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Cuts a sentence into units. `entities` are byte ranges `[start, end)`, in any order.
    ///
    /// # Errors
    /// [`Error::Span`], [`Error::OverlappingSpans`].
    pub fn segment<'a>(&self, text: &'a str, entities: &[(usize, usize)]) -> Result<Vec<Unit<'a>>, Error> {
        self.segmenter.segment(text, entities)
    }
}
