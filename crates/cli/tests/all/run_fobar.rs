//! `run fobar` against a language model on the loopback interface, and `cache` over what it kept.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::exit_codes::signal;
use crate::loopback::{Asked, Loopback};
use crate::sandbox::{Outcome, Sandbox};
use crate::snapshot::session;

/// What one question that is checked takes: one forward request, and a backward one for each of two masks and two candidates.
const REQUESTS: usize = 5;

/// Where answers are kept if nothing is said.
const CACHE: &str = ".local/state/backstitch/replies.sqlite";

/// A model that adds apples and pears, of ten times six times wrongly; backward it solves for x without fail. Any other question has
/// the answer 11.
fn model(asked: &Asked, sample: u64) -> Option<String> {
    let question = asked.question();
    let Some((apples, rest)) =
        question.split_once("has ").and_then(|(_, rest)| rest.split_once(" apples and buys "))
    else {
        return Some("The answer is 11.".into());
    };
    let pears = rest.split_once(" pears").unwrap().0;
    let number = |text: &str| text.parse::<i64>().ok();
    Some(match (number(apples), number(pears)) {
        (Some(apples), Some(pears)) => {
            let answer = apples + pears + i64::from(sample < 6);
            format!("{apples} + {pears} = {answer}. The answer is {answer}.")
        }
        (one, other) => {
            let stated = rest.split_once("The answer of this question is ").unwrap().1;
            let stated = number(stated.split_once('.').unwrap().0).unwrap();
            format!("The value of x is {}.", stated - one.or(other).unwrap())
        }
    })
}

/// Questions that are checked, each with four other numbers.
fn questions(count: i64) -> String {
    let line = |id: i64| {
        let (apples, pears) = (10 * id + 3, 10 * id + 4);
        format!(
            "{{\"id\": \"fruit-{id}\", \"question\": \"Ann has {apples} apples and buys {pears} pears. How many fruits has she?\", \
             \"answer\": {}}}\n",
            apples + pears
        )
    };
    (1..=count).map(line).collect()
}

fn arguments<'a>(base: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "fobar", "--model", base, "--model-name", "toy", "--data", "questions.jsonl"], more].concat()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn answers_are_checked_and_counted() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    let others = "{\"id\": 7, \"question\": \"Tom has 5 cats and gets 6 more. How many cats has he?\", \"answer\": \"#### 11\"}\n\
                  {\"id\": 8, \"question\": \"How many players has a team?\"}\n";
    sandbox.write("questions.jsonl", questions(2) + others);
    let priced = ["--out", "answers.jsonl", "--price-in", "1", "--price-out", "10", "--json"];
    let summary = sandbox.expect(0, &arguments(&server.base, &priced)).json();
    // Four forward requests, and four backward ones for each of the two questions on which the samples disagree.
    assert_eq!(server.asked().len(), 4 + 2 * 4);
    assert_eq!(server.asked()[0].path, "/v1/chat/completions");
    let used = &summary["used"];
    assert_eq!((used["requests"].as_u64(), used["samples"].as_u64()), (Some(12), Some(4 * 10 + 8 * 8)));
    assert_eq!((used["prompt_tokens"].as_u64(), used["completion_tokens"].as_u64()), (Some(1200), Some(520)));
    assert_eq!(used["cost"].as_f64(), Some((1200.0 + 5200.0) / 1e6));
    assert_eq!(used["kept_samples"], 0);
    let accuracy = &summary["accuracy"];
    assert_eq!((accuracy["known"].as_u64(), accuracy["only_fobar"].as_u64()), (Some(3), Some(2)));
    assert_eq!((accuracy["fobar"].as_f64(), accuracy["majority"].as_f64()), (Some(1.0), Some(1.0 / 3.0)));

    let answers = lines(&sandbox.read("answers.jsonl"));
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, ["fruit-1", "fruit-2", "7", "8"]);
    let first = &answers[0];
    assert_eq!(first["schema"], "backstitch/fobar-answer/1");
    assert_eq!((&first["answer"], &first["majority"]), (&"27".into(), &"28".into()));
    assert_eq!((&first["correct"], &first["majority_correct"]), (&true.into(), &false.into()));
    assert_eq!(
        (&first["candidates"][0]["recovered"], &first["candidates"][1]["recovered"]),
        (&0.into(), &16.into())
    );
    assert_eq!((&answers[2]["unchecked"], &answers[3]["correct"]), (&"one-candidate".into(), &Value::Null));

    // Again: everything is kept, and the same comes out.
    let again = sandbox.expect(0, &arguments(&server.base, &["--out", "again.jsonl"]));
    assert_eq!(server.asked().len(), 12);
    assert_eq!(sandbox.read("again.jsonl"), sandbox.read("answers.jsonl"));
    assert!(
        again.stdout.contains("104 samples, 104 of them kept from before · 0 requests"),
        "{}",
        again.stdout
    );
    assert!(sandbox.path(CACHE).exists());
    // Without --out, the same lines on standard output.
    let said = sandbox.expect(0, &arguments(&server.base, &[]));
    assert_eq!(said.stdout, sandbox.read("answers.jsonl"));
    let said = sandbox.expect(0, &arguments(&server.base, &["--json"])).json();
    assert_eq!(said["answers"], Value::from(answers));

    // Other samples are another question to the model; other weights are not.
    sandbox.expect(0, &arguments(&server.base, &["--alpha", "1"]));
    assert_eq!(server.asked().len(), 12);
    sandbox.expect(0, &arguments(&server.base, &["--alpha", "1", "--seed", "3"]));
    assert_eq!(server.asked().len(), 16);
    assert_eq!(server.asked()[15].body["seed"], 3);
}

