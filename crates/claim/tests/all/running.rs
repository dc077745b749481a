//! Runs: what names them, what continues them, what they refuse.

use std::collections::BTreeMap;
use std::fs;

use backstitch_claim::run::claims_hash;
use backstitch_claim::{
    Cell, Choices, Claim, DataSource, Run, RunDirectory, Scale, Study, Verdict, harness, report, results,
};

use crate::toy::{CLAIM, STUDY};

fn resolve(choices: Choices) -> Run {
    Run::resolve(&STUDY, Scale::Quick, choices).unwrap()
}

fn finished(run: &Run, directory: &RunDirectory) {
    directory.open(run).unwrap();
    for cell in run.cells(&STUDY).unwrap() {
        harness::run_cell(&STUDY, directory, &cell.id()).unwrap();
    }
}

#[test]
fn the_key_is_of_revision_configuration_and_data_not_of_seeds_or_threads() {
    let plain = resolve(Choices::default());
    let set =
        |key: &str, value: &str| Choices { set: vec![(key.into(), value.into())], ..Choices::default() };
    assert_eq!(
        plain.key,
        resolve(Choices { seeds: Some(9), threads: 7, first_seed: 1000, ..Choices::default() }).key
    );
    assert_ne!(plain.key, resolve(set("size", "11")).key);
    let source = |sha256: &str| DataSource {
        name: "toy-set".into(),
        path: None,
        sha256: Some(sha256.into()),
        hint: String::new(),
    };
    let with = |hash| resolve(Choices { data: vec![source(hash)], ..Choices::default() }).key;
    assert_ne!(with("aa"), with("bb"));
    let revised = Study { history: &["first", "second"], ..STUDY };
    assert_ne!(plain.key, Run::resolve(&revised, Scale::Quick, Choices::default()).unwrap().key);
    assert_ne!(plain.key, Run::resolve(&STUDY, Scale::Paper, Choices::default()).unwrap().key);
}

#[test]
fn only_the_recorded_configuration_is_called_recorded() {
    assert!(resolve(Choices::default()).recorded);
    assert!(!resolve(Choices { seeds: Some(6), ..Choices::default() }).recorded);
    assert!(!resolve(Choices { first_seed: 1000, ..Choices::default() }).recorded);
    assert!(!resolve(Choices { set: vec![("size".into(), "10".into())], ..Choices::default() }).recorded);
}

#[test]
fn a_set_changes_an_existing_key_only() {
    let run = resolve(Choices { set: vec![("nested.rate".into(), "0.5".into())], ..Choices::default() });
    assert_eq!(run.configuration["nested"]["rate"], 0.5);
    let wrong = Choices { set: vec![("sise".into(), "1".into())], ..Choices::default() };
    let error = Run::resolve(&STUDY, Scale::Quick, wrong).unwrap_err();
    assert_eq!(error.to_string(), "`sise` is not a key of this configuration; it has nested, size");
}

#[test]
fn the_claims_hash_moves_with_every_frozen_thing() {
    const OTHER: &[Claim] = &[Claim { margin: 0.4, ..CLAIM }];
    let hash = |study: &Study| claims_hash(study, Scale::Quick);
    let first = hash(&STUDY);
    assert_eq!(first, hash(&STUDY));
    for changed in [
        Study { claims: OTHER, ..STUDY },
        Study { seeds: 6, ..STUDY },
        Study { arms: &STUDY.arms[..2], ..STUDY },
        Study { history: &["first", "second"], ..STUDY },
        Study { configuration: |_| serde_json::json!({"size": 12}), ..STUDY },
    ] {
        assert_ne!(first, hash(&changed));
    }
}

