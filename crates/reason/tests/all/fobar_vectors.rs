//! Agreement with the official evaluator, whose rules `peers/fobar_vectors.py` applies to synthetic replies.

use std::collections::HashMap;

use backstitch_llm::answer::Kind;
use backstitch_llm::question::Question;
use backstitch_reason::fobar::score::{backward, combine, first_largest, forward};
use backstitch_reason::fobar::{Combination, Extraction, Fobar, Parameters, Prompts};
use serde::Deserialize;

use crate::scripted::Scripted;

#[derive(Deserialize)]
struct Vectors {
    votes: Vec<Votes>,
    forward_samples: u32,
    backward_samples: u32,
    questions: Vec<Case>,
}

#[derive(Deserialize)]
struct Votes {
    counts: Vec<u32>,
    recovered: Vec<u32>,
    alpha: f64,
    forward: Vec<f64>,
    backward: Vec<f64>,
    combined: Vec<f64>,
    winner: usize,
}

#[derive(Deserialize)]
struct Case {
    question: String,
    replies: Vec<String>,
    backward: Vec<Backward>,
    candidates: Vec<String>,
    counts: Vec<u32>,
    recovered: Option<Vec<u32>>,
    answer: String,
    combined: Vec<f64>,
}

#[derive(Deserialize)]
struct Backward {
    question: String,
    candidate: String,
    replies: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/fobar.json")).unwrap()
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{what}: {found} is not {expected}");
    }
}

#[test]
fn votes_are_combined_as_the_evaluator_does() {
    for votes in vectors().votes {
        let f = forward(&votes.counts);
        let b = backward(&votes.recovered.iter().copied().map(Some).collect::<Vec<_>>());
        let combined = combine(&f, &b, votes.alpha, Combination::Geometric);
        assert_near(&f, &votes.forward, "forward");
        assert_near(&b, &votes.backward, "backward");
        assert_near(&combined, &votes.combined, "combined");
        assert_eq!(first_largest(&combined), Some(votes.winner));
    }
}

#[test]
fn replies_are_judged_as_the_evaluator_does() {
    let vectors = vectors();
    let mut replies: HashMap<String, &[String]> = HashMap::new();
    for case in &vectors.questions {
        replies.insert(case.question.clone(), &case.replies);
        for Backward { question, candidate, replies: given } in &case.backward {
            let stated = format!(
                "{question}\nThe answer of this question is {candidate}. What is the value of the unknown x?"
            );
            replies.insert(stated, given);
        }
    }
    let model = Scripted::new(|prompt, sample| {
        let target = prompt.rsplit_once("Question: ")?.1.strip_suffix("\nA:")?;
        replies.get(target)?.get(sample as usize).cloned()
    });
    let parameters = Parameters {
        forward_samples: vectors.forward_samples,
        backward_samples: vectors.backward_samples,
        extraction: Extraction::Paper,
        ..Parameters::default()
    };
    let questions: Vec<Question> = vectors
        .questions
        .iter()
        .map(|case| Question {
            id: case.question.clone(),
            text: case.question.clone(),
            options: Vec::new(),
            kind: Kind::Number,
            gold: None,
        })
        .collect();
    let method = Fobar::new(parameters, Prompts::default()).unwrap();
    let mut overturned = 0;
    for (case, outcome) in vectors.questions.iter().zip(method.answer(&model, &questions)) {
        let found = outcome.unwrap();
        let candidates = || found.candidates.iter();
        assert_eq!(candidates().map(|one| one.text.clone()).collect::<Vec<_>>(), case.candidates);
        assert_eq!(candidates().map(|one| one.count).collect::<Vec<_>>(), case.counts);
        let recovered: Option<Vec<u32>> = candidates().map(|one| one.recovered).collect();
        assert_eq!(recovered, case.recovered, "{}", case.question);
        assert_near(
            &candidates().map(|one| one.combined).collect::<Vec<_>>(),
            &case.combined,
            &case.question,
        );
        assert_eq!(found.answer.as_ref(), Some(&case.answer));
        overturned += usize::from(found.answer != found.majority);
    }
    assert!(overturned > 0, "the vectors hold questions on which the backward samples decide");
}
