//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

use std::path::PathBuf;

/// An error of the language wing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value found.
        value: String,
        /// The allowed range.
        allowed: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A file that is not lines of text, or a line that is not JSON of the expected form.
    #[error(transparent)]
    Jsonl(#[from] backstitch_data::jsonl::JsonlError),
    /// A file without anything in it, or not of the expected form.
    #[error("{}: {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A line of a file that says something impossible.
    #[error("{}, line {line}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, with the field and the value.
        problem: String,
    },
    /// A sentence pattern that cannot be filled.
    #[error("template {template:?} {problem}; write it like \"{{name}} is the {{description}}\"")]
    Template {
        /// The pattern.
        template: String,
        /// What is wrong.
        problem: String,
    },
    /// A word of a held-out pattern that no training pattern has: the question would be unanswerable for its form.
    #[error(
        "the held-out template {template:?} has the word {word:?}, which no training template of its direction has; \
         reword it, or add a training template with that word"
    )]
    UnseenConnector {
        /// The held-out pattern.
        template: String,
        /// The word.
        word: String,
    },
    /// A fact stored in the direction that is to be asked about.
    #[error(
        "fact {fact} ({name:?}) occurs in both directions in train but is listed as one-directional; remove the \
         sentences of one direction, or list it as \"both\""
    )]
    BothDirections {
        /// Position of the fact, from 0.
        fact: usize,
        /// Its name.
        name: String,
    },
    /// A fact stored only in the direction that it is not listed with.
    #[error(
        "fact {fact} ({name:?}) is listed as {listed} but occurs in train only as {found}; correct the list or the sentences"
    )]
    WrongDirection {
        /// Position of the fact, from 0.
        fact: usize,
        /// Its name.
        name: String,
        /// The direction listed.
        listed: String,
        /// The direction found.
        found: String,
    },
    /// The same text in training and test.
    #[error("test record {test} is training record {train} word for word ({text:?}); remove one of them")]
    Leak {
        /// Position of the test record, from 0.
        test: usize,
        /// Position of the training record, from 0.
        train: usize,
        /// The text.
        text: String,
    },
    /// A record of a fact that is not in the list.
    #[error("record {record} is about fact {fact}, but there are {facts} facts (counted from 0)")]
    NoSuchFact {
        /// Position of the record, from 0.
        record: usize,
        /// The fact it names.
        fact: usize,
        /// How many facts there are.
        facts: usize,
    },
    /// A span outside the sentence, empty, or inside a character.
    #[error(
        "entity span [{start},{end}) {problem}; spans are byte positions, first inclusive, last exclusive"
    )]
    Span {
        /// First byte.
        start: usize,
        /// Byte after the last.
        end: usize,
        /// What is wrong.
        problem: String,
    },
    /// Two spans that overlap.
    #[error("entity span [{},{}) overlaps [{},{}); give spans without common bytes", first.0, first.1, second.0, second.1)]
    OverlappingSpans {
        /// The earlier span.
        first: (usize, usize),
        /// The later span.
        second: (usize, usize),
    },
    /// Units that are not the sentence.
    #[error("segmenter changed the text at byte {byte}; the sentence is left in its order")]
    Changed {
        /// First byte that differs, counted in the sentence.
        byte: usize,
    },
    /// A Bayes net with a cycle.
    #[error("edge {edge} closes a cycle {path}; remove one of its edges")]
    Cycle {
        /// The edge, as `X3->X7`.
        edge: String,
        /// The cycle, as `X7->X1->X3->X7`.
        path: String,
    },
    /// A variable that is not as it should be.
    #[error("variable {name:?}: {problem}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong, with a way out.
        problem: String,
    },
    /// A query too wide for exact inference.
    #[error(
        "exact inference needs a table over {width} variables at once, and takes at most {limit}; use a net with fewer \
         edges or fewer parents per variable"
    )]
    TooWide {
        /// Variables in the largest table.
        width: usize,
        /// Most variables taken.
        limit: usize,
    },
    /// A scaffold asked for where none exists.
    #[error(
        "{target} and {condition} are neighbours, so no set of other variables separates them; ask for the direct estimate"
    )]
    Neighbours {
        /// The target.
        target: String,
        /// The condition.
        condition: String,
    },
    /// A held-out pair in one sample.
    #[error(
        "the held-out pair ({first}, {second}) appears together in training sample {sample}; make the samples with this list of pairs"
    )]
    HeldOutTogether {
        /// One variable.
        first: String,
        /// The other.
        second: String,
        /// Position of the sample, from 0.
        sample: usize,
    },
    /// A token where it cannot stand.
    #[error(
        "token {token} cannot stand at place {place} of a sample; a sample is the start, a variable, then variables with \
         values"
    )]
    Token {
        /// The token.
        token: u32,
        /// Its place, from 0.
        place: usize,
    },
    /// An answer of a model that has the wrong shape or is no number.
    #[error("the model's answer to prompt {prompt} {problem}")]
    Answer {
        /// Position of the prompt in its batch, from 0.
        prompt: usize,
        /// What is wrong.
        problem: String,
    },
    /// A checkpoint without a tokenizer.
    #[error("the model folder has no tokenizer.json; save the tokenizer beside the model")]
    NoTokenizer,
    /// A text that the tokenizer of the model cannot read.
    #[error(
        "the model's tokenizer does not know every word of {text:?}; ask with words of its training text, or bring the model's own \
         tokenizer.json"
    )]
    UnknownWords {
        /// The text.
        text: String,
    },
    /// What the network floor says: training, sampling, scoring, checkpoints.
    #[error(transparent)]
    Network(#[from] backstitch_nn::NnError),
    /// The model itself failed.
    #[error("the model failed: {0}")]
    Model(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Of a line of a file.
    pub(crate) fn at(file: &std::path::Path, line: usize, problem: impl Into<String>) -> Self {
        Self::Line { file: file.to_owned(), line, problem: problem.into() }
    }

    /// The error of a model, wrapped: what a closure given to this wing returns.
    pub fn model(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Model(error.into())
    }
}
