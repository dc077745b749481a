//! Which axis of which tensor a permutation rearranges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use crate::Error;

/// Most units that one permutation rearranges: their costs are a matrix of this many rows and columns.
pub const MOST_UNITS: usize = 1 << 14;

const AGAIN: &str = "compare the specification with the shapes in the file";

/// Permutations, and the axes they act on. What only this module makes is sound: every permutation fits all its axes, and none has
/// two axes of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Specification {
    pub(super) permutations: Vec<Permutation>,
    pub(super) tensors: BTreeMap<String, Vec<Option<AxisUse>>>,
    /// Tensors that follow their permutations and say nothing about them: running means and variances.
    pub(super) statistics: BTreeSet<String>,
    notes: Vec<String>,
}

/// Units that may be rearranged among themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    /// What it is called.
    pub name: String,
    /// How many units.
    pub units: usize,
    /// Units per group. Above 1, groups are rearranged whole, and units within their groups: query heads that share keys.
    pub per_group: usize,
}

/// How a permutation acts on an axis: as on `before` × units × `after` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisUse {
    /// Which permutation.
    pub permutation: usize,
    /// Whether the axis has the groups of units, not the units.
    pub groups: bool,
    /// Numbers of units that stand one after another: 3 where queries, keys and values share a tensor.
    pub before: usize,
    /// Numbers of each unit: the dimensions of a head, the pixels of a channel.
    pub after: usize,
}

/// A tensor as a permutation sees it: `before` × units × `after` numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) before: usize,
    pub(super) units: usize,
    pub(super) after: usize,
}

