//! Questions: what is read, and what is refused by line.

use std::path::Path;

use backstitch_data::catalogue::public_set;
use backstitch_data::directory::DataDirectory;
use backstitch_llm::answer::{Answer, Kind};
use backstitch_llm::question::{
    Form, Question, QuestionError, read_published, read_questions, read_questions_from,
};

fn read(lines: &str, kind: Kind) -> Result<Vec<Question>, QuestionError> {
    read_questions_from(lines.as_bytes(), Path::new("questions.jsonl"), kind)
}

#[test]
fn questions_are_read() {
    let lines = r##"{"id": "a", "question": "2 + 2?", "answer": "It is 4. #### 4", "source": "mine"}
{"id": 7, "question": "3 + 3?", "answer": 6.0}

{"id": "c", "question": "Which?", "options": ["red", "green"], "answer": "green"}
{"id": "d", "question": "Which?", "options": ["red", "green"], "answer": "A"}
{"id": "e", "question": "How many?", "answer": null}"##;
    let questions = read(lines, Kind::Number).unwrap();
    let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
    assert_eq!(ids, ["a", "7", "c", "d", "e"]);
    let gold: Vec<Option<String>> =
        questions.iter().map(|question| question.gold.as_ref().map(Answer::to_string)).collect();
    let expected = [Some("4"), Some("6"), Some("B"), Some("A"), None];
    assert_eq!(gold, expected.map(|answer| answer.map(str::to_owned)));
    assert_eq!(questions[2].kind, Kind::Choice { options: 2 });
    let verdicts = read(r#"{"id": 1, "question": "Is it?", "answer": true}"#, Kind::YesNo).unwrap();
    assert_eq!(verdicts[0].gold, Some(Answer::YesNo(true)));
}

#[test]
fn what_cannot_be_used_is_refused_by_line() {
    for (lines, expected) in [
        (r#"{"question": "2 + 2?"}"#, "line 1: there is no `id`; give every question one"),
        (
            r#"{"id": " ", "question": "2 + 2?"}"#,
            "line 1: `id` is \" \", but must be a text or a whole number",
        ),
        (r#"{"id": 1.5, "question": "2 + 2?"}"#, "line 1: `id` is 1.5, but must be"),
        (r#"{"id": 1}"#, "line 1: question \"1\" has no `question`"),
        (r#"{"id": 1, "question": ""}"#, "line 1: `question` of \"1\" is \"\", but must be a text"),
        (
            "\n{\"id\": 1, \"question\": \"2?\", \"answer\": \"many\"}",
            "line 2: `answer` of \"1\" is \"many\", but must be a number",
        ),
        (
            r#"{"id": 1, "question": "2?", "answer": [4]}"#,
            "line 1: `answer` of \"1\" is [4], but must be a number",
        ),
        (
            r#"{"id": 1, "question": "2?", "options": ["a"]}"#,
            "line 1: question \"1\" has 1 options, but a multiple choice has 2 to 26",
        ),
        (
            r#"{"id": 1, "question": "2?", "options": ["a", "b"], "answer": "F"}"#,
            "line 1: `answer` of \"1\" is \"F\", but must be the letter or the text of one of its 2 options",
        ),
        (
            "{\"id\": 1, \"question\": \"2?\"}\n{\"id\": \"1\", \"question\": \"3?\"}",
            "line 2: the id \"1\" stands in line 1 too",
        ),
        ("{\"id\": 1,", "line 1: not JSON"),
        ("[1]", "line 1: "),
        ("\n", ": there are no questions"),
    ] {
        let error = read(lines, Kind::Number).unwrap_err().to_string();
        assert!(error.starts_with("questions.jsonl") && error.contains(expected), "{error}");
    }
    assert!(read_questions(Path::new("no/such/file"), Kind::Number).is_err());
}

fn published(text: &str, form: Form) -> Result<Vec<Question>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("questions");
    std::fs::write(&file, text).unwrap();
    read_published(&file, form)
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "."))
}

#[test]
fn published_forms_are_read() {
    let one = |text: &str, form| published(text, form).unwrap().remove(0);
    let gsm8k = one(
        "{\"question\": \"Two and two?\", \"answer\": \"2 + 2 = <<2+2=4>>4\\n#### 1,004\"}\n",
        Form::Gsm8k,
    );
    assert_eq!((gsm8k.id.as_str(), gsm8k.gold), ("1", Some(Answer::Number(1004.into()))));
    let svamp = "[\n {\"ID\": \"chal-1\", \"Body\": \"Dan had $ 3 left\", \"Question\": \"How much?\", \"Answer\": 51.0}]";
    let svamp = one(svamp, Form::Svamp);
    assert_eq!((svamp.id.as_str(), svamp.text.as_str()), ("chal-1", "Dan had $ 3 left. How much?"));
    assert_eq!(svamp.gold, Some(Answer::Number(51.into())));
    let aqua = "{\"question\": \"Which?\", \"options\": [\"A)5(2 + 1)\", \"B)None\"], \"rationale\": \"…\", \"correct\": \"B\"}";
    let aqua = one(aqua, Form::Aqua);
    assert_eq!(aqua.options, ["5(2 + 1)", "None"]);
    assert_eq!(aqua.gold, Some(Answer::Choice('B')));
    let strategy = one(
        "[{\"qid\": \"a1\", \"question\": \"Is it?\", \"answer\": false, \"facts\": []}]",
        Form::StrategyQa,
    );
    assert_eq!((strategy.kind, strategy.gold), (Kind::YesNo, Some(Answer::YesNo(false))));
    let hotpot = one(
        "[{\"question\": \"Who?\", \"answer\": \"Chief of Protocol\", \"type\": \"bridge\"}]",
        Form::HotpotQa,
    );
    assert_eq!(hotpot.gold, Some(Answer::Text("chief of protocol".into())));
    // What is not of the form is named by its place.
    for (text, form, expected) in [
        (
            "{\"question\": \"Two and two?\", \"answer\": \"four\"}",
            Form::Gsm8k,
            "./questions, line 1: `answer`",
        ),
        (
            "[{\"ID\": \"1\", \"Body\": \"A\"}]",
            Form::Svamp,
            "./questions, record 1: question \"1\" has no `question`",
        ),
        ("[{}, 3]", Form::HotpotQa, "not a JSON array of objects"),
        ("{\"question\": \"Who?\"}", Form::HotpotQa, "not a JSON array of objects"),
        ("[]", Form::StrategyQa, "there are no questions"),
    ] {
        let error = published(text, form).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn published_sets_are_read_whole() {
    for (set, form, count) in [
        ("gsm8k-test", Form::Gsm8k, 1319),
        ("svamp", Form::Svamp, 1000),
        ("aqua-test", Form::Aqua, 254),
        ("strategyqa-dev", Form::StrategyQa, 229),
    ] {
        let directory = DataDirectory::resolve(None).unwrap();
        // Where the set is not there, the directory says whether that is an error.
        let Some(files) = directory.files_of(public_set(set).unwrap()).unwrap() else { continue };
        let questions = read_published(&files[0], form).unwrap();
        assert_eq!(questions.len(), count, "{set}");
        assert!(questions.iter().all(|question| question.gold.is_some()), "{set}");
    }
}
