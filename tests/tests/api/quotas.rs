//! How much the repositories of a prefix may hold.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wire::{Answer, delete, post, put};
use serde_json::Value;

use crate::api::Api;

const QUOTAS: &str = "REGISTRY_POLICY_QUOTAS";

/// What a refused push is told: what is limited, the limit, what is used, and what was asked for.
fn refused(answer: &Answer, of: &str, numbers: [u64; 3]) -> Result<()> {
    let error: Value = answer.json()?["errors"][0].clone();
    ensure!(answer.status == 403 && error["code"] == "DENIED", "{answer:?}");
    let detail = &error["detail"];
    let told = ["limit", "used", "requested"].map(|name| detail[name].as_u64().unwrap_or(u64::MAX));
    ensure!(detail["quota"] == of && told == numbers, "{detail}");
    let message = error["message"].as_str().unwrap_or_default();
    let says = numbers.iter().all(|number| message.contains(&number.to_string()));
    ensure!(says && message.contains("policy.quotas"), "{message}");
    Ok(())
}

fn whole(name: &str, blob: &Blob) -> berth_tests::wire::Request {
    let path = format!("/v2/{name}/blobs/uploads/?digest={}", blob.digest);
    post(path).header("Content-Type", "application/octet-stream").body(&*blob.bytes)
}

#[test]
fn bytes_are_counted_once_and_pushes_beyond_are_refused() -> Result<()> {
    for api in Api::each_with(&[(QUOTAS, "[{repositories: team, bytes: 10}]")]) {
        let (first, second) = (Blob::new("123456"), Blob::new("abcde"));
        api.push_blob("team/a", &first)?;
        // The same again, and by mount, is no more.
        api.push_blob("team/b", &first)?;
        let mount = format!("/v2/team/c/blobs/uploads/?mount={}&from=team/a", first.digest);
        api.send(&post(mount))?.expect(201)?;

        refused(&api.send(&whole("team/a", &second))?, "bytes", [10, 6, 5])?;
        // A session keeps what it has.
        let session = api.send(&post("/v2/team/a/blobs/uploads/"))?.expect(202)?.location()?;
        let end = format!("{session}?digest={}", second.digest);
        let end = put(&end).header("Content-Type", "application/octet-stream").body(&*second.bytes);
        refused(&api.send(&end)?, "bytes", [10, 6, 5])?;
        api.push_blob("teams", &second)?;
        let mount = format!("/v2/team/a/blobs/uploads/?mount={}&from=teams", second.digest);
        refused(&api.send(&post(mount))?, "bytes", [10, 6, 5])?;
        api.get(&format!("/v2/team/a/blobs/{}", second.digest))?.expect(404)?;

        // What is deleted makes room; what is there can be read all the time.
        for name in ["team/a", "team/b", "team/c"] {
            api.get(&format!("/v2/{name}/blobs/{}", first.digest))?.expect(200)?;
            api.send(&delete(format!("/v2/{name}/blobs/{}", first.digest)))?.expect(202)?;
        }
        api.send(&end)?.expect(201)?;
    }
    Ok(())
}

#[test]
fn manifests_and_tags_are_limited() -> Result<()> {
    let quotas = "[{repositories: '*', manifests: 2}, {repositories: team, tags: 2}]";
    for api in Api::each_with(&[(QUOTAS, quotas)]) {
        let first = api.push_image("team/app", "one", 1)?;
        let second = api.push_image("team/app", "two", 2)?;
        // What is there already is no more.
        api.push_manifest("team/app", "one", &second)?.expect(201)?;
        refused(&api.push_manifest("team/app", "three", &first)?, "tags", [2, 2, 1])?;
        api.send(&delete("/v2/team/app/manifests/two"))?.expect(202)?;
        api.push_manifest("team/app", "three", &first)?.expect(201)?;

        // An image of the same blobs, with a manifest of its own.
        let (config, layer) = (Blob::new("{}"), Blob::new("layer"));
        api.push_blob("other", &config)?;
        api.push_blob("other", &layer)?;
        let image = berth_tests::content::image(&config, &[&layer]);
        let third = berth_tests::content::Manifest::new(&image);
        refused(&api.push_manifest("other", "v1", &third)?, "manifests", [2, 2, 1])?;
    }
    Ok(())
}

#[test]
fn a_quota_below_present_use_refuses_pushes_and_nothing_else() -> Result<()> {
    let api = Api::on_files(&[])?;
    let image = api.push_image("team/app", "one", 1)?;
    api.reload(&[(QUOTAS, "[{repositories: team, bytes: 1}]")])?;
    let answer = api.send(&post("/v2/team/app/blobs/uploads/"))?;
    ensure!(answer.status == 403, "{answer:?}");
    api.get("/v2/team/app/manifests/one")?.expect(200)?;
    // Blobs that are there count already.
    api.push_manifest("team/app", "two", &image)?.expect(201)?;
    let api = api.restart(&[])?;
    api.push_image("team/app", "three", 3)?;
    Ok(())
}
