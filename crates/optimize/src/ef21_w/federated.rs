//! Rows of one file spread over simulated clients.

use backstitch_numerics::{SparseMatrix, Stream};
use serde::{Deserialize, Serialize};

use super::constants::Smoothness;
use crate::Error;
use crate::objective::{Loss, Objective, Regulariser, RowObjective};

/// Which rows go to which client. Clients get consecutive rows of this order, as many each, up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// By ascending label: most clients see one class only.
    Label,
    /// By ascending length of the features: the smoothness constants differ as much as they can.
    Norm,
    /// As in the file.
    Order,
    /// At random.
    Random,
}

/// Rows spread over clients. The rows of a client are consecutive; there is one copy of them all.
#[derive(Clone, Debug)]
pub struct Federated {
    features: SparseMatrix,
    labels: Vec<f64>,
    /// Client i has the rows `bounds[i]..bounds[i + 1]`.
    bounds: Vec<usize>,
}

impl Federated {
    /// Spreads rows over clients; rows that are equal in the order of the split stay in theirs.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::Labels`], [`Error::TooManyClients`], [`Error::Parameter`].
    pub fn new(
        features: &SparseMatrix,
        labels: &[f64],
        clients: usize,
        split: Split,
        seed: u64,
    ) -> Result<Self, Error> {
        let rows = features.rows();
        if rows == 0 {
            return Err(Error::NoRows);
        }
        if labels.len() != rows {
            return Err(Error::Labels { labels: labels.len(), rows });
        }
        if clients == 0 {
            return Err(Error::parameter("clients", 0, "1 or more", "use 1 to train without a split"));
        }
        if clients > rows {
            return Err(Error::TooManyClients { clients, rows });
        }
        let order = match split {
            Split::Order => (0..rows).collect(),
            Split::Random => Stream::new(seed, "ef21-w split").permutation(rows),
            Split::Label => sorted(labels),
            Split::Norm => sorted(&(0..rows).map(|row| features.row(row).squared_norm()).collect::<Vec<_>>()),
        };
        Ok(Self {
            features: features.select(&order),
            labels: order.iter().map(|&row| labels[row]).collect(),
            bounds: (0..=clients).map(|client| client * rows / clients).collect(),
        })
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.bounds.len() - 1
    }

    /// All rows, client after client.
    pub fn features(&self) -> &SparseMatrix {
        &self.features
    }

    /// Their labels.
    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    /// One objective per client.
    ///
    /// # Errors
    /// As [`RowObjective::new`].
    pub fn objectives(&self, loss: Loss, regulariser: Regulariser) -> Result<Vec<RowObjective<'_>>, Error> {
        use rayon::prelude::*;
        self.bounds
            .par_windows(2)
            .map(|pair| RowObjective::new(&self.features, &self.labels, pair[0]..pair[1], loss, regulariser))
            .collect()
    }
}

/// The constants of objectives over one matrix, L of their mean by power iteration too.
///
/// # Errors
/// [`Error::ZeroSmoothness`] and the others of [`Smoothness::new`].
pub fn smoothness_of_rows(objectives: &[RowObjective<'_>]) -> Result<Smoothness, Error> {
    let of_clients: Vec<f64> = objectives.iter().map(Objective::smoothness).collect();
    if let Some(client) = of_clients.iter().position(|value| *value == 0.0) {
        return Err(Error::ZeroSmoothness { client });
    }
    Smoothness::new(RowObjective::smoothness_of_mean(objectives)?, of_clients)
}

/// Numbers from the smallest value to the largest, equal ones in their order.
fn sorted(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    order
}
