use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::access::{AccountName, TeamName};

use super::policy::{Change, Changing};
use super::{account, audit, grants, keys, members, policy, refresh, teams, tokens};
use crate::postgres::PostgresStore;
use crate::postgres::engine::{read, within};
use crate::postgres::explain::explain;
use crate::postgres::store::{anywhere, primary};
use crate::{
    AccessToken, AccessTokenId, Account, AccountChange, AccountKind, AccountStore, AuditFilter,
    AuditId, AuditRecord, Created, GrantFilter, GrantId, Member, MetadataError, NewAccessToken,
    NewAccount, NewAudit, NewGrant, NewRefreshToken, OrganisationRole, Page, PolicyData,
    RefreshUse, SecretHash, SigningKey, StoredGrant, TokenOwner,
};

impl PostgresStore {
    async fn change<C: Change>(&self, change: C) -> Result<C::Answer, MetadataError> {
        self.write(Changing(change)).await
    }
}

#[async_trait]
impl AccountStore for PostgresStore {
    async fn create_account(&self, account: &NewAccount) -> Result<Created, MetadataError> {
        self.change(account::Create(account.clone())).await
    }

    async fn account(&self, name: &AccountName) -> Result<Option<Account>, MetadataError> {
        primary!(self, account::find(name))
    }

