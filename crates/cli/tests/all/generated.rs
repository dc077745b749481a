//! Files that are generated from the code and the evidence: stale ones fail here.
//!
//! `BACKSTITCH_UPDATE=1 cargo test -p backstitch --test all generated` writes them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use backstitch_claim::bench::{BenchFile, Side};
use backstitch_claim::judge::check_declarations;
use backstitch_claim::report::number;
use backstitch_claim::results::{Results, read};
use backstitch_claim::run::claims_hash;
use backstitch_claim::shelf::{Entry, Family, SHELF, State};
use backstitch_claim::{Judgement, Observation, Scale, Verdict};
use backstitch_studies::bench::FLOORS;
use backstitch_studies::{METHODS, Method};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file of the repository with what it should be, or writes it if asked to.
fn hold(path: &str, expected: &str) {
    let file = root().join(path);
    if std::env::var_os("BACKSTITCH_UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is stale; `BACKSTITCH_UPDATE=1 cargo test -p backstitch --test all generated` writes it anew"
    );
}

fn evidence(method: &Method, scale: Scale) -> Option<Results> {
    let file = root().join("results").join(method.study.method).join(format!("{}.json", scale.name()));
    file.exists().then(|| read(&file).unwrap())
}

fn bench(name: &str) -> Option<BenchFile> {
    let file = root().join("results").join(name).join("bench.json");
    let text = fs::read_to_string(file).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// `6 hold · 1 fails`, or nothing for a method without evidence.
fn tally(entry: &Entry) -> String {
    let method = METHODS.iter().find(|method| method.study.method == entry.id);
    let Some(results) = method.and_then(|method| evidence(method, Scale::Quick)) else {
        return String::new();
    };
    let count = |verdict| results.verdict.claims.iter().filter(|claim| claim.verdict == verdict).count();
    let parts = [
        (count(Verdict::Holds), "hold"),
        (count(Verdict::Fails), "fail"),
        (count(Verdict::Inconclusive), "inconclusive"),
        (count(Verdict::Vacuous), "vacuous"),
        (count(Verdict::NotRun), "not run"),
    ];
    let words = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    words.collect::<Vec<_>>().join(" · ")
}

fn shelf_table() -> String {
    let mut text =
        String::from("| method | paper | wing | state | claims at quick scale |\n|---|---|---|---|---|\n");
    for entry in SHELF {
        let name = match entry.state {
            State::Planned => entry.id.to_owned(),
            _ => format!("[**{id}**](docs/src/methods/{id}.md)", id = entry.id),
        };
        let (title, arxiv, year) = (entry.title, entry.arxiv, entry.year);
        let (family, state) = (entry.family.name(), entry.state.name());
        writeln!(text, "| {name} | {title}, [{arxiv}](https://arxiv.org/abs/{arxiv}), {year} | {family} | {state} | {} |", tally(entry)).unwrap();
    }
    text
}

#[test]
fn the_shelf_in_the_readme_is_the_shelf() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (begin, end) = ("<!-- shelf: generated -->\n", "<!-- end of shelf -->");
    let (head, rest) = readme.split_once(begin).unwrap();
    let (_, tail) = rest.split_once(end).unwrap();
    hold("README.md", &format!("{head}{begin}{}{end}{tail}", shelf_table()));
}

#[test]
fn the_catalogue_of_the_book_is_the_shelf() {
    let mut text =
        String::from("# Catalogue\n\nGenerated from the shelf. `backstitch list` prints the same.\n");
    let mut family: Option<Family> = None;
    for entry in SHELF {
        if family != Some(entry.family) {
            family = Some(entry.family);
            writeln!(text, "\n## {}\n", entry.family.name()).unwrap();
        }
        let (title, arxiv, state) = (entry.title, entry.arxiv, entry.state.name());
        let name = match entry.state {
            State::Planned => entry.id.to_owned(),
            _ => format!("[{id}](methods/{id}.md)", id = entry.id),
        };
        writeln!(text, "- {name}: {title} ([{arxiv}](https://arxiv.org/abs/{arxiv})), {state}").unwrap();
    }
    hold("docs/src/catalogue.md", &text);
}

#[test]
fn every_method_has_its_page() {
    for method in METHODS {
        hold(&format!("docs/src/methods/{}.md", method.study.method), &page(method));
    }
}

