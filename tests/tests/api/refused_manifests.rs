//! Manifests that are refused, and how a person learns why.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use berth_tests::content::{Blob, DOCKER_IMAGE, IMAGE, INDEX, Manifest, image, sha256};
use berth_tests::wire::{Answer, put};
use serde_json::{Value, json};

use crate::api::Api;

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn push(api: &Api, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Answer> {
    api.send(&put("/v2/app/manifests/latest").header("Content-Type", content_type).body(body))
}

/// Nothing of what was refused can be read.
fn holds_nothing(api: &Api) -> Result<()> {
    api.get("/v2/app/manifests/latest")?.refusal(404, "MANIFEST_UNKNOWN")?;
    Ok(())
}

#[test]
fn what_is_not_the_json_of_a_manifest_is_refused_with_the_reason() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let good = String::from_utf8(Manifest::image(&blob, &[]).bytes)?;
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let deep_objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        let twice = good.replacen('{', "{\"schemaVersion\": 2,", 1);
        let twice_inside = good.replacen("\"config\": {", "\"config\": {\"size\": 2,", 1);
        let escaped = good.replacen('{', "{\"\\u0063onfig\": {},", 1);
        for (body, reason) in [
            ("".to_owned(), "JSON"),
            ("not json".to_owned(), "JSON"),
            (good[..good.len() - 3].to_owned(), "JSON"),
            (format!("{good}{{}}"), "JSON"),
            ("\u{feff}{}".to_owned(), "JSON"),
            ("[]".to_owned(), "object"),
            ("null".to_owned(), "object"),
            ("\"text\"".to_owned(), "object"),
            (deep, "recursion"),
            (deep_objects, "recursion"),
            (twice, "twice"),
            (twice_inside, "twice"),
            (escaped, "twice"),
        ] {
            let message = push(&api, IMAGE, body)?.refusal(400, "MANIFEST_INVALID")?;
            ensure!(message.contains(reason), "{reason}: {message}");
        }
        push(&api, IMAGE, b"{\"a\": \"\xff\xfe\"}".to_vec())?.refusal(400, "MANIFEST_INVALID")?;
        holds_nothing(&api)?;
    }
    Ok(())
}

#[test]
fn manifests_that_lack_or_mangle_members_are_refused_with_their_name() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let good = image(&blob, &[&blob]);
        let descriptor =
            |digest: &str, size: Value| json!({"mediaType": "x/y", "digest": digest, "size": size});
        for (member, value, reason) in [
            ("config", Value::Null, "config"),
            ("layers", Value::Null, "layers"),
            ("layers", json!({}), "layers"),
            ("layers", json!(["x"]), "layers"),
            ("config", descriptor("sha256:00", json!(2)), "digest"),
            ("config", descriptor("../../etc/passwd", json!(2)), "digest"),
            ("config", descriptor(ZERO, json!(-1)), "config"),
            ("config", descriptor(ZERO, json!("2")), "config"),
            ("config", descriptor(ZERO, json!(1e300)), "config"),
            ("config", json!({"mediaType": "x/y"}), "config"),
            ("subject", json!({}), "subject"),
            ("subject", json!("x"), "subject"),
            ("annotations", json!({"a": 1}), "annotations"),
            ("annotations", json!([]), "annotations"),
            ("artifactType", json!(7), "artifactType"),
            ("schemaVersion", json!(3), "schemaVersion"),
            ("schemaVersion", json!("2"), "schemaVersion"),
            ("mediaType", json!(7), "mediaType"),
            ("manifests", json!([]), "manifests"),
            ("fsLayers", json!([]), "fsLayers"),
        ] {
            let mut manifest = good.clone();
            manifest[member] = value.clone();
            let message = push(&api, IMAGE, manifest.to_string())?
                .refusal(400, "MANIFEST_INVALID")
                .with_context(|| format!("{member}: {value}"))?;
            ensure!(message.contains(reason), "{member}: {message}");
        }
        holds_nothing(&api)?;
    }
    Ok(())
}

#[test]
fn wrong_media_types_are_refused_with_those_that_are_right() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let typed = image(&blob, &[]);
        let mut untyped = typed.clone();
        untyped.as_object_mut().context("an object")?.remove("mediaType");
        for (content_type, manifest, reason) in [
            (INDEX, &typed, IMAGE),
            (DOCKER_IMAGE, &typed, IMAGE),
            ("text/plain", &typed, IMAGE),
            ("text/plain", &untyped, "not a manifest media type"),
            ("application/vnd.oci.image.layer.v1.tar", &untyped, "not a manifest media type"),
            (INDEX, &untyped, "config"),
        ] {
            let message =
                push(&api, content_type, manifest.to_string())?.refusal(400, "MANIFEST_INVALID")?;
            ensure!(message.contains(reason), "{content_type}: {message}");
        }
        holds_nothing(&api)?;
    }
    Ok(())
}

#[test]
fn schema_1_is_refused_with_what_to_do() -> Result<()> {
    for api in Api::each() {
        let schema1 = json!({"schemaVersion": 1, "name": "app", "tag": "latest", "architecture": "amd64", "fsLayers": [], "history": [], "signatures": []});
        for content_type in [
            "application/vnd.docker.distribution.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "application/json",
        ] {
            let message =
                push(&api, content_type, schema1.to_string())?.refusal(400, "MANIFEST_INVALID")?;
            ensure!(
                message.contains("schema 1") && message.contains("skopeo copy --format v2s2"),
                "{message}"
            );
        }
        holds_nothing(&api)?;
    }
    Ok(())
}

