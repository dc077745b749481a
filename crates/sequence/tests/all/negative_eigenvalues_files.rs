//! Sequences and models in files.

use std::path::Path;

use backstitch_sequence::negative_eigenvalues::sequences::{
    Labels, Sequence, Vocabulary, read_sequences_from,
};
use backstitch_sequence::negative_eigenvalues::{Mixer, Model, NegativeEigenvalues, Parameters};

fn read(text: &str) -> Result<Vec<Sequence>, String> {
    read_sequences_from(text.as_bytes(), Path::new("data")).map_err(|error| error.to_string())
}

#[test]
fn all_forms_say_the_same() {
    let forms = [
        "{\"tokens\": \"a b\", \"label\": \"x\"}\n\n{\"tokens\": [\"b\"], \"label\": \"y\"}\n",
        "tokens,label\na b,x\n\nb,y\n",
        "label;tokens\nx;\"a b\"\n\ny;b\n",
        "\u{feff}tokens\tlabel\r\na  b\tx\r\n\r\nb\ty\r\n",
    ];
    let wanted: Vec<_> = read(forms[0]).unwrap().into_iter().map(|own| (own.tokens, own.labels)).collect();
    assert_eq!(wanted[0], (vec!["a".into(), "b".into()], Labels::Last("x".into())));
    for form in forms {
        let found: Vec<_> = read(form).unwrap().into_iter().map(|own| (own.tokens, own.labels)).collect();
        assert_eq!(found, wanted, "{form}");
    }
    assert_eq!(
        read("tokens,labels\na b,x y\n").unwrap()[0].labels,
        Labels::Each(vec!["x".into(), "y".into()])
    );
    assert_eq!(read("tokens\na b\n").unwrap()[0].labels, Labels::None);
    assert_eq!(
        read("tokens,label\n\", b\",\"say \"\"x\"\"\"\n").unwrap()[0].labels,
        Labels::Last("say \"x\"".into())
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, wanted) in [
        ("", "data: no sequences"),
        ("tokens,label\n", "data, line 1: no sequences after the header"),
        ("text,label\na,b\n", "data, line 1: no column `tokens`; there is text, label"),
        ("tokens,label\na,x\n,x\n", "data, line 3: no tokens"),
        ("tokens,label\na,\n", "data, line 2: the label is empty"),
        ("tokens,label\na,x,y\n", "data, line 2: 3 fields, but the header has 2"),
        ("tokens,label\n\"a,x\n", "data, line 2: a quote is not closed"),
        ("tokens,labels\na b,x\n", "data, line 2: 1 labels for 2 tokens"),
        ("tokens,label,labels\na,x,x\n", "data, line 1: both label and labels"),
        ("{\"tokens\": \"a\", \"label\": \"x\", \"labels\": \"x\"}", "data, line 1: both label and labels"),
        ("{\"tokens\": []}", "data, line 1: no tokens"),
        ("{\"tokens\": [\" \"]}", "data, line 1: the token \" \" has no name"),
        ("{\"tokens\": \"a\", \"labl\": \"x\"}", "data, line 1: unknown field `labl`"),
        ("{\"tokens\": 3}", "data, line 1: "),
        ("{\"tokens\"", "data, line 1: not JSON"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(wanted) && error.contains("hint: "), "{error}");
    }
}

#[test]
fn names_are_numbered_and_unknown_ones_refused() {
    let sequences = read("tokens,labels\n10 9 b,x x y\n").unwrap();
    let vocabulary = Vocabulary::of(&sequences).unwrap();
    assert_eq!(vocabulary.tokens, ["10", "9", "b"]);
    let numbers = Vocabulary::of(&read("tokens,labels\n10 9 -1,2 10 3\n").unwrap()).unwrap();
    assert_eq!(
        (&numbers.tokens[..], &numbers.labels[..]),
        (&["-1".into(), "9".into(), "10".into()][..], &["2".into(), "3".into(), "10".into()][..])
    );
    let unknown = read("tokens\na 9\n").unwrap();
    let error = vocabulary.encode(&unknown[0]).unwrap_err().to_string();
    assert!(
        error.contains("line 2: the token \"a\" is not known") && error.contains("it knows 10, 9, b"),
        "{error}"
    );
    for (text, wanted) in [
        ("tokens\na\n", "line 2: no label"),
        ("tokens,label\na,x\nb,x\n", "of labels there is only \"x\", but at least 2 are needed"),
    ] {
        let error = Vocabulary::of(&read(text).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

fn small(mixer: Mixer) -> Model {
    let sequences = read("tokens,label\na,x\nb,y\na b a,x\n").unwrap();
    let parameters = Parameters { mixer, steps: 2, width: 8, ..Parameters::default() };
    NegativeEigenvalues::new(parameters).unwrap().fit(&sequences).unwrap().model
}

#[test]
fn a_model_comes_back_from_its_files() {
    for mixer in [Mixer::Delta, Mixer::Diagonal, Mixer::Gru, Mixer::Attention] {
        let (model, folder) = (small(mixer), tempfile::tempdir().unwrap());
        assert!(model.last_only());
        for (name, bytes) in model.files().unwrap() {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let back = Model::read(folder.path()).unwrap();
        assert!(back.files().unwrap() == model.files().unwrap());
    }
}

#[test]
fn files_that_are_no_model_are_refused() {
    let (model, folder) = (small(Mixer::Delta), tempfile::tempdir().unwrap());
    let refuse = |name: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>, wanted: &str| {
        for (own, bytes) in model.files().unwrap() {
            let bytes = if own == name { change(bytes) } else { bytes };
            std::fs::write(folder.path().join(own), bytes).unwrap();
        }
        let error = Model::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(wanted) && error.contains("hint"), "{error}");
    };
    let text = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(from, to).into_bytes()
    };
    refuse("model.json", &|_| b"{".to_vec(), "EOF");
    refuse("model.json", &text("eigenvalues-model/1", "other/1"), "its schema is");
    refuse("model.json", &text("\"width\": 8", "\"width\": 80000"), "width is 80000");
    refuse("model.json", &text("\"classes\": 2", "\"classes\": 3"), "its names do not fit");
    refuse("model.safetensors", &|bytes| bytes[..bytes.len() / 2].to_vec(), "not a whole safetensors file");
    refuse(
        "model.safetensors",
        &|mut bytes| {
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
            bytes
        },
        "holds NaN",
    );
    let error = Model::read(&folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("model.json"), "{error}");
}
