//! Questions answered by a model that speaks as told.

use backstitch_data::bm25::Bm25Parameters;
use backstitch_data::passages::read_passages_from;
use backstitch_llm::answer::Kind;
use backstitch_llm::corpus::knowledge;
use backstitch_llm::question::{Question, read_questions_from};
use backstitch_llm::{FinishReason, Prompt, Request};
use backstitch_reason::Error;
use backstitch_reason::probtree::{
    Absent, Candidate, Choice, Combination, Confidence, Module, Modules, Parameters, Passages, ProbTree,
    Prompts, Solved,
};

use super::scripted::{Scripted, text};
use super::spoken::{Speaker, Spoken, spoken};

const QUESTION: &str = "Where does the longest river of Noria rise?";

fn questions(lines: &str) -> Vec<Question> {
    read_questions_from(lines.as_bytes(), "questions.jsonl".as_ref(), Kind::Text).unwrap()
}

fn one_question() -> Vec<Question> {
    questions(&format!("{{\"id\": \"q\", \"question\": {QUESTION:?}, \"answer\": \"The Kelda hills\"}}"))
}

fn passages(lines: &str) -> Option<Passages> {
    let read = read_passages_from(lines.as_bytes(), "passages".as_ref()).unwrap();
    Some(Passages::new(read, Bm25Parameters::default()).unwrap())
}

fn noria() -> Option<Passages> {
    passages(
        "{\"id\": \"longest\", \"title\": \"Noria\", \"text\": \"The longest river of Noria is the Sarn.\"}\n\
         {\"id\": \"rise\", \"text\": \"The Sarn does rise in the Kelda hills.\"}\n\
         {\"id\": \"other\", \"text\": \"Nobody knows it.\"}\n",
    )
}

fn method(parameters: Parameters, passages: Option<Passages>) -> ProbTree {
    ProbTree::new(parameters, Prompts::bare(), passages).unwrap()
}

/// The bare prompts' question.
fn asked(prompt: &str) -> &str {
    prompt.lines().find_map(|line| line.strip_prefix("Question: ")).unwrap()
}

/// A reply whose explanation has one log-probability, and the rest another.
fn explained(explanation: &str, answer: &str, log_probability: f64) -> Spoken {
    let mut reply = spoken(explanation, log_probability);
    reply.tokens.extend(spoken(&format!(" So the answer is: {answer}."), -7.0).tokens);
    reply
}

/// What the model of these tests says.
fn noria_says(prompt: &str) -> Option<Spoken> {
    if prompt.ends_with("Tree:") {
        let mut tree = spoken(&format!("{{{QUESTION:?}:"), -9.0);
        tree.tokens.extend(
            spoken(" [\"What is the longest river of Noria?\", \"Where does <1> rise?\"]", -0.2).tokens,
        );
        tree.tokens.extend(spoken(" }", -9.0).tokens);
        return Some(tree);
    }
    let open = prompt.starts_with("Passages:");
    Some(match (asked(prompt), open) {
        ("What is the longest river of Noria?", true) => explained("It is the Sarn.", "Sarn", -0.1),
        ("What is the longest river of Noria?", false) => explained("It is the Nor.", "Nor", -1.0),
        ("Where does Sarn rise?", true) => explained("I cannot tell.", "Unknown", -0.01),
        ("Where does Sarn rise?", false) => explained("In the Kelda hills, I think.", "Kelda hills", -0.3),
        (QUESTION, true) => explained("The Sarn rises in the hills.", "the hills", -0.25),
        (QUESTION, false) if prompt.starts_with("Context:") => {
            explained("The Sarn rises in the Kelda hills.", "Kelda hills", -0.04)
        }
        (QUESTION, false) => explained("Rivers rise in mountains.", "mountains", -2.0),
        _ => explained("That is somewhere else.", "elsewhere", -1.5),
    })
}

fn solve(parameters: Parameters, passages: Option<Passages>) -> Solved {
    method(parameters, passages).answer(&Speaker::new(noria_says), &one_question()).remove(0).unwrap()
}

fn candidate(solved: &Solved, node: usize, module: Module) -> &Candidate {
    solved.nodes[node].candidates.iter().find(|one| one.module == module).unwrap()
}

fn near(found: Option<f64>, expected: f64) {
    assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} for {expected}");
}

