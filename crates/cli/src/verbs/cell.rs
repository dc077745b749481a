//! `backstitch cell`: one cell, in this process.

use std::path::Path;

use backstitch_claim::{RunDirectory, harness};

use crate::arguments::{CellArguments, Common};
use crate::failure::{EXIT_DONE, Failure};

pub(crate) fn execute(cell: &CellArguments, _common: &Common) -> Result<i32, Failure> {
    if cell.die_with_parent {
        harness::die_with_parent();
    }
    let directory = run_at(&cell.run)?;
    let run = directory.read_run()?;
    let method = super::method(&run.method)?;
    // A cell that cannot be run yet is a wrong request; one that can and does not end is our failure.
    let cells = run.cells(method.study)?;
    let ready = cells.iter().any(|found| {
        found.id() == cell.cell
            && run.missing_data(found).is_none()
            && found.needs.iter().all(|need| directory.cell_result(need).is_some())
    });
    let failure = if ready { Failure::internal } else { Failure::input };
    harness::run_cell(method.study, &directory, &cell.cell).map_err(failure)?;
    Ok(EXIT_DONE)
}

/// The run directory at a path that the user typed.
pub(crate) fn run_at(path: &Path) -> Result<RunDirectory, Failure> {
    if path.join("run.json").is_file() {
        return Ok(RunDirectory::at(path));
    }
    Err(Failure::input(format!("{} is not a run directory: it has no run.json", path.display()))
        .hint("`backstitch reproduce <method>` makes one below `runs`"))
}
