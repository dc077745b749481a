//! Orders and the moves between them.

use super::Operation;
use crate::Error;

/// One change of an order: it touches positions `first..=last` and nothing outside, `first < last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) operation: Operation,
}

impl Move {
    /// Carries the move out.
    pub(super) fn apply(self, order: &mut [usize]) {
        let touched = &mut order[self.first..=self.last];
        match self.operation {
            Operation::Exchange => touched.swap(0, self.last - self.first),
            Operation::MoveAfter => touched.rotate_left(1),
            Operation::MoveBefore => touched.rotate_right(1),
        }
    }
}

/// Checks that `order` names each of `columns` columns exactly once.
pub(super) fn check_order(order: &[usize], columns: usize) -> Result<(), Error> {
    let fail = |problem| Err(Error::Order { columns, problem });
    if order.len() != columns {
        return fail(format!("it has {} entries", order.len()));
    }
    let mut seen = vec![false; columns];
    for &column in order {
        if column >= columns {
            return fail(format!("it names column {column}"));
        }
        if std::mem::replace(&mut seen[column], true) {
            return fail(format!("it names column {column} twice"));
        }
    }
    Ok(())
}
