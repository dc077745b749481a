//! The public data sets that studies use: what they are, where they come from, and how to know they are unchanged.
//!
//! Data is never shipped with the program. `backstitch data list` shows this table, `backstitch data get <name>` fetches
//! a set ([`crate::download`]), and a study finds it in the data directory ([`crate::directory`]).

use crate::names::nearest;

/// A public data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicSet {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One line for a reader who does not know it.
    pub title: &'static str,
    /// Its files.
    pub files: &'static [PublicFile],
    /// SPDX identifier of its licence.
    pub licence: &'static str,
    /// What to cite.
    pub citation: &'static str,
    /// The methods whose studies use it.
    pub used_by: &'static [&'static str],
}

/// A file of a public data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicFile {
    /// Where it lies in the data directory, with `/`.
    pub path: &'static str,
    /// Where it is published: an address that will not change its content.
    pub origin: &'static str,
    /// SHA-256 of its unpacked content.
    pub sha256: &'static str,
    /// Size in bytes as it is published.
    pub bytes: u64,
}

/// All public sets.
pub const CATALOGUE: &[PublicSet] = &[PublicSet {
    name: "sachs",
    title: "Protein signalling in human immune cells: levels of 11 proteins in 7,466 cells, and the accepted graph",
    files: &[
        PublicFile {
            path: "causal/sachs/sachs.2005.continuous.txt",
            origin: "https://raw.githubusercontent.com/cmu-phil/example-causal-datasets/a23adc349a23fc34d258193b45c60522ca6355b4/real/sachs/data/sachs.2005.continuous.txt",
            sha256: "a488589b0f021b2a261ff2c696a908c6823051b0d98693e0fa0e78bb12097063",
            bytes: 661_897,
        },
        PublicFile {
            path: "causal/sachs/sachs.2005.ground.truth.graph.txt",
            origin: "https://raw.githubusercontent.com/cmu-phil/example-causal-datasets/a23adc349a23fc34d258193b45c60522ca6355b4/real/sachs/ground.truth/sachs.2005.ground.truth.graph.txt",
            sha256: "2406ec0f9cd34bcbcd33fb74282386232330a630dba68c0f2d01a0d985a652b9",
            bytes: 391,
        },
    ],
    licence: "CC0-1.0",
    citation: "K. Sachs, O. Perez, D. Pe'er, D. A. Lauffenburger, G. P. Nolan: Causal protein-signaling networks \
               derived from multiparameter single-cell data. Science 308 (2005), 523-529",
    used_by: &["topo"],
}];

/// No public set of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no public data set {name:?}")]
pub struct UnknownSet {
    /// The name given.
    pub name: String,
}

impl UnknownSet {
    /// The nearest name.
    pub fn hint(&self) -> Option<String> {
        let nearest = nearest(&self.name, CATALOGUE.iter().map(|set| set.name))?;
        Some(format!("the nearest name is {nearest:?}; `backstitch data list` shows all"))
    }
}

/// The set of that name.
///
/// # Errors
/// There is none.
pub fn public_set(name: &str) -> Result<&'static PublicSet, UnknownSet> {
    CATALOGUE.iter().find(|set| set.name == name).ok_or_else(|| UnknownSet { name: name.into() })
}
