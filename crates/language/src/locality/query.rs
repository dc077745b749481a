//! Which pairs are held out, and what is asked about them.

use backstitch_numerics::Stream;
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::graph::Distances;
use super::infer::Pairs;
use super::network::{Network, NetworkParameters};
use crate::Error;

/// How pairs are held out. The default is the paper's: 25 of the 50 with the largest mutual information.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldOutParameters {
    /// Pairs of largest mutual information that are drawn from.
    pub candidates: usize,
    /// Pairs drawn.
    pub chosen: usize,
}

impl Default for HeldOutParameters {
    fn default() -> Self {
        Self { candidates: 50, chosen: 25 }
    }
}

/// Pairs to hold out: among pairs that a path of at least two edges joins and no edge, the `candidates` with the largest mutual
/// information (ties by position), of which `chosen` are drawn; in the order of falling information.
///
/// # Errors
/// [`Error::Parameter`] if `chosen` is zero or more than there are.
pub fn held_out_pairs(
    pairs: &Pairs,
    distances: &Distances,
    parameters: &HeldOutParameters,
    seed: u64,
) -> Result<Vec<(usize, usize)>, Error> {
    let n = pairs.variables();
    let mut apart: Vec<(f64, usize, usize)> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .filter(|&(a, b)| distances.get(a, b).is_some_and(|distance| distance > 1))
        .map(|(a, b)| (pairs.mutual_information(a, b), a, b))
        .collect();
    apart.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    apart.truncate(parameters.candidates);
    if parameters.chosen == 0 || parameters.chosen > apart.len() {
        return Err(Error::Parameter {
            name: "chosen",
            value: parameters.chosen.to_string(),
            allowed: format!(
                "from 1 to {}, the pairs of this net that are joined but not by an edge",
                apart.len()
            ),
            way_out: "hold out fewer pairs, or take a net with more edges",
        });
    }
    let mut order = Stream::new(seed, "locality held-out pairs").permutation(apart.len());
    order.truncate(parameters.chosen);
    order.sort_unstable();
    Ok(order.into_iter().map(|place| (apart[place].1, apart[place].2)).collect())
}

/// A net, all its pairs, and the pairs that are held out.
#[derive(Clone, Debug)]
pub struct World {
    /// The net.
    pub network: Network,
    /// Exact joint distributions.
    pub pairs: Pairs,
    /// Distances in the net.
    pub distances: Distances,
    /// Pairs never seen together.
    pub held_out: Vec<(usize, usize)>,
    /// Mean mutual information of the held-out pairs, in nats.
    pub information: f64,
}

impl World {
    /// Computes what belongs to a net.
    ///
    /// # Errors
    /// [`Error::TooWide`], [`Error::Parameter`] as [`held_out_pairs`].
    pub fn new(network: Network, held_out: &HeldOutParameters, seed: u64) -> Result<Self, Error> {
        let pairs = network.pairs()?;
        let distances = network.distances();
        let held_out = held_out_pairs(&pairs, &distances, held_out, seed)?;
        let sum: f64 = held_out.iter().map(|&(a, b)| pairs.mutual_information(a, b)).sum();
        let information = sum / held_out.len() as f64;
        Ok(Self { network, pairs, distances, held_out, information })
    }

