//! How requests and answers look: pages, problems, strict bodies.

use anyhow::{Context as _, Result, ensure};
use berth_tests::wire::Request;
use berth_tests::{Launch, Server};
use serde_json::{Value, json};

use crate::house::{As, House, authorized, problem, user};

#[test]
#[ignore = "run by cargo xtask faults"]
fn lists_come_in_pages() -> Result<()> {
    let house = House::full()?;
    let root = user("root");
    let mut names = Vec::new();
    let mut next = Some("/users?limit=2".to_owned());
    while let Some(path) = next {
        let answer = house.get(&path, &root)?.expect(200)?;
        let page = answer.json()?;
        let page: Vec<&Value> = page.as_array().into_iter().flatten().collect();
        ensure!((1..=2).contains(&page.len()), "{page:?}");
        names.extend(page.iter().map(|user| user["name"].clone()));
        next = answer.next_page()?.map(|target| target.replacen("/api/v1", "", 1));
    }
    ensure!(names == ["mia", "olga", "root", "stan"], "{names:?}");

    // A filter goes along from page to page, and lists by number as well as by name.
    for repositories in ["acme/a", "acme/b", "other/a", "acme/c"] {
        let grant =
            json!({ "subject": "user:mia", "role": "reader", "repositories": repositories });
        house.send("POST", "/grants", Some(grant), &root)?.expect(201)?;
    }
    let first = house.get("/grants?namespace=acme&limit=2", &root)?.expect(200)?;
    let next = first.next_page()?.unwrap_or_default();
    ensure!(next == "/api/v1/grants?namespace=acme&limit=2&after=2", "{next}");
    let second = house.get(&next.replacen("/api/v1", "", 1), &root)?.expect(200)?;
    ensure!(second.json()?[0]["repositories"] == "acme/c" && second.next_page()?.is_none());
    for bad in ["/users?limit=x", "/users?after=A", "/grants?after=x", "/grants?subject=all"] {
        problem(&house.get(bad, &root)?, 400)?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_is_wrong_with_a_request_is_said() -> Result<()> {
    let house = House::full()?;
    let root = user("root");
    let post = |path: &str, body: Value| house.send("POST", path, Some(body), &root);
    for (path, body, says) in [
        ("/users", json!({ "name": "x", "pasword": "y" }), "pasword"),
        ("/users", json!({ "name": "A" }), "a-z"),
        ("/users", json!({ "name": "a+b" }), "robot"),
        ("/users", json!({ "name": "x", "password": "short" }), "8 characters"),
        ("/users", json!({ "name": "x", "expires": "tomorrow" }), "2030-01-31"),
        ("/users", json!([]), "body"),
        ("/robots", json!({ "name": "acme" }), "OWNER+NAME"),
        ("/accounts/mia/tokens", json!({ "name": "" }), "name"),
        ("/accounts/mia/tokens", json!({ "name": "x", "role": "king" }), "king"),
        ("/accounts/mia/tokens", json!({ "name": "x", "expires": "2020-01-01T00:00:00Z" }), "over"),
        ("/grants", json!({ "subject": "all", "role": "reader", "repositories": "x" }), "anyone"),
        ("/organisations/acme/teams", json!({ "name": "a/b" }), "name"),
    ] {
        let told = problem(&post(path, body.clone())?, 400)?;
        ensure!(told.contains(says), "{path} {body}: {told}");
    }
    problem(&post("/users", json!({ "name": "mia" }))?, 409)?;
    problem(&post("/organisations", json!({ "name": "mia" }))?, 409)?;
    problem(&post("/users", json!({ "name": "x", "description": "y".repeat(70_000) }))?, 413)?;
    problem(&house.get("/users/A", &root)?, 400)?;
    problem(&house.get("/nothing", &root)?, 404)?;
    problem(&house.get("", &root)?, 404)?;
    let answer = house.send("PUT", "/users", None, &root)?;
    problem(&answer, 405)?;
    ensure!(answer.header("allow")?.contains("POST"));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn pages_of_other_sites_change_nothing() -> Result<()> {
    let house = House::empty()?;
    let form = |media_type: &str| {
        authorized(Request::new("POST", "/api/v1/users"), &user("root"))
            .header("Content-Type", media_type)
            .body(r#"{"name":"evil"}"#)
    };
    problem(&house.ask(&form("text/plain"))?, 415)?;
    let json = || form("application/json");
    for site in ["cross-site", "same-site"] {
        problem(&house.ask(&json().header("Sec-Fetch-Site", site))?, 403)?;
    }
    house.get("/users/evil", &user("root"))?.expect(404)?;
    house.ask(&json().header("Sec-Fetch-Site", "same-origin"))?.expect(201)?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn where_everybody_may_do_everything_there_is_nothing_to_administer() -> Result<()> {
    let server: Server = Launch::temporary()?.start()?;
    for method in ["GET", "POST", "DELETE"] {
        let request = authorized(Request::new(method, "/api/v1/users"), &As::Nobody);
        let told = problem(&berth_tests::wire::send(server.address(), &request)?, 404)?;
        ensure!(told.contains("auth.accounts.enabled") && told.contains("berth user create"));
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_path_prefix_is_part_of_links() -> Result<()> {
    let root = tempfile::tempdir()?;
    let launch = crate::house::launch(root.path())?;
    for name in ["ann", "bea"] {
        let create = ["user", "create", name, "--admin", "--password-stdin"];
        crate::house::run(&launch, &create, &crate::house::password(name))?.expect(0)?;
    }
    let server = launch.start()?;
    let ask = |path: &str| {
        berth_tests::wire::send(
            server.address(),
            &authorized(Request::new("GET", path), &user("ann")),
        )
    };
    let next = ask("/api/v1/users?limit=1")?.expect(200)?.next_page()?.unwrap_or_default();
    ensure!(ask(&next)?.expect(200)?.json()?[0]["name"] == "bea", "{next}");
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn requests_are_limited_by_account() -> Result<()> {
    let root = tempfile::tempdir()?;
    let launch = crate::house::launch(root.path())?;
    for name in ["ann", "bea"] {
        let create = ["user", "create", name, "--password-stdin"];
        crate::house::run(&launch, &create, &crate::house::password(name))?.expect(0)?;
    }
    let server = launch.env("REGISTRY_HTTP_LIMITS_CALLER", "{requests: 1, burst: 3}").start()?;
    let ask = |name| {
        let request = authorized(Request::new("GET", "/api/v1/me"), &user(name));
        berth_tests::wire::send(server.address(), &request)
    };
    let answers = (0..10).map(|_| ask("ann")).collect::<Result<Vec<_>>>()?;
    ensure!(answers[..3].iter().all(|answer| answer.status == 200), "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status != 200);
    let refused = refused.context("nothing was too much")?;
    problem(refused, 429)?;
    refused.header("retry-after")?;
    // Who comes from the same address has their own.
    ask("bea")?.expect(200)?;
    server.stop()
}
