//! `run probtree` against a language model on the loopback interface.

use serde_json::{Value, json};

use crate::loopback::{Asked, Loopback};
use crate::sandbox::Sandbox;

/// What so many questions take: a tree, two answers to each of two leaves and three to the question itself. The second leaf is the same
/// for all, with the same passages, and is asked once.
const fn requests(questions: usize) -> usize {
    questions * (1 + 2 * 2 + 3) - 2 * (questions - 1)
}

/// Where each river rises is in the passages, except for the Sarn, which the model knows; what flows where it knows only by guess.
pub(crate) fn model(asked: &Asked, _: u64) -> Option<String> {
    let prompt =
        asked.body["messages"][1]["content"].as_str().or(asked.body["messages"][0]["content"].as_str())?;
    let last = prompt.rsplit_once("\n\n").map_or(prompt, |(_, last)| last);
    let question = asked.question().lines().next()?;
    if last.ends_with("Tree:") {
        let country = question.strip_prefix("Where does the river of ")?.strip_suffix(" rise?")?;
        return Some(format!(
            "{{\"{question}\": [\"What is the river of {country}?\", \"Where does <1> rise?\"]}}"
        ));
    }
    let explained =
        |explanation: &str, answer: &str| Some(format!("{explanation} So the answer is: {answer}."));
    let (open, from_below) = (last.starts_with("Passages:"), last.starts_with("Context:"));
    if let Some(country) = question.strip_prefix("What is the river of ") {
        let country = country.trim_end_matches('?');
        let (_, river) =
            last.split_once(&format!("The river of {country} is the ")).filter(|_| open).unwrap_or(("", ""));
        return match river.split_once('.') {
            Some((river, _)) => explained("The passage says so.", river),
            None => explained("Perhaps it is the", "Nor"),
        };
    }
    if from_below {
        let answer = last.split_once("rise? ")?.1.lines().next()?;
        return explained("Both are answered.", answer);
    }
    match (question, open) {
        ("Where does Sarn rise?", true) => explained("The passages do not say.", "Unknown"),
        ("Where does Sarn rise?", false) => explained("I know that river.", "the Kelda hills"),
        (_, true) => explained("Perhaps it is in the", "marshes"),
        (_, false) => explained("Perhaps it is in the", "mountains"),
    }
}

pub(crate) fn write(sandbox: &Sandbox, count: usize) {
    let question = |id: usize| {
        format!(
            "{{\"id\": {id}, \"question\": \"Where does the river of Noria {id} rise?\", \"answer\": \"Kelda Hills\"}}\n"
        )
    };
    sandbox.write("questions.jsonl", (1..=count).map(question).collect::<String>());
    let passage = |id: usize| {
        format!(
            "{{\"id\": \"p{id}\", \"title\": \"Noria {id}\", \"text\": \"The river of Noria {id} is the Sarn.\"}}\n"
        )
    };
    sandbox.write("passages.jsonl", (1..=count).map(passage).collect::<String>());
}

