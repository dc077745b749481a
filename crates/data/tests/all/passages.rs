//! Passages, and what is said of files that hold none.

use backstitch_data::passages::read_passages_from;

fn read(text: &str) -> Result<Vec<(String, String, String)>, String> {
    let passages =
        read_passages_from(text.as_bytes(), "p.jsonl".as_ref()).map_err(|error| error.to_string())?;
    Ok(passages.into_iter().map(|passage| (passage.id, passage.title, passage.text)).collect())
}

fn owned(id: &str, title: &str, text: &str) -> (String, String, String) {
    (id.into(), title.into(), text.into())
}

#[test]
fn json_lines_and_plain_lines() {
    let json = "{\"id\": 7, \"title\": \"Kelda\", \"text\": \" A river. \", \"source\": \"x\"}\n\n{\"text\": \"A lake.\"}\n";
    assert_eq!(read(json).unwrap(), [owned("7", "Kelda", "A river."), owned("3", "", "A lake.")]);
    let plain = "A river.\n\n  A lake. {\n";
    assert_eq!(read(plain).unwrap(), [owned("1", "", "A river."), owned("3", "", "A lake. {")]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let cases = [
        ("", "p.jsonl: there are no passages; give one JSON object or one text per line"),
        ("{\"id\": \"a\"}", "p.jsonl, line 1: passage \"a\" has no `text`; give its text under this name"),
        (
            "{\"text\": \" \"}",
            "p.jsonl, line 1: `text` of \"1\" is \" \", but must be a text that is not empty",
        ),
        ("{\"text\": 5}", "p.jsonl, line 1: `text` of \"1\" is 5, but must be a text that is not empty"),
        ("{\"text\": \"a\", \"title\": []}", "p.jsonl, line 1: `title` of \"1\" is [], but must be a text"),
        (
            "{\"text\": \"a\", \"id\": 1.5}",
            "p.jsonl, line 1: `id` is 1.5, but must be a text or a whole number",
        ),
        (
            "{\"text\": \"a\", \"id\": 2}\n{\"text\": \"b\"}",
            "p.jsonl, line 2: the id \"2\" stands in line 1 too; give every passage its own",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(read(text).unwrap_err(), message);
    }
    assert!(read("{\"text\": \"a\"}\nplain").unwrap_err().starts_with("p.jsonl, line 2: not JSON"));
}
