//! What the client itself costs. Measured, not tested: `cargo test -p backstitch-llm --test all throughput -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use backstitch_llm::{Limits, Model, Request};

use crate::scene::{Scene, question};
use crate::server::{Answer, chat};

const REQUESTS: u64 = 1000;
const LATENCY: Duration = Duration::from_millis(50);
const CONCURRENCY: u32 = 64;

#[test]
#[ignore = "a measurement"]
fn throughput_and_cost_of_a_cached_answer() {
    let ideal = LATENCY * REQUESTS.div_ceil(u64::from(CONCURRENCY)) as u32;
    let requests: Vec<Request> =
        (0..REQUESTS).map(|seed| Request { seed: Some(seed), ..question() }).collect();
    for round in 0..5 {
        let scene = Scene::with(
            |options| options.concurrency = CONCURRENCY,
            Limits::default(),
            |_, _| Answer::Late(LATENCY, Answer::Json(200, chat(&["4"])).into()),
        );
        // Threads, connections and the cache file are a part of it.
        let asked = time(|| scene.model.complete(&requests));
        assert_eq!(scene.server.asked().len() as u64, REQUESTS);
        let cached = time(|| scene.model.complete(&requests));
        assert_eq!(scene.server.asked().len() as u64, REQUESTS);
        println!(
            "round {round}: {REQUESTS} requests of {LATENCY:?} at concurrency {CONCURRENCY} in {asked:?}, {:.3} of the ideal {ideal:?}; \
             {:.1} µs per cached answer",
            asked.as_secs_f64() / ideal.as_secs_f64(),
            cached.as_secs_f64() * 1e6 / REQUESTS as f64,
        );
    }
}

fn time<T, E: std::fmt::Display>(work: impl FnOnce() -> Vec<Result<T, E>>) -> Duration {
    let start = Instant::now();
    let outcomes = work();
    let elapsed = start.elapsed();
    for outcome in outcomes {
        if let Err(error) = outcome {
            panic!("{error}");
        }
    }
    elapsed
}
