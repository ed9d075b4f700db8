//! Every route, by everybody, on every kind of repository.

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{Answer, Request, delete, get, head, patch, post, put};

use super::{GRANTS, HTPASSWD, PasswordFile, by};
use crate::api::Api;

const CALLERS: [&str; 6] = ["anonymous", "nobody", "reader", "writer", "maintainer", "manager"];

const ROLES: &str = "[
    'anyone reader public/**',
    'user:reader reader team/**', 'user:writer writer team/**',
    'user:maintainer maintainer team/**', 'user:manager admin team/**',
    'deny user:manager reader team/closed']";

/// A route: the request to a repository, who may make it (`r`ead, `w`rite, `d`elete), and what
/// those get where the repository is there, and where it is not.
struct Route {
    name: &'static str,
    request: fn(&str, &Content) -> Request,
    right: char,
    there: u16,
    absent: u16,
}

struct Content {
    blob: Blob,
    manifest: Manifest,
}

const UPLOAD: &str = "0190f5d2-3c5e-7cc3-98c4-dc0c0c07398f";

fn routes() -> Vec<Route> {
    let route = |name, right, there, absent, request| Route { name, request, right, there, absent };
    vec![
        route("tags", 'r', 200, 404, |r, _| get(format!("/v2/{r}/tags/list"))),
        route("manifest by tag", 'r', 200, 404, |r, _| get(format!("/v2/{r}/manifests/v1"))),
        route("look for a manifest", 'r', 200, 404, |r, _| head(format!("/v2/{r}/manifests/v1"))),
        route("manifest by digest", 'r', 200, 404, |r, c| {
            get(format!("/v2/{r}/manifests/{}", c.manifest.digest))
        }),
        route("blob", 'r', 200, 404, |r, c| get(format!("/v2/{r}/blobs/{}", c.blob.digest))),
        route("look for a blob", 'r', 200, 404, |r, c| {
            head(format!("/v2/{r}/blobs/{}", c.blob.digest))
        }),
        route("referrers", 'r', 200, 200, |r, c| {
            get(format!("/v2/{r}/referrers/{}", c.manifest.digest))
        }),
        route("begin an upload", 'w', 202, 202, |r, _| post(format!("/v2/{r}/blobs/uploads/"))),
        route("status of an upload", 'w', 404, 404, |r, _| {
            get(format!("/v2/{r}/blobs/uploads/{UPLOAD}"))
        }),
        route("append to an upload", 'w', 404, 404, |r, _| {
            patch(format!("/v2/{r}/blobs/uploads/{UPLOAD}")).body("x")
        }),
        route("finish an upload", 'w', 404, 404, |r, c| {
            put(format!("/v2/{r}/blobs/uploads/{UPLOAD}?digest={}", c.blob.digest)).body("x")
        }),
        route("cancel an upload", 'w', 404, 404, |r, _| {
            delete(format!("/v2/{r}/blobs/uploads/{UPLOAD}"))
        }),
        route("push a manifest", 'w', 201, 400, |r, c| {
            put(format!("/v2/{r}/manifests/v2"))
                .header("Content-Type", &c.manifest.media_type)
                .body(c.manifest.bytes.clone())
        }),
        route("delete a tag", 'd', 202, 404, |r, _| delete(format!("/v2/{r}/manifests/v2"))),
        route("delete a blob", 'd', 404, 404, |r, _| {
            delete(format!("/v2/{r}/blobs/{}", Blob::new("not there").digest))
        }),
        route("delete a repository", 'd', 404, 404, |r, _| {
            // The one that is there is needed by the routes that follow.
            delete(format!("/api/v1/repositories/{r}/not-there"))
        }),
    ]
}

/// Whether a caller has a right on a repository.
fn may(caller: &str, right: char, repository: &str) -> bool {
    let kind = repository.split('/').next().unwrap_or_default();
    let rights = match (kind, caller) {
        ("public", _) => "r",
        ("team", _) if repository == "team/closed" && caller == "manager" => "d",
        ("team", "reader") => "r",
        ("team", "writer") => "rw",
        ("team", "maintainer" | "manager") => "rwd",
        _ => "",
    };
    rights.contains(right)
}

fn start(file: &PasswordFile) -> Result<(Api, Content)> {
    let grants = ROLES.replace(']', ", 'user:filler admin **']");
    let api = Api::in_memory(&[(HTPASSWD, &file.setting()), (GRANTS, &grants)])?;
    let (config, blob) = (Blob::random(1, 100), Blob::random(2, 100));
    let manifest = Manifest::image(&config, &[&blob]);
    for repository in ["team/app", "team/closed", "other/app", "public/app"] {
        for blob in [&config, &blob] {
            let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
            api.send(&by("filler", post(target).body(blob.bytes.clone())))?.expect(201)?;
        }
        let push = put(format!("/v2/{repository}/manifests/v1"))
            .header("Content-Type", &manifest.media_type)
            .body(manifest.bytes.clone());
        api.send(&by("filler", push))?.expect(201)?;
    }
    Ok((api, Content { blob, manifest }))
}

