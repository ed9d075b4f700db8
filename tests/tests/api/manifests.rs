//! Manifests that are accepted: types, bytes, conditions, tags, subjects, sparse indexes, deletion.

use anyhow::{Context, Result, ensure};
use berth_tests::content::{
    Blob, DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, Manifest, image, index, sha512,
};
use berth_tests::wire::{Answer, get, put};
use serde_json::{Value, json};

use crate::api::Api;

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A config and a layer that are in the repository.
fn blobs(api: &Api, repository: &str) -> Result<(Blob, Blob)> {
    let (config, layer) = (Blob::random(1, 200), Blob::random(2, 2000));
    api.push_blob(repository, &config)?;
    api.push_blob(repository, &layer)?;
    Ok((config, layer))
}

/// The same manifest with one member changed.
fn with(mut value: Value, name: &str, member: Value) -> Manifest {
    value[name] = member;
    Manifest::new(&value)
}

/// Checks that a reference gives a manifest as it was pushed, whole and by HEAD.
fn serves(api: &Api, repository: &str, reference: &str, manifest: &Manifest) -> Result<()> {
    let target = format!("/v2/{repository}/manifests/{reference}");
    let (whole, head) = (api.get(&target)?.expect(200)?, api.head(&target)?.expect(200)?);
    ensure!(whole.body == manifest.bytes, "{target} came back changed");
    for answer in [&whole, &head] {
        assert_eq!(answer.header("content-type")?, manifest.media_type);
        assert_eq!(answer.header("content-length")?, manifest.bytes.len().to_string());
        assert_eq!(answer.header("docker-content-digest")?, manifest.digest);
        assert_eq!(answer.header("etag")?, format!("\"{}\"", manifest.digest));
    }
    Ok(())
}

#[test]
fn manifests_of_every_type_come_back_byte_for_byte() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let oci = Manifest::image(&config, &[&layer]);
        let docker = with(image(&config, &[&layer]), "mediaType", json!(DOCKER_IMAGE));
        let typed =
            with(image(&config, &[]), "artifactType", json!("application/vnd.example+type"));
        let annotated = with(
            image(&config, &[&layer, &layer]),
            "annotations",
            json!({"ключ": "\u{1f980} \"quoted\""}),
        );
        for (tag, manifest) in
            [("oci", &oci), ("docker", &docker), ("typed", &typed), ("annotated", &annotated)]
        {
            let answer = api.push_manifest("app", tag, manifest)?.expect(201)?;
            assert_eq!(answer.location()?, format!("/v2/app/manifests/{}", manifest.digest));
            assert_eq!(answer.header("docker-content-digest")?, manifest.digest);
            assert_eq!(answer.find("oci-subject"), None);
            serves(&api, "app", tag, manifest)?;
            serves(&api, "app", &manifest.digest, manifest)?;
        }
        let list = with(index(&[&docker]), "mediaType", json!(DOCKER_LIST));
        let oci_index = Manifest::index(&[&oci, &typed]);
        for manifest in [&list, &oci_index] {
            api.push_manifest("app", "many", manifest)?.expect(201)?;
            serves(&api, "app", "many", manifest)?;
        }
        let nested = Manifest::index(&[&oci_index, &oci]);
        api.push_manifest("app", &nested.digest, &nested)?.expect(201)?;
        serves(&api, "app", &nested.digest, &nested)?;
        serves(&api, "app", &oci.digest, &oci)?;
    }
    Ok(())
}

#[test]
fn an_image_may_be_empty_and_name_a_blob_twice() -> Result<()> {
    for api in Api::each() {
        let empty = Blob::new("{}");
        api.push_blob("app", &empty)?;
        for layers in [&[][..], &[&empty, &empty]] {
            let manifest = Manifest::image(&empty, layers);
            api.push_manifest("app", "empty", &manifest)?.expect(201)?;
            serves(&api, "app", "empty", &manifest)?;
        }
        let nothing = Manifest::index(&[]);
        api.push_manifest("app", "nothing", &nothing)?.expect(201)?;
        serves(&api, "app", "nothing", &nothing)?;
    }
    Ok(())
}

