//! EF21 and EF21-W: constants, compressors, rounds, guarantees.

use std::sync::mpsc::{Receiver, Sender, channel};

use backstitch_numerics::{Matrix, SparseMatrix, Stream};
use backstitch_optimize::Error;
use backstitch_optimize::ef21_w::{
    Algorithm, CARD, Certificate, Compressor, Contraction, Ef21W, Exchange, Federated, Fit, Initial, Model,
    Outcome, Packet, Parameters, Smoothness, Split, Step, smoothness_of_rows,
};
use backstitch_optimize::objective::{Classes, Loss, Objective, Quadratic, Regulariser};
use proptest::prelude::*;

/// Quadratics of these constants with one reflection, and their constants.
fn quadratics(constants: &[f64], dimension: usize, seed: u64) -> (Vec<Quadratic>, Smoothness) {
    let mut stream = Stream::new(seed, "quadratics");
    let axis: Vec<f64> = (0..dimension).map(|_| stream.normal()).collect();
    let mut mean = vec![0.0; dimension];
    let clients: Vec<Quadratic> = constants
        .iter()
        .map(|constant| {
            let mut eigenvalues: Vec<f64> =
                (0..dimension).map(|_| constant * (0.1 + 0.9 * stream.uniform())).collect();
            eigenvalues[stream.below(dimension)] = *constant;
            for (sum, eigenvalue) in mean.iter_mut().zip(&eigenvalues) {
                *sum += eigenvalue / constants.len() as f64;
            }
            let centre = (0..dimension).map(|_| stream.normal()).collect();
            Quadratic::new(centre, eigenvalues, axis.clone()).unwrap()
        })
        .collect();
    let of_mean = mean.iter().copied().fold(0.0, f64::max);
    (clients, Smoothness::new(of_mean, constants.to_vec()).unwrap())
}

fn fit(parameters: Parameters, clients: &[Quadratic], smoothness: &Smoothness) -> Fit {
    Ef21W::new(parameters).unwrap().fit(clients, smoothness).unwrap()
}

fn unequal() -> Vec<f64> {
    let mut constants = vec![1.0; 12];
    constants[0] = 100.0;
    constants[7] = 30.0;
    constants
}

/// Random rows with labels of a random hyperplane.
fn rows(count: usize, features: usize, seed: u64) -> (SparseMatrix, Vec<f64>) {
    let mut stream = Stream::new(seed, "rows");
    let weights: Vec<f64> = (0..features).map(|_| stream.normal()).collect();
    let dense =
        Matrix::from_fn(count, features, |_, _| if stream.uniform() < 0.3 { stream.normal() } else { 0.0 });
    let labels = (0..count)
        .map(|row| {
            let score: f64 = dense.row(row).iter().zip(&weights).map(|(a, w)| a * w).sum();
            if score + 0.5 * stream.normal() > 0.0 { 1.0 } else { -1.0 }
        })
        .collect();
    (SparseMatrix::from_dense(&dense).with_columns(features).unwrap(), labels)
}

fn apart(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()))
}

#[test]
fn the_published_example_gives_its_constants() {
    let smoothness = Smoothness::of_clients_only(vec![1.0, 1.0, 1.0, 100.0]).unwrap();
    assert_eq!(smoothness.arithmetic_mean(), 25.75);
    // 50.007…, which the paper gives as 50.
    assert!((smoothness.quadratic_mean() - 2500.75f64.sqrt()).abs() < 1e-12);
    let difference = smoothness.quadratic_mean().powi(2) - smoothness.arithmetic_mean().powi(2);
    assert!((smoothness.variance() - difference).abs() < 1e-9);
    assert_eq!(smoothness.weights()[3], 100.0 / 103.0);
    // One clone for the smooth clients, four for the other: √(7/16·(3 + 2500)).
    assert!((smoothness.clones() - (7.0 / 16.0 * 2503.0f64).sqrt()).abs() < 1e-12);
    assert!(smoothness.clones() <= 2f64.sqrt() * smoothness.arithmetic_mean());
}

#[test]
fn contraction_constants_have_their_closed_forms() {
    for alpha in [1.0, 0.9, 0.5, 0.1, 1e-3] {
        let contraction = Contraction::new(alpha).unwrap();
        let root = (1.0 - alpha).sqrt();
        let close = |one: f64, other: f64| (one - other).abs() <= 1e-9 * (1.0 + other.abs());
        assert!(close(contraction.theta, 1.0 - root), "{alpha}");
        assert!(close(contraction.xi, (1.0 + root) / alpha - 1.0), "{alpha}");
        assert!(close(contraction.xi, (contraction.beta / contraction.theta).sqrt()), "{alpha}");
        if alpha < 1.0 {
            assert!(close(contraction.beta, (1.0 - alpha) / (1.0 - root)), "{alpha}");
        }
    }
    assert_eq!(Contraction::new(1.0).unwrap().xi, 0.0);
    // Far below where 1 − √(1 − α) has digits left.
    let tiny = Contraction::new(1e-18).unwrap();
    assert!((tiny.theta - 5e-19).abs() < 1e-30 && (tiny.xi / 2e18 - 1.0).abs() < 1e-9, "{tiny:?}");
    for alpha in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(matches!(Contraction::new(alpha), Err(Error::Parameter { .. })));
    }
}

