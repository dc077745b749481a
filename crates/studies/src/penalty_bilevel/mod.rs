//! The study of `penalty-bilevel`: is the penalised gradient as near, and found as fast, as the orders of the paper say, and what is it
//! worth in practice?
//!
//! Problems with a closed form: a flat of lower-level minimisers whose least value changes with x, the same with one minimiser, and
//! one whose minimiser jumps. All arms of a seed see the same problem and start from zero. Handwritten digits with wrong labels are the
//! one practical task.

mod baselines;
mod claims;
mod digits;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_numerics::Stream;
use backstitch_optimize::penalty_bilevel::{
    Bilevel, Bounds, Effort, Estimate, Everything, FlatLeastSquares, Jump, Loop, Outcome, Parameters,
    PenaltyBilevel, Samples, Sets, Sigma, Slopes, UpperStep, penalty_gradient,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use baselines::{bome, naive, soba};
use claims::{ARMS, CLAIMS, JUMPS, METRICS, SIGMAS, TARGETS};
use digits::{Setup, Split};

const FREE: Sets<'_> = Sets { upper: &Everything, lower: &Everything };
/// Both levels solved to rounding.
const EXACT: Effort = Effort { steps: 300_000, tolerance: 1e-12, accelerated: true };
/// How far the certificate solves them.
const CERTIFIED: Effort = Effort { steps: 50_000, tolerance: 1e-9, accelerated: true };

/// The study.
pub static STUDY: Study = Study {
    method: "penalty-bilevel",
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
    /// Iterations of the single loop, times σ.
    single_iterations: f64,
    /// Most iterations until a target is met.
    target_iterations: usize,
    /// σ of the settings `flat` and `steep`.
    sigma: f64,
    /// Steps of every arm there.
    iterations: usize,
    /// Samples of the setting `noise`, and the size of their noise.
    samples: usize,
    noise: f64,
    /// σ there, samples per gradient, and gradients of y and z together per arm.
    noise_sigma: f64,
    batch: usize,
    gradients: usize,
    /// Draws that are averaged.
    repeats: u64,
    /// η of STORM.
    share: f64,
    /// The digits.
    digits: Setup,
}

fn configuration(scale: Scale) -> Value {
    let digits = Setup {
        training: 800,
        validation: 100,
        wrong: 0.5,
        ridge: 1e-3,
        iterations: 150,
        step: 0.1,
        sigma: (0.3, 0.03),
    };
    let quick = Configuration {
        single_iterations: 300.0,
        target_iterations: 2_000_000,
        sigma: 0.0005,
        iterations: 20_000,
        samples: 200,
        noise: 3.0,
        noise_sigma: 0.03,
        batch: 4,
        gradients: 60_000,
        repeats: 48,
        share: 0.0003,
        digits: digits.clone(),
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            single_iterations: 3.0,
            target_iterations: 200,
            iterations: 200,
            gradients: 400,
            repeats: 1,
            digits: Setup { training: 100, iterations: 3, ..digits },
            ..quick
        },
        Scale::Quick => quick,
        // The paper has no experiments: more of the same.
        Scale::Paper => Configuration {
            single_iterations: 1000.0,
            gradients: 1_000_000,
            digits: Setup { training: 1_200, iterations: 1_000, ..digits },
            ..quick
        },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let groups: [(&[&str], &[&str]); 7] = [
        (SIGMAS, &["penalty", "extrapolated", "wrong-sign", "squared-sigma", "mean-of-two", "one-sigma"]),
        (TARGETS, &["penalty", "short-steps"]),
        (JUMPS, &["near-jump", "away", "on-flat", "at-jump"]),
        (&["flat"], &["penalty", "soba", "bome", "f2sa", "naive", "one-sigma", "standing"]),
        (&["steep"], &["penalty", "soba", "one-sigma"]),
        (&["noise"], &["storm", "sgd", "half-sgd"]),
        (&["digits"], &["penalty", "everything", "validation-only", "clean-only", "implicit", "shuffled"]),
    ];
    let mut cells = Vec::new();
    for (settings, arms) in groups {
        for setting in settings {
            for &seed in seeds {
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed)));
            }
        }
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        let positive = [
            ("single_iterations", self.single_iterations),
            ("sigma", self.sigma),
            ("noise_sigma", self.noise_sigma),
            ("digits.ridge", self.digits.ridge),
        ];
        if let Some((name, value)) = positive.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return Err(format!("{name} is {value}, but must be positive and finite"));
        }
        let Setup { training, validation, wrong, .. } = self.digits;
        if training == 0 || validation == 0 || training + validation >= 1797 {
            return Err(format!(
                "digits: {training} training and {validation} validation rows of 1797 leave no test row"
            ));
        }
        if !(wrong > 0.0 && wrong < 1.0) {
            return Err(format!("digits.wrong is {wrong}, but must be above 0 and below 1"));
        }
        if self.repeats == 0 || self.gradients < 4 * self.batch {
            return Err("repeats and gradients must leave something to do".into());
        }
        let stochastic = Parameters {
            interleaving: Loop::Single,
            batch: Some(self.batch),
            estimate: Estimate::Storm { share: self.share },
            ..Parameters::default()
        };
        stochastic.validate().map_err(|error| error.to_string())
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let (kind, number) = cell.setting.split_once('-').unwrap_or((&cell.setting, "0"));
    let number: f64 = number.parse().map_err(CellError::new)?;
    let arm = cell.arm.as_str();
    if kind == "digits" {
        let split = Split::new(&configuration.digits, cell.seed)?;
        context.record_data("digits", &split.bytes(), false);
        let (accuracy, auc) = split.run(arm, &configuration.digits, cell.seed)?;
        context.observe("accuracy", accuracy);
        if let Some(auc) = auc {
            context.observe("auc", auc);
        }
        return Ok(());
    }
    let problem = FlatLeastSquares::drawn(cell.seed, kind == "steep").map_err(CellError::new)?;
    let probe = problem.hyper_gradient(&[1.0; 3]);
    let bytes: Vec<u8> = probe.iter().flat_map(|value| value.to_le_bytes()).collect();
    context.record_data(kind, &bytes, true);
    match kind {
        "sigma" => bias(arm, cell.seed, number, &configuration, &problem, context),
        "target" => calls(arm, number, &configuration, &problem, context),
        "jump" => {
            let reported = reported(arm, cell.seed, number, &problem)?;
            context.observe("reported", f64::from(u8::from(reported)));
            Ok(())
        }
        "noise" => noise(arm, cell.seed, &configuration, problem, context),
        _ => {
            let x = end(arm, &configuration, &problem)?;
            observe_log(context, "log_final", length(&problem.hyper_gradient(&x)));
            Ok(())
        }
    }
}

