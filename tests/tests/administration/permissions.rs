//! Who may do what: each route, for each kind of caller.

use anyhow::{Result, ensure};
use berth_tests::wire::get;
use serde_json::{Value, json};

use crate::house::{As, House, authorized, problem, user};

/// What an administrator, an owner, a member, a stranger, a robot and a limited token of the administrator are
/// answered. Nobody is answered 401.
type Row = (&'static str, &'static str, Option<Value>, [u16; 6]);

/// In an order in which each finds what it needs: what changes something for one caller is undone by the next row.
fn rows() -> Vec<Row> {
    let name = |name: &str| Some(json!({ "name": name }));
    let change = || Some(json!({ "description": "changed" }));
    let grant = |subject: &str, repositories: &str| {
        Some(json!({ "subject": subject, "role": "reader", "repositories": repositories }))
    };
    let member = || Some(json!({ "role": "member" }));
    vec![
        ("GET", "/me", None, [200; 6]),
        ("GET", "/openapi.json", None, [200; 6]),
        ("GET", "/users", None, [200, 403, 403, 403, 403, 403]),
        ("POST", "/users", name("new"), [201, 403, 403, 403, 403, 403]),
        ("GET", "/users/new", None, [200, 404, 404, 404, 403, 403]),
        ("GET", "/users/none", None, [404, 404, 404, 404, 403, 403]),
        ("GET", "/users/stan", None, [200, 404, 404, 200, 403, 403]),
        ("PATCH", "/users/stan", change(), [200, 404, 404, 200, 403, 403]),
        ("PATCH", "/users/stan", Some(json!({ "admin": false })), [200, 404, 404, 403, 403, 403]),
        (
            "PATCH",
            "/users/stan",
            Some(json!({ "disabled": false })),
            [200, 404, 404, 403, 403, 403],
        ),
        ("DELETE", "/users/stan", None, [0, 404, 404, 403, 403, 403]),
        ("DELETE", "/users/new", None, [204, 404, 404, 404, 403, 403]),
        ("GET", "/organisations", None, [200, 200, 200, 200, 403, 403]),
        ("POST", "/organisations", name("other"), [201, 403, 403, 403, 403, 403]),
        ("GET", "/organisations/acme", None, [200, 200, 200, 404, 403, 403]),
        ("GET", "/organisations/other", None, [200, 404, 404, 404, 403, 403]),
        ("PATCH", "/organisations/acme", change(), [200, 200, 403, 404, 403, 403]),
        ("DELETE", "/organisations/acme", None, [0, 403, 403, 404, 403, 403]),
        ("DELETE", "/organisations/other", None, [204, 404, 404, 404, 403, 403]),
        ("GET", "/organisations/acme/members", None, [200, 200, 200, 404, 403, 403]),
        ("PUT", "/organisations/acme/members/mia", member(), [204, 204, 403, 404, 403, 403]),
        ("PUT", "/organisations/acme/members/none", member(), [404, 404, 403, 404, 403, 403]),
        ("DELETE", "/organisations/acme/members/none", None, [404, 404, 403, 404, 403, 403]),
        ("GET", "/organisations/acme/teams", None, [200, 200, 200, 404, 403, 403]),
        ("POST", "/organisations/acme/teams", name("dev"), [409, 409, 403, 404, 403, 403]),
        ("DELETE", "/organisations/acme/teams/none", None, [404, 404, 403, 404, 403, 403]),
        ("GET", "/organisations/acme/teams/dev/members", None, [200, 200, 200, 404, 403, 403]),
        ("GET", "/organisations/acme/teams/none/members", None, [404, 404, 404, 404, 403, 403]),
        ("PUT", "/organisations/acme/teams/dev/members/mia", None, [204, 204, 403, 404, 403, 403]),
        (
            "DELETE",
            "/organisations/acme/teams/dev/members/none",
            None,
            [404, 404, 403, 404, 403, 403],
        ),
        ("GET", "/robots", None, [200, 200, 200, 200, 403, 403]),
        ("GET", "/robots?owner=acme", None, [200, 200, 403, 404, 403, 403]),
        ("GET", "/robots?owner=stan", None, [200, 404, 404, 200, 403, 403]),
        ("POST", "/robots", name("acme+bot"), [409, 409, 403, 404, 403, 403]),
        ("POST", "/robots", name("stan+bot"), [201, 404, 404, 409, 403, 403]),
        ("GET", "/robots/acme+bot", None, [200, 200, 403, 404, 403, 403]),
        ("GET", "/robots/acme+none", None, [404, 404, 403, 404, 403, 403]),
        ("PATCH", "/robots/acme+bot", change(), [200, 200, 403, 404, 403, 403]),
        ("DELETE", "/robots/acme+none", None, [404, 404, 403, 404, 403, 403]),
        ("DELETE", "/robots/stan+bot", None, [204, 404, 404, 404, 403, 403]),
        ("GET", "/accounts/acme+bot/tokens", None, [200, 200, 403, 404, 403, 403]),
        ("GET", "/accounts/mia/tokens", None, [200, 404, 200, 404, 403, 403]),
        ("GET", "/accounts/acme/tokens", None, [404, 404, 403, 404, 403, 403]),
        ("POST", "/accounts/stan/tokens", name("a"), [201, 404, 404, 409, 403, 403]),
        ("GET", "/accounts/acme+bot/tokens/999", None, [404, 404, 403, 404, 403, 403]),
        ("DELETE", "/accounts/acme+bot/tokens/999", None, [404, 404, 403, 404, 403, 403]),
        (
            "POST",
            "/accounts/acme+bot/tokens/999/rotate",
            Some(json!({})),
            [404, 404, 403, 404, 403, 403],
        ),
        ("POST", "/accounts/acme+other/revoke", None, [204, 204, 403, 404, 403, 403]),
        ("GET", "/grants", None, [200, 200, 200, 200, 403, 403]),
        ("GET", "/grants?namespace=acme", None, [200, 200, 403, 404, 403, 403]),
        ("POST", "/grants", grant("user:mia", "acme/*"), [201, 201, 403, 403, 403, 403]),
        ("GET", "/grants/1", None, [200, 200, 404, 404, 403, 403]),
        ("DELETE", "/grants/999", None, [404, 404, 404, 404, 403, 403]),
        ("POST", "/grants", grant("anyone", "acme/*"), [201, 403, 403, 403, 403, 403]),
        ("DELETE", "/grants/2", None, [0, 403, 404, 404, 403, 403]),
        ("POST", "/grants", grant("authenticated", "stan/*"), [201, 403, 403, 403, 403, 403]),
        ("POST", "/grants", grant("user:mia", "stan/**"), [201, 403, 403, 201, 403, 403]),
        ("POST", "/grants", grant("team:acme/dev", "stan/**"), [201, 403, 403, 404, 403, 403]),
        ("POST", "/grants", grant("robot:acme+bot", "acme/**"), [201, 201, 403, 403, 403, 403]),
        ("POST", "/grants", grant("user:mia", "**"), [201, 403, 403, 403, 403, 403]),
        ("POST", "/grants", grant("user:mia", "ac*/x"), [201, 403, 403, 403, 403, 403]),
        ("POST", "/grants", grant("user:mia", "acme"), [201, 403, 403, 403, 403, 403]),
        (
            "GET",
            "/policy/explain?subject=mia&action=pull&repository=acme/x",
            None,
            [200, 404, 200, 404, 403, 403],
        ),
        (
            "GET",
            "/policy/explain?subject=acme%2Bbot&action=pull&repository=acme/x",
            None,
            [200, 200, 403, 404, 403, 403],
        ),
        (
            "GET",
            "/policy/explain?subject=anonymous&action=pull&repository=acme/x",
            None,
            [200, 200, 200, 200, 403, 403],
        ),
        ("GET", "/audit", None, [200, 403, 403, 403, 403, 403]),
    ]
}

