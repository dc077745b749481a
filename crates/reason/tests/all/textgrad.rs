//! The graph, the way back and the optimiser, with a model that answers as told. What goes wrong in the peer has a test here each.

use backstitch_llm::answer::Kind;
use backstitch_llm::{Prompt, Request};
use backstitch_reason::Error;
use backstitch_reason::textgrad::{
    AnswerCritic, Calls, Engine, FormattedLlmCall, LlmCall, MultiFieldEvaluation, Parameters,
    ScoredEvaluation, StringFunction, TextLoss, TextualGradientDescent, Variable, aggregate, exact_match,
    sum,
};
use proptest::prelude::*;

use crate::scripted::{Scripted, text};

/// The tags that the built-in prompts use for a new text.
const OPEN: &str = "<IMPROVED_VARIABLE>";

/// Answers, criticises, and improves by adding a word.
fn model() -> Scripted<impl Fn(&str, u32) -> Option<String>> {
    Scripted::new(|text, _| {
        Some(if text.contains(OPEN) {
            "<IMPROVED_VARIABLE>\nbetter\n</IMPROVED_VARIABLE>".into()
        } else if text.contains("by what strategy") {
            format!("feedback {}", text.len())
        } else {
            format!("reply to {text}")
        })
    })
}

fn system(request: &Request) -> &str {
    request.system.as_deref().unwrap_or_default()
}

fn variable(value: &str, role: &str) -> Variable {
    Variable::new(value, role).unwrap()
}

fn constant(value: &str, role: &str) -> Variable {
    Variable::constant(value, role).unwrap()
}

fn optimizer(variable: &Variable) -> TextualGradientDescent {
    TextualGradientDescent::new([variable.clone()]).unwrap()
}

/// A prompt over a batch of questions, with programmatic losses.
fn batch(engine: &Engine<'_>, prompt: &Variable, items: usize) -> Vec<Variable> {
    let questions: Vec<Variable> =
        (0..items).map(|item| constant(&format!("question {item}"), "question")).collect();
    let answers =
        LlmCall::new("answer to the question").with_system(prompt).call_all(engine, &questions).unwrap();
    let truth = constant("The answer is 7.", "right answer");
    answers.iter().map(|answer| exact_match(Kind::Number, answer, &truth)).collect()
}

#[test]
fn a_step_of_a_batch_takes_the_calls_of_the_card() {
    for items in [1, 3, 8] {
        let model = model();
        let engine = Engine::new(&model);
        let prompt = variable("Answer.", "system prompt");
        let losses = batch(&engine, &prompt, items);
        sum(&losses).backward(&engine).unwrap();
        optimizer(&prompt).step(&engine).unwrap();
        let items = items as u64;
        // Forward: one per item. Evaluation: none, it is a program. Backward: to the answer and to the prompt. One new text.
        assert_eq!(
            engine.calls(),
            Calls { forward: items, backward: 2 * items, optimizer: 1, ..Calls::default() }
        );
        assert_eq!(model.asked().len() as u64, engine.calls().total());
        assert_eq!(prompt.gradients().len() as u64, items);
        assert_eq!(prompt.value(), "better");
    }
    // With an evaluation in words there is one more call per item.
    let model = model();
    let engine = Engine::new(&model);
    let prompt = variable("Answer.", "system prompt");
    let questions = [constant("a", "question"), constant("b", "question")];
    let answers = LlmCall::new("answer").with_system(&prompt).call_all(&engine, &questions).unwrap();
    let losses = TextLoss::new("Criticise.").unwrap().evaluate_all(&engine, &answers).unwrap();
    sum(&losses).backward(&engine).unwrap();
    optimizer(&prompt).step(&engine).unwrap();
    assert_eq!(engine.calls(), Calls { forward: 4, backward: 4, optimizer: 1, ..Calls::default() });
}

