//! The study of `topo`: does descending the score over orders find better graphs than what one would use instead?
//!
//! Like is compared with like: a dense fit on an order with a dense fit on an order (`dense_score`), and a thresholded
//! support re-fitted by least squares with a thresholded support re-fitted (`sparse_score`, `shd`). A dense fit on any
//! consistent order beats a sparse one trivially.
//!
//! On generated data the noise has equal variance and the columns keep their scale, which is what makes the order
//! identifiable by least squares, and also what makes the variances give it away. The arm `sortnregress` shows how far
//! the variances alone go, and the claim `standardising-hurts` what happens without them.

use backstitch_claim::{
    Arm, Cell, CellContext, CellError, Claim, Effect, Metric, OWN_DATA, Role, Scale, Scope, Statistic, Study,
};
use backstitch_data::dag::{DagParameters, Graph, Noise, generate};
use backstitch_data::edges::{adjacency, read_edges};
use backstitch_data::table::{TableOptions, read_table};
use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::topo::{
    DagmaParameters, Neighbourhood, Parameters, Problem, Search, Topo, dagma, prune, refit, score_of_weights,
    shd, threshold, topological_order,
};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Generated settings that every claim about generated data reads.
const GENERATED: &[&str] = &["er2-small", "er2", "er2-exponential", "er2-gumbel", "er4", "sf2"];
/// The Sachs protein data, columns standardised.
const SACHS: &str = "sachs";
/// Real data is cut into as many disjoint parts, one per seed, so that seeds are independent.
const PARTS: u64 = SEEDS;
/// With six settings 120 runs: 90 % can be told from 97 % by an exact binomial interval.
const SEEDS: u64 = 20;

/// The study.
pub static STUDY: Study = Study {
    method: "topo",
    history: &[
        "first version",
        "review: standardised weights go back to their units before the threshold (the threshold alone moved the distance); \
         every setting draws graphs of its own (three shared them); seeds of real data are disjoint parts of the rows, not \
         resamples; a lower score is claimed as such, not as no higher; stronger controls; an empty graph stands beside \
         the Sachs claims; on own data only claims that 20 seeds can decide",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: SEEDS,
    data: &[SACHS],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    Arm {
        name: "topo",
        role: Role::Method,
        description: "TOPO with the released setting (swaps, s0 = 100, s1 = 400) from one random order; no tuning",
    },
    Arm {
        name: "topo-insertions",
        role: Role::Method,
        description: "what `run topo` does: every move of one node, then one edge at a time pruned at 0.3; no tuning",
    },
    Arm {
        name: "topo-after-dagma",
        role: Role::Method,
        description: "TOPO started from the order of DAGMA's graph; no tuning",
    },
    Arm {
        name: "dagma",
        role: Role::Baseline,
        description: "linear DAGMA with its released setting (λ₁ = 0.03, five domains); no tuning",
    },
    Arm {
        name: "sortnregress",
        role: Role::Baseline,
        description: "order by variance, then regression; no tuning",
    },
    Arm {
        name: "random-restarts",
        role: Role::Baseline,
        description: "hill climbing over random swaps with restarts, as many scores computed as TOPO computed",
    },
    Arm {
        name: "topo-standardised",
        role: Role::Ablation,
        description: "TOPO on the same data with every column divided by its standard deviation",
    },
    Arm {
        name: "empty-graph",
        role: Role::Baseline,
        description: "no edge at all; what every graph must beat to have found something",
    },
    Arm {
        name: "variance-order",
        role: Role::Control,
        description: "the order by variance and its regression: what the scales alone give away",
    },
    Arm {
        name: "random-order",
        role: Role::Control,
        description: "a random order and its regression; the evaluations of TOPO spent on nothing",
    },
    Arm {
        name: "random-after-dagma",
        role: Role::Control,
        description: "post-processing that replaces DAGMA's order by a random one",
    },
    Arm {
        name: "complete-graph",
        role: Role::Control,
        description: "every pair joined along a random order: an answer that has learned nothing",
    },
    Arm {
        name: "standardised-again",
        role: Role::Control,
        description: "TOPO on data standardised beforehand: standardising them once more changes nothing",
    },
    Arm {
        name: "stale-factor",
        role: Role::Control,
        description: "the fast score read from the factor of another order",
    },
];

const METRICS: &[Metric] = &[
    Metric::lower("dense_score", "least-squares score of the dense fit on the final order"),
    Metric::lower(
        "log_score",
        "natural logarithm of dense_score: its differences are relative and add up over settings",
    ),
    Metric::lower(
        "sparse_score",
        "least-squares score of the graph, weights below 0.3 dropped and the rest re-fitted",
    ),
    Metric::lower("shd", "structural Hamming distance to the true graph; a reversed edge counts once"),
    Metric::lower("excess", "dense score minus the dense score of the true order"),
    Metric::lower("rise", "dense score after post-processing minus before, zero if it fell"),
    Metric::lower("route_gap", "relative difference between the fast score and one regression per node"),
    Metric::lower("evaluations", "number of scores computed"),
];

/// Scores that differ by less are the same score.
const SAME: f64 = 1e-9;

/// What most claims have in common: a share of runs on generated data, beaten by no random order.
const SHARE_OF_RUNS: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Reduced,
    subject: "topo",
    effect: Effect::Below { metric: "shd", bound: 0.0 },
    margin: 0.9,
    statistic: Statistic::ExactBinomial { at_least: 0.0 },
    settings: GENERATED,
    precondition: None,
    control: "random-order",
    own_data: false,
};

