//! Causal minimax: graph questions against definitions, networks against closed forms, and what the search promises.
//!
//! All draws come from seeded streams, so that no test can fail by chance.

use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::causal_minimax::{
    CausalMinimax, Form, Graph, Intervention, LinearModel, Model, Parameters, Roles, Set, discover,
    equivalence_classes,
};
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/causal-minimax.json")).unwrap()
}

fn set(value: &Value) -> Set {
    let columns: Vec<usize> = serde_json::from_value(value.clone()).unwrap();
    columns.into_iter().collect()
}

/// The published simulation. Columns: E, Y, X1 … X10 at 2 … 11; X9 and X10 are mutable.
pub(crate) fn simulation() -> Graph {
    let edges = "Y X1,Y X9,X1 X3,X9 X1,X3 X2,X3 X10,X2 X4,X5 X1,X5 X10,X6 X1,X6 X5,X7 X4,X8 X2,X8 X4,X8 X7,X8 X10,E X9,E X10";
    let place = |name: &str| match name {
        "E" => 0,
        "Y" => 1,
        other => other[1..].parse::<usize>().unwrap() + 1,
    };
    let edges: Vec<(usize, usize)> = edges
        .split(',')
        .map(|edge| edge.split_once(' ').unwrap())
        .map(|(a, b)| (place(a), place(b)))
        .collect();
    Graph::new(12, &edges).unwrap()
}

