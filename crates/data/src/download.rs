//! Fetching a public set into the data directory.
//!
//! Each file is received as `<name>.part` beside its place, continued there if an earlier attempt was cut off, compared
//! with its published hash, and only then given its name: no partial or wrong file is ever visible under it. Nothing
//! is asked of the network for files that are already there and verified. Attempts are repeated where another one can
//! succeed (the server is busy or failing, the connection breaks or stalls), a bounded number of times, and nowhere else.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::catalogue::{PublicFile, PublicSet};
use crate::directory::{DataDirectory, DirectoryError};
use crate::hash::content_sha256_of_file;
use crate::input::counted;

/// Longest pause between attempts, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How to fetch. The default suits a user at a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadOptions {
    /// A mirror to fetch from instead of the origin: the address under which the files lie at their paths in the data
    /// directory.
    pub mirror: Option<String>,
    /// Attempts per file, at least one; 5.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles with each further one; half a second.
    pub first_pause: Duration,
    /// Longest wait for a connection; 30 s.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes; 60 s.
    pub read_timeout: Duration,
    /// Longest time for one file, all attempts together; an hour.
    pub total_timeout: Duration,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            mirror: None,
            attempts: 5,
            first_pause: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(3600),
        }
    }
}

/// How far a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its path in the data directory.
    pub file: &'static str,
    /// Bytes that are here, those of earlier attempts included.
    pub received: u64,
    /// Bytes it has in all.
    pub total: u64,
}

/// Why a set was not fetched. What was received stays in `<name>.part`, except where its content is wrong.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The data directory cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file cannot be written.
    #[error("{} cannot be written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process is fetching the same file.
    #[error("{} is being written by another process", file.display())]
    Busy {
        /// The partial file.
        file: PathBuf,
    },
    /// The server answered with another status than success.
    #[error("{url} was answered with status {status} ({})", counted(*attempts as usize, "attempt"))]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// Attempts made.
        attempts: u32,
    },
    /// The connection failed.
    #[error(
        "{url} could not be received: {reason} ({}, {received} of {total} bytes are here)",
        counted(*attempts as usize, "attempt")
    )]
    Connection {
        /// The address.
        url: String,
        /// What went wrong in the last attempt.
        reason: String,
        /// Attempts made.
        attempts: u32,
        /// Bytes that are here.
        received: u64,
        /// Bytes the file has in all.
        total: u64,
    },
    /// The server has a file of another size.
    #[error("{url} has {found} bytes where {expected} are expected")]
    WrongSize {
        /// The address.
        url: String,
        /// Published size.
        expected: u64,
        /// What the server announced, or sent before it was stopped.
        found: u64,
    },
    /// The server has a file of another content.
    #[error("{url} has SHA-256 {found} where {expected} is expected")]
    WrongContent {
        /// The address.
        url: String,
        /// Published hash.
        expected: String,
        /// Hash of what was received.
        found: String,
    },
}

impl DownloadError {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.hint(),
            Self::Write { .. } => {
                Some("check the permissions and the free space, or name another folder by --data-dir".into())
            }
            Self::Busy { .. } => Some("wait until it has finished".into()),
            Self::Connection { .. } => {
                Some("check the network and run the same command again; it continues where it stopped".into())
            }
            Self::Status { status: 429 | 500.., .. } => Some("run the same command again later".into()),
            Self::Status { .. } | Self::WrongSize { .. } | Self::WrongContent { .. } => Some(
                "the address serves something else than what was published; check the mirror or proxy".into(),
            ),
        }
    }
}

/// Fetches what the data directory lacks of a set, or holds in a corrupt form, and gives the paths of its files.
///
/// # Errors
/// See [`DownloadError`]. Files that were finished before the error stay.
pub fn download(
    set: &PublicSet,
    directory: &DataDirectory,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<PathBuf>, DownloadError> {
    let mut paths = Vec::new();
    for file in set.files {
        let path = directory.path_of(file);
        if directory.content_of(file)?.as_deref() != Some(file.sha256) {
            let url = match &options.mirror {
                Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), file.path),
                None => file.origin.to_owned(),
            };
            Fetch { file, url, part: beside(&path), options }.run(directory, progress)?;
        }
        paths.push(path);
    }
    Ok(paths)
}

