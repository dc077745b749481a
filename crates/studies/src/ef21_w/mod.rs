//! The study of `ef21-w`: does the step that rests on the arithmetic mean of smoothness constants save the rounds it promises, and
//! does its guarantee hold?
//!
//! Generated quadratics have constants that are known exactly: 97 clients of smoothness 1 and three of up to 10,000. Public sets are
//! spread over 100 clients, half of the rows drawn per seed, with a logistic loss and the bounded regulariser. All arms of a seed see
//! the same clients and start from zero. No step is tuned: what is compared is what is certified.

mod claims;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_data::libsvm::{LibsvmOptions, read_libsvm};
use backstitch_numerics::Stream;
use backstitch_optimize::ef21_w::{
    Algorithm, Compressor, Ef21W, Federated, Fit, Outcome, Parameters, Smoothness, Split, Step,
    smoothness_of_rows,
};
use backstitch_optimize::objective::{Classes, Loss, Objective, Quadratic, Regulariser};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, METRICS};

/// Four public sets of the LIBSVM collection.
const SETS: &[&str] = &["a9a", "w8a", "phishing", "mushrooms"];
/// Rounds after which the points of EF21 and EF21-W are compared; few enough that natural compression is not yet at the minimum.
const COMPARED: [usize; 3] = [5, 50, 500];
/// Constants of the analysis of partial participation in the arm `pp-small`.
const SMALL: f64 = 1e-3;

/// The study.
pub static STUDY: Study = Study {
    method: "ef21-w",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 8,
    data: SETS,
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Generated settings: name, and smoothness of the clients that are less smooth.
    quadratics: Vec<(String, f64)>,
    /// Clients of the generated settings, and how many of them are less smooth.
    clients: usize,
    unequal: usize,
    /// Length of their vectors.
    dimension: usize,
    /// Their rounds.
    rounds: usize,
    /// Share of the first |gradient|^2 that ends the count of rounds.
    reduction: f64,
    /// Settings on public sets: name, set, split.
    public: Vec<(String, String, Split)>,
    /// Their clients, rounds and entries sent.
    public_clients: usize,
    public_rounds: usize,
    public_top: usize,
    /// Strength of their regulariser.
    regulariser: f64,
    /// Rows of a batch.
    batch: usize,
}

