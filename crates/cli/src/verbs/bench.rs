//! `backstitch bench`: ours and the peer in turn.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;

use backstitch_claim::bench::{BENCH_SCHEMA, BenchFile, Contestant, Reply, Row, ratio, side};
use backstitch_claim::write::write_atomic;
use backstitch_studies::bench::{Bench as Contest, FLOORS, Work};
use serde_json::{Value, json};

use crate::arguments::{Bench, Common};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(bench: &Bench, common: &Common) -> Result<i32, Failure> {
    let floor = FLOORS.iter().find(|(name, _)| *name == bench.method);
    let contest = match floor {
        Some((_, contest)) => *contest,
        None => super::method(&bench.method)?.bench,
    };
    if bench.worker {
        return serve(contest);
    }
    if bench.record.is_some() && cfg!(debug_assertions) {
        terminal::say(
            "warning: this is a development build; times that are to be kept come from a release build",
        );
    }
    let folder = std::env::temp_dir().join(format!("backstitch-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Failure::input)?;
    let rows = time_all(contest, bench, common, &folder);
    // Only our own scratch files are in there.
    let _ = std::fs::remove_dir_all(&folder);
    let file = BenchFile { schema: BENCH_SCHEMA.into(), method: bench.method.clone(), rows: rows? };
    if common.json {
        terminal::print_json(&file)?;
    }
    if let Some(results) = &bench.record {
        let path = results.join(&bench.method).join("bench.json");
        let text = serde_json::to_string_pretty(&file).map_err(Failure::internal)? + "\n";
        std::fs::create_dir_all(results.join(&bench.method)).map_err(Failure::input)?;
        write_atomic(&path, text.as_bytes(), "results").map_err(Failure::input)?;
        terminal::say(format_args!("evidence: {}", path.display()));
    }
    Ok(EXIT_DONE)
}

fn time_all(contest: &Contest, bench: &Bench, common: &Common, folder: &Path) -> Result<Vec<Row>, Failure> {
    let works = (contest.works)(folder).map_err(Failure::input)?;
    let wanted: Vec<&Work> = works
        .iter()
        .filter(|work| bench.only.as_deref().is_none_or(|text| work.name.contains(text)))
        .collect();
    if wanted.is_empty() {
        let names: Vec<String> = works.iter().map(|work| format!("`{}`", work.name)).collect();
        let text = bench.only.as_deref().unwrap_or_default();
        return Err(Failure::input(format!("no work of this bench has `{text}` in its name"))
            .hint(format!("there is {}", names.join(", "))));
    }
    let mut rows = Vec::new();
    for work in wanted {
        terminal::say(&work.name);
        let row = time_one(contest, work, bench, common)?;
        if common.json {
            terminal::say(line(&row).trim_end());
        } else {
            terminal::print(&line(&row))?;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Both sides in turn, ours first in even pairs and the peer first in odd ones.
fn time_one(contest: &Contest, work: &Work, bench: &Bench, common: &Common) -> Result<Row, Failure> {
    let mut ours_command = Command::new(std::env::current_exe().map_err(Failure::internal)?);
    ours_command.args(["bench", &bench.method, "--worker"]);
    if let Some(threads) = common.threads {
        ours_command.args(["--threads", &threads.to_string()]);
    }
    let mut ours_process = Contestant::start(&mut ours_command).map_err(Failure::internal)?;
    let mut peer_process = work.peer.and_then(|_| {
        let started = Contestant::start(&mut peer_command(contest, bench));
        started
            .map_err(|error| {
                terminal::say(format_args!("no peer here: {error}\nhint: {}", setup_hint(contest)))
            })
            .ok()
    });
    let (mut ours, mut peer): (Vec<Reply>, Vec<Reply>) = (Vec::new(), Vec::new());
    let mut absent = None;
    for pair in 0..bench.pairs.get() {
        for turn in [pair % 2, 1 - pair % 2] {
            if turn == 0 {
                ours.push(ours_process.ask(&work.request).map_err(Failure::internal)?);
            } else if let Some(process) = &mut peer_process {
                match process.ask(&work.request) {
                    Ok(reply) => peer.push(reply),
                    Err(error) => {
                        absent = Some(error.to_string());
                        peer_process = None;
                    }
                }
            }
        }
    }
    if let Some(error) = absent {
        terminal::say(format_args!("no peer for this work: {error}\nhint: {}", setup_hint(contest)));
    }
    let complete = peer.len() == ours.len();
    let (agree, note) = (work.compare)(&ours[0].answer, complete.then(|| &peer[0].answer));
    Ok(Row {
        work: work.name.clone(),
        ours: side("backstitch", &ours),
        peer: complete.then(|| side(work.peer.unwrap_or_default(), &peer)),
        ratio: complete.then(|| ratio(&ours, &peer)),
        pairs: ours.len(),
        agree: complete.then_some(agree),
        note,
    })
}

/// Our side: answers requests until standard input ends.
fn serve(contest: &Contest) -> Result<i32, Failure> {
    terminal::print("{\"ready\": true}\n")?;
    for request in std::io::stdin().lock().lines() {
        let request = request.map_err(Failure::internal)?;
        let reply = serde_json::from_str::<Value>(&request)
            .map_err(|error| error.to_string())
            .and_then(|request| (contest.ours)(&request));
        match reply {
            Ok(reply) => terminal::print_json(&reply)?,
            Err(error) => terminal::print_json(&json!({"error": error}))?,
        }
    }
    Ok(EXIT_DONE)
}

fn peer_command(contest: &Contest, bench: &Bench) -> Command {
    let own = PathBuf::from(format!("peers/.venv-{}/bin/python", contest.environment));
    let python = match &bench.python {
        Some(python) => python.clone(),
        None if own.is_file() => own,
        None => "python3".into(),
    };
    let mut command = Command::new(python);
    command.arg(format!("peers/{}.py", bench.method));
    command
}

fn setup_hint(contest: &Contest) -> String {
    format!("`peers/setup {}` in the repository makes the peer's Python environment", contest.environment)
}

fn line(row: &Row) -> String {
    let memory =
        |bytes: Option<u64>| bytes.map_or("?".into(), |bytes| format!("{:.0} MiB", bytes as f64 / 1048576.0));
    let ours = format!("ours {:.4} s, {}", row.ours.median_s, memory(row.ours.peak_bytes));
    let peer = match (&row.peer, row.ratio) {
        (Some(peer), Some(ratio)) => {
            let name = format!("{} {}", peer.name, peer.version);
            format!(" · {name} {:.4} s, {} · {ratio:.1}x", peer.median_s, memory(peer.peak_bytes))
        }
        _ => String::new(),
    };
    let agree = match row.agree {
        Some(true) => " · agree",
        Some(false) => " · DIFFER",
        None => "",
    };
    let pairs = format!("{} pair{}", row.pairs, if row.pairs == 1 { "" } else { "s" });
    format!("{}: {ours}{peer} ({pairs}){agree} · {}\n", row.work, row.note)
}
