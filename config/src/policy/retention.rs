use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Glob, GoDuration, VersionRequirement};

/// Tags and manifests that go by themselves. Nothing does unless a rule says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Time between two runs. `berth retention` makes one now.
    pub interval: GoDuration,
    /// Whether a run only logs what it would delete.
    pub dryrun: bool,
    /// The first rule that names a repository decides what stays there. A repository that none names keeps everything.
    pub rules: Vec<RetentionRule>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { interval: GoDuration::from_secs(24 * 3600), dryrun: false, rules: Vec::new() }
    }
}

impl Retention {
    /// The rule that decides in the repository.
    pub fn rule_for(&self, repository: &str) -> Option<&RetentionRule> {
        self.rules
            .iter()
            .find(|rule| rule.repositories.iter().any(|glob| glob.is_match(repository)))
    }

    /// Whether any rule asks when something was pulled.
    pub fn needs_pulls(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.keep).any(Keep::needs_pulls)
    }
}

/// What stays in some repositories. At least one of `untagged` and `keep` is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionRule {
    /// Which repositories: `team/**`, or `**` for all.
    pub repositories: Vec<Glob>,
    /// How long a manifest stays after its last tag has left it, or after it was pushed without one. What an index names
    /// stays, and what is attached to a subject that is there. Without this key untagged manifests stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untagged: Option<GoDuration>,
    /// Which tags stay: those that any entry keeps. Without an entry all tags stay.
    pub keep: Vec<Keep>,
}

/// Tags that stay. `tags` and `semver` say which tags it is about: those that fulfil both. Of these it keeps each that
/// fulfils one of the other conditions, or all if there is no other condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Which tags it is about. When empty, all.
    pub tags: Vec<Glob>,
    /// Which versions it is about: tags of three numbers, as `1.2.3` or `v1.2.3-rc.1`, `_` standing for `+`, that fulfil
    /// this requirement: `>=1.2, <3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<VersionRequirement>,
    /// So many tags that were pushed last, up to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newestpushed: Option<u32>,
    /// So many tags that were pulled last, up to 10000. A tag that was not pulled since its push counts from that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newestpulled: Option<u32>,
    /// So many tags with the greatest versions, up to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newestsemver: Option<u32>,
    /// Tags that were pushed less than this time ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushedwithin: Option<GoDuration>,
    /// Tags that were pulled, or pushed, less than this time ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulledwithin: Option<GoDuration>,
}

impl Keep {
    /// The most tags that one of the `newest…` conditions keeps.
    pub const MOST: u32 = 10_000;

    /// Whether it keeps all tags that it is about.
    pub fn is_unconditional(&self) -> bool {
        self.counts().iter().all(|(_, count)| count.is_none())
            && self.pushedwithin.is_none()
            && self.pulledwithin.is_none()
    }

    pub(crate) fn counts(&self) -> [(&'static str, Option<u32>); 3] {
        [
            ("newestpushed", self.newestpushed),
            ("newestpulled", self.newestpulled),
            ("newestsemver", self.newestsemver),
        ]
    }

    fn needs_pulls(&self) -> bool {
        self.newestpulled.is_some() || self.pulledwithin.is_some()
    }
}
