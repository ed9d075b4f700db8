//! What rows of accounts mean, in whichever database they stand.

use std::collections::BTreeMap;
use std::time::SystemTime;

use berth_oci::access::{AccountName, Effect, Grant, RepositoryPattern, Role, Subject};

use super::codes::{Coded, parsed};
use super::{
    AccessToken, AccessTokenId, Account, AccountKind, AuditId, AuditOutcome, AuditRecord, GrantId,
    Member, NewAudit, OrganisationRole, PolicyData, RefreshUse, SigningKey, StoredGrant,
    TokenOwner,
};
use crate::encoding::{self, from_json, micros, time};
use crate::fault::Fault;

/// The columns of an account, in the order of `account_columns!`.
pub(crate) type AccountRow =
    (String, String, i64, i64, Option<String>, String, Option<i64>, i64, i64);

pub(crate) fn account(row: AccountRow) -> Result<Account, Fault> {
    let (name, kind, is_admin, is_disabled, password, description, expires, valid_from, created) =
        row;
    Ok(Account {
        name: account_name(&name)?,
        kind: AccountKind::decode(&kind)?,
        is_admin: is_admin != 0,
        is_disabled: is_disabled != 0,
        password,
        description,
        expires: expires.map(time).transpose()?,
        tokens_valid_from: time(valid_from)?,
        created: time(created)?,
    })
}

pub(crate) fn account_name(text: &str) -> Result<AccountName, Fault> {
    parsed(text, "account name")
}

/// The user and their role.
pub(crate) type MemberRow = (String, String);

pub(crate) fn member((user, role): MemberRow) -> Result<Member, Fault> {
    Ok(Member { user: account_name(&user)?, role: OrganisationRole::decode(&role)? })
}

/// Id, effect, subject, role, pattern, by whom, and when.
pub(crate) type GrantRow = (i64, String, String, String, String, String, i64);

pub(crate) fn grant(row: GrantRow) -> Result<StoredGrant, Fault> {
    let (id, effect, subject, role, pattern, by, created) = row;
    let grant = Grant {
        effect: Effect::decode(&effect)?,
        subject: parsed(&subject, "subject of a grant")?,
        role: parsed(&role, "role")?,
        repositories: parsed(&pattern, "pattern")?,
    };
    Ok(StoredGrant { id: GrantId(id), grant, by, created: time(created)? })
}

/// The account and the team that a subject names, for the columns of the grant.
pub(crate) fn named(subject: &Subject) -> (Option<&str>, Option<&str>) {
    match subject {
        Subject::Account(name) | Subject::Organisation(name) => (Some(name.as_str()), None),
        Subject::Team(team) => (None, Some(team.as_str())),
        Subject::Anyone | Subject::Authenticated | Subject::Workload(_) => (None, None),
    }
}

/// The component that the names of all repositories of a pattern begin with; empty where there is
/// none.
pub(crate) fn namespace(pattern: &RepositoryPattern) -> &str {
    pattern.literal().split('/').next().unwrap_or_default()
}

/// The generation, and grants, members and members of teams as JSON.
pub(crate) type PolicyRow = (i64, String, String, String);

pub(crate) fn policy(
    (generation, grants, members, team_members): PolicyRow,
) -> Result<PolicyData, Fault> {
    let grants: Vec<GrantRow> = from_json(&grants)?;
    let members: Vec<(String, String, String)> = from_json(&members)?;
    let team_members: Vec<(String, String)> = from_json(&team_members)?;
    let member = |(organisation, user, role): (String, String, String)| {
        let role = OrganisationRole::decode(&role)?;
        Ok((account_name(&organisation)?, account_name(&user)?, role))
    };
    let team_member =
        |(team, user): (String, String)| Ok((parsed(&team, "team")?, account_name(&user)?));
    Ok(PolicyData {
        generation: encoding::size(generation)?,
        grants: grants.into_iter().map(grant).collect::<Result<_, Fault>>()?,
        members: members.into_iter().map(member).collect::<Result<_, Fault>>()?,
        team_members: team_members.into_iter().map(team_member).collect::<Result<_, Fault>>()?,
    })
}

/// Id, name, role, pattern, and when it ends, was made and was used.
pub(crate) type TokenRow =
    (i64, String, Option<String>, Option<String>, Option<i64>, i64, Option<i64>);

pub(crate) fn access_token(row: TokenRow) -> Result<AccessToken, Fault> {
    let (id, name, role, pattern, expires, created, used) = row;
    let role = role.map(|role| parsed::<Role>(&role, "role"));
    let pattern = pattern.map(|pattern| parsed::<RepositoryPattern>(&pattern, "pattern"));
    Ok(AccessToken {
        id: AccessTokenId(id),
        name,
        role: role.transpose()?,
        repositories: pattern.transpose()?,
        expires: expires.map(time).transpose()?,
        created: time(created)?,
        used: used.map(time).transpose()?,
    })
}

/// The columns of a token, and those of its owner.
pub(crate) type TokenOwnerRow = (
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<i64>,
    i64,
    Option<i64>,
    String,
    String,
    i64,
    i64,
    Option<String>,
    String,
    Option<i64>,
    i64,
    i64,
);

pub(crate) fn token_owner(row: TokenOwnerRow) -> Result<TokenOwner, Fault> {
    let (id, token, role, pattern, token_expires, token_created, used, ..) = row;
    let (.., name, kind, is_admin, is_disabled, password, description, expires, from, created) =
        row;
    Ok(TokenOwner {
        token: access_token((id, token, role, pattern, token_expires, token_created, used))?,
        account: account((
            name,
            kind,
            is_admin,
            is_disabled,
            password,
            description,
            expires,
            from,
            created,
        ))?,
    })
}

/// The last use of each token, in the order of the tokens.
pub(crate) fn last_uses(used: &[(AccessTokenId, SystemTime)]) -> BTreeMap<i64, i64> {
    let mut last = BTreeMap::new();
    for (id, time) in used {
        let known = last.entry(id.0).or_default();
        *known = micros(*time).max(*known);
    }
    last
}

/// Whether it was exchanged, when it was made, and what its login says: subject, client, details, and
/// the end.
pub(crate) type RefreshRow = (i64, i64, String, String, String, i64);

/// What the use of a refresh token comes to at a time.
pub(crate) fn refresh_use(row: Option<RefreshRow>, now: i64) -> Result<RefreshUse, Fault> {
    let Some((exchanged, created, subject, client, details, expires)) = row else {
        return Ok(RefreshUse::Unknown);
    };
    if expires <= now {
        return Ok(RefreshUse::Unknown);
    }
    if exchanged != 0 {
        return Ok(RefreshUse::Replayed);
    }
    Ok(RefreshUse::Good { subject, client, details, created: time(created)? })
}

/// Id, private key, and when it was made.
pub(crate) type KeyRow = (String, Vec<u8>, i64);

pub(crate) fn signing_key((id, private, created): KeyRow) -> Result<SigningKey, Fault> {
    Ok(SigningKey { id, private, created: time(created)? })
}

/// Id, time, actor, action, target, reference, digest, source, outcome, detail and request.
pub(crate) type AuditRow = (
    i64,
    i64,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
);

pub(crate) fn audit(row: AuditRow) -> Result<AuditRecord, Fault> {
    let (id, happened, actor, action, target, reference, digest, source, outcome, detail, request) =
        row;
    let entry = NewAudit {
        time: time(happened)?,
        actor,
        action,
        target,
        reference,
        digest,
        source,
        outcome: AuditOutcome::decode(&outcome)?,
        detail,
        request,
    };
    Ok(AuditRecord { id: AuditId(id), entry })
}