#[test]
fn the_parts_of_the_published_simulation() {
    let roles = Roles::new(&simulation(), 1, 0).unwrap();
    let names = |set: Set| set.iter().map(|column| column - 1).collect::<Vec<_>>();
    assert_eq!(names(roles.mutable), [9, 10]);
    assert_eq!(names(roles.stable), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(names(roles.mutable_children), [9]);
    assert_eq!(names(roles.downstream), [1, 2, 3, 4, 10]);
    assert_eq!(names(roles.intervened), [2, 3, 4, 9, 10]);
    assert!(!roles.whole_set_is_optimal);
}

/// Vectors made by trying every separating set on moralised graphs. The first is the published simulation, whose 45 classes
/// have the sizes that the released code's own file has: 32 of 1, 4 of 4, 5 of 16 and 4 of 32.
#[test]
fn classes_are_those_of_the_released_code() {
    for (case, vector) in vectors()["classes"].as_array().unwrap().iter().enumerate() {
        let edges: Vec<(usize, usize)> = serde_json::from_value(vector["edges"].clone()).unwrap();
        let columns = vector["columns"].as_u64().unwrap() as usize;
        let graph = Graph::new(columns, &edges).unwrap();
        let stable = (1..columns).collect();
        let classes = equivalence_classes(&graph, 0, stable, 1000).unwrap();
        let found: Vec<(Set, Set)> = classes.iter().map(|class| (class.required, class.optional)).collect();
        let mut expected: Vec<(Set, Set)> = vector["classes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|class| (set(&class[0]), set(&class[1])))
            .collect();
        expected.sort_by_key(|(required, _)| (required.len(), *required));
        assert_eq!(found, expected, "{}", vector["name"]);
        if case == 0 {
            let of_size = |size: f64| classes.iter().filter(|class| class.size() == size).count();
            assert_eq!(
                (classes.len(), of_size(1.0), of_size(4.0), of_size(16.0), of_size(32.0)),
                (45, 32, 4, 5, 4)
            );
        }
    }
}

/// d-separation by its definition, along every path without repetition.
fn separated_by_paths(graph: &Graph, one: usize, other: usize, given: Set) -> bool {
    fn open_path(graph: &Graph, path: &mut Vec<usize>, other: usize, given: Set) -> bool {
        let last = path[path.len() - 1];
        if last == other {
            return path.windows(3).all(|three| {
                let collider =
                    graph.parents(three[1]).contains(three[0]) && graph.parents(three[1]).contains(three[2]);
                let below = graph.descendants(Set::one(three[1])).union(Set::one(three[1]));
                if collider { !below.intersection(given).is_empty() } else { !given.contains(three[1]) }
            });
        }
        for next in graph.parents(last).union(graph.children(last)).iter() {
            if !path.contains(&next) {
                path.push(next);
                let open = open_path(graph, path, other, given);
                path.pop();
                if open {
                    return true;
                }
            }
        }
        false
    }
    !open_path(graph, &mut vec![one], other, given)
}

fn random_graph(columns: usize, density: f64, stream: &mut Stream) -> Graph {
    let order = stream.permutation(columns);
    let mut edges = Vec::new();
    for i in 0..columns {
        for j in i + 1..columns {
            if stream.uniform() < density {
                edges.push((order[i], order[j]));
            }
        }
    }
    Graph::new(columns, &edges).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The walk finds an open path where the definition does.
    #[test]
    fn connection_is_the_definition(seed in 0_u64..1000, density in 0.1_f64..0.7) {
        let mut stream = Stream::new(seed, "connection");
        let graph = random_graph(6, density, &mut stream);
        for one in 0..6 {
            for other in one + 1..6 {
                for given in Set::all(6).without([one, other].into_iter().collect()).subsets() {
                    prop_assert_eq!(graph.connected(one, other, given), !separated_by_paths(&graph, one, other, given));
                }
            }
        }
    }

    /// The classes partition the subsets, and what a member has beyond the required columns is separated from Y by them:
    /// the definition of equivalence, with the required columns as what both have in common. Shortest members of two
    /// classes are never equivalent.
    #[test]
    fn classes_partition_into_equivalent_subsets(seed in 0_u64..1000, density in 0.1_f64..0.7) {
        let mut stream = Stream::new(seed, "classes");
        let graph = random_graph(7, density, &mut stream);
        let stable: Set = (1..7).collect();
        let classes = equivalence_classes(&graph, 0, stable, 1000).unwrap();
        for subset in stable.subsets() {
            let homes: Vec<_> = classes.iter().filter(|class| class.contains(subset)).collect();
            prop_assert_eq!(homes.len(), 1, "{:?}", subset);
            for extra in subset.without(homes[0].required).iter() {
                // Separation of a set follows from separation of each column given the rest of what is known.
                prop_assert!(!graph.connected(extra, 0, homes[0].required));
            }
        }
        let separated = |subset: Set, by: Set| subset.without(by).iter().all(|column| !graph.connected(column, 0, by));
        for (place, one) in classes.iter().enumerate() {
            for other in &classes[..place] {
                let common = one.required.intersection(other.required);
                let equivalent = common.subsets().any(|by| separated(one.required, by) && separated(other.required, by));
                prop_assert!(!equivalent, "{:?} and {:?}", one, other);
            }
        }
    }
}

/// The closed form against a search over maps on a grid, with nothing of its formula.
#[test]
fn the_closed_form_is_that_of_quadrature() {
    for case in vectors()["linear"].as_array().unwrap() {
        let rows: Vec<Vec<f64>> = serde_json::from_value(case["weights"].clone()).unwrap();
        let model = LinearModel {
            weights: Matrix::new(rows.len(), rows.len(), rows.concat()).unwrap(),
            noise: serde_json::from_value(case["noise"].clone()).unwrap(),
            target: 0,
            mutable: 2,
        };
        let numbers = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).unwrap() };
        for (ours, theirs) in
            model.predictor(set(&case["subset"])).unwrap().iter().zip(numbers("coefficients"))
        {
            assert!((ours - theirs).abs() < 1e-9, "{ours} against {theirs}");
        }
        let ours = model.worst_case_risk(&numbers("attacked"), case["bound"].as_f64().unwrap()).unwrap();
        let theirs = case["worst_case_risk"].as_f64().unwrap();
        assert!((ours - theirs).abs() < 1e-6 * theirs, "{ours} against {theirs}");
    }
}