#[test]
fn the_announced_type_may_be_missing_general_or_have_parameters() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let mut bare = image(&config, &[&layer]);
        bare.as_object_mut().context("an object")?.remove("mediaType");
        let silent = Manifest { media_type: IMAGE.to_owned(), ..Manifest::new(&bare) };
        let typed = Manifest::image(&config, &[&layer]);
        let with_parameter = format!("{IMAGE}; charset=utf-8");
        for announced in [
            None,
            Some("application/json"),
            Some("application/octet-stream"),
            Some(""),
            Some(IMAGE),
            Some(&*with_parameter),
        ] {
            for manifest in [&silent, &typed] {
                let mut request = put("/v2/app/manifests/latest").body(&*manifest.bytes);
                if let Some(announced) = announced {
                    request = request.header("Content-Type", announced);
                }
                api.send(&request)?.expect(201)?;
                serves(&api, "app", "latest", manifest)?;
            }
        }
    }
    Ok(())
}

#[test]
fn whatever_a_client_accepts_it_gets_the_manifest_as_it_was_pushed() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("app", "1", 1)?;
        let containerd = format!("{DOCKER_IMAGE}, {DOCKER_LIST}, {IMAGE}, {INDEX}, */*");
        for accept in [
            &*containerd,
            IMAGE,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "text/html",
            "",
        ] {
            let answer =
                api.send(&get("/v2/app/manifests/1").header("Accept", accept))?.expect(200)?;
            assert_eq!(answer.header("content-type")?, IMAGE);
            ensure!(answer.body == manifest.bytes, "Accept: {accept}");
        }
    }
    Ok(())
}

#[test]
fn whoever_has_a_manifest_is_not_sent_it_again() -> Result<()> {
    for api in Api::each() {
        let (old, new) = (api.push_image("app", "1", 1)?, api.push_image("app", "1", 2)?);
        let asked = |condition: &str| -> Result<Answer> {
            api.send(&get("/v2/app/manifests/1").header("If-None-Match", condition))
        };
        for condition in [
            format!("\"{}\"", new.digest),
            format!("W/\"{}\"", new.digest),
            new.digest.clone(),
            format!("\"{}\", \"{}\"", old.digest, new.digest),
            "*".to_owned(),
        ] {
            let answer = asked(&condition)?.expect(304)?;
            assert_eq!(answer.header("etag")?, format!("\"{}\"", new.digest));
            assert_eq!(answer.header("docker-content-digest")?, new.digest);
            ensure!(answer.body.is_empty(), "{condition}");
        }
        for condition in [format!("\"{}\"", old.digest), "\"x\"".to_owned(), String::new()] {
            ensure!(asked(&condition)?.expect(200)?.body == new.bytes, "{condition}");
        }
    }
    Ok(())
}

#[test]
fn a_subject_is_acknowledged_whether_or_not_it_is_there() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let image_manifest = api.push_image("app", "1", 3)?;
        for subject in [ZERO, &image_manifest.digest] {
            let subject_descriptor = json!({"mediaType": IMAGE, "digest": subject, "size": 7});
            for value in [image(&config, &[&layer]), index(&[&image_manifest])] {
                let manifest = with(value, "subject", subject_descriptor.clone());
                let answer = api.push_manifest("app", &manifest.digest, &manifest)?.expect(201)?;
                assert_eq!(answer.header("oci-subject")?, subject);
            }
        }
    }
    Ok(())
}