#[test]
fn answers_are_kept_where_the_environment_or_the_user_says() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("questions.jsonl", questions(1));
    let command = |more: &[&str]| sandbox.command(&arguments(&server.base, more));
    let state = sandbox.path("state");
    let outcome = Outcome::of(command(&[]).env("XDG_STATE_HOME", &state).output().unwrap());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(state.join("backstitch/replies.sqlite").exists());
    // A relative path there is ignored, as its specification says.
    let outcome = Outcome::of(command(&[]).env("XDG_STATE_HOME", "relative").output().unwrap());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(sandbox.path(CACHE).exists() && !sandbox.path("relative").exists());
    sandbox.expect(0, &arguments(&server.base, &["--cache", "own/replies.sqlite"]));
    assert!(sandbox.path("own/replies.sqlite").exists());
    assert_eq!(server.asked().len(), 3 * REQUESTS);
    let nowhere = Outcome::of(command(&[]).env_remove("HOME").output().unwrap());
    assert!(
        nowhere.code == Some(2) && nowhere.stderr.contains("hint: name a file with --cache"),
        "{nowhere:?}"
    );
    let none = Outcome::of(command(&["--no-cache"]).env_remove("HOME").output().unwrap());
    assert_eq!((none.code, server.asked().len()), (Some(0), 4 * REQUESTS), "{none:?}");
}

#[test]
fn a_dry_run_sends_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("questions.jsonl", questions(4));
    let dry = ["--dry-run", "--price-in", "1", "--price-out", "1", "--json"];
    let before = sandbox.expect(0, &arguments(&server.base, &dry)).json();
    assert_eq!(server.asked().len(), 0);
    assert_eq!(sandbox.entries(""), ["questions.jsonl"]);
    assert_eq!(
        (&before["kept"], &before["forward"]["requests"], &before["forward"]["samples"]),
        (&0.into(), &4.into(), &40.into())
    );
    // Two masks, and at most as many candidates as forward samples.
    assert_eq!(
        (&before["backward"]["requests"], &before["most_backward"]["requests"]),
        (&0.into(), &80.into())
    );
    assert_eq!(before["at_most"]["completion_tokens"], 512 * (40 + 80 * 8));
    assert!(before["at_most"]["cost"].as_f64().unwrap() > 0.0);

    // With all forward samples there, it is known what the backward ones take.
    sandbox.expect(130, &arguments(&server.base, &["--max-requests", "4", "--concurrency", "1"]));
    let between = sandbox.expect(0, &arguments(&server.base, &dry)).json();
    assert_eq!((&between["kept"], &between["forward"]["requests"]), (&40.into(), &0.into()));
    assert_eq!(
        (&between["backward"]["requests"], &between["most_backward"]["requests"]),
        (&16.into(), &0.into())
    );
    sandbox.expect(0, &arguments(&server.base, &[]));
    let after = sandbox.expect(0, &arguments(&server.base, &dry)).json();
    assert_eq!((&after["kept"], &after["at_most"]["requests"]), (&(40 + 16 * 8).into(), &0.into()));
    assert_eq!(server.asked().len(), 4 * REQUESTS);
}

