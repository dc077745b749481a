//! An endpoint that fails in every way we know of. Each scene says how many requests are sent, what is counted, and what is in
//! the cache; each ends within its deadline.

use std::net::TcpListener;
use std::time::Duration;

use backstitch_llm::{Budget, Endpoint, Error, Limits, Model, Request};
use serde_json::{Value, json};

use crate::scene::{Expected, Scene, options, question, texts};
use crate::server::{Answer, chat, error};

const NOTHING: (u64, u64) = (0, 0);
const ONE_ANSWER: (u64, u64) = (10, 3);

fn good() -> Answer {
    Answer::Json(200, chat(&["4"]))
}

#[track_caller]
fn assert_good(scene: &Scene, requests: usize) {
    let reply = scene.ask(&question()).unwrap();
    assert_eq!(texts(&reply), ["4"]);
    scene.assert(Expected { requests, tokens: ONE_ANSWER, cached: 1 });
    // It is there now: nothing is asked, nothing is paid.
    let again = scene.ask(&question()).unwrap();
    assert_eq!((texts(&again), again.stored, again.usage.completion_tokens), (vec!["4"], 1, 0));
    scene.assert(Expected { requests, tokens: ONE_ANSWER, cached: 1 });
}

#[track_caller]
fn assert_failed(scene: &Scene, requests: usize) -> Error {
    let error = scene.ask(&question()).unwrap_err();
    scene.assert(Expected { requests, tokens: NOTHING, cached: 0 });
    assert!(error.hint().is_some(), "{error}");
    error
}

#[test]
fn a_good_answer_is_asked_for_once() {
    let scene = Scene::new(|_, _| good());
    assert_good(&scene, 1);
    let asked = &scene.server.asked()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    let expected = json!({
        "model": "toy", "messages": [{ "role": "user", "content": "What is 2 + 2?" }], "temperature": 0.7, "max_tokens": 50,
    });
    assert_eq!(asked.body, expected);
}

#[test]
fn a_slow_first_byte_is_waited_for() {
    let scene = Scene::new(|_, _| Answer::Late(Duration::from_millis(300), good().into()));
    assert_good(&scene, 1);
}

#[test]
fn a_first_byte_after_the_deadline_is_not_waited_for() {
    let scene = Scene::with(
        |options| options.deadline = Duration::from_secs(1),
        Limits::default(),
        |_, _| Answer::Late(Duration::from_secs(60), good().into()),
    );
    let error = assert_failed(&scene, 1);
    assert!(error.to_string().ends_with("gave no whole answer within 1 s (1 attempt)"), "{error}");
}

#[test]
fn a_stalled_body_ends_at_the_deadline() {
    let scene = Scene::with(
        |options| options.deadline = Duration::from_secs(1),
        Limits::default(),
        |_, _| Answer::Stalled(chat(&["4"]), Duration::from_secs(60)),
    );
    assert!(matches!(assert_failed(&scene, 1), Error::Deadline { attempts: 1, .. }));
}

#[test]
fn a_body_that_is_cut_off_is_asked_for_again() {
    let scene = Scene::new(|number, _| if number == 0 { Answer::Cut(chat(&["4"])) } else { good() });
    assert_good(&scene, 2);
}

#[test]
fn truncated_json_is_asked_for_once_more() {
    let truncated = || {
        let text = chat(&["4"]).to_string();
        Answer::Text(200, "application/json", text[..text.len() / 2].into())
    };
    let scene = Scene::new(move |number, _| if number == 0 { truncated() } else { good() });
    assert_good(&scene, 2);
    let scene = Scene::new(move |number, _| match number {
        0 => Answer::Text(200, "application/json", String::new()),
        _ => good(),
    });
    assert_good(&scene, 2);
    let scene = Scene::new(move |_, _| truncated());
    let error = assert_failed(&scene, 2);
    assert!(error.to_string().contains("it is empty, cut off or not JSON"), "{error}");
}

