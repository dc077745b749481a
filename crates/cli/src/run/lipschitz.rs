//! `backstitch run lipschitz`: a network and points in, bounds of what it can do around them out.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_networks::Error;
use backstitch_networks::lipschitz::{
    Constants, Lipschitz, Monotonicity, Network, Parameters, Region, Relaxation,
};
use backstitch_numerics::Matrix;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::output::write_all;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Most names that a line lists.
const LISTED: usize = 12;

/// Prints, for every point and output, an upper bound of the local l-infinity Lipschitz constant, the largest slope that was met there
/// (a lower bound), and their ratio. With --out, the folder gets bounds.csv, summary.json and, where asked for, monotonicity.csv and
/// directions.csv.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: nowhere in the box around a point does an output change by more than its upper bound times the largest \
change of an input. A ratio near 1 says that the bound is nearly met. Networks: feed-forward graphs of dense and convolutional layers, \
batch normalisation, average pooling, skip connections, ReLU, leaky ReLU, tanh and sigmoid. Bounds are of what the file computes, so \
cut off a softmax at the end.

A list of layers: {\"input\": [1, 28, 28], \"layers\": [{\"kind\": \"convolution\", \"weight\": \"0.weight\", \"bias\": \"0.bias\", \"stride\": [2, 2], \
\"padding\": [1, 1]}, {\"kind\": \"relu\"}, {\"kind\": \"flatten\"}, {\"kind\": \"dense\", \"weight\": \"3.weight\", \"bias\": \"3.bias\"}]}, names as in the \
safetensors file. Kinds: dense, convolution (also dilation, groups), batch-normalisation (weight, bias, mean, variance, epsilon), \
average-pooling (kernel, stride), flatten, relu, leaky-relu (share), tanh, sigmoid, and keep and add (name) for skip connections.

Examples:
  backstitch run lipschitz --model net.onnx --center x.csv --radius 0.01 --clip 0,1
  backstitch run lipschitz --model weights.safetensors --layers layers.json --center x.csv --radius 0.05 --branch 10000"
)]
pub(crate) struct LipschitzArguments {
    /// The network: ONNX, or safetensors together with --layers
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// List of layers, in JSON, for weights in safetensors
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Points: one row of inputs each
    #[arg(long, value_name = "FILE")]
    center: PathBuf,
    /// Largest change of one input
    #[arg(long, value_name = "RADIUS", allow_negative_numbers = true)]
    radius: f64,
    /// Range of the data, which the boxes do not leave: 0,1 for images
    #[arg(long, value_name = "LOW,HIGH", value_parser = range, allow_hyphen_values = true)]
    clip: Option<(f64, f64)>,
    /// How the bounds are computed
    #[arg(long, value_enum, default_value_t = MethodName::Bound)]
    method: MethodName,
    /// Parts of the box that branch and bound may look at, for each point
    #[arg(long, value_name = "DOMAINS", default_value_t = 0)]
    branch: usize,
    /// Most seconds of branch and bound for each point; then the result depends on the machine
    #[arg(long, value_name = "SECONDS", requires = "branch")]
    seconds: Option<f64>,
    /// Random points for the lower bound
    #[arg(long, value_name = "N", default_value_t = 1000)]
    samples: usize,
    /// Also say in which inputs each output is certified to only grow, or only fall
    #[arg(long)]
    monotone: bool,
    /// Directions, one row of inputs each: also bound the slope of each output along them
    #[arg(long, value_name = "FILE")]
    directions: Option<PathBuf>,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodName {
    /// Lines around products of derivatives, propagated backward (the paper's)
    Bound,
    /// The same with intervals wherever a sign is not known, after RecurJac
    Recurjac,
    /// Interval arithmetic
    Ibp,
    /// The product of the layers' norms, the same everywhere
    Global,
}

/// What is said of a point.
struct Found {
    constants: Constants,
    /// Bounds of slopes along directions: lower, upper, outputs × directions.
    slopes: Option<(Matrix, Matrix)>,
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match numbers.as_deref() {
        Ok([low, high]) => Ok((*low, *high)),
        _ => Err("give two numbers, as in 0,1".into()),
    }
}

pub(crate) fn execute(arguments: &LipschitzArguments, common: &Common) -> Result<i32, Failure> {
    let relaxation = match arguments.method {
        MethodName::Bound => Relaxation::Lines,
        MethodName::Recurjac => Relaxation::RecurJac,
        MethodName::Ibp => Relaxation::Interval,
        MethodName::Global => Relaxation::Global,
    };
    if arguments.branch > 0 && matches!(relaxation, Relaxation::Interval | Relaxation::Global) {
        return Err(Failure::input("--branch splits neurons, which --method ibp and global know nothing of")
            .hint("leave one of them out"));
    }
    let parameters = Parameters {
        relaxation,
        domains: arguments.branch,
        seconds: arguments.seconds,
        samples: arguments.samples,
        seed: common.seed,
        ..Parameters::default()
    };
    let method = Lipschitz::new(parameters).map_err(Failure::input)?;
    let network = network(arguments)?;
    let points = table(&arguments.center, &network)?;
    let directions = arguments.directions.as_deref().map(|file| table(file, &network)).transpose()?;
    let found = (0..points.values.rows())
        .map(|row| around(arguments, &method, &network, &points, directions.as_ref(), row))
        .collect::<Result<Vec<Found>, Failure>>()?;
    let summary = summary(arguments, &network, &points, &found);
    if let Some(folder) = &arguments.out {
        let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        let mut files = vec![("bounds.csv", bounds_csv(&found)), ("summary.json", text)];
        if arguments.monotone {
            files.push(("monotonicity.csv", monotonicity_csv(&points, &found)));
        }
        if directions.is_some() {
            files.push(("directions.csv", directions_csv(&found)));
        }
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&words(arguments, &network, &points, &found))?;
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

fn network(arguments: &LipschitzArguments) -> Result<Network, Failure> {
    let read = |file: &Path| {
        std::fs::read(file).map_err(|error| {
            Failure::input(format!("{} cannot be read: {error}", file.display()))
                .hint("give a file of a network")
        })
    };
    let shown = arguments.model.display();
    let bytes = read(&arguments.model)?;
    let is_safetensors = arguments.model.extension().is_some_and(|extension| extension == "safetensors");
    let network = match &arguments.layers {
        Some(layers) => {
            let text = String::from_utf8(read(layers)?)
                .map_err(|_| Failure::input(format!("{} is not text", layers.display())))?;
            Network::from_layers(&text, &bytes)
        }
        None if is_safetensors => {
            return Err(Failure::input(format!("{shown} has weights, but not what is done with them"))
                .hint("give the list of layers with --layers"));
        }
        None => Network::from_onnx(&bytes),
    };
    network.map_err(|error| Failure::input(format!("{shown}: {error}")))
}

/// A table with one column per input.
fn table(file: &Path, network: &Network) -> Result<Table, Failure> {
    let table = read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
    let (found, expected) = (table.columns.len(), network.inputs());
    if found == expected {
        return Ok(table);
    }
    let shown = file.display();
    Err(Failure::input(format!("{shown} has {found} columns, but the network has {expected} inputs"))
        .hint("give one column per input, row-major for images"))
}

fn around(
    arguments: &LipschitzArguments,
    method: &Lipschitz,
    network: &Network,
    points: &Table,
    directions: Option<&Table>,
    row: usize,
) -> Result<Found, Failure> {
    let shown = arguments.center.display();
    let region =
        Region::around(points.values.row(row), arguments.radius).and_then(|region| match arguments.clip {
            Some((low, high)) => region.clipped(low, high),
            None => Ok(region),
        });
    // An option that is wrong is so for every row.
    let failed = |error| match error {
        Error::Parameter { .. } => Failure::input(error),
        _ => Failure::input(format!("{shown}, row {row}: {error}")),
    };
    let region = region.map_err(failed)?;
    let slopes = directions.map(|table| method.directional(network, &region, &table.values)).transpose();
    Ok(Found { slopes: slopes.map_err(failed)?, constants: method.bound(network, &region).map_err(failed)? })
}

/// JSON and CSV do without a ratio where nothing was met.
fn ratio(constants: &Constants, output: usize) -> Option<f64> {
    let sampled = constants.sampled.norms[output];
    (sampled > 0.0).then(|| constants.upper[output] / sampled)
}

fn words(arguments: &LipschitzArguments, network: &Network, points: &Table, found: &[Found]) -> String {
    let mut text = format!(
        "{}: {} inputs, {} outputs, {} affine maps, {} neurons\npoint  output         upper         lower  upper/lower\n",
        arguments.model.display(),
        network.inputs(),
        network.outputs(),
        network.depth(),
        network.neurons()
    );
    for (point, Found { constants, .. }) in found.iter().enumerate() {
        for (output, upper) in constants.upper.iter().enumerate() {
            let ratio = ratio(constants, output).map_or("-".into(), |ratio| format!("{ratio:.3}"));
            let lower = constants.sampled.norms[output];
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "{point:>5}  {output:>6}  {upper:>12.6}  {lower:>12.6}  {ratio:>11}");
        }
    }
    for (point, Found { constants, .. }) in found.iter().enumerate() {
        let _ = write!(
            text,
            "point {point}: all outputs at most {:.6}, met {:.6}",
            constants.largest_upper(),
            constants.largest_sampled()
        );
        if network.kinks() > 0 {
            let _ = write!(text, "; {} of {} ReLUs undecided", constants.undecided, network.kinks());
        }
        if arguments.branch > 0 {
            let root = constants.root.iter().copied().fold(0.0, f64::max);
            let _ = write!(text, "; before branching {root:.6}, {} parts", constants.domains);
        }
        text.push('\n');
        if arguments.monotone {
            for output in 0..network.outputs() {
                let _ = writeln!(
                    text,
                    "point {point}, output {output}: {}",
                    movements(constants, points, output)
                );
            }
        }
    }
    if arguments.directions.is_some() {
        text.push_str("point  output  direction   slope from            to\n");
        for_slopes(found, |point, output, direction, lower, upper| {
            let _ = writeln!(text, "{point:>5}  {output:>6}  {direction:>9}  {lower:>11.6}  {upper:>12.6}");
        });
    }
    text
}

const KINDS: [(Monotonicity, &str); 5] = [
    (Monotonicity::Increasing, "increasing"),
    (Monotonicity::Decreasing, "decreasing"),
    (Monotonicity::Constant, "constant"),
    (Monotonicity::Neither, "neither"),
    (Monotonicity::Unknown, "unknown"),
];

fn name_of(kind: Monotonicity) -> &'static str {
    KINDS.iter().find(|(own, _)| *own == kind).map_or("unknown", |(_, name)| name)
}

