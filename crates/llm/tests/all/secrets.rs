//! The key goes to the server, and nowhere else.

use std::fs;

use backstitch_llm::{ApiKey, Budget, Cache, Endpoint, Error, Model, Recording, Request, Stored};

use crate::scene::{options, question, texts};
use crate::server::{Answer, Server, chat, error};

const KEY: &str = "sk-test-0123456789abcdef";

fn key() -> Option<ApiKey> {
    ApiKey::from_lookup("SOME_KEY", |name| (name == "SOME_KEY").then(|| KEY.to_owned())).unwrap()
}

fn endpoint(server: &Server) -> Endpoint {
    Endpoint::new(options(&server.base), key(), Budget::unlimited().into()).unwrap()
}

#[test]
fn a_key_is_sent_and_not_shown() {
    let server = Server::start(|_, _| Answer::Json(200, chat(&["4"])));
    let endpoint = endpoint(&server);
    endpoint.complete(&[question()]).pop().unwrap().unwrap();
    assert_eq!(server.asked()[0].authorization.as_deref(), Some(format!("Bearer {KEY}").as_str()));
    for shown in [format!("{endpoint:?}"), format!("{endpoint:#?}"), format!("{:?}", key())] {
        assert!(!shown.contains(KEY) && shown.contains("[key]"), "{shown}");
    }
}

#[test]
fn a_server_that_repeats_the_key_does_not_spread_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|number, asked| {
        let said = format!("you sent {}", asked.authorization.as_deref().unwrap_or("nothing"));
        match number % 4 {
            0 => Answer::Json(200, chat(&[&said])),
            1 => Answer::Json(401, error(&said, "invalid_api_key")),
            2 => Answer::Text(200, "text/html", said),
            _ => Answer::Json(400, error(&said, "refused")),
        }
    });
    let ask = |model: &dyn Model, seed| {
        let mut outcomes = model.complete(&[Request { seed: Some(seed), ..question() }]);
        outcomes.pop().unwrap()
    };
    let cached = Stored::new(endpoint(&server), Cache::open(&folder.path().join("replies.sqlite")).unwrap());
    let recorded =
        Stored::new(endpoint(&server), Recording::extend(&folder.path().join("replies.jsonl")).unwrap());
    for (model, base) in [(&cached as &dyn Model, 0), (&recorded, 10)] {
        assert_eq!(texts(&ask(model, base).unwrap()), ["you sent Bearer [key]"]);
        for seed in 1..4 {
            let error = ask(model, base + seed).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(KEY) && shown.contains("[key]"), "{shown}");
        }
    }
    drop((cached, recorded));
    let mut files = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()));
        files += 1;
    }
    assert!(files >= 2);
}

#[test]
fn keys_that_cannot_be_sent_are_refused_without_being_shown() {
    for bad in ["two words", "line\n", "schlüssel"] {
        let error = ApiKey::from_lookup("SOME_KEY", |_| Some(bad.into())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key in the environment variable SOME_KEY has characters other than visible ASCII ones"
        );
        assert!(!format!("{error:?}").contains(bad));
    }
    assert!(ApiKey::from_lookup("SOME_KEY", |_| None).unwrap().is_none());
    assert!(ApiKey::from_lookup("SOME_KEY", |_| Some(String::new())).unwrap().is_none());
    assert!(ApiKey::from_environment("BACKSTITCH_TEST_NO_SUCH_VARIABLE").unwrap().is_none());
}

#[test]
fn an_address_with_a_password_is_refused_without_being_shown() {
    for base in ["http://user:hunter2@localhost/v1", "http://localhost/v1?api-key=hunter2"] {
        let error = Endpoint::new(options(base), None, Budget::unlimited().into()).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
