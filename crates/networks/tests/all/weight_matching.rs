//! Weight matching: known permutations, functions that stay, descent that ends where it should, alignment, estimates.

use backstitch_networks::Error;
use backstitch_networks::lipschitz::Activation;
use backstitch_networks::weight_matching::{
    Checkpoint, Data, Layers, Matching, Parameters, Score, Specification, WeightMatching, barrier,
};
use backstitch_numerics::{Matrix, Stream};

pub(crate) fn method() -> WeightMatching {
    WeightMatching::new(Parameters::default()).unwrap()
}

pub(crate) fn fill(weights: &mut Checkpoint, name: &str, shape: &[usize], stream: &mut Stream) {
    let scale = 1.0 / (shape.iter().skip(1).product::<usize>() as f64).sqrt();
    let values = (0..shape.iter().product()).map(|_| scale * stream.normal()).collect();
    weights.insert(name, shape, values).unwrap();
}

fn perceptron(widths: &[usize], stream: &mut Stream) -> Checkpoint {
    let mut weights = Checkpoint::default();
    for (place, pair) in widths.windows(2).enumerate() {
        fill(&mut weights, &format!("{}.weight", 2 * place), &[pair[1], pair[0]], stream);
        fill(&mut weights, &format!("{}.bias", 2 * place), &[pair[1]], stream);
    }
    weights
}

/// Convolutions with batch normalisation, one of them depthwise, a skip connection, and a dense layer over pixels.
const RESIDUAL: &str = r#"{"input": [2, 6, 6], "layers": [
    {"kind": "convolution", "weight": "stem.weight", "padding": [1, 1]},
    {"kind": "batch-normalisation", "weight": "bn.weight", "bias": "bn.bias", "mean": "bn.running_mean", "variance": "bn.running_var"},
    {"kind": "relu"}, {"kind": "keep", "name": "skip"},
    {"kind": "convolution", "weight": "deep.weight", "bias": "deep.bias", "padding": [1, 1], "groups": 5}, {"kind": "relu"},
    {"kind": "convolution", "weight": "inner.weight", "bias": "inner.bias", "padding": [1, 1]}, {"kind": "relu"},
    {"kind": "convolution", "weight": "back.weight", "padding": [1, 1]}, {"kind": "add", "name": "skip"}, {"kind": "relu"},
    {"kind": "average-pooling", "kernel": [2, 2]}, {"kind": "flatten"},
    {"kind": "dense", "weight": "head.weight", "bias": "head.bias"}, {"kind": "tanh"},
    {"kind": "dense", "weight": "last.weight"}]}"#;

fn residual(stream: &mut Stream) -> Checkpoint {
    let mut weights = Checkpoint::default();
    for (name, shape) in [
        ("stem.weight", &[5, 2, 3, 3][..]),
        ("bn.weight", &[5]),
        ("bn.bias", &[5]),
        ("bn.running_mean", &[5]),
        ("deep.weight", &[5, 1, 3, 3]),
        ("deep.bias", &[5]),
        ("inner.weight", &[7, 5, 3, 3]),
        ("inner.bias", &[7]),
        ("back.weight", &[5, 7, 3, 3]),
        ("head.weight", &[8, 45]),
        ("head.bias", &[8]),
        ("last.weight", &[3, 8]),
    ] {
        fill(&mut weights, name, shape, stream);
    }
    weights.insert("bn.running_var", &[5], (0..5).map(|_| 0.5 + stream.uniform()).collect()).unwrap();
    weights
}

pub(crate) fn shuffled(
    specification: &Specification,
    weights: &Checkpoint,
    stream: &mut Stream,
) -> (Vec<Vec<usize>>, Checkpoint) {
    let orders: Vec<Vec<usize>> = (specification.permutations().iter())
        .map(|own| {
            let groups = stream.permutation(own.units / own.per_group);
            let inner = |group: usize, stream: &mut Stream| {
                stream
                    .permutation(own.per_group)
                    .into_iter()
                    .map(move |unit| group * own.per_group + unit)
                    .collect::<Vec<_>>()
            };
            groups.into_iter().flat_map(|group| inner(group, stream)).collect()
        })
        .collect();
    let permuted = specification.apply(&orders, weights).unwrap();
    (orders, permuted)
}

