//! Answers kept in a local SQLite file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use crate::error::Error;
use crate::key::{Canonical, Key};
use crate::recording::Line;
use crate::reply::Sample;
use crate::stored::{KeptRequest, Store};

/// Says in the header of the file whose it is: `bstc`.
const APPLICATION: i64 = 0x6273_7463;

/// Version of the tables.
const SCHEMA: i64 = 1;

/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(30);

const TABLES: &str = "
    CREATE TABLE requests (
        key TEXT PRIMARY KEY,       -- SHA-256 of `request`
        request TEXT NOT NULL,      -- the model and the whole request, as JSON
        created INTEGER NOT NULL    -- seconds since 1970
    ) WITHOUT ROWID;
    CREATE TABLE samples (
        key TEXT NOT NULL REFERENCES requests (key),
        sample INTEGER NOT NULL,    -- its index
        reply TEXT NOT NULL,        -- the sample, as JSON
        created INTEGER NOT NULL,
        PRIMARY KEY (key, sample)
    ) WITHOUT ROWID;
";

/// Answers in a local SQLite file, under the hash of the full request and the index of the sample.
///
/// Several processes may use the same file at a time; what is written stays when one of them is killed. (If two ask the same at the
/// same time, both pay, and both go on with the answer that came first.) The file must lie on a local disk: the locks of SQLite do not
/// work on most network file systems. It holds prompts and replies, and no key.
#[derive(Debug)]
pub struct Cache {
    file: PathBuf,
    connection: Mutex<Connection>,
}

/// A request in a cache, and what is there of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheEntry {
    /// Its key.
    pub key: Key,
    /// The model and the whole request, as JSON.
    pub request: String,
    /// Samples that are there.
    pub samples: u32,
    /// Bytes of them.
    pub bytes: u64,
    /// When the first was asked for, in seconds since 1970.
    pub created: u64,
}

/// What to remove from a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// Samples older than this.
    pub older_than: Duration,
    /// Of this model only.
    pub model: Option<String>,
}

impl Cache {
    /// Opens a cache, or makes one, with the folders above it.
    ///
    /// # Errors
    /// [`Error::Cache`]: the file cannot be opened, is not a cache, or is of a later version.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Cache { file: file.into(), problem };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|error| refuse(error.to_string()))?;
        }
        let connection = prepared(file).map_err(|problem| match problem {
            Problem::Sqlite(error) => refuse(error.to_string()),
            Problem::NotOurs => refuse("is not a cache of backstitch".into()),
            Problem::Later(version) => {
                refuse(format!("is of version {version}, and this program knows version {SCHEMA} only"))
            }
        })?;
        Ok(Self { file: file.into(), connection: Mutex::new(connection) })
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is there, the oldest first.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn entries(&self) -> Result<Vec<CacheEntry>, Error> {
        let connection = self.connection();
        let all = || {
            let mut query = connection.prepare(
                "SELECT key, request, count(*), sum(length(CAST(reply AS BLOB))), requests.created
                 FROM requests JOIN samples USING (key) GROUP BY key ORDER BY requests.created, key",
            )?;
            let rows = query.query_map([], |row| {
                Ok(CacheEntry {
                    key: Key::kept(row.get(0)?),
                    request: row.get(1)?,
                    samples: row.get(2)?,
                    bytes: row.get::<_, i64>(3)?.unsigned_abs(),
                    created: row.get::<_, i64>(4)?.unsigned_abs(),
                })
            })?;
            rows.collect::<Result<_, _>>()
        };
        all().map_err(|error| self.problem(&error))
    }

    /// Writes all samples as a recording, which [`crate::Recording`] reads, ordered by key and index. Gives their number.
    ///
    /// # Errors
    /// [`Error::Cache`]: the file cannot be read, or the writer fails.
    pub fn export(&self, writer: impl Write) -> Result<u64, Error> {
        let connection = self.connection();
        let mut query = connection
            .prepare("SELECT key, request, sample, reply FROM requests JOIN samples USING (key) ORDER BY key, sample")
            .map_err(|error| self.problem(&error))?;
        let mut rows = query.query([]).map_err(|error| self.problem(&error))?;
        let mut writer = BufWriter::new(writer);
        let mut written = 0;
        while let Some(row) = rows.next().map_err(|error| self.problem(&error))? {
            let column = |index| row.get::<_, String>(index).map_err(|error| self.problem(&error));
            let line = Line {
                key: Key::kept(column(0)?),
                sample: row.get(2).map_err(|error| self.problem(&error))?,
                request: self.parsed::<Canonical>(&column(1)?)?,
                reply: self.parsed::<Sample>(&column(3)?)?,
            };
            line.write(&mut writer).map_err(|error| self.unreadable(format!("export: {error}")))?;
            written += 1;
        }
        writer.flush().map_err(|error| self.unreadable(format!("export: {error}")))?;
        Ok(written)
    }

    /// Removes samples and gives their number. The file gets smaller unless another process uses it at the moment.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn prune(&self, pruning: &Pruning) -> Result<u64, Error> {
        let before = now().saturating_sub(i64::try_from(pruning.older_than.as_secs()).unwrap_or(i64::MAX));
        let mut connection = self.connection();
        let mut remove = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let removed = transaction.execute(
                "DELETE FROM samples WHERE created <= ?1 AND (?2 IS NULL OR key IN
                     (SELECT key FROM requests WHERE json_extract(request, '$.model') = ?2))",
                params![before, pruning.model],
            )?;
            transaction.execute("DELETE FROM requests WHERE key NOT IN (SELECT key FROM samples)", [])?;
            transaction.commit()?;
            Ok(removed as u64)
        };
        let removed = remove().map_err(|error| self.problem(&error))?;
        // Space only; busy is no harm.
        drop(connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);"));
        Ok(removed)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that was cut off is rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parsed<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, Error> {
        serde_json::from_str(text).map_err(|error| self.unreadable(format!("holds something else: {error}")))
    }

    fn problem(&self, error: &rusqlite::Error) -> Error {
        self.unreadable(error.to_string())
    }

    fn unreadable(&self, problem: String) -> Error {
        Error::Cache { file: self.file.clone(), problem }
    }
}

