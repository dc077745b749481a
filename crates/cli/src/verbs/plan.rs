//! `backstitch plan`: the cells of studies as a workflow of `backstitch cell`.

use std::collections::BTreeMap;

use crate::arguments::{Common, Plan, PlanFormat};
use crate::failure::{EXIT_DONE, Failure};
use crate::{terminal, verbs};

pub(crate) fn execute(plan: &Plan, common: &Common) -> Result<i32, Failure> {
    if plan.methods.len() > 1 && plan.design.out.is_some() {
        return Err(Failure::input(
            "--out names the directory of one run, but several methods were asked for",
        ));
    }
    // Run directory → cell → the cells it needs.
    let mut runs: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let mut threads = 1;
    for name in &plan.methods {
        let method = verbs::method(name)?;
        let run = verbs::reproduce::resolve(method, &plan.design, common, None)?;
        let (directory, _guard) = verbs::reproduce::open(&run, &plan.design)?;
        threads = run.threads;
        let mut cells = BTreeMap::new();
        for cell in run.cells(method.study)? {
            let id = cell.id();
            let without =
                run.missing_data(&cell).is_some() || cell.needs.iter().any(|need| !cells.contains_key(need));
            if !without {
                cells.insert(id, cell.needs);
            }
        }
        let path = directory
            .path()
            .to_str()
            .ok_or_else(|| Failure::input("the run directory has a name that is not UTF-8"))?;
        runs.insert(path.to_owned(), cells);
    }
    let PlanFormat::Snakemake = plan.format;
    terminal::print(&snakefile(&runs, threads)?)?;
    for run in runs.keys() {
        terminal::say(format_args!("planned: {run}"));
    }
    Ok(EXIT_DONE)
}

fn snakefile(
    runs: &BTreeMap<String, BTreeMap<String, Vec<String>>>,
    threads: usize,
) -> Result<String, Failure> {
    // A JSON object of strings and lists is also a Python literal.
    let table = serde_json::to_string_pretty(runs).map_err(Failure::internal)?;
    Ok(format!(
        r#"# Made by `backstitch plan`. Run it with `snakemake --cores N` where the run directories are.
# Another binary: `snakemake --config backstitch=/path/to/backstitch`.
import re

BACKSTITCH = config.get("backstitch", "backstitch")

# Run directory -> cell -> the cells it needs.
RUNS = {table}


def result(run, cell):
    return f"{{run}}/cells/{{cell}}/result.json"


wildcard_constraints:
    run="|".join(re.escape(run) for run in RUNS),
    cell="[a-z0-9.-]+",


rule all:
    input:
        [f"{{run}}/verdict.json" for run in RUNS],


rule cell:
    input:
        lambda wildcards: [result(wildcards.run, need) for need in RUNS[wildcards.run][wildcards.cell]],
    output:
        "{{run}}/cells/{{cell}}/result.json",
    threads: {threads}
    params:
        backstitch=BACKSTITCH,
    shell:
        "{{params.backstitch}} cell {{wildcards.run:q}} {{wildcards.cell:q}} --threads {{threads}}"


rule verdict:
    input:
        lambda wildcards: [result(wildcards.run, cell) for cell in RUNS[wildcards.run]],
    output:
        "{{run}}/verdict.json",
        "{{run}}/report.html",
    params:
        backstitch=BACKSTITCH,
    shell:
        "{{params.backstitch}} report {{wildcards.run:q}}"
"#
    ))
}