const CLAIMS: &[Claim] = &[
    Claim {
        id: "dense-score-vs-dagma",
        sentence: "TOPO reaches a score no worse than DAGMA's order in more than 90 % of runs, dense fit against dense fit",
        source: "abstract: a better score than the state of the art",
        effect: Effect::Improvement { metric: "dense_score", over: "dagma" },
        statistic: Statistic::ExactBinomial { at_least: -SAME },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "sparse-score-vs-dagma",
        sentence: "TOPO's graph, re-fitted, scores no worse than DAGMA's graph, re-fitted, in more than 90 % of runs",
        source: "abstract: a better score than the state of the art",
        effect: Effect::Improvement { metric: "sparse_score", over: "dagma" },
        statistic: Statistic::ExactBinomial { at_least: -SAME },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "lower-score-than-dagma",
        sentence: "TOPO's order has a lower score than DAGMA's on average, dense fit against dense fit",
        source: "abstract: a better score than the state of the art",
        effect: Effect::Improvement { metric: "log_score", over: "dagma" },
        margin: 0.0,
        statistic: Statistic::PairedT,
        own_data: true,
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "shd-vs-dagma",
        sentence: "TOPO's graph is no further from the truth than DAGMA's in more than 90 % of runs",
        source: "ours: whether the better score is a better graph",
        effect: Effect::Improvement { metric: "shd", over: "dagma" },
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "insertions-shd-vs-dagma",
        sentence: "With our default the graph is no further from the truth than DAGMA's in more than 90 % of runs",
        source: "ours: the default of `run topo`",
        subject: "topo-insertions",
        effect: Effect::Improvement { metric: "shd", over: "dagma" },
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "score-vs-sortnregress",
        sentence: "TOPO reaches a score no worse than the order by variance in more than 90 % of runs",
        source: "ours: what the variances alone give away",
        effect: Effect::Improvement { metric: "dense_score", over: "sortnregress" },
        statistic: Statistic::ExactBinomial { at_least: -SAME },
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "score-vs-random-restarts",
        sentence: "TOPO beats hill climbing over random swaps with restarts at an equal number of scores",
        source: "abstract: an effective choice of candidate swaps; the equal budget is ours",
        effect: Effect::Improvement { metric: "log_score", over: "random-restarts" },
        margin: 0.0,
        statistic: Statistic::PairedT,
        own_data: true,
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "recovers-the-graph",
        sentence: "With equal noise variances TOPO recovers the graph exactly in more than 90 % of runs",
        source: "ours, from a prototype",
        effect: Effect::Below { metric: "shd", bound: 0.0 },
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "insertions-recover-the-graph",
        sentence: "With every move of one node and pruning edge by edge (our default), the graph is recovered exactly in more than 90 % of runs",
        source: "ours: the default of `run topo`",
        subject: "topo-insertions",
        effect: Effect::Below { metric: "shd", bound: 0.0 },
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "reaches-the-true-order",
        sentence: "TOPO's score is at most 2e-4 above the score of the true order in more than 90 % of runs",
        source: "ours, from a prototype",
        effect: Effect::Below { metric: "excess", bound: 2e-4 },
        statistic: Statistic::ExactBinomial { at_least: 0.0 },
        control: "variance-order",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "post-processing-never-raises",
        sentence: "Started from another learner's order, TOPO never ends with a higher score",
        source: "ours: what descending a score from a given order implies",
        scope: Scope::Identity,
        subject: "topo-after-dagma",
        effect: Effect::Above { metric: "rise", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::Identity { tolerance: SAME },
        control: "random-after-dagma",
        own_data: true,
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "post-processing-lowers-score",
        sentence: "Started from DAGMA's order, TOPO lowers the score on average",
        source: "abstract: post-processing improves the score of other algorithms",
        subject: "topo-after-dagma",
        effect: Effect::Improvement { metric: "log_score", over: "dagma" },
        margin: 0.0,
        statistic: Statistic::PairedT,
        control: "random-after-dagma",
        own_data: true,
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "fast-score-is-exact",
        sentence: "The score from one Cholesky factor equals the sum of one regression per node",
        source: "ours: the fast evaluation",
        scope: Scope::Identity,
        effect: Effect::Above { metric: "route_gap", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::Identity { tolerance: SAME },
        control: "stale-factor",
        own_data: true,
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "standardising-hurts",
        sentence: "Searching on columns divided by their standard deviations costs TOPO at least one edge on average, weights judged in their own units: the order was in the scales",
        source: "ours: a boundary of the method (variance-sortability)",
        scope: Scope::Mechanism,
        effect: Effect::Improvement { metric: "shd", over: "topo-standardised" },
        margin: 1.0,
        statistic: Statistic::PairedT,
        control: "standardised-again",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "sachs-shd-vs-dagma",
        sentence: "On parts of the Sachs data, standardised, TOPO's graph is nearer to the consensus graph than DAGMA's",
        source: "ours, on the data that papers of this field use",
        scope: Scope::Mechanism,
        effect: Effect::Improvement { metric: "shd", over: "dagma" },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: &[SACHS],
        control: "complete-graph",
        ..SHARE_OF_RUNS
    },
    Claim {
        id: "sachs-shd-vs-empty",
        sentence: "On parts of the Sachs data, standardised, TOPO's graph is nearer to the consensus graph than no graph at all",
        source: "ours, on the data that papers of this field use",
        scope: Scope::Mechanism,
        effect: Effect::Improvement { metric: "shd", over: "empty-graph" },
        margin: 0.0,
        statistic: Statistic::PairedT,
        settings: &[SACHS],
        control: "complete-graph",
        ..SHARE_OF_RUNS
    },
];

/// A generated setting: its name stays, its size depends on the scale.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    name: String,
    data: DagParameters,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    settings: Vec<Setting>,
    /// Absolute weights below it are no edges.
    threshold: f64,
    topo: Parameters,
    dagma: DagmaParameters,
    /// Set by `--data` only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    own_data: bool,
}

fn configuration(scale: Scale) -> Value {
    let setting = |name: &str, graph, nodes, degree, noise, unit_variance| Setting {
        name: name.into(),
        data: DagParameters {
            graph,
            nodes,
            edges: nodes * degree,
            noise,
            unit_variance,
            ..DagParameters::default()
        },
    };
    let settings = |small, middle, large| {
        let (er, sf) = (Graph::ErdosRenyi, Graph::ScaleFree);
        vec![
            setting("er2-small", er, small, 2, Noise::Gauss, true),
            setting("er2", er, middle, 2, Noise::Gauss, true),
            setting("er2-exponential", er, middle, 2, Noise::Exponential, true),
            setting("er2-gumbel", er, middle, 2, Noise::Gumbel, true),
            setting("er4", er, large, 4, Noise::Gauss, true),
            setting("sf2", sf, middle, 2, Noise::Gauss, true),
        ]
    };
    let full = DagmaParameters::default();
    let (settings, dagma) = match scale {
        Scale::Smoke => {
            (settings(6, 8, 12), DagmaParameters { warm_iterations: 300, last_iterations: 600, ..full })
        }
        Scale::Quick => (settings(10, 20, 30), full),
        Scale::Paper => (settings(20, 50, 100), full),
    };
    json!(Configuration { settings, threshold: 0.3, topo: Parameters::default(), dagma, own_data: false })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    if !(configuration.threshold >= 0.0 && configuration.threshold.is_finite()) {
        return Err(format!("threshold is {}, but must be 0 or more", configuration.threshold));
    }
    Topo::new(configuration.topo.clone()).map_err(|error| error.to_string())?;
    configuration.dagma.validate().map_err(|error| error.to_string())?;
    let mut settings: Vec<(&str, Option<&str>)> = Vec::new();
    if configuration.own_data {
        if seeds.len() as u64 > PARTS {
            return Err(format!(
                "data of yours is cut into {PARTS} parts, one per seed; ask for at most {PARTS} seeds"
            ));
        }
        settings.push((OWN_DATA, Some(OWN_DATA)));
    } else {
        settings.extend(configuration.settings.iter().map(|setting| (setting.name.as_str(), None)));
        settings.push((SACHS, Some(SACHS)));
    }
    let mut cells = Vec::new();
    for (setting, data) in settings {
        for &seed in seeds {
            let cell = |arm: &str| {
                let cell = Cell::new(arm, setting, seed);
                data.map_or(cell.clone(), |name| cell.reading(name))
            };
            cells.push(cell("topo"));
            cells.push(cell("topo-insertions"));
            cells.push(cell("dagma"));
            cells.push(cell("sortnregress"));
            cells.push(cell("random-restarts").needing("topo"));
            cells.push(cell("topo-after-dagma").needing("dagma"));
            cells.push(cell("random-order"));
            cells.push(cell("random-after-dagma").needing("dagma"));
            cells.push(cell("stale-factor"));
            cells.push(cell("complete-graph"));
            cells.push(cell("variance-order"));
            cells.push(cell("empty-graph"));
            if data.is_none() {
                cells.push(cell("topo-standardised"));
                cells.push(cell("standardised-again"));
            }
        }
    }
    Ok(cells)
}

/// What an arm works on.
struct Sample {
    table: Matrix,
    truth: Option<Truth>,
}

struct Truth {
    graph: Matrix,
    /// A known order of generated data; real data has none.
    order: Option<Vec<usize>>,
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let mut sample = sample(cell, &configuration, context)?;
    let scales = standard_deviations(&sample.table);
    if cell.arm == "standardised-again" {
        for row in 0..sample.table.rows() {
            for (value, scale) in sample.table.row_mut(row).iter_mut().zip(&scales) {
                *value /= scale;
            }
        }
    }
    // Real columns have units of their own; without a common scale the threshold would mean nothing.
    let real = cell.setting == SACHS || cell.setting == OWN_DATA;
    let standardise = real || matches!(cell.arm.as_str(), "topo-standardised" | "standardised-again");
    let neighbourhood = match cell.arm.as_str() {
        "topo-insertions" => Neighbourhood::Insertions,
        _ => configuration.topo.neighbourhood,
    };
    let parameters = Parameters { seed: cell.seed, standardise, neighbourhood, ..configuration.topo.clone() };
    let problem =
        Topo::new(parameters).and_then(|topo| topo.prepare(&sample.table)).map_err(CellError::new)?;
    let bench = Arms { cell, problem: &problem };

    let (order, search_score) = match cell.arm.as_str() {
        "topo" | "topo-insertions" | "topo-standardised" | "standardised-again" => {
            let search = bench.search(context, || problem.start(0))?;
            context.artifact("search.json", json!(search).to_string().as_bytes())?;
            context.observe("evaluations", search.evaluations as f64);
            (search.order, Some(search.score))
        }
        "topo-after-dagma" => {
            let start = topological_order(&bench.weights_of_dagma(context)?).map_err(CellError::new)?;
            let before = problem.score_of_order(&start).map_err(CellError::new)?;
            let search = bench.search(context, || problem.start_from(&start))?;
            context.observe("rise", rise(before, search.score));
            context.observe("evaluations", search.evaluations as f64);
            (search.order, Some(search.score))
        }
        "random-after-dagma" => {
            let start = topological_order(&bench.weights_of_dagma(context)?).map_err(CellError::new)?;
            let before = problem.score_of_order(&start).map_err(CellError::new)?;
            let order = bench.random_order();
            let after = problem.score_of_order(&order).map_err(CellError::new)?;
            context.observe("rise", rise(before, after));
            (order, None)
        }
        "dagma" => {
            let fit = dagma(problem.covariance(), &configuration.dagma).map_err(CellError::new)?;
            context.artifact("weights.json", &to_json(&fit.weights)?)?;
            let order = topological_order(&fit.weights).map_err(CellError::new)?;
            bench.observe_graph(&fit.weights, &order, sample.truth.as_ref(), context)?;
            return Ok(());
        }
        "sortnregress" | "variance-order" | "empty-graph" => (problem.variance_order(), None),
        "random-restarts" => {
            let bytes = context.read_need("topo", "search.json")?;
            let search: Search = serde_json::from_slice(&bytes).map_err(CellError::new)?;
            let found = problem.random_restarts(search.evaluations, cell.seed).map_err(CellError::new)?;
            context.observe("evaluations", found.evaluations as f64);
            (found.order, None)
        }
        "random-order" | "complete-graph" => (bench.random_order(), None),
        "stale-factor" => {
            let wrong = problem.score_of_order(&bench.random_order()).map_err(CellError::new)?;
            let regressed = bench.regressed(&problem.variance_order())?;
            context.observe("route_gap", (wrong - regressed).abs() / regressed);
            return Ok(());
        }
        other => return Err(CellError::new(format!("no arm `{other}`"))),
    };
    if let Some(score) = search_score {
        let regressed = bench.regressed(&order)?;
        context.observe("route_gap", (score - regressed).abs() / regressed);
    }
    let dense = problem.weights_of_order(&order).map_err(CellError::new)?;
    let dense = if matches!(cell.arm.as_str(), "topo-standardised" | "standardised-again") {
        Matrix::from_fn(dense.rows(), dense.columns(), |i, j| dense[(i, j)] * scales[j] / scales[i])
    } else {
        dense
    };
    let graph = match cell.arm.as_str() {
        "complete-graph" => dense,
        "empty-graph" => Matrix::zeros(dense.rows(), dense.columns()),
        "topo-insertions" => {
            prune(problem.covariance(), &dense, configuration.threshold).map_err(CellError::new)?.0
        }
        _ => threshold(&dense, configuration.threshold),
    };
    bench.observe_graph(&graph, &order, sample.truth.as_ref(), context)
}

/// What the arms share.
struct Arms<'a> {
    cell: &'a Cell,
    problem: &'a Problem,
}

