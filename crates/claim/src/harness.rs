//! Runs the cells of a run, each in a process of its own.
//!
//! A cell is spawned even when one job runs on one machine, so that there is one code path for `--jobs`, for
//! kills and for a cluster. A failing cell never stops the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::context::{CellContext, CellError, Measurement, Throughput};
use crate::directory::{CELL_SCHEMA, CellResult, CellTiming, RunDirectory, lock, to_json};
use crate::run::{Run, RunError};
use crate::study::{Cell, Study};
use crate::write::write_atomic;

/// What happens to cells, for progress output.
#[derive(Clone, Debug)]
pub enum Event {
    /// How many cells there are, how many of them are finished already, and how many lack data.
    Planned {
        /// All cells.
        total: usize,
        /// Finished in an earlier run.
        finished: usize,
        /// Cannot run here.
        missing: usize,
    },
    /// A cell begins.
    Started(String),
    /// A cell has finished: the time of its process, and how fast it says it worked.
    Finished(String, Duration, Option<Throughput>),
    /// A cell ended with an error.
    Failed(String, String),
}

/// Runs every cell that is not finished, `jobs` at a time, and gives back the failures by cell id.
///
/// `command` builds the process of one cell; it must end with [`run_cell`]. The process gets a pipe as standard
/// input that closes when this process dies, so that no orphan goes on writing.
///
/// # Errors
/// If the cells of the run cannot be listed.
pub fn run_cells(
    study: &Study,
    run: &Run,
    directory: &RunDirectory,
    jobs: usize,
    command: &(dyn Fn(&str) -> Command + Sync),
    observer: &(dyn Fn(Event) + Sync),
) -> Result<BTreeMap<String, String>, RunError> {
    let cells = run.cells(study)?;
    let mut queue = Queue::default();
    for cell in cells {
        let id = cell.id();
        if directory.cell_result(&id).is_some() {
            queue.finished.insert(id);
        } else if run.missing_data(&cell).is_some()
            || cell.needs.iter().any(|need| queue.missing.contains(need))
        {
            queue.missing.insert(id);
        } else {
            queue.waiting.push(cell);
        }
    }
    let (finished, missing) = (queue.finished.len(), queue.missing.len());
    observer(Event::Planned { total: finished + missing + queue.waiting.len(), finished, missing });

    let queue = Mutex::new(queue);
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(cell) = next(&queue, &changed) {
                    let id = cell.id();
                    observer(Event::Started(id.clone()));
                    let begin = Instant::now();
                    let outcome = spawn(command(&id)).and_then(|()| match directory.cell_result(&id) {
                        Some(_) => Ok(()),
                        None => Err("the cell ended without a result".into()),
                    });
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(()) => {
                            queue.finished.insert(id.clone());
                            let throughput = directory.cell_timing(&id).and_then(|timing| timing.throughput);
                            observer(Event::Finished(id, begin.elapsed(), throughput));
                        }
                        Err(reason) => {
                            let reason = format!("the cell `{id}` failed: {reason}");
                            queue.failures.insert(id.clone(), reason.clone());
                            observer(Event::Failed(id, reason));
                        }
                    }
                    queue.running -= 1;
                    changed.notify_all();
                }
            });
        }
    });
    Ok(queue.into_inner().unwrap_or_else(PoisonError::into_inner).failures)
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Cell>,
    running: usize,
    finished: BTreeSet<String>,
    missing: BTreeSet<String>,
    failures: BTreeMap<String, String>,
}

/// The first waiting cell whose needs are finished; nothing when no cell can follow.
fn next(queue: &Mutex<Queue>, changed: &Condvar) -> Option<Cell> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let ready =
            queue.waiting.iter().position(|cell| cell.needs.iter().all(|need| queue.finished.contains(need)));
        if let Some(position) = ready {
            queue.running += 1;
            return Some(queue.waiting.remove(position));
        }
        if queue.running == 0 {
            return None;
        }
        queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Runs the process of a cell to its end; the error is its last line on standard error.
fn spawn(mut command: Command) -> Result<(), String> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("it could not be started: {error}"))?;
    // Held open until the child ends: the child takes its closing for our death.
    let lifeline = child.stdin.take();
    let mut complaint = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let mut bytes = Vec::new();
        if stderr.read_to_end(&mut bytes).is_ok() {
            complaint = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    let status = child.wait().map_err(|error| format!("it could not be waited for: {error}"))?;
    drop(lifeline);
    if status.success() {
        return Ok(());
    }
    let said = complaint.trim();
    let last = said.strip_prefix("error: ").unwrap_or(said);
    Err(if last.is_empty() { format!("it ended with {status}") } else { last.replace("\nhint: ", "; ") })
}

/// Ends this process when standard input closes: called in the process of a cell.
pub fn die_with_parent() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while std::io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
        std::process::exit(130);
    });
}

/// Runs one cell in this process and writes its result, unless it is there already.
///
/// # Errors
/// If the run has no such cell, a need or a data set is missing, another process runs it, or the method fails.
pub fn run_cell(study: &Study, directory: &RunDirectory, id: &str) -> Result<(), CellError> {
    let run = directory.read_run().map_err(CellError::new)?;
    let cells = run.cells(study).map_err(CellError::new)?;
    let Some(cell) = cells.iter().find(|cell| cell.id() == id) else {
        let path = directory.path().display();
        return Err(CellError::Failed(format!("the run {path} has no cell `{id}`")));
    };
    if let Some(reason) = run.missing_data(cell) {
        return Err(CellError::Failed(format!("the cell `{id}` {reason}")));
    }
    if let Some(need) = cell.needs.iter().find(|need| directory.cell_result(need).is_none()) {
        return Err(CellError::Failed(format!("the cell `{id}` needs `{need}`, which is not finished")));
    }
    let folder = directory.cell_folder(id);
    let _guard = lock(&folder, "lock").map_err(CellError::new)?;
    if directory.cell_result(id).is_some() {
        return Ok(());
    }
    let begin = Instant::now();
    let cells_folder = directory.cells_folder();
    let data = run.data_paths();
    let mut context = CellContext::new(&folder, &cells_folder, &run.configuration, &cell.needs, &data);
    (study.run)(cell, &mut context)?;
    let (observations, data, throughput) = context.into_parts();
    check(study, id, &observations)?;

    let write = |name: &str, text: String| {
        let path = folder.join(format!("{name}.json"));
        write_atomic(&path, text.as_bytes(), name).map_err(|error| CellError::File(path, error))
    };
    let timing = CellTiming { seconds: begin.elapsed().as_secs_f64(), threads: run.threads, throughput };
    write("timing", to_json(&timing).map_err(CellError::Failed)?)?;
    let result = CellResult { schema: CELL_SCHEMA.into(), cell: cell.clone(), observations, data };
    write("result", to_json(&result).map_err(CellError::Failed)?)?;
    Ok(())
}

/// A cell must report declared metrics only, and each of them once per item.
fn check(study: &Study, id: &str, observations: &[Measurement]) -> Result<(), CellError> {
    let mut seen = BTreeSet::new();
    for measurement in observations {
        let metric = &measurement.metric;
        if study.metric(metric).is_none() {
            return Err(CellError::Failed(format!(
                "the cell `{id}` reports `{metric}`, which the study does not declare"
            )));
        }
        if !seen.insert((metric, &measurement.item)) {
            return Err(CellError::Failed(format!("the cell `{id}` reports `{metric}` twice for one item")));
        }
    }
    Ok(())
}
