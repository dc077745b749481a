//! Finding the answer in a reply.
//!
//! [`extract`] is the robust rule, the default everywhere: it looks behind the last mark of an answer ("the answer is", "####", "Answer:",
//! `\boxed{`) and, if there is nothing of the wanted kind, in the whole text. [`paper`] has the rules of official
//! repositories, quirks included, for comparisons with published numbers; [`span`] compares answers in a few words.
//!
//! Numbers are exact fractions ([`Rational`]), so that `5`, `5.0`, `$5` and `5,000/1000` are the same answer. A percent sign
//! or another unit is not a part of a number: `25%` is 25.
//!
//! # Example
//! ```
//! use backstitch_llm::answer::{Answer, Kind, extract};
//! let reply = "She sells 16 - 3 - 4 = 9 eggs for 9 * $2 = $18. The answer is $18.00 per day.";
//! assert_eq!(extract(reply, Kind::Number), Some(Answer::Number(18.into())));
//! assert_eq!(extract("Both hold, so the answer is (B).", Kind::Choice { options: 5 }), Some(Answer::Choice('B')));
//! assert_eq!(extract("I cannot say.", Kind::Number), None);
//! ```

mod number;
pub mod paper;
mod rational;
pub mod span;

use std::fmt;

pub use number::{Number, numbers};
pub use rational::Rational;

/// What kind of answer is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// The letter of an option, from A on; at most 26 options.
    Choice {
        /// Number of options.
        options: u8,
    },
    /// Yes or no.
    YesNo,
    /// A text: what is quoted, or the rest of the line behind the mark.
    Text,
}

/// An answer in its normal form: two answers are the same if they are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// A number.
    Number(Rational),
    /// The letter of an option, upper case.
    Choice(char),
    /// Yes (`true`) or no.
    YesNo(bool),
    /// A text in lower case, with single spaces, without quotes around it and a full stop at its end.
    Text(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Choice(letter) => write!(formatter, "{letter}"),
            Self::YesNo(yes) => formatter.write_str(if *yes { "yes" } else { "no" }),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// Marks of an answer, in lower case.
const MARKS: [&str; 6] = ["answer is", "####", "answer:", "answer :", "answer =", "\\boxed{"];

/// The answer in a reply, by the robust rule; `None` if there is none.
///
/// Behind the last mark, the first fitting thing counts; where an equation follows the mark ("the answer is 3 + 4 = 7"), the number
/// behind its last equals sign. Without a mark, or with nothing fitting behind it, the last fitting thing of the whole text
/// counts; of a multiple choice, the letter that is a last line of its own or stands behind the word "answer" goes before letters
/// dressed as options. A text needs a mark or quotes.
pub fn extract(reply: &str, kind: Kind) -> Option<Answer> {
    extract_behind(reply, &MARKS, kind)
}

/// The same with other marks, in lower case.
pub fn extract_behind(reply: &str, marks: &[&str], kind: Kind) -> Option<Answer> {
    let marked = behind_last(marks, reply);
    match kind {
        Kind::Number => {
            let number = marked.and_then(stated_number).or_else(|| last_number(reply));
            number.map(Answer::Number)
        }
        Kind::Choice { options } => {
            let letter = marked
                .and_then(|text| letters(text, options).next().map(|(letter, _)| letter))
                .or_else(|| only_letter(reply.trim_end().lines().next_back()?, options))
                .or_else(|| only_letter(words(behind_last(&["answer"], reply)?).next()?, options))
                // Somewhere in a sentence, a bare A is a word.
                .or_else(|| {
                    letters(reply, options).filter(|(_, dressed)| *dressed).last().map(|(letter, _)| letter)
                });
            letter.map(Answer::Choice)
        }
        Kind::YesNo => {
            let yes = marked.and_then(|text| verdicts(text).next());
            // A reply that begins with its verdict explains it afterwards.
            let begins = || verdicts(words(reply).next()?).next();
            yes.or_else(begins).or_else(|| verdicts(reply).last()).map(Answer::YesNo)
        }
        Kind::Text => {
            let line = marked.map(|text| text.trim_start().lines().next().unwrap_or_default());
            let text = match line.filter(|line| !line.trim().is_empty()) {
                Some(line) => quoted(line).next().unwrap_or(line),
                None => quoted(reply).last()?,
            };
            normal_text(text)
        }
    }
}

/// An answer that is given as such: a gold answer, or the text of an option. A gold answer that ends in a mark and the answer (GSM8K
/// writes `#### 18`) is understood too.
///
/// `None` if it is not of the kind, or holds several numbers and no mark.
pub fn parse(text: &str, kind: Kind) -> Option<Answer> {
    let text = text.trim();
    match kind {
        Kind::Text => normal_text(behind_last(&MARKS, text).unwrap_or(text)),
        Kind::Number if behind_last(&MARKS, text).is_none() => match numbers(text).as_slice() {
            [number] => Some(Answer::Number(number.value)),
            _ => None,
        },
        _ => extract(text, kind),
    }
}

/// What stands behind the last mark, if there is one.
fn behind_last<'a>(marks: &[&str], text: &'a str) -> Option<&'a str> {
    // Of the same length as the text, so that places fit.
    let lower = text.to_ascii_lowercase();
    let ends = marks.iter().filter_map(|mark| Some(lower.rfind(mark)? + mark.len()));
    ends.max().map(|end| &text[end..])
}

