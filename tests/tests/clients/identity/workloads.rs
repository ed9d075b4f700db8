//! A real OpenID provider, whose tokens say who a job is.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_test_stores::OpenIdProvider;
use berth_tests::fixtures::{self, Layout};
use berth_tests::wire::{get, send};
use berth_tests::{Home, Launch, Server, wait};

use super::{DENIED, UNAUTHORIZED, keeps_secrets, says};
use crate::{arrived, same};

fn start(provider: &OpenIdProvider) -> Result<Server> {
    let workloads = format!(
        "[{{issuer: '{}', audience: berth, rules: [{{name: builds, claims: {{repository: 'acme/*'}}}}]}}]",
        provider.issuer()
    );
    Launch::temporary()?
        .env("REGISTRY_AUTH_WORKLOADS", workloads)
        .env(
            "REGISTRY_AUTH_GRANTS",
            "['allow workload:builds writer acme/**', 'allow anyone reader acme/**']",
        )
        // Asking until it is so is guessing, too.
        .env("REGISTRY_AUTH_ATTEMPTS_ACCOUNT", "100000")
        .env("REGISTRY_AUTH_ATTEMPTS_SOURCE", "100000")
        .env("REGISTRY_LOG_LEVEL", "debug")
        .start()
}

/// Whether the token service takes a token of the provider's for a password.
fn takes(server: &Server, token: &str) -> Result<bool> {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("ci:{token}")));
    let answer = send(server.address(), &get("/token").header("Authorization", basic))?;
    ensure!([200, 401].contains(&answer.status), "{}", answer.text());
    Ok(answer.status == 200)
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn crane_shows_a_token_of_an_openid_provider() -> Result<()> {
    let (home, mut provider) = (Home::new()?, OpenIdProvider::start()?);
    let (server, image) = (start(&provider)?, fixtures::busybox()?);
    let host = server.host();
    let login = |token: &str| {
        let line = format!("crane auth login {host} --username ci --password-stdin");
        home.run_with_input(&line, token.as_bytes())
    };
    let push = |name: &str| format!("crane push {} {host}/{name}", image.path.display());

    let first = provider.token("builder", "berth")?;
    login(&first)?;
    home.run(&push("acme/web:1"))?;
    arrived(&server, "acme/web", "1", &image.digest)?;
    let back = home.path("back");
    home.run(&format!("crane pull --format oci {host}/acme/web:1 {}", back.display()))?;
    same("the digest after the way back", &Layout::open(&back)?.digest, &image.digest)?;
    says(&home.refused(&push("other/web:1"))?, &DENIED)?;

    let mut shown = vec![first.clone()];
    for (what, token) in [
        ("for another audience", provider.token("builder", "other")?),
        ("that meets no rule", provider.token("visitor", "berth")?),
        ("expired", provider.token("late", "berth")?),
        ("changed", first.replacen('.', ".e", 1)),
    ] {
        ensure!(!takes(&server, &token)?, "a token {what} is taken");
        login(&token)?;
        says(&home.refused(&push("acme/web:2"))?, &UNAUTHORIZED)?;
        shown.push(token);
    }

    // The registry learns of a new key when it meets one, though not at once after it has asked.
    let unused = provider.token("builder", "berth")?;
    provider.change_key()?;
    let second = provider.token("builder", "berth")?;
    wait::until("tokens of the new key are taken", || takes(&server, &second))?;
    ensure!(!takes(&server, &unused)?, "a token of the key before is taken");
    // And needs nobody for keys that it knows.
    let third = provider.token("builder", "berth")?;
    provider.stop()?;
    login(&third)?;
    home.run(&push("acme/web:3"))?;
    arrived(&server, "acme/web", "3", &image.digest)?;
    shown.extend([unused, second, third]);
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    keeps_secrets("log", &server.stop_for_log()?, &shown)
}
