//! Nothing leaks from one repository into another.

use anyhow::Result;
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{get, post};

use crate::api::Api;

#[test]
fn a_blob_is_seen_only_where_it_was_pushed_or_mounted() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("a", &blob)?;
        // Names that are prefixes of each other are as foreign as any.
        for other in ["b", "a/a", "aa"] {
            let target = format!("/v2/{other}/blobs/{}", blob.digest);
            api.get(&target)?.refusal(404, "BLOB_UNKNOWN")?;
            api.head(&target)?.expect(404)?;
            api.send(&get(&target).header("Range", "bytes=0-1"))?.refusal(404, "BLOB_UNKNOWN")?;
            api.send(&get(&target).header("If-None-Match", format!("\"{}\"", blob.digest)))?
                .expect(404)?;
            api.delete(&target)?.refusal(404, "BLOB_UNKNOWN")?;
            let mount = format!("/v2/{other}/blobs/uploads/?mount={}&from=a", blob.digest);
            api.send(&post(mount))?.expect(201)?;
            api.expect_blob(other, &blob)?;
        }
        api.expect_blob("a", &blob)?;
    }
    Ok(())
}

#[test]
fn what_is_absent_and_what_is_elsewhere_are_answered_alike() -> Result<()> {
    for api in Api::each() {
        let (elsewhere, nowhere) = (Blob::random(1, 1000), Blob::random(2, 1000));
        api.push_blob("a", &elsewhere)?;
        api.push_image("b", "1", 7)?;
        let answer = |blob: &Blob| -> Result<String> {
            let answer = api.get(&format!("/v2/b/blobs/{}", blob.digest))?.expect(404)?;
            Ok(String::from_utf8(answer.body)?.replace(&blob.digest, "DIGEST"))
        };
        assert_eq!(answer(&elsewhere)?, answer(&nowhere)?);
    }
    Ok(())
}

#[test]
fn a_manifest_and_its_tags_are_seen_only_in_their_repository() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("a", "secret", 1)?;
        api.push_image("b", "1", 2)?;
        for reference in ["secret", &manifest.digest] {
            let target = format!("/v2/b/manifests/{reference}");
            api.get(&target)?.refusal(404, "MANIFEST_UNKNOWN")?;
            api.head(&target)?.expect(404)?;
            api.delete(&target)?.refusal(404, "MANIFEST_UNKNOWN")?;
        }
        api.get("/v2/a/manifests/secret")?.expect(200)?;
    }
    Ok(())
}

#[test]
fn a_manifest_can_name_only_what_its_own_repository_holds() -> Result<()> {
    for api in Api::each() {
        let (config, layer) = (Blob::random(1, 10), Blob::random(2, 10));
        for blob in [&config, &layer] {
            api.push_blob("a", blob)?;
        }
        let image = Manifest::image(&config, &[&layer]);
        api.push_manifest("a", "1", &image)?.expect(201)?;
        api.push_manifest("b", "1", &image)?.refusal(400, "MANIFEST_BLOB_UNKNOWN")?;
        let index = Manifest::index(&[&image]);
        api.push_manifest("b", "2", &index)?.refusal(400, "MANIFEST_BLOB_UNKNOWN")?;
        // A manifest is no blob and a blob is no manifest, even where both are here.
        let wrong_way = Manifest::image(
            &Blob { bytes: image.bytes.clone(), digest: image.digest.clone() },
            &[],
        );
        api.push_manifest("a", "3", &wrong_way)?.refusal(400, "MANIFEST_BLOB_UNKNOWN")?;
        api.get("/v2/b/tags/list")?.refusal(404, "NAME_UNKNOWN")?;
    }
    Ok(())
}

#[test]
fn a_manifest_is_not_served_as_a_blob_nor_a_blob_as_a_manifest() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("a", "1", 1)?;
        let blob = Blob::random(9, 10);
        api.push_blob("a", &blob)?;
        api.get(&format!("/v2/a/blobs/{}", manifest.digest))?.refusal(404, "BLOB_UNKNOWN")?;
        api.get(&format!("/v2/a/manifests/{}", blob.digest))?.refusal(404, "MANIFEST_UNKNOWN")?;
    }
    Ok(())
}