#[test]
fn a_limit_stops_and_the_same_command_continues() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("questions.jsonl", questions(4));
    let limited =
        arguments(&server.base, &["--out", "answers.jsonl", "--max-requests", "7", "--concurrency", "2"]);
    let outcome = sandbox.expect(130, &limited);
    assert!(outcome.stderr.contains("the limit of 7 requests is reached"), "{outcome:?}");
    assert_eq!((server.asked().len(), outcome.stderr.matches("hint: ").count()), (7, 1));
    assert!(outcome.stdout.contains("4 questions · 0 checked backward · 4 not finished"), "{outcome:?}");
    assert!(lines(&sandbox.read("answers.jsonl")).iter().all(|line| line["error"].is_string()));
    sandbox.expect(130, &limited);
    assert_eq!(server.asked().len(), 14);
    sandbox.expect(0, &limited);
    // Each once.
    assert_eq!(server.asked().len(), 4 * REQUESTS);
    let different: BTreeSet<String> = server.asked().iter().map(|asked| asked.body.to_string()).collect();
    assert_eq!(different.len(), 4 * REQUESTS);
    sandbox.expect(0, &arguments(&server.base, &["--out", "whole.jsonl", "--cache", "other.sqlite"]));
    assert_eq!(sandbox.read("answers.jsonl"), sandbox.read("whole.jsonl"));

    // No request goes out that might cost too much.
    let costly = ["--max-cost", "0.001", "--price-in", "1", "--price-out", "1", "--no-cache"];
    let outcome = sandbox.expect(130, &arguments(&server.base, &costly));
    assert!(outcome.stderr.contains("the limit of cost 0.001 is reached"), "{outcome:?}");
    assert!(outcome.stderr.contains("with --no-cache nothing was kept"), "{outcome:?}");
    assert_eq!(server.asked().len(), 8 * REQUESTS);
    let outcome = sandbox.expect(130, &arguments(&server.base, &["--max-seconds", "0", "--no-cache"]));
    assert!(outcome.stderr.contains("the limit of 0 seconds is reached"), "{outcome:?}");
}

#[test]
fn interrupted_it_continues() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(|asked, sample| {
        if sample == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        model(asked, sample)
    });
    sandbox.write("questions.jsonl", questions(4));
    let command = arguments(&server.base, &["--out", "answers.jsonl", "--concurrency", "1"]);
    let child = sandbox.command(&command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while server.asked().len() < 6 {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal("INT", child.id());
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(130), "interrupted; the same command continues\n")
    );
    assert!(!sandbox.path("answers.jsonl").exists());
    sandbox.expect(0, &command);
    // What was on its way is asked again: at most two, as one may have been sent after the signal.
    let asked = server.asked().len();
    assert!((4 * REQUESTS..=4 * REQUESTS + 2).contains(&asked), "{asked}");
    assert_eq!(lines(&sandbox.read("answers.jsonl"))[3]["answer"], "87");
}

