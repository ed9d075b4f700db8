//! Lists of tags and of repositories, and their pages.

use anyhow::{Context, Result, ensure};
use berth_tests::content::Blob;
use serde_json::{Value, json};

use crate::api::Api;

/// In the order of their bytes, which is that of the listings: upper case before `_` before lower case.
const TAGS: [&str; 8] = ["0", "1.10", "1.9", "A", "Z", "_x", "a", "z"];

/// Names whose prefixes a directory walk would put elsewhere.
const REPOSITORIES: [&str; 7] =
    ["a", "team-b/app", "team/app", "team/app-extra", "team/app/sub", "team2", "z"];

/// Follows the pages of a listing and gives each page's entries.
fn pages(api: &Api, target: &str, field: &str) -> Result<Vec<Vec<String>>> {
    let (mut pages, mut next) = (Vec::new(), Some(target.to_owned()));
    while let Some(target) = next {
        let answer = api.get(&target)?.expect(200)?;
        next = answer.next_page()?;
        pages.push(entries(&answer.json()?, field)?);
        ensure!(pages.len() < 100, "pages without end");
    }
    Ok(pages)
}

fn entries(page: &Value, field: &str) -> Result<Vec<String>> {
    let entries = page[field].as_array().with_context(|| format!("{field} is no list: {page}"))?;
    Ok(entries.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn tagged(api: &Api) -> Result<()> {
    let manifest = api.push_image("team/app", "z", 1)?;
    for tag in TAGS.iter().rev() {
        api.push_manifest("team/app", tag, &manifest)?.expect(201)?;
    }
    Ok(())
}

#[test]
fn tags_are_listed_in_the_order_of_their_bytes() -> Result<()> {
    for api in Api::each() {
        tagged(&api)?;
        let answer = api.get("/v2/team/app/tags/list")?.expect(200)?;
        assert_eq!(answer.header("content-type")?, "application/json");
        assert_eq!(answer.json()?, json!({"name": "team/app", "tags": TAGS}));
        assert_eq!(answer.find("link"), None);
        api.head("/v2/team/app/tags/list")?.expect(200)?;
    }
    Ok(())
}

#[test]
fn pages_of_tags_follow_each_other_without_gap_or_repetition() -> Result<()> {
    for api in Api::each() {
        tagged(&api)?;
        for n in 1..=9 {
            let pages = pages(&api, &format!("/v2/team/app/tags/list?n={n}"), "tags")?;
            ensure!(pages.iter().all(|page| page.len() <= n), "n={n}: {pages:?}");
            assert_eq!(pages.len(), TAGS.len().div_ceil(n), "n={n}: a page too many or too few");
            assert_eq!(pages.concat(), TAGS, "n={n}");
        }
    }
    Ok(())
}

#[test]
fn a_page_of_tags_begins_behind_last() -> Result<()> {
    for api in Api::each() {
        tagged(&api)?;
        for (query, expected) in [
            ("last=A", &TAGS[4..]),
            ("n=2&last=A", &TAGS[4..6]),
            ("last=B", &TAGS[4..]),
            ("last=z", &[]),
            ("n=3&last=zz", &[]),
            ("n=0", &[]),
            ("n=0&last=A", &[]),
            ("n=", &TAGS[..]),
            ("last=", &TAGS[..]),
            ("n=99999999999999999999", &TAGS[..]),
        ] {
            let answer = api.get(&format!("/v2/team/app/tags/list?{query}"))?.expect(200)?;
            assert_eq!(entries(&answer.json()?, "tags")?, expected, "{query}");
            let more = query == "n=2&last=A";
            assert_eq!(answer.find("link").is_some(), more, "{query}");
        }
    }
    Ok(())
}

#[test]
fn a_list_that_became_empty_is_a_list() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("app", "only", 1)?;
        api.delete("/v2/app/manifests/only")?.expect(202)?;
        assert_eq!(api.get("/v2/app/tags/list")?.json()?, json!({"name": "app", "tags": []}));
        api.delete(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(202)?;
        assert_eq!(api.get("/v2/app/tags/list")?.json()?, json!({"name": "app", "tags": []}));
    }
    Ok(())
}

#[test]
fn tags_of_a_repository_that_is_not_there_are_404() -> Result<()> {
    for api in Api::each() {
        for query in ["", "?n=0", "?n=5&last=a"] {
            let target = format!("/v2/none/tags/list{query}");
            api.get(&target)?.refusal(404, "NAME_UNKNOWN")?;
        }
        // An open session makes no repository.
        api.begin("begun")?;
        api.get("/v2/begun/tags/list")?.refusal(404, "NAME_UNKNOWN")?;
    }
    Ok(())
}

#[test]
fn the_catalog_lists_repositories_in_the_order_of_their_bytes() -> Result<()> {
    for api in Api::each() {
        assert_eq!(api.get("/v2/_catalog")?.expect(200)?.json()?, json!({"repositories": []}));
        let blob = Blob::random(1, 10);
        for repository in REPOSITORIES.iter().rev() {
            api.push_blob(repository, &blob)?;
        }
        assert_eq!(api.get("/v2/_catalog")?.json()?, json!({"repositories": REPOSITORIES}));
        for n in 1..=8 {
            let pages = pages(&api, &format!("/v2/_catalog?n={n}"), "repositories")?;
            assert_eq!(pages.len(), REPOSITORIES.len().div_ceil(n), "n={n}");
            assert_eq!(pages.concat(), REPOSITORIES, "n={n}");
        }
        for (query, expected) in [
            ("last=team/app", &REPOSITORIES[3..]),
            ("last=team%2Fapp", &REPOSITORIES[3..]),
            ("last=team/app0&n=1", &REPOSITORIES[5..6]),
            ("last=z", &[]),
            ("n=0", &[]),
        ] {
            let answer = api.get(&format!("/v2/_catalog?{query}"))?.expect(200)?;
            assert_eq!(entries(&answer.json()?, "repositories")?, expected, "{query}");
        }
    }
    Ok(())
}

#[test]
fn a_page_is_never_larger_than_the_configured_limit() -> Result<()> {
    for api in Api::each_with(&[("REGISTRY_CATALOG_MAXENTRIES", "3")]) {
        let blob = Blob::random(1, 10);
        for repository in REPOSITORIES {
            api.push_blob(repository, &blob)?;
        }
        for query in ["", "?n=5", "?n=100000"] {
            let pages = pages(&api, &format!("/v2/_catalog{query}"), "repositories")?;
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1], "{query}");
            assert_eq!(pages.concat(), REPOSITORIES);
        }
    }
    Ok(())
}

#[test]
fn a_page_size_that_is_no_number_is_refused() -> Result<()> {
    for api in Api::each() {
        api.push_image("app", "1", 1)?;
        for listing in ["/v2/_catalog", "/v2/app/tags/list"] {
            for n in ["-1", "x", "1.5", "1e3", "%2b1"] {
                let target = format!("{listing}?n={n}");
                let message = api.get(&target)?.refusal(400, "PAGINATION_NUMBER_INVALID")?;
                ensure!(message.contains("number"), "{message}");
            }
        }
    }
    Ok(())
}
