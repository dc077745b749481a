//! What the learners find, what they hold in memory, and that nothing depends on threads or files.

use backstitch_graph::dense::Dense;
use backstitch_graph::forward_gnn::{
    Convolution, ForwardGnn, Graph, Labels, Learned, Learner, LinkSplit, Model, Parameters, Split,
    area_under_curve,
};
use backstitch_numerics::{SparseBuilder, Stream};

/// Communities: edges mostly inside, features that say a little of them.
pub(crate) fn communities(nodes: usize, classes: usize, seed: u64) -> (Graph, Labels) {
    let mut stream = Stream::new(seed, "communities");
    let mut edges = Vec::new();
    for from in 0..nodes {
        for _ in 0..4 {
            let other = stream.below(nodes);
            let near = (other / classes * classes + from % classes) % nodes;
            edges.push((from, if stream.uniform() < 0.85 { near } else { other }));
        }
    }
    let means: Vec<f64> = (0..classes * 8).map(|_| stream.normal()).collect();
    let features = Dense::from_fn(nodes, 8, |node, column| {
        (0.8 * means[node % classes * 8 + column] + stream.normal()) as f32
    });
    let labels = Labels::new((0..nodes).map(|node| Some(node % classes)).collect()).expect("labels");
    (Graph::from_dense(&edges, features).expect("a graph"), labels)
}

pub(crate) fn small(learner: Learner) -> Parameters {
    Parameters { learner, hidden: 16, epochs: 60, learning_rate: 0.02, ..Parameters::default() }
}

fn learned(parameters: Parameters, graph: &Graph, labels: &Labels) -> (Learned, Split) {
    let split = Split::random(labels, 0.2, 0.2, parameters.seed).expect("a split");
    let method = ForwardGnn::new(parameters).expect("parameters");
    (method.fit(graph, labels, &split).expect("a model"), split)
}

#[test]
fn every_learner_with_every_convolution_beats_chance_by_far() {
    let (graph, labels) = communities(240, 3, 1);
    for learner in Learner::ALL {
        for convolution in [Convolution::Gcn, Convolution::Sage, Convolution::Gat] {
            let parameters = Parameters { convolution, ..small(learner) };
            let (found, split) = learned(parameters, &graph, &labels);
            let prediction = found.model.predict(&graph).unwrap();
            let accuracy = labels.accuracy(&split.test, &prediction.classes());
            // Forward-forward is far weaker than the others at so few epochs; labels at random are right a third of the time.
            let least = if learner.is_forward_forward() { 0.5 } else { 0.8 };
            assert!(accuracy > least, "{learner:?} {convolution:?}: {accuracy}");
            for node in [0, 100, 239] {
                let sum: f32 = prediction.probabilities.row(node).iter().sum();
                assert!((sum - 1.0).abs() < 1e-4, "{learner:?} {sum}");
            }
            assert!(found.validation > 0.5 && found.passes > 0 && found.peak_bytes > 0);
        }
    }
}

#[test]
fn a_model_read_back_says_the_same() {
    let (graph, labels) = communities(80, 2, 2);
    for learner in Learner::ALL {
        let parameters = Parameters { epochs: 6, ..small(learner) };
        let (found, _) = learned(parameters, &graph, &labels);
        let text = serde_json::to_string(&found.model).unwrap();
        let read: Model = serde_json::from_str(&text).unwrap();
        read.check().unwrap();
        assert_eq!(read, found.model);
        assert_eq!(read.predict(&graph).unwrap(), found.model.predict(&graph).unwrap());
        let cut = text.replacen("\"layers\":[{", "\"layers\":[{\"odd\":1,", 1);
        assert!(serde_json::from_str::<Model>(&cut).is_err());
    }
}

