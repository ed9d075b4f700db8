use std::time::{Duration, SystemTime};

use berth_config::{Keep, NamedRule, RetentionRule};
use berth_metadata::TagUse;
use berth_oci::Tag;
use semver::Version;

use super::attached::is_attached;
use super::newest::{Floor, Newest};
use super::verdict::{Condition, Reason, Verdict};
use super::version::version;

/// When something happened to a tag. Of the same moment the greater name counts as the later, so that
/// so many are never more.
type Moment = (SystemTime, Tag);

/// The first pass over the tags of a repository.
#[derive(Debug)]
pub(crate) struct Survey<'r> {
    rule: &'r RetentionRule,
    entries: Vec<Newests>,
}

/// What an entry counts.
#[derive(Debug)]
struct Newests {
    pushed: Option<Newest<Moment>>,
    pulled: Option<Newest<Moment>>,
    versions: Option<Newest<(Version, Tag)>>,
}

impl<'r> Survey<'r> {
    pub(crate) fn new(rule: &'r RetentionRule) -> Self {
        let newests = |keep: &Keep| Newests {
            pushed: keep.newestpushed.map(Newest::new),
            pulled: keep.newestpulled.map(Newest::new),
            versions: keep.newestsemver.map(Newest::new),
        };
        Self { rule, entries: rule.keep.iter().map(newests).collect() }
    }

    /// Whether any entry counts, so that the tags have to be noted.
    pub(crate) fn counts(&self) -> bool {
        self.entries.iter().any(|entry| {
            entry.pushed.is_some() || entry.pulled.is_some() || entry.versions.is_some()
        })
    }

    pub(crate) fn note(&mut self, tag: &TagUse) {
        if is_attached(&tag.tag) {
            return;
        }
        let version = Versioned::of(&tag.tag);
        for (keep, newests) in self.rule.keep.iter().zip(&mut self.entries) {
            if !is_about(keep, &version) {
                continue;
            }
            if let Some(pushed) = &mut newests.pushed {
                pushed.note((tag.pushed_at, tag.tag.clone()));
            }
            if let Some(pulled) = &mut newests.pulled {
                pulled.note((used_at(tag), tag.tag.clone()));
            }
            if let (Some(versions), Some(version)) = (&mut newests.versions, &version.version) {
                versions.note((version.clone(), tag.tag.clone()));
            }
        }
    }

    pub(crate) fn finish(self) -> Judge<'r> {
        let floors = |newests: Newests| Floors {
            pushed: newests.pushed.map(Newest::floor),
            pulled: newests.pulled.map(Newest::floor),
            versions: newests.versions.map(Newest::floor),
        };
        Judge { rule: self.rule, entries: self.entries.into_iter().map(floors).collect() }
    }
}

/// What tells of each tag what becomes of it.
#[derive(Debug)]
pub(crate) struct Judge<'r> {
    rule: &'r RetentionRule,
    entries: Vec<Floors>,
}

/// What a tag must reach to be among those that an entry counts.
#[derive(Debug)]
struct Floors {
    pushed: Option<Floor<Moment>>,
    pulled: Option<Floor<Moment>>,
    versions: Option<Floor<(Version, Tag)>>,
}

impl<'r> Judge<'r> {
    /// The verdict on a tag at the time `now`, by the clock that its times are of. `immutable` is what
    /// makes the tag immutable.
    pub(crate) fn verdict(
        &self,
        tag: &TagUse,
        immutable: Option<NamedRule>,
        now: SystemTime,
    ) -> Verdict<'r> {
        if is_attached(&tag.tag) {
            return Verdict::Keep(Reason::Attached);
        }
        if let Some(rule) = immutable {
            return Verdict::Keep(Reason::Immutable(rule));
        }
        if self.rule.keep.is_empty() {
            return Verdict::Keep(Reason::AllTags);
        }
        let version = Versioned::of(&tag.tag);
        let mut entries = self.rule.keep.iter().zip(&self.entries);
        let kept = entries.find_map(|(keep, floors)| {
            let condition = is_about(keep, &version)
                .then(|| floors.condition(keep, tag, version.version.as_ref(), now))??;
            Some(Reason::Kept(keep, condition))
        });
        kept.map_or(Verdict::Delete, Verdict::Keep)
    }
}

