//! `run textgrad` against a language model on the loopback interface.

use serde_json::Value;

use crate::loopback::{Asked, Loopback};
use crate::sandbox::Sandbox;
use crate::schemas::hold_lines;

/// The texts of a request: system and last turn.
fn texts(asked: &Asked) -> (String, String) {
    let messages = asked.body["messages"].as_array().unwrap();
    let text = |message: &Value| message["content"].as_str().unwrap().to_owned();
    let system = messages.iter().find(|message| message["role"] == "system").map(text);
    (system.unwrap_or_default(), text(messages.last().unwrap()))
}

/// Answers 4 to every question as soon as its prompt says "count"; adds this word when it is told to improve the prompt. Programs and
/// other texts it improves by a version number.
fn model(asked: &Asked, _: u64) -> Option<String> {
    let (system, text) = texts(asked);
    Some(if let Some((_, rest)) = text.rsplit_once("</IMPROVED_VARIABLE") {
        let tag = rest.split('>').next().unwrap();
        let old = text.split("<VARIABLE").nth(1).unwrap().split('\n').nth(1).unwrap();
        let new = match () {
            () if old.starts_with("exit") => "exit 0".into(),
            () if text.contains("system prompt of a language model") && old.contains("count") => {
                "worse".into()
            }
            () if text.contains("system prompt of a language model") => format!("{old} count"),
            () => format!("{old}+"),
        };
        format!("<IMPROVED_VARIABLE{tag}>\n{new}\n</IMPROVED_VARIABLE{tag}>")
    } else if text.contains("by what strategy") {
        "Say that it has to count.".into()
    } else if system.contains("SCORE") {
        format!("<SCORE>{}</SCORE>", 3 - (text.matches('+').count() as i64 - 1).abs())
    } else if system.contains("count") || text.contains("easy") {
        format!("{text} The answer is 4.")
    } else {
        format!("{text} The answer is 5.")
    })
}

fn arguments<'a>(job: &'a str, base: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "textgrad", job, "--model", base, "--model-name", "toy"], more].concat()
}

fn questions(name: &str, count: usize) -> String {
    (0..count)
        .map(|id| {
            format!("{{\"id\": \"{name}-{id}\", \"question\": \"{name} {id}: 2 + 2?\", \"answer\": 4}}\n")
        })
        .collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(transcript: &[Value]) -> Vec<String> {
    transcript.iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_text_is_improved_by_a_critic() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("draft.txt", "draft\n");
    let job = ["--text", "draft.txt", "--instruction", "Find errors.", "--steps", "2"];
    let out = [&job[..], &["--out", "better.txt", "--transcript", "all.jsonl", "--json"]].concat();
    let summary = sandbox.expect(0, &arguments("solution", &server.base, &out)).json();
    assert_eq!(sandbox.read("better.txt"), "draft++");
    // Evaluation, feedback and new text per step.
    assert_eq!(server.asked().len(), 6);
    let calls = &summary["calls"];
    assert_eq!(
        (&calls["forward"], &calls["backward"], &calls["optimizer"]),
        (&2.into(), &2.into(), &2.into())
    );
    assert_eq!((&summary["result"]["updates"], &summary["used"]["requests"]), (&2.into(), &6.into()));
    let transcript = lines(&sandbox.read("all.jsonl"));
    let expected = ["start", "evaluation", "feedback", "update", "evaluation", "feedback", "update"];
    assert_eq!(events(&transcript), expected);
    assert_eq!((&transcript[3]["before"], &transcript[3]["after"]), (&"draft".into(), &"draft+".into()));
    hold_lines("textgrad-transcript", &transcript);
    // Again: everything is kept. Without --out, the text goes to standard output.
    let said = sandbox.expect(0, &arguments("solution", &server.base, &job));
    assert_eq!((said.stdout.as_str(), server.asked().len()), ("draft++\n", 6));
    assert!(said.stderr.contains("6 of them kept from before"), "{said:?}");

    // With scores the best text is written, not the last.
    let scored = [&job[..4], &["--steps", "3", "--scored", "--out", "best.txt"]].concat();
    let said = sandbox.expect(0, &arguments("solution", &server.base, &scored));
    assert_eq!(sandbox.read("best.txt"), "draft+");
    assert!(said.stdout.contains("scores of the critic: 2, 3, 2, 1"), "{said:?}");
}

#[test]
fn answers_are_voted_on() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("questions.jsonl", questions("hard", 2) + &questions("easy", 1));
    let job = ["--data", "questions.jsonl", "--steps", "1"];
    let json = sandbox.expect(
        0,
        &arguments("solution", &server.base, &[&job[..], &["--out", "a.jsonl", "--json"]].concat()),
    );
    let result = &json.json()["result"];
    assert_eq!((&result["questions"], &result["known"]), (&3.into(), &3.into()));
    assert_eq!((result["first"].as_f64(), result["vote"].as_f64()), (Some(1.0 / 3.0), Some(1.0 / 3.0)));
    let answers = lines(&sandbox.read("a.jsonl"));
    assert_eq!(
        (&answers[2]["id"], &answers[2]["answer"], &answers[2]["correct"]),
        (&"easy-0".into(), &"4".into(), &true.into())
    );
    assert_eq!(answers[0]["schema"], "backstitch/textgrad-solution/1");
    // Three answers, and three calls per question and step.
    assert_eq!(server.asked().len(), 3 + 3 * 3);
}