#[test]
fn a_level_is_asked_at_once_and_in_order() {
    let model = Batches::default();
    let engine = Engine::new(&model);
    let prompt = variable("Answer.", "system prompt");
    let losses = batch(&engine, &prompt, 5);
    sum(&losses).backward(&engine).unwrap();
    optimizer(&prompt).step(&engine).unwrap();
    assert_eq!(*model.sizes.borrow(), [5, 5, 5, 1]);
    // The feedback stands in the order of the questions, although the last reply arrives first.
    let contexts: Vec<bool> = prompt
        .gradients()
        .iter()
        .enumerate()
        .map(|(item, gradient)| {
            gradient.context.as_ref().unwrap().output.contains(&format!("question {item}"))
        })
        .collect();
    assert_eq!(contexts, [true; 5]);
}

/// Notes how many requests come at a time.
#[derive(Default)]
struct Batches {
    sizes: std::cell::RefCell<Vec<usize>>,
    identity: std::cell::OnceCell<backstitch_llm::Identity>,
}

impl backstitch_llm::Model for Batches {
    fn identity(&self) -> &backstitch_llm::Identity {
        self.identity.get_or_init(|| backstitch_llm::Identity {
            kind: "test".into(),
            place: String::new(),
            model: "batches".into(),
        })
    }

    fn answer(
        &self,
        requests: &[Request],
        arrived: &mut dyn FnMut(usize, Result<backstitch_llm::Reply, backstitch_llm::Error>),
    ) {
        self.sizes.borrow_mut().push(requests.len());
        let model = model();
        backstitch_llm::Model::answer(&model, requests, arrived);
    }
}