/// In which inputs an output grows or falls, in words.
fn movements(constants: &Constants, points: &Table, output: usize) -> String {
    let mut parts = Vec::new();
    for (kind, name) in KINDS {
        let names: Vec<&str> = (0..points.columns.len())
            .filter(|&input| constants.monotonicity(output, input) == kind)
            .map(|input| points.columns[input].as_str())
            .collect();
        if !names.is_empty() {
            let more = if names.len() > LISTED {
                format!(" and {} more", names.len() - LISTED)
            } else {
                String::new()
            };
            parts.push(format!("{name} in {}{more}", names[..names.len().min(LISTED)].join(", ")));
        }
    }
    parts.join("; ")
}

/// Calls `visit(point, output, direction, lower, upper)` for every slope that was asked for.
fn for_slopes(found: &[Found], mut visit: impl FnMut(usize, usize, usize, f64, f64)) {
    for (point, Found { slopes, .. }) in found.iter().enumerate() {
        let Some((lower, upper)) = slopes else { continue };
        for output in 0..lower.rows() {
            for direction in 0..lower.columns() {
                let at = (output, direction);
                visit(point, output, direction, lower[at], upper[at]);
            }
        }
    }
}

fn directions_csv(found: &[Found]) -> String {
    let mut text = "point,output,direction,lower,upper\n".to_owned();
    for_slopes(found, |point, output, direction, lower, upper| {
        let _ = writeln!(text, "{point},{output},{direction},{lower},{upper}");
    });
    text
}

