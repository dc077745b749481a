//! What a sequence of tasks gained and lost.

use serde::Serialize;

/// Accuracies after every task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// One row per task learned, one column per task: accuracy on the column's test rows after the row's task; none where there is no head yet.
    pub accuracy: Vec<Vec<Option<f64>>>,
    /// Before anything was learned, where that can be said.
    pub untrained: Vec<Option<f64>>,
}

impl Measures {
    /// ACC: mean accuracy over all tasks at the end.
    pub fn average(&self) -> Option<f64> {
        mean(self.accuracy.last()?.iter().copied())
    }

    /// BWT: what the accuracy of earlier tasks gained from when they were learned until the end, in the mean.
    pub fn backward_transfer(&self) -> Option<f64> {
        let tasks = self.accuracy.len();
        mean((0..tasks.checked_sub(1)?).map(|task| self.gain(task)))
    }

    /// FWT: accuracy of a task just before it is learned, above that of the untrained network, in the mean.
    pub fn forward_transfer(&self) -> Option<f64> {
        mean((1..self.accuracy.len()).map(|task| {
            let before = self.accuracy[task - 1].get(task).copied().flatten()?;
            Some(before - self.untrained.get(task).copied().flatten()?)
        }))
    }

    /// What the accuracy of a task gained from when it was learned until the end.
    pub fn gain(&self, task: usize) -> Option<f64> {
        let own = self.accuracy.get(task)?.get(task).copied().flatten()?;
        Some(self.accuracy.last()?.get(task).copied().flatten()? - own)
    }
}

/// None if there is nothing, or something is not known.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_of_their_definitions() {
        let row = |values: [f64; 3]| values.map(Some).to_vec();
        let measures = Measures {
            accuracy: vec![row([0.8, 0.3, 0.2]), row([0.7, 0.9, 0.1]), row([0.6, 0.95, 0.5])],
            untrained: row([0.1, 0.1, 0.2]),
        };
        let near = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-12);
        near(measures.average(), (0.6 + 0.95 + 0.5) / 3.0);
        near(measures.backward_transfer(), (-0.2 + 0.05) / 2.0);
        near(measures.forward_transfer(), (0.2 - 0.1) / 2.0);
        let alone = Measures { accuracy: vec![vec![Some(0.8)]], untrained: vec![None] };
        assert_eq!((alone.backward_transfer(), alone.forward_transfer()), (None, None));
    }
}
