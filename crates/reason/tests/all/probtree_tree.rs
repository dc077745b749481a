//! Trees in replies.

use std::fs;
use std::path::Path;

use backstitch_reason::probtree::{Caps, Tree};
use proptest::prelude::*;

const CAPS: Caps = Caps { levels: 3, nodes: 12 };

fn parse(reply: &str) -> Result<Tree, String> {
    Tree::parse(reply, "Q?", CAPS)
}

/// Questions of a tree with the places of their children.
fn shape(tree: &Tree) -> Vec<(&str, Vec<usize>)> {
    tree.nodes.iter().map(|node| (node.question.as_str(), node.children.clone())).collect()
}

#[test]
fn children_come_before_their_parent() {
    let reply = r#"{"Q?": ["A?", "B of <1>?"], "A?": ["C?", "D of #1?"]}."#;
    let tree = parse(reply).unwrap();
    let expected =
        [("C?", vec![]), ("D of #1?", vec![]), ("A?", vec![0, 1]), ("B of <1>?", vec![]), ("Q?", vec![2, 3])];
    assert_eq!(shape(&tree), expected);
    assert_eq!(tree.references(3), [2]);
    assert_eq!(tree.references(1), [0]);
    assert_eq!(tree.descendants(4), [0, 1, 2, 3]);
    assert_eq!(tree.nodes[2].parent, Some(4));
    let lists: Vec<Option<&str>> =
        tree.nodes.iter().map(|node| node.list.map(|(start, end)| &reply[start..end])).collect();
    assert_eq!(lists, [None, None, Some(r#"["C?", "D of #1?"]"#), None, Some(r#"["A?", "B of <1>?"]"#)]);
}

#[test]
fn what_models_get_wrong_is_taken_as_meant() {
    let expected = [("A?", vec![]), ("B of <1>?", vec![]), ("Q?", vec![0, 1])];
    for reply in [
        "Here is the tree:\n```json\n{\n  \"Q?\": [\n    \"A?\",\n    \"B of <1>?\",\n  ],\n}\n```\nI hope it helps [see {above}].",
        "{\" Q ?\": [\" A ?\", \" B of < 1 > ?\"]}",
        "{\"The question in other words?\": [\"A?\", \"B of <1>?\"]}",
        "{\"Q?\": [\"A?\", \"B of <1>?\"], \"A?\": [], \"Unused?\": [\"X?\"]}",
        "{\"A?\": [], \"Q?\": [{\"A?\": []}, \"B of <1>?\"]}",
        "{\"Q?\": [\"A\\u003f\", \"B of <1>?\"]}",
    ] {
        assert_eq!(shape(&parse(reply).unwrap()), expected, "{reply}");
    }
    assert_eq!(shape(&parse(r#"{"Q?": [{"A?": ["C?"]}]}"#).unwrap()).len(), 3);
}

#[test]
fn a_question_with_itself_below_is_a_leaf() {
    assert_eq!(shape(&parse(r#"{"Q?": ["Q?"]}"#).unwrap()), [("Q?", vec![])]);
    assert_eq!(shape(&parse(r#"{"Q?": []}"#).unwrap()), [("Q?", vec![])]);
    assert_eq!(shape(&parse(r#"{"Q?": ["A?", "B?"], "A?": ["A?", "C?"]}"#).unwrap()).len(), 3);
}

#[test]
fn what_cannot_be_a_tree_is_named() {
    let deep = r#"{"Q?": ["A?"], "A?": ["B?"], "B?": ["C?"], "C?": ["D?"]}"#;
    let wide =
        format!("{{\"Q?\": [{}]}}", (0..12).map(|i| format!("\"A{i}?\"")).collect::<Vec<_>>().join(", "));
    let cases = [
        ("I cannot.", "the reply holds no JSON object"),
        ("{}", "the object in the reply has no question"),
        (r#"{"Q?": ["A?", "B of <3>?"]}"#, "sub-question 2 refers to <3>, but only 1 earlier sibling exists"),
        (r#"{"Q?": ["A of <1>?"]}"#, "sub-question 1 refers to <1>, but no earlier sibling exists"),
        (
            r#"{"Q?": ["A?", "B?", "C of <0>?"]}"#,
            "sub-question 3 refers to <0>, but only 2 earlier siblings exist",
        ),
        (
            r#"{"Q?": ["A?", "B of <1>?"], "B of <1>?": ["C?"]}"#,
            "the question \"B of <1>?\" has sub-questions and refers to <1>; only a question without sub-questions may refer to another",
        ),
        (r#"{"Q?": ["A?"], "A?": ["Q?"]}"#, "the question \"Q?\" stands below itself"),
        (r#"{"Q?": ["A?", " "]}"#, "sub-question 2 of \"Q?\" is empty"),
        (deep, "the tree has more than 3 levels; allow more, or ask for a simpler one in the instruction"),
        (
            &wide,
            "the tree has more than 12 questions; allow more, or ask for a simpler one in the instruction",
        ),
        (r#"{"Q?": ["A?", "B"#, "the reply ends inside a text; it may have reached the most tokens"),
        (
            r#"{"Q?": ["A?""#,
            "the reply ends where a comma or ] is expected; it may have reached the most tokens",
        ),
        (r#"{"Q?": "A?"}"#, "[ is expected at byte 7, but \"\\\"A?\\\"}\" stands there"),
        (r#"{Q?: []}"#, "\" is expected at byte 1, but \"Q?: []}\" stands there"),
    ];
    for (reply, message) in cases {
        assert_eq!(parse(reply).unwrap_err(), message, "{reply}");
    }
    let nested = "{\"Q?\": [".repeat(100_000);
    assert_eq!(parse(&nested).unwrap_err(), "the tree is nested more than 16 deep");
}

#[test]
fn placeholders_are_filled_with_answers() {
    let tree = parse(r##"{"Q?": ["A?", "B <1> and #1, not C#1 or <x> of <1>?"]}"##).unwrap();
    let answer = |place: usize| Some(format!("answer {place}"));
    assert_eq!(tree.filled(1, answer).unwrap(), "B answer 0 and answer 0, not C#1 or <x> of answer 0?");
    assert_eq!(tree.filled(0, |_| None).unwrap(), "A?");
    assert_eq!(tree.filled(1, |_| None), None);
}

/// What the fuzz target of the same name starts from.
#[test]
fn the_corpus_is_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/question_tree");
    let mut replayed = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let tree = parse(&fs::read_to_string(&path).unwrap());
        assert!(!name.starts_with("reads-") || tree.is_ok(), "{name}: {tree:?}");
        assert!(!name.starts_with("refused-") || tree.is_err(), "{name} was read");
        replayed += 1;
    }
    assert_eq!(replayed, 15);
}

/// A random tree as text: the questions are numbered so that no two are the same.
fn written(choices: &[u8]) -> (String, usize) {
    let parts: Vec<usize> = choices.iter().map(|choice| usize::from(*choice % 4)).collect();
    let mut object = Vec::new();
    let mut questions = vec!["Q?".to_owned()];
    for (place, parts) in parts.iter().enumerate() {
        let Some(question) = questions.get(place).cloned() else { break };
        let below: Vec<String> = (0..*parts).map(|part| format!("{place}-{part}?")).collect();
        object.push(format!("{question:?}: {below:?}"));
        questions.extend(below);
    }
    (format!("{{{}}}", object.join(", ")), questions.len())
}

proptest! {
    #[test]
    fn any_reply_is_read_or_refused(reply in "[\\PC\n]{0,60}") {
        let _ = parse(&reply);
    }

    #[test]
    fn any_reply_of_these_marks_is_read_or_refused(reply in r#"[{}\[\]":,\\u<1>#éQ? ]{0,60}"#) {
        if let Ok(tree) = parse(&reply) {
            prop_assert!(tree.nodes.len() <= 12);
        }
    }

    #[test]
    fn a_written_tree_comes_back(choices in prop::collection::vec(any::<u8>(), 0..5)) {
        let (reply, count) = written(&choices);
        let caps = Caps { levels: 10, nodes: 100 };
        match Tree::parse(&reply, "Q?", caps) {
            // An empty object says nothing.
            Err(_) => prop_assert!(choices.is_empty()),
            Ok(tree) => {
                prop_assert_eq!(tree.nodes.len(), count);
                for (place, node) in tree.nodes.iter().enumerate() {
                    prop_assert!(node.children.iter().all(|child| *child < place));
                    for child in &node.children {
                        prop_assert_eq!(tree.nodes[*child].parent, Some(place));
                    }
                }
                prop_assert_eq!(&tree.nodes[tree.root()].question, "Q?");
            }
        }
    }
}
