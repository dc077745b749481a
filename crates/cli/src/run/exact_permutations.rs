//! `backstitch run exact-permutations`: how many models a permutation takes, and what they say of inputs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_data::order::read_order;
use backstitch_data::table::{TableOptions, read_table};
use backstitch_networks::exact_permutations::{
    self as method, Bit, Coverage, Curve, Input, LONGEST_LISTED, Parameters, Parametrisation, Permutation,
    Rounding,
};
use backstitch_numerics::Stream;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::output::write_all;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Longest inputs whose whole set is simulated.
const LONGEST_SIMULATED: usize = 10;

/// Prints the numbers of models for both parametrisations and both roundings. With --inputs, prints CSV: one line per input
/// and output bit. With --out, the folder gets models.csv, models.svg, summary.json and, with --inputs, predictions.csv.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: N networks of one wide hidden layer of ReLUs, each trained on the k basis vectors only, are averaged \
and rounded. One input: all its bits are right with the confidence asked for. All inputs: so are all bits of all 2^k - 1 inputs, by \
the union bound. Zero is the paper's rounding, the midpoint ours."
)]
pub(crate) struct ExactPermutations {
    /// Number of bits k [default: 20, or that of --permutation or --inputs]
    #[arg(long, value_name = "BITS")]
    length: Option<usize>,
    /// Probability that everything asked for comes out exactly
    #[arg(long, value_name = "SHARE", default_value_t = 0.99)]
    confidence: f64,
    /// Ones of the input that the number for one input is for
    #[arg(long, value_name = "M", default_value_t = 2)]
    ones: usize,
    /// Variance of the first layer's initial weights, in units of the paper's 1/k
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    weight_variance: f64,
    /// Check the numbers by simulating infinitely wide networks (all inputs up to 10 bits)
    #[arg(long)]
    simulate: bool,
    /// Ensembles to simulate per number
    #[arg(long, value_name = "N", default_value_t = 200, requires = "simulate")]
    runs: u32,
    /// Targets of the bits, counted from 0: one line, `2,0,1` sends bit 0 to 2, bit 1 to 0, bit 2 to 1 [default: every bit
    /// to itself]
    #[arg(long, value_name = "FILE")]
    permutation: Option<PathBuf>,
    /// Inputs to predict: one row of zeros and ones per input
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Which networks predict
    #[arg(long, value_enum, default_value_t = ParametrisationName::Ntk)]
    parametrisation: ParametrisationName,
    /// Where predictions become bits
    #[arg(long, value_enum, default_value_t = RoundingName::Zero)]
    rounding: RoundingName,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ParametrisationName {
    /// Both layers learn: the paper's theory
    Ntk,
    /// At large width only the readout learns: the released experiments
    Standard,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoundingName {
    /// 1 above zero (the paper's)
    Zero,
    /// 1 above the midpoint of the two means (ours)
    Midpoint,
}

const PARAMETRISATIONS: [(Parametrisation, &str); 2] =
    [(Parametrisation::Ntk, "ntk"), (Parametrisation::Standard, "standard")];
const ROUNDINGS: [(Rounding, &str); 2] = [(Rounding::Zero, "zero"), (Rounding::Midpoint, "midpoint")];

/// One line of the table.
struct Line {
    parametrisation: &'static str,
    rounding: &'static str,
    one: u64,
    all: u64,
    simulated_one: Option<f64>,
    simulated_all: Option<f64>,
}

/// One predicted input.
struct Predicted {
    bits: Vec<Bit>,
    /// Models for the confidence asked for.
    models: u64,
}

pub(crate) fn execute(arguments: &ExactPermutations, common: &Common) -> Result<i32, Failure> {
    if !(arguments.confidence > 0.0 && arguments.confidence < 1.0) {
        let message = format!("--confidence is {}, but must be above 0 and below 1", arguments.confidence);
        return Err(Failure::input(message).hint("0.99 asks for at most one wrong ensemble in a hundred"));
    }
    if arguments.runs == 0 {
        return Err(Failure::input("--runs is 0, but must be at least 1"));
    }
    let table = match &arguments.inputs {
        Some(file) => Some(
            read_table(file, &TableOptions::default())
                .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?,
        ),
        None => None,
    };
    let length = match (arguments.length, &table, &arguments.permutation) {
        (Some(length), _, _) => length,
        (None, Some(table), _) => table.values.columns(),
        (None, None, Some(file)) => targets_in(file)?,
        (None, None, None) => Parameters::default().length,
    };
    let lines = lines(arguments, length, common)?;
    let permutation = match &arguments.permutation {
        Some(file) => {
            let names: Vec<String> = (0..length).map(|bit| bit.to_string()).collect();
            let targets = read_order(file, &names).map_err(|error| {
                Failure::input(&error).hint("targets are counted from 0, each exactly once")
            })?;
            Permutation::new(targets).map_err(Failure::input)?
        }
        None => Permutation::identity(length),
    };
    let predicted = match &table {
        Some(table) => {
            let inputs = Input::from_table(&table.values, length).map_err(Failure::input)?;
            Some(predict(arguments, length, &permutation, &inputs)?)
        }
        None => None,
    };
    let summary = summary(arguments, length, &lines, &permutation, predicted.as_deref());
    match &arguments.out {
        None if common.json => terminal::print_json(&summary)?,
        None => match &predicted {
            Some(predicted) => {
                terminal::print(&csv(predicted))?;
                eprint!("{}", words(arguments, length, &lines));
            }
            None => terminal::print(&words(arguments, length, &lines))?,
        },
        Some(folder) => {
            let curves = curves(arguments, length)?;
            let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
            let mut files = vec![
                ("models.csv", models_csv(&curves)),
                ("models.svg", method::draw(&curves)),
                ("summary.json", text),
            ];
            if let Some(predicted) = &predicted {
                files.push(("predictions.csv", csv(predicted)));
            }
            write_all(folder, &files)?;
            if common.json {
                terminal::print_json(&summary)?;
            } else {
                terminal::print(&words(arguments, length, &lines))?;
                eprintln!("written: {}", folder.display());
            }
        }
    }
    Ok(EXIT_DONE)
}

/// How many targets a file has: what separates them does not matter here.
fn targets_in(file: &Path) -> Result<usize, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::input(format!("{} cannot be read: {error}", file.display())))?;
    Ok(text.split([',', ';', '\t', ' ', '\n', '\r']).filter(|target| !target.is_empty()).count())
}

