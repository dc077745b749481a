//! Directed acyclic graphs over the columns of a table, with the two questions this method asks: who descends from whom,
//! and what is d-connected.

use super::set::{MAX_COLUMNS, Set};
use crate::Error;

/// A directed acyclic graph over the columns of a table, the environment column among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    parents: Vec<Set>,
    children: Vec<Set>,
    /// Every parent before its children.
    order: Vec<usize>,
}

impl Graph {
    /// A graph of `columns` columns from its edges (from, to). An edge given twice counts once.
    ///
    /// # Errors
    /// [`Error::GraphColumns`] for more than 64 columns, [`Error::GraphColumn`] for an end that is no column,
    /// [`Error::Undirected`] if a pair is joined in both directions, [`Error::GraphCycle`] for a cycle.
    pub fn new(columns: usize, edges: &[(usize, usize)]) -> Result<Self, Error> {
        if columns > MAX_COLUMNS {
            return Err(Error::GraphColumns { columns, limit: MAX_COLUMNS });
        }
        let (mut parents, mut children) = (vec![Set::EMPTY; columns], vec![Set::EMPTY; columns]);
        for &(from, to) in edges {
            if let Some(column) = [from, to].into_iter().find(|&end| end >= columns) {
                return Err(Error::GraphColumn { column, columns });
            }
            if from == to {
                return Err(Error::GraphCycle { nodes: vec![from] });
            }
            parents[to].insert(from);
            children[from].insert(to);
        }
        let undirected: Vec<(usize, usize)> = (0..columns)
            .flat_map(|to| parents[to].intersection(children[to]).iter().map(move |from| (from, to)))
            .filter(|(from, to)| from < to)
            .collect();
        if !undirected.is_empty() {
            return Err(Error::Undirected { edges: undirected });
        }
        let order = topological(&parents)?;
        Ok(Self { parents, children, order })
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.parents.len()
    }

    /// The columns with an edge into this one.
    pub fn parents(&self, column: usize) -> Set {
        self.parents[column]
    }

    /// The columns this one has an edge to.
    pub fn children(&self, column: usize) -> Set {
        self.children[column]
    }

    /// All columns, parents before children, and otherwise by position.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The edges, by child.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.parents.iter().enumerate().flat_map(|(to, parents)| parents.iter().map(move |from| (from, to)))
    }

    /// The columns reached from `from` along edges; those of `from` are in it only if reached from another of them.
    pub fn descendants(&self, from: Set) -> Set {
        reached(from, &self.children)
    }

    /// The columns from which `of` is reached, and `of` itself.
    pub fn ancestors(&self, of: Set) -> Set {
        reached(of, &self.parents).union(of)
    }

    /// The graph with every edge into a column of `into` removed: what an intervention on them leaves.
    #[must_use]
    pub fn intervened(&self, into: Set) -> Self {
        self.keeping(|_, to| !into.contains(to))
    }

    /// The graph with the columns of `removed` isolated.
    #[must_use]
    pub fn isolating(&self, removed: Set) -> Self {
        self.keeping(|from, to| !removed.contains(from) && !removed.contains(to))
    }

    fn keeping(&self, keep: impl Fn(usize, usize) -> bool) -> Self {
        let columns = self.columns();
        let (mut parents, mut children) = (vec![Set::EMPTY; columns], vec![Set::EMPTY; columns]);
        for (from, to) in self.edges().filter(|&(from, to)| keep(from, to)) {
            parents[to].insert(from);
            children[from].insert(to);
        }
        // An order of the graph is one of every part of it.
        Self { parents, children, order: self.order.clone() }
    }

    /// Whether a path between two columns is open given `given` (neither end is in it): a walk that enters a column
    /// from a child may leave anywhere, one that enters from a parent leaves to children, or back to parents where the
    /// column or a descendant of it is given.
    pub fn connected(&self, one: usize, other: usize, given: Set) -> bool {
        let opened = self.ancestors(given);
        let (mut from_child, mut from_parent) = (Set::EMPTY, Set::EMPTY);
        let mut stack = vec![(one, true)];
        while let Some((column, came_from_child)) = stack.pop() {
            let seen = if came_from_child { &mut from_child } else { &mut from_parent };
            if seen.contains(column) {
                continue;
            }
            seen.insert(column);
            if column == other {
                return true;
            }
            let closed = given.contains(column);
            if came_from_child && !closed {
                stack.extend(self.parents[column].iter().map(|parent| (parent, true)));
                stack.extend(self.children[column].iter().map(|child| (child, false)));
            }
            if !came_from_child && !closed {
                stack.extend(self.children[column].iter().map(|child| (child, false)));
            }
            if !came_from_child && opened.contains(column) {
                stack.extend(self.parents[column].iter().map(|parent| (parent, true)));
            }
        }
        false
    }
}

fn reached(from: Set, next: &[Set]) -> Set {
    let mut reached = Set::EMPTY;
    let mut fresh = from;
    while !fresh.is_empty() {
        let found = fresh.iter().fold(Set::EMPTY, |found, column| found.union(next[column]));
        fresh = found.without(reached);
        reached = reached.union(found);
    }
    reached
}

fn topological(parents: &[Set]) -> Result<Vec<usize>, Error> {
    let mut order = Vec::with_capacity(parents.len());
    let mut placed = Set::EMPTY;
    while order.len() < parents.len() {
        let ready = (0..parents.len())
            .find(|&column| !placed.contains(column) && parents[column].without(placed).is_empty());
        match ready {
            Some(column) => {
                placed.insert(column);
                order.push(column);
            }
            None => return Err(Error::GraphCycle { nodes: cycle(parents, placed) }),
        }
    }
    Ok(order)
}

/// A cycle among the columns that have not been placed, in the direction of the edges.
fn cycle(parents: &[Set], placed: Set) -> Vec<usize> {
    let upwards = |column: usize| parents[column].without(placed).iter().next();
    let Some(start) = (0..parents.len()).find(|&column| !placed.contains(column)) else {
        return Vec::new();
    };
    let mut path = vec![start];
    // Every column that is left has a parent that is left, so the walk comes back to itself.
    while let Some(parent) = path.last().and_then(|&column| upwards(column)) {
        if let Some(place) = path.iter().position(|&column| column == parent) {
            path.drain(..place);
            break;
        }
        path.push(parent);
    }
    path.reverse();
    path
}
