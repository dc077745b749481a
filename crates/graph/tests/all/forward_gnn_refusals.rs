//! What cannot be learned from is refused, with the value and a way out.

use backstitch_graph::Error;
use backstitch_graph::dense::Dense;
use backstitch_graph::forward_gnn::{
    Convolution, ForwardGnn, Graph, Labels, Learner, LinkSplit, Parameters, Split,
};
use backstitch_numerics::{Matrix, SparseMatrix};

use crate::forward_gnn::{communities, small};

#[test]
fn parameters_name_their_range() {
    let usual = Parameters::default;
    for (parameters, part) in [
        (Parameters { layers: 0, ..usual() }, "layers is 0, but must be from 1 to 64"),
        (Parameters { hidden: 0, ..usual() }, "hidden is 0"),
        (Parameters { hidden: 6, convolution: Convolution::Gat, ..usual() }, "a multiple of 4"),
        (Parameters { epochs: 0, ..usual() }, "epochs is 0"),
        (Parameters { validate_every: 0, ..usual() }, "validate_every is 0"),
        (Parameters { patience: 0, ..usual() }, "patience is 0"),
        (Parameters { learning_rate: f64::NAN, ..usual() }, "learning_rate is NaN"),
        (Parameters { temperature: 0.0, ..usual() }, "temperature is 0"),
        (Parameters { weight_decay: -1.0, ..usual() }, "weight_decay is -1"),
        (Parameters { threshold: f64::INFINITY, ..usual() }, "threshold is inf"),
        (Parameters { convolution: Convolution::None, ..usual() }, "convolution is none"),
    ] {
        let error = ForwardGnn::new(parameters).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn labels_count_from_zero_without_a_gap() {
    let error = Labels::new(vec![Some(0), Some(2), None]).unwrap_err();
    assert_eq!(error, Error::Gap { missing: 1, largest: 2 });
    assert!(error.to_string().contains("number the classes anew"));
    assert!(Labels::new(vec![Some(1), Some(2)]).unwrap_err().to_string().contains("no node has the label 0"));
    assert!(Labels::new(vec![Some(0), None]).unwrap_err().to_string().contains("at least 2 classes"));
    assert!(Labels::new(vec![None, None]).unwrap_err().to_string().contains("0 nodes have a label"));
    assert!(Labels::new(vec![Some(usize::MAX)]).is_err());
}

#[test]
fn a_class_without_training_nodes_is_named() {
    let (graph, labels) = communities(30, 3, 1);
    let split = Split { training: vec![0, 1, 3, 4], validation: vec![2, 5], test: vec![8] };
    let error =
        ForwardGnn::new(small(Learner::SingleForward)).unwrap().fit(&graph, &labels, &split).unwrap_err();
    assert_eq!(error, Error::ClassWithoutTraining { class: 2, labelled: 10 });
}

#[test]
fn splits_and_graphs_that_do_not_fit_are_refused() {
    let (graph, labels) = communities(30, 3, 1);
    let method = ForwardGnn::new(small(Learner::SingleForward)).unwrap();
    let part = |training: &[usize], validation: &[usize], test: &[usize]| Split {
        training: training.to_vec(),
        validation: validation.to_vec(),
        test: test.to_vec(),
    };
    for (split, reason) in [
        (part(&[0, 1, 2], &[], &[]), "no validation nodes"),
        (part(&[0, 1, 2], &[2], &[]), "node 2 stands in two parts"),
        (part(&[0, 1, 2], &[30], &[]), "validation node 30 has no label"),
    ] {
        let error = method.fit(&graph, &labels, &split).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let few = Labels::new(vec![Some(0), Some(1)]).unwrap();
    let error = method.fit(&graph, &few, &part(&[0], &[1], &[])).unwrap_err().to_string();
    assert!(error.contains("the labels are of 2 nodes, but the graph has 30"), "{error}");
    assert!(
        Split::random(&labels, 1.0, 0.2, 0).unwrap_err().to_string().contains("share of test nodes is 1")
    );
    let features = SparseMatrix::from_dense(&Matrix::zeros(2, 3));
    let error = Graph::new(&[(0, 1), (0, 2)], &features).unwrap_err();
    assert_eq!(error, Error::Node { edge: 1, from: 0, to: 2, nodes: 2 });
    let odd = Dense::from_fn(2, 2, |row, column| if row + column == 2 { f32::NAN } else { 0.0 });
    assert!(Graph::from_dense(&[], odd).unwrap_err().to_string().contains("node 1, feature 1 is NaN"));
    assert!(Graph::from_dense(&[], Dense::zeros(0, 3)).is_err());
}

#[test]
fn models_refuse_other_graphs_and_other_questions() {
    let (graph, labels) = communities(30, 3, 1);
    let split = Split::random(&labels, 0.2, 0.2, 0).unwrap();
    let parameters = Parameters { epochs: 2, ..small(Learner::SingleForward) };
    let method = ForwardGnn::new(parameters.clone()).unwrap();
    let model = method.fit(&graph, &labels, &split).unwrap().model;
    let narrow = Graph::from_dense(&[], Dense::zeros(30, 3)).unwrap();
    assert!(model.predict(&narrow).unwrap_err().to_string().contains("3 features, but the model reads 8"));
    let short = Graph::from_dense(&[], Dense::zeros(3, 8)).unwrap();
    assert!(model.predict(&short).unwrap_err().to_string().contains("the graph has 3 nodes"));
    assert!(model.link_scores(&graph, &[(0, 1)]).is_err());
    let links = LinkSplit::random(&graph, 0.2, 0.2, 0).unwrap();
    let model = method.fit_links(&graph, &links).unwrap().model;
    assert!(model.predict(&graph).is_err());
    assert!(model.link_scores(&graph, &[(0, 30)]).is_err());
    let other = ForwardGnn::new(Parameters { learner: Learner::TopToLoss, ..parameters }).unwrap();
    assert!(other.fit_links(&graph, &links).unwrap_err().to_string().contains("for links"));
}

#[test]
fn links_need_edges_and_pairs_that_are_none() {
    let features = || Dense::from_fn(8, 2, |_, _| 1.0);
    let few = Graph::from_dense(&[(0, 1), (1, 2)], features()).unwrap();
    assert!(LinkSplit::random(&few, 0.2, 0.2, 0).unwrap_err().to_string().contains("at least 10 edges"));
    let all: Vec<(usize, usize)> = (0..8).flat_map(|from| (0..from).map(move |to| (from, to))).collect();
    let full = Graph::from_dense(&all, features()).unwrap();
    assert!(LinkSplit::random(&full, 0.2, 0.2, 0).unwrap_err().to_string().contains("too many to draw"));
    assert!(
        LinkSplit::random(&full, 0.0, 0.2, 0).unwrap_err().to_string().contains("share of test edges is 0")
    );
}