pub(crate) fn arguments<'a>(base: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["run", "probtree", "--model", base, "--model-name", "toy", "--data", "questions.jsonl"];
    [&fixed[..], more].concat()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn trees_are_answered_scored_and_kept() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    write(&sandbox, 2);
    let open = ["--passages", "passages.jsonl", "--top-k", "1", "--out", "answers.jsonl"];
    let summary = sandbox.expect(0, &arguments(&server.base, &[&open[..], &["--json"]].concat())).json();
    assert_eq!(server.asked().len(), requests(2));
    assert!(
        server.asked().iter().all(|asked| asked.body["logprobs"] == true && asked.body["temperature"] == 0.0)
    );
    assert_eq!(summary["leaves"], json!({"closed_book": 2, "open_book": 2, "children": 0, "none": 0}));
    assert_eq!(summary["inner"], json!({"closed_book": 0, "open_book": 0, "children": 2, "none": 0}));
    let accuracy = &summary["accuracy"];
    assert_eq!(accuracy["probtree"], json!({"exact": 1.0, "f1": 1.0}));
    assert_eq!((&accuracy["open_book"], &accuracy["known"]), (&json!({"exact": 0.0, "f1": 0.0}), &json!(2)));
    // With the one that finds out whether the server gives log-probabilities.
    assert_eq!(summary["used"]["requests"], requests(2) + 1);

    let answers = lines(&sandbox.read("answers.jsonl"));
    let first = &answers[0];
    assert_eq!((&first["schema"], &first["id"]), (&"backstitch/probtree-answer/1".into(), &"1".into()));
    assert_eq!((&first["answer"], &first["exact"]), (&"the Kelda hills".into(), &true.into()));
    let nodes = first["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    assert_eq!((&nodes[0]["winner"], &nodes[0]["answer"]), (&"open-book".into(), &"Sarn".into()));
    assert_eq!(nodes[0]["passages"], json!(["p1"]));
    assert_eq!(
        (&nodes[1]["question"], &nodes[1]["template"]),
        (&"Where does Sarn rise?".into(), &"Where does <1> rise?".into())
    );
    assert_eq!(
        (&nodes[1]["winner"], &nodes[1]["candidates"][1]["absent"]),
        (&"closed-book".into(), &"unknown".into())
    );
    assert_eq!((&nodes[2]["winner"], &nodes[2]["children"]), (&"children".into(), &json!([0, 1])));
    // All tokens of what counts have the same log-probability.
    assert!((first["confidence"].as_f64().unwrap() + 0.25).abs() < 1e-12);

    // Again: everything is kept, and the same comes out, also on standard output.
    let again = sandbox.expect(0, &arguments(&server.base, &open[..4]));
    assert_eq!(server.asked().len(), requests(2));
    assert_eq!(again.stdout, sandbox.read("answers.jsonl"));
    assert!(again.stderr.contains("probtree             100.0 % exact  100.0 F1"), "{again:?}");
    // Another choice among the same replies asks nothing.
    let random = [&open[..], &["--choice", "random", "--combination", "sum"]].concat();
    sandbox.expect(0, &arguments(&server.base, &random[..4]));
    assert_eq!(server.asked().len(), requests(2));
    let whole = sandbox.expect(
        0,
        &arguments(&server.base, &[&open[..4], &["--no-tree", "--leaves", "closed-book"]].concat()),
    );
    assert_eq!(lines(&whole.stdout)[0]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(lines(&whole.stdout)[0]["answer"], "mountains");
}

#[test]
fn closed_book_needs_no_passages_and_agreement_no_log_probabilities() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    write(&sandbox, 1);
    let said = sandbox.expect(0, &arguments(&server.base, &["--closed-book", "--json"])).json();
    assert_eq!((server.asked().len(), &said["answers"][0]["nodes"][0]["answer"]), (1 + 2 + 2, &"Nor".into()));
    let agreement = ["--closed-book", "--confidence", "agreement", "--samples", "3", "--json"];
    let said = sandbox.expect(0, &arguments(&server.base, &agreement)).json();
    assert_eq!(said["answers"][0]["confidence"], 0.0);
    let last = &server.asked()[9].body;
    assert_eq!((&last["n"], &last["temperature"], &last["logprobs"]), (&3.into(), &0.7.into(), &Value::Null));
    // The server gives none for texts to be continued.
    let outcome = sandbox.expect(2, &arguments(&server.base, &["--closed-book", "--completions"]));
    assert!(
        outcome.stderr.contains("no token logprobs") && outcome.stderr.contains("agreement confidence"),
        "{outcome:?}"
    );
}

