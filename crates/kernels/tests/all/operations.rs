//! The operations on burn tensors against the composition of burn's own, with gradients, on contiguous and other inputs, and at any
//! number of threads.

use backstitch_kernels::attention::Heads;
use backstitch_kernels::elementwise::Function;
use backstitch_kernels::operations::{
    Angles, Memory, activation, attention, cross_entropy, embedding, extend, gated, gru, linear, lstm, norm,
    rotate, softmax,
};
use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation as plain};

use crate::{CASES, draws, sizes};

fn device() -> Device {
    Device::flex().autodiff()
}

/// A trainable tensor.
fn leaf<const D: usize>(case: u64, purpose: &str, shape: [usize; D]) -> Tensor<D> {
    constant(case, purpose, shape).autodiff().require_grad()
}

fn constant<const D: usize>(case: u64, purpose: &str, shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = draws(case, purpose, shape.iter().product()).iter().map(|&x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// What an operation gives, and the gradients of its leaves.
struct Outcome {
    value: Vec<f32>,
    gradients: Vec<Vec<f32>>,
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

macro_rules! outcome {
    ($case:expr, $value:expr, $($leaf:expr),+) => {{
        let value = $value;
        let weights = constant($case, "weights", value.dims());
        let gradients = (value.clone() * weights).sum().backward();
        Outcome { value: values(value), gradients: vec![$(values($leaf.grad(&gradients).unwrap())),+] }
    }};
}

/// Single precision: both sides round differently, over sums of at most some hundred terms.
fn agree(name: &str, case: u64, found: &Outcome, wanted: &Outcome) {
    let pairs =
        [(&found.value, &wanted.value)].into_iter().chain(found.gradients.iter().zip(&wanted.gradients));
    for (at, (found, wanted)) in pairs.enumerate() {
        assert_eq!(found.len(), wanted.len(), "{name} case {case} output {at}");
        let scale = wanted.iter().fold(1.0_f32, |scale, x| scale.max(x.abs()));
        for (a, b) in found.iter().zip(wanted) {
            assert!((a - b).abs() <= 2e-5 * scale, "{name} case {case} output {at}: {a} {b}");
        }
    }
}

/// Sizes without zero: burn's own operations do not take empty tensors everywhere.
fn full<const N: usize>(case: u64, limits: [usize; N]) -> [usize; N] {
    sizes(case, limits).map(|size| size.max(1))
}

#[test]
fn linear_layers_also_of_transposed_inputs() {
    for case in 0..CASES {
        let [a, b, inputs, outputs] = full(case, [6, 7, 20, 30]);
        let (x, w, bias) =
            (leaf(case, "x", [b, a, inputs]), leaf(case, "w", [outputs, inputs]), leaf(case, "b", [outputs]));
        // Neither is contiguous.
        let (turned, weight) = (|| x.clone().swap_dims(0, 1), || w.clone().transpose());
        let ours = outcome!(case, linear(turned(), weight(), Some(bias.clone())), x, w, bias);
        let theirs = outcome!(case, module::linear(turned(), weight(), Some(bias.clone())), x, w, bias);
        agree("linear", case, &ours, &theirs);
        let ours = outcome!(case, linear(turned(), weight(), None), x, w);
        let theirs = outcome!(case, turned().matmul(weight().unsqueeze()), x, w);
        agree("linear without bias", case, &ours, &theirs);
        // Without a tape the same kernel runs.
        let free = linear(turned().inner(), weight().inner(), Some(bias.clone().inner()));
        assert_eq!(values(free), values(linear(turned(), weight(), Some(bias))));
    }
}

#[test]
fn activations_and_gates() {
    for case in 0..CASES {
        let [a, b] = full(case, [20, 30]);
        let (x, up) = (leaf(case, "x", [a, b]), leaf(case, "up", [b, a]));
        let turned = || up.clone().transpose();
        for (function, theirs) in [
            (Function::GeluTanh, plain::gelu_approximate as fn(Tensor<2>) -> Tensor<2>),
            (Function::Silu, plain::silu),
            (Function::Relu, plain::relu),
        ] {
            let ours = outcome!(case, activation(function, x.clone()), x);
            agree("activation", case, &ours, &outcome!(case, theirs(x.clone()), x));
            let ours = outcome!(case, gated(function, turned(), x.clone()), x, up);
            agree("gate", case, &ours, &outcome!(case, theirs(turned()) * x.clone(), x, up));
        }
    }
}

#[test]
fn norms_of_rows() {
    for case in 0..CASES {
        let [a, b, width] = full(case, [5, 6, 40]);
        let width = width + 2;
        let (x, w, bias) =
            (leaf(case, "x", [b, a, width]), leaf(case, "w", [width]), leaf(case, "b", [width]));
        let turned = || x.clone().swap_dims(0, 1);
        let ours = outcome!(case, norm(turned(), w.clone(), Some(bias.clone()), 1e-5), x, w, bias);
        let theirs =
            outcome!(case, module::layer_norm(turned(), w.clone(), Some(bias.clone()), 1e-5), x, w, bias);
        agree("layer norm", case, &ours, &theirs);
        let ours = outcome!(case, norm(turned(), w.clone(), None, 1e-6), x, w);
        let theirs = outcome!(
            case,
            turned() / turned().square().mean_dim(2).add_scalar(1e-6).sqrt() * w.clone().unsqueeze(),
            x,
            w
        );
        agree("RMS norm", case, &ours, &theirs);
    }
}

#[test]
fn softmax_of_rows() {
    for case in 0..CASES {
        let [a, b, c] = full(case, [5, 6, 40]);
        let x = leaf(case, "x", [b, a, c]);
        let turned = || x.clone().swap_dims(0, 1);
        let ours = outcome!(case, softmax(turned()), x);
        agree("softmax", case, &ours, &outcome!(case, plain::softmax(turned(), 2), x));
    }
}

#[test]
fn losses_of_logits() {
    for case in 0..CASES {
        let [rows, classes] = full(case, [30, 40]);
        let x = leaf(case, "x", [classes, rows]);
        let targets: Vec<i32> = (0..rows).map(|row| ((row * 7 + 3) % classes) as i32).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [rows]), &Device::flex());
        let weights: Vec<f32> = (0..rows).map(|row| [1.0, 0.0, 0.5][row % 3]).collect();
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [rows]), &Device::flex());
        let turned = || x.clone().transpose();
        let ours = outcome!(case, cross_entropy(turned(), targets.clone(), weights.clone()), x);
        let picked = || {
            plain::log_softmax(turned(), 1).gather(1, targets.clone().unsqueeze_dim(1)).squeeze_dim::<1>(1)
        };
        let theirs = outcome!(case, (picked() * weights.clone()).sum().neg() / weights.clone().sum(), x);
        agree("cross-entropy", case, &ours, &theirs);
    }
}

