//! Questions asked of a server.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_llm::answer::Kind;
use backstitch_llm::question::{Question, read_questions};
use backstitch_llm::{Budget, Cache, Endpoint, EndpointOptions, Stored};
use backstitch_reason::fobar::{Fobar, Prompts};
use serde_json::{Value, json};

use super::super::{Work, stub_server};
use super::{answers, as_json, drawn, parameters, write};

/// About a thousand samples.
const QUESTIONS: usize = 16;
/// Questions that are asked before the time is taken.
const WARM_UP: usize = 2;

pub(super) fn work(folder: &Path, milliseconds: u64) -> Result<Work, String> {
    let (lines, mut answered) = drawn(QUESTIONS);
    let mut replies = HashMap::new();
    for one in &mut answered {
        // The peer is to ask for them.
        replies.insert(one.prompt.clone(), (AtomicUsize::new(0), std::mem::take(&mut one.replies)));
    }
    let questions = write(folder, "asked-questions.jsonl", &lines)?;
    let prompts = write(folder, "asked-prompts.json", &as_json(&answered)?)?;
    // One sample per request, as DSPy asks for them: the samples of a prompt go round, and both sides ask for all.
    let rule = move |body: &Value| {
        let Some((next, all)) = replies.get(stub_server::last_message(body)) else { return String::new() };
        all[next.fetch_add(1, Ordering::Relaxed) % all.len()].clone()
    };
    let base = stub_server::start(Duration::from_millis(milliseconds), rule)?;
    let parameters = parameters();
    Ok(Work {
        name: format!("{QUESTIONS} questions through a server, {milliseconds} ms per request"),
        peer: Some("dspy"),
        request: json!({
            "peer": "dspy", "base": base, "questions": questions, "prompts": prompts, "warm_up": WARM_UP,
            "forward": parameters.forward_samples, "backward": parameters.backward_samples,
            "temperature": parameters.temperature, "concurrency": EndpointOptions::new("", "").concurrency,
        }),
        compare: Box::new(|ours, theirs| {
            let requests = |reply: &Value| reply["requests"].to_string();
            match theirs {
                None => (true, format!("{} requests", requests(ours))),
                Some(theirs) => {
                    let same = ours["answers"] == theirs["answers"];
                    let words = if same { "the same answers" } else { "other answers" };
                    let requests = format!("{} and {} requests", requests(ours), requests(theirs));
                    (same && ours["requests"] == theirs["requests"], format!("{words}, {requests}"))
                }
            }
        }),
    })
}

pub(super) fn ours(request: &Value) -> Result<Reply, String> {
    let text = |name: &str| request[name].as_str().ok_or_else(|| format!("the request names no {name}"));
    let questions =
        read_questions(text("questions")?.as_ref(), Kind::Number).map_err(|error| error.to_string())?;
    // As on the command line, and like the peer: every reply is kept on disk.
    let folder = std::env::temp_dir().join(format!("backstitch-bench-fobar-{}", std::process::id()));
    let method = Fobar::new(parameters(), Prompts::bare()).map_err(|error| error.to_string())?;
    let outcome = timed(&method, text("base")?, &folder, &questions);
    // The operating system clears what cannot be removed.
    let _ = std::fs::remove_dir_all(&folder);
    let (seconds, answer) = outcome?;
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn timed(method: &Fobar, base: &str, folder: &Path, questions: &[Question]) -> Result<(f64, Value), String> {
    let asked = |name: &str, questions: &[Question]| {
        let budget = Arc::new(Budget::unlimited());
        let endpoint = Endpoint::new(EndpointOptions::new(base, "stub"), None, Arc::clone(&budget));
        let cache = Cache::open(&folder.join(name));
        let model = endpoint.and_then(|endpoint| Ok(Stored::new(endpoint, cache?)));
        let answers = answers(method, &model.map_err(|error| error.to_string())?, questions)?;
        Ok::<_, String>(json!({"answers": answers, "requests": budget.spent().requests}))
    };
    asked("warm-up.sqlite", &questions[..WARM_UP.min(questions.len())])?;
    let begin = Instant::now();
    let answer = asked("replies.sqlite", questions)?;
    Ok((begin.elapsed().as_secs_f64(), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_gives_the_answers_that_ready_replies_give() {
        let folder = tempfile::tempdir().unwrap();
        let served = work(folder.path(), 0).unwrap();
        let asked = ours(&served.request).unwrap();
        assert_eq!(asked.answer["answers"].as_array().unwrap().len(), QUESTIONS);
        let votes = super::super::votes(folder.path(), QUESTIONS).unwrap();
        let ready = super::super::ours(&votes.request).unwrap();
        assert_eq!(asked.answer["answers"], ready.answer["answers"]);
        // A request per sample; candidates that nobody gave are not checked.
        let samples: usize = drawn(QUESTIONS).1.iter().map(|answered| answered.replies.len()).sum();
        let requests = asked.answer["requests"].as_u64().unwrap() as usize;
        assert!((samples / 2..=samples).contains(&requests), "{requests} of {samples}");
        let other = json!({"answers": asked.answer["answers"], "requests": 1});
        assert!((served.compare)(&asked.answer, Some(&asked.answer)).0);
        assert!(!(served.compare)(&asked.answer, Some(&other)).0);
    }
}
