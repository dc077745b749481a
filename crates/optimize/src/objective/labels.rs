//! From the labels of a file to the signs that the logistic loss takes.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The two classes of a set of labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// The label that stands for 1.
    pub positive: f64,
    /// The label that stands for −1; nothing where it is all the others.
    pub negative: Option<f64>,
}

impl Classes {
    /// The classes of labels: the larger of two values is positive, or the one that is named, against all others.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NotFinite`], [`Error::OneClass`], [`Error::ManyClasses`], [`Error::NoSuchClass`].
    pub fn of(labels: &[f64], positive: Option<f64>) -> Result<Self, Error> {
        let first = *labels.first().ok_or(Error::NoRows)?;
        let mut seen: Vec<f64> = Vec::new();
        for (row, &label) in labels.iter().enumerate() {
            if !label.is_finite() {
                return Err(Error::NotFinite { what: "the label", row, value: label });
            }
            // More than a few are only told apart where a class was named.
            if seen.len() < 4 && !seen.contains(&label) {
                seen.push(label);
            }
        }
        if let Some(positive) = positive.filter(|positive| !labels.contains(positive)) {
            return Err(Error::NoSuchClass { label: positive, labels: ascending(seen) });
        }
        let seen = ascending(seen);
        match (seen.as_slice(), positive) {
            ([_], _) => Err(Error::OneClass { label: first, rows: labels.len() }),
            ([low, high], None) => Ok(Self { positive: *high, negative: Some(*low) }),
            ([low, high], Some(positive)) => {
                let negative = if positive == *high { *low } else { *high };
                Ok(Self { positive, negative: Some(negative) })
            }
            (_, Some(positive)) => Ok(Self { positive, negative: None }),
            (_, None) => Err(Error::ManyClasses { labels: seen[..3].to_vec() }),
        }
    }

    /// 1 for the positive class, −1 for every other label.
    pub fn signs(&self, labels: &[f64]) -> Vec<f64> {
        labels.iter().map(|label| if *label == self.positive { 1.0 } else { -1.0 }).collect()
    }

    /// The label of a prediction `aᵀx`: the positive one above 0; nothing for "one of the others".
    pub fn label(&self, prediction: f64) -> Option<f64> {
        if prediction > 0.0 { Some(self.positive) } else { self.negative }
    }
}

fn ascending(mut labels: Vec<f64>) -> Vec<f64> {
    labels.sort_by(f64::total_cmp);
    labels
}
