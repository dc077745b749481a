//! The study of `block-descent`: do larger choices of blocks, better rules and better updates make block coordinate descent converge
//! faster, and by how much?
//!
//! The paper's generated problems: A, least squares; B, logistic; C, softmax; D, label propagation on a lattice; E, on two moons; and the
//! non-negative lasso on A. Arms of a seed see the same problem, start from zero and update as many blocks. What is compared is the
//! objective above its minimum, which a reference finds by another route. Nothing is tuned.

mod claims;
mod data;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_numerics::Stream;
use backstitch_optimize::block_descent::{
    BlockDescent, Blocks, Parameters, Partition, Penalty, Problem, Rule, Solution, Update,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, METRICS};
use data::{classes, moons, sparse_signs};
pub(crate) use data::{lattice, sparse_rows};

/// The study.
pub static STUDY: Study = Study {
    method: "block-descent",
    history: &[
        "first version",
        "the default solves a growing block to a tenth until its support settles; products, factors and sweeps are counted as they are now made",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 8,
    data: &[],
    configuration,
    cells,
    run,
};

/// Arms on losses of rows.
const ROW_ARMS: &[&str] = &[
    "vb-gs",
    "vb-gsl",
    "vb-gsl-matrix",
    "vb-gs-matrix",
    "vb-gsq-matrix",
    "fb-gs",
    "fb-gsq-matrix",
    "vb-random",
    "vb-lipschitz",
    "vb-random-matrix",
    "vb-gsl-search",
];
/// Arms on graphs.
const GRAPH_ARMS: &[&str] = &["tree", "red-black", "general", "random-tree", "tree-gradient"];
/// Arms on the non-negative lasso.
const LASSO_ARMS: &[&str] = &["end-game", "growing", "two-metric", "wide-block", "narrow-block"];
/// Differences below this share of the objective at zero are rounding.
const FLOOR: f64 = 1e-11;
/// Most updates of the reference; rounding may keep it from its tolerance.
const REFERENCE_ITERATIONS: usize = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Rows and columns of A, B and the non-negative lasso.
    rows: usize,
    columns: usize,
    /// Rows and columns, and classes, of C.
    square: usize,
    classes: usize,
    /// Ridge of B and C: without one, B has no minimum, because more columns than rows separate the classes.
    ridge: f64,
    /// Side of the lattice and its labels.
    side: usize,
    lattice_labels: usize,
    /// Points, neighbours and labels of the moons.
    points: usize,
    nearest: usize,
    moon_labels: usize,
    /// Sizes of blocks.
    sizes: Vec<usize>,
    /// Blocks that are updated.
    iterations: usize,
    /// Multiplications, per entry of the data, after which arms are compared too.
    work: f64,
    /// Strength of the L1 penalty as a share of the largest, size of a block above the support and of one below it, and iterations.
    penalty: f64,
    wide: usize,
    narrow: usize,
    lasso_iterations: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        rows: 300,
        columns: 2_000,
        square: 100,
        classes: 5,
        ridge: 1.0,
        side: 50,
        lattice_labels: 100,
        points: 2_000,
        nearest: 5,
        moon_labels: 100,
        sizes: vec![5, 50],
        iterations: 200,
        work: 200.0,
        penalty: 0.1,
        wide: 100,
        narrow: 5,
        lasso_iterations: 500,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            rows: 60,
            columns: 150,
            square: 40,
            classes: 3,
            side: 12,
            lattice_labels: 10,
            points: 150,
            moon_labels: 20,
            iterations: 20,
            lasso_iterations: 60,
            wide: 40,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration {
            rows: 1_000,
            columns: 10_000,
            square: 1_000,
            classes: 50,
            sizes: vec![5, 50, 100],
            iterations: 500,
            ..quick
        },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    let mut cells = Vec::new();
    for &seed in seeds {
        let mut add = |problem: &str, settings: &[String], arms: &[&str]| {
            let reference = Cell::new("reference", problem, seed);
            let needs = vec![reference.id()];
            cells.push(reference);
            for setting in settings {
                let with = |arm: &&str| Cell { needs: needs.clone(), ..Cell::new(arm, setting, seed) };
                cells.extend(arms.iter().map(with));
            }
        };
        for problem in ["a", "b", "c"] {
            let settings: Vec<String> =
                configuration.sizes.iter().map(|size| format!("{problem}-{size}")).collect();
            add(problem, &settings, ROW_ARMS);
        }
        ["d", "e"].iter().for_each(|problem| add(problem, &[(*problem).to_owned()], GRAPH_ARMS));
        add("lasso", &["lasso".to_owned()], LASSO_ARMS);
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let (family, size) = match cell.setting.split_once('-') {
        Some((family, size)) => (family, size.parse().map_err(CellError::new)?),
        None => (cell.setting.as_str(), 0),
    };
    let problem = problem(family, &configuration, cell.seed, context)?;
    if cell.arm == "reference" {
        let parameters =
            Parameters { tolerance: FLOOR / 10.0, iterations: REFERENCE_ITERATIONS, ..Parameters::default() };
        let value = minimised(&problem, parameters)?.value;
        return context.artifact("minimum.json", json!(value).to_string().as_bytes());
    }
    let needs = context.read_needs("minimum.json")?;
    let minimum: f64 =
        serde_json::from_slice(needs.first().map_or(&[], Vec::as_slice)).map_err(CellError::new)?;
    let parameters = parameters(cell, &configuration, size)?;
    let solution = minimised(&problem, parameters)?;
    let first = solution.trace.first().map_or(1.0, |first| first.value - minimum);
    let above = |value: f64| (value - minimum).max(FLOOR * first);
    if family == "lasso" {
        observe_identification(&solution, above, context);
        return Ok(());
    }
    context.observe("log_above", above(solution.value).ln());
    let budget = (configuration.work * problem.entries() as f64) as u64;
    let within = solution.trace.iter().take_while(|line| line.multiplications <= budget).last();
    // What chooses its blocks at a higher cost has not begun.
    let value = within.or(solution.trace.first()).map_or(f64::NAN, |line| line.value);
    context.observe("log_above_at_work", above(value).ln());
    let work = solution.trace.last().map_or(0, |last| last.multiplications);
    context.observe("log_multiplications", (work.max(1) as f64).ln());
    Ok(())
}

/// The problem of a setting, the same for all arms of a seed and all sizes of blocks.
fn problem(
    family: &str,
    configuration: &Configuration,
    seed: u64,
    context: &mut CellContext<'_>,
) -> Result<Problem, CellError> {
    let Configuration { rows, columns, square, ridge, .. } = *configuration;
    let stream = &mut Stream::new(seed, &format!("block-descent study {family}"));
    let mut drawn = Vec::new();
    let mut record = |labels: &[f64]| drawn.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
    let problem = match family {
        "a" | "lasso" => {
            let data = sparse_rows(rows, columns, stream);
            record(&data.labels);
            let problem = Problem::least_squares(&data.features, &data.labels).map_err(CellError::new)?;
            if family == "a" {
                Ok(problem)
            } else {
                let l1 = configuration.penalty * problem.largest_l1();
                problem.with_penalty(Penalty { l1, lower: 0.0, upper: f64::INFINITY })
            }
        }
        "b" => {
            let data = sparse_signs(rows, columns, stream);
            record(&data.labels);
            Problem::logistic(&data.features, &data.labels).and_then(|problem| problem.with_ridge(ridge))
        }
        "c" => {
            let (features, labels) = classes(square, square, configuration.classes, stream);
            record(&labels.iter().map(|label| *label as f64).collect::<Vec<f64>>());
            Problem::softmax(&features, &labels, configuration.classes)
                .and_then(|problem| problem.with_ridge(ridge))
        }
        "d" | "e" => {
            let propagation = if family == "d" {
                lattice(configuration.side, configuration.lattice_labels, stream)
            } else {
                moons(configuration.points, configuration.nearest, configuration.moon_labels, stream)
            };
            let problem = propagation.map_err(CellError::new)?.problem;
            record(problem.linear().unwrap_or_default());
            Ok(problem)
        }
        other => return Err(CellError::new(format!("no setting `{other}`"))),
    }
    .map_err(CellError::new)?;
    context.record_data(family, &drawn, true);
    Ok(problem)
}

fn minimised(problem: &Problem, parameters: Parameters) -> Result<Solution, CellError> {
    BlockDescent::new(parameters).and_then(|method| method.minimise(problem)).map_err(CellError::new)
}

fn parameters(cell: &Cell, configuration: &Configuration, size: usize) -> Result<Parameters, CellError> {
    let fixed = Blocks::Fixed { partition: Partition::Sorted, size };
    let variable = Blocks::Variable(size);
    let nodes = configuration.side * configuration.side;
    // What a dense solve of a block may cost as much as a tree: n^(1/3) nodes.
    let small = Blocks::Variable((nodes as f64).cbrt().round() as usize);
    let (wide, narrow) = (Blocks::Variable(configuration.wide), Blocks::Variable(configuration.narrow));
    let (rule, blocks, update) = match cell.arm.as_str() {
        "vb-gs" => (Rule::Gs, variable, Update::Gradient),
        "vb-gsl" => (Rule::Gsl, variable, Update::Gradient),
        "vb-gsl-search" => (Rule::Gsl, variable, Update::LineSearch),
        "vb-gsl-matrix" => (Rule::Gsl, variable, Update::Matrix),
        "vb-gs-matrix" => (Rule::Gs, variable, Update::Matrix),
        "vb-gsq-matrix" => (Rule::Gsq, variable, Update::Matrix),
        "fb-gs" => (Rule::Gs, fixed, Update::Gradient),
        "fb-gsq-matrix" => (Rule::Gsq, fixed, Update::Matrix),
        "vb-random" => (Rule::Random, variable, Update::Gradient),
        "vb-lipschitz" => (Rule::Lipschitz, variable, Update::Gradient),
        "vb-random-matrix" => (Rule::Random, variable, Update::Matrix),
        "tree" => (Rule::Gsl, Blocks::GreedyTree, Update::Matrix),
        "red-black" => (Rule::Gs, Blocks::Colours, Update::Matrix),
        "general" => (Rule::Gs, small, Update::Matrix),
        "random-tree" => (Rule::Random, Blocks::GreedyTree, Update::Matrix),
        "tree-gradient" => (Rule::Gsl, Blocks::GreedyTree, Update::Gradient),
        "end-game" | "narrow-block" => (Rule::Gsq, narrow, Update::Matrix),
        "growing" => (Rule::Gsq, Blocks::Growing, Update::Matrix),
        "two-metric" => (Rule::Gsq, wide, Update::TwoMetric),
        "wide-block" => (Rule::Gsq, wide, Update::Matrix),
        other => return Err(CellError::new(format!("no arm `{other}`"))),
    };
    let lasso = cell.setting == "lasso";
    Ok(Parameters {
        rule,
        blocks,
        update,
        tolerance: 0.0,
        iterations: if lasso { configuration.lasso_iterations } else { configuration.iterations },
        end_game: cell.arm == "end-game",
        measure_every: Some(if rule.is_greedy() { 1 } else { 10 }),
        seed: cell.seed,
    })
}

/// When the free coordinates were the final ones, and the largest fall over three updates from then on.
fn observe_identification(solution: &Solution, above: impl Fn(f64) -> f64, context: &mut CellContext<'_>) {
    let identified = solution.identified.unwrap_or(solution.iterations);
    context.observe("identified", identified as f64);
    // The update that identifies is the first of the three.
    let from = identified.saturating_sub(1);
    let values: Vec<f64> = solution.trace.iter().skip(from).map(|line| above(line.value)).collect();
    let fall = |place: usize| values[place] / values[(place + 3).min(values.len() - 1)];
    let largest = (0..values.len()).map(fall).fold(1.0, f64::max);
    context.observe("log_fall", largest.ln());
    context.observe("log_above", values.last().copied().unwrap_or(f64::NAN).ln());
    context.observe("support", solution.trace.last().map_or(0.0, |last| last.free as f64));
}
