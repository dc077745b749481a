//! Hard limits, and the estimate before a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backstitch_llm::{Budget, Endpoint, Error, Limits, Model, Prices, Request, Usage, estimate};

use crate::scene::{Expected, PRICES, Scene, options, question};
use crate::server::{Answer, Server, chat};

fn requests(count: u64) -> Vec<Request> {
    (0..count).map(|seed| Request { seed: Some(seed), ..question() }).collect()
}

fn good(_: usize, _: &crate::server::Asked) -> Answer {
    Answer::Json(200, chat(&["4"]))
}

#[test]
fn a_limit_of_requests_is_kept_and_the_rest_continued() {
    let scene = Scene::with(|_| {}, Limits { requests: Some(30), ..Limits::default() }, good);
    let outcomes = scene.model.complete(&requests(100));
    let (answered, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((answered.len(), refused.len()), (30, 70));
    for outcome in refused {
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), "the limit of 30 requests is reached: 30 requests were sent");
        assert!(error.hint().unwrap().contains("raise the limit"));
    }
    scene.assert(Expected { requests: 30, tokens: (300, 90), cached: 30 });
    // The same with a new budget asks what is missing only.
    let missing = scene.model.missing(&requests(100)).unwrap();
    assert_eq!(missing.len(), 70);
    let other = Server::start(good);
    let endpoint = Endpoint::new(options(&other.base), None, Budget::unlimited().into()).unwrap();
    assert!(endpoint.complete(&missing).iter().all(Result::is_ok));
    assert_eq!(other.asked().len(), 70);
}

#[test]
fn a_limit_of_cost_is_never_passed() {
    // Each request may cost (14 + 16 + 2 * 50) / 1e6 and does cost 16 / 1e6. Eight are under way at a time.
    let limit = 500e-6;
    let limits = Limits { cost: Some(limit), ..Limits::default() };
    let scene = Scene::with(
        |_| {},
        limits,
        |number, asked| Answer::Late(Duration::from_millis(5), good(number, asked).into()),
    );
    let outcomes = scene.model.complete(&requests(100));
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    // The last request is sent while there is room for its worst case.
    assert_eq!(answered, ((500 - 130) / 16) + 1);
    assert!(scene.spent().cost.unwrap() <= limit);
    let refused = outcomes.into_iter().find_map(Result::err).unwrap();
    assert!(
        refused.to_string().starts_with("the limit of cost 0.0005 is reached: 0.000384 was spent"),
        "{refused}"
    );
    let tokens = (10 * answered as u64, 3 * answered as u64);
    scene.assert(Expected { requests: answered, tokens, cached: answered as u32 });
}

#[test]
fn a_limit_of_time_ends_calls_under_way() {
    let limits = Limits { seconds: Some(1.0), ..Limits::default() };
    let scene = Scene::with(
        |options| options.concurrency = 2,
        limits,
        |number, asked| match number {
            0 => good(number, asked),
            _ => Answer::Late(Duration::from_secs(60), good(number, asked).into()),
        },
    );
    let start = Instant::now();
    let outcomes = scene.model.complete(&requests(20));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert!(error.to_string().starts_with("the limit of 1 seconds is reached: "), "{error}");
    }
    assert_eq!(scene.model.store().entries().unwrap().len(), 1, "what arrived is kept");
}

#[test]
fn several_endpoints_share_a_budget() {
    let budget = Arc::new(Budget::new(Limits { requests: Some(3), ..Limits::default() }, None).unwrap());
    let server = Server::start(good);
    let endpoint = || Endpoint::new(options(&server.base), None, Arc::clone(&budget)).unwrap();
    let (one, other) = (endpoint(), endpoint());
    assert!(one.complete(&requests(2)).iter().all(Result::is_ok));
    let outcomes = other.complete(&requests(2));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn impossible_limits_are_refused() {
    let refused = |limits, prices| Budget::new(limits, prices).unwrap_err().to_string();
    let cost = |cost| Limits { cost: Some(cost), ..Limits::default() };
    assert!(
        refused(cost(-1.0), Some(PRICES))
            .starts_with("max_cost is -1, but must be a finite number, at least 0")
    );
    assert!(refused(cost(f64::NAN), Some(PRICES)).starts_with("max_cost is NaN"));
    assert!(refused(cost(1.0), None).contains("must be given together with prices"));
    assert!(
        refused(Limits { seconds: Some(f64::INFINITY), ..Limits::default() }, None)
            .starts_with("max_seconds is inf")
    );
    let prices = Prices { prompt: -1.0, completion: 0.0 };
    assert!(refused(Limits::default(), Some(prices)).starts_with("the price of prompt tokens is -1"));
    // Nothing may be spent: nothing is sent.
    let scene = Scene::with(|_| {}, cost(0.0), good);
    assert!(matches!(scene.ask(&question()), Err(Error::Spent { .. })));
    scene.assert(Expected { requests: 0, tokens: (0, 0), cached: 0 });
}

#[test]
fn a_run_is_estimated() {
    let all: Vec<Request> =
        requests(1000).into_iter().map(|request| Request { samples: 10, ..request }).collect();
    let found = estimate(&all, Some(PRICES));
    // 14 bytes of prompt are about 4 tokens; 10 samples of at most 50.
    let usage = Usage { prompt_tokens: 4000, completion_tokens: 500_000 };
    assert_eq!((found.requests, found.samples, found.usage), (1000, 10_000, usage));
    assert_eq!(found.cost, Some(1.004));
    assert_eq!(found.seconds(2.0, 64), 32.0);
    assert_eq!(estimate(&all, None).cost, None);
    let twice: Vec<Request> = all.iter().chain(&all).cloned().collect();
    assert_eq!(found.times(2), estimate(&twice, Some(PRICES)));
}