fn rows(count: usize, columns: usize, stream: &mut Stream) -> Matrix {
    Matrix::from_fn(count, columns, |_, _| stream.normal())
}

#[track_caller]
pub(crate) fn same(one: &Matrix, other: &Matrix, tolerance: f64) {
    assert_eq!((one.rows(), one.columns()), (other.rows(), other.columns()));
    for (one, other) in one.values().iter().zip(other.values()) {
        assert!((one - other).abs() <= tolerance * (1.0 + one.abs()), "{one} against {other}");
    }
}

/// Permuting changes weights and not the function; matching a permuted copy finds the very permutation.
#[test]
fn a_known_permutation_is_recovered() {
    for seed in 0..5 {
        let mut stream = Stream::new(seed, "weight matching tests");
        let one = perceptron(&[6, 30, 20, 4], &mut stream);
        let layers = Layers::found(&one, Activation::Relu).unwrap().unwrap();
        let specification = Specification::found(&one, None).unwrap();
        same_axes(&specification, &layers.specification(&one).unwrap());
        let (orders, permuted) = shuffled(&specification, &one, &mut stream);
        let inputs = rows(9, 6, &mut stream);
        same(&layers.outputs(&one, &inputs).unwrap(), &layers.outputs(&permuted, &inputs).unwrap(), 1e-12);
        let found = method().weights(&specification, &one, &permuted).unwrap();
        assert!(found.permuted == one);
        assert!(found.converged && found.distance_after == 0.0 && found.distance_before > 1.0);
        for (there, back) in orders.iter().zip(&found.orders) {
            assert!(back.iter().enumerate().all(|(unit, &place)| there[place] == unit));
        }
        // Through ReLUs some units never speak, and any order of those is as good.
        let layers = Layers::found(&one, Activation::Tanh).unwrap().unwrap();
        let by_activations =
            method().activations(&layers, &one, &permuted, &rows(80, 6, &mut stream)).unwrap();
        assert!(by_activations.permuted == one);
    }
}

/// The same permutations act on the same axes; their names may differ.
#[track_caller]
pub(crate) fn same_axes(one: &Specification, other: &Specification) {
    let axes = |specification: &Specification| {
        let of = |place: usize| {
            specification.axes_of(place).map(|(name, axis)| (name.to_owned(), axis)).collect::<Vec<_>>()
        };
        let mut axes: Vec<_> = (0..specification.permutations().len()).map(of).collect();
        axes.sort();
        axes
    };
    assert_eq!(axes(one), axes(other));
}

#[test]
fn networks_with_skips_and_normalisation_keep_their_function() {
    let mut stream = Stream::new(0, "weight matching residual");
    let layers = Layers::read(RESIDUAL).unwrap();
    let one = residual(&mut stream);
    let specification = layers.specification(&one).unwrap();
    // The stream of the skip connection, the inner channels, the dense layer.
    let sizes: Vec<usize> = specification.permutations().iter().map(|own| own.units).collect();
    assert_eq!(sizes, [5, 7, 8]);
    assert!(specification.is_statistic("bn.running_mean") && !specification.is_statistic("bn.bias"));
    let (_, permuted) = shuffled(&specification, &one, &mut stream);
    let inputs = rows(5, 72, &mut stream);
    let outputs = layers.outputs(&one, &inputs).unwrap();
    same(&outputs, &layers.outputs(&permuted, &inputs).unwrap(), 1e-12);
    assert!(method().weights(&specification, &one, &permuted).unwrap().permuted == one);
    assert_eq!(
        method().activations(&layers, &one, &permuted, &rows(30, 72, &mut stream)).unwrap().permuted,
        one
    );
    same_axes(&specification, &Specification::from_json(&specification.to_json(), &one).unwrap());
}

/// All orders of so many units.
fn permutations(size: usize) -> Vec<Vec<usize>> {
    if size == 0 {
        return vec![vec![]];
    }
    let smaller = permutations(size - 1);
    (0..size)
        .flat_map(|place| {
            smaller.iter().map(move |rest| {
                let mut order = rest.clone();
                order.insert(place, size - 1);
                order
            })
        })
        .collect()
}

