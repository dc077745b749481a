//! Bounds of Jacobians: never below a slope, in order, exact where they must be.

use backstitch_networks::Error;
use backstitch_networks::lipschitz::{
    Activation, Constants, Lipschitz, Monotonicity, Network, Parameters, Region, Relaxation, planar_constants,
};
use backstitch_numerics::{Matrix, Stream};

const KINDS: [Activation; 4] =
    [Activation::Relu, Activation::LeakyRelu(0.1), Activation::Tanh, Activation::Sigmoid];
const ALL: [Relaxation; 4] =
    [Relaxation::Lines, Relaxation::RecurJac, Relaxation::Interval, Relaxation::Global];

/// A network of normal weights, scaled so that activations keep their size.
pub(crate) fn drawn(widths: &[usize], activation: Activation, stream: &mut Stream) -> Network {
    let layers: Vec<_> = widths
        .windows(2)
        .map(|pair| {
            let scale = (2.0 / pair[0] as f64).sqrt();
            let weights = Matrix::from_fn(pair[1], pair[0], |_, _| scale * stream.normal());
            (weights, (0..pair[1]).map(|_| 0.3 * stream.normal()).collect())
        })
        .collect();
    Network::dense(&layers, activation).unwrap()
}

pub(crate) fn point(inputs: usize, stream: &mut Stream) -> Vec<f64> {
    (0..inputs).map(|_| stream.normal()).collect()
}

fn quick() -> Parameters {
    Parameters { samples: 0, ..Parameters::default() }
}

fn bound(parameters: Parameters, network: &Network, region: &Region) -> Constants {
    Lipschitz::new(parameters).unwrap().bound(network, region).unwrap()
}

/// 10,000 random networks and boxes; three points each, inside, at a corner and between: no entry of the Jacobian is outside its
/// bounds, no norm and no secant above the constant. Bounds are compared as they stand, without a tolerance.
#[test]
fn no_bound_is_below_a_slope() {
    let mut stream = Stream::new(0, "soundness");
    for trial in 0..10_000 {
        let depth = stream.below(4);
        let mut widths: Vec<usize> = (0..depth + 2).map(|_| 1 + stream.below(6)).collect();
        widths[0] = 1 + stream.below(4);
        let network = drawn(&widths, KINDS[stream.below(4)], &mut stream);
        let radius = match stream.below(8) {
            0 => 0.0,
            _ => 10_f64.powf(4.0 * stream.uniform() - 3.5),
        };
        let center = point(widths[0], &mut stream);
        let region = Region::around(&center, radius).unwrap();
        let relaxation = ALL[stream.below(4)];
        let parameters = Parameters {
            relaxation,
            slope_steps: 5 * stream.below(2),
            tighten: stream.below(2) == 0,
            domains: if relaxation != Relaxation::Global && trial % 4 == 0 { 20 } else { 0 },
            ..quick()
        };
        let found = bound(parameters, &network, &region);
        let mut points = Vec::new();
        for kind in 0..3 {
            let point: Vec<f64> = (0..widths[0])
                .map(|place| {
                    let (low, high) = (region.lower()[place], region.upper()[place]);
                    let share = if kind == 1 { stream.below(2) as f64 } else { stream.uniform() };
                    (low + share * (high - low)).clamp(low, high)
                })
                .collect();
            let jacobian = network.jacobian(&point).unwrap();
            for output in 0..network.outputs() {
                let norm: f64 = jacobian.row(output).iter().map(|entry| entry.abs()).sum();
                assert!(norm <= found.upper[output], "trial {trial}: {norm} above {}", found.upper[output]);
                let Some((lower, upper)) = &found.entries else { continue };
                for input in 0..widths[0] {
                    let (entry, at) = (jacobian[(output, input)], (output, input));
                    assert!(lower[at] <= entry && entry <= upper[at], "trial {trial}: {entry} outside");
                }
            }
            points.push(point);
        }
        let (one, other) = (&points[0], &points[1]);
        let apart = one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
        let values = [one, other].map(|point| network.evaluate(point).unwrap());
        for output in 0..network.outputs() {
            let change = (values[0][output] - values[1][output]).abs();
            // The difference of two rounded numbers.
            let rounding = 1e-14 * (values[0][output].abs() + values[1][output].abs() + 1.0);
            assert!(change <= found.upper[output] * apart + rounding, "trial {trial}");
        }
    }
}

