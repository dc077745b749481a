//! The bench of `reversal-curse`: training a small decoder on facts, and scoring every candidate of every question, beside torch with
//! the GPT-2 of `transformers`.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_language::facts::{FactSet, PeopleParameters, people};
use backstitch_language::train::{Course, FitParameters, Lesson};
use backstitch_nn::{Checkpoint, NnError, Scorer, cpu};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "nn", works, ours };

const PEER: &str = "transformers";
/// Steps of the timed training.
const STEPS: u64 = 400;
/// Questions scored, each with all candidates.
const QUESTIONS: usize = 300;
/// Two networks from different initial weights agree if their last losses differ by less, in nats per token.
const SAME_LOSS: f64 = 0.1;
/// Scores of the same weights agree if none differs by more, in nats.
const SAME_SCORE: f64 = 1e-3;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let (course, lessons, set) = facts()?;
    let tokens: Vec<&[u32]> = lessons.iter().map(|lesson| lesson.tokens.as_slice()).collect();
    let parameters = parameters();
    let config = course.config();
    let shape = json!({
        "vocabulary": config.vocabulary, "context": config.context, "width": config.width, "layers": config.layers,
        "heads": config.heads,
    });
    let mut course = course.clone();
    let order: Vec<Vec<usize>> = (1..=STEPS).map(|step| course.examples(step)).collect();
    let training = json!({
        "shape": shape, "sequences": tokens, "order": order, "learning_rate": parameters.learning_rate,
    });
    let training_file = folder.join("training.json");
    write(&training_file, &training)?;

    let model = course.trainer().map_err(text)?.into_model();
    let model_folder = folder.join("model");
    course.checkpoint(model).write(&model_folder).map_err(text)?;
    let questions: Vec<Value> = set
        .test
        .iter()
        .take(QUESTIONS)
        .map(|question| {
            let candidates =
                set.facts.iter().map(|fact| course.tokenizer().encode_more(fact.target(question.direction)));
            Ok(json!({
                "prompt": course.tokenizer().encode(&question.prompt)?,
                "candidates": candidates.collect::<Result<Vec<_>, _>>()?,
            }))
        })
        .collect::<Result<_, NnError>>()
        .map_err(text)?;
    let questions_file = folder.join("questions.json");
    write(&questions_file, &json!(questions))?;
    let learned: usize = order.iter().flatten().map(|&example| lessons[example].tokens.len() - 1).sum();
    Ok(vec![
        Work {
            name: format!("{STEPS} training steps of {} sentences, width 64, 2 blocks", parameters.batch),
            peer: Some(PEER),
            request: json!({"peer": PEER, "work": "train", "file": training_file}),
            compare: Box::new(move |ours, theirs| compare_training(ours, theirs, learned)),
        },
        Work {
            name: format!("{QUESTIONS} questions, {} candidates each, scored", set.facts.len()),
            peer: Some(PEER),
            request: json!({"peer": PEER, "work": "score", "file": questions_file, "model": model_folder}),
            compare: Box::new(compare_scores),
        },
    ])
}