/// The analysis of partial participation has two free constants; ours is their best choice.
#[test]
fn partial_participation_takes_the_best_constants() {
    for (alpha, p) in [(0.05, 0.5), (0.5, 0.1), (0.9, 0.9), (0.01, 1.0)] {
        let ours = Contraction::partial(alpha, p).unwrap().xi.powi(2);
        let mut best = f64::INFINITY;
        let ratio = |s: f64, rho: f64| {
            let theta = p * (1.0 - (1.0 + s) * (1.0 - alpha)) - (1.0 - p) * rho;
            let beta = p * (1.0 + 1.0 / s) * (1.0 - alpha) + (1.0 - p) * (1.0 + 1.0 / rho);
            if theta > 0.0 { beta / theta } else { f64::INFINITY }
        };
        for i in 0..800 {
            for j in 0..800 {
                best = best.min(ratio(1e-4 * 1.012f64.powi(i), 1e-4 * 1.012f64.powi(j)));
            }
        }
        assert!(ours <= best * (1.0 + 1e-12) && best <= ours * 1.001, "{alpha} {p}: {ours} {best}");
    }
}

#[test]
fn noise_halves_the_contraction() {
    for (alpha, p) in [(0.05, 1.0), (0.5, 0.3), (0.9, 1.0)] {
        let exact = Contraction::partial(alpha, p).unwrap();
        let noisy = Contraction::noisy(alpha, p).unwrap();
        assert!((noisy.theta - exact.theta / 2.0).abs() < 1e-12, "{noisy:?}");
        assert!(noisy.noise > 1.0 * p && noisy.xi > exact.xi);
    }
    let plain = Contraction::noisy(1.0, 1.0).unwrap();
    assert_eq!((plain.xi, plain.noise), (0.0, 1.0));
}

#[test]
fn compressors_contract_as_they_promise() {
    let dimension = 9;
    let mut stream = Stream::new(5, "vectors");
    for compressor in [
        Compressor::Top(1),
        Compressor::Top(4),
        Compressor::Random(3),
        Compressor::Natural,
        Compressor::Identity,
    ] {
        let alpha = compressor.contraction(dimension);
        for round in 0..20 {
            // What clients send first is the compressed gradient, so one client with f = ½‖x − c‖² shows C(−c).
            let vector: Vec<f64> =
                (0..dimension).map(|_| stream.normal() * 10f64.powi(round % 7 - 3)).collect();
            let squared: f64 = vector.iter().map(|value| value * value).sum();
            let mut left = 0.0;
            let draws = if compressor == Compressor::Random(3) { 4_000 } else { 200 };
            for seed in 0..draws {
                left += error_of(compressor, &vector, seed) / f64::from(draws as u32);
            }
            let bound = (1.0 - alpha) * squared;
            // Random-3 meets its bound exactly, on average.
            let slack = if compressor == Compressor::Random(3) { 0.06 * squared } else { 1e-12 * squared };
            assert!(left <= bound + slack, "{compressor}: {left} {bound}");
        }
    }
}

/// ‖C(v) − v‖² for one draw.
fn error_of(compressor: Compressor, vector: &[f64], seed: u64) -> f64 {
    let centre: Vec<f64> = vector.iter().map(|value| -value).collect();
    let client = Quadratic::new(centre, vec![1.0; vector.len()], vec![0.0; vector.len()]).unwrap();
    let smoothness = Smoothness::of_clients_only(vec![1.0]).unwrap();
    let parameters = Parameters {
        compressor,
        algorithm: Algorithm::Dcgd,
        step: Step::Fixed(1.0),
        rounds: 1,
        seed,
        ..Parameters::default()
    };
    // One step of length 1 along C(v) from zero.
    let fit = fit(parameters, &[client], &smoothness);
    fit.point.iter().zip(vector).map(|(x, value)| (-x - value).powi(2)).sum()
}

