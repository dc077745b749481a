//! `run continual-dp --state`, killed at any moment: no line is lost, none is said twice in two ways, and no noise is ever spent on
//! rows other than those it was printed with.
//!
//! Every release here is begun once, with a header and no rows, so that a copy of its state is the same release with the same key:
//! what an uninterrupted run prints from there is what all runs together must have printed, however often they were killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use backstitch_claim::write::PHASES;
use backstitch_numerics::Stream;
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox};

/// A query with its options and the number of its columns.
struct Subject {
    options: &'static [&'static str],
    columns: usize,
    rows: usize,
}

/// The three kinds of state: buffers of a square root, nodes of a tree, sums whose maximum is recomputed.
const SUBJECTS: [Subject; 3] = [
    Subject { options: &["--rho", "0.5"], columns: 1, rows: 60_000 },
    Subject { options: &["--epsilon", "1", "--query", "histogram"], columns: 3, rows: 25_000 },
    Subject {
        options: &["--rho", "0.5", "--query", "argmax", "--mechanism", "recompute"],
        columns: 8,
        rows: 40_000,
    },
];

/// A release that has begun, in a folder of its own.
struct Begun {
    sandbox: Sandbox,
    subject: &'static Subject,
    horizon: String,
    /// What an uninterrupted run prints, by row.
    expected: BTreeMap<usize, String>,
    /// How long it takes.
    time: Duration,
}

impl Begun {
    fn new(subject: &'static Subject) -> Self {
        let sandbox = Sandbox::new();
        let names: Vec<String> = (0..subject.columns).map(|column| format!("c{column}")).collect();
        let header = names.join(",") + "\n";
        sandbox.write("header.csv", &header);
        sandbox.write("rows.csv", header + &rows(subject, "rows", subject.rows));
        let horizon = subject.rows.to_string();
        let mut begun = Self { sandbox, subject, horizon, expected: BTreeMap::new(), time: Duration::ZERO };
        let outcome = begun.finish(&["--data", "header.csv"]);
        assert!(outcome.stdout.starts_with("rows,") && outcome.stdout.lines().count() == 1, "{outcome:?}");
        fs::rename(begun.path("kept"), begun.path("begun")).unwrap();
        let time = Instant::now();
        begun.restore();
        let whole = begun.finish(&["--data", "rows.csv", "--replay"]);
        begun.time = time.elapsed();
        begun.expected = by_row(&whole.stdout);
        assert_eq!(begun.expected.len(), subject.rows, "a line for every row");
        begun
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.sandbox.path(name)
    }

    /// Back to the state before the first row.
    fn restore(&self) {
        fs::copy(self.path("begun"), self.path("kept")).unwrap();
    }

    fn command(&self, input: &[&str]) -> Command {
        let common = ["run", "continual-dp", "--horizon", &self.horizon, "--state", "kept"];
        self.sandbox.command(&[&common, self.subject.options, input].concat())
    }

    fn finish(&self, input: &[&str]) -> Outcome {
        let outcome = Outcome::of(self.command(input).output().unwrap());
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome
    }

