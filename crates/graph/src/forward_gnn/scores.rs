//! Losses and what they ask of a layer's output; when training stops.

use std::sync::Arc;

use super::parameters::Parameters;
use crate::Error;
use crate::dense::{Dense, Ledger};

/// `log(1 + e^x)` without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Every row becomes its softmax.
pub(crate) fn softmax_rows(scores: &mut Dense) {
    let columns = scores.columns();
    for row in scores.values_mut().chunks_mut(columns.max(1)) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for value in row.iter_mut() {
            *value = (*value - most).exp();
            sum += *value;
        }
        row.iter_mut().for_each(|value| *value /= sum);
    }
}

/// The mean cross entropy of some rows, and its gradient in place of the scores: zero in other rows.
pub(crate) fn cross_entropy(scores: &mut Dense, rows: &[(usize, usize)], scale: f64) -> f64 {
    let mut loss = 0.0;
    let mut wanted = vec![None; scores.rows()];
    for &(row, class) in rows {
        wanted[row] = Some(class);
    }
    let each = 1.0 / rows.len() as f64;
    for (row, class) in wanted.into_iter().enumerate() {
        let values = scores.row_mut(row);
        let Some(class) = class else {
            values.fill(0.0);
            continue;
        };
        let most = f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = values.iter().map(|value| (f64::from(*value) - most).exp()).sum();
        loss += each * (most + sum.ln() - f64::from(values[class]));
        for (column, value) in values.iter_mut().enumerate() {
            let share = (f64::from(*value) - most).exp() / sum - f64::from(u8::from(column == class));
            *value = (scale * each * share) as f32;
        }
    }
    loss
}

/// Scores of all rows against the last `classes` rows, those of the virtual nodes: `h_v · h_c / T`.
pub(crate) struct Scores {
    virtual_rows: Dense,
    pub(crate) scores: Dense,
}

impl Scores {
    pub(crate) fn new(classes: usize, output: &Dense, temperature: f64, ledger: &Arc<Ledger>) -> Self {
        let (rows, width) = (output.rows(), output.columns());
        let mut virtual_rows = Dense::counted(classes, width, ledger);
        virtual_rows.values_mut().copy_from_slice(&output.values()[(rows - classes) * width..]);
        let mut scores = Dense::counted(rows, classes, ledger);
        output.product_transposed(&virtual_rows, 0, false, &mut scores);
        let factor = (1.0 / temperature) as f32;
        scores.values_mut().iter_mut().for_each(|value| *value *= factor);
        Self { virtual_rows, scores }
    }

    /// The loss of single forward and its gradient with respect to the output.
    pub(crate) fn loss(
        mut self,
        output: &Dense,
        training: &[(usize, usize)],
        temperature: f64,
        gradient: &mut Dense,
    ) -> f64 {
        let (classes, width) = (self.virtual_rows.rows(), output.columns());
        let loss = cross_entropy(&mut self.scores, training, 1.0 / temperature);
        self.scores.product(&self.virtual_rows, 0, false, gradient);
        let mut of_virtual = Dense::zeros(classes, width);
        self.scores.transposed_product(output, 0, &mut of_virtual);
        let from = (output.rows() - classes) * width;
        let last = &mut gradient.values_mut()[from..];
        last.iter_mut().zip(of_virtual.values()).for_each(|(sum, value)| *sum += value);
        loss
    }
}

/// The place of the largest of every row; the first of equals.
pub(crate) fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = place;
        }
    }
    best
}

/// Decides when training stops, and keeps what was best.
pub(crate) struct Watch<T> {
    every: usize,
    patience: usize,
    best: f64,
    waited: usize,
    kept: Option<(usize, T)>,
}

impl<T> Watch<T> {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let Parameters { validate_every, patience, .. } = *parameters;
        Self { every: validate_every, patience, best: f64::NEG_INFINITY, waited: 0, kept: None }
    }

    pub(crate) fn is_due(&self, epoch: usize) -> bool {
        epoch.is_multiple_of(self.every)
    }

    /// Takes a validation; whether training shall go on.
    pub(crate) fn goes_on(&mut self, epoch: usize, value: f64, state: impl FnOnce() -> T) -> bool {
        if value > self.best {
            self.best = value;
            self.waited = 0;
            self.kept = Some((epoch, state()));
        } else {
            self.waited += 1;
        }
        self.waited < self.patience
    }

    /// The best validation with its epoch and state.
    pub(crate) fn best(self) -> Option<(f64, usize, T)> {
        let best = self.best;
        self.kept.map(|(epoch, state)| (best, epoch, state))
    }
}

/// Refuses a loss that is not finite.
pub(crate) fn finite(loss: f64, layer: usize, epoch: usize) -> Result<f64, Error> {
    if loss.is_finite() { Ok(loss) } else { Err(Error::Diverged { layer, epoch, value: loss }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_single_forward_is_that_of_differences() {
        let ledger = Arc::new(Ledger::default());
        let output = Dense::from_fn(6, 3, |row, column| ((row * 5 + column * 3) % 7) as f32 / 5.0);
        let training = [(0, 1), (2, 0), (3, 1)];
        let loss = |output: &Dense| {
            let mut gradient = Dense::zeros(6, 3);
            let scores = Scores::new(2, output, 0.7, &ledger);
            let loss = scores.loss(output, &training, 0.7, &mut gradient);
            (loss, gradient)
        };
        let (_, gradient) = loss(&output);
        let step = 1e-2_f32;
        for place in 0..18 {
            let moved = |by: f32| {
                let mut other = output.clone();
                other.values_mut()[place] += by;
                loss(&other).0
            };
            let wanted = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let found = f64::from(gradient.values()[place]);
            assert!((found - wanted).abs() < 1e-3, "{place}: {found} {wanted}");
        }
        // Node 1 and node 3's neighbours do not train, and have no gradient; rows 4 and 5 are the virtual nodes.
        assert_eq!(gradient.row(1), [0.0; 3]);
        assert!(gradient.row(4).iter().any(|value| *value != 0.0));
    }

    #[test]
    fn training_stops_after_patience_and_keeps_the_first_best() {
        let parameters = Parameters { patience: 2, validate_every: 3, ..Parameters::default() };
        let mut watch = Watch::new(&parameters);
        assert!(watch.is_due(0) && !watch.is_due(2) && watch.is_due(3));
        assert!(watch.goes_on(0, 0.5, || 'a'));
        assert!(watch.goes_on(3, 0.5, || 'b'));
        assert!(watch.goes_on(6, 0.7, || 'c'));
        assert!(watch.goes_on(9, 0.6, || 'd'));
        assert!(!watch.goes_on(12, 0.7, || 'e'));
        assert_eq!(watch.best(), Some((0.7, 6, 'c')));
    }

    #[test]
    fn softplus_and_sigmoid_do_not_overflow() {
        assert_eq!((softplus(1e4), softplus(-1e4)), (1e4, 0.0));
        assert_eq!((sigmoid(1e4), sigmoid(-1e4), sigmoid(0.0)), (1.0, 0.0, 0.5));
    }
}
