//! `backstitch run weight-matching`: networks in, one of them permuted and all of them averaged out.

mod report;

use std::path::{Path, PathBuf};

use backstitch_data::table::{TableOptions, read_table};
use backstitch_networks::lipschitz::Activation;
use backstitch_networks::weight_matching::{
    Alignment, Barrier, Checkpoint, Data, Layers, Many, Matching, Parameters, Score, Specification,
    WeightMatching,
};
use backstitch_numerics::Matrix;
use clap::{Args, ValueEnum};

use super::output::{refuse_same, refuse_unwritable, write, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Most multiplications that the alignment may take unasked: some seconds.
const QUICK_ALIGNMENT: f64 = 1e11;

/// Outputs of a network and of its permuted copy agree to this share of the largest, or the specification is wrong.
const SAME_FUNCTION: f64 = 1e-4;

/// Prints what can be permuted, the distance of the networks before and after, how far their singular vectors align, and with
/// --data the barrier of loss and accuracy between them.
#[derive(Args, Debug)]
#[command(
    after_help = "Which axes are permuted together is found from names and shapes: chains of dense and convolutional layers with batch or layer \
normalisation (names as PyTorch has them), and Hugging Face decoders of the families GPT-2, Llama and Qwen2 (config.json beside the weights \
says how many heads). Anything else, skip connections too, needs --layers (the list of layers of `run lipschitz`) or --spec.

A specification: {\"tensors\": {\"fc1.weight\": [\"hidden\", null], \"fc1.bias\": [\"hidden\"], \"fc2.weight\": [null, \"hidden\"], \"fc2.bias\": [null]}}, \
one entry per axis; {\"permutation\": \"heads\", \"before\": 3, \"after\": 64} where an axis has 3 times the heads of 64 numbers each. \
--write-spec FILE writes the one that was found.

Reading the result: a barrier near 0 says that networks between the two are as good as they are. Shares of --weight and of the plot \
are those of the second network.

Examples:
  backstitch run weight-matching a.safetensors b.safetensors --out merged.safetensors
  backstitch run weight-matching a.safetensors b.safetensors --out merged.safetensors --data train.csv --test test.csv --report found
  backstitch run weight-matching a.safetensors b.safetensors --many c.safetensors d.safetensors --out merged.safetensors
  backstitch run weight-matching a.safetensors b.safetensors --layers resnet.json --data train.csv --method activations --permuted b-permuted.safetensors"
)]
pub(crate) struct WeightMatchingArguments {
    /// The network that stays as it is: safetensors, or a folder with model.safetensors or its index of several files
    #[arg(value_name = "FIRST")]
    first: PathBuf,
    /// The network that is permuted
    #[arg(value_name = "SECOND")]
    second: PathBuf,
    /// More networks
    #[arg(long, value_name = "FILE", num_args = 1..)]
    many: Vec<PathBuf>,
    /// How more than two networks are matched
    #[arg(long, value_enum, default_value_t = Scheme::Cyclic)]
    scheme: Scheme,
    /// What permutations are found by; all but weights need --data
    #[arg(long, value_enum, default_value_t = By::Weights)]
    method: By,
    /// Where the merged weights go
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the second network goes, permuted
    #[arg(long, value_name = "FILE", conflicts_with = "many")]
    permuted: Option<PathBuf>,
    /// Share of the second network in the merged one, from 0 to 1 [default: 0.5]
    #[arg(long, value_name = "SHARE", conflicts_with = "many", allow_negative_numbers = true)]
    weight: Option<f64>,
    /// Which axes are permuted together, in JSON, where it is not to be found
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Write which axes are permuted together
    #[arg(long, value_name = "FILE")]
    write_spec: Option<PathBuf>,
    /// List of layers, in JSON
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Between dense layers, where no --layers says it
    #[arg(long, value_enum, default_value_t = Between::Relu)]
    activation: Between,
    /// config.json of a decoder [default: the one beside FIRST]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rows of inputs with a target: classes from 0, or a number for networks with one output
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Column of the target [default: the last]
    #[arg(long, value_name = "COLUMN", requires = "data")]
    target: Option<String>,
    /// Rows to measure on [default: those of --data]
    #[arg(long, value_name = "FILE", requires = "data")]
    test: Option<PathBuf>,
    /// Whether the alignment of singular vectors is computed
    #[arg(long, value_enum, default_value_t = When::Auto)]
    alignment: When,
    /// Most sweeps over all permutations
    #[arg(long, value_name = "N", default_value_t = 300)]
    sweeps: usize,
    /// Passes of --method straight-through over the data
    #[arg(long, value_name = "N", default_value_t = 10)]
    epochs: usize,
    /// Folder for summary.json, layers.csv, and with --data barrier.csv and barrier.svg; made if it is not there
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scheme {
    /// Each to the mean of the others, until nothing moves
    Cyclic,
    /// Each to the first
    Star,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Weights
    Weights,
    /// What units say on the data
    Activations,
    /// The loss half way, by the straight-through estimator; dense layers only
    StraightThrough,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Between {
    Relu,
    Tanh,
    Sigmoid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// If it takes seconds
    Auto,
    Always,
    Never,
}

/// What was read.
struct Inputs {
    networks: Vec<Checkpoint>,
    specification: Specification,
    layers: Option<Layers>,
    data: Option<(Data, Data)>,
}

/// What is said of the networks.
struct Found {
    specification: Specification,
    notes: Vec<String>,
    outcome: Outcome,
    alignments: Vec<Alignment>,
    /// Barriers before and after; of two networks with data.
    barriers: Option<(Barrier, Barrier)>,
    /// Scores of every network, of their plain mean and of the merged one.
    scores: Option<(Vec<Score>, Score, Score)>,
}

enum Outcome {
    Two(Box<Matching>),
    More(Box<Many>),
}

pub(crate) fn execute(arguments: &WeightMatchingArguments, common: &Common) -> Result<i32, Failure> {
    refuse_places(arguments)?;
    let share = arguments.weight.unwrap_or(0.5);
    if !(0.0..=1.0).contains(&share) {
        return Err(Failure::input(format!("--weight is {share}, but must be from 0 to 1"))
            .hint("0.5 is the mean of both"));
    }
    let parameters = Parameters {
        sweeps: arguments.sweeps,
        epochs: arguments.epochs,
        seed: common.seed,
        ..Parameters::default()
    };
    let method = WeightMatching::new(parameters).map_err(Failure::input)?;
    let inputs = read(arguments)?;
    let Inputs { networks, specification, layers, data } = &inputs;
    let mut notes: Vec<String> = specification.notes().to_vec();
    if arguments.data.is_some() && arguments.layers.is_none() {
        let between = arguments
            .activation
            .to_possible_value()
            .map_or(String::new(), |value| value.get_name().to_owned());
        notes.push(format!(
            "the activation between dense layers is taken to be {between}; else give --activation or --layers"
        ));
    }
    let failed = |error: backstitch_networks::Error| Failure::input(error);
    let outcome = if networks.len() > 2 {
        let many = match arguments.scheme {
            Scheme::Star => method.star(specification, networks),
            Scheme::Cyclic => method.cyclic(specification, networks),
        };
        Outcome::More(Box::new(many.map_err(failed)?))
    } else {
        Outcome::Two(Box::new(matched(arguments.method, &method, &inputs)?))
    };
    let plain = |networks: &[Checkpoint]| -> Result<Checkpoint, Failure> {
        let each = 1.0 / networks.len() as f64;
        let shares = if networks.len() == 2 { vec![1.0 - share, share] } else { vec![each; networks.len()] };
        let others: Vec<(f64, &Checkpoint)> = shares[1..].iter().copied().zip(&networks[1..]).collect();
        networks[0].combined(shares[0], &others).map_err(failed)
    };
    let permuted: Vec<Checkpoint> = match &outcome {
        Outcome::Two(matching) => vec![networks[0].clone(), matching.permuted.clone()],
        Outcome::More(many) => many.permuted.clone(),
    };
    let mut merged = plain(&permuted)?;
    let mut scores = None;
    let mut barriers = None;
    if let (Some(layers), Some((training, test))) = (layers, data) {
        check_function(layers, networks, &permuted, training)?;
        let mut mean = plain(networks)?;
        if layers.has_running_statistics() {
            merged = layers.with_statistics(&merged, training.inputs()).map_err(failed)?;
            mean = layers.with_statistics(&mean, training.inputs()).map_err(failed)?;
            notes.push(format!(
                "running statistics of what is merged are computed anew from {} rows",
                training.targets().len()
            ));
        }
        let score = |weights: &Checkpoint| layers.score(weights, test).map_err(failed);
        let each = networks.iter().map(score).collect::<Result<Vec<Score>, Failure>>()?;
        scores = Some((each, score(&mean)?, score(&merged)?));
        if let [one, other] = &networks[..] {
            let between =
                |other: &Checkpoint| layers.barrier(one, other, training.inputs(), test).map_err(failed);
            barriers = Some((between(other)?, between(&permuted[1])?));
        }
    } else if networks[0].tensors().any(|(name, _)| name.ends_with("running_var")) {
        notes.push(
            "running statistics of the merged network are the mean of both, which are not its own: give --data with --layers, or run \
             the merged network over training data in training mode before it is used"
                .into(),
        );
    }
    let alignments = alignments(arguments, &inputs, &outcome, &mut notes)?;
    let found = Found { specification: inputs.specification, notes, outcome, alignments, barriers, scores };
    write_results(arguments, &merged, &found)?;
    if common.json {
        terminal::print_json(&report::summary(arguments, &found))?;
    } else {
        terminal::print(&report::words(arguments, &found))?;
    }
    for file in
        [&arguments.out, &arguments.permuted, &arguments.write_spec, &arguments.report].into_iter().flatten()
    {
        terminal::say(format_args!("written: {}", file.display()));
    }
    Ok(EXIT_DONE)
}

/// Refuses results where they cannot be written, or in the place of what is read, before anything is computed.
fn refuse_places(arguments: &WeightMatchingArguments) -> Result<(), Failure> {
    let outputs = [
        ("--out", &arguments.out),
        ("--permuted", &arguments.permuted),
        ("--write-spec", &arguments.write_spec),
    ];
    let outputs: Vec<(&str, &PathBuf)> =
        outputs.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?))).collect();
    for (place, (_, file)) in outputs.iter().enumerate() {
        refuse_unwritable(file)?;
        for (name, other) in &outputs[..place] {
            refuse_same(file, other, name)?;
        }
        for other in [&arguments.first, &arguments.second].into_iter().chain(&arguments.many) {
            for read in weights_files(other)? {
                refuse_same(file, &read, "a network that is read")?;
            }
        }
    }
    Ok(())
}