#[test]
fn one_question_that_fails_leaves_the_others() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(|asked, sample| {
        let refused = asked.question().starts_with("Ann has 23 ");
        if refused { None } else { model(asked, sample) }
    });
    sandbox.write("questions.jsonl", questions(3));
    let outcome = sandbox.expect(1, &arguments(&server.base, &["--out", "answers.jsonl"]));
    assert!(outcome.stderr.contains("warning: question \"fruit-2\", forward: "), "{outcome:?}");
    assert!(outcome.stdout.contains("3 questions · 2 checked backward · 1 failed"), "{outcome:?}");
    let answers = lines(&sandbox.read("answers.jsonl"));
    assert_eq!((&answers[0]["correct"], &answers[2]["correct"]), (&true.into(), &true.into()));
    let error = answers[1]["error"].as_str().unwrap();
    assert!(error.contains("status 400: this prompt is refused") && answers[1]["id"] == "fruit-2", "{error}");

    // Nothing answered at all: the reason, and no file.
    sandbox.write("questions.jsonl", "{\"id\": 1, \"question\": \"Ann has 23 apples?\"}");
    let outcome = sandbox.expect(2, &arguments(&server.base, &["--out", "none.jsonl"]));
    assert!(
        outcome.stderr.contains("this prompt is refused") && outcome.stderr.contains("\nhint: "),
        "{outcome:?}"
    );
    assert!(!sandbox.path("none.jsonl").exists());
    let outcome = sandbox.expect(2, &arguments("http://127.0.0.1:1/v1", &["--out", "none.jsonl"]));
    assert!(outcome.stderr.contains("hint: check that the server runs"), "{outcome:?}");
}

#[test]
fn a_recording_needs_no_server() {
    let sandbox = Sandbox::new();
    let base = {
        let server = Loopback::start(model);
        sandbox.write("questions.jsonl", questions(2));
        sandbox.expect(0, &arguments(&server.base, &["--out", "answers.jsonl", "--record", "replies.jsonl"]));
        assert_eq!(server.asked().len(), 2 * REQUESTS);
        // What the cache holds is recorded too, and what the recording holds is not asked again.
        sandbox.expect(0, &arguments(&server.base, &["--record", "kept.jsonl"]));
        sandbox.expect(0, &arguments(&server.base, &["--record", "replies.jsonl", "--no-cache"]));
        assert_eq!(server.asked().len(), 2 * REQUESTS);
        server.base
    };
    assert_eq!(lines(&sandbox.read("replies.jsonl")).len(), 2 * (10 + 4 * 8));
    let replay =
        ["run", "fobar", "--replay", "replies.jsonl", "--data", "questions.jsonl", "--out", "replayed.jsonl"];
    let by = |more: &[&str]| sandbox.run(&[&replay[..], more].concat());
    let with_address = ["--model", &base, "--model-name", "toy", "--key-variable", "NOT_NEEDED"];
    for more in [&[][..], &["--model-name", "toy"], &with_address] {
        let outcome = by(more);
        assert_eq!(outcome.code, Some(0), "{more:?}: {outcome:?}");
        assert_eq!(sandbox.read("replayed.jsonl"), sandbox.read("answers.jsonl"));
        std::fs::remove_file(sandbox.path("replayed.jsonl")).unwrap();
    }
    let strict = by(&["--temperature", "0.8"]);
    assert!(
        strict.code == Some(2) && strict.stderr.contains("differs in temperature (0.8, recorded 0.7)"),
        "{strict:?}"
    );
    let other = by(&["--model-name", "large"]);
    assert!(other.code == Some(2) && other.stderr.contains("hint: it holds those of toy"), "{other:?}");

    // The cache gives the same recording.
    let said = sandbox.expect(0, &["cache", "export", "--out", "exported.jsonl", "--json"]).json();
    assert_eq!(said["samples"], 2 * (10 + 4 * 8));
    let sorted = |name: &str| sandbox.read(name).lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted("exported.jsonl"), sorted("replies.jsonl"));
    assert_eq!(sorted("kept.jsonl"), sorted("replies.jsonl"));
    let shown = sandbox.expect(0, &["cache", "show"]);
    assert!(shown.stdout.contains("10 requests       84 samples"), "{shown:?}");
    let of_other = sandbox.expect(0, &["cache", "prune", "--older-than", "0", "--model-name", "large"]);
    assert_eq!(of_other.stdout, "0 samples removed\n");
    assert_eq!(sandbox.expect(0, &["cache", "prune", "--older-than", "0"]).stdout, "84 samples removed\n");
    assert_eq!(sandbox.expect(0, &["cache", "show", "--json"]).json()["models"], Value::Array(Vec::new()));
}