fn bounds_csv(found: &[Found]) -> String {
    let mut text = "point,output,upper,lower,before_branching,undecided,domains\n".to_owned();
    for (point, Found { constants, .. }) in found.iter().enumerate() {
        for (output, upper) in constants.upper.iter().enumerate() {
            let (lower, root) = (constants.sampled.norms[output], constants.root[output]);
            let (undecided, domains) = (constants.undecided, constants.domains);
            let _ = writeln!(text, "{point},{output},{upper},{lower},{root},{undecided},{domains}");
        }
    }
    text
}

fn monotonicity_csv(points: &Table, found: &[Found]) -> String {
    let mut text =
        "point,output,input,verdict,slope_lower,slope_upper,slope_least_met,slope_most_met\n".to_owned();
    for (point, Found { constants, .. }) in found.iter().enumerate() {
        for output in 0..constants.upper.len() {
            for input in 0..points.columns.len() {
                let at = (output, input);
                let verdict = name_of(constants.monotonicity(output, input));
                let (lower, upper) = constants
                    .entries
                    .as_ref()
                    .map_or((f64::NEG_INFINITY, f64::INFINITY), |(lower, upper)| (lower[at], upper[at]));
                let (least, most) = (constants.sampled.least[at], constants.sampled.most[at]);
                let _ = writeln!(text, "{point},{output},{input},{verdict},{lower},{upper},{least},{most}");
            }
        }
    }
    text
}

fn summary(arguments: &LipschitzArguments, network: &Network, points: &Table, found: &[Found]) -> Value {
    let point = |Found { constants, slopes }: &Found| {
        let output = |output: usize| {
            let mut entry = json!({
                "upper": constants.upper[output],
                "lower": constants.sampled.norms[output],
                "ratio": ratio(constants, output),
                "before_branching": constants.root[output],
            });
            if arguments.monotone {
                let inputs = 0..points.columns.len();
                entry["monotonicity"] =
                    inputs.map(|input| name_of(constants.monotonicity(output, input))).collect();
            }
            if let Some((lower, upper)) = slopes {
                let pairs = lower.row(output).iter().zip(upper.row(output));
                entry["slopes"] = pairs.map(|(lower, upper)| json!([lower, upper])).collect();
            }
            entry
        };
        json!({
            "upper": constants.largest_upper(),
            "lower": constants.largest_sampled(),
            "undecided": constants.undecided,
            "domains": constants.domains,
            "points_met": constants.sampled.count,
            "outputs": (0..constants.upper.len()).map(output).collect::<Vec<_>>(),
        })
    };
    json!({
        "schema": "backstitch/lipschitz/1",
        "model": arguments.model.to_string_lossy(),
        "inputs": network.inputs(),
        "outputs": network.outputs(),
        "affine_maps": network.depth(),
        "neurons": network.neurons(),
        "radius": arguments.radius,
        "clip": arguments.clip.map(|(low, high)| [low, high]),
        "method": arguments.method.to_possible_value().map(|value| value.get_name().to_owned()),
        "points": found.iter().map(point).collect::<Vec<_>>(),
    })
}
