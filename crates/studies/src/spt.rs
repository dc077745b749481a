//! The study of `spt`: does training on permuted semantic units make facts answerable backwards, and is it the units that do it?
//!
//! Fictitious people: names of two words and descriptions of four, every word shared by several people, so that the order inside a
//! unit matters. 36 are trained with the name first, 36 with the description first, 18 both ways; questions come in held-out
//! wordings made of words that training has. Units are cut by the method's own rules, without the list of names. All arms see equally
//! many sentences in equally many steps. The published data set has no licence and is not used.

use backstitch_claim::{
    Arm, Cell, CellContext, CellError, Claim, Effect, Metric, Precondition, Role, Scale, Scope, Statistic,
    Study,
};
use backstitch_language::facts::{NGrams, PeopleParameters, Record, people};
use backstitch_language::reversal_curse::Parameters as Scoring;
use backstitch_language::spt::{self, Parameters, Sentence, Spt};
use backstitch_language::train::{Course, FitParameters, Lesson, Witness};
use backstitch_nn::NnError;
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answers::{both, exact, forward, mean, people_both_ways, reversed};
use crate::training::train;

const PEOPLE: &str = "people";
/// Share of words that BICO hides, its own.
const DENOISED: f64 = 0.15;

/// The study.
pub static STUDY: Study = Study {
    method: "spt",
    history: &[
        "first version",
        "bidirectional denoising (BICO) as a further baseline, with a claim of its own; nothing else changed",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 5,
    data: &[],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    Arm {
        name: "spt",
        role: Role::Method,
        description: "units in original, reversed or random order, a third of the draws each; no tuning",
    },
    Arm {
        name: "unit-reverse",
        role: Role::Baseline,
        description: "units from last to first in half of the draws; no tuning",
    },
    Arm {
        name: "word-reverse",
        role: Role::Baseline,
        description: "words from last to first in half of the draws; no tuning",
    },
    Arm {
        name: "word-shuffle",
        role: Role::Baseline,
        description: "words in random order in half of the draws; no tuning",
    },
    Arm {
        name: "bico",
        role: Role::Baseline,
        description: "half of the steps predict the next word, half denoise 15 % of the words with attention both ways; no tuning",
    },
    Arm { name: "standard", role: Role::Control, description: "sentences as they are: the curse; no tuning" },
    Arm {
        name: "both-ways",
        role: Role::Control,
        description: "every fact trained in both directions: knows what standard training does not",
    },
    Arm { name: "untrained", role: Role::Control, description: "the initial weights" },
];

const METRICS: &[Metric] = &[
    Metric::higher("forward_exact", "share of forward questions answered exactly; facts of one direction"),
    Metric::higher("reversed_exact", "share of reversed questions answered exactly"),
    Metric::higher(
        "reversed_unseen",
        "the same, questions that share no run of six words across prompt and answer with a sentence drawn",
    ),
    Metric::higher("kept", "reversed_exact minus 0.8 forward_exact"),
    Metric::higher("both_exact", "share of questions answered exactly; facts trained both ways"),
    Metric::higher("tokens", "words read, over all steps"),
];

const ON_PEOPLE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "spt",
    effect: Effect::Above { metric: "kept", bound: 0.0 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[PEOPLE],
    precondition: Some(Precondition {
        sentence: "standard training answers forward questions (at least 90 %)",
        arm: "standard",
        effect: Effect::Above { metric: "forward_exact", bound: 0.0 },
        at_least: 0.9,
    }),
    control: "standard",
    own_data: false,
};

const CLAIMS: &[Claim] = &[
    Claim {
        id: "standard-does-not-reverse",
        sentence: "After standard training less than 5 % of the reversed questions are answered",
        source: "abstract: the reversal curse; generated facts are ours",
        subject: "standard",
        effect: Effect::Below { metric: "reversed_exact", bound: 0.05 },
        control: "both-ways",
        ..ON_PEOPLE
    },
    Claim {
        id: "questions-are-answerable",
        sentence: "After standard training facts stated both ways are answered in the same wordings in more than 90 % of the questions",
        source: "ours: the questions can be answered",
        subject: "standard",
        effect: Effect::Above { metric: "both_exact", bound: 0.9 },
        precondition: None,
        control: "untrained",
        ..ON_PEOPLE
    },
    Claim {
        id: "spt-reverses",
        sentence: "After SPT reversed questions are answered more than 0.8 times as often as forward ones",
        source: "abstract: reversed performance approximates forward performance; the factor is ours",
        ..ON_PEOPLE
    },
    Claim {
        id: "spt-keeps-forward",
        sentence: "SPT costs less than 5 points of forward accuracy",
        source: "ours",
        effect: Effect::Improvement { metric: "forward_exact", over: "standard" },
        margin: -0.05,
        control: "untrained",
        ..ON_PEOPLE
    },
    Claim {
        id: "units-beat-shuffled-words",
        sentence: "SPT answers at least 10 points more reversed questions than shuffled words do",
        source: "the paper's reason for semantic units; the margin is ours",
        effect: Effect::Improvement { metric: "reversed_exact", over: "word-shuffle" },
        margin: 0.1,
        ..ON_PEOPLE
    },
    Claim {
        id: "units-beat-reversed-words",
        sentence: "SPT answers at least 10 points more reversed questions than reversed words do",
        source: "the paper's reason for semantic units; the margin is ours",
        effect: Effect::Improvement { metric: "reversed_exact", over: "word-reverse" },
        margin: 0.1,
        ..ON_PEOPLE
    },
    Claim {
        id: "units-beat-denoising",
        sentence: "SPT answers at least 10 points more reversed questions than bidirectional denoising does, both from scratch",
        source: "ours: denoising (BICO) is published for fine-tuning a large pre-trained model; the margin is ours",
        effect: Effect::Improvement { metric: "reversed_exact", over: "bico" },
        margin: 0.1,
        ..ON_PEOPLE
    },
    Claim {
        id: "permuted-no-worse-than-reversed-units",
        sentence: "SPT answers no more than 5 points fewer reversed questions than units reversed in half of the draws",
        source: "ours: whether random orders are needed beside the reversed one",
        effect: Effect::Improvement { metric: "reversed_exact", over: "unit-reverse" },
        margin: -0.05,
        ..ON_PEOPLE
    },
];

/// The configuration of a scale.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Fictitious people.
    people: PeopleParameters,
    /// How the decoder learns them; the seed is the cell's.
    fit: FitParameters,
    /// Steps between checkpoints.
    checkpoint_every: u64,
}

