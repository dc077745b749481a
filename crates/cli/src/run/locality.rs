//! `backstitch run locality`: from a Bayes net or a table to training text, a trained decoder, estimates and the gap.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_data::table::{TableOptions, read_table};
use backstitch_language::Error;
use backstitch_language::locality::{
    Estimates, Estimator, FreeParameters, HeldOutParameters, LearnerParameters, Network, NetworkParameters,
    Observation, Observer, Pairs, Policy, Queries, Query, Samples, Shape, ValueTokens, Variable, Vocabulary,
    ask, check_held_out, gap_table, held_out_pairs, learn, negative_scaffolds, observe_all,
    paired_differences, queries,
};
use backstitch_nn::{Checkpoint, Scorer, TrainingParameters, cpu};
use backstitch_numerics::{Stream, bootstrap};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::output;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "A net is JSON Lines, one variable each: {\"name\": \"X7\", \"parents\": [\"X3\"], \"rows\": [[0, 0.2], [1, 0.9]]} says \
P(X7=1) for every value of X3; a root has \"rows\": [[0.4]]. A table has one 0/1 column per variable and one row per joint sample; \
its graph is the tree of largest likelihood. Pairs that are held out are never seen together in training."
)]
pub(crate) struct Locality {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Draw a net at random, as the paper does
    Net(Draw),
    /// Make training text: what a policy of observation lets one see of each joint sample
    Generate(Generate),
    /// Train a decoder on such observations and keep it in a folder
    Fit(Fit),
    /// Ask a trained decoder for P(target = 1 | condition) by every route
    Estimate(Ask),
    /// Errors of the routes over the held-out pairs, with 95 % intervals
    Gap(Ask),
}

