//! Label propagation: a quadratic on a graph, some of whose nodes have labels.

use std::collections::BTreeMap;

use backstitch_numerics::SparseBuilder;

use super::problem::{Problem, too_many_rows};
use crate::Error;

/// Labels on some nodes of a weighted graph, and the values of the others for which `½ Σ w_ij (x_i − x_j)²` over the edges is least.
#[derive(Clone, Debug, PartialEq)]
pub struct Propagation {
    /// The problem in the values of the unlabelled nodes.
    pub problem: Problem,
    /// The node of every coordinate, ascending.
    pub unknown: Vec<usize>,
}

impl Propagation {
    /// From undirected edges (each given once: two nodes and a positive weight) over nodes 0 to `nodes − 1`, and labels of some nodes.
    ///
    /// # Errors
    /// [`Error::Edge`], [`Error::NodeLabel`], [`Error::UnlabelledComponent`], [`Error::NoUnknown`].
    pub fn new(nodes: usize, edges: &[(usize, usize, f64)], labels: &[(usize, f64)]) -> Result<Self, Error> {
        let mut label_of: Vec<Option<f64>> = vec![None; nodes];
        for &(node, value) in labels {
            let refused = |problem: &str| Error::NodeLabel { node, problem: problem.into() };
            match label_of.get_mut(node) {
                None => return Err(refused(&format!("the nodes are 0 to {}", nodes.saturating_sub(1)))),
                Some(Some(_)) => return Err(refused("it is given twice; keep one")),
                Some(_) if !value.is_finite() => {
                    return Err(refused(&format!("it is {value}; give a finite number")));
                }
                Some(place) => *place = Some(value),
            }
        }
        let mut rows: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); nodes];
        for (edge, &(one, other, weight)) in edges.iter().enumerate() {
            let refused = |problem: String| Error::Edge { edge, problem };
            if one >= nodes || other >= nodes {
                let node = one.max(other);
                return Err(refused(format!("node {node} is not among the {nodes} nodes, counted from 0")));
            }
            if one == other {
                return Err(refused(format!("it joins node {one} to itself; drop it")));
            }
            if !(weight.is_finite() && weight > 0.0) {
                return Err(refused(format!(
                    "its weight is {weight}, but must be finite and above 0; drop it or change it"
                )));
            }
            for (from, to) in [(one, other), (other, one)] {
                if rows[from].insert(to, weight).is_some() {
                    return Err(refused(format!(
                        "nodes {one} and {other} are joined twice; give every pair once"
                    )));
                }
            }
        }
        let unknown: Vec<usize> = (0..nodes).filter(|&node| label_of[node].is_none()).collect();
        if unknown.is_empty() {
            return Err(Error::NoUnknown { nodes });
        }
        check_components(&rows, &label_of)?;
        let mut places = vec![usize::MAX; nodes];
        for (place, &node) in unknown.iter().enumerate() {
            places[node] = place;
        }
        let mut builder = SparseBuilder::new();
        let (mut linear, mut constant) = (vec![0.0; unknown.len()], 0.0);
        for (place, &node) in unknown.iter().enumerate() {
            let degree: f64 = rows[node].values().sum();
            let mut entries = BTreeMap::from([(place, degree)]);
            for (&other, &weight) in &rows[node] {
                match label_of[other] {
                    None => drop(entries.insert(places[other], -weight)),
                    Some(label) => {
                        linear[place] += weight * label;
                        constant += 0.5 * weight * label * label;
                    }
                }
            }
            for (column, value) in entries {
                builder.push(column, value).map_err(|_| too_many_rows(nodes))?;
            }
            builder.end_row();
        }
        let matrix = builder.finish().with_columns(unknown.len()).map_err(|_| too_many_rows(nodes))?;
        Ok(Self { problem: Problem::of_graph(matrix, linear, constant)?, unknown })
    }
}

/// Refuses a component in which no node has a label: any constant on it is a solution.
fn check_components(rows: &[BTreeMap<usize, f64>], label_of: &[Option<f64>]) -> Result<(), Error> {
    let mut seen = vec![false; rows.len()];
    for start in 0..rows.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let (mut component, mut next) = (vec![start], 0);
        while let Some(&node) = component.get(next) {
            next += 1;
            for &other in rows[node].keys() {
                if !std::mem::replace(&mut seen[other], true) {
                    component.push(other);
                }
            }
        }
        if component.iter().all(|&node| label_of[node].is_none()) {
            return Err(Error::UnlabelledComponent { nodes: component.len(), first: start });
        }
    }
    Ok(())
}