#[test]
fn a_dry_run_sends_nothing_and_a_limit_is_continued() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    write(&sandbox, 3);
    let with = |more: &[&'static str]| {
        let open = ["--passages", "passages.jsonl", "--top-k", "1", "--concurrency", "1"];
        [&open[..], more].concat()
    };
    let dry = with(&["--dry-run", "--price-in", "1", "--price-out", "1", "--json"]);
    let before = sandbox.expect(0, &arguments(&server.base, &dry)).json();
    assert_eq!((server.asked().len(), &before["trees"]["requests"]), (0, &3.into()));
    // Six leaves and six questions with sub-questions at most.
    assert_eq!(before["most_answers"]["requests"], 3 * (6 * 2 + 6 * 3));
    assert!(before["at_most"]["cost"].as_f64().unwrap() > 0.0);
    assert_eq!(sandbox.entries(""), ["passages.jsonl", "questions.jsonl"]);
    let whole = [&dry[..], &["--no-tree"]].concat();
    assert_eq!(sandbox.expect(0, &arguments(&server.base, &whole)).json()["at_most"]["requests"], 3 * 2);

    let limited = with(&["--out", "answers.jsonl", "--max-requests", "10"]);
    let outcome = sandbox.expect(130, &arguments(&server.base, &limited));
    assert!(outcome.stdout.contains("3 not finished"), "{outcome:?}");
    assert!(lines(&sandbox.read("answers.jsonl")).iter().all(|line| line["error"].is_string()));
    sandbox.expect(130, &arguments(&server.base, &limited));
    sandbox.expect(0, &arguments(&server.base, &limited));
    assert_eq!(server.asked().len(), requests(3));
    let after = sandbox.expect(0, &arguments(&server.base, &dry)).json();
    // Handed over to every question.
    assert_eq!((&after["kept"], &after["at_most"]["requests"]), (&(3 * 8).into(), &0.into()));
    sandbox.expect(0, &arguments(&server.base, &with(&["--out", "whole.jsonl", "--cache", "other.sqlite"])));
    assert_eq!(sandbox.read("answers.jsonl"), sandbox.read("whole.jsonl"));
}

#[test]
fn bad_input_is_named_before_anything_is_asked() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    write(&sandbox, 1);
    sandbox.write("options.jsonl", "{\"id\": 1, \"question\": \"Which?\", \"options\": [\"a\", \"b\"]}");
    sandbox.write("empty.jsonl", "\n");
    sandbox.write("untitled.jsonl", "{\"id\": 1, \"body\": \"text\"}");
    sandbox.write("twice.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 1, \"text\": \"b\"}\n");
    sandbox.write("prompts.json", "{\"closed_book\": {\"demos\": []}}");
    let open = ["--passages", "passages.jsonl"];
    let cases: [(&[&str], &str); 14] = [
        (&[], "--passages <FILE>"),
        (&["--passages", "none.jsonl"], "none.jsonl"),
        (&["--passages", "empty.jsonl"], "empty.jsonl: there are no passages"),
        (&["--passages", "untitled.jsonl"], "untitled.jsonl, line 1: passage \"1\" has no `text`"),
        (&["--passages", "twice.jsonl"], "twice.jsonl, line 2: the id \"1\" stands in line 1 too"),
        (&["--passages", "passages.jsonl", "--top-k", "0"], "top_k is 0, but must be from 1 to 100"),
        (&["--passages", "passages.jsonl", "--closed-book"], "cannot be used with"),
        (&["--passages", "passages.jsonl", "--leaves", "children"], "invalid value 'children'"),
        (
            &["--passages", "passages.jsonl", "--most-levels", "0"],
            "most_levels is 0, but must be from 1 to 10",
        ),
        (
            &["--passages", "passages.jsonl", "--confidence", "agreement", "--samples", "1"],
            "samples is 1, but must be from 2",
        ),
        (
            &["--passages", "passages.jsonl", "--confidence", "agreement", "--temperature", "0"],
            "temperature is 0, but must be above 0",
        ),
        (
            &["--passages", "passages.jsonl", "--prompts", "prompts.json"],
            "prompts.json: unknown field `demos`",
        ),
        (
            &["--passages", "passages.jsonl", "--out", "passages.jsonl"],
            "passages.jsonl cannot be written: it is also the file of --passages",
        ),
        (&["--passages", "passages.jsonl", "--out", "none/answers.jsonl"], "there is no folder none"),
    ];
    for (more, message) in cases {
        let outcome = sandbox.expect(2, &arguments(&server.base, more));
        assert!(outcome.stderr.contains(message), "{more:?}: {outcome:?}");
    }
    let options =
        ["run", "probtree", "--model", &server.base, "--model-name", "toy", "--data", "options.jsonl"];
    let outcome = sandbox.expect(2, &[&options[..], &open].concat());
    assert!(
        outcome.stderr.contains("question \"1\" has `options`") && outcome.stderr.contains("hint: "),
        "{outcome:?}"
    );
    assert_eq!(server.asked().len(), 0);
}
