//! The kernels in double precision: values by plain formulas, derivatives by central differences.

use backstitch_kernels::attention::{self, Heads};
use backstitch_kernels::elementwise::{self, Function};
use backstitch_kernels::recurrent::{self, Derivatives, Gru, Lstm, Sizes};
use backstitch_kernels::{embedding, linear, loss, norm, rotary, softmax, step};

use crate::{CASES, draws, sizes};

/// The derivative of `Σ weights · f(x)` along each coordinate of `x`, at most 40 of them, against `gradient`.
pub(crate) fn check(
    name: &str,
    case: u64,
    x: &[f64],
    gradient: &[f64],
    f: impl Fn(&[f64]) -> Vec<f64>,
    weights: &[f64],
) {
    let value = |x: &[f64]| f(x).iter().zip(weights).map(|(y, w)| y * w).sum::<f64>();
    let stride = x.len().div_ceil(40).max(1);
    for at in (0..x.len()).step_by(stride) {
        let step = 1e-5;
        let moved = |by: f64| {
            let mut moved = x.to_vec();
            moved[at] += by;
            value(&moved)
        };
        // Richardson's extrapolation of two central differences: error of the fourth order.
        let central = |step: f64| (moved(step) - moved(-step)) / (2.0 * step);
        let slope = (4.0 * central(step) - central(2.0 * step)) / 3.0;
        let scale = 1.0_f64.max(slope.abs());
        assert!(
            (gradient[at] - slope).abs() <= 1e-6 * scale,
            "{name} case {case} at {at}: {} {slope}",
            gradient[at]
        );
    }
}

pub(crate) fn close(name: &str, case: u64, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{name} case {case}");
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= 1e-11 * b.abs().max(1.0), "{name} case {case}: {a} {b}");
    }
}

#[test]
fn linear_layers() {
    for case in 0..CASES {
        let shape = sizes(case, [40, 20, 30]);
        let [rows, inputs, outputs] = shape;
        let (x, w, b) =
            (draws(case, "x", rows * inputs), draws(case, "w", inputs * outputs), draws(case, "b", outputs));
        let run = |x: &[f64], w: &[f64], b: &[f64]| linear::forward(x, w, Some(b), shape);
        let wanted: Vec<f64> = (0..rows * outputs)
            .map(|at| {
                let (row, column) = (at / outputs, at % outputs);
                b[column] + (0..inputs).map(|k| x[row * inputs + k] * w[k * outputs + column]).sum::<f64>()
            })
            .collect();
        close("linear", case, &run(&x, &w, &b), &wanted);
        let dy = draws(case, "dy", rows * outputs);
        let mut db = vec![0.0; outputs];
        let (dx, dw) = (linear::input_gradient(&dy, &w, shape), linear::weight_gradient(&x, &dy, shape));
        linear::bias_gradient(&dy, outputs, &mut db);
        check("linear x", case, &x, &dx, |x| run(x, &w, &b), &dy);
        check("linear w", case, &w, &dw, |w| run(&x, w, &b), &dy);
        check("linear b", case, &b, &db, |b| run(&x, &w, b), &dy);
    }
}

#[test]
fn activations() {
    let plain = |function: Function, x: f64| match function {
        Function::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Function::Silu => x / (1.0 + (-x).exp()),
        Function::Relu => x.max(0.0),
    };
    for function in [Function::GeluTanh, Function::Silu, Function::Relu] {
        for case in 0..CASES {
            let [size] = sizes(case, [100]);
            let (x, up, dy) = (draws(case, "x", size), draws(case, "up", size), draws(case, "dy", size));
            let run = |x: &[f64]| {
                let mut y = vec![0.0; size];
                elementwise::forward(function, x, &mut y);
                y
            };
            close("activation", case, &run(&x), &x.iter().map(|&x| plain(function, x)).collect::<Vec<_>>());
            let mut dx = dy.clone();
            elementwise::backward(function, &x, &mut dx);
            check("activation", case, &x, &dx, run, &dy);

            let gated = |gate: &[f64], up: &[f64]| {
                let mut y = vec![0.0; size];
                elementwise::gated_forward(function, gate, up, &mut y);
                y
            };
            let (mut d_gate, mut d_up) = (vec![0.0; size], vec![0.0; size]);
            elementwise::gated_backward(function, &x, &up, &dy, &mut d_gate, &mut d_up);
            check("gate", case, &x, &d_gate, |x| gated(x, &up), &dy);
            check("gated", case, &up, &d_up, |up| gated(&x, up), &dy);
        }
    }
}

