//! The cache: what makes a key, what a killed process leaves, what two processes see, and what can be shown, exported and pruned.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use backstitch_llm::{
    Budget, Cache, Endpoint, Error, Identity, Key, Message, Model, Prompt, Pruning, Recording, Replay, Reply,
    Request, Role, Stored,
};

use crate::scene::{options, question, texts};
use crate::server::{Answer, Server, chat};

/// Makes this process one that asks: the base address, then the file of the cache.
const CHILD: &str = "BACKSTITCH_TEST_CACHE_CHILD";

const REQUESTS: u64 = 300;

fn requests() -> Vec<Request> {
    (0..REQUESTS).map(|seed| Request { seed: Some(seed), ..question() }).collect()
}

/// Another text for every answer.
fn counting() -> Server {
    Server::start(|number, _| {
        Answer::Late(Duration::from_millis(2), Answer::Json(200, chat(&[&number.to_string()])).into())
    })
}

fn stored(base: &str, file: &Path) -> Stored<Endpoint, Cache> {
    let endpoint = Endpoint::new(options(base), None, Budget::unlimited().into()).unwrap();
    Stored::new(endpoint, Cache::open(file).unwrap())
}

fn child(test: &str, base: &str, file: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([&format!("cache::{test}"), "--exact", "--nocapture"])
        .env(CHILD, format!("{base} {}", file.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In a child: asks everything, and prints each answer when it is handed over and all of them at the end.
fn asked_as_a_child() -> bool {
    let Ok(told) = env::var(CHILD) else { return false };
    let (base, file) = told.split_once(' ').unwrap();
    let mut all = vec![String::new(); REQUESTS as usize];
    stored(base, Path::new(file)).answer(&requests(), &mut |position, reply| {
        all[position] = texts(&reply.unwrap())[0].to_owned();
        println!("arrived:{position}:{}", all[position]);
    });
    println!("texts:{}", all.join(","));
    true
}

#[test]
fn a_killed_process_loses_nothing_that_had_arrived() {
    if asked_as_a_child() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.sqlite");
    let server = counting();
    let mut arrived: Vec<(usize, String)> = Vec::new();
    for kill_after in [20, 120] {
        let mut child = child("a_killed_process_loses_nothing_that_had_arrived", &server.base, &file);
        let start = Instant::now();
        while server.asked().len() < kill_after {
            assert!(start.elapsed() < Duration::from_secs(30), "the child asks nothing");
            sleep(Duration::from_millis(1));
        }
        // SIGKILL.
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(!output.contains("texts:"), "it was killed before its end");
        // The last line may be cut off.
        let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
        arrived.extend(whole.lines().filter_map(|line| {
            let (position, text) = line.strip_prefix("arrived:")?.split_once(':')?;
            Some((position.parse().unwrap(), text.to_owned()))
        }));
        let connection = rusqlite::Connection::open(&file).unwrap();
        let intact: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(intact, "ok");
    }
    assert!(!arrived.is_empty());
    // The same command ends with what is missing.
    let model = stored(&server.base, &file);
    let missing = model.missing(&requests()).unwrap().len();
    assert!((1..REQUESTS as usize).contains(&missing), "{missing}");
    let before = server.asked().len();
    let replies: Vec<Reply> = model.complete(&requests()).into_iter().map(Result::unwrap).collect();
    assert_eq!(server.asked().len(), before + missing);
    for (position, text) in arrived {
        assert_eq!((texts(&replies[position])[0], replies[position].stored), (text.as_str(), 1));
    }
}

#[test]
fn two_processes_agree() {
    if asked_as_a_child() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.sqlite");
    let server = counting();
    let children = [(); 3].map(|()| child("two_processes_agree", &server.base, &file));
    let said = children.map(|child| {
        let output = child.wait_with_output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        output.lines().find_map(|line| line.strip_prefix("texts:").map(str::to_owned)).expect("its texts")
    });
    assert_eq!(said[0].split(',').count() as u64, REQUESTS);
    assert!(said.iter().all(|other| *other == said[0]), "all go on with the same answers");
    let later: Vec<Reply> =
        stored(&server.base, &file).complete(&requests()).into_iter().map(Result::unwrap).collect();
    let later: Vec<&str> = later.iter().map(|reply| texts(reply)[0]).collect();
    assert_eq!(later.join(","), said[0]);
}

#[test]
fn every_field_makes_another_key() {
    let identity = Identity { kind: "chat".into(), place: "http://localhost/v1".into(), model: "toy".into() };
    let base = Request { system: Some("a".into()), ..Request::user("bc") };
    let assistant = Message { role: Role::Assistant, content: "bc".into() };
    let requests = [
        base.clone(),
        Request { system: Some("ab".into()), ..Request::user("c") },
        Request { system: None, ..Request::user("abc") },
        Request { system: Some(String::new()), ..Request::user("abc") },
        Request { prompt: Prompt::Raw("bc".into()), ..base.clone() },
        Request { prompt: Prompt::Messages(vec![assistant]), ..base.clone() },
        Request { temperature: 0.1, ..base.clone() },
        Request { top_p: 0.9, ..base.clone() },
        Request { max_tokens: 7, ..base.clone() },
        Request { stop: vec!["a".into(), "b".into()], ..base.clone() },
        Request { stop: vec!["a\",\"b".into()], ..base.clone() },
        Request { seed: Some(0), ..base.clone() },
        Request { log_probabilities: Some(0), ..base.clone() },
        Request { log_probabilities: Some(1), ..base.clone() },
    ];
    let mut keys: Vec<Key> = requests.iter().map(|request| Key::of(&identity, request)).collect();
    for other in [
        Identity { kind: "completions".into(), ..identity.clone() },
        Identity { place: "http://localhost/v2".into(), ..identity.clone() },
        Identity { model: "toy2".into(), ..identity.clone() },
    ] {
        keys.push(Key::of(&other, &base));
    }
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all);
    // Samples are told apart by their index under one key. This value is in the files of users: it must never change.
    let same = Request { samples: 5, first_sample: 3, ..base };
    assert_eq!(Key::of(&identity, &same).as_str(), GOLDEN);
}

/// SHA-256 of `{"kind":"chat","place":"http://localhost/v1","model":"toy","prompt":{"messages":[{"role":"user","content":"bc"}]},
/// "system":"a","temperature":0.0,"top_p":1.0,"max_tokens":512,"stop":[],"seed":null,"log_probabilities":null}` on one line.
const GOLDEN: &str = "7ded27e2d293ee70a68dc2b8984c67d5af9d54f32bf07d7d9f96851bd61b3065";

#[test]
fn samples_are_added_to_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|number, asked| {
        let count = asked.body["n"].as_u64().unwrap_or(1) as usize;
        let all: Vec<String> = (0..count).map(|index| format!("{number}.{index}")).collect();
        Answer::Json(200, chat(&all.iter().map(String::as_str).collect::<Vec<_>>()))
    });
    let model = stored(&server.base, &folder.path().join("replies.sqlite"));
    let ask = |first_sample, samples| {
        let request = Request { first_sample, samples, ..question() };
        model.complete(&[request]).pop().unwrap().unwrap()
    };
    assert_eq!(texts(&ask(0, 2)), ["0.0", "0.1"]);
    let more = ask(0, 4);
    assert_eq!((texts(&more), more.stored), (vec!["0.0", "0.1", "1.0", "1.1"], 2));
    assert_eq!(texts(&ask(6, 1)), ["2.0"]);
    // A hole on either side of what is there: two requests.
    let holes = ask(3, 5);
    assert_eq!(holes.stored, 2);
    let sent: Vec<_> = server.asked()[3..].iter().map(|asked| asked.body["n"].as_u64()).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.contains(&Some(2)) && sent.contains(&None), "{sent:?}");
    // Twice in a batch is asked once; tokens are counted in one of the two.
    let same = Request { temperature: 0.2, ..question() };
    let before = server.asked().len();
    let both: Vec<Reply> = model.complete(&[same.clone(), same]).into_iter().map(Result::unwrap).collect();
    assert_eq!(server.asked().len(), before + 1);
    assert_eq!(both[0].samples, both[1].samples);
    assert_eq!(both[0].usage.completion_tokens + both[1].usage.completion_tokens, 3);
}