#[test]
fn ends_where_no_permutation_improves() {
    for seed in 0..10 {
        let mut stream = Stream::new(seed, "weight matching descent");
        let (one, other) = (perceptron(&[3, 4, 5, 2], &mut stream), perceptron(&[3, 4, 5, 2], &mut stream));
        let specification = Specification::found(&one, None).unwrap();
        let found = method().weights(&specification, &one, &other).unwrap();
        assert!(found.converged && found.distance_after < found.distance_before);
        for place in 0..2 {
            for order in permutations(specification.permutations()[place].units) {
                let mut orders = found.orders.clone();
                orders[place] = order;
                let given = Matching::given(&specification, &one, &other, orders).unwrap();
                assert!(given.distance_after >= found.distance_after - 1e-9);
            }
        }
        // Another seed visits permutations in another order and ends in such a place too; threads change nothing.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| method().weights(&specification, &one, &other).unwrap()), found);
    }
}

#[test]
fn groups_of_heads_are_matched_exactly() {
    let text = r#"{"grouped": {"heads": 2}, "tensors": {
        "q": [{"permutation": "heads", "after": 2}, null], "k": [{"permutation": "heads", "groups": true, "after": 2}, null],
        "o": [null, {"permutation": "heads", "after": 2}]}}"#;
    for seed in 0..10 {
        let mut stream = Stream::new(seed, "weight matching heads");
        let mut draw = || {
            let mut weights = Checkpoint::default();
            for (name, shape) in [("q", [12, 3]), ("k", [6, 3]), ("o", [3, 12])] {
                fill(&mut weights, name, &shape, &mut stream);
            }
            weights
        };
        let (one, other) = (draw(), draw());
        let specification = Specification::from_json(text, &one).unwrap();
        let found = method().weights(&specification, &one, &other).unwrap();
        let mut lowest = f64::INFINITY;
        for order in permutations(6) {
            if let Ok(given) = Matching::given(&specification, &one, &other, vec![order]) {
                lowest = lowest.min(given.distance_after);
            }
        }
        assert!((found.distance_after - lowest).abs() < 1e-12, "{} against {lowest}", found.distance_after);
    }
}

#[test]
fn alignment_is_one_for_equal_networks() {
    let mut stream = Stream::new(0, "weight matching alignment");
    let one = perceptron(&[20, 40, 30, 5], &mut stream);
    let specification = Specification::found(&one, None).unwrap();
    let (_, permuted) = shuffled(&specification, &one, &mut stream);
    let found = method().weights(&specification, &one, &permuted).unwrap();
    for alignment in specification.alignments(&found.orders, &one, &permuted, &[0.0, 0.3]).unwrap() {
        assert!((alignment.after - 1.0).abs() < 1e-10 && alignment.before < 0.7, "{alignment:?}");
        assert_eq!(alignment.layers.len(), 3);
        assert!(alignment.layers.iter().all(|layer| layer.kept.0 == layer.kept.1 && layer.kept.0 > 0));
    }
    // Kept vectors at 0 are as many as the shorter side; unrelated networks do not align.
    let other = perceptron(&[20, 40, 30, 5], &mut stream);
    let identity: Vec<Vec<usize>> =
        specification.permutations().iter().map(|own| (0..own.units).collect()).collect();
    let alignment = &specification.alignments(&identity, &one, &other, &[0.0]).unwrap()[0];
    assert_eq!(alignment.layers.iter().map(|layer| layer.kept.0).collect::<Vec<_>>(), [20, 30, 5]);
    assert!(alignment.before.abs() < 0.2 && alignment.before == alignment.after);
}

#[test]
fn many_networks() {
    let mut stream = Stream::new(0, "weight matching many");
    let one = perceptron(&[5, 12, 9, 3], &mut stream);
    let layers = Layers::found(&one, Activation::Relu).unwrap().unwrap();
    let specification = Specification::found(&one, None).unwrap();
    let copies: Vec<Checkpoint> = std::iter::once(one.clone())
        .chain((0..3).map(|_| shuffled(&specification, &one, &mut stream).1))
        .collect();
    let star = method().star(&specification, &copies).unwrap();
    assert!(star.distance_after < 1e-12 && star.distance_before > 1.0);
    assert!(star.permuted.iter().all(|network| *network == one));
    let networks: Vec<Checkpoint> = (0..4).map(|_| perceptron(&[5, 12, 9, 3], &mut stream)).collect();
    let cyclic = method().cyclic(&specification, &networks).unwrap();
    assert!(cyclic.converged && cyclic.distance_after < cyclic.distance_before);
    let inputs = rows(7, 5, &mut stream);
    for (network, permuted) in networks.iter().zip(&cyclic.permuted) {
        same(&layers.outputs(network, &inputs).unwrap(), &layers.outputs(permuted, &inputs).unwrap(), 1e-12);
    }
    assert!(matches!(method().star(&specification, &copies[..1]), Err(Error::Model { .. })));
}