#[test]
fn missing_fields_are_named() {
    let without = |path: &'static str| {
        Scene::new(move |_, _| {
            let mut answer = chat(&["4"]);
            let (parent, name) = path.rsplit_once('/').unwrap();
            answer.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(name);
            Answer::Json(200, answer)
        })
    };
    // Paid for twice: both answers say what they cost.
    let scene = without("/choices");
    let error = scene.ask(&question()).unwrap_err();
    assert!(error.to_string().contains("it has no field `choices`"), "{error}");
    scene.assert(Expected { requests: 2, tokens: (20, 6), cached: 0 });
    let scene = without("/choices/0/message");
    let error = scene.ask(&question()).unwrap_err();
    assert!(error.to_string().contains("choice 0 has neither a message nor a text"), "{error}");
    scene.assert(Expected { requests: 2, tokens: (20, 6), cached: 0 });
    // What may be missing.
    for path in [
        "/id",
        "/object",
        "/model",
        "/choices/0/index",
        "/choices/0/finish_reason",
        "/choices/0/message/role",
    ] {
        assert_good(&without(path), 1);
    }
    // Without a count, the bytes of the prompt and of the answer bound the tokens.
    let scene = without("/usage");
    scene.ask(&question()).unwrap();
    scene.assert(Expected { requests: 1, tokens: (14 + 16, 2), cached: 1 });
    assert_eq!(scene.spent().uncounted, 1);
}

#[test]
fn an_error_inside_a_success_is_shown() {
    let scene = Scene::new(|_, _| Answer::Json(200, error("the model is loading", "unavailable")));
    let error = assert_failed(&scene, 2);
    assert!(error.to_string().contains("it holds an error: the model is loading"), "{error}");
}

#[test]
fn empty_choices_are_asked_for_once_more() {
    let scene = Scene::new(|_, _| Answer::Json(200, chat(&[])));
    let error = scene.ask(&question()).unwrap_err();
    assert!(error.to_string().contains("`choices` is empty"), "{error}");
    scene.assert(Expected { requests: 2, tokens: (20, 0), cached: 0 });
}

#[test]
fn fewer_choices_than_asked_are_completed() {
    let scene = Scene::new(|number, asked| {
        let given = [2, 1, 2][number];
        assert!(asked.body["n"].as_u64().unwrap_or(1) >= given as u64);
        Answer::Json(200, chat(&["a", "b", "c", "d", "e"][2 * number - usize::from(number == 2)..][..given]))
    });
    let request = Request { samples: 5, seed: Some(7), ..question() };
    let reply = scene.ask(&request).unwrap();
    assert_eq!(texts(&reply), ["a", "b", "c", "d", "e"]);
    scene.assert(Expected { requests: 3, tokens: (30, 15), cached: 5 });
    let asked = scene.server.asked();
    let sent = |name: &str| asked.iter().map(|asked| asked.body[name].as_u64()).collect::<Vec<_>>();
    assert_eq!(sent("n"), [Some(5), Some(3), Some(2)]);
    // The same seed again would bring the same samples again.
    assert_eq!(sent("seed"), [Some(7), Some(9), Some(10)]);
}

#[test]
fn more_choices_than_asked_are_left() {
    let scene = Scene::new(|_, _| Answer::Json(200, chat(&["a", "b", "c"])));
    let reply = scene.ask(&Request { samples: 2, ..question() }).unwrap();
    assert_eq!(texts(&reply), ["a", "b"]);
    scene.assert(Expected { requests: 1, tokens: (10, 9), cached: 2 });
}

#[test]
fn what_came_before_a_failure_is_kept() {
    let scene = Scene::new(|number, _| match number {
        0 => Answer::Json(200, chat(&["a", "b"])),
        1 => Answer::Json(400, error("no more of this", "refused")),
        _ => Answer::Json(200, chat(&["c"])),
    });
    let request = Request { samples: 3, ..question() };
    let error = scene.ask(&request).unwrap_err();
    assert!(error.to_string().starts_with("2 of 3 samples were obtained, then: "), "{error}");
    scene.assert(Expected { requests: 2, tokens: (10, 6), cached: 2 });
    let reply = scene.ask(&request).unwrap();
    assert_eq!((texts(&reply), reply.stored), (vec!["a", "b", "c"], 2));
    scene.assert(Expected { requests: 3, tokens: (20, 9), cached: 3 });
}