#[test]
fn norms() {
    for centred in [true, false] {
        for case in 0..CASES {
            let [rows, width] = sizes(case, [30, 50]);
            // A layer norm of one or two values is a step function; its differences are of no use.
            let width = if centred && width > 0 { width + 3 } else { width };
            let (x, w, b) =
                (draws(case, "x", rows * width), draws(case, "w", width), draws(case, "b", width));
            let run = |x: &[f64], w: &[f64], b: &[f64]| {
                let mut y = vec![0.0; x.len()];
                norm::forward(x, w, centred.then_some(b), 1e-5, &mut y);
                y
            };
            let wanted: Vec<f64> = x
                .chunks(width.max(1))
                .flat_map(|x| {
                    let mean = if centred { x.iter().sum::<f64>() / width as f64 } else { 0.0 };
                    let spread = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64 + 1e-5;
                    (0..width).map(move |at| (x[at] - mean) / spread.sqrt())
                })
                .zip(w.iter().zip(&b).cycle())
                .map(|(x, (w, b))| x * w + if centred { *b } else { 0.0 })
                .collect();
            close("norm", case, &run(&x, &w, &b), &wanted);
            let dy = draws(case, "dy", x.len());
            let mut y = vec![0.0; x.len()];
            let moments = norm::forward(&x, &w, centred.then_some(&b[..]), 1e-5, &mut y);
            let (mut dx, mut dw, mut db) = (dy.clone(), vec![0.0; width], vec![0.0; width]);
            norm::backward(&x, &w, &moments, &mut dx, &mut dw, centred.then_some(&mut db[..]));
            check("norm x", case, &x, &dx, |x| run(x, &w, &b), &dy);
            check("norm w", case, &w, &dw, |w| run(&x, w, &b), &dy);
            check("norm b", case, &b, &db, |b| run(&x, &w, b), &dy);
        }
    }
}

#[test]
fn cross_entropies() {
    for case in 0..CASES {
        let [rows, classes] = sizes(case, [30, 40]);
        let classes = classes.max(1);
        let x = draws(case, "x", rows * classes);
        let targets: Vec<i32> = (0..rows).map(|row| ((row * 7 + 3) % classes) as i32).collect();
        let weights: Vec<f64> = (0..rows).map(|row| [1.0, 0.0, 0.5][(row + case as usize) % 3]).collect();
        let run = |x: &[f64]| {
            let mut dx = vec![0.0; x.len()];
            (loss::cross_entropy(x, &targets, &weights, classes, &mut dx), dx)
        };
        let total: f64 = weights.iter().sum();
        let wanted: f64 = (0..rows)
            .map(|row| {
                let x = &x[row * classes..(row + 1) * classes];
                weights[row] * (x.iter().map(|x| x.exp()).sum::<f64>().ln() - x[targets[row] as usize])
            })
            .sum();
        let (found, dx) = run(&x);
        close("loss", case, &[found], &[if total > 0.0 { wanted / total } else { 0.0 }]);
        check("loss", case, &x, &dx, |x| vec![run(x).0], &[1.0]);
    }
}

#[test]
fn tables() {
    for case in 0..CASES {
        let [rows, width, count] = sizes(case, [9, 20, 60]);
        let rows = rows.max(1);
        let table = draws(case, "table", rows * width);
        let tokens: Vec<i32> = (0..count).map(|at| ((at * 5 + 2) % rows) as i32).collect();
        let run = |table: &[f64]| {
            let mut y = vec![0.0; count * width];
            embedding::gather(table, &tokens, width, &mut y);
            y
        };
        let dy = draws(case, "dy", count * width);
        let mut d_table = vec![1.0; table.len()];
        embedding::scatter_add(&tokens, &dy, width, &mut d_table);
        check("table", case, &table, &d_table, run, &dy);
    }
}

