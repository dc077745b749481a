//! What is sent, what is read, and what is refused before anything is sent.

use backstitch_llm::{
    Budget, Endpoint, EndpointKind, EndpointOptions, Error, FinishReason, Limits, Message, Model, Prompt,
    Request, Role,
};
use serde_json::{Value, json};

use crate::scene::{Expected, Scene, options, question, texts};
use crate::server::{Answer, Asked, chat};

/// A chat answer "é!" of three tokens, the first two of which are halves of a character.
fn with_log_probabilities(asked: &Asked) -> Value {
    let mut answer = chat(&["\u{fffd}\u{fffd}!"]);
    let count = asked.body["n"].as_u64().unwrap_or(1);
    let token = |text: &str, bytes: &[u8], log_probability: f64| {
        json!({
            "token": text, "bytes": bytes, "logprob": log_probability, "top_logprobs": [
                { "token": "?", "bytes": [63], "logprob": log_probability - 1.0 },
                { "token": text, "bytes": bytes, "logprob": log_probability },
                { "token": "a", "bytes": [97], "logprob": log_probability - 2.0 },
            ],
        })
    };
    answer["choices"][0]["logprobs"] = json!({ "content": [token("\u{fffd}", &[0xc3], -0.5), token("\u{fffd}", &[0xa9], -0.25), token("!", b"!", -0.125)] });
    if count > 1 {
        let choice = answer["choices"][0].clone();
        answer["choices"].as_array_mut().unwrap().push(choice);
    }
    answer
}

#[test]
fn log_probabilities_come_with_their_bytes() {
    let scene = Scene::new(|_, asked| Answer::Json(200, with_log_probabilities(asked)));
    let reply = scene.ask(&Request { log_probabilities: Some(2), ..question() }).unwrap();
    assert_eq!(texts(&reply), ["é!"], "put together from bytes");
    let tokens = reply.samples[0].tokens.as_ref().unwrap();
    let values: Vec<f64> = tokens.iter().map(|token| token.log_probability).collect();
    assert_eq!(values, [-0.5, -0.25, -0.125]);
    assert_eq!(tokens[0].bytes, [0xc3]);
    let alternatives: Vec<(&[u8], f64)> =
        tokens[2].alternatives.iter().map(|other| (other.bytes.as_slice(), other.log_probability)).collect();
    assert_eq!(
        alternatives,
        [(b"!".as_slice(), -0.125), (b"?".as_slice(), -1.125)],
        "likeliest first, two of them"
    );
    // The probe, of one token, and the request. What the cache gives back is the same.
    let asked = scene.server.asked();
    assert_eq!((asked.len(), &asked[0].body["max_tokens"]), (2, &json!(1)));
    assert_eq!((&asked[1].body["logprobs"], &asked[1].body["top_logprobs"]), (&json!(true), &json!(2)));
    let again = scene.ask(&Request { log_probabilities: Some(2), ..question() }).unwrap();
    assert_eq!(again.samples, reply.samples);
    scene.assert(Expected { requests: 2, tokens: (20, 6), cached: 1 });
}

#[test]
fn the_form_of_completions_is_read() {
    let scene = Scene::with(
        |options| options.kind = EndpointKind::Completions,
        Limits::default(),
        |_, _| {
            let log_probabilities = json!({
                "tokens": [" 4", "bytes:\\xe2\\x80", "."], "token_logprobs": [-0.5, -1.0, -2.0], "text_offset": [0, 2, 3],
                "top_logprobs": [{ " 4": -0.5, " 5": -1.5 }, { "bytes:\\xe2\\x80": -1.0 }, null],
            });
            let choice = json!({ "index": 0, "text": " 4\u{fffd}.", "finish_reason": "length", "logprobs": log_probabilities });
            Answer::Json(
                200,
                json!({ "choices": [choice], "usage": { "prompt_tokens": 10, "completion_tokens": 3 } }),
            )
        },
    );
    let request = Request {
        system: Some("Answer.".into()),
        log_probabilities: Some(0),
        stop: vec!["\n".into()],
        ..question()
    };
    let reply = scene.ask(&request).unwrap();
    assert_eq!(reply.samples[0].finish, FinishReason::Length);
    let tokens = reply.samples[0].tokens.as_ref().unwrap();
    assert_eq!((tokens[1].bytes.as_slice(), tokens[1].log_probability), ([0xe2, 0x80].as_slice(), -1.0));
    assert!(tokens.iter().all(|token| token.alternatives.is_empty()), "none were asked for");
    let asked = &scene.server.asked()[1];
    assert_eq!(asked.path, "/v1/completions");
    let expected = json!({
        "model": "toy", "prompt": "Answer.\n\nWhat is 2 + 2?", "temperature": 0.7, "max_tokens": 50, "stop": ["\n"], "logprobs": 1,
    });
    assert_eq!(asked.body, expected);
}

