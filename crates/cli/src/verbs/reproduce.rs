//! `backstitch reproduce`: resolve the run, run its cells, judge, report.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use backstitch_claim::harness::{Event, run_cells};
use backstitch_claim::{
    CellTiming, Choices, Judgement, Run, RunDirectory, RunError, Scale, Throughput, Verdict, VerdictFile,
    report, results,
};
use backstitch_studies::{METHODS, Method};
use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::{Common, Design, Reproduce};
use crate::failure::{EXIT_CLAIM_FAILS, EXIT_DONE, EXIT_INTERNAL, EXIT_UNDECIDED, Failure};
use crate::{data_sets, provenance, terminal};

pub(crate) fn execute(reproduce: &Reproduce, common: &Common) -> Result<i32, Failure> {
    let methods: Vec<&Method> = if reproduce.all {
        METHODS.iter().collect()
    } else {
        reproduce.methods.iter().map(|name| super::method(name)).collect::<Result<_, _>>()?
    };
    if methods.len() > 1 && reproduce.design.out.is_some() {
        return Err(Failure::input(
            "--out names the directory of one run, but several methods were asked for",
        )
        .hint("leave --out away; every run gets a directory of its own below `runs`"));
    }
    let mut verdicts = Vec::new();
    let mut crashed = false;
    for method in methods {
        let run = resolve(method, &reproduce.design, common, reproduce.jobs.map(usize::from))?;
        if reproduce.record.is_some() && !(run.recorded && run.scale != Scale::Smoke) {
            return Err(Failure::input(
                "--record takes the recorded configuration at scale quick or paper only",
            )
            .hint("leave --set, --seeds, --seed and --data away"));
        }
        let (directory, _guard) = open(&run, &reproduce.design)?;
        let failures = run_all(method, &run, &directory, reproduce.jobs.map(usize::from), common)?;
        crashed |= !failures.is_empty();
        for all in throughputs(&timings(&run, &directory, method)) {
            terminal::say(format_args!(
                "{}: {} {} at {} per job",
                run.method,
                all.amount,
                all.unit,
                rate(&all)
            ));
        }
        let verdict = conclude(method, &run, &directory, &failures)?;
        if let Some(folder) = &reproduce.record {
            let path = results::record(folder, &run, &verdict, cell_seconds(&run, &directory, method))?;
            terminal::say(format_args!("evidence: {}", path.display()));
        }
        if common.json {
            terminal::print_json(&verdict)?;
        } else {
            terminal::print(&summary(&run, &verdict))?;
            terminal::say(format_args!("report: {}", directory.path().join("report.html").display()));
        }
        verdicts.push(verdict);
    }
    Ok(if crashed { EXIT_INTERNAL } else { exit_code(&verdicts) })
}

/// Resolves what is to be run, and touches nothing.
pub(crate) fn resolve(
    method: &Method,
    design: &Design,
    common: &Common,
    jobs: Option<usize>,
) -> Result<Run, Failure> {
    let choices = Choices {
        set: design.set.clone(),
        seeds: design.seeds,
        first_seed: common.seed,
        data: data_sets::sources(method.study, design.scale.into(), design.data.as_deref(), common)?,
        threads: threads_per_cell(jobs, common),
        arguments: provenance::command_line(),
        provenance: provenance::here(),
    };
    Run::resolve(method.study, design.scale.into(), choices).map_err(|error| {
        let changed = matches!(error, RunError::Configuration(_)) && !design.set.is_empty();
        let hint = "look at what --set changes; the `run.json` of a run shows every key and its value";
        Failure::from(error).maybe_hint(changed.then(|| hint.into()))
    })
}

/// Makes or finds the directory of a run and takes it until the guard is dropped.
pub(crate) fn open(run: &Run, design: &Design) -> Result<(RunDirectory, File), Failure> {
    let directory = RunDirectory::of(run, Path::new("runs"), design.out.as_deref(), design.fresh);
    // Whoever is at work there keeps their run.json; a folder that is no run does not even get a lock.
    let taken = directory.path().join("run.json").exists().then(|| directory.lock()).transpose()?;
    directory.open(run)?;
    let guard = taken.map_or_else(|| directory.lock(), Ok)?;
    // Another process may have made the directory its own before we had the lock.
    directory.open(run)?;
    Ok((directory, guard))
}

/// Judges what is there, writes the verdict and the report.
pub(crate) fn conclude(
    method: &Method,
    run: &Run,
    directory: &RunDirectory,
    failures: &BTreeMap<String, String>,
) -> Result<VerdictFile, Failure> {
    let verdict = directory.conclude(method.study, run, failures)?;
    let seconds = cell_seconds(run, directory, method);
    let page = report::run_page(method.study, method.card, run, &verdict, seconds);
    directory.write_text("report.html", &page, "report")?;
    Ok(verdict)
}

/// The timings of all finished cells, those of earlier sittings too.
fn timings(run: &Run, directory: &RunDirectory, method: &Method) -> Vec<CellTiming> {
    let cells = run.cells(method.study).unwrap_or_default();
    cells.iter().filter_map(|cell| directory.cell_timing(&cell.id())).collect()
}