#[test]
fn requests_do_not_change_from_run_to_run() {
    // Peer: gradients are sets, and their order in prompts varies.
    let run = || {
        let model = model();
        let engine = Engine::new(&model);
        let prompt = variable("Answer.", "system prompt");
        let losses = batch(&engine, &prompt, 6);
        sum(&losses).backward(&engine).unwrap();
        optimizer(&prompt).step(&engine).unwrap();
        model.asked()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_sum_gives_its_feedback_once() {
    // Peer: every part gets it twice.
    let model = Scripted::new(|_, _| Some("too long".into()));
    let engine = Engine::new(&model);
    let (one, two) = (variable("a", "first part"), variable("b", "second part"));
    let both = sum(&[one.clone(), two.clone(), one.clone()]);
    assert_eq!((both.value().as_str(), both.predecessors().len()), ("a\nb\na", 3));
    TextLoss::new("Criticise.").unwrap().evaluate(&engine, &both).unwrap().backward(&engine).unwrap();
    assert_eq!(engine.calls(), Calls { forward: 1, backward: 1, ..Calls::default() });
    for part in [&one, &two] {
        assert_eq!(part.gradients().len(), 1);
        assert!(part.feedback().ends_with("too long") && part.feedback().contains(&part.role()));
    }
}

#[test]
fn below_a_sum_without_feedback_stands_the_evaluation() {
    // Peer: the joined text of two empty gradients is a line end, and losses below a sum are asked about blank feedback.
    let model = model();
    let engine = Engine::new(&model);
    let text = variable("x", "solution");
    let loss = TextLoss::new("Criticise.").unwrap();
    let losses = [loss.evaluate(&engine, &text).unwrap(), loss.evaluate(&engine, &text).unwrap()];
    sum(&losses).backward(&engine).unwrap();
    assert!(losses.iter().all(|loss| loss.gradients().is_empty()));
    let asked = model.asked();
    let backward: Vec<&Request> =
        asked.iter().filter(|request| text_of(request).contains("by what strategy")).collect();
    assert_eq!(backward.len(), 2);
    for request in backward {
        assert!(text_of(request).contains("The output above is an evaluation"), "{}", text_of(request));
        assert!(!text_of(request).contains("This feedback was given on the output"));
    }
}

fn text_of(request: &Request) -> &str {
    text(request)
}

#[test]
fn an_aggregate_merges_what_meets_and_every_part_gets_feedback() {
    // Peer: only the last part of an aggregate gets any.
    let model = Scripted::new(|text, _| {
        let kind = if text.contains("by what strategy") { "point" } else { "reply" };
        Some(if text.starts_with("<FEEDBACK>") { "merged".into() } else { format!("{kind} {}", text.len()) })
    });
    let engine = Engine::new(&model);
    let prompt = variable("Answer.", "system prompt");
    let losses = batch(&engine, &prompt, 4);
    let answers: Vec<Variable> = losses.iter().map(|loss| loss.predecessors()[0].clone()).collect();
    aggregate(&losses).backward(&engine).unwrap();
    assert_eq!(engine.calls(), Calls { forward: 4, backward: 8, reduce: 1, ..Calls::default() });
    assert!(answers.iter().all(|answer| answer.gradients().len() == 1));
    assert_eq!(prompt.feedback(), "merged");
    let reduce = &model.asked()[4 + 8];
    assert_eq!(text(reduce).matches("<FEEDBACK>").count(), 4);
    // A batch of one has nothing to merge.
    let engine = Engine::new(&model);
    let prompt = variable("Answer.", "system prompt");
    aggregate(&batch(&engine, &prompt, 1)).backward(&engine).unwrap();
    assert_eq!(engine.calls().reduce, 0);
}

#[test]
fn momentum_shows_past_texts_with_their_feedback() {
    // Peer: the optimiser with momentum sends nothing at all, and its window of 0 cannot be made.
    let counter = std::cell::Cell::new(0);
    let model = Scripted::new(move |text, _| {
        Some(if text.contains(OPEN) {
            counter.set(counter.get() + 1);
            format!("<IMPROVED_VARIABLE>version {}</IMPROVED_VARIABLE>", counter.get())
        } else if text.contains("by what strategy") {
            format!("feedback on {}", text.split("<VARIABLE>\n").nth(1).unwrap().split('\n').next().unwrap())
        } else {
            "meh".into()
        })
    });
    let engine = Engine::new(&model);
    let text_variable = variable("version 0", "solution");
    let loss = TextLoss::new("Criticise.").unwrap();
    let mut optimizer = optimizer(&text_variable).with_momentum(2);
    for step in 1..=4 {
        optimizer.zero_grad();
        loss.evaluate(&engine, &text_variable).unwrap().backward(&engine).unwrap();
        optimizer.step(&engine).unwrap();
        assert_eq!(text_variable.value(), format!("version {step}"));
    }
    let asked = model.asked();
    let steps: Vec<&str> = asked.iter().map(text).filter(|text| text.contains(OPEN)).collect();
    assert!(!steps[0].contains("<ITERATION>"));
    assert!(steps[1].contains("Version 1:\nversion 0\nFeedback:\nfeedback on version 0\n"));
    // The window holds two, the oldest first.
    assert_eq!(steps[3].matches("<ITERATION>").count(), 2);
    assert!(steps[3].find("version 1\nFeedback:").unwrap() < steps[3].find("version 2\nFeedback:").unwrap());
    assert!(!steps[3].contains("version 0"));
    assert!(steps[3].contains("change more"));
}

#[test]
fn a_window_of_zero_is_no_momentum() {
    let model = model();
    let engine = Engine::new(&model);
    let text_variable = variable("x", "solution");
    let mut optimizer = optimizer(&text_variable).with_momentum(0);
    for _ in 0..2 {
        optimizer.zero_grad();
        TextLoss::new("Criticise.")
            .unwrap()
            .evaluate(&engine, &text_variable)
            .unwrap()
            .backward(&engine)
            .unwrap();
        optimizer.step(&engine).unwrap();
    }
    assert!(model.asked().iter().all(|request| !text(request).contains("<ITERATION>")));
}

#[test]
fn gradient_memory_reaches_the_prompt() {
    // Peer: it is computed, and no template has a place for it.
    let model = model();
    let engine = Engine::new(&model);
    let text_variable = variable("x", "solution");
    let mut optimizer = optimizer(&text_variable).with_gradient_memory(1);
    let mut first = String::new();
    for step in 0..2 {
        optimizer.zero_grad();
        TextLoss::new("Criticise.")
            .unwrap()
            .evaluate(&engine, &text_variable)
            .unwrap()
            .backward(&engine)
            .unwrap();
        if step == 0 {
            first = text_variable.feedback();
        }
        optimizer.step(&engine).unwrap();
    }
    let asked = model.asked();
    let last = text(asked.last().unwrap());
    assert!(
        last.contains(&format!("<EARLIER>\n{first}\n</EARLIER>")) && !last.contains("<ITERATION>"),
        "{last}"
    );
}

#[test]
fn long_texts_are_shown_whole_or_as_the_paper_shows_them() {
    // Peer: the optimiser sees the first and last ten words.
    let long: Vec<String> = (0..50).map(|word| format!("word{word}")).collect();
    let long = long.join(" ");
    let short = "word0 word1 word2 word3 word4 word5 word6 word7 word8 word9 (...) word40 word41 word42 word43 word44 word45 word46 \
                 word47 word48 word49";
    let text_variable = variable(&long, "solution");
    assert_eq!(text_variable.excerpt(Some(10)), short);
    assert_eq!(variable("a b", "x").excerpt(Some(1)), "a b");
    for (excerpt_words, shown) in [(None, long.as_str()), (Some(10), short)] {
        let model = model();
        let engine = Engine::new(&model)
            .with_parameters(Parameters { excerpt_words, ..Parameters::default() })
            .unwrap();
        let text_variable = variable(&long, "solution");
        let judge = StringFunction::new("judges", |_| "bad".into());
        judge.call(&[("text", &text_variable)]).backward(&engine).unwrap();
        optimizer(&text_variable).with_most_growth(100.0).unwrap().step(&engine).unwrap();
        for request in model.asked() {
            assert!(
                text(&request).contains(&format!("<VARIABLE>\n{shown}\n</VARIABLE>")),
                "{}",
                text(&request)
            );
            assert_eq!(text(&request).contains("word25"), excerpt_words.is_none());
        }
    }
}

#[test]
fn zero_grad_forgets_contexts_too() {
    // Peer: the contexts stay.
    let model = model();
    let engine = Engine::new(&model);
    let text_variable = variable("x", "solution");
    let loss = TextLoss::new("Criticise.").unwrap();
    loss.evaluate(&engine, &text_variable).unwrap().backward(&engine).unwrap();
    assert!(text_variable.gradients()[0].context.is_some());
    let optimizer = optimizer(&text_variable);
    optimizer.zero_grad();
    assert!(text_variable.gradients().is_empty() && text_variable.feedback().is_empty());
    // Without it, feedback adds up on what is to be improved.
    for expected in [1, 2] {
        loss.evaluate(&engine, &text_variable).unwrap().backward(&engine).unwrap();
        assert_eq!(text_variable.gradients().len(), expected);
    }
}

#[test]
fn going_back_twice_doubles_nothing_in_between() {
    let model = model();
    let engine = Engine::new(&model);
    let prompt = variable("Answer.", "system prompt");
    let losses = batch(&engine, &prompt, 2);
    let total = sum(&losses);
    total.backward(&engine).unwrap();
    prompt.zero_grad();
    total.backward(&engine).unwrap();
    assert!(losses.iter().all(|loss| loss.predecessors()[0].gradients().len() == 1));
    assert_eq!(prompt.gradients().len(), 2);
}

#[test]
fn sampling_reaches_every_request() {
    // Peer: its cache ignores temperature and the rest. Ours keys on the whole request, so it must be there.
    let parameters =
        Parameters { temperature: 0.5, top_p: 0.8, max_tokens: 77, seed: Some(3), ..Parameters::default() };
    let model = Scripted::new(|text, _| {
        Some(if text.contains("<IMPROVED_VARIABLE>") { "no tags".into() } else { "x".into() })
    });
    let engine = Engine::new(&model).with_parameters(parameters).unwrap();
    let prompt = variable("Answer.", "system prompt");
    aggregate(&batch(&engine, &prompt, 2)).backward(&engine).unwrap();
    optimizer(&prompt).step(&engine).unwrap_err();
    let calls = engine.calls();
    assert_eq!(calls, Calls { forward: 2, backward: 4, reduce: 1, optimizer: 1, repair: 1 });
    for request in model.asked() {
        assert_eq!(
            (request.temperature, request.top_p, request.max_tokens, request.seed),
            (0.5, 0.8, 77, Some(3))
        );
    }
}

#[test]
fn long_chains_do_not_overflow() {
    // Peer: the topological order is found by recursion.
    let model = Scripted::new(|_, _| Some("more".into()));
    let engine = Engine::new(&model);
    let first = variable("0", "number");
    let increment =
        StringFunction::new("adds one", |texts| (texts[0].parse::<u32>().unwrap() + 1).to_string());
    let length = 20_000;
    let mut last = first.clone();
    for _ in 0..length {
        last = increment.call(&[("number", &last)]);
    }
    assert_eq!(last.value(), length.to_string());
    last.backward(&engine).unwrap();
    assert_eq!((engine.calls().backward, first.gradients().len()), (length, 1));
    drop(last);
    // The role of a sum of sums does not grow.
    let nested = sum(&[sum(std::slice::from_ref(&first)), sum(&[first])]);
    assert_eq!(nested.role(), "a combination of: number");
}

#[test]
fn where_there_is_nothing_to_say_nothing_is_asked_further() {
    let model = Scripted::new(|text, _| {
        Some(if text.contains("by what strategy") { " \n".into() } else { "fine".into() })
    });
    let engine = Engine::new(&model);
    let prompt = variable("Answer.", "system prompt");
    let losses = batch(&engine, &prompt, 3);
    sum(&losses).backward(&engine).unwrap();
    // Feedback on the answers is blank, so that none is asked on the prompt, and no new text.
    assert_eq!(engine.calls().backward, 3);
    let steps = optimizer(&prompt).step(&engine).unwrap();
    assert!(!steps[0].had_feedback && steps[0].after == "Answer." && engine.calls().optimizer == 0);
}

#[test]
fn constants_get_no_feedback() {
    let model = model();
    let engine = Engine::new(&model);
    let (question, answer) = (constant("q", "question"), variable("a", "answer"));
    let evaluation = MultiFieldEvaluation::new("Judge.", &["Question", "Answer"]).unwrap();
    let loss = evaluation.evaluate(&engine, &[&question, &answer]).unwrap();
    loss.backward(&engine).unwrap();
    assert_eq!((engine.calls().backward, question.gradients().len(), answer.gradients().len()), (1, 0, 1));
    // Roles stay what they were.
    assert_eq!(answer.role(), "answer");
    let error = sum(std::slice::from_ref(&question)).backward(&engine).unwrap_err().to_string();
    assert!(error.contains("made of constants only") && error.contains("Variable::new"), "{error}");
    let error =
        Variable::derived("x", "outcome", false, std::slice::from_ref(&answer)).unwrap_err().to_string();
    assert!(error.contains("requires_grad is false, but \"answer\" requires one"), "{error}");
    assert!(Variable::derived("x", "outcome", false, &[question]).is_ok());
    for role in ["", " \n"] {
        let error = Variable::new("x", role).unwrap_err().to_string();
        assert!(error.contains("the role of a variable") && error.contains("as in"), "{error}");
    }
}

#[test]
fn replies_without_tags_are_asked_again_once() {
    let replies =
        std::cell::RefCell::new(vec!["<IMPROVED_VARIABLE> good </IMPROVED_VARIABLE>", "I would say: good"]);
    let model = Scripted::new(move |text, _| {
        Some(if text.contains(OPEN) { replies.borrow_mut().pop().unwrap().into() } else { "bad".into() })
    });
    let engine = Engine::new(&model);
    let text_variable = variable("x", "solution");
    TextLoss::new("Criticise.")
        .unwrap()
        .evaluate(&engine, &text_variable)
        .unwrap()
        .backward(&engine)
        .unwrap();
    let steps = optimizer(&text_variable).step(&engine).unwrap();
    assert!(steps[0].repaired && text_variable.value() == "good");
    let asked = model.asked();
    let Prompt::Messages(messages) = &asked.last().unwrap().prompt else { panic!() };
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[1].content, "I would say: good");
    assert!(messages[2].content.contains("no text between <IMPROVED_VARIABLE> and </IMPROVED_VARIABLE>"));
}

#[test]
fn what_cannot_be_used_is_a_typed_error_and_changes_nothing() {
    let cases: [(&str, &str); 5] = [
        ("I cannot help with that.", "no text between"),
        ("<IMPROVED_VARIABLE> </IMPROVED_VARIABLE>", "nothing between"),
        ("<IMPROVED_VARIABLE> half of it", "no text between"),
        ("<IMPROVED_VARIABLE> no answer line </IMPROVED_VARIABLE>", "has no answer line"),
        ("<IMPROVED_VARIABLE>LONG</IMPROVED_VARIABLE>", "the new text has 5001 characters"),
    ];
    for (reply, problem) in cases {
        let reply = reply.replace("LONG", &"x".repeat(5001));
        let model = Scripted::new(move |text, _| {
            Some(if text.contains(OPEN) { reply.clone() } else { "bad".into() })
        });
        let engine = Engine::new(&model);
        let (one, two) = (variable("one", "first"), variable("two", "second"));
        let loss = TextLoss::new("Criticise.").unwrap();
        sum(&loss.evaluate_all(&engine, &[one.clone(), two.clone()]).unwrap()).backward(&engine).unwrap();
        let rule =
            |text: &str| if text.starts_with("no") { Err("it has no answer line".into()) } else { Ok(()) };
        let mut optimizer = TextualGradientDescent::new([one.clone(), two.clone()]).unwrap().with_rule(rule);
        let error = optimizer.step(&engine).unwrap_err();
        assert!(matches!(&error, Error::Malformed { role, .. } if role == "first"), "{error}");
        assert!(error.to_string().contains(problem) && error.hint().is_some(), "{error}");
        assert_eq!((one.value().as_str(), two.value().as_str()), ("one", "two"));
        assert_eq!((engine.calls().optimizer, engine.calls().repair), (2, 2));
    }
    // A long text that shrinks to a sentence.
    let model = Scripted::new(|text, _| {
        Some(if text.contains(OPEN) {
            "<IMPROVED_VARIABLE>Sorry.</IMPROVED_VARIABLE>".into()
        } else {
            "bad".into()
        })
    });
    let engine = Engine::new(&model);
    let long = variable(&"long text ".repeat(40), "essay");
    TextLoss::new("Criticise.").unwrap().evaluate(&engine, &long).unwrap().backward(&engine).unwrap();
    let error = optimizer(&long).step(&engine).unwrap_err().to_string();
    assert!(error.contains("has only 6 characters, the old one 400"), "{error}");
    assert!(optimizer(&long).with_most_growth(0.5).is_err());
}

#[test]
fn a_text_that_holds_the_tag_gets_other_tags() {
    let program = "print('<IMPROVED_VARIABLE> x </IMPROVED_VARIABLE>')";
    let model = Scripted::new(|text, _| {
        let tag = text.rsplit("</IMPROVED_VARIABLE_").next().unwrap().trim_end_matches('>');
        Some(if text.contains("Improve the") {
            format!("<IMPROVED_VARIABLE_{tag}>\nprint('</IMPROVED_VARIABLE>')\n</IMPROVED_VARIABLE_{tag}>")
        } else {
            "bad".into()
        })
    });
    let engine = Engine::new(&model);
    let code = variable(program, "program");
    let loss = StringFunction::new("runs the tests", |_| "1 failed".into());
    loss.call(&[("program", &code)]).backward(&engine).unwrap();
    optimizer(&code).step(&engine).unwrap();
    assert_eq!(code.value(), "print('</IMPROVED_VARIABLE>')");
    let asked = model.asked();
    // The request for feedback holds the program too: its tags are others as well, and those of the system text with them.
    for request in &asked {
        assert!(
            !text(request).contains("<VARIABLE>") && text(request).contains("<VARIABLE_"),
            "{}",
            text(request)
        );
        assert!(!system(request).contains("{n}") && !text(request).contains("{n}"));
    }
    let tag = system(&asked[1]).split("<IMPROVED_VARIABLE_").nth(1).unwrap().split('>').next().unwrap();
    assert!(text(&asked[1]).ends_with(&format!("</IMPROVED_VARIABLE_{tag}>")));
}

#[test]
fn constraints_and_examples_are_shown_in_order() {
    let model = model();
    let engine = Engine::new(&model);
    let text_variable = variable("x", "solution");
    TextLoss::new("Criticise.")
        .unwrap()
        .evaluate(&engine, &text_variable)
        .unwrap()
        .backward(&engine)
        .unwrap();
    let mut optimizer = optimizer(&text_variable)
        .with_constraints(["Be brief.", "End with {role}."])
        .with_examples(["one", "two"]);
    optimizer.step(&engine).unwrap();
    let asked = model.asked();
    let last = text(asked.last().unwrap());
    assert!(
        last.contains(
            "<CONSTRAINTS>\nConstraint 1: Be brief.\nConstraint 2: End with {role}.\n</CONSTRAINTS>"
        ),
        "{last}"
    );
    assert!(last.find("<CONSTRAINTS>").unwrap() < last.find("<EXAMPLES>\none\ntwo\n</EXAMPLES>").unwrap());
}

#[test]
fn contexts_are_left_out_from_the_oldest_on() {
    let model = model();
    let parameters = Parameters { most_context: Some(300), ..Parameters::default() };
    let engine = Engine::new(&model).with_parameters(parameters).unwrap();
    let prompt = variable("Answer.", "system prompt");
    let losses = batch(&engine, &prompt, 6);
    sum(&losses).backward(&engine).unwrap();
    optimizer(&prompt).step(&engine).unwrap();
    let asked = model.asked();
    let last = text(asked.last().unwrap());
    let left_out = last.matches("(left out for brevity)").count();
    assert!((1..6).contains(&left_out), "{last}");
    assert_eq!(last.matches("<FEEDBACK>").count(), 6);
    assert!(last.contains("question 5") && !last.contains("question 0"));
}

#[test]
fn templates_are_filled_and_checked() {
    let model = model();
    let engine = Engine::new(&model);
    let call = FormattedLlmCall::new("{a} and {b} {c}", "answer");
    let (one, two) = (variable("{b}", "one"), variable("2", "two"));
    let reply = call.call(&engine, &[("a", &one), ("b", &two)]).unwrap();
    assert_eq!(reply.value(), "reply to {b} and 2 {c}");
    assert_eq!(reply.predecessors().len(), 2);
    let error = call.call(&engine, &[("d", &one)]).unwrap_err().to_string();
    assert!(error.contains("the template is without {d}"), "{error}");
}

#[test]
fn scores_are_read_from_their_tags() {
    let model = Scripted::new(|text, _| {
        Some(if text.contains("good one") {
            "Nice. <SCORE> 7.5 </SCORE>".into()
        } else {
            "<SCORE>seven</SCORE>".into()
        })
    });
    let engine = Engine::new(&model);
    let evaluation = ScoredEvaluation::new("Judge the joke.", &["Joke"], "SCORE").unwrap();
    let good = evaluation.evaluate(&engine, &[&variable("good one", "joke")]).unwrap();
    assert_eq!(evaluation.score(&good).unwrap(), 7.5);
    let bad = evaluation.evaluate(&engine, &[&variable("other", "joke")]).unwrap();
    let error = evaluation.score(&bad).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && error.to_string().contains("<SCORE>"), "{error}");
    assert!(system(&model.asked()[0]).ends_with("<SCORE>number</SCORE>"));
    for (labels, tag) in [(&["a"][..], "not a tag"), (&[], "SCORE"), (&["a", "a"], "SCORE")] {
        assert!(ScoredEvaluation::new("Judge.", labels, tag).is_err());
    }
    assert!(TextLoss::new("  ").is_err());
    let error = evaluation.evaluate(&engine, &[]).unwrap_err().to_string();
    assert!(error.contains("0 for the labels"), "{error}");
}

