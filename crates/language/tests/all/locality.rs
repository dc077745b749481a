//! Nets, samples, exact inference, distances, scaffolds and observations.

use std::collections::{BTreeMap, HashSet};

use backstitch_language::Error;
use backstitch_language::locality::{
    CARD, Distances, HeldOutParameters, Network, NetworkParameters, Observation, Observer, Policy, Radius,
    Samples, ValueTokens, Variable, Vocabulary, World, chain, check_held_out, held_out_pairs,
    negative_scaffolds, observe_all, queries, scaffolds, smallest_cut,
};
use backstitch_numerics::{Matrix, Stream};
use proptest::prelude::*;

pub(crate) fn random(variables: usize, edges: usize, seed: u64) -> Network {
    Network::random(&NetworkParameters { variables, edges, concentration: 0.7 }, seed).unwrap()
}

/// P of every full assignment: the definition, and the oracle of everything exact.
pub(crate) fn full_joint(net: &Network) -> Vec<f64> {
    (0..1_usize << net.len())
        .map(|x| {
            (0..net.len())
                .map(|v| {
                    let row =
                        net.parents(v).iter().enumerate().fold(0, |row, (k, &p)| row | (x >> p & 1) << k);
                    let one = net.table(v)[row];
                    if x >> v & 1 == 1 { one } else { 1.0 - one }
                })
                .product()
        })
        .collect()
}