#[test]
fn a_busy_server_is_given_the_time_it_asks_for() {
    let start = std::time::Instant::now();
    let scene = Scene::new(|number, _| match number {
        0 => Answer::RetryAfter(429, "0.4".into(), error("slow down", "rate_limit_exceeded")),
        _ => good(),
    });
    assert_good(&scene, 2);
    assert!(start.elapsed() >= Duration::from_millis(400), "the pause of the client itself is 1 ms");
}

#[test]
fn a_date_to_come_back_at_is_understood() {
    // Long gone: at once.
    let scene = Scene::new(|number, _| match number {
        0 => Answer::RetryAfter(
            503,
            "Sun, 06 Nov 1994 08:49:37 GMT".into(),
            error("restarting", "unavailable"),
        ),
        _ => good(),
    });
    assert_good(&scene, 2);
}

#[test]
fn a_pause_beyond_the_deadline_is_not_begun() {
    let scene =
        Scene::new(|_, _| Answer::RetryAfter(429, "3600".into(), error("slow down", "rate_limit_exceeded")));
    let start = std::time::Instant::now();
    let error = assert_failed(&scene, 1);
    assert!(error.to_string().contains("slow down; the next attempt would be in 3600 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(9), "the deadline of 10 s is not waited for");
}

#[test]
fn the_pause_is_kept_by_all_threads() {
    let scene = Scene::with(
        |options| options.concurrency = 4,
        Limits::default(),
        |number, _| match number {
            0 => Answer::RetryAfter(429, "1".into(), error("slow down", "rate_limit_exceeded")),
            _ => Answer::Late(Duration::from_millis(50), good().into()),
        },
    );
    let requests: Vec<Request> = (0..60).map(|seed| Request { seed: Some(seed), ..question() }).collect();
    assert!(scene.model.complete(&requests).iter().all(Result::is_ok));
    scene.assert(Expected { requests: 61, tokens: (600, 180), cached: 60 });
    // Three threads had requests under way, and perhaps another one. Without the pause they would send nearly all in this second.
    let asked = scene.server.asked();
    let soon = asked[0].at + Duration::from_millis(900);
    let early = asked.iter().filter(|asked| asked.at < soon).count();
    assert!(early <= 16, "{early}");
}

#[test]
fn an_empty_account_ends_the_run() {
    let scene = Scene::with(
        |options| options.concurrency = 1,
        Limits::default(),
        |number, _| match number {
            0 => good(),
            _ => Answer::RetryAfter(
                429,
                "1".into(),
                error("You exceeded your current quota", "insufficient_quota"),
            ),
        },
    );
    let requests: Vec<Request> = (0..100).map(|seed| Request { seed: Some(seed), ..question() }).collect();
    let outcomes = scene.model.complete(&requests);
    assert!(outcomes[0].is_ok());
    assert!(outcomes[1..].iter().all(|outcome| matches!(outcome, Err(Error::Quota { .. }))));
    scene.assert(Expected { requests: 2, tokens: ONE_ANSWER, cached: 1 });
}

#[test]
fn a_failing_server_is_asked_again() {
    let scene = Scene::new(|number, _| match number {
        0 | 1 => Answer::Text(500, "text/plain", "oops".into()),
        _ => good(),
    });
    assert_good(&scene, 3);
    let scene = Scene::new(|_, _| Answer::Text(500, "text/plain", "oops".into()));
    let error = assert_failed(&scene, 5);
    assert!(error.to_string().ends_with("answered with status 500: oops (5 attempts)"), "{error}");
}

#[test]
fn a_reset_connection_is_tried_again() {
    let scene = Scene::new(|number, _| if number < 2 { Answer::Reset } else { good() });
    assert_good(&scene, 3);
    let scene = Scene::new(|_, _| Answer::Reset);
    assert!(matches!(assert_failed(&scene, 5), Error::Unreachable { attempts: 5, permanent: false, .. }));
}

#[test]
fn an_answer_byte_by_byte_is_put_together() {
    let scene = Scene::new(|_, _| Answer::Dribbled(chat(&["4"]), Duration::ZERO));
    assert_good(&scene, 1);
}

#[test]
fn an_answer_that_trickles_ends_at_the_deadline() {
    let scene = Scene::with(
        |options| options.deadline = Duration::from_secs(1),
        Limits::default(),
        // Some 200 bytes: there is always a next one soon.
        |_, _| Answer::Dribbled(chat(&["4"]), Duration::from_millis(50)),
    );
    assert!(matches!(assert_failed(&scene, 1), Error::Deadline { attempts: 1, .. }));
}

#[test]
fn the_content_type_does_not_matter_if_it_is_json() {
    let scene = Scene::new(|_, _| Answer::Text(200, "text/plain", chat(&["4"]).to_string()));
    assert_good(&scene, 1);
}

#[test]
fn a_page_is_not_an_endpoint() {
    let scene =
        Scene::new(|_, _| Answer::Text(200, "text/html", "<html>\n<title>Welcome</title></html>".into()));
    let error = assert_failed(&scene, 1);
    assert!(error.to_string().ends_with("is not an endpoint of a language model: success, but no JSON: <html> <title>Welcome</title></html>"), "{error}");
    for missing in [json!({ "detail": "Not Found" }), json!({ "detail": "Method Not Allowed" })] {
        let scene = Scene::new(move |_, _| Answer::Json(404, missing.clone()));
        assert!(matches!(assert_failed(&scene, 1), Error::NotAnEndpoint { .. }));
    }
}

#[test]
fn a_large_answer_is_taken_up_to_the_limit() {
    let long = || "x".repeat(10_000_000);
    let scene = Scene::new(move |_, _| Answer::Json(200, chat(&[&long()])));
    assert_eq!(scene.ask(&question()).unwrap().samples[0].text.len(), 10_000_000);
    scene.assert(Expected { requests: 1, tokens: ONE_ANSWER, cached: 1 });
    let scene = Scene::with(
        |options| options.max_reply_bytes = 1 << 20,
        Limits::default(),
        move |_, _| Answer::Json(200, chat(&[&long()])),
    );
    let error = assert_failed(&scene, 1);
    assert!(error.to_string().ends_with("gave an answer of more than 1048576 bytes"), "{error}");
}

#[test]
fn a_wrong_key_ends_the_run() {
    let scene = Scene::with(
        |options| options.concurrency = 1,
        Limits::default(),
        |_, _| Answer::Json(401, error("Incorrect API key provided", "invalid_api_key")),
    );
    let requests: Vec<Request> = (0..50).map(|seed| Request { seed: Some(seed), ..question() }).collect();
    let outcomes = scene.model.complete(&requests);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Unauthorised { status: 401, .. }))));
    scene.assert(Expected { requests: 1, tokens: NOTHING, cached: 0 });
}

