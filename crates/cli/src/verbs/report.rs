//! `backstitch report`: judge one run again, or the scoreboard of all runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backstitch_claim::RunDirectory;
use backstitch_claim::report::{ScoreRow, scoreboard};
use backstitch_claim::write::write_atomic;

use super::cell::run_at;
use super::reproduce::{conclude, summary};
use crate::arguments::{Common, Report};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(report: &Report, common: &Common) -> Result<i32, Failure> {
    match &report.run {
        Some(path) => one(path, common),
        None => all(&report.runs, common),
    }
}

fn one(path: &Path, common: &Common) -> Result<i32, Failure> {
    let (directory, run, method) = run_at(path)?;
    let verdict = conclude(method, &run, &directory, &BTreeMap::new())?;
    if common.json {
        terminal::print_json(&verdict)?;
    } else {
        terminal::print(&summary(&run, &verdict))?;
        terminal::say(format_args!("report: {}", directory.path().join("report.html").display()));
    }
    Ok(EXIT_DONE)
}

fn all(runs: &Path, common: &Common) -> Result<i32, Failure> {
    let mut rows = Vec::new();
    for directory in finished_runs(runs) {
        let verdict = match directory.read_verdict() {
            Ok(verdict) => verdict,
            Err(error) => {
                terminal::say(format_args!("warning: skipped: {error}"));
                continue;
            }
        };
        let stale = backstitch_studies::find(&verdict.method)
            .is_some_and(|method| method.study.revision() != verdict.revision);
        let link =
            directory.path().strip_prefix(runs).ok().map(|path| format!("{}/report.html", path.display()));
        rows.push(ScoreRow { verdict, link, stale });
    }
    if rows.is_empty() {
        return Err(Failure::input(format!("there is no finished run below {}", runs.display()))
            .hint("`backstitch reproduce <method>` makes one"));
    }
    if common.json {
        terminal::print_json(&rows.iter().map(|row| &row.verdict).collect::<Vec<_>>())?;
        return Ok(EXIT_DONE);
    }
    let path = runs.join("scoreboard.html");
    write_atomic(&path, scoreboard(&rows).as_bytes(), "scoreboard").map_err(Failure::input)?;
    let mut text = String::new();
    for row in &rows {
        for claim in &row.verdict.claims {
            let stale = if row.stale { " (stale)" } else { "" };
            let scope = format!("({})", claim.scope);
            text.push_str(&format!(
                "{:18} {:6} {} {scope:11} {}{stale}\n",
                row.verdict.method,
                row.verdict.scale.name(),
                terminal::verdict(claim.verdict, 12),
                claim.id
            ));
        }
    }
    terminal::print(&text)?;
    terminal::say(format_args!("scoreboard: {}", path.display()));
    Ok(EXIT_DONE)
}

/// The run directories below `runs` that have a verdict, in the order of their names.
fn finished_runs(runs: &Path) -> Vec<RunDirectory> {
    let folders = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let mut folders: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let runs = folders(runs).into_iter().flat_map(|method| folders(&method));
    runs.filter(|run| run.join("verdict.json").is_file()).map(|run| RunDirectory::at(&run)).collect()
}
