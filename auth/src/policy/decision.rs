use std::fmt;

use berth_oci::access::Grant;

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'p> {
    /// It may.
    Allowed(Reason<'p>),
    /// It may not.
    Denied(Reason<'p>),
}

impl Decision<'_> {
    /// Whether it may be done.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Why something may be done, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'p> {
    /// Administrators may do everything.
    Administrator,
    /// The repository is below the account's own name.
    OwnName,
    /// The repository is below the name of an organisation that the account owns.
    Owner,
    /// A grant says so.
    Grant {
        /// The number of the grant where it is stored; `None` for one of the configuration.
        number: Option<i64>,
        /// The grant.
        grant: &'p Grant,
    },
    /// The credentials are not for that.
    Limited,
    /// No grant allows it.
    NoGrant,
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(reason) => write!(f, "allowed: {reason}"),
            Self::Denied(reason) => write!(f, "denied: {reason}"),
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Administrator => f.write_str("administrators may do everything"),
            Self::OwnName => f.write_str("the repository is below the account's own name"),
            Self::Owner => {
                f.write_str("the repository is below an organisation that the account owns")
            }
            Self::Grant { number: Some(number), grant } => write!(f, "grant {number}, `{grant}`"),
            Self::Grant { number: None, grant } => {
                write!(f, "a grant of the configuration, `{grant}`")
            }
            Self::Limited => f.write_str("the token is not for that"),
            Self::NoGrant => f.write_str("no grant allows it"),
        }
    }
}