#[test]
fn choices_base_models_and_the_rule_of_the_paper() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(|asked, sample| {
        let question = asked.question();
        Some(match question.split_once("The answer of this question is ") {
            None if sample < 6 => "So the answer is (C).".into(),
            None => "So the answer is (B).".into(),
            // The option of the right letter is stated, not the letter.
            Some((hidden, stated)) if stated.starts_with("7 fruits") => {
                format!("The value of x is {}.", if hidden.contains("has x") { 3 } else { 4 })
            }
            Some(_) => "I cannot say.".into(),
        })
    });
    sandbox.write(
        "questions.jsonl",
        r#"{"id": 1, "question": "Ann has 3 apples and buys 4 pears. How many?", "options": ["6 fruits", "7 fruits", "8 fruits"], "answer": "7 fruits"}"#,
    );
    let more = ["--answer", "choice", "--completions"];
    let answer = &lines(&sandbox.expect(0, &arguments(&server.base, &more)).stdout)[0];
    assert_eq!(
        (&answer["answer"], &answer["majority"], &answer["gold"]),
        (&"B".into(), &"C".into(), &"B".into())
    );
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.path == "/v1/completions" && asked.body["prompt"].is_string()));

    // A reply without an answer is a candidate by the rule of the repository, and dropped by ours.
    let silent =
        Loopback::start(|_, sample| Some(if sample < 6 { "I pass." } else { "The answer is 7." }.into()));
    sandbox.write("questions.jsonl", questions(1));
    let candidates = |extraction: &str| {
        let outcome = sandbox.expect(0, &arguments(&silent.base, &["--extraction", extraction]));
        lines(&outcome.stdout)[0]["candidates"].as_array().unwrap().len()
    };
    assert_eq!((candidates("robust"), candidates("paper")), (1, 2));

    // Prompts of one's own.
    sandbox.write("prompts.json", r#"{"system": "Be brief.", "forward": [], "backward": []}"#);
    sandbox.expect(0, &arguments(&silent.base, &["--prompts", "prompts.json"]));
    let asked = silent.asked();
    let body = &asked.last().unwrap().body;
    assert_eq!(body["messages"][0]["content"], "Be brief.");
    assert!(
        body["messages"][1]["content"].as_str().unwrap().starts_with("Question: Ann has 13 apples"),
        "{body}"
    );
}

/// Not in the cache, nor in a recording or an answer, nor on the terminal: even if the server repeats it.
#[test]
fn the_key_is_sent_and_written_nowhere() {
    let sandbox = Sandbox::new();
    let key = "sk-0123456789-secret";
    let server = Loopback::start(|asked, _| Some(format!("{:?}. The answer is 7.", asked.authorization)));
    sandbox.write("questions.jsonl", questions(1));
    let more = ["--key-variable", "MY_KEY", "--record", "replies.jsonl", "--out", "answers.jsonl", "-v"];
    let command = arguments(&server.base, &more);
    let outcome = Outcome::of(sandbox.command(&command).env("MY_KEY", key).output().unwrap());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(server.asked()[0].authorization, Some(format!("Bearer {key}")));
    assert!(sandbox.read("replies.jsonl").contains("[key]"));
    assert!(!format!("{outcome:?}").contains(key));
    let mut files = 0;
    visit(&sandbox.path(""), &mut |path| {
        files += 1;
        let bytes = std::fs::read(path).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{}", path.display());
    });
    assert!(files >= 4, "questions, answers, recording and cache");

    // Unset, or given in the place of its variable, which is a mistake that the error does not repeat.
    let unset = sandbox.expect(2, &arguments(&server.base, &["--key-variable", "MY_KEY"]));
    assert!(unset.stderr.contains("the environment variable MY_KEY is not set"), "{unset:?}");
    let mistaken = sandbox.expect(2, &arguments(&server.base, &["--key-variable", key]));
    assert!(!mistaken.stderr.contains(key) && mistaken.stderr.contains("not the key itself"), "{mistaken:?}");
    let broken = Outcome::of(sandbox.command(&command).env("MY_KEY", "two\nlines").output().unwrap());
    assert!(broken.code == Some(2) && !broken.stderr.contains("lines"), "{broken:?}");
    // The variable that is looked for by itself.
    let more = ["--no-cache"];
    let command = arguments(&server.base, &more);
    sandbox.command(&command).env("BACKSTITCH_API_KEY", key).output().unwrap();
    assert_eq!(server.asked().last().unwrap().authorization, Some(format!("Bearer {key}")));
}

