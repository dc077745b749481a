//! The study of `scale-mixture-nngp`: does a scale that is drawn with the last layer predict better than one that is fixed?
//!
//! All arms of a seed see the same rows and search hyper-parameters by the evidence with the same budget (at most 60 steps from the
//! same point), unless the setting says that nothing is searched. `few-…` settings train on 20 rows of a public table and test on
//! 200 others, ten draws per seed; `many-…` train on 300, one draw per seed. `t-noise` and `normal-noise` are the two generated sets of
//! the released code: a draw of a Gaussian process on a line plus Cauchy noise (300 points) or normal noise (100 points), four fifths
//! for training, six draws per seed. `wrong-scale` is ten draws of 20 rows of `diabetes` with hyper-parameters as they are, the last
//! layer's deviation and the root of the noise a fifth of the default ones. `digits` are classified: 1,000 images of 8 × 8 pixels train,
//! the others test, as they are and moved by one pixel with noise on every pixel; deviations are not searched there.
//!
//! NLL is minus the mean logarithm of the predictive density of test targets, in deviations of the training targets: it differs from
//! that in the target's units by a constant that all arms share. Published figures are of whole tables and of hyper-parameters chosen
//! from a grid, and are not repeated here.
//!
//! The control of most claims is the same method with a prior that leaves nothing to be drawn; it has to be no better than the Gaussian
//! process, which tells what comes of the scale from what comes of anything else the two do not share.

mod claims;
mod classes;
mod data;
mod networks;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_numerics::Stream;
use backstitch_statistics::scale_mixture_nngp::{
    Architecture, Hyperparameters, Model, Parameters, Predictive, Prior, ScaleMixtureNngp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, DIGITS, FEW, IDENTITIES, MANY, METRICS, NETWORKS, NOISE, WRONG_SCALE};
use data::Split;

/// The public sets of the settings; `diabetes` is part of the program.
const SETS: &[&str] = &["uci-concrete", "uci-energy", "uci-wine", "uci-yacht"];

/// The study.
pub static STUDY: Study = Study {
    method: "scale-mixture-nngp",
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

/// Shape and scale of priors that leave nothing to be drawn.
const STIFF: f64 = 1e9;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Hidden layers.
    depth: usize,
    /// Steps of the search for hyper-parameters.
    iterations: usize,
    /// Shape of the inverse-gamma prior, whose scale is the same number.
    shape: f64,
    /// Training rows of the `few-` settings, and how often they are drawn.
    few: usize,
    repeats: usize,
    /// How often the rows of `t-noise` and `normal-noise` are drawn.
    generated: usize,
    /// Training rows of the `many-` settings.
    many: usize,
    /// Most test rows.
    test: usize,
    /// Hidden units and number of the networks that are drawn.
    width: usize,
    networks: usize,
    /// Images, inducing images and steps of the classifiers.
    images: usize,
    inducing: usize,
    steps: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        depth: 4,
        iterations: 60,
        shape: 2.0,
        few: 20,
        repeats: 10,
        generated: 6,
        many: 300,
        test: 200,
        width: 2048,
        networks: 1000,
        images: 1000,
        inducing: 100,
        steps: 1500,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            iterations: 2,
            repeats: 1,
            generated: 1,
            many: 30,
            test: 20,
            width: 64,
            networks: 50,
            images: 100,
            inducing: 10,
            steps: 10,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration { many: 5000, test: 5000, images: 1500, inducing: 200, ..quick },
    })
}