/// The number stated at the beginning of a text: its first, or that behind the last equals sign of the first sentence.
fn stated_number(text: &str) -> Option<Rational> {
    let found = numbers(text);
    let first = found.first()?;
    let end = sentence_end(text, first.end);
    let equals = text[..end].rfind('=').filter(|equals| *equals >= first.end);
    let behind =
        equals.and_then(|equals| found.iter().find(|number| number.start > equals && number.end <= end));
    Some(behind.unwrap_or(first).value)
}

/// Where the sentence ends that goes on at `from`: at the end of the line, or at a full stop before a space.
fn sentence_end(text: &str, from: usize) -> usize {
    let rest = &text.as_bytes()[from..];
    let ends = |index: &usize| match rest[*index] {
        b'\n' => true,
        b'.' | b';' => rest.get(index + 1).is_none_or(u8::is_ascii_whitespace),
        _ => false,
    };
    from + (0..rest.len()).find(ends).unwrap_or(rest.len())
}

fn last_number(text: &str) -> Option<Rational> {
    numbers(text).last().map(|number| number.value)
}

/// Letters of options that stand alone, and whether they are dressed as such: `(B)`, `B)`, `B.`, `B:`. A lower-case letter
/// counts only between brackets.
fn letters(text: &str, options: u8) -> impl Iterator<Item = (char, bool)> {
    let bytes = text.as_bytes();
    let alone = |byte: Option<&u8>| {
        byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte < 128 && *byte != b'\'')
    };
    (0..bytes.len()).filter_map(move |index| {
        let before = index.checked_sub(1).map(|before| &bytes[before]);
        let after = bytes.get(index + 1);
        if !bytes[index].is_ascii_alphabetic() || !alone(before) || !alone(after) {
            return None;
        }
        let upper = bytes[index].to_ascii_uppercase();
        let between = before == Some(&b'(') && after == Some(&b')');
        let fits = upper - b'A' < options.min(26) && (between || bytes[index].is_ascii_uppercase());
        fits.then(|| (upper.into(), matches!(after, Some(b')' | b'.' | b':'))))
    })
}

/// The letter of a text that is nothing but a letter.
fn only_letter(text: &str, options: u8) -> Option<char> {
    let bare = text.trim_matches(|character: char| !character.is_alphanumeric());
    let letter = bare.chars().next().filter(|_| bare.len() == 1)?.to_ascii_uppercase();
    (letter.is_ascii_uppercase() && (letter as u8 - b'A') < options.min(26)).then_some(letter)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn verdicts(text: &str) -> impl Iterator<Item = bool> {
    words(text).filter_map(|word| {
        if word.eq_ignore_ascii_case("yes") || word.eq_ignore_ascii_case("true") {
            Some(true)
        } else if word.eq_ignore_ascii_case("no") || word.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    })
}

/// What stands between double quotes, straight or curved.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '“', '”']).skip(1).step_by(2).filter(|text| !text.trim().is_empty())
}

/// Lower case, single spaces, and nothing around it that dresses a text.
fn normal_text(text: &str) -> Option<Answer> {
    const DRESS: [char; 7] = ['"', '“', '”', '\'', '`', '*', '$'];
    let dress = |character: char| character.is_whitespace() || DRESS.contains(&character);
    let text = text.trim_start_matches(|character| dress(character) || character == ':');
    let text = text.trim_end_matches(|character| dress(character) || matches!(character, '.' | '}'));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    (!text.is_empty()).then_some(Answer::Text(text))
}