/// Columns E, Y, P, M, X, Z; M's mechanism is scaled by the environment. Returns the table and the model without E, in units
/// of the table.
pub(crate) fn linear_table(rows: usize, seed: u64) -> (Matrix, LinearModel, Graph) {
    let edges = [(1, 2, 0.8), (1, 3, 1.0), (2, 3, -0.7), (1, 4, 0.9), (3, 4, -1.1), (4, 5, 1.3)];
    let noise = [1.0, 0.8, 1.0, 0.6, 0.7];
    let mut stream = Stream::new(seed, "linear table");
    let mut table = Matrix::zeros(rows, 6);
    for row in 0..rows {
        let environment = (row % 4) as f64;
        let strength = environment - 1.5;
        let values = table.row_mut(row);
        values[0] = environment;
        for column in 1..6 {
            let mean: f64 =
                edges.iter().filter(|edge| edge.1 == column).map(|edge| edge.2 * values[edge.0]).sum();
            let factor = if column == 3 { strength } else { 1.0 };
            values[column] = factor * mean + noise[column - 1] * stream.normal();
        }
    }
    let mut weights = Matrix::zeros(5, 5);
    for (from, to, weight) in edges {
        weights[(from - 1, to - 1)] = weight;
    }
    let all: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.0, edge.1)).chain([(0, 3)]).collect();
    let model = LinearModel { weights, noise: noise.to_vec(), target: 0, mutable: 2 };
    (table, model, Graph::new(6, &all).unwrap())
}

fn linear_parameters() -> Parameters {
    Parameters { form: Form::Linear, decay: 0.0, adversary_penalty: 0.0, ..Parameters::default() }
}

fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}

/// The coefficients of a linear predictor in the units of the table, one per column.
fn coefficients(model: &Model, columns: usize) -> Vec<f64> {
    let width = model.inputs.len();
    let at = |place: Option<usize>| {
        let row = Matrix::from_fn(1, width, |_, p| if Some(p) == place { 1.0 } else { 0.0 });
        model.predict(&row).unwrap()[0]
    };
    let mut coefficients = vec![0.0; columns];
    for (place, &input) in model.inputs.iter().enumerate() {
        coefficients[input] = at(Some(place)) - at(None);
    }
    coefficients
}

/// Predictors of every subset, fitted on 20,000 rows: the standard error of a coefficient is below 0.01.
#[test]
fn the_linear_predictor_is_the_closed_form() {
    let (table, model, graph) = linear_table(20_000, 1);
    let problem = CausalMinimax::new(linear_parameters()).unwrap().prepare(&table, 1, 0, &graph).unwrap();
    for subset in Set::from_iter([2, 4, 5]).subsets() {
        let found = coefficients(&problem.predictor(subset).unwrap(), 6);
        let exact = model.predictor(subset.iter().map(|column| column - 1).collect()).unwrap();
        for (ours, theirs) in found[1..].iter().zip(&exact) {
            assert!((ours - theirs).abs() < 0.04, "{subset:?}: {found:?} against {exact:?}");
        }
    }
}

/// The adversary's networks against the closed form, for predictors that leave it a hold: plain regressions on what lies below
/// the mutable column. It may fall short of the best map by little, and cannot be better by more than the rows differ from
/// their distribution.
#[test]
fn the_adversary_finds_the_worst_case_of_the_closed_form() {
    let (table, model, graph) = linear_table(20_000, 1);
    let spread = |column: usize| deviation(table.column(column).collect::<Vec<_>>().into_iter());
    let problem = CausalMinimax::new(linear_parameters()).unwrap().prepare(&table, 1, 0, &graph).unwrap();
    for subset in Set::from_iter([2, 4, 5]).subsets() {
        let plain = problem.regression(subset).unwrap();
        let exact = model.worst_case_risk(&coefficients(&plain, 6)[1..], 3.0 * spread(3)).unwrap();
        let ratio = problem.worst_case_risk(&plain).unwrap() * spread(1).powi(2) / exact;
        assert!((0.97..1.03).contains(&ratio), "{subset:?}: {ratio}");
    }
}

/// The released code's intervention cuts Z off from Y, so that a predictor by Z alone is not E[Y | z, do(m)].
#[test]
fn the_published_intervention_is_another_one_below_a_child() {
    let (table, model, graph) = linear_table(5000, 1);
    let slope = |intervention: Intervention| {
        let parameters = Parameters { intervention, ..linear_parameters() };
        let problem = CausalMinimax::new(parameters).unwrap().prepare(&table, 1, 0, &graph).unwrap();
        let fitted = problem.predictor(Set::one(5)).unwrap();
        let at = |value: f64| fitted.predict(&Matrix::new(1, 2, vec![0.0, value]).unwrap()).unwrap()[0];
        at(1.0) - at(0.0)
    };
    let exact = model.predictor(Set::one(4)).unwrap()[4];
    assert!((slope(Intervention::Mutable) - exact).abs() < 0.05);
    assert!(slope(Intervention::Published).abs() < 0.05 && exact.abs() > 0.2, "{exact}");
}