impl Floors {
    /// The first condition that a tag fulfils, of those that the entry is about.
    fn condition(
        &self,
        keep: &Keep,
        tag: &TagUse,
        version: Option<&Version>,
        now: SystemTime,
    ) -> Option<Condition> {
        if keep.is_unconditional() {
            return Some(Condition::Named);
        }
        let moment = |time: SystemTime| (time, tag.tag.clone());
        let is_newest = |floor: &Option<Floor<Moment>>, time: SystemTime| {
            floor.as_ref().is_some_and(|floor| floor.is_reached_by(&moment(time)))
        };
        if let Some(count) = keep.newestpushed.filter(|_| is_newest(&self.pushed, tag.pushed_at)) {
            return Some(Condition::NewestPushed(count));
        }
        if let Some(count) = keep.newestpulled.filter(|_| is_newest(&self.pulled, used_at(tag))) {
            return Some(Condition::NewestPulled(count));
        }
        let version = version.map(|version| (version.clone(), tag.tag.clone()));
        let is_newest_version = self.versions.as_ref().zip(version.as_ref());
        let is_newest_version =
            is_newest_version.is_some_and(|(floor, version)| floor.is_reached_by(version));
        if let Some(count) = keep.newestsemver.filter(|_| is_newest_version) {
            return Some(Condition::NewestVersions(count));
        }
        let within = |time: SystemTime, limit: Duration| {
            now.duration_since(time).is_ok_and(|age| age < limit) || time > now
        };
        if let Some(limit) = keep.pushedwithin.filter(|limit| within(tag.pushed_at, limit.get())) {
            return Some(Condition::PushedWithin(limit));
        }
        let limit = keep.pulledwithin.filter(|limit| within(used_at(tag), limit.get()))?;
        Some(Condition::PulledWithin(limit))
    }
}

/// When a tag was used last: a push counts as long as nobody has pulled what it brought.
fn used_at(tag: &TagUse) -> SystemTime {
    tag.pulled_at.map_or(tag.pushed_at, |pulled| pulled.max(tag.pushed_at))
}

/// A tag, and the version that it names.
struct Versioned<'t> {
    tag: &'t Tag,
    version: Option<Version>,
}

impl<'t> Versioned<'t> {
    fn of(tag: &'t Tag) -> Self {
        Self { tag, version: version(tag) }
    }
}

/// Whether an entry is about a tag.
fn is_about(keep: &Keep, tag: &Versioned<'_>) -> bool {
    let is_named =
        keep.tags.is_empty() || keep.tags.iter().any(|glob| glob.is_match(tag.tag.as_str()));
    let fulfils = |version: &Version| {
        keep.semver.as_ref().is_none_or(|requirement| requirement.is_match(version))
    };
    is_named && (keep.semver.is_none() || tag.version.as_ref().is_some_and(fulfils))
}