/// What stands under the methods has benches too.
#[test]
fn the_speed_of_the_floors_has_its_page() {
    let mut text = "# Speed of the network floor\n\nGenerated from the evidence of the benches.\n".to_owned();
    for (name, _) in FLOORS {
        writeln!(text, "\n## {name}\n").unwrap();
        timings(&mut text, &bench(name).unwrap());
    }
    hold("docs/src/speed.md", &text);
}

/// The page of a method: from its card, its study and its evidence.
fn page(method: &Method) -> String {
    let (card, study) = (method.card, method.study);
    let entry = card.entry();
    let mut text =
        format!("# {}\n\nGenerated from the card, the study and the evidence of the method.\n\n", entry.id);
    writeln!(
        text,
        "**{}**. {}. arXiv [{a}](https://arxiv.org/abs/{a}), {}.",
        entry.title,
        card.authors,
        entry.year,
        a = entry.arxiv
    )
    .unwrap();
    if let Some(code) = card.official_code {
        writeln!(text, "Official code: {} ({}).", code.repository, code.licence).unwrap();
    }
    writeln!(text, "\n{}\n\n```sh\n{}\n```\n", card.summary, card.example).unwrap();
    writeln!(text, "**When it helps.** {}\n\n**When not to use it.** {}\n", card.helps, card.does_not_help)
        .unwrap();
    writeln!(text, "## Where this differs from the paper\n").unwrap();
    for deviation in card.deviations {
        writeln!(text, "1. {deviation}").unwrap();
    }
    writeln!(text, "\n## What the study found\n").unwrap();
    match evidence(method, Scale::Quick) {
        None => text.push_str("No evidence yet.\n"),
        Some(results) => findings(&mut text, study.revision(), &results),
    }
    writeln!(text, "\n## Beside what you would use today\n").unwrap();
    match bench(study.method) {
        None => text.push_str("No bench yet.\n"),
        Some(bench) => timings(&mut text, &bench),
    }
    if let Some(results) = evidence(method, Scale::Quick) {
        writeln!(text, "\n## Means over seeds").unwrap();
        means(&mut text, method, &results);
    }
    writeln!(text, "\n## Arms\n\n| arm | role | what it does |\n|---|---|---|").unwrap();
    for arm in study.arms {
        writeln!(
            text,
            "| `{}` | {} | {} |",
            arm.name,
            format!("{:?}", arm.role).to_lowercase(),
            cell(arm.description)
        )
        .unwrap();
    }
    writeln!(text, "\n## To cite\n\n```bibtex\n{}```", card.bibtex()).unwrap();
    text
}

fn findings(text: &mut String, revision: usize, results: &Results) {
    let verdict = &results.verdict;
    if verdict.revision != revision {
        writeln!(text, "*Stale: the study has been revised since.*\n").unwrap();
    }
    writeln!(
        text,
        "`{}`, revision {}, {} seeds, {} ({} cores), {:.0} s of cells, commit {}.\n",
        results.command,
        verdict.revision,
        verdict.seeds.len(),
        results.provenance.cpu,
        results.provenance.cores,
        results.wall_seconds,
        results.provenance.commit
    )
    .unwrap();
    writeln!(text, "| claim | verdict | ours, 95 % | wanted | control |\n|---|---|---|---|---|").unwrap();
    for claim in &verdict.claims {
        let reason = claim.reason.as_ref().map(|reason| format!(": {}", cell(reason))).unwrap_or_default();
        let relation = if claim.statistic.starts_with("identity") { "≤" } else { ">" };
        writeln!(
            text,
            "| {} ({}) | **{}** ({}){reason} | {} | {relation} {} | `{}` {} |",
            cell(&claim.sentence),
            cell(&claim.source),
            claim.verdict.name(),
            claim.scope,
            interval(claim),
            number(claim.margin),
            claim.control.arm,
            claim.control.verdict.name()
        )
        .unwrap();
    }
}

