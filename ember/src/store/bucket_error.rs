use crate::base::Error;
use std::fmt;
use std::time::Duration;

/// Why a bucket gives no tokens.
#[derive(Debug)]
#[non_exhaustive]
pub enum BucketError {
    /// It has not so many.
    Empty {
        /// How long it takes until it has, if nobody else takes any; [`Duration::MAX`] if it never has.
        wait: Duration,
    },
    /// The store in which it is cannot be asked.
    Away(Error),
}

impl BucketError {
    /// How long it takes until the bucket has so many, where it has too few.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Empty { wait } => Some(*wait),
            Self::Away(_) => None,
        }
    }
}

impl fmt::Display for BucketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { .. } => f.write_str("the bucket has not so many tokens"),
            Self::Away(_) => f.write_str("the store of the bucket cannot be asked"),
        }
    }
}

impl std::error::Error for BucketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Empty { .. } => None,
            Self::Away(error) => error.source().map(|source| source as _),
        }
    }
}
