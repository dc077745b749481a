//! Small public tables that are part of the program, so that what needs them works everywhere.
//!
//! They are the tables that scikit-learn ships, under its licence (BSD 3-Clause, `embedded/LICENSE-scikit-learn.txt`), with a header
//! line; `peers/embedded_tables.py` made them.
//!
//! # Example
//! ```
//! use backstitch_data::embedded::WINE;
//! let wine = WINE.table()?;
//! assert_eq!((wine.values.rows(), wine.columns.len()), (178, 14));
//! # Ok::<(), backstitch_data::TableError>(())
//! ```

use crate::table::{Table, TableError, TableOptions, read_table_from};

/// A table that is part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedTable {
    /// Its name.
    pub name: &'static str,
    /// One line for a reader who does not know it.
    pub title: &'static str,
    packed: &'static [u8],
}

/// Handwritten digits.
pub const DIGITS: EmbeddedTable = EmbeddedTable {
    name: "digits",
    title: "Handwritten digits: 1,797 images of 8 x 8 pixels from 0 to 16; the last column is the digit",
    packed: include_bytes!("../embedded/digits.csv.gz"),
};

/// Breast cancer, Wisconsin.
pub const BREAST_CANCER: EmbeddedTable = EmbeddedTable {
    name: "breast-cancer",
    title: "Cell nuclei of breast tumours: 569 patients, 30 measurements; the last column is 1 for benign",
    packed: include_bytes!("../embedded/breast-cancer.csv.gz"),
};

/// Wine.
pub const WINE: EmbeddedTable = EmbeddedTable {
    name: "wine",
    title: "Chemistry of wine: 178 wines, 13 measurements; the last column is the cultivar, 0 to 2",
    packed: include_bytes!("../embedded/wine.csv.gz"),
};

/// Diabetes.
pub const DIABETES: EmbeddedTable = EmbeddedTable {
    name: "diabetes",
    title: "Diabetes: 442 patients, 10 measurements; the last column is the disease's progression after a year",
    packed: include_bytes!("../embedded/diabetes.csv.gz"),
};

impl EmbeddedTable {
    /// The table; what is to be learned is its last column.
    ///
    /// # Errors
    /// None, as long as the tests of this crate pass.
    pub fn table(&self) -> Result<Table, TableError> {
        read_table_from(self.packed, self.name, &TableOptions::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_shapes_and_classes_that_are_published() {
        let shape = |set: &EmbeddedTable| {
            let table = set.table().unwrap();
            let last = table.columns.len() - 1;
            (table.values.rows(), last, table.values.column(last).sum::<f64>())
        };
        assert_eq!(shape(&DIGITS), (1797, 64, 8070.0));
        // 357 are benign.
        assert_eq!(shape(&BREAST_CANCER), (569, 30, 357.0));
        // 59, 71 and 48 of each.
        assert_eq!(shape(&WINE), (178, 13, 71.0 + 2.0 * 48.0));
        let (rows, features, sum) = shape(&DIABETES);
        assert_eq!((rows, features), (442, 10));
        assert!((sum / 442.0 - 152.133).abs() < 1e-3, "{sum}");
    }
}