/// By construction, up to rounding outward: each step of either also takes the interval of narrower intervals.
#[test]
fn lines_are_no_worse_than_intervals() {
    let mut stream = Stream::new(1, "order");
    for trial in 0..300 {
        let activation = KINDS[trial % 4];
        let network = drawn(&[4, 8, 8, 3], activation, &mut stream);
        let region = Region::around(&point(4, &mut stream), 0.01 + 0.5 * stream.uniform()).unwrap();
        let upper = |relaxation| bound(Parameters { relaxation, ..quick() }, &network, &region).upper;
        let [lines, recurjac, interval, global] = ALL.map(upper);
        for output in 0..3 {
            let room = 1.0 + 1e-9;
            assert!(lines[output] <= interval[output] * room, "trial {trial}");
            assert!(recurjac[output] <= interval[output] * room, "trial {trial}");
            assert!(interval[output] <= global[output] * room, "trial {trial}");
        }
    }
}

/// The search keeps the best bounds of every neuron, so that it never leaves more of them undecided. A ReLU that stays undecided
/// counts the same however wide its interval is, so that the constant often stays as it was.
#[test]
fn searched_slopes_are_no_worse() {
    let mut stream = Stream::new(2, "slopes");
    let (mut better, mut decided) = (0, 0);
    for _ in 0..50 {
        let network = drawn(&[6, 16, 16, 16, 2], Activation::Relu, &mut stream);
        let region = Region::around(&point(6, &mut stream), 0.1).unwrap();
        let upper = |slope_steps| bound(Parameters { slope_steps, ..quick() }, &network, &region);
        let (with, without) = (upper(20), upper(0));
        assert!(with.undecided <= without.undecided);
        decided += without.undecided - with.undecided;
        better += usize::from(with.largest_upper() < without.largest_upper());
    }
    assert!(better >= 5 && decided >= 5, "{better} of 50, {decided} neurons decided");
}

#[test]
fn without_undecided_neurons_the_bound_is_the_norm() {
    let mut stream = Stream::new(3, "decided");
    for activation in [Activation::Relu, Activation::LeakyRelu(0.2)] {
        for _ in 0..100 {
            let network = drawn(&[5, 9, 9, 2], activation, &mut stream);
            let center = point(5, &mut stream);
            let found = bound(quick(), &network, &Region::around(&center, 1e-7).unwrap());
            if found.undecided > 0 {
                continue;
            }
            let jacobian = network.jacobian(&center).unwrap();
            for output in 0..2 {
                let norm: f64 = jacobian.row(output).iter().map(|entry| entry.abs()).sum();
                assert!((found.upper[output] - norm).abs() <= 1e-10 * (1.0 + norm));
            }
        }
    }
}

/// Layers without an activation between them, no hidden layer at all, and a network that is off everywhere.
#[test]
fn degenerate_networks() {
    let weights = Matrix::new(1, 3, vec![1.0, -2.0, 0.5]).unwrap();
    let linear = Network::dense(&[(weights, vec![1.0])], Activation::Relu).unwrap();
    let region = Region::around(&[0.0; 3], 1.0).unwrap();
    for relaxation in ALL {
        let found = bound(Parameters { relaxation, ..quick() }, &linear, &region);
        assert!((found.upper[0] - 3.5).abs() < 1e-12 && found.upper[0] >= 3.5, "{relaxation:?}");
    }
    let off = (Matrix::new(2, 1, vec![1.0, 1.0]).unwrap(), vec![-5.0, -6.0]);
    let last = (Matrix::new(1, 2, vec![1.0, 1.0]).unwrap(), vec![0.0]);
    let dead = Network::dense(&[off.clone(), last.clone()], Activation::Relu).unwrap();
    let found = bound(quick(), &dead, &Region::around(&[0.0], 1.0).unwrap());
    assert_eq!(found.monotonicity(0, 0), Monotonicity::Constant);
    assert_eq!((found.upper[0], found.largest_sampled()), (0.0, 0.0));
    let deep =
        Network::dense(&[off.clone(), (Matrix::zeros(2, 2), vec![0.0; 2]), last], Activation::Relu).unwrap();
    assert!(bound(quick(), &deep, &Region::around(&[0.0], 9.0).unwrap()).upper[0] < 1e-12);
}

