//! What every verb says: its help, a success, and its likeliest mistakes.

use crate::sandbox::{SHORT_DAGMA, Sandbox};
use crate::snapshot::session;

/// A chain a → b → c with a little noise that needs no generator.
pub(crate) const CHAIN: &str = "a,b,c\n0.3,0.5,1.2\n-1.1,-1.4,-1.0\n0.7,1.9,2.1\n1.6,1.1,0.6\n-0.4,-0.2,-1.3\n\
                                -0.9,-0.3,0.4\n0.2,-0.7,-0.9\n1.3,2.2,3.0\n-1.7,-1.2,-2.2\n0.1,0.6,-0.1\n";

/// A chain a → b → c with enough rows to be cut into one part per seed.
pub(crate) fn long_chain() -> String {
    let mut stream = backstitch_numerics::Stream::new(0, "a file of the user's");
    let mut text = String::from("a,b,c\n0.3,0.5,1.2\n");
    for _ in 1..240 {
        let a = stream.normal();
        let b = a + stream.normal();
        text.push_str(&format!("{a:.3},{b:.3},{:.3}\n", b + stream.normal()));
    }
    text
}

#[test]
fn program() {
    let commands = ["--help", "--version", "", "reprduce topo", "list topo", "--threads 0 list"];
    session("program", &Sandbox::new(), &[], &commands);
}

#[test]
fn list() {
    let commands = [
        "list --help",
        "list --family statistics",
        "list --built",
        "list --built --json",
        "list --family statistic",
        "list --buildt",
        "list --family",
    ];
    session("list", &Sandbox::new(), &[], &commands);
    let all = Sandbox::new().expect(0, &["list"]);
    assert_eq!(all.stdout.lines().count(), 54);
}

#[test]
fn show() {
    let commands = [
        "show --help",
        "show topo",
        "show topo --bibtex",
        "show fobar",
        "show tpo",
        "show fobar --bibtex",
        "show",
    ];
    session("show", &Sandbox::new(), &[], &commands);
}

#[test]
fn run() {
    let sandbox = Sandbox::new();
    sandbox.write("chain.csv", CHAIN);
    sandbox.write("truth.csv", "from,to\na,b\nb,c\n");
    sandbox.write("order.csv", "c\nb\na\n");
    sandbox.write("text.csv", "a,b\n1,2\n3,four\n");
    let commands = [
        "run --help",
        "run topo --help",
        "run topo --data chain.csv",
        "run topo --data chain.csv --truth truth.csv --start order.csv --out graph",
        "run topo --data chian.csv",
        "run topo --data text.csv",
        "run topo chain.csv",
        "run topo --data chain.csv --threshold -1",
        "run topo --data chain.csv --start truth.csv",
        "run textgrad",
    ];
    session("run_topo", &sandbox, &[], &commands);
}

#[test]
fn reproduce() {
    let sandbox = Sandbox::new();
    let commands = [
        "reproduce --help",
        "reproduce topo --scale smoke --jobs 1",
        "reproduce topo --scale smoke --jobs 1 --seeds 3 -v --set settings=[] --out none",
        "reproduce tpo",
        "reproduce topo --set rows=500",
        "reproduce topo --scale smoke --set settings=3",
        "reproduce topo --scale large",
        "reproduce topo --scale smoke --set threshold=0.5 --out none",
        "reproduce topo --scale smoke --record results",
        "reproduce topo --data absent.csv",
    ];
    session("reproduce", &sandbox, &[], &commands);
}

#[test]
fn report_and_compare() {
    let sandbox = Sandbox::new();
    sandbox.write("own.csv", long_chain());
    let arguments = ["reproduce", "topo", "--data", "own.csv", "--seeds", "5", "--out", "runs/topo/own"];
    sandbox.expect(0, &[&arguments[..], &SHORT_DAGMA].concat());
    sandbox.expect(0, &["reproduce", "topo", "--scale", "smoke", "--out", "runs/topo/smoke"]);
    let commands = [
        "report --help",
        "report runs/topo/smoke",
        "report",
        "report runs/topo",
        "report --runs elsewhere",
        "report runs/topo/smoke runs/topo/own",
    ];
    session("report", &sandbox, &[], &commands);
    let page = sandbox.read("runs/scoreboard.html");
    assert!(page.contains("href=\"topo/own/report.html\"") || page.contains("href='topo/own/report.html'"));

    sandbox
        .write("other.json", sandbox.read("runs/topo/smoke/verdict.json").replace("\"topo\"", "\"other\""));
    let commands = [
        "compare --help",
        "compare runs/topo/smoke runs/topo/smoke/verdict.json",
        "compare runs/topo/smoke",
        "compare runs/topo/smoke runs/absent",
        "compare runs/topo/smoke runs/topo/smoke/run.json",
        "compare runs/topo/smoke other.json",
    ];
    session("compare", &sandbox, &[], &commands);
    let text = sandbox.expect(0, &["compare", "runs/topo/smoke", "runs/topo/own"]).stdout;
    assert!(text.contains("! fast-score-is-exact"), "a changed verdict is marked: {text}");
}