fn visit(folder: &Path, file: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, file) } else { file(&path) }
    }
}

#[test]
fn what_it_says() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("questions.jsonl", questions(2));
    sandbox.write("no-id.jsonl", "{\"question\": \"What is 2 + 2?\"}\n");
    sandbox.write("twice.jsonl", questions(1) + &questions(1));
    sandbox.write(
        "gold.jsonl",
        "{\"id\": 1, \"question\": \"What is 2 + 2?\", \"answer\": \"four or 5 or 6\"}\n",
    );
    sandbox.write("empty.jsonl", "\n");
    sandbox.write("table.csv", "a,b\n1,2\n");
    sandbox.write("prompts.json", "{\"statement\": \"The answer is {answer}.\"}");
    sandbox.write("misspelt.json", "{\"sytem\": \"Be brief.\"}");
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    let base = format!("run fobar --data questions.jsonl --model {} --model-name toy", server.base);
    let with = |more: &str| format!("{base} {more}");
    let data = |name: &str| format!("run fobar --model {} --model-name toy --data {name}", server.base);
    let other = |model: &str| format!("run fobar --data questions.jsonl --model-name toy --model {model}");
    let commands = [
        "run fobar --help".into(),
        with("--dry-run"),
        with("--out answers.jsonl"),
        with("--dry-run --price-in 0.5 --price-out 1.5"),
        with("--out answers.jsonl --alpha 1 --max-cost 0.5 --price-in 0.5 --price-out 1.5"),
        "cache --help".into(),
        "cache show".into(),
        "cache show --cache absent.sqlite".into(),
        "cache show --cache table.csv".into(),
        "cache prune --older-than -1".into(),
        "cache export --out .".into(),
        "run fobar --data questions.jsonl".into(),
        format!("run fobar --data questions.jsonl --model {}", server.base),
        other("gpt-4"),
        other("embedded"),
        other("./absent"),
        other("folder"),
        other("http://user:password@localhost/v1"),
        data("absent.jsonl"),
        data("no-id.jsonl"),
        data("twice.jsonl"),
        data("gold.jsonl"),
        data("empty.jsonl"),
        data("table.csv"),
        with("--answer choice"),
        with("--answer word"),
        with("--samples 0"),
        with("--samples 10001 --no-cache"),
        with("--alpha 1.5"),
        with("--temperature 0"),
        with("--masks 0"),
        with("--concurrency 0"),
        with("--deadline -1"),
        with("--deadline 0"),
        with("--max-cost 1"),
        with("--max-cost -1 --price-in 1 --price-out 1"),
        with("--price-in 1"),
        with("--prompts prompts.json"),
        with("--prompts misspelt.json"),
        with("--out folder"),
        with("--out absent/answers.jsonl"),
        with("--out ./questions.jsonl"),
        with("--out replies.jsonl --record replies.jsonl"),
        with("--cache table.csv"),
        with("--record questions.jsonl"),
        with("--cache some.sqlite --no-cache"),
        with("--replay absent.jsonl"),
        with("--replay questions.jsonl"),
    ];
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    session("run_fobar", &sandbox, &[(&server.base, "[SERVER]")], &commands);
    assert_eq!(server.asked().len(), 2 * REQUESTS);
    assert_eq!(sandbox.read("questions.jsonl"), questions(2), "nothing was written over it");
}
