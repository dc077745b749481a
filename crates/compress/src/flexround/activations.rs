//! Inputs of layers on grids of their own, whose size is learned (LSQ).

use serde::{Deserialize, Serialize};

use super::grid::{LEAST_SCALE, found, top};
use super::parameters::Start;
use crate::numbers::vectorized;

/// Values that the size of a grid is found from; of more, evenly spread ones.
const LOOKED_AT: usize = 1 << 16;

/// The grid that inputs of a layer are rounded to: points `scale · (q − zero)` for whole q from 0 to 2^bits − 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationGrid {
    /// 2 to 8.
    pub bits: u8,
    /// Distance of points.
    pub scale: f32,
    /// The q that stands for 0.
    pub zero: u8,
}

impl ActivationGrid {
    /// The grid with the least |x − x̂|^2.4 over values.
    pub(super) fn of(values: &[f32], bits: u8) -> Self {
        let stride = values.len().div_ceil(LOOKED_AT).max(1);
        let spread: Vec<f32> = values.iter().copied().step_by(stride).collect();
        let (scale, zero) = found(&spread, bits, false, Start::Search);
        Self { bits, scale: scale.max(LEAST_SCALE), zero }
    }

    /// Rounds values in place.
    pub fn round(&self, values: &mut [f32]) {
        let (low, high) = self.ends();
        let (scale, inverse) = (self.scale, 1.0 / self.scale);
        vectorized(
            #[inline(always)]
            || {
                values.iter_mut().for_each(|x| {
                    *x = scale * (*x * inverse).round_ties_even().max(low).min(high);
                });
            },
        );
    }

    /// Rounds values in place except those that `stays` picks. The first vector has 1 where a gradient passes and 0 where it was clipped; the
    /// second what the gradient of each rounded value is multiplied with for that of the logarithm of the scale.
    pub(super) fn round_watched(
        &self,
        values: &mut [f32],
        mut stays: impl FnMut() -> bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let (low, high) = self.ends();
        let inverse = 1.0 / self.scale;
        let (mut passes, mut of_scale) = (vec![1.0; values.len()], vec![0.0; values.len()]);
        for ((x, passes), of_scale) in values.iter_mut().zip(&mut passes).zip(&mut of_scale) {
            if stays() {
                continue;
            }
            let plain = *x * inverse;
            let nearest = plain.round_ties_even();
            let clipped = nearest.clamp(low, high);
            *passes = f32::from(u8::from(nearest == clipped));
            *of_scale = self.scale * (clipped - *passes * plain);
            *x = self.scale * clipped;
        }
        (passes, of_scale)
    }

    fn ends(&self) -> (f32, f32) {
        let zero = f32::from(self.zero);
        (-zero, f32::from(top(self.bits)) - zero)
    }
}
