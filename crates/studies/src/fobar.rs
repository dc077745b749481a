//! The study of `fobar`: does recovering masked numbers find the right answer more often than the same effort in more votes?
//!
//! The embedded models answer word problems whose combination of template and numbers they never saw. They are small, and wrong often enough
//! for samples to disagree. This shows the mechanism; it says nothing about large models. Questions, and the draws of all samples, are
//! those of the seed; the three embedded models go round. A right answer must lead back to the masked numbers, and a wrong one must not:
//! that is looked at first.

use std::cell::Cell as Counter;

use backstitch_claim::{
    Arm, Cell, CellContext, CellError, Claim, Effect, Metric, Precondition, Role, Scale, Scope, Statistic,
    Study,
};
use backstitch_llm::answer::{Answer, Kind};
use backstitch_llm::corpus::{Skill, arithmetic};
use backstitch_llm::question::Question;
use backstitch_llm::{Error, Identity, Model, Prompt, Reply, Request};
use backstitch_numerics::Stream;
use backstitch_reason::fobar::{Combination, Fobar, Parameters, Prompts, Verified, score};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::embedded::embedded;

const PROBLEMS: &str = "word-problems";

/// The artifact of the method's cell: what was found for each question.
const EVIDENCE: &str = "evidence.json";

/// Forward samples of the matched vote, for each sample of the method.
const MATCHED: f64 = 1.15;

/// The study.
pub static STUDY: Study = Study {
    method: "fobar",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 9,
    data: &[],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    Arm {
        name: "fobar",
        role: Role::Method,
        description: "10 forward samples, 8 backward per mask and candidate, temperature 0.7, alpha 0.5: the paper's; no tuning",
    },
    Arm {
        name: "self-consistency",
        role: Role::Baseline,
        description: "the vote of the same 10 forward samples",
    },
    Arm {
        name: "self-consistency-matched",
        role: Role::Baseline,
        description: "the vote of 1.15 times as many forward samples as FOBAR takes forward and backward, question by question: at least \
                      as many written tokens, as backward solutions are a little longer",
    },
    Arm { name: "self-consistency-40", role: Role::Baseline, description: "the vote of 40 forward samples" },
    Arm { name: "single-sample", role: Role::Control, description: "the first forward sample alone" },
    Arm {
        name: "backward-only",
        role: Role::Ablation,
        description: "alpha 0: the backward samples of the method decide alone",
    },
    Arm {
        name: "arithmetic-mean",
        role: Role::Ablation,
        description: "the mean of forward and backward probabilities, from the same samples",
    },
    Arm {
        name: "one-mask",
        role: Role::Ablation,
        description: "only the first number is masked, the same samples of it",
    },
    Arm {
        name: "shuffled-answers",
        role: Role::Control,
        description: "FOBAR, but each backward prompt states the candidate of another prompt",
    },
];

const METRICS: &[Metric] = &[
    Metric::higher("accuracy", "share of questions answered rightly"),
    Metric::higher("written_tokens", "tokens the model wrote, per question"),
    Metric::higher("token_ratio", "written tokens divided by those of `fobar`"),
    Metric::higher("disagreement", "share of questions whose forward samples gave more than one answer"),
    Metric::higher("greedy_accuracy", "share of questions answered rightly at temperature 0"),
    Metric::higher(
        "right_leads_back",
        "share of backward samples that recover the number, from the right answer",
    ),
    Metric::higher("wrong_leads_back", "the same, from wrong candidates"),
    Metric::higher(
        "judgeable",
        "1 if greedy accuracy is from 10 to 95 %, right answers lead back in half of the samples and wrong ones in a fifth at most; else 0",
    ),
];

const ON_PROBLEMS: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "fobar",
    effect: Effect::Improvement { metric: "accuracy", over: "self-consistency" },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[PROBLEMS],
    precondition: Some(Precondition {
        sentence: "the model can be judged: 10 to 95 % right, right answers lead back (half of the samples), wrong ones do not (a fifth at most)",
        arm: "fobar",
        effect: Effect::Above { metric: "judgeable", bound: 0.0 },
        at_least: 1.0,
    }),
    control: "shuffled-answers",
    own_data: false,
};