#[derive(Args, Debug)]
struct Draw {
    /// Number of variables
    #[arg(long, value_name = "N", default_value_t = NetworkParameters::default().variables)]
    variables: usize,
    /// Number of edges
    #[arg(long, value_name = "N", default_value_t = NetworkParameters::default().edges)]
    edges: usize,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Source {
    /// Bayes net of binary variables (JSON Lines, or a JSON array)
    #[arg(long, value_name = "FILE", required_unless_present = "data", conflicts_with = "data")]
    net: Option<PathBuf>,
    /// Table of joint samples: one column of zeros and ones per variable
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Joint samples drawn from the net, one observation each [default: 100000]
    #[arg(long, value_name = "N", conflicts_with = "data")]
    samples: Option<usize>,
    /// What is seen of a sample
    #[arg(long, value_enum, default_value_t = PolicyName::Local)]
    policy: PolicyName,
    /// Probability that a variable in sight is dropped [default: 0.2; everything: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    drop: Option<f64>,
    /// Let another net with as many variables say who is near (wrong locality)
    #[arg(long, value_name = "FILE")]
    near: Option<PathBuf>,
    /// Pairs to hold out: drawn from the twice as many that tell most about each other [default: 25, fewer in a small net]
    #[arg(long, value_name = "N", conflicts_with = "pair")]
    hold_out: Option<usize>,
    /// A pair to hold out; may be repeated
    #[arg(long, value_name = "A,B", value_parser = two_names)]
    pair: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyName {
    /// Within a geometric radius of 0.5 around a random centre
    Local,
    /// Within a Zipf radius of exponent 2
    Zipf,
    /// All variables
    Everything,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ValuesName {
    /// Two tokens of each variable's own: learned in far fewer steps
    Own,
    /// The same two tokens for all variables, as the digits of the paper's text
    Shared,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShapeName {
    /// Learned positions, as the paper
    Gpt2,
    /// Rotary positions and gated layers: learns shared values in far fewer steps
    Llama,
}

#[derive(Args, Debug)]
struct Generate {
    #[command(flatten)]
    source: Source,
    /// Folder for samples.txt, net.jsonl and held-out.csv; made if it is not there [default: the text to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Fit {
    #[command(flatten)]
    source: Source,
    /// Folder for the checkpoint (Hugging Face layout) and locality.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How values become tokens
    #[arg(long, value_enum, default_value_t = ValuesName::Own)]
    values: ValuesName,
    /// The kind of decoder
    #[arg(long, value_enum, default_value_t = ShapeName::Gpt2)]
    shape: ShapeName,
    /// Steps of training
    #[arg(long, value_name = "N", default_value_t = 1000)]
    steps: u64,
    /// Samples per step
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch: usize,
    /// Width of the decoder
    #[arg(long, value_name = "N", default_value_t = 64)]
    width: usize,
    /// Its blocks
    #[arg(long, value_name = "N", default_value_t = 2)]
    layers: usize,
    /// Its attention heads
    #[arg(long, value_name = "N", default_value_t = 4)]
    heads: usize,
    /// Largest learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, default_value_t = 3e-3)]
    learning_rate: f64,
}

#[derive(Args, Debug)]
struct Ask {
    /// Folder that `fit` made
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Count the truth in this table (needed for `gap` if the model was fitted to a table; best with fresh samples)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Variable to ask for, with --given [default: all held-out pairs]
    #[arg(long, value_name = "NAME", requires = "given")]
    target: Option<String>,
    /// Its condition
    #[arg(long, value_name = "NAME=0|1", requires = "target", value_parser = condition)]
    given: Option<(String, bool)>,
    /// Free runs per query
    #[arg(long, value_name = "N", default_value_t = 10)]
    runs: usize,
    /// Leave out queries whose condition is rarer than this
    #[arg(long, value_name = "P", default_value_t = 1e-3)]
    least: f64,
}

/// What `fit` keeps beside the checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    schema: String,
    /// Whether the net is the truth, or a tree made from a table.
    known: bool,
    variables: Vec<Variable>,
    held_out: Vec<(String, String)>,
    policy: Policy,
    values: ValueTokens,
    observations: usize,
    tokens: usize,
    learner: LearnerParameters,
    seed: u64,
    last_loss: f64,
}

const SCHEMA: &str = "backstitch/locality-model/1";
const KEPT: &str = "locality.json";

pub(crate) fn execute(arguments: &Locality, common: &Common) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Net(draw) => net(draw, common)?,
        Verb::Generate(generate) => self::generate(generate, common)?,
        Verb::Fit(fit) => self::fit(fit, common)?,
        Verb::Estimate(ask) => estimate(ask, common)?,
        Verb::Gap(ask) => gap(ask, common)?,
    }
    Ok(EXIT_DONE)
}

fn two_names(text: &str) -> Result<(String, String), String> {
    match text.split_once(',') {
        Some((a, b)) if !a.trim().is_empty() && !b.trim().is_empty() => {
            Ok((a.trim().into(), b.trim().into()))
        }
        _ => Err("must be two names with a comma between, as X3,X17".into()),
    }
}

fn condition(text: &str) -> Result<(String, bool), String> {
    match text.rsplit_once('=') {
        Some((name, "0")) if !name.is_empty() => Ok((name.into(), false)),
        Some((name, "1")) if !name.is_empty() => Ok((name.into(), true)),
        _ => Err("must be a name, = and 0 or 1, as X5=1".into()),
    }
}

/// Everything that training needs.
struct Gathered {
    network: Network,
    known: bool,
    policy: Policy,
    vocabulary: Vocabulary,
    held_out: Vec<(usize, usize)>,
    seen: Vec<Observation>,
}

fn gather(source: &Source, values: ValueTokens, seed: u64) -> Result<Gathered, Failure> {
    let (network, samples, known) = match (&source.net, &source.data) {
        (Some(file), _) => {
            let network = Network::read(file).map_err(Failure::input)?;
            let rows = source.samples.unwrap_or(100_000);
            if rows == 0 {
                return Err(Failure::input("--samples is 0, but must be at least 1"));
            }
            let samples = Samples::draw(&network, rows, seed);
            (network, samples, true)
        }
        (None, Some(file)) => {
            let (names, samples) = table(file)?;
            (Network::tree(&samples, &names).map_err(Failure::input)?, samples, false)
        }
        (None, None) => return Err(Failure::input("give a net with --net, or a table with --data")),
    };
    let pairs = if known { network.pairs().map_err(Failure::input)? } else { samples.pairs() };
    let held_out = held_out(source, &network, &pairs, seed)?;
    let distances = match &source.near {
        Some(file) => Network::read(file).map_err(Failure::input)?.distances(),
        None => network.distances(),
    };
    let mut policy = match source.policy {
        PolicyName::Local => Policy::default(),
        PolicyName::Zipf => Policy::zipf(),
        PolicyName::Everything => Policy::fully_observed(),
    };
    policy.drop = source.drop.unwrap_or(policy.drop);
    let observer = Observer::new(policy, &distances, &held_out).map_err(Failure::input)?;
    let seen = observe_all(&samples, &observer, seed).map_err(Failure::input)?;
    let vocabulary = Vocabulary::new(network.names(), values);
    check_held_out(&seen, &held_out, &vocabulary).map_err(Failure::internal)?;
    Ok(Gathered { network, known, policy, vocabulary, held_out, seen })
}

fn table(file: &Path) -> Result<(Vec<String>, Samples), Failure> {
    let table = read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
    for (column, name) in table.columns.iter().enumerate() {
        let value = |row: &usize| table.values[(*row, column)];
        if let Some(row) = (0..table.values.rows()).find(|row| value(row) != 0.0 && value(row) != 1.0) {
            let message = format!(
                "{}: column \"{name}\" is {} in row {} of the data, but must be 0 or 1",
                file.display(),
                value(&row),
                row + 1
            );
            return Err(Failure::input(message).hint("code the two values of every column as 0 and 1"));
        }
    }
    let samples = Samples::from_table(&table.values).map_err(Failure::input)?;
    Ok((table.columns, samples))
}

fn position(network: &Network, name: &str) -> Result<usize, Failure> {
    network.position(name).ok_or_else(|| {
        let names: Vec<&str> = network.names().iter().take(8).map(String::as_str).collect();
        let more = if network.len() > names.len() { ", …" } else { "" };
        Failure::input(format!("there is no variable \"{name}\""))
            .hint(format!("the net has {}{more}", names.join(", ")))
    })
}

fn held_out(
    source: &Source,
    network: &Network,
    pairs: &Pairs,
    seed: u64,
) -> Result<Vec<(usize, usize)>, Failure> {
    if let Some((a, _)) = source.pair.iter().find(|(a, b)| a == b) {
        return Err(Failure::input(format!("--pair {a},{a} names one variable twice"))
            .hint("a pair to hold out is two variables that are never seen together"));
    }
    if !source.pair.is_empty() {
        return source.pair.iter().map(|(a, b)| Ok((position(network, a)?, position(network, b)?))).collect();
    }
    let distances = network.distances();
    let n = network.len();
    let apart = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .filter(|&(a, b)| distances.get(a, b).is_some_and(|distance| distance > 1))
        .count();
    let chosen = match source.hold_out {
        Some(0) => return Ok(Vec::new()),
        Some(chosen) => chosen,
        None => 25.min(apart / 4),
    };
    if chosen == 0 && source.hold_out.is_none() {
        return Ok(Vec::new());
    }
    let parameters = HeldOutParameters { candidates: 2 * chosen, chosen };
    held_out_pairs(pairs, &distances, &parameters, seed).map_err(Failure::input)
}

fn net(arguments: &Draw, common: &Common) -> Result<(), Failure> {
    let Draw { variables, edges, .. } = *arguments;
    let parameters = NetworkParameters { variables, edges, ..NetworkParameters::default() };
    let text = lines(&Network::random(&parameters, common.seed).map_err(Failure::input)?)?;
    let Some(file) = &arguments.out else {
        return terminal::print(&text);
    };
    output::write(file, text.as_bytes())?;
    terminal::say(format_args!("written: {}", file.display()));
    Ok(())
}

/// A net as JSON Lines.
fn lines(network: &Network) -> Result<String, Failure> {
    let line = |variable| Ok(serde_json::to_string(&variable).map_err(Failure::internal)? + "\n");
    network.to_variables().into_iter().map(line).collect()
}

fn generate(arguments: &Generate, common: &Common) -> Result<(), Failure> {
    // The text is the same for all tokens.
    let gathered = gather(&arguments.source, ValueTokens::Shared, common.seed)?;
    let mut text = String::new();
    for observation in &gathered.seen {
        let tokens = gathered.vocabulary.encode(observation);
        text.push_str(&gathered.vocabulary.text(&tokens).map_err(Failure::internal)?);
    }
    let Some(folder) = &arguments.out else {
        return terminal::print(&text);
    };
    let name = |v: usize| gathered.network.names()[v].as_str();
    let mut pairs = String::from("first,second\n");
    for &(a, b) in &gathered.held_out {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(pairs, "{},{}", name(a), name(b));
    }
    let net = lines(&gathered.network)?;
    let files = [("net.jsonl", net), ("held-out.csv", pairs), ("samples.txt", text)];
    output::write_all(folder, &files)?;
    let (samples, held_out) = (gathered.seen.len(), gathered.held_out.len());
    if common.json {
        return terminal::print_json(&json!({"samples": samples, "held_out": held_out}));
    }
    terminal::print(&format!("{samples} samples, {held_out} pairs never seen together\n"))?;
    terminal::say(format_args!("written: {}", folder.display()));
    Ok(())
}

fn fit(arguments: &Fit, common: &Common) -> Result<(), Failure> {
    let training = TrainingParameters {
        steps: arguments.steps,
        learning_rate: arguments.learning_rate,
        ..TrainingParameters::default()
    };
    let values = match arguments.values {
        ValuesName::Own => ValueTokens::Own,
        ValuesName::Shared => ValueTokens::Shared,
    };
    let learner = LearnerParameters {
        shape: match arguments.shape {
            ShapeName::Gpt2 => Shape::Gpt2,
            ShapeName::Llama => Shape::Llama,
        },
        width: arguments.width,
        layers: arguments.layers,
        heads: arguments.heads,
        batch: arguments.batch,
        training,
    };
    learner.validate().map_err(Failure::input)?;
    let gathered = gather(&arguments.source, values, common.seed)?;
    let mut last_loss = f64::NAN;
    let every = (arguments.steps / 10).max(1);
    let told = |step: u64, loss: f64| {
        last_loss = loss;
        if terminal::verbose() && step.is_multiple_of(every) {
            terminal::say(format_args!("step {step}: loss {loss:.4}"));
        }
    };
    let model = learn(&gathered.seen, &gathered.vocabulary, &learner, common.seed, &cpu(), told)
        .map_err(Failure::input)?;
    let name = |v: usize| gathered.network.names()[v].clone();
    let kept = Kept {
        schema: SCHEMA.into(),
        known: gathered.known,
        variables: gathered.network.to_variables(),
        held_out: gathered.held_out.iter().map(|&(a, b)| (name(a), name(b))).collect(),
        policy: gathered.policy,
        values,
        observations: gathered.seen.len(),
        tokens: gathered.seen.iter().map(|observation| 2 * observation.values.len() + 2).sum(),
        learner,
        seed: common.seed,
        last_loss,
    };
    let checkpoint = Checkpoint { model, tokenizer: None };
    let text = output::json(&json!(kept))?;
    let mut files: Vec<(&str, Vec<u8>)> =
        checkpoint.files().map_err(Failure::internal)?.into_iter().collect();
    // Last comes what `estimate` looks for first: a folder cut short is not taken for a model.
    files.push((KEPT, text.into_bytes()));
    output::write_all(&arguments.out, &files)?;
    if common.json {
        return terminal::print_json(&json!({
            "observations": kept.observations, "tokens": kept.tokens, "held_out": kept.held_out.len(),
            "last_loss": kept.last_loss,
        }));
    }
    terminal::print(&format!(
        "{} observations ({} tokens), {} pairs never seen together; last loss {:.3} nats per token\n",
        kept.observations,
        kept.tokens,
        kept.held_out.len(),
        kept.last_loss
    ))?;
    terminal::say(format_args!("written: {}", arguments.out.display()));
    Ok(())
}

/// A trained decoder with what belongs to it.
struct Model {
    scorer: Scorer,
    network: Network,
    known: bool,
    vocabulary: Vocabulary,
    held_out: Vec<(usize, usize)>,
}

fn load(folder: &Path) -> Result<Model, Failure> {
    let path = folder.join(KEPT);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::input(format!("{} cannot be read: {error}", path.display()))
            .hint("give the folder that `backstitch run locality fit --out` made")
    })?;
    let kept: Kept = serde_json::from_str(&text).map_err(|error| {
        Failure::input(format!("{}: {error}", path.display())).hint("fit the model again")
    })?;
    if kept.schema != SCHEMA {
        let message =
            format!("{}: the schema is \"{}\", but must be \"{SCHEMA}\"", path.display(), kept.schema);
        return Err(Failure::input(message).hint("fit the model again"));
    }
    let network = Network::from_variables(&kept.variables).map_err(Failure::input)?;
    let vocabulary = Vocabulary::new(network.names(), kept.values);
    let checkpoint = Checkpoint::read(folder, &cpu()).map_err(Failure::input)?;
    let found = checkpoint.model.config().vocabulary;
    if found != vocabulary.len() {
        let message = format!(
            "{}: the decoder knows {found} tokens, but the net has {}",
            folder.display(),
            vocabulary.len()
        );
        return Err(Failure::input(message).hint("fit the model again"));
    }
    let held_out = kept
        .held_out
        .iter()
        .map(|(a, b)| Ok((position(&network, a)?, position(&network, b)?)))
        .collect::<Result<_, Failure>>()?;
    Ok(Model { scorer: Scorer::new(&checkpoint.model), network, known: kept.known, vocabulary, held_out })
}

