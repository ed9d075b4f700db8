use std::collections::{HashMap, HashSet};

use berth_oci::access::{AccountName, Subject, TeamName};

/// Who belongs to which organisations and teams.
#[derive(Debug, Default)]
pub struct Memberships {
    /// What each account belongs to.
    subjects: HashMap<AccountName, Vec<Subject>>,
    /// The owners of each organisation.
    owners: HashMap<Box<str>, HashSet<AccountName>>,
}

impl Memberships {
    /// Makes an account a member of an organisation, or an owner.
    pub fn add_member(&mut self, organisation: &AccountName, user: &AccountName, is_owner: bool) {
        self.add(user, Subject::Organisation(organisation.clone()));
        if is_owner {
            self.owners.entry(organisation.as_str().into()).or_default().insert(user.clone());
        }
    }

    /// Makes an account a member of a team.
    pub fn add_team_member(&mut self, team: &TeamName, user: &AccountName) {
        self.add(user, Subject::Team(team.clone()));
    }

    fn add(&mut self, user: &AccountName, subject: Subject) {
        let subjects = self.subjects.entry(user.clone()).or_default();
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }

    /// What an account belongs to.
    pub fn of(&self, user: &AccountName) -> &[Subject] {
        self.subjects.get(user).map_or(&[], Vec::as_slice)
    }

    /// Whether an account is an owner of an organisation.
    pub fn is_owner(&self, user: &AccountName, organisation: &str) -> bool {
        self.owners.get(organisation).is_some_and(|owners| owners.contains(user))
    }
}
