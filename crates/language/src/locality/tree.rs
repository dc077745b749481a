//! A net from a user's samples, when none is known.

use super::infer::Pairs;
use super::network::Network;
use super::sample::Samples;
use crate::Error;

impl Network {
    /// The tree of largest likelihood (Chow and Liu 1968): the spanning tree of largest total mutual information, rooted at
    /// variable 0, with counted tables (half a sample added to every count). Pairs without information are not joined, so it may be a
    /// forest. Its distances and scaffolds tell which variables to go through on the way from one to another.
    ///
    /// # Errors
    /// [`Error::Variable`] for names that a net cannot have, [`Error::Parameter`] if there are not as many names as columns.
    pub fn tree(samples: &Samples, names: &[String]) -> Result<Self, Error> {
        let n = samples.variables();
        if names.len() != n {
            return Err(Error::Parameter {
                name: "names",
                value: format!("{} names", names.len()),
                allowed: format!("one for each of the {n} columns"),
                way_out: "name every column",
            });
        }
        let parents = spanning_tree(&samples.pairs());
        let tables = (0..n)
            .map(|v| match parents[v] {
                None => {
                    let one = samples.counts(v, v)[3] as f64;
                    vec![(one + 0.5) / (samples.rows() as f64 + 1.0)]
                }
                Some(parent) => {
                    let counts = samples.counts(parent, v).map(|count| count as f64);
                    (0..2).map(|x| (counts[x + 2] + 0.5) / (counts[x] + counts[x + 2] + 1.0)).collect()
                }
            })
            .collect();
        Self::new(
            names.to_vec(),
            parents.into_iter().map(|parent| parent.into_iter().collect()).collect(),
            tables,
        )
    }
}

/// The parent of every variable in a spanning forest of largest information (Prim's algorithm).
fn spanning_tree(pairs: &Pairs) -> Vec<Option<usize>> {
    let n = pairs.variables();
    let mut parents = vec![None; n];
    // Information with the nearest variable inside, and which that is.
    let mut best: Vec<(f64, Option<usize>)> = vec![(0.0, None); n];
    let mut inside = vec![false; n];
    for _ in 0..n {
        let outside = (0..n).filter(|&v| !inside[v]);
        let Some(next) = outside.max_by(|&a, &b| best[a].0.total_cmp(&best[b].0).then(b.cmp(&a))) else {
            break;
        };
        inside[next] = true;
        parents[next] = best[next].1;
        for v in (0..n).filter(|&v| !inside[v]) {
            let information = pairs.mutual_information(next, v);
            if information > best[v].0 {
                best[v] = (information, Some(next));
            }
        }
    }
    parents
}
