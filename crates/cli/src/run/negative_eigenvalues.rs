//! `backstitch run negative-eigenvalues`: labelled sequences in, a model that follows their state out.

mod report;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use backstitch_numerics::Stream;
use backstitch_sequence::negative_eigenvalues::sequences::{Sequence, Vocabulary, read_sequences};
use backstitch_sequence::negative_eigenvalues::tasks::{Example, Group, Task};
use backstitch_sequence::negative_eigenvalues::{
    Automaton, Eigenvalues, Mixer, Model, NegativeEigenvalues, Parameters, Prediction, Stepper, spectra,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::output::{write, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

#[derive(Args, Debug)]
pub(crate) struct NegativeEigenvaluesArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Learn labelled sequences
    Fit(Box<FitArguments>),
    /// Label sequences
    Predict(PredictArguments),
    /// Label tokens one by one from standard input, in constant time and memory
    Stream(StreamArguments),
    /// Show how the eigenvalues of a model are spread over the tokens of some sequences
    Inspect(InspectArguments),
    /// Say which layers can hold an automaton
    Probe(ProbeArguments),
    /// Write sequences of a task with exact labels
    Generate(GenerateArguments),
}

/// Prints the share of labels that are right, by length.
#[derive(Args, Debug)]
#[command(
    after_help = "Sequences are JSON Lines {\"tokens\": \"a b a\", \"label\": \"x\"} with one label at the end, or {\"tokens\": \"a b a\", \"labels\": \"x y x\"} with one \
per token; or a table with the columns tokens and label or labels. Labels for every token teach much faster.

Test on sequences longer than those trained on: a layer that cannot hold the state can still be right on short ones.

Examples:
  backstitch run negative-eigenvalues generate parity --sequences 2000 --lengths 1..40 --out parity.jsonl
  backstitch run negative-eigenvalues fit --data parity.jsonl --out model
  backstitch run negative-eigenvalues fit --data parity.jsonl --eigenvalues positive --out worse
  printf '1\\n0\\n1\\n' | backstitch run negative-eigenvalues stream --model model"
)]
struct FitArguments {
    /// Labelled sequences
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Labelled sequences to measure on; longer ones tell more
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Folder for model.json, model.safetensors and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What mixes the positions
    #[arg(long, value_enum, default_value_t = Layer::Delta)]
    layer: Layer,
    /// Where the eigenvalues of delta and diagonal layers lie
    #[arg(long, value_enum, default_value_t = Range::Signed)]
    eigenvalues: Range,
    /// Householder steps per token of delta layers; see `probe`
    #[arg(long, value_name = "N", default_value_t = Parameters::default().householders)]
    householders: usize,
    /// Layers
    #[arg(long, value_name = "N", default_value_t = Parameters::default().layers)]
    layers: usize,
    /// Width
    #[arg(long, value_name = "N", default_value_t = Parameters::default().width)]
    width: usize,
    /// Heads, which divide the width
    #[arg(long, value_name = "N", default_value_t = Parameters::default().heads)]
    heads: usize,
    /// States per channel of diagonal layers
    #[arg(long, value_name = "N", default_value_t = Parameters::default().states)]
    states: usize,
    /// Positions of short convolutions before delta and diagonal layers; 0 for none
    #[arg(long, value_name = "N", default_value_t = Parameters::default().convolution)]
    convolution: usize,
    /// Inner width of the feed-forward part of a layer; 0 for none
    #[arg(long, value_name = "N", default_value_t = Parameters::default().feed)]
    feed: usize,
    /// Training steps
    #[arg(long, value_name = "N", default_value_t = Parameters::default().steps)]
    steps: u64,
    /// Sequences per step
    #[arg(long, value_name = "N", default_value_t = Parameters::default().batch)]
    batch: usize,
    /// Peak learning rate
    #[arg(long, value_name = "RATE", default_value_t = Parameters::default().learning_rate, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Weight decay
    #[arg(long, value_name = "SHARE", default_value_t = Parameters::default().weight_decay, allow_negative_numbers = true)]
    weight_decay: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layer {
    /// Products of Householder matrices (DeltaNet)
    Delta,
    /// A diagonal recurrence (Mamba)
    Diagonal,
    /// A gated recurrent unit, which is not linear
    Gru,
    /// Causal attention, which has no state
    Attention,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Range {
    /// From -1 to 1
    Signed,
    /// From 0 to 1
    Positive,
}

#[derive(Args, Debug)]
struct PredictArguments {
    /// Folder that `fit` has written
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Sequences; labels are not needed, and where they are there the share that is right is told
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Label every position, also of a model that learned last labels only
    #[arg(long)]
    every: bool,
    /// Take eigenvalues that near -1, 0 or 1 as exactly that; reads token by token
    #[arg(long, value_name = "DISTANCE", default_value_t = 0.0, allow_negative_numbers = true)]
    snap: f64,
    /// File for the predictions, a CSV table [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Reads one token per line and answers each at once with its label and probability. An empty line begins a new sequence.
#[derive(Args, Debug)]
struct StreamArguments {
    /// Folder that `fit` has written
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Take eigenvalues that near -1, 0 or 1 as exactly that
    #[arg(long, value_name = "DISTANCE", default_value_t = 0.0, allow_negative_numbers = true)]
    snap: f64,
}

#[derive(Args, Debug)]
struct InspectArguments {
    /// Folder that `fit` has written
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Sequences; labels are not needed
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
}

/// A word that returns to where it began only after several repetitions needs a layer that can turn back. What one layer can hold exactly is
/// told with the number of Householder steps.
#[derive(Args, Debug)]
struct ProbeArguments {
    /// Transitions: a table with the columns state, token and next, one line for every state and token
    #[arg(long, value_name = "FILE")]
    automaton: PathBuf,
}

#[derive(Args, Debug)]
struct GenerateArguments {
    /// Which task
    #[arg(value_enum)]
    task: TaskName,
    /// Modulus of count, cycle and modular [default: 3, of modular 5]
    #[arg(long, value_name = "N")]
    modulus: Option<usize>,
    /// Group of the products
    #[arg(long, value_enum, default_value_t = GroupName::S3)]
    group: GroupName,
    /// Only the identity and swaps of two things
    #[arg(long)]
    swaps: bool,
    /// How many sequences
    #[arg(long, value_name = "N", default_value_t = 1000)]
    sequences: usize,
    /// Shortest and longest sequence
    #[arg(long, value_name = "FROM..TO", default_value = "1..40", value_parser = lengths)]
    lengths: (usize, usize),
    /// Label last positions only
    #[arg(long)]
    last: bool,
    /// File for the sequences [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TaskName {
    /// Parity of the ones so far
    Parity,
    /// Steps so far, modulo a number
    Count,
    /// Place on a circle after steps forward and back
    Cycle,
    /// Value of digits with +, - and * between them, modulo a number
    Modular,
    /// Product of group elements so far
    Group,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GroupName {
    S3,
    S4,
    A5,
    S5,
}

/// Longest sequence that is generated.
const LONGEST: usize = 1_000_000;

fn lengths(text: &str) -> Result<(usize, usize), String> {
    let parts: Vec<&str> = text.split("..").collect();
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let found = match parts[..] {
        [one] => number(one).map(|one| (one, one)),
        [from, to] => number(from).zip(number(to)),
        _ => None,
    };
    match found {
        Some((from, to)) if 1 <= from && from <= to && to <= LONGEST => Ok((from, to)),
        _ => Err(format!("give two lengths from 1 to {LONGEST}, the shorter first, like 1..40")),
    }
}

pub(crate) fn execute(arguments: &NegativeEigenvaluesArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.what {
        What::Fit(fit) => self::fit(fit, common),
        What::Predict(predict) => self::predict(predict, common),
        What::Stream(stream) => self::stream(stream, common),
        What::Inspect(inspect) => self::inspect(inspect, common),
        What::Probe(probe) => self::probe(probe, common),
        What::Generate(generate) => self::generate(generate, common),
    }
}

fn parameters(arguments: &FitArguments, seed: u64) -> Parameters {
    Parameters {
        mixer: match arguments.layer {
            Layer::Delta => Mixer::Delta,
            Layer::Diagonal => Mixer::Diagonal,
            Layer::Gru => Mixer::Gru,
            Layer::Attention => Mixer::Attention,
        },
        eigenvalues: match arguments.eigenvalues {
            Range::Signed => Eigenvalues::Signed,
            Range::Positive => Eigenvalues::Positive,
        },
        householders: arguments.householders,
        layers: arguments.layers,
        width: arguments.width,
        heads: arguments.heads,
        states: arguments.states,
        convolution: arguments.convolution,
        feed: arguments.feed,
        steps: arguments.steps,
        batch: arguments.batch,
        learning_rate: arguments.learning_rate,
        weight_decay: arguments.weight_decay,
        seed,
    }
}

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    let method = NegativeEigenvalues::new(parameters(arguments, common.seed)).map_err(Failure::input)?;
    if arguments.out.exists() && !arguments.out.is_dir() {
        // Before time is spent on training.
        let message = format!("{} is a file, but must be a folder", arguments.out.display());
        return Err(Failure::input(message).hint("give another --out"));
    }
    let sequences = read_sequences(&arguments.data).map_err(Failure::input)?;
    let test = arguments.test.as_deref().map(read_sequences).transpose().map_err(Failure::input)?;
    // Before time is spent on training.
    let vocabulary = Vocabulary::of(&sequences).map_err(|error| in_file(&arguments.data, &error))?;
    for (sequence, file) in test.iter().flatten().zip(arguments.test.iter().cycle()) {
        vocabulary.encode(sequence).map_err(|error| in_file(file, &error))?;
    }
    let every = (arguments.steps / 10).max(1);
    let fitted = method
        .fit_watched(&sequences, |report| {
            if terminal::verbose() && report.step.is_multiple_of(every) {
                terminal::say(format_args!("step {}: loss {:.4}", report.step, report.loss));
            }
        })
        .map_err(|error| in_file(&arguments.data, &error))?;
    let measure = |sequences: &[Sequence], file: &Path| {
        report::by_length(&fitted.model, sequences).map_err(|error| in_file(file, &error))
    };
    let mut measured = vec![("training", measure(&sequences, &arguments.data)?)];
    if let Some((test, file)) = test.zip(arguments.test.as_ref()) {
        measured.push(("test", measure(&test, file)?));
    }
    let config = fitted.model.tracker().config();
    let summary = json!({
        "schema": "backstitch/negative-eigenvalues-fit/1",
        "sequences": sequences.len(),
        "tokens": fitted.model.vocabulary().tokens,
        "labels": fitted.model.vocabulary().labels,
        "network": config,
        "loss": fitted.loss,
        "accuracy": measured.iter().map(|(name, rows)| json!({"on": name, "rows": rows})).collect::<Vec<_>>(),
    });
    let mut files = fitted.model.files().map_err(Failure::internal)?;
    let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
    files.push(("summary.json", text.into_bytes()));
    write_all(&arguments.out, &files)?;
    terminal::say(format_args!("written: {}", arguments.out.display()));
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&report::accuracy_table(&measured))?;
    }
    Ok(EXIT_DONE)
}

fn in_file(file: &Path, error: &backstitch_sequence::Error) -> Failure {
    Failure::input(format!("{}: {error}", file.display()))
}

/// Sequences in numbers, and their last labels or all.
fn encoded(model: &Model, sequences: &[Sequence], file: &Path) -> Result<Vec<Example>, Failure> {
    let encode = |sequence| model.vocabulary().encode(sequence);
    sequences.iter().map(encode).collect::<Result<_, _>>().map_err(|error| in_file(file, &error))
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let model = Model::read(&arguments.model).map_err(Failure::input)?;
    let sequences = read_sequences(&arguments.data).map_err(Failure::input)?;
    let examples = encoded(&model, &sequences, &arguments.data)?;
    let predicted: Vec<Vec<Prediction>> = if arguments.snap == 0.0 {
        model.predict(&examples).map_err(|error| in_file(&arguments.data, &error))?
    } else {
        let beginning = Stepper::new(&model, arguments.snap).map_err(Failure::input)?;
        let read = |example: &Example| {
            let mut stepper = beginning.clone();
            example.tokens.iter().map(|&token| stepper.step(token)).collect::<Result<_, _>>()
        };
        examples.iter().map(read).collect::<Result<_, _>>().map_err(Failure::input)?
    };
    let every = arguments.every || !model.last_only();
    let csv = report::predictions(&sequences, &predicted, &model.vocabulary().labels, every);
    let right = report::share_right(&examples, &predicted);
    if let Some(file) = &arguments.out {
        write(file, csv.as_bytes())?;
        terminal::say(format_args!("written: {}", file.display()));
    }
    if common.json {
        let names = &model.vocabulary().labels;
        let each = sequences.iter().zip(&predicted).map(|(sequence, row)| {
            let from = if every { 0 } else { row.len() - 1 };
            let part = &row[from..];
            json!({
                "line": sequence.line,
                "labels": part.iter().map(|own| &names[own.label]).collect::<Vec<_>>(),
                "probabilities": part.iter().map(|own| own.probability).collect::<Vec<_>>(),
            })
        });
        let summary = json!({
            "schema": "backstitch/negative-eigenvalues-predictions/1",
            "right": right,
            "sequences": each.collect::<Vec<_>>(),
        });
        terminal::print_json(&summary)?;
    } else {
        if arguments.out.is_none() {
            terminal::print(&csv)?;
        }
        if let Some(right) = right {
            terminal::say(format_args!("right: {:.1} % of the labels", 100.0 * right));
        }
    }
    Ok(EXIT_DONE)
}

fn stream(arguments: &StreamArguments, common: &Common) -> Result<i32, Failure> {
    let model = Model::read(&arguments.model).map_err(Failure::input)?;
    let beginning = Stepper::new(&model, arguments.snap).map_err(Failure::input)?;
    let names = model.vocabulary();
    let mut stepper = beginning.clone();
    for (at, line) in std::io::stdin().lock().lines().enumerate() {
        let line =
            line.map_err(|error| Failure::input(format!("standard input, line {}: {error}", at + 1)))?;
        let token = line.trim();
        if token.is_empty() {
            stepper = beginning.clone();
            continue;
        }
        let Some(number) = names.tokens.iter().position(|name| name == token) else {
            let message = format!("standard input, line {}: the token {token:?} is not known", at + 1);
            return Err(Failure::input(message).hint(format!("the model knows {}", names.tokens.join(", "))));
        };
        let Prediction { label, probability } = stepper.step(number as u32).map_err(Failure::input)?;
        let label = &names.labels[label];
        let text = if common.json {
            json!({"token": token, "label": label, "probability": probability}).to_string() + "\n"
        } else {
            format!("{label}\t{probability:.4}\n")
        };
        if !terminal::print_to_reader(&text)? {
            break;
        }
    }
    Ok(EXIT_DONE)
}

fn inspect(arguments: &InspectArguments, common: &Common) -> Result<i32, Failure> {
    let model = Model::read(&arguments.model).map_err(Failure::input)?;
    let sequences = read_sequences(&arguments.data).map_err(Failure::input)?;
    let examples = encoded(&model, &sequences, &arguments.data)?;
    let spectra = spectra(&model, &examples).map_err(Failure::input)?;
    if spectra.is_empty() {
        return Err(Failure::input("the model has no linear recurrence, and so no eigenvalues")
            .hint("fit one with --layer delta or --layer diagonal"));
    }
    if common.json {
        let summary = json!({"schema": "backstitch/negative-eigenvalues-spectrum/1", "layers": spectra});
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&report::histogram(&spectra))?;
    }
    Ok(EXIT_DONE)
}

