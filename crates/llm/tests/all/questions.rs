//! Questions: what is read, and what is refused by line.

use std::path::Path;

use backstitch_llm::answer::{Answer, Kind};
use backstitch_llm::question::{Question, QuestionError, read_questions, read_questions_from};

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
