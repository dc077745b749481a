//! The study of `locality`: does going through other variables answer what was never seen together?
//!
//! Every seed is a net of its own with held-out pairs of its own. Three decoders of the same size are trained on as many tokens: on
//! local observations, on observations that are local in another net, and on everything at once. Estimates are compared with exact
//! probabilities. Pairs that hardly depend on each other would make every estimate look good, and a decoder that did not learn
//! neighbouring pairs would make reasoning look bad: both are looked at first. A fourth decoder reads values as tokens of each
//! variable's own, to see whether the gap hangs on the tokens. A chain seen in neighbouring pairs only shows the paper's theorem
//! without a network.

mod claims;

use backstitch_claim::{Arm, Cell, CellContext, CellError, Metric, Role, Scale, Study};
use backstitch_language::locality::{
    CountModel, Distances, Estimator, FreeParameters, HeldOutParameters, LearnerParameters, Lessons, Network,
    NetworkParameters, Observer, Policy, Query, Samples, Shape, ValueTokens, Vocabulary, World,
    adjacent_pairs, ask, chain, check_held_out, negative_scaffolds, observe_all, queries, scaffolds,
    squared_errors,
};
use backstitch_nn::{Decoder, Scorer, TrainingParameters, cpu};
use backstitch_numerics::Stream;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::training::train;

/// The study.
pub static STUDY: Study = Study {
    method: "locality",
    history: &[
        "first version",
        "at quick scale conditions rarer than 1 in 50, not 1 in 1,000, are not asked: 512,000 samples do not teach rarer ones, and the \
         errors of neighbouring pairs, hence the precondition, were theirs; nothing else changed",
        "the control of `less-data-than-everything` is the marginal: training under the wrong locality did not fail with confidence, \
         which left the claim vacuous; nothing else changed",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: claims::CLAIMS,
    seeds: 7,
    data: &[],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    arm(
        "learn-local",
        Role::Prepare,
        "trains on local observations (geometric radius 0.5) and asks for all estimates; no tuning",
    ),
    arm("learn-wrong", Role::Prepare, "the same on observations that are local in another net"),
    arm("learn-everything", Role::Prepare, "the same on all variables at once, as many tokens"),
    arm("scaffolded", Role::Method, "local training, through a smallest separating set, summed exactly"),
    arm("free", Role::Method, "local training, through variables that the model chooses itself"),
    arm("direct", Role::Baseline, "local training, the target right after the condition"),
    arm("negative", Role::Control, "local training, through as many variables drawn at random"),
    arm("wrong", Role::Control, "wrong-local training, through the smallest separating set of the true net"),
    arm("everything", Role::Baseline, "training on everything at once, the target right after the condition"),
    arm(
        "as-scaffolded",
        Role::Control,
        "the scaffolded arm once more, where the claim is that another one does worse",
    ),
    arm("marginal", Role::Control, "the exact probability of the target without the condition"),
    arm("chain", Role::Method, "counts of neighbouring pairs of a chain, through the chain"),
    arm("gap-in-chain", Role::Control, "the same through the chain without its middle"),
];

const fn arm(name: &'static str, role: Role, description: &'static str) -> Arm {
    Arm { name, role, description }
}

const METRICS: &[Metric] = &[
    Metric::lower(
        "error",
        "mean squared error to the exact conditional probability over the queries of a net",
    ),
    Metric::lower("neighbour_error", "the same over pairs joined by an edge, asked directly"),
    Metric::higher(
        "saved",
        "0.75 times the error of the direct estimate under local training, minus the error",
    ),
    Metric::higher("lost", "the error, minus 0.9 times that of the direct estimate under local training"),
    Metric::higher("misled", "the error, minus twice that of the scaffolded estimate under local training"),
    Metric::higher("learned", "0.3 times the error of the marginal, minus the error"),
    Metric::higher(
        "frugal",
        "half the error of the direct estimate after training on everything, minus the error",
    ),
    Metric::lower(
        "residual",
        "largest deviation from the theorem: scaffolded from truth, direct from marginal",
    ),
    Metric::lower("tokens", "tokens trained on, padding not counted"),
    Metric::lower("dropped", "queries left out because their condition is too rare"),
];

/// All variables share the two tokens of values: the paper's text.
const SHARED: &str = "shared-tokens";
/// Every variable has two tokens of its own for its values.
const OWN: &str = "own-tokens";
const CHAIN: &str = "chain";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    network: NetworkParameters,
    held_out: HeldOutParameters,
    /// Nets drawn per seed; the one whose held-out pairs tell most about each other is kept.
    nets: usize,
    learner: LearnerParameters,
    /// Training where all variables share the two tokens of values, and where each has its own.
    shared: Course,
    own: Course,
    free: FreeParameters,
    /// Conditions rarer than this are not asked.
    least: f64,
    chain_length: usize,
}

