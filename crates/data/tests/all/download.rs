//! Fetching against a server that fails in every way we know of. Requests are counted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstitch_data::DataDirectory;
use backstitch_data::catalogue::{PublicFile, PublicSet};
use backstitch_data::directory::Holding;
use backstitch_data::download::{DownloadError, DownloadOptions, Progress, download};
use backstitch_data::hash::sha256_of_bytes;

use crate::server::{Answer, Request, Server};

/// 300,000 bytes that look like nothing in particular.
fn content() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A set of one file with that content.
fn set_of(content: &[u8]) -> PublicSet {
    let sha256: &'static str = sha256_of_bytes(content).leak();
    let file = PublicFile {
        path: "some/folder/data.bin",
        origin: "http://origin.invalid/data.bin",
        sha256,
        bytes: content.len() as u64,
    };
    PublicSet {
        name: "some",
        title: "",
        files: Vec::leak(vec![file]),
        licence: "",
        citation: "",
        used_by: &[],
    }
}

struct Place {
    folder: tempfile::TempDir,
    directory: DataDirectory,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = DataDirectory::resolve_in(Some(folder.path()), |_| None).expect("a directory");
        Self { folder, directory }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("some/folder/data.bin")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("some/folder/data.bin.part")
    }

    fn fetch(&self, server: &Server) -> Result<Vec<PathBuf>, DownloadError> {
        self.fetch_with(&options(&server.address))
    }

    fn fetch_with(&self, options: &DownloadOptions) -> Result<Vec<PathBuf>, DownloadError> {
        let file = self.file();
        let before = fs::read(&file).ok();
        download(&set_of(&content()), &self.directory, options, &mut |_| {
            // Whatever is there under its final name while bytes arrive was there before.
            assert_eq!(fs::read(&file).ok(), before);
        })
    }

    #[track_caller]
    fn assert_complete(&self) {
        assert!(fs::read(self.file()).expect("the file") == content());
        assert!(!self.part().exists());
    }

    #[track_caller]
    fn assert_nothing(&self) {
        assert!(!self.file().exists() && !self.part().exists());
    }
}

fn options(mirror: &str) -> DownloadOptions {
    DownloadOptions {
        mirror: Some(mirror.into()),
        first_pause: Duration::from_millis(1),
        ..DownloadOptions::default()
    }
}

fn whole() -> Request {
    Request { path: "/some/folder/data.bin".into(), from: None }
}

fn rest(from: usize) -> Request {
    Request { from: Some(from), ..whole() }
}

#[test]
fn a_set_is_fetched_once() {
    let place = Place::new();
    let server = Server::start(|_, _| Answer::Content(content()));
    let mut seen = Vec::new();
    let mut progress = |progress: Progress| seen.push((progress.received, progress.total));
    let set = set_of(&content());
    let paths = download(&set, &place.directory, &options(&server.address), &mut progress).unwrap();
    assert_eq!(paths, [place.file()]);
    place.assert_complete();
    assert_eq!(seen.first(), Some(&(0, 300_000)));
    assert_eq!(seen.last(), Some(&(300_000, 300_000)));
    assert!(seen.is_sorted());
    place.fetch(&server).unwrap();
    assert_eq!(server.requests(), [whole()], "the second call needs no network");
}

#[test]
fn a_cut_connection_is_continued_where_it_broke() {
    let place = Place::new();
    let server = Server::start(|number, _| match number {
        0 => Answer::Cut(content(), 100_000),
        1 => Answer::Cut(content(), 250_000),
        _ => Answer::Content(content()),
    });
    place.fetch(&server).unwrap();
    place.assert_complete();
    assert_eq!(server.requests(), [whole(), rest(100_000), rest(250_000)]);
}