/// Weights that are not negative make a network that only grows, whatever is undecided; turned around it only falls.
#[test]
fn monotonicity_is_certified() {
    let mut stream = Stream::new(4, "monotone");
    for activation in KINDS {
        let mut layers = Vec::new();
        for pair in [3, 7, 7, 2].windows(2) {
            let weights = Matrix::from_fn(pair[1], pair[0], |_, _| stream.uniform());
            layers.push((weights, (0..pair[1]).map(|_| stream.normal() - 1.0).collect::<Vec<f64>>()));
        }
        let region = Region::around(&[0.0; 3], 2.0).unwrap();
        let grows = Network::dense(&layers, activation).unwrap();
        let found = bound(Parameters { samples: 100, ..quick() }, &grows, &region);
        for output in 0..2 {
            for input in 0..3 {
                assert_eq!(found.monotonicity(output, input), Monotonicity::Increasing, "{activation:?}");
            }
        }
        let (weights, bias) = layers[2].clone();
        layers[2] = (Matrix::from_fn(2, 7, |row, column| -weights[(row, column)]), bias);
        let falls = Network::dense(&layers, activation).unwrap();
        let found = bound(Parameters { samples: 100, ..quick() }, &falls, &region);
        assert_eq!(found.monotonicity(1, 2), Monotonicity::Decreasing);
    }
    let wave = drawn(&[1, 20, 1], Activation::Tanh, &mut stream);
    let found = bound(Parameters::default(), &wave, &Region::around(&[0.0], 5.0).unwrap());
    let jacobian = |x: f64| wave.jacobian(&[x]).unwrap()[(0, 0)];
    let both = (-50..=50).map(|x| jacobian(f64::from(x) / 10.0)).any(|slope| slope > 0.0)
        && (-50..=50).map(|x| jacobian(f64::from(x) / 10.0)).any(|slope| slope < 0.0);
    assert_eq!(found.monotonicity(0, 0) == Monotonicity::Neither, both);
}

/// A direction along one input has the bounds of that column; any direction has those of what is met.
#[test]
fn directions() {
    let mut stream = Stream::new(5, "directions");
    for activation in KINDS {
        for widths in [&[4, 6, 6, 2][..], &[4, 2]] {
            let network = drawn(widths, activation, &mut stream);
            let region = Region::around(&point(4, &mut stream), 0.2).unwrap();
            let method = Lipschitz::new(quick()).unwrap();
            let directions =
                Matrix::from_fn(3, 4, |row, column| if row == 0 { 1.0 } else { (row * column) as f64 - 1.5 });
            let (lower, upper) = method.directional(&network, &region, &directions).unwrap();
            for _ in 0..100 {
                let x: Vec<f64> = (0..4)
                    .map(|place| {
                        region.lower()[place]
                            + stream.uniform() * (region.upper()[place] - region.lower()[place])
                    })
                    .collect();
                let jacobian = network.jacobian(&x).unwrap();
                for output in 0..2 {
                    for row in 0..3 {
                        let slope: f64 =
                            jacobian.row(output).iter().zip(directions.row(row)).map(|(a, b)| a * b).sum();
                        assert!(lower[(output, row)] <= slope && slope <= upper[(output, row)]);
                    }
                }
            }
        }
    }
}

/// Known answers: a hat, whose slopes are 1 and −1 on either side, and a network of two layers in which one side is off.
#[test]
fn cutting_the_plane() {
    let matrix = |rows, values: &[f64]| Matrix::new(rows, values.len() / rows, values.to_vec()).unwrap();
    // relu(x) − 2 relu(x − y): slopes (1, 0), (−1, 2), (−2, 2) or none.
    let layers =
        vec![(matrix(2, &[1.0, 0.0, 1.0, -1.0]), vec![0.0; 2]), (matrix(1, &[1.0, -2.0]), vec![0.0])];
    let constant = |low: [f64; 2], high: [f64; 2]| {
        planar_constants(&layers, &Region::between(low.to_vec(), high.to_vec()).unwrap()).unwrap()[0]
    };
    assert_eq!(constant([1.0, 2.0], [2.0, 3.0]), 1.0);
    assert_eq!(constant([1.0, 0.0], [2.0, 3.0]), 3.0);
    assert_eq!(constant([-2.0, -3.0], [2.0, 3.0]), 4.0);
    assert_eq!(constant([-2.0, 0.0], [-1.0, 3.0]), 0.0);
    let wide = Region::around(&[0.0; 3], 1.0).unwrap();
    assert!(planar_constants(&layers, &wide).unwrap_err().to_string().contains("box has 3 numbers"));
}

#[test]
fn branch_and_bound_is_the_enumeration_of_patterns() {
    let mut stream = Stream::new(6, "enumeration");
    let mut tightened = 0;
    for trial in 0..20 {
        let layers: Vec<(Matrix, Vec<f64>)> = [2, 8, 8, 2]
            .windows(2)
            .map(|pair| {
                let weights = Matrix::from_fn(pair[1], pair[0], |_, _| stream.normal());
                (weights, (0..pair[1]).map(|_| 0.5 * stream.normal()).collect())
            })
            .collect();
        let network = Network::dense(&layers, Activation::Relu).unwrap();
        let center = point(2, &mut stream);
        let region = Region::around(&center, 0.7).unwrap();
        let found = bound(Parameters { domains: 200_000, ..quick() }, &network, &region);
        for (output, exact) in planar_constants(&layers, &region).unwrap().into_iter().enumerate() {
            let gap = (found.upper[output] - exact) / exact;
            assert!(gap.abs() < 1e-6, "trial {trial}: {} against {exact}", found.upper[output]);
            assert!(found.sampled.norms[output] <= exact * (1.0 + 1e-9));
            assert!(found.upper[output] <= found.root[output]);
            tightened += usize::from(found.upper[output] < found.root[output] * 0.99);
        }
        assert!(found.domains < 200_000);
    }
    assert!(tightened >= 20, "{tightened} of 40");
}