/// The public set that a setting reads, if it reads one.
fn set_of(setting: &str) -> Option<&'static str> {
    let name = setting.split_once('-').filter(|(kind, _)| ["few", "many"].contains(kind))?.1;
    SETS.iter().copied().find(|set| set.strip_prefix("uci-") == Some(name))
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    let settings = FEW.iter().chain(MANY).chain(NOISE).chain(WRONG_SCALE);
    let regression = [
        "student-t",
        "burr",
        "gaussian",
        "linear",
        "student-t-searched",
        "student-t-stiff",
        "student-t-narrow",
    ];
    let arms: [(&[&str], &[&str]); 3] = [
        (IDENTITIES, &["limit", "limit-far", "quadrature", "sampling", "one-mean", "other-noise"]),
        (NETWORKS, &["drawn-scale", "fixed-scale", "scale-per-output"]),
        (DIGITS, &["student-t-classes", "gaussian-classes", "student-t-classes-stiff"]),
    ];
    for &setting in settings {
        for &seed in seeds {
            for arm in regression {
                let cell = Cell::new(arm, setting, seed);
                cells.push(match set_of(setting) {
                    Some(set) => cell.reading(set),
                    None => cell,
                });
            }
        }
    }
    for (settings, arms) in arms {
        for &setting in settings {
            for &seed in seeds {
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed)));
            }
        }
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        for (name, value, least) in [
            ("few", self.few, 3),
            ("repeats", self.repeats, 1),
            ("generated", self.generated, 1),
            ("many", self.many, 3),
            ("test", self.test, 2),
            ("width", self.width, 1),
            ("networks", self.networks, 10),
            ("images", self.images, 20),
            ("inducing", self.inducing, 2),
        ] {
            if value < least {
                return Err(format!("{name} is {value}, but must be at least {least}"));
            }
        }
        self.parameters("student-t", "").validate().map_err(|error| error.to_string())
    }

    /// The parameters of an arm of a regression.
    fn parameters(&self, arm: &str, setting: &str) -> Parameters {
        let t = |shape| Prior::InverseGamma { shape, scale: shape };
        let base = Parameters::default();
        let initial = base.initial;
        let wrong = WRONG_SCALE.contains(&setting);
        Parameters {
            architecture: Architecture {
                depth: if arm == "linear" { 0 } else { self.depth },
                ..base.architecture
            },
            prior: match arm {
                "gaussian" | "linear" => Prior::Fixed,
                "burr" => Prior::BurrXii { c: 2.0, k: 1.0 },
                "student-t-stiff" => t(STIFF),
                _ => t(self.shape),
            },
            initial: if wrong {
                Hyperparameters {
                    last_weight_std: 0.2 * initial.last_weight_std,
                    noise: 0.04 * initial.noise,
                    ..initial
                }
            } else {
                initial
            },
            iterations: if wrong { 0 } else { self.iterations },
            fit_prior: arm == "student-t-searched",
            ..base
        }
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let setting = cell.setting.as_str();
    if IDENTITIES.contains(&setting) {
        return identities(cell, &configuration, context);
    }
    if NETWORKS.contains(&setting) {
        return networks::run(cell, &configuration, context);
    }
    if DIGITS.contains(&setting) {
        return classes::run(cell, &configuration, context);
    }
    let repeats = if MANY.contains(&setting) {
        1
    } else if NOISE.contains(&setting) {
        configuration.generated
    } else {
        configuration.repeats
    };
    for repeat in 0..repeats {
        let split = split(cell, &configuration, repeat, context)?;
        let quality = regression(cell, &configuration, &split)?;
        for (metric, value) in ["nll", "rmse", "coverage", "degrees"].into_iter().zip(quality) {
            context.observe_item(metric, &format!("draw {repeat}"), value);
        }
    }
    Ok(())
}

fn split(
    cell: &Cell,
    configuration: &Configuration,
    repeat: usize,
    context: &mut CellContext<'_>,
) -> Result<Split, CellError> {
    let mut stream = Stream::new(cell.seed, &format!("scale-mixture-nngp {} {repeat}", cell.setting));
    let setting = cell.setting.as_str();
    if NOISE.contains(&setting) {
        let split = Split::generated(setting == "t-noise", &mut stream);
        context.record_data(&format!("{setting} {repeat}"), &split.bytes(), true);
        return Ok(split);
    }
    let table = match set_of(setting) {
        Some(set) => data::public(context.data(set)?)?,
        None => data::diabetes()?,
    };
    let train = if setting.starts_with("many-") { configuration.many } else { configuration.few };
    Ok(Split::drawn(&table, train, configuration.test, &mut stream))
}

