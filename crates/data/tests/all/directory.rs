//! Where data is looked for, and what is said when it is not there.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use backstitch_data::DataDirectory;
use backstitch_data::catalogue::public_set;
use backstitch_data::directory::{DirectoryError, Holding};

fn resolve(explicit: Option<&str>, variables: &[(&str, &str)]) -> Result<DataDirectory, DirectoryError> {
    DataDirectory::resolve_in(explicit.map(Path::new), |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[track_caller]
fn assert_root(explicit: Option<&str>, variables: &[(&str, &str)], expected: &str) {
    assert_eq!(resolve(explicit, variables).expect("a directory").root(), Path::new(expected));
}

#[cfg(unix)]
#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_user() {
    let all = [("BACKSTITCH_DATA", "/environment"), ("XDG_DATA_HOME", "/xdg"), ("HOME", "/home/u")];
    assert_root(Some("/explicit"), &all, "/explicit");
    assert_root(None, &all, "/environment");
    assert_root(None, &all[1..], "/xdg/backstitch");
    assert_root(None, &all[2..], "/home/u/.local/share/backstitch");
    assert_root(
        None,
        &[("BACKSTITCH_DATA", ""), ("XDG_DATA_HOME", "relative"), all[2]],
        "/home/u/.local/share/backstitch",
    );
    assert!(resolve(Some("here"), &[]).unwrap().root().is_absolute());
}

#[test]
fn a_relative_variable_is_refused() {
    let error = resolve(None, &[("BACKSTITCH_DATA", "data"), ("HOME", "/home/u")]).unwrap_err();
    assert_eq!(error.to_string(), "BACKSTITCH_DATA is data, which is not an absolute path");
    assert_eq!(error.hint().unwrap(), "write the path from the root; runs start in many folders");
}

#[test]
fn without_any_name_there_is_no_directory() {
    let error = resolve(None, &[]).unwrap_err();
    assert_eq!(error.to_string(), "no data directory is named, and the user's data folder is unknown");
    assert!(error.hint().unwrap().contains("--data-dir"));
}

#[test]
fn a_missing_set_is_an_error_only_where_it_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let sachs = public_set("sachs").unwrap();
    let relaxed = resolve(Some(root), &[("BACKSTITCH_REQUIRE_DATA", "0")]).unwrap();
    assert_eq!(relaxed.files_of(sachs).unwrap(), None);
    match relaxed.find(sachs).unwrap() {
        Holding::Missing { file, hint } => {
            assert!(file.ends_with("causal/sachs/sachs.2005.continuous.txt"), "{}", file.display());
            assert_eq!(hint, "backstitch data get sachs");
        }
        other => panic!("{other:?}"),
    }
    let strict = resolve(Some(root), &[("BACKSTITCH_REQUIRE_DATA", "1")]).unwrap();
    let error = strict.files_of(sachs).unwrap_err();
    assert!(error.to_string().starts_with("the data set sachs is missing: "), "{error}");
    assert_eq!(error.hint().unwrap(), "backstitch data get sachs");
}

#[test]
fn another_content_is_named_with_both_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let sachs = public_set("sachs").unwrap();
    let directory = resolve(Some(folder.path().to_str().unwrap()), &[]).unwrap();
    let first = directory.path_of(&sachs.files[0]);
    fs::create_dir_all(first.parent().unwrap()).unwrap();
    fs::write(&first, b"").unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(
        directory.find(sachs).unwrap(),
        Holding::Corrupt { file: first.clone(), expected: sachs.files[0].sha256.into(), found: empty.into() }
    );
    let error = directory.files_of(sachs).unwrap_err();
    assert!(error.to_string().ends_with(&format!("{empty} where {} is expected", sachs.files[0].sha256)));
    // Bytes that only start like gzip are corrupt, not unreadable.
    fs::write(&first, [0x1f, 0x8b, 1, 2]).unwrap();
    assert!(matches!(directory.find(sachs), Ok(Holding::Corrupt { .. })), "{:?}", directory.find(sachs));
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    assert!(matches!(directory.find(sachs), Err(DirectoryError::Read { .. })));
}