/// `<name>.part` in the same folder.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// One file on its way.
struct Fetch<'a> {
    file: &'a PublicFile,
    url: String,
    part: PathBuf,
    options: &'a DownloadOptions,
}

/// How an attempt ended that did not bring the whole file.
enum Attempt {
    /// Another attempt can succeed, after the pause the server asks for.
    Again { error: DownloadError, pause: Option<Duration> },
    /// It cannot.
    Never(DownloadError),
}

impl Fetch<'_> {
    fn run(
        &self,
        directory: &DataDirectory,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DownloadError> {
        let path = &directory.path_of(self.file);
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(|source| self.unwritable(source))?;
        let mut part = self.open_part()?;
        if directory.content_of(self.file)?.as_deref() == Some(self.file.sha256) {
            // Another process finished it between our first look and our lock.
            return fs::remove_file(&self.part)
                .or_else(ignore_missing)
                .map_err(|source| self.unwritable(source));
        }
        let continued = part.metadata().map_err(|source| self.unwritable(source))?.len() > 0;
        let mut found = self.receive_and_hash(&mut part, progress)?;
        if found != self.file.sha256 && continued {
            // The beginning that was here may be at fault rather than the server.
            part.set_len(0).map_err(|source| self.unwritable(source))?;
            found = self.receive_and_hash(&mut part, progress)?;
        }
        if found != self.file.sha256 {
            // Continuing it could never make it right.
            fs::remove_file(&self.part).map_err(|source| self.unwritable(source))?;
            let expected = self.file.sha256.into();
            return Err(DownloadError::WrongContent { url: self.url.clone(), expected, found });
        }
        let named = fs::rename(&self.part, path).and_then(|()| sync_folder(folder));
        named.map_err(|source| DownloadError::Write { file: path.into(), source })
    }

    /// The content hash of the partial file once it has its full size and is on disk.
    fn receive_and_hash(
        &self,
        part: &mut File,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, DownloadError> {
        self.receive(part, progress)?;
        part.sync_all().map_err(|source| self.unwritable(source))?;
        Ok(content_sha256_of_file(&self.part).unwrap_or_else(|error| format!("of nothing ({error})")))
    }

    /// Opens the partial file and locks it, so that two processes cannot mix their bytes in it.
    fn open_part(&self) -> Result<File, DownloadError> {
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&self.part);
        let part = opened.map_err(|source| self.unwritable(source))?;
        match part.try_lock() {
            Ok(()) => Ok(part),
            Err(TryLockError::WouldBlock) => Err(DownloadError::Busy { file: self.part.clone() }),
            Err(TryLockError::Error(source)) => Err(self.unwritable(source)),
        }
    }

    /// Brings the partial file to its full size.
    fn receive(&self, part: &mut File, progress: &mut dyn FnMut(Progress)) -> Result<(), DownloadError> {
        let deadline = Instant::now() + self.options.total_timeout;
        let mut pause = self.options.first_pause;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (error, wanted) = match self.attempt(part, attempts, deadline, progress) {
                Ok(()) => return Ok(()),
                Err(Attempt::Never(error)) => return Err(error),
                Err(Attempt::Again { error, pause }) => (error, pause),
            };
            let wait = wanted.unwrap_or(pause).min(LONGEST_PAUSE);
            if attempts >= self.options.attempts || Instant::now() + wait >= deadline {
                return Err(error);
            }
            sleep(wait);
            pause *= 2;
        }
    }

    /// One request, continuing the partial file where it ends.
    fn attempt(
        &self,
        part: &mut File,
        attempts: u32,
        deadline: Instant,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Attempt> {
        let unwritable = |source| Attempt::Never(self.unwritable(source));
        let mut have = part.seek(SeekFrom::End(0)).map_err(unwritable)?;
        if have > self.file.bytes {
            // Not a beginning of this file.
            part.set_len(0).map_err(unwritable)?;
            have = 0;
        }
        if have == self.file.bytes {
            return Ok(());
        }
        let mut response = self.ask(have, deadline).map_err(|error| self.broken(&error, have, attempts))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if start_of_range(&response) == Some(have) => {}
            StatusCode::OK => have = 0,
            status if have > 0 && (status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE) => {
                // It will not continue this beginning, so the next attempt asks for the whole.
                part.set_len(0).map_err(unwritable)?;
                let error = self.status(status, attempts);
                return Err(Attempt::Again { error, pause: Some(Duration::ZERO) });
            }
            status => return Err(self.refused(&response, status, attempts)),
        }
        part.set_len(have).map_err(unwritable)?;
        part.seek(SeekFrom::Start(have)).map_err(unwritable)?;
        if let Some(length) = response.body().content_length()
            && have + length != self.file.bytes
        {
            return Err(self.wrong_size(have + length));
        }
        self.copy(response.body_mut(), part, have, attempts, progress)
    }

    /// Writes the body of a response to the partial file from `have` on.
    fn copy(
        &self,
        body: &mut Body,
        part: &mut File,
        mut have: u64,
        attempts: u32,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Attempt> {
        let total = self.file.bytes;
        let mut reader = body.as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            progress(Progress { file: self.file.path, received: have, total });
            let read = match reader.read(&mut buffer) {
                Ok(0) if have == total => return Ok(()),
                Ok(0) => {
                    let error = ureq::Error::Io(io::ErrorKind::UnexpectedEof.into());
                    return Err(self.broken(&error, have, attempts));
                }
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(&ureq::Error::from(error), have, attempts)),
            };
            have += read as u64;
            if have > total {
                // Without a stated length a server could go on for ever.
                part.set_len(0).map_err(|source| Attempt::Never(self.unwritable(source)))?;
                return Err(self.wrong_size(have));
            }
            part.write_all(&buffer[..read]).map_err(|source| Attempt::Never(self.unwritable(source)))?;
        }
    }

    fn ask(&self, have: u64, deadline: Instant) -> Result<Response<Body>, ureq::Error> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("backstitch/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(self.options.connect_timeout))
            .timeout_per_read(Some(self.options.read_timeout))
            .timeout_global(Some(deadline.saturating_duration_since(Instant::now())))
            .build()
            .into();
        // Packing on the way would make lengths and ranges those of other bytes.
        let mut request = agent.get(&self.url).header(header::ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        request.call()
    }

    fn broken(&self, error: &ureq::Error, received: u64, attempts: u32) -> Attempt {
        let (url, total) = (self.url.clone(), self.file.bytes);
        let reason = match error {
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::Timeout(_) => "no answer in time".into(),
            other => other.to_string(),
        };
        let failure = DownloadError::Connection { url, reason, attempts, received, total };
        if can_succeed(error) {
            Attempt::Again { error: failure, pause: None }
        } else {
            Attempt::Never(failure)
        }
    }

    fn refused(&self, response: &Response<Body>, status: StatusCode, attempts: u32) -> Attempt {
        let error = self.status(status, attempts);
        if !matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504) {
            return Attempt::Never(error);
        }
        let seconds = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = seconds.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        Attempt::Again { error, pause }
    }

    fn status(&self, status: StatusCode, attempts: u32) -> DownloadError {
        DownloadError::Status { url: self.url.clone(), status: status.as_u16(), attempts }
    }

    fn wrong_size(&self, found: u64) -> Attempt {
        let (url, expected) = (self.url.clone(), self.file.bytes);
        Attempt::Never(DownloadError::WrongSize { url, expected, found })
    }

    fn unwritable(&self, source: io::Error) -> DownloadError {
        DownloadError::Write { file: self.part.clone(), source }
    }
}

/// Whether the same request can succeed a moment later: broken and stalled connections, not unknown hosts, refused
/// connections, bad addresses or certificates, nor the end of the time for all attempts.
pub fn can_succeed(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut
                | io::ErrorKind::WouldBlock
        ),
        ureq::Error::Timeout(which) => *which != ureq::Timeout::Global,
        // A server that closes before it has answered.
        ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// The first byte of a `Content-Range: bytes 5-9/10`.
fn start_of_range(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Makes a rename in a folder last through a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
