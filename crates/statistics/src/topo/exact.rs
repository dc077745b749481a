//! The best order of all, by dynamic programming over sets of columns: an oracle for small tables.

use super::graph::regress;
use super::order::check_order;
use super::{Problem, Score};
use crate::Error;

/// Most columns: 2^16 sets of up to 16 columns take a second and 1.5 MB.
const LIMIT: usize = 16;

impl Problem {
    /// The order with the smallest score of all d! orders, and that score, in O(2^d d⁴) steps: for every set of columns,
    /// the best last one. Ties go to the smaller column.
    ///
    /// # Errors
    /// [`Error::TooManyColumns`] beyond 16 columns; [`Error::Parameter`] for a score other than least squares.
    pub fn exact_order(&self) -> Result<(Vec<usize>, f64), Error> {
        let d = self.columns();
        if d > LIMIT {
            return Err(Error::TooManyColumns { columns: d, limit: LIMIT });
        }
        if self.parameters().score != Score::LeastSquares {
            return Err(Error::Parameter {
                name: "score",
                value: format!("{:?}", self.parameters().score),
                allowed: "LeastSquares for the exact search",
                way_out: "use the local search",
            });
        }
        let mut best = vec![f64::INFINITY; 1 << d];
        let mut last = vec![0_u8; 1 << d];
        best[0] = 0.0;
        for set in 0..(1_usize << d) {
            let members: Vec<usize> = (0..d).filter(|c| set >> c & 1 == 1).collect();
            for next in (0..d).filter(|c| set >> c & 1 == 0) {
                let (_, residual) = regress(self.covariance(), next, &members)?;
                let (score, larger) = (best[set] + 0.5 * residual, set | 1 << next);
                if score < best[larger] {
                    best[larger] = score;
                    // At most 15, as LIMIT is 16.
                    last[larger] = next as u8;
                }
            }
        }
        let mut order = Vec::with_capacity(d);
        let mut set = (1 << d) - 1;
        while set != 0 {
            let column = usize::from(last[set]);
            order.push(column);
            set &= !(1 << column);
        }
        order.reverse();
        check_order(&order, d)?;
        Ok((order, best[(1 << d) - 1]))
    }
}