#[test]
fn a_tree_is_answered_from_its_leaves_up() {
    let model = Speaker::new(noria_says);
    let solved = method(Parameters::default(), noria()).answer(&model, &one_question()).remove(0).unwrap();
    let [river, rise, root] = &solved.nodes[..] else { panic!("three nodes") };
    assert_eq!((river.winner, river.answer.as_deref()), (Some(Module::OpenBook), Some("Sarn")));
    near(river.confidence, -0.1);
    assert_eq!(
        (rise.question.as_str(), rise.template.as_str()),
        ("Where does Sarn rise?", "Where does <1> rise?")
    );
    assert_eq!((rise.winner, rise.answer.as_deref()), (Some(Module::ClosedBook), Some("Kelda hills")));
    near(rise.confidence, -0.3);
    near(root.decomposition, -0.2);
    // (own explanation + decomposition + both sub-questions) / 4
    near(candidate(&solved, 2, Module::Children).own, -0.04);
    near(candidate(&solved, 2, Module::Children).confidence, (-0.04 - 0.2 - 0.1 - 0.3) / 4.0);
    assert_eq!((root.winner, solved.answer.as_deref()), (Some(Module::Children), Some("Kelda hills")));
    near(solved.confidence, -0.16);
    assert_eq!((solved.exact, solved.f1), (Some(true), Some(1.0)));
    assert_eq!(candidate(&solved, 2, Module::Children).explanation, "The Sarn rises in the Kelda hills.");
    // Trees, the leaf that waits for nothing, the one that waits for it, the root.
    assert_eq!(model.batches(), 4);
    assert_eq!(model.asked().len(), 1 + 2 + 2 + 3);
    assert_eq!(river.passages, ["longest", "rise"]);
    assert_eq!(root.passages, ["longest", "rise"]);
}

#[test]
fn what_waits_for_nothing_is_asked_together() {
    let line = |id: usize| format!("{{\"id\": {id}, \"question\": {QUESTION:?}}}\n");
    let many = questions(&(0..20).map(line).collect::<String>());
    let model = Speaker::new(noria_says);
    let all = method(Parameters::default(), noria()).answer(&model, &many);
    assert!(all.iter().all(|solved| solved.as_ref().unwrap().answer.as_deref() == Some("Kelda hills")));
    assert_eq!(model.batches(), 4);
}

#[test]
fn the_ablations() {
    let with = |parameters: Parameters| solve(parameters, noria());
    let default = Parameters::default;
    near(
        with(Parameters { combination: Combination::Sum, ..default() })
            .at_root(Module::Children)
            .unwrap()
            .confidence,
        -0.64,
    );
    let without = with(Parameters { combination: Combination::WithoutDecomposition, ..default() });
    near(without.at_root(Module::Children).unwrap().confidence, (-0.04 - 0.1 - 0.3) / 3.0);
    let whole = |leaves| with(Parameters { decompose: false, leaves, ..default() });
    assert_eq!(whole(Modules::CLOSED_BOOK).answer.as_deref(), Some("mountains"));
    assert_eq!(whole(Modules::OPEN_BOOK).answer.as_deref(), Some("the hills"));
    let tree = with(Parameters { inner: Modules::CHILDREN, ..default() });
    assert_eq!((tree.answer.as_deref(), tree.nodes[2].candidates.len()), (Some("Kelda hills"), 1));
    let closed = solve(default().closed_book(), None);
    assert_eq!(closed.nodes[0].answer.as_deref(), Some("Nor"));
    assert!(closed.nodes.iter().all(|node| node.passages.is_empty()));
}

#[test]
fn other_measures_of_confidence() {
    let with = |confidence| solve(Parameters { confidence, ..Parameters::default() }, noria());
    let of = |solved: Solved| solved.at_root(Module::OpenBook).unwrap().own;
    near(of(with(Confidence::Answer)), -7.0);
    near(of(with(Confidence::Smallest)), -0.25);
    let uneven = |prompt: &str| {
        let mut reply = noria_says(prompt)?;
        reply.tokens[1].1 = -3.0;
        Some(reply)
    };
    let parameters =
        Parameters { confidence: Confidence::Smallest, decompose: false, ..Parameters::default() };
    let solved =
        method(parameters, noria()).answer(&Speaker::new(uneven), &one_question()).remove(0).unwrap();
    near(solved.at_root(Module::OpenBook).unwrap().own, -3.0);
}

#[test]
fn a_random_choice_is_drawn_by_seed_question_and_node() {
    let with = |seed| {
        let parameters = Parameters { choice: Choice::Random, seed: Some(seed), ..Parameters::default() };
        let speaks = |prompt: &str| {
            noria_says(prompt)
                .or_else(|| Some(explained("Anything.", &format!("answer to {}", asked(prompt)), -1.0)))
        };
        method(parameters, noria()).answer(&Speaker::new(speaks), &one_question()).remove(0).unwrap()
    };
    assert_eq!(with(3), with(3));
    let winners: std::collections::BTreeSet<Module> =
        (0..60).map(|seed| with(seed).nodes[2].winner.unwrap()).collect();
    assert_eq!(winners.len(), 3);
}

