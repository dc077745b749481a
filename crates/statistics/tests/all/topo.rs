//! TOPO: known answers, routes that must agree, the prototyped figures, bad data.

use backstitch_data::dag::{DagParameters, DagSample, generate};

use backstitch_statistics::topo::{Comparison, Parameters, Topo, shd, threshold};

pub(crate) fn erdos_renyi(nodes: usize, edges: usize, seed: u64) -> DagSample {
    generate(&DagParameters { nodes, edges, rows: 1000, ..DagParameters::default() }, seed).unwrap()
}

#[test]
fn pilot_prototyped_figures() {
    for starts in [1, 3] {
        for (nodes, edges) in [(10, 20), (20, 40), (30, 120)] {
            let (mut score_ok, mut shd_ok, mut most) = (0, 0, 0);
            for seed in 1000..1030 {
                let sample = erdos_renyi(nodes, edges, seed);
                let topo = Topo::new(Parameters { starts, seed, ..Parameters::default() }).unwrap();
                let problem = topo.prepare(&sample.samples).unwrap();
                let fit = topo.fit(&sample.samples).unwrap();
                let truth = problem.score_of_order(&sample.order).unwrap();
                let distance = shd(&threshold(&fit.weights, 0.3), &sample.weights).unwrap();
                score_ok += usize::from(fit.score <= truth + 2e-4);
                shd_ok += usize::from(distance == 0);
                most = most.max(fit.evaluations);
                if distance > 0 {
                    println!("seed {seed}: {} vs {truth}, shd {distance}", fit.score);
                }
            }
            println!(
                "starts {starts} d {nodes}: score {score_ok}/30, shd {shd_ok}/30, evaluations up to {most}"
            );
        }
    }
}
#[test]
fn pilot_true_order() {
    for (nodes, edges) in [(10, 20), (20, 40), (30, 120)] {
        let mut zero = [0; 4];
        for seed in 1000..1100 {
            let sample = erdos_renyi(nodes, edges, seed);
            let topo = Topo::new(Parameters { starts: 1, seed, ..Parameters::default() }).unwrap();
            let problem = topo.prepare(&sample.samples).unwrap();
            let truth = threshold(&problem.weights_of_order(&sample.order).unwrap(), 0.3);
            let fit = topo.fit(&sample.samples).unwrap();
            let plain = threshold(&fit.weights, 0.3);
            let again =
                threshold(&backstitch_statistics::topo::refit(problem.covariance(), &plain).unwrap().0, 0.3);
            let pruned =
                backstitch_statistics::topo::prune(problem.covariance(), &fit.weights, 0.3).unwrap().0;
            for (count, graph) in zero.iter_mut().zip([truth, plain, again, pruned]) {
                *count += usize::from(shd(&graph, &sample.weights).unwrap() == 0);
            }
        }
        println!("d {nodes}: SHD 0 in true order, plain, twice, pruned: {zero:?} of 100");
    }
}

#[test]
fn pilot_speed() {
    for (nodes, edges) in [(30, 120), (100, 400)] {
        let sample = erdos_renyi(nodes, edges, 1000);
        for neighbourhood in [
            backstitch_statistics::topo::Neighbourhood::Candidates,
            backstitch_statistics::topo::Neighbourhood::Insertions,
        ] {
            let start = std::time::Instant::now();
            let topo = Topo::new(Parameters { neighbourhood, ..Parameters::default() }).unwrap();
            let fit = topo.fit(&sample.samples).unwrap();
            let seconds = start.elapsed().as_secs_f64();
            let problem = topo.prepare(&sample.samples).unwrap();
            let truth = problem.score_of_order(&sample.order).unwrap();
            let pruned =
                backstitch_statistics::topo::prune(problem.covariance(), &fit.weights, 0.3).unwrap().0;
            println!(
                "d {nodes} {neighbourhood:?}: {seconds:.3} s, {} vs true {truth}, {} iterations, {} evaluations, plain shd {} pruned shd {}; total {:.2}",
                fit.score,
                fit.iterations,
                fit.evaluations,
                shd(&threshold(&fit.weights, 0.3), &sample.weights).unwrap(),
                shd(&pruned, &sample.weights).unwrap(),
                start.elapsed().as_secs_f64()
            );
        }
    }
}
