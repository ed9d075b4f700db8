//! The audit log.

use anyhow::{Result, ensure};
use berth_metadata::AuditFilter;
use berth_tests::wait;
use berth_tests::wire::{delete, get, post};
use serde_json::Value;

use super::{GRANTS, HTPASSWD, PasswordFile, basic, by};
use crate::api::Api;

/// `actor action target outcome` of each line, the oldest first.
fn lines(api: &Api) -> Result<Vec<String>> {
    api.with_accounts(|store| async move {
        let page = store.audit(&AuditFilter::default(), None, 1000).await?;
        let mut lines: Vec<_> = page
            .entries
            .into_iter()
            .map(|record| {
                let entry = record.entry;
                let outcome = entry.outcome.as_str();
                format!("{} {} {} {outcome}", entry.actor, entry.action, entry.target)
            })
            .collect();
        lines.reverse();
        Ok(lines)
    })
}

#[test]
fn it_has_what_was_done_and_what_was_refused_and_no_secret() -> Result<()> {
    let file = PasswordFile::of(&["alice", "a-secret-password"])?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit.jsonl");
    let api = Api::in_memory(&[
        (HTPASSWD, &file.setting()),
        (GRANTS, "['user:alice maintainer team/**']"),
        ("REGISTRY_AUDIT_FILE", &path.display().to_string()),
    ])?;
    let blob = berth_tests::content::Blob::new("layer");
    let push = post(format!("/v2/team/app/blobs/uploads/?digest={}", blob.digest));
    api.send(&by("alice", push.body(blob.bytes.clone())))?.expect(201)?;
    api.send(&by("alice", get(format!("/v2/team/app/blobs/{}", blob.digest))))?.expect(200)?;
    api.send(&by("alice", get("/v2/other/app/tags/list")))?.expect(403)?;
    api.send(&by("alice", delete(format!("/v2/team/app/blobs/{}", blob.digest))))?.expect(202)?;
    api.send(&by("alice", delete("/v2/team/app/manifests/gone")))?.expect(404)?;
    api.send(&by("alice", get("/token?scope=repository:team/app:pull")))?.expect(200)?;
    api.get("/v2/team/app/tags/list")?.expect(401)?;
    let wrong = basic("alice", "a-wrong-password");
    api.send(&get("/v2/team/app/tags/list").header("Authorization", &wrong))?.expect(401)?;
    api.send(&get("/token").header("Authorization", &wrong))?.expect(401)?;
    let expected = [
        "alice push team/app done",
        "alice pull other/app denied",
        "alice delete team/app done",
        "alice delete team/app failed",
        "alice login  done",
        "alice pull team/app denied",
        "alice login  denied",
    ];
    wait::until("the change is seen", || Ok(lines(&api)?.len() >= expected.len()))?;
    let found = lines(&api)?;
    ensure!(found == expected, "{found:#?}");
    let log = api.stop_and_read_log()?;
    let text = std::fs::read_to_string(&path)?;
    ensure!(text.lines().count() == expected.len(), "{text}");
    let first: Value = serde_json::from_str(text.lines().next().unwrap_or_default())?;
    ensure!(
        first["actor"] == "alice"
            && first["source"] == "127.0.0.1"
            && first["digest"] == blob.digest
            && first["request"].is_string(),
        "{first}"
    );
    for secret in ["a-secret-password", "a-wrong-password", &wrong[6..]] {
        ensure!(!text.contains(secret) && !log.contains(secret), "{secret} is in a log");
    }
    ensure!(log.contains(" - alice ["), "{log}");
    Ok(())
}

#[test]
fn pulls_are_told_where_they_are_wanted_and_nothing_where_it_is_off() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    for (setting, expected) in [
        (
            ("REGISTRY_AUDIT_PULLS", "true"),
            &["alice pull team/app failed", "alice login  done"][..],
        ),
        (("REGISTRY_AUDIT_DISABLED", "true"), &[]),
    ] {
        let api = Api::in_memory(&[
            (HTPASSWD, &file.setting()),
            ("REGISTRY_AUTH_TOKENS_ENABLED", "true"),
            setting,
        ])?;
        api.send(&by("alice", get("/v2/team/app/manifests/v1")))?.expect(404)?;
        api.send(&by("alice", get("/token")))?.expect(200)?;
        wait::until("the change is seen", || Ok(lines(&api)?.len() >= expected.len()))?;
        ensure!(lines(&api)? == expected, "{:?}", lines(&api)?);
    }
    Ok(())
}