    /// Draws `nets` random nets and keeps the `kept` whose held-out pairs tell most about each other, best first (the paper: 10 of
    /// 100). Nets with too few joined pairs, or too dense for exact inference, are passed over.
    ///
    /// # Errors
    /// [`Error::Parameter`], also if fewer than `kept` nets are left.
    pub fn select(
        parameters: &NetworkParameters,
        held_out: &HeldOutParameters,
        nets: usize,
        kept: usize,
        seed: u64,
    ) -> Result<Vec<Self>, Error> {
        parameters.validate()?;
        let own_seed = |net: usize| Stream::new(seed, &format!("locality net {net}")).next_u64();
        let worlds: Vec<Option<Self>> = (0..nets)
            .into_par_iter()
            .map(|net| {
                let network = Network::random(parameters, own_seed(net))?;
                match Self::new(network, held_out, own_seed(net)) {
                    Ok(world) => Ok(Some(world)),
                    Err(Error::TooWide { .. } | Error::Parameter { name: "chosen", .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .collect::<Result<_, Error>>()?;
        let mut worlds: Vec<Self> = worlds.into_iter().flatten().collect();
        if kept == 0 || worlds.len() < kept {
            return Err(Error::Parameter {
                name: "kept",
                value: kept.to_string(),
                allowed: format!("from 1 to {}, the nets of {nets} drawn that can be used", worlds.len()),
                way_out: "draw more nets, hold out fewer pairs, or use about as many edges as variables",
            });
        }
        worlds.sort_by(|a, b| b.information.total_cmp(&a.information));
        worlds.truncate(kept);
        Ok(worlds)
    }

    /// Everything asked about the held-out pairs; see [`queries`].
    pub fn queries(&self, least: f64) -> Queries {
        queries(&self.pairs, &self.held_out, least)
    }
}

/// P(target = 1 | condition = value), and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Query {
    /// Position of the pair in the list given.
    pub pair: usize,
    /// The variable asked for.
    pub target: usize,
    /// The variable given.
    pub condition: usize,
    /// Its value.
    pub value: bool,
    /// The exact probability.
    pub truth: f64,
    /// P(target = 1) without the condition.
    pub marginal: f64,
}

/// Queries, and how many were left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queries {
    /// Both directions and both values of every pair, as far as the condition is not rarer than asked.
    pub queries: Vec<Query>,
    /// Those whose condition is rarer.
    pub dropped: usize,
}

/// Both directions and both values of every pair: four queries each. Queries whose condition has a probability below `least`
/// (1e-3 is usual) or zero are dropped and counted: their answer is hardly defined.
pub fn queries(pairs: &Pairs, list: &[(usize, usize)], least: f64) -> Queries {
    let mut all = Queries { queries: Vec::with_capacity(4 * list.len()), dropped: 0 };
    for (pair, &(a, b)) in list.iter().enumerate() {
        for (target, condition) in [(a, b), (b, a)] {
            for value in [false, true] {
                let one = pairs.marginal(condition);
                let probability = if value { one } else { 1.0 - one };
                match pairs.conditional(target, condition, value).filter(|_| probability >= least) {
                    Some(truth) => all.queries.push(Query {
                        pair,
                        target,
                        condition,
                        value,
                        truth,
                        marginal: pairs.marginal(target),
                    }),
                    None => all.dropped += 1,
                }
            }
        }
    }
    all
}

/// Pairs joined by an edge: what a model trained locally should know.
pub fn adjacent_pairs(network: &Network) -> Vec<(usize, usize)> {
    network.edges().collect()
}

/// A scaffold for every query: the smallest separating set of its pair.
///
/// # Errors
/// As [`Network::scaffold`].
pub fn scaffolds(network: &Network, queries: &[Query]) -> Result<Vec<Vec<usize>>, Error> {
    queries.iter().map(|query| network.scaffold(query.target, query.condition)).collect()
}

/// For every query as many variables as its scaffold has, drawn without replacement from all others: a scaffold that separates
/// nothing on purpose. Fewer if there are not enough others. Query i has a stream of its own.
pub fn negative_scaffolds(
    variables: usize,
    queries: &[Query],
    scaffolds: &[Vec<usize>],
    seed: u64,
) -> Vec<Vec<usize>> {
    queries
        .iter()
        .zip(scaffolds)
        .enumerate()
        .map(|(position, (query, scaffold))| {
            let mut stream = Stream::new(seed, &format!("locality negative scaffold {position}"));
            let taken = |v: &usize| *v == query.target || *v == query.condition || scaffold.contains(v);
            let mut others: Vec<usize> = (0..variables).filter(|v| !taken(v)).collect();
            stream.shuffle(&mut others);
            others.truncate(scaffold.len());
            others
        })
        .collect()
}
