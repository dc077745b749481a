//! The study of `exact-permutations`: how many wide networks, trained on the basis vectors only, must be averaged to permute
//! bits exactly, and whether real networks do what the limit says.
//!
//! Infinitely wide networks are simulated by drawing their Gaussian outputs, so the numbers of models are those of the theory's
//! networks, not of its bounds. No arm has anything to tune. No threshold is chosen with labels: zero is the paper's, the
//! midpoint follows from the number of ones in the input.
//!
//! Inputs with a single one, the training data, are in no test: every network is exact on them.

mod claims;

use std::path::Path;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_networks::exact_permutations::{
    Coverage, Ensemble, ExactPermutations, Input, NetworkParameters, Parameters, Parametrisation, Rounding,
    Trained, solve,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ALL, ARMS, CLAIMS, CLOSED, METRICS, PAIRS, RECORDED, TRAINED, TRAINED_ALL};

/// The study.
pub static STUDY: Study = Study {
    method: "exact-permutations",
    history: &[
        "first version",
        "wording only: the margin for the recorded numbers was written with all 26 of them seen, not six as the claim said",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 12,
    data: &[RECORDED],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Closed forms are compared for every number of bits from 2 up to this, and every number of ones.
    closed_form_bits: usize,
    /// Most inputs with two ones per setting; all of them if there are fewer.
    inputs: usize,
    /// Share of them that must come out exactly (released: 0.9).
    share: f64,
    /// More models than this are not simulated.
    most_models: u64,
    /// Probability of any error for the number of models on all inputs.
    error: f64,
    /// Real networks.
    network: NetworkParameters,
    /// How many of them for average and spread.
    networks: u64,
    /// Bits of those.
    trained_bits: usize,
    /// Bits of the networks that must be exact on all inputs.
    trained_all_bits: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        closed_form_bits: 64,
        inputs: 200,
        share: 0.9,
        most_models: 20_000,
        error: 0.01,
        network: NetworkParameters { width: 2_048, ..NetworkParameters::default() },
        networks: 40,
        trained_bits: 8,
        trained_all_bits: 6,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            closed_form_bits: 8,
            inputs: 10,
            network: NetworkParameters { width: 64, ..quick.network },
            networks: 4,
            trained_bits: 4,
            trained_all_bits: 3,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration {
            inputs: 1_000,
            network: NetworkParameters { width: 50_000, ..quick.network },
            ..quick
        },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.network.validate().map_err(|error| error.to_string())?;
    let probability = |name, value: f64| {
        let fits = value > 0.0 && value < 1.0;
        if fits { Ok(()) } else { Err(format!("{name} is {value}, but must be above 0 and below 1")) }
    };
    probability("share", configuration.share)?;
    probability("error", configuration.error)?;
    let mut cells = Vec::new();
    let mut add = |settings: &[&str], arms: &[&str]| {
        for setting in settings {
            for &seed in seeds {
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed)));
            }
        }
    };
    add(&[CLOSED], &["ntk", "standard", "other-kernel"]);
    add(PAIRS, &["ntk", "standard", "ntk-midpoint", "training-inputs", "unit-variance", "other-draws"]);
    add(ALL, &["ntk", "standard", "ntk-midpoint", "tenth", "single-midpoint"]);
    add(&[TRAINED], &["trained-ntk", "trained-standard", "not-normalised", "standard-beside-ntk"]);
    add(&[TRAINED_ALL], &["trained-standard", "trained-midpoint", "trained-tenth", "trained-single"]);
    for &seed in seeds {
        for arm in ["standard", "ntk-beside-records"] {
            cells.push(Cell::new(arm, RECORDED, seed).reading(RECORDED));
        }
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    match cell.setting.split_once('-') {
        Some(("closed", _)) => closed_form(cell, &configuration, context),
        Some(("pairs", bits)) => pairs(cell, bits_of(bits)?, &configuration, context),
        Some(("all", bits)) => all_inputs(cell, bits_of(bits)?, &configuration, context),
        Some(("trained", _)) => trained_all(cell, &configuration, context),
        _ if cell.setting == TRAINED => trained(cell, &configuration, context),
        _ if cell.setting == RECORDED => recorded(cell, &configuration, context),
        _ => Err(CellError::new(format!("no setting `{}`", cell.setting))),
    }
}