const CLAIMS: &[Claim] = &[
    Claim {
        id: "better-than-the-vote",
        sentence: "FOBAR answers at least 1.5 points more questions than the vote of its forward samples",
        source: "abstract: better than Self-Consistency; the margin is ours",
        margin: 0.015,
        ..ON_PROBLEMS
    },
    Claim {
        id: "better-than-as-many-votes",
        sentence: "FOBAR answers at least a point more questions than the vote of samples with as many written tokens",
        source: "ours: the fair comparison",
        effect: Effect::Improvement { metric: "accuracy", over: "self-consistency-matched" },
        margin: 0.01,
        precondition: Some(Precondition {
            sentence: "the votes take at least as many written tokens as FOBAR",
            arm: "self-consistency-matched",
            effect: Effect::Above { metric: "token_ratio", bound: 0.0 },
            at_least: 1.0,
        }),
        ..ON_PROBLEMS
    },
    Claim {
        id: "votes-saturate",
        sentence: "30 further votes add less than 1.5 points to 10",
        source: "the paper's observation that Self-Consistency saturates; the margin is ours",
        subject: "self-consistency",
        effect: Effect::Improvement { metric: "accuracy", over: "self-consistency-40" },
        margin: -0.015,
        control: "single-sample",
        ..ON_PROBLEMS
    },
    Claim {
        id: "both-directions-no-worse-than-backward",
        sentence: "FOBAR answers no more than half a point fewer questions than its backward samples alone",
        source: "ours: the paper combines the two because both tell something",
        effect: Effect::Improvement { metric: "accuracy", over: "backward-only" },
        margin: -0.005,
        ..ON_PROBLEMS
    },
    Claim {
        id: "product-no-worse-than-mean",
        sentence: "The geometric combination answers no more than half a point fewer questions than the arithmetic one",
        source: "ours: the paper takes the geometric one",
        effect: Effect::Improvement { metric: "accuracy", over: "arithmetic-mean" },
        margin: -0.005,
        ..ON_PROBLEMS
    },
    Claim {
        id: "all-masks-better-than-one",
        sentence: "Masking every number answers more questions than masking the first",
        source: "ours: the paper masks every number",
        effect: Effect::Improvement { metric: "accuracy", over: "one-mask" },
        ..ON_PROBLEMS
    },
];

/// The configuration of a scale.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Questions per seed.
    questions: usize,
    /// The method.
    method: Parameters,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        questions: 300,
        // Solutions have at most 20 words.
        method: Parameters { max_tokens: 40, ..Parameters::default() },
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            questions: 4,
            method: Parameters { forward_samples: 3, backward_samples: 2, ..quick.method },
        },
        Scale::Quick => quick,
        // The published sets need a large model behind an endpoint; here there are more questions.
        Scale::Paper => Configuration { questions: 1000, ..quick },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.method.validate().map_err(|error| error.to_string())?;
    if configuration.questions == 0 {
        return Err("questions is 0, but must be at least 1".into());
    }
    let arms = |&seed: &u64| {
        ARMS.iter().map(move |arm| {
            let cell = Cell::new(arm.name, PROBLEMS, seed);
            if needs_evidence(arm.name) { cell.needing("fobar") } else { cell }
        })
    };
    Ok(seeds.iter().flat_map(arms).collect())
}

/// Whether an arm is computed from the samples of the method's cell.
fn needs_evidence(arm: &str) -> bool {
    ["self-consistency", "self-consistency-matched", "backward-only", "arithmetic-mean", "one-mask"]
        .contains(&arm)
}

/// What the method's cell leaves for others.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Found {
    /// Written tokens per question.
    written: f64,
    evidence: Vec<Evidence>,
}

