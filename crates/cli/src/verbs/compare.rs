//! `backstitch compare`: two verdicts side by side.

use std::path::Path;

use backstitch_claim::{Judgement, VerdictFile, report::number};
use serde_json::json;

use crate::arguments::{Common, Compare};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(compare: &Compare, common: &Common) -> Result<i32, Failure> {
    let (left, right) = (read(&compare.left)?, read(&compare.right)?);
    if left.method != right.method {
        return Err(Failure::input(format!("one is of `{}`, the other of `{}`", left.method, right.method)));
    }
    let mut ids: Vec<&str> = left.claims.iter().map(|claim| claim.id.as_str()).collect();
    ids.extend(
        right
            .claims
            .iter()
            .map(|claim| claim.id.as_str())
            .filter(|id| left.claims.iter().all(|claim| claim.id != *id)),
    );
    let pairs: Vec<_> = ids.iter().map(|id| (*id, find(&left, id), find(&right, id))).collect();
    if common.json {
        let rows: Vec<_> =
            pairs.iter().map(|(id, left, right)| json!({"id": id, "left": left, "right": right})).collect();
        terminal::print_json(&json!({"method": left.method, "claims": rows}))?;
        return Ok(EXIT_DONE);
    }
    let mut text = format!("{}\n", left.method);
    for (name, verdict) in [("left", &left), ("right", &right)] {
        text.push_str(&format!(
            "  {name:5}  {} scale, revision {}, {} seeds, claims {}\n",
            verdict.scale.name(),
            verdict.revision,
            verdict.seeds.len(),
            &verdict.claims_hash.get(..12).unwrap_or_default()
        ));
    }
    for (id, left, right) in pairs {
        let changed = left.map(|claim| claim.verdict) != right.map(|claim| claim.verdict);
        text.push_str(&format!("{} {id}\n", if changed { "!" } else { " " }));
        for (name, claim) in [("left", left), ("right", right)] {
            text.push_str(&match claim {
                Some(claim) => {
                    let scope = format!("({})", claim.scope);
                    let line = format!(
                        "    {name:5}  {} {scope:11} {}",
                        terminal::verdict(claim.verdict, 12),
                        numbers(claim)
                    );
                    line.trim_end().to_owned() + "\n"
                }
                None => format!("    {name:5}  absent\n"),
            });
        }
    }
    terminal::print(&text)?;
    Ok(EXIT_DONE)
}

fn numbers(claim: &Judgement) -> String {
    match (claim.estimate, claim.lower, claim.upper) {
        (Some(estimate), Some(lower), Some(upper)) => {
            format!(
                "{} [{}, {}], margin {}",
                number(estimate),
                number(lower),
                number(upper),
                number(claim.margin)
            )
        }
        _ => String::new(),
    }
}

fn find<'a>(verdict: &'a VerdictFile, id: &str) -> Option<&'a Judgement> {
    verdict.claims.iter().find(|claim| claim.id == id)
}

const HINT: &str = "give a run directory, a verdict.json or a file of results/";

/// A verdict from a run directory, its `verdict.json`, or an evidence file.
fn read(path: &Path) -> Result<VerdictFile, Failure> {
    let file = if path.is_dir() { path.join("verdict.json") } else { path.to_path_buf() };
    let bytes = std::fs::read(&file)
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())).hint(HINT))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::input(format!("{} is not a verdict: {error}", file.display())).hint(HINT))
}