fn bits_of(text: &str) -> Result<usize, CellError> {
    text.parse().map_err(CellError::new)
}

/// The method as an arm has it.
fn method(arm: &str, length: usize) -> Result<ExactPermutations, CellError> {
    let parametrisation = match arm {
        "standard" | "unit-variance" | "trained-standard" | "trained-tenth" | "standard-beside-ntk" => {
            Parametrisation::Standard
        }
        _ => Parametrisation::Ntk,
    };
    let rounding = match arm {
        "ntk-midpoint" | "single-midpoint" | "trained-midpoint" | "trained-single" => Rounding::Midpoint,
        _ => Rounding::Zero,
    };
    let weight_variance = if arm == "unit-variance" { length as f64 } else { 1.0 };
    ExactPermutations::new(Parameters { length, parametrisation, rounding, weight_variance })
        .map_err(CellError::new)
}

/// One random input per number of ones, for every number of bits.
fn closed_form(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut stream = Stream::new(cell.seed, "exact-permutations study supports");
    let mut gap: f64 = 0.0;
    for length in 2..=configuration.closed_form_bits {
        let inputs: Result<Vec<Input>, _> =
            (1..=length).map(|ones| Input::random(length, ones, &mut stream)).collect();
        let inputs = inputs.map_err(CellError::new)?;
        let closed = method(&cell.arm, length)?;
        let solved = match cell.arm.as_str() {
            "other-kernel" => method("standard", length)?,
            _ => closed.clone(),
        };
        let numeric = solve(solved.parameters(), &inputs, true).map_err(CellError::new)?;
        for (row, input) in inputs.iter().enumerate() {
            let prediction = closed.prediction(input.ones().len()).map_err(CellError::new)?;
            for bit in 0..length {
                let mean = if input.has(bit) { prediction.on } else { prediction.off };
                gap = gap.max((mean - numeric.means[(row, bit)]).abs());
            }
            gap = gap.max((prediction.variance - numeric.covariance[(row, row)]).abs());
            for (column, other) in inputs.iter().enumerate() {
                let covariance = closed.covariance(input, other).map_err(CellError::new)?;
                gap = gap.max((covariance - numeric.covariance[(row, column)]).abs());
            }
        }
    }
    context.observe("gap", gap);
    Ok(())
}

/// Networks are added until the share of inputs is exact, as in the released experiments.
fn pairs(
    cell: &Cell,
    length: usize,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut stream = Stream::new(cell.seed, &format!("exact-permutations study inputs {length}"));
    let inputs = match cell.arm.as_str() {
        "training-inputs" => (0..length).map(|bit| Input::new(length, &[bit])).collect::<Result<_, _>>(),
        _ => Ok(Input::pairs(length, configuration.inputs, &mut stream)),
    };
    let ensemble =
        method(&cell.arm, length)?.ensemble(inputs.map_err(CellError::new)?).map_err(CellError::new)?;
    // The same draws for all arms of a seed, but for the arm that is about other draws.
    let purpose = if cell.arm == "other-draws" { "other draws" } else { "draws" };
    let mut stream = Stream::new(cell.seed, &format!("exact-permutations study {purpose} {length}"));
    match ensemble.models_until(configuration.share, configuration.most_models, &mut stream) {
        Some(models) => {
            context.observe("models", models as f64);
            context.observe("log_models", (models as f64).ln());
        }
        None => context.observe_diverged("log_models"),
    }
    Ok(())
}

fn all_inputs(
    cell: &Cell,
    length: usize,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let method = method(&cell.arm, length)?;
    let asked = method.models(Coverage::All, configuration.error).map_err(CellError::new)?;
    let models = match cell.arm.as_str() {
        "tenth" => asked.div_ceil(10),
        "single-midpoint" => 1,
        _ => asked,
    };
    let ensemble = ensemble_of_all(&method, length)?;
    let mut stream = Stream::new(cell.seed, &format!("exact-permutations study all inputs {length}"));
    let correct = ensemble.correct(&ensemble.average(models, &mut stream)).map_err(CellError::new)?;
    observe_correct(models, &correct, context);
    Ok(())
}