/// Queries with their truth: exact from a known net, counted in a table, or unknown.
fn asked(arguments: &Ask, model: &Model) -> Result<(Queries, bool), Failure> {
    if !(0.0..1.0).contains(&arguments.least) {
        return Err(Failure::input(format!("--least is {}, but must be from 0, below 1", arguments.least)));
    }
    let (pairs, known) = match &arguments.data {
        Some(file) => {
            let (names, samples) = table(file)?;
            if names != model.network.names() {
                return Err(Failure::input(format!("{}: other columns than the model has", file.display()))
                    .hint(format!("the model has {}", model.network.names().join(","))));
            }
            (samples.pairs(), true)
        }
        None => (model.network.pairs().map_err(Failure::input)?, model.known),
    };
    let (Some(target), Some((given, value))) = (&arguments.target, &arguments.given) else {
        if model.held_out.is_empty() {
            return Err(Failure::input("the model was fitted without held-out pairs")
                .hint("ask with --target and --given, or fit with --hold-out"));
        }
        return Ok((queries(&pairs, &model.held_out, arguments.least), known));
    };
    let (target, condition) = (position(&model.network, target)?, position(&model.network, given)?);
    if target == condition {
        return Err(Failure::input(format!("--target and --given are both \"{given}\""))
            .hint("ask for another variable"));
    }
    let mut found = queries(&pairs, &[(target, condition)], arguments.least);
    found.queries.retain(|query| query.condition == condition && query.value == *value);
    if found.queries.is_empty() {
        let message = format!("P({given}={}) is below {}", u8::from(*value), arguments.least);
        return Err(Failure::input(message)
            .hint("what happens under a condition that never occurs is not defined; lower --least or ask for another"));
    }
    Ok((Queries { dropped: 0, ..found }, known))
}