fn ours(request: &Value) -> Result<Reply, String> {
    let (seconds, answer) = match request["work"].as_str() {
        Some("train") => training()?,
        Some("score") => scores(request)?,
        other => return Err(format!("no work {other:?}")),
    };
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

/// The sentences that both sides train on.
fn facts() -> Result<(Course, Vec<Lesson>, FactSet), String> {
    let groups = PeopleParameters {
        name_to_description: 30,
        description_to_name: 30,
        both: 30,
        first_names: 30,
        last_names: 30,
    };
    let set = people(&groups, 0).map_err(text)?;
    let texts: Vec<String> = set.train.iter().map(backstitch_language::facts::Record::text).collect();
    let course = Course::new(&texts, texts.len(), 1, parameters()).map_err(text)?;
    let lessons: Result<Vec<Lesson>, NnError> =
        set.train.iter().map(|record| course.lesson(&record.prompt, &record.completion)).collect();
    Ok((course, lessons.map_err(text)?, set))
}

fn parameters() -> FitParameters {
    FitParameters { steps: STEPS, ..FitParameters::default() }
}

fn training() -> Result<(f64, Value), String> {
    // Warms up the thread pool and the pages of the code, as the peer does.
    let (course, lessons, _) = facts()?;
    let short = FitParameters { steps: 5, ..parameters() };
    let texts: Vec<String> =
        people(&PeopleParameters::default(), 0).map_err(text)?.train.iter().map(|r| r.text()).collect();
    let warm = Course::new(&texts, 8, 1, short).map_err(text)?;
    warm.learn(|course, _, _, example| course.lesson(&texts[example], "")).map_err(text)?;
    let begin = Instant::now();
    let learned = course.learn(|_, _, _, example| Ok(lessons[example].clone())).map_err(text)?;
    Ok((begin.elapsed().as_secs_f64(), json!({"loss": learned.loss})))
}

fn scores(request: &Value) -> Result<(f64, Value), String> {
    let path = |key: &str| request[key].as_str().ok_or(format!("the request names no {key}"));
    let questions: Value =
        serde_json::from_slice(&std::fs::read(path("file")?).map_err(text)?).map_err(text)?;
    let questions: Vec<(Vec<u32>, Vec<Vec<u32>>)> = questions
        .as_array()
        .ok_or("no questions")?
        .iter()
        .map(|question| {
            let prompt = serde_json::from_value(question["prompt"].clone()).map_err(text)?;
            let candidates = serde_json::from_value(question["candidates"].clone()).map_err(text)?;
            Ok((prompt, candidates))
        })
        .collect::<Result<_, String>>()?;
    let checkpoint = Checkpoint::read(Path::new(path("model")?), &cpu()).map_err(text)?;
    let scorer = Scorer::new(&checkpoint.model);
    let (prompt, candidates) = questions.first().ok_or("no questions")?;
    scorer.score(prompt, candidates).map_err(text)?;
    let begin = Instant::now();
    let mut sums = Vec::with_capacity(questions.len());
    for (prompt, candidates) in &questions {
        let scores = scorer.score(prompt, candidates).map_err(text)?;
        sums.push(scores.iter().map(backstitch_nn::Score::total).collect::<Vec<f64>>());
    }
    Ok((begin.elapsed().as_secs_f64(), json!({"scores": sums})))
}

fn compare_training(ours: &Value, theirs: Option<&Value>, tokens: usize) -> (bool, String) {
    let loss = |answer: &Value| answer["loss"].as_f64().unwrap_or(f64::NAN);
    match theirs {
        None => (loss(ours).is_finite(), format!("{tokens} tokens, last loss {:.3}", loss(ours))),
        Some(theirs) => (
            (loss(ours) - loss(theirs)).abs() <= SAME_LOSS,
            format!("{tokens} tokens, last losses {:.3} and {:.3}", loss(ours), loss(theirs)),
        ),
    }
}

fn compare_scores(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let flat = |answer: &Value| -> Vec<f64> {
        let rows = answer["scores"].as_array().into_iter().flatten();
        rows.flat_map(|row| row.as_array().into_iter().flatten()).filter_map(Value::as_f64).collect()
    };
    let ours = flat(ours);
    let Some(theirs) = theirs.map(flat) else {
        return (!ours.is_empty(), format!("{} scores", ours.len()));
    };
    let gap = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let same = ours.len() == theirs.len() && !ours.is_empty() && gap <= SAME_SCORE;
    (same, format!("{} scores, largest difference {gap:.1e} nats", ours.len()))
}

fn write(file: &Path, value: &Value) -> Result<(), String> {
    std::fs::write(file, value.to_string()).map_err(|error| format!("{}: {error}", file.display()))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