/// Every input but those with a single one, on which networks are trained.
fn test_inputs(length: usize) -> Result<Vec<Input>, CellError> {
    let inputs = Input::all(length).map_err(CellError::new)?;
    Ok(inputs.into_iter().filter(|input| input.ones().len() > 1).collect())
}

fn ensemble_of_all(method: &ExactPermutations, length: usize) -> Result<Ensemble, CellError> {
    method.ensemble(test_inputs(length)?).map_err(CellError::new)
}

fn observe_correct(models: u64, correct: &[bool], context: &mut CellContext<'_>) {
    let right = correct.iter().filter(|&&right| right).count();
    context.observe("size", models as f64);
    context.observe("exact", f64::from(u8::from(right == correct.len())));
    context.observe("accuracy", right as f64 / correct.len() as f64);
}

/// Average and spread of real networks beside the theory.
fn trained(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let length = configuration.trained_bits;
    let inputs = test_inputs(length)?;
    let networks = configuration.networks;
    let trained = method(&cell.arm, length)?
        .train_many(&configuration.network, &inputs, cell.arm != "not-normalised", networks, cell.seed)
        .map_err(CellError::new)?;
    let theory = match cell.arm.as_str() {
        "standard-beside-ntk" => method("ntk", length)?,
        _ => method(&cell.arm, length)?,
    };
    let (misfit, spread) = beside(&theory, &inputs, &trained, networks as f64)?;
    context.observe("misfit", misfit);
    context.observe("spread_gap", (spread - 1.0).abs());
    Ok(())
}

/// Root mean square of averages in standard errors, and the mean ratio of variances.
fn beside(
    theory: &ExactPermutations,
    inputs: &[Input],
    trained: &Trained,
    networks: f64,
) -> Result<(f64, f64), CellError> {
    let (mut squares, mut ratios) = (0.0, 0.0);
    let length = theory.parameters().length;
    for (row, input) in inputs.iter().enumerate() {
        let prediction = theory.prediction(input.ones().len()).map_err(CellError::new)?;
        for bit in 0..length {
            let mean = if input.has(bit) { prediction.on } else { prediction.off };
            squares += (trained.averages[(row, bit)] - mean).powi(2) * networks / prediction.variance;
            ratios += trained.variances[(row, bit)] / prediction.variance;
        }
    }
    let count = (inputs.len() * length) as f64;
    Ok(((squares / count).sqrt(), ratios / count))
}

fn trained_all(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let length = configuration.trained_all_bits;
    let method = method(&cell.arm, length)?;
    let asked = method.models(Coverage::All, configuration.error).map_err(CellError::new)?;
    let models = match cell.arm.as_str() {
        "trained-tenth" => asked.div_ceil(10),
        "trained-single" => 1,
        _ => asked,
    };
    let inputs = test_inputs(length)?;
    let trained = method
        .train_many(&configuration.network, &inputs, true, models, cell.seed)
        .map_err(CellError::new)?;
    let ensemble = method.ensemble(inputs).map_err(CellError::new)?;
    let correct = ensemble.correct(&trained.averages).map_err(CellError::new)?;
    observe_correct(models, &correct, context);
    Ok(())
}

/// Recorded numbers of models beside the theory's for the same share of inputs. Below 5 bits there are fewer than ten
/// inputs with two ones.
fn recorded(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    // The folder of the first file, that of two bits; the others lie beside its parent.
    let first = context.data(RECORDED)?;
    let folder = first.parent().and_then(Path::parent).map(Path::to_path_buf);
    let folder = folder.ok_or_else(|| CellError::new("the data set has no common folder"))?;
    for length in 5..=30 {
        let file = folder.join(length.to_string()).join("0").join("results.csv");
        let bytes = std::fs::read(&file).map_err(|error| CellError::File(file.clone(), error))?;
        // One line per model.
        let models = bytes.iter().filter(|&&byte| byte == b'\n').count() as f64;
        let predicted = method(&cell.arm, length)?
            .models(Coverage::Ones(2), 1.0 - configuration.share)
            .map_err(CellError::new)?;
        let item = format!("{length} bits");
        context.observe_item("log_gap", &item, (models / predicted as f64).ln().abs());
        context.observe_item("models", &item, models);
        context.observe_item("size", &item, predicted as f64);
    }
    Ok(())
}