fn probe(arguments: &ProbeArguments, common: &Common) -> Result<i32, Failure> {
    let probe = Automaton::read(&arguments.automaton).map_err(Failure::input)?.probe();
    if common.json {
        let summary = json!({"schema": "backstitch/negative-eigenvalues-probe/1", "probe": probe});
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&report::probe(&probe))?;
    }
    Ok(EXIT_DONE)
}

fn generate(arguments: &GenerateArguments, common: &Common) -> Result<i32, Failure> {
    let modulus = arguments.modulus;
    let task = match arguments.task {
        TaskName::Parity => Task::Parity,
        TaskName::Count => Task::Count(modulus.unwrap_or(3)),
        TaskName::Cycle => Task::Cycle(modulus.unwrap_or(3)),
        TaskName::Modular => Task::Modular(modulus.unwrap_or(5)),
        TaskName::Group => Task::Group {
            group: match arguments.group {
                GroupName::S3 => Group::S3,
                GroupName::S4 => Group::S4,
                GroupName::A5 => Group::A5,
                GroupName::S5 => Group::S5,
            },
            swaps: arguments.swaps,
        },
    };
    let sampler = task.sampler().map_err(Failure::input)?;
    let (tokens, labels) = (task.tokens(), task.labels());
    let (from, to) = arguments.lengths;
    let mut stream = Stream::new(common.seed, "negative-eigenvalues generate");
    let mut text = String::new();
    for _ in 0..arguments.sequences {
        let example = sampler.draw(from + stream.below(to - from + 1), &mut stream);
        text += &report::line(&example, &tokens, &labels, arguments.last);
    }
    match &arguments.out {
        Some(file) => {
            write(file, text.as_bytes())?;
            terminal::say(format_args!("written: {}", file.display()));
        }
        None => terminal::print(&text)?,
    }
    Ok(EXIT_DONE)
}