#[test]
fn a_cache_is_shown_exported_and_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in/a/new/folder/replies.sqlite");
    let server = counting();
    let model = stored(&server.base, &file);
    let all: Vec<Request> = requests()[..5].to_vec();
    let replies: Vec<Reply> = model.complete(&all).into_iter().map(Result::unwrap).collect();
    let cache = model.store();
    let entries = cache.entries().unwrap();
    assert_eq!(entries.len(), 5);
    for request in &all {
        let key = Key::of(model.identity(), request);
        let entry = entries.iter().find(|entry| entry.key == key).expect("it is shown");
        assert!(entry.request.contains("What is 2 + 2?") && entry.samples == 1 && entry.bytes > 0);
        assert!(entry.created > 1_700_000_000);
    }
    // An export is a recording, and the same each time.
    let exported = folder.path().join("replies.jsonl");
    assert_eq!(cache.export(fs::File::create(&exported).unwrap()).unwrap(), 5);
    let mut again = Vec::new();
    cache.export(&mut again).unwrap();
    assert_eq!(fs::read(&exported).unwrap(), again);
    let replay = Replay::new(Recording::open(&exported).unwrap(), None).unwrap();
    let replayed: Vec<Reply> = replay.complete(&all).into_iter().map(Result::unwrap).collect();
    assert!(replayed.iter().zip(&replies).all(|(one, other)| one.samples == other.samples));
    // What is younger, or of another model, stays.
    let hour = Duration::from_secs(3600);
    let prune = |older_than, model: Option<&str>| {
        cache.prune(&Pruning { older_than, model: model.map(str::to_owned) }).unwrap()
    };
    assert_eq!(prune(hour, None), 0);
    assert_eq!(prune(Duration::ZERO, Some("other")), 0);
    assert_eq!(cache.entries().unwrap().len(), 5);
    assert_eq!(prune(Duration::ZERO, Some("toy")), 5);
    assert!(cache.entries().unwrap().is_empty());
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "Dear diary, this is no database, but it is long enough to be looked at.".repeat(50))
        .unwrap();
    let before = fs::read(&text).unwrap();
    let error = Cache::open(&text).unwrap_err();
    assert!(matches!(&error, Error::Cache { file, .. } if *file == text), "{error}");
    assert_eq!(fs::read(&text).unwrap(), before);

    let other = folder.path().join("other.sqlite");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE birds (name)").unwrap();
    let error = Cache::open(&other).unwrap_err();
    assert!(error.to_string().ends_with("is not a cache of backstitch"), "{error}");

    let later = folder.path().join("later.sqlite");
    drop(Cache::open(&later).unwrap());
    rusqlite::Connection::open(&later).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let error = Cache::open(&later).unwrap_err();
    assert!(error.to_string().contains("is of version 2, and this program knows version 1 only"), "{error}");

    assert!(Cache::open(folder.path()).is_err(), "a folder");
    assert!(Cache::open(&text.join("replies.sqlite")).is_err(), "a file as a folder");
}

#[test]
fn an_answer_that_cannot_be_kept_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.sqlite");
    let server = counting();
    let model = stored(&server.base, &file);
    rusqlite::Connection::open(&file).unwrap().execute_batch("DROP TABLE requests").unwrap();
    let error = model.complete(&[question()]).pop().unwrap().unwrap_err();
    let Error::Incomplete { obtained, reason, .. } = error else { panic!("{error}") };
    assert_eq!(texts(&obtained), ["0"]);
    assert!(matches!(*reason, Error::Cache { .. }), "{reason}");
}