#[test]
fn everybody_gets_what_they_may_and_no_more() -> Result<()> {
    let file = PasswordFile::of(&[&CALLERS[1..], &["filler"]].concat())?;
    let (api, content) = start(&file)?;
    let mut checked = 0;
    for repository in [
        "team/app",
        "team/closed",
        "team/absent",
        "other/app",
        "other/absent",
        "public/app",
        "public/absent",
    ] {
        for route in routes() {
            for caller in CALLERS {
                let answer = api.send(&by(caller, (route.request)(repository, &content)))?;
                // Whoever pushes has read before.
                let allowed = may(caller, route.right, repository)
                    && (route.right != 'w' || may(caller, 'r', repository));
                let expected = match (allowed, caller) {
                    (true, _) if repository.ends_with("absent") => route.absent,
                    (true, _) => route.there,
                    (false, "anonymous") => 401,
                    (false, _) => 403,
                };
                // The tag that is deleted is there for the first who may.
                let is_second_deletion =
                    route.name == "delete a tag" && allowed && answer.status == 404;
                ensure!(
                    answer.status == expected || is_second_deletion,
                    "{caller}: {} in {repository}: {} in place of {expected}",
                    route.name,
                    answer.status
                );
                checked += 1;
            }
        }
    }
    ensure!(checked == 7 * 16 * 6, "{checked} were checked");
    Ok(())
}

/// What a refused caller can tell from an answer, without what is of the request itself.
fn face(answer: &Answer, repository: &str) -> String {
    let mut headers: Vec<_> = answer
        .headers()
        .filter(|(name, _)| !["date", "x-request-id"].contains(name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    let text = format!("{} {headers:?} {}", answer.status, answer.text());
    text.replace(repository, "REPOSITORY")
}

#[test]
fn what_is_absent_and_what_is_forbidden_look_the_same() -> Result<()> {
    let file = PasswordFile::of(&[&CALLERS[1..], &["filler"]].concat())?;
    let (api, content) = start(&file)?;
    for caller in CALLERS {
        for route in routes() {
            // Names of one length, so that the lengths of the answers say nothing either.
            let answers = ["other/app", "other/abs"].map(|repository| {
                let request = (route.request)(repository, &content);
                api.send(&by(caller, request)).map(|answer| face(&answer, repository))
            });
            let [there, absent] = answers;
            let (there, absent) = (there?, absent?);
            ensure!(there == absent, "{caller}, {}:\n{there}\n{absent}", route.name);
        }
    }
    Ok(())
}

#[test]
fn nothing_is_told_to_who_does_not_say_who_they_are() -> Result<()> {
    let file = PasswordFile::of(&["filler"])?;
    let (api, _) = start(&file)?;
    for (request, scope) in [
        (get("/v2/"), None),
        (get("/v2/_catalog"), Some("registry:catalog:*")),
        (get("/v2/other/app/tags/list"), Some("repository:other/app:pull")),
        (post("/v2/other/app/blobs/uploads/"), Some("repository:other/app:pull,push")),
        (delete("/v2/other/app/manifests/v1"), Some("repository:other/app:delete")),
        (
            post(format!(
                "/v2/team/app/blobs/uploads/?mount={}&from=other/app",
                Blob::new("x").digest
            )),
            Some("repository:team/app:pull,push repository:other/app:pull"),
        ),
        (get("/v2/other/app/no/such/path"), None),
        (get("/v2/UPPER/tags/list"), None),
        (get("/v2/other/app/manifests/.bad"), None),
    ] {
        let answer = api.send(&request)?;
        ensure!(answer.status == 401, "{}: {answer:?}", request.line());
        let challenge = answer.header("www-authenticate")?.to_owned();
        let realm = "Bearer realm=\"http://registry.test/token\",service=\"berth\"";
        let scope = scope.map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
        ensure!(challenge == format!("{realm}{scope}"), "{}: {challenge}", request.line());
        answer.refusal(401, "UNAUTHORIZED")?;
    }
    Ok(())
}

#[test]
fn a_mount_takes_only_what_its_caller_may_read() -> Result<()> {
    let file = PasswordFile::of(&[&CALLERS[1..], &["filler"]].concat())?;
    let (api, content) = start(&file)?;
    let blob = &content.blob.digest;
    for (caller, from, status) in [
        ("writer", "&from=other/app", 202),
        ("writer", "&from=other/absent", 202),
        ("writer", "", 202),
        ("writer", "&from=public/app", 201),
        ("filler", "&from=other/app", 201),
        ("filler", "", 201),
    ] {
        let mount = post(format!("/v2/team/mounted/blobs/uploads/?mount={blob}{from}"));
        let answer = api.send(&by(caller, mount))?;
        ensure!(answer.status == status, "{caller} {from}: {answer:?}");
        if status == 201 {
            let target = format!("/v2/team/mounted/blobs/{blob}");
            api.send(&by("filler", delete(target)))?.expect(202)?;
        }
    }
    Ok(())
}

#[test]
fn a_refusal_says_what_may_not_be_done() -> Result<()> {
    let file = PasswordFile::of(&["reader", "filler"])?;
    let (api, _) = start(&file)?;
    let answer = api.send(&by("reader", post("/v2/team/app/blobs/uploads/")))?;
    let message = answer.refusal(403, "DENIED")?;
    ensure!(message == "reader may not push to team/app", "{message}");
    let answer = api.send(&by("reader", delete("/v2/team/app/manifests/v1")))?;
    let message = answer.refusal(403, "DENIED").context("the deletion")?;
    ensure!(message == "reader may not delete from team/app", "{message}");
    Ok(())
}
