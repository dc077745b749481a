//! Where the answer stands in a reply, and which tokens explain it.

use backstitch_llm::FinishReason;
use backstitch_llm::answer::Kind;
use backstitch_llm::question::read_questions_from;
use backstitch_reason::probtree::{Absent, Candidate, Parameters, ProbTree, Prompts};
use proptest::prelude::*;

use super::spoken::{Speaker, Spoken};

/// The candidate that a reply in these tokens makes.
fn candidate(tokens: Vec<(String, f64)>) -> Candidate {
    candidate_of(tokens, None)
}

/// The same with a text that the tokens may not spell.
fn candidate_of(tokens: Vec<(String, f64)>, text: Option<&'static str>) -> Candidate {
    let parameters = Parameters { decompose: false, ..Parameters::default() }.closed_book();
    let model = Speaker::new(move |_: &str| {
        Some(Spoken { tokens: tokens.clone(), text, finish: FinishReason::Stop })
    });
    let question =
        read_questions_from("{\"id\": 1, \"question\": \"Q?\"}".as_bytes(), "q".as_ref(), Kind::Text)
            .unwrap();
    let method = ProbTree::new(parameters, Prompts::bare(), None).unwrap();
    method.answer(&model, &question).remove(0).unwrap().nodes[0].candidates[0].clone()
}

/// A token per character; −1 in the first part, −9 in the rest.
fn characters(before: &str, behind: &str) -> Vec<(String, f64)> {
    let of = |text: &str, value: f64| text.chars().map(|one| (one.to_string(), value)).collect::<Vec<_>>();
    [of(before, -1.0), of(behind, -9.0)].concat()
}

#[test]
fn the_mark_is_found_however_it_is_spaced() {
    for (mark, answer) in [
        ("So the answer is: Bal Tor.", "Bal Tor"),
        ("So the answer is : Bal Tor .", "Bal Tor"),
        ("So the answer is Bal Tor", "Bal Tor"),
        ("So, the answer is:\nBal Tor.\nThat is all.", "Bal Tor"),
        ("so the Answer is: **Bal Tor**.", "Bal Tor"),
        ("The answer is: \"Bal Tor\".", "Bal Tor"),
        ("Answer: Bal Tor", "Bal Tor"),
        ("So the answer is: U.S.", "U.S."),
        ("So the answer is: J. Tor.", "J. Tor"),
        ("So the answer is: 1,930.", "1,930"),
    ] {
        let found = candidate(characters("The answer is easy to find: Bal has a Tör. ", mark));
        assert_eq!(found.answer.as_deref(), Some(answer), "{mark}");
        assert_eq!(found.explanation, "The answer is easy to find: Bal has a Tör.", "{mark}");
        // Blank tokens before the mark are a part of the explanation; none of the mark or the answer is.
        assert_eq!(found.own, Some(-1.0), "{mark}");
    }
}

#[test]
fn the_last_mark_counts() {
    let found =
        candidate(characters("So the answer is: Nor. No, that is wrong. ", "So the answer is: Sarn."));
    assert_eq!((found.answer.as_deref(), found.own), (Some("Sarn"), Some(-1.0)));
}

#[test]
fn a_token_that_reaches_into_the_mark_does_not_explain() {
    let token = |text: &str, value: f64| (text.to_owned(), value);
    let found = candidate(vec![
        token("It is", -1.0),
        token(" the Sarn", -2.0),
        token(".So", -9.0),
        token(" the answer", -9.0),
        token(" is: Sarn", -9.0),
        token(".", -9.0),
    ]);
    assert_eq!((found.answer.as_deref(), found.own), (Some("Sarn"), Some(-1.5)));
}

#[test]
fn tokens_of_words_and_marks_of_an_end_are_matched() {
    // A tokenizer of words joins them by spaces, and gives its tokens without.
    let words = "The teacher is Kim Ras . So the answer is : Kim Ras .".split(' ');
    let mut tokens: Vec<(String, f64)> = Vec::new();
    for (place, word) in words.enumerate() {
        let space = if place == 0 { "" } else { " " };
        tokens.push((format!("{space}{word}"), if place < 6 { -0.5 } else { -9.0 }));
    }
    let found = candidate(tokens);
    assert_eq!((found.answer.as_deref(), found.own), (Some("Kim Ras"), Some(-0.5)));
    // Marks of an end are no part of the text, and do not explain.
    let mut marked = vec![("<|start|>".to_owned(), -5.0)];
    let text = "It is so. So the answer is: Kim Ras.";
    marked.extend(characters("It is so. ", "So the answer is: Kim Ras."));
    marked.push(("<|end|>".to_owned(), -5.0));
    let found = candidate_of(marked, Some(text));
    assert_eq!((found.answer.as_deref(), found.own), (Some("Kim Ras"), Some(-1.0)));
    // Tokens of another text.
    let differ = candidate_of(characters("Something ", "else"), Some(text));
    assert_eq!((differ.answer.as_deref(), differ.own), (Some("Kim Ras"), None));
    assert_eq!(differ.absent, Some(Absent::TokensDiffer));
    let without = candidate(vec![("Nothing here".into(), -1.0)]);
    assert_eq!((without.answer, without.absent), (None, Some(Absent::NoAnswer)));
}

proptest! {
    /// However the text is cut into tokens, a constant log-probability is the confidence.
    #[test]
    fn the_cut_does_not_matter(cuts in prop::collection::vec(any::<bool>(), 60), explanation in "[A-Za-zäö .,]{1,20}[a-z]") {
        let text = format!("{explanation}. So the answer is: Bäl Tor.");
        let mut tokens: Vec<(String, f64)> = Vec::new();
        for (place, character) in text.chars().enumerate() {
            match tokens.last_mut() {
                Some((token, _)) if !cuts[place % cuts.len()] => token.push(character),
                _ => tokens.push((character.into(), -0.5)),
            }
        }
        let whole = tokens.len() == 1;
        let found = candidate(tokens);
        prop_assert_eq!(found.answer.as_deref(), Some("Bäl Tor"));
        match found.own {
            Some(own) => prop_assert!((own + 0.5).abs() < 1e-12),
            // One token reaches from the first word into the mark.
            None => prop_assert!(whole || found.absent == Some(Absent::NoExplanation)),
        }
    }
}