/// Sums the full joint onto some variables.
pub(crate) fn summed(full: &[f64], variables: &[usize]) -> Vec<f64> {
    let mut out = vec![0.0; 1 << variables.len()];
    for (x, p) in full.iter().enumerate() {
        out[variables.iter().enumerate().fold(0, |i, (k, &v)| i | (x >> v & 1) << k)] += p;
    }
    out
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

#[test]
fn elimination_agrees_with_enumeration() {
    for seed in 0..60 {
        let n = 2 + seed as usize % 9;
        let net = random(n, (n * (n - 1) / 2).min(n + seed as usize % 4), seed);
        let full = full_joint(&net);
        let mut stream = Stream::new(seed, "test");
        for count in 0..=n.min(4) {
            let mut variables = stream.permutation(n);
            variables.truncate(count);
            assert!(
                close(&net.joint(&variables).unwrap(), &summed(&full, &variables)),
                "{seed} {variables:?}"
            );
        }
        let pairs = net.pairs().unwrap();
        for a in 0..n {
            assert!((pairs.marginal(a) - summed(&full, &[a])[1]).abs() < 1e-12);
            for b in (0..n).filter(|&b| b != a) {
                let joint = summed(&full, &[a, b]);
                assert!(close(&pairs.joint(a, b), &joint));
                for value in [false, true] {
                    let (zero, one) = (joint[2 * usize::from(value)], joint[2 * usize::from(value) + 1]);
                    let found = pairs.conditional(a, b, value).unwrap();
                    assert!((found - one / (zero + one)).abs() < 1e-12);
                }
                // H(a) + H(b) − H(a, b), another route to the same number.
                let entropy = |p: &[f64]| -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
                let expected =
                    entropy(&summed(&full, &[a])) + entropy(&summed(&full, &[b])) - entropy(&joint);
                assert!((pairs.mutual_information(a, b) - expected).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn inference_refuses_what_it_cannot_do() {
    let net = random(5, 5, 0);
    assert!(net.joint(&[0, 0]).unwrap_err().to_string().contains("[0, 0]"));
    assert!(net.joint(&[9]).is_err());
    // 24 roots in four groups of six under common children, all under one child: summing it out is easy, asking for 24 is not.
    let net = random(30, 0, 0);
    let all: Vec<usize> = (0..24).collect();
    assert!(matches!(net.joint(&all), Err(Error::TooWide { width: 24, limit: 22 })));
    // A condition of probability zero has no conditional.
    let net = chain(0.0, &[[0.3, 0.8]]).unwrap();
    assert_eq!(net.pairs().unwrap().conditional(1, 0, true), None);
    let asked = queries(&net.pairs().unwrap(), &[(0, 1)], 1e-3);
    assert_eq!((asked.queries.len(), asked.dropped), (3, 1));
}

#[test]
fn samples_have_the_exact_frequencies() {
    // A variable with seven parents takes the way of one sample at a time, the others 64 at a time.
    let mut variables: Vec<Variable> = (0..7)
        .map(|v| Variable { name: format!("R{v}"), parents: vec![], rows: vec![vec![0.1 + 0.1 * v as f64]] })
        .collect();
    let parents: Vec<String> = variables.iter().map(|v| v.name.clone()).collect();
    let rows = (0..128)
        .map(|row| (0..7).map(|k| f64::from(row >> k & 1)).chain([(f64::from(row) * 0.37).fract()]).collect())
        .collect();
    variables.push(Variable { name: "C".into(), parents, rows });
    let wide = Network::from_variables(&variables).unwrap();
    for net in [random(8, 9, 1), random(6, 5, 2), wide] {
        let rows = 200_000;
        let samples = Samples::draw(&net, rows, 7);
        let exact = net.pairs().unwrap();
        let counted = samples.pairs();
        for a in 0..net.len() {
            for b in 0..net.len() {
                for (found, expected) in counted.joint(a, b).into_iter().zip(exact.joint(a, b)) {
                    // 5.5 standard errors and one count: a false alarm of 4e-8 per entry, some 700 entries.
                    let error = 5.5 * (expected * (1.0 - expected) / rows as f64).sqrt() + 1.0 / rows as f64;
                    assert!((found - expected).abs() < error, "{a} {b}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn certain_values_are_certain() {
    let net = chain(1.0, &[[0.5, 0.0], [1.0, 0.5], [0.0, 1.0]]).unwrap();
    let samples = Samples::draw(&net, 1000, 0);
    assert_eq!((samples.rows(), samples.variables()), (1000, 4));
    for row in 0..1000 {
        assert_eq!([0, 1, 2, 3].map(|v| samples.get(row, v)), [true, false, true, true]);
    }
    assert_eq!(samples.counts(0, 1), [0, 1000, 0, 0]);
    assert_eq!(samples.counts(1, 0), [0, 0, 1000, 0]);
    assert_eq!(Samples::draw(&net, 0, 0).rows(), 0);
}

#[test]
fn samples_do_not_depend_on_threads_and_keep_their_beginning() {
    let net = random(10, 10, 3);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let many = Samples::draw(&net, 50_001, 4);
    assert_eq!(pool.install(|| Samples::draw(&net, 50_001, 4)), many);
    assert_ne!(Samples::draw(&net, 50_001, 5), many);
    let few = Samples::draw(&net, 777, 4);
    assert!((0..777).all(|row| (0..10).all(|v| few.get(row, v) == many.get(row, v))));
}

#[test]
fn tables_of_a_user_become_samples() {
    let table = Matrix::new(3, 2, vec![0.0, 1.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
    let samples = Samples::from_table(&table).unwrap();
    assert_eq!(samples.counts(0, 1), [1, 0, 1, 1]);
    let error = Samples::from_table(&Matrix::new(1, 2, vec![0.0, 2.0]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("2 in row 1, column 2"), "{error}");
    assert!(Samples::from_table(&Matrix::zeros(0, 2)).is_err());
}

#[test]
fn a_tree_is_found_again_from_samples() {
    let net = chain(0.4, &[[0.2, 0.9], [0.7, 0.1], [0.1, 0.6], [0.2, 0.8]]).unwrap();
    let samples = Samples::draw(&net, 100_000, 0);
    let found = Network::tree(&samples, net.names()).unwrap();
    let edges = |net: &Network| net.edges().map(|(a, b)| (a.min(b), a.max(b))).collect::<HashSet<_>>();
    assert_eq!(edges(&found), edges(&net));
    let (exact, learned) = (net.pairs().unwrap(), found.pairs().unwrap());
    assert!((exact.conditional(4, 0, true).unwrap() - learned.conditional(4, 0, true).unwrap()).abs() < 0.02);
    assert!(Network::tree(&samples, &net.names()[1..]).is_err());
}

#[test]
fn nets_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("net.jsonl");
        std::fs::write(&path, text).unwrap();
        Network::read(&path)
    };
    let child = r#"{"name": "B", "parents": ["A", "C"], "rows": [[0, 0, 0.1], [1, 0, 0.2], [0, 1, 0.3], [1, 1, 0.4]]}"#;
    let roots = "{\"name\": \"A\", \"rows\": [[0.5]]}\n{\"name\": \"C\", \"rows\": [[0.25]]}";
    let net = read(&format!("{child}\n{roots}")).unwrap();
    assert_eq!(
        (net.names(), net.parents(0), net.table(0)),
        (&["B", "A", "C"].map(String::from)[..], &[1, 2][..], &[0.1, 0.2, 0.3, 0.4][..])
    );
    assert_eq!(Network::from_variables(&net.to_variables()).unwrap(), net);
    assert_eq!(read(&serde_json::to_string(&net.to_variables()).unwrap()).unwrap(), net);
    let one = |text: &str| format!("{roots}\n{text}");
    for (text, wrong) in [
        (String::new(), "no variables"),
        ("[]".into(), "no variables"),
        ("{\"name\": \"A\"}".into(), "line 1: missing field `rows`"),
        (format!("{roots}\nnonsense"), "line 3: not JSON"),
        (
            one(r#"{"name": "B", "parents": ["D"], "rows": [[0, 1], [1, 1]]}"#),
            "parent \"D\" is not a variable",
        ),
        (
            one(r#"{"name": "B", "parents": ["A", "A"], "rows": [[0,0,0],[0,1,0],[1,0,0],[1,1,0]]}"#),
            "\"A\" is listed twice",
        ),
        (one(r#"{"name": "B", "parents": ["A"], "rows": [[0, 0.5]]}"#), "1 rows, but 2 are needed"),
        (
            one(r#"{"name": "B", "parents": ["A"], "rows": [[0, 0.5], [0, 0.6]]}"#),
            "two rows for the parents' values",
        ),
        (
            one(r#"{"name": "B", "parents": ["A"], "rows": [[0.5], [1, 0.6]]}"#),
            "has 1 numbers, but must have 2",
        ),
        (
            one(r#"{"name": "B", "parents": ["A"], "rows": [[0, 0.5], [2, 0.6]]}"#),
            "\"A\" is 2, but must be 0 or 1",
        ),
        (one(r#"{"name": "B", "rows": [[1.5]]}"#), "P(true) is 1.5"),
        (one(r#"{"name": "A", "rows": [[0.5]]}"#), "two variables have this name"),
        (one(r#"{"name": "a b", "rows": [[0.5]]}"#), "white space"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{text}: {error}");
    }
    assert!(matches!(Network::read(&folder.path().join("none")), Err(Error::Jsonl(_))));
}

#[test]
fn cycles_are_named_as_a_path() {
    let names = (0..9).map(|v| format!("X{v}")).collect::<Vec<_>>();
    // X7 → X1 → X3 → X7, and X5 below the cycle, X0 above it.
    let mut parents = vec![vec![]; 9];
    parents[1] = vec![0, 7];
    parents[3] = vec![1];
    parents[7] = vec![3];
    parents[5] = vec![7];
    let tables = parents.iter().map(|own| vec![0.5; 1 << own.len()]).collect();
    let error = Network::new(names, parents, tables).unwrap_err().to_string();
    let rotations = [
        "edge X3->X7 closes a cycle X7->X1->X3->X7",
        "edge X7->X1 closes a cycle X1->X3->X7->X1",
        "edge X1->X3 closes a cycle X3->X7->X1->X3",
    ];
    assert!(rotations.iter().any(|rotation| error.starts_with(rotation)), "{error}");
    let own = Network::new(vec!["A".into()], vec![vec![0]], vec![vec![0.5; 2]]).unwrap_err().to_string();
    assert!(own.starts_with("edge A->A closes a cycle A->A"), "{own}");
}

#[test]
fn random_nets_have_the_edges_asked_for() {
    for seed in 0..5 {
        let net = Network::random(&NetworkParameters::default(), seed).unwrap();
        let edges: HashSet<_> = net.edges().map(|(a, b)| (a.min(b), a.max(b))).collect();
        assert_eq!((net.len(), edges.len(), net.edges().count()), (100, 100, 100));
        let place: Vec<usize> = (0..100).map(|v| net.order().iter().position(|&w| w == v).unwrap()).collect();
        assert!(net.edges().all(|(parent, child)| place[parent] < place[child]));
    }
    assert_eq!(random(20, 20, 1), random(20, 20, 1));
    assert_ne!(random(20, 20, 1), random(20, 20, 2));
    for (wrong, name) in [
        (NetworkParameters { variables: 1, ..Default::default() }, "variables is 1"),
        (NetworkParameters { variables: 4, edges: 7, ..Default::default() }, "edges is 7"),
        (NetworkParameters { concentration: 0.0, ..Default::default() }, "concentration is 0"),
    ] {
        let error = Network::random(&wrong, 0).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn distances_are_those_of_the_graph_without_directions() {
    let net = random(12, 11, 5);
    let n = net.len();
    // Floyd and Warshall.
    let mut table = vec![vec![u32::MAX / 2; n]; n];
    (0..n).for_each(|v| table[v][v] = 0);
    net.edges().for_each(|(a, b)| (table[a][b], table[b][a]) = (1, 1));
    for k in 0..n {
        for i in 0..n {
            for j in 0..n {
                table[i][j] = table[i][j].min(table[i][k] + table[k][j]);
            }
        }
    }
    let distances = net.distances();
    for i in 0..n {
        for j in 0..n {
            assert_eq!(distances.get(i, j), Some(table[i][j]).filter(|&d| d < u32::MAX / 2));
        }
        let near: Vec<usize> = (0..n).filter(|&j| table[i][j] <= 2).collect();
        assert_eq!(distances.within(i, 2).collect::<Vec<_>>(), near);
    }
}

#[test]
fn scaffolds_are_smallest_and_separate() {
    let mut sizes = BTreeMap::new();
    for seed in 0..40 {
        let net = random(9, 11, seed);
        let full = full_joint(&net);
        let distances = net.distances();
        for c in 0..9 {
            for t in (0..9).filter(|&t| t != c) {
                let scaffold = match net.scaffold(t, c) {
                    Ok(scaffold) => scaffold,
                    Err(error) => {
                        assert_eq!(distances.get(c, t), Some(1), "{error}");
                        continue;
                    }
                };
                *sizes.entry(scaffold.len()).or_insert(0) += 1;
                assert!(!scaffold.contains(&c) && !scaffold.contains(&t));
                let away = |v: &usize| distances.get(c, *v).unwrap();
                assert!(scaffold.is_sorted_by_key(away));
                // Independence given the scaffold: P(t, c, s) P(s) = P(t, s) P(c, s).
                let joint = |more: &[usize]| summed(&full, &[more, &scaffold].concat());
                let (tcs, ts, cs, s) = (joint(&[t, c]), joint(&[t]), joint(&[c]), joint(&[]));
                for index in 0..tcs.len() {
                    let (x, y, z) = (index & 1, index >> 1 & 1, index >> 2);
                    assert!((tcs[index] * s[z] - ts[x | z << 1] * cs[y | z << 1]).abs() < 1e-12);
                }
            }
        }
    }
    assert!(sizes.len() >= 3 && sizes.contains_key(&0) && sizes.contains_key(&2), "{sizes:?}");
    assert!(random(4, 3, 0).scaffold(1, 1).is_err());
    assert!(matches!(chain(0.5, &[[0.1, 0.2]]).unwrap().scaffold(0, 1), Err(Error::Neighbours { .. })));
}

#[test]
fn held_out_pairs_are_informative_and_apart() {
    let net = random(20, 22, 3);
    let (pairs, distances) = (net.pairs().unwrap(), net.distances());
    let parameters = HeldOutParameters { candidates: 10, chosen: 5 };
    let list = held_out_pairs(&pairs, &distances, &parameters, 0).unwrap();
    assert_eq!(list.len(), 5);
    let information = |&(a, b): &(usize, usize)| pairs.mutual_information(a, b);
    assert!(list.iter().all(|&(a, b)| distances.get(a, b).is_some_and(|d| d > 1)));
    assert!(list.is_sorted_by(|x, y| information(x) >= information(y)));
    let all = HeldOutParameters { candidates: 10, chosen: 10 };
    let ten = held_out_pairs(&pairs, &distances, &all, 1).unwrap();
    assert!(list.iter().all(|pair| ten.contains(pair)));
    let least = information(&ten[9]);
    let above = (0..20)
        .flat_map(|a| (a + 1..20).map(move |b| (a, b)))
        .filter(|&(a, b)| distances.get(a, b).is_some_and(|d| d > 1) && information(&(a, b)) > least);
    assert_eq!(above.count(), 9);
    let many = HeldOutParameters { candidates: 500, chosen: 400 };
    assert!(held_out_pairs(&pairs, &distances, &many, 0).unwrap_err().to_string().contains("chosen is 400"));
}

#[test]
fn the_most_informative_nets_are_kept() {
    let parameters = NetworkParameters { variables: 12, edges: 12, concentration: 0.2 };
    let held_out = HeldOutParameters { candidates: 8, chosen: 4 };
    let three = World::select(&parameters, &held_out, 10, 3, 0).unwrap();
    let ten = World::select(&parameters, &held_out, 10, 10, 0).unwrap();
    assert!(ten.is_sorted_by(|a, b| a.information >= b.information));
    assert!(three.iter().zip(&ten).all(|(a, b)| a.network == b.network));
    assert!(World::select(&parameters, &held_out, 3, 4, 0).unwrap_err().to_string().contains("kept is 4"));
    assert!(three[0].queries(1e-3).queries.len() + three[0].queries(1e-3).dropped == 16);
}

fn observed(
    net: &Network,
    policy: Policy,
    distances: &Distances,
    held_out: &[(usize, usize)],
) -> Vec<Observation> {
    let observer = Observer::new(policy, distances, held_out).unwrap();
    observe_all(&Samples::draw(net, 20_000, 1), &observer, 2).unwrap()
}

#[test]
fn held_out_pairs_are_never_seen_together() {
    let net = random(15, 16, 4);
    let distances = net.distances();
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let held_out = [(0, 1), (1, 2), (3, 9), (14, 0)];
    for policy in [Policy::default(), Policy::zipf(), Policy::fully_observed()] {
        let seen = observed(&net, policy, &distances, &held_out);
        assert_eq!(check_held_out(&seen, &held_out, &vocabulary).unwrap(), 20_000);
        assert!(seen.iter().all(|one| !one.values.is_empty()));
        // Both of a pair are seen, apart.
        for v in [0, 1, 3, 9, 14] {
            assert!(seen.iter().any(|one| one.values.iter().any(|&(w, _)| w == v)));
        }
    }
    let free = observed(&net, Policy::fully_observed(), &distances, &[]);
    assert!(free.iter().all(|one| one.values.len() == 15));
    let error = check_held_out(&free, &held_out, &vocabulary).unwrap_err().to_string();
    assert!(error.contains("appears together in training sample 0"), "{error}");
    assert!(Observer::new(Policy::default(), &distances, &[(0, 99)]).is_err());
}

#[test]
fn local_observations_lie_around_a_centre() {
    let net = random(30, 32, 6);
    let distances = net.distances();
    let near = Policy { radius: Radius::Geometric { success: 1.0 }, drop: 0.0 };
    let seen = observed(&net, near, &distances, &[]);
    for one in &seen {
        let variables: Vec<usize> = one.values.iter().map(|&(v, _)| v).collect();
        let mut sorted = variables.clone();
        sorted.sort_unstable();
        assert!((0..30).any(|centre| distances.within(centre, 1).collect::<Vec<_>>() == sorted));
    }
    // Every joint value is the sample's own.
    let samples = Samples::draw(&net, 20_000, 1);
    assert!(
        seen.iter().enumerate().all(|(row, one)| one.values.iter().all(|&(v, x)| samples.get(row, v) == x))
    );
    // The last variable, which is the target, is uniform within the ball: order is random.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| observed(&net, near, &distances, &[])), seen);
}

#[test]
fn radii_follow_their_distributions() {
    // On a chain of 400, the number of variables within r of a central variable is 2r + 1.
    let net = chain(0.5, &vec![[0.5, 0.5]; 399]).unwrap();
    let distances = net.distances();
    for (policy, probability) in [
        (Policy { radius: Radius::Geometric { success: 0.5 }, drop: 0.0 }, [0.5, 0.25, 0.125]),
        (
            Policy { radius: Radius::Zipf { exponent: 2.0 }, drop: 0.0 },
            [1.0, 0.25, 1.0 / 9.0].map(|x| x * 6.0 / std::f64::consts::PI.powi(2)),
        ),
    ] {
        let observer = Observer::new(policy, &distances, &[]).unwrap();
        let mut stream = Stream::new(0, "test");
        let mut counts = [0_usize; 3];
        let mut inner = 0;
        for _ in 0..40_000 {
            let mut seen = observer.observe(&mut stream);
            seen.sort_unstable();
            let (first, last) = (seen[0], *seen.last().unwrap());
            let centre = (first + last) / 2;
            // Away from the ends, where balls are cut off.
            if (50..350).contains(&centre) && seen.len() % 2 == 1 && first > 0 && last < 399 {
                inner += 1;
                if let Some(count) = counts.get_mut(seen.len() / 2 - 1) {
                    *count += 1;
                }
            } else if first == 0 || last == 399 {
                // A large ball around some inner centre may be cut: it counts as large.
                inner += usize::from((50..350).contains(&centre) && seen.len() > 90);
            }
        }
        for (count, p) in counts.into_iter().zip(probability) {
            let (found, error) = (count as f64 / inner as f64, 5.0 * (p * (1.0 - p) / inner as f64).sqrt());
            assert!((found - p).abs() < error + 0.005, "{found} {p}");
        }
    }
}

#[test]
fn dropped_variables_are_dropped_as_often_as_asked() {
    let net = random(10, 0, 0);
    let policy = Policy { radius: Radius::Everything, drop: 0.3 };
    let seen = observed(&net, policy, &net.distances(), &[]);
    let mean = seen.iter().map(|one| one.values.len()).sum::<usize>() as f64 / seen.len() as f64;
    // Ten times 0.7; the standard error over 20,000 samples is 0.0103.
    assert!((mean - 7.0).abs() < 0.06, "{mean}");
}

#[test]
fn policies_are_checked() {
    let net = random(5, 4, 0);
    let distances = net.distances();
    for (policy, wrong) in [
        (Policy { radius: Radius::Geometric { success: 0.0 }, drop: 0.2 }, "success is 0"),
        (Policy { radius: Radius::Zipf { exponent: 1.0 }, drop: 0.2 }, "exponent is 1"),
        (Policy { drop: 1.0, ..Policy::default() }, "drop is 1"),
        (Policy { drop: f64::NAN, ..Policy::default() }, "drop is NaN"),
    ] {
        let error = Observer::new(policy, &distances, &[]).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    let other = random(6, 4, 0);
    let observer = Observer::new(Policy::default(), &distances, &[]).unwrap();
    assert!(
        observe_all(&Samples::draw(&other, 10, 0), &observer, 0)
            .unwrap_err()
            .to_string()
            .contains("6 variables")
    );
}

#[test]
fn tokens_and_text_say_the_same() {
    let names = ["A", "Bee", "C"].map(String::from);
    let shared = ["###", "A", "Bee", "C", "0", "1"];
    let own = ["###", "A", "Bee", "C", "A=0", "A=1", "Bee=0", "Bee=1", "C=0", "C=1"];
    for (values, words, expected) in [
        (ValueTokens::Shared, &shared[..], [0, 2, 3, 5, 1, 4, 2, 5]),
        (ValueTokens::Own, &own[..], [0, 2, 3, 9, 1, 4, 2, 7]),
    ] {
        let vocabulary = Vocabulary::new(&names, values);
        assert_eq!(vocabulary.tokens(), words);
        assert_eq!(vocabulary.len(), words.len());
        let observation = Observation { values: vec![(2, true), (0, false), (1, true)] };
        let tokens = vocabulary.encode(&observation);
        assert_eq!(tokens, expected);
        let text = vocabulary.text(&tokens).unwrap();
        assert_eq!(text, "###\ntarget: Bee\nC=1\nA=0\nBee=1\n");
        let prompt = vocabulary.prompt(1, &[(2, true), (0, false)], Some(1));
        assert!(tokens.starts_with(&prompt) && text.starts_with(&vocabulary.text(&prompt).unwrap()));
        assert_eq!(vocabulary.text(&prompt).unwrap(), "###\ntarget: Bee\nC=1\nA=0\nBee=");
        assert!(vocabulary.text(&[0, 2, 4]).is_err());
        assert!(vocabulary.text(&[0, 99]).is_err());
    }
    // A value of another variable than the one that was named.
    assert!(Vocabulary::new(&names, ValueTokens::Own).text(&[0, 2, 3, 4]).is_err());
}

#[test]
fn negative_scaffolds_avoid_the_query_and_its_scaffold() {
    let net = random(20, 24, 3);
    let held_out = HeldOutParameters { candidates: 20, chosen: 10 };
    let world = World::new(net, &held_out, 0).unwrap();
    let asked = world.queries(1e-3).queries;
    let right = scaffolds(&world.network, &asked).unwrap();
    let wrong = negative_scaffolds(20, &asked, &right, 0);
    for ((query, right), wrong) in asked.iter().zip(&right).zip(&wrong) {
        assert_eq!(right.len(), wrong.len());
        assert!(wrong.iter().all(|v| *v != query.target && *v != query.condition && !right.contains(v)));
        assert_eq!(wrong.iter().collect::<HashSet<_>>().len(), wrong.len());
    }
    assert!(right.iter().any(|scaffold| !scaffold.is_empty()));
    assert_eq!(
        negative_scaffolds(3, &asked[..1], &[vec![9; 9]], 0)[0].len(),
        [0, 1, 2].iter().filter(|v| **v != asked[0].target && **v != asked[0].condition).count()
    );
}

#[test]
fn the_card_has_a_shelf_row() {
    assert!(CARD.bibtex().contains("2304.03843"));
}

fn separates(neighbours: &[Vec<usize>], removed: &[usize], source: usize, sink: usize) -> bool {
    let mut seen = vec![false; neighbours.len()];
    let mut open = vec![source];
    while let Some(v) = open.pop() {
        if !std::mem::replace(&mut seen[v], true) {
            open.extend(neighbours[v].iter().copied().filter(|next| !removed.contains(next)));
        }
    }
    !seen[sink]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cuts_are_smallest(edges in proptest::collection::vec((0_usize..8, 0_usize..8), 0..20)) {
        let mut neighbours = vec![vec![]; 8];
        for (a, b) in edges.into_iter().filter(|(a, b)| a != b) {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
        match smallest_cut(&neighbours, 0, 7) {
            None => prop_assert!(neighbours[0].contains(&7)),
            Some(cut) => {
                prop_assert!(separates(&neighbours, &cut, 0, 7));
                // No smaller set of the six others does.
                for set in 0_u32..64 {
                    let removed: Vec<usize> = (1..7).filter(|v| set >> (v - 1) & 1 == 1).collect();
                    prop_assert!(removed.len() >= cut.len() || !separates(&neighbours, &removed, 0, 7));
                }
            }
        }
    }
}
