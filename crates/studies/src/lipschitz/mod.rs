//! The study of `lipschitz`: how close are backward lines to the constant, and how far ahead of what came before?
//!
//! Classifiers are trained once per seed and setting and shared by all arms: ReLU networks on the released generator's clusters (16
//! features, 10 classes, 10,000 points, Adam at 1e-3 for 10 epochs with batches of 256, as published) and on 8 × 8 digits in place of
//! MNIST. Every arm bounds the constant of the same network (the largest over its outputs) around the same test points: boxes of
//! radius 0.03 for clusters, 0.02 inside the range of pixels for digits. `tiny` networks have two inputs, so that the constant can be had
//! exactly by cutting the square into the pieces on which they are affine.
//!
//! No arm has anything to tune. Bounds are compared by the mean logarithm over points: differences of that are ratios.

mod claims;
mod networks;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_networks::lipschitz::{
    Constants, Lipschitz, Network, Parameters, Region, Relaxation, planar_constants,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, BOXES, CLAIMS, METRICS, TINY};
use networks::{Labelled, Layers, accuracy, clusters, digits};

/// The study.
pub static STUDY: Study = Study {
    method: "lipschitz",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 8,
    data: &[],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Points of the generated sets, of which a tenth are for testing.
    rows: usize,
    /// Passes over the training rows of clusters, and of digits.
    epochs: usize,
    digit_epochs: usize,
    batch: usize,
    rate: f64,
    /// Hidden units of every layer.
    width: usize,
    /// Test points per network.
    points: usize,
    /// Radii of the boxes.
    radius: f64,
    digit_radius: f64,
    tiny_radius: f64,
    /// Random points that slopes are looked for at.
    samples: usize,
    /// Parts that branch and bound looks at, per point, and on the tiny networks.
    domains: usize,
    tiny_domains: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        rows: 10_000,
        epochs: 10,
        digit_epochs: 40,
        batch: 256,
        rate: 1e-3,
        width: 32,
        points: 10,
        radius: 0.03,
        digit_radius: 0.02,
        tiny_radius: 0.2,
        samples: 5_000,
        domains: 1_000,
        tiny_domains: 20_000,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            rows: 300,
            epochs: 2,
            digit_epochs: 1,
            width: 8,
            points: 2,
            samples: 50,
            domains: 50,
            tiny_domains: 2_000,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration { points: 100, samples: 100_000, domains: 100_000, ..quick },
    })
}

