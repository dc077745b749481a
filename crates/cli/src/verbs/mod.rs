//! One file per verb.

pub(crate) mod bench;
#[cfg(feature = "reason")]
pub(crate) mod cache;
pub(crate) mod cell;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod doctor;
#[cfg(feature = "in-process")]
pub(crate) mod embedded;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod show;

use backstitch_studies::Method;

use crate::failure::Failure;

/// The method of a name, or the reason why there is none.
pub(crate) fn method(name: &str) -> Result<&'static Method, Failure> {
    backstitch_studies::find(name).ok_or_else(|| Failure::unknown_method(name))
}
