//! Tags that the configuration says are pushed once.

use std::thread;

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{Answer, Request, put};

use crate::api::Api;

const RULES: (&str, &str) = (
    "REGISTRY_POLICY_IMMUTABLETAGS",
    "[{repositories: ['prod/**'], tags: ['*'], except: [latest, 'dev-*']}]",
);

const NAME: &str = "prod/app";

fn path(reference: &str) -> String {
    format!("/v2/{NAME}/manifests/{reference}")
}

fn refused(answer: Answer, tag: &str) -> Result<()> {
    let message = answer.refusal(409, "DENIED")?;
    let names_rule = message.contains("policy.immutabletags[0]");
    ensure!(names_rule && message.contains(&format!("the tag {tag} ")), "{message}");
    Ok(())
}

fn digest_of(api: &Api, tag: &str) -> Result<String> {
    Ok(api.head(&path(tag))?.expect(200)?.header("docker-content-digest")?.to_owned())
}

#[test]
fn an_immutable_tag_is_pushed_once_and_stays() -> Result<()> {
    for api in Api::each_with(&[RULES]) {
        let first = api.push_image(NAME, "1.0", 1)?;
        let second = api.push_image(NAME, "latest", 2)?;

        refused(api.push_manifest(NAME, "1.0", &second)?, "1.0")?;
        ensure!(digest_of(&api, "1.0")? == first.digest);
        // The same once more is no change.
        api.push_manifest(NAME, "1.0", &first)?.expect(201)?;
        // Of the tags of a push by digest none is moved if one must not be.
        let both = format!("{}?tag=2.0&tag=1.0", path(&second.digest));
        let push = put(both).header("Content-Type", &second.media_type).body(&*second.bytes);
        refused(api.send(&push)?, "1.0")?;
        api.get(&path("2.0"))?.expect(404)?;

        refused(api.delete(&path("1.0"))?, "1.0")?;
        refused(api.delete(&path(&first.digest))?, "1.0")?;
        ensure!(digest_of(&api, "1.0")? == first.digest);
        // What is not there is not there.
        api.delete(&path("3.0"))?.refusal(404, "MANIFEST_UNKNOWN")?;

        // Exceptions move and go, and so does what no rule names.
        api.push_manifest(NAME, "latest", &first)?.expect(201)?;
        api.delete(&path("latest"))?.expect(202)?;
        api.delete(&path(&second.digest))?.expect(202)?;
        for seed in [3, 4] {
            api.push_image("other/app", "1.0", seed)?;
        }
        api.delete("/v2/other/app/manifests/1.0")?.expect(202)?;
    }
    Ok(())
}

#[test]
fn a_rule_takes_effect_without_a_restart() -> Result<()> {
    let api = Api::in_memory(&[])?;
    api.push_image(NAME, "1.0", 1)?;
    api.push_image(NAME, "1.0", 2)?;
    api.reload(&[RULES])?;
    let third = api.push_image(NAME, "latest", 3)?;
    refused(api.push_manifest(NAME, "1.0", &third)?, "1.0")?;
    api.reload(&[])?;
    api.push_manifest(NAME, "1.0", &third)?.expect(201)?;
    Ok(())
}

/// Images of one config and one layer, each otherwise annotated, and the push of each to a tag.
fn rivals(api: &Api, tag: &str, count: usize) -> Result<Vec<Request>> {
    let (config, layer) = (Blob::new("{}"), Blob::new("layer"));
    api.push_blob(NAME, &config)?;
    api.push_blob(NAME, &layer)?;
    let push = |number| {
        let mut image = berth_tests::content::image(&config, &[&layer]);
        image["annotations"] = serde_json::json!({ "rival": format!("{tag} {number}") });
        let manifest = Manifest::new(&image);
        put(path(tag)).header("Content-Type", &manifest.media_type).body(&*manifest.bytes)
    };
    Ok((0..count).map(push).collect())
}

#[test]
fn of_pushes_at_the_same_time_one_wins() -> Result<()> {
    for api in Api::each_with(&[RULES]) {
        for round in 0..10 {
            let tag = format!("1.{round}");
            let pushes = rivals(&api, &tag, 4)?;
            let answers = thread::scope(|scope| {
                let api = &api;
                let send = |push| scope.spawn(move || api.send(push));
                let running: Vec<_> = pushes.iter().map(send).collect();
                running
                    .into_iter()
                    .map(|push| push.join().expect("it panicked"))
                    .collect::<Result<Vec<Answer>>>()
            })?;
            let (won, lost): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status == 201);
            ensure!(won.len() == 1, "{} pushes of {tag} were accepted", won.len());
            for answer in lost {
                refused(answer, &tag)?;
            }
            ensure!(won[0].header("docker-content-digest")? == digest_of(&api, &tag)?);
        }
    }
    Ok(())
}
