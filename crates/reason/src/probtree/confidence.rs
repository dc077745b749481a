//! Explanation, answer and confidence of a reply.

use std::collections::HashMap;

use backstitch_llm::{FinishReason, Reply, Sample, Token};

use super::parameters::{Confidence, Parameters};
use super::solved::Absent;

/// What a reply says, before anything is combined.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// The answer, if there is one.
    pub(super) answer: Option<String>,
    /// What stands before it.
    pub(super) explanation: String,
    /// Its confidence, or why there is none.
    pub(super) confidence: Result<f64, Absent>,
}

impl Said {
    fn nothing(why: Absent) -> Self {
        Self { answer: None, explanation: String::new(), confidence: Err(why) }
    }
}

/// What a reply to a question says.
pub(super) fn said(reply: &Reply, parameters: &Parameters) -> Said {
    if parameters.confidence == Confidence::Agreement {
        return agreed(&reply.samples);
    }
    match reply.samples.first() {
        Some(sample) => said_by(sample, parameters.confidence),
        None => Said::nothing(Absent::NoAnswer),
    }
}

/// The mean log-probability of the tokens of a text from one byte to another, whole tokens that reach into it; none if the tokens do not
/// spell the text, or none reaches into it.
pub(super) fn mean_between(sample: &Sample, text: &str, start: usize, end: usize) -> Option<f64> {
    let tokens = sample.tokens.as_deref()?;
    let spans = spans(tokens, text)?;
    let reaches = |span: Option<(usize, usize)>| span.is_some_and(|(from, to)| from < end && to > start);
    mean(tokens.iter().zip(spans).filter(|(_, span)| reaches(*span)).map(|(token, _)| token.log_probability))
}

/// Where an answer is stated: explanation before, answer behind. First and last byte of the mark.
///
/// The mark is "so the answer is:", in any case and however it is spaced, the last one of the text; where there is none, "answer is" and
/// "answer:" are taken, with the words "so" and "the" before them.
pub(super) fn mark(text: &str) -> Option<(usize, usize)> {
    let words: Vec<(usize, String)> = words(text);
    let is = |place: usize, wanted: &str| words.get(place).is_some_and(|(_, word)| word == wanted);
    let found = |so: bool| {
        (0..words.len()).rev().find(|&place| {
            let stated = is(place, "answer") && (is(place + 1, "is") || is(place + 1, ":"));
            stated && (!so || (place >= 2 && is(place - 1, "the") && so_before(&words, place - 1)))
        })
    };
    let answer = found(true).or_else(|| found(false))?;
    let mut first = answer;
    if first > 0 && is(first - 1, "the") {
        first -= 1;
    }
    // "so" or "so,".
    if first > 0 && is(first - 1, "so") {
        first -= 1;
    } else if first > 1 && is(first - 1, ",") && is(first - 2, "so") {
        first -= 2;
    }
    let mut last = answer + 1;
    if is(last, "is") && is(last + 1, ":") {
        last += 1;
    }
    Some((words[first].0, words[last].0 + words[last].1.len()))
}

fn so_before(words: &[(usize, String)], the: usize) -> bool {
    let is = |back: usize, wanted: &str| the.checked_sub(back).is_some_and(|place| words[place].1 == wanted);
    is(1, "so") || (is(1, ",") && is(2, "so"))
}

/// Words and single marks in ASCII lower case, with their places.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut begun: Option<usize> = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        if character.is_alphanumeric() {
            begun.get_or_insert(at);
            continue;
        }
        if let Some(start) = begun.take() {
            words.push((start, text[start..at].to_ascii_lowercase()));
        }
        if !character.is_whitespace() {
            words.push((at, character.to_string()));
        }
    }
    words
}

/// The answer behind a mark: the rest of its line, or the next line if nothing is left of it.
pub(super) fn answer(behind: &str) -> Option<String> {
    let dress =
        |character: char| character.is_whitespace() || matches!(character, '*' | '"' | '“' | '”' | '`');
    let line = behind.trim_start_matches(dress).lines().next()?;
    let line = line.trim_end_matches(dress);
    let bare = match line.strip_suffix('.') {
        // The full stop of an abbreviation ("U.S.") is a part of it.
        Some(rest) if !rest.rsplit(char::is_whitespace).next().unwrap_or_default().contains('.') => rest,
        _ => line,
    };
    let bare = super::scan::tidy(bare.trim_end_matches(dress));
    (!bare.is_empty()).then_some(bare)
}