#[test]
fn a_prompt_is_gated_by_validation() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("prompt.txt", "Answer.");
    for (name, count) in [("train", 5), ("validation", 2), ("test", 3)] {
        sandbox.write(&format!("{name}.jsonl"), questions(name, count));
    }
    let files = [
        "--prompt",
        "prompt.txt",
        "--train",
        "train.jsonl",
        "--validation",
        "validation.jsonl",
        "--test",
        "test.jsonl",
    ];
    let job = [&files[..], &["--steps", "2", "--out", "best.txt", "--transcript", "all.jsonl"]].concat();
    let said = sandbox.expect(0, &arguments("prompt", &server.base, &job));
    // The second new prompt does worse and is put back.
    assert_eq!(sandbox.read("best.txt"), "Answer. count");
    assert!(said.stdout.contains("2 new prompts, 1 of them kept"), "{said:?}");
    assert!(
        said.stdout.contains("test          0.0 % right before, 100.0 % after (3 questions)"),
        "{said:?}"
    );
    // Validation at first; per step 3 answers, 6 feedbacks, a prompt, 2 validations; 2 x 3 test questions, once.
    assert_eq!(server.asked().len(), 2 + 2 * (3 + 6 + 1 + 2) + 6);
    let tested: Vec<usize> =
        (0..server.asked().len()).filter(|at| texts(&server.asked()[*at]).1.starts_with("test ")).collect();
    assert_eq!(tested, (26..32).collect::<Vec<_>>(), "the test questions come last");
    let transcript = lines(&sandbox.read("all.jsonl"));
    hold_lines("textgrad-transcript", &transcript);
    let accepted: Vec<&Value> = transcript
        .iter()
        .filter(|line| line["event"] == "validation")
        .map(|line| &line["accepted"])
        .collect();
    assert_eq!(accepted, [&Value::Bool(true), &Value::Bool(true), &Value::Bool(false)]);

    // A killed or limited run continues, and ends the same.
    let limited = [&job[..], &["--cache", "other.sqlite", "--max-requests", "9"]].concat();
    let outcome = sandbox.expect(130, &arguments("prompt", &server.base, &limited));
    assert!(
        outcome.stderr.contains("the limit of 9 requests is reached") && outcome.stderr.contains("hint: "),
        "{outcome:?}"
    );
    let before = sandbox.read("all.jsonl");
    let rest = [&job[..], &["--cache", "other.sqlite"]].concat();
    sandbox.expect(0, &arguments("prompt", &server.base, &rest));
    assert_eq!((sandbox.read("all.jsonl"), server.asked().len()), (before, 64));

    // A dry run says what may come.
    let dry = sandbox
        .expect(
            0,
            &arguments(
                "prompt",
                &server.base,
                &[&job[..], &["--dry-run", "--json", "--cache", "new.sqlite"]].concat(),
            ),
        )
        .json();
    assert_eq!(
        (&dry["most_calls"], &dry["kept"], &dry["next"]["requests"]),
        (&32.into(), &0.into(), &2.into())
    );
    assert!(!sandbox.path("new.sqlite").exists() && server.asked().len() == 64);
    let merged = [&job[..], &["--merge", "--batch", "2"]].concat();
    sandbox.expect(0, &arguments("prompt", &server.base, &merged));
}

