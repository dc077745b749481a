//! The exact minimiser of a small quadratic with an L1 penalty and bounds: what a matrix update asks of a block.

use backstitch_numerics::Matrix;

use super::dense::{Cholesky, dot};
use super::penalty::Penalty;

/// A slope may miss its range by this share of the largest one.
const TOLERANCE: f64 = 1e-13;
/// Rounds of sweeps and Newton steps; each lowers the quadratic, so what is found is never worse than the start.
const ROUNDS: usize = 200;
/// Fewest sweeps over the coordinates between two Newton steps.
const SWEEPS: usize = 2;
/// So many times the multiplications of all sweeps between two Newton steps take the time of a factor.
const FACTOR_SHARE: usize = 24;

/// The point y that minimises `gᵀ(y − x) + ½(y − x)ᵀH(y − x) + penalty(y)`, and the multiplications it took.
///
/// Sweeps over single coordinates find out which of them stay at zero or on a bound; a Newton step on the others, cut where one of them
/// would cross, then ends it. With an accuracy above 0 it ends as soon as no slope misses its range by more than this share of what the
/// worst one did at the start.
pub(super) fn minimise(
    matrix: &Matrix,
    slopes: &[f64],
    point: &[f64],
    penalty: &Penalty,
    accuracy: f64,
) -> (Vec<f64>, u64) {
    let n = point.len();
    if penalty.is_none() {
        let mut change: Vec<f64> = slopes.iter().map(|slope| -slope).collect();
        Cholesky::lifted(matrix).solve(&mut change);
        let target = point.iter().zip(change).map(|(x, change)| x + change).collect();
        return (target, Cholesky::cost(n));
    }
    let mut search =
        Search { matrix, penalty, point: point.to_vec(), slopes: slopes.to_vec(), multiplications: 0 };
    let largest = slopes.iter().fold(penalty.l1, |most, slope| most.max(slope.abs()));
    let enough = (TOLERANCE * largest).max(accuracy * search.violation());
    for _ in 0..ROUNDS {
        // A Newton step that is cut short moves one coordinate off its piece, a sweep many.
        let free = search.point.iter().filter(|x| penalty.is_free(**x)).count();
        for _ in 0..SWEEPS.max(free * free / (FACTOR_SHARE * n)) {
            if !search.sweep() || (accuracy > 0.0 && search.violation() <= enough) {
                break;
            }
        }
        if accuracy > 0.0 && search.violation() <= enough {
            break;
        }
        let whole = search.newton();
        if whole && search.violation() <= enough {
            break;
        }
    }
    (search.point, search.multiplications)
}

struct Search<'a> {
    matrix: &'a Matrix,
    penalty: &'a Penalty,
    point: Vec<f64>,
    /// Of the smooth part, at the point.
    slopes: Vec<f64>,
    multiplications: u64,
}

