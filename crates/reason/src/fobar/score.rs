//! The two probabilities of a candidate, and their combination.

use super::parameters::Combination;

/// What keeps the backward probabilities of all candidates apart from zero; the value of the official repository.
pub const EPSILON: f64 = 1e-8;

/// `P_f(a)`: the share of the samples that gave each answer.
pub fn forward(counts: &[u32]) -> Vec<f64> {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    counts.iter().map(|count| f64::from(*count) / sum as f64).collect()
}

/// `P_b(a) = (Z_a + ε/|A|) / (Σ Z + ε)`, where `Z_a` backward samples of candidate a gave the masked number; ε for an answer that was not
/// checked (`None`). If none was recovered at all, every checked candidate has `1/|A|`.
pub fn backward(recovered: &[Option<u32>]) -> Vec<f64> {
    let checked = recovered.iter().flatten().count() as f64;
    let sum: f64 = recovered.iter().flatten().map(|count| f64::from(*count)).sum();
    let share = |count: u32| (f64::from(count) + EPSILON / checked) / (sum + EPSILON);
    recovered.iter().map(|count| count.map_or(EPSILON, share)).collect()
}

/// The combined probabilities, which add up to one.
///
/// The geometric mean is taken of logarithms: products of small numbers are not lost, and a zero to the power of zero is one.
pub fn combine(forward: &[f64], backward: &[f64], alpha: f64, combination: Combination) -> Vec<f64> {
    let both = forward.iter().zip(backward);
    let weights: Vec<f64> = match combination {
        Combination::Arithmetic => both.map(|(f, b)| alpha * f + (1.0 - alpha) * b).collect(),
        Combination::Geometric => {
            let power = |value: f64, exponent: f64| if exponent == 0.0 { 0.0 } else { exponent * value.ln() };
            let logarithms: Vec<f64> = both.map(|(f, b)| power(*f, alpha) + power(*b, 1.0 - alpha)).collect();
            let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            logarithms.iter().map(|logarithm| (logarithm - largest).exp()).collect()
        }
    };
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The place of the largest value, the first of equals.
pub fn first_largest(values: &[f64]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (place, value) in values.iter().enumerate() {
        if best.is_none_or(|best| *value > values[best]) {
            best = Some(place);
        }
    }
    best
}