/// The folder of a network: the path itself, or the one that its file is in.
fn folder(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_owned() } else { path.with_file_name("") }
}

/// The file of the weights, or those that an index spreads them over.
fn weights_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    const INDEX: &str = "model.safetensors.index.json";
    let single = path.join("model.safetensors");
    let index = match path.is_dir() {
        true if single.exists() || !path.join(INDEX).exists() => return Ok(vec![single]),
        true => path.join(INDEX),
        false if path.extension().is_some_and(|extension| extension == "json") => path.to_owned(),
        false => return Ok(vec![path.to_owned()]),
    };
    let parts = Checkpoint::parts(&bytes(&index)?)
        .map_err(|error| Failure::input(format!("{}: {error}", index.display())))?;
    Ok(parts.iter().map(|part| index.with_file_name(part)).collect())
}

fn bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        Failure::input(format!("{} cannot be read: {error}", file.display()))
            .hint("give a safetensors file, an index of several, or a folder with model.safetensors")
    })
}

fn text(file: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(file)?).map_err(|_| Failure::input(format!("{} is not text", file.display())))
}

fn read(arguments: &WeightMatchingArguments) -> Result<Inputs, Failure> {
    let in_file = |file: &Path| {
        let shown = file.display().to_string();
        move |error: backstitch_networks::Error| Failure::input(format!("{shown}: {error}"))
    };
    let mut networks = Vec::new();
    for path in [&arguments.first, &arguments.second].into_iter().chain(&arguments.many) {
        let mut network = Checkpoint::default();
        for file in weights_files(path)? {
            let part = Checkpoint::read(&bytes(&file)?).map_err(in_file(&file))?;
            network.join(part).map_err(in_file(&file))?;
        }
        if let Some(first) = networks.first() {
            Checkpoint::check_like(first, &network).map_err(in_file(path))?;
        }
        networks.push(network);
    }
    let needs_layers = arguments.data.is_some() || arguments.method != By::Weights;
    let layers = match &arguments.layers {
        Some(file) => Some(Layers::read(&text(file)?).map_err(in_file(file))?),
        None if needs_layers => {
            let activation = match arguments.activation {
                Between::Relu => Activation::Relu,
                Between::Tanh => Activation::Tanh,
                Between::Sigmoid => Activation::Sigmoid,
            };
            let found = Layers::found(&networks[0], activation).map_err(Failure::input)?;
            Some(found.ok_or_else(|| {
                Failure::input(
                    "names and shapes do not say what is done between the layers, and --data needs it",
                )
                .hint("give the list of layers with --layers")
            })?)
        }
        None => None,
    };
    if arguments.method != By::Weights {
        let missing = if arguments.data.is_none() {
            Some("needs --data")
        } else if !arguments.many.is_empty() {
            Some("is for two networks; more are matched by weights")
        } else if arguments.spec.is_some() {
            Some("takes its permutations from the layers, not from --spec")
        } else {
            None
        };
        if let Some(problem) = missing {
            return Err(
                Failure::input(format!("this --method {problem}")).hint("leave --method out, or see --help")
            );
        }
    }
    let specification = match (&arguments.spec, &layers) {
        (Some(file), _) => Specification::from_json(&text(file)?, &networks[0]).map_err(in_file(file))?,
        (None, Some(layers)) => layers.specification(&networks[0]).map_err(Failure::input)?,
        (None, None) => {
            let beside = folder(&arguments.first).join("config.json");
            let file = arguments.config.clone().or_else(|| beside.exists().then_some(beside));
            let configuration = file.as_deref().map(text).transpose()?;
            Specification::found(&networks[0], configuration.as_deref()).map_err(in_file(&arguments.first))?
        }
    };
    let data = match &arguments.data {
        None => None,
        Some(file) => {
            let training = table(file, arguments.target.as_deref())?;
            let test = match &arguments.test {
                Some(file) => table(file, arguments.target.as_deref())?,
                None => training.clone(),
            };
            Some((training, test))
        }
    };
    if let (Some(layers), Some((training, test)), Some(file)) = (&layers, &data, &arguments.data) {
        let network = layers.network(&networks[0]).map_err(Failure::input)?;
        for (data, file) in [(training, file), (test, arguments.test.as_ref().unwrap_or(file))] {
            let (found, expected) = (data.inputs().columns(), network.inputs());
            if found != expected {
                let problem = format!(
                    "{} has {found} columns beside the target, but the network has {expected} inputs",
                    file.display()
                );
                return Err(Failure::input(problem)
                    .hint("give one column per input, row-major for images, and --target"));
            }
            data.check_classes(network.outputs()).map_err(in_file(file))?;
        }
    }
    Ok(Inputs { networks, specification, layers, data })
}

