//! `backstitch cell`: one cell, in this process.

use std::path::Path;

use backstitch_claim::run::claims_hash;
use backstitch_claim::{Run, RunDirectory, harness};
use backstitch_studies::Method;
use serde_json::json;

use crate::arguments::{CellArguments, Common};
use crate::data_sets;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(cell: &CellArguments, common: &Common) -> Result<i32, Failure> {
    if cell.die_with_parent {
        harness::die_with_parent();
    }
    let (directory, run, method) = run_at(&cell.run)?;
    // A cell that cannot be run yet is a wrong request; one that can and does not end is our failure.
    let cells = run.cells(method.study)?;
    let ready = cells.iter().any(|found| {
        found.id() == cell.cell
            && run.missing_data(found).is_none()
            && found.needs.iter().all(|need| directory.cell_result(need).is_some())
    });
    if let Some(found) = cells.iter().find(|found| found.id() == cell.cell) {
        data_sets::verify(&run, found)?;
    }
    let failure = if ready { Failure::internal } else { Failure::input };
    harness::run_cell(method.study, &directory, &cell.cell).map_err(failure)?;
    let path = directory.cell_folder(&cell.cell).join("result.json");
    if common.json {
        terminal::print_json(&json!({"cell": cell.cell, "result": path}))?;
    } else {
        terminal::print(&format!("{}\n", path.display()))?;
    }
    Ok(EXIT_DONE)
}

/// The run at a path that the user typed, if it is of the study that this build has.
pub(crate) fn run_at(path: &Path) -> Result<(RunDirectory, Run, &'static Method), Failure> {
    if !path.join("run.json").is_file() {
        return Err(Failure::input(format!("{} is not a run directory: it has no run.json", path.display()))
            .hint("`backstitch reproduce <method>` makes one below `runs`"));
    }
    let directory = RunDirectory::at(path);
    let run = directory.read_run()?;
    let method = super::method(&run.method)?;
    // Its cells and claims would be those of this build, under the name of another.
    let revision = method.study.revision();
    if (run.revision, &run.claims_hash) != (revision, &claims_hash(method.study, run.scale)) {
        let what = if run.revision == revision {
            format!("other claims than this build under the same revision {revision}")
        } else {
            format!("revision {} of the study, but this build has revision {revision}", run.revision)
        };
        return Err(Failure::input(format!("{} is of {what}", path.display()))
            .hint(format!("`backstitch reproduce {}` runs the study of this build", run.method)));
    }
    Ok((directory, run, method))
}