/// Text inside a table, where a bar would begin the next column.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Means over seeds, per metric one table: arms down, settings across.
fn means(text: &mut String, method: &Method, results: &Results) {
    for metric in method.study.metrics {
        let of_metric = |observation: &&Observation| observation.measurement.metric == metric.name;
        let observations: Vec<&Observation> = results.verdict.observations.iter().filter(of_metric).collect();
        let settings: BTreeSet<&str> =
            observations.iter().map(|observation| observation.setting.as_str()).collect();
        let heads: String = settings.iter().map(|setting| format!(" {setting} |")).collect();
        let rule = "---|".repeat(settings.len());
        writeln!(text, "\n`{}`: {}\n\n| arm |{heads}\n|---|{rule}", metric.name, metric.description).unwrap();
        for arm in method.study.arms {
            let cells = settings.iter().map(|setting| {
                let here = |observation: &&&Observation| {
                    observation.arm == arm.name && observation.setting == *setting
                };
                let values: Vec<f64> =
                    observations.iter().filter(here).filter_map(|o| o.measurement.value).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                if values.is_empty() { " — |".into() } else { format!(" {} |", number(mean)) }
            });
            let cells: String = cells.collect();
            if cells.contains(|character: char| character.is_ascii_digit()) {
                writeln!(text, "| `{}` |{cells}", arm.name).unwrap();
            }
        }
    }
}

fn interval(claim: &Judgement) -> String {
    match (claim.estimate, claim.lower, claim.upper) {
        (Some(estimate), Some(lower), Some(upper)) => {
            format!("{} [{}, {}]", number(estimate), number(lower), number(upper))
        }
        _ => "—".into(),
    }
}

fn timings(text: &mut String, bench: &BenchFile) {
    writeln!(text, "`backstitch bench {}`: both in turn in one run; times are medians (fastest–slowest), the ratio is the median over pairs of peer ÷ ours.\n", bench.method).unwrap();
    writeln!(text, "| work | ours | peer | ratio | answers |\n|---|---|---|---|---|").unwrap();
    let memory = |bytes: Option<u64>| {
        bytes.map_or("?".into(), |bytes| format!("{:.0} MiB", bytes as f64 / 1_048_576.0))
    };
    for row in &bench.rows {
        let spread = |side: &Side| {
            format!("{} s ({}–{})", number(side.median_s), number(side.min_s), number(side.max_s))
        };
        let ours = format!("{}, {}", spread(&row.ours), memory(row.ours.peak_bytes));
        let peer = row.peer.as_ref().map_or("—".into(), |peer| {
            format!("{} {}: {}, {}", peer.name, peer.version, spread(peer), memory(peer.peak_bytes))
        });
        let ratio =
            row.ratio.map_or("—".into(), |ratio| format!("{}× over {} pairs", number(ratio), row.pairs));
        writeln!(text, "| {} | {ours} | {peer} | {ratio} | {} |", cell(&row.work), cell(&row.note)).unwrap();
    }
}

#[test]
fn the_manual_page_is_that_of_the_program() {
    let output = Command::new(env!("CARGO_BIN_EXE_backstitch")).arg("man").output().unwrap();
    hold("docs/man/backstitch.1", &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn what_is_built_is_on_the_shelf_with_study_card_bench_and_evidence() {
    let built: Vec<&str> =
        SHELF.iter().filter(|entry| entry.state != State::Planned).map(|entry| entry.id).collect();
    let methods: Vec<&str> = METHODS.iter().map(|method| method.study.method).collect();
    assert_eq!(methods, built);
    for method in METHODS {
        let (study, card) = (method.study, method.card);
        assert_eq!(card.id, study.method);
        assert_eq!(check_declarations(study), Vec::<String>::new());
        assert!(card.bibtex().contains(card.entry().arxiv));
        for scale in [Scale::Smoke, Scale::Quick, Scale::Paper] {
            let seeds: Vec<u64> = (0..study.seeds).collect();
            let cells = study.checked_cells(&(study.configuration)(scale), &seeds).unwrap();
            for arm in study.arms {
                assert!(
                    cells.iter().any(|cell| cell.arm == arm.name),
                    "{}: no cell of `{}`",
                    study.method,
                    arm.name
                );
            }
        }
        assert!(root().join("peers").join(format!("{}.py", study.method)).exists());
        let results = evidence(method, Scale::Quick).expect("evidence at quick scale");
        assert!(results.verdict.recorded, "evidence is of the recorded configuration");
        if results.verdict.revision == study.revision() {
            let frozen = claims_hash(study, Scale::Quick);
            assert_eq!(
                results.verdict.claims_hash, frozen,
                "{}: claims changed without a new revision",
                study.method
            );
        }
    }
}
