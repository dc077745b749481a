//! The study of `cuber`: does a network that learns tasks one by one keep the earlier ones, and do they gain where tasks come back?
//!
//! Tasks are handwritten digits whose pixels are permuted. In the settings that come back, six tasks have permutations 1, 2, 1, 3, 2, 1
//! of disjoint rows (MNIST, and 8 × 8 digits that are part of the program); in the other, ten tasks have ten. Every arm starts from the same
//! weights, sees the same rows in the same batches, and is measured on as many test rows per task. The network is the
//! paper's: two hidden layers of 100, no biases, one head for all tasks, plain gradient descent at 0.01 in batches of 10. A task of MNIST has
//! 1,500 rows for 10 passes instead of 60,000 for 5; one of digits 200 rows, 30 passes at 0.05.
//!
//! `lasting` says how many of the updates that a task begins with outlive a tenth of its steps: the rule ends one at the first batch whose
//! gradient points away from that of the earlier task.

mod claims;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_continual::cuber::{Cuber, Kind, Learner, Measures, Parameters, Strategy, Task, learn_all};
use backstitch_data::embedded;
use backstitch_data::idx::read_idx;
use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, DIGITS, DISTINCT, METRICS, REVISITED};

const MNIST: &str = "mnist";

/// The study.
pub static STUDY: Study = Study {
    method: "cuber",
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
    /// Training rows of a task of MNIST, and as many test rows.
    rows: usize,
    /// Training rows of a task of digits; the others of its sixth are test rows.
    digit_rows: usize,
    /// Tasks of the setting without returns.
    tasks: usize,
    hidden: Vec<usize>,
    epochs: usize,
    digit_epochs: usize,
    rate: f64,
    digit_rate: f64,
    samples: usize,
    digit_samples: usize,
    penalty: f64,
    elasticity: f64,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        settings: [REVISITED, DIGITS, DISTINCT].map(String::from).to_vec(),
        rows: 1_500,
        digit_rows: 200,
        tasks: 10,
        hidden: vec![100, 100],
        epochs: 10,
        digit_epochs: 30,
        rate: 0.01,
        digit_rate: 0.05,
        samples: 300,
        digit_samples: 200,
        penalty: 0.1,
        elasticity: 3.0,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            settings: vec![DIGITS.into()],
            digit_rows: 60,
            hidden: vec![20],
            digit_epochs: 3,
            digit_samples: 60,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => {
            Configuration { settings: vec![DIGITS.into(), DISTINCT.into()], rows: 3_000, ..quick }
        }
    })
}

const EVERYWHERE: &[&str] =
    &["cuber", "trgp", "gpm", "ewc", "joint", "naive", "full", "no-scales", "never-updated", "careless"];

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for setting in &configuration.settings {
        for &seed in seeds {
            for arm in EVERYWHERE {
                let cell = Cell::new(arm, setting, seed);
                cells.push(if setting == DIGITS { cell } else { cell.reading(MNIST) });
            }
            if setting == DIGITS {
                cells.push(Cell::new("exact", setting, seed));
            }
        }
    }
    Ok(cells)
}

