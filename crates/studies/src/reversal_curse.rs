//! The study of `reversal-curse`: does a decoder that learned "A is B" answer questions whose answer is A?
//!
//! Two settings, both generated. `people`: fictitious people in sentences of words, 30 trained with the name first, 30 with the
//! description first, 30 both ways, asked in held-out wordings made of words that training has. `symbolic`: pairs of single tokens
//! joined by arrows, 70 % of them both ways. The published data set has no licence and is not used, so no claim is about it.
//!
//! A fact is one observation, not its wordings: all numbers are means over facts, and claims rest on seeds, each with facts and
//! initial weights of its own. Arms take equally many steps. Names are ranked within the group of the fact, because a model can
//! learn that names of one group never follow a description.

use backstitch_claim::{
    Arm, Cell, CellContext, CellError, Claim, Effect, Metric, Precondition, Role, Scale, Scope, Statistic,
    Study,
};
use backstitch_language::facts::{
    Fact, FactSet, Group, PeopleParameters, Record, SymbolicParameters, people, people_templates, symbolic,
};
use backstitch_language::reversal_curse::{Answer, Evaluation, Parameters};
use backstitch_language::train::{Course, FitParameters, Lesson, Witness};
use backstitch_nn::NnError;
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answers::{both, exact, forward, mean, people_both_ways, reversed};
use crate::training::train;

const PEOPLE: &str = "people";
const SYMBOLIC: &str = "symbolic";
/// What `in-context` keeps for `other-context`.
const OTHER: &str = "other-context.json";

/// The study.
pub static STUDY: Study = Study {
    method: "reversal-curse",
    history: &["first version"],
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
        name: "standard",
        role: Role::Method,
        description: "a decoder trained on the sentences as they are, in the directions of their group; no tuning",
    },
    Arm {
        name: "in-context",
        role: Role::Method,
        description: "the same facts, and in a quarter of each batch two sentences on one invented pair, one each way; asked with the \
                      fact's own sentence in the prompt; no tuning",
    },
    Arm {
        name: "both-ways",
        role: Role::Control,
        description: "every fact trained in both directions: knows the answers that the curse takes away",
    },
    Arm { name: "untrained", role: Role::Control, description: "the initial weights: has learned nothing" },
    Arm {
        name: "other-context",
        role: Role::Control,
        description: "the networks of in-context, asked with the sentence of another fact in the prompt",
    },
];

const METRICS: &[Metric] = &[
    Metric::higher("forward_exact", "share of forward questions answered exactly; facts of one direction"),
    Metric::higher("reversed_exact", "share of reversed questions answered exactly"),
    Metric::higher("reversed_top1", "share of reversed questions whose answer ranks first within its group"),
    Metric::higher(
        "gap_share",
        "log-probability gap to a random other, reversed, absolute, as a share of the forward one",
    ),
    Metric::higher("both_exact", "share of questions answered exactly; facts trained both ways"),
    Metric::higher(
        "context_exact",
        "share of reversed questions answered exactly with the fact's sentence in the prompt",
    ),
    Metric::higher("tokens", "tokens learned, over all steps"),
];

const FORWARD: Precondition = Precondition {
    sentence: "the trained direction is answered (at least 90 %)",
    arm: "standard",
    effect: Effect::Above { metric: "forward_exact", bound: 0.0 },
    at_least: 0.9,
};

const ON_PEOPLE: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Mechanism,
    subject: "standard",
    effect: Effect::Above { metric: "forward_exact", bound: 0.0 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[PEOPLE],
    precondition: Some(FORWARD),
    control: "both-ways",
    own_data: false,
};