#[test]
fn a_wider_reach_is_never_safer() {
    let (table, _, graph) = linear_table(500, 2);
    let risk = |reach: f64| {
        let parameters = Parameters { reach, ..linear_parameters() };
        let problem = CausalMinimax::new(parameters).unwrap().prepare(&table, 1, 0, &graph).unwrap();
        // It reads the mutable column through a child of it.
        let plain = problem.regression(Set::one(4)).unwrap();
        problem.worst_case_risk(&plain).unwrap()
    };
    let risks: Vec<f64> = [0.5, 1.0, 2.0, 4.0, 8.0, 64.0].into_iter().map(risk).collect();
    assert!(risks.windows(2).all(|pair| pair[0] < pair[1]), "{risks:?}");
    // Quadratic in the end: a linear predictor has no bound of its own.
    assert!(risks[5] > 30.0 * risks[4], "{risks:?}");
}

/// The worst map found is worse than the mechanism of the training rows and than any constant.
#[test]
fn the_adversary_is_worse_than_what_it_could_copy() {
    let (table, _, graph) = linear_table(400, 3);
    let problem = CausalMinimax::new(Parameters::default()).unwrap().prepare(&table, 1, 0, &graph).unwrap();
    for subset in Set::from_iter([2, 4, 5]).subsets() {
        let judged = problem.judge(subset).unwrap();
        assert!(judged.worst_case_risk > 0.98 * judged.training_risk, "{judged:?}");
        assert!(judged.worst_training_risk >= judged.training_risk);
    }
}

#[test]
fn the_search_ranks_one_subset_of_every_class_and_repeats_itself() {
    let (table, _, graph) = linear_table(300, 4);
    let fit = || CausalMinimax::new(linear_parameters()).unwrap().fit(&table, 1, 0, &graph).unwrap();
    let first = fit();
    // X is a child of Y and of M.
    assert!(!first.roles.whole_set_is_optimal);
    assert_eq!(first.ranking.len(), first.classes.len());
    assert_eq!(first.classes.iter().map(|class| class.size()).sum::<f64>(), 8.0);
    let risks: Vec<f64> = first.ranking.iter().map(|ranked| ranked.judged.worst_case_risk).collect();
    assert!(risks.is_sorted(), "{risks:?}");
    assert_eq!(fit(), first);
    let single = rayon_of_one(fit);
    assert_eq!(single, first, "one thread gives the same");
}

fn rayon_of_one<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

/// What a member has beyond the shortest one tells nothing: fitted on 20,000 rows, it changes next to nothing.
#[test]
fn members_of_a_class_have_the_same_predictions() {
    let (table, _, graph) = linear_table(20_000, 5);
    let problem = CausalMinimax::new(linear_parameters()).unwrap().prepare(&table, 1, 0, &graph).unwrap();
    let roles = problem.roles().clone();
    let classes = equivalence_classes(&roles.stable_graph(&graph), 1, roles.stable, 100).unwrap();
    let mut compared = 0;
    for class in classes.iter().filter(|class| !class.optional.is_empty()) {
        let shortest = problem.judge(class.required).unwrap().training_risk;
        let longest = problem.judge(class.required.union(class.optional)).unwrap().training_risk;
        assert!((shortest / longest - 1.0).abs() < 0.01, "{class:?}: {shortest} against {longest}");
        compared += 1;
    }
    assert!(compared > 0);
}

/// In a linear Gaussian model no map can hurt f_S', whatever its bound, and more stable columns are never worse.
#[test]
fn a_linear_gaussian_model_leaves_nothing_to_search() {
    let (_, model, graph) = linear_table(10, 0);
    assert!(!Roles::new(&graph, 1, 0).unwrap().whole_set_is_optimal, "and yet the graph alone cannot say so");
    let risk =
        |subset: Set, bound: f64| model.worst_case_risk(&model.predictor(subset).unwrap(), bound).unwrap();
    let whole: Set = [1, 3, 4].into_iter().collect();
    for subset in whole.subsets() {
        assert!((risk(subset, 0.0) - risk(subset, 100.0)).abs() < 1e-9);
        assert!(risk(subset, 3.0) >= risk(whole, 3.0) - 1e-9);
    }
}

