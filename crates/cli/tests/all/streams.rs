//! Standard output carries data, standard error talks; both may go away.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox};
use crate::verbs::CHAIN;

/// Every verb that has `--json` prints JSON and nothing else on standard output.
#[test]
fn json_is_all_there_is_on_standard_output() {
    let sandbox = Sandbox::new();
    sandbox.write("chain.csv", CHAIN);
    let commands = [
        "list",
        "show topo",
        "show fobar",
        "run topo --data chain.csv",
        "run topo --data chain.csv --out graph",
        "reproduce topo --scale smoke --out smoke",
        "report smoke",
        "report --runs .",
        "compare smoke smoke/verdict.json",
        "bench topo --only d=30 --pairs 1",
        "data list",
        "doctor",
    ];
    for command in commands {
        if command == "report --runs ." {
            // The scoreboard looks two levels deep: runs/<method>/<run>.
            std::fs::create_dir(sandbox.path("topo")).unwrap();
            std::fs::rename(sandbox.path("smoke"), sandbox.path("topo/smoke")).unwrap();
            let score = sandbox.expect(0, &["report", "--runs", ".", "--json"]).json();
            assert_eq!(score[0]["schema"], "backstitch/verdict/2");
            std::fs::rename(sandbox.path("topo/smoke"), sandbox.path("smoke")).unwrap();
            continue;
        }
        let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let value = sandbox.expect(0, &arguments).json();
        assert!(value.is_object() || value.is_array(), "{command}: {value}");
    }
    // Several documents are one per line.
    let lines = sandbox
        .expect(0, &["reproduce", "topo", "topo", "--scale", "smoke", "--set", "settings=[]", "--json"])
        .stdout;
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

/// What is data does not depend on where the talk goes, and a success without data leaves standard output empty.
#[test]
fn talk_is_on_standard_error() {
    let sandbox = Sandbox::new();
    sandbox.write("chain.csv", CHAIN);
    let outcome = sandbox.expect(0, &["run", "topo", "--data", "chain.csv"]);
    assert!(outcome.stdout.starts_with("from,to,weight\n"));
    assert!(outcome.stdout.lines().all(|line| line.split(',').count() == 3), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("KKT point: "));
    for arguments in [vec!["show", "nothing"], vec!["run", "topo", "--data", "absent.csv"], vec!["lst"]] {
        let outcome = sandbox.expect(2, &arguments);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
    }
}

/// Without a terminal there is no colour, whether or not NO_COLOR says so ([`Outcome::of`] looks for escape codes).
#[test]
fn no_terminal_no_escape_codes() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &["reproduce", "topo", "--scale", "smoke", "--out", "runs/topo/smoke"]);
    for arguments in
        [vec!["--help"], vec!["report"], vec!["lst"], vec!["compare", "runs/topo/smoke", "runs/topo/smoke"]]
    {
        let mut command = sandbox.command(&arguments);
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        Outcome::of(command.output().unwrap());
    }
}

/// `| head -1` and `2>&1 | head -1`: no panic, and no error but the reader's.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_backstitch");
    sandbox.expect(0, &["reproduce", "topo", "--scale", "smoke", "--out", "smoke"]);
    let commands = [
        ("list", "0"),
        ("completions zsh", "0"),
        ("man", "0"),
        ("--help", "0"),
        ("show topo", "0"),
        ("report smoke", "0"),
        ("report smoke --json", "0"),
        ("run topo", "2"),
        ("report nowhere", "2"),
        ("reproduce topo --scale smoke --set settings=[]", "0"),
    ];
    for (arguments, code) in commands {
        for joined in ["", "2>&1"] {
            // The reader is gone before the first word, and says so by making the file `gone`.
            let script = format!(
                "mkfifo pipe; (: < pipe; : > gone) & exec 3> pipe; while [ ! -e gone ]; do :; done; \
                 if [ -n '{joined}' ]; then '{program}' {arguments} >&3 2>&3; else '{program}' {arguments} >&3; fi; \
                 echo $? > code; rm -f pipe gone"
            );
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).current_dir(sandbox.path("")).env("HOME", sandbox.path(""));
            let outcome = Outcome::of(shell.stdin(Stdio::null()).output().unwrap());
            assert_eq!(sandbox.read("code").trim(), code, "{arguments} {joined}: {outcome:?}");
        }
    }
}
