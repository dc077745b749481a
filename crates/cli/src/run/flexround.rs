//! `backstitch run flexround`: a trained network and unlabelled rows in, the network in a few bits out.

mod decoder;
mod report;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Instant;

use backstitch_compress::flexround::{
    Calibration, Description, FlexRound, Granularity, Network, Parameters, QuantisedNetwork, Rounding,
    read_tensors,
};
use backstitch_data::hash::content_sha256_of_bytes;
use clap::{Args, Subcommand, ValueEnum};

use self::rows::RowOptions;
use super::output::{write, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

#[derive(Args, Debug)]
pub(crate) struct FlexRoundArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Round the weights of a network, and say what that costs
    Quantize(Box<QuantizeArguments>),
    /// Outputs of a quantised network
    Predict(PredictArguments),
    /// Perplexity of a decoder on a text
    Evaluate(decoder::EvaluateArguments),
    /// What is in a quantised network, and what it was calibrated on
    Show(ShowArguments),
}

/// Prints, for every layer, the error of its outputs when rounded to nearest and as it was left, which weights moved, and what the network
/// takes of memory.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: errors are the mean square of what outputs are off, as a share of the outputs' own mean square, on the \
calibration rows (with --test: on those too). `moved` is the share of weights that ended 1 and 2 or more steps from the nearest point of \
the grid.