#[test]
fn an_endpoint_without_log_probabilities_is_found_out_once() {
    let requests: Vec<Request> =
        (0..50).map(|seed| Request { seed: Some(seed), log_probabilities: Some(1), ..question() }).collect();
    for refuses in [false, true] {
        let scene = Scene::new(move |_, asked| {
            if refuses && asked.body.get("logprobs").is_some() {
                let message = "logprobs are not supported by this model";
                return Answer::Json(400, crate::server::error(message, "unsupported"));
            }
            Answer::Json(200, chat(&["4"]))
        });
        let outcomes = scene.model.complete(&requests);
        for outcome in &outcomes {
            let error = outcome.as_ref().unwrap_err();
            let expected = format!(
                "endpoint {}/chat/completions returned no token logprobs, which were asked for",
                scene.server.base
            );
            assert_eq!(error.to_string(), expected);
            assert!(
                error.hint().unwrap().starts_with("use vLLM or llama.cpp, or choose agreement confidence")
            );
        }
        assert_eq!(scene.server.asked().len(), 1 + usize::from(refuses));
        // Others are answered all the same.
        assert!(scene.ask(&question()).is_ok());
        let found = scene.model.model().capabilities().unwrap();
        assert_eq!((found.log_probabilities, found.several_samples, found.seed), (false, false, true));
        assert_eq!(scene.server.asked().len(), 2 + usize::from(refuses), "remembered");
    }
}

#[test]
fn capabilities_are_found_by_one_call() {
    let scene = Scene::new(|_, asked| Answer::Json(200, with_log_probabilities(asked)));
    for _ in 0..2 {
        let found = scene.model.model().capabilities().unwrap();
        assert_eq!((found.log_probabilities, found.several_samples, found.seed), (true, true, true));
    }
    scene.assert(Expected { requests: 1, tokens: (10, 3), cached: 0 });
}

#[test]
fn conversations_are_sent_as_they_are() {
    let scene = Scene::new(|_, _| Answer::Json(200, chat(&["4"])));
    let turn = |role, content: &str| Message { role, content: content.into() };
    let conversation = Request {
        system: Some("Be brief.".into()),
        temperature: 1.0,
        top_p: 0.5,
        ..Request::messages(vec![
            turn(Role::User, "1 + 1?"),
            turn(Role::Assistant, "2"),
            turn(Role::User, "2 + 2?"),
        ])
    };
    scene.ask(&conversation).unwrap();
    let expected = json!({
        "model": "toy", "top_p": 0.5, "max_tokens": 512, "messages": [
            { "role": "system", "content": "Be brief." }, { "role": "user", "content": "1 + 1?" },
            { "role": "assistant", "content": "2" }, { "role": "user", "content": "2 + 2?" },
        ],
    });
    assert_eq!(scene.server.asked()[0].body, expected);
    scene.ask(&Request::raw("2 + 2 =")).unwrap();
    assert_eq!(scene.server.asked()[1].body["messages"], json!([{ "role": "user", "content": "2 + 2 =" }]));
}

#[test]
fn unusual_contents_are_read() {
    for (content, expected) in [
        (json!(null), ""),
        (
            json!([{ "type": "text", "text": "a" }, { "type": "image" }, { "type": "text", "text": "b" }]),
            "ab",
        ),
        (json!(""), ""),
    ] {
        let scene = Scene::new(move |_, _| {
            let mut answer = chat(&["x"]);
            answer["choices"][0]["message"]["content"] = content.clone();
            answer["choices"][0]["finish_reason"] = json!("content_filter");
            Answer::Json(200, answer)
        });
        let reply = scene.ask(&question()).unwrap();
        assert_eq!(texts(&reply), [expected]);
        assert_eq!(reply.samples[0].finish, FinishReason::Other("content_filter".into()));
    }
}

#[test]
fn requests_outside_their_ranges_are_not_sent() {
    let scene = Scene::new(|_, _| Answer::Json(200, chat(&["4"])));
    let refused = [
        (Request::user(""), None),
        (Request::raw(""), Some("prompt is empty")),
        (Request { prompt: Prompt::Messages(vec![]), ..question() }, Some("prompt is empty")),
        (Request { temperature: -0.1, ..question() }, Some("temperature is -0.1, but must be 0 to 2")),
        (Request { temperature: f64::NAN, ..question() }, Some("temperature is NaN")),
        (Request { top_p: 0.0, ..question() }, Some("top_p is 0, but must be above 0 and at most 1")),
        (Request { max_tokens: 0, ..question() }, Some("max_tokens is 0")),
        (Request { samples: 0, ..question() }, Some("samples is 0")),
        (Request { samples: 10_001, ..question() }, Some("samples is 10001, but must be 1 to 10000")),
        (Request { first_sample: u32::MAX, samples: 1, ..question() }, Some("samples is 1")),
        (Request { stop: vec![String::new()], ..question() }, Some("stop is an empty text")),
        (
            Request { log_probabilities: Some(21), ..question() },
            Some("log_probabilities is 21, but must be 0 to 20"),
        ),
    ];
    for (request, expected) in refused {
        let outcome = scene.ask(&request);
        match expected {
            None => assert!(outcome.is_ok(), "an empty message is the server's business"),
            Some(expected) => {
                let error = outcome.unwrap_err();
                assert!(error.to_string().starts_with(expected), "{error}");
            }
        }
    }
    scene.assert(Expected { requests: 1, tokens: (10, 3), cached: 1 });
}