    /// Continues over the rows with standard output in a file, until `end` has done its part.
    fn continued(&self, end: impl FnOnce(&Self, &mut std::process::Child)) -> (ExitStatus, String) {
        let mut command = self.command(&["--data", "rows.csv", "--replay"]);
        command.stdout(File::create(self.path("log")).unwrap()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        end(self, &mut child);
        let status = child.wait().unwrap();
        (status, self.sandbox.read("log"))
    }

    /// Rows that the state has counted.
    fn counted(&self) -> usize {
        let state: Value = serde_json::from_str(&self.sandbox.read("kept")).unwrap();
        let release = &state["release"];
        let kind = if release["sums"].is_null() { "maximum" } else { "sums" };
        release[kind]["steps"].as_u64().unwrap() as usize
    }

    /// Adds what a run printed to what has been seen, and holds it to what it may print: the expected lines in their order,
    /// none beyond the rows that the state has counted.
    fn see(&self, log: &str, seen: &mut BTreeMap<usize, String>, history: &str) {
        let (whole, torn) = log.rsplit_once('\n').unwrap_or(("", log));
        let printed = by_row(whole);
        let numbers: Vec<usize> = printed.keys().copied().collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{history}: a line is missing");
        for (number, line) in &printed {
            assert_eq!(Some(line), self.expected.get(number), "{history}: row {number} in two ways");
        }
        let first = self.expected.values().any(|line| line.starts_with(torn));
        let next = numbers.last().and_then(|last| self.expected.get(&(last + 1)));
        let fits = next.map_or(first, |line| line.starts_with(torn));
        assert!(torn.is_empty() || fits, "{history}: {torn:?} is not of this release");
        if let Some(last) = numbers.last() {
            assert!(*last <= self.counted(), "{history}: row {last} was printed before it was counted");
        }
        seen.extend(printed);
    }

    /// Continues to the end; all runs together have printed everything.
    fn complete(&self, mut seen: BTreeMap<usize, String>, history: &str) {
        let outcome = self.finish(&["--data", "rows.csv", "--replay"]);
        self.see(&outcome.stdout, &mut seen, history);
        assert!(seen == self.expected, "{history}: {} of {} lines", seen.len(), self.expected.len());
    }
}

/// Random 0/1 rows with one 1 at most, which every query takes.
fn rows(subject: &Subject, purpose: &str, count: usize) -> String {
    let mut draws = Stream::new(0, purpose);
    let mut text = String::new();
    for _ in 0..count {
        let one = draws.below(subject.columns + 1);
        let fields: Vec<&str> =
            (0..subject.columns).map(|column| if column == one { "1" } else { "0" }).collect();
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// Lines by the number of rows that they begin with. A line that comes twice must be the same.
fn by_row(log: &str) -> BTreeMap<usize, String> {
    let mut lines = BTreeMap::new();
    for line in log.lines() {
        let number = line.split(',').next().unwrap().parse().unwrap_or_else(|_| panic!("{line:?}"));
        if let Some(before) = lines.insert(number, line.to_owned()) {
            assert_eq!(before, line, "row {number} in two ways");
        }
    }
    lines
}

/// Half of the moments are drawn over the time of a run, half over the bytes that it prints.
#[test]
fn killed_at_twenty_four_random_moments() {
    let mut landed = 0;
    for (place, subject) in SUBJECTS.iter().enumerate() {
        let begun = Begun::new(subject);
        let bytes: usize = begun.expected.values().map(|line| line.len() + 1).sum();
        let mut moments = Stream::new(place as u64, "moments of death");
        let mut seen = BTreeMap::new();
        begun.restore();
        for kill in 0..8 {
            let share = moments.uniform();
            let history = format!("subject {place}, kill {kill} at {share}");
            let (status, log) = begun.continued(|begun, child| {
                if kill % 2 == 0 {
                    std::thread::sleep(begun.time.mul_f64(share));
                } else {
                    // Of what is left, so that the process is still there.
                    let left = bytes * (begun.expected.len() - begun.counted()) / begun.expected.len();
                    let printed = || fs::metadata(begun.path("log")).unwrap().len() as f64;
                    while printed() < share * left as f64 && child.try_wait().unwrap().is_none() {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
                child.kill().unwrap();
            });
            landed += usize::from(status.code().is_none());
            begun.see(&log, &mut seen, &history);
            if status.success() {
                // Nothing is left to die in.
                assert!(seen == begun.expected, "{history}");
                seen.clear();
                begun.restore();
            }
        }
        begun.complete(seen, "after eight kills");
    }
    assert!(landed >= 12, "only {landed} of 24 kills met a living process");
}

#[test]
fn a_death_at_every_phase_of_a_write_of_the_state() {
    for subject in &SUBJECTS {
        let begun = Begun::new(subject);
        begun.restore();
        let mut seen = BTreeMap::new();
        // The first, the second and the third write of a run, each continuing what the one before left.
        for nth in 1..=3 {
            for phase in PHASES {
                let point = format!("state:{phase}:{nth}");
                let before = begun.sandbox.read("kept");
                let mut command = begun.command(&["--data", "rows.csv", "--replay"]);
                let output = command.env("BACKSTITCH_KILL_AT", &point).output().unwrap();
                assert_eq!(output.status.code(), None, "{point}: the run must die there");
                begun.see(&String::from_utf8(output.stdout).unwrap(), &mut seen, &point);
                let moved = begun.sandbox.read("kept") != before;
                assert_eq!(moved, nth > 1 || phase == "renamed", "{point}: whole or as it was");
                #[cfg(unix)]
                for name in begun.sandbox.entries("").iter().filter(|name| name.starts_with("kept")) {
                    use std::os::unix::fs::PermissionsExt;
                    let mode = fs::metadata(begun.path(name)).unwrap().permissions().mode() & 0o777;
                    assert!(name == "kept.lock" || mode == 0o600, "{point}: {name} has mode {mode:o}");
                }
            }
        }
        begun.complete(seen, "after twelve deaths");
        assert!(!begun.path("kept.tmp").exists(), "no copy of the key is left behind");
    }
}

/// Before there is a state nothing may have been printed: the next run draws another key.
#[test]
fn a_death_before_the_first_state_is_a_death_before_the_first_line() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.csv", format!("visits\n{}", "1\n".repeat(5000)));
    let common = ["run", "continual-dp", "--rho", "0.5", "--horizon", "5000", "--data", "rows.csv"];
    for phase in PHASES {
        let _ = fs::remove_file(sandbox.path("kept"));
        let arguments = [&common[..], &["--state", "kept"]].concat();
        let mut command = sandbox.command(&arguments);
        let output = command.env("BACKSTITCH_KILL_AT", format!("state:{phase}")).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (None, 0), "{phase}");
        assert_eq!(sandbox.path("kept").exists(), phase == "renamed", "{phase}");
    }
    // The last one left a state, whose lines are still to be seen, the line of names before them.
    let outcome = sandbox.expect(0, &[&common[..], &["--state", "kept", "--replay"]].concat());
    let (names, lines) = outcome.stdout.split_once('\n').unwrap();
    assert_eq!(names, "rows,visits,standard_error");
    let lines = by_row(lines);
    assert_eq!((lines.len(), lines.keys().next()), (5000, Some(&1)));
}

/// What is spent is noted before anything is released, and a death in between errs on the safe side.
#[test]
fn a_death_while_the_ledger_is_written_spends_at_most_for_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("rows.csv", format!("visits\n{}", "1\n".repeat(50)));
    let common = [
        "run",
        "continual-dp",
        "--rho",
        "0.5",
        "--horizon",
        "50",
        "--data",
        "rows.csv",
        "--state",
        "kept",
        "--ledger",
        "ledger",
    ];
    for phase in PHASES {
        let arguments = [&common[..], &["--ledger-limit", "1.2"]].concat();
        let mut command = sandbox.command(&arguments);
        let output = command.env("BACKSTITCH_KILL_AT", format!("output:{phase}")).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (None, 0), "{phase}");
        assert!(!sandbox.path("kept").exists(), "{phase}: a release that may not have been paid");
        assert_eq!(sandbox.path("ledger").exists(), phase == "renamed", "{phase}");
    }
    // 0.5 was spent by the run that died, and 0.5 now; a third time is too much.
    assert_eq!(sandbox.expect(0, &common).stdout.lines().count(), 51);
    fs::remove_file(sandbox.path("kept")).unwrap();
    let outcome = sandbox.expect(2, &common);
    assert!(outcome.stdout.is_empty() && !sandbox.path("kept").exists(), "{outcome:?}");
}

/// The same rows from the same state: byte for byte the same lines, and the same state at the end.
#[test]
fn a_replay_gives_the_same_bytes() {
    for subject in &SUBJECTS {
        let begun = Begun::new(subject);
        let runs = [(); 2].map(|()| {
            begun.restore();
            let outcome = begun.finish(&["--data", "rows.csv", "--replay"]);
            (outcome.stdout, begun.sandbox.read("kept"))
        });
        assert!(runs[0] == runs[1]);
        assert_eq!(by_row(&runs[0].0), begun.expected);
        // In two parts, cut where no block ends, is the same once more.
        begun.restore();
        let text = begun.sandbox.read("rows.csv");
        let cut: usize = text.split_inclusive('\n').take(5001).map(str::len).sum();
        begun.sandbox.write("first.csv", &text[..cut]);
        let first = begun.finish(&["--data", "first.csv"]).stdout;
        let second = begun.finish(&["--data", "rows.csv", "--replay"]).stdout;
        assert!(first.clone() + &second == runs[0].0, "{} lines first", first.lines().count());
    }
}

/// After a death other rows may follow: no line that was printed, or will be, shares its noise with one of another row.
#[test]
fn other_rows_after_a_death_get_noise_that_nobody_has_seen() {
    let begun = Begun::new(&SUBJECTS[0]);
    for point in ["state:synced:3", "state:renamed:3"] {
        begun.restore();
        let mut command = begun.command(&["--data", "rows.csv", "--replay"]);
        let output = command.env("BACKSTITCH_KILL_AT", point).output().unwrap();
        let mut seen = BTreeMap::new();
        begun.see(&String::from_utf8(output.stdout).unwrap(), &mut seen, point);
        let counted = begun.counted();
        // The next row is another, and all sums after it are off by one.
        let text = begun.sandbox.read("rows.csv");
        let mut next = text.lines().skip(1 + counted).take(100);
        let other = if next.next() == Some("1") { "0" } else { "1" };
        let rest: Vec<&str> = next.collect();
        begun.sandbox.write("others.csv", format!("{other}\n{}\n", rest.join("\n")));
        let lines = by_row(&begun.finish(&["--data", "others.csv"]).stdout);
        assert_eq!(lines.keys().last(), Some(&(counted + 100)), "{point}");
        assert!(lines.keys().next().unwrap() <= &(seen.len() + 1), "{point}: a line is lost");
        for (number, line) in &lines {
            let same = begun.expected.get(number) == Some(line);
            assert_eq!(same, *number <= counted, "{point}: {line}");
            assert!(same || !seen.contains_key(number), "{point}: {line}");
        }
    }
}

/// A reader that goes away ends the run, and the lines it left in the pipe come again.
#[test]
fn lines_that_a_reader_left_in_the_pipe_come_again() {
    const LINES: usize = 7500;
    let begun = Begun::new(&SUBJECTS[0]);
    begun.restore();
    let mut command = begun.command(&["--data", "rows.csv", "--replay"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut read = String::new();
    for _ in 0..LINES {
        reader.read_line(&mut read).unwrap();
    }
    // The rest of the second block fits the pipe: to the writer it is printed, and the third is on its way.
    while begun.counted() < 8200 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(reader);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("nobody reads"), "{outcome:?}");
    let mut seen = BTreeMap::new();
    begun.see(&read, &mut seen, "the reader");
    assert_eq!(seen.len(), LINES);
    begun.complete(seen, "after the reader went away");
}

/// Cut short or with one bit turned over, at 200 places: refused in words, and left as it is.
#[test]
fn a_damaged_state_is_refused_and_kept() {
    let begun = Begun::new(&SUBJECTS[1]);
    begun.restore();
    begun.sandbox.write("some.csv", rows(begun.subject, "some", 100));
    begun.finish(&["--data", "some.csv"]);
    let whole = fs::read(begun.path("kept")).unwrap();
    let mut draws = Stream::new(0, "damage");
    let cuts = [0, 1, 20, 80, whole.len() / 2, whole.len() - 1];
    let mut damaged: Vec<Vec<u8>> = cuts.iter().map(|&length| whole[..length].to_vec()).collect();
    damaged.extend((0..200).map(|_| {
        let mut bytes = whole.clone();
        bytes[draws.below(whole.len())] ^= 1 << draws.below(8);
        bytes
    }));
    damaged.extend([b"{}".to_vec(), [&whole[..], b"\n"].concat(), b"rows,count\n".to_vec()]);
    for bytes in damaged {
        begun.sandbox.write("kept", &bytes);
        let mut command = begun.command(&["--data", "some.csv"]);
        let outcome = Outcome::of(command.output().unwrap());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: kept is not a state"), "{outcome:?}");
        assert!(fs::read(begun.path("kept")).unwrap() == bytes, "a refused state is left as it is");
    }
    begun.sandbox.write("kept", &whole);
    begun.finish(&["--data", "some.csv"]);
}