#[test]
fn what_is_absent_does_not_spoil_the_mean() {
    // No answer to the first leaf: the second refers to it and is not asked, and nothing is put together from them.
    let model = Speaker::new(|prompt: &str| match noria_says(prompt)? {
        _ if prompt.contains("Question: What is the longest river") => {
            Some(spoken("I do not know any river.", -0.1))
        }
        other => Some(other),
    });
    let solved = method(Parameters::default(), noria()).answer(&model, &one_question()).remove(0).unwrap();
    assert_eq!((solved.nodes[0].answer.clone(), solved.nodes[0].winner), (None, None));
    assert_eq!(candidate(&solved, 0, Module::ClosedBook).absent, Some(Absent::NoAnswer));
    assert_eq!(solved.nodes[1].question, "Where does <1> rise?");
    assert!(solved.nodes[1].candidates.iter().all(|one| one.absent == Some(Absent::ReferenceAbsent)));
    let children = solved.at_root(Module::Children).unwrap();
    assert_eq!((children.confidence, children.absent), (None, Some(Absent::ChildAbsent)));
    near(children.own, -0.04);
    // The answer from passages, though the explanation of the other was surer.
    assert_eq!(solved.answer.as_deref(), Some("the hills"));
    near(solved.confidence, -0.25);
}

#[test]
fn answers_without_a_confidence_are_the_last_resort() {
    let whole = |reply: Spoken| {
        let parameters = Parameters { decompose: false, ..Parameters::default() }.closed_book();
        let model = Speaker::new(move |_: &str| Some(reply.clone()));
        method(parameters, None).answer(&model, &one_question()).remove(0).unwrap()
    };
    let bare = whole(spoken("So the answer is: Sarn.", -0.1));
    assert_eq!((bare.answer.as_deref(), bare.confidence), (Some("Sarn"), None));
    assert_eq!(bare.nodes[0].candidates[0].absent, Some(Absent::NoExplanation));
    let cut = whole(Spoken { finish: FinishReason::Length, ..explained("It is.", "Sarn", -0.1) });
    assert_eq!((cut.answer, cut.nodes[0].candidates[0].absent), (None, Some(Absent::CutOff)));
    let unknown = whole(explained("I cannot tell.", "Unknown", -0.1));
    assert_eq!((unknown.answer, unknown.nodes[0].candidates[0].absent), (None, Some(Absent::Unknown)));
    assert_eq!((unknown.exact, unknown.f1), (Some(false), Some(0.0)));
    let explained_unknown = whole(explained("I cannot tell.", "unknown (it is not said)", -0.1));
    assert_eq!(explained_unknown.answer, None);
    let soldier = whole(explained("It is a grave.", "Tomb of the Unknown Soldier", -0.1));
    assert_eq!(soldier.answer.as_deref(), Some("Tomb of the Unknown Soldier"));
    assert!(soldier.confidence.is_some());
}

#[test]
fn a_tree_that_cannot_be_read_leaves_a_leaf() {
    let model = Speaker::new(|prompt: &str| {
        if prompt.ends_with("Tree:") { Some(spoken("I would rather not.", -0.1)) } else { noria_says(prompt) }
    });
    let solved = method(Parameters::default(), noria()).answer(&model, &one_question()).remove(0).unwrap();
    assert_eq!(solved.undecomposed.as_deref(), Some("the reply holds no JSON object"));
    assert_eq!((solved.nodes.len(), solved.answer.as_deref()), (1, Some("the hills")));
}

#[test]
fn passages_that_do_not_fit_are_left_out() {
    let long = |id: &str, words: usize| {
        format!("{{\"id\": {id:?}, \"text\": \"river {}\"}}\n", "word ".repeat(words))
    };
    let all = long("a", 5) + &long("b", 10) + &long("c", 20) + &long("d", 90);
    let with = |passage_characters| {
        let parameters = Parameters { decompose: false, passage_characters, ..Parameters::default() };
        let model = Speaker::new(noria_says);
        let solved = method(parameters, passages(&all)).answer(&model, &one_question()).remove(0).unwrap();
        let longest = model.asked().iter().map(|request| text(request).len()).max().unwrap();
        (solved.nodes[0].passages.clone(), longest)
    };
    assert_eq!(with(12_000).0, ["a", "b", "c", "d"]);
    let (ids, longest) = with(200);
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(longest < 300);
    // The first is there in any case.
    let parameters = Parameters { decompose: false, passage_characters: 100, ..Parameters::default() };
    let only = passages(&long("d", 90));
    let solved =
        method(parameters, only).answer(&Speaker::new(noria_says), &one_question()).remove(0).unwrap();
    assert_eq!(solved.nodes[0].passages, ["d"]);
}