impl Store for Cache {
    fn find(&self, key: &Key, indices: RangeInclusive<u32>) -> Result<BTreeMap<u32, Sample>, Error> {
        let connection = self.connection();
        let all = || {
            let mut query = connection.prepare_cached(
                "SELECT sample, reply FROM samples WHERE key = ?1 AND sample BETWEEN ?2 AND ?3",
            )?;
            let rows = query.query_map(params![key.as_str(), indices.start(), indices.end()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect::<Result<Vec<(u32, String)>, _>>()
        };
        let rows = all().map_err(|error| self.problem(&error))?;
        rows.into_iter().map(|(index, reply)| Ok((index, self.parsed(&reply)?))).collect()
    }

    fn keep(&self, request: &KeptRequest, first: u32, samples: Vec<Sample>) -> Result<Vec<Sample>, Error> {
        let texts: Vec<String> = samples
            .iter()
            .map(|sample| serde_json::to_string(sample).map_err(|error| self.unreadable(error.to_string())))
            .collect::<Result<_, _>>()?;
        let (key, created) = (request.key.as_str(), now());
        let mut connection = self.connection();
        // For each sample, the one of another process if that was first: then both go on with the same.
        let mut write = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO requests VALUES (?1, ?2, ?3)")?
                .execute(params![key, request.canonical.text(), created])?;
            let mut others = Vec::new();
            for (index, text) in (first..).zip(&texts) {
                let written = transaction
                    .prepare_cached("INSERT OR IGNORE INTO samples VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![key, index, text, created])?;
                let other: Option<String> = match written {
                    0 => transaction
                        .prepare_cached("SELECT reply FROM samples WHERE key = ?1 AND sample = ?2")?
                        .query_row(params![key, index], |row| row.get(0))
                        .optional()?,
                    _ => None,
                };
                others.push(other);
            }
            transaction.commit()?;
            Ok(others)
        };
        let others = write().map_err(|error| self.problem(&error))?;
        let kept = samples.into_iter().zip(others).map(|(sample, other)| match other {
            Some(other) => self.parsed(&other),
            None => Ok(sample),
        });
        kept.collect()
    }
}

enum Problem {
    Sqlite(rusqlite::Error),
    NotOurs,
    Later(i64),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepared(file: &Path) -> Result<Connection, Problem> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    // Before anything is written: it may be a file of somebody else.
    check(&connection)?;
    into_wal_mode(&connection)?;
    // A killed process loses nothing; a power cut may lose the last seconds, and harms nothing that is older.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made the tables a moment ago.
    if !check(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// Whether the file is a cache; `false` if it is empty.
fn check(connection: &Connection) -> Result<bool, Problem> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, tables) {
        (APPLICATION, _) => match number("user_version")? {
            SCHEMA => Ok(true),
            version => Err(Problem::Later(version)),
        },
        (0, 0) => Ok(false),
        _ => Err(Problem::NotOurs),
    }
}

/// The log beside the file lets one process write while others read. SQLite does not wait by itself when two processes change to
/// it at once.
fn into_wal_mode(connection: &Connection) -> Result<(), rusqlite::Error> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if error.code == ErrorCode::DatabaseBusy && waited < BUSY =>
            {
                sleep(PAUSE);
                waited += PAUSE;
            }
            done => return done,
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