/// How much is seen in training. Samples of everything at once are longer: fewer of them, in smaller batches, make as many tokens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Course {
    steps: u64,
    /// Samples per step.
    batch: usize,
    everything_batch: usize,
    /// Joint samples, one observation each.
    samples: usize,
    everything_samples: usize,
}

impl Configuration {
    fn course(&self, setting: &str) -> (ValueTokens, Course) {
        match setting {
            SHARED => (ValueTokens::Shared, self.shared),
            _ => (ValueTokens::Own, self.own),
        }
    }

    /// The decoder and its training in a cell.
    fn learner(&self, course: Course, everything: bool) -> LearnerParameters {
        let training = TrainingParameters { steps: course.steps, ..self.learner.training };
        let batch = if everything { course.everything_batch } else { course.batch };
        LearnerParameters { batch, training, ..self.learner }
    }
}

fn configuration(scale: Scale) -> Value {
    let training = TrainingParameters { learning_rate: 3e-3, ..TrainingParameters::default() };
    // Every sample is seen once.
    let course = |steps: u64| Course {
        steps,
        batch: 64,
        everything_batch: 16,
        samples: 64 * steps as usize,
        everything_samples: 16 * steps as usize,
    };
    let quick = Configuration {
        network: NetworkParameters { variables: 16, edges: 16, ..NetworkParameters::default() },
        held_out: HeldOutParameters { candidates: 12, chosen: 6 },
        nets: 20,
        learner: LearnerParameters { shape: Shape::Llama, training, ..LearnerParameters::default() },
        shared: course(8_000),
        own: course(3_000),
        free: FreeParameters { runs: 20, most_steps: 15 },
        least: 0.02,
        chain_length: 10,
    };
    json!(match scale {
        Scale::Smoke => {
            let course =
                Course { steps: 4, batch: 8, everything_batch: 4, samples: 200, everything_samples: 100 };
            Configuration {
                network: NetworkParameters { variables: 8, edges: 8, ..NetworkParameters::default() },
                held_out: HeldOutParameters { candidates: 4, chosen: 2 },
                nets: 2,
                learner: LearnerParameters { width: 8, layers: 1, heads: 2, ..quick.learner },
                shared: course,
                own: course,
                free: FreeParameters { runs: 2, most_steps: 7 },
                ..quick
            }
        }
        Scale::Quick => quick,
        Scale::Paper => {
            let course = Course {
                steps: 300_000,
                everything_batch: 16,
                samples: 1_000_000,
                everything_samples: 1_000_000,
                ..quick.shared
            };
            Configuration {
                network: NetworkParameters::default(),
                held_out: HeldOutParameters::default(),
                nets: 10,
                learner: LearnerParameters { width: 512, layers: 10, heads: 8, ..quick.learner },
                shared: course,
                own: course,
                free: FreeParameters { runs: 10, most_steps: 99 },
                least: 1e-3,
                ..quick
            }
        }
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    let wrong = |error: backstitch_language::Error| error.to_string();
    configuration.network.validate().map_err(wrong)?;
    for course in [configuration.shared, configuration.own] {
        for everything in [false, true] {
            configuration.learner(course, everything).validate().map_err(wrong)?;
        }
        if course.samples == 0 || course.everything_samples == 0 {
            return Err("numbers of samples must be at least 1".into());
        }
    }
    if configuration.nets == 0 {
        return Err("the number of nets must be at least 1".into());
    }
    if !(3..=20).contains(&configuration.chain_length) {
        return Err(format!("chain_length is {}, but must be from 3 to 20", configuration.chain_length));
    }
    if configuration.free.most_steps >= configuration.network.variables {
        return Err(format!(
            "free.most_steps is {}, but must be below the number of variables {}: there the context ends",
            configuration.free.most_steps, configuration.network.variables
        ));
    }
    let mut cells = Vec::new();
    for &seed in seeds {
        for setting in [SHARED, OWN] {
            let cell = |arm| Cell::new(arm, setting, seed);
            cells.push(cell("learn-local"));
            cells.extend(
                ["free", "direct", "negative", "as-scaffolded"].map(|arm| cell(arm).needing("learn-local")),
            );
        }
        let cell = |arm| Cell::new(arm, SHARED, seed);
        cells.extend(["learn-wrong", "learn-everything"].map(cell));
        let three = |arm| cell(arm).needing("learn-local").needing("learn-wrong").needing("learn-everything");
        cells.extend(["scaffolded", "wrong", "everything", "marginal"].map(three));
        cells.extend(["scaffolded", "marginal"].map(|arm| Cell::new(arm, OWN, seed).needing("learn-local")));
        cells.extend(["chain", "gap-in-chain"].map(|arm| Cell::new(arm, CHAIN, seed)));
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    match cell.arm.as_str() {
        "learn-local" | "learn-wrong" | "learn-everything" => learn(cell, &configuration, context),
        "chain" | "gap-in-chain" => theorem(cell, &configuration, context),
        _ => compare(cell, context),
    }
}

/// Mean squared errors of one trained decoder: what other cells read.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Errors {
    marginal: f64,
    direct: f64,
    scaffolded: f64,
    negative: f64,
    /// None if no free run came to its target.
    free: Option<f64>,
    neighbours: f64,
    dropped: usize,
}

/// Trains a decoder on one kind of observation of the seed's net and asks it everything.
fn learn(cell: &Cell, configuration: &Configuration, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let seed = cell.seed;
    let mut worlds =
        World::select(&configuration.network, &configuration.held_out, configuration.nets, 1, seed)
            .map_err(CellError::new)?;
    let world = worlds.pop().ok_or_else(|| CellError::new("no net can be used"))?;
    let (values, course) = configuration.course(&cell.setting);
    let vocabulary = Vocabulary::new(world.network.names(), values);
    let parameters = configuration.learner(course, cell.arm == "learn-everything");
    let mut lessons = {
        let (samples, policy, distances) = condition(cell, configuration, course, &world)?;
        let observer = Observer::new(policy, &distances, &world.held_out).map_err(CellError::new)?;
        let joint = Samples::draw(&world.network, samples, seed);
        let seen = observe_all(&joint, &observer, seed).map_err(CellError::new)?;
        // A leak would make the direct estimate look good for the wrong reason.
        check_held_out(&seen, &world.held_out, &vocabulary).map_err(CellError::new)?;
        Lessons::new(&seen, &vocabulary, &parameters, seed).map_err(CellError::new)?
    };
    let trainer = parameters.trainer(&vocabulary, seed, &cpu()).map_err(CellError::new)?;
    let Some(model) = train(context, trainer, 250, |step| lessons.batch(step))? else {
        context.observe_diverged("error");
        return context.artifact("errors.json", b"null");
    };
    let errors = asked(&model, &world, &vocabulary, configuration, seed).map_err(CellError::new)?;
    let tokens: usize = (1..=course.steps)
        .map(|step| lessons.batch(step).map(|batch| batch.targets_count()))
        .sum::<Result<_, _>>()
        .map_err(CellError::new)?;
    context.observe("tokens", tokens as f64);
    context.observe("dropped", errors.dropped as f64);
    context.artifact("errors.json", json!(errors).to_string().as_bytes())
}

/// Samples, what is seen of each, and whose distances decide it.
fn condition(
    cell: &Cell,
    configuration: &Configuration,
    course: Course,
    world: &World,
) -> Result<(usize, Policy, Distances), CellError> {
    Ok(match cell.arm.as_str() {
        "learn-wrong" => {
            let other = Stream::new(cell.seed, "locality study other net").next_u64();
            let other = Network::random(&configuration.network, other).map_err(CellError::new)?;
            (course.samples, Policy::default(), other.distances())
        }
        "learn-everything" => (course.everything_samples, Policy::fully_observed(), world.distances.clone()),
        _ => (course.samples, Policy::default(), world.distances.clone()),
    })
}

/// The errors of a trained decoder by every route.
fn asked(
    model: &Decoder,
    world: &World,
    vocabulary: &Vocabulary,
    configuration: &Configuration,
    seed: u64,
) -> Result<Errors, backstitch_language::Error> {
    let scorer = Scorer::new(model);
    let mut estimator = Estimator::new(vocabulary, ask(&scorer));
    let all = world.queries(configuration.least);
    let list = all.queries;
    let through = scaffolds(&world.network, &list)?;
    let elsewhere = negative_scaffolds(world.network.len(), &list, &through, seed);
    let neighbours = queries(&world.pairs, &adjacent_pairs(&world.network), configuration.least).queries;
    let error = |list: &[Query], values: &[Option<f64>]| mean(&squared_errors(list, values, |q| q.truth));
    let marginal: Vec<Option<f64>> = list.iter().map(|query| Some(query.marginal)).collect();
    let free = error(&list, &estimator.free(&list, &configuration.free, seed)?.values);
    Ok(Errors {
        marginal: error(&list, &marginal),
        direct: error(&list, &estimator.direct(&list)?.values),
        scaffolded: error(&list, &estimator.scaffolded(&list, &through)?.values),
        negative: error(&list, &estimator.scaffolded(&list, &elsewhere)?.values),
        free: free.is_finite().then_some(free),
        neighbours: error(&neighbours, &estimator.direct(&neighbours)?.values),
        dropped: all.dropped,
    })
}

fn mean(values: &[Option<f64>]) -> f64 {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    known.iter().sum::<f64>() / known.len() as f64
}

/// One route of one decoder against the local decoder of the same net.
fn compare(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let read = |context: &CellContext<'_>, arm: &str| -> Result<Option<Errors>, CellError> {
        serde_json::from_slice(&context.read_need(arm, "errors.json")?).map_err(CellError::new)
    };
    let local = read(context, "learn-local")?;
    let everything = match (cell.setting.as_str(), cell.arm.as_str()) {
        (SHARED, "scaffolded" | "wrong" | "everything" | "marginal") => {
            Some(read(context, "learn-everything")?)
        }
        _ => None,
    };
    let own = match cell.arm.as_str() {
        "wrong" => read(context, "learn-wrong")?,
        "everything" => everything.clone().flatten(),
        _ => local.clone(),
    };
    let error = own.as_ref().and_then(|own| match cell.arm.as_str() {
        "scaffolded" | "as-scaffolded" | "wrong" => Some(own.scaffolded),
        "direct" | "everything" => Some(own.direct),
        "negative" => Some(own.negative),
        "marginal" => Some(own.marginal),
        _ => own.free,
    });
    let (Some(error), Some(local), Some(own)) = (error, local, own) else {
        for metric in ["error", "saved", "lost", "misled", "learned", "frugal", "neighbour_error"] {
            context.observe_diverged(metric);
        }
        return Ok(());
    };
    context.observe("error", error);
    context.observe("saved", 0.75 * local.direct - error);
    context.observe("lost", error - 0.9 * local.direct);
    context.observe("misled", error - 2.0 * local.scaffolded);
    context.observe("learned", 0.3 * local.marginal - error);
    context.observe("neighbour_error", own.neighbours);
    match everything {
        Some(Some(everything)) => context.observe("frugal", 0.5 * everything.direct - error),
        Some(None) => context.observe_diverged("frugal"),
        None => {}
    }
    Ok(())
}

/// The theorem, in exact probabilities of neighbouring pairs of a random chain.
fn theorem(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut stream = Stream::new(cell.seed, "locality study chain");
    let last = configuration.chain_length - 1;
    // Far from independent and far from certain: a link of zero would make both halves of the theorem say the same.
    let mut between = |low: f64, high: f64| low + (high - low) * stream.uniform();
    let links: Vec<[f64; 2]> = (0..last).map(|_| [between(0.05, 0.25), between(0.75, 0.95)]).collect();
    let net = chain(between(0.2, 0.8), &links).map_err(CellError::new)?;
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let pairs = net.pairs().map_err(CellError::new)?;
    let model = CountModel::of_pairs(&pairs, &adjacent_pairs(&net), &vocabulary).map_err(CellError::new)?;
    let apart: Vec<(usize, usize)> = (0..=last).flat_map(|a| (a + 2..=last).map(move |b| (a, b))).collect();
    let list = queries(&pairs, &apart, configuration.least).queries;
    let through: Vec<Vec<usize>> = list
        .iter()
        .map(|query| {
            let (low, high) = (query.condition.min(query.target), query.condition.max(query.target));
            let mut between: Vec<usize> = (low + 1..high).collect();
            if cell.arm == "gap-in-chain" {
                between.remove(between.len() / 2);
            }
            if query.condition > query.target {
                between.reverse();
            }
            between
        })
        .collect();
    let mut estimator = Estimator::new(&vocabulary, |prompts: &[Vec<u32>]| model.next(prompts));
    let direct = estimator.direct(&list).map_err(CellError::new)?;
    let scaffolded = estimator.scaffolded(&list, &through).map_err(CellError::new)?;
    let to_marginal = squared_errors(&list, &direct.values, |query| query.marginal);
    let to_truth = squared_errors(&list, &scaffolded.values, |query| query.truth);
    // A missing estimate is as far off as can be.
    let residual = to_marginal
        .iter()
        .chain(&to_truth)
        .fold(0.0, |most, square| f64::max(most, square.map_or(f64::INFINITY, f64::sqrt)));
    context.observe("residual", residual);
    Ok(())
}