A list of layers: {\"input\": [1, 28, 28], \"layers\": [{\"kind\": \"convolution\", \"weight\": \"0.weight\", \"bias\": \"0.bias\", \"stride\": [2, 2], \
\"padding\": [1, 1]}, {\"kind\": \"relu\"}, {\"kind\": \"flatten\"}, {\"kind\": \"dense\", \"weight\": \"3.weight\", \"bias\": \"3.bias\"}]}, names as in the \
safetensors file. Kinds: dense, convolution (also dilation), batch-normalisation (weight, bias, mean, variance, epsilon; folded into the \
layer before it), average-pooling (kernel, stride), flatten, relu, leaky-relu (share), tanh, sigmoid, and keep and add (name) for skip \
connections.

Calibration rows are unlabelled inputs as the network takes them: a table, or an idx file of images (with --divide 255 for pixels from 0 \
to 1). A few hundred are usual.

Examples:
  backstitch run flexround quantize --model net.safetensors --layers net.json --calibration rows.csv --bits 4 --out small
  backstitch run flexround predict --model small --data new.csv --out outputs.csv
  backstitch run flexround quantize --model gpt2/ --calibration text.jsonl --test other.jsonl --bits 4 --out gpt2-4bit/
  backstitch run flexround evaluate --model gpt2-4bit/ --text other.jsonl"
)]
struct QuantizeArguments {
    /// Weights in floating point; or the folder of a decoder (GPT-2, Llama, Qwen2) in the Hugging Face layout
    #[arg(long, value_name = "FILE or DIR")]
    model: PathBuf,
    /// List of layers, in JSON; of a decoder, config.json says it
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Unlabelled rows to calibrate on; for a decoder text, as JSON Lines {"text": "…"} or lines as they are
    #[arg(long, value_name = "FILE")]
    calibration: PathBuf,
    /// Most calibration rows, from the first on [default: all; for a decoder 128 sequences]
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Tokens of a sequence, for a decoder [default: those it takes, at most 512]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Other rows, or other text, to measure on
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    #[command(flatten)]
    options: RowOptions,
    /// Bits of a weight
    #[arg(long, value_name = "2…8", default_value_t = Parameters::default().bits)]
    bits: u8,
    /// Bits of the inputs of layers [default: as they are]
    #[arg(long, value_name = "2…8")]
    activation_bits: Option<u8>,
    /// What shares one grid
    #[arg(long, value_enum, default_value_t = GranularityName::Channel)]
    granularity: GranularityName,
    /// Zero in the middle of the grid
    #[arg(long)]
    symmetric: bool,
    /// How weights are rounded
    #[arg(long, value_enum, default_value_t = RoundingName::Flexround)]
    rounding: RoundingName,
    /// Steps of learning, for every layer or block
    #[arg(long, value_name = "N", default_value_t = Parameters::default().steps)]
    steps: usize,
    /// Step size of learning [default: 0.003, or 0.01 for adaround and adaquant]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Layers with weights that are learned together
    #[arg(long, value_name = "N", default_value_t = 1)]
    block: usize,
    /// Rows of a step, where layers are learned together
    #[arg(long, value_name = "N", default_value_t = Parameters::default().batch)]
    batch: usize,
    /// Share of inputs that stay as they are while learning (QDrop: 0.5)
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    drop: f64,
    /// Folder for model.safetensors, layers.csv and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct PredictArguments {
    /// Folder that `quantize --out` has written, or its model.safetensors
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Rows of inputs
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    options: RowOptions,
    /// File for the outputs [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ShowArguments {
    /// Folder that `quantize --out` has written, or its model.safetensors
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GranularityName {
    /// The weights of one output
    Channel,
    /// All weights of a layer
    Tensor,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoundingName {
    /// To the nearest point after dividing by learned numbers
    Flexround,
    /// Up or down, learned
    Adaround,
    /// To the nearest point after adding a learned number
    Adaquant,
    /// To the nearest point
    Nearest,
}

/// What was made and measured.
struct Found {
    network: QuantisedNetwork,
    /// Bytes of weights and biases in single precision.
    before_bytes: usize,
    /// Of outputs on test rows: their number, and the error.
    test: Option<(usize, f64)>,
    seconds: f64,
    file: Vec<u8>,
}

pub(crate) fn execute(arguments: &FlexRoundArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.what {
        What::Quantize(arguments) => quantize(arguments, common),
        What::Predict(arguments) => predict(arguments, common),
        What::Evaluate(arguments) => decoder::evaluate(arguments, common),
        What::Show(arguments) => {
            let network = load(&arguments.model)?;
            if common.json {
                terminal::print_json(&report::described(&network))?;
            } else {
                terminal::print(&report::layers(&network))?;
            }
            Ok(EXIT_DONE)
        }
    }
}

fn quantize(arguments: &QuantizeArguments, common: &Common) -> Result<i32, Failure> {
    let parameters = Parameters {
        rounding: match arguments.rounding {
            RoundingName::Flexround => Rounding::FlexRound,
            RoundingName::Adaround => Rounding::AdaRound,
            RoundingName::Adaquant => Rounding::AdaQuant,
            RoundingName::Nearest => Rounding::Nearest,
        },
        bits: arguments.bits,
        symmetric: arguments.symmetric,
        granularity: match arguments.granularity {
            GranularityName::Channel => Granularity::Channel,
            GranularityName::Tensor => Granularity::Tensor,
        },
        steps: arguments.steps,
        rate: arguments.rate,
        batch: arguments.batch,
        block: arguments.block,
        activation_bits: arguments.activation_bits,
        drop: arguments.drop,
        seed: common.seed,
        ..Parameters::default()
    };
    let method = FlexRound::new(parameters).map_err(Failure::input)?;
    if arguments.model.is_dir() {
        return decoder::quantize(arguments, &method, common);
    }
    let network = network(arguments)?;
    let (calibration, bytes) = arguments.options.read(&arguments.calibration, arguments.rows)?;
    let test = arguments.test.as_deref().map(|file| arguments.options.read(file, None)).transpose()?;
    let begin = Instant::now();
    let mut quantised = method
        .quantise_network(&network, &calibration)
        .map_err(|error| Failure::input(format!("{}: {error}", arguments.calibration.display())))?;
    let seconds = begin.elapsed().as_secs_f64();
    let sha256 = content_sha256_of_bytes(&bytes).map_err(Failure::internal)?;
    let order = match arguments.rows {
        Some(_) => "the first rows of the file",
        None => "all rows as in the file",
    };
    quantised.set_calibration(Calibration { rows: calibration.rows(), sha256, order: order.into() });
    let test = match (test, &arguments.test) {
        (Some((rows, _)), Some(file)) => {
            if rows.columns() != network.inputs() || rows.rows() == 0 {
                return Err(Failure::input(format!(
                    "{}: {} rows of {} numbers, but the network takes {}",
                    file.display(),
                    rows.rows(),
                    rows.columns(),
                    network.inputs()
                ))
                .hint("give rows as the network takes them, without a column of labels"));
            }
            Some((rows.rows(), report::error(&network.outputs_of(&rows), &quantised.outputs_of(&rows))))
        }
        _ => None,
    };
    let file = quantised.to_bytes().map_err(Failure::input)?;
    let found = Found { network: quantised, before_bytes: network.bytes(), test, seconds, file };
    let summary = report::summary(&found);
    if let Some(folder) = &arguments.out {
        let json = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        let files = [
            ("model.safetensors", found.file.clone()),
            ("layers.csv", report::reports_csv(found.network.reports(), arguments.bits).into_bytes()),
            ("summary.json", json.into_bytes()),
        ];
        write_all(folder, &files)?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    for warning in report::warnings(&found.network) {
        terminal::say(format_args!("warning: {warning}"));
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&report::words(&found))?;
    }
    Ok(EXIT_DONE)
}

fn network(arguments: &QuantizeArguments) -> Result<Network, Failure> {
    let unreadable = |file: &Path, problem: &dyn std::fmt::Display| {
        Failure::input(format!("{}: {problem}", file.display()))
    };
    if arguments.context.is_some() {
        return Err(Failure::input("--context is for decoders, but --model is a file")
            .hint("give the folder of a decoder, or leave it out"));
    }
    let Some(layers) = &arguments.layers else {
        return Err(Failure::input("--layers is missing")
            .hint("name the list of layers of the network, or give the folder of a decoder as --model"));
    };
    let text = std::fs::read_to_string(layers).map_err(|error| unreadable(layers, &error))?;
    let description: Description = serde_json::from_str(&text).map_err(|error| {
        unreadable(layers, &format_args!("the list of layers cannot be read: {error}"))
            .hint("write {\"input\": [...], \"layers\": [{\"kind\": ...}, ...]}; `--help` lists the kinds")
    })?;
    let bytes = std::fs::read(&arguments.model).map_err(|error| unreadable(&arguments.model, &error))?;
    read_tensors(&description, &bytes).map_err(|error| unreadable(&arguments.model, &error))
}

fn load(folder: &Path) -> Result<QuantisedNetwork, Failure> {
    let file = if folder.is_dir() { folder.join("model.safetensors") } else { folder.to_owned() };
    let unusable = |problem: &dyn std::fmt::Display| {
        Failure::input(format!("{}: {problem}", file.display()))
            .hint("give the folder that `backstitch run flexround quantize --out` has written")
    };
    let bytes = std::fs::read(&file).map_err(|error| unusable(&error))?;
    QuantisedNetwork::from_bytes(&bytes).map_err(|error| unusable(&error))
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let network = load(&arguments.model)?;
    let (rows, _) = arguments.options.read(&arguments.data, None)?;
    if rows.columns() != network.network().inputs() {
        return Err(Failure::input(format!(
            "{}: rows have {} numbers, but the network takes {}",
            arguments.data.display(),
            rows.columns(),
            network.network().inputs()
        ))
        .hint("give rows as the network takes them, without a column of labels"));
    }
    let outputs = network.outputs_of(&rows);
    if common.json {
        let each: Vec<&[f32]> = (0..outputs.rows()).map(|row| outputs.row(row)).collect();
        terminal::print_json(
            &serde_json::json!({"schema": "backstitch/flexround-outputs/1", "outputs": each}),
        )?;
    }
    let csv = report::outputs_csv(&outputs);
    match &arguments.out {
        Some(file) => write(file, csv.as_bytes())?,
        None if !common.json => terminal::print(&csv)?,
        None => {}
    }
    Ok(EXIT_DONE)
}
