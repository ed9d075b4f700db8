use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::access::{AccountName, TeamName};

use super::{
    AccessToken, AccessTokenId, Account, AccountChange, AccountKind, AuditFilter, AuditId,
    AuditRecord, Created, GrantFilter, GrantId, Member, NewAccessToken, NewAccount, NewAudit,
    NewGrant, NewRefreshToken, OrganisationRole, PolicyData, RefreshUse, SecretHash, SigningKey,
    StoredGrant, TokenOwner,
};
use crate::{MetadataError, Page};

/// Who may use the registry, what they may do, and what they did.
///
/// As with [`MetadataStore`](crate::MetadataStore) each method is one transaction, and what returned
/// `Ok` is on stable storage unless the method says *relaxed*. Pages are ordered by the bytes of the
/// name, or by number.
#[async_trait]
pub trait AccountStore: std::fmt::Debug + Send + Sync + 'static {
    /// Makes an account. A robot's owner must be there, and be no robot.
    async fn create_account(&self, account: &NewAccount) -> Result<Created, MetadataError>;

    /// An account.
    async fn account(&self, name: &AccountName) -> Result<Option<Account>, MetadataError>;

    /// The accounts of a kind behind `after`, at most `limit`; where an owner is named, the robots
    /// that are its.
    async fn accounts(
        &self,
        kind: AccountKind,
        owner: Option<&AccountName>,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Account>, MetadataError>;

    /// Whether there is any account.
    async fn has_accounts(&self) -> Result<bool, MetadataError>;

    /// Changes an account; false when there is none, or when it is
    /// [spared](AccountChange::spare_last_admin).
    async fn change_account(
        &self,
        name: &AccountName,
        change: &AccountChange,
    ) -> Result<bool, MetadataError>;

    /// Takes an account away, with its robots, teams, memberships, tokens, and the grants to any of
    /// them; false when there is none.
    async fn delete_account(&self, name: &AccountName) -> Result<bool, MetadataError>;

    /// Makes a user a member of an organisation, in this role; false when there is no such user or
    /// organisation.
    async fn add_member(
        &self,
        organisation: &AccountName,
        user: &AccountName,
        role: OrganisationRole,
    ) -> Result<bool, MetadataError>;

    /// Takes a user out of an organisation and of its teams; false when they were no member.
    async fn remove_member(
        &self,
        organisation: &AccountName,
        user: &AccountName,
    ) -> Result<bool, MetadataError>;

    /// The members of an organisation behind `after`, at most `limit`.
    async fn members(
        &self,
        organisation: &AccountName,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Member>, MetadataError>;

    /// Makes a team.
    async fn create_team(&self, team: &TeamName) -> Result<Created, MetadataError>;

    /// Takes a team away, with the grants to it; false when there is none.
    async fn delete_team(&self, team: &TeamName) -> Result<bool, MetadataError>;

    /// The teams of an organisation behind `after`, at most `limit`.
    async fn teams(
        &self,
        organisation: &AccountName,
        after: Option<&TeamName>,
        limit: u32,
    ) -> Result<Page<TeamName>, MetadataError>;

    /// Makes a user a member of a team, and of its organisation if they are not; false when there is
    /// no such user or team.
    async fn add_team_member(
        &self,
        team: &TeamName,
        user: &AccountName,
    ) -> Result<bool, MetadataError>;

    /// Takes a user out of a team; false when they were not in it.
    async fn remove_team_member(
        &self,
        team: &TeamName,
        user: &AccountName,
    ) -> Result<bool, MetadataError>;

    /// The members of a team behind `after`, at most `limit`.
    async fn team_members(
        &self,
        team: &TeamName,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Member>, MetadataError>;

    /// Stores a grant. One that is there already keeps its number. The account, team or organisation
    /// that it names must be there; workloads are the configuration's.
    async fn add_grant(&self, grant: &NewGrant) -> Result<Created<GrantId>, MetadataError>;

    /// A grant.
    async fn grant(&self, id: GrantId) -> Result<Option<StoredGrant>, MetadataError>;

    /// Takes a grant away; false when there is none.
    async fn remove_grant(&self, id: GrantId) -> Result<bool, MetadataError>;

    /// Grants behind `after`, at most `limit`.
    async fn grants(
        &self,
        filter: &GrantFilter,
        after: Option<GrantId>,
        limit: u32,
    ) -> Result<Page<StoredGrant>, MetadataError>;

    /// The [generation](PolicyData::generation) that stands now. Cheap: it is asked for all the time.
    async fn policy_generation(&self) -> Result<u64, MetadataError>;

    /// All that decisions follow from. It is as large as there are grants and members.
    async fn policy(&self) -> Result<PolicyData, MetadataError>;

    /// Makes an access token. The owner must be a user or a robot that is there.
    async fn create_access_token(
        &self,
        token: &NewAccessToken,
    ) -> Result<Created<AccessTokenId>, MetadataError>;

    /// The token of a hash, and its owner.
    async fn access_token(&self, hash: &SecretHash) -> Result<Option<TokenOwner>, MetadataError>;

    /// The tokens of an account behind `after`, at most `limit`.
    async fn access_tokens(
        &self,
        account: &AccountName,
        after: Option<AccessTokenId>,
        limit: u32,
    ) -> Result<Page<AccessToken>, MetadataError>;

    /// The token of a number; `None` when the account has none of it.
    async fn numbered_access_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
    ) -> Result<Option<AccessToken>, MetadataError> {
        let before = AccessTokenId(id.0.saturating_sub(1));
        let page = self.access_tokens(account, Some(before), 1).await?;
        Ok(page.entries.into_iter().find(|token| token.id == id))
    }

    /// Gives a token another secret and another end; what it stands for stays. What was had with the
    /// secret of before, its refresh tokens, goes with that. False when the account has no such token.
    async fn rotate_access_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
        hash: &SecretHash,
        expires: Option<SystemTime>,
    ) -> Result<bool, MetadataError>;

    /// Takes a token away, with the refresh tokens that were had with it; false when the account has
    /// no such token.
    async fn delete_access_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
    ) -> Result<bool, MetadataError>;

    /// Notes when tokens were used last. Relaxed.
    async fn access_tokens_used(
        &self,
        used: &[(AccessTokenId, SystemTime)],
    ) -> Result<(), MetadataError>;

    /// Stores a refresh token, unless the account or the access token that it names has gone: then it
    /// is as if it had gone with them.
    async fn create_refresh_token(&self, token: &NewRefreshToken) -> Result<(), MetadataError>;

    /// Uses a refresh token. Where `next` is given the token is exchanged for that one, which is for
    /// the same subject and client and ends at the same time; one that has been exchanged before
    /// takes away all that came of the same login ([`RefreshUse::Replayed`]).
    async fn use_refresh_token(
        &self,
        hash: &SecretHash,
        next: Option<&SecretHash>,
    ) -> Result<RefreshUse, MetadataError>;

    /// Takes a refresh token away, and all that came of the same login; false when there is none.
    async fn delete_refresh_token(&self, hash: &SecretHash) -> Result<bool, MetadataError>;

    /// Forgets refresh tokens whose time is over, at most `limit`; how many.
    async fn purge_refresh_tokens(&self, limit: u32) -> Result<u64, MetadataError>;

    /// The keys that tokens are or were signed with, the newest first.
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, MetadataError>;

    /// Adds a key if the newest is still the one named, so that of several processes one makes the
    /// next, and forgets those made before `forget`, the new one and the one before it never. The
    /// keys that stand then, the newest first.
    async fn add_signing_key(
        &self,
        key: &SigningKey,
        newest: Option<&str>,
        forget: SystemTime,
    ) -> Result<Vec<SigningKey>, MetadataError>;

    /// Writes lines into the audit log. Relaxed. Of an actor and a target the first 1,000 bytes are
    /// kept.
    async fn record_audit(&self, entries: &[NewAudit]) -> Result<(), MetadataError>;

    /// Lines of the audit log before `before`, the newest first, at most `limit`: by their time, and of
    /// one time by number, as what is written later may have happened earlier. Those of an actor or to a
    /// target are found by an index, all others by looking through them in the order of time.
    async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Page<AuditRecord>, MetadataError>;

    /// Forgets lines of the audit log that are older than this, at most `limit`; how many.
    async fn purge_audit(&self, before: SystemTime, limit: u32) -> Result<u64, MetadataError>;
}
