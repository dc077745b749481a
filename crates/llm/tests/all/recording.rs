//! Recordings: extended, played back, and what a miss says.

use std::fs::{self, OpenOptions};
use std::io::Write;

use backstitch_llm::{Budget, Endpoint, Error, Identity, Model, Recording, Replay, Reply, Request, Stored};

use crate::scene::{options, question, texts};
use crate::server::{Answer, Server, chat};

fn endpoint(server: &Server) -> Endpoint {
    Endpoint::new(options(&server.base), None, Budget::unlimited().into()).unwrap()
}

fn counting() -> Server {
    Server::start(|number, _| Answer::Json(200, chat(&[&number.to_string()])))
}

fn requests() -> Vec<Request> {
    (0..4).map(|seed| Request { seed: Some(seed), ..question() }).collect()
}

fn all(model: &impl Model, requests: &[Request]) -> Vec<Reply> {
    model.complete(requests).into_iter().map(Result::unwrap).collect()
}

#[test]
fn what_was_recorded_is_played_back_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.jsonl");
    let server = counting();
    let recorder = Stored::new(endpoint(&server), Recording::extend(&file).unwrap());
    let first = all(&recorder, &requests());
    let again = all(&recorder, &requests());
    assert_eq!(server.asked().len(), 4, "what is recorded is not asked again");
    assert!(first.iter().zip(&again).all(|(one, other)| one.samples == other.samples && other.stored == 1));
    drop(recorder);
    let replay = Replay::new(Recording::open(&file).unwrap(), None).unwrap();
    assert_eq!(replay.identity().model, "toy");
    let replayed = all(&replay, &requests());
    assert!(first.iter().zip(&replayed).all(|(one, other)| one.samples == other.samples));
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_miss_names_the_nearest_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.jsonl");
    let server = counting();
    all(&Stored::new(endpoint(&server), Recording::extend(&file).unwrap()), &requests());
    let replay = Replay::new(Recording::open(&file).unwrap(), None).unwrap();
    let miss = |request: Request| {
        let error = replay.complete(&[request]).pop().unwrap().unwrap_err();
        assert!(error.hint().is_some());
        error.to_string()
    };
    let recorded = requests().remove(2);
    let other = miss(Request { temperature: 0.9, ..recorded.clone() });
    let key = backstitch_llm::Key::of(replay.identity(), &recorded);
    assert!(
        other.ends_with(&format!("the nearest is {key}, which differs in temperature (0.9, recorded 0.7)")),
        "{other}"
    );
    let other =
        miss(Request { seed: Some(2), temperature: 0.7, max_tokens: 50, ..Request::user("What is 2 + 3?") });
    assert!(other.contains(&key.to_string()) && other.contains("differs in prompt (…"), "{other}");
    let other = miss(Request { first_sample: 1, ..recorded });
    assert!(
        other.contains("no sample 1 of the request") && other.ends_with("it has 1 of its samples"),
        "{other}"
    );
}

#[test]
fn a_last_line_that_was_cut_off_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.jsonl");
    let server = counting();
    all(&Stored::new(endpoint(&server), Recording::extend(&file).unwrap()), &requests());
    let whole = fs::read(&file).unwrap();
    // Killed at any byte of the last line.
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in [last + 1, (last + whole.len()) / 2, whole.len() - 1] {
        fs::write(&file, &whole[..cut]).unwrap();
        let before = server.asked().len();
        let model = Stored::new(endpoint(&server), Recording::extend(&file).unwrap());
        all(&model, &requests());
        assert_eq!(server.asked().len(), before + 1);
        drop(model);
        let lines = fs::read_to_string(&file).unwrap();
        assert_eq!(lines.lines().count(), 4);
        Recording::open(&file).unwrap();
    }
}

#[test]
fn broken_recordings_are_refused_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.jsonl");
    let server = counting();
    all(&Stored::new(endpoint(&server), Recording::extend(&file).unwrap()), &requests());
    let whole = fs::read_to_string(&file).unwrap();
    let refused = |text: String| {
        fs::write(&file, text).unwrap();
        Recording::open(&file).unwrap_err().to_string()
    };
    let edited = refused(whole.replacen("2 + 2", "2 + 1", 1));
    assert!(
        edited.ends_with(
            "replies.jsonl, line 1: its key is not that of its request; one of the two was changed"
        ),
        "{edited}"
    );
    let broken = refused(format!("{whole}{{\n"));
    assert!(broken.contains("replies.jsonl, line 5: not JSON"), "{broken}");
    let doubled =
        refused(format!("{whole}{}\n", whole.lines().next().unwrap().replace("\"text\":\"", "\"text\":\"9")));
    assert!(
        doubled.contains("line 5: sample 0 of this request stands in an earlier line with another text"),
        "{doubled}"
    );
    assert!(matches!(Recording::open(&folder.path().join("none")), Err(Error::Recording { line: None, .. })));
    fs::write(&file, "").unwrap();
    let empty = Replay::new(Recording::open(&file).unwrap(), None).unwrap_err();
    assert!(empty.to_string().ends_with("holds no answers"), "{empty}");
}

#[test]
fn one_process_extends_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.jsonl");
    let first = Recording::extend(&file).unwrap();
    let error = Recording::extend(&file).unwrap_err();
    assert!(error.to_string().ends_with("is being extended by another process"), "{error}");
    drop(first);
    Recording::extend(&file).unwrap();
}

#[test]
fn one_of_several_models_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.jsonl");
    let server = counting();
    for name in ["toy", "other"] {
        let mut options = options(&server.base);
        options.model = name.into();
        let endpoint = Endpoint::new(options, None, Budget::unlimited().into()).unwrap();
        all(&Stored::new(endpoint, Recording::extend(&file).unwrap()), &requests());
    }
    let error = Replay::new(Recording::open(&file).unwrap(), None).unwrap_err();
    assert!(error.to_string().ends_with("holds answers of several models (other, toy); name one"), "{error}");
    let identity = Identity { kind: "chat".into(), place: server.base.clone(), model: "other".into() };
    let replay = Replay::new(Recording::open(&file).unwrap(), Some(identity)).unwrap();
    assert_eq!(texts(&all(&replay, &requests())[0]).len(), 1);
    // Lines of somebody else are not understood.
    writeln!(OpenOptions::new().append(true).open(&file).unwrap(), "{{\"answer\": 4}}").unwrap();
    assert!(Recording::open(&file).unwrap_err().to_string().contains("line 9: "));
}
