//! The words that stand in columns.

use std::str::FromStr;

use berth_oci::access::Effect;

use super::{AccountKind, AuditOutcome, OrganisationRole};
use crate::fault::Fault;

/// A value that is a word in its column.
pub(crate) trait Coded: Copy + 'static {
    /// Each of them.
    const ALL: &'static [Self];

    /// What a word that is none of these should have been.
    const WHAT: &'static str;

    /// Its word.
    fn code(self) -> &'static str;

    /// The value of a word.
    fn decode(code: &str) -> Result<Self, Fault> {
        let found = Self::ALL.iter().find(|value| value.code() == code);
        found.copied().ok_or(Fault::Malformed(Self::WHAT))
    }
}

impl Coded for AccountKind {
    const ALL: &'static [Self] = &[Self::User, Self::Robot, Self::Organisation];
    const WHAT: &'static str = "kind of account";

    fn code(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Robot => "robot",
            Self::Organisation => "organisation",
        }
    }
}

impl Coded for OrganisationRole {
    const ALL: &'static [Self] = &[Self::Member, Self::Owner];
    const WHAT: &'static str = "role in an organisation";

    fn code(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Owner => "owner",
        }
    }
}

impl Coded for AuditOutcome {
    const ALL: &'static [Self] = &[Self::Done, Self::Failed, Self::Denied];
    const WHAT: &'static str = "outcome";

    fn code(self) -> &'static str {
        self.as_str()
    }
}

impl Coded for Effect {
    const ALL: &'static [Self] = &[Self::Allow, Self::Deny];
    const WHAT: &'static str = "effect of a grant";

    fn code(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A value that its type reads from text.
pub(crate) fn parsed<T: FromStr>(text: &str, what: &'static str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::Malformed(what))
}
