//! Equivalence classes of stable subsets (Algorithm 2): subsets of one class predict Y equally well, so one of each is
//! enough.
//!
//! The recursion asks only which columns are adjacent to Y in the maximal ancestral graph of the DAG with `latent` columns
//! marginalised and `selected` ones conditioned on. By the definition of that graph V and Y are adjacent if and only if no
//! set of observed columns separates them given the selected ones; and if any does, the observed ancestors of {V, Y} and
//! the selected do. So one question of d-connection per column answers it, and the ancestral graph is never built.
//!
//! A class ends as "these columns, and any of those": the selected ones, and every subset of what is left. Its shortest
//! member is the selected ones alone, and no subset has to be written down.

use super::graph::Graph;
use super::set::Set;
use crate::Error;

/// A class of stable subsets: `required` together with any subset of `optional`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The shortest member, which all members contain.
    pub required: Set,
    /// What tells nothing more about Y once the required columns are known.
    pub optional: Set,
}

impl Class {
    /// How many subsets it has, as a number that does not overflow.
    pub fn size(&self) -> f64 {
        2_f64.powi(self.optional.len() as i32)
    }

    /// Whether a subset is a member.
    pub fn contains(&self, subset: Set) -> bool {
        subset.intersection(self.required) == self.required
            && subset.without(self.required.union(self.optional)).is_empty()
    }
}

/// The classes of the subsets of `stable`, ordered by length and then by columns of their shortest member. They partition
/// the 2^d subsets.
///
/// # Errors
/// [`Error::TooManyClasses`] if there are more than `limit`.
pub fn equivalence_classes(
    graph: &Graph,
    target: usize,
    stable: Set,
    limit: usize,
) -> Result<Vec<Class>, Error> {
    let mut classes = Vec::new();
    recover(graph, target, stable, (Set::EMPTY, Set::EMPTY), limit, &mut classes)?;
    classes.sort_by_key(|class| (class.required.len(), class.required));
    Ok(classes)
}

fn recover(
    graph: &Graph,
    target: usize,
    stable: Set,
    (latent, selected): (Set, Set),
    limit: usize,
    classes: &mut Vec<Class>,
) -> Result<(), Error> {
    let observed = stable.without(latent).without(selected);
    let adjacent: Set =
        observed.iter().filter(|&column| adjacent(graph, target, column, observed, selected)).collect();
    if adjacent.is_empty() {
        if classes.len() == limit {
            return Err(Error::TooManyClasses { limit });
        }
        classes.push(Class { required: selected, optional: observed });
        return Ok(());
    }
    for kept in adjacent.subsets() {
        let hidden = adjacent.without(kept);
        recover(graph, target, stable, (latent.union(hidden), selected.union(kept)), limit, classes)?;
    }
    Ok(())
}

/// Whether a column is adjacent to the target in the ancestral graph over `observed`, given `selected`.
fn adjacent(graph: &Graph, target: usize, column: usize, observed: Set, selected: Set) -> bool {
    let ends = Set::one(target).union(Set::one(column));
    let separating = graph.ancestors(ends.union(selected)).intersection(observed).without(ends);
    graph.connected(column, target, separating.union(selected))
}