#[test]
fn a_later_call_continues_an_earlier_one() {
    let place = Place::new();
    let server = Server::start(|number, _| match number {
        0 => Answer::Cut(content(), 100_000),
        _ => Answer::Content(content()),
    });
    let once = DownloadOptions { attempts: 1, ..options(&server.address) };
    let error = place.fetch_with(&once).unwrap_err();
    assert!(error.to_string().contains("(1 attempt, 100000 of 300000 bytes are here)"), "{error}");
    assert!(error.hint().unwrap().contains("it continues where it stopped"));
    assert!(!place.file().exists() && place.part().exists());
    place.fetch_with(&once).unwrap();
    place.assert_complete();
    assert_eq!(server.requests(), [whole(), rest(100_000)]);
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let place = Place::new();
    let server = Server::start(|number, _| match number {
        0 => Answer::Cut(content(), 100_000),
        _ => Answer::Whole(content()),
    });
    place.fetch(&server).unwrap();
    place.assert_complete();
    assert_eq!(server.requests(), [whole(), rest(100_000)]);
}

#[test]
fn a_server_that_refuses_ranges_is_asked_for_the_whole() {
    let place = Place::new();
    let server = Server::start(|number, request| match (number, request.from) {
        (0, _) => Answer::Cut(content(), 100_000),
        (_, Some(_)) => Answer::Status(416, None),
        (_, None) => Answer::Content(content()),
    });
    place.fetch(&server).unwrap();
    place.assert_complete();
    assert_eq!(server.requests(), [whole(), rest(100_000), whole()]);
}

#[test]
fn wrong_bytes_are_refused_and_removed() {
    let place = Place::new();
    let mut wrong = content();
    wrong[1234] ^= 1;
    let found = sha256_of_bytes(&wrong);
    let server = Server::start(move |_, _| Answer::Content(wrong.clone()));
    let error = place.fetch(&server).unwrap_err();
    let expected = sha256_of_bytes(&content());
    let url = format!("{}/some/folder/data.bin", server.address);
    assert_eq!(error.to_string(), format!("{url} has SHA-256 {found} where {expected} is expected"));
    place.assert_nothing();
    assert_eq!(server.requests().len(), 1, "other bytes are not fetched again and again");
}

#[test]
fn a_wrong_beginning_does_not_spoil_a_good_server() {
    let place = Place::new();
    fs::create_dir_all(place.part().parent().unwrap()).unwrap();
    for length in [1000, 300_000, 400_000] {
        fs::write(place.part(), vec![7; length]).unwrap();
        let server = Server::start(|_, _| Answer::Content(content()));
        place.fetch(&server).unwrap();
        place.assert_complete();
        assert_eq!(server.requests().last(), Some(&whole()));
        fs::remove_file(place.file()).unwrap();
    }
}

