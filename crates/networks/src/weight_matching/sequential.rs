//! Specifications of plain chains of layers, found from names and shapes: dense and convolutional layers with normalisation.
//!
//! Names do not say what is done between layers. A chain is taken for granted, each layer reading the one before it through an
//! activation that acts on every unit alone; names that point to anything else are refused.

use std::collections::BTreeMap;

use super::checkpoint::Checkpoint;
use super::specification::{AxisUse, Draft, Specification, is_statistic, units};
use crate::Error;

/// Most layers whose order is looked for when names do not give it.
const MOST_LAYERS: usize = 10;

const WAY_OUT: &str = "give the list of layers with --layers, or a specification with --spec";

/// Parts of names of networks that are no chains.
const BRANCHES: [&str; 10] =
    ["downsample", "shortcut", "skip", "residual", "block", "attn", "attention", "lstm", "gru", "rnn"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dense,
    Convolution,
    Normalisation,
}

/// A layer with weights.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// Its name without the last part.
    prefix: String,
    pub(super) kind: Kind,
    pub(super) weight: String,
    pub(super) bias: Option<String>,
    /// Running statistics.
    followers: Vec<String>,
    pub(super) inputs: usize,
    outputs: usize,
    axes: usize,
}

/// The specification of a chain.
pub(super) fn specification(weights: &Checkpoint) -> Result<Specification, Error> {
    let modules = modules(weights)?;
    let mut draft = Draft::default();
    // Permutation and number of the units that come in; none before the first layer.
    let mut before: Option<(usize, usize)> = None;
    for module in &modules {
        if module.kind == Kind::Normalisation {
            let Some((permutation, _)) = before else { continue };

            for name in [&module.weight].into_iter().chain(&module.bias).chain(&module.followers) {
                let mut axes = vec![None; module.axes];
                axes[0] = units(permutation);
                draft.tensor(name, &axes);
            }
            continue;
        }
        let incoming = before.map(|(permutation, count)| AxisUse {
            permutation,
            groups: false,
            before: 1,
            after: module.inputs / count.max(1),
        });
        let permutation = draft.permutation(&module.prefix_or_weight(), module.outputs, 1);
        let mut axes = vec![None; module.axes];
        (axes[0], axes[1]) = (units(permutation), incoming);
        draft.tensor(&module.weight, &axes);
        if let Some(bias) = &module.bias {
            draft.tensor(bias, &[units(permutation)]);
        }
        before = Some((permutation, module.outputs));
    }
    if let Some((last, _)) = before {
        draft.fix(last);
    }
    let order: Vec<String> = modules.iter().map(Module::prefix_or_weight).collect();
    draft.notes.push(format!("taken for a chain: {}", order.join(", ")));
    draft.notes.push("activations are taken to act on every unit alone, and nothing to skip a layer; else give --layers or --spec".into());
    draft.finish(weights)
}

/// The layers in the order in which they are computed.
pub(super) fn modules(weights: &Checkpoint) -> Result<Vec<Module>, Error> {
    let mut found = gathered(weights)?;
    found.sort_by_key(|module| natural(&module.prefix));
    let (norms, mut chain): (Vec<Module>, Vec<Module>) =
        found.into_iter().partition(|module| module.kind == Kind::Normalisation);
    if chain.is_empty() {
        return Err(Error::Model {
            problem: "there is no tensor with the weights of a layer".into(),
            way_out: WAY_OUT,
        });
    }
    // Convolutions come before dense layers.
    chain.sort_by_key(|module| module.kind == Kind::Dense);
    if let Some(place) = break_of(&chain) {
        chain = reordered(&chain, place)?;
    }
    let mut after: BTreeMap<usize, Vec<Module>> = BTreeMap::new();
    for norm in norms {
        after.entry(owner(&norm, &chain)?).or_default().push(norm);
    }
    let mut modules = Vec::new();
    for (place, module) in chain.into_iter().enumerate() {
        modules.push(module);
        modules.extend(after.remove(&place).into_iter().flatten());
    }
    Ok(modules)
}

/// Modules from tensors, by what stands before the last part of their names.
fn gathered(weights: &Checkpoint) -> Result<Vec<Module>, Error> {
    let refused = |name: &str, problem: &str| Error::Tensor {
        name: name.into(),
        problem: problem.into(),
        way_out: WAY_OUT,
    };
    let mut modules: BTreeMap<&str, Module> = BTreeMap::new();
    for (name, tensor) in weights.tensors() {
        let (prefix, last) = name.rsplit_once('.').unwrap_or(("", name));
        let lower = name.to_lowercase();
        if BRANCHES.iter().any(|part| lower.contains(part)) || in_stage(prefix) {
            return Err(refused(
                name,
                "its name is that of a network with skip connections, attention or recurrence",
            ));
        }
        if last != "weight" || !tensor.is_floating() {
            continue;
        }
        let shape = tensor.shape();
        let has_statistics = weights.find(&format!("{prefix}.running_mean")).is_some();
        let kind = match shape.len() {
            2 if !has_statistics => Kind::Dense,
            3..=5
                if !has_statistics
                    && weights.find(&joined(prefix, "bias")).is_none_or(|bias| bias.shape().len() == 1) =>
            {
                Kind::Convolution
            }
            0 => return Err(refused(name, "a single number is no weight of a layer")),
            _ => Kind::Normalisation,
        };
        let bias = joined(prefix, "bias");
        modules.insert(
            prefix,
            Module {
                prefix: prefix.to_owned(),
                kind,
                weight: name.to_owned(),
                bias: weights.find(&bias).is_some().then_some(bias),
                followers: Vec::new(),
                inputs: shape.get(1).copied().unwrap_or(0),
                outputs: shape[0],
                axes: shape.len(),
            },
        );
    }
    for (name, tensor) in weights.tensors().filter(|(_, tensor)| tensor.is_floating()) {
        let (prefix, last) = name.rsplit_once('.').unwrap_or(("", name));
        match modules.get_mut(prefix) {
            Some(module) if last == "weight" || Some(name) == module.bias.as_deref() => {
                if last == "bias" && module.kind != Kind::Normalisation && tensor.shape() != [module.outputs]
                {
                    let problem = format!(
                        "its shape is {:?}, but the layer has {} outputs",
                        tensor.shape(),
                        module.outputs
                    );
                    return Err(refused(name, &problem));
                }
            }
            Some(module) if is_statistic(name) => module.followers.push(name.to_owned()),
            _ => return Err(refused(name, "no layer of a chain has a tensor of that name")),
        }
    }
    Ok(modules.into_values().collect())
}

