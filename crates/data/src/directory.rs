//! The data directory: where public sets lie on this machine.
//!
//! It is what `--data-dir` names, else what the variable `BACKSTITCH_DATA` names (an absolute path), else
//! `backstitch` in the user's data folder. A study asks it for a set by [`DataDirectory::find`], which verifies every
//! file. A missing set makes a claim *not run*; with `BACKSTITCH_REQUIRE_DATA=1` (as in continuous integration) it
//! is an error.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::{PublicFile, PublicSet};
use crate::hash::content_sha256_of_file;

/// Names the data directory.
pub const DATA_VARIABLE: &str = "BACKSTITCH_DATA";

/// Makes a missing set an error when it is `1`.
pub const REQUIRE_VARIABLE: &str = "BACKSTITCH_REQUIRE_DATA";

/// Where public sets lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDirectory {
    root: PathBuf,
    required: bool,
}

/// What the data directory holds of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// All of it, verified.
    Found {
        /// Its files, in the order of the catalogue.
        paths: Vec<PathBuf>,
    },
    /// Not all of it.
    Missing {
        /// The first file that is not there.
        file: PathBuf,
        /// The command that gets it.
        hint: String,
    },
    /// A file that is not what was published.
    Corrupt {
        /// The file.
        file: PathBuf,
        /// SHA-256 of the published content.
        expected: String,
        /// SHA-256 of its content, or what is wrong with unpacking it.
        found: String,
    },
}

/// Why there is no data directory, or no answer from it.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The variable holds a relative path.
    #[error("{DATA_VARIABLE} is {}, which is not an absolute path", path.display())]
    Relative {
        /// What it holds.
        path: PathBuf,
    },
    /// Nothing says where data lies.
    #[error("no data directory is named, and the user's data folder is unknown")]
    Unknown,
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A set is missing, and required.
    #[error("the data set {set} is missing: {} is not there, and {REQUIRE_VARIABLE} is 1", file.display())]
    Required {
        /// Name of the set.
        set: &'static str,
        /// The first file that is not there.
        file: PathBuf,
    },
    /// A file is not what was published.
    #[error("{} has SHA-256 {found} where {expected} is expected", file.display())]
    Corrupt {
        /// Name of the set.
        set: &'static str,
        /// The file.
        file: PathBuf,
        /// SHA-256 of the published content.
        expected: String,
        /// SHA-256 of its content.
        found: String,
    },
}

impl DirectoryError {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Relative { .. } => Some("write the path from the root; runs start in many folders".into()),
            Self::Unknown => Some(format!("give --data-dir, or set {DATA_VARIABLE} to an absolute path")),
            Self::Read { .. } => Some("check the permissions of the file and its folder".into()),
            Self::Required { set, .. } | Self::Corrupt { set, .. } => Some(get_command(set)),
        }
    }
}

impl DataDirectory {
    /// The data directory of this process: `explicit` (from the command line; relative to the current folder), else
    /// the environment's, else the user's. It need not exist yet.
    ///
    /// # Errors
    /// The variable holds a relative path, or nothing says where data lies.
    pub fn resolve(explicit: Option<&Path>) -> Result<Self, DirectoryError> {
        Self::resolve_in(explicit, |name| env::var_os(name))
    }

    /// [`DataDirectory::resolve`] in an environment given as a function from names to values.
    ///
    /// # Errors
    /// As [`DataDirectory::resolve`].
    pub fn resolve_in(
        explicit: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, DirectoryError> {
        // An empty variable counts as unset, as everywhere else.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let root = if let Some(path) = explicit {
            std::path::absolute(path).map_err(|source| DirectoryError::Read { file: path.into(), source })?
        } else if let Some(path) = variable(DATA_VARIABLE).map(PathBuf::from) {
            if !path.is_absolute() {
                return Err(DirectoryError::Relative { path });
            }
            path
        } else if let Some(data) = absolute("XDG_DATA_HOME") {
            // The XDG specification says to ignore a relative path here.
            data.join("backstitch")
        } else if let Some(data) = absolute("LOCALAPPDATA").filter(|_| cfg!(windows)) {
            data.join("backstitch")
        } else if let Some(home) = absolute("HOME") {
            home.join(".local").join("share").join("backstitch")
        } else {
            return Err(DirectoryError::Unknown);
        };
        Ok(Self { root, required: variable(REQUIRE_VARIABLE).is_some_and(|value| value == "1") })
    }

    /// The folder itself, an absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a missing set is an error.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Where a file of a set lies, or would lie.
    pub fn path_of(&self, file: &PublicFile) -> PathBuf {
        file.path.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// What the directory holds of a set. Every file is read and compared with its published hash.
    ///
    /// # Errors
    /// A file is there but cannot be read.
    pub fn find(&self, set: &PublicSet) -> Result<Holding, DirectoryError> {
        let mut paths = Vec::new();
        for file in set.files {
            let path = self.path_of(file);
            match self.content_of(file)? {
                None => return Ok(Holding::Missing { file: path, hint: get_command(set.name) }),
                Some(found) if found != file.sha256 => {
                    return Ok(Holding::Corrupt { file: path, expected: file.sha256.into(), found });
                }
                Some(_) => paths.push(path),
            }
        }
        Ok(Holding::Found { paths })
    }

    /// The files of a set, or `None` if it is missing and need not be there: what a test or a study asks for.
    ///
    /// # Errors
    /// A file cannot be read or is not what was published; the set is missing and `BACKSTITCH_REQUIRE_DATA` is `1`.
    pub fn files_of(&self, set: &PublicSet) -> Result<Option<Vec<PathBuf>>, DirectoryError> {
        match self.find(set)? {
            Holding::Found { paths } => Ok(Some(paths)),
            Holding::Missing { file, .. } if self.required => {
                Err(DirectoryError::Required { set: set.name, file })
            }
            Holding::Missing { .. } => Ok(None),
            Holding::Corrupt { file, expected, found } => {
                Err(DirectoryError::Corrupt { set: set.name, file, expected, found })
            }
        }
    }

    /// The content hash of a file of a set, `None` if it is not there.
    pub(crate) fn content_of(&self, file: &PublicFile) -> Result<Option<String>, DirectoryError> {
        let path = self.path_of(file);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                let source = io::Error::new(io::ErrorKind::IsADirectory, "it is not a file");
                return Err(DirectoryError::Read { file: path, source });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DirectoryError::Read { file: path, source }),
        }
        match content_sha256_of_file(&path) {
            Ok(hash) => Ok(Some(hash)),
            // Bytes that start like gzip but are not: other content, not a failing disk.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof) =>
            {
                Ok(Some(format!("of nothing ({error})")))
            }
            Err(source) => Err(DirectoryError::Read { file: path, source }),
        }
    }
}

fn get_command(set: &str) -> String {
    format!("backstitch data get {set}")
}