/// Which permutation each task has.
fn permutations(setting: &str, tasks: usize) -> Vec<usize> {
    if setting == DISTINCT { (0..tasks).collect() } else { vec![0, 1, 0, 2, 1, 0] }
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        if let Some(unknown) =
            self.settings.iter().find(|own| ![REVISITED, DIGITS, DISTINCT].contains(&own.as_str()))
        {
            return Err(format!(
                "settings has `{unknown}`, but there are {REVISITED}, {DIGITS} and {DISTINCT}"
            ));
        }
        if !(2..=30).contains(&self.tasks) {
            return Err(format!("tasks is {}, but must be from 2 to 30", self.tasks));
        }
        let most = 30_000 / self.tasks.max(6);
        if !(10..=most).contains(&self.rows) {
            return Err(format!(
                "rows is {}, but must be from 10 to {most} with {} tasks",
                self.rows, self.tasks
            ));
        }
        if !(10..=290).contains(&self.digit_rows) {
            return Err(format!("digit_rows is {}, but must be from 10 to 290", self.digit_rows));
        }
        for strategy in [Strategy::Cuber, Strategy::Ewc] {
            self.parameters(strategy, REVISITED, 0).validate().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn parameters(&self, strategy: Strategy, setting: &str, seed: u64) -> Parameters {
        let (epochs, rate, samples) = if setting == DIGITS {
            (self.digit_epochs, self.digit_rate, self.digit_samples)
        } else {
            (self.epochs, self.rate, self.samples)
        };
        Parameters {
            strategy,
            hidden: self.hidden.clone(),
            epochs,
            rate,
            samples,
            penalty: self.penalty,
            elasticity: self.elasticity,
            seed,
            ..Parameters::default()
        }
    }

    fn of_arm(&self, cell: &Cell) -> Parameters {
        let of = |strategy| self.parameters(strategy, &cell.setting, cell.seed);
        match cell.arm.as_str() {
            "cuber" => of(Strategy::Cuber),
            "trgp" => of(Strategy::Trgp),
            "gpm" => of(Strategy::Gpm),
            "ewc" => of(Strategy::Ewc),
            "full" => Parameters { thresholds: vec![1.0], ..of(Strategy::Gpm) },
            "no-scales" => Parameters { related: 0, ..of(Strategy::Cuber) },
            "never-updated" => Parameters { positive: 1.0, ..of(Strategy::Cuber) },
            "careless" => Parameters { sufficient: 0.0, positive: -1.0, penalty: 0.0, ..of(Strategy::Cuber) },
            "exact" => Parameters { thresholds: vec![1.0], samples: self.digit_rows, ..of(Strategy::Gpm) },
            _ => of(Strategy::Naive),
        }
    }

    /// Tasks and their test rows.
    fn tasks(&self, cell: &Cell, context: &CellContext<'_>) -> Result<(Vec<Task>, Vec<Task>), CellError> {
        let permutations = permutations(&cell.setting, self.tasks);
        let (pixels, labels, of_task) = if cell.setting == DIGITS {
            let table = embedded::DIGITS.table().map_err(CellError::new)?.values;
            let last = table.columns() - 1;
            let pixels = Matrix::from_fn(table.rows(), last, |row, pixel| table[(row, pixel)] / 16.0);
            (
                pixels,
                table.column(last).map(|label| label as usize).collect(),
                table.rows() / permutations.len(),
            )
        } else {
            let (pixels, labels) = mnist(context)?;
            (pixels, labels, 2 * self.rows)
        };
        let training = if cell.setting == DIGITS { self.digit_rows } else { of_task / 2 };
        let order = Stream::new(cell.seed, "cuber study rows").permutation(labels.len());
        let (mut tasks, mut tests) = (Vec::new(), Vec::new());
        for (place, &permutation) in permutations.iter().enumerate() {
            let moved = Stream::new(cell.seed, &format!("cuber study permutation {permutation}"))
                .permutation(pixels.columns());
            let rows = &order[place * of_task..(place + 1) * of_task];
            for (rows, target) in [(&rows[..training], &mut tasks), (&rows[training..], &mut tests)] {
                let inputs = Matrix::from_fn(rows.len(), pixels.columns(), |row, pixel| {
                    pixels[(rows[row], moved[pixel])]
                });
                let labels = rows.iter().map(|&row| labels[row]).collect();
                target
                    .push(Task::new(&format!("task {}", place + 1), inputs, labels).map_err(CellError::new)?);
            }
        }
        Ok((tasks, tests))
    }
}

/// Pixels from 0 to 1, and digits, of the training rows.
fn mnist(context: &CellContext<'_>) -> Result<(Matrix, Vec<usize>), CellError> {
    let folder = context.data(MNIST)?;
    let images = read_idx(folder.join("train-images-idx3-ubyte.gz")).map_err(CellError::new)?;
    let labels = read_idx(folder.join("train-labels-idx1-ubyte.gz")).map_err(CellError::new)?;
    let &[rows, height, width] = images.shape.as_slice() else {
        return Err(CellError::new("the file of images has no rows of pixels"));
    };
    let pixels = images.values.iter().map(|value| f64::from(*value) / 255.0).collect();
    let pixels = Matrix::new(rows, height * width, pixels).map_err(CellError::new)?;
    Ok((pixels, labels.values.iter().map(|label| usize::from(*label)).collect()))
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let (tasks, tests) = configuration.tasks(cell, context)?;
    let method = Cuber::new(configuration.of_arm(cell)).map_err(CellError::new)?;
    if cell.arm == "joint" {
        let learner = method.joint(&tasks, 10).map_err(CellError::new)?;
        let accuracies = tests.iter().enumerate().map(|(place, test)| learner.accuracy(place, test));
        let accuracies = accuracies.collect::<Result<Vec<f64>, _>>().map_err(CellError::new)?;
        context.observe("acc", 100.0 * accuracies.iter().sum::<f64>() / accuracies.len() as f64);
        return Ok(());
    }
    let mut learner = method.learner(tasks[0].inputs().columns(), 10).map_err(CellError::new)?;
    if cell.setting == DIGITS {
        let mut once = learner.clone();
        once.learn(&tasks[0]).map_err(CellError::new)?;
        let before = once.predict(0, tasks[0].inputs()).map_err(CellError::new)?;
        let measures = learn_all(&mut learner, &tasks, &tests).map_err(CellError::new)?;
        let after = learner.predict(0, tasks[0].inputs()).map_err(CellError::new)?;
        let apart = before.values().iter().zip(after.values()).map(|(one, other)| (one - other).abs());
        context.observe("moved", apart.fold(0.0, f64::max));
        return observe(&configuration, cell, context, &learner, &measures);
    }
    let measures = learn_all(&mut learner, &tasks, &tests).map_err(CellError::new)?;
    observe(&configuration, cell, context, &learner, &measures)
}

fn observe(
    configuration: &Configuration,
    cell: &Cell,
    context: &mut CellContext<'_>,
    learner: &Learner,
    measures: &Measures,
) -> Result<(), CellError> {
    let missing = || CellError::new("an accuracy is missing");
    context.observe("acc", 100.0 * measures.average().ok_or_else(missing)?);
    context.observe("bwt", 100.0 * measures.backward_transfer().ok_or_else(missing)?);
    context.observe("fwt", 100.0 * measures.forward_transfer().ok_or_else(missing)?);
    if cell.setting != DISTINCT {
        let permutations = permutations(&cell.setting, configuration.tasks);
        let met_again =
            (0..permutations.len()).filter(|&task| permutations[task + 1..].contains(&permutations[task]));
        let gains: Vec<f64> =
            met_again.map(|task| measures.gain(task).ok_or_else(missing)).collect::<Result<_, _>>()?;
        context.observe("return_gain", 100.0 * gains.iter().sum::<f64>() / gains.len() as f64);
    }
    let rows = if cell.setting == DIGITS { configuration.digit_rows } else { configuration.rows };
    let early = learner.parameters().epochs * rows.div_ceil(Parameters::default().batch) / 10;
    let relations = learner.learned().iter().flat_map(|task| task.relations()).flatten();
    let updated: Vec<_> = relations.filter(|relation| relation.kind == Kind::Updated).collect();
    context.observe("updated", updated.len() as f64);
    if !updated.is_empty() {
        let lasting =
            updated.iter().filter(|relation| relation.demoted.is_none_or(|step| step > early)).count();
        context.observe("lasting", lasting as f64 / updated.len() as f64);
    }
    Ok(())
}
