//! FOBAR with a scripted model.

use backstitch_llm::Prices;
use backstitch_llm::answer::Kind;
use backstitch_llm::corpus::arithmetic;
use backstitch_llm::question::{Question, read_questions_from};
use backstitch_numerics::Stream;
use backstitch_reason::Error;
use backstitch_reason::fobar::{
    Combination, Extraction, Fobar, Parameters, Prompts, Unchecked, Verified, masked, masks, score,
};

use crate::scripted::{Scripted, text};

/// Four apples and three pears; 7 is right.
const FRUIT: &str = r#"{"id": "fruit", "question": "Ann has 4 apples and buys 3 pears. How many fruits has she?", "answer": 7}"#;

fn questions(lines: &str) -> Vec<Question> {
    read_questions_from(lines.as_bytes(), "questions.jsonl".as_ref(), Kind::Number).unwrap()
}

fn method(parameters: Parameters) -> Fobar {
    Fobar::new(parameters, Prompts::default()).unwrap()
}

/// The question that a prompt ends with.
fn target(prompt: &str) -> &str {
    prompt.rsplit_once("Question: ").unwrap().1
}

/// Forward: the answers in turn. Backward: solves `a + b = answer` for the masked number.
fn solver<'a>(forward: &'a [&'a str]) -> Scripted<impl Fn(&str, u32) -> Option<String> + 'a> {
    Scripted::new(move |prompt, sample| {
        let target = target(prompt);
        let Some((_, stated)) = target.split_once("The answer of this question is ") else {
            return Some(format!("Some steps. The answer is {}.", forward[sample as usize % forward.len()]));
        };
        let stated: i64 = stated.split('.').next().unwrap().parse().unwrap();
        let known = if target.contains("x apples") { 3 } else { 4 };
        Some(format!(
            "{known} + x = {stated}, so x = {stated} - {known}. The value of x is {}.",
            stated - known
        ))
    })
}

fn one(method: &Fobar, model: &dyn backstitch_llm::Model, lines: &str) -> Verified {
    method.answer(model, &questions(lines)).pop().unwrap().unwrap()
}

#[test]
fn recovered_numbers_overrule_the_majority() {
    let model = solver(&["12", "12", "7", "12", "12", "7", "12", "1", "12", "no idea"]);
    let found = one(&method(Parameters::default()), &model, FRUIT);
    assert_eq!(found.answer.as_deref(), Some("7"));
    assert_eq!((found.correct, found.majority.as_deref()), (Some(true), Some("12")));
    let seen: Vec<_> = found.candidates.iter().map(|c| (c.text.as_str(), c.count, c.recovered)).collect();
    // Two masks of eight samples each; only the right answer gives the masked numbers back. No idea is no candidate.
    assert_eq!(seen, [("12", 6, Some(0)), ("7", 2, Some(16)), ("1", 1, Some(0))]);
    assert_eq!(found.backward_samples, 2 * 3 * 8);
    let masks: Vec<_> = found
        .masks
        .iter()
        .map(|mask| (mask.text.as_str(), mask.recovered.clone(), mask.tells_apart))
        .collect();
    let recovered = vec![Some(0), Some(8), Some(0)];
    assert_eq!(masks, [("4", recovered.clone(), true), ("3", recovered, true)]);
    let sum: f64 = found.candidates.iter().map(|candidate| candidate.combined).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    // One forward request, then one for each mask and candidate.
    let asked = model.asked();
    assert_eq!(asked.iter().map(|request| request.samples).collect::<Vec<_>>(), [10, 8, 8, 8, 8, 8, 8]);
    assert!(asked.iter().all(|request| request.temperature == 0.7 && request.stop == ["\nQuestion:"]));
}

#[test]
fn prompts_hold_what_they_should() {
    let model = solver(&["12", "7"]);
    one(&method(Parameters::default()), &model, FRUIT);
    let asked = model.asked();
    let forward = text(&asked[0]);
    assert!(forward.ends_with("Question: Ann has 4 apples and buys 3 pears. How many fruits has she?\nA:"));
    assert_eq!(forward.matches("The answer is ").count(), 4);
    let backward: Vec<&str> = asked[1..].iter().map(text).collect();
    let expected = "Question: Ann has x apples and buys 3 pears. How many fruits has she?\nThe answer of this question is 12. What is \
                    the value of the unknown x?\nA:";
    assert_eq!(backward.iter().filter(|prompt| prompt.ends_with(expected)).count(), 1, "{backward:#?}");
    assert!(backward.iter().all(|prompt| prompt.matches("The value of x is ").count() == 4));
    // Our demonstrations are right: both directions end in the numbers they state.
    let prompts = Prompts::default();
    for (forward, backward) in prompts.forward.iter().zip(&prompts.backward) {
        assert!(forward.steps.contains(&format!("= {}", forward.answer)), "{forward:?}");
        assert!(backward.steps.contains(&format!("= {}", backward.value)), "{backward:?}");
        assert_eq!(forward.answer, backward.answer);
        let hidden = masks(&forward.question)
            .into_iter()
            .find(|mask| masked(&forward.question, mask, "x") == backward.question);
        assert_eq!(hidden.unwrap().value.to_string(), backward.value);
    }
}

#[test]
fn nothing_is_asked_backward_without_need() {
    let no_number = r#"{"id": "17", "question": "How many fruits has Ann?", "answer": 7}"#;
    let sent = |model: &dyn backstitch_llm::Model, parameters, lines| one(&method(parameters), model, lines);
    let agreed = solver(&["7"]);
    let found = sent(&agreed, Parameters::default(), FRUIT);
    assert_eq!((found.unchecked, found.answer.as_deref()), (Some(Unchecked::OneCandidate), Some("7")));
    assert_eq!((found.candidates[0].combined, found.candidates[0].backward), (1.0, None));
    let bare = solver(&["7", "8"]);
    let found = sent(&bare, Parameters::default(), no_number);
    assert_eq!(
        (found.unchecked, found.answer.as_deref()),
        (Some(Unchecked::NoMask), Some("7")),
        "the first of equals"
    );
    assert_eq!(
        found.unchecked.unwrap().sentence("17"),
        "no maskable number in question 17; forward answer kept"
    );
    let silent = solver(&["a riddle"]);
    let found = sent(&silent, Parameters::default(), FRUIT);
    assert_eq!(
        (found.unchecked, found.answer, found.correct),
        (Some(Unchecked::NoAnswer), None, Some(false))
    );
    let only = solver(&["12", "7"]);
    let found = sent(&only, Parameters { alpha: 1.0, ..Parameters::default() }, FRUIT);
    assert_eq!((found.unchecked, found.answer.as_deref()), (Some(Unchecked::ForwardOnly), Some("12")));
    let rare = solver(&["12", "12", "12", "12", "7"]);
    let found = sent(&rare, Parameters { threshold: 3, ..Parameters::default() }, FRUIT);
    assert_eq!((found.unchecked, found.answer.as_deref()), (Some(Unchecked::OneCandidate), Some("12")));
    for model in [&agreed.asked(), &bare.asked(), &silent.asked(), &only.asked(), &rare.asked()] {
        assert_eq!(model.len(), 1);
    }
}

#[test]
fn if_nothing_is_recovered_the_majority_stays() {
    let model = Scripted::new(|prompt, sample| {
        let backward = target(prompt).contains("unknown");
        Some(if backward {
            "I do not know.".into()
        } else {
            format!("The answer is {}.", [9, 8, 9][sample as usize % 3])
        })
    });
    let found = one(&method(Parameters::default()), &model, FRUIT);
    assert_eq!(found.answer.as_deref(), Some("9"));
    assert!(found.candidates.iter().all(|candidate| candidate.backward == Some(0.5)));
    assert!(found.masks.iter().all(|mask| !mask.tells_apart));
}

#[test]
fn special_cases() {
    let answers = ["12", "12", "12", "12", "12", "12", "12", "12", "12", "7"];
    let with = |parameters| one(&method(parameters), &solver(&answers), FRUIT);
    let backward_only = with(Parameters { alpha: 0.0, ..Parameters::default() });
    assert_eq!(backward_only.answer.as_deref(), Some("7"));
    assert!(backward_only.candidates[1].combined > 0.999_999);
    let mean = with(Parameters { combination: Combination::Arithmetic, ..Parameters::default() });
    assert_eq!(mean.answer.as_deref(), Some("7"), "0.5 * 0.9 against 0.5 * 0.1 + 0.5 * 1");
    assert!((mean.candidates[1].combined - 0.55).abs() < 1e-8);
    let one_mask = with(Parameters { most_masks: Some(1), ..Parameters::default() });
    assert_eq!((one_mask.masks.len(), one_mask.backward_samples), (1, 16));
    let mixed = ["12", "12", "12", "12", "7", "7", "7", "9", "9", "1"];
    let model = solver(&mixed);
    let checked = one(&method(Parameters { threshold: 3, ..Parameters::default() }), &model, FRUIT);
    let recovered: Vec<Option<u32>> =
        checked.candidates.iter().map(|candidate| candidate.recovered).collect();
    assert_eq!(recovered, [Some(0), Some(16), None, None]);
    assert_eq!(checked.candidates[2].backward, Some(score::EPSILON));
    assert_eq!((model.asked().len(), checked.backward_samples), (1 + 2 * 2, 2 * 2 * 8));
    let rare = with(Parameters { threshold: 2, forward_samples: 10, ..Parameters::default() });
    assert_eq!(rare.unchecked, Some(Unchecked::OneCandidate));
}

#[test]
fn the_rule_of_the_repository() {
    // "1.5/2" is two numbers there, and a reply without a number is a candidate.
    let answers = ["1.5/2", "none", "none"];
    let paper = Parameters { extraction: Extraction::Paper, forward_samples: 3, ..Parameters::default() };
    let lines = r#"{"id": 1, "question": "How many fruits has Ann?"}"#;
    let texts = |parameters| -> Vec<String> {
        one(&method(parameters), &solver(&answers), lines).candidates.into_iter().map(|c| c.text).collect()
    };
    assert_eq!(texts(paper), ["2", ""]);
    assert_eq!(texts(Parameters { extraction: Extraction::Robust, ..paper }), ["0.75"]);
    // Both find the masked number in plain replies.
    let found = one(&method(Parameters { forward_samples: 10, ..paper }), &solver(&["12", "7"]), FRUIT);
    assert_eq!(found.answer.as_deref(), Some("7"));
}

#[test]
fn options_are_stated_backward() {
    let lines = r#"{"id": 1, "question": "Ann has 4 apples and buys 3 pears. How many fruits has she?", "options": ["12", "7", "1"], "answer": "B"}"#;
    for extraction in [Extraction::Robust, Extraction::Paper] {
        let model = solver(&["(A)", "(A)", "(B)"]);
        let found = one(&method(Parameters { extraction, ..Parameters::default() }), &model, lines);
        assert_eq!(
            (found.answer.as_deref(), found.majority.as_deref(), found.correct),
            (Some("B"), Some("A"), Some(true))
        );
        let asked = model.asked();
        let expected = "How many fruits has she?\nAnswer choices: (A) 12 (B) 7 (C) 1\nThe answer of this question is 7. ";
        assert!(asked.iter().any(|request| text(request).contains(expected)));
        assert_eq!(found.masks.len(), 2, "options are not masked");
    }
}

#[test]
fn a_failed_question_does_not_spoil_the_others() {
    let lines = format!(
        "{FRUIT}\n{}\n{}",
        FRUIT.replace("fruit\"", "more\"").replace("Ann", "Eve"),
        FRUIT.replace("fruit\"", "last\"").replace("Ann", "Tom")
    );
    let inner = solver(&["12", "7"]);
    let model = Scripted::new(|prompt, sample| {
        let target = target(prompt);
        let fails = target.contains("Eve") || (target.contains("Tom") && target.contains("is 12"));
        (!fails).then(|| {
            let request =
                backstitch_llm::Request { samples: sample + 1, ..backstitch_llm::Request::user(prompt) };
            backstitch_llm::Model::complete(&inner, &[request]).pop().unwrap().unwrap().samples
                [sample as usize]
                .text
                .clone()
        })
    });
    let outcomes = method(Parameters::default()).answer(&model, &questions(&lines));
    assert_eq!(outcomes[0].as_ref().unwrap().answer.as_deref(), Some("7"));
    let stages: Vec<String> =
        outcomes[1..].iter().map(|outcome| outcome.as_ref().unwrap_err().to_string()).collect();
    assert!(stages[0].starts_with("question \"more\", forward: "), "{stages:?}");
    assert!(stages[1].starts_with("question \"last\", backward: "), "{stages:?}");
}

#[test]
fn what_a_run_takes_is_known_before() {
    let all = questions(&format!("{FRUIT}\n{{\"id\": 2, \"question\": \"How many?\"}}"));
    let method = method(Parameters::default());
    assert_eq!(method.forward_requests(&all).len(), 2);
    let prices = Prices { prompt: 1.0, completion: 2.0 };
    let found = method.most_backward(&all, Some(prices));
    assert_eq!((found.requests, found.samples), (2 * 10, 2 * 10 * 8));
    assert_eq!(found.usage.completion_tokens, 2 * 10 * 8 * 512);
    // The role, four demonstrations and the question, some 300 tokens.
    assert!((200 * 20..600 * 20).contains(&found.usage.prompt_tokens), "{found:?}");
    assert!((found.cost.unwrap() - prices.cost(found.usage)).abs() < 1e-12);
    let most =
        |parameters| Fobar::new(parameters, Prompts::default()).unwrap().most_backward(&all, None).samples;
    assert_eq!(most(Parameters { threshold: 5, ..Parameters::default() }), 2 * 2 * 8);
    assert_eq!(most(Parameters { threshold: 6, ..Parameters::default() }), 0);
    assert_eq!(most(Parameters { alpha: 1.0, ..Parameters::default() }), 0);
}

/// The accuracy of the whole method on a small random model, by adding up the probabilities of everything that the model may say: three
/// forward samples that are right with probability 0.4, and two backward samples for one mask, which recover it with probability
/// 0.7 from the right and 0.2 from the wrong answer. The other side decides by integers.
#[test]
fn the_accuracy_on_a_known_model_is_exact() {
    let parameters =
        Parameters { forward_samples: 3, backward_samples: 2, most_masks: Some(1), ..Parameters::default() };
    let method = method(parameters);
    let (right, hit, miss) = (0.4, 0.7, 0.2);
    let chance = |bits: u32, width: u32, p: f64| -> f64 {
        (0..width).map(|bit| if bits >> bit & 1 == 1 { p } else { 1.0 - p }).product()
    };
    let (mut found, mut expected) = (0.0, 0.0);
    for forward in 0..8_u32 {
        for of_right in 0..4_u32 {
            for of_wrong in 0..4_u32 {
                let model = Scripted::new(|prompt, sample| {
                    let target = target(prompt);
                    let says = |bits: u32| bits >> sample & 1 == 1;
                    Some(if target.contains("question is 7.") {
                        format!("The value of x is {}.", if says(of_right) { 4 } else { 5 })
                    } else if target.contains("question is 12.") {
                        format!("The value of x is {}.", if says(of_wrong) { 4 } else { 5 })
                    } else {
                        format!("The answer is {}.", if says(forward) { 7 } else { 12 })
                    })
                });
                let weight = chance(forward, 3, right) * chance(of_right, 2, hit) * chance(of_wrong, 2, miss);
                if one(&method, &model, FRUIT).correct == Some(true) {
                    found += weight;
                }
                let (yes, no) = (forward.count_ones(), 3 - forward.count_ones());
                let (yes_hits, no_hits) = (of_right.count_ones(), of_wrong.count_ones());
                // P_f P_b compares like counts times hits; where neither has hits, like counts; three samples never tie forward.
                let wins = match (yes_hits, no_hits) {
                    _ if yes == 0 || no == 0 => yes > 0,
                    (0, 0) => yes > no,
                    (_, 0) => true,
                    (0, _) => false,
                    _ => {
                        let (one, other) = (yes * yes_hits, no * no_hits);
                        // ε breaks the tie for the candidate with more forward samples; it adds ε/2 times the count.
                        if one == other { yes > no } else { one > other }
                    }
                };
                if wins {
                    expected += weight;
                }
            }
        }
    }
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    // Better than the majority of three, 0.4³ + 3 · 0.4² · 0.6.
    assert!(expected > 0.352 + 0.05, "{expected}");
}

#[test]
fn parameters_outside_their_ranges_are_refused() {
    let refused = |parameters: Parameters| match Fobar::new(parameters, Prompts::default()) {
        Err(error @ Error::Parameter { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let base = Parameters::default();
    assert!(
        refused(Parameters { forward_samples: 0, ..base })
            .starts_with("forward_samples is 0, but must be at least 1; use 10")
    );
    assert!(refused(Parameters { backward_samples: 0, ..base }).starts_with("backward_samples is 0"));
    assert!(refused(Parameters { threshold: 0, ..base }).starts_with("threshold is 0"));
    assert!(refused(Parameters { most_masks: Some(0), ..base }).starts_with("most_masks is 0"));
    assert!(refused(Parameters { max_tokens: 0, ..base }).starts_with("max_tokens is 0"));
    assert!(refused(Parameters { alpha: 1.5, ..base }).starts_with("alpha is 1.5, but must be from 0 to 1"));
    assert!(refused(Parameters { alpha: f64::NAN, ..base }).starts_with("alpha is NaN"));
    assert!(refused(Parameters { temperature: 3.0, ..base }).starts_with("temperature is 3"));
    assert!(refused(Parameters { temperature: 0.0, ..base }).contains("at 0 all samples are the same"));
    let prompts = Prompts { statement: "What is x?".into(), ..Prompts::default() };
    let error = Fobar::new(base, prompts).unwrap_err().to_string();
    assert!(
        error.starts_with("the statement is \"What is x?\", but must be a sentence with the slots"),
        "{error}"
    );
    assert_eq!(score::EPSILON, 1e-8);
}

#[test]
fn the_embedded_models_learn_what_is_asked() {
    let mut stream = Stream::new(4, "prompts of the embedded models");
    let parameters = Parameters { forward_samples: 1, backward_samples: 1, ..Parameters::default() };
    let method = Fobar::new(parameters, Prompts::bare()).unwrap();
    for _ in 0..100 {
        let problem = arithmetic::held_out(&mut stream);
        let question = Question {
            id: "1".into(),
            text: problem.text(),
            options: Vec::new(),
            kind: Kind::Number,
            gold: None,
        };
        assert_eq!(
            text(&method.forward_requests(std::slice::from_ref(&question))[0]),
            problem.forward().prompt
        );
        // All numbers are masked, and no other words; the backward prompts are those of the corpus.
        let found = masks(&question.text);
        assert_eq!(found.len(), problem.numbers.len(), "{}", question.text);
        let answer = problem.answer().to_string();
        let model = Scripted::new(|_: &str, sample| {
            Some(format!("The answer is {}.", if sample == 0 { answer.clone() } else { "98".into() }))
        });
        let two = Parameters { forward_samples: 2, ..parameters };
        let verified = Fobar::new(two, Prompts::bare()).unwrap().answer(&model, &[question]);
        assert!(verified[0].is_ok());
        let asked = model.asked();
        for unknown in 0..problem.numbers.len() {
            let expected = problem.backward(unknown).prompt;
            let found = asked.iter().any(|request| text(request) == expected && request.system.is_none());
            assert!(found || answer == "98", "{expected}");
        }
    }
}