fn prepared(
    arguments: &ExactPermutations,
    length: usize,
    parametrisation: Parametrisation,
    rounding: Rounding,
) -> Result<method::ExactPermutations, Failure> {
    let weight_variance = arguments.weight_variance;
    let parameters = Parameters { length, parametrisation, rounding, weight_variance };
    method::ExactPermutations::new(parameters).map_err(Failure::input)
}

fn lines(arguments: &ExactPermutations, length: usize, common: &Common) -> Result<Vec<Line>, Failure> {
    let error = 1.0 - arguments.confidence;
    let mut lines = Vec::new();
    for (parametrisation, name) in PARAMETRISATIONS {
        for (rounding, rounding_name) in ROUNDINGS {
            let prepared = prepared(arguments, length, parametrisation, rounding)?;
            let one = prepared.models(Coverage::Ones(arguments.ones), error).map_err(Failure::input)?;
            let all = prepared.models(Coverage::All, error).map_err(Failure::input)?;
            let mut stream =
                Stream::new(common.seed, &format!("run exact-permutations {name} {rounding_name}"));
            let mut simulate = |inputs: Vec<Input>, models| -> Result<f64, Failure> {
                let ensemble = prepared.ensemble(inputs).map_err(Failure::input)?;
                let mut exact = 0_u32;
                for _ in 0..arguments.runs {
                    let correct = ensemble.correct(&ensemble.average(models, &mut stream));
                    exact += u32::from(correct.map_err(Failure::internal)?.into_iter().all(|right| right));
                }
                Ok(f64::from(exact) / f64::from(arguments.runs))
            };
            let (mut simulated_one, mut simulated_all) = (None, None);
            if arguments.simulate {
                let ones: Vec<usize> = (0..arguments.ones).collect();
                let input = Input::new(length, &ones).map_err(Failure::input)?;
                simulated_one = Some(simulate(vec![input], one)?);
                if length <= LONGEST_SIMULATED.min(LONGEST_LISTED) {
                    simulated_all = Some(simulate(Input::all(length).map_err(Failure::input)?, all)?);
                }
            }
            let parametrisation = name;
            let rounding = rounding_name;
            lines.push(Line { parametrisation, rounding, one, all, simulated_one, simulated_all });
        }
    }
    Ok(lines)
}

