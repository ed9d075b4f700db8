//! Malformed names, references and digests.

use anyhow::{Context, Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{Request, delete, get, head, patch, post, put};

use crate::api::Api;

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Every kind of request that names a repository.
fn requests(name: &str) -> Vec<Request> {
    let session = "0190b5a4-7c1e-7000-8000-000000000000";
    vec![
        get(format!("/v2/{name}/tags/list")),
        get(format!("/v2/{name}/manifests/latest")),
        head(format!("/v2/{name}/manifests/latest")),
        put(format!("/v2/{name}/manifests/latest")).body("{}"),
        delete(format!("/v2/{name}/manifests/latest")),
        get(format!("/v2/{name}/blobs/{ZERO}")),
        head(format!("/v2/{name}/blobs/{ZERO}")),
        delete(format!("/v2/{name}/blobs/{ZERO}")),
        post(format!("/v2/{name}/blobs/uploads/")),
        post(format!("/v2/{name}/blobs/uploads/?digest={ZERO}")).body("x"),
        get(format!("/v2/{name}/blobs/uploads/{session}")),
        patch(format!("/v2/{name}/blobs/uploads/{session}")).body("x"),
        put(format!("/v2/{name}/blobs/uploads/{session}?digest={ZERO}")).body("x"),
        delete(format!("/v2/{name}/blobs/uploads/{session}")),
        get(format!("/v2/{name}/referrers/{ZERO}")),
    ]
}

#[test]
fn malformed_repository_names_are_refused_by_every_endpoint() -> Result<()> {
    let api = Api::on_files(&[])?;
    let long = "a".repeat(256);
    let long_of_parts = ["abcdefg"; 33].join("/");
    for (name, reason) in [
        ("..", "components"),
        ("../..", "components"),
        ("a/../b", "components"),
        ("%2e%2e", "components"),
        ("%2e%2e%2f%2e%2e%2fetc", "components"),
        ("a%2f..%2fb", "components"),
        ("./a", "components"),
        ("%252e%252e", "components"),
        ("a%00b", "components"),
        ("a%0d%0ab", "components"),
        ("a%5cb", "components"),
        ("a//b", "components"),
        ("/a", "components"),
        ("_catalog", "components"),
        ("a-", "components"),
        ("a___b", "components"),
        ("a..b", "components"),
        ("a%20b", "components"),
        ("%c3%a9", "components"),
        ("Library/app", "lower case"),
        ("library/App", "lower case"),
        ("%41", "lower case"),
        (&long, "255"),
        (&long_of_parts, "255"),
    ] {
        for request in requests(name) {
            let answer = api.send(&request).with_context(|| format!("{request:?}"))?;
            if answer.body.is_empty() {
                assert_eq!(answer.status, 400, "{request:?}");
                continue;
            }
            let message =
                answer.refusal(400, "NAME_INVALID").with_context(|| format!("{request:?}"))?;
            ensure!(message.contains(reason), "{name}: {message}");
        }
    }
    // Nothing was written anywhere but in its own place.
    let repositories = api.root()?.join("docker/registry/v2/repositories");
    assert_eq!(std::fs::read_dir(repositories)?.count(), 0);
    Ok(())
}

#[test]
fn the_longest_name_and_names_of_the_apis_own_words_are_accepted() -> Result<()> {
    for api in Api::each() {
        let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
        for name in [
            &*longest,
            "blobs",
            "blobs/uploads",
            "manifests/latest",
            "tags/list",
            "v2/_".trim_end_matches("/_"),
            "referrers",
            "a/blobs/uploads/b",
        ] {
            let manifest = api.push_image(name, "1", 1)?;
            for reference in ["1", &manifest.digest] {
                api.get(&format!("/v2/{name}/manifests/{reference}"))?.expect(200)?;
            }
            api.get(&format!("/v2/{name}/tags/list"))?.expect(200)?;
            let session = api.begin(name)?;
            api.get(&session)?.expect(204)?;
            api.delete(&session)?.expect(204)?;
        }
    }
    Ok(())
}

#[test]
fn bytes_that_are_no_text_are_no_path() -> Result<()> {
    let api = Api::in_memory(&[])?;
    for target in ["/v2/%ff/tags/list", "/v2/a/manifests/%c3%28", "/%ff"] {
        api.get(target)?.refusal(404, "UNSUPPORTED")?;
    }
    Ok(())
}

#[test]
fn malformed_digests_are_refused_with_what_is_wrong() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let hex = "0123456789abcdef".repeat(4);
    for (digest, reason) in [
        ("sha256:".to_owned(), "64"),
        (format!("sha256:{}", &hex[..63]), "63"),
        (format!("sha256:{hex}0"), "65"),
        (format!("sha512:{hex}"), "128"),
        (format!("sha256:{}", hex.to_uppercase()), "lower-case"),
        (format!("sha256:{}", hex.replace('0', "g")), "lower-case"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(), "sha256 or sha512"),
        (format!("SHA256:{hex}"), "sha256 or sha512"),
        (format!("blake3:{hex}"), "sha256 or sha512"),
        (format!(":{hex}"), "sha256 or sha512"),
    ] {
        let session = api.begin("app")?;
        for request in [
            get(format!("/v2/app/blobs/{digest}")),
            delete(format!("/v2/app/blobs/{digest}")),
            get(format!("/v2/app/manifests/{digest}")),
            put(format!("/v2/app/manifests/{digest}")).body("{}"),
            delete(format!("/v2/app/manifests/{digest}")),
            get(format!("/v2/app/referrers/{digest}")),
            post(format!("/v2/app/blobs/uploads/?digest={digest}")).body("x"),
            post(format!("/v2/app/blobs/uploads/?mount={digest}&from=b")),
            put(format!("{session}?digest={digest}")).body("x"),
        ] {
            let message = api
                .send(&request)?
                .refusal(400, "DIGEST_INVALID")
                .with_context(|| format!("{request:?}"))?;
            ensure!(message.contains(reason), "{digest}: {message}");
        }
        api.get(&session)?.expect(204)?;
    }
    for target in ["/v2/app/blobs/latest", "/v2/app/blobs/uploads/?digest-algorithm=md5"] {
        let method = if target.contains('?') { "POST" } else { "GET" };
        api.send(&Request::new(method, target))?.refusal(400, "DIGEST_INVALID")?;
    }
    Ok(())
}

