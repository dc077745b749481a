//! The study of `flexround`: do weights that are divided before they are rounded leave outputs nearer to what they were?
//!
//! Two kinds of settings. `layer-4`, `layer-3`, `layer-2`: one layer of 64 outputs and 128 inputs with weights of Student's t with 5 degrees of
//! freedom, inputs of 24 causes and a little noise, 1,024 rows to calibrate on and as many others to test on, one grid for the layer;
//! `white-3` has white inputs, and many of them. `mlp-…`, `cnn-…`: three-layer networks trained here on 6,000 of the MNIST test digits, calibrated
//! on 512 of those without labels and tested on 4,000 others, at 3 and 2 bits with one grid for every layer, and at 3 bits with
//! activations of 3 bits. `digits-…` are the same with 8 × 8 digits that are part of the program, for smoke scale.
//!
//! All arms have the same grids to begin with and the same number of steps. Rates are each arm's best on pilot seeds, of four for layers (0.001 to
//! 0.03) and of five for networks (0.003 to 0.3). AdaRound is
//! measured with its weights rounded, not relaxed.

mod claims;
mod networks;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_compress::Rows;
use backstitch_compress::flexround::{
    FlexRound, Granularity, Moments, Parameters, Quantised, QuantisedNetwork, Rounding,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ACTIVATIONS, ARMS, CLAIMS, DIGITS, LAYERS, METRICS, NETWORKS, WHITE};
use networks::{Digits, train, trained};

const MNIST: &str = "mnist";

/// The study.
pub static STUDY: Study = Study {
    method: "flexround",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 6,
    data: &[MNIST],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    settings: Vec<String>,
    outputs: usize,
    inputs: usize,
    /// Calibration rows of a layer, and as many test rows.
    layer_rows: usize,
    /// Calibration rows where inputs are white.
    white_rows: usize,
    layer_steps: usize,
    /// Training rows of the MNIST networks.
    rows: usize,
    test_rows: usize,
    digit_rows: usize,
    epochs: usize,
    digit_epochs: usize,
    training_rate: f64,
    /// Of the training rows, without labels.
    calibration_rows: usize,
    steps: usize,
    /// Rates of layers, of networks layer by layer, of networks in blocks, and of those with rounded activations.
    rates: Rates,
    /// For all arms instead, where it is not 0: pilots.
    rate: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rates {
    flexround: [f64; 4],
    adaround: [f64; 3],
    adaquant: [f64; 2],
    fixed_grid: [f64; 2],
    qdrop: f64,
}

fn configuration(scale: Scale) -> Value {
    let names =
        |lists: &[&[&str]]| lists.iter().flat_map(|list| list.iter().map(|name| (*name).into())).collect();
    let quick = Configuration {
        settings: names(&[LAYERS, &[WHITE], NETWORKS, ACTIVATIONS]),
        outputs: 64,
        inputs: 128,
        layer_rows: 1_024,
        white_rows: 16_384,
        layer_steps: 3_000,
        rows: 6_000,
        test_rows: 4_000,
        digit_rows: 1_000,
        epochs: 10,
        digit_epochs: 40,
        training_rate: 2e-3,
        calibration_rows: 512,
        steps: 800,
        rates: Rates {
            flexround: [3e-3, 1e-2, 3e-3, 1e-2],
            adaround: [1e-2, 3e-1, 3e-1],
            adaquant: [3e-2, 1e-2],
            fixed_grid: [1e-3, 3e-3],
            qdrop: 3e-2,
        },
        rate: 0.0,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            settings: names(&[&["layer-3", WHITE], DIGITS]),
            layer_steps: 100,
            white_rows: 2_048,
            digit_epochs: 5,
            calibration_rows: 64,
            steps: 30,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration {
            settings: names(&[LAYERS, &[WHITE], NETWORKS, ACTIVATIONS, DIGITS]),
            layer_steps: 20_000,
            steps: 20_000,
            calibration_rows: 1_024,
            ..quick
        },
    })
}

const OF_LAYERS: &[&str] = &[
    "flexround",
    "nearest",
    "adaround",
    "adaquant",
    "fixed-grid",
    "no-factors",
    "untrained",
    "white-calibrated",
];
const OF_NETWORKS: &[&str] = &[
    "flexround",
    "block-flexround",
    "nearest",
    "adaround",
    "block-adaround",
    "adaquant",
    "fixed-grid",
    "no-factors",
    "untrained",
    "white-calibrated",
];
const OF_ACTIVATIONS: &[&str] =
    &["flexround", "block-flexround", "qdrop", "nearest", "block-adaround", "untrained"];

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells: Vec<Cell> = Vec::new();
    for setting in &configuration.settings {
        let kind = Setting::of(setting)?;
        for &seed in seeds {
            let Some(network) = kind.network() else {
                cells.extend(OF_LAYERS.iter().map(|arm| Cell::new(arm, setting, seed)));
                if kind.white {
                    cells.push(Cell::new("random", setting, seed));
                }
                continue;
            };
            let reading = |cell: Cell| if network == "digits" { cell } else { cell.reading(MNIST) };
            let training = Cell::new("train", network, seed);
            if !cells.iter().any(|cell| cell.id() == training.id()) {
                cells.push(reading(training.clone()));
            }
            let arms = if kind.activation_bits.is_some() { OF_ACTIVATIONS } else { OF_NETWORKS };
            for arm in arms {
                let mut cell = Cell::new(arm, setting, seed);
                cell.needs.push(training.id());
                cells.push(reading(cell));
            }
        }
    }
    Ok(cells)
}

