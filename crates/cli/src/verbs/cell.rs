//! `backstitch cell`: one cell, in this process.

use std::path::Path;

use backstitch_claim::{RunDirectory, harness};

use crate::arguments::{CellArguments, Common};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(cell: &CellArguments, _common: &Common) -> Result<i32, Failure> {
    if cell.die_with_parent {
        harness::die_with_parent();
    }
    let directory = run_at(&cell.run)?;
    let run = directory.read_run()?;
    let method = super::method(&run.method)?;
    harness::run_cell(method.study, &directory, &cell.cell).map_err(Failure::input)?;
    terminal::print(&format!("{}\n", directory.cell_folder(&cell.cell).join("result.json").display()))?;
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
