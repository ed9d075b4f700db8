//! Random rules over random tags, against the plainest reading of the rules.

use std::time::{Duration, SystemTime};

use berth_config::{Config, Keep, Policy};
use berth_metadata::TagUse;
use proptest::prelude::*;

use super::{Judge, Survey};

const NAMES: [&str; 9] = [
    "latest",
    "dev-1",
    "dev-2",
    "v1.0.0",
    "v1.1.0",
    "1.1.0-rc.1",
    "2.0.0",
    "sha256-0000000000000000000000000000000000000000000000000000000000000000.sig",
    "pinned",
];

const NOW: u64 = 50;

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

/// Some of the names, with times of few values, so that some are the same.
fn tags() -> impl Strategy<Value = Vec<TagUse>> {
    let names = proptest::sample::subsequence(&NAMES[..], 0..=NAMES.len());
    let times = proptest::collection::vec((0..NOW, proptest::option::of(0..NOW)), NAMES.len());
    (names, times).prop_map(|(names, times)| {
        let tag = |(name, (pushed, pulled)): (&&str, (u64, Option<u64>))| TagUse {
            tag: name.parse().unwrap(),
            pushed_at: at(pushed),
            pulled_at: pulled.map(at),
        };
        names.iter().zip(times).map(tag).collect()
    })
}

/// The text of an entry that keeps less than everything.
fn entry() -> impl Strategy<Value = String> {
    let globs = prop_oneof![Just("'*'"), Just("'dev-*'"), Just("'v*'"), Just("latest")];
    let versions = prop_oneof![Just("'>=1.0.1'"), Just("'<2'"), Just("'*'")];
    let count = || proptest::option::of(1..4u32);
    let time = || proptest::option::of(1..NOW);
    let parts = (
        proptest::option::of(globs),
        proptest::option::of(versions),
        count(),
        count(),
        count(),
        time(),
        time(),
    );
    parts.prop_filter_map("it keeps everything", |parts| {
        let (globs, semver, pushed, pulled, versions, pushed_in, pulled_in) = parts;
        let texts = [
            globs.map(|glob| format!("tags: [{glob}]")),
            semver.map(|requirement| format!("semver: {requirement}")),
            pushed.map(|count| format!("newestpushed: {count}")),
            pulled.map(|count| format!("newestpulled: {count}")),
            versions.map(|count| format!("newestsemver: {count}")),
            pushed_in.map(|seconds| format!("pushedwithin: {seconds}s")),
            pulled_in.map(|seconds| format!("pulledwithin: {seconds}s")),
        ];
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        (!texts.is_empty()).then(|| format!("{{{}}}", texts.join(", ")))
    })
}

fn policy(entries: &[String]) -> Policy {
    let yaml = format!(
        "policy: {{immutabletags: [{{repositories: ['**'], tags: [pinned]}}],
            retention: {{rules: [{{repositories: ['**'], keep: [{}]}}]}}}}",
        entries.join(", ")
    );
    Config::parse(&yaml, []).unwrap_or_else(|error| panic!("{yaml}: {error}")).config.policy
}

fn judge<'p>(policy: &'p Policy, tags: &[TagUse]) -> Judge<'p> {
    let mut survey = Survey::new(&policy.retention.rules[0]);
    if survey.counts() {
        tags.iter().for_each(|tag| survey.note(tag));
    }
    survey.finish()
}

/// What a person says an entry keeps: everything sorted, and the first so many taken.
fn kept_by(keep: &Keep, tags: &[TagUse]) -> Vec<TagUse> {
    let version = |tag: &TagUse| super::version::version(&tag.tag);
    let mut about: Vec<&TagUse> = tags
        .iter()
        .filter(|tag| !tag.tag.as_str().starts_with("sha256-"))
        .filter(|tag| {
            keep.tags.is_empty() || keep.tags.iter().any(|glob| glob.is_match(tag.tag.as_str()))
        })
        .filter(|tag| {
            let fulfils = |one: &berth_config::VersionRequirement| {
                version(tag).is_some_and(|version| one.is_match(&version))
            };
            keep.semver.as_ref().is_none_or(fulfils)
        })
        .collect();
    let used = |tag: &TagUse| tag.pulled_at.into_iter().chain([tag.pushed_at]).max().unwrap();
    let mut kept: Vec<TagUse> = Vec::new();
    let mut take = |sorted: &[&TagUse], count: Option<u32>| {
        let count = count.unwrap_or_default() as usize;
        kept.extend(sorted.iter().rev().take(count).map(|tag| (*tag).clone()));
    };
    about.sort_by_key(|tag| (tag.pushed_at, tag.tag.clone()));
    take(&about, keep.newestpushed);
    about.sort_by_key(|tag| (used(tag), tag.tag.clone()));
    take(&about, keep.newestpulled);
    let mut versions: Vec<&TagUse> =
        about.iter().copied().filter(|tag| version(tag).is_some()).collect();
    versions.sort_by_key(|tag| (version(tag), tag.tag.clone()));
    take(&versions, keep.newestsemver);
    let age = |time: SystemTime| at(NOW).duration_since(time).unwrap();
    for tag in about {
        let is_kept = keep.is_unconditional()
            || keep.pushedwithin.is_some_and(|limit| age(tag.pushed_at) < limit.get())
            || keep.pulledwithin.is_some_and(|limit| age(used(tag)) < limit.get());
        if is_kept {
            kept.push(tag.clone());
        }
    }
    kept
}

proptest! {
    #[test]
    fn what_no_entry_keeps_goes_and_nothing_else(
        tags in tags(),
        entries in proptest::collection::vec(entry(), 1..4),
    ) {
        let policy = policy(&entries);
        let judge = judge(&policy, &tags);
        let entries = &policy.retention.rules[0].keep;
        let kept: Vec<TagUse> = entries.iter().flat_map(|keep| kept_by(keep, &tags)).collect();
        for tag in &tags {
            let name = tag.tag.as_str();
            let immutable = policy.immutable("app", name);
            let keeps = judge.verdict(tag, immutable, at(NOW)).keeps();
            let must_stay = name == "pinned" || name.starts_with("sha256-");
            prop_assert_eq!(keeps, must_stay || kept.contains(tag), "{}", name);
        }
    }

    /// Whatever happens between the passes makes no tag that was just pushed go.
    #[test]
    fn a_tag_pushed_between_the_passes_is_among_the_newest(
        tags in tags(),
        count in 1..4u32,
    ) {
        let policy = policy(&[format!("{{newestpushed: {count}}}")]);
        let judge = judge(&policy, &tags);
        let new = TagUse { tag: "a".parse().unwrap(), pushed_at: at(NOW), pulled_at: None };
        prop_assert!(judge.verdict(&new, None, at(NOW)).keeps());
    }
}
