//! What every client meets first: the version check, unknown paths, headers, addresses.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wire::{Request, get, post};

use crate::api::Api;

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn the_version_check_answers_what_docker_clients_look_for() -> Result<()> {
    for api in Api::each() {
        for (method, target) in [("GET", "/v2/"), ("HEAD", "/v2/"), ("GET", "/v2")] {
            let answer = api.send(&Request::new(method, target))?.expect(200)?;
            assert_eq!(answer.header("docker-distribution-api-version")?, "registry/2.0");
            assert_eq!(answer.header("content-type")?, "application/json");
            if method == "GET" {
                assert_eq!(answer.body, b"{}");
            }
            // Its presence makes containers/image ask for signatures elsewhere.
            assert_eq!(answer.find("x-registry-supports-signatures"), None);
        }
    }
    Ok(())
}

#[test]
fn paths_that_no_registry_has_are_404_and_clients_can_probe_them() -> Result<()> {
    let api = Api::in_memory(&[])?;
    for target in [
        "/v3/",
        "/v2/nothing",
        "/v2/a/nothing/here",
        "/v2/a/uploads/1",
        "/v2/_oci/ext/discover",
        "/v2x/a/tags/list",
        "/extensions/v2/a/signatures/sha256:00",
        "/favicon.ico",
    ] {
        let message = api.get(target)?.refusal(404, "UNSUPPORTED")?;
        ensure!(message.contains("/v2/"), "{target}: {message}");
    }
    Ok(())
}

#[test]
fn a_method_that_a_path_does_not_know_is_answered_with_those_it_knows() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let blob = format!("/v2/a/blobs/{ZERO}");
    let referrers = format!("/v2/a/referrers/{ZERO}");
    for (method, target, allowed) in [
        ("POST", "/v2/", "GET, HEAD"),
        ("DELETE", "/v2/_catalog", "GET, HEAD"),
        ("PUT", "/v2/a/tags/list", "GET, HEAD"),
        ("POST", &referrers, "GET, HEAD"),
        ("POST", "/v2/a/manifests/latest", "GET, HEAD, PUT, DELETE"),
        ("PATCH", &blob, "GET, HEAD, DELETE"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        ("GET", "/v2/a/blobs/uploads", "POST"),
        (
            "POST",
            "/v2/a/blobs/uploads/0190b5a4-7c1e-7000-8000-000000000000",
            "GET, PATCH, PUT, DELETE",
        ),
    ] {
        let answer = api.send(&Request::new(method, target))?;
        assert_eq!(answer.find("allow"), Some(allowed), "{method} {target}");
        answer.refusal(405, "UNSUPPORTED")?;
    }
    Ok(())
}

#[test]
fn a_path_may_be_percent_encoded() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 10);
        api.push_blob("team/app", &blob)?;
        let encoded = blob.digest.replace(':', "%3A");
        api.get(&format!("/v2/team%2Fapp/blobs/{encoded}"))?.expect(200)?;
        api.get(&format!("/v2/te%61m/app/%62lobs/{encoded}"))?.expect(200)?;
    }
    Ok(())
}

#[test]
fn a_namespace_parameter_of_a_proxys_client_changes_nothing() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("app", "1", 1)?;
        let by_tag = api.get("/v2/app/manifests/1?ns=docker.io")?.expect(200)?;
        assert_eq!(by_tag.header("docker-content-digest")?, manifest.digest);
        api.head(&format!("/v2/app/manifests/{}?ns=docker.io", manifest.digest))?.expect(200)?;
        api.get("/v2/?ns=docker.io")?.expect(200)?;
    }
    Ok(())
}

#[test]
fn a_request_keeps_its_own_id_and_gets_one_when_it_has_none_that_fits() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let given = api.send(&get("/v2/").header("X-Request-ID", "trace-7/ab"))?;
    assert_eq!(given.header("x-request-id")?, "trace-7/ab");
    let long = "x".repeat(129);
    let mut seen = std::collections::BTreeSet::new();
    for bad in [None, None, Some(""), Some("two words"), Some(long.as_str())] {
        let request = bad.map_or_else(|| get("/v2/"), |id| get("/v2/").header("X-Request-ID", id));
        let answer = api.send(&request)?;
        let id = answer.header("x-request-id")?.to_owned();
        ensure!(bad != Some(id.as_str()) && id.len() > 8, "{bad:?} gave {id:?}");
        ensure!(seen.insert(id), "an id was given twice");
    }
    Ok(())
}

#[test]
fn configured_headers_are_on_every_answer_errors_included() -> Result<()> {
    let headers = "{X-Content-Type-Options: [nosniff], X-Both: [one, two]}";
    let api = Api::in_memory(&[("REGISTRY_HTTP_HEADERS", headers)])?;
    for target in ["/v2/", "/v2/none/tags/list", "/healthz", "/nothing"] {
        let answer = api.get(target)?;
        assert_eq!(answer.header("x-content-type-options")?, "nosniff", "{target}");
        assert_eq!(answer.all("x-both").collect::<Vec<_>>(), ["one", "two"], "{target}");
    }
    Ok(())
}

#[test]
fn locations_are_relative_unless_an_external_address_is_configured() -> Result<()> {
    const HOST: (&str, &str) = ("REGISTRY_HTTP_HOST", "https://registry.example.org/");
    const PREFIX: (&str, &str) = ("REGISTRY_HTTP_PREFIX", "/oci/");
    const RELATIVE: (&str, &str) = ("REGISTRY_HTTP_RELATIVEURLS", "true");
    for (settings, path, location) in [
        (&[][..], "", ""),
        (&[HOST], "", "https://registry.example.org"),
        (&[HOST, RELATIVE], "", ""),
        (&[PREFIX], "/oci", "/oci"),
        (&[HOST, PREFIX], "/oci", "https://registry.example.org/oci"),
    ] {
        let api = Api::in_memory(settings)?;
        api.get(&format!("{path}/v2/"))?.expect(200)?;
        let answer = api.send(&post(format!("{path}/v2/a/blobs/uploads/")))?.expect(202)?;
        let expected = format!("{location}/v2/a/blobs/uploads/");
        let found = answer.header("location")?;
        ensure!(found.starts_with(&expected), "{found} with {settings:?}");

        for seed in [1, 2] {
            let blob = Blob::random(seed, 10);
            let target = format!("{path}/v2/r{seed}/blobs/uploads/?digest={}", blob.digest);
            let answer = api.send(&post(target).body(blob.bytes))?.expect(201)?;
            let expected = format!("{location}/v2/r{seed}/blobs/{}", blob.digest);
            assert_eq!(answer.header("location")?, expected);
        }
        let page = api.get(&format!("{path}/v2/_catalog?n=1"))?.expect(200)?;
        assert_eq!(page.next_page()?, Some(format!("{location}/v2/_catalog?n=1&last=r1")));
    }
    Ok(())
}

#[test]
fn a_prefix_moves_the_api_and_nothing_else() -> Result<()> {
    let api = Api::in_memory(&[("REGISTRY_HTTP_PREFIX", "/oci/")])?;
    for target in ["/oci/v2/", "/healthz", "/readyz", "/metrics"] {
        api.get(target)?.expect(200)?;
    }
    for target in ["/v2/", "/ociv2/", "/oci/healthz"] {
        api.get(target)?.refusal(404, "UNSUPPORTED")?;
    }
    Ok(())
}
