//! More than two networks.

use backstitch_numerics::Stream;

use super::checkpoint::Checkpoint;
use super::matching::{Descent, distance};
use super::specification::Specification;
use super::{Parameters, WeightMatching};
use crate::Error;

/// Least share by which the sum of squared distances must fall for another round.
const SAME: f64 = 1e-9;

/// Networks brought into one order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Many {
    /// For each network, for each permutation: unit i of the result is unit `orders[…][…][i]` of the network.
    pub orders: Vec<Vec<Vec<usize>>>,
    /// The permuted networks.
    pub permuted: Vec<Checkpoint>,
    /// Their mean, in the types of the first.
    pub merged: Checkpoint,
    /// Sweeps over all permutations, of all networks together.
    pub sweeps: usize,
    /// Whether the last round changed nothing.
    pub converged: bool,
    /// Root of the sum of squared distances from the mean, before.
    pub distance_before: f64,
    /// The same afterwards.
    pub distance_after: f64,
}

impl WeightMatching {
    /// Matches every network to the first, which stays as it is.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the networks do not fit each other or the specification; [`Error::Model`] with fewer than two.
    pub fn star(&self, specification: &Specification, networks: &[Checkpoint]) -> Result<Many, Error> {
        check(specification, networks)?;
        let (mut orders, mut permuted) = (vec![identity(specification)], vec![networks[0].clone()]);
        let (mut sweeps, mut converged) = (0, true);
        for other in &networks[1..] {
            let found = self.weights(specification, &networks[0], other)?;
            sweeps += found.sweeps;
            converged &= found.converged;
            orders.push(found.orders);
            permuted.push(found.permuted);
        }
        Many::of(specification, networks, orders, permuted, sweeps, converged)
    }

    /// Matches each network in turn to the mean of the others, in random order, until their distances from the mean stop falling.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the networks do not fit each other or the specification; [`Error::Model`] with fewer than two.
    pub fn cyclic(&self, specification: &Specification, networks: &[Checkpoint]) -> Result<Many, Error> {
        check(specification, networks)?;
        let Parameters { sweeps: most, tolerance, seed, .. } = self.parameters;
        let mut descents: Vec<Descent<'_>> =
            networks.iter().map(|network| Descent::new(specification, network, seed)).collect();
        let mut stream = Stream::new(seed, "weight matching networks");
        let mut spread = f64::INFINITY;
        let (mut sweeps, mut converged) = (0, false);
        for _ in 0..most {
            for place in stream.permutation(networks.len()) {
                let others = descents.iter().enumerate().filter(|(other, _)| *other != place);
                let others: Vec<&Checkpoint> = others.map(|(_, descent)| &descent.current).collect();
                let target = mean(&others)?;
                sweeps += descents[place].descend(&target, most, tolerance)?.sweeps;
            }
            let now: Vec<&Checkpoint> = descents.iter().map(|descent| &descent.current).collect();
            let found = spread_of(specification, &now)?;
            if found >= spread * (1.0 - SAME) {
                converged = true;
                break;
            }
            spread = found;
        }
        let (orders, permuted) =
            descents.into_iter().map(|Descent { orders, current, .. }| (orders, current)).unzip();
        Many::of(specification, networks, orders, permuted, sweeps, converged)
    }
}

impl Many {
    fn of(
        specification: &Specification,
        networks: &[Checkpoint],
        orders: Vec<Vec<Vec<usize>>>,
        permuted: Vec<Checkpoint>,
        sweeps: usize,
        converged: bool,
    ) -> Result<Self, Error> {
        let distance_before = spread_of(specification, &networks.iter().collect::<Vec<_>>())?.sqrt();
        let all: Vec<&Checkpoint> = permuted.iter().collect();
        let distance_after = spread_of(specification, &all)?.sqrt();
        let merged = mean(&all)?;
        Ok(Self { orders, permuted, merged, sweeps, converged, distance_before, distance_after })
    }

    /// By which share of itself the distance from the mean fell; 0 among equal networks.
    pub fn reduction(&self) -> f64 {
        if self.distance_before > 0.0 { 1.0 - self.distance_after / self.distance_before } else { 0.0 }
    }
}

fn check(specification: &Specification, networks: &[Checkpoint]) -> Result<(), Error> {
    if networks.len() < 2 {
        return Err(Error::Model {
            problem: format!("{} networks are given", networks.len()),
            way_out: "give at least two",
        });
    }
    specification.check(&networks[0])?;
    networks[1..].iter().try_for_each(|other| networks[0].check_like(other))
}

fn identity(specification: &Specification) -> Vec<Vec<usize>> {
    specification.permutations().iter().map(|own| (0..own.units).collect()).collect()
}

fn mean(networks: &[&Checkpoint]) -> Result<Checkpoint, Error> {
    let share = 1.0 / networks.len() as f64;
    let others: Vec<(f64, &Checkpoint)> = networks[1..].iter().map(|network| (share, *network)).collect();
    networks[0].combined(share, &others)
}

/// Sum of squared distances from the mean: from those of all pairs, which no rounding of a mean touches.
fn spread_of(specification: &Specification, networks: &[&Checkpoint]) -> Result<f64, Error> {
    let mut sum = 0.0;
    for (place, one) in networks.iter().enumerate() {
        for other in &networks[place + 1..] {
            sum += distance(specification, one, other).powi(2);
        }
    }
    Ok(sum / networks.len() as f64)
}
