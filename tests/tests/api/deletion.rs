//! Deletion of what others depend on, and of whole repositories.

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, Manifest, image};

use crate::api::Api;

fn put(api: &Api, reference: &str, manifest: &Manifest) -> Result<()> {
    let request = berth_tests::wire::put(format!("/v2/team/app/manifests/{reference}"))
        .header("Content-Type", &manifest.media_type)
        .body(&*manifest.bytes);
    api.send(&request)?.expect(201).map(drop)
}

/// A manifest that is attached to another one.
fn attached(api: &Api, subject: &Manifest) -> Result<Manifest> {
    let config = Blob::new("{}");
    api.push_blob("team/app", &config)?;
    let mut value = image(&config, &[]);
    value["subject"] = subject.descriptor();
    Ok(Manifest::new(&value))
}

#[test]
fn a_manifest_that_an_index_names_is_not_deleted() -> Result<()> {
    for api in Api::each() {
        let child = api.push_image("team/app", "amd64", 1)?;
        let index = Manifest::index(&[&child]);
        put(&api, "all", &index)?;
        let target = format!("/v2/team/app/manifests/{}", child.digest);

        let message = api.delete(&target)?.refusal(409, "DENIED")?;

        ensure!(message.contains(&index.digest), "{message}");
        api.delete("/v2/team/app/manifests/amd64")?.expect(202)?;
        api.get(&target)?.expect(200)?;
        api.delete(&format!("/v2/team/app/manifests/{}", index.digest))?.expect(202)?;
        api.delete(&target)?.expect(202)?;
    }
    Ok(())
}

#[test]
fn what_is_attached_goes_with_its_subject() -> Result<()> {
    for api in Api::each() {
        let subject = api.push_image("team/app", "1", 1)?;
        let referrer = attached(&api, &subject)?;
        put(&api, &referrer.digest, &referrer)?;
        let signature = api.push_image("team/app", "signature", 2)?;
        let tag = format!("{}.sig", subject.digest.replace(':', "-"));
        put(&api, &tag, &signature)?;
        api.delete("/v2/team/app/manifests/signature")?.expect(202)?;

        api.delete(&format!("/v2/team/app/manifests/{}", subject.digest))?.expect(202)?;

        for gone in [&subject.digest, &referrer.digest, &signature.digest, &tag] {
            let answer = api.get(&format!("/v2/team/app/manifests/{gone}"))?;
            answer.refusal(404, "MANIFEST_UNKNOWN")?;
        }
    }
    Ok(())
}

#[test]
fn a_repository_is_deleted_whole() -> Result<()> {
    for api in Api::each() {
        let child = api.push_image("team/app", "1", 1)?;
        put(&api, "all", &Manifest::index(&[&child]))?;
        api.push_image("team/app-extra", "1", 2)?;

        api.delete("/api/v1/repositories/team/app")?.expect(202)?;

        api.get("/v2/team/app/tags/list")?.refusal(404, "NAME_UNKNOWN")?;
        for reference in ["1", "all", &child.digest] {
            let answer = api.get(&format!("/v2/team/app/manifests/{reference}"))?;
            answer.refusal(404, "MANIFEST_UNKNOWN")?;
        }
        let catalog = api.get("/v2/_catalog")?.expect(200)?.json()?;
        assert_eq!(catalog["repositories"], serde_json::json!(["team/app-extra"]));
        api.delete("/api/v1/repositories/team/app")?.refusal(404, "NAME_UNKNOWN")?;

        // Its name can be used at once.
        api.push_image("team/app", "again", 3)?;
        let tags = api.get("/v2/team/app/tags/list")?.expect(200)?.json()?;
        assert_eq!(tags["tags"], serde_json::json!(["again"]));
    }
    Ok(())
}

#[test]
fn a_repository_is_not_deleted_by_other_words() -> Result<()> {
    for api in Api::each() {
        api.push_image("team/app", "1", 1)?;
        api.delete("/api/v1/repositories/team/App")?.refusal(400, "NAME_INVALID")?;
        api.delete("/api/v1/repositories/")?.refusal(400, "NAME_INVALID")?;
        let answer = api.get("/api/v1/repositories/team/app")?;
        assert_eq!(answer.header("allow")?, "DELETE");
        answer.refusal(405, "UNSUPPORTED")?;
        for nothing in ["/api", "/api/v1/", "/api/v2/repositories/team/app"] {
            api.delete(nothing)?.expect(404)?;
        }
        api.get("/v2/team/app/manifests/1")?.expect(200)?;
    }
    for settings in [
        ("REGISTRY_STORAGE_DELETE_ENABLED", "false"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
    ] {
        for api in Api::each_with(&[settings]) {
            api.delete("/api/v1/repositories/team/app")?.refusal(405, "UNSUPPORTED")?;
        }
    }
    Ok(())
}
