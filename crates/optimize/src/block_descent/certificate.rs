//! How far a point is from the minimum: a duality gap where there is one, otherwise the length of the gradient mapping.

use serde::Serialize;

use super::dense::dot;
use super::problem::{Problem, Smooth};
use super::state::State;
use crate::objective::Loss;

/// What a certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// The objective is at most this far above its minimum.
    DualityGap,
    /// The largest entry of the gradient mapping: `L_i` times the step that one coordinate would take alone.
    GradientMapping,
}

/// Which certificate a problem has: a gap needs a dual point, which a penalty, a ridge or two bounds give.
pub(super) fn kind(problem: &Problem) -> CertificateKind {
    let penalty = &problem.penalty;
    let dual =
        penalty.l1 > 0.0 || problem.ridge > 0.0 || (penalty.lower.is_finite() && penalty.upper.is_finite());
    if problem.matrix().is_none() && dual {
        CertificateKind::DualityGap
    } else {
        CertificateKind::GradientMapping
    }
}

/// The certificate of a point with its objective and gradient.
pub(super) fn certificate(state: &State<'_>, kind: CertificateKind, value: f64, gradient: &[f64]) -> f64 {
    match kind {
        CertificateKind::DualityGap => (value - dual(state, gradient)).max(0.0),
        CertificateKind::GradientMapping => mapping(state, gradient),
    }
}

fn mapping(state: &State<'_>, gradient: &[f64]) -> f64 {
    let problem = state.problem;
    let length = |&i: &usize| {
        let lipschitz = problem.lipschitz(i);
        (problem.penalty.step(state.point[i], gradient[i], lipschitz) - state.point[i]).abs() * lipschitz
    };
    problem.live.iter().map(length).fold(0.0, f64::max)
}

/// The objective of the dual problem at the slopes of this point, scaled where the penalty asks for it.
///
/// With slopes u the dual is `−Σ f_r*(su_r) − Σ_j sup_x (−s a_jᵀu x − λ|x| − ½ρx²)`.
fn dual(state: &State<'_>, gradient: &[f64]) -> f64 {
    let problem = state.problem;
    // The gradient of the loss alone.
    let along = |i: usize| gradient[i] - problem.ridge * state.point[i];
    let most = if problem.ridge > 0.0 {
        1.0
    } else {
        let share = |i: usize| {
            let v = -along(i);
            problem
                .penalty
                .widest(v)
                .map_or(1.0, |widest| if v.abs() > widest { widest / v.abs() } else { 1.0 })
        };
        (0..problem.dimension()).map(share).fold(1.0, f64::min)
    };
    let rows = problem.rows();
    let (share, losses) = match &problem.smooth {
        Smooth::LeastSquares { labels } => {
            let slopes = state.slopes(0);
            let (squares, linear) = (dot(slopes, slopes), dot(slopes, labels));
            // Without a cost of coordinates the best scale is known.
            let free = problem.ridge == 0.0 && !problem.penalty.is_bounded() && squares > 0.0;
            let share = if free { (-linear / squares).clamp(-most, most) } else { most };
            (share, 0.5 * share * share * squares + share * linear)
        }
        Smooth::Logistic { .. } => {
            let entropy = |slope: &f64| entropy(most * slope.abs()) + entropy(1.0 - most * slope.abs());
            (most, state.slopes(0).iter().map(entropy).sum())
        }
        Smooth::Softmax { labels, classes } => {
            let mut sum = 0.0;
            for class in 0..*classes {
                for (row, slope) in state.slopes(class).iter().enumerate().take(rows) {
                    sum += entropy(most * slope + f64::from(u8::from(labels[row] == class)));
                }
            }
            (most, sum)
        }
        Smooth::Quadratic { .. } => return f64::NEG_INFINITY,
    };
    let costs: f64 = (0..problem.dimension())
        .map(|i| {
            let v = -share * along(i);
            // Scaled to the edge of what is allowed, up to rounding.
            let v = match problem.penalty.widest(v) {
                Some(widest) if problem.ridge == 0.0 => v.clamp(-widest, widest),
                _ => v,
            };
            problem.penalty.conjugate(v, problem.ridge)
        })
        .sum();
    -losses - costs
}

/// `p ln p`, zero at zero.
fn entropy(share: f64) -> f64 {
    if share > 0.0 { share * share.ln() } else { 0.0 }
}

/// The unit of the tolerance: the objective of the smooth part at zero for a gap, the first mapping for a mapping.
pub(super) fn unit(problem: &Problem, kind: CertificateKind, first: f64) -> f64 {
    let unit = match (&problem.smooth, kind) {
        (_, CertificateKind::GradientMapping) | (Smooth::Quadratic { .. }, _) => first,
        (Smooth::LeastSquares { labels }, _) => 0.5 * dot(labels, labels),
        (Smooth::Logistic { labels }, _) => labels.len() as f64 * Loss::Logistic.value(0.0, 1.0),
        (Smooth::Softmax { labels, classes }, _) => labels.len() as f64 * (*classes as f64).ln(),
    };
    if unit > 0.0 { unit } else { 1.0 }
}
