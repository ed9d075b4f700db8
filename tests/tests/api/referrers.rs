//! The manifests that are attached to another.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use berth_tests::content::{Blob, INDEX, Manifest, image, index};
use berth_tests::wire::Answer;
use serde_json::{Value, json};

use crate::api::Api;

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Checks the form that clients insist on, and gives the descriptors.
fn descriptors(answer: Answer) -> Result<Vec<Value>> {
    let answer = answer.expect(200)?;
    assert_eq!(answer.header("content-type")?, INDEX);
    let body = answer.json()?;
    assert_eq!(body["schemaVersion"], 2);
    assert_eq!(body["mediaType"], INDEX);
    Ok(body["manifests"].as_array().context("a list of manifests")?.clone())
}

/// An image with a subject, and with other members as given.
fn attached(subject: &Manifest, members: Value) -> Result<Manifest> {
    let mut value = image(&Blob::new("{}"), &[]);
    value["subject"] = subject.descriptor();
    for (name, member) in members.as_object().context("members")? {
        value[name] = member.clone();
    }
    Ok(Manifest::new(&value))
}

#[test]
fn a_subject_without_referrers_has_an_empty_index_even_where_there_is_no_repository() -> Result<()>
{
    for api in Api::each() {
        let manifest = api.push_image("app", "1", 1)?;
        for target in [
            format!("/v2/app/referrers/{}", manifest.digest),
            // oras asks for this one to learn whether the API is there.
            format!("/v2/app/referrers/{ZERO}"),
            format!("/v2/none/referrers/{ZERO}"),
            format!("/v2/app/referrers/sha512:{}", "0".repeat(128)),
        ] {
            let answer = api.get(&target)?;
            assert_eq!(answer.find("oci-filters-applied"), None);
            assert_eq!(answer.find("link"), None);
            assert_eq!(descriptors(answer)?, Vec::<Value>::new(), "{target}");
        }
    }
    Ok(())
}

#[test]
fn referrers_are_described_by_type_artifact_type_and_annotations() -> Result<()> {
    for api in Api::each() {
        let subject = api.push_image("app", "1", 1)?;
        api.push_blob("app", &Blob::new("{}"))?;
        let annotations = json!({"org.example.key": "value"});
        let mut indexed = index(&[&subject]);
        indexed["subject"] = subject.descriptor();
        let mut typed_index = indexed.clone();
        typed_index["artifactType"] = json!("application/vnd.example.index");
        let cases = [
            (attached(&subject, json!({}))?, Some(CONFIG), None),
            (attached(&subject, json!({"artifactType": ""}))?, Some(CONFIG), None),
            (
                attached(
                    &subject,
                    json!({"artifactType": "application/vnd.example.sbom", "annotations": annotations}),
                )?,
                Some("application/vnd.example.sbom"),
                Some(annotations.clone()),
            ),
            (Manifest::new(&indexed), None, None),
            (Manifest::new(&typed_index), Some("application/vnd.example.index"), None),
        ];
        for (manifest, ..) in &cases {
            api.push_manifest("app", &manifest.digest, manifest)?.expect(201)?;
        }
        let found = descriptors(api.get(&format!("/v2/app/referrers/{}", subject.digest))?)?;
        assert_eq!(found.len(), cases.len());
        for (manifest, artifact_type, annotations) in cases {
            let mut expected = manifest.descriptor();
            if let Some(artifact_type) = artifact_type {
                expected["artifactType"] = json!(artifact_type);
            }
            if let Some(annotations) = annotations {
                expected["annotations"] = annotations;
            }
            ensure!(found.contains(&expected), "{expected} is not in {found:#?}");
        }
    }
    Ok(())
}

#[test]
fn referrers_can_be_filtered_and_the_filter_is_told() -> Result<()> {
    for api in Api::each() {
        let subject = api.push_image("app", "1", 1)?;
        api.push_blob("app", &Blob::new("{}"))?;
        let sbom =
            attached(&subject, json!({"artifactType": "application/vnd.example.sbom+json"}))?;
        let signature = attached(&subject, json!({"artifactType": "application/vnd.example.sig"}))?;
        for manifest in [&sbom, &signature] {
            api.push_manifest("app", &manifest.digest, manifest)?.expect(201)?;
        }
        let target = format!("/v2/app/referrers/{}", subject.digest);
        for (filter, expected) in [
            ("application/vnd.example.sbom%2Bjson", vec![&sbom]),
            ("application%2Fvnd.example.sig", vec![&signature]),
            ("application/vnd.example.none", vec![]),
        ] {
            let answer = api.get(&format!("{target}?artifactType={filter}"))?;
            assert_eq!(answer.header("oci-filters-applied")?, "artifactType");
            let digests: Vec<_> =
                descriptors(answer)?.iter().map(|found| found["digest"].clone()).collect();
            let expected: Vec<_> = expected.iter().map(|manifest| json!(manifest.digest)).collect();
            assert_eq!(digests, expected, "{filter}");
        }
        let answer = api.get(&format!("{target}?artifactType="))?;
        assert_eq!(answer.find("oci-filters-applied"), None);
        assert_eq!(descriptors(answer)?.len(), 2);
    }
    Ok(())
}

