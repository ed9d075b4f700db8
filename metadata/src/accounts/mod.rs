//! Who may use the registry and what they may do, and what they did: accounts, teams, grants,
//! tokens, signing keys, and the audit log.

pub(crate) mod audit;
pub(crate) mod change;
pub(crate) mod codes;
mod records;
pub(crate) mod rows;
pub(crate) mod sql;
mod store;

pub use records::{
    AccessToken, AccessTokenId, Account, AccountChange, AccountKind, AuditFilter, AuditId,
    AuditOutcome, AuditRecord, Created, GrantFilter, GrantId, Member, NewAccessToken, NewAccount,
    NewAudit, NewGrant, NewRefreshToken, OrganisationRole, PolicyData, RefreshUse, SecretHash,
    SigningKey, StoredGrant, TokenOwner,
};
pub use store::AccountStore;