/// What the name of a setting says.
#[derive(Clone, Debug)]
struct Setting {
    kind: String,
    white: bool,
    bits: u8,
    activation_bits: Option<u8>,
}

impl Setting {
    fn of(name: &str) -> Result<Self, String> {
        let known = || LAYERS.iter().chain([&WHITE]).chain(NETWORKS).chain(ACTIVATIONS).chain(DIGITS);
        let unknown = || {
            let all: Vec<&str> = known().copied().collect();
            format!("settings has `{name}`, but there are {}", all.join(", "))
        };
        if !known().any(|own| *own == name) {
            return Err(unknown());
        }
        let (kind, bits) = name.split_once('-').ok_or_else(unknown)?;
        let (bits, activation_bits) =
            bits.split_once('a').map_or((bits, None), |(bits, own)| (bits, Some(own)));
        let parsed = |bits: &str| bits.parse::<u8>().map_err(|_| unknown());
        Ok(Self {
            kind: kind.into(),
            white: kind == "white",
            bits: parsed(bits)?,
            activation_bits: activation_bits.map(parsed).transpose()?,
        })
    }

    fn network(&self) -> Option<&str> {
        (!["layer", "white"].contains(&self.kind.as_str())).then_some(self.kind.as_str())
    }
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        for (name, value, least, most) in [
            ("outputs", self.outputs, 1, 4_096),
            ("inputs", self.inputs, 1, 4_096),
            ("layer_rows", self.layer_rows, 8, 1 << 20),
            ("white_rows", self.white_rows, 8, 1 << 20),
            ("rows", self.rows, 64, 10_000 - self.test_rows.min(9_000)),
            ("test_rows", self.test_rows, 100, 9_000),
            ("digit_rows", self.digit_rows, 64, 1_700),
            ("calibration_rows", self.calibration_rows, 8, self.rows.min(self.digit_rows.max(self.rows))),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} is {value}, but must be from {least} to {most}"));
            }
        }
        for arm in OF_NETWORKS {
            self.parameters(arm, &Setting::of("mlp-3")?, 0).validate().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn parameters(&self, arm: &str, setting: &Setting, seed: u64) -> Parameters {
        let place = usize::from(setting.network().is_some());
        let (rounding, rate) = match arm {
            "nearest" => (Rounding::Nearest, 1e-3),
            "adaround" => (Rounding::AdaRound, self.rates.adaround[place]),
            "block-adaround" => (Rounding::AdaRound, self.rates.adaround[2]),
            "adaquant" => (Rounding::AdaQuant, self.rates.adaquant[place]),
            "fixed-grid" => (Rounding::FlexRound, self.rates.fixed_grid[place]),
            "block-flexround" => {
                let place = if setting.activation_bits.is_some() { 3 } else { 2 };
                (Rounding::FlexRound, self.rates.flexround[place])
            }
            "qdrop" => (Rounding::FlexRound, self.rates.qdrop),
            _ => (Rounding::FlexRound, self.rates.flexround[place]),
        };
        let steps = if place == 0 { self.layer_steps } else { self.steps };
        let blocks = arm.starts_with("block-") || arm == "qdrop";
        Parameters {
            rounding,
            bits: setting.bits,
            granularity: Granularity::Tensor,
            steps: if arm == "untrained" { 0 } else { steps },
            rate: Some(if self.rate > 0.0 { self.rate } else { rate }),
            block: if blocks { 3 } else { 1 },
            learn_grid: arm != "fixed-grid",
            factors: arm != "no-factors",
            activation_bits: setting.activation_bits,
            drop: if arm == "qdrop" { 0.5 } else { 0.0 },
            seed,
            ..Parameters::default()
        }
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.arm == "train" {
        return train(&configuration, &cell.setting, cell.seed, context);
    }
    let setting = Setting::of(&cell.setting).map_err(CellError::new)?;
    let method =
        FlexRound::new(configuration.parameters(&cell.arm, &setting, cell.seed)).map_err(CellError::new)?;
    match setting.network() {
        None => layer(&configuration, cell, &setting, &method, context),
        Some(name) => network(&configuration, cell, name, &method, context),
    }
}

/// Weights, calibration rows and test rows of a layer.
fn drawn(configuration: &Configuration, setting: &Setting, seed: u64) -> [Rows; 3] {
    const CAUSES: usize = 24;
    let Configuration { outputs, inputs, layer_rows, white_rows, .. } = *configuration;
    let mut stream = Stream::new(seed, "flexround study layer");
    let weights = Rows::from_fn(outputs, inputs, |_, _| {
        let square: f64 = (0..5).map(|_| stream.normal().powi(2)).sum();
        (stream.normal() / (square / 5.0).sqrt()) as f32
    });
    let mixing = Rows::from_fn(CAUSES, inputs, |_, _| stream.normal() as f32);
    let mut rows = |count: usize| {
        if setting.white {
            return Rows::from_fn(count, inputs, |_, _| stream.normal() as f32);
        }
        let mut found = Rows::from_fn(count, inputs, |_, _| 0.3 * stream.normal() as f32);
        for row in 0..count {
            for cause in 0..CAUSES {
                let factor = stream.normal() as f32;
                found.row_mut(row).iter_mut().zip(mixing.row(cause)).for_each(|(x, m)| *x += factor * m);
            }
        }
        found
    };
    let count = if setting.white { white_rows } else { layer_rows };
    let calibration = rows(count);
    let test = rows(count);
    [weights, calibration, test]
}

/// Noise of the same number of rows and of the same variance in every column.
fn white_like(rows: &Rows, seed: u64) -> Rows {
    let mut stream = Stream::new(seed, "flexround study noise");
    let count = rows.rows() as f32;
    let squares: Vec<f32> = (0..rows.columns())
        .map(|column| ((0..rows.rows()).map(|row| rows.row(row)[column].powi(2)).sum::<f32>() / count).sqrt())
        .collect();
    Rows::from_fn(rows.rows(), rows.columns(), |_, column| squares[column] * stream.normal() as f32)
}

fn layer(
    configuration: &Configuration,
    cell: &Cell,
    setting: &Setting,
    method: &FlexRound,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let [weights, calibration, test] = drawn(configuration, setting, cell.seed);
    let calibration =
        if cell.arm == "white-calibrated" { white_like(&calibration, cell.seed) } else { calibration };
    let moments = |rows: &Rows| -> Result<Moments, CellError> {
        let mut moments = Moments::new(rows.columns());
        moments.add(rows).map_err(CellError::new)?;
        Ok(moments)
    };
    let (mut found, report) =
        method.quantise("layer", &weights, None, &moments(&calibration)?).map_err(CellError::new)?;
    if cell.arm == "random" {
        toss(&weights, &mut found, cell.seed);
    }
    let error = moments(&test)?.relative_error(&weights, &found.weights());
    context.observe("log_error", error.max(1e-12).log10());
    observe_moves(context, &[report.moves]);
    Ok(())
}

/// Rounds every weight up or down by a coin.
fn toss(weights: &Rows, found: &mut Quantised, seed: u64) {
    let mut stream = Stream::new(seed, "flexround study coins");
    let top = f32::from(found.grid.top());
    for (place, (integer, weight)) in found.integers.iter_mut().zip(weights.values()).enumerate() {
        let row = place / found.columns;
        let below = (weight / found.grid.scale(row)).floor() + f32::from(found.grid.zero(row));
        *integer = (below + stream.below(2) as f32).clamp(0.0, top) as u8;
    }
}

fn network(
    configuration: &Configuration,
    cell: &Cell,
    name: &str,
    method: &FlexRound,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let network = trained(name, context)?;
    let digits = Digits::read(configuration, name, cell.seed, context)?;
    let rows: Vec<usize> = (0..configuration.calibration_rows.min(digits.training.rows())).collect();
    let calibration = digits.training.picked(&rows);
    let calibration =
        if cell.arm == "white-calibrated" { white_like(&calibration, cell.seed) } else { calibration };
    let found: QuantisedNetwork = method.quantise_network(&network, &calibration).map_err(CellError::new)?;
    let (wanted, outputs) = (network.outputs_of(&digits.test), found.outputs_of(&digits.test));
    let pairs = wanted.values().iter().zip(outputs.values());
    let error: f64 = pairs.map(|(wanted, own)| f64::from(wanted - own).powi(2)).sum();
    let signal: f64 = wanted.values().iter().map(|value| f64::from(*value).powi(2)).sum();
    context.observe("log_error", (error / signal).max(1e-12).log10());
    context.observe("accuracy", digits.accuracy(&outputs));
    context.observe("full_accuracy", digits.accuracy(&wanted));
    let moves: Vec<[[usize; 3]; 4]> = found.reports().iter().map(|report| report.moves).collect();
    observe_moves(context, &moves);
    Ok(())
}

fn observe_moves(context: &mut CellContext<'_>, layers: &[[[usize; 3]; 4]]) {
    let count = |class: usize, steps: std::ops::Range<usize>| -> f64 {
        layers.iter().map(|moves| moves[class][steps.clone()].iter().sum::<usize>() as f64).sum()
    };
    let share = |class: usize| count(class, 1..3) / count(class, 0..3).max(1.0);
    let total: f64 = (0..4).map(|class| count(class, 0..3)).sum();
    let far: f64 = (0..4).map(|class| count(class, 2..3)).sum();
    context.observe("moved", 100.0 * far / total.max(1.0));
    context.observe("moved_large", 100.0 * (share(3) - share(0)));
}