fn joined(prefix: &str, last: &str) -> String {
    if prefix.is_empty() { last.to_owned() } else { format!("{prefix}.{last}") }
}

/// `layer1.0.conv2`: the stages of residual networks.
fn in_stage(prefix: &str) -> bool {
    let parts: Vec<&str> = prefix.split('.').collect();
    parts.windows(3).any(|window| {
        let stage = window[0].strip_prefix("layer").is_some_and(|rest| rest.parse::<u32>().is_ok());
        stage && window[1].parse::<u32>().is_ok()
    })
}

/// Sorts numbers within names by their value.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for character in name.chars() {
        match character.to_digit(10) {
            Some(digit) => {
                if let Some((_, number)) = parts.last_mut() {
                    *number = number.saturating_mul(10).saturating_add(u64::from(digit));
                }
                in_number = true;
            }
            None => {
                if std::mem::take(&mut in_number) {
                    parts.push((String::new(), 0));
                }
                if let Some((text, _)) = parts.last_mut() {
                    text.push(character);
                }
            }
        }
    }
    parts
}

/// The first layer that does not fit the one before it.
fn break_of(chain: &[Module]) -> Option<usize> {
    (1..chain.len()).find(|&place| !fits(&chain[place - 1], &chain[place]))
}

fn fits(before: &Module, after: &Module) -> bool {
    match (before.kind, after.kind) {
        (Kind::Convolution, Kind::Dense) => after.inputs > 0 && after.inputs.is_multiple_of(before.outputs),
        (Kind::Dense, Kind::Convolution) => false,
        _ => after.inputs == before.outputs,
    }
}

/// The one order in which layers fit, if there is just one.
fn reordered(chain: &[Module], place: usize) -> Result<Vec<Module>, Error> {
    let (before, after) = (&chain[place - 1], &chain[place]);
    let problem = format!(
        "it takes {} inputs, but {:?}, which its name puts before it, has {} outputs",
        after.inputs, before.weight, before.outputs
    );
    let mut orders = Vec::new();
    if chain.len() <= MOST_LAYERS {
        extend(chain, &mut Vec::new(), &mut orders);
    }
    match &orders[..] {
        [only] => Ok(only.iter().map(|&module| chain[module].clone()).collect()),
        _ => Err(Error::Tensor { name: after.weight.clone(), problem, way_out: WAY_OUT }),
    }
}

/// All orders that fit, up to two.
fn extend(chain: &[Module], order: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if order.len() == chain.len() {
        found.push(order.clone());
    }
    for next in 0..chain.len() {
        if found.len() > 1 {
            return;
        }
        if !order.contains(&next) && order.last().is_none_or(|&last| fits(&chain[last], &chain[next])) {
            order.push(next);
            extend(chain, order, found);
            order.pop();
        }
    }
}

/// The layer whose outputs a normalisation reads.
fn owner(norm: &Module, chain: &[Module]) -> Result<usize, Error> {
    let refused = |problem: String| Error::Tensor { name: norm.weight.clone(), problem, way_out: WAY_OUT };
    let (parent, own) = split(&norm.prefix);
    let fitting = |module: &Module| split(&module.prefix).0 == parent && module.outputs == norm.outputs;
    let candidates: Vec<usize> = match own.parse::<u64>() {
        // Numbered parts of a Sequential: the nearest before it.
        Ok(number) => {
            let place =
                |module: &Module| split(&module.prefix).1.parse::<u64>().ok().filter(|place| *place < number);
            let nearest = (0..chain.len())
                .filter(|&at| split(&chain[at].prefix).0 == parent)
                .max_by_key(|&at| place(&chain[at]).map(|place| place + 1).unwrap_or(0));
            nearest.filter(|&at| place(&chain[at]).is_some() && fitting(&chain[at])).into_iter().collect()
        }
        // bn2 belongs to conv2, or fc2.
        Err(_) => (0..chain.len())
            .filter(|&at| fitting(&chain[at]) && digits(split(&chain[at].prefix).1) == digits(own))
            .collect(),
    };
    let [only] = candidates[..] else {
        return Err(refused(format!("it is not clear which layer's {} outputs it normalises", norm.outputs)));
    };
    if chain[only].kind == Kind::Convolution && norm.followers.is_empty() && norm.axes == 1 {
        return Err(refused("a normalisation of channels without running statistics may be one of groups, which do not permute".into()));
    }
    Ok(only)
}

fn split(prefix: &str) -> (&str, &str) {
    prefix.rsplit_once('.').unwrap_or(("", prefix))
}

fn digits(name: &str) -> String {
    name.chars().filter(char::is_ascii_digit).collect()
}

impl Module {
    fn prefix_or_weight(&self) -> String {
        if self.prefix.is_empty() { self.weight.clone() } else { self.prefix.clone() }
    }
}