#[test]
fn a_manifest_pushed_by_digest_takes_tags_along() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let manifest = Manifest::image(&config, &[&layer]);
        let tags: Vec<String> = (0..20).map(|number| format!("v1.{number}")).collect();
        let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        let target = format!("{}?{}", manifest.digest, query.join("&"));
        let answer = api.push_manifest("app", &target, &manifest)?.expect(201)?;
        let told: Vec<&str> = answer.all("oci-tag").flat_map(|value| value.split(", ")).collect();
        assert_eq!(told, tags);
        for tag in &tags {
            serves(&api, "app", tag, &manifest)?;
        }
    }
    Ok(())
}

#[test]
fn a_malformed_tag_among_many_stores_nothing() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let manifest = Manifest::image(&config, &[&layer]);
        for bad in [".hidden", "a%20b", "", &"x".repeat(129)] {
            let target = format!("{}?tag=good&tag={bad}", manifest.digest);
            api.push_manifest("app", &target, &manifest)?.refusal(400, "TAG_INVALID")?;
        }
        api.get("/v2/app/manifests/good")?.expect(404)?;
        api.get(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(404)?;
    }
    Ok(())
}

#[test]
fn a_tag_moves_and_its_old_manifest_stays() -> Result<()> {
    for api in Api::each() {
        let (old, new) = (api.push_image("app", "latest", 1)?, api.push_image("app", "latest", 2)?);
        serves(&api, "app", "latest", &new)?;
        serves(&api, "app", &old.digest, &old)?;
        api.push_manifest("app", "latest", &old)?.expect(201)?;
        serves(&api, "app", "latest", &old)?;
    }
    Ok(())
}

#[test]
fn a_manifest_may_be_named_by_sha512() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let manifest = Manifest::image(&config, &[&layer]);
        let long = Manifest { digest: sha512(&manifest.bytes), ..manifest.clone() };
        let answer =
            api.push_manifest("app", &format!("{}?tag=long", long.digest), &long)?.expect(201)?;
        assert_eq!(answer.header("docker-content-digest")?, long.digest);
        serves(&api, "app", &long.digest, &long)?;
        serves(&api, "app", "long", &long)?;
        api.get(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(404)?;
    }
    Ok(())
}