fn predict(
    arguments: &ExactPermutations,
    length: usize,
    permutation: &Permutation,
    inputs: &[Input],
) -> Result<Vec<Predicted>, Failure> {
    let parametrisation = match arguments.parametrisation {
        ParametrisationName::Ntk => Parametrisation::Ntk,
        ParametrisationName::Standard => Parametrisation::Standard,
    };
    let rounding = match arguments.rounding {
        RoundingName::Zero => Rounding::Zero,
        RoundingName::Midpoint => Rounding::Midpoint,
    };
    let prepared = prepared(arguments, length, parametrisation, rounding)?;
    inputs
        .iter()
        .map(|input| {
            let bits = prepared.predict(permutation, input).map_err(Failure::input)?;
            let coverage = Coverage::Ones(input.ones().len());
            let models = prepared.models(coverage, 1.0 - arguments.confidence).map_err(Failure::input)?;
            Ok(Predicted { bits, models })
        })
        .collect()
}

/// Numbers of models for all inputs, from 2 bits to the length, at most some hundred of them.
fn curves(arguments: &ExactPermutations, length: usize) -> Result<Vec<Curve>, Failure> {
    let step = length.div_ceil(100);
    let mut curves = Vec::new();
    for (parametrisation, name) in PARAMETRISATIONS {
        for (rounding, rounding_name) in ROUNDINGS {
            let mut points = Vec::new();
            for bits in (2..=length).filter(|bits| (length - bits).is_multiple_of(step)) {
                let prepared = prepared(arguments, bits, parametrisation, rounding)?;
                let models = prepared.models(Coverage::All, 1.0 - arguments.confidence);
                points.push((bits, models.map_err(Failure::input)?));
            }
            curves.push(Curve { name: format!("{name}, {rounding_name}"), points });
        }
    }
    Ok(curves)
}

fn models_csv(curves: &[Curve]) -> String {
    let mut text = String::from("bits,parametrisation,rounding,models_for_all_inputs\n");
    for curve in curves {
        let name = curve.name.replace(", ", ",");
        for (bits, models) in &curve.points {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "{bits},{name},{models}");
        }
    }
    text
}

fn csv(predicted: &[Predicted]) -> String {
    let mut text = String::from("input,output,mean,variance,bit,models\n");
    for (row, input) in predicted.iter().enumerate() {
        for (output, bit) in input.bits.iter().enumerate() {
            let value = u8::from(bit.bit);
            let _ = writeln!(text, "{row},{output},{},{},{value},{}", bit.mean, bit.variance, input.models);
        }
    }
    text
}

fn words(arguments: &ExactPermutations, length: usize, lines: &[Line]) -> String {
    let mut text = format!(
        "{length} bits, confidence {}: models to average\n{:<12}{:<10}{:>16}{:>12}\n",
        arguments.confidence,
        "networks",
        "rounding",
        format!("input, {} ones", arguments.ones),
        "all inputs"
    );
    for line in lines {
        let _ =
            write!(text, "{:<12}{:<10}{:>16}{:>12}", line.parametrisation, line.rounding, line.one, line.all);
        if let Some(share) = line.simulated_one {
            let _ = write!(text, "   simulated: exact in {:.1} %", 100.0 * share);
        }
        if let Some(share) = line.simulated_all {
            let _ = write!(text, " and {:.1} %", 100.0 * share);
        }
        text.push('\n');
    }
    text
}

fn summary(
    arguments: &ExactPermutations,
    length: usize,
    lines: &[Line],
    permutation: &Permutation,
    predicted: Option<&[Predicted]>,
) -> Value {
    let models: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "parametrisation": line.parametrisation,
                "rounding": line.rounding,
                "one_input": line.one,
                "all_inputs": line.all,
                "simulated_one_input": line.simulated_one,
                "simulated_all_inputs": line.simulated_all,
            })
        })
        .collect();
    let inputs = predicted.map(|predicted| -> Vec<Value> {
        let one = |input: &Predicted| {
            let column = |value: fn(&Bit) -> Value| input.bits.iter().map(value).collect::<Vec<_>>();
            json!({
                "mean": column(|bit| json!(bit.mean)),
                "variance": column(|bit| json!(bit.variance)),
                "bit": column(|bit| json!(u8::from(bit.bit))),
                "models": input.models,
            })
        };
        predicted.iter().map(one).collect()
    });
    json!({
        "schema": "backstitch/exact-permutations/1",
        "length": length,
        "confidence": arguments.confidence,
        "ones": arguments.ones,
        "weight_variance": arguments.weight_variance,
        "models": models,
        "runs": arguments.simulate.then_some(arguments.runs),
        "permutation": predicted.map(|_| permutation.targets()),
        "inputs": inputs,
    })
}