#[test]
fn a_program_is_improved_until_its_tests_pass() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(model);
    sandbox.write("program.sh", "exit 1 # </OUTPUT>\n");
    let job = [
        "--program",
        "program.sh",
        "--test-command",
        "/bin/sh {}",
        "--out",
        "fixed.sh",
        "--transcript",
        "all.jsonl",
    ];
    let said = sandbox.expect(0, &arguments("code", &server.base, &job));
    assert!(said.stdout.contains("the tests pass after 1 updates"), "{said:?}");
    assert_eq!((sandbox.read("fixed.sh").as_str(), server.asked().len()), ("exit 0", 2));
    let transcript = lines(&sandbox.read("all.jsonl"));
    assert_eq!(events(&transcript), ["start", "evaluation", "feedback", "update", "evaluation"]);
    assert_eq!(transcript[1]["text"], "The tests failed (exit status: 1).");
    // The temporary place of the program is in no request.
    assert!(server.asked().iter().all(|asked| !texts(asked).1.contains("backstitch-textgrad")));
    hold_lines("textgrad-transcript", &transcript);

    // Tests that hang are ended, with what they started.
    sandbox.write("slow.sh", "/bin/sleep 60 & /bin/sleep 60");
    let slow = [
        "--program",
        "slow.sh",
        "--test-command",
        "echo begin; /bin/sh {}",
        "--test-seconds",
        "0.2",
        "--steps",
        "1",
        "--transcript",
        "slow.jsonl",
    ];
    let begin = std::time::Instant::now();
    let said = sandbox.expect(1, &arguments("code", &server.base, &slow));
    assert!(begin.elapsed().as_secs() < 30);
    assert!(said.stderr.contains("the tests do not pass after 1 updates"), "{said:?}");
    let stopped = &lines(&sandbox.read("slow.jsonl"))[1]["text"];
    assert_eq!(stopped, "begin\nThe tests were stopped after 0.2 seconds.");
}

#[test]
fn another_model_gives_the_feedback() {
    let sandbox = Sandbox::new();
    let (task, critic) = (Loopback::start(model), Loopback::start(model));
    sandbox.write("prompt.txt", "Answer.");
    sandbox.write("train.jsonl", questions("train", 3));
    let job = [
        "--prompt",
        "prompt.txt",
        "--train",
        "train.jsonl",
        "--steps",
        "1",
        "--backward-model",
        &critic.base,
    ];
    let named = [&job[..], &["--backward-model-name", "large", "--record", "all.jsonl"]].concat();
    let mut command = sandbox.command(&arguments("prompt", &task.base, &named));
    let outcome = command.env("BACKSTITCH_API_KEY", "secret").output().unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert_eq!((task.asked().len(), critic.asked().len()), (3, 7));
    assert!(
        critic.asked().iter().all(|asked| asked.body["model"] == "large" && asked.authorization.is_none())
    );
    assert!(task.asked().iter().all(|asked| asked.authorization.as_deref() == Some("Bearer secret")));
    // Both are in the recording, and are played back.
    let replay =
        ["--prompt", "prompt.txt", "--train", "train.jsonl", "--steps", "1", "--replay", "all.jsonl"];
    let names = ["--model-name", "toy", "--backward-model-name", "large", "--out", "again.txt"];
    sandbox.expect(0, &[&["run", "textgrad", "prompt"], &replay[..], &names[..]].concat());
    assert_eq!(sandbox.read("again.txt"), "Answer. count");
    assert_eq!((task.asked().len(), critic.asked().len()), (3, 7));
}

