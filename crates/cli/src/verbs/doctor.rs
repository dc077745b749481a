//! `backstitch doctor`: what this machine and this build have.

use backstitch_studies::METHODS;
use serde_json::json;

use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::{data_sets, provenance, terminal};

pub(crate) fn execute(common: &Common) -> Result<i32, Failure> {
    let here = provenance::here();
    let methods: Vec<&str> = METHODS.iter().map(|method| method.study.method).collect();
    let directory = data_sets::directory(common)?;
    let sets: Vec<(&str, bool)> = data_sets::state(&directory);
    let python = python();
    if common.json {
        let sets: Vec<_> = sets.iter().map(|(name, there)| json!({"name": name, "there": there})).collect();
        terminal::print_json(&json!({
            "provenance": here, "methods": methods, "data_directory": directory.root(), "data": sets, "python": python,
        }))?;
        return Ok(EXIT_DONE);
    }
    let there = |there: bool| if there { "there" } else { "not there" };
    let mut text = format!(
        "backstitch      {} (commit {}, {})\nmachine         {}, {} cores, {}\nmethods         {}\ndata directory  {}\n",
        here.version,
        here.commit,
        here.toolchain,
        here.cpu,
        here.cores,
        here.system,
        methods.join(", "),
        directory.root().display(),
    );
    let names = sets.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, state) in sets {
        text.push_str(&format!("  {name:names$} {}\n", there(state)));
    }
    text.push_str(&format!(
        "python          {} (only for the peers of `bench`)\n",
        python.as_deref().unwrap_or("not there")
    ));
    terminal::print(&text)?;
    Ok(EXIT_DONE)
}

fn python() -> Option<String> {
    let output = std::process::Command::new("python3").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}
