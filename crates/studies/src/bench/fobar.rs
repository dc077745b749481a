//! The bench of `fobar`: from replies to answers, beside our transcription of the published rules in Python; and from questions to answers
//! through a server on the loopback interface, beside the same rules with DSPy as the client.

mod served;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use backstitch_claim::bench::{Reply as Timed, peak_bytes};
use backstitch_llm::answer::Kind;
use backstitch_llm::corpus::arithmetic::{self, Problem};
use backstitch_llm::question::{Question, read_questions};
use backstitch_llm::{Error, FinishReason, Identity, Model, Prompt, Reply, Request, Sample, Usage};
use backstitch_numerics::Stream;
use backstitch_reason::fobar::{Extraction, Fobar, Parameters, Prompts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "fobar", works, ours };

/// Questions of the larger piece of work: with two or three numbers and three candidates each about 70,000 replies.
const QUESTIONS: [usize; 2] = [100, 1000];

/// All replies to one prompt.
#[derive(Serialize, Deserialize)]
struct Answered {
    prompt: String,
    /// What the prompt is about: a question, and backward a masked value and a candidate.
    question: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    masked: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replies: Vec<String>,
}

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let mut works = Vec::new();
    for count in QUESTIONS {
        works.push(votes(folder, count)?);
    }
    for milliseconds in [0, 50] {
        works.push(served::work(folder, milliseconds)?);
    }
    Ok(works)
}

fn votes(folder: &Path, count: usize) -> Result<Work, String> {
    let (lines, answered) = drawn(count);
    let questions = write(folder, &format!("questions-{count}.jsonl"), &lines)?;
    let replies: usize = answered.iter().map(|answered| answered.replies.len()).sum();
    let answered = write(folder, &format!("replies-{count}.json"), &as_json(&answered)?)?;
    Ok(Work {
        name: format!("{count} questions, {replies} replies: answers, votes, choice"),
        peer: Some("python"),
        request: json!({"peer": "python", "questions": questions, "replies": answered, "repeat": 3}),
        compare: Box::new(|ours, theirs| match theirs {
            None => (true, format!("{} answers", ours["answers"].as_array().map_or(0, Vec::len))),
            Some(theirs) => {
                let same = ours["answers"] == theirs["answers"];
                (same, if same { "the same answers".into() } else { "other answers".into() })
            }
        }),
    })
}

