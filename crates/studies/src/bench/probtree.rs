//! The bench of `probtree`: searching passages beside bm25s, and the published trees replayed beside a transcription of their formulas.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::DataDirectory;
use backstitch_data::bm25::{Bm25, Bm25Parameters};
use backstitch_data::catalogue::public_set;
use backstitch_numerics::Stream;
use backstitch_numerics::interval::median;
use backstitch_reason::probtree::Combination;
use backstitch_reason::probtree::recorded::read_recorded;
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "probtree", works, ours };

const PASSAGES: usize = 6_000;
const QUERIES: usize = 1_000;
/// Words of the generated language, of which the commonest stand in almost every passage.
const WORDS: usize = 30_000;
const MOST: usize = 5;
/// Scores of the peer are of single precision: closer ones are equal.
const SAME: f64 = 1e-5;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let mut works = vec![search(folder)?];
    works.extend(replay()?);
    Ok(works)
}

fn search(folder: &Path) -> Result<Work, String> {
    let mut stream = Stream::new(0, "probtree bench");
    // As long as paragraphs of an encyclopaedia and questions about them.
    let passages: Vec<String> = (0..PASSAGES)
        .map(|_| {
            let length = 40 + stream.below(100);
            text(&mut stream, length)
        })
        .collect();
    let queries: Vec<String> = (0..QUERIES)
        .map(|_| {
            // Some of its words are those of a passage.
            let passage: Vec<&str> = passages[stream.below(PASSAGES)].split(' ').collect();
            let mut words: Vec<String> =
                (0..4).map(|_| passage[stream.below(passage.len())].to_owned()).collect();
            let length = 4 + stream.below(10);
            words.push(text(&mut stream, length));
            words.join(" ")
        })
        .collect();
    let write = |name: &str, lines: &[String]| {
        let file = folder.join(name);
        std::fs::write(&file, lines.join("\n")).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok::<_, String>(file)
    };
    let Bm25Parameters { k1, b } = Bm25Parameters::default();
    let request = json!({
        "peer": "bm25s", "passages": write("passages.txt", &passages)?, "queries": write("queries.txt", &queries)?,
        "k": MOST, "k1": k1, "b": b, "repeat": 3,
    });
    Ok(Work {
        name: format!("index of {PASSAGES} passages, {QUERIES} queries, {MOST} best of each"),
        peer: Some("bm25s"),
        request,
        compare: Box::new(compare_found),
    })
}

/// Words by a law like that of language: the n-th commonest stands about 1/n as often.
fn text(stream: &mut Stream, length: usize) -> String {
    let word = |_| format!("w{}", ((WORDS as f64).powf(stream.uniform()) - 1.0) as usize);
    (0..length).map(word).collect::<Vec<_>>().join(" ")
}

/// The published trees, where they are here.
fn replay() -> Result<Option<Work>, String> {
    let directory = DataDirectory::resolve(None).map_err(|error| error.to_string())?;
    let set = public_set("probtree-hotpotqa").map_err(|error| error.to_string())?;
    let Some(paths) = directory.files_of(set).map_err(|error| error.to_string())? else { return Ok(None) };
    Ok(Some(Work {
        name: "500 published trees read, and their choices made again".into(),
        peer: Some("transcription"),
        request: json!({"peer": "transcription", "trees": paths[0], "repeat": 5}),
        compare: Box::new(compare_choices),
    }))
}