/// What the method found for a question.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Evidence {
    /// Whether each candidate is right.
    right: Vec<bool>,
    /// Forward samples of each candidate.
    counts: Vec<u32>,
    /// Backward samples that recovered each mask, by mask and candidate.
    recovered: Vec<Vec<Option<u32>>>,
    /// Backward samples taken.
    backward_samples: u32,
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let mut stream = Stream::new(cell.seed, "fobar study questions");
    let problems = (0..configuration.questions).map(|_| arithmetic::held_out(&mut stream));
    let questions: Vec<Question> =
        problems.enumerate().map(|(number, problem)| question(number, &problem)).collect();
    let text: String = questions.iter().map(|question| format!("{}\n", question.text)).collect();
    context.record_data(PROBLEMS, text.as_bytes(), true);
    let parameters = Parameters { seed: Some(cell.seed), ..configuration.method };
    let Found { written, evidence } = if needs_evidence(&cell.arm) {
        serde_json::from_slice(&context.read_need("fobar", EVIDENCE)?).map_err(CellError::new)?
    } else {
        Found::default()
    };
    let combined = |evidence: &[Evidence], alpha: f64, combination: Combination, masks: usize| {
        share(evidence, |evidence| evidence.decides_rightly(alpha, combination, masks))
    };
    let vote = |samples: u32| Parameters { forward_samples: samples, alpha: 1.0, ..parameters };
    let accuracy = match cell.arm.as_str() {
        "fobar" => {
            let model = Counting::new(embedded(Skill::Arithmetic, cell.seed)?, false);
            let answers = answers(&model, parameters, &questions)?;
            let both = answers.iter().zip(&questions);
            let evidence: Vec<Evidence> =
                both.map(|(verified, question)| Evidence::of(verified, question)).collect();
            context.observe("written_tokens", model.written_per(questions.len()));
            let found = Found { written: model.written_per(questions.len()), evidence };
            context.artifact(EVIDENCE, &serde_json::to_vec(&found).map_err(CellError::new)?)?;
            let greedy = Parameters { temperature: 0.0, ..vote(1) };
            let greedy = correct(&self::answers(&model, greedy, &questions)?);
            observe_evidence(context, &found.evidence, greedy, parameters.backward_samples);
            correct(&answers)
        }
        "self-consistency" => combined(&evidence, 1.0, Combination::Geometric, usize::MAX),
        "backward-only" => combined(&evidence, 0.0, Combination::Geometric, usize::MAX),
        "arithmetic-mean" => combined(&evidence, parameters.alpha, Combination::Arithmetic, usize::MAX),
        "one-mask" => combined(&evidence, parameters.alpha, parameters.combination, 1),
        "shuffled-answers" => {
            let model = Counting::new(embedded(Skill::Arithmetic, cell.seed)?, true);
            correct(&answers(&model, parameters, &questions)?)
        }
        "self-consistency-matched" => {
            let model = Counting::new(embedded(Skill::Arithmetic, cell.seed)?, false);
            let mut answered = Vec::new();
            for (question, evidence) in questions.iter().zip(&evidence) {
                let samples = f64::from(parameters.forward_samples + evidence.backward_samples) * MATCHED;
                let samples = samples.ceil() as u32;
                answered.extend(answers(&model, vote(samples), std::slice::from_ref(question))?);
            }
            context.observe("written_tokens", model.written_per(questions.len()));
            context.observe("token_ratio", model.written_per(questions.len()) / written);
            correct(&answered)
        }
        "self-consistency-40" => correct(&answers(
            &Counting::new(embedded(Skill::Arithmetic, cell.seed)?, false),
            vote(40),
            &questions,
        )?),
        _ => correct(&answers(
            &Counting::new(embedded(Skill::Arithmetic, cell.seed)?, false),
            vote(1),
            &questions,
        )?),
    };
    context.observe("accuracy", accuracy);
    Ok(())
}

fn question(number: usize, problem: &arithmetic::Problem) -> Question {
    Question {
        id: number.to_string(),
        text: problem.text(),
        options: Vec::new(),
        kind: Kind::Number,
        gold: Some(Answer::Number(i64::from(problem.answer()).into())),
    }
}

fn answers(
    model: &dyn Model,
    parameters: Parameters,
    questions: &[Question],
) -> Result<Vec<Verified>, CellError> {
    let method = Fobar::new(parameters, Prompts::bare()).map_err(CellError::new)?;
    method.answer(model, questions).into_iter().map(|outcome| outcome.map_err(CellError::new)).collect()
}

fn correct(answers: &[Verified]) -> f64 {
    share(answers, |verified| verified.correct == Some(true))
}

fn share<T>(items: &[T], holds: impl Fn(&T) -> bool) -> f64 {
    items.iter().filter(|item| holds(item)).count() as f64 / items.len() as f64
}

impl Evidence {
    fn of(verified: &Verified, question: &Question) -> Self {
        let gold = question.gold.as_ref().map(ToString::to_string);
        Self {
            right: verified
                .candidates
                .iter()
                .map(|candidate| Some(&candidate.text) == gold.as_ref())
                .collect(),
            counts: verified.candidates.iter().map(|candidate| candidate.count).collect(),
            recovered: verified.masks.iter().map(|mask| mask.recovered.clone()).collect(),
            backward_samples: verified.backward_samples,
        }
    }

