//! Numbers of a question that can be masked.

use backstitch_llm::answer::{Rational, numbers};

/// Number words that are masked, and twice their values.
const WORDS: [(&str, i64); 11] = [
    ("half", 1),
    ("one", 2),
    ("two", 4),
    ("three", 6),
    ("four", 8),
    ("five", 10),
    ("six", 12),
    ("seven", 14),
    ("eight", 16),
    ("nine", 18),
    ("ten", 20),
];

/// Words before "one" that make it a pronoun.
const BEFORE_PRONOUN: [&str; 10] =
    ["no", "each", "every", "any", "which", "this", "that", "the", "another", "last"];

/// Words behind "one" that make it a pronoun.
const BEHIND_PRONOUN: [&str; 2] = ["another", "by"];

/// Letters for the unknown, the first that the question does not use as a word.
const UNKNOWNS: [&str; 6] = ["x", "y", "z", "u", "v", "w"];

/// A number of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Its first byte in the text.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
    /// Its value: what a backward answer must recover.
    pub value: Rational,
}

/// The numbers of a text that can be masked, in order: digits in any of the spellings that [`numbers`] reads, and the words "one" to
/// "ten" and "half". Two equal numbers are two masks. Ordinals (`3rd`), dates (`1/2/2024`), times (`12:30`) and "one" as a pronoun
/// are none; units, currency and percent signs stay in the text.
pub fn masks(text: &str) -> Vec<Mask> {
    let digits = numbers(text).into_iter().filter(|number| !is_label(text, number.start, number.end));
    let digits = digits.map(|number| Mask { start: number.start, end: number.end, value: number.value });
    let mut masks: Vec<Mask> = digits.chain(words(text)).collect();
    masks.sort_by_key(|mask| mask.start);
    masks
}

/// The text with one number replaced by the unknown.
pub fn masked(text: &str, mask: &Mask, unknown: &str) -> String {
    format!("{}{unknown}{}", &text[..mask.start], &text[mask.end..])
}

/// A name for the unknown that does not stand in the text as a word.
pub fn unknown(text: &str) -> String {
    let used = |name: &str| all_words(text).any(|(_, word)| word.eq_ignore_ascii_case(name));
    let letter = UNKNOWNS.iter().find(|letter| !used(letter)).map(|letter| (*letter).to_owned());
    letter.unwrap_or_else(|| {
        (1..).map(|number| format!("x{number}")).find(|name| !used(name)).unwrap_or_default()
    })
}

/// Whether digits are an ordinal, or a part of a date or a time.
fn is_label(text: &str, start: usize, end: usize) -> bool {
    let (before, behind) = (&text.as_bytes()[..start], &text.as_bytes()[end..]);
    let ordinal = ["st", "nd", "rd", "th"].iter().any(|suffix| {
        behind.len() >= 2
            && behind[..2].eq_ignore_ascii_case(suffix.as_bytes())
            && !behind.get(2).is_some_and(u8::is_ascii_alphanumeric)
    });
    let joined = |mark: u8| {
        let next = behind.first() == Some(&mark) && behind.get(1).is_some_and(u8::is_ascii_digit);
        let last =
            before.last() == Some(&mark) && before.len() > 1 && before[before.len() - 2].is_ascii_digit();
        next || last
    };
    ordinal || joined(b'/') || joined(b':')
}

fn words(text: &str) -> impl Iterator<Item = Mask> {
    let all: Vec<(usize, &str)> = all_words(text).collect();
    let mut found = Vec::new();
    for (place, (start, word)) in all.iter().enumerate() {
        let Some((name, halves)) = WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) else {
            continue;
        };
        let near = |place: Option<usize>, words: &[&str]| {
            let word = place.and_then(|place| all.get(place)).map(|(_, word)| word.to_ascii_lowercase());
            word.is_some_and(|word| words.contains(&word.as_str()))
        };
        let pronoun = *name == "one"
            && (near(place.checked_sub(1), &BEFORE_PRONOUN) || near(Some(place + 1), &BEHIND_PRONOUN));
        if let Some(value) = Rational::new((*halves).into(), 2).filter(|_| !pronoun) {
            found.push(Mask { start: *start, end: start + word.len(), value });
        }
    }
    found.into_iter()
}

/// Words with their places. A hyphen or an apostrophe joins ("one-way", "one's").
fn all_words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let joins = |character: char| character.is_alphanumeric() || matches!(character, '-' | '\'' | '’' | '_');
    let mut begun = None;
    let ends = text.char_indices().chain([(text.len(), ' ')]);
    ends.filter_map(move |(at, character)| {
        if joins(character) {
            begun.get_or_insert(at);
            return None;
        }
        begun.take().map(|start| (start, &text[start..at]))
    })
}
