use std::time::{Duration, SystemTime};

use berth_metadata::{AuditFilter, AuditId, AuditOutcome, NewAudit};

use super::fixtures::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

/// A line from words: `alice push acme/app`, at so many seconds.
fn line(seconds: u64, words: &str) -> NewAudit {
    let words: Vec<&str> = words.split(' ').collect();
    NewAudit {
        time: at(seconds),
        actor: words[0].to_owned(),
        action: words[1].to_owned(),
        target: words[2].to_owned(),
        reference: None,
        digest: None,
        source: None,
        outcome: AuditOutcome::Done,
        detail: None,
        request: None,
    }
}

async fn seconds(store: &Accounts, filter: &AuditFilter) -> Vec<u64> {
    let page = store.audit(filter, None, 100).await.unwrap();
    assert!(!page.more);
    let since = |time: SystemTime| time.duration_since(at(0)).unwrap().as_secs();
    page.entries.iter().map(|record| since(record.entry.time)).collect()
}

pub async fn a_line_is_read_back(store: Accounts) {
    store.record_audit(&[]).await.unwrap();
    let whole = NewAudit {
        time: in_micros(SystemTime::now()),
        actor: "user:alice".to_owned(),
        action: "push".to_owned(),
        target: "acme/app".to_owned(),
        reference: Some("latest".to_owned()),
        digest: Some("sha256:00".to_owned()),
        source: Some("::1".to_owned()),
        outcome: AuditOutcome::Denied,
        detail: Some("no grant for \"ü\"".to_owned()),
        request: Some("id".to_owned()),
    };
    let failed = NewAudit { outcome: AuditOutcome::Failed, ..line(1, "anonymous pull app") };
    store.record_audit(&[whole.clone(), failed.clone()]).await.unwrap();
    let page = store.audit(&AuditFilter::default(), None, 9).await.unwrap();
    assert!(!page.more);
    let entries: Vec<_> = page.entries.into_iter().map(|record| record.entry).collect();
    assert_eq!(entries, [whole, failed]);
}

pub async fn lines_are_filtered(store: Accounts) {
    let denied = NewAudit { outcome: AuditOutcome::Denied, ..line(3, "bob push acme/app") };
    store
        .record_audit(&[
            line(0, "alice push acme/app"),
            line(1, "alice pull acme/app"),
            line(2, "alice push acme/web"),
            denied,
            line(4, "bob account.create alice"),
        ])
        .await
        .unwrap();
    let none = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let denied = Some(AuditOutcome::Denied);
    for (filter, expected) in [
        (none(), vec![4, 3, 2, 1, 0]),
        (AuditFilter { actor: text("alice"), ..none() }, vec![2, 1, 0]),
        (AuditFilter { action: text("push"), ..none() }, vec![3, 2, 0]),
        (AuditFilter { target: text("acme/app"), ..none() }, vec![3, 1, 0]),
        (AuditFilter { outcome: denied, ..none() }, vec![3]),
        (AuditFilter { since: Some(at(3)), ..none() }, vec![4, 3]),
        (AuditFilter { until: Some(at(3)), ..none() }, vec![2, 1, 0]),
        (AuditFilter { since: Some(at(1)), until: Some(at(3)), ..none() }, vec![2, 1]),
        (AuditFilter { actor: text("alice"), target: text("acme/app"), ..none() }, vec![1, 0]),
        (AuditFilter { target: text("acme/app"), action: text("push"), ..none() }, vec![3, 0]),
        (AuditFilter { actor: text("alice"), since: Some(at(1)), ..none() }, vec![2, 1]),
        (AuditFilter { actor: text("alice"), outcome: denied, ..none() }, vec![]),
        (AuditFilter { actor: text("ali"), ..none() }, vec![]),
    ] {
        assert_eq!(seconds(&store, &filter).await, expected, "{filter:?}");
    }
}