#[test]
fn a_critic_does_not_solve() {
    let model = model();
    let engine = Engine::new(&model);
    let (question, answer) = (constant("2 + 2?", "question"), variable("5", "answer"));
    let loss =
        AnswerCritic::new("Think of units.").unwrap().evaluate_all(&engine, &[(&question, &answer)]).unwrap();
    assert_eq!(text(&model.asked()[0]), "Question:\n2 + 2?\n\nAnswer to look at:\n5");
    assert!(system(&model.asked()[0]).contains("Do not answer the question yourself"));
    loss[0].backward(&engine).unwrap();
    assert_eq!(answer.gradients().len(), 1);
}

#[test]
fn exact_matches_are_counted_by_a_program() {
    let cases = [
        ("so it is 12. The answer is 12.0.", "12", "1"),
        ("The answer is 11.", "12", "0"),
        ("none", "12", "0"),
    ];
    for (prediction, truth, expected) in cases {
        let outcome = exact_match(Kind::Number, &variable(prediction, "p"), &constant(truth, "t"));
        assert_eq!(outcome.value(), expected, "{prediction}");
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let wrong = [
        Parameters { temperature: f64::NAN, ..Parameters::default() },
        Parameters { temperature: 2.5, ..Parameters::default() },
        Parameters { top_p: 0.0, ..Parameters::default() },
        Parameters { max_tokens: 0, ..Parameters::default() },
        Parameters { excerpt_words: Some(0), ..Parameters::default() },
    ];
    for parameters in wrong {
        assert!(matches!(parameters.validate(), Err(Error::Parameter { .. })), "{parameters:?}");
    }
    let (one, two) = (variable("x", "one"), constant("y", "two"));
    assert!(TextualGradientDescent::new([two]).is_err() && TextualGradientDescent::new([]).is_err());
    let error = TextualGradientDescent::new([sum(&[one])]).err().unwrap().to_string();
    assert!(error.contains("the outcome of an operation"), "{error}");
}

#[test]
fn a_model_that_fails_says_about_what() {
    let model = Scripted::new(|text, _| (!text.contains("by what strategy")).then(|| "reply".into()));
    let engine = Engine::new(&model);
    let text_variable = variable("x", "solution to the riddle");
    let loss = TextLoss::new("Criticise.").unwrap().evaluate(&engine, &text_variable).unwrap();
    let error = loss.backward(&engine).unwrap_err().to_string();
    assert!(error.starts_with("feedback on the \"solution to the riddle\": "), "{error}");
}

proptest! {
    /// Of any graph: every text is criticised after everything that was made of it, once per outcome that it is a part of.
    #[test]
    fn graphs_are_walked_in_topological_order(
        edges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..25)
    ) {
        let model = Scripted::new(|_, _| Some("note".into()));
        let engine = Engine::new(&model);
        let mut nodes = vec![variable("v0", "node 0"), variable("v1", "node 1")];
        for (step, (one, two)) in edges.iter().enumerate() {
            let function = StringFunction::new("joins", |texts| texts.concat().chars().rev().take(3).collect())
                .with_response_role(format!("node {}", step + 2));
            let made = function.call(&[("one", one.get(&nodes)), ("two", two.get(&nodes))]);
            nodes.push(made);
        }
        let given = nodes.last().unwrap().backward(&engine).unwrap();
        prop_assert_eq!(given.len() as u64, engine.calls().backward);
        let number = |role: &str| role.trim_start_matches("node ").parse::<usize>().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for (place, feedback) in given.iter().enumerate() {
            let (on, through) = (number(&feedback.on), number(feedback.through.as_ref().unwrap()));
            prop_assert!(seen.insert((on, through)), "twice");
            // All feedback on the outcome came before.
            let later = given[place..].iter().any(|later| number(&later.on) == through);
            prop_assert!(!later, "{} before {}", on, through);
        }
    }
}