#[test]
fn a_manifest_over_the_limit_is_413_whether_its_length_is_told_or_not() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let limit = 4 << 20;
        let mut value = image(&blob, &[]);
        value["annotations"] = json!({"filling": ""});
        let empty = value.to_string().len();
        let of_size = |size: usize| {
            value.to_string().replace(
                "\"filling\":\"\"",
                &format!("\"filling\":\"{}\"", "x".repeat(size - empty)),
            )
        };
        let request =
            |body: String| put("/v2/app/manifests/latest").header("Content-Type", IMAGE).body(body);
        let streamed = |body: String| {
            put("/v2/app/manifests/latest").header("Content-Type", IMAGE).streamed(body)
        };
        for refused in [
            request(of_size(limit + 1)),
            streamed(of_size(limit + 1)),
            streamed(of_size(2 * limit)),
        ] {
            let message = api.send(&refused)?.refusal(413, "MANIFEST_INVALID")?;
            ensure!(
                message.contains("4194304") && message.contains("http.limits.manifestsize"),
                "{message}"
            );
            holds_nothing(&api)?;
        }
        // A client that waits before it sends is spared the sending.
        let waits = request(of_size(limit + 1)).header("Expect", "100-continue");
        let mut connection = api.connect()?;
        connection.write(&waits.head())?;
        connection.answer(false)?.refusal(413, "MANIFEST_INVALID")?;

        for accepted in [request(of_size(limit)), streamed(of_size(limit))] {
            api.send(&accepted)?.expect(201)?;
            assert_eq!(api.get("/v2/app/manifests/latest")?.expect(200)?.body.len(), limit);
        }
    }
    Ok(())
}

#[test]
fn the_limit_is_a_setting() -> Result<()> {
    for api in Api::each_with(&[("REGISTRY_HTTP_LIMITS_MANIFESTSIZE", "100")]) {
        push(&api, IMAGE, vec![b' '; 101])?.refusal(413, "MANIFEST_INVALID")?;
        push(&api, IMAGE, vec![b' '; 100])?.refusal(400, "MANIFEST_INVALID")?;
    }
    Ok(())
}

#[test]
fn every_missing_blob_is_listed() -> Result<()> {
    for api in Api::each() {
        let here = Blob::random(0, 10);
        api.push_blob("app", &here)?;
        let missing: Vec<Blob> = (1..=20).map(|seed| Blob::random(seed, 10)).collect();
        let layers: Vec<&Blob> = missing[1..].iter().chain([&here, &missing[3]]).collect();
        let manifest = Manifest::image(&missing[0], &layers);
        let answer = api.push_manifest("app", "latest", &manifest)?;
        let body = answer.json()?;
        let told: Vec<_> = body["errors"]
            .as_array()
            .context("errors")?
            .iter()
            .map(|entry| entry["detail"]["digest"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(told.len(), missing.len(), "each once");
        let told: BTreeSet<_> = told.into_iter().collect();
        assert_eq!(told, missing.iter().map(|blob| blob.digest.clone()).collect());
        let message = answer.refusal(400, "MANIFEST_BLOB_UNKNOWN")?;
        ensure!(
            message.contains(&missing[7].digest) && message.contains("push it first"),
            "{message}"
        );
        holds_nothing(&api)?;

        for blob in &missing {
            api.push_blob("app", blob)?;
        }
        api.push_manifest("app", "latest", &manifest)?.expect(201)?;
    }
    Ok(())
}

#[test]
fn every_missing_child_of_an_index_is_listed() -> Result<()> {
    for api in Api::each() {
        let here = api.push_image("app", "here", 1)?;
        let absent = [2, 3].map(|seed| Manifest::image(&Blob::random(seed, 10), &[]));
        let index = Manifest::index(&[&absent[0], &here, &absent[1]]);
        let message =
            api.push_manifest("app", "many", &index)?.refusal(400, "MANIFEST_BLOB_UNKNOWN")?;
        assert_eq!(message.lines().count(), 2);
        for manifest in &absent {
            ensure!(message.contains(&manifest.digest), "{message}");
        }
    }
    Ok(())
}

#[test]
fn a_manifest_pushed_under_another_digest_is_refused_with_both() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let manifest = Manifest::image(&blob, &[]);
        let answer = api.push_manifest("app", &format!("{ZERO}?tag=latest"), &manifest)?;
        let detail = answer.json()?["errors"][0]["detail"].clone();
        assert_eq!(detail, json!({"expected": ZERO, "actual": sha256(&manifest.bytes)}));
        answer.refusal(400, "DIGEST_INVALID")?;
        holds_nothing(&api)?;
        api.get(&format!("/v2/app/manifests/{ZERO}"))?.expect(404)?;
    }
    Ok(())
}

#[test]
fn layers_may_point_only_where_the_configuration_allows() -> Result<()> {
    let settings = [
        ("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW", "[\"^https://example\\\\.org/\"]"),
        ("REGISTRY_VALIDATION_MANIFESTS_URLS_DENY", "[\"/private/\"]"),
    ];
    for api in Api::each_with(&settings) {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let pointing = |url: &str| {
            let mut value = image(&blob, &[&blob]);
            value["layers"][0]["urls"] = json!([url]);
            value.to_string()
        };
        for url in
            ["https://example.com/layer", "https://example.org/private/layer", "file:///etc/passwd"]
        {
            let message = push(&api, IMAGE, pointing(url))?.refusal(400, "MANIFEST_INVALID")?;
            ensure!(message.contains(url), "{message}");
        }
        push(&api, IMAGE, pointing("https://example.org/layer"))?.expect(201)?;
    }
    Ok(())
}