#[test]
fn natural_compression_gives_powers_of_two_that_are_right_on_average() {
    let vector = [3.0, -0.7, 1.0, 0.0, 1e-300, -5e-324, 1.7e308];
    let mut sums = [0.0; 7];
    let draws = 20_000;
    for seed in 0..draws {
        let client =
            Quadratic::new(vector.map(|v: f64| -v / 2.0).to_vec(), vec![1.0; 7], vec![0.0; 7]).unwrap();
        let parameters = Parameters {
            compressor: Compressor::Natural,
            algorithm: Algorithm::Dcgd,
            step: Step::Fixed(1.0),
            rounds: 1,
            seed,
            ..Parameters::default()
        };
        let smoothness = Smoothness::of_clients_only(vec![1.0]).unwrap();
        let point = fit(parameters, &[client], &smoothness).point;
        for (place, x) in point.iter().enumerate() {
            let sent = -x;
            assert!(sent == 0.0 || sent.abs().log2().fract() == 0.0, "{sent}");
            sums[place] += sent / f64::from(draws as u32);
        }
    }
    for (place, tolerance) in [(0, 0.01), (1, 0.01), (2, 1e-12)] {
        let expected = vector[place] / 2.0;
        assert!((sums[place] / expected - 1.0).abs() < tolerance, "{} {expected}", sums[place]);
    }
    assert_eq!(sums[3], 0.0);
}

#[test]
fn ties_go_to_the_first_entry() {
    let client = Quadratic::new(vec![-1.0, 2.0, -2.0, 2.0], vec![1.0; 4], vec![0.0; 4]).unwrap();
    let smoothness = Smoothness::of_clients_only(vec![1.0]).unwrap();
    for (count, expected) in
        [(1, [0.0, 2.0, 0.0, 0.0]), (2, [0.0, 2.0, -2.0, 0.0]), (3, [0.0, 2.0, -2.0, 2.0])]
    {
        let parameters = Parameters {
            compressor: Compressor::Top(count),
            algorithm: Algorithm::Dcgd,
            step: Step::Fixed(1.0),
            rounds: 1,
            ..Parameters::default()
        };
        assert_eq!(fit(parameters, std::slice::from_ref(&client), &smoothness).point, expected);
    }
}

#[test]
fn bits_count_coordinates_too() {
    // 123 features: seven bits each, or a mask of 123 bits where that is less.
    assert_eq!(Compressor::Top(1).bits(123), 64 + 7);
    assert_eq!(Compressor::Random(10).bits(123), 640 + 70);
    assert_eq!(Compressor::Top(60).bits(123), 60 * 64 + 123);
    assert_eq!(Compressor::Top(1).bits(1), 64);
    assert_eq!(Compressor::Natural.bits(123), 123 * 12);
    assert_eq!(Compressor::Identity.bits(123), 123 * 64);
    let (clients, smoothness) = quadratics(&[1.0; 5], 10, 1);
    let run = |initial, algorithm| {
        let parameters = Parameters { rounds: 7, initial, algorithm, ..Parameters::default() };
        fit(parameters, &clients, &smoothness)
    };
    assert_eq!(run(Initial::Exact, Algorithm::Ef21W).bits_up, 5 * (640 + 7 * 68));
    assert_eq!(run(Initial::Compressed, Algorithm::Ef21).bits_up, 5 * 8 * 68);
    assert_eq!(run(Initial::Exact, Algorithm::Ef14).bits_up, 5 * 8 * 68);
    assert_eq!(run(Initial::Exact, Algorithm::GradientDescent).bits_up, 5 * 8 * 640);
    assert_eq!(run(Initial::Exact, Algorithm::Ef21W).bits_down, 7 * 640);
}

/// The identity that the paper leaves to the reader: for positively homogeneous compressors the two are one.
#[test]
fn ef21_and_ef21_w_visit_the_same_points() {
    let (clients, smoothness) = quadratics(&unequal(), 15, 3);
    for compressor in [Compressor::Top(1), Compressor::Top(4), Compressor::Random(3), Compressor::Identity] {
        for initial in [Initial::Exact, Initial::Compressed] {
            for participation in [1.0, 0.4] {
                let base =
                    Parameters { compressor, initial, participation, rounds: 400, ..Parameters::default() };
                let one =
                    fit(Parameters { algorithm: Algorithm::Ef21, ..base.clone() }, &clients, &smoothness);
                let other = fit(base, &clients, &smoothness);
                let scale = other.point.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
                assert!(apart(&one.point, &other.point) <= 1e-12 * scale, "{compressor} {initial:?}");
            }
        }
    }
    // Natural compression is not homogeneous, and they part at once.
    let base = Parameters { compressor: Compressor::Natural, rounds: 5, ..Parameters::default() };
    let one = fit(Parameters { algorithm: Algorithm::Ef21, ..base.clone() }, &clients, &smoothness);
    assert!(apart(&one.point, &fit(base, &clients, &smoothness).point) > 1e-6);
    assert!(Compressor::Top(3).is_homogeneous() && !Compressor::Natural.is_homogeneous());
}