/// The same problem with the sign of the penalty's difference turned.
struct WrongSign<'a>(&'a FlatLeastSquares);

impl Bilevel for WrongSign<'_> {
    fn upper_dimension(&self) -> usize {
        self.0.upper_dimension()
    }

    fn lower_dimension(&self) -> usize {
        self.0.lower_dimension()
    }

    fn upper_value(&self, x: &[f64], y: &[f64]) -> f64 {
        self.0.upper_value(x, y)
    }

    fn lower_value(&self, x: &[f64], y: &[f64]) -> f64 {
        self.0.lower_value(x, y)
    }

    fn upper_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        self.0.upper_gradient(x, y, samples, slopes);
    }

    fn lower_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        let Slopes { x: mut of_x, y: of_y } = slopes;
        self.0.lower_gradient(x, y, samples, Slopes { x: of_x.as_deref_mut(), y: of_y });
        of_x.into_iter().flatten().for_each(|slope| *slope = -*slope);
    }

    fn upper_smoothness(&self) -> f64 {
        self.0.upper_smoothness()
    }

    fn lower_smoothness(&self, x: &[f64]) -> f64 {
        self.0.lower_smoothness(x)
    }
}

/// How far the penalised gradient is off at a drawn point, and where the single loop ends.
fn bias(
    arm: &str,
    seed: u64,
    sigma: f64,
    configuration: &Configuration,
    problem: &FlatLeastSquares,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    if matches!(arm, "penalty" | "one-sigma") {
        let own = if arm == "penalty" { sigma } else { 1.0 };
        let parameters = Parameters {
            interleaving: Loop::Single,
            sigma: Sigma::Fixed(own),
            iterations: (configuration.single_iterations / own) as usize,
            measure_every: 1_000_000,
            proximal: false,
            mixing: 1.0,
            ..Parameters::default()
        };
        let fit = fitted(parameters, problem)?;
        observe_log(context, "log_final", length(&problem.hyper_gradient(&fit)));
    }
    let mut stream = Stream::new(seed, "penalty-bilevel study point");
    let x: Vec<f64> = (0..problem.upper_dimension()).map(|_| stream.normal()).collect();
    let exact = problem.hyper_gradient(&x);
    let at = |sigma: f64| {
        penalty_gradient(problem, FREE, &x, &[0.0; 6], sigma, EXACT)
            .map(|found| found.gradient)
            .map_err(CellError::new)
    };
    let combined = |of_whole: f64, of_half: f64| -> Result<Vec<f64>, CellError> {
        Ok(at(sigma)?
            .iter()
            .zip(at(0.5 * sigma)?)
            .map(|(whole, half)| of_whole * whole + of_half * half)
            .collect())
    };
    let found = match arm {
        "penalty" => at(sigma)?,
        "one-sigma" => return Ok(()),
        "squared-sigma" => at(sigma * sigma)?,
        "extrapolated" => combined(-1.0, 2.0)?,
        "mean-of-two" => combined(0.5, 0.5)?,
        "wrong-sign" => {
            penalty_gradient(&WrongSign(problem), FREE, &x, &[0.0; 6], sigma, EXACT)
                .map_err(CellError::new)?
                .gradient
        }
        other => return Err(CellError::new(format!("no arm `{other}`"))),
    };
    let off: Vec<f64> = found.iter().zip(&exact).map(|(x, y)| x - y).collect();
    observe_log(context, "log_bias", length(&off));
    Ok(())
}

