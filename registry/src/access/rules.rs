//! The policy in force: the database's grants and members, the configuration's, and what follows from
//! their absence.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use berth_auth::{Memberships, Policy};
use berth_config::Auth;
use berth_metadata::{AccountStore, OrganisationRole, PolicyData};
use berth_oci::access::{Effect, Grant, RepositoryPattern, Role, Subject};

use super::{AccessControl, AccessError};

/// What a policy was read from: it is stale when either is another one.
#[derive(Debug)]
pub(super) struct Basis {
    auth: Arc<Auth>,
    /// The generation of the database's part.
    generation: u64,
}

impl AccessControl {
    /// Reads the policy, if it is not that of the configuration and the database as they stand, and puts
    /// it in force.
    pub(super) async fn follow_policy(&self) -> Result<(), AccessError> {
        let _reading = self.reading.lock().await;
        let auth = self.auth.load_full();
        let stands = match auth.has_grants() {
            true => self.store.policy_generation().await?,
            false => PolicyData::default().generation,
        };
        let is_current =
            |basis: &Basis| basis.generation == stands && Arc::ptr_eq(&basis.auth, &auth);
        if self.basis.load().as_deref().is_some_and(is_current) {
            return Ok(());
        }
        let (generation, policy) = read(&auth, self.store.as_ref()).await?;
        self.policy.store(Arc::new(policy));
        self.basis.store(Some(Arc::new(Basis { auth, generation })));
        self.epoch.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&self, auth: &Auth) {
        self.workloads.reload(&auth.workloads);
        self.auth.store(Arc::new(auth.clone()));
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }
}

/// The policy as it stands, and the generation of the database's part of it.
pub(super) async fn read(
    auth: &Auth,
    store: &dyn AccountStore,
) -> Result<(u64, Policy), AccessError> {
    let data = match auth.has_grants() {
        true => store.policy().await?,
        false => PolicyData::default(),
    };
    Ok((data.generation, policy(auth, data)))
}

fn policy(auth: &Auth, data: PolicyData) -> Policy {
    let mut memberships = Memberships::default();
    for (organisation, user, role) in &data.members {
        memberships.add_member(organisation, user, *role == OrganisationRole::Owner);
    }
    for (team, user) in &data.team_members {
        memberships.add_team_member(team, user);
    }
    for (team, members) in &auth.teams {
        // Their names were checked when the configuration was read.
        let Ok(team) = team.parse() else { continue };
        for member in members.iter().filter_map(|name| name.parse().ok()) {
            memberships.add_team_member(&team, &member);
        }
    }
    let stored = data.grants.into_iter().map(|stored| (Some(stored.id.0), stored.grant));
    let declared = auth.grants.iter().map(|declared| (None, declared.0.clone()));
    let implied = implied(auth).into_iter().map(|grant| (None, grant));
    Policy::new(stored.chain(declared).chain(implied), memberships)
}

/// Where nobody says who may do what, whoever has shown who they are may do everything.
fn implied(auth: &Auth) -> Option<Grant> {
    if auth.has_grants() {
        return None;
    }
    Some(Grant {
        effect: Effect::Allow,
        subject: Subject::Authenticated,
        role: Role::Admin,
        repositories: RepositoryPattern::all(),
    })
}