#[test]
fn endpoints_outside_their_ranges_are_refused() {
    let refused = |change: fn(&mut EndpointOptions)| {
        let mut options = options("http://localhost:8000/v1");
        change(&mut options);
        Endpoint::new(options, None, Budget::unlimited().into()).unwrap_err().to_string()
    };
    for base in ["", "localhost:8000", "/v1", "ftp://localhost", "http://", "http:// a", "file:///etc/passwd"]
    {
        let mut options = options("http://localhost");
        options.base = base.into();
        let error = Endpoint::new(options, None, Budget::unlimited().into()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the base address is {base:?}, but must be an http or https address")),
            "{error}"
        );
    }
    assert!(refused(|options| options.model = " ".into()).starts_with("the model is empty"));
    assert!(
        refused(|options| options.concurrency = 0).starts_with("concurrency is 0, but must be 1 to 1024")
    );
    assert!(refused(|options| options.concurrency = 5000).starts_with("concurrency is 5000"));
    assert!(refused(|options| options.attempts = 0).starts_with("attempts is 0"));
    assert!(
        refused(|options| options.deadline = std::time::Duration::ZERO).starts_with("the deadline is 0 s")
    );
    assert!(refused(|options| options.deadline = std::time::Duration::MAX).contains("at most a day"));
    // One endpoint, however it is written.
    for base in
        ["http://localhost:8000/v1", "http://localhost:8000/v1/", "http://localhost:8000/v1/chat/completions"]
    {
        let endpoint = Endpoint::new(options(base), None, Budget::unlimited().into()).unwrap();
        assert_eq!(endpoint.identity().place, "http://localhost:8000/v1");
    }
}

#[test]
fn a_model_that_forgets_a_request_is_noticed() {
    struct Forgetful(backstitch_llm::Identity);
    impl Model for Forgetful {
        fn identity(&self) -> &backstitch_llm::Identity {
            &self.0
        }
        fn answer(&self, _: &[Request], _: &mut dyn FnMut(usize, Result<backstitch_llm::Reply, Error>)) {}
    }
    let identity =
        backstitch_llm::Identity { kind: "test".into(), place: String::new(), model: "none".into() };
    assert!(matches!(Forgetful(identity).complete(&[question()])[..], [Err(Error::Unanswered)]));
}

/// Every place of an answer, replaced by every kind of value, one at a time.
#[test]
fn any_answer_is_no_harm() {
    fn places(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| places(value, format!("{at}/{name}"), found));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| places(value, format!("{at}/{index}"), found));
            }
            _ => {}
        }
        found.push(at);
    }
    let good = with_log_probabilities(&Asked {
        path: String::new(),
        authorization: None,
        body: json!({}),
        at: std::time::Instant::now(),
    });
    let mut all = Vec::new();
    places(&good, String::new(), &mut all);
    let values = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!("x"),
        json!([]),
        json!([[]]),
        json!({}),
        json!(true),
    ];
    let bodies: Vec<Value> = all
        .iter()
        .flat_map(|place| values.iter().map(move |value| (place, value)))
        .map(|(place, value)| {
            let mut body = good.clone();
            *body.pointer_mut(place).unwrap() = value.clone();
            body
        })
        .collect();
    let count = bodies.len() as u64;
    assert!(count > 400);
    let scene = Scene::with(
        |options| options.attempts = 1,
        Limits::default(),
        move |number, asked| match number.checked_sub(1) {
            None => Answer::Json(200, with_log_probabilities(asked)),
            Some(number) => Answer::Json(200, bodies[number].clone()),
        },
    );
    let requests: Vec<Request> = (0..count)
        .map(|seed| Request { seed: Some(seed), log_probabilities: Some(2), ..question() })
        .collect();
    let outcomes = scene.model.complete(&requests);
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(answered > 100 && answered < count as usize, "{answered}");
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(error, Error::Unusable { .. } | Error::NoLogProbabilities { .. }), "{error}");
    }
    // What was answered is kept in a form that is read back.
    let mut export = Vec::new();
    assert_eq!(scene.model.store().export(&mut export).unwrap() as usize, answered);
}
