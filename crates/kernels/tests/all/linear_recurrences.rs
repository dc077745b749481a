//! The delta rule and the diagonal scan: chunks against single steps, derivatives by central differences, and what must not move a
//! result.

use backstitch_kernels::delta::{self, Inputs, Sizes};
use backstitch_kernels::operations::{delta_rule, scan};
use backstitch_kernels::{Real, scan as kernel};
use backstitch_numerics::Stream;
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::derivatives::{check, close};
use crate::{CASES, draws, sizes};

/// Queries, keys of length 1, values and `β` in [0, 2].
struct Drawn<T> {
    sizes: Sizes,
    parts: [Vec<T>; 4],
}

impl<T: Real> Drawn<T> {
    fn new(case: u64, sizes: Sizes) -> Self {
        let steps = sizes.batch * sizes.length * sizes.heads;
        let mut key = draws(case, "key", steps * sizes.key);
        for key in key.chunks_exact_mut(sizes.key.max(1)) {
            let length = key.iter().map(|x| x * x).sum::<f64>().sqrt();
            key.iter_mut().for_each(|x| *x /= length);
        }
        let mut stream = Stream::new(case, "beta");
        let beta: Vec<f64> = (0..steps).map(|_| 2.0 * stream.uniform()).collect();
        let (query, value) =
            (draws(case, "query", steps * sizes.key), draws(case, "value", steps * sizes.value));
        let parts = [query, key, value, beta].map(|part| part.into_iter().map(T::of).collect());
        Self { sizes, parts }
    }

    fn inputs(&self) -> Inputs<'_, T> {
        let [query, key, value, beta] = &self.parts;
        Inputs { query, key, value, beta }
    }

    fn by_steps(&self) -> Vec<T> {
        let mut output = vec![T::ZERO; self.parts[2].len()];
        delta::recurrence(self.inputs(), self.sizes, &mut output);
        output
    }

    fn by_chunks(&self, chunk: usize) -> Vec<T> {
        let mut output = vec![T::ZERO; self.parts[2].len()];
        delta::forward(self.inputs(), Sizes { chunk, ..self.sizes }, &mut output);
        output
    }
}

fn drawn_sizes(case: u64) -> Sizes {
    let [batch, length, heads, key, value] = sizes(case, [3, 40, 3, 9, 7]);
    Sizes { batch, length, heads, key, value, chunk: 1 + case as usize % 12 }
}

#[test]
fn chunks_of_the_delta_rule_are_its_steps() {
    for case in 0..CASES {
        let drawn = Drawn::<f64>::new(case, drawn_sizes(case));
        let wanted = drawn.by_steps();
        for chunk in [1, 2, 5, 16, 32, 64, 1000] {
            let found = drawn.by_chunks(chunk);
            let scale = wanted.iter().fold(1.0_f64, |scale, x| scale.max(x.abs()));
            for (a, b) in found.iter().zip(&wanted) {
                assert!((a - b).abs() <= 1e-10 * scale, "case {case} chunk {chunk}: {a} {b}");
            }
        }
    }
}

/// What the step is, one number at a time: `S ← S (I − β k kᵀ) + β v kᵀ`, `o = S q / √key`.
#[test]
fn a_step_is_the_published_one() {
    let [k, v, q, beta] = [[0.6, 0.8], [1.0, -2.0], [0.5, 3.0], [1.5, 0.0]];
    let mut state = [0.25, -1.0, 2.0, 0.5];
    let before = state;
    let mut output = [0.0; 2];
    delta::step(&q, &k, &v, beta[0], &mut state, &mut output);
    for i in 0..2 {
        // S is the transpose of the state.
        let along: f64 = (0..2).map(|j| before[2 * j + i] * k[j]).sum();
        for j in 0..2 {
            let wanted = before[2 * j + i] - beta[0] * along * k[j] + beta[0] * v[i] * k[j];
            assert!((state[2 * j + i] - wanted).abs() < 1e-15);
        }
        let wanted = (0..2).map(|j| state[2 * j + i] * q[j]).sum::<f64>() / 2.0_f64.sqrt();
        assert!((output[i] - wanted).abs() < 1e-15);
    }
}

