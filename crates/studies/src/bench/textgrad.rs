//! The bench of `textgrad`: building a graph, going back through it and one step of the optimiser, beside the official package, against a
//! server on the loopback interface that answers at once or after 50 ms.

use std::path::Path;
use std::time::{Duration, Instant};

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_llm::{Budget, Cache, Endpoint, EndpointOptions, Model, Stored};
use backstitch_reason::Error;
use backstitch_reason::textgrad::{Engine, LlmCall, TextLoss, TextualGradientDescent, Variable, sum};
use serde_json::{Value, json};

use super::{Bench, Work, stub_server};

/// The bench.
pub static BENCH: Bench = Bench { environment: "textgrad", works, ours };

/// The shapes of graphs, and what is done on them.
const SHAPES: [(&str, u64, &str); 2] =
    [("chain", 20, "chain of 20 calls"), ("batch", 32, "batch of 32 questions on one prompt")];

fn works(_: &Path) -> Result<Vec<Work>, String> {
    let mut works = Vec::new();
    for milliseconds in [0, 50] {
        let base = stub_server::start(Duration::from_millis(milliseconds), answer)?;
        for (shape, size, name) in SHAPES {
            works.push(Work {
                name: format!("{name}, {milliseconds} ms per reply"),
                peer: Some("textgrad"),
                request: json!({"peer": "textgrad", "base": base, "shape": shape, "size": size, "repeat": 1}),
                compare: Box::new(move |ours, theirs| compare(shape, size, ours, theirs)),
            });
        }
    }
    Ok(works)
}

/// Another text for every request, so that no cache has it; new texts in their tags.
fn answer(body: &Value) -> String {
    let text = stub_server::last_message(body);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let note = format!("note {hash:016x}");
    if text.contains("<IMPROVED_VARIABLE>") {
        format!("<IMPROVED_VARIABLE>{note}</IMPROVED_VARIABLE>")
    } else {
        note
    }
}

fn ours(request: &Value) -> Result<Reply, String> {
    let text = |field: &str| request[field].as_str().ok_or_else(|| format!("the request names no {field}"));
    let size = request["size"].as_u64().ok_or("the request names no size")?;
    let (base, shape) = (text("base")?, text("shape")?);
    // As on the command line, and like the peer: every reply is kept on disk. Each run has a file of its own.
    let folder = std::env::temp_dir().join(format!("backstitch-bench-textgrad-{}", std::process::id()));
    let model = |name: &str| {
        let endpoint = Endpoint::new(EndpointOptions::new(base, "stub"), None, Budget::unlimited().into());
        let cache = Cache::open(&folder.join(name));
        endpoint.and_then(|endpoint| Ok(Stored::new(endpoint, cache?))).map_err(|error| error.to_string())
    };
    let answer = timed(&model, shape, size);
    // The operating system clears what cannot be removed.
    let _ = std::fs::remove_dir_all(&folder);
    let (seconds, answer) = answer?;
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn timed<M: Model>(
    model: &dyn Fn(&str) -> Result<M, String>,
    shape: &str,
    size: u64,
) -> Result<(f64, Value), String> {
    // Opens the connection and the pages of the code, as the peer does.
    work(&model("warm-up.sqlite")?, "batch", 2).map_err(|error| error.to_string())?;
    let model = model("replies.sqlite")?;
    let begin = Instant::now();
    let answer = work(&model, shape, size).map_err(|error| error.to_string())?;
    Ok((begin.elapsed().as_secs_f64(), answer))
}

/// Graph, way back, and a step.
fn work(model: &dyn Model, shape: &str, size: u64) -> Result<Value, Error> {
    let engine = Engine::new(model);
    let loss = TextLoss::new("Criticise this text.")?;
    let improved = if shape == "chain" {
        let first = Variable::new("the first text", "first text")?;
        let call = LlmCall::new("text of the chain");
        let mut last = first.clone();
        for _ in 0..size {
            last = call.call(&engine, &last)?;
        }
        loss.evaluate(&engine, &last)?.backward(&engine)?;
        first
    } else {
        let prompt = Variable::new("Answer the question.", "system prompt")?;
        let questions: Vec<Variable> = (0..size)
            .map(|number| Variable::constant(format!("question {number}"), "question"))
            .collect::<Result<_, _>>()?;
        let answers = LlmCall::new("answer").with_system(&prompt).call_all(&engine, &questions)?;
        sum(&loss.evaluate_all(&engine, &answers)?).backward(&engine)?;
        prompt
    };
    TextualGradientDescent::new([improved.clone()])?.step(&engine)?;
    Ok(json!({"requests": engine.calls().total(), "improved": improved.value().starts_with("note ")}))
}

/// Both asked what the graph takes, and both have a new text.
fn compare(shape: &str, size: u64, ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    // A chain: its calls, the evaluation, feedback on each text but the evaluation, a step. A batch: per question an answer, an evaluation,
    // and two feedbacks; a step.
    let expected = if shape == "chain" { 2 * (size + 1) + 1 } else { 4 * size + 1 };
    let is_done = |answer: &Value| answer["improved"] == true && answer["requests"] == expected;
    let requests = |answer: &Value| answer["requests"].to_string();
    match theirs {
        None => (is_done(ours), format!("{} requests", requests(ours))),
        Some(theirs) => (
            is_done(ours) && is_done(theirs),
            format!("{} and {} requests", requests(ours), requests(theirs)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_take_what_they_should() {
        let base = stub_server::start(Duration::ZERO, answer).unwrap();
        for (shape, size) in [("chain", 3), ("batch", 4)] {
            let request = json!({"base": base, "shape": shape, "size": size});
            let reply = ours(&request).unwrap();
            let (agree, note) = compare(shape, size, &reply.answer, Some(&reply.answer));
            assert!(agree, "{note}");
            let other = json!({"improved": true, "requests": 1});
            assert!(!compare(shape, size, &reply.answer, Some(&other)).0);
        }
        assert!(ours(&json!({"base": base, "shape": "chain"})).is_err());
    }
}
