//! The recorded trajectories.

use std::collections::BTreeMap;
use std::fs;

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::Stream;
use serde::Deserialize;

use super::{MADE_UP, TRAJECTORIES};

/// The first answer, three updates, and the vote that the authors stored behind them.
const VERSIONS: usize = 4;

/// The file of each setting, and the shares of right answers in it: first answer, updates, vote.
const FILES: [(&str, &str, [f64; VERSIONS + 1]); 3] = [
    ("gpqa", "gpqa_predictions.json", [51.0, 53.5, 53.5, 52.5, 55.1]),
    ("mmlu-physics", "mmlu_college_physics_predictions.json", [91.2, 94.5, 95.6, 95.6, 94.5]),
    ("mmlu-ml", "mmlu_machine_learning_predictions.json", [85.7, 83.9, 84.8, 83.0, 88.4]),
];

/// A question of the recording; its text is the key.
#[derive(Deserialize)]
struct Trajectory {
    predictions: Vec<String>,
    answer: String,
}

/// The letters that a question was answered with.
struct Letters {
    versions: Vec<Option<char>>,
    right: Option<char>,
}

pub(super) fn run(cell: &Cell, recording: &str, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let Some((_, file, shares)) = FILES.iter().find(|(setting, ..)| *setting == cell.setting) else {
        return Err(CellError::new(format!("no recording for the setting `{}`", cell.setting)));
    };
    let all = if recording == MADE_UP { made_up() } else { published(file, context)? };
    let mut stream = Stream::new(cell.seed, "textgrad study random letters");
    let mut letters = Vec::with_capacity(all.len());
    for (number, trajectory) in all.into_values().enumerate() {
        if trajectory.predictions.len() < VERSIONS {
            let found = trajectory.predictions.len();
            return Err(CellError::new(format!(
                "{file}: question {number} has {found} answers, not {VERSIONS}"
            )));
        }
        let mut versions: Vec<Option<char>> =
            trajectory.predictions[..VERSIONS].iter().map(|text| letter(text)).collect();
        if cell.arm == "vote-with-random" {
            versions[1..].fill_with(|| Some(char::from(b'A' + stream.below(4) as u8)));
        }
        letters.push(Letters { versions, right: trajectory.answer.chars().next() });
    }
    let chosen = |letters: &Letters| match cell.arm.as_str() {
        "first-answer" => letters.versions[0],
        "update-1" => letters.versions[1],
        "update-2" => letters.versions[2],
        "update-3" => letters.versions[3],
        _ => vote(&letters.versions),
    };
    for (number, letters) in letters.iter().enumerate() {
        let right = chosen(letters) == letters.right;
        context.observe_item("correct", &format!("{}-{number:03}", cell.setting), f64::from(u8::from(right)));
    }
    if cell.arm.starts_with("vote") {
        let share = |of: &dyn Fn(&Letters) -> Option<char>| {
            let right = letters.iter().filter(|letters| of(letters) == letters.right).count();
            100.0 * right as f64 / letters.len() as f64
        };
        let mut gap = (share(&|letters| vote(&letters.versions)) - shares[VERSIONS]).abs();
        for version in 0..VERSIONS {
            gap = gap.max((share(&|letters| letters.versions[version]) - shares[version]).abs());
        }
        context.observe("replay_gap", gap);
    }
    Ok(())
}

fn published(file: &str, context: &mut CellContext<'_>) -> Result<BTreeMap<String, Trajectory>, CellError> {
    let path = context.data(TRAJECTORIES)?.join(file);
    let bytes = fs::read(&path).map_err(|error| CellError::File(path.clone(), error))?;
    context.record_data(file, &bytes, false);
    serde_json::from_slice(&bytes).map_err(|error| CellError::new(format!("{}: {error}", path.display())))
}

/// Ten questions, on which updates help and harm.
fn made_up() -> BTreeMap<String, Trajectory> {
    let trajectory = |number: usize| {
        let answers = ["A", "B", "C", "D"].iter().cycle().skip(number);
        let predictions =
            answers.step_by(1 + number % 3).take(VERSIONS).map(|letter| format!("Answer: {letter}"));
        (format!("question {number}"), Trajectory { predictions: predictions.collect(), answer: "B".into() })
    };
    (0..10).map(trajectory).collect()
}

/// The rule of the official evaluation: the first `Answer: X` with a letter from A to D, in any case.
fn letter(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    lower.match_indices("answer").find_map(|(at, word)| {
        let behind = text[at + word.len()..].trim_start().strip_prefix(':')?;
        behind.trim_start().chars().next().filter(|letter| matches!(letter.to_ascii_uppercase(), 'A'..='D'))
    })
}

/// The most frequent, the first of equals. No answer counts as an answer of its own, as in the official evaluation.
fn vote(versions: &[Option<char>]) -> Option<char> {
    let count = |letter: &Option<char>| versions.iter().filter(|other| *other == letter).count();
    let most = versions.iter().map(count).max();
    versions.iter().find(|letter| Some(count(letter)) == most).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_as_the_official_evaluation_does() {
        let cases = [
            ("Answer: B", Some('B')),
            ("the ANSWER \n: C because", Some('C')),
            ("Answer: (B)\nAnswer: D", Some('D')),
            ("The answer is B", None),
            ("answer : a", Some('a')),
            ("Answer: E", None),
        ];
        for (text, expected) in cases {
            assert_eq!(letter(text), expected, "{text}");
        }
    }

    #[test]
    fn the_first_of_equals_wins() {
        let of = |letters: &str| -> Vec<Option<char>> {
            letters.chars().map(|letter| Some(letter).filter(|letter| *letter != '-')).collect()
        };
        assert_eq!(vote(&of("ABBA")), Some('A'));
        assert_eq!(vote(&of("ABCB")), Some('B'));
        assert_eq!(vote(&of("-A-B")), None);
    }
}