/// The file of a specification.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    grouped: BTreeMap<String, usize>,
    tensors: BTreeMap<String, Vec<Option<Axis>>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    statistics: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Axis {
    Name(String),
    Full {
        permutation: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        groups: bool,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        before: usize,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        after: usize,
    },
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(number: &usize) -> bool {
    *number == 1
}

/// Buffers of older GPT-2 files, whose numbers may be minus infinity: not weights.
pub(super) fn is_mask(name: &str) -> bool {
    name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
}

pub(super) fn is_statistic(name: &str) -> bool {
    ["running_mean", "running_var", "num_batches_tracked"].iter().any(|end| name.ends_with(end))
}

impl Specification {
    /// A specification written in JSON, for these tensors.
    ///
    /// ```json
    /// {"tensors": {"fc1.weight": ["hidden", null], "fc1.bias": ["hidden"], "fc2.weight": [null, "hidden"], "fc2.bias": [null]}}
    /// ```
    ///
    /// Every tensor of floating-point numbers has one entry per axis: the name of a permutation, null for none, or
    /// `{"permutation": "heads", "before": 3, "after": 64}` where an axis has 3 times the heads, of 64 numbers each. `"grouped":
    /// {"heads": 4}` says that 4 units make a group, and `"groups": true` that an axis has the groups. `"statistics"` lists tensors
    /// that follow without being compared (names of running statistics need not be listed).
    ///
    /// # Errors
    /// [`Error::Model`] if it cannot be read; [`Error::Tensor`] for a tensor that does not fit it.
    pub fn from_json(text: &str, weights: &Checkpoint) -> Result<Self, Error> {
        let file: File = serde_json::from_str(text).map_err(|error| Error::Model {
            problem: format!("the specification cannot be read: {error}"),
            way_out: "write {\"tensors\": {\"fc1.weight\": [\"hidden\", null], ...}}",
        })?;
        let mut draft = Draft::default();
        let mut places = BTreeMap::new();
        for (tensor, axes) in &file.tensors {
            let shape = weights.tensor(tensor)?.shape();
            if shape.len() != axes.len() {
                return Err(refused(
                    tensor,
                    format!(
                        "its shape {shape:?} has {} axes, but the specification {}",
                        shape.len(),
                        axes.len()
                    ),
                ));
            }
            let mut uses = Vec::new();
            for (axis, entry) in axes.iter().enumerate() {
                let (name, groups, before, after) = match entry {
                    None => {
                        uses.push(None);
                        continue;
                    }
                    Some(Axis::Name(name)) => (name, false, 1, 1),
                    Some(Axis::Full { permutation, groups, before, after }) => {
                        (permutation, *groups, *before, *after)
                    }
                };
                let per_group = file.grouped.get(name).copied().unwrap_or(1);
                let numbers = before.checked_mul(after).filter(|numbers| *numbers > 0);
                let Some(units) =
                    numbers.filter(|numbers| shape[axis] % numbers == 0).map(|numbers| shape[axis] / numbers)
                else {
                    return Err(refused(
                        tensor,
                        format!(
                            "axis {axis} has {} numbers, which {before} × {after} do not divide",
                            shape[axis]
                        ),
                    ));
                };
                let units = if groups { units.saturating_mul(per_group) } else { units };
                let node =
                    *places.entry(name.clone()).or_insert_with(|| draft.permutation(name, units, per_group));
                uses.push(Some(AxisUse { permutation: node, groups, before, after }));
            }
            draft.tensors.insert(tensor.clone(), uses);
        }
        if let Some((name, _)) = file.grouped.iter().find(|(_, size)| **size == 0) {
            return Err(Error::Model {
                problem: format!("the specification has groups of 0 units for {name:?}"),
                way_out: "give the number of units per group",
            });
        }
        if let Some(name) = file.grouped.keys().find(|name| !places.contains_key(*name)) {
            return Err(Error::Model {
                problem: format!("the specification groups {name:?}, but no tensor has it"),
                way_out: "give groups to permutations that tensors have",
            });
        }
        draft.statistics = file.statistics;
        draft.finish(weights)
    }

    /// The specification as JSON that [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> String {
        let axis = |used: &Option<AxisUse>| {
            used.map(|AxisUse { permutation, groups, before, after }| {
                let permutation = self.permutations[permutation].name.clone();
                if groups || before * after > 1 {
                    Axis::Full { permutation, groups, before, after }
                } else {
                    Axis::Name(permutation)
                }
            })
        };
        let grouped = self.permutations.iter().filter(|own| own.per_group > 1);
        let file = File {
            grouped: grouped.map(|own| (own.name.clone(), own.per_group)).collect(),
            tensors: self
                .tensors
                .iter()
                .map(|(name, axes)| (name.clone(), axes.iter().map(axis).collect()))
                .collect(),
            statistics: self.statistics.clone(),
        };
        // Names and small numbers: there is nothing that could fail.
        let mut text = String::from("{\n");
        if !file.grouped.is_empty() {
            let _ = writeln!(text, "  \"grouped\": {},", serde_json::json!(file.grouped));
        }
        if !file.statistics.is_empty() {
            let _ = writeln!(text, "  \"statistics\": {},", serde_json::json!(file.statistics));
        }
        let lines: Vec<String> = file
            .tensors
            .iter()
            .map(|(name, axes)| format!("    {}: {}", serde_json::json!(name), serde_json::json!(axes)))
            .collect();
        let _ = writeln!(text, "  \"tensors\": {{\n{}\n  }}\n}}", lines.join(",\n"));
        text
    }

    /// The permutations.
    pub fn permutations(&self) -> &[Permutation] {
        &self.permutations
    }

    /// What was taken for granted, and what was left out, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The tensors that a permutation acts on, each with the axis.
    pub fn axes_of(&self, permutation: usize) -> impl Iterator<Item = (&str, usize)> {
        self.uses(permutation).map(|(name, axis, _)| (name, axis))
    }

    /// Whether a tensor has running statistics.
    pub fn is_statistic(&self, name: &str) -> bool {
        self.statistics.contains(name)
    }

    pub(super) fn uses(&self, permutation: usize) -> impl Iterator<Item = (&str, usize, AxisUse)> {
        self.tensors.iter().flat_map(move |(name, axes)| {
            let own = move |used: &&AxisUse| used.permutation == permutation;
            axes.iter().enumerate().filter_map(move |(axis, used)| {
                used.as_ref().filter(own).map(|used| (name.as_str(), axis, *used))
            })
        })
    }

    /// Applies permutations: unit i of the result is unit `orders[…][i]` of what was given.
    ///
    /// # Errors
    /// [`Error::Permutation`] if one is none of its units, or breaks groups; [`Error::Tensor`] if the tensors are not those of the
    /// specification.
    pub fn apply(&self, orders: &[Vec<usize>], weights: &Checkpoint) -> Result<Checkpoint, Error> {
        self.check(weights)?;
        self.check_orders(orders)?;
        let mut found = weights.clone();
        for (place, order) in orders.iter().enumerate() {
            self.rearrange(place, order, &mut found);
        }
        Ok(found)
    }

    pub(super) fn rearrange(&self, permutation: usize, order: &[usize], weights: &mut Checkpoint) {
        let groups = self.permutations[permutation].groups_of(order);
        for (name, axis, used) in self.uses(permutation) {
            weights.rearrange(name, axis, &used, if used.groups { &groups } else { order });
        }
    }

    /// Rearranges one tensor, where the permutation acts on it.
    pub(super) fn rearrange_one(
        &self,
        permutation: usize,
        order: &[usize],
        weights: &mut Checkpoint,
        name: &str,
    ) {
        let groups = self.permutations[permutation].groups_of(order);
        for (axis, used) in self.tensors.get(name).into_iter().flatten().enumerate() {
            if let Some(used) = used.as_ref().filter(|used| used.permutation == permutation) {
                weights.rearrange(name, axis, used, if used.groups { &groups } else { order });
            }
        }
    }

    pub(super) fn check_orders(&self, orders: &[Vec<usize>]) -> Result<(), Error> {
        if orders.len() != self.permutations.len() {
            return Err(Error::Model {
                problem: format!("{} permutations are given for {}", orders.len(), self.permutations.len()),
                way_out: "give one per permutation of the specification",
            });
        }
        for (own, order) in self.permutations.iter().zip(orders) {
            own.check(order)?;
        }
        Ok(())
    }

    /// Checks that tensors are those of the specification, and that it is sound.
    pub(super) fn check(&self, weights: &Checkpoint) -> Result<(), Error> {
        for (name, tensor) in weights.tensors() {
            if tensor.is_floating() && !self.tensors.contains_key(name) && !is_mask(name) {
                return Err(Error::Tensor {
                    name: name.into(),
                    problem: "the specification says nothing about it".into(),
                    way_out: "list it with an entry for each axis, null where nothing is permuted",
                });
            }
        }
        for (name, axes) in &self.tensors {
            let tensor = weights.tensor(name)?;
            let shape = tensor.shape();
            if shape.len() != axes.len() {
                return Err(refused(
                    name,
                    format!(
                        "its shape {shape:?} has {} axes, but the specification {}",
                        shape.len(),
                        axes.len()
                    ),
                ));
            }
            let mut seen = BTreeSet::new();
            for (axis, used) in axes.iter().enumerate() {
                let Some(used) = used else { continue };
                let own = &self.permutations[used.permutation];
                if !tensor.is_floating() {
                    return Err(refused(name, "it has no floating-point numbers to permute".into()));
                }
                if !seen.insert(used.permutation) {
                    return Err(Error::Tensor {
                        name: name.clone(),
                        problem: format!("permutation {:?} stands on two of its axes", own.name),
                        way_out: "give one of them null or a permutation of its own; both at once is no linear assignment",
                    });
                }
                let units = if used.groups { own.units / own.per_group } else { own.units };
                if shape[axis] != units * used.before * used.after {
                    return Err(refused(
                        name,
                        format!(
                            "axis {axis} has {} numbers, but permutation {:?} needs {}",
                            shape[axis],
                            own.name,
                            units * used.before * used.after
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Permutation {
    /// The order of groups that follows from the order of units.
    pub(super) fn groups_of(&self, order: &[usize]) -> Vec<usize> {
        order.iter().step_by(self.per_group).map(|unit| unit / self.per_group).collect()
    }

    fn check(&self, order: &[usize]) -> Result<(), Error> {
        let wrong = |problem: String| Err(Error::Permutation { length: self.units, problem });
        if order.len() != self.units {
            return wrong(format!("permutation {:?} has {} entries", self.name, order.len()));
        }
        let mut seen = vec![false; self.units];
        for &unit in order {
            if unit >= self.units || std::mem::replace(&mut seen[unit], true) {
                return wrong(format!("permutation {:?} has {unit} twice or out of range", self.name));
            }
        }
        for group in order.chunks(self.per_group) {
            if group.iter().any(|unit| unit / self.per_group != group[0] / self.per_group) {
                return wrong(format!(
                    "permutation {:?} tears a group of {} apart",
                    self.name, self.per_group
                ));
            }
        }
        Ok(())
    }
}

fn refused(tensor: &str, problem: String) -> Error {
    Error::Tensor { name: tensor.into(), problem, way_out: AGAIN }
}

/// A specification being put together: permutations that turn out to be the same are joined.
#[derive(Debug, Default)]
pub(super) struct Draft {
    permutations: Vec<Permutation>,
    /// The one that each was joined with, or itself. None: it may not move.
    joined: Vec<Option<usize>>,
    pub(super) tensors: BTreeMap<String, Vec<Option<AxisUse>>>,
    pub(super) statistics: BTreeSet<String>,
    pub(super) notes: Vec<String>,
}

impl Draft {
    /// A new permutation.
    pub(super) fn permutation(&mut self, name: &str, units: usize, per_group: usize) -> usize {
        self.permutations.push(Permutation { name: name.into(), units, per_group });
        self.joined.push(Some(self.joined.len()));
        self.joined.len() - 1
    }

    /// Says that units may not move.
    pub(super) fn fix(&mut self, node: usize) {
        if let Some(root) = self.root(node) {
            self.joined[root] = None;
        }
    }

    /// Says that two permutations are one: their units are added to each other.
    pub(super) fn join(&mut self, one: usize, other: usize) {
        match (self.root(one), self.root(other)) {
            (Some(one), Some(other)) => self.joined[one.max(other)] = Some(one.min(other)),
            (Some(root), None) | (None, Some(root)) => self.joined[root] = None,
            (None, None) => {}
        }
    }

    /// A tensor with the permutation of each axis.
    pub(super) fn tensor(&mut self, name: &str, axes: &[Option<AxisUse>]) {
        self.tensors.insert(name.into(), axes.to_vec());
    }

    fn root(&self, node: usize) -> Option<usize> {
        let mut at = node;
        loop {
            let next = self.joined[at]?;
            if next == at {
                return Some(at);
            }
            at = next;
        }
    }

    /// Joins what is the same, drops what may not move, and checks the rest against the tensors.
    pub(super) fn finish(self, weights: &Checkpoint) -> Result<Specification, Error> {
        Ok(self.finish_with_places(weights)?.0)
    }

    /// Also says which permutation each became; none if it may not move.
    pub(super) fn finish_with_places(
        mut self,
        weights: &Checkpoint,
    ) -> Result<(Specification, Vec<Option<usize>>), Error> {
        for (name, _) in weights.tensors() {
            if is_statistic(name) {
                self.statistics.insert(name.to_owned());
            }
        }
        let roots: Vec<Option<usize>> = (0..self.joined.len()).map(|node| self.root(node)).collect();
        let mut tensors = std::mem::take(&mut self.tensors);
        let used: BTreeSet<usize> =
            tensors.values().flatten().flatten().filter_map(|used| roots[used.permutation]).collect();
        let kept: Vec<usize> = used.into_iter().filter(|root| self.permutations[*root].units > 1).collect();
        let places: Vec<Option<usize>> =
            roots.iter().map(|own| kept.iter().position(|root| Some(*root) == *own)).collect();
        for used in tensors.values_mut().flatten() {
            *used = used.and_then(|used| Some(AxisUse { permutation: places[used.permutation]?, ..used }));
        }
        let permutations: Vec<Permutation> =
            kept.iter().map(|&root| self.permutations[root].clone()).collect();
        for own in &permutations {
            if own.per_group == 0 || own.units % own.per_group != 0 {
                return Err(Error::Model {
                    problem: format!(
                        "permutation {:?} has {} units, which are no groups of {}",
                        own.name, own.units, own.per_group
                    ),
                    way_out: "give a size of groups that divides the units",
                });
            }
            if own.units > MOST_UNITS {
                return Err(Error::Model {
                    problem: format!(
                        "permutation {:?} has {} units, but at most {MOST_UNITS} are matched",
                        own.name, own.units
                    ),
                    way_out: "leave it out: write the specification with --write-spec and put null in its place",
                });
            }
        }
        if permutations.is_empty() {
            return Err(Error::Model {
                problem: "there is nothing to permute: no hidden layer, or none that may move".into(),
                way_out: "networks without hidden units can be averaged as they are",
            });
        }
        let found = Specification { permutations, tensors, statistics: self.statistics, notes: self.notes };
        found.check(weights)?;
        Ok((found, places))
    }
}

/// A permutation of whole units on an axis that has just these.
pub(super) fn units(permutation: usize) -> Option<AxisUse> {
    Some(AxisUse { permutation, groups: false, before: 1, after: 1 })
}
