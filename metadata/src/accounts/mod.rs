//! Who may use the registry and what they may do, and what they did: accounts, teams, grants,
//! tokens, signing keys, and the audit log.

mod records;
mod store;

pub use records::{
    AccessToken, AccessTokenId, Account, AccountChange, AccountKind, AuditFilter, AuditId,
    AuditOutcome, AuditRecord, Created, GrantFilter, GrantId, Member, NewAccessToken, NewAccount,
    NewAudit, NewGrant, NewRefreshToken, OrganisationRole, PolicyData, RefreshUse, SecretHash,
    SigningKey, StoredGrant, TokenOwner,
};
pub use store::AccountStore;