const CLAIMS: &[Claim] = &[
    Claim {
        id: "forward-is-learned",
        sentence: "In the trained direction more than 90 % of the questions in held-out wordings are answered exactly",
        source: "table of the first experiment; generated facts are ours",
        effect: Effect::Above { metric: "forward_exact", bound: 0.9 },
        precondition: None,
        control: "untrained",
        ..ON_PEOPLE
    },
    Claim {
        id: "reversed-at-chance",
        sentence: "In the other direction the right answer ranks first among the 30 of its group in less than 10 % of the questions \
                   (chance 1 in 30)",
        source: "abstract: no better than chance in the other direction; ranking is ours",
        effect: Effect::Below { metric: "reversed_top1", bound: 0.1 },
        ..ON_PEOPLE
    },
    Claim {
        id: "reversed-exact",
        sentence: "In the other direction less than 5 % of the questions are answered exactly",
        source: "table of the first experiment; generated facts are ours",
        effect: Effect::Below { metric: "reversed_exact", bound: 0.05 },
        ..ON_PEOPLE
    },
    Claim {
        id: "no-log-probability-gap",
        sentence: "In the other direction the right answer is no likelier than a random other: the gap is less than 10 % of that of \
                   the trained direction",
        source: "first experiment: no significant difference of log-probabilities; the margin is ours",
        effect: Effect::Below { metric: "gap_share", bound: 0.1 },
        ..ON_PEOPLE
    },
    Claim {
        id: "both-ways-answerable",
        sentence: "Facts trained both ways are answered in the same wordings in more than 90 % of the questions",
        source: "ours: the questions can be answered",
        effect: Effect::Above { metric: "both_exact", bound: 0.9 },
        precondition: None,
        control: "untrained",
        ..ON_PEOPLE
    },
    Claim {
        id: "context-reverses",
        sentence: "With its sentence in the prompt a fact of one direction is reversed in more than 80 % of the questions",
        source: "discussion: models reverse what stands in their context; trained for it here, on other pairs",
        subject: "in-context",
        effect: Effect::Above { metric: "context_exact", bound: 0.8 },
        control: "other-context",
        ..ON_PEOPLE
    },
    Claim {
        id: "symbolic-forward-is-learned",
        sentence: "Of single-token pairs, more than 98 % are completed in the trained direction",
        source: "the small replication of arXiv 2405.04669; sizes are ours",
        effect: Effect::Above { metric: "forward_exact", bound: 0.98 },
        settings: &[SYMBOLIC],
        precondition: None,
        control: "untrained",
        ..ON_PEOPLE
    },
    Claim {
        id: "symbolic-reversed-at-chance",
        sentence: "Less than 3 % are completed in the other one, though 70 % of the pairs are trained both ways",
        source: "the small replication of arXiv 2405.04669; sizes are ours",
        effect: Effect::Below { metric: "reversed_exact", bound: 0.03 },
        settings: &[SYMBOLIC],
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
    people_fit: FitParameters,
    /// Pairs of tokens.
    symbolic: SymbolicParameters,
    /// How the decoder learns them.
    symbolic_fit: FitParameters,
    /// Steps between checkpoints.
    checkpoint_every: u64,
}

fn configuration(scale: Scale) -> Value {
    let groups = |each: usize, names: usize| PeopleParameters {
        name_to_description: each,
        description_to_name: each,
        both: each,
        first_names: names,
        last_names: names,
    };
    let quick = Configuration {
        people: groups(30, 30),
        people_fit: FitParameters { steps: 2000, ..FitParameters::default() },
        symbolic: SymbolicParameters::default(),
        symbolic_fit: FitParameters { steps: 1000, batch: 64, ..FitParameters::default() },
        checkpoint_every: 500,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            people: groups(6, 6),
            people_fit: FitParameters { steps: 6, width: 16, layers: 1, ..quick.people_fit },
            symbolic: SymbolicParameters { pairs: 20, ..quick.symbolic },
            symbolic_fit: FitParameters { steps: 6, width: 16, layers: 1, ..quick.symbolic_fit },
            checkpoint_every: 3,
        },
        Scale::Quick => quick,
        // The published facts are not free; the same kind of facts, more of them, and a larger decoder.
        Scale::Paper => Configuration {
            people: groups(200, 40),
            people_fit: FitParameters {
                steps: 20_000,
                width: 512,
                layers: 8,
                heads: 8,
                batch: 64,
                ..quick.people_fit
            },
            symbolic_fit: FitParameters {
                steps: 20_000,
                width: 512,
                layers: 8,
                heads: 8,
                ..quick.symbolic_fit
            },
            ..quick
        },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    let Configuration { people, people_fit, symbolic, symbolic_fit, checkpoint_every } = configuration;
    for checked in [people.validate(), people_fit.validate(), symbolic.validate(), symbolic_fit.validate()] {
        checked.map_err(|error| error.to_string())?;
    }
    if checkpoint_every == 0 {
        return Err("checkpoint_every is 0, but must be at least 1".into());
    }
    let mut cells = Vec::new();
    for &seed in seeds {
        for setting in [PEOPLE, SYMBOLIC] {
            cells.extend(["standard", "both-ways", "untrained"].map(|arm| Cell::new(arm, setting, seed)));
        }
        cells.push(Cell::new("in-context", PEOPLE, seed));
        cells.push(Cell::new("other-context", PEOPLE, seed).needing("in-context"));
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.arm == "other-context" {
        let bytes = context.read_need("in-context", OTHER)?;
        context.observe("context_exact", serde_json::from_slice(&bytes).map_err(CellError::new)?);
        return Ok(());
    }
    let on_people = cell.setting == PEOPLE;
    let set = if on_people {
        people(&configuration.people, cell.seed)
    } else {
        symbolic(&configuration.symbolic, cell.seed)
    }
    .map_err(CellError::new)?;
    set.check().map_err(CellError::new)?;
    let text: String = set.train.iter().map(|record| record.text() + "\n").collect();
    context.record_data(&cell.setting, text.as_bytes(), true);

    let fit = if on_people { configuration.people_fit } else { configuration.symbolic_fit };
    let records = match cell.arm.as_str() {
        "both-ways" => trained_both_ways(&set, on_people)?,
        _ => set.train.clone(),
    };
    let texts: Vec<String> = set.train.iter().chain(&set.test).map(Record::text).collect();
    let fit = FitParameters { seed: cell.seed, ..fit };
    let mut course = Course::new(&texts, records.len(), 2, fit).map_err(CellError::new)?;
    let trainer = course.trainer().map_err(CellError::new)?;
    let model = if cell.arm == "untrained" {
        Some(trainer.into_model())
    } else {
        let lessons = records.iter().map(|record| course.lesson(&record.prompt, &record.completion));
        let lessons = lessons.collect::<Result<Vec<Lesson>, NnError>>().map_err(CellError::new)?;
        let mut tokens = 0;
        let batch = |step| {
            let mut chosen: Vec<Lesson> =
                course.examples(step).into_iter().map(|example| lessons[example].clone()).collect();
            if cell.arm == "in-context" {
                let mut stream = Stream::new(cell.seed, &format!("reversal-curse study pairs {step}"));
                for lesson in chosen.iter_mut().step_by(4) {
                    *lesson = invented_pair(&course, &set.facts, &mut stream)?;
                }
            }
            course.batch(&chosen)
        };
        let model = train(context, trainer, configuration.checkpoint_every, batch)?;
        // Counted from the steps, not while training: a continued cell counts the same.
        for step in 1..=fit.steps {
            tokens +=
                course.examples(step).iter().map(|&example| lessons[example].tokens.len() - 1).sum::<usize>();
        }
        context.observe("tokens", tokens as f64);
        model
    };
    let Some(model) = model else {
        for metric in METRICS {
            context.observe_diverged(metric.name);
        }
        return Ok(());
    };
    let checkpoint = course.checkpoint(model);
    let witness = Witness::new(&checkpoint, &set.facts).map_err(CellError::new)?;
    let parameters = Parameters { seed: cell.seed, ..Parameters::default() };
    let mut questions = set.test.clone();
    if !on_people {
        // All held-out questions are reversed; what was trained asks the other way.
        questions.extend(set.train.iter().filter(|record| record.group != Group::Both).cloned());
    }
    let ask = |questions: &[Record]| witness.evaluate(&set, questions, &parameters).map_err(CellError::new);
    observe(&ask(&questions)?, context);
    if cell.arm == "in-context" {
        let reversed = set.test.iter().filter(|record| record.is_reversed() == Some(true));
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for question in reversed {
            let Some(asked) = set.in_context(question, " ") else { continue };
            // The next fact of the group is stated instead: the last one follows its predecessor.
            let next = set.facts.get(question.fact + 1).filter(|fact| fact.group == question.group);
            let other = if next.is_some() { question.fact + 1 } else { question.fact - 1 };
            let stated = set.in_context(&Record { fact: other, ..question.clone() }, " ");
            own.push(asked);
            others.extend(stated.map(|stated| Record { fact: question.fact, ..stated }));
        }
        let other = mean(&ask(&others)?, exact, |_| true);
        context.observe("context_exact", mean(&ask(&own)?, exact, |_| true));
        context.artifact(OTHER, &serde_json::to_vec(&other).map_err(CellError::new)?)?;
    }
    Ok(())
}

/// The training sentences of the same facts, all of them in both directions.
fn trained_both_ways(set: &FactSet, on_people: bool) -> Result<Vec<Record>, CellError> {
    if !on_people {
        return Ok(set.train.iter().chain(&set.test).cloned().collect());
    }
    people_both_ways(&set.facts).map_err(CellError::new)
}

/// Two sentences on a pair made of the words of several facts, one in each direction.
fn invented_pair(course: &Course, facts: &[Fact], stream: &mut Stream) -> Result<Lesson, NnError> {
    let stop = |error: backstitch_language::Error| NnError::Stopped(error.to_string());
    let mut mixed = |part: fn(&Fact) -> &str| -> String {
        let words = part(&facts[0]).split(' ').count();
        let word = |place| {
            part(&facts[stream.below(facts.len())]).split(' ').nth(place).unwrap_or_default().to_owned()
        };
        (0..words).map(word).collect::<Vec<String>>().join(" ")
    };
    let (name, description) = (mixed(|fact| &fact.name), mixed(|fact| &fact.description));
    let fact = Fact { name, description, group: Group::Both };
    let sentences = FactSet::new(vec![fact], &people_templates().map_err(stop)?).train;
    let half = sentences.len() / 2;
    let (first, second) = (stream.below(half), half + stream.below(half));
    let (first, second) = if stream.below(2) == 0 { (first, second) } else { (second, first) };
    course.lesson(&sentences[first].text(), &format!(" {}", sentences[second].text()))
}

fn observe(evaluation: &Evaluation, context: &mut CellContext<'_>) {
    let first = |answer: &Answer| Some(f64::from(u8::from(answer.above_in_group == 0)));
    context.observe("forward_exact", mean(evaluation, exact, forward));
    context.observe("reversed_exact", mean(evaluation, exact, reversed));
    context.observe("reversed_top1", mean(evaluation, first, reversed));
    let gap = |of: fn(&Answer) -> bool| mean(evaluation, |answer| answer.difference, of).abs();
    context.observe("gap_share", gap(reversed) / gap(forward));
    if evaluation.answers.iter().any(both) {
        context.observe("both_exact", mean(evaluation, exact, both));
    }
}