impl Search<'_> {
    /// One exact step along every coordinate; whether any moved.
    fn sweep(&mut self) -> bool {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || self.sweep_once(),
        )
    }

    #[inline(always)]
    fn sweep_once(&mut self) -> bool {
        let mut moved = false;
        for i in 0..self.point.len() {
            let curvature = self.matrix[(i, i)];
            if curvature <= 0.0 {
                continue;
            }
            let target = self.penalty.step(self.point[i], self.slopes[i], curvature);
            let change = target - self.point[i];
            if change != 0.0 {
                self.point[i] = target;
                self.add_column(i, change);
                moved = true;
            }
        }
        moved
    }

    #[inline(always)]
    fn add_column(&mut self, i: usize, change: f64) {
        for (slope, entry) in self.slopes.iter_mut().zip(self.matrix.row(i)) {
            *slope += entry * change;
        }
        self.multiplications += self.point.len() as u64;
    }

    /// A Newton step of the free coordinates, as far as none of them crosses zero or a bound; whether it was whole.
    fn newton(&mut self) -> bool {
        let free: Vec<usize> =
            (0..self.point.len()).filter(|&i| self.penalty.is_free(self.point[i])).collect();
        if free.is_empty() {
            return true;
        }
        let inner = Matrix::from_fn(free.len(), free.len(), |i, j| self.matrix[(free[i], free[j])]);
        let sign = |x: f64| if x > 0.0 { self.penalty.l1 } else { -self.penalty.l1 };
        let side =
            |&i: &usize| -(self.slopes[i] + if self.penalty.l1 > 0.0 { sign(self.point[i]) } else { 0.0 });
        let mut step: Vec<f64> = free.iter().map(side).collect();
        Cholesky::lifted(&inner).solve(&mut step);
        self.multiplications += Cholesky::cost(free.len());
        let (mut share, mut crossing) = (1.0, None);
        for (&i, change) in free.iter().zip(&step) {
            if let Some(wall) = self.wall(self.point[i], *change) {
                let reach = (wall - self.point[i]) / change;
                if reach < share {
                    (share, crossing) = (reach, Some((i, wall)));
                }
            }
        }
        for (&i, change) in free.iter().zip(&step) {
            self.point[i] += share * change;
        }
        if let Some((i, wall)) = crossing {
            self.point[i] = wall;
        }
        // Sums over the step anew: they do not drift.
        let mut changes = vec![0.0; self.point.len()];
        free.iter().zip(&step).for_each(|(&i, change)| changes[i] = share * change);
        for (i, slope) in self.slopes.iter_mut().enumerate() {
            *slope += dot(self.matrix.row(i), &changes);
        }
        self.multiplications += (self.point.len() * self.point.len()) as u64;
        crossing.is_none()
    }

    /// The first place in a direction where a coordinate leaves its piece.
    fn wall(&self, x: f64, change: f64) -> Option<f64> {
        let zero = (self.penalty.l1 > 0.0 && x * change < 0.0).then_some(0.0);
        let bound = if change > 0.0 { self.penalty.upper } else { self.penalty.lower };
        let candidates = zero.into_iter().chain(bound.is_finite().then_some(bound));
        let crossed = |wall: &f64| (x + change - wall) * change > 0.0;
        candidates.filter(crossed).min_by(|a, b| (a - x).abs().total_cmp(&(b - x).abs()))
    }

    fn violation(&self) -> f64 {
        let pairs = self.point.iter().zip(&self.slopes);
        pairs.map(|(x, slope)| self.penalty.violation(*x, *slope)).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    #[test]
    fn the_minimiser_has_no_descent() {
        let mut stream = Stream::new(1, "quadratics");
        for (case, n) in [1_usize, 2, 5, 20, 60].into_iter().cycle().take(40).enumerate() {
            // Every fourth one is singular.
            let rank = if case % 4 == 3 { n.div_ceil(2) } else { n + 3 };
            let tall = Matrix::from_fn(n, rank, |_, _| stream.normal());
            let matrix = Matrix::from_fn(n, n, |i, j| dot(tall.row(i), tall.row(j)));
            let weights: Vec<f64> = (0..rank).map(|_| stream.normal()).collect();
            // In the range of the matrix, or a singular one has no minimiser.
            let slopes: Vec<f64> = (0..n).map(|i| 3.0 * dot(tall.row(i), &weights)).collect();
            for penalty in [
                Penalty::default(),
                Penalty { l1: 1.0, ..Penalty::default() },
                Penalty { l1: 0.5, lower: 0.0, upper: f64::INFINITY },
                Penalty { l1: 0.0, lower: -0.1, upper: 0.2 },
            ] {
                let start: Vec<f64> = (0..n).map(|i| penalty.clamped(0.05 * (i % 3) as f64)).collect();
                let (target, _) = minimise(&matrix, &slopes, &start, &penalty, 0.0);
                let change: Vec<f64> = target.iter().zip(&start).map(|(new, old)| new - old).collect();
                for i in 0..n {
                    assert!(target[i] >= penalty.lower && target[i] <= penalty.upper);
                    let slope = slopes[i] + dot(matrix.row(i), &change);
                    let violation = penalty.violation(target[i], slope);
                    assert!(violation < 1e-6, "case {case}, {penalty:?}: {violation}");
                }
            }
        }
    }
}