/// Two noisy classes in a plane, learned by two networks.
fn learned(stream: &mut Stream) -> (Checkpoint, Checkpoint, Layers, Data) {
    use backstitch_numerics::mlp::{Activation as Between, Mlp, Training, train};
    let inputs = rows(300, 2, stream);
    let targets: Vec<f64> =
        (0..300).map(|row| f64::from(u8::from(inputs[(row, 0)] * inputs[(row, 1)] > 0.0))).collect();
    let data = Data::new(inputs.clone(), targets.clone()).unwrap();
    let mut learn = || {
        let mut network = Mlp::new(&[2, 16, 16, 2], Between::Relu, stream).unwrap();
        let options = Training { epochs: 60, ..Training::default() };
        train(&mut network, &inputs, &options, stream, |rows, outputs, gradient| {
            let count = rows.len() as f64;
            for (place, &row) in rows.iter().enumerate() {
                let class = targets[row] as usize;
                let wrong = 1.0 / (1.0 + (outputs[(place, class)] - outputs[(place, 1 - class)]).exp());
                (gradient[(place, class)], gradient[(place, 1 - class)]) = (-wrong / count, wrong / count);
            }
            0.0
        });
        let mut weights = Checkpoint::default();
        for (place, layer) in network.layers.iter().enumerate() {
            let shape = [layer.weights.rows(), layer.weights.columns()];
            weights
                .insert(&format!("{}.weight", 2 * place), &shape, layer.weights.values().to_vec())
                .unwrap();
            weights.insert(&format!("{}.bias", 2 * place), &[shape[0]], layer.biases.clone()).unwrap();
        }
        weights
    };
    let (one, other) = (learn(), learn());
    let layers = Layers::found(&one, Activation::Relu).unwrap().unwrap();
    (one, other, layers, data)
}

#[test]
fn straight_through_lowers_the_midpoint() {
    let mut stream = Stream::new(0, "weight matching straight-through");
    let (one, other, layers, data) = learned(&mut stream);
    assert!(layers.score(&one, &data).unwrap().accuracy.unwrap() > 0.9);
    let method = WeightMatching::new(Parameters { batch: 50, ..Parameters::default() }).unwrap();
    let found = method.straight_through(&layers, &one, &other, &data).unwrap();
    same(
        &layers.outputs(&other, data.inputs()).unwrap(),
        &layers.outputs(&found.permuted, data.inputs()).unwrap(),
        1e-10,
    );
    let middle =
        |other: &Checkpoint| layers.score(&one.combined(0.5, &[(0.5, other)]).unwrap(), &data).unwrap().loss;
    assert!(
        middle(&found.permuted) < 0.5 * middle(&other),
        "{} against {}",
        middle(&found.permuted),
        middle(&other)
    );
    assert_eq!(method.straight_through(&layers, &one, &other, &data).unwrap(), found);
    let barrier = layers.barrier(&one, &found.permuted, data.inputs(), &data).unwrap();
    assert_eq!(barrier.points.len(), 25);
    assert_eq!(
        barrier.points[12],
        (0.5, layers.score(&one.combined(0.5, &[(0.5, &found.permuted)]).unwrap(), &data).unwrap())
    );
    assert_eq!(barrier.points[24].1, layers.score(&found.permuted, &data).unwrap());
}