    async fn accounts(
        &self,
        kind: AccountKind,
        owner: Option<&AccountName>,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Account>, MetadataError> {
        primary!(self, account::list(kind, owner, after, limit))
    }

    async fn has_accounts(&self) -> Result<bool, MetadataError> {
        primary!(self, account::has_any())
    }

    async fn change_account(
        &self,
        name: &AccountName,
        change: &AccountChange,
    ) -> Result<bool, MetadataError> {
        let (name, change) = (name.clone(), change.clone());
        self.change(account::ChangeAccount { name, change }).await
    }

    async fn delete_account(&self, name: &AccountName) -> Result<bool, MetadataError> {
        self.change(account::Delete(name.clone())).await
    }

    async fn add_member(
        &self,
        organisation: &AccountName,
        user: &AccountName,
        role: OrganisationRole,
    ) -> Result<bool, MetadataError> {
        let (organisation, user) = (organisation.clone(), user.clone());
        self.change(members::Add { organisation, user, role }).await
    }

    async fn remove_member(
        &self,
        organisation: &AccountName,
        user: &AccountName,
    ) -> Result<bool, MetadataError> {
        let (organisation, user) = (organisation.clone(), user.clone());
        self.change(members::Remove { organisation, user }).await
    }

    async fn members(
        &self,
        organisation: &AccountName,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Member>, MetadataError> {
        primary!(self, members::list(organisation, after, limit))
    }

    async fn create_team(&self, team: &TeamName) -> Result<Created, MetadataError> {
        self.change(teams::Create(team.clone())).await
    }

    async fn delete_team(&self, team: &TeamName) -> Result<bool, MetadataError> {
        self.change(teams::Delete(team.clone())).await
    }

    async fn teams(
        &self,
        organisation: &AccountName,
        after: Option<&TeamName>,
        limit: u32,
    ) -> Result<Page<TeamName>, MetadataError> {
        primary!(self, teams::list(organisation, after, limit))
    }

    async fn add_team_member(
        &self,
        team: &TeamName,
        user: &AccountName,
    ) -> Result<bool, MetadataError> {
        let (team, user) = (team.clone(), user.clone());
        self.change(teams::AddMember { team, user }).await
    }

    async fn remove_team_member(
        &self,
        team: &TeamName,
        user: &AccountName,
    ) -> Result<bool, MetadataError> {
        let (team, user) = (team.clone(), user.clone());
        self.change(teams::RemoveMember { team, user }).await
    }

    async fn team_members(
        &self,
        team: &TeamName,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Member>, MetadataError> {
        primary!(self, teams::members(team, after, limit))
    }

    async fn add_grant(&self, grant: &NewGrant) -> Result<Created<GrantId>, MetadataError> {
        self.change(grants::Add(grant.clone())).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<StoredGrant>, MetadataError> {
        primary!(self, grants::find(id))
    }

    async fn remove_grant(&self, id: GrantId) -> Result<bool, MetadataError> {
        self.change(grants::Remove(id)).await
    }

    async fn grants(
        &self,
        filter: &GrantFilter,
        after: Option<GrantId>,
        limit: u32,
    ) -> Result<Page<StoredGrant>, MetadataError> {
        primary!(self, grants::list(filter, after, limit))
    }

    async fn policy_generation(&self) -> Result<u64, MetadataError> {
        let engine = &self.engine;
        let ask = |keys: Vec<()>| async move {
            let read = read!(engine.connections, policy::generation());
            let generation = within(engine.timeout, read).await?;
            Ok(vec![generation; keys.len()])
        };
        self.generations.find((), ask).await.map_err(explain)
    }

    async fn policy(&self) -> Result<PolicyData, MetadataError> {
        primary!(self, policy::policy())
    }

    async fn create_access_token(
        &self,
        token: &NewAccessToken,
    ) -> Result<Created<AccessTokenId>, MetadataError> {
        self.write(tokens::Create(token.clone())).await
    }

    async fn access_token(&self, hash: &SecretHash) -> Result<Option<TokenOwner>, MetadataError> {
        primary!(self, tokens::find(hash))
    }

    async fn access_tokens(
        &self,
        account: &AccountName,
        after: Option<AccessTokenId>,
        limit: u32,
    ) -> Result<Page<AccessToken>, MetadataError> {
        primary!(self, tokens::list(account, after, limit))
    }

    async fn rotate_access_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
        hash: &SecretHash,
        expires: Option<SystemTime>,
    ) -> Result<bool, MetadataError> {
        let account = account.clone();
        self.change(tokens::Rotate { account, id, hash: *hash, expires }).await
    }

    async fn delete_access_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
    ) -> Result<bool, MetadataError> {
        self.change(tokens::Delete { account: account.clone(), id }).await
    }

    async fn access_tokens_used(
        &self,
        used: &[(AccessTokenId, SystemTime)],
    ) -> Result<(), MetadataError> {
        self.write(tokens::Used(used.to_vec())).await
    }

    async fn create_refresh_token(&self, token: &NewRefreshToken) -> Result<(), MetadataError> {
        self.write(refresh::Create(token.clone())).await
    }

    async fn use_refresh_token(
        &self,
        hash: &SecretHash,
        next: Option<&SecretHash>,
    ) -> Result<RefreshUse, MetadataError> {
        let used = match next {
            Some(next) => self.write(refresh::Exchange { hash: *hash, next: *next }).await?,
            None => primary!(self, refresh::look(hash))?,
        };
        if used == RefreshUse::Replayed {
            self.change(refresh::Delete(*hash)).await?;
        }
        Ok(used)
    }

    async fn delete_refresh_token(&self, hash: &SecretHash) -> Result<bool, MetadataError> {
        self.change(refresh::Delete(*hash)).await
    }

    async fn purge_refresh_tokens(&self, limit: u32) -> Result<u64, MetadataError> {
        self.write(refresh::Purge(limit)).await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, MetadataError> {
        primary!(self, keys::list())
    }

    async fn add_signing_key(
        &self,
        key: &SigningKey,
        newest: Option<&str>,
        forget: SystemTime,
    ) -> Result<Vec<SigningKey>, MetadataError> {
        let (key, newest) = (key.clone(), newest.map(str::to_owned));
        self.write(keys::Add { key, newest, forget }).await
    }

    async fn record_audit(&self, entries: &[NewAudit]) -> Result<(), MetadataError> {
        self.write(audit::Record(entries.to_vec())).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Page<AuditRecord>, MetadataError> {
        anywhere!(self, audit::list(filter, before, limit))
    }

    async fn purge_audit(&self, before: SystemTime, limit: u32) -> Result<u64, MetadataError> {
        self.write(audit::Purge { before, limit }).await
    }
}