#[test]
fn nothing_depends_on_the_number_of_threads() {
    let (graph, labels) = communities(1_200, 3, 3);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            Learner::ALL.map(|learner| {
                let parameters = Parameters { epochs: 3, ..small(learner) };
                learned(parameters, &graph, &labels).0.model
            })
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn memory_of_single_forward_is_flat_in_depth_and_that_of_backpropagation_grows() {
    let (graph, labels) = communities(600, 3, 4);
    let peak = |learner, layers| {
        let parameters = Parameters { layers, epochs: 2, hidden: 64, ..small(learner) };
        learned(parameters, &graph, &labels).0.peak_bytes as f64
    };
    let forward = peak(Learner::SingleForward, 6) / peak(Learner::SingleForward, 2);
    let back = peak(Learner::Backpropagation, 6) / peak(Learner::Backpropagation, 2);
    assert!(forward < 1.05, "{forward}");
    assert!(back > 1.5, "{back}");
    // Three matrices of outputs of the layer, and little more.
    let outputs = 603.0 * 64.0 * 4.0;
    assert!(peak(Learner::SingleForward, 6) < 3.5 * outputs);
}

#[test]
fn passes_are_one_per_epoch_of_a_layer_and_one_per_class_of_forward_forward() {
    let (graph, labels) = communities(60, 3, 5);
    let passes = |learner| {
        let parameters = Parameters { epochs: 5, ..small(learner) };
        learned(parameters, &graph, &labels).0.passes
    };
    assert_eq!(Learner::ALL.map(passes), [10, 10, 10, 30, 30, 10]);
}

#[test]
fn parts_isolated_nodes_loops_and_repeated_edges_are_counted_and_harmless() {
    let (whole, labels) = communities(90, 3, 6);
    let mut edges: Vec<(usize, usize)> = whole
        .pairs()
        .iter()
        .map(|&(from, to)| (from as usize, to as usize))
        .filter(|&(from, to)| from < 80 && to < 80)
        .collect();
    let clean = edges.len();
    let turned: Vec<_> = edges.iter().map(|&(from, to)| (to, from)).collect();
    edges.extend(turned);
    edges.extend([(3, 3), (85, 85)]);
    let features =
        Dense::from_fn(90, 4, |node, column| if node == 7 { 0.0 } else { (node % 3 * 4 + column) as f32 });
    let graph = Graph::from_dense(&edges, features).unwrap();
    assert_eq!((graph.cleaning().loops, graph.cleaning().repeated, graph.pairs().len()), (2, clean, clean));
    assert!(graph.isolated() >= 10 && graph.components() >= 11);
    for learner in Learner::ALL {
        for convolution in [Convolution::Gcn, Convolution::Sage, Convolution::Gat] {
            let parameters = Parameters { epochs: 4, convolution, ..small(learner) };
            let (found, _) = learned(parameters, &graph, &labels);
            let prediction = found.model.predict(&graph).unwrap();
            assert!(prediction.probabilities.values().iter().all(|value| value.is_finite()), "{learner:?}");
        }
    }
}

#[test]
fn features_kept_sparse_and_dense_are_the_same_features() {
    let mut builder = SparseBuilder::new();
    for node in 0..60_usize {
        builder.push(node % 3, 1.0).unwrap();
        builder.push(3 + node % 17, 2.0).unwrap();
        builder.end_row();
    }
    let sparse = builder.finish();
    let edges: Vec<(usize, usize)> = (3..60).map(|node| (node, node - 3)).collect();
    let dense = Dense::from_fn(60, sparse.columns(), |node, column| sparse.to_dense()[(node, column)] as f32);
    let graphs = [Graph::new(&edges, &sparse).unwrap(), Graph::from_dense(&edges, dense).unwrap()];
    let labels = Labels::new((0..60).map(|node| Some(node % 3)).collect()).unwrap();
    for learner in [Learner::SingleForward, Learner::LabelAppending, Learner::Backpropagation] {
        let [one, other] = [0, 1].map(|place| {
            let parameters = Parameters { epochs: 5, ..small(learner) };
            learned(parameters, &graphs[place], &labels).0.model.predict(&graphs[place]).unwrap()
        });
        let pairs = one.probabilities.values().iter().zip(other.probabilities.values());
        for (left, right) in pairs {
            assert!((left - right).abs() < 2e-3, "{learner:?}: {left} {right}");
        }
    }
}

#[test]
fn a_graph_may_have_grown_when_it_is_predicted() {
    let (graph, labels) = communities(120, 3, 7);
    let (found, _) = learned(small(Learner::SingleForward), &graph, &labels);
    let mut edges: Vec<(usize, usize)> =
        graph.pairs().iter().map(|&(from, to)| (from as usize, to as usize)).collect();
    // Three new nodes, each joined to nodes of one class, without features of their own.
    edges.extend((0..3).flat_map(|class| (0..8).map(move |place| (120 + class, class + 3 * place))));
    let mut stream = Stream::new(7, "communities");
    (0..120 * 4).for_each(|_| {
        stream.below(120);
        stream.uniform();
    });
    let means: Vec<f64> = (0..24).map(|_| stream.normal()).collect();
    let features = Dense::from_fn(123, 8, |node, column| match node < 120 {
        true => (0.8 * means[node % 3 * 8 + column] + stream.normal()) as f32,
        false => 0.0,
    });
    let grown = Graph::from_dense(&edges, features).unwrap();
    let classes = found.model.predict(&grown).unwrap().classes();
    assert_eq!(classes[120..], [0, 1, 2]);
}

#[test]
fn links_are_found_and_parts_do_not_overlap() {
    let (graph, _) = communities(300, 3, 8);
    let split = LinkSplit::random(&graph, 0.2, 0.2, 0).unwrap();
    let mut edges: Vec<(u32, u32)> =
        [&split.training, &split.validation[0], &split.test[0]].into_iter().flatten().copied().collect();
    edges.sort_unstable();
    assert_eq!(edges, graph.pairs());
    let absent: Vec<(u32, u32)> = split.validation[1].iter().chain(&split.test[1]).copied().collect();
    assert!(absent.iter().all(|pair| edges.binary_search(pair).is_err() && pair.0 < pair.1));
    assert_eq!(
        (split.validation[0].len(), split.test[0].len()),
        (split.validation[1].len(), split.test[1].len())
    );
    for learner in [Learner::SingleForward, Learner::Backpropagation] {
        let method = ForwardGnn::new(small(learner)).unwrap();
        let found = method.fit_links(&graph, &split).unwrap();
        let known = graph.with_pairs(&split.training).unwrap();
        let scores = |pairs: &[(u32, u32)]| found.model.link_scores(&known, pairs).unwrap();
        let area = area_under_curve(&scores(&split.test[0]), &scores(&split.test[1]));
        assert!(area > 0.6, "{learner:?}: {area}");
        let text = serde_json::to_string(&found.model).unwrap();
        let read: Model = serde_json::from_str(&text).unwrap();
        read.check().unwrap();
        assert_eq!(read.link_scores(&known, &split.test[0]).unwrap(), scores(&split.test[0]));
    }
}

#[test]
fn the_area_under_the_curve_counts_pairs() {
    assert_eq!(area_under_curve(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
    assert_eq!(area_under_curve(&[1.0, 3.0], &[2.0, 2.0]), 0.5);
    assert_eq!(area_under_curve(&[1.0, 1.0], &[1.0]), 0.5);
    assert_eq!(area_under_curve(&[2.0, 1.0, 0.0], &[1.0]), 0.5);
    assert!(area_under_curve(&[], &[1.0]).is_nan());
}
