//! Records what the binary is built from: commit and compiler, for `run.json` and `--version`.

use std::process::Command;

fn main() {
    let commit = said_by("git", &["rev-parse", "--short=12", "HEAD"]);
    let dirty = said_by("git", &["status", "--porcelain", "--untracked-files=no"])
        .is_some_and(|text| !text.is_empty());
    let commit = match (commit, dirty) {
        (Some(commit), true) => format!("{commit}-modified"),
        (Some(commit), false) => commit,
        (None, _) => "unknown".into(),
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let toolchain = said_by(&rustc, &["--version"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=BACKSTITCH_COMMIT={commit}");
    println!("cargo::rustc-env=BACKSTITCH_TOOLCHAIN={toolchain}");
    println!("cargo::rerun-if-changed=build.rs");
    for file in ["HEAD", "index"] {
        if let Some(path) = said_by("git", &["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