#[test]
fn passages_of_sub_questions_and_of_answers() {
    let with = |parameters| solve(parameters, noria()).nodes;
    let few = Parameters { top_k: 1, descendant_passages: 0, ..Parameters::default() };
    let nodes = with(few);
    assert_eq!(
        (&nodes[1].passages[..], &nodes[2].passages[..]),
        (&["rise".to_owned()][..], &["longest".to_owned()][..])
    );
    let nodes = with(Parameters { descendant_passages: 1, ..few });
    assert_eq!(nodes[2].passages, ["longest", "rise"]);
    let nodes = with(Parameters { entity_passages: 2, ..few });
    assert_eq!(nodes[1].passages, ["rise", "longest"]);
    let none = with(Parameters::default()).len();
    assert_eq!(none, 3);
    let solved = solve(
        Parameters { decompose: false, ..Parameters::default() },
        passages("Nothing shared, though.\n"),
    );
    assert_eq!(candidate(&solved, 0, Module::OpenBook).absent, Some(Absent::NoPassage));
}

#[test]
fn agreement_stands_for_log_probabilities() {
    let model = Scripted::new(|prompt: &str, sample| {
        Some(match (prompt.ends_with("Tree:"), sample) {
            (true, 4) => "no tree".into(),
            (true, _) => format!("{{{QUESTION:?}: [\"What is the longest river of Noria?\"]}}"),
            (false, 0) => "It is. So the answer is: the Nor.".into(),
            (false, 1..4) => "It is. So the answer is: Sarn.".into(),
            (false, _) => "I do not know.".into(),
        })
    });
    let parameters = Parameters { confidence: Confidence::Agreement, ..Parameters::default() }.closed_book();
    let solved = method(parameters, None).answer(&model, &one_question()).remove(0).unwrap();
    let share = |of_five: f64| (of_five / 5.0).ln();
    near(solved.nodes[0].confidence, share(3.0));
    near(solved.nodes[1].decomposition, share(4.0));
    near(solved.at_root(Module::Children).unwrap().confidence, (share(3.0) + share(4.0) + share(3.0)) / 3.0);
    assert_eq!(solved.answer.as_deref(), Some("Sarn"));
    for request in model.asked() {
        assert_eq!((request.samples, request.temperature, request.log_probabilities), (5, 0.7, None));
    }
    // Most samples know nothing.
    let silent = Scripted::new(|_: &str, sample| {
        Some(if sample < 2 { "It is. So the answer is: Sarn.".into() } else { "No.".into() })
    });
    let parameters = Parameters { decompose: false, ..parameters };
    let solved = method(parameters, None).answer(&silent, &one_question()).remove(0).unwrap();
    assert_eq!((solved.answer, solved.nodes[0].candidates[0].absent), (None, Some(Absent::NoAnswer)));
}

#[test]
fn a_failure_concerns_its_question_only() {
    let two = questions(&format!(
        "{{\"id\": 1, \"question\": {QUESTION:?}}}\n{{\"id\": 2, \"question\": \"What else?\"}}\n"
    ));
    let outcomes = method(Parameters::default(), noria()).answer(
        &Speaker::new(|prompt: &str| {
            if prompt.contains("else") && !prompt.ends_with("Tree:") { None } else { noria_says(prompt) }
        }),
        &two,
    );
    assert!(outcomes[0].is_ok());
    let Err(Error::Model { id, stage, .. }) = &outcomes[1] else { panic!("{:?}", outcomes[1]) };
    assert_eq!((id.as_str(), *stage), ("2", "closed book"));
}

#[test]
fn no_questions_ask_nothing() {
    let model = Speaker::new(noria_says);
    assert!(method(Parameters::default(), noria()).answer(&model, &[]).is_empty());
    assert!(model.asked().is_empty());
}