/// A plain transcription of the rounds: dense vectors, one loop after the other.
#[test]
fn rounds_are_those_of_a_plain_transcription() {
    let (clients, smoothness) = quadratics(&unequal(), 8, 9);
    let (n, d) = (clients.len(), 8);
    let weights = smoothness.weights();
    let parameters = Parameters { compressor: Compressor::Top(2), rounds: 60, ..Parameters::default() };
    let fit = fit(parameters, &clients, &smoothness);
    let gradient = |client: &Quadratic, point: &[f64]| {
        let mut slope = vec![0.0; d];
        client.gradient(point, &mut slope);
        slope
    };
    let mut x = vec![0.0; d];
    let scaled = |i: usize, x: &[f64]| -> Vec<f64> {
        gradient(&clients[i], x).iter().map(|slope| slope / (n as f64 * weights[i])).collect()
    };
    let mut g: Vec<Vec<f64>> = (0..n).map(|i| scaled(i, &x)).collect();
    for round in 0..60 {
        assert_eq!(fit.trace[round].round, round);
        let mean: Vec<f64> = (0..d)
            .map(|j| clients.iter().map(|client| gradient(client, &x)[j]).sum::<f64>() / n as f64)
            .collect();
        let squared: f64 = mean.iter().map(|slope| slope * slope).sum();
        assert!((fit.trace[round].squared_gradient / squared - 1.0).abs() < 1e-9, "round {round}");
        for j in 0..d {
            x[j] -= fit.certificate.step * (0..n).map(|i| weights[i] * g[i][j]).sum::<f64>();
        }
        for (i, estimate) in g.iter_mut().enumerate() {
            let difference: Vec<f64> = scaled(i, &x).iter().zip(&*estimate).map(|(h, g)| h - g).collect();
            let mut order: Vec<usize> = (0..d).collect();
            order.sort_by(|&a, &b| difference[b].abs().total_cmp(&difference[a].abs()));
            for &j in &order[..2] {
                estimate[j] += difference[j];
            }
        }
    }
    assert!(apart(&fit.point, &x) < 1e-11, "{:?} {x:?}", fit.point);
}

#[test]
fn the_old_step_takes_more_rounds() {
    let (clients, smoothness) = quadratics(&unequal(), 15, 4);
    let rounds = |step| {
        let parameters = Parameters { step, rounds: 50_000, tolerance: 1e-10, ..Parameters::default() };
        let fit = fit(parameters, &clients, &smoothness);
        assert_eq!(fit.outcome, Outcome::Converged);
        (fit.rounds as f64, fit.certificate)
    };
    let ((new, certificate), (old, _)) = (rounds(Step::New), rounds(Step::Old));
    let promised = certificate.new_step / certificate.old_step;
    assert!(promised > 2.0 && old / new >= 0.7 * promised, "{new} {old} {promised}");
}

#[test]
fn the_guarantee_holds_and_says_something() {
    for (seed, compressor) in
        [Compressor::Top(1), Compressor::Random(2), Compressor::Natural, Compressor::Identity]
            .into_iter()
            .enumerate()
    {
        for algorithm in [Algorithm::Ef21, Algorithm::Ef21W] {
            for (participation, initial) in
                [(1.0, Initial::Exact), (1.0, Initial::Compressed), (0.3, Initial::Exact)]
            {
                let (clients, smoothness) = quadratics(&unequal(), 10, seed as u64);
                let parameters = Parameters {
                    algorithm,
                    compressor,
                    participation,
                    initial,
                    rounds: 4_000,
                    measure_every: 1,
                    ..Parameters::default()
                };
                let fit = fit(parameters, &clients, &smoothness);
                let guarantee = fit.guarantee.unwrap();
                assert!(fit.certificate.certified);
                assert!(
                    fit.mean_squared_gradient <= guarantee,
                    "{compressor} {} {guarantee}",
                    fit.mean_squared_gradient
                );
                // What stands still does not meet it.
                assert!(guarantee < fit.trace[0].squared_gradient, "{compressor} {participation}");
                let rounds = fit.certificate.rounds_for(guarantee, fit.first_value, 0.0).unwrap();
                assert!(rounds <= 4_001.0);
            }
        }
    }
}

