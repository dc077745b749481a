//! The study of `exact-permutations`: how many wide networks, trained on the basis vectors only, must be averaged to permute
//! bits exactly, and whether real networks do what the limit says.
//!
//! Infinitely wide networks are simulated by drawing their Gaussian outputs, so the numbers of models are those of the theory's
//! networks, not of its bounds. No arm has anything to tune. No threshold is chosen with labels: zero is the paper's, the
//! midpoint follows from the number of ones in the input.
//!
//! Inputs with a single one, the training data, are in no test: every network is exact on them.

use std::f64::consts::{LN_2, LN_10};
use std::path::Path;

use backstitch_claim::{
    Arm, Better, Cell, CellContext, CellError, Claim, Effect, Metric, Role, Scale, Scope, Statistic, Study,
};
use backstitch_networks::exact_permutations::{
    Coverage, Ensemble, ExactPermutations, Input, NetworkParameters, Parameters, Parametrisation, Rounding,
    Trained, solve,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Inputs with two ones, as in the released experiments, by number of bits.
const PAIRS: &[&str] = &["pairs-5", "pairs-10", "pairs-15", "pairs-20", "pairs-25", "pairs-30"];
/// Natural logarithms of those numbers.
const LN_BITS: &[f64] = &[
    1.609_437_912_434_100_3,
    std::f64::consts::LN_10,
    2.708_050_201_102_21,
    2.995_732_273_553_991,
    3.218_875_824_868_201,
    3.401_197_381_662_155_5,
];
/// All inputs, by number of bits.
const ALL: &[&str] = &["all-4", "all-6", "all-8", "all-10"];
/// Closed forms beside a numeric solution.
const CLOSED: &str = "closed-form";
/// Real networks: average and spread.
const TRAINED: &str = "trained";
/// Real networks: exactness on all inputs.
const TRAINED_ALL: &str = "trained-all";
/// The authors' recorded numbers of models.
const RECORDED: &str = "permlearn";
/// ln 1.5.
const LN_1_5: f64 = 0.405_465_108_108_164_4;

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

const ARMS: &[Arm] = &[
    Arm {
        name: "ntk",
        role: Role::Method,
        description: "the paper's theory: neural tangent kernel, rounding at zero; nothing to tune",
    },
    Arm {
        name: "standard",
        role: Role::Method,
        description: "the released experiments' scaling: readout kernel, rounding at zero; nothing to tune",
    },
    Arm {
        name: "ntk-midpoint",
        role: Role::Method,
        description: "neural tangent kernel, rounding at the midpoint of the two means (ours); nothing to tune",
    },
    Arm {
        name: "trained-ntk",
        role: Role::Method,
        description: "real networks in the NTK parametrisation, rate from the closed form; no tuning",
    },
    Arm {
        name: "trained-standard",
        role: Role::Method,
        description: "real networks in the standard parametrisation, rate from the closed form; no tuning",
    },
    Arm {
        name: "trained-midpoint",
        role: Role::Method,
        description: "real networks in the NTK parametrisation, rounded at the midpoint; no tuning",
    },
    Arm {
        name: "other-kernel",
        role: Role::Control,
        description: "the closed form of one kernel beside the numeric solution of the other",
    },
    Arm {
        name: "training-inputs",
        role: Role::Control,
        description: "inputs with a single one: the training data, on which any number of bits takes one model",
    },
    Arm {
        name: "unit-variance",
        role: Role::Control,
        description: "first-layer weights of variance 1 instead of 1/k, readout kernel",
    },
    Arm {
        name: "other-draws",
        role: Role::Control,
        description: "the paper's theory once more with other draws: it needs what it needs",
    },
    Arm {
        name: "tenth",
        role: Role::Control,
        description: "neural tangent kernel, rounding at zero, a tenth of the models that the theory asks for",
    },
    Arm {
        name: "single-midpoint",
        role: Role::Control,
        description: "one network of the neural tangent kernel, rounded at the midpoint",
    },
    Arm {
        name: "ntk-beside-records",
        role: Role::Control,
        description: "the neural tangent kernel's numbers of models beside the recorded ones",
    },
    Arm {
        name: "not-normalised",
        role: Role::Control,
        description: "the networks of trained-ntk shown inputs that are not divided by the root of their number of ones",
    },
    Arm {
        name: "standard-beside-ntk",
        role: Role::Control,
        description: "the networks of trained-standard judged by the theory of the neural tangent kernel",
    },
    Arm {
        name: "trained-tenth",
        role: Role::Control,
        description: "real networks in the standard parametrisation, a tenth of the models that the theory asks for",
    },
    Arm {
        name: "trained-single",
        role: Role::Control,
        description: "one real network in the NTK parametrisation, rounded at the midpoint",
    },
];

const METRICS: &[Metric] = &[
    lower(
        "gap",
        "largest difference between closed form and numeric solution: means, variances, covariances",
    ),
    lower("models", "networks averaged until 90 % of the inputs with two ones come out exactly"),
    lower("log_models", "natural logarithm of models: its differences are relative"),
    Metric {
        name: "exact",
        description: "1 if every input comes out exactly with the number of models that the theory asks for, else 0",
        better: Better::Higher,
        worst: Some(0.0),
    },
    Metric {
        name: "accuracy",
        description: "share of the inputs that come out exactly with that number",
        better: Better::Higher,
        worst: Some(0.0),
    },
    lower("size", "the number of models that the theory asks for"),
    lower("log_gap", "absolute natural logarithm of the ratio of recorded to predicted number of models"),
    lower(
        "misfit",
        "root mean square, over inputs and outputs, of (average − mean of the theory) ÷ its standard error: 1 if they agree",
    ),
    lower(
        "spread_gap",
        "absolute difference from 1 of the sample variance over that of the theory, averaged",
    ),
];

const fn lower(name: &'static str, description: &'static str) -> Metric {
    Metric { name, description, better: Better::Lower, worst: None }
}

const CLAIMS: &[Claim] = &[
    Claim {
        id: "ntk-closed-form",
        sentence: "Means, variances and covariances of the neural tangent kernel in closed form equal the numeric solution",
        source: "the theory's means and variances; covariances are ours",
        published: None,
        scope: Scope::Identity,
        subject: "ntk",
        effect: Effect::Above { metric: "gap", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::Identity { tolerance: 1e-12 },
        settings: &[CLOSED],
        precondition: None,
        control: "other-kernel",
        own_data: false,
    },
    Claim {
        id: "standard-closed-form",
        sentence: "So do those of the readout kernel",
        source: "ours",
        published: None,
        scope: Scope::Identity,
        subject: "standard",
        effect: Effect::Above { metric: "gap", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::Identity { tolerance: 1e-12 },
        settings: &[CLOSED],
        precondition: None,
        control: "other-kernel",
        own_data: false,
    },
    Claim {
        id: "ntk-at-most-linearithmic",
        sentence: "The number of models for 90 % of the inputs with two ones grows no faster than the power 1.3 of the bits (k log 10k has 1.2 here)",
        source: "abstract: linearithmic dependence for a single input",
        published: None,
        scope: Scope::Reduced,
        subject: "ntk",
        effect: Effect::Below { metric: "log_models", bound: 0.0 },
        margin: -1.3,
        statistic: Statistic::Slope { x: LN_BITS },
        settings: PAIRS,
        precondition: None,
        control: "unit-variance",
        own_data: false,
    },
    Claim {
        id: "standard-at-most-linearithmic",
        sentence: "Nor does it with the released experiments' scaling",
        source: "abstract: linearithmic dependence for a single input; the scaling is that of the released code",
        published: None,
        scope: Scope::Reduced,
        subject: "standard",
        effect: Effect::Below { metric: "log_models", bound: 0.0 },
        margin: -1.3,
        statistic: Statistic::Slope { x: LN_BITS },
        settings: PAIRS,
        precondition: None,
        control: "unit-variance",
        own_data: false,
    },
    Claim {
        id: "standard-at-least-linear",
        sentence: "With the released scaling the number grows at least as the power 0.8 of the bits",
        source: "ours: the other side of the band",
        published: None,
        scope: Scope::Reduced,
        subject: "standard",
        effect: Effect::Above { metric: "log_models", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::Slope { x: LN_BITS },
        settings: PAIRS,
        precondition: None,
        control: "training-inputs",
        own_data: false,
    },
    Claim {
        id: "standard-needs-fewer",
        sentence: "The released scaling needs less than half the models of the paper's theory",
        source: "ours",
        published: None,
        scope: Scope::Reduced,
        subject: "standard",
        effect: Effect::Improvement { metric: "log_models", over: "ntk" },
        margin: LN_2,
        statistic: Statistic::PairedT,
        settings: PAIRS,
        precondition: None,
        control: "other-draws",
        own_data: false,
    },
    Claim {
        id: "midpoint-needs-fewer",
        sentence: "Rounding at the midpoint needs less than a tenth of the models of rounding at zero",
        source: "ours: beyond the paper",
        published: None,
        scope: Scope::Reduced,
        subject: "ntk-midpoint",
        effect: Effect::Improvement { metric: "log_models", over: "ntk" },
        margin: LN_10,
        statistic: Statistic::PairedT,
        settings: PAIRS,
        precondition: None,
        control: "other-draws",
        own_data: false,
    },
    Claim {
        id: "all-inputs-exact",
        sentence: "As many models as the Gaussian tails ask for at 99 % permute all 2^k − 1 inputs exactly in more than 80 % of ensembles",
        source: "abstract: exact on all inputs simultaneously with high probability; the number is ours, not the quadratic bound",
        published: None,
        scope: Scope::Reduced,
        subject: "ntk",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: ALL,
        precondition: None,
        control: "tenth",
        own_data: false,
    },
    Claim {
        id: "standard-all-inputs-exact",
        sentence: "Likewise with the released scaling and its own, smaller number",
        source: "ours",
        published: None,
        scope: Scope::Reduced,
        subject: "standard",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: ALL,
        precondition: None,
        control: "tenth",
        own_data: false,
    },
    Claim {
        id: "midpoint-all-inputs-exact",
        sentence: "Likewise with rounding at the midpoint and its own number, at most 21 models up to 10 bits",
        source: "ours: beyond the paper",
        published: None,
        scope: Scope::Reduced,
        subject: "ntk-midpoint",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.8,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: ALL,
        precondition: None,
        control: "single-midpoint",
        own_data: false,
    },
    Claim {
        id: "records-follow-the-readout",
        sentence: "The authors' recorded numbers of models (one run each, 5 to 30 bits) are within a factor 1.5 of the readout kernel's on average, and not of the neural tangent kernel's",
        source: "ours, on the recorded experiment; margin written after all 26 recorded numbers had been seen",
        published: None,
        scope: Scope::Reduced,
        subject: "standard",
        effect: Effect::Below { metric: "log_gap", bound: LN_1_5 },
        margin: 0.0,
        statistic: Statistic::ClusterBootstrap,
        settings: &[RECORDED],
        precondition: None,
        control: "ntk-beside-records",
        own_data: false,
    },
    Claim {
        id: "trained-mean",
        sentence: "The average of real networks, trained on basis vectors only, agrees with the theory's mean within its standard error",
        source: "the theory's mean; trained networks of finite width are ours",
        published: None,
        scope: Scope::Reduced,
        subject: "trained-ntk",
        effect: Effect::Below { metric: "misfit", bound: 1.25 },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: &[TRAINED],
        precondition: None,
        control: "not-normalised",
        own_data: false,
    },
    Claim {
        id: "trained-spread",
        sentence: "Their variance agrees with the theory's within 15 %",
        source: "the theory's variance; trained networks of finite width are ours",
        published: None,
        scope: Scope::Reduced,
        subject: "trained-ntk",
        effect: Effect::Below { metric: "spread_gap", bound: 0.15 },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: &[TRAINED],
        precondition: None,
        control: "not-normalised",
        own_data: false,
    },
    Claim {
        id: "trained-standard-mean",
        sentence: "Networks in the standard parametrisation agree with the readout kernel's mean within its standard error, and not with the neural tangent kernel's",
        source: "ours",
        published: None,
        scope: Scope::Reduced,
        subject: "trained-standard",
        effect: Effect::Below { metric: "misfit", bound: 1.25 },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: &[TRAINED],
        precondition: None,
        control: "standard-beside-ntk",
        own_data: false,
    },
    Claim {
        id: "trained-all-inputs-exact",
        sentence: "As many real networks as the theory asks for at 99 %, rounded at zero, permute every input exactly in more than 60 % of ensembles (standard parametrisation)",
        source: "abstract: an ensemble is exact with high probability; the number is ours",
        published: None,
        scope: Scope::Reduced,
        subject: "trained-standard",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.6,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: &[TRAINED_ALL],
        precondition: None,
        control: "trained-tenth",
        own_data: false,
    },
    Claim {
        id: "trained-midpoint-all-inputs-exact",
        sentence: "Likewise in the NTK parametrisation with rounding at the midpoint",
        source: "ours: beyond the paper",
        published: None,
        scope: Scope::Reduced,
        subject: "trained-midpoint",
        effect: Effect::Above { metric: "exact", bound: 0.0 },
        margin: 0.6,
        statistic: Statistic::ExactBinomial { at_least: 1.0 },
        settings: &[TRAINED_ALL],
        precondition: None,
        control: "trained-single",
        own_data: false,
    },
];

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