#[test]
fn bare_requests_are_those_that_the_embedded_model_learned() {
    let model = Speaker::new(noria_says);
    method(Parameters::default(), noria()).answer(&model, &one_question()).remove(0).unwrap();
    let asked: Vec<Request> = model.asked();
    assert!(asked.iter().all(|request| request.system.is_none() && request.log_probabilities == Some(0)));
    let prompts: Vec<&str> = asked
        .iter()
        .map(|request| match &request.prompt {
            Prompt::Messages(messages) => {
                assert_eq!(messages.len(), 1);
                messages[0].content.as_str()
            }
            Prompt::Raw(_) => panic!("a conversation is expected"),
        })
        .collect();
    let shown = ["Noria: The longest river of Noria is the Sarn.", "The Sarn does rise in the Kelda hills."];
    let children =
        [("What is the longest river of Noria?", "Sarn"), ("Where does Sarn rise?", "Kelda hills")];
    for expected in [
        knowledge::decomposition_prompt(QUESTION),
        knowledge::closed_book_prompt(QUESTION),
        knowledge::open_book_prompt(&shown, QUESTION),
        knowledge::aggregating_prompt(&children, QUESTION),
    ] {
        assert!(prompts.contains(&expected.as_str()), "{expected:?} in {prompts:#?}");
    }
}

#[test]
fn prompts_hold_what_they_should() {
    let prompts = Prompts::default();
    let method = ProbTree::new(Parameters::default(), prompts.clone(), noria()).unwrap();
    let model = Speaker::new(noria_says);
    // The demonstrations come before; the last question is the one that is asked.
    let speaks = |prompt: &str| {
        let last = prompt.rsplit_once("\n\n").unwrap().1;
        noria_says(last)
    };
    let full = Speaker::new(speaks);
    assert_eq!(
        method.answer(&full, &one_question()).remove(0).unwrap().answer.as_deref(),
        Some("Kelda hills")
    );
    drop(model);
    for request in full.asked() {
        assert!(request.system.as_deref().is_some_and(|system| !system.is_empty()));
        let prompt = text(&request);
        assert!(prompt.matches("Question: ").count() >= 3, "{prompt}");
        assert!(prompt.ends_with("Answer:") || prompt.ends_with("Tree:"));
    }
    // Every tree that is shown can be read, and every answer has its mark behind an explanation.
    for one in &prompts.decomposition.demonstrations {
        let caps = backstitch_reason::probtree::Caps { levels: 3, nodes: 12 };
        let tree = backstitch_reason::probtree::Tree::parse(&one.tree, &one.question, caps).unwrap();
        assert!(tree.nodes.len() >= 3);
    }
    assert_eq!(serde_json::from_str::<Prompts>(&serde_json::to_string(&prompts).unwrap()).unwrap(), prompts);
    let own: Prompts = serde_json::from_str("{\"closed_book\": {\"instruction\": \"Answer.\"}}").unwrap();
    assert_eq!((own.closed_book.demonstrations.len(), own.children.clone()), (0, prompts.children.clone()));
    let mut wrong = prompts.clone();
    wrong.open_book.demonstrations[0].passages.clear();
    let refused = ProbTree::new(Parameters::default(), wrong, noria()).unwrap_err().to_string();
    assert!(refused.starts_with("a demonstration of open_book is \"In which"), "{refused}");
    let mut wrong = prompts;
    wrong.children.demonstrations[0].context.clear();
    assert!(ProbTree::new(Parameters::default(), wrong, noria()).is_err());
}

#[test]
fn parameters_outside_their_range_are_named() {
    let default = Parameters::default;
    let cases = [
        (Parameters { top_k: 0, ..default() }, "top_k is 0, but must be from 1 to 100; "),
        (
            Parameters { descendant_passages: 101, ..default() },
            "descendant_passages is 101, but must be at most 100; ",
        ),
        (
            Parameters { passage_characters: 99, ..default() },
            "passage_characters is 99, but must be at least 100; ",
        ),
        (Parameters { most_levels: 0, ..default() }, "most_levels is 0, but must be from 1 to 10; "),
        (Parameters { most_nodes: 101, ..default() }, "most_nodes is 101, but must be from 1 to 100; "),
        (Parameters { answer_tokens: 0, ..default() }, "answer_tokens is 0, but must be at least 1; "),
        (
            Parameters { confidence: Confidence::Agreement, samples: 1, ..default() },
            "samples is 1, but must be from 2 to 100; ",
        ),
        (
            Parameters { confidence: Confidence::Agreement, temperature: f64::NAN, ..default() },
            "temperature is NaN, but must be above 0 and at most 2; ",
        ),
        (
            Parameters { leaves: Modules::CHILDREN, ..default() },
            "leaves is without both, but must be closed book, open book, or both; ",
        ),
    ];
    for (parameters, message) in cases {
        let found = ProbTree::new(parameters, Prompts::bare(), noria()).unwrap_err().to_string();
        assert!(found.starts_with(message), "{found}");
    }
    let found = ProbTree::new(default(), Prompts::bare(), None).unwrap_err().to_string();
    assert_eq!(
        found,
        "passages is none, but must be there for answers from the open book; give some, or answer from the closed book only"
    );
}