#[test]
fn a_finished_run_is_judged_shown_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let run = resolve(Choices::default());
    let directory = RunDirectory::of(&run, folder.path(), None, false);
    assert_eq!(directory.path(), folder.path().join("topo").join(format!("quick-{}", run.key)));
    finished(&run, &directory);
    let verdict = directory.conclude(&STUDY, &run, &BTreeMap::new()).unwrap();
    assert_eq!(verdict.claims[0].verdict, Verdict::Holds);
    assert_eq!(verdict, directory.read_verdict().unwrap());
    assert_eq!(verdict.observations.len(), 15);
    assert_eq!((verdict.data.len(), verdict.data[0].synthetic), (1, true));

    let path =
        results::record(&folder.path().join("results"), &run, &verdict, std::time::Duration::from_secs(3))
            .unwrap();
    let recorded = results::read(&path).unwrap();
    assert_eq!(recorded.verdict.claims, verdict.claims);
    assert_eq!(recorded.wall_seconds, 3.0);
}

#[test]
fn a_directory_of_another_configuration_is_refused_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let first = resolve(Choices::default());
    RunDirectory::of(&first, folder.path(), Some(&out), false).open(&first).unwrap();
    let second = resolve(Choices { set: vec![("size".into(), "11".into())], ..Choices::default() });
    let error = RunDirectory::of(&second, folder.path(), Some(&out), false).open(&second).unwrap_err();
    assert!(error.to_string().ends_with("size is 10 there and 11 here"), "{error}");

    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/thesis.tex"), "precious").unwrap();
    let error = RunDirectory::of(&first, folder.path(), Some(&folder.path().join("full")), false)
        .open(&first)
        .unwrap_err();
    assert!(error.to_string().ends_with("it has files, but no run.json"), "{error}");
}

#[test]
fn a_fresh_run_gets_a_number_and_is_then_the_one_that_continues() {
    let folder = tempfile::tempdir().unwrap();
    let run = resolve(Choices::default());
    let of = |fresh| RunDirectory::of(&run, folder.path(), None, fresh);
    let first = of(true);
    first.open(&run).unwrap();
    let second = of(true);
    second.open(&run).unwrap();
    assert_eq!(second.path().to_str().unwrap(), format!("{}-2", first.path().display()));
    assert_eq!(of(false).path(), second.path());
}

#[test]
fn a_failing_cell_says_why_and_leaves_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let run = resolve(Choices { set: vec![("size".into(), "13".into())], ..Choices::default() });
    let directory = RunDirectory::of(&run, folder.path(), None, false);
    directory.open(&run).unwrap();
    let id = Cell::new("ours", "easy", 0).id();
    let error = harness::run_cell(&STUDY, &directory, &id).unwrap_err();
    assert_eq!(error.to_string(), "13 is an unlucky size");
    assert!(directory.cell_result(&id).is_none());
    assert!(
        harness::run_cell(&STUDY, &directory, "ours.easy.99")
            .unwrap_err()
            .to_string()
            .contains("has no cell")
    );
}

#[test]
fn a_result_cut_short_counts_as_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let run = resolve(Choices::default());
    let directory = RunDirectory::of(&run, folder.path(), None, false);
    finished(&run, &directory);
    let id = Cell::new("ours", "easy", 0).id();
    let path = directory.cell_folder(&id).join("result.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(directory.cell_result(&id).is_none());
    harness::run_cell(&STUDY, &directory, &id).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn two_processes_cannot_hold_one_directory() {
    let folder = tempfile::tempdir().unwrap();
    let run = resolve(Choices::default());
    let directory = RunDirectory::of(&run, folder.path(), None, false);
    directory.open(&run).unwrap();
    let guard = directory.lock().unwrap();
    assert!(directory.lock().is_err());
    drop(guard);
    directory.lock().unwrap();
}

#[test]
fn the_scoreboard_escapes_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let run = resolve(Choices::default());
    let directory = RunDirectory::of(&run, folder.path(), None, false);
    finished(&run, &directory);
    let mut verdict = directory.conclude(&STUDY, &run, &BTreeMap::new()).unwrap();
    verdict.claims[0].sentence = "<script>alert(1)</script>".into();
    let page = report::scoreboard(&[report::ScoreRow { verdict, link: Some("a\"b".into()), stale: true }]);
    assert!(
        !page.contains("<script")
            && page.contains("&lt;script&gt;")
            && page.contains("a&quot;b")
            && page.contains("stale")
    );
}