#[test]
fn bench() {
    let sandbox = Sandbox::new();
    let commands = [
        "bench --help",
        "bench topo --only d=30 --pairs 1",
        "bench tpo",
        "bench topo --only d=31",
        "bench topo --pairs 0",
    ];
    session("bench", &sandbox, &[], &commands);
}

#[test]
fn plan_and_cell() {
    let sandbox = Sandbox::new();
    let commands = [
        "plan --help",
        "plan topo --scale smoke --set settings=[]",
        "plan",
        "plan topo --format make",
        "plan tpo",
    ];
    session(
        "plan",
        &sandbox,
        &[("threads: 1\n", "threads: [THREADS]\n"), ("threads: 2\n", "threads: [THREADS]\n")],
        &commands,
    );
    sandbox.expect(0, &["plan", "topo", "--scale", "smoke", "--out", "planned"]);
    let commands = [
        "cell --help",
        "cell planned topo.er2.0",
        "cell planned topo.er2.0",
        "cell planned topo.er2.7",
        "cell planned random-restarts.er2.1",
        "cell planned topo.sachs.0",
        "cell runs topo.er2.0",
        "cell planned",
    ];
    session("cell", &sandbox, &[], &commands);
}

#[test]
fn data() {
    let sandbox = Sandbox::new();
    let commands = [
        "data --help",
        "data list --help",
        "data get --help",
        "data list",
        "data get sach",
        "data get",
        "data get sachs --origin http://127.0.0.1:9/",
        "data get sachs --origin elsewhere",
    ];
    session("data", &sandbox, &[], &commands);
}

#[test]
fn doctor() {
    let sandbox = Sandbox::new();
    let json = sandbox.expect(0, &["doctor", "--json"]).json();
    let said = |key: &str| json["provenance"][key].as_str().unwrap().to_owned();
    let cores = format!("{} cores", json["provenance"]["cores"]);
    let (cpu, system, commit, toolchain) = (said("cpu"), said("system"), said("commit"), said("toolchain"));
    let secrets = [
        (cpu.as_str(), "[CPU]"),
        (cores.as_str(), "[CORES]"),
        (system.as_str(), "[SYSTEM]"),
        (commit.as_str(), "[COMMIT]"),
        (toolchain.as_str(), "[TOOLCHAIN]"),
    ];
    session(
        "doctor",
        &sandbox,
        &secrets,
        &["doctor --help", "doctor", "doctor topo", "doctor --jsn", "docter"],
    );
}

#[test]
fn completions() {
    let sandbox = Sandbox::new();
    let commands = ["completions --help", "completions", "completions tcsh", "completions bash zsh"];
    session("completions", &sandbox, &[], &commands);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = sandbox.expect(0, &["completions", shell]).stdout;
        for word in ["reproduce", "neighbourhood", "scale", "topo"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn man() {
    let sandbox = Sandbox::new();
    session("man", &sandbox, &[], &["man --help", "man reproduc", "man run tpo", "man --page run"]);
    let page = sandbox.expect(0, &["man"]).stdout;
    assert!(page.contains(".TH backstitch 1"));
    for verb in
        ["list", "show", "run", "reproduce", "report", "compare", "bench", "plan", "cell", "data", "doctor"]
    {
        assert!(page.contains(&format!("backstitch\\-{verb}(1)")), "{verb} is not on the page");
        let page = sandbox.expect(0, &["man", verb]).stdout;
        assert!(
            page.contains(&format!(".TH backstitch-{verb} 1"))
                || page.contains(&format!(".TH backstitch\\-{verb} 1")),
            "{page}"
        );
        assert!(!page.contains("die\\-with\\-parent"), "{verb} shows a hidden option");
    }
}