fn ours(request: &Value) -> Result<Reply, String> {
    let path = |key: &str| request[key].as_str().ok_or(format!("the request names no {key}"));
    let repeat = request["repeat"].as_u64().unwrap_or(1);
    let mut seconds = Vec::new();
    let mut answer = Value::Null;
    if request["peer"] == "transcription" {
        let file = Path::new(path("trees")?);
        for _ in 0..repeat {
            let begin = Instant::now();
            let trees = read_recorded(file).map_err(|error| error.to_string())?;
            let chosen: Vec<_> = trees.iter().map(|tree| tree.choose(Combination::Mean)).collect();
            seconds.push(begin.elapsed().as_secs_f64());
            let answers = trees.iter().zip(&chosen).filter_map(|(tree, chosen)| {
                let chosen = chosen.last()?;
                let text = chosen
                    .place
                    .map_or("", |place| tree.root().map_or("", |root| &root.candidates[place].text));
                Some(json!([text, chosen.place.and_then(|place| chosen.confidences[place])]))
            });
            answer = json!({"answers": answers.collect::<Vec<_>>()});
        }
    } else {
        let read = |key| std::fs::read_to_string(path(key)?).map_err(|error| error.to_string());
        let (passages, queries) = (read("passages")?, read("queries")?);
        let (passages, queries): (Vec<&str>, Vec<&str>) =
            (passages.lines().collect(), queries.lines().collect());
        let number = |key: &str| request[key].as_f64().ok_or(format!("the request has no {key}"));
        let parameters = Bm25Parameters { k1: number("k1")?, b: number("b")? };
        for _ in 0..repeat {
            let begin = Instant::now();
            let index = Bm25::new(&passages, parameters).map_err(|error| error.to_string())?;
            let hits: Vec<_> = queries.iter().map(|query| index.search(query, MOST)).collect();
            seconds.push(begin.elapsed().as_secs_f64());
            let found: Vec<Vec<usize>> =
                hits.iter().map(|hits| hits.iter().map(|hit| hit.text).collect()).collect();
            let scores: Vec<Vec<f64>> =
                hits.iter().map(|hits| hits.iter().map(|hit| hit.score).collect()).collect();
            answer = json!({"found": found, "scores": scores});
        }
    }
    let seconds = median(&seconds).map_err(|error| format!("repeat must be at least 1: {error}"))?;
    Ok(Reply { version: env!("CARGO_PKG_VERSION").into(), seconds, peak_bytes: peak_bytes(), answer })
}

/// The same scores in the same places; where texts differ, their scores are equal.
fn compare_found(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let Some(theirs) = theirs else { return (true, format!("{QUERIES} queries answered")) };
    let rows = |answer: &Value, key: &str| -> Vec<Vec<f64>> {
        let row = |row: &Value| row.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        answer[key].as_array().into_iter().flatten().map(row).collect()
    };
    let (found, others) = (rows(ours, "found"), rows(theirs, "found"));
    let (scores, their_scores) = (rows(ours, "scores"), rows(theirs, "scores"));
    if [&others, &scores, &their_scores].iter().any(|rows| rows.len() != found.len())
        || found.len() != QUERIES
    {
        return (false, format!("{} and {} rows", found.len(), others.len()));
    }
    let gap = |one: f64, other: f64| (one - other).abs() / one.abs().max(f64::MIN_POSITIVE);
    let mut worst: f64 = 0.0;
    let (mut same, mut tied) = (0, 0);
    for row in 0..found.len() {
        if scores[row].len() != MOST || their_scores[row].len() != MOST {
            return (false, format!("row {row} does not hold {MOST} texts on both sides"));
        }
        worst = scores[row]
            .iter()
            .zip(&their_scores[row])
            .fold(worst, |worst, (one, other)| worst.max(gap(*one, *other)));
        let last = scores[row][MOST - 1];
        let tie = |(text, score): (&f64, &f64)| others[row].contains(text) || gap(*score, last) <= SAME;
        if found[row].iter().all(|text| others[row].contains(text)) {
            same += 1;
        } else if found[row].iter().zip(&scores[row]).all(tie) {
            tied += 1;
        } else {
            return (false, format!("row {row}: {:?} and {:?}", found[row], others[row]));
        }
    }
    let words =
        format!("{same} equal sets, {tied} but for ties at the end, scores within {worst:.0e} (relative)");
    (worst <= SAME, words)
}

fn compare_choices(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let Some(theirs) = theirs else { return (true, "500 trees".into()) };
    let rows = |answer: &Value| answer["answers"].as_array().cloned().unwrap_or_default();
    let (ours, theirs) = (rows(ours), rows(theirs));
    let mut gap: f64 = 0.0;
    let mut texts = 0;
    for (one, other) in ours.iter().zip(&theirs) {
        texts += usize::from(one[0] == other[0]);
        // None stands for their -100.
        gap = gap.max((one[1].as_f64().unwrap_or(-100.0) - other[1].as_f64().unwrap_or(f64::NAN)).abs());
    }
    let agree = ours.len() == 500 && ours.len() == theirs.len() && texts == ours.len() && gap <= 1e-12;
    (agree, format!("{texts} of {} equal answers, scores within {gap:.0e}", ours.len()))
}
