//! The operators that are read, one function each.

use std::collections::HashMap;

use super::super::graph::{Refusal, Value, Window, refuse};
use super::schema::{Attribute, Node};
use super::tensor::Tensor;
use super::{FIXED, Slot};

const NOT_READ: &str =
    "the network can be given as safetensors with a list of layers, or exported without this operator";
const TWO_VALUES: &str = "products of values are not bounded here; only sums of two values are";
const REPAIR: &str = "export the model again";

/// A node and what its inputs are.
pub(super) struct Arguments<'a> {
    node: &'a Node,
    inputs: Vec<Option<&'a Slot>>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(node: &'a Node, slots: &'a HashMap<&str, Slot>) -> Self {
        let inputs = node.input.iter().map(|name| slots.get(name.as_str())).collect();
        Self { node, inputs }
    }

    pub(super) fn value(&self, place: usize) -> Result<&'a Value, Refusal> {
        match self.slot(place)? {
            Slot::Value(value) => Ok(value),
            Slot::Constant(_) => refuse(format!("input {place} is a constant, not a value"), NOT_READ),
        }
    }

    fn constant(&self, place: usize) -> Result<&'a Tensor, Refusal> {
        match self.slot(place)? {
            Slot::Constant(tensor) if tensor.values.is_empty() => {
                refuse(format!("input {place} has no numbers"), REPAIR)
            }
            Slot::Constant(tensor) => Ok(tensor),
            Slot::Value(_) => refuse(format!("input {place} is not a constant"), TWO_VALUES),
        }
    }

    /// An input that may be left out.
    fn optional(&self, place: usize) -> Result<Option<&'a Tensor>, Refusal> {
        match self.node.input.get(place) {
            Some(name) if !name.is_empty() => self.constant(place).map(Some),
            _ => Ok(None),
        }
    }

    fn slot(&self, place: usize) -> Result<&'a Slot, Refusal> {
        match self.inputs.get(place) {
            Some(Some(slot)) => Ok(slot),
            _ => refuse(format!("input {place} is missing, or made by a later node"), REPAIR),
        }
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    fn number(&self, name: &str, default: f32) -> f64 {
        f64::from(self.attribute(name).map_or(default, |attribute| attribute.f))
    }

    /// Numbers that are not negative.
    fn sizes<const N: usize>(&self, name: &str, default: usize) -> Result<[usize; N], Refusal> {
        let Some(attribute) = self.attribute(name).filter(|attribute| !attribute.ints.is_empty()) else {
            return Ok([default; N]);
        };
        let sizes: Option<Vec<usize>> =
            attribute.ints.iter().map(|&size| usize::try_from(size).ok()).collect();
        match sizes.and_then(|sizes| <[usize; N]>::try_from(sizes).ok()) {
            Some(sizes) => Ok(sizes),
            None => refuse(
                format!("{name} is {:?}, but must be {N} numbers from 0", attribute.ints),
                "only convolutions and pooling in two dimensions are read",
            ),
        }
    }
}

pub(super) fn apply(arguments: &Arguments<'_>) -> Result<Slot, Refusal> {
    let domain = arguments.node.domain.as_str();
    if !["", "ai.onnx"].contains(&domain) {
        return refuse(format!("operators of the domain {domain:?} are not read"), NOT_READ);
    }
    let found = match arguments.node.op_type.as_str() {
        "Gemm" => gemm(arguments)?,
        "MatMul" => product(arguments)?,
        "Conv" => convolution(arguments)?,
        "BatchNormalization" => normalisation(arguments)?,
        "Add" => sum(arguments, 1.0)?,
        "Sub" => sum(arguments, -1.0)?,
        "Mul" => scaled(arguments, false)?,
        "Div" => scaled(arguments, true)?,
        "Neg" => arguments.value(0)?.scaled(|_| -1.0, |_| 0.0)?,
        "AveragePool" => average(arguments)?,
        "GlobalAveragePool" => global_average(arguments)?,
        "Flatten" => flatten(arguments)?,
        "Reshape" => reshape(arguments)?,
        "Squeeze" | "Unsqueeze" => arguments.value(0)?.flat(),
        "Identity" | "Dropout" => return arguments.slot(0).cloned(),
        "Constant" => return constant(arguments).map(Slot::Constant),
        "Softmax" | "LogSoftmax" => {
            return refuse(
                "it is not bounded here",
                "cut it off: export the network up to its logits, which is what bounds are about",
            );
        }
        "MaxPool" => {
            return refuse("maxima are not bounded here", "train with strides or average pooling instead");
        }
        "Shape" | "Gather" | "Slice" | "ConstantOfShape" | "Range" => {
            return refuse("shapes that are computed in the graph are not read", FIXED);
        }
        "QLinearConv" | "QLinearMatMul" | "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" => {
            return refuse("quantised networks are not read", "export the network in single precision");
        }
        _ => return refuse("it is not read", NOT_READ),
    };
    Ok(Slot::Value(found))
}