#[test]
fn an_index_is_sparse_only_where_a_setting_allows_it() -> Result<()> {
    const PLATFORMS: &str = "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS";
    const LIST: &str = "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST";
    let on = |architecture: &str, digest: &str| {
        json!({"mediaType": IMAGE, "digest": digest, "size": 7,
               "platform": {"architecture": architecture, "os": "linux"}})
    };
    for (settings, status) in [
        (&[][..], 400),
        (&[(PLATFORMS, "none")], 201),
        (&[(PLATFORMS, "list"), (LIST, "[{architecture: amd64, os: linux}]")], 201),
        (&[(PLATFORMS, "list"), (LIST, "[{architecture: arm64, os: linux}]")], 400),
        (&[("REGISTRY_VALIDATION_DISABLED", "true")], 201),
    ] {
        for api in Api::each_with(settings) {
            let here = api.push_image("app", "here", 1)?;
            let children = json!([on("amd64", &here.digest), on("arm64", ZERO)]);
            let manifest = with(index(&[]), "manifests", children);
            let answer = api.push_manifest("app", "many", &manifest)?;
            if status == 201 {
                answer.expect(201)?;
                serves(&api, "app", "many", &manifest)?;
            } else {
                let message = answer.refusal(400, "MANIFEST_BLOB_UNKNOWN")?;
                ensure!(message.contains(ZERO) && !message.contains(&here.digest), "{message}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_image_is_sparse_only_where_a_setting_allows_it() -> Result<()> {
    let settings = [("REGISTRY_VALIDATION_MANIFESTS_BLOBS", "optional")];
    for api in Api::each_with(&settings) {
        let manifest = Manifest::image(&Blob::random(1, 10), &[&Blob::random(2, 10)]);
        api.push_manifest("app", "sparse", &manifest)?.expect(201)?;
        serves(&api, "app", "sparse", &manifest)?;
        api.get(&format!("/v2/app/blobs/{}", Blob::random(1, 10).digest))?.expect(404)?;
    }
    Ok(())
}

#[test]
fn layers_that_live_elsewhere_need_not_be_here() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = blobs(&api, "app")?;
        let mut value = image(&config, &[&layer]);
        for media_type in [
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ] {
            let mut foreign = Blob::random(9, 10).descriptor(media_type);
            foreign["urls"] = json!(["https://example.org/layer"]);
            value["layers"].as_array_mut().context("layers")?.push(foreign);
        }
        let manifest = Manifest::new(&value);
        api.push_manifest("app", "windows", &manifest)?.expect(201)?;
        serves(&api, "app", "windows", &manifest)?;
    }
    Ok(())
}

#[test]
fn the_withdrawn_artifact_manifest_is_taken_with_a_warning() -> Result<()> {
    for api in Api::each() {
        let (_, layer) = blobs(&api, "app")?;
        let manifest = Manifest::new(&json!({
            "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
            "artifactType": "application/vnd.example",
            "blobs": [layer.descriptor("application/octet-stream")],
        }));
        let answer = api.push_manifest("app", "artifact", &manifest)?.expect(201)?;
        let warning = answer.header("warning")?;
        ensure!(warning.starts_with("299 - \"") && warning.ends_with('"'), "{warning}");
        serves(&api, "app", "artifact", &manifest)?;
    }
    Ok(())
}

#[test]
fn deleting_a_tag_leaves_the_manifest_and_its_other_tags() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("app", "one", 1)?;
        api.push_manifest("app", "two", &manifest)?.expect(201)?;
        api.delete("/v2/app/manifests/one")?.expect(202)?;
        api.get("/v2/app/manifests/one")?.refusal(404, "MANIFEST_UNKNOWN")?;
        serves(&api, "app", "two", &manifest)?;
        serves(&api, "app", &manifest.digest, &manifest)?;
        assert_eq!(api.get("/v2/app/tags/list")?.json()?["tags"], json!(["two"]));
        api.delete("/v2/app/manifests/one")?.refusal(404, "MANIFEST_UNKNOWN")?;
    }
    Ok(())
}

#[test]
fn deleting_a_manifest_drops_its_tags_and_no_others() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("app", "one", 1)?;
        api.push_manifest("app", "two", &manifest)?.expect(201)?;
        let other = api.push_image("app", "other", 2)?;
        api.delete(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(202)?;
        for reference in ["one", "two", &manifest.digest] {
            for method in ["GET", "HEAD"] {
                let target = format!("/v2/app/manifests/{reference}");
                api.send(&get(target).as_method(method))?.expect(404)?;
            }
        }
        serves(&api, "app", "other", &other)?;
        assert_eq!(api.get("/v2/app/tags/list")?.json()?["tags"], json!(["other"]));
        let again = format!("/v2/app/manifests/{}", manifest.digest);
        api.delete(&again)?.refusal(404, "MANIFEST_UNKNOWN")?;
        api.push_manifest("app", "one", &manifest)?.expect(201)?;
        serves(&api, "app", "one", &manifest)?;
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_404_in_the_words_that_clients_branch_on() -> Result<()> {
    for api in Api::each() {
        api.push_image("app", "1", 1)?;
        for target in ["app/manifests/2", "app/manifests/.weird", "none/manifests/1"] {
            let target = format!("/v2/{target}");
            api.get(&target)?.refusal(404, "MANIFEST_UNKNOWN")?;
            api.head(&target)?.expect(404)?;
            api.delete(&target)?.refusal(404, "MANIFEST_UNKNOWN")?;
        }
        // containerd tries the blob of a digest when there is no manifest.
        for kind in [("manifests", "MANIFEST_UNKNOWN"), ("blobs", "BLOB_UNKNOWN")] {
            let target = format!("/v2/app/{}/{ZERO}", kind.0);
            api.get(&target)?.refusal(404, kind.1)?;
            api.delete(&target)?.refusal(404, kind.1)?;
        }
    }
    Ok(())
}