/// Questions as lines, and all that a model says to them: forward, and backward of the right answer and two wrong ones.
fn drawn(count: usize) -> (String, Vec<Answered>) {
    let mut stream = Stream::new(0, "fobar bench");
    let mut lines = String::new();
    let mut answered: Vec<Answered> = Vec::new();
    let parameters = parameters();
    // A prompt stands for its question, and for its mask and candidate: problems that share one are left out.
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for question in 0..count {
        let problem = loop {
            let problem = arithmetic::held_out(&mut stream);
            let mut prompts = vec![problem.forward().prompt];
            for unknown in 0..problem.numbers.len() {
                prompts.extend(
                    candidates(&problem)
                        .into_iter()
                        .map(|candidate| backward_prompt(&problem, unknown, candidate)),
                );
            }
            if prompts.iter().all(|prompt| !asked.contains(prompt)) {
                asked.extend(prompts);
                break problem;
            }
        };
        lines +=
            &format!("{}\n", json!({"id": question, "question": problem.text(), "answer": problem.answer()}));
        let candidates = candidates(&problem);
        answered.push(Answered {
            prompt: problem.forward().prompt,
            question,
            masked: None,
            candidate: None,
            replies: (0..parameters.forward_samples)
                .map(|_| {
                    let chosen = candidates[stream.below(3)];
                    reply(&mut stream, &format!("The answer is {chosen}."))
                })
                .collect(),
        });
        for (unknown, masked) in problem.numbers.iter().enumerate() {
            for candidate in candidates {
                let prompt = backward_prompt(&problem, unknown, candidate);
                let right = if candidate == problem.answer() { 0.7 } else { 0.1 };
                let replies = (0..parameters.backward_samples)
                    .map(|_| {
                        let value = if stream.uniform() < right { *masked } else { masked + 1 };
                        reply(&mut stream, &format!("The value of x is {value}."))
                    })
                    .collect();
                let (masked, candidate) = (Some(masked.to_string()), Some(candidate.to_string()));
                answered.push(Answered { prompt, question, masked, candidate, replies });
            }
        }
    }
    (lines, answered)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
    let file = folder.join(name);
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

fn as_json(answered: &[Answered]) -> Result<String, String> {
    serde_json::to_string(answered).map_err(|error| error.to_string())
}

/// The right answer and two wrong ones near it.
fn candidates(problem: &Problem) -> [u32; 3] {
    [problem.answer(), problem.answer() + 1, problem.answer() + 10]
}

/// The prompt in which a number is masked and a candidate stated.
fn backward_prompt(problem: &Problem, unknown: usize, candidate: u32) -> String {
    let stated = |answer: u32| format!("The answer of this question is {answer}. What");
    problem.backward(unknown).prompt.replace(&stated(problem.answer()), &stated(candidate))
}

/// A reply: sentences as a model writes them, and the last one.
fn reply(stream: &mut Stream, last: &str) -> String {
    let mut text = String::new();
    for _ in 0..3 + stream.below(3) {
        let (left, right) = (stream.below(50), stream.below(50));
        text += &format!("We add {left} and {right}, which makes {left} + {right} = {}. ", left + right);
    }
    text + last
}

/// The rules of the repository, on both sides.
fn parameters() -> Parameters {
    Parameters { extraction: Extraction::Paper, ..Parameters::default() }
}

fn ours(request: &Value) -> Result<Timed, String> {
    if request["base"].is_string() {
        return served::ours(request);
    }
    let file = |name: &str| request[name].as_str().ok_or_else(|| format!("the request names no {name}"));
    let questions =
        read_questions(file("questions")?.as_ref(), Kind::Number).map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(file("replies")?).map_err(|error| error.to_string())?;
    let answered: Vec<Answered> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let model = Ready::new(answered);
    let method = Fobar::new(parameters(), Prompts::bare()).map_err(|error| error.to_string())?;
    let mut times = Vec::new();
    let mut answers = answers(&method, &model, &questions)?;
    for _ in 0..request["repeat"].as_u64().unwrap_or(1) {
        let begin = Instant::now();
        answers = self::answers(&method, &model, &questions)?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let seconds = times[times.len() / 2];
    Ok(Timed { version, seconds, peak_bytes: peak_bytes(), answer: json!({ "answers": answers }) })
}

fn answers(method: &Fobar, model: &dyn Model, questions: &[Question]) -> Result<Vec<Option<String>>, String> {
    let outcomes = method.answer(model, questions).into_iter();
    outcomes
        .map(|outcome| outcome.map(|verified| verified.answer).map_err(|error| error.to_string()))
        .collect()
}

/// A model whose replies are there already.
struct Ready {
    identity: Identity,
    replies: HashMap<String, Vec<Sample>>,
}

impl Ready {
    fn new(answered: Vec<Answered>) -> Self {
        let sample = |text| Sample { text, finish: FinishReason::Stop, tokens: None };
        let replies = answered
            .into_iter()
            .map(|Answered { prompt, replies, .. }| (prompt, replies.into_iter().map(sample).collect()));
        let identity = Identity { kind: "ready".into(), place: String::new(), model: "bench".into() };
        Self { identity, replies: replies.collect() }
    }
}

impl Model for Ready {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        for (position, request) in requests.iter().enumerate() {
            let text = match &request.prompt {
                Prompt::Messages(messages) => messages.last().map_or("", |message| &message.content),
                Prompt::Raw(text) => text,
            };
            let reply = self.replies.get(text).map(|samples| Reply {
                samples: samples.clone(),
                usage: Usage::default(),
                stored: 0,
            });
            arrived(position, reply.ok_or(Error::Unanswered));
        }
    }
}
