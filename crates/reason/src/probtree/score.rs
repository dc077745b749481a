//! The confidence of an answer put together from those of sub-questions, and the choice among answers.

use super::parameters::Combination;

/// The confidence of an answer that was put together: `explanation` is the mean log-probability of its own explanation,
/// `decomposition` that of the list of sub-questions, `children` the confidences of the answers chosen below. None if one of those
/// that count is absent.
///
/// Logarithms are at most zero, so the sum falls with every sub-question; the mean does not.
pub fn combined(
    explanation: Option<f64>,
    decomposition: Option<f64>,
    children: &[Option<f64>],
    combination: Combination,
) -> Option<f64> {
    let explanation = explanation?;
    let mut below = 0.0;
    for child in children {
        below += (*child)?;
    }
    let count = children.len() as f64;
    match combination {
        Combination::Mean => Some((explanation + decomposition? + below) / (count + 2.0)),
        Combination::Sum => Some(explanation + decomposition? + below),
        Combination::WithoutDecomposition => Some((explanation + below) / (count + 1.0)),
    }
}

/// The place of the largest confidence, the first of equals; if all are absent, the first place with an answer.
///
/// `answers` are pairs of whether there is an answer, and its confidence.
pub fn most_confident(answers: &[(bool, Option<f64>)]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (place, (there, confidence)) in answers.iter().enumerate() {
        if let Some(confidence) = confidence.filter(|_| *there)
            && best.is_none_or(|(_, best)| confidence > best)
        {
            best = Some((place, confidence));
        }
    }
    best.map(|(place, _)| place).or_else(|| answers.iter().position(|(there, _)| *there))
}
