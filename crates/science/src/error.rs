//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

/// An error of the science wing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// What it is the number of.
        name: String,
        /// The value found.
        value: f64,
        /// The allowed range.
        allowed: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A file that is not a portfolio.
    #[error("the portfolio cannot be read: {0}")]
    Malformed(String),
    /// A name that nothing has.
    #[error("{place} names the {what} `{name}`, which is not there{}", hint(near.as_deref(), known))]
    Unknown {
        /// Where it is named.
        place: String,
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
        /// The known name that is nearest.
        near: Option<String>,
        /// Names that are there.
        known: String,
    },
    /// A name that two things have.
    #[error(
        "the name `{name}` is given twice; factors, counterparties, netting sets and trades need names of their own"
    )]
    Twice {
        /// The name.
        name: String,
    },
    /// Correlations that no random variables have.
    #[error(
        "the correlation matrix is not positive semi-definite: its smallest eigenvalue is {smallest:.6}, but must be at least 0; \
         bring the correlations of {names} nearer to 0"
    )]
    Correlation {
        /// The smallest eigenvalue.
        smallest: f64,
        /// Who carries most of its eigenvector.
        names: String,
    },
    /// A firm whose assets are at its barrier.
    #[error(
        "{who} is already in default at inception: its assets are {assets}, but must be above its barrier {barrier}; raise the assets or \
         lower the barrier"
    )]
    InDefault {
        /// The firm.
        who: String,
        /// Its assets.
        assets: f64,
        /// Its barrier.
        barrier: f64,
    },
    /// Something that does not fit together.
    #[error("{problem}; {way_out}")]
    Portfolio {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: String,
    },
}

fn hint(near: Option<&str>, known: &str) -> String {
    match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => "; nothing of that kind is given".into(),
        None => format!("; given are {known}"),
    }
}