/// The potential of the analysis never rises, which the guarantee rests on: exact gradients, all clients.
#[test]
fn the_value_of_a_deterministic_run_falls_to_the_minimum() {
    let (clients, smoothness) = quadratics(&unequal(), 10, 6);
    let parameters = Parameters { rounds: 20_000, tolerance: 1e-18, ..Parameters::default() };
    let fit = fit(parameters, &clients, &smoothness);
    assert_eq!(fit.outcome, Outcome::Converged);
    assert!(fit.last_value < fit.first_value);
    let descent = Parameters {
        algorithm: Algorithm::GradientDescent,
        rounds: 5_000,
        tolerance: 1e-20,
        ..Parameters::default()
    };
    let exact = self::fit(descent, &clients, &smoothness);
    assert!(apart(&fit.point, &exact.point) < 1e-8);
}

#[test]
fn the_guarantee_holds_with_batches() {
    let (features, labels) = rows(400, 6, 1);
    let federated = Federated::new(&features, &labels, 8, Split::Label, 0).unwrap();
    let clients = federated.objectives(Loss::Logistic, Regulariser::Bounded(0.01)).unwrap();
    let smoothness = smoothness_of_rows(&clients).unwrap();
    for compressor in [Compressor::Top(3), Compressor::Identity] {
        let parameters = Parameters {
            compressor,
            batch: Some(40),
            rounds: 2_000,
            measure_every: 1,
            ..Parameters::default()
        };
        let fit = Ef21W::new(parameters).unwrap().fit(&clients, &smoothness).unwrap();
        let (guarantee, noise) = (fit.guarantee.unwrap(), fit.certificate.noise.unwrap());
        assert!(
            noise > 0.0 && fit.mean_squared_gradient <= guarantee,
            "{} {guarantee}",
            fit.mean_squared_gradient
        );
        // More rounds do not help against noise, and that is said.
        assert_eq!(fit.certificate.rounds_for(noise / 10.0, 1.0, 0.0), None);
    }
    // A batch of all rows has no noise, and takes the same points as no batch.
    let whole = |batch| {
        let parameters = Parameters { batch, rounds: 50, ..Parameters::default() };
        Ef21W::new(parameters).unwrap().fit(&clients, &smoothness).unwrap()
    };
    assert_eq!(whole(Some(50)).point, whole(None).point);
    assert_eq!(whole(Some(1000)).certificate.step, whole(None).certificate.step);
    // Least squares has gradients of any size: a step, but no guarantee.
    let squares = federated.objectives(Loss::LeastSquares, Regulariser::None).unwrap();
    let smoothness = smoothness_of_rows(&squares).unwrap();
    let parameters = Parameters { batch: Some(10), rounds: 20, ..Parameters::default() };
    let fit = Ef21W::new(parameters).unwrap().fit(&squares, &smoothness).unwrap();
    assert_eq!((fit.guarantee, fit.certificate.noise), (None, None));
}

#[test]
fn baselines_stall_or_diverge_and_say_so() {
    let (clients, smoothness) = quadratics(&unequal(), 10, 8);
    let run = |algorithm, step| {
        fit(Parameters { algorithm, step, rounds: 10_000, ..Parameters::default() }, &clients, &smoothness)
    };
    let last = |fit: &Fit| fit.trace.last().unwrap().squared_gradient;
    let feedback = run(Algorithm::Ef21W, Step::New);
    for algorithm in [Algorithm::Dcgd, Algorithm::Ef14] {
        let baseline = run(algorithm, Step::New);
        assert!(last(&baseline) > 1e6 * last(&feedback), "{algorithm:?}");
        assert!(!baseline.certificate.certified && baseline.guarantee.is_none());
    }
    let wild = run(Algorithm::Ef21W, Step::Fixed(10.0));
    assert_eq!(wild.outcome, Outcome::Diverged);
    assert!(wild.rounds < 10_000 && wild.guarantee.is_none());
}