#[test]
fn a_prompt_that_is_not_allowed_does_not_end_the_run() {
    let scene = Scene::new(|number, _| match number {
        0 => Answer::Json(403, error("this input was flagged", "moderation")),
        _ => good(),
    });
    let requests: Vec<Request> = (0..20).map(|seed| Request { seed: Some(seed), ..question() }).collect();
    let outcomes = scene.model.complete(&requests);
    let refused: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(matches!(refused[..], [Error::Unauthorised { status: 403, .. }]), "{refused:?}");
    scene.assert(Expected { requests: 20, tokens: (190, 57), cached: 19 });
}

#[test]
fn an_unknown_model_ends_the_run() {
    let scene = Scene::with(
        |options| options.concurrency = 1,
        Limits::default(),
        |_, _| Answer::Json(404, error("The model `toy` does not exist", "model_not_found")),
    );
    let requests: Vec<Request> = (0..50).map(|seed| Request { seed: Some(seed), ..question() }).collect();
    let outcomes = scene.model.complete(&requests);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Status { status: 404, .. }))));
    scene.assert(Expected { requests: 1, tokens: NOTHING, cached: 0 });
}

#[test]
fn refused_fields_are_left_out_from_then_on() {
    // Names one field after the other, as strict servers do.
    let strict = |asked: &crate::server::Asked| {
        for field in ["n", "seed"] {
            if asked.body.get(field).is_some() {
                let detail = json!([{ "type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted" }]);
                return Answer::Json(422, json!({ "detail": detail }));
            }
        }
        good()
    };
    let scene =
        Scene::with(|options| options.concurrency = 1, Limits::default(), move |_, asked| strict(asked));
    let request = Request { samples: 2, seed: Some(1), ..question() };
    assert_eq!(texts(&scene.ask(&request).unwrap()), ["4", "4"]);
    scene.assert(Expected { requests: 4, tokens: (20, 6), cached: 2 });
    assert_eq!(texts(&scene.ask(&Request { seed: Some(2), ..request }).unwrap()), ["4", "4"]);
    scene.assert(Expected { requests: 6, tokens: (40, 12), cached: 4 });
}