/// Arms that every box is bounded by.
const ON_BOXES: &[&str] = &[
    "lines",
    "recurjac",
    "interval",
    "global",
    "no-search",
    "branch",
    "no-lines",
    "one-output",
    "idle-search",
    "no-budget",
    "everywhere",
];
/// Those of them that slopes are looked for by, which takes most of the time.
const MEETING: &[&str] = &["lines", "branch", "no-lines", "one-output"];
const ON_TINY: &[&str] = &["to-the-end", "cut-short"];

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for (settings, arms) in [(BOXES, ON_BOXES), (TINY, ON_TINY)] {
        for &setting in settings {
            for &seed in seeds {
                cells.push(Cell::new("network", setting, seed));
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed).needing("network")));
            }
        }
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        for (name, value, least) in [
            ("rows", self.rows, 20),
            ("batch", self.batch, 1),
            ("width", self.width, 1),
            ("points", self.points, 1),
            ("samples", self.samples, 1),
        ] {
            if value < least {
                return Err(format!("{name} is {value}, but must be at least {least}"));
            }
        }
        if self.points > self.rows / 10 {
            return Err(format!(
                "points is {}, but only a tenth of the {} rows are for testing",
                self.points, self.rows
            ));
        }
        let radii =
            [("radius", self.radius), ("digit_radius", self.digit_radius), ("tiny_radius", self.tiny_radius)];
        for (name, value) in radii.into_iter().chain([("rate", self.rate)]) {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("{name} is {value}, but must be positive and finite"));
            }
        }
        Ok(())
    }

    fn widths(&self, setting: &str) -> Vec<usize> {
        match setting {
            "clusters-2" => vec![16, self.width, self.width, 10],
            "clusters-3" => vec![16, self.width, self.width, self.width, 10],
            "digits" => vec![64, self.width, self.width, 10],
            _ => vec![2, 8, 8, 2],
        }
    }

    /// Training rows and test rows of a setting.
    fn data(&self, setting: &str, seed: u64) -> Result<(Labelled, Labelled), CellError> {
        let mut stream = Stream::new(seed, &format!("lipschitz study {setting}"));
        Ok(match setting {
            "digits" => digits(&mut stream)?.split(1_500),
            _ => {
                let widths = self.widths(setting);
                let classes = widths.last().copied().unwrap_or(1);
                clusters(widths[0], classes, self.rows, &mut stream).split(self.rows - self.rows / 10)
            }
        })
    }

    fn region(&self, setting: &str, point: &[f64], factor: f64) -> Result<Region, CellError> {
        let radius = match setting {
            "digits" => self.digit_radius,
            "tiny" => self.tiny_radius,
            _ => self.radius,
        };
        let region = Region::around(point, factor * radius).map_err(CellError::new)?;
        if setting == "digits" && factor == 1.0 {
            region.clipped(0.0, 1.0).map_err(CellError::new)
        } else {
            Ok(region)
        }
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let setting = cell.setting.as_str();
    let (train, test) = configuration.data(setting, cell.seed)?;
    if cell.arm == "network" {
        let mut stream = Stream::new(cell.seed, &format!("lipschitz study weights {setting}"));
        let epochs = if setting == "digits" { configuration.digit_epochs } else { configuration.epochs };
        let Configuration { batch, rate, .. } = configuration;
        let layers = Layers::train(&configuration.widths(setting), &train, epochs, batch, rate, &mut stream);
        context.observe("accuracy", accuracy(&layers.network()?, &test)?);
        return context.artifact("network.json", &serde_json::to_vec(&layers).map_err(CellError::new)?);
    }
    let bytes = context.read_need("network", "network.json")?;
    let layers: Layers = serde_json::from_slice(&bytes).map_err(CellError::new)?;
    let network = layers.network()?;
    let count = configuration.points as f64;
    let (mut logarithm, mut undecided, mut excess, mut distance, mut gap) = (0.0, 0.0, 0.0_f64, 0.0, 0.0_f64);
    for point in 0..configuration.points {
        let center = test.rows.row(point);
        let region = configuration.region(setting, center, 1.0)?;
        let found = bound(cell, &configuration, &network, &region, center)?;
        let upper = if cell.arm == "one-output" { found.upper[0] } else { found.largest_upper() };
        let met = found.largest_sampled();
        logarithm += upper.ln() / count;
        undecided += found.undecided as f64 / count;
        if MEETING.contains(&cell.arm.as_str()) {
            excess = excess.max((met - upper) / upper);
            distance += (upper / met).ln() / count;
        }
        if setting == "tiny" {
            let exact = planar_constants(&layers.dense(), &region).map_err(CellError::new)?;
            for (upper, exact) in found.upper.iter().zip(exact) {
                gap = gap.max((upper - exact).abs() / exact.max(f64::MIN_POSITIVE));
            }
        }
    }
    if setting == "tiny" {
        context.observe("gap", gap);
    } else {
        context.observe("log_bound", logarithm);
        context.observe("undecided", undecided);
    }
    if MEETING.contains(&cell.arm.as_str()) {
        context.observe("excess", excess);
        context.observe("log_ratio", distance);
    }
    Ok(())
}

fn bound(
    cell: &Cell,
    configuration: &Configuration,
    network: &Network,
    region: &Region,
    center: &[f64],
) -> Result<Constants, CellError> {
    let samples = if MEETING.contains(&cell.arm.as_str()) { configuration.samples } else { 0 };
    let base = Parameters { samples, seed: cell.seed, ..Parameters::default() };
    let parameters = match cell.arm.as_str() {
        "recurjac" => Parameters { relaxation: Relaxation::RecurJac, ..base },
        "interval" | "no-lines" => Parameters { relaxation: Relaxation::Interval, ..base },
        "global" => Parameters { relaxation: Relaxation::Global, ..base },
        "no-search" => Parameters { slope_steps: 0, ..base },
        "idle-search" => Parameters { slope_rate: 1e-12, ..base },
        "branch" => Parameters { domains: configuration.domains, ..base },
        "to-the-end" => Parameters { domains: configuration.tiny_domains, ..base },
        _ => base,
    };
    let method = Lipschitz::new(parameters).map_err(CellError::new)?;
    if cell.arm != "everywhere" {
        return method.bound(network, region).map_err(CellError::new);
    }
    // A thousand times the radius: hardly a neuron is decided.
    let wide = configuration.region(&cell.setting, center, 1_000.0)?;
    method.bound(network, &wide).map_err(CellError::new)
}