/// Where the graph says that the whole stable set is optimal, only its class is judged, unless all are asked for; then it is
/// the best of them.
#[test]
fn the_graph_may_decide() {
    // E, Y, M, X, Z: Y -> M, Y -> X, X -> Z, and M is a leaf whose sign the environment turns.
    let graph = Graph::new(5, &[(0, 2), (1, 2), (1, 3), (3, 4)]).unwrap();
    let mut stream = Stream::new(0, "condition");
    let mut table = Matrix::zeros(400, 5);
    for row in 0..400 {
        let (environment, y) = ((row % 2) as f64, stream.normal());
        let m = (3.0 * environment - 1.0) * y.tanh() + 0.3 * stream.normal();
        let x = y + 0.3 * y * y + 0.5 * stream.normal();
        let z = x.sin() + 0.5 * stream.normal();
        table.row_mut(row).copy_from_slice(&[environment, y, m, x, z]);
    }
    let fit = |search_always: bool| {
        let parameters = Parameters { search_always, ..Parameters::default() };
        CausalMinimax::new(parameters).unwrap().fit(&table, 1, 0, &graph).unwrap()
    };
    let (decided, searched) = (fit(false), fit(true));
    assert!(decided.roles.whole_set_is_optimal);
    assert_eq!((decided.ranking.len(), searched.ranking.len()), (1, searched.classes.len()));
    assert!(decided.ranking[0].class.contains([3, 4].into_iter().collect()));
    assert_eq!(decided.ranking[0], searched.ranking[0]);
}

#[test]
fn a_saved_model_predicts_the_same() {
    let (table, _, graph) = linear_table(200, 6);
    let fit = CausalMinimax::new(Parameters::default()).unwrap().fit(&table, 1, 0, &graph).unwrap();
    let model = &fit.chosen().model;
    let inputs = Matrix::from_fn(5, model.inputs.len(), |row, place| table[(row, model.inputs[place])]);
    let text = serde_json::to_string(model).unwrap();
    let read: backstitch_statistics::causal_minimax::Model = serde_json::from_str(&text).unwrap();
    read.validate().unwrap();
    assert_eq!(read.predict(&inputs).unwrap(), model.predict(&inputs).unwrap());
}

/// Tests at level 1e-7: a graph of 6 columns takes fewer than 200 tests, so that a false edge has a chance below 2e-5 per draw, and
/// the draws are fixed. All effects are strong, so that no true edge is missed.
#[test]
fn a_linear_graph_is_found() {
    // E -> A, C -> A, A -> B, D -> B: colliders at A and B orient everything.
    let mut stream = Stream::new(0, "discovery");
    let rows = 1200;
    let mut table = Matrix::zeros(rows, 5);
    for row in 0..rows {
        let environment = (row % 3) as f64;
        let (c, d) = (stream.normal(), stream.normal());
        let a = (environment + 0.5) * c + 2.0 * environment + stream.normal();
        let b = a - 1.5 * d + stream.normal();
        table.row_mut(row).copy_from_slice(&[environment, a, b, c, d]);
    }
    let found = discover(&table, 0, 1e-7, 3).unwrap();
    assert_eq!(found.directed, [(0, 1), (1, 2), (3, 1), (4, 2)]);
    assert_eq!(found.undirected, []);
}

/// A chain without environments' help keeps its direction open, and the pair says so.
#[test]
fn what_the_data_leave_open_stays_open() {
    let mut stream = Stream::new(1, "discovery");
    let mut table = Matrix::zeros(600, 3);
    for row in 0..600 {
        let a = stream.normal();
        let b = a + 0.5 * stream.normal();
        table.row_mut(row).copy_from_slice(&[(row % 2) as f64, a, b]);
    }
    let found = discover(&table, 0, 1e-7, 3).unwrap();
    assert_eq!((found.directed, found.undirected), (vec![], vec![(1, 2)]));
    assert!(discover(&table, 0, 0.0, 3).is_err());
    assert!(discover(&table, 7, 0.01, 3).is_err());
}