fn table(file: &Path, target: Option<&str>) -> Result<Data, Failure> {
    let table = read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
    let target = match target {
        Some(name) => {
            table.column_position(name).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?
        }
        None => table.columns.len().saturating_sub(1),
    };
    let inputs: Vec<usize> = (0..table.columns.len()).filter(|column| *column != target).collect();
    let rows =
        Matrix::from_fn(table.values.rows(), inputs.len(), |row, column| table.values[(row, inputs[column])]);
    Data::new(rows, table.values.column(target).collect())
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())))
}

fn matched(by: By, method: &WeightMatching, inputs: &Inputs) -> Result<Matching, Failure> {
    let [one, other] = &inputs.networks[..] else {
        return Err(Failure::internal("there are not two networks"));
    };
    let found = match (by, &inputs.layers, &inputs.data) {
        (By::Activations, Some(layers), Some((training, _))) => {
            method.activations(layers, one, other, training.inputs())
        }
        (By::StraightThrough, Some(layers), Some((training, _))) => {
            method.straight_through(layers, one, other, training)
        }
        _ => method.weights(&inputs.specification, one, other),
    };
    found.map_err(Failure::input)
}

/// Refuses to go on if permuting changed what a network computes: then the specification is not that of the layers.
fn check_function(
    layers: &Layers,
    before: &[Checkpoint],
    after: &[Checkpoint],
    data: &Data,
) -> Result<(), Failure> {
    let few = Matrix::from_fn(data.inputs().rows().min(16), data.inputs().columns(), |row, column| {
        data.inputs()[(row, column)]
    });
    for (before, after) in before.iter().zip(after) {
        let outputs = |weights: &Checkpoint| layers.outputs(weights, &few).map_err(Failure::input);
        let (before, after) = (outputs(before)?, outputs(after)?);
        let largest = before.values().iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let apart = before
            .values()
            .iter()
            .zip(after.values())
            .fold(0.0, |most: f64, (one, other)| most.max((one - other).abs()));
        if apart > SAME_FUNCTION * largest {
            return Err(Failure::input(format!(
                "permuted by this specification the network gives other outputs: apart by {apart:e}, the largest is {largest:e}"
            ))
            .hint("the specification or the list of layers is not that of the network"));
        }
    }
    Ok(())
}