#[test]
fn derivatives_of_the_delta_rule() {
    for case in 0..CASES {
        let drawn = Drawn::<f64>::new(case, drawn_sizes(case));
        let (sizes, parts) = (drawn.sizes, &drawn.parts);
        let run = |parts: [&[f64]; 4]| {
            let [query, key, value, beta] = parts;
            let mut output = vec![0.0; value.len()];
            delta::recurrence(Inputs { query, key, value, beta }, sizes, &mut output);
            output
        };
        let dy = draws(case, "dy", parts[2].len());
        let mut output = vec![0.0; dy.len()];
        let saved = delta::forward(drawn.inputs(), sizes, &mut output);
        let found = delta::backward(drawn.inputs(), &saved, &dy, sizes);
        let [q, k, v, b] = parts.each_ref().map(Vec::as_slice);
        check("delta query", case, q, &found.query, |q| run([q, k, v, b]), &dy);
        check("delta key", case, k, &found.key, |k| run([q, k, v, b]), &dy);
        check("delta value", case, v, &found.value, |v| run([q, k, v, b]), &dy);
        check("delta beta", case, b, &found.beta, |b| run([q, k, v, b]), &dy);
    }
}

#[test]
fn long_products_in_single_precision() {
    for (case, distinct) in [(1, usize::MAX), (2, 8), (3, 1)] {
        let sizes = Sizes { batch: 1, length: 4096, heads: 1, key: 32, value: 32, chunk: 32 };
        let mut drawn = Drawn::<f32>::new(case, sizes);
        let [_, key, _, beta] = &mut drawn.parts;
        for step in 0..sizes.length {
            let from = step % distinct * sizes.key;
            key.copy_within(from..from + sizes.key, step * sizes.key);
            if step % 3 == 0 {
                beta[step] = 2.0;
            }
        }
        let (found, wanted) = (drawn.by_chunks(32), drawn.by_steps());
        let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x * x)).sum::<f64>().sqrt();
        let apart = norm(&mut found.iter().zip(&wanted).map(|(a, b)| a - b));
        let relative = apart / norm(&mut wanted.iter().copied());
        assert!(relative < 2e-5, "{distinct} keys: {relative:e}");
    }
}

#[test]
fn a_zero_key_and_a_zero_beta_leave_the_state() {
    let sizes = Sizes { batch: 1, length: 20, heads: 1, key: 4, value: 3, chunk: 8 };
    let mut drawn = Drawn::<f64>::new(5, sizes);
    for step in 5..20 {
        if step % 2 == 0 {
            drawn.parts[1][step * 4..(step + 1) * 4].fill(0.0);
        } else {
            drawn.parts[3][step] = 0.0;
        }
        drawn.parts[0].copy_within(16..20, step * 4);
    }
    for output in [drawn.by_chunks(8), drawn.by_chunks(3), drawn.by_steps()] {
        for step in 5..20 {
            close("state", 5, &output[step * 3..(step + 1) * 3], &output[12..15]);
        }
    }
    let (a, b) = ([0.5, -0.5, 1.0, 1.0], [2.0, 3.0, 0.0, 0.0]);
    let mut h = [0.0; 4];
    kernel::forward(&a, &b, [4, 1], &mut h);
    assert_eq!(h, [2.0, 2.0, 2.0, 2.0]);
}

/// Swaps are reflections: with `β = 2` and `k = (e_i − e_j)/√2` the state follows a permutation of seven things exactly. In single
/// precision it still does after 20,000 swaps.
#[test]
fn products_of_reflections_follow_a_permutation() {
    let (things, length) = (7, 20_000);
    let mut stream = Stream::new(1, "swaps");
    let mut order: Vec<usize> = (0..things).collect();
    let mut state = vec![0.0_f32; things * things];
    (0..things).for_each(|at| state[at * things + at] = 1.0);
    let (half, nothing) = (std::f32::consts::FRAC_1_SQRT_2, vec![0.0; things]);
    let mut scratch = vec![0.0; things];
    for _ in 0..length {
        let (i, j) = (stream.below(things), stream.below(things));
        if i == j {
            continue;
        }
        order.swap(i, j);
        let mut key = vec![0.0; things];
        (key[i], key[j]) = (half, -half);
        delta::advance(&key, &nothing, 2.0, &mut state, &mut scratch);
    }
    for (row, &thing) in order.iter().enumerate() {
        for column in 0..things {
            let wanted = f32::from(u8::from(thing == column));
            assert!((state[row * things + column] - wanted).abs() < 0.02, "{row} {column}");
        }
    }
}

