//! The bench of `spt`: sentences cut into units and put together in three orders, beside the same rules as regular expressions.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::hash::sha256_of_bytes;
use backstitch_language::facts::{PeopleParameters, people};
use backstitch_language::spt::{Parameters, Spt, join, movable};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "nn", works, ours };

const PEER: &str = "re";
/// What stands around the sentences of the facts, so that all rules have work.
const AROUND: [(&str, &str); 4] = [
    ("", "."),
    ("As \"A Journey North\" tells, ", ", who was born in 1830; nobody denies it."),
    ("In the town of Old Harbour ", " and J. K. Marsh agrees!"),
    (
        "",
        " (so they say), because of 3,000 letters: a long, long, and at times rather tiring story of one life.",
    ),
];

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let set = people(&PeopleParameters::default(), 0).map_err(|error| error.to_string())?;
    let sentences: Vec<String> = AROUND
        .iter()
        .flat_map(|(before, after)| {
            set.train.iter().chain(&set.test).map(move |record| format!("{before}{}{after}", record.text()))
        })
        .collect();
    let file = folder.join("sentences.json");
    std::fs::write(&file, json!(sentences).to_string())
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(vec![Work {
        name: format!("{} sentences cut and put together in 3 orders", sentences.len()),
        peer: Some(PEER),
        request: json!({"peer": PEER, "file": file}),
        compare: Box::new(compare),
    }])
}

fn ours(request: &Value) -> Result<Reply, String> {
    let file = request["file"].as_str().ok_or("the request names no file")?;
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let sentences: Vec<String> = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let spt = Spt::new(Parameters::default()).map_err(|error| error.to_string())?;
    augment(&spt, sentences.get(..100).unwrap_or(&sentences))?;
    let begin = Instant::now();
    let texts = augment(&spt, &sentences)?;
    let seconds = begin.elapsed().as_secs_f64();
    let answer = json!({"texts": texts.len(), "sha256": sha256_of_bytes(texts.join("\n").as_bytes())});
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

/// Every sentence as it is, with its units from last to first, and with every second unit first: orders that need no draws, so that
/// both sides must give the same bytes. One thread, as the peer.
fn augment(spt: &Spt, sentences: &[String]) -> Result<Vec<String>, String> {
    let mut texts = Vec::with_capacity(3 * sentences.len());
    for sentence in sentences {
        let units = spt.segment(sentence, &[]).map_err(|error| error.to_string())?;
        let count = movable(&units);
        let original: Vec<usize> = (0..count).collect();
        let reversed: Vec<usize> = (0..count).rev().collect();
        let second: Vec<usize> = (1..count).step_by(2).chain((0..count).step_by(2)).collect();
        texts.extend([original, reversed, second].iter().map(|arrangement| join(&units, arrangement)));
    }
    Ok(texts)
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let texts = &ours["texts"];
    match theirs {
        None => (ours["sha256"].is_string(), format!("{texts} texts")),
        Some(theirs) if theirs["sha256"] == ours["sha256"] => {
            (true, format!("{texts} texts, byte for byte the same"))
        }
        Some(_) => (false, format!("{texts} texts, not the same bytes")),
    }
}
