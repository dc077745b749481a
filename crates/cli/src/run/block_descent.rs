//! `backstitch run block-descent`: rows or a graph in; weights or node values, a trace and a certificate out.

mod graph;
mod report;

use std::fmt::Write;
use std::path::PathBuf;

use backstitch_optimize::block_descent::{
    BlockDescent, Blocks, Model, Parameters, Partition, Penalty, Problem, Rule, Solution, Task, Update,
};
use backstitch_optimize::objective::Classes;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use report::{note, solved, trace_files};

use super::model_file::ModelFile;
use super::output::write_all;
use super::rows::{PredictArguments, Reading, Rows, coefficients, features_for, print_predictions, quality};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: losses are sums over rows. The duality gap says how far the objective can be above its minimum; \
without a penalty, a ridge or two bounds there is none, and the largest entry of the gradient mapping stands in its place. There is \
no intercept: centre the columns and the labels, or add a column of ones, which is penalised like the others.

Examples:
  backstitch run block-descent fit --data rows.txt --loss least-squares --l1 0.1max --out model/
  backstitch run block-descent fit --data people.csv --target income --loss least-squares --l1 0.05max --nonnegative
  backstitch run block-descent predict --model model/model.json --data new.txt
  backstitch run block-descent propagate --edges edges.csv --labels labels.csv --out values/"
)]
pub(crate) struct BlockDescentArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Fit a linear model: least squares, logistic or softmax, with an L1 penalty, a ridge and bounds
    Fit(Box<FitArguments>),
    /// Predict with a model that `fit --out` has written
    Predict(PredictArguments),
    /// Spread the labels of some nodes of a graph to all others
    Propagate(graph::PropagateArguments),
}

