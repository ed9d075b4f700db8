//! Workloads that show a token of an issuer which is trusted.

use anyhow::{Result, ensure};
use berth_tests::wire::{get, post};
use serde_json::{Value, json};

use super::foreign_tokens::{TokenServer, now};
use super::{GRANTS, basic, form, text, with_token};
use crate::api::Api;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

fn start(issuer: &TokenServer) -> Result<Api> {
    let workloads = format!(
        "[{{issuer: 'https://ci.example.org', audience: berth, jwks: '{}', rules: [
            {{name: releases, claims: {{repository: 'acme/*', ref: refs/heads/main}}}},
            {{name: builds, claims: {{repository: 'acme/*'}}}}]}}]",
        issuer.jwks().display()
    );
    let grants = "['workload:releases writer acme/**', 'workload:builds reader acme/**']";
    Api::in_memory(&[("REGISTRY_AUTH_WORKLOADS", &workloads), (GRANTS, grants)])
}

fn claims(branch: &str) -> Result<Value> {
    Ok(json!({
        "iss": "https://ci.example.org", "aud": "berth", "sub": format!("repo:acme/web:{branch}"),
        "exp": now()? + 300, "nbf": now()? - 5,
        "repository": "acme/web", "ref": format!("refs/heads/{branch}"),
    }))
}

#[test]
fn a_workload_may_what_is_granted_to_the_rule_that_it_meets() -> Result<()> {
    let issuer = TokenServer::new()?;
    let api = start(&issuer)?;
    for (branch, push) in [("main", 202), ("feature", 401)] {
        let token = issuer.sign(&claims(branch)?)?;
        // As a client that knows nothing of it logs in: with the token for a password.
        let request = get("/token?scope=repository:acme/web:pull,push");
        let answer = api.send(&request.header("Authorization", basic("ci", &token)))?;
        let own = text(&answer.expect(200)?.json()?, "token")?;
        let pushed = api.send(&with_token(&own, post("/v2/acme/web/blobs/uploads/")))?;
        ensure!(pushed.status == push, "{branch}: {pushed:?}");
        let read = api.send(&with_token(&own, get("/v2/acme/web/tags/list")))?;
        ensure!(read.status == 404, "{branch}: {read:?}");
        // As RFC 8693 has it.
        let exchanged = form(
            &api,
            &[
                ("grant_type", EXCHANGE),
                ("subject_token", &token),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
                ("scope", "repository:acme/web:pull"),
                ("access_type", "offline"),
            ],
        )?
        .expect(200)?
        .json()?;
        ensure!(exchanged["scope"] == "repository:acme/web:pull", "{exchanged}");
        // It has a token of its issuer's each time, so it needs none to last.
        ensure!(exchanged.get("refresh_token").is_none(), "{exchanged}");
    }
    Ok(())
}

#[test]
fn what_is_not_from_the_issuer_or_for_us_is_refused() -> Result<()> {
    let (issuer, other) = (TokenServer::new()?, TokenServer::new()?);
    let api = start(&issuer)?;
    let with = |key: &str, value: Value| -> Result<String> {
        let mut claims = claims("main")?;
        claims[key] = value;
        issuer.sign(&claims)
    };
    for (what, token) in [
        ("expired", with("exp", json!(now()? - 120))?),
        ("not yet valid", with("nbf", json!(now()? + 120))?),
        ("for somebody else", with("aud", json!("other"))?),
        ("of an unknown issuer", with("iss", json!("https://evil.example.org"))?),
        ("that meets no rule", with("repository", json!("evil/web"))?),
        ("of another key", other.sign(&claims("main")?)?),
    ] {
        let request = get("/token").header("Authorization", basic("ci", &token));
        let answer = api.send(&request)?;
        ensure!(answer.status == 401, "{what}: {answer:?}");
        let exchange = [("grant_type", EXCHANGE), ("subject_token", token.as_str())];
        let answer = form(&api, &exchange)?;
        ensure!(answer.status == 401, "{what}: {answer:?}");
    }
    Ok(())
}