/// Repeats a tensor to the shape of a value.
fn spread(tensor: &Tensor, shape: &[usize]) -> Result<Vec<f64>, Refusal> {
    match tensor.broadcast(shape) {
        Some(values) => Ok(values),
        None => refuse(
            format!("a constant of shape {:?} does not fit a value of {shape:?}", tensor.shape),
            REPAIR,
        ),
    }
}

fn gemm(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    if arguments.integer("transA", 0) != 0 {
        return refuse("the value is transposed", NOT_READ);
    }
    let weights = arguments.constant(1)?;
    let transposed = arguments.integer("transB", 0) != 0;
    let alpha = arguments.number("alpha", 1.0);
    let beta = arguments.number("beta", 1.0);
    let outputs = match weights.shape[..] {
        [rows, _] if transposed => rows,
        [_, columns] => columns,
        _ => return refuse(format!("the weights have the shape {:?}, not two axes", weights.shape), REPAIR),
    };
    let bias = match arguments.optional(2)? {
        Some(bias) => spread(bias, &[outputs])?.into_iter().map(|value| beta * value).collect(),
        None => vec![0.0; outputs],
    };
    dense(value, weights, transposed, alpha, outputs, bias)
}

fn product(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    let weights = arguments.constant(1)?;
    match weights.shape[..] {
        [_, outputs] => dense(value, weights, false, 1.0, outputs, vec![0.0; outputs]),
        _ => refuse(format!("the weights have the shape {:?}, not two axes", weights.shape), NOT_READ),
    }
}

fn dense(
    value: &Value,
    weights: &Tensor,
    transposed: bool,
    scale: f64,
    outputs: usize,
    bias: Vec<f64>,
) -> Result<Value, Refusal> {
    let inputs = weights.shape[usize::from(transposed)];
    if value.shape != [inputs] {
        return refuse(
            format!("weights for {inputs} inputs meet a value of shape {:?}", value.shape),
            "flatten the value before, or repair the model",
        );
    }
    let at = |output: usize, input: usize| {
        let place = if transposed { output * inputs + input } else { input * outputs + output };
        scale * weights.values[place]
    };
    value.dense(outputs, at, bias)
}

fn window(arguments: &Arguments<'_>, value: &Value, kernel: [usize; 2]) -> Result<Window, Refusal> {
    let mut window = Window {
        kernel,
        stride: arguments.sizes("strides", 1)?,
        dilation: arguments.sizes("dilations", 1)?,
        padding: arguments.sizes("pads", 0)?,
    };
    if arguments.integer("ceil_mode", 0) != 0 {
        return refuse("ceil_mode is not read", "use floor, the default");
    }
    let automatic = arguments.attribute("auto_pad").map_or(&b"NOTSET"[..], |attribute| &attribute.s);
    match automatic {
        b"NOTSET" | b"" => {}
        b"VALID" => window.padding = [0; 4],
        b"SAME_UPPER" | b"SAME_LOWER" => {
            for axis in 0..2 {
                let (Some(&length), true) = (value.shape.get(axis + 1), window.stride[axis] > 0) else {
                    return refuse("its window does not fit the value", REPAIR);
                };
                let reach =
                    kernel[axis].saturating_sub(1).saturating_mul(window.dilation[axis]).saturating_add(1);
                let steps = length.div_ceil(window.stride[axis]).saturating_sub(1);
                let total =
                    steps.saturating_mul(window.stride[axis]).saturating_add(reach).saturating_sub(length);
                let less = total / 2;
                let upper = automatic == b"SAME_UPPER";
                (window.padding[axis], window.padding[axis + 2]) =
                    if upper { (less, total - less) } else { (total - less, less) };
            }
        }
        other => {
            return refuse(
                format!("auto_pad is {:?}", String::from_utf8_lossy(other)),
                "give the padding in numbers",
            );
        }
    }
    Ok(window)
}

fn convolution(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    let weights = arguments.constant(1)?;
    let [outputs, _, height, width] = weights.shape[..] else {
        return refuse(
            format!("the weights have the shape {:?}", weights.shape),
            "only convolutions in two dimensions are read",
        );
    };
    let bias = match arguments.optional(2)? {
        Some(bias) => spread(bias, &[outputs])?,
        None => vec![0.0; outputs],
    };
    let window = window(arguments, value, [height, width])?;
    let groups = usize::try_from(arguments.integer("group", 1)).unwrap_or(0);
    value.convolution(&window, groups, outputs, &weights.values, &bias)
}

