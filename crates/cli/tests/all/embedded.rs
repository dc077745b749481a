//! The embedded models: each method that asks one, with nothing set up.

use serde_json::Value;

use crate::sandbox::Sandbox;
use crate::snapshot::session;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn fobar_answers_word_problems() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &words("embedded questions --skill arithmetic --count 10 --out questions.jsonl"));
    sandbox.expect(0, &words("run fobar --model embedded --data questions.jsonl --out answers.jsonl"));
    assert_eq!(lines(&sandbox.read("answers.jsonl")).len(), 10);
}

#[test]
fn probtree_knows_some_and_looks_up_some() {
    let sandbox = Sandbox::new();
    sandbox.expect(
        0,
        &words(
            "embedded questions --skill knowledge --count 30 --out questions.jsonl --passages passages.jsonl",
        ),
    );
    let asked = "run probtree --model embedded-1 --data questions.jsonl --passages passages.jsonl --out answers.jsonl";
    sandbox.expect(0, &words(asked));
    let answers = lines(&sandbox.read("answers.jsonl"));
    let right = answers.iter().filter(|answer| answer["exact"] == true).count();
    assert!(answers.len() == 30 && (6..30).contains(&right), "{right} of {}", answers.len());
    // Its own words again cost nothing.
    let again = sandbox.expect(0, &[words(asked), vec!["--json"]].concat());
    assert_eq!(again.json()["used"]["requests"], 0, "{}", again.json());
}

#[test]
fn textgrad_finds_a_hidden_code() {
    let sandbox = Sandbox::new();
    sandbox.write("code.txt", "3 7 0\n");
    let test = format!("'{}' embedded check --hidden '8 2 5' {{}}", env!("CARGO_BIN_EXE_backstitch"));
    let mut asked = words("run textgrad code --model embedded --program code.txt --steps 8 --out found.txt");
    asked.extend(["--test-command", &test]);
    sandbox.expect(0, &asked);
    assert_eq!(sandbox.read("found.txt").trim(), "8 2 5");
}

#[test]
fn what_cannot_be_asked_is_said() {
    let sandbox = Sandbox::new();
    sandbox.write("code.txt", "3 70\n");
    for (file, problem) in [("code.txt", "\"3 70\\n\" is no code"), ("absent.txt", "No such file")] {
        let outcome = sandbox.expect(2, &["embedded", "check", file, "--hidden", "8 2 5"]);
        assert!(outcome.stderr.contains(problem), "{outcome:?}");
    }
    let commands = [
        "embedded check --hidden 8 code.txt",
        "embedded questions --skill arithmetic --count 0 --out questions.jsonl",
        "embedded questions --skill knowledge --count 100000 --out questions.jsonl",
        "embedded questions --skill feedback --out questions.jsonl",
        "embedded questions --skill arithmetic --out questions.jsonl --passages passages.jsonl",
        "embedded questions --skill knowledge --out questions.jsonl --passages questions.jsonl",
        "embedded questions --skill knowledge --out absent/questions.jsonl",
        "embedded export --skill knowledge --seed 3 --out folder",
    ];
    session("embedded", &sandbox, &[], &commands);
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}
