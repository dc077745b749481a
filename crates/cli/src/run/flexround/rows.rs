//! Rows of inputs: tables, and idx files of images.

use std::path::Path;

use backstitch_compress::Rows;
use backstitch_data::idx::read_idx_from;
use backstitch_data::table::{TableOptions, read_table_from};
use clap::Args;

use crate::failure::Failure;

#[derive(Args, Debug)]
pub(super) struct RowOptions {
    /// Divide all numbers by this: 255 for bytes of images
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0, allow_negative_numbers = true)]
    divide: f64,
    /// Column of tables that is no input, such as labels
    #[arg(long, value_name = "COLUMN")]
    drop_column: Vec<String>,
}

impl RowOptions {
    /// Rows of a file, of at most so many, and the bytes of the file.
    pub(super) fn read(&self, file: &Path, most: Option<usize>) -> Result<(Rows, Vec<u8>), Failure> {
        if !(self.divide.is_finite() && self.divide != 0.0) {
            return Err(Failure::input(format!("--divide is {}, but must be finite and not 0", self.divide)));
        }
        if most == Some(0) {
            return Err(Failure::input("--rows is 0, but must be at least 1").hint("leave it out for all"));
        }
        let name = file.display().to_string();
        let bytes = std::fs::read(file).map_err(|error| Failure::input(format!("{name}: {error}")))?;
        let is_idx = file.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            let name = name.trim_end_matches(".gz");
            name.ends_with("ubyte") || name.ends_with(".idx")
        });
        let rows = if is_idx { self.idx(&bytes, &name)? } else { self.table(&bytes, &name)? };
        let count = most.unwrap_or(usize::MAX).min(rows.rows());
        let places: Vec<usize> = (0..count).collect();
        Ok((rows.picked(&places), bytes))
    }

    fn idx(&self, bytes: &[u8], name: &str) -> Result<Rows, Failure> {
        let found =
            read_idx_from(bytes, name).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
        if let [column, ..] = self.drop_column.as_slice() {
            return Err(Failure::input(format!(
                "--drop-column names {column:?}, but an idx file has no named columns"
            )));
        }
        let rows = found.shape.first().copied().unwrap_or(0);
        let values = found.values.iter().map(|value| (f64::from(*value) / self.divide) as f32).collect();
        Rows::new(rows, found.values.len() / rows.max(1), values)
            .ok_or_else(|| Failure::input(format!("{name}: its shape {:?} is no rows", found.shape)))
    }

    fn table(&self, bytes: &[u8], name: &str) -> Result<Rows, Failure> {
        let table = read_table_from(bytes, name, &TableOptions::default())
            .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
        let mut places: Vec<usize> = (0..table.columns.len()).collect();
        for column in &self.drop_column {
            let place = table
                .column_position(column)
                .map_err(|error| Failure::input(format!("{name}: {error}")).maybe_hint(error.hint()))?;
            places.retain(|own| *own != place);
        }
        Ok(Rows::from_fn(table.values.rows(), places.len(), |row, column| {
            (table.values[(row, places[column])] / self.divide) as f32
        }))
    }
}
