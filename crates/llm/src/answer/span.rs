//! Answers in a few words, compared as HotpotQA and SQuAD do.
//!
//! # Example
//! ```
//! use backstitch_llm::answer::span::{exact, f1};
//! assert!(exact("The Eiffel Tower.", "eiffel tower"));
//! assert_eq!(f1("Eiffel Tower in Paris", "the Eiffel Tower"), 2.0 / 3.0);
//! ```

use std::collections::HashMap;

/// What stands for more than the words in it.
const VERDICTS: [&str; 3] = ["yes", "no", "noanswer"];

/// Lower case, no ASCII punctuation, no articles, single spaces.
pub fn normalised(text: &str) -> String {
    let lower = text.to_lowercase();
    let bare: String = lower.chars().filter(|character| !character.is_ascii_punctuation()).collect();
    let mut kept = String::new();
    for piece in pieces(&bare) {
        kept += if matches!(piece, "a" | "an" | "the") { " " } else { piece };
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether two answers are the same after [`normalised`].
pub fn exact(answer: &str, gold: &str) -> bool {
    normalised(answer) == normalised(gold)
}

/// The harmonic mean of the shares of words that they have in common; 0 if one of them is yes or no and the other is something else.
pub fn f1(answer: &str, gold: &str) -> f64 {
    let (answer, gold) = (normalised(answer), normalised(gold));
    if answer != gold && (VERDICTS.contains(&answer.as_str()) || VERDICTS.contains(&gold.as_str())) {
        return 0.0;
    }
    let mut words: HashMap<&str, usize> = HashMap::new();
    for word in gold.split(' ') {
        *words.entry(word).or_default() += 1;
    }
    let length = |text: &str| text.split(' ').filter(|word| !word.is_empty()).count() as f64;
    let mut same = 0.0;
    for word in answer.split(' ').filter(|word| !word.is_empty()) {
        if let Some(left) = words.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            same += 1.0;
        }
    }
    if same == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (same / length(&answer), same / length(&gold));
    2.0 * precision * recall / (precision + recall)
}

/// Runs of word characters, and of others.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let inside = rest.chars().next()?.is_alphanumeric();
        let end = rest.find(|character: char| character.is_alphanumeric() != inside).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}