/// Gradients until the penalised gradient is at most half the target.
fn calls(
    arm: &str,
    target: f64,
    configuration: &Configuration,
    problem: &FlatLeastSquares,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let sigma = 0.5 * target;
    let step = match arm {
        "penalty" => 0.2 * sigma,
        // As long as the method's at the largest target.
        "short-steps" => 0.2 * sigma * (target / 0.2_f64).powf(3.2),
        other => return Err(CellError::new(format!("no arm `{other}`"))),
    };
    let parameters = Parameters {
        sigma: Sigma::Fixed(sigma),
        upper_step: UpperStep::Gradient(Some(step)),
        tolerance: 0.5 * target,
        iterations: configuration.target_iterations,
        measure_every: configuration.target_iterations,
        ..Parameters::default()
    };
    let fit = PenaltyBilevel::new(parameters)
        .and_then(|method| method.fit(problem, FREE, &[0.0; 3], &[0.0; 6]))
        .map_err(CellError::new)?;
    observe_log(context, "log_final", length(&problem.hyper_gradient(&fit.x)));
    match fit.outcome {
        Outcome::Converged => context.observe("log_calls", (fit.calls.total() as f64).ln()),
        _ => context.observe_diverged("log_calls"),
    }
    Ok(())
}

/// Whether the certificate finds the error bound violated.
fn reported(arm: &str, seed: u64, sigma: f64, flat: &FlatLeastSquares) -> Result<bool, CellError> {
    let mut stream = Stream::new(seed, &format!("penalty-bilevel study certificate {sigma}"));
    let parameters = Parameters { sigma: Sigma::Fixed(sigma), seed, ..Parameters::default() };
    let method = PenaltyBilevel::new(parameters).map_err(CellError::new)?;
    let certificate = if arm == "on-flat" {
        let x: Vec<f64> = (0..flat.upper_dimension()).map(|_| stream.normal()).collect();
        method.certificate(flat, FREE, &x, &[0.0; 6], CERTIFIED)
    } else {
        let sign = if stream.uniform() < 0.5 { -1.0 } else { 1.0 };
        let share = stream.uniform();
        let x = match arm {
            "near-jump" | "at-jump" => sign * 0.5 * sigma * share,
            "away" => sign * (0.3 + 0.7 * share),
            other => return Err(CellError::new(format!("no arm `{other}`"))),
        };
        let bounds = Bounds::uniform(1, -1.0, 1.0);
        let sets = Sets { upper: &bounds, lower: &bounds };
        method.certificate(&Jump, sets, &[x], &[0.0], CERTIFIED)
    };
    Ok(certificate.map_err(CellError::new)?.violated)
}