#[test]
fn taylor_estimate_is_exact_for_a_parabola() {
    let mut stream = Stream::new(0, "weight matching taylor");
    let mut draw = || {
        let mut weights = Checkpoint::default();
        fill(&mut weights, "only.weight", &[1, 4], &mut stream);
        fill(&mut weights, "only.bias", &[1], &mut stream);
        weights
    };
    let (one, other) = (draw(), draw());
    let layers = Layers::read(
        r#"{"input": [4], "layers": [{"kind": "dense", "weight": "only.weight", "bias": "only.bias"}]}"#,
    )
    .unwrap();
    let data = Data::new(rows(40, 4, &mut stream), (0..40).map(|_| stream.normal()).collect()).unwrap();
    let loss = |weights: &Checkpoint| layers.score(weights, &data).unwrap().loss;
    let wanted = loss(&one.combined(0.5, &[(0.5, &other)]).unwrap()) - (loss(&one) + loss(&other)) / 2.0;
    let found = layers.taylor_estimate(&one, &other, &data).unwrap();
    assert!((found - wanted).abs() < 1e-9 && wanted < -1e-3, "{found} against {wanted}");
}

#[test]
fn running_statistics_are_those_of_the_data() {
    let mut stream = Stream::new(0, "weight matching statistics");
    let text = r#"{"input": [3], "layers": [{"kind": "dense", "weight": "0.weight", "bias": "0.bias"},
        {"kind": "batch-normalisation", "weight": "1.weight", "bias": "1.bias", "mean": "1.running_mean", "variance": "1.running_var"}]}"#;
    let mut weights = perceptron(&[3, 4], &mut stream);
    for (name, value) in [("1.weight", 1.0), ("1.bias", 0.0), ("1.running_mean", 5.0), ("1.running_var", 9.0)]
    {
        weights.insert(name, &[4], vec![value; 4]).unwrap();
    }
    let layers = Layers::read(text).unwrap();
    assert!(layers.has_running_statistics());
    let inputs = rows(200, 3, &mut stream);
    let outputs = layers.outputs(&layers.with_statistics(&weights, &inputs).unwrap(), &inputs).unwrap();
    for column in 0..4 {
        let mean = outputs.column(column).sum::<f64>() / 200.0;
        let variance = outputs.column(column).map(|value| (value - mean).powi(2)).sum::<f64>() / 199.0;
        // Batch normalisation adds 1e-5 to the variance.
        assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-3, "{mean}, {variance}");
    }
    assert!(matches!(layers.with_statistics(&weights, &Matrix::zeros(1, 3)), Err(Error::Model { .. })));
}

#[test]
fn barriers_are_measured_from_the_straight_line() {
    let score = |share: f64| -> Result<Score, Error> {
        Ok(Score {
            loss: 1.0 + share + 4.0 * share * (1.0 - share),
            accuracy: Some(0.9 - 0.2 * share * (1.0 - share)),
        })
    };
    let found = barrier(25, score).unwrap();
    assert!((found.loss - 1.0).abs() < 1e-12 && (found.accuracy.unwrap() - 0.05).abs() < 1e-12);
    // Classes that the network does not have, and outputs that tie.
    let data = Data::new(Matrix::zeros(2, 1), vec![0.0, 1.0]).unwrap();
    let tied = data.score(&Matrix::zeros(2, 3)).unwrap();
    assert!((tied.loss - 3.0_f64.ln()).abs() < 1e-12 && tied.accuracy == Some(0.5));
    let wrong = Data::new(Matrix::zeros(1, 1), vec![3.0]).unwrap().score(&Matrix::zeros(1, 3));
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .starts_with("the target of row 0 is 3, but the network has the classes 0 to 2")
    );
}

#[test]
fn parameters_are_checked() {
    let refused = |parameters: Parameters| WeightMatching::new(parameters).unwrap_err().to_string();
    let usual = Parameters::default;
    let change = |edit: fn(&mut Parameters)| {
        let mut parameters = usual();
        edit(&mut parameters);
        refused(parameters)
    };
    assert!(change(|own| own.sweeps = 0).starts_with("sweeps is 0, but must be from 1"));
    assert!(change(|own| own.tolerance = f64::NAN).starts_with("tolerance is NaN"));
    assert!(change(|own| own.epochs = 0).starts_with("epochs is 0"));
    assert!(change(|own| own.batch = 0).starts_with("batch is 0"));
    assert!(change(|own| own.rate = -1.0).starts_with("rate is -1"));
}