pub async fn lines_are_paged_the_newest_first(store: Accounts) {
    // Two processes write what they have gathered: what is written later may have been earlier.
    for batch in [[3, 5, 5], [1, 4, 5], [2, 6, 7]] {
        let actors = ["alice", "bob", "alice"];
        let lines =
            batch.iter().zip(actors).map(|(at, actor)| line(*at, &format!("{actor} push app")));
        store.record_audit(&lines.collect::<Vec<_>>()).await.unwrap();
    }
    for actor in [None, Some("alice".to_owned())] {
        let filter = AuditFilter { actor, until: Some(at(7)), ..AuditFilter::default() };
        let whole = store.audit(&filter, None, 100).await.unwrap().entries;
        let place = |record: &berth_metadata::AuditRecord| (record.entry.time, record.id);
        assert!(whole.is_sorted_by_key(|record| std::cmp::Reverse(place(record))));
        assert!(whole.len() >= 5);
        let mut seen = Vec::new();
        loop {
            let before = seen.last().map(|record: &berth_metadata::AuditRecord| record.id);
            let page = store.audit(&filter, before, 2).await.unwrap();
            seen.extend(page.entries);
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, whole);
    }
}

pub async fn a_page_behind_what_is_forgotten_is_empty(store: Accounts) {
    store.record_audit(&[line(0, "a b c"), line(1, "a b c")]).await.unwrap();
    let page = store.audit(&AuditFilter::default(), None, 1).await.unwrap();
    assert_eq!(store.purge_audit(at(2), 10).await.unwrap(), 2);
    let after = page.entries[0].id;
    let rest = store.audit(&AuditFilter::default(), Some(after), 10).await.unwrap();
    assert!(rest.entries.is_empty() && !rest.more);
    // Numbers do not come again.
    store.record_audit(&[line(0, "a b c")]).await.unwrap();
    let again: AuditId = store.audit(&AuditFilter::default(), None, 1).await.unwrap().entries[0].id;
    assert!(again > after);
}

pub async fn old_lines_are_forgotten_a_few_at_a_time(store: Accounts) {
    let lines: Vec<_> = [5, 1, 4, 2, 3].map(|seconds| line(seconds, "a b c")).to_vec();
    store.record_audit(&lines).await.unwrap();
    assert_eq!(store.purge_audit(at(4), 2).await.unwrap(), 2);
    assert_eq!(seconds(&store, &AuditFilter::default()).await, [5, 4, 3], "the oldest go first");
    assert_eq!(store.purge_audit(at(4), 2).await.unwrap(), 1);
    assert_eq!(store.purge_audit(at(4), 2).await.unwrap(), 0);
    assert_eq!(seconds(&store, &AuditFilter::default()).await, [5, 4], "that very moment stays");
}

/// Whoever is refused may have called himself anything.
pub async fn any_text_can_be_written(store: Accounts) {
    let long = "ü".repeat(10_000);
    let mut strange = line(1, "a b c");
    strange.actor = format!("{long}\0");
    strange.target = long.clone();
    strange.detail = Some(format!("zero \0 and {long}"));
    let beside = line(2, "alice push app");
    store.record_audit(&[strange.clone(), beside]).await.unwrap();
    assert_eq!(seconds(&store, &AuditFilter::default()).await, [2, 1]);
    let filter = AuditFilter { actor: Some(strange.actor), ..AuditFilter::default() };
    assert_eq!(seconds(&store, &filter).await, [1]);
    let filter = AuditFilter { target: Some(long.clone()), ..AuditFilter::default() };
    let found = store.audit(&filter, None, 9).await.unwrap().entries.remove(0);
    assert!(long.starts_with(&found.entry.target));
    assert!(found.entry.detail.unwrap().starts_with("zero \u{fffd} and ü"));
    // One that PostgreSQL does not take as a value either.
    let filter = AuditFilter { action: Some("\0".to_owned()), ..AuditFilter::default() };
    assert_eq!(seconds(&store, &filter).await, Vec::<u64>::new());
}