/// The alignment of two networks at the paper's thresholds.
fn alignments(
    arguments: &WeightMatchingArguments,
    inputs: &Inputs,
    outcome: &Outcome,
    notes: &mut Vec<String>,
) -> Result<Vec<Alignment>, Failure> {
    let (Outcome::Two(matching), [one, other]) = (outcome, &inputs.networks[..]) else {
        return Ok(Vec::new());
    };
    let work = inputs.specification.alignment_work(one);
    if arguments.alignment == When::Never || (arguments.alignment == When::Auto && work > QUICK_ALIGNMENT) {
        if arguments.alignment == When::Auto {
            notes.push(format!(
                "the alignment of singular vectors is left out, it would take some {work:.0e} multiplications; --alignment always computes it"
            ));
        }
        return Ok(Vec::new());
    }
    inputs.specification.alignments(&matching.orders, one, other, &[0.0, 0.3]).map_err(Failure::input)
}

fn write_results(
    arguments: &WeightMatchingArguments,
    merged: &Checkpoint,
    found: &Found,
) -> Result<(), Failure> {
    let mut files: Vec<(&Path, Vec<u8>)> = Vec::new();
    if let Some(file) = &arguments.out {
        files.push((file, merged.write().map_err(Failure::input)?));
    }
    if let Some(file) = &arguments.write_spec {
        files.push((file, found.specification.to_json().into_bytes()));
    }
    if let (Some(file), Outcome::Two(matching)) = (&arguments.permuted, &found.outcome) {
        files.push((file, matching.permuted.write().map_err(Failure::input)?));
    }
    if let Some(folder) = &arguments.report {
        let text = serde_json::to_string_pretty(&report::summary(arguments, found))
            .map_err(Failure::internal)?
            + "\n";
        let mut parts = vec![("summary.json", text)];
        if !found.alignments.is_empty() {
            parts.push(("layers.csv", report::layers_csv(&found.alignments)));
        }
        if let Some((before, after)) = &found.barriers {
            parts.push(("barrier.csv", report::barrier_csv(before, after)));
            parts.push(("barrier.svg", report::picture(before, after)));
        }
        write_all(folder, &parts)?;
    }
    for (file, bytes) in files {
        write(file, &bytes)?;
    }
    Ok(())
}
