//! What the penalty method is compared with on the closed forms.

use backstitch_optimize::penalty_bilevel::{Bilevel, Samples, Slopes};

/// Steps of one length along a vector.
fn add(to: &mut [f64], multiple: f64, vector: &[f64]) {
    for (sum, value) in to.iter_mut().zip(vector) {
        *sum += multiple * value;
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}

/// Both parts of a gradient.
fn gradient(problem: &dyn Bilevel, lower: bool, x: &[f64], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut of_x, mut of_y) = (vec![0.0; x.len()], vec![0.0; y.len()]);
    let slopes = Slopes::both(&mut of_x, &mut of_y);
    if lower {
        problem.lower_gradient(x, y, Samples::All, slopes);
    } else {
        problem.upper_gradient(x, y, Samples::All, slopes);
    }
    (of_x, of_y)
}

/// SOBA: y descends g, v solves `H_yy v = −∇_y f` by steps of its own, x descends `∇_x f + H_xy v`.
pub(super) fn soba(problem: &dyn Bilevel, x: &[f64], y: &[f64], step: f64, steps: usize) -> Vec<f64> {
    let (mut x, mut y) = (x.to_vec(), y.to_vec());
    let lower_step = 0.5 / problem.lower_smoothness(&x);
    let mut v = vec![0.0; y.len()];
    let (mut of_x, mut of_y) = (vec![0.0; x.len()], vec![0.0; y.len()]);
    for _ in 0..steps {
        let (f_x, f_y) = gradient(problem, false, &x, &y);
        let (_, g_y) = gradient(problem, true, &x, &y);
        problem.lower_hessian_product(&x, &y, &v, Slopes::both(&mut of_x, &mut of_y));
        add(&mut x, -step, &f_x);
        add(&mut x, -step, &of_x);
        add(&mut y, -lower_step, &g_y);
        add(&mut v, -lower_step, &of_y);
        add(&mut v, -lower_step, &f_y);
    }
    x
}

/// BOME: x and y descend `f + λ(g(x, y) − g(x, z))`, z ten steps of g away from y, λ such that the difference falls.
pub(super) fn bome(
    problem: &dyn Bilevel,
    mut x: Vec<f64>,
    mut y: Vec<f64>,
    step: f64,
    steps: usize,
) -> Vec<f64> {
    const INNER: usize = 10;
    const SHARE: f64 = 0.5;
    let lower_step = 0.5 / problem.lower_smoothness(&x);
    for _ in 0..steps {
        let mut z = y.clone();
        for _ in 0..INNER {
            let (_, g_y) = gradient(problem, true, &x, &z);
            add(&mut z, -lower_step, &g_y);
        }
        let (f_x, f_y) = gradient(problem, false, &x, &y);
        let (mut q_x, q_y) = gradient(problem, true, &x, &y);
        add(&mut q_x, -1.0, &gradient(problem, true, &x, &z).0);
        let square = dot(&q_x, &q_x) + dot(&q_y, &q_y);
        let along = dot(&f_x, &q_x) + dot(&f_y, &q_y);
        let multiplier = if square > 0.0 { (SHARE - along / square).max(0.0) } else { 0.0 };
        for (point, f, q) in [(&mut x, &f_x, &q_x), (&mut y, &f_y, &q_y)] {
            add(point, -step, f);
            add(point, -step * multiplier, q);
        }
    }
    x
}

/// Descent on `f + g/σ` in x and y together.
pub(super) fn naive(
    problem: &dyn Bilevel,
    mut x: Vec<f64>,
    mut y: Vec<f64>,
    sigma: f64,
    steps: usize,
) -> Vec<f64> {
    // The curvature in x and y together is a few times that in y.
    let step = 0.1 * sigma;
    for _ in 0..steps {
        let (f_x, f_y) = gradient(problem, false, &x, &y);
        let (g_x, g_y) = gradient(problem, true, &x, &y);
        for (point, f, g) in [(&mut x, &f_x, &g_x), (&mut y, &f_y, &g_y)] {
            add(point, -step, f);
            add(point, -step / sigma, g);
        }
    }
    x
}