#[test]
fn an_unnamed_refusal_is_met_once() {
    let scene = Scene::new(|_, asked| {
        let plain = asked.body.get("seed").is_none() && asked.body.get("n").is_none();
        if plain { good() } else { Answer::Json(422, json!({ "detail": "Extra inputs are not permitted" })) }
    });
    assert_eq!(texts(&scene.ask(&Request { seed: Some(1), ..question() }).unwrap()), ["4"]);
    scene.assert(Expected { requests: 2, tokens: ONE_ANSWER, cached: 1 });
    let scene = Scene::new(|_, _| Answer::Json(422, json!({ "detail": "Extra inputs are not permitted" })));
    assert!(matches!(assert_failed(&scene, 1), Error::Status { status: 422, .. }));
}

#[test]
fn the_newer_name_of_max_tokens_is_learned() {
    let scene = Scene::new(|_, asked| match asked.body.get("max_tokens") {
        Some(_) => Answer::Json(
            400,
            error(
                "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
                "unsupported_parameter",
            ),
        ),
        None => good(),
    });
    assert_good(&scene, 2);
    assert_eq!(scene.server.asked()[1].body["max_completion_tokens"], 50);
}

#[test]
fn a_prompt_beyond_the_context_is_said_so() {
    for message in [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "the request exceeds the available context size, try increasing it",
    ] {
        let scene = Scene::new(move |number, _| match number {
            0 => Answer::Json(400, error(message, "invalid_request_error")),
            _ => good(),
        });
        let long = Request { ..Request::user("x".repeat(100_000)) };
        let outcomes = scene.model.complete(&[long, question()]);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "the other is answered");
        let error = outcomes.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(&error, Error::PromptTooLong { message: said, .. } if said == message), "{error}");
        scene.assert(Expected { requests: 2, tokens: ONE_ANSWER, cached: 1 });
    }
}

#[test]
fn a_redirect_is_shown_and_not_followed() {
    let other = crate::server::Server::start(|_, _| good());
    let to = format!("{}/chat/completions", other.base);
    let scene = Scene::new(move |_, _| Answer::Redirect(to.clone()));
    let error = assert_failed(&scene, 1);
    assert!(matches!(error, Error::Status { status: 308, .. }), "{error}");
    assert!(other.asked().is_empty(), "another host gets nothing");
}

#[test]
fn what_cannot_be_reached_ends_the_run() {
    // A port nobody listens on: bound, and closed again.
    let base = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/v1", listener.local_addr().unwrap())
    };
    let endpoint = Endpoint::new(options(&base), None, Budget::unlimited().into()).unwrap();
    let requests = vec![question(); 200];
    let outcomes = endpoint.complete(&requests);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Unreachable { attempts: 1, .. }))));
    // At most one for each of the eight threads.
    assert!(endpoint.budget().spent().requests <= 8);
}
