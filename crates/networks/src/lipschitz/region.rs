//! The box around a point.

use crate::Error;

/// A box: all points whose every coordinate is between a lower and an upper end.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Region {
    /// All points whose every coordinate is within `radius` of that of `center`. The ends are rounded outward.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the radius is negative, infinite or not a number; [`Error::Coordinate`] if a coordinate of the center
    /// is not finite.
    pub fn around(center: &[f64], radius: f64) -> Result<Self, Error> {
        if !(radius.is_finite() && radius >= 0.0) {
            return Err(Error::Parameter {
                name: "radius",
                value: radius.to_string(),
                allowed: "at least 0 and finite".into(),
                way_out: "give the largest change of one input, in the units of the inputs",
            });
        }
        if let Some(index) = center.iter().position(|value| !value.is_finite()) {
            return Err(Error::Coordinate { what: "center", index, value: center[index] });
        }
        let end = |side: f64| -> Vec<f64> {
            let moved = |value: &f64| {
                let end = value + side * radius;
                // A radius of zero is the point itself.
                if end == *value && radius == 0.0 {
                    end
                } else if side > 0.0 {
                    end.next_up()
                } else {
                    end.next_down()
                }
            };
            center.iter().map(moved).collect()
        };
        Ok(Self { lower: end(-1.0), upper: end(1.0) })
    }

    /// The box between two corners.
    ///
    /// # Errors
    /// [`Error::Width`] if they have different lengths; [`Error::Coordinate`] if a number is not finite; [`Error::Model`] if a lower
    /// end is above the upper one.
    pub fn between(lower: Vec<f64>, upper: Vec<f64>) -> Result<Self, Error> {
        if lower.len() != upper.len() {
            return Err(Error::Width {
                what: "upper corner".into(),
                found: upper.len(),
                expected: lower.len(),
            });
        }
        for (what, corner) in [("lower corner", &lower), ("upper corner", &upper)] {
            if let Some(index) = corner.iter().position(|value| !value.is_finite()) {
                return Err(Error::Coordinate { what, index, value: corner[index] });
            }
        }
        match (0..lower.len()).find(|&index| lower[index] > upper[index]) {
            Some(index) => Err(empty(index, lower[index], upper[index])),
            None => Ok(Self { lower, upper }),
        }
    }

    /// The part of the box whose coordinates are between two numbers, for data with a range.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the range is empty or not finite; [`Error::Model`] if nothing of the box is in it.
    pub fn clipped(&self, low: f64, high: f64) -> Result<Self, Error> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(Error::Parameter {
                name: "clip",
                value: format!("{low},{high}"),
                allowed: "two finite numbers, the first below the second".into(),
                way_out: "give the range of the data, for images 0,1",
            });
        }
        let lower: Vec<f64> = self.lower.iter().map(|value| value.max(low)).collect();
        let upper: Vec<f64> = self.upper.iter().map(|value| value.min(high)).collect();
        match (0..lower.len()).find(|&index| lower[index] > upper[index]) {
            Some(index) => Err(empty(index, lower[index], upper[index])),
            None => Ok(Self { lower, upper }),
        }
    }

    /// Lower ends, one per input.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper ends, one per input.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }
}

fn empty(index: usize, lower: f64, upper: f64) -> Error {
    Error::Model {
        problem: format!(
            "input {index} of the box would have to be from {lower} to {upper}: the box is empty"
        ),
        way_out: "give a center inside the range of the data",
    }
}