#[test]
fn attention_and_rotation() {
    for case in 0..CASES {
        let [batch, length, shared, times, half] = sizes(case, [4, 9, 3, 3, 5]);
        let heads = Heads { queries: shared.max(1) * times.max(1), shared: shared.max(1), width: 2 * half };
        let size = batch * length * heads.packed();
        let angles = draws(case, "angles", length * half);
        let cosines: Vec<f64> = angles.iter().map(|angle| angle.cos()).collect();
        let sines: Vec<f64> = angles.iter().map(|angle| angle.sin()).collect();
        let x = draws(case, "x", size);
        for causal in [true, false] {
            let run = |x: &[f64]| {
                let mut turned = x.to_vec();
                rotary::rotate(&mut turned, &cosines, &sines, heads, false);
                let mut out = vec![0.0; batch * length * heads.queries * heads.width];
                let mut probabilities = vec![0.0; batch * heads.queries * length * length];
                attention::forward(&turned, length, heads, causal, &mut out, &mut probabilities);
                (out, turned, probabilities)
            };
            let (out, turned, probabilities) = run(&x);
            close("attention", case, &out, &plain_attention(&turned, length, heads, causal));
            let dy = draws(case, "dy", out.len());
            let mut dx = vec![0.0; size];
            attention::backward(&turned, &probabilities, &dy, length, heads, causal, &mut dx);
            rotary::rotate(&mut dx, &cosines, &sines, heads, true);
            check("attention", case, &x, &dx, |x| run(x).0, &dy);
        }
    }
}