fn configuration(scale: Scale) -> Value {
    let quadratics =
        [("equal", 1.0), ("x10", 10.0), ("x100", 100.0), ("x1000", 1000.0), ("x10000", 10_000.0)];
    let public = [
        ("a9a", "a9a", Split::Label),
        ("w8a", "w8a", Split::Label),
        ("phishing", "phishing", Split::Label),
        ("mushrooms", "mushrooms", Split::Label),
        ("w8a-norm", "w8a", Split::Norm),
    ];
    let quick = Configuration {
        quadratics: quadratics.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
        clients: 100,
        unequal: 3,
        dimension: 20,
        rounds: 6_000,
        reduction: 1e-6,
        public: public.iter().map(|(name, set, split)| ((*name).into(), (*set).into(), *split)).collect(),
        public_clients: 100,
        public_rounds: 1_000,
        public_top: 10,
        regulariser: 1e-3,
        batch: 16,
    };
    json!(match scale {
        Scale::Smoke => Configuration { rounds: 400, public_rounds: 5, ..quick },
        Scale::Quick => quick,
        Scale::Paper => Configuration { public_clients: 1000, public_rounds: 20_000, public_top: 1, ..quick },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for (setting, _) in &configuration.quadratics {
        for &seed in seeds {
            let arms = ARMS.iter().filter(|arm| arm.name != "sgd");
            cells.extend(arms.map(|arm| Cell::new(arm.name, setting, seed)));
        }
    }
    for (setting, set, _) in &configuration.public {
        for &seed in seeds {
            let arms = ["ef21-w", "ef21", "ef21-old", "old-again", "tenth-step", "sgd", "standing"];
            cells.extend(arms.map(|arm| Cell::new(arm, setting, seed).reading(set)));
        }
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        if !(self.reduction > 0.0 && self.reduction < 1.0) {
            return Err(format!("reduction is {}, but must be above 0 and below 1", self.reduction));
        }
        if self.unequal > self.clients {
            return Err(format!("unequal is {}, but there are {} clients", self.unequal, self.clients));
        }
        if let Some((name, set, _)) = self.public.iter().find(|(_, set, _)| !SETS.contains(&set.as_str())) {
            return Err(format!("{name} reads the set {set:?}, but must read one of {}", SETS.join(", ")));
        }
        Compressor::Top(1).validate(self.dimension).map_err(|error| error.to_string())?;
        Regulariser::Bounded(self.regulariser).validate().map_err(|error| error.to_string())?;
        let parameters = |rounds| Parameters { rounds, batch: Some(self.batch), ..Parameters::default() };
        [self.rounds, self.public_rounds]
            .iter()
            .try_for_each(|rounds| parameters(*rounds).validate())
            .map_err(|error| error.to_string())
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if let Some((_, value)) = configuration.quadratics.iter().find(|(name, _)| *name == cell.setting) {
        let (clients, smoothness) = quadratics(cell, &configuration, *value, context)?;
        let task = Task { rounds: configuration.rounds, top: 1, batch: 1 };
        return task.run(cell, &configuration, &clients, &smoothness, context);
    }
    let Some((_, set, split)) = configuration.public.iter().find(|(name, ..)| *name == cell.setting) else {
        return Err(CellError::new(format!("no setting `{}`", cell.setting)));
    };
    let federated = rows(cell, &configuration, set, *split, context)?;
    let regulariser = Regulariser::Bounded(configuration.regulariser);
    let clients = federated.objectives(Loss::Logistic, regulariser).map_err(CellError::new)?;
    let smoothness = smoothness_of_rows(&clients).map_err(CellError::new)?;
    let task = Task {
        rounds: configuration.public_rounds,
        top: configuration.public_top,
        batch: configuration.batch,
    };
    task.run(cell, &configuration, &clients, &smoothness, context)
}

/// Clients with quadratics whose minimisers differ, turned by one reflection, so that L of the mean is known too.
fn quadratics(
    cell: &Cell,
    configuration: &Configuration,
    unequal: f64,
    context: &mut CellContext<'_>,
) -> Result<(Vec<Quadratic>, Smoothness), CellError> {
    let (n, d) = (configuration.clients, configuration.dimension);
    let mut stream = Stream::new(cell.seed, &format!("ef21-w study {}", cell.setting));
    let axis: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
    let mut mean = vec![0.0; d];
    let mut clients = Vec::new();
    let mut constants = Vec::new();
    let mut drawn = Vec::new();
    for client in 0..n {
        let constant = if client < configuration.unequal { unequal } else { 1.0 };
        let mut eigenvalues: Vec<f64> = (0..d).map(|_| constant * (0.1 + 0.9 * stream.uniform())).collect();
        // One of them is the constant itself.
        eigenvalues[stream.below(d)] = constant;
        for (sum, eigenvalue) in mean.iter_mut().zip(&eigenvalues) {
            *sum += eigenvalue / n as f64;
        }
        let centre: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
        drawn.extend(eigenvalues.iter().chain(&centre).flat_map(|value| value.to_le_bytes()));
        clients.push(Quadratic::new(centre, eigenvalues, axis.clone()).map_err(CellError::new)?);
        constants.push(constant);
    }
    context.record_data(&cell.setting, &drawn, true);
    let of_mean = mean.iter().copied().fold(0.0, f64::max);
    Ok((clients, Smoothness::new(of_mean, constants).map_err(CellError::new)?))
}

/// Half of the rows of a public set, spread over clients.
fn rows(
    cell: &Cell,
    configuration: &Configuration,
    set: &str,
    split: Split,
    context: &CellContext<'_>,
) -> Result<Federated, CellError> {
    let file = context.data(set)?.join(format!("{set}.txt.gz"));
    let data = read_libsvm(&file, &LibsvmOptions::default()).map_err(CellError::new)?;
    let signs = Classes::of(&data.labels, None).map_err(CellError::new)?.signs(&data.labels);
    let mut chosen = Stream::new(cell.seed, &format!("ef21-w study rows of {set}")).permutation(signs.len());
    chosen.truncate(signs.len() / 2);
    chosen.sort_unstable();
    let signs: Vec<f64> = chosen.iter().map(|&row| signs[row]).collect();
    Federated::new(&data.features.select(&chosen), &signs, configuration.public_clients, split, cell.seed)
        .map_err(CellError::new)
}

struct Task {
    rounds: usize,
    top: usize,
    batch: usize,
}

impl Task {
    fn run<O: Objective>(
        &self,
        cell: &Cell,
        configuration: &Configuration,
        clients: &[O],
        smoothness: &Smoothness,
        context: &mut CellContext<'_>,
    ) -> Result<(), CellError> {
        let arm = cell.arm.as_str();
        let parameters = self.parameters(arm, cell.seed, clients[0].dimension(), smoothness)?;
        let fitted = |parameters: Parameters| {
            Ef21W::new(parameters).and_then(|method| method.fit(clients, smoothness)).map_err(CellError::new)
        };
        if matches!(arm, "ef21-w" | "natural") {
            let mut most: f64 = 0.0;
            for rounds in COMPARED {
                let weighted = Parameters { rounds, ..parameters.clone() };
                let plain = Parameters { algorithm: Algorithm::Ef21, ..weighted.clone() };
                most = most.max(gap(&fitted(plain)?.point, &fitted(weighted)?.point));
            }
            context.observe("iterate_gap", most);
        }
        if arm == "natural" {
            return Ok(());
        }
        let fit = fitted(parameters)?;
        if arm == "ef21-w" {
            context.observe("mean_ratio", smoothness.quadratic_mean() / smoothness.arithmetic_mean());
            context.observe("step_ratio", fit.certificate.new_step / fit.certificate.old_step);
        }
        if arm == "standing" {
            observe_standing(&fit, self.rounds, context);
            return Ok(());
        }
        observe(configuration, &fit, context)
    }

    fn parameters(
        &self,
        arm: &str,
        seed: u64,
        dimension: usize,
        smoothness: &Smoothness,
    ) -> Result<Parameters, CellError> {
        let base = Parameters {
            compressor: Compressor::Top(self.top),
            rounds: self.rounds,
            measure_every: 1,
            seed,
            ..Parameters::default()
        };
        let certified = Ef21W::new(base.clone())
            .and_then(|method| method.certificate(smoothness, dimension))
            .map_err(CellError::new)?
            .new_step;
        let half = 0.5;
        Ok(match arm {
            "ef21-w" => base,
            "ef21" => Parameters { algorithm: Algorithm::Ef21, ..base },
            "ef21-old" => Parameters { algorithm: Algorithm::Ef21, step: Step::Old, ..base },
            "old-again" => Parameters { step: Step::Old, ..base },
            "tenth-step" => Parameters { step: Step::Fixed(certified / 10.0), ..base },
            "natural" => Parameters { compressor: Compressor::Natural, ..base },
            "gradient-descent" => Parameters { algorithm: Algorithm::GradientDescent, ..base },
            "dcgd" => Parameters { algorithm: Algorithm::Dcgd, ..base },
            // One round, of which only the start is looked at.
            "standing" => Parameters { rounds: 1, ..base },
            "dcgd-half" => {
                Parameters { algorithm: Algorithm::Dcgd, step: Step::Fixed(certified / 2.0), ..base }
            }
            "ef14" => Parameters { algorithm: Algorithm::Ef14, ..base },
            "pp" => Parameters { participation: half, ..base },
            "pp-small" | "pp-small-again" => {
                let alpha = base.compressor.contraction(dimension);
                let step = Step::Fixed(small_step(alpha, half, smoothness));
                // Other draws for the second one.
                let seed = if arm == "pp-small" { seed } else { seed + (1 << 32) };
                Parameters { participation: half, step, seed, ..base }
            }
            "sgd" => Parameters { batch: Some(self.batch), ..base },
            other => return Err(CellError::new(format!("no arm `{other}`"))),
        })
    }
}

/// The step of partial participation with both free constants of its analysis at [`SMALL`].
fn small_step(alpha: f64, participation: f64, smoothness: &Smoothness) -> f64 {
    let theta = participation * (1.0 - (1.0 + SMALL) * (1.0 - alpha)) - (1.0 - participation) * SMALL;
    let beta = (1.0 + 1.0 / SMALL) * (participation * (1.0 - alpha) + 1.0 - participation);
    1.0 / (smoothness.of_mean() + smoothness.arithmetic_mean() * (beta / theta).sqrt())
}

/// Distance of two points, relative to the longer one.
fn gap(one: &[f64], other: &[f64]) -> f64 {
    let largest =
        |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |most, value| f64::max(most, value.abs()));
    let apart = largest(&mut one.iter().zip(other).map(|(x, y)| x - y));
    let scale = largest(&mut one.iter().chain(other).copied());
    if scale > 0.0 { apart / scale } else { apart }
}

fn observe(configuration: &Configuration, fit: &Fit, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let (Some(first), Some(last)) = (fit.trace.first(), fit.trace.last()) else {
        return Err(CellError::new("nothing was measured"));
    };
    if fit.outcome == Outcome::Diverged {
        for metric in ["log_gradient", "log_rounds", "log_bits", "guarantee_ratio"] {
            context.observe_diverged(metric);
        }
        return Ok(());
    }
    let wanted = configuration.reduction * first.squared_gradient;
    let reached = fit.trace.iter().find(|line| line.squared_gradient <= wanted).unwrap_or(last);
    context.observe("log_gradient", logarithm(last.squared_gradient));
    context.observe("log_rounds", (reached.round.max(1) as f64).ln());
    context.observe("log_bits", (reached.bits_up as f64).ln());
    if let Some(guarantee) = fit.guarantee {
        context.observe("guarantee_ratio", fit.mean_squared_gradient / guarantee);
    }
    Ok(())
}

/// What stays at the start is held to what EF21-W guarantees after all rounds from there.
fn observe_standing(fit: &Fit, rounds: usize, context: &mut CellContext<'_>) {
    let start = fit.trace.first().map_or(f64::NAN, |first| first.squared_gradient);
    let guarantee = fit.certificate.guarantee(fit.first_value, 0.0, rounds).unwrap_or(f64::NAN);
    context.observe("log_gradient", logarithm(start));
    context.observe("guarantee_ratio", start / guarantee);
}

/// Of a number that may be zero.
fn logarithm(value: f64) -> f64 {
    value.max(f64::MIN_POSITIVE).ln()
}