#[test]
fn the_scan_and_its_derivatives() {
    for case in 0..CASES {
        let [batch, length, width] = sizes(case, [4, 30, 20]);
        let size = batch * length * width;
        let (a, b) = (draws(case, "a", size), draws(case, "b", size));
        let run = |a: &[f64], b: &[f64]| {
            let mut h = vec![0.0; size];
            kernel::forward(a, b, [length, width], &mut h);
            h
        };
        let mut wanted = vec![0.0; size];
        for row in 0..batch {
            for step in 0..length {
                for at in 0..width {
                    let place = (row * length + step) * width + at;
                    let before = if step == 0 { 0.0 } else { wanted[place - width] };
                    wanted[place] = a[place] * before + b[place];
                }
            }
        }
        let h = run(&a, &b);
        close("scan", case, &h, &wanted);
        let dh = draws(case, "dh", size);
        let (mut da, mut db) = (vec![0.0; size], vec![0.0; size]);
        kernel::backward(&a, &h, &dh, [length, width], &mut da, &mut db);
        // Products of many normal draws are large; differences lose what their size takes.
        if length <= 12 {
            check("scan a", case, &a, &da, |a| run(a, &b), &dh);
        }
        check("scan b", case, &b, &db, |b| run(&a, b), &dh);
    }
}

fn leaf<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex()).autodiff().require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn near(name: &str, case: u64, found: &[Vec<f32>], wanted: &[Vec<f32>]) {
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(found.len(), wanted.len(), "{name} case {case} output {at}");
        let scale = wanted.iter().fold(1.0_f32, |scale, x| scale.max(x.abs()));
        for (a, b) in found.iter().zip(wanted) {
            assert!((a - b).abs() <= 3e-5 * scale, "{name} case {case} output {at}: {a} {b}");
        }
    }
}

/// In double precision an operation is its composition, so a cast there and back is the other side.
#[test]
fn operations_are_their_compositions() {
    for case in 0..CASES {
        let [batch, length, heads, key, value] = sizes(case, [3, 40, 3, 9, 7]).map(|size| size.max(1));
        let drawn = Drawn::<f32>::new(case, Sizes { batch, length, heads, key, value, chunk: 32 });
        let [q, k, v, b] = &drawn.parts;
        let run = |kind: DType| {
            let (q, k) = (leaf(q, [batch, length, heads, key]), leaf(k, [batch, length, heads, key]));
            let (v, b) = (leaf(v, [batch, length, heads, value]), leaf(b, [batch, length, heads]));
            let cast = |x: &Tensor<4>| x.clone().cast(kind);
            let y = delta_rule(cast(&q), cast(&k), cast(&v), b.clone().cast(kind)).cast(DType::F32);
            let weights = leaf(&vec![1.0; batch * length * heads * value], y.dims()).cumsum(1);
            let gradients = (y.clone() * weights).sum().backward();
            let of = |leaf: &Tensor<4>| values(leaf.grad(&gradients).unwrap());
            vec![values(y), of(&q), of(&k), of(&v), values(b.grad(&gradients).unwrap())]
        };
        near("delta rule", case, &run(DType::F32), &run(DType::F64));

        if length == 1 {
            // The first factor meets a state of zeros; the composition does not look at it.
            continue;
        }
        let width = heads * key;
        let run = |kind: DType| {
            let a = leaf(&q[..batch * length * width], [batch, length, width]);
            let b = leaf(k, [batch, length, width]);
            let h = scan(a.clone().tanh().cast(kind), b.clone().cast(kind)).cast(DType::F32);
            let gradients = (h.clone() * h.clone()).sum().backward();
            vec![values(h), values(a.grad(&gradients).unwrap()), values(b.grad(&gradients).unwrap())]
        };
        near("scan", case, &run(DType::F32), &run(DType::F64));
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let sizes = Sizes { batch: 3, length: 100, heads: 5, key: 8, value: 12, chunk: 32 };
            let drawn = Drawn::<f32>::new(9, sizes);
            let mut output = vec![0.0; drawn.parts[2].len()];
            let saved = delta::forward(drawn.inputs(), sizes, &mut output);
            let d = delta::backward(drawn.inputs(), &saved, &drawn.parts[2], sizes);
            let mut h = vec![0.0; drawn.parts[0].len()];
            kernel::forward(&drawn.parts[0], &drawn.parts[1], [100, 40], &mut h);
            (output, d.query, d.key, d.value, d.beta, h)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}
