//! What `run block-descent` says of a solution.

use backstitch_optimize::block_descent::{self as method, CertificateKind, Outcome, Problem, Solution};
use serde_json::{Value, json};

use crate::terminal;

/// Says where a solution is not what was asked for.
pub(super) fn note(solution: &Solution) {
    match solution.outcome {
        Outcome::Converged => {}
        Outcome::IterationsUsed => terminal::say(format_args!(
            "warning: the tolerance was not reached in {} iterations; give more --iterations, or a larger --tolerance",
            solution.iterations
        )),
        Outcome::Stalled => terminal::say(format_args!(
            "warning: rounding stops the descent before the tolerance; this is as near as these blocks come"
        )),
    }
}

pub(super) fn words(solution: &Solution) -> String {
    let (certificate, relative) = match solution.kind {
        CertificateKind::DualityGap => ("duality gap", "of the loss at zero"),
        CertificateKind::GradientMapping => ("largest entry of the gradient mapping", "of the first one"),
    };
    format!(
        "{} blocks updated: objective {:.10}\n{certificate} {:.3e}, {:.1e} {relative}\n",
        solution.iterations,
        solution.value,
        solution.certificate,
        solution.certificate / solution.unit
    )
}

pub(super) fn solved(solution: &Solution, problem: &Problem) -> Value {
    json!({
        "objective": solution.value,
        "certificate": solution.kind,
        "certificate_value": solution.certificate,
        "certificate_share": solution.certificate / solution.unit,
        "outcome": solution.outcome,
        "iterations": solution.iterations,
        "identified": solution.identified,
        "multiplications": solution.trace.last().map(|last| last.multiplications),
        "nonzero": solution.point.iter().filter(|weight| **weight != 0.0).count(),
        "coordinates": problem.dimension(),
    })
}

/// `trace.csv` and `trace.svg`.
pub(super) fn trace_files(solution: &Solution) -> Vec<(&'static str, String)> {
    let lines = solution.trace.iter().map(|line| {
        let method::Measurement { iteration, value, certificate, free, multiplications } = line;
        format!("{iteration},{value},{certificate},{free},{multiplications}\n")
    });
    let heading = std::iter::once("iteration,objective,certificate,free,multiplications\n".to_owned());
    vec![
        ("trace.csv", heading.chain(lines).collect()),
        ("trace.svg", method::draw(&solution.trace, solution.kind)),
    ]
}