#[test]
fn a_referrer_may_come_before_its_subject_and_goes_when_it_is_deleted() -> Result<()> {
    for api in Api::each() {
        api.push_blob("app", &Blob::new("{}"))?;
        let subject = Manifest::image(&Blob::new("{}"), &[]);
        let referrer = attached(&subject, json!({"artifactType": "application/vnd.example"}))?;
        api.push_manifest("app", "attached", &referrer)?.expect(201)?;
        let target = format!("/v2/app/referrers/{}", subject.digest);
        assert_eq!(descriptors(api.get(&target)?)?.len(), 1);
        api.push_manifest("app", "1", &subject)?.expect(201)?;
        assert_eq!(descriptors(api.get(&target)?)?.len(), 1);
        // Losing its tag takes nothing away.
        api.delete("/v2/app/manifests/attached")?.expect(202)?;
        assert_eq!(descriptors(api.get(&target)?)?.len(), 1);
        api.delete(&format!("/v2/app/manifests/{}", referrer.digest))?.expect(202)?;
        assert_eq!(descriptors(api.get(&target)?)?.len(), 0);
    }
    Ok(())
}

#[test]
fn many_referrers_come_in_pages_and_the_filter_stays() -> Result<()> {
    const MANY: usize = 1100;
    for api in Api::each() {
        let subject = api.push_image("app", "1", 1)?;
        api.push_blob("app", &Blob::new("{}"))?;
        let mut pushed = BTreeSet::new();
        let mut connection = api.connect()?;
        for number in 0..MANY {
            let kind =
                if number % 10 == 0 { "application/vnd.rare" } else { "application/vnd.many" };
            let members =
                json!({"artifactType": kind, "annotations": {"number": number.to_string()}});
            let manifest = attached(&subject, members)?;
            let request = berth_tests::wire::put(format!("/v2/app/manifests/{}", manifest.digest))
                .header("Content-Type", &manifest.media_type)
                .body(&*manifest.bytes);
            connection.send(&request)?.expect(201)?;
            pushed.insert(manifest.digest);
        }
        for (query, expected, pages) in [
            ("", MANY, 3),
            ("?artifactType=application/vnd.many", MANY / 10 * 9, 2),
            ("?artifactType=application/vnd.rare", MANY / 10, 1),
        ] {
            let mut next = Some(format!("/v2/app/referrers/{}{query}", subject.digest));
            let (mut found, mut seen) = (BTreeSet::new(), 0);
            while let Some(target) = next {
                let answer = api.get(&target)?;
                next = answer.next_page()?;
                assert_eq!(answer.find("oci-filters-applied").is_some(), !query.is_empty());
                for descriptor in descriptors(answer)? {
                    let digest = descriptor["digest"].as_str().context("a digest")?.to_owned();
                    ensure!(pushed.contains(&digest), "{digest} was never pushed");
                    ensure!(found.insert(digest), "a referrer came twice");
                }
                seen += 1;
                ensure!(seen <= pages, "{query}: pages without end");
            }
            assert_eq!((found.len(), seen), (expected, pages), "{query}");
        }
    }
    Ok(())
}

#[test]
fn referrers_are_those_of_their_own_repository() -> Result<()> {
    for api in Api::each() {
        let subject = api.push_image("app", "1", 1)?;
        api.push_blob("other", &Blob::new("{}"))?;
        let referrer = attached(&subject, json!({}))?;
        api.push_manifest("other", "x", &referrer)?.expect(201)?;
        for (repository, count) in [("app", 0), ("other", 1)] {
            let answer = api.get(&format!("/v2/{repository}/referrers/{}", subject.digest))?;
            assert_eq!(descriptors(answer)?.len(), count, "{repository}");
        }
    }
    Ok(())
}

#[test]
fn malformed_subjects_and_cursors_are_refused() -> Result<()> {
    let api = Api::in_memory(&[])?;
    for target in
        ["sha256:00", "latest", "md5:d41d8cd98f00b204e9800998ecf8427e", &format!("{ZERO}?last=x")]
    {
        api.get(&format!("/v2/app/referrers/{target}"))?.refusal(400, "DIGEST_INVALID")?;
    }
    Ok(())
}