/// Where an arm ends on the closed forms.
fn end(arm: &str, configuration: &Configuration, problem: &FlatLeastSquares) -> Result<Vec<f64>, CellError> {
    /// Arms take steps of x of this length; those of naive are shorter, so that they are stable, and SOBA has its best of three.
    const STEP: f64 = 0.05;
    let (x, y) = (vec![0.0; problem.upper_dimension()], vec![0.0; problem.lower_dimension()]);
    let (steps, sigma) = (configuration.iterations, configuration.sigma);
    let base = Parameters {
        upper_step: UpperStep::Gradient(Some(STEP)),
        iterations: steps / 10,
        lower_steps: 100,
        measure_every: 1_000_000,
        ..Parameters::convex()
    };
    Ok(match arm {
        "penalty" => fitted(Parameters { sigma: Sigma::Fixed(sigma), ..base }, problem)?,
        "one-sigma" => fitted(Parameters { sigma: Sigma::Fixed(1.0), ..base }, problem)?,
        "f2sa" => {
            let sigma = Sigma::Continuation { first: 1.0, last: sigma };
            let parameters =
                Parameters { sigma, accelerated: false, lower_steps: 10, iterations: steps, ..base };
            fitted(Parameters { upper_step: UpperStep::Gradient(None), ..parameters }, problem)?
        }
        "soba" => {
            let ends = [STEP, STEP / 4.0, STEP / 16.0].map(|step| soba(problem, &x, &y, step, steps));
            // One that diverged is as long as can be.
            let size = |x: &Vec<f64>| match length(&problem.hyper_gradient(x)) {
                size if size.is_nan() => f64::INFINITY,
                size => size,
            };
            let [first, rest @ ..] = ends;
            rest.into_iter().fold(first, |best, x| if size(&x) < size(&best) { x } else { best })
        }
        "bome" => bome(problem, x, y, STEP, steps),
        "naive" => naive(problem, x, y, sigma, steps),
        "standing" => x,
        other => return Err(CellError::new(format!("no arm `{other}`"))),
    })
}

/// Stochastic single loops with as many gradients, and the step of x of the method on whole gradients.
fn noise(
    arm: &str,
    seed: u64,
    configuration: &Configuration,
    problem: FlatLeastSquares,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let problem =
        problem.with_noise(configuration.samples, configuration.noise, seed).map_err(CellError::new)?;
    // STORM takes every gradient at two points.
    let (estimate, iterations) = match arm {
        "storm" => (Estimate::Storm { share: configuration.share }, configuration.gradients / 2),
        "sgd" => (Estimate::Batch, configuration.gradients),
        "half-sgd" => (Estimate::Batch, configuration.gradients / 2),
        other => return Err(CellError::new(format!("no arm `{other}`"))),
    };
    let sigma = configuration.noise_sigma;
    let mut sum = 0.0;
    for repeat in 0..configuration.repeats {
        let parameters = Parameters {
            interleaving: Loop::Single,
            sigma: Sigma::Fixed(sigma),
            batch: Some(configuration.batch),
            estimate,
            iterations,
            measure_every: iterations,
            proximal: false,
            mixing: 1.0,
            seed: seed * configuration.repeats + repeat,
            ..Parameters::default()
        };
        let x = fitted(parameters, &problem)?;
        // Whole gradients, both levels solved: the bias of sigma is no business of the estimators.
        let found = penalty_gradient(&problem, FREE, &x, &[0.0; 6], sigma, EXACT).map_err(CellError::new)?;
        sum += logarithm(length(&found.gradient));
    }
    context.observe("log_penalised", sum / configuration.repeats as f64);
    Ok(())
}

/// x at the end of a run from zero.
fn fitted(parameters: Parameters, problem: &FlatLeastSquares) -> Result<Vec<f64>, CellError> {
    PenaltyBilevel::new(parameters)
        .and_then(|method| method.fit(problem, FREE, &[0.0; 3], &[0.0; 6]))
        .map(|fit| fit.x)
        .map_err(CellError::new)
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Of a number that may be zero.
fn logarithm(value: f64) -> f64 {
    value.max(f64::MIN_POSITIVE).ln()
}

fn observe_log(context: &mut CellContext<'_>, metric: &str, value: f64) {
    context.observe(metric, if value.is_finite() { logarithm(value) } else { value });
}