#[test]
fn replies_that_cannot_be_used_leave_the_text() {
    let sandbox = Sandbox::new();
    let server = Loopback::start(|asked, sample| {
        let improves = texts(asked).1.contains("IMPROVED_VARIABLE");
        if improves { Some("I would rather not.".into()) } else { model(asked, sample) }
    });
    sandbox.write("draft.txt", "draft\n");
    let job =
        ["--text", "draft.txt", "--instruction", "Find errors.", "--steps", "1", "--transcript", "all.jsonl"];
    let outcome = sandbox.expect(1, &arguments("solution", &server.base, &job));
    assert_eq!(outcome.stdout, "draft\n");
    assert!(outcome.stderr.contains("1 replies could not be used"), "{outcome:?}");
    let transcript = lines(&sandbox.read("all.jsonl"));
    assert_eq!(events(&transcript), ["start", "evaluation", "feedback", "refused"]);
    assert_eq!(server.asked().len(), 4);
    hold_lines("textgrad-transcript", &transcript);
}

#[test]
fn bad_input_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("draft.txt", "draft");
    sandbox.write("empty.txt", "\n");
    sandbox.write("program.sh", "exit 1");
    sandbox.write("train.jsonl", questions("train", 3));
    sandbox.write("open.jsonl", "{\"id\": 1, \"question\": \"why?\"}\n");
    sandbox.write("prompts.json", "{\"optimizer\": \"improve {value}\"}");
    let base = "http://127.0.0.1:9/v1";
    let solution = ["--text", "draft.txt", "--instruction", "Judge."];
    let prompt = ["--prompt", "draft.txt", "--train", "train.jsonl"];
    let code = ["--program", "program.sh", "--test-command"];
    let cases: [(&str, Vec<&str>, &str); 16] = [
        ("solution", vec!["--text", "nowhere.txt", "--instruction", "Judge."], "nowhere.txt: No such file"),
        ("solution", vec!["--text", "empty.txt", "--instruction", "Judge."], "empty.txt: the file is empty"),
        ("solution", vec!["--text", "draft.txt"], "--instruction"),
        ("solution", [&solution[..], &["--steps", "0"]].concat(), "steps is 0, but must be at least 1"),
        ("solution", [&solution[..], &["--role", " "]].concat(), "the role of the text is \" \""),
        (
            "solution",
            [&solution[..], &["--temperature", "3"]].concat(),
            "temperature is 3, but must be from 0 to 2",
        ),
        ("solution", [&solution[..], &["--excerpt", "0"]].concat(), "excerpt_words is 0"),
        ("solution", [&solution[..], &["--out", "draft.txt"]].concat(), "it is also the file of --text"),
        (
            "solution",
            [&solution[..], &["--out", "a.txt", "--transcript", "a.txt"]].concat(),
            "it is also the file of --out",
        ),
        (
            "solution",
            [&solution[..], &["--prompts", "prompts.json"]].concat(),
            "the template \"optimizer\" is without {gradients}",
        ),
        (
            "solution",
            [&solution[..], &["--backward-model", "http://127.0.0.1:9/v1"]].concat(),
            "--backward-model-name",
        ),
        ("prompt", [&prompt[..], &["--batch", "4"]].concat(), "batch is 4 of 3 training questions"),
        (
            "prompt",
            vec!["--prompt", "draft.txt", "--train", "open.jsonl", "--batch", "1"],
            "the answer is missing for question \"1\"",
        ),
        (
            "prompt",
            [&prompt[..], &["--validation", "train.jsonl"]].concat(),
            "question \"train-0\" of --validation stands in --train too",
        ),
        ("code", [&code[..], &["sh program.sh"]].concat(), "has no {} for the file of the program"),
        (
            "code",
            [&code[..], &["sh {}", "--test-seconds", "-1"]].concat(),
            "--test-seconds is -1, but must be above 0",
        ),
    ];
    for (job, more, message) in cases {
        let outcome = sandbox.expect(2, &arguments(job, base, &more));
        assert!(outcome.stderr.contains(message) && outcome.stdout.is_empty(), "{more:?}: {outcome:?}");
    }
    let outcome = sandbox.expect(2, &arguments("solution", base, &solution));
    assert!(
        outcome.stderr.contains("could not be reached") && outcome.stderr.contains("hint: "),
        "{outcome:?}"
    );
}