#[test]
fn threads_and_ranks_do_not_change_the_points() {
    let (features, labels) = rows(600, 40, 2);
    let federated = Federated::new(&features, &labels, 30, Split::Norm, 0).unwrap();
    let clients = federated.objectives(Loss::Logistic, Regulariser::Bounded(0.01)).unwrap();
    let smoothness = smoothness_of_rows(&clients).unwrap();
    for compressor in [Compressor::Top(2), Compressor::Random(3), Compressor::Natural] {
        let parameters = Parameters {
            compressor,
            participation: 0.7,
            batch: Some(5),
            rounds: 80,
            ..Parameters::default()
        };
        let method = Ef21W::new(parameters).unwrap();
        let alone = method.fit(&clients, &smoothness).unwrap();
        let bounds = [0, 3, 4, 19, 30];
        let ranks = Wire::ranks(4, 40);
        let points: Vec<Fit> = std::thread::scope(|scope| {
            let handles: Vec<_> = ranks
                .into_iter()
                .enumerate()
                .map(|(rank, mut wire)| {
                    let own = &clients[bounds[rank]..bounds[rank + 1]];
                    let (method, smoothness) = (&method, &smoothness);
                    scope.spawn(move || {
                        method.fit_shared(own, bounds[rank], smoothness, vec![0.0; 40], &mut wire).unwrap()
                    })
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        for fit in points {
            assert_eq!(fit.point, alone.point);
            assert_eq!((fit.bits_up, fit.rounds), (alone.bits_up, alone.rounds));
            assert!((fit.last_value - alone.last_value).abs() < 1e-12);
        }
    }
}

/// A rank's wires to all ranks, itself among them; packets travel as bytes.
struct Wire {
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
    dimension: usize,
    /// Rounds after which it is gone.
    left: usize,
}

impl Wire {
    fn ranks(count: usize, dimension: usize) -> Vec<Self> {
        let mut wires: Vec<Self> = (0..count)
            .map(|_| Self { to: Vec::new(), from: Vec::new(), dimension, left: usize::MAX })
            .collect();
        for from in 0..count {
            for to in 0..count {
                let (sender, receiver) = channel();
                wires[from].to.push(sender);
                wires[to].from.push(receiver);
            }
        }
        wires
    }
}

impl Exchange for Wire {
    fn gather(&mut self, own: Packet) -> Result<Vec<Packet>, String> {
        if self.left == 0 {
            return Err("this rank ends".into());
        }
        self.left -= 1;
        let bytes = own.to_bytes();
        for wire in &self.to {
            wire.send(bytes.clone()).map_err(|_| "a rank is gone".to_owned())?;
        }
        let receive = |wire: &Receiver<Vec<u8>>| {
            let bytes = wire.recv().map_err(|_| "a rank is gone".to_owned())?;
            Packet::from_bytes(&bytes, self.dimension)
        };
        self.from.iter().map(receive).collect()
    }
}

#[test]
fn a_rank_that_dies_is_an_error_on_the_others() {
    let (clients, smoothness) = quadratics(&unequal(), 10, 8);
    let method = Ef21W::new(Parameters::default()).unwrap();
    let mut ranks = Wire::ranks(2, 10);
    ranks[1].left = 5;
    let results: Vec<Result<Fit, Error>> = std::thread::scope(|scope| {
        let handles: Vec<_> = ranks
            .into_iter()
            .enumerate()
            .map(|(rank, mut wire)| {
                let (own, method, smoothness) = (&clients[6 * rank..6 * rank + 6], &method, &smoothness);
                scope.spawn(move || method.fit_shared(own, 6 * rank, smoothness, vec![0.0; 10], &mut wire))
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(
        results[0].as_ref().unwrap_err().to_string(),
        "the exchange between clients failed in round 5: a rank is gone; start all ranks again"
    );
    assert!(matches!(results[1], Err(Error::Exchange { round: 5, .. })));
}

#[test]
fn packets_that_are_cut_or_changed_are_refused() {
    let (clients, smoothness) = quadratics(&unequal(), 10, 8);
    struct Spy(Vec<Vec<u8>>);
    impl Exchange for Spy {
        fn gather(&mut self, own: Packet) -> Result<Vec<Packet>, String> {
            self.0.push(own.to_bytes());
            Ok(vec![own])
        }
    }
    let mut spy = Spy(Vec::new());
    let method = Ef21W::new(Parameters { rounds: 2, ..Parameters::default() }).unwrap();
    method.fit_shared(&clients, 0, &smoothness, vec![0.0; 10], &mut spy).unwrap();
    for bytes in spy.0 {
        let packet = Packet::from_bytes(&bytes, 10).unwrap();
        assert_eq!(packet.to_bytes(), bytes);
        for length in 0..bytes.len() {
            assert!(Packet::from_bytes(&bytes[..length], 10).is_err());
        }
        assert!(Packet::from_bytes(&[bytes.as_slice(), &[0]].concat(), 10).is_err());
        assert!(Packet::from_bytes(&bytes, 3).is_err());
    }
    assert!(Packet::from_bytes(&u64::MAX.to_le_bytes(), 10).is_err());
}

#[test]
fn clients_get_their_rows() {
    let (features, labels) = rows(103, 5, 7);
    for split in [Split::Label, Split::Norm, Split::Order, Split::Random] {
        let federated = Federated::new(&features, &labels, 10, split, 1).unwrap();
        let clients = federated.objectives(Loss::Logistic, Regulariser::Bounded(0.1)).unwrap();
        assert_eq!(clients.iter().map(Objective::samples).sum::<usize>(), 103);
        assert!(clients.iter().all(|client| (10..=11).contains(&client.samples())));
        // The mean over equal clients is nearly the mean over rows.
        let positive = |labels: &[f64]| labels.iter().filter(|label| **label > 0.0).count();
        assert_eq!(positive(federated.labels()), positive(&labels));
        if split == Split::Label {
            assert!(federated.labels().is_sorted());
        }
        if split == Split::Norm {
            assert!((0..103).map(|row| federated.features().row(row).squared_norm()).is_sorted());
        }
        if split == Split::Order {
            assert_eq!(federated.labels(), labels);
        }
    }
    assert_eq!(
        Federated::new(&features, &labels, 104, Split::Label, 0).unwrap_err().to_string(),
        "104 clients share 103 rows, but each needs at least one; use at most 103 clients"
    );
    assert!(Federated::new(&features, &labels, 0, Split::Label, 0).is_err());
    assert!(matches!(Federated::new(&features, &labels[1..], 2, Split::Label, 0), Err(Error::Labels { .. })));
}

#[test]
fn a_client_of_empty_rows_needs_a_regulariser() {
    let dense = Matrix::from_fn(4, 2, |row, column| if row < 2 { 1.0 + column as f64 } else { 0.0 });
    let features = SparseMatrix::from_dense(&dense);
    let labels = [1.0, -1.0, 1.0, -1.0];
    let federated = Federated::new(&features, &labels, 2, Split::Order, 0).unwrap();
    let constants = |regulariser| {
        let clients = federated.objectives(Loss::Logistic, regulariser).unwrap();
        smoothness_of_rows(&clients)
    };
    assert_eq!(
        constants(Regulariser::None).unwrap_err().to_string(),
        "client 1 has smoothness 0: its loss is affine; give it a positive bound, drop it, or add a regulariser"
    );
    assert_eq!(constants(Regulariser::Ridge(0.5)).unwrap().of_clients()[1], 0.5);
}

#[test]
fn parameters_out_of_range_are_refused_with_a_way_out() {
    let refused = |parameters: Parameters| Ef21W::new(parameters).unwrap_err().to_string();
    let base = Parameters::default;
    assert_eq!(
        refused(Parameters { rounds: 0, ..base() }),
        "rounds is 0, but must be from 1 to 1000000000; use 1000"
    );
    assert_eq!(
        refused(Parameters { participation: 0.0, ..base() }),
        "participation is 0, but must be above 0 and at most 1; use 1, all clients in every round"
    );
    assert!(refused(Parameters { step: Step::Fixed(-1.0), ..base() }).contains("positive and finite"));
    assert!(refused(Parameters { tolerance: f64::NAN, ..base() }).starts_with("tolerance is NaN"));
    assert!(refused(Parameters { batch: Some(0), ..base() }).starts_with("batch is 0"));
    assert!(refused(Parameters { measure_every: 0, ..base() }).starts_with("measure_every is 0"));
    assert!(
        refused(Parameters { algorithm: Algorithm::Ef14, participation: 0.5, ..base() }).contains("ef21-w")
    );
    assert!(
        refused(Parameters { algorithm: Algorithm::GradientDescent, batch: Some(3), ..base() })
            .contains("identity")
    );
    let (clients, smoothness) = quadratics(&[1.0; 3], 4, 0);
    for compressor in [Compressor::Top(5), Compressor::Top(0), Compressor::Random(5)] {
        let method = Ef21W::new(Parameters { compressor, ..base() }).unwrap();
        let error = method.fit(&clients, &smoothness).unwrap_err().to_string();
        assert!(error.contains("but must be from 1 to 4, the number of features; use top:1"), "{error}");
    }
    let method = Ef21W::new(base()).unwrap();
    assert!(matches!(
        method.fit(&clients[..2], &smoothness),
        Err(Error::Length { found: 2, expected: 3, .. })
    ));
    assert!(matches!(method.fit_from(&clients, &smoothness, vec![0.0; 3]), Err(Error::Length { .. })));
    assert!(matches!(
        method.fit_from(&clients, &smoothness, vec![f64::NAN; 4]),
        Err(Error::NotFinite { what: "the start", .. })
    ));
}

/// A function of more numbers than a machine keeps, of which nothing is ever asked.
struct Vast;

impl Objective for Vast {
    fn dimension(&self) -> usize {
        1 << 40
    }

    fn value(&self, _: &[f64]) -> f64 {
        unreachable!("it is refused before")
    }

    fn gradient(&self, _: &[f64], _: &mut [f64]) {
        unreachable!("it is refused before")
    }

    fn smoothness(&self) -> f64 {
        1.0
    }

    fn lower_bound(&self) -> Option<f64> {
        None
    }
}

#[test]
fn what_no_machine_keeps_is_refused_before_it_is_asked_for() {
    let smoothness = Smoothness::of_clients_only(vec![1.0; 2]).unwrap();
    let error = Ef21W::new(Parameters::default()).unwrap().fit(&[Vast, Vast], &smoothness).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 clients with 1099511627776 features need 3 x 2 x 1099511627776 numbers, but at most 4294967296 are kept; use fewer \
         clients, or number the features without gaps"
    );
}

#[test]
fn constants_that_are_none_are_refused() {
    assert_eq!(Smoothness::new(1.0, vec![1.0, 0.0]), Err(Error::ZeroSmoothness { client: 1 }));
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(matches!(Smoothness::new(1.0, vec![1.0, bad]), Err(Error::Smoothness { .. })));
        assert!(matches!(Smoothness::new(bad, vec![1.0, 1.0]), Err(Error::Smoothness { .. })));
    }
    assert_eq!(
        Smoothness::new(3.0, vec![1.0, 2.0]).unwrap_err().to_string(),
        "the smoothness of the mean is 3, but must be positive and at most 1.5, the mean over clients; compute it from the data"
    );
    assert!(matches!(Smoothness::new(1.0, Vec::new()), Err(Error::Parameter { name: "clients", .. })));
    assert!(Smoothness::new(1.0, vec![1e200, 1e200]).is_err());
}

#[test]
fn compressors_are_read_as_they_are_written() {
    for compressor in [Compressor::Top(3), Compressor::Random(12), Compressor::Natural, Compressor::Identity]
    {
        assert_eq!(compressor.to_string().parse(), Ok(compressor));
    }
    for (text, message) in [
        ("top", "`top` needs a number of entries, such as top:1"),
        ("top:0", "the number of entries is \"0\", but must be a whole number from 1 up"),
        ("natural:3", "`natural` takes no number"),
        ("sign", "use top:K, random:K, natural or identity"),
    ] {
        assert_eq!(text.parse::<Compressor>(), Err(message.into()));
    }
}

#[test]
fn models_are_checked_and_predict() {
    let classes = Classes { positive: 2.0, negative: Some(1.0) };
    let model = Model { loss: Loss::Logistic, classes: Some(classes), weights: vec![1.0, -1.0] };
    let features =
        SparseMatrix::from_dense(&Matrix::from_fn(2, 2, |row, column| f64::from(u8::from(row == column))));
    let predictions = model.predict(&features).unwrap();
    assert_eq!((predictions[0].label, predictions[1].label), (Some(2.0), Some(1.0)));
    assert!((predictions[0].probability.unwrap() - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-15);
    assert!(matches!(model.predict(&features.clone().with_columns(3).unwrap()), Err(Error::Length { .. })));
    model.validate().unwrap();
    for broken in [
        Model { weights: Vec::new(), ..model.clone() },
        Model { weights: vec![f64::NAN], ..model.clone() },
        Model { classes: None, ..model.clone() },
        Model { loss: Loss::LeastSquares, ..model },
    ] {
        assert!(matches!(broken.validate(), Err(Error::Model { .. })));
    }
}

#[test]
fn the_card_is_on_the_shelf() {
    assert_eq!(CARD.entry().id, "ef21-w");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The arithmetic mean never exceeds the quadratic one, nor the new step falls below the old one, whatever the constants.
    #[test]
    fn the_new_step_is_never_shorter(
        constants in prop::collection::vec(1e-6..1e6f64, 1..40),
        features in 1..500_usize,
        participation in 0.01..1.0f64,
    ) {
        let smoothness = Smoothness::of_clients_only(constants).unwrap();
        let method = Ef21W::new(Parameters { participation, ..Parameters::default() }).unwrap();
        let certificate: Certificate = method.certificate(&smoothness, features).unwrap();
        prop_assert!(certificate.new_step >= certificate.old_step * (1.0 - 1e-12));
        prop_assert!(certificate.clones_step * 2f64.sqrt() >= certificate.new_step * (1.0 - 1e-12));
        prop_assert!(certificate.new_step.is_finite() && certificate.new_step > 0.0);
    }

    /// A certified run never diverges, whatever it starts from.
    #[test]
    fn certified_runs_stay_within_the_guarantee(seed in 0..1000_u64, top in 1..6_usize, spread in 0.0..3.0f64) {
        let constants: Vec<f64> = (0..6).map(|client| 10f64.powf(spread * f64::from(client) / 6.0)).collect();
        let (clients, smoothness) = quadratics(&constants, 6, seed);
        let parameters = Parameters { compressor: Compressor::Top(top), rounds: 300, ..Parameters::default() };
        let fit = fit(parameters, &clients, &smoothness);
        prop_assert!(fit.mean_squared_gradient <= fit.guarantee.unwrap());
    }
}