/// The estimates by every route.
struct Routes {
    direct: Estimates,
    scaffolded: Estimates,
    free: Estimates,
    negative: Estimates,
    scaffolds: Vec<Vec<usize>>,
}

fn routes(arguments: &Ask, model: &Model, list: &[Query], seed: u64) -> Result<Routes, Failure> {
    let through = list
        .iter()
        .map(|query| match model.network.scaffold(query.target, query.condition) {
            // Nothing stands between neighbours: the direct estimate is the scaffolded one.
            Err(Error::Neighbours { .. }) => Ok(Vec::new()),
            scaffold => scaffold,
        })
        .collect::<Result<Vec<_>, Error>>()
        .map_err(Failure::input)?;
    let elsewhere = negative_scaffolds(model.network.len(), list, &through, seed);
    let most_steps = FreeParameters::default().most_steps.min(model.network.len() - 1);
    let free = FreeParameters { runs: arguments.runs, most_steps };
    let mut estimator = Estimator::new(&model.vocabulary, ask(&model.scorer));
    Ok(Routes {
        direct: estimator.direct(list).map_err(Failure::input)?,
        scaffolded: estimator.scaffolded(list, &through).map_err(Failure::input)?,
        free: estimator.free(list, &free, seed).map_err(Failure::input)?,
        negative: estimator.scaffolded(list, &elsewhere).map_err(Failure::input)?,
        scaffolds: through,
    })
}

