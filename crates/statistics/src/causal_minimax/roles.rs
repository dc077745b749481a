//! What part each column plays: stable, mutable, intervened on, and whether the whole stable set is optimal.

use super::graph::Graph;
use super::set::Set;
use crate::Error;

/// The parts of the columns, read off the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roles {
    /// The column to predict, Y.
    pub target: usize,
    /// The column that names the environment, E.
    pub environment: usize,
    /// X_M: the children of E.
    pub mutable: Set,
    /// X_S: everything else but Y and E.
    pub stable: Set,
    /// X_M⁰: the mutable children of Y.
    pub mutable_children: Set,
    /// K: the descendants of X_M⁰ that are not in it.
    pub downstream: Set,
    /// X_do*: X_M⁰ and those of its descendants that are not children of Y.
    pub intervened: Set,
    /// No child of Y is in K: then the whole stable set is minimax optimal and nothing has to be searched.
    pub whole_set_is_optimal: bool,
}

impl Roles {
    /// Reads the parts off a graph over the columns of a table.
    ///
    /// # Errors
    /// [`Error::RoleColumn`] if a column is not there or plays both parts, [`Error::IntoEnvironment`] if the graph has an
    /// edge into the environment, [`Error::MutableTarget`] if the environment has an edge into the target.
    pub fn new(graph: &Graph, target: usize, environment: usize) -> Result<Self, Error> {
        let columns = graph.columns();
        for (role, column) in [("target", target), ("environment", environment)] {
            if column >= columns {
                return Err(Error::RoleColumn { role, column, problem: "is not a column of the table" });
            }
        }
        if target == environment {
            return Err(Error::RoleColumn {
                role: "target",
                column: target,
                problem: "is also the environment",
            });
        }
        if let Some(from) = graph.parents(environment).iter().next() {
            return Err(Error::IntoEnvironment { from, environment });
        }
        let mutable = graph.children(environment);
        if mutable.contains(target) {
            return Err(Error::MutableTarget { target });
        }
        let ends = Set::one(target).union(Set::one(environment));
        let stable = Set::all(columns).without(mutable).without(ends);
        let of_target = graph.children(target);
        let mutable_children = mutable.intersection(of_target);
        let below = graph.descendants(mutable_children);
        let downstream = below.without(mutable_children);
        Ok(Self {
            target,
            environment,
            mutable,
            stable,
            mutable_children,
            downstream,
            intervened: mutable_children.union(below.without(of_target)),
            whole_set_is_optimal: downstream.intersection(of_target).is_empty(),
        })
    }

    /// The graph of the stable columns and the target: the mutable columns and the environment have no edges in it.
    pub fn stable_graph(&self, graph: &Graph) -> Graph {
        graph.isolating(self.mutable.union(Set::one(self.environment)))
    }
}
