//! Errors of estimates, side by side.

use serde::Serialize;

use super::query::Query;

/// One route of estimation against the truth and against the marginal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GapRow {
    /// The route.
    pub route: String,
    /// Queries with an estimate.
    pub queries: usize,
    /// Mean squared error to the exact conditional probability.
    pub to_truth: f64,
    /// Mean squared difference to the marginal: what an estimate that ignores the condition has as zero.
    pub to_marginal: f64,
}

/// One row per route, and first the row of answering with the marginal. Queries without an estimate are left out of a row; its
/// number of queries says so.
pub fn gap_table(queries: &[Query], routes: &[(&str, &[Option<f64>])]) -> Vec<GapRow> {
    let marginal: Vec<Option<f64>> = queries.iter().map(|query| Some(query.marginal)).collect();
    let row = |(route, values): (&str, &[Option<f64>])| GapRow {
        route: route.into(),
        queries: values.iter().flatten().count(),
        to_truth: mean(&squared_errors(queries, values, |query| query.truth)),
        to_marginal: mean(&squared_errors(queries, values, |query| query.marginal)),
    };
    [("marginal", marginal.as_slice())].into_iter().chain(routes.iter().copied()).map(row).collect()
}

/// The squared error of every estimate to `wanted`; `None` where there is no estimate.
pub fn squared_errors(
    queries: &[Query],
    estimates: &[Option<f64>],
    wanted: impl Fn(&Query) -> f64,
) -> Vec<Option<f64>> {
    queries
        .iter()
        .zip(estimates)
        .map(|(query, value)| value.map(|value| (value - wanted(query)).powi(2)))
        .collect()
}

/// `worse − better` in squared error to the truth, gathered by pair: the clusters of
/// [`backstitch_numerics::bootstrap::cluster_bootstrap`] (the four queries of a pair belong together). Queries that lack one of the two
/// are left out, and so are pairs without any.
pub fn paired_differences(queries: &[Query], worse: &[Option<f64>], better: &[Option<f64>]) -> Vec<Vec<f64>> {
    let pairs = queries.iter().map(|query| query.pair + 1).max().unwrap_or(0);
    let mut clusters = vec![Vec::new(); pairs];
    let errors = |values| squared_errors(queries, values, |query| query.truth);
    for ((query, worse), better) in queries.iter().zip(errors(worse)).zip(errors(better)) {
        if let (Some(worse), Some(better)) = (worse, better) {
            clusters[query.pair].push(worse - better);
        }
    }
    clusters.retain(|cluster| !cluster.is_empty());
    clusters
}

fn mean(values: &[Option<f64>]) -> f64 {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    known.iter().sum::<f64>() / known.len() as f64
}