/// NLL, RMSE and coverage at 95 % of test targets, in deviations of the training targets, and the degrees of freedom.
fn regression(cell: &Cell, configuration: &Configuration, split: &Split) -> Result<[f64; 4], CellError> {
    let parameters = configuration.parameters(&cell.arm, &cell.setting);
    let model = ScaleMixtureNngp::new(parameters)
        .and_then(|method| method.fit(&split.train, &split.train_targets))
        .map_err(CellError::new)?;
    let posterior = model.posterior().map_err(CellError::new)?;
    let mut predicted = posterior.predict(&split.test, false).map_err(CellError::new)?;
    if cell.arm == "student-t-narrow" {
        predicted.spread.iter_mut().for_each(|spread| *spread *= 0.5);
    }
    let [nll, rmse, coverage] = quality(&predicted, &split.test_targets, model.target.deviation)?;
    // A bounded stand-in for the infinitely many of a Gaussian process.
    Ok([nll, rmse, coverage, predicted.mixing.degrees_of_freedom().min(1e7)])
}

fn quality(predicted: &Predictive, targets: &[f64], deviation: f64) -> Result<[f64; 3], CellError> {
    let n = targets.len() as f64;
    let densities = predicted.log_density(targets).map_err(CellError::new)?;
    let levels = predicted.levels(targets).map_err(CellError::new)?;
    let square: f64 = predicted.mean.iter().zip(targets).map(|(mean, y)| (mean - y).powi(2)).sum();
    let inside = levels.iter().filter(|level| **level <= 0.95).count();
    Ok([
        -densities.iter().sum::<f64>() / n - deviation.ln(),
        (square / n).sqrt() / deviation,
        inside as f64 / n,
    ])
}

/// Identities on 60 rows of `diabetes`, with nothing searched.
fn identities(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut stream = Stream::new(cell.seed, "scale-mixture-nngp identities");
    let split = Split::drawn(&data::diabetes()?, 60, 20, &mut stream);
    let model = |prior: Prior, noise: f64| -> Result<Model, CellError> {
        let base = configuration.parameters("student-t", "");
        let initial = Hyperparameters { noise, ..base.initial };
        ScaleMixtureNngp::new(Parameters { prior, initial, iterations: 0, ..base })
            .and_then(|method| method.fit(&split.train, &split.train_targets))
            .map_err(CellError::new)
    };
    let predict = |prior: Prior, noise: f64| -> Result<(Predictive, f64), CellError> {
        let posterior = model(prior, noise)?.posterior().map_err(CellError::new)?;
        let predicted = posterior.predict(&split.test, false).map_err(CellError::new)?;
        Ok((predicted, posterior.log_evidence()))
    };
    let gap = |one: &[f64], other: &[f64]| {
        let size = |values: &[f64]| values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let apart: Vec<f64> = one.iter().zip(other).map(|(one, other)| one - other).collect();
        size(&apart) / size(other)
    };
    let noise = Hyperparameters::default().noise;
    let t = |shape| Prior::InverseGamma { shape, scale: shape };
    let value = match cell.arm.as_str() {
        "limit" | "limit-far" => {
            let shape = if cell.arm == "limit" { 1e9 } else { 10.0 };
            let ((one, evidence), (other, limit)) =
                (predict(t(shape), noise)?, predict(Prior::Fixed, noise)?);
            let widths = gap(&one.half_width(0.99), &other.half_width(0.99));
            widths.max(gap(&one.mean, &other.mean)).max(gap(&[evidence], &[limit]))
        }
        "one-mean" | "other-noise" => {
            let factor = if cell.arm == "one-mean" { 1.0 } else { 2.0 };
            let gaussian = predict(Prior::Fixed, noise)?.0;
            let burr = predict(Prior::BurrXii { c: 2.0, k: 1.0 }, factor * noise)?.0;
            let student = predict(t(configuration.shape), factor * noise)?.0;
            gap(&student.mean, &gaussian.mean).max(gap(&burr.mean, &gaussian.mean))
        }
        arm => {
            // The closed form has an integral for every quantity that it gives.
            let prior = t(configuration.shape);
            let n = split.train_targets.len();
            let exact = prior.posterior(n, n as f64);
            let other = if arm == "quadrature" {
                prior.by_quadrature(n, n as f64)
            } else {
                prior.by_sampling(n, n as f64, 1000, &mut stream)
            };
            let widths = [0.5, 0.9, 0.99]
                .map(|level| (other.mixing.half_width(level), exact.mixing.half_width(level)));
            let (one, other_widths): (Vec<f64>, Vec<f64>) = widths.into_iter().unzip();
            gap(&one, &other_widths).max(gap(&[other.log_evidence], &[exact.log_evidence]))
        }
    };
    context.observe("gap", value);
    Ok(())
}