#[cfg(test)]
mod tests {
    use berth_config::Config;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    /// So many days after 1970.
    fn day(day: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY)
    }

    /// The judge's clock stands at day 100.
    const TODAY: u64 = 100;

    /// A tag that was pushed on a day, and pulled on another.
    fn tag(name: &str, pushed: u64, pulled: Option<u64>) -> TagUse {
        TagUse { tag: name.parse().unwrap(), pushed_at: day(pushed), pulled_at: pulled.map(day) }
    }

    /// The names of the tags that stay, and why.
    fn kept(keep: &str, tags: &[TagUse]) -> Vec<String> {
        let yaml = format!(
            "policy: {{retention: {{rules: [{{repositories: ['**'], untagged: 1h, keep: {keep}}}]}}}}"
        );
        let config = Config::parse(&yaml, []).unwrap_or_else(|error| panic!("{error}")).config;
        let mut survey = Survey::new(&config.policy.retention.rules[0]);
        tags.iter().for_each(|tag| survey.note(tag));
        let judge = survey.finish();
        let told = |tag: &TagUse| match judge.verdict(tag, None, day(TODAY)) {
            Verdict::Keep(reason) => Some(format!("{}: {reason}", tag.tag)),
            Verdict::Delete => None,
        };
        tags.iter().filter_map(told).collect()
    }

    fn some() -> Vec<TagUse> {
        vec![
            tag("dev-1", 10, None),
            tag("dev-2", 20, Some(99)),
            tag("latest", 90, Some(95)),
            tag("v1.2.0", 30, None),
            tag("v1.10.0", 40, None),
            tag("v2.0.0-rc.1", 50, Some(60)),
            tag("v3.0.0", 5, None),
        ]
    }

    #[test]
    fn each_condition_keeps_what_it_says() {
        let cases: &[(&str, &[&str])] = &[
            ("[{tags: ['dev-*']}]", &["dev-1: named by dev-*", "dev-2: named by dev-*"]),
            (
                "[{tags: [latest, v3.0.0]}]",
                &["latest: named by latest, v3.0.0", "v3.0.0: named by latest, v3.0.0"],
            ),
            ("[{newestpushed: 2}]", &["latest: newest 2 pushed", "v2.0.0-rc.1: newest 2 pushed"]),
            ("[{tags: ['dev-*'], newestpushed: 1}]", &["dev-2: newest 1 pushed of dev-*"]),
            ("[{newestpulled: 2}]", &["dev-2: newest 2 pulled", "latest: newest 2 pulled"]),
            // Never pulled, it counts from its push.
            (
                "[{tags: ['v*'], newestpulled: 2}]",
                &["v1.10.0: newest 2 pulled of v*", "v2.0.0-rc.1: newest 2 pulled of v*"],
            ),
            (
                "[{newestsemver: 2}]",
                &["v2.0.0-rc.1: newest 2 versions", "v3.0.0: newest 2 versions"],
            ),
            (
                "[{semver: '>=1.2, <3'}]",
                &["v1.2.0: named by semver >=1.2, <3", "v1.10.0: named by semver >=1.2, <3"],
            ),
            (
                "[{semver: '>=1.2, <3', newestsemver: 1}]",
                &["v1.10.0: newest 1 versions of semver >=1.2, <3"],
            ),
            ("[{tags: ['*.2.*'], semver: '1'}]", &["v1.2.0: named by *.2.* and semver ^1"]),
            ("[{semver: '=2.0.0-rc.1'}]", &["v2.0.0-rc.1: named by semver =2.0.0-rc.1"]),
            ("[{pushedwithin: 11d}]", &["latest: pushed within 264h"]),
            // Less than so long ago.
            ("[{pushedwithin: 10d}]", &[]),
            ("[{pulledwithin: 6d}]", &["dev-2: pulled within 144h", "latest: pulled within 144h"]),
            (
                "[{tags: [v1.10.0], pulledwithin: 61d}]",
                &["v1.10.0: pulled within 1464h of v1.10.0"],
            ),
            // The conditions of an entry add up.
            (
                "[{newestpushed: 1, newestsemver: 1, pulledwithin: 2d}]",
                &[
                    "dev-2: pulled within 48h",
                    "latest: newest 1 pushed",
                    "v3.0.0: newest 1 versions",
                ],
            ),
            // And so do entries.
            (
                "[{tags: [dev-1]}, {newestpushed: 1}]",
                &["dev-1: named by dev-1", "latest: newest 1 pushed"],
            ),
            ("[{tags: [nothing]}]", &[]),
            (
                "[{newestpushed: 7}]",
                &[
                    "dev-1: newest 7 pushed",
                    "dev-2: newest 7 pushed",
                    "latest: newest 7 pushed",
                    "v1.2.0: newest 7 pushed",
                    "v1.10.0: newest 7 pushed",
                    "v2.0.0-rc.1: newest 7 pushed",
                    "v3.0.0: newest 7 pushed",
                ],
            ),
        ];
        for (keep, expected) in cases {
            assert_eq!(kept(keep, &some()), *expected, "{keep}");
        }
    }

    #[test]
    fn a_rule_without_entries_keeps_all_tags() {
        let all = kept("[]", &some());
        assert_eq!(all.len(), some().len());
        assert!(all[0].ends_with("the rule keeps all tags"), "{all:?}");
    }

    #[test]
    fn of_the_same_moment_no_more_stay_than_were_asked_for() {
        let tags: Vec<_> = ["a", "b", "c", "d"].map(|name| tag(name, 7, None)).to_vec();
        assert_eq!(kept("[{newestpushed: 3}]", &tags).len(), 3);
        assert_eq!(kept("[{newestpulled: 1}]", &tags).len(), 1);
    }

    #[test]
    fn a_clock_that_went_back_deletes_nothing() {
        let future = [tag("a", TODAY + 1, None)];
        assert_eq!(kept("[{pushedwithin: 1s}]", &future).len(), 1);
    }

    #[test]
    fn attached_and_immutable_tags_are_not_judged() {
        let rules = "policy: {immutabletags: [{repositories: ['**'], tags: ['v*']}],
            retention: {rules: [{repositories: ['**'], keep: [{newestpushed: 1}]}]}}";
        let policy = Config::parse(rules, []).unwrap().config.policy;
        let signature = format!("sha256-{}.sig", "0".repeat(64));
        let tags = [tag(&signature, 99, None), tag("v1", 1, None), tag("old", 2, None)];
        let mut survey = Survey::new(&policy.retention.rules[0]);
        tags.iter().for_each(|tag| survey.note(tag));
        let judge = survey.finish();
        let told = tags.each_ref().map(|tag| {
            let immutable = policy.immutable("app", tag.tag.as_str());
            judge.verdict(tag, immutable, day(TODAY)).to_string()
        });
        assert_eq!(
            told,
            [
                "goes with what it is attached to",
                "immutable by policy.immutabletags[0]",
                // The signature is none of the newest.
                "newest 1 pushed",
            ]
        );
    }
}