#[test]
fn another_size_is_refused_before_it_is_received() {
    let place = Place::new();
    let server = Server::start(|_, _| Answer::Content(vec![0; 300_001]));
    let error = place.fetch(&server).unwrap_err();
    assert!(error.to_string().ends_with(" has 300001 bytes where 300000 are expected"), "{error}");
    assert!(!place.file().exists());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_unannounced_body_is_taken_up_to_its_published_size() {
    let place = Place::new();
    let server = Server::start(|_, _| Answer::Unannounced([content(), vec![0; 1_000_000]].concat()));
    let error = place.fetch(&server).unwrap_err();
    assert!(matches!(error, DownloadError::WrongSize { expected: 300_000, .. }), "{error}");
    assert!(!place.file().exists());
    assert!(fs::metadata(place.part()).unwrap().len() == 0, "nothing is left to continue");
    let server = Server::start(|_, _| Answer::Unannounced(content()));
    place.fetch(&server).unwrap();
    place.assert_complete();
}

#[test]
fn a_missing_file_is_not_asked_for_again() {
    let place = Place::new();
    let server = Server::start(|_, _| Answer::Status(404, None));
    let error = place.fetch(&server).unwrap_err();
    assert!(error.to_string().ends_with("was answered with status 404 (1 attempt)"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(server.requests(), [whole()]);
    assert!(!place.file().exists());
}

#[test]
fn a_busy_server_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let place = Place::new();
        let server = Server::start(move |number, _| match number {
            0 => Answer::Status(status, None),
            1 => Answer::Status(status, Some("0")),
            _ => Answer::Content(content()),
        });
        place.fetch(&server).unwrap();
        place.assert_complete();
        assert_eq!(server.requests().len(), 3, "{status}");
    }
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let place = Place::new();
    let server = Server::start(|_, _| Answer::Status(503, None));
    let error = place.fetch(&server).unwrap_err();
    assert!(error.to_string().ends_with("was answered with status 503 (5 attempts)"), "{error}");
    assert_eq!(error.hint().unwrap(), "run the same command again later");
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_closed_connection_is_tried_again() {
    let place = Place::new();
    let server = Server::start(|number, _| match number {
        0 => Answer::Nothing,
        _ => Answer::Content(content()),
    });
    place.fetch(&server).unwrap();
    place.assert_complete();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_stalled_connection_is_given_up_and_continued() {
    let place = Place::new();
    let server = Server::start(|number, _| match number {
        0 => Answer::Stalled(content(), Duration::from_secs(60)),
        _ => Answer::Content(content()),
    });
    let options = DownloadOptions { read_timeout: Duration::from_secs(2), ..options(&server.address) };
    place.fetch_with(&options).unwrap();
    place.assert_complete();
    assert_eq!(server.requests(), [whole(), rest(150_000)]);
}

#[test]
fn the_total_time_is_bounded() {
    let place = Place::new();
    let server = Server::start(|_, _| Answer::Stalled(content(), Duration::from_secs(60)));
    let options = DownloadOptions { total_timeout: Duration::from_secs(1), ..options(&server.address) };
    let error = place.fetch_with(&options).unwrap_err();
    assert!(matches!(error, DownloadError::Connection { .. }), "{error}");
    assert_eq!(server.requests().len(), 1);
    assert!(!place.file().exists());
}

#[test]
fn what_cannot_succeed_is_not_repeated() {
    // A port nobody listens on: bound, and closed again.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let place = Place::new();
    for mirror in [address.as_str(), "no address"] {
        let error = place.fetch_with(&options(mirror)).unwrap_err();
        assert!(matches!(error, DownloadError::Connection { attempts: 1, .. }), "{error}");
    }
}

#[test]
fn a_corrupt_file_is_replaced() {
    let place = Place::new();
    fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    fs::write(place.file(), b"spoiled").unwrap();
    let set = set_of(&content());
    assert!(matches!(place.directory.find(&set), Ok(Holding::Corrupt { .. })));
    let server = Server::start(|_, _| Answer::Content(content()));
    place.fetch(&server).unwrap();
    place.assert_complete();
    assert_eq!(place.directory.find(&set).unwrap(), Holding::Found { paths: vec![place.file()] });
}

#[test]
fn two_processes_do_not_write_the_same_part() {
    let place = Place::new();
    fs::create_dir_all(place.part().parent().unwrap()).unwrap();
    let other = File::create(place.part()).unwrap();
    other.lock().unwrap();
    let server = Server::start(|_, _| Answer::Content(content()));
    let error = place.fetch(&server).unwrap_err();
    assert!(error.to_string().ends_with("data.bin.part is being written by another process"), "{error}");
    assert!(server.requests().is_empty());
    drop(other);
    place.fetch(&server).unwrap();
    place.assert_complete();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, b"").unwrap();
    let directory = DataDirectory::resolve_in(Some(Path::new(&blocked)), |_| None).unwrap();
    let server = Server::start(|_, _| Answer::Content(content()));
    let error =
        download(&set_of(&content()), &directory, &options(&server.address), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("blocked"), "{error}");
    assert!(server.requests().is_empty());
}