impl Routes {
    fn named(&self) -> [(&'static str, &Estimates); 4] {
        [
            ("direct", &self.direct),
            ("scaffolded", &self.scaffolded),
            ("free", &self.free),
            ("negative", &self.negative),
        ]
    }

    fn warn(&self, dropped: usize, least: f64) {
        for (route, estimates) in self.named() {
            for warning in estimates.warnings() {
                terminal::say(format_args!("warning: {route}: {warning}"));
            }
        }
        if dropped > 0 {
            terminal::say(format_args!(
                "note: {dropped} queries left out, because their condition has a probability below {least}"
            ));
        }
    }
}

fn estimate(arguments: &Ask, common: &Common) -> Result<(), Failure> {
    let model = load(&arguments.model)?;
    let (Queries { queries: list, dropped }, known) = asked(arguments, &model)?;
    let routes = routes(arguments, &model, &list, common.seed)?;
    let name = |v: usize| model.network.names()[v].as_str();
    let columns = routes.named();
    if common.json {
        let rows: Vec<_> = list
            .iter()
            .enumerate()
            .map(|(i, query)| {
                json!({
                    "target": name(query.target),
                    "condition": name(query.condition),
                    "value": u8::from(query.value),
                    "truth": known.then_some(query.truth),
                    "marginal": known.then_some(query.marginal),
                    "direct": columns[0].1.values[i],
                    "scaffolded": columns[1].1.values[i],
                    "free": columns[2].1.values[i],
                    "negative": columns[3].1.values[i],
                    "scaffold": routes.scaffolds[i].iter().map(|&v| name(v)).collect::<Vec<_>>(),
                })
            })
            .collect();
        routes.warn(dropped, arguments.least);
        return terminal::print_json(&json!({"queries": rows, "dropped": dropped}));
    }
    let mut text =
        String::from("target,condition,value,truth,marginal,direct,scaffolded,free,negative,scaffold\n");
    for (i, query) in list.iter().enumerate() {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
        let mut fields = vec![name(query.target).to_owned(), name(query.condition).to_owned()];
        fields.push(u8::from(query.value).to_string());
        fields.extend([query.truth, query.marginal].map(|value| number(known.then_some(value))));
        fields.extend(columns.map(|(_, estimates)| number(estimates.values[i])));
        fields.push(routes.scaffolds[i].iter().map(|&v| name(v)).collect::<Vec<_>>().join(" "));
        let _ = writeln!(text, "{}", fields.join(","));
    }
    terminal::print(&text)?;
    routes.warn(dropped, arguments.least);
    Ok(())
}

fn gap(arguments: &Ask, common: &Common) -> Result<(), Failure> {
    let model = load(&arguments.model)?;
    let (Queries { queries: list, dropped }, known) = asked(arguments, &model)?;
    if !known {
        return Err(Failure::input(
            "the model was fitted to a table, so the true probabilities are not known",
        )
        .hint("count them: give --data, best with samples that the model was not fitted to"));
    }
    if list.is_empty() {
        return Err(Failure::input(format!(
            "all {dropped} queries have a condition rarer than {}",
            arguments.least
        ))
        .hint("lower --least, or hold out other pairs"));
    }
    let routes = routes(arguments, &model, &list, common.seed)?;
    let named = routes.named();
    let rows = gap_table(&list, &named.map(|(route, estimates)| (route, estimates.values.as_slice())));
    // How much smaller the squared error is than that of asking directly; pairs are resampled whole.
    let mut without = None;
    let saved: Vec<Option<[f64; 3]>> = rows
        .iter()
        .map(|row| {
            let (_, estimates) = named.iter().find(|(route, _)| *route == row.route && *route != "direct")?;
            let clusters = paired_differences(&list, &routes.direct.values, &estimates.values);
            let mut stream = Stream::new(common.seed, &format!("run locality gap {}", row.route));
            match bootstrap::cluster_bootstrap(&clusters, &mut stream) {
                Ok(interval) => Some([interval.estimate, interval.lower, interval.upper]),
                Err(error) => {
                    without = Some(error);
                    None
                }
            }
        })
        .collect();
    if let Some(error) = without {
        terminal::say(format_args!("note: no intervals: {error}"));
    }
    if common.json {
        let rows: Vec<_> = rows
            .iter()
            .zip(&saved)
            .map(|(row, saved)| {
                json!({"route": row.route, "queries": row.queries, "to_truth": row.to_truth,
                "to_marginal": row.to_marginal, "saved": saved})
            })
            .collect();
        routes.warn(dropped, arguments.least);
        return terminal::print_json(&json!({"rows": rows, "dropped": dropped}));
    }
    let mut text = format!(
        "{:<12}{:>8}{:>12}{:>14}   {}\n",
        "route", "queries", "error", "to marginal", "error of direct minus error, 95 % interval over pairs"
    );
    for (row, saved) in rows.iter().zip(&saved) {
        let _ = write!(
            text,
            "{:<12}{:>8}{:>12.5}{:>14.5}",
            row.route, row.queries, row.to_truth, row.to_marginal
        );
        if let Some([estimate, lower, upper]) = saved {
            let _ = write!(text, "   {estimate:+.5} [{lower:+.5}, {upper:+.5}]");
        }
        text.push('\n');
    }
    terminal::print(&text)?;
    routes.warn(dropped, arguments.least);
    Ok(())
}
