//! What somebody may do: grants to them, or to what they belong to, and a few rules that need none.

mod decision;
mod holder;
mod memberships;

use std::collections::HashMap;

use berth_oci::access::{Access, Actions, Effect, Grant, Subject};

pub use decision::{Decision, Reason};
pub use holder::{Holder, Limit, Who};
pub use memberships::Memberships;

/// All grants and memberships, arranged for decisions.
///
/// The rules, the first that applies:
/// 1. What the credentials are not for (a token's [`Limit`]) is denied.
/// 2. An administrator may do everything.
/// 3. What a grant that denies takes from the caller, or from what they belong to, is denied.
/// 4. A user may do everything below their own name, and the owners of an organisation below its.
/// 5. What a grant allows is allowed.
/// 6. Everything else is denied.
#[derive(Debug, Default)]
pub struct Policy {
    /// By whom they are for, and by what the names begin with that they are for.
    grants: HashMap<Subject, Grants>,
    memberships: Memberships,
}

/// The grants of a subject, by the literal beginning of their patterns: for a repository those of
/// each beginning of its name are looked at, and no others.
type Grants = HashMap<Box<str>, Vec<Numbered>>;

#[derive(Debug)]
struct Numbered {
    grant: Grant,
    number: Option<i64>,
}

impl Policy {
    /// A policy of grants, each with the number that it has where it is stored.
    pub fn new(
        grants: impl IntoIterator<Item = (Option<i64>, Grant)>,
        memberships: Memberships,
    ) -> Self {
        let mut arranged: HashMap<Subject, Grants> = HashMap::new();
        for (number, grant) in grants {
            let of_subject = arranged.entry(grant.subject.clone()).or_default();
            let beginning = grant.repositories.literal().into();
            of_subject.entry(beginning).or_default().push(Numbered { grant, number });
        }
        Self { grants: arranged, memberships }
    }

    /// Who belongs to what.
    pub fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// Whether somebody may do something with a repository, and why. It does not matter whether
    /// there is such a repository.
    pub fn decide(&self, holder: &Holder, access: Access, repository: &str) -> Decision<'_> {
        if !holder.limit.allows(access, repository) {
            return Decision::Denied(Reason::Limited);
        }
        if holder.is_admin {
            return Decision::Allowed(Reason::Administrator);
        }
        let mut allowed = None;
        for granted in self.grants_for(holder, repository) {
            if !granted.grant.role.actions().contains(access) {
                continue;
            }
            match granted.grant.effect {
                Effect::Deny => return Decision::Denied(granted.reason()),
                Effect::Allow => allowed = allowed.or(Some(granted)),
            }
        }
        if let Some(reason) = self.by_name(holder, repository) {
            return Decision::Allowed(reason);
        }
        match allowed {
            Some(granted) => Decision::Allowed(granted.reason()),
            None => Decision::Denied(Reason::NoGrant),
        }
    }

    /// All that somebody may do with a repository.
    pub fn actions(&self, holder: &Holder, repository: &str) -> Actions {
        let is_allowed = |access: &Access| self.decide(holder, *access, repository).is_allowed();
        Access::ALL.into_iter().filter(is_allowed).collect()
    }

    /// Whether somebody may do something with every repository, whatever its name. False where it
    /// cannot be told without a name.
    pub fn allows_everywhere(&self, holder: &Holder, access: Access) -> bool {
        if !holder.limit.allows_everywhere(access) {
            return false;
        }
        if holder.is_admin {
            return true;
        }
        let mut everywhere = false;
        for grants in self.subjects(holder).iter().filter_map(|subject| self.grants.get(subject)) {
            for Numbered { grant, .. } in grants.values().flatten() {
                if grant.role.actions().contains(access) {
                    match grant.effect {
                        Effect::Deny => return false,
                        Effect::Allow => everywhere |= grant.repositories.as_str() == "**",
                    }
                }
            }
        }
        everywhere
    }

    /// The grants that speak of a repository, to the holder or to what they belong to.
    fn grants_for<'p, 'r>(
        &'p self,
        holder: &Holder,
        repository: &'r str,
    ) -> impl Iterator<Item = &'p Numbered> + use<'p, 'r> {
        let of_subjects = self.subjects(holder).into_iter().filter_map(|s| self.grants.get(&s));
        of_subjects
            .flat_map(move |grants| beginnings(repository).filter_map(|begin| grants.get(begin)))
            .flatten()
            .filter(move |granted| granted.grant.repositories.matches(repository))
    }

    fn subjects(&self, holder: &Holder) -> Vec<Subject> {
        let mut subjects = vec![Subject::Anyone];
        if !matches!(holder.who, Who::Anonymous) {
            subjects.push(Subject::Authenticated);
        }
        match &holder.who {
            Who::Anonymous | Who::Stranger => {}
            Who::Account(name) => {
                subjects.push(Subject::Account(name.clone()));
                subjects.extend_from_slice(self.memberships.of(name));
            }
            Who::Workload(rule) => subjects.push(Subject::Workload(rule.clone())),
        }
        subjects
    }

    /// What needs no grant: one's own name, and an organisation of which one is an owner.
    fn by_name(&self, holder: &Holder, repository: &str) -> Option<Reason<'_>> {
        let Who::Account(name) = &holder.who else { return None };
        let (first, _) = repository.split_once('/')?;
        if name.as_str() == first {
            return Some(Reason::OwnName);
        }
        self.memberships.is_owner(name, first).then_some(Reason::Owner)
    }
}

impl Numbered {
    fn reason(&self) -> Reason<'_> {
        Reason::Grant { number: self.number, grant: &self.grant }
    }
}

/// The whole name, what it begins with up to each slash, and nothing.
fn beginnings(name: &str) -> impl Iterator<Item = &str> {
    let slashes = name.match_indices('/').map(|(at, _)| &name[..at]);
    ["", name].into_iter().chain(slashes)
}

#[cfg(test)]
mod tests;