impl Arms<'_> {
    /// Steps a search to its end, with a trace and checkpoints.
    fn search<E: std::fmt::Display>(
        &self,
        context: &CellContext<'_>,
        start: impl FnOnce() -> Result<Search, E>,
    ) -> Result<Search, CellError> {
        let (mut step, mut search) = match context.resume()? {
            Some(state) => state,
            None => (0, start().map_err(CellError::new)?),
        };
        while search.step(self.problem).map_err(CellError::new)? {
            step += 1;
            context.log(step, &[("score", search.score), ("evaluations", search.evaluations as f64)])?;
            if step.is_multiple_of(4) {
                context.checkpoint(step, &search)?;
            }
        }
        Ok(search)
    }

    /// The same random order for every arm of a seed.
    fn random_order(&self) -> Vec<usize> {
        Stream::new(self.cell.seed, "topo study random order").permutation(self.problem.columns())
    }

    /// The score of an order by one regression per node.
    fn regressed(&self, order: &[usize]) -> Result<f64, CellError> {
        let d = self.problem.columns();
        let mut place = vec![0; d];
        for (position, &node) in order.iter().enumerate() {
            place[node] = position;
        }
        let complete = Matrix::from_fn(d, d, |i, j| f64::from(u8::from(place[i] < place[j])));
        refit(self.problem.covariance(), &complete).map(|(_, score)| score).map_err(CellError::new)
    }

    fn weights_of_dagma(&self, context: &CellContext<'_>) -> Result<Matrix, CellError> {
        let d = self.problem.columns();
        let values: Vec<f64> =
            serde_json::from_slice(&context.read_need("dagma", "weights.json")?).map_err(CellError::new)?;
        Matrix::new(d, d, values).map_err(CellError::new)
    }

    /// Scores of a graph and of an order that fits it, and its distance to the truth.
    fn observe_graph(
        &self,
        graph: &Matrix,
        order: &[usize],
        truth: Option<&Truth>,
        context: &mut CellContext<'_>,
    ) -> Result<(), CellError> {
        if let Some(truth) = truth {
            context.observe("shd", shd(graph, &truth.graph).map_err(CellError::new)? as f64);
        }
        if self.cell.arm.starts_with("standardised") || self.cell.arm.ends_with("standardised") {
            // Their scores are in other units than those of the other arms.
            return Ok(());
        }
        let covariance = self.problem.covariance();
        let dense = self.problem.score_of_order(order).map_err(CellError::new)?;
        let (weights, _) = refit(covariance, graph).map_err(CellError::new)?;
        context.observe("dense_score", dense);
        context.observe("log_score", dense.ln());
        context.observe("sparse_score", score_of_weights(covariance, &weights).map_err(CellError::new)?);
        if let Some(order) = truth.and_then(|truth| truth.order.as_ref()) {
            let best = self.problem.score_of_order(order).map_err(CellError::new)?;
            context.observe("excess", dense - best);
        }
        Ok(())
    }
}

