//! Reading networks written as ONNX.
//!
//! The file is not trusted: whatever is in it gives a network or an error. Operators that are not read are refused by name and node.

mod operators;
mod schema;
mod tensor;

use std::collections::HashMap;

use prost::Message;

use super::graph::{Builder, Refusal, Value};
use super::network::{Activation, Network};
use crate::Error;
use operators::Arguments;
use schema::{Graph, Model, Node};
use tensor::Tensor;

/// A name of the graph: what flows, or what is known beforehand.
#[derive(Clone, Debug)]
enum Slot {
    Value(Value),
    Constant(Tensor),
}

impl Network {
    /// A network from the bytes of an ONNX model.
    ///
    /// Read are Gemm, MatMul, Conv (two dimensions, groups, dilations, strides, padding), BatchNormalization, Add, Sub, Mul and Div, Neg,
    /// AveragePool, GlobalAveragePool, Flatten, Reshape, Squeeze, Unsqueeze, Identity, Dropout, Constant, Relu, LeakyRelu, Tanh and
    /// Sigmoid, in any graph with one input and one output; skip connections are carried past activations.
    ///
    /// # Errors
    /// [`Error::Model`] if the bytes are no such model; [`Error::Operator`] for an operator that is not read.
    pub fn from_onnx(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return model("the model is empty", "export it again");
        }
        let decoded = Model::decode(bytes).map_err(|error| Error::Model {
            problem: format!("this is no ONNX model: {error}"),
            way_out: EXPORT,
        })?;
        let Some(graph) = decoded.graph.filter(|graph| !graph.node.is_empty()) else {
            return model("this is no ONNX model, or one without operators", EXPORT);
        };
        read(&graph)
    }
}

const EXPORT: &str = "export the network with torch.onnx.export or another exporter";
const FIXED: &str = "export with a fixed batch size of 1 and without dynamic axes";

fn model<T>(problem: impl Into<String>, way_out: &'static str) -> Result<T, Error> {
    Err(Error::Model { problem: problem.into(), way_out })
}

fn read(graph: &Graph) -> Result<Network, Error> {
    let mut slots: HashMap<&str, Slot> = HashMap::new();
    for tensor in &graph.initializer {
        let value = Tensor::read(tensor).map_err(|Refusal { problem, way_out }| Error::Model {
            problem: format!("tensor {:?}: {problem}", tensor.name),
            way_out,
        })?;
        slots.insert(&tensor.name, Slot::Constant(value));
    }
    let inputs: Vec<_> =
        graph.input.iter().filter(|input| !slots.contains_key(input.name.as_str())).collect();
    let [input] = inputs[..] else {
        return model(format!("the model has {} inputs", inputs.len()), "export a network with one");
    };
    let [output] = &graph.output[..] else {
        return model(format!("the model has {} outputs", graph.output.len()), "export a network with one");
    };
    let (mut builder, value) = begin(input)?;
    slots.insert(&input.name, Slot::Value(value));
    let last_uses = last_uses(graph, &output.name);
    for (place, node) in graph.node.iter().enumerate() {
        let refused = |Refusal { problem, way_out }| Error::Operator {
            operator: node.op_type.clone(),
            node: place,
            name: node.name.clone(),
            problem,
            way_out,
        };
        let found = match activation(node) {
            Some(kind) => activate(&mut builder, &mut slots, node, place, kind, &last_uses),
            None => operators::apply(&Arguments::new(node, &slots)),
        };
        let found = found.map_err(refused)?;
        if let Some(name) = node.output.first() {
            slots.insert(name, found);
        }
    }
    match slots.remove(output.name.as_str()) {
        Some(Slot::Value(value)) => builder.finish(value.flat()),
        Some(Slot::Constant(_)) => {
            model("the output does not depend on the input", "there is nothing to bound")
        }
        None => model(format!("no operator makes the output {:?}", output.name), EXPORT),
    }
}

/// The input, without its batch.
fn begin(input: &schema::ValueInfo) -> Result<(Builder, Value), Error> {
    let shape =
        input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).and_then(|kind| kind.shape.as_ref());
    let Some(shape) = shape.filter(|shape| !shape.dim.is_empty()) else {
        return model(format!("the input {:?} has no shape", input.name), FIXED);
    };
    let sizes: Vec<i64> = shape.dim.iter().map(|dimension| dimension.dim_value).collect();
    // The first axis is the batch, of size 1 or not fixed, unless it is the only one.
    let own = match sizes[..] {
        [_] => &sizes[..],
        [batch, ref own @ ..] if batch <= 1 => own,
        _ => return model(format!("the input {:?} is for batches of {}", input.name, sizes[0]), FIXED),
    };
    let mut kept = Vec::with_capacity(own.len());
    for (axis, &size) in own.iter().enumerate() {
        match usize::try_from(size) {
            Ok(size) if size > 0 => kept.push(size),
            _ => {
                let axis = axis + sizes.len() - own.len();
                return model(
                    format!("the input {:?} has no fixed size along axis {axis}", input.name),
                    FIXED,
                );
            }
        }
    }
    Builder::new(kept).map_err(|Refusal { problem, way_out }| Error::Model { problem, way_out })
}

fn activation(node: &Node) -> Option<Activation> {
    if !["", "ai.onnx"].contains(&node.domain.as_str()) {
        return None;
    }
    match node.op_type.as_str() {
        "Relu" => Some(Activation::Relu),
        "Tanh" => Some(Activation::Tanh),
        "Sigmoid" => Some(Activation::Sigmoid),
        "LeakyRelu" => {
            let share = node.attribute.iter().find(|attribute| attribute.name == "alpha");
            // The format's default.
            Some(Activation::LeakyRelu(share.map_or(0.01, |share| f64::from(share.f))))
        }
        _ => None,
    }
}

/// The last node that reads each name; past the end for the output.
fn last_uses<'a>(graph: &'a Graph, output: &'a str) -> HashMap<&'a str, usize> {
    let mut uses = HashMap::new();
    for (place, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            uses.insert(name.as_str(), place);
        }
    }
    uses.insert(output, graph.node.len());
    uses
}

/// Ends a stage, and carries what is read later past it.
fn activate(
    builder: &mut Builder,
    slots: &mut HashMap<&str, Slot>,
    node: &Node,
    place: usize,
    kind: Activation,
    last_uses: &HashMap<&str, usize>,
) -> Result<Slot, Refusal> {
    let value = Arguments::new(node, slots).value(0)?.clone();
    let wanted = |name: &str| last_uses.get(name).is_some_and(|last| *last > place);
    slots.retain(|name, slot| matches!(slot, Slot::Constant(_)) || wanted(name));
    let mut carried: Vec<(&str, &mut Value)> = slots
        .iter_mut()
        .filter_map(|(name, slot)| match slot {
            Slot::Value(value) => Some((*name, value)),
            Slot::Constant(_) => None,
        })
        .collect();
    // The order of a hash map differs from run to run.
    carried.sort_by_key(|(name, _)| *name);
    let mut carried: Vec<&mut Value> = carried.into_iter().map(|(_, value)| value).collect();
    builder.activation(&value, kind, &mut carried).map(Slot::Value)
}