fn normalisation(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    if arguments.integer("training_mode", 0) != 0 {
        return refuse("it is in training mode", "export the network in evaluation mode");
    }
    let epsilon = arguments.number("epsilon", 1e-5);
    let channels = value.shape.first().copied().unwrap_or(0);
    let mut parts = Vec::with_capacity(4);
    for place in 1..5 {
        let part = arguments.constant(place)?;
        if part.values.len() != channels {
            return refuse(
                format!("input {place} has {} numbers for {channels} channels", part.values.len()),
                REPAIR,
            );
        }
        parts.push(&part.values[..]);
    }
    value.normalised([parts[0], parts[1], parts[2], parts[3]], epsilon)
}

fn sum(arguments: &Arguments<'_>, sign: f64) -> Result<Value, Refusal> {
    match (arguments.slot(0)?, arguments.slot(1)?) {
        (Slot::Value(one), Slot::Value(other)) => one.plus(other, sign),
        (Slot::Value(value), Slot::Constant(tensor)) => {
            let shift = spread(tensor, &value.shape)?;
            value.scaled(|_| 1.0, |number| sign * shift[number])
        }
        (Slot::Constant(tensor), Slot::Value(value)) => {
            let shift = spread(tensor, &value.shape)?;
            value.scaled(|_| sign, |number| shift[number])
        }
        (Slot::Constant(_), Slot::Constant(_)) => {
            refuse("both inputs are constants", "export with constant folding")
        }
    }
}

fn scaled(arguments: &Arguments<'_>, inverse: bool) -> Result<Value, Refusal> {
    let (value, tensor) = match (arguments.slot(0)?, arguments.slot(1)?) {
        (Slot::Value(value), Slot::Constant(tensor)) => (value, tensor),
        (Slot::Constant(tensor), Slot::Value(value)) if !inverse => (value, tensor),
        (Slot::Constant(_), Slot::Constant(_)) => {
            return refuse("both inputs are constants", "export with constant folding");
        }
        _ => return refuse("it multiplies or divides by a value", TWO_VALUES),
    };
    let scale = spread(tensor, &value.shape)?;
    value.scaled(|number| if inverse { 1.0 / scale[number] } else { scale[number] }, |_| 0.0)
}

fn average(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    let kernel = arguments.sizes("kernel_shape", 0)?;
    let window = window(arguments, value, kernel)?;
    value.average(&window, arguments.integer("count_include_pad", 0) != 0)
}

fn global_average(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    match value.shape[..] {
        [_, height, width] => {
            let kernel = [height, width];
            value.average(&Window { kernel, stride: [1; 2], dilation: [1; 2], padding: [0; 4] }, false)
        }
        _ => refuse(format!("the value has the shape {:?}", value.shape), NOT_READ),
    }
}

fn flatten(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    match arguments.integer("axis", 1) {
        0 | 1 => Ok(arguments.value(0)?.flat()),
        axis => refuse(format!("it flattens from axis {axis}"), "flatten from axis 1"),
    }
}

fn reshape(arguments: &Arguments<'_>) -> Result<Value, Refusal> {
    let value = arguments.value(0)?;
    let wanted = &arguments.constant(1)?.values;
    let count = value.count();
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (axis, &length) in wanted.iter().enumerate() {
        shape.push(if length == 0.0 {
            // As before; the first axis is the batch.
            if axis == 0 { 1 } else { value.shape.get(axis - 1).copied().unwrap_or(1) }
        } else if length == -1.0 && open.is_none() {
            open = Some(axis);
            1
        } else if length >= 1.0 && length <= count as f64 {
            length as usize
        } else {
            return refuse(format!("it reshapes to {wanted:?}"), FIXED);
        });
    }
    if let Some(axis) = open {
        let others = super::super::graph::size(&shape).unwrap_or(0);
        shape[axis] = count.checked_div(others).unwrap_or(0);
    }
    match shape[..] {
        [1, ref own @ ..] if !own.is_empty() => value.reshaped(own.to_vec()),
        [_] => value.reshaped(shape),
        _ => refuse(format!("it reshapes to {wanted:?}, which mixes the batch with the rest"), FIXED),
    }
}

fn constant(arguments: &Arguments<'_>) -> Result<Tensor, Refusal> {
    let list = |values: Vec<f64>| Tensor { shape: vec![values.len()], values };
    let one = |value: f64| Tensor { shape: Vec::new(), values: vec![value] };
    let Some(attribute) = arguments.node.attribute.first() else {
        return refuse("it has no value", REPAIR);
    };
    match attribute.name.as_str() {
        "value" => match &attribute.t {
            Some(tensor) => Tensor::read(tensor),
            None => refuse("it has no value", REPAIR),
        },
        "value_float" => Ok(one(f64::from(attribute.f))),
        "value_int" => Ok(one(attribute.i as f64)),
        "value_floats" => Ok(list(attribute.floats.iter().map(|&value| f64::from(value)).collect())),
        "value_ints" => Ok(list(attribute.ints.iter().map(|&value| value as f64).collect())),
        other => refuse(format!("a constant given as {other} is not read"), NOT_READ),
    }
}