#[test]
fn rows_of_tables() {
    for case in 0..CASES {
        let [rows, width, batch, length] = full(case, [9, 20, 5, 6]);
        let table = leaf(case, "table", [width, rows]);
        let tokens: Vec<i32> = (0..batch * length).map(|at| ((at * 5 + 2) % rows) as i32).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [length, batch]), &Device::flex())
            .transpose();
        let ours = outcome!(case, embedding(table.clone().transpose(), tokens.clone()), table);
        let theirs = outcome!(case, module::embedding(table.clone().transpose(), tokens.clone()), table);
        agree("table", case, &ours, &theirs);
    }
}

#[test]
fn attention_of_packed_heads() {
    for case in 0..CASES {
        let [batch, length, shared, times, half] = full(case, [4, 9, 3, 3, 5]);
        let heads = Heads { queries: shared * times, shared, width: 2 * half };
        let x = leaf(case, "x", [length, batch, heads.packed()]);
        let packed = || x.clone().swap_dims(0, 1);
        for causal in [true, false] {
            let ours = outcome!(case, attention(packed(), heads, causal), x);
            let split =
                packed().reshape([batch, length, heads.queries + 2 * shared, heads.width]).swap_dims(1, 2);
            let repeat = |start| {
                let part = split.clone().narrow(1, start, shared).unsqueeze_dim::<5>(2);
                let part = part.expand([batch, shared, times, length, heads.width]);
                part.reshape([batch, heads.queries, length, heads.width])
            };
            let (query, key) = (split.clone().narrow(1, 0, heads.queries), repeat(heads.queries));
            let options = AttentionModuleOptions { is_causal: causal, ..Default::default() };
            let mixed = module::attention(query, key, repeat(heads.queries + shared), None, None, options);
            let theirs = outcome!(
                case,
                mixed.swap_dims(1, 2).reshape([batch, length, heads.queries * heads.width]),
                x
            );
            agree("attention", case, &ours, &theirs);
        }
    }
}

/// A text read in three parts, with hidden beginnings and rows that are dropped and doubled, against burn's own operations: in double
/// precision they are the other side.
#[test]
fn attention_over_a_memory() {
    for case in 0..CASES {
        let [batch, shared, times, half] = full(case, [4, 3, 3, 5]);
        let heads = Heads { queries: shared * times, shared, width: 2 * half };
        let padding: Vec<usize> = (0..batch).map(|row| (row * 3 + case as usize) % 6).collect();
        let read = |dtype: DType| {
            let mut memory = Memory::default();
            let mut padding = padding.clone();
            let mut found = Vec::new();
            for (part, length) in [1 + case as usize % 7, 1, 2, 1].into_iter().enumerate() {
                let x: Tensor<3> =
                    constant(case, &format!("x {part}"), [length, padding.len(), heads.packed()]);
                let out = extend(x.swap_dims(0, 1).cast(dtype), heads, &padding, &mut memory);
                found.extend(values(out.cast(DType::F32)));
                if part == 1 {
                    let kept: Vec<usize> = (0..batch).rev().chain([0]).collect();
                    memory = memory.select(&kept);
                    padding = kept.iter().map(|&row| padding[row]).collect();
                }
            }
            found
        };
        let outcome = |value| Outcome { value, gradients: Vec::new() };
        agree("memory", case, &outcome(read(DType::F32)), &outcome(read(DType::F64)));
    }
}