/// A larger budget never gives a worse bound, and the same budget gives the same numbers on one thread and on three.
#[test]
fn budgets_and_threads() {
    let mut stream = Stream::new(7, "budgets");
    let network = drawn(&[8, 16, 16, 3], Activation::Relu, &mut stream);
    let region = Region::around(&point(8, &mut stream), 0.15).unwrap();
    let with =
        |domains| bound(Parameters { domains, samples: 200, ..Parameters::default() }, &network, &region);
    let mut before = with(0).upper;
    for domains in [64, 512, 2_048] {
        let now = with(domains).upper;
        assert!(now.iter().zip(&before).all(|(now, before)| now <= before), "{domains}");
        before = now;
    }
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let [one, two] = [1, 3].map(|threads| pool(threads).install(|| with(512)));
    assert_eq!(one, two);
}

#[test]
fn mistakes_are_named() {
    let mut stream = Stream::new(8, "mistakes");
    let network = drawn(&[3, 4, 2], Activation::Relu, &mut stream);
    let method = Lipschitz::new(quick()).unwrap();
    let says = |error: Error, words: &str| assert!(error.to_string().contains(words), "{error}");
    let wide = Region::around(&[0.0; 4], 0.1).unwrap();
    says(method.bound(&network, &wide).unwrap_err(), "region has 4 numbers, but the network takes 3");
    says(Region::around(&[0.0], -1.0).unwrap_err(), "radius is -1");
    says(Region::around(&[0.0], f64::NAN).unwrap_err(), "radius is NaN");
    says(Region::around(&[0.0, f64::NAN], 1.0).unwrap_err(), "input 1 is NaN");
    says(Region::around(&[2.0], 0.5).unwrap().clipped(0.0, 1.0).unwrap_err(), "the box is empty");
    says(Region::around(&[0.5], 0.5).unwrap().clipped(1.0, 0.0).unwrap_err(), "clip is 1,0");
    says(Region::between(vec![0.0], vec![1.0, 2.0]).unwrap_err(), "upper corner has 2");
    says(Region::between(vec![2.0], vec![1.0]).unwrap_err(), "the box is empty");
    says(network.evaluate(&[0.0]).unwrap_err(), "point has 1 numbers");
    says(Network::dense(&[], Activation::Relu).unwrap_err(), "there is no layer");
    let one = |rows, columns| (Matrix::zeros(rows, columns), vec![0.0; rows]);
    says(Network::dense(&[one(2, 3), one(1, 4)], Activation::Relu).unwrap_err(), "input of layer 1 has 4");
    says(
        Network::dense(&[(Matrix::zeros(2, 3), vec![0.0])], Activation::Relu).unwrap_err(),
        "bias of layer 0 has 1",
    );
    says(Network::dense(&[one(1, 1)], Activation::LeakyRelu(2.0)).unwrap_err(), "leaky ReLU is 2");
    let infinite = (Matrix::new(1, 1, vec![f64::INFINITY]).unwrap(), vec![0.0]);
    says(Network::dense(&[infinite], Activation::Relu).unwrap_err(), "not finite");
    let huge = (Matrix::new(1, 1, vec![1e200]).unwrap(), vec![0.0]);
    let network = Network::dense(&[huge.clone(), huge.clone(), huge], Activation::Relu).unwrap();
    let region = Region::around(&[1.0], 2.0).unwrap();
    for relaxation in ALL {
        let method = Lipschitz::new(Parameters { relaxation, samples: 10, ..quick() }).unwrap();
        says(method.bound(&network, &region).unwrap_err(), "too large for double precision");
    }
    for (parameters, words) in [
        (Parameters { slope_rate: 0.0, ..quick() }, "slope_rate is 0"),
        (Parameters { slope_decay: 1.5, ..quick() }, "slope_decay is 1.5"),
        (Parameters { slope_steps: 100_000, ..quick() }, "slope_steps is 100000"),
        (Parameters { seconds: Some(0.0), domains: 1, ..quick() }, "seconds is 0"),
        (Parameters { seconds: Some(1e300), domains: 1, ..quick() }, "at most 1000000000"),
        (Parameters { seconds: Some(1.0), ..quick() }, "give domains too"),
    ] {
        says(Lipschitz::new(parameters).unwrap_err(), words);
    }
}