/// One number at a time.
fn plain_attention(qkv: &[f64], length: usize, heads: Heads, causal: bool) -> Vec<f64> {
    let (packed, width) = (heads.packed(), heads.width);
    let mut out = Vec::new();
    for batch in qkv.chunks((length * packed).max(1)) {
        for query in 0..length {
            for head in 0..heads.queries {
                let shared = head / (heads.queries / heads.shared);
                let at = |row: usize, head: usize, i: usize| batch[row * packed + head * width + i];
                let seen = if causal { query + 1 } else { length };
                let scores: Vec<f64> = (0..seen)
                    .map(|key| {
                        let dot: f64 =
                            (0..width).map(|i| at(query, head, i) * at(key, heads.queries + shared, i)).sum();
                        (dot / (width as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                out.extend((0..width).map(|i| {
                    let value = |key| at(key, heads.queries + heads.shared + shared, i);
                    (0..seen).map(|key| scores[key] / total * value(key)).sum::<f64>()
                }));
            }
        }
    }
    out
}

/// Values by the equations, one number at a time.
#[test]
fn recurrences() {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    for case in 0..CASES {
        let [batch, length, width] = sizes(case, [40, 6, 5]);
        let sizes = Sizes { batch, length, width };
        for gates in [3, 4] {
            let (outputs, a) = (gates - 2, draws(case, "a", sizes.values(gates)));
            let (u, c) = (draws(case, "u", gates * width * width), draws(case, "c", gates * width));
            let run = |a: &[f64], u: &[f64], c: &[f64]| {
                let (mut y, mut saved) = (vec![0.0; sizes.values(outputs)], vec![0.0; sizes.values(4)]);
                match gates {
                    3 => recurrent::forward::<Gru, f64>(a, u, c, sizes, &mut y, &mut saved),
                    _ => recurrent::forward::<Lstm, f64>(a, u, c, sizes, &mut y, &mut saved),
                }
                (y, saved)
            };
            let mut wanted = Vec::new();
            for row in 0..batch {
                let (mut h, mut cell) = (vec![0.0; width], vec![0.0; width]);
                for step in 0..length {
                    let input =
                        |gate: usize, at: usize| a[((row * length + step) * gates + gate) * width + at];
                    let state = |h: &[f64], gate: usize, at: usize| {
                        let column = gate * width + at;
                        c[column] + (0..width).map(|k| h[k] * u[k * gates * width + column]).sum::<f64>()
                    };
                    let both = |h: &[f64], gate, at| input(gate, at) + state(h, gate, at);
                    let before = h.clone();
                    for at in 0..width {
                        if gates == 3 {
                            let (r, z) = (logistic(both(&before, 0, at)), logistic(both(&before, 1, at)));
                            let n = (input(2, at) + r * state(&before, 2, at)).tanh();
                            h[at] = (1.0 - z) * n + z * before[at];
                        } else {
                            let gate = |gate| both(&before, gate, at);
                            cell[at] = logistic(gate(1)) * cell[at] + logistic(gate(0)) * gate(2).tanh();
                            h[at] = logistic(gate(3)) * cell[at].tanh();
                        }
                    }
                    wanted.extend(&h);
                    if gates == 4 {
                        wanted.extend(&cell);
                    }
                }
            }
            let (y, saved) = run(&a, &u, &c);
            close("recurrence", case, &y, &wanted);
            let dy = draws(case, "dy", y.len());
            let (mut da, mut du, mut dc) = (vec![0.0; a.len()], vec![0.0; u.len()], vec![0.0; c.len()]);
            let derivatives = Derivatives { input: &mut da, weight: &mut du, bias: &mut dc };
            match gates {
                3 => recurrent::backward::<Gru, f64>(&u, &y, &saved, &dy, sizes, derivatives),
                _ => recurrent::backward::<Lstm, f64>(&u, &y, &saved, &dy, sizes, derivatives),
            }
            check("recurrence input", case, &a, &da, |a| run(a, &u, &c).0, &dy);
            check("recurrence weight", case, &u, &du, |u| run(&a, u, &c).0, &dy);
            check("recurrence bias", case, &c, &dc, |c| run(&a, &u, c).0, &dy);
        }
    }
}

/// Several steps against the published update, one number at a time; any number of elements.
#[test]
fn steps_of_optimisers() {
    for case in 0..CASES {
        let [count] = sizes(case, [40_000]);
        let (beta1, beta2, epsilon, decay, rate, scale) = (0.9, 0.95, 1e-8, 0.01, 1e-2, 0.5);
        let start = draws(case, "x", count);
        let (mut x, mut m, mut v) = (start.clone(), vec![0.0; count], vec![0.0; count]);
        let (mut moved, mut velocity) = (start.clone(), vec![0.0; count]);
        let (mut wanted, mut wanted_sgd, mut plain) = (start.clone(), start, vec![[0.0; 3]; count]);
        for t in 1..=3 {
            let g = draws(case, &format!("g {t}"), count);
            let (correction1, correction2) = (1.0 - 0.9_f64.powi(t), 1.0 - 0.95_f64.powi(t));
            let root = 1.0 / correction2.sqrt();
            let (shrink, fast) = (1.0 - rate * decay, rate / correction1);
            step::AdamW { scale, beta1, beta2, epsilon, shrink, rate: fast, root }
                .step(&mut x, &g, &mut m, &mut v);
            step::Sgd { scale, momentum: 0.8, decay, rate }.step(&mut moved, &g, &mut velocity);
            for at in 0..count {
                let (g, [m, v, momentum]) = (scale * g[at], &mut plain[at]);
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                wanted[at] -= rate * decay * wanted[at];
                wanted[at] -= rate * (*m / correction1) / ((*v / correction2).sqrt() + epsilon);
                *momentum = 0.8 * *momentum + g + decay * wanted_sgd[at];
                wanted_sgd[at] -= rate * *momentum;
            }
            let squares: f64 = g.iter().map(|g| g * g).sum();
            assert!((step::squared_norm(&g) - squares).abs() <= 1e-12 * squares);
        }
        close("AdamW", case, &x, &wanted);
        close("SGD", case, &moved, &wanted_sgd);
    }
}

#[test]
fn softmax_of_rows() {
    for case in 0..CASES {
        let [rows, width] = sizes(case, [20, 40]);
        let x = draws(case, "x", rows * width);
        let run = |x: &[f64]| {
            let mut y = vec![0.0; x.len()];
            softmax::forward(x, width, &mut y);
            y
        };
        let wanted: Vec<f64> = x
            .chunks(width.max(1))
            .flat_map(|row| {
                let total: f64 = row.iter().map(|x| x.exp()).sum();
                row.iter().map(move |x| x.exp() / total)
            })
            .collect();
        let y = run(&x);
        close("softmax", case, &y, &wanted);
        let dy = draws(case, "dy", x.len());
        let mut dx = vec![0.0; x.len()];
        softmax::backward(&y, &dy, width, &mut dx);
        check("softmax", case, &x, &dx, run, &dy);
    }
}