/// Whether an answer says that it is none: "Unknown", alone or before a mark. A name may have the word in it.
fn is_unknown(answer: &str) -> bool {
    let inside = |character: char| character.is_alphanumeric() || character.is_whitespace();
    answer
        .split(|character| !inside(character))
        .next()
        .is_some_and(|first| first.trim().eq_ignore_ascii_case("unknown"))
}

fn said_by(sample: &Sample, measure: Confidence) -> Said {
    if sample.finish != FinishReason::Stop {
        return Said::nothing(Absent::CutOff);
    }
    let text = &sample.text;
    let Some((start, end)) = mark(text) else { return Said::nothing(Absent::NoAnswer) };
    let explanation = text[..start].trim().to_owned();
    let Some(answer) = answer(&text[end..]) else {
        return Said { explanation, ..Said::nothing(Absent::NoAnswer) };
    };
    if is_unknown(&answer) {
        return Said { explanation, ..Said::nothing(Absent::Unknown) };
    }
    let tokens = sample.tokens.as_deref().unwrap_or_default();
    let confidence = match spans(tokens, text) {
        None => Err(Absent::TokensDiffer),
        Some(spans) => {
            let spelled: Vec<(usize, f64)> = tokens
                .iter()
                .zip(spans)
                .filter_map(|(token, span)| Some((span?.1, token.log_probability)))
                .collect();
            let before = spelled.iter().take_while(|(to, _)| *to <= start).map(|(_, value)| *value);
            let behind = spelled.iter().skip_while(|(to, _)| *to <= end).map(|(_, value)| *value);
            let value = match measure {
                Confidence::Answer => mean(behind),
                Confidence::Smallest => before.reduce(f64::min),
                Confidence::Explanation | Confidence::Agreement => mean(before),
            };
            value.ok_or(Absent::NoExplanation)
        }
    };
    Said { answer: Some(answer), explanation, confidence }
}

/// The answer that most samples give, and the logarithm of their share.
fn agreed(samples: &[Sample]) -> Said {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut said: Vec<(String, String, String)> = Vec::new();
    let mut why = Absent::NoAnswer;
    for sample in samples {
        let one = said_by(sample, Confidence::Agreement);
        match (one.answer, one.confidence) {
            (Some(answer), _) => {
                let normal = backstitch_llm::answer::span::normalised(&answer);
                *counts.entry(normal.clone()).or_default() += 1;
                said.push((normal, answer, one.explanation));
            }
            (None, Err(absent)) => why = absent,
            (None, Ok(_)) => {}
        }
    }
    // The first of equals, in the order of the samples.
    let most = counts.values().copied().max().unwrap_or_default();
    let silent = samples.len() - said.len();
    match said.into_iter().find(|(normal, ..)| counts[normal] == most) {
        // Most samples say that they do not know.
        Some(_) if silent > most => Said::nothing(why),
        None => Said::nothing(why),
        Some((_, answer, explanation)) => {
            let share = most as f64 / samples.len() as f64;
            Said { answer: Some(answer), explanation, confidence: Ok(share.ln()) }
        }
    }
}

/// Where each token stands in the text; `None` for a token that is not in it, like a mark of the end. Tokens are matched one after the
/// other without regard to the white space around them, so that it does not matter whether a server trims its texts, or a tokenizer
/// keeps spaces. `None` for all if they do not spell the whole text.
fn spans(tokens: &[Token], text: &str) -> Option<Vec<Option<(usize, usize)>>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut spans = Vec::with_capacity(tokens.len());
    for token in tokens {
        let inside = token.bytes.trim_ascii();
        if inside.is_empty() {
            spans.push(Some((at, at)));
            continue;
        }
        let rest = &bytes[at..];
        let from = at + rest.len() - rest.trim_ascii_start().len();
        let span = across_spaces(&bytes[from..], inside).map(|length| (from, from + length));
        at = span.map_or(at, |(_, to)| to);
        spans.push(span);
    }
    bytes[at..].trim_ascii().is_empty().then_some(spans)
}

/// How far a token reaches into a text, whatever white space it has inside ("?\n\nSo"); none if it does not stand there.
fn across_spaces(text: &[u8], token: &[u8]) -> Option<usize> {
    let mut at = 0;
    for part in token.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()) {
        while text.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if !text.get(at..)?.starts_with(part) {
            return None;
        }
        at += part.len();
    }
    Some(at)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        (sum, count) = (sum + value, count + 1.0);
    }
    (count > 0.0).then(|| sum / count)
}