    /// Whether the right candidate is chosen, with the first masks only. Without backward samples the vote decides.
    fn decides_rightly(&self, alpha: f64, combination: Combination, masks: usize) -> bool {
        if self.counts.is_empty() {
            return false;
        }
        let forward = score::forward(&self.counts);
        let masks = &self.recovered[..masks.min(self.recovered.len())];
        let weights = if self.backward_samples == 0 || alpha == 1.0 {
            forward
        } else {
            let of = |candidate: usize| masks.iter().map(|mask| mask[candidate]).sum();
            let backward = score::backward(&(0..self.counts.len()).map(of).collect::<Vec<_>>());
            score::combine(&forward, &backward, alpha, combination)
        };
        score::first_largest(&weights).is_some_and(|chosen| self.right[chosen])
    }

    /// Backward samples from candidates that are right, or wrong: how many recovered the number, of how many.
    fn leads_back(&self, right: bool, samples: u32) -> (u32, u32) {
        let checked = self.recovered.iter().flat_map(|mask| mask.iter().zip(&self.right));
        let counts = checked.filter(|(_, is_right)| **is_right == right).filter_map(|(count, _)| *count);
        counts.fold((0, 0), |(recovered, of), count| (recovered + count, of + samples))
    }
}

/// What must be looked at before any claim.
fn observe_evidence(context: &mut CellContext<'_>, evidence: &[Evidence], greedy: f64, samples: u32) {
    let rate = |right: bool| {
        let sums = evidence.iter().map(|evidence| evidence.leads_back(right, samples));
        let (recovered, of) = sums.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        // Without any such candidate nothing led back.
        f64::from(recovered) / f64::from(of.max(1))
    };
    let (right, wrong) = (rate(true), rate(false));
    context.observe("disagreement", share(evidence, |evidence| evidence.counts.len() > 1));
    context.observe("greedy_accuracy", greedy);
    context.observe("right_leads_back", right);
    context.observe("wrong_leads_back", wrong);
    let judgeable = (0.1..=0.95).contains(&greedy) && right >= 0.5 && wrong <= 0.2;
    context.observe("judgeable", f64::from(u8::from(judgeable)));
}

/// A model that counts what it writes, and that can be shown the wrong answers: each backward prompt states the answer of the next one.
struct Counting<M> {
    model: M,
    shuffles: bool,
    written: Counter<u64>,
}

impl<M: Model> Counting<M> {
    fn new(model: M, shuffles: bool) -> Self {
        Self { model, shuffles, written: Counter::new(0) }
    }

    fn written_per(&self, questions: usize) -> f64 {
        self.written.get() as f64 / questions as f64
    }
}

impl<M: Model> Model for Counting<M> {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        let shuffled = if self.shuffles { shuffled(requests) } else { requests.to_vec() };
        self.model.answer(&shuffled, &mut |position, outcome| {
            if let Ok(reply) = &outcome {
                self.written.set(self.written.get() + reply.usage.completion_tokens);
            }
            arrived(position, outcome);
        });
    }
}

/// What stands around the stated answer in a backward prompt.
const STATED: (&str, &str) = ("The answer of this question is ", ". What is the value");

/// The same requests, but each backward prompt states the answer that a prompt of another question states: those in the middle of the list
/// of all, from there on.
fn shuffled(requests: &[Request]) -> Vec<Request> {
    let stated: Vec<Option<&str>> = requests.iter().map(|request| stated(text(request)?)).collect();
    let all: Vec<&str> = stated.iter().flatten().copied().collect();
    let mut others = all.iter().cycle().skip(all.len() / 2);
    requests
        .iter()
        .zip(&stated)
        .map(|(request, stated)| {
            let (Some(own), Some(other), Some(text)) =
                (stated, stated.and_then(|_| others.next()), text(request))
            else {
                return request.clone();
            };
            let (before, after) = STATED;
            let text = text.replace(&format!("{before}{own}{after}"), &format!("{before}{other}{after}"));
            Request { prompt: Request::user(text).prompt, ..request.clone() }
        })
        .collect()
}

fn text(request: &Request) -> Option<&str> {
    match &request.prompt {
        Prompt::Messages(messages) => messages.last().map(|message| message.content.as_str()),
        Prompt::Raw(text) => Some(text),
    }
}

fn stated(text: &str) -> Option<&str> {
    let (before, after) = STATED;
    Some(text.split_once(before)?.1.split_once(after)?.0)
}