/// A path and a method of the description that a request is one of.
fn is_of(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(step, there)| step.starts_with('{') || step == there)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn each_route_answers_each_caller_as_it_should() -> Result<()> {
    let house = House::full()?;
    let bot = house.robot("acme+bot")?;
    house.robot("acme+other")?;
    let limited = house.token("root", json!({ "name": "limited", "role": "admin" }))?;
    // Tokens of theirs take no time to verify, as passwords do.
    let whole = |account| anyhow::Ok(As::Bearer(house.token(account, json!({ "name": "whole" }))?));
    let callers = [
        whole("root")?,
        whole("olga")?,
        whole("mia")?,
        whole("stan")?,
        As::Basic("acme+bot", bot),
        As::Basic("root", limited),
    ];
    for (method, path, body, expected) in rows() {
        let answer = house.send(method, path, body.clone(), &As::Nobody)?;
        problem(&answer, 401)?;
        ensure!(answer.header("www-authenticate")?.starts_with("Basic realm="), "{method} {path}");
        for (by, status) in callers.iter().zip(expected).filter(|(_, status)| *status > 0) {
            let answer = house.send(method, path, body.clone(), by)?;
            let told = format!("{method} {path} {body:?} by {by:?}: {}", answer.text());
            ensure!(answer.status == status, "{told}, not {status}");
            if status >= 400 {
                problem(&answer, status)?;
            }
        }
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn each_route_of_the_description_is_in_the_table() -> Result<()> {
    let house = House::empty()?;
    let description = house.get("/openapi.json", &user("root"))?.expect(200)?.json()?;
    for (template, methods) in description["paths"].as_object().into_iter().flatten() {
        for method in methods.as_object().into_iter().flatten().map(|(method, _)| method) {
            let template = template.strip_prefix("/api/v1").unwrap_or(template);
            let is_there = rows().iter().any(|(given, path, ..)| {
                given.eq_ignore_ascii_case(method) && is_of(template, path)
            });
            ensure!(is_there, "{method} {template} is not in the table");
        }
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_is_absent_and_what_is_not_yours_look_the_same() -> Result<()> {
    let house = House::full()?;
    let stranger = user("stan");
    for (there, absent) in [
        ("/users/olga", "/users/nolga"),
        ("/organisations/acme", "/organisations/nacme"),
        ("/organisations/acme/teams/dev/members", "/organisations/nacme/teams/dev/members"),
        ("/accounts/olga/tokens", "/accounts/nolga/tokens"),
        ("/robots?owner=acme", "/robots?owner=nacme"),
    ] {
        let [there, absent] = [there, absent].map(|path| house.get(path, &stranger));
        let (there, absent) = (problem(&there?, 404)?, problem(&absent?, 404)?);
        ensure!(there == absent.replace("nolga", "olga").replace("nacme", "acme"), "{there}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_token_of_the_token_service_decides_nothing() -> Result<()> {
    let house = House::full()?;
    let issued = house.ask(&authorized(get("/token?scope=registry:catalog:*"), &user("root")))?;
    let token = crate::house::text(&issued.expect(200)?.json()?["token"])?;
    problem(&house.get("/users", &As::Bearer(token))?, 403)?;
    // An access token is its owner's, however it is shown.
    let token = house.token("root", json!({ "name": "whole" }))?;
    house.get("/users", &As::Bearer(token.clone()))?.expect(200)?;
    house.get("/users", &As::Basic("root", token))?.expect(200)?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn the_last_administrator_stays() -> Result<()> {
    let house = House::full()?;
    let root = user("root");
    let ways = [
        ("PATCH", Some(json!({ "admin": false }))),
        ("PATCH", Some(json!({ "disabled": true }))),
        ("PATCH", Some(json!({ "expires": "2199-01-01T00:00:00Z" }))),
        ("DELETE", None),
    ];
    for (method, body) in ways.clone() {
        let told = problem(&house.send(method, "/users/root", body, &root)?, 409)?;
        ensure!(told.contains("berth user promote"), "{told}");
    }
    let told = crate::house::run(&house.launch, &["user", "demote", "root"], "")?.expect(1)?;
    ensure!(told.err.contains("last administrator"), "{told:?}");
    // With another one it is allowed, by the other one too.
    house.send("PATCH", "/users/olga", Some(json!({ "admin": true })), &root)?.expect(200)?;
    house.send("DELETE", "/users/root", None, &user("olga"))?.expect(204)?;
    ensure!(!house.lets_in(&root)?);
    problem(&house.send("DELETE", "/users/olga", None, &user("olga"))?, 409)?;
    Ok(())
}
