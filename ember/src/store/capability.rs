use std::fmt;

/// Something that not every [`Store`](super::Store) can do.
///
/// Whoever needs it says so when the application starts, and is refused then, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Lists keys by what they begin with.
    Scan,
    /// Gives locks whose tokens grow, so that a late holder can be told from the present one.
    Lock,
    /// Draws from buckets in one step by itself. A store without it compares and sets, so that those
    /// within the process go one behind another.
    Draw,
}

impl Capability {
    /// Everything there is.
    pub const ALL: &'static [Self] = &[Self::Scan, Self::Lock, Self::Draw];
}

/// As the end of "the store cannot …".
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scan => "list its keys (`Scan`)",
            Self::Lock => "lock keys with fencing tokens (`Lock`)",
            Self::Draw => "draw from buckets by itself (`Draw`)",
        })
    }
}