fn cell_seconds(run: &Run, directory: &RunDirectory, method: &Method) -> Duration {
    let seconds = timings(run, directory, method).iter().map(|timing| timing.seconds).sum();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// What all cells together got through, for each unit that they count in.
fn throughputs(timings: &[CellTiming]) -> Vec<Throughput> {
    let mut sums: Vec<Throughput> = Vec::new();
    for told in timings.iter().filter_map(|timing| timing.throughput.as_ref()) {
        match sums.iter_mut().find(|sum| sum.unit == told.unit) {
            Some(sum) => {
                sum.amount += told.amount;
                sum.seconds += told.seconds;
            }
            None => sums.push(told.clone()),
        }
    }
    sums
}

fn rate(throughput: &Throughput) -> String {
    format!("{:.0} {}/s", throughput.amount as f64 / throughput.seconds, throughput.unit)
}

fn jobs_of(jobs: Option<usize>) -> usize {
    jobs.unwrap_or_else(provenance::cores)
}

/// All cores are used: by cells at a time, and by threads within a cell if there are fewer cells than cores.
fn threads_per_cell(jobs: Option<usize>, common: &Common) -> usize {
    common.threads.map_or_else(|| provenance::cores() / jobs_of(jobs), usize::from).max(1)
}

fn run_all(
    method: &Method,
    run: &Run,
    directory: &RunDirectory,
    jobs: Option<usize>,
    common: &Common,
) -> Result<BTreeMap<String, String>, Failure> {
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let threads = threads_per_cell(jobs, common).to_string();
    let command = |id: &str| {
        let mut command = Command::new(&program);
        command.arg("cell").arg(directory.path()).arg(id).args(["--die-with-parent", "--threads", &threads]);
        command
    };
    let progress = Progress::new(&run.method);
    // More jobs than cells would be threads that have nothing to do, and some number of them cannot be made.
    let jobs = jobs_of(jobs).min(run.cells(method.study)?.len());
    let failures = run_cells(method.study, run, directory, jobs, &command, &|event| progress.tell(event))?;
    progress.finish();
    Ok(failures)
}

/// A bar on a terminal, lines elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    counts: Mutex<(usize, usize)>,
    method: String,
}

impl Progress {
    fn new(method: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {elapsed} {msg}");
            let bar = ProgressBar::new(0).with_prefix(method.to_owned());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, counts: Mutex::new((0, 0)), method: method.into() }
    }

    fn tell(&self, event: Event) {
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Planned { total, finished, missing } => {
                *counts = (finished, total - missing);
                self.say(&format!(
                    "{}: {total} cells{}{}",
                    self.method,
                    if finished > 0 { format!(", {finished} finished before") } else { String::new() },
                    if missing > 0 { format!(", {missing} without their data") } else { String::new() },
                ));
                if let Some(bar) = &self.bar {
                    bar.set_length(counts.1 as u64);
                    bar.set_position(finished as u64);
                }
            }
            Event::Started(id) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(id);
                }
            }
            Event::Finished(id, time, throughput) => {
                counts.0 += 1;
                match &self.bar {
                    Some(bar) => bar.inc(1),
                    None if terminal::verbose() || counts.0 == counts.1 || counts.0.is_multiple_of(25) => {
                        let (done, all, seconds) = (counts.0, counts.1, time.as_secs_f64());
                        let speed = throughput.map(|throughput| format!(", {}", rate(&throughput)));
                        terminal::say(format_args!(
                            "[{done}/{all}] {id} {seconds:.2} s{}",
                            speed.unwrap_or_default()
                        ));
                    }
                    None => {}
                }
            }
            Event::Failed(_, reason) => self.say(&format!("error: {reason}")),
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => terminal::say(line),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The verdicts as text.
pub(crate) fn summary(run: &Run, verdict: &VerdictFile) -> String {
    let mut text = format!(
        "{} · {} scale · revision {} · seeds {}–{}{}\n",
        run.method,
        run.scale.name(),
        run.revision,
        run.seeds.first().unwrap_or(&0),
        run.seeds.last().unwrap_or(&0),
        if run.recorded { "" } else { " · not the recorded configuration" },
    );
    if run.scale == Scale::Smoke {
        let claims = verdict.claims.len();
        return text
            + &format!(
                "  {} observations; smoke scale judges none of the {claims} claims\n",
                verdict.observations.len()
            );
    }
    for claim in &verdict.claims {
        text.push_str(&claim_lines(claim));
    }
    text
}

fn claim_lines(claim: &Judgement) -> String {
    let scope = format!("({})", claim.scope);
    let head = format!("  {} {scope:11} {}\n", terminal::verdict(claim.verdict, 12), claim.sentence);
    let reason = claim.reason.as_ref().map(|reason| format!("{:15}{reason}\n", "")).unwrap_or_default();
    let numbers = match (claim.estimate, claim.lower, claim.upper) {
        (Some(estimate), Some(lower), Some(upper)) if claim.verdict != Verdict::NotRun => {
            let relation = if claim.statistic.starts_with("identity") { "at most" } else { "above" };
            let number = report::number;
            format!(
                "{:15}{} [{}, {}], wanted {relation} {} · control {} {}\n",
                "",
                number(estimate),
                number(lower),
                number(upper),
                number(claim.margin),
                claim.control.arm,
                claim.control.verdict.name(),
            )
        }
        _ => String::new(),
    };
    head + &reason + &numbers
}

/// 1 if a claim fails, 3 if nothing is decided, else 0.
fn exit_code(verdicts: &[VerdictFile]) -> i32 {
    let judged: Vec<&VerdictFile> = verdicts.iter().filter(|verdict| verdict.scale != Scale::Smoke).collect();
    let any = |wanted| judged.iter().flat_map(|verdict| &verdict.claims).any(|claim| claim.verdict == wanted);
    if any(Verdict::Fails) {
        EXIT_CLAIM_FAILS
    } else if judged.is_empty() || any(Verdict::Holds) {
        EXIT_DONE
    } else {
        EXIT_UNDECIDED
    }
}
