//! How far an estimated graph is from the true one. Only which entries are zero matters, except for
//! [`varsortability`], which also looks at the data's variances.

use backstitch_numerics::Matrix;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Counts of edges, over unordered pairs of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Edges of the estimate that the truth has in the same direction.
    pub correct: usize,
    /// Edges of the estimate that the truth has in the other direction only.
    pub reversed: usize,
    /// Edges of the estimate between nodes that the truth does not join.
    pub extra: usize,
    /// Joined pairs of the truth that the estimate does not join.
    pub missing: usize,
}

impl Comparison {
    /// Counts the edges of two d × d graphs.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ or are not square.
    pub fn new(estimated: &Matrix, truth: &Matrix) -> Result<Self, Error> {
        let d = truth.columns();
        for (what, graph) in [("the true graph", truth), ("the estimated graph", estimated)] {
            let found = (graph.rows(), graph.columns());
            if found != (d, d) {
                return Err(Error::Shape { what, found, expected: (d, d) });
            }
        }
        let mut counts = Self { correct: 0, reversed: 0, extra: 0, missing: 0 };
        for i in 0..d {
            for j in 0..i {
                let has = |graph: &Matrix| (graph[(i, j)] != 0.0, graph[(j, i)] != 0.0);
                let (estimate, real) = (has(estimated), has(truth));
                let joined = |pair: (bool, bool)| pair.0 || pair.1;
                counts.missing += usize::from(joined(real) && !joined(estimate));
                for (there, same, other) in [(estimate.0, real.0, real.1), (estimate.1, real.1, real.0)] {
                    counts.correct += usize::from(there && same);
                    counts.reversed += usize::from(there && !same && other);
                    counts.extra += usize::from(there && !same && !other);
                }
            }
        }
        Ok(counts)
    }

    /// Structural Hamming distance: extra + missing + reversed; a reversed edge counts once.
    pub fn shd(&self) -> usize {
        self.extra + self.missing + self.reversed
    }

    /// Share of the estimated edges that are correct; 1 for an estimate without edges.
    pub fn precision(&self) -> f64 {
        share(self.correct, self.correct + self.reversed + self.extra)
    }

    /// Share of the true edges that are found in their direction; 1 for a truth without edges.
    pub fn recall(&self) -> f64 {
        share(self.correct, self.correct + self.reversed + self.missing)
    }
}

/// Structural Hamming distance of two graphs; a reversed edge counts once.
///
/// # Errors
/// [`Error::Shape`] if the shapes differ or are not square.
pub fn shd(estimated: &Matrix, truth: &Matrix) -> Result<usize, Error> {
    Ok(Comparison::new(estimated, truth)?.shd())
}

/// Varsortability (Reisach, Seiler and Weichwald 2021): the share of directed paths along which the variance rises from the
/// first node to the last, paths counted once for every start, end and length; a tie counts one half. Near 1, sorting by
/// variance finds the order and a good score shows little; near 1/2, scale says nothing. None for a graph without edges.
///
/// # Errors
/// [`Error::Shape`] if the two matrices differ in shape.
pub fn varsortability(covariance: &Matrix, graph: &Matrix) -> Result<Option<f64>, Error> {
    let d = covariance.columns();
    for (what, matrix) in [("the covariance", covariance), ("the graph", graph)] {
        let found = (matrix.rows(), matrix.columns());
        if found != (d, d) {
            return Err(Error::Shape { what, found, expected: (d, d) });
        }
    }
    let children: Vec<Vec<usize>> =
        (0..d).map(|i| (0..d).filter(|&j| graph[(i, j)] != 0.0).collect()).collect();
    let (mut rising, mut all) = (0.0, 0.0);
    for start in 0..d {
        let mut reached = vec![false; d];
        reached[start] = true;
        for _ in 1..d {
            let mut next = vec![false; d];
            for node in (0..d).filter(|&node| reached[node]) {
                for &child in &children[node] {
                    next[child] = true;
                }
            }
            reached = next;
            for end in (0..d).filter(|&end| reached[end]) {
                let ratio = covariance[(end, end)] / covariance[(start, start)];
                all += 1.0;
                rising += if (ratio - 1.0).abs() <= 1e-9 { 0.5 } else { f64::from(u8::from(ratio > 1.0)) };
            }
        }
    }
    Ok((all > 0.0).then(|| rising / all))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