/// With one row of angles for all sequences, and with one for each.
#[test]
fn rotations_of_packed_heads() {
    for case in 0..CASES {
        let [batch, length, shared, times, half] = full(case, [4, 9, 3, 3, 5]);
        let heads = Heads { queries: shared * times, shared, width: 2 * half };
        let x = leaf(case, "x", [length, batch, heads.packed()]);
        let packed = || x.clone().swap_dims(0, 1);
        for rows in [1, batch] {
            let turns = draws(case, "angles", rows * length * half);
            let cosines: Vec<f32> = turns.iter().map(|angle| angle.cos() as f32).collect();
            let sines: Vec<f32> = turns.iter().map(|angle| angle.sin() as f32).collect();
            let angles = Angles { cosines: cosines.clone().into(), sines: sines.clone().into(), rows };
            let ours = outcome!(case, rotate(packed(), heads, &angles), x);
            let table = |values: &[f32]| {
                let data = TensorData::new(values.to_vec(), [rows, length, 1, half]);
                Tensor::<4>::from_data(data, &Device::flex()).expand([
                    batch,
                    length,
                    heads.queries + shared,
                    half,
                ])
            };
            let (cosines, sines) = (table(&cosines), table(&sines));
            let split = packed().reshape([batch, length, heads.queries + 2 * shared, heads.width]);
            let part =
                |start: usize| split.clone().narrow(2, 0, heads.queries + shared).narrow(3, start, half);
            let turned = Tensor::cat(
                vec![
                    part(0) * cosines.clone() - part(half) * sines.clone(),
                    part(half) * cosines + part(0) * sines,
                ],
                3,
            );
            let whole = Tensor::cat(vec![turned, split.clone().narrow(2, heads.queries + shared, shared)], 2);
            let theirs = outcome!(case, whole.reshape([batch, length, heads.packed()]), x);
            agree("rotation", case, &ours, &theirs);
        }
    }
}

/// In double precision an operation is its composition, so a cast there and back is the other side.
#[test]
fn recurrences_over_sequences() {
    for case in 0..CASES {
        let [batch, length, width] = full(case, [40, 8, 12]);
        type Recurrence = fn(Tensor<3>, Tensor<2>, Tensor<1>) -> Tensor<3>;
        for (name, gates, recurrence) in [("gru", 3, gru as Recurrence), ("lstm", 4, lstm)] {
            let x = leaf(case, "x", [length, batch, gates * width]);
            let (w, b) = (leaf(case, "w", [gates * width, width]), leaf(case, "b", [gates * width]));
            let operands = || (x.clone().swap_dims(0, 1), w.clone().transpose() * 0.3, b.clone());
            let (from_input, weight, bias) = operands();
            let ours = outcome!(case, recurrence(from_input, weight, bias), x, w, b);
            let (from_input, weight, bias) = operands();
            let (from_input, weight, bias) =
                (from_input.cast(DType::F64), weight.cast(DType::F64), bias.cast(DType::F64));
            let theirs = outcome!(case, recurrence(from_input, weight, bias).cast(DType::F32), x, w, b);
            agree(name, case, &ours, &theirs);
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (x, w, b) = (leaf(9, "x", [40, 20, 96]), leaf(9, "w", [96, 288]), leaf(9, "b", [288]));
            let (scale, shift) = (leaf(9, "scale", [96]), leaf(9, "shift", [96]));
            let y = norm(x.clone(), scale.clone(), Some(shift.clone()), 1e-5);
            let y = linear(y, w.clone(), Some(b.clone()));
            let y = attention(y, Heads { queries: 6, shared: 6, width: 16 }, true);
            let y = activation(Function::GeluTanh, y);
            let gates = linear(y, w.clone(), Some(b.clone()));
            let y = gru(gates, w.clone(), b.clone()).reshape([16 * 50, 96]);
            let targets = Tensor::<1, Int>::arange(0..800, &device().without_autodiff()) % 96;
            let loss = cross_entropy(y, targets, Tensor::ones([800], &device().without_autodiff()));
            let gradients = loss.backward();
            let all = [values(x.grad(&gradients).unwrap()), values(w.grad(&gradients).unwrap())];
            let small = [&b, &scale, &shift].map(|leaf| values(leaf.grad(&gradients).unwrap()));
            (values(loss), all, small)
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}