#[derive(Args, Debug)]
struct FitArguments {
    /// Rows in the LIBSVM format, or with --target a table (CSV, TSV, spaces); plain or gzip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The column of the table that is to be predicted
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// Loss of a prediction, summed over rows
    #[arg(long, value_enum)]
    loss: LossName,
    /// The label that counts as 1 against all others (logistic) [default: the larger of two]
    #[arg(long, value_name = "LABEL", allow_negative_numbers = true)]
    positive: Option<f64>,
    /// Strength of the L1 penalty: a number, or a share of the smallest one that leaves no weight, such as 0.1max
    #[arg(long, value_name = "STRENGTH", default_value = "0", value_parser = strength, allow_negative_numbers = true)]
    l1: Strength,
    /// Strength R of the ridge, R/2 times the sum of squared weights
    #[arg(long, value_name = "R", default_value_t = 0.0, allow_negative_numbers = true)]
    ridge: f64,
    /// No weight is below 0
    #[arg(long, conflicts_with = "lower")]
    nonnegative: bool,
    /// No weight is below this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    lower: Option<f64>,
    /// No weight is above this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    upper: Option<f64>,
    #[command(flatten)]
    solving: Solving,
    /// Folder for coefficients.csv, model.json, trace.csv, trace.svg and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How a problem is solved, for `fit` and `propagate`.
#[derive(Args, Debug)]
pub(super) struct Solving {
    /// Which block is updated next; the default works best
    #[arg(long, value_enum, default_value_t = RuleName::Gsl)]
    rule: RuleName,
    /// What a block is; automatic takes growing blocks for rows and greedy trees for graphs
    #[arg(long, value_enum, default_value_t = BlocksName::Automatic)]
    blocks: BlocksName,
    /// Coordinates of a variable or fixed block
    #[arg(long, value_name = "N", default_value_t = 10)]
    size: usize,
    /// How fixed blocks are put together
    #[arg(long, value_enum, default_value_t = PartitionName::Sorted)]
    partition: PartitionName,
    /// What is done with a block
    #[arg(long, value_enum, default_value_t = UpdateName::Newton)]
    update: UpdateName,
    /// End when the certificate is at most this share of its value at zero
    #[arg(long, value_name = "SHARE", default_value_t = 1e-8, allow_negative_numbers = true)]
    tolerance: f64,
    /// Most updates of a block
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    iterations: usize,
    /// Do not take the weights that are left as one block once their set stays the same
    #[arg(long)]
    no_end_game: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LossName {
    /// (prediction - label)²/2
    LeastSquares,
    /// log(1 + exp(-y·prediction)), two classes
    Logistic,
    /// Several classes, a weight per feature and class
    Softmax,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RuleName {
    /// Any, with equal chances
    Random,
    /// One after the other
    Cyclic,
    /// With chances in proportion to Lipschitz constants
    Lipschitz,
    /// The longest gradient
    Gs,
    /// The largest promise by a Lipschitz constant
    Gsl,
    /// The largest promise by the constants of the coordinates
    Gsd,
    /// The largest promise by the matrix of the block
    Gsq,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BlocksName {
    /// Growing for rows, greedy-tree for a graph
    Automatic,
    /// All weights that are not zero, and as many again that promise most
    Growing,
    /// Other coordinates in every iteration
    Variable,
    /// The same blocks throughout
    Fixed,
    /// Classes without an edge inside (graphs)
    Colours,
    /// Forests that cover all nodes (graphs)
    Trees,
    /// A forest of the nodes that promise most, in every iteration (graphs)
    GreedyTree,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartitionName {
    /// As they come
    Order,
    /// By ascending Lipschitz constant
    Sorted,
    /// Small constants beside large ones
    Averaged,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UpdateName {
    /// A step of length 1/L
    Gradient,
    /// The same with L found by a line search
    LineSearch,
    /// The constant matrix of the block
    Matrix,
    /// The Hessian, with a line search
    Newton,
    /// Newton inside, gradient at bounds; needs bounds
    TwoMetric,
}

/// An L1 penalty as it was given.
#[derive(Clone, Copy, Debug)]
enum Strength {
    Number(f64),
    ShareOfLargest(f64),
}

fn strength(text: &str) -> Result<Strength, String> {
    let (number, kind): (&str, fn(f64) -> Strength) = match text.strip_suffix("max") {
        Some(share) => (share, Strength::ShareOfLargest),
        None => (text, Strength::Number),
    };
    let value: f64 =
        number.parse().map_err(|_| "use a number such as 5, or a share such as 0.1max".to_owned())?;
    if value.is_finite() && value >= 0.0 {
        Ok(kind(value))
    } else {
        Err("it must be finite and 0 or more".into())
    }
}

impl Solving {
    /// The method with these parameters.
    pub(super) fn method(&self, seed: u64) -> Result<BlockDescent, Failure> {
        let blocks = match self.blocks {
            BlocksName::Automatic => Blocks::Automatic,
            BlocksName::Growing => Blocks::Growing,
            BlocksName::Variable => Blocks::Variable(self.size),
            BlocksName::Fixed => Blocks::Fixed {
                partition: match self.partition {
                    PartitionName::Order => Partition::Order,
                    PartitionName::Sorted => Partition::Sorted,
                    PartitionName::Averaged => Partition::Averaged,
                },
                size: self.size,
            },
            BlocksName::Colours => Blocks::Colours,
            BlocksName::Trees => Blocks::Trees,
            BlocksName::GreedyTree => Blocks::GreedyTree,
        };
        let parameters = Parameters {
            rule: match self.rule {
                RuleName::Random => Rule::Random,
                RuleName::Cyclic => Rule::Cyclic,
                RuleName::Lipschitz => Rule::Lipschitz,
                RuleName::Gs => Rule::Gs,
                RuleName::Gsl => Rule::Gsl,
                RuleName::Gsd => Rule::Gsd,
                RuleName::Gsq => Rule::Gsq,
            },
            blocks,
            update: match self.update {
                UpdateName::Gradient => Update::Gradient,
                UpdateName::LineSearch => Update::LineSearch,
                UpdateName::Matrix => Update::Matrix,
                UpdateName::Newton => Update::Newton,
                UpdateName::TwoMetric => Update::TwoMetric,
            },
            tolerance: self.tolerance,
            iterations: self.iterations,
            end_game: !self.no_end_game,
            seed,
            ..Parameters::default()
        };
        BlockDescent::new(parameters).map_err(Failure::input)
    }
}

pub(crate) fn execute(arguments: &BlockDescentArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Fit(arguments) => fit(arguments, common),
        Verb::Predict(arguments) => predict(arguments, common),
        Verb::Propagate(arguments) => graph::propagate(arguments, common),
    }
}

/// `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: String,
    /// Names of the features, of a table.
    columns: Option<Vec<String>>,
    model: Model,
}

const MODEL_SCHEMA: &str = "backstitch/block-descent-model/1";

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    let method = arguments.solving.method(common.seed)?;
    let rows = Rows::read(&arguments.data, arguments.target.as_deref(), &arguments.reading)?;
    let (problem, task) = problem(arguments, &rows)?;
    let l1 = match arguments.l1 {
        Strength::Number(strength) => strength,
        Strength::ShareOfLargest(share) => share * problem.largest_l1(),
    };
    let lower = if arguments.nonnegative { Some(0.0) } else { arguments.lower };
    let penalty = Penalty {
        l1,
        lower: lower.unwrap_or(f64::NEG_INFINITY),
        upper: arguments.upper.unwrap_or(f64::INFINITY),
    };
    let problem = problem
        .with_ridge(arguments.ridge)
        .and_then(|problem| problem.with_penalty(penalty))
        .map_err(Failure::input)?;
    let empty = problem.empty_features();
    if !empty.is_empty() {
        terminal::say(format_args!(
            "warning: {} of {} features have no entry other than zero and are left out, the first being {}",
            empty.len(),
            problem.features(),
            rows.name(empty[0])
        ));
    }
    let solution = method.minimise(&problem).map_err(|error| {
        let hint = matches!(error, backstitch_optimize::Error::Separable)
            .then(|| "give --ridge 1 or --l1 0.01max".into());
        Failure::input(error).maybe_hint(hint)
    })?;
    note(&solution);
    let model = Model { task, weights: solution.point.clone() };
    let quality = quality(&model, &rows.features, &rows.labels)?;
    let summary = json!({
        "schema": "backstitch/block-descent/1",
        "data": arguments.data.to_string_lossy(),
        "rows": problem.rows(),
        "features": problem.features(),
        "empty_features": empty.len(),
        "l1": l1,
        "ridge": arguments.ridge,
        "solution": solved(&solution, &problem),
        quality.0: quality.1,
    });
    if let Some(folder) = &arguments.out {
        let saved = Saved { schema: MODEL_SCHEMA.into(), columns: rows.names.clone(), model: model.clone() };
        let pretty =
            |value: serde_json::Result<String>| value.map(|text| text + "\n").map_err(Failure::internal);
        let mut files = trace_files(&solution);
        files.push(("coefficients.csv", coefficients(&model, |feature| rows.name(feature))));
        files.push(("model.json", pretty(serde_json::to_string_pretty(&saved))?));
        files.push(("summary.json", pretty(serde_json::to_string_pretty(&summary))?));
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        let mut text = words(&solution, &problem, l1);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {:.4}", quality.0.replace('_', " "), quality.1);
        terminal::print(&text)?;
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

fn words(solution: &Solution, problem: &Problem, l1: f64) -> String {
    let weights = solution.point.iter().filter(|weight| **weight != 0.0).count();
    let mut text = format!("{} rows, {} features, L1 penalty {l1}\n", problem.rows(), problem.features());
    text += &report::words(solution);
    let _ = writeln!(text, "{weights} of {} weights are not zero", solution.point.len());
    if let Some(iteration) = solution.identified {
        let _ = writeln!(text, "the same weights are free from iteration {iteration} on");
    }
    text
}

/// The problem without its penalty, and what its weights predict.
fn problem(arguments: &FitArguments, rows: &Rows) -> Result<(Problem, Task), Failure> {
    if arguments.positive.is_some() && !matches!(arguments.loss, LossName::Logistic) {
        return Err(Failure::input(
            "--positive names a class, which only the logistic loss sets against the others",
        )
        .hint("give --loss logistic, or leave --positive out"));
    }
    match arguments.loss {
        LossName::LeastSquares => {
            Problem::least_squares(&rows.features, &rows.labels).map(|problem| (problem, Task::LeastSquares))
        }
        LossName::Logistic => Classes::of(&rows.labels, arguments.positive).and_then(|classes| {
            let problem = Problem::logistic(&rows.features, &classes.signs(&rows.labels))?;
            Ok((problem, Task::Logistic(classes)))
        }),
        LossName::Softmax => {
            let mut labels = rows.labels.clone();
            labels.sort_by(f64::total_cmp);
            labels.dedup();
            if labels.len() > MOST_CLASSES {
                let message = format!(
                    "there are {} different labels, but at most {MOST_CLASSES} classes",
                    labels.len()
                );
                return Err(Failure::input(message).hint("for numbers give --loss least-squares"));
            }
            let place = |label: &f64| labels.partition_point(|other| other < label);
            let classes: Vec<usize> = rows.labels.iter().map(place).collect();
            Problem::softmax(&rows.features, &classes, labels.len().max(2))
                .map(|problem| (problem, Task::Softmax(labels)))
        }
    }
    .map_err(|error| {
        use backstitch_optimize::Error as Refused;
        let hint = match &error {
            Refused::ManyClasses { .. } => Some("give --loss softmax, or --positive LABEL".into()),
            Refused::NoSuchClass { .. } => Some("give --positive one of them".into()),
            _ => None,
        };
        Failure::input(error).maybe_hint(hint)
    })
}

/// Weights of more would hardly be read.
const MOST_CLASSES: usize = 10_000;

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let file = ModelFile { path: &arguments.model, schema: MODEL_SCHEMA, writer: "`fit --out`" };
    let saved: Saved = file.read()?;
    saved.model.validate().map_err(|error| file.unusable(&error))?;
    if let Some(names) = saved.columns.as_ref().filter(|names| names.len() != saved.model.features()) {
        let problem = format!("it has {} names for {} features", names.len(), saved.model.features());
        return Err(file.unusable(&problem));
    }
    let features = features_for(
        &arguments.data,
        saved.columns.as_deref(),
        saved.model.features(),
        arguments.zero_based,
    )?;
    let predictions = saved.model.predict(&features).map_err(Failure::internal)?;
    print_predictions(&saved.model.task, &predictions, common).map(|()| EXIT_DONE)
}