fn configuration(scale: Scale) -> Value {
    let groups = |one: usize, both: usize, names: usize| PeopleParameters {
        name_to_description: one,
        description_to_name: one,
        both,
        first_names: names,
        last_names: names,
    };
    let quick = Configuration {
        people: groups(36, 18, 30),
        fit: FitParameters { steps: 2000, ..FitParameters::default() },
        checkpoint_every: 500,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            people: groups(7, 4, 6),
            fit: FitParameters { steps: 6, width: 16, layers: 1, ..quick.fit },
            checkpoint_every: 3,
        },
        Scale::Quick => quick,
        // The published facts are not free; the same kind of facts, more of them, and a larger decoder.
        Scale::Paper => Configuration {
            people: groups(240, 120, 40),
            fit: FitParameters { steps: 40_000, width: 512, layers: 8, heads: 8, batch: 64, ..quick.fit },
            ..quick
        },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    for checked in [configuration.people.validate(), configuration.fit.validate()] {
        checked.map_err(|error| error.to_string())?;
    }
    if configuration.checkpoint_every == 0 {
        return Err("checkpoint_every is 0, but must be at least 1".into());
    }
    let arms = |&seed: &u64| ARMS.iter().map(move |arm| Cell::new(arm.name, PEOPLE, seed));
    Ok(seeds.iter().flat_map(arms).collect())
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let set = people(&configuration.people, cell.seed).map_err(CellError::new)?;
    set.check().map_err(CellError::new)?;
    let text: String = set.train.iter().map(|record| record.text() + "\n").collect();
    context.record_data(PEOPLE, text.as_bytes(), true);
    let arm = match cell.arm.as_str() {
        "spt" => spt::Arm::Permutation,
        "unit-reverse" => spt::Arm::UnitReverse,
        "word-reverse" => spt::Arm::WordReverse,
        "word-shuffle" => spt::Arm::WordShuffle,
        _ => spt::Arm::Standard,
    };
    let records = match cell.arm.as_str() {
        "both-ways" => people_both_ways(&set.facts).map_err(CellError::new)?,
        _ => set.train.clone(),
    };
    let sentences: Vec<Sentence> =
        records.iter().map(|record| Sentence { text: record.text(), ..Sentence::default() }).collect();
    let fit = FitParameters { seed: cell.seed, ..configuration.fit };
    let texts: Vec<String> = set.train.iter().chain(&set.test).map(Record::text).collect();
    let mut course = Course::new(&texts, sentences.len(), 1, fit).map_err(CellError::new)?;
    let trainer = course.trainer().map_err(CellError::new)?;
    let spt = Spt::new(Parameters::default()).map_err(CellError::new)?;
    // Depends on the step only, so that a continued cell draws the same.
    let draw = |course: &mut Course, step: u64| -> Result<Vec<String>, NnError> {
        let mut stream = Stream::new(cell.seed, &format!("spt study orders {step}"));
        let drawn = course.examples(step).into_iter().map(|example| {
            let drawn = spt.draw(arm, &sentences[example], &mut stream);
            drawn.map(|drawn| drawn.text).map_err(|error| NnError::Stopped(error.to_string()))
        });
        drawn.collect()
    };
    let model = if cell.arm == "untrained" {
        Some(trainer.into_model())
    } else {
        let batch = |step| {
            let texts = draw(&mut course, step)?;
            let lessons: Result<Vec<Lesson>, NnError> =
                texts.iter().map(|text| course.lesson(text, "")).collect();
            let mut stream = Stream::new(cell.seed, &format!("spt study denoising {step}"));
            if cell.arm == "bico" && stream.uniform() < 0.5 {
                return course.denoising_batch(&lessons?, DENOISED, &mut stream);
            }
            course.batch(&lessons?)
        };
        train(context, trainer, configuration.checkpoint_every, batch)?
    };
    let Some(model) = model else {
        for metric in METRICS {
            context.observe_diverged(metric.name);
        }
        return Ok(());
    };
    let checkpoint = course.checkpoint(model);
    let witness = Witness::new(&checkpoint, &set.facts).map_err(CellError::new)?;
    let scoring = Scoring { seed: cell.seed, ..Scoring::default() };
    let evaluation = witness.evaluate(&set, &set.test, &scoring).map_err(CellError::new)?;
    let (straight, back) = (mean(&evaluation, exact, forward), mean(&evaluation, exact, reversed));
    context.observe("forward_exact", straight);
    context.observe("reversed_exact", back);
    context.observe("kept", back - 0.8 * straight);
    context.observe("both_exact", mean(&evaluation, exact, both));
    if cell.arm == "untrained" {
        return Ok(());
    }
    // Drawn once more instead of kept: a continued cell saw only a part of them.
    let (mut drawn, mut tokens) = (Vec::new(), 0);
    for step in 1..=fit.steps {
        for text in draw(&mut course, step).map_err(CellError::new)? {
            tokens += text.split_whitespace().count();
            drawn.push(text);
        }
    }
    context.observe("tokens", tokens as f64);
    let seen = NGrams::new(6, drawn.iter().map(String::as_str)).map_err(CellError::new)?;
    let mut unseen = evaluation.clone();
    let mut questions = set.test.iter();
    unseen.answers.retain(|_| {
        let question = questions.next();
        question.is_some_and(|question| seen.across(&question.prompt, &question.completion) == 0)
    });
    let share = mean(&unseen, exact, reversed);
    if share.is_finite() {
        context.observe("reversed_unseen", share);
    }
    Ok(())
}