/// How much a score rose; zero if it fell, not a number if one of them is not.
fn rise(before: f64, after: f64) -> f64 {
    if after <= before { 0.0 } else { after - before }
}

/// The data of a cell: generated, or a part of the rows of a file, disjoint from those of other seeds. The same for all
/// arms of a seed.
fn sample(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<Sample, CellError> {
    if let Some(setting) = configuration.settings.iter().find(|setting| setting.name == cell.setting) {
        // Settings of one size would otherwise share their graphs.
        let seed = Stream::new(cell.seed, &setting.name).next_u64();
        let drawn = generate(&setting.data, seed).map_err(CellError::new)?;
        let bytes: Vec<u8> = drawn.samples.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        context.record_data(&setting.name, &bytes, true);
        let truth = Truth { graph: drawn.weights, order: Some(drawn.order) };
        return Ok(Sample { table: drawn.samples, truth: Some(truth) });
    }
    let place = context.data(&cell.setting)?;
    let (file, truth) = match cell.setting.as_str() {
        SACHS => {
            (place.join("sachs.2005.continuous.txt"), Some(place.join("sachs.2005.ground.truth.graph.txt")))
        }
        _ => (place.to_path_buf(), None),
    };
    let table = read_table(&file, &TableOptions::default()).map_err(CellError::new)?;
    let truth = match truth {
        Some(file) => {
            let edges = read_edges(&file, &table.columns).map_err(CellError::new)?;
            Some(Truth { graph: adjacency(&edges, table.columns.len()), order: None })
        }
        None => None,
    };
    // The same shuffle for every seed, of which each takes its own part.
    let shuffled = Stream::new(0, "topo study rows").permutation(table.values.rows());
    let part = usize::try_from(cell.seed % PARTS).map_err(CellError::new)?;
    let chosen: Vec<usize> = shuffled.into_iter().skip(part).step_by(PARTS as usize).collect();
    if chosen.len() < 2 * table.values.columns() {
        return Err(CellError::new(format!(
            "a part of the data has {} rows for {} columns; {PARTS} disjoint parts of twice as many rows as columns are needed",
            chosen.len(),
            table.values.columns()
        )));
    }
    let part = Matrix::from_fn(chosen.len(), table.values.columns(), |row, column| {
        table.values[(chosen[row], column)]
    });
    Ok(Sample { table: part, truth })
}

/// Of every column.
fn standard_deviations(table: &Matrix) -> Vec<f64> {
    let rows = table.rows() as f64;
    let deviation = |column: usize| {
        let mean = table.column(column).sum::<f64>() / rows;
        (table.column(column).map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt()
    };
    (0..table.columns()).map(deviation).collect()
}

fn to_json(matrix: &Matrix) -> Result<Vec<u8>, CellError> {
    serde_json::to_vec(matrix.values()).map_err(CellError::new)
}