#[test]
fn a_closing_put_without_a_digest_is_told_what_is_missing() -> Result<()> {
    for api in Api::each() {
        let session = api.begin("app")?;
        let message = api.send(&put(&session).body("x"))?.refusal(400, "DIGEST_INVALID")?;
        ensure!(message.contains("digest=sha256:"), "{message}");
        api.get(&session)?.expect(204)?;
    }
    Ok(())
}

#[test]
fn malformed_tags_are_refused_when_pushed() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("{}");
        api.push_blob("app", &blob)?;
        let manifest = Manifest::image(&blob, &[]);
        let long = "x".repeat(129);
        for (tag, reason) in [
            (".hidden", "begins"),
            ("-dash", "begins"),
            ("a%20b", "letters"),
            ("a+b", "letters"),
            ("%2e%2e", "begins"),
            ("%c3%a9", "letters"),
            (&long, "128"),
        ] {
            let message = api.push_manifest("app", tag, &manifest)?.refusal(400, "TAG_INVALID")?;
            ensure!(message.contains(reason), "{tag}: {message}");
        }
        let longest = "x".repeat(128);
        for tag in ["_", "V1.0-rc_1", "sha256-00.sig", &longest] {
            api.push_manifest("app", tag, &manifest)?.expect(201)?;
        }
    }
    Ok(())
}

#[test]
fn an_upload_session_is_named_by_its_uuid_alone() -> Result<()> {
    let api = Api::on_files(&[])?;
    for session in [
        "1",
        "..",
        "%2e%2e%2f%2e%2e%2fberth.db",
        "0190b5a4-7c1e-7000-8000-00000000000",
        "0190b5a47c1e70008000000000000000",
        "0190b5a4-7c1e-7000-8000-000000000000",
    ] {
        for method in ["GET", "PATCH", "DELETE"] {
            let target = format!("/v2/app/blobs/uploads/{session}");
            let answer = api.send(&Request::new(method, target))?;
            // A slash or two dots make it another path.
            match answer.json()?["errors"][0]["code"].as_str() {
                Some("BLOB_UPLOAD_UNKNOWN" | "UNSUPPORTED") => assert_eq!(answer.status, 404),
                other => ensure!(false, "{session} gave {other:?}"),
            }
        }
    }
    Ok(())
}
