//! A set of columns as one word: the graphs of this room have at most 64 columns.

use std::fmt;

/// Most columns a graph may have.
pub const MAX_COLUMNS: usize = 64;

/// A set of columns, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Set(u64);

impl Set {
    /// The set without elements.
    pub const EMPTY: Self = Self(0);

    /// All columns below `columns`, which is at most [`MAX_COLUMNS`].
    pub fn all(columns: usize) -> Self {
        (0..columns).collect()
    }

    /// The set of one column.
    pub fn one(column: usize) -> Self {
        debug_assert!(column < MAX_COLUMNS, "column {column}");
        Self(1 << column)
    }

    /// Whether it has no element.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many columns it has.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether a column is in it.
    pub fn contains(self, column: usize) -> bool {
        column < MAX_COLUMNS && self.0 >> column & 1 == 1
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one only.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Adds a column.
    pub fn insert(&mut self, column: usize) {
        *self = self.union(Self::one(column));
    }

    /// The columns, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_COLUMNS).filter(move |&column| self.contains(column))
    }

    /// Every subset, the empty one first. There are 2^len of them.
    pub fn subsets(self) -> impl Iterator<Item = Self> {
        // Counting in the bits of the set only: (part - set) & set is the next one.
        let mut next = Some(0_u64);
        std::iter::from_fn(move || {
            let part = next?;
            next = (part != self.0).then(|| part.wrapping_sub(self.0) & self.0);
            Some(Self(part))
        })
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(columns: I) -> Self {
        columns.into_iter().fold(Self::EMPTY, |set, column| set.union(Self::one(column)))
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
