//! Checks of the `auth` section.

use std::collections::BTreeSet;

use berth_oci::access::{AccountName, TeamName};

use super::{Invalid, is_path, is_url};
use crate::error::ConfigError;
use crate::{Auth, Config, WorkloadIssuer};

pub(super) fn auth(config: &Config, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let auth = &config.auth;
    if auth.htpasswd.as_ref().is_some_and(|file| file.path.as_os_str().is_empty()) {
        return fail("htpasswd.path", "it must be set: it names the password file", invalid);
    }
    token_server(auth, invalid)?;
    let certificates = auth.certificates.enabled;
    if certificates && config.http.tls.clientcas.is_empty() {
        return fail(
            "certificates.enabled",
            "it needs `http.tls.clientcas`, by which certificates of clients are verified",
            invalid,
        );
    }
    for (team, members) in &auth.teams {
        let names_a_team = team.parse::<TeamName>().map(|_| ()).map_err(|error| error.to_string());
        let names_members = members.iter().try_for_each(|name| {
            name.parse::<AccountName>().map(|_| ()).map_err(|error| format!("`{name}`: {error}"))
        });
        if let Err(message) = names_a_team.and(names_members) {
            return fail(&format!("teams.{team}"), &message, invalid);
        }
    }
    for place in 0..auth.workloads.len() {
        workload(&auth.workloads, place, invalid)?;
    }
    numbers(auth, invalid)
}

fn fail(key: &str, message: &str, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    invalid(&format!("auth.{key}"), message.to_owned())
}

/// It decides everything by itself, so nothing else can be said beside it.
fn token_server(auth: &Auth, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let Some(server) = &auth.token else { return Ok(()) };
    let others = [
        ("htpasswd", auth.htpasswd.is_some()),
        ("accounts", auth.accounts.enabled),
        ("grants", !auth.grants.is_empty()),
        ("teams", !auth.teams.is_empty()),
        ("certificates", auth.certificates.enabled),
        ("workloads", !auth.workloads.is_empty()),
        ("tokens.enabled", auth.tokens.enabled),
    ];
    if let Some((other, _)) = others.into_iter().find(|(_, is_set)| *is_set) {
        let message = format!(
            "it cannot go with `auth.{other}`: the token server alone says who may do what; remove one of the two"
        );
        return fail("token", &message, invalid);
    }
    for (key, text) in
        [("realm", &server.realm), ("service", &server.service), ("issuer", &server.issuer)]
    {
        if text.is_empty() {
            return fail(&format!("token.{key}"), "it must be set", invalid);
        }
    }
    if !is_url(&server.realm) {
        return fail(
            "token.realm",
            "it is not a URL: write for example `https://auth.example.org/token`",
            invalid,
        );
    }
    if server.rootcertbundle.is_none() && server.jwks.is_none() {
        return fail(
            "token.rootcertbundle",
            "it must be set, or `auth.token.jwks`: tokens are verified by the keys there",
            invalid,
        );
    }
    match is_path(&server.autoredirectpath) {
        true => Ok(()),
        false => fail("token.autoredirectpath", "it must be a path such as `/auth/token`", invalid),
    }
}

fn workload(
    issuers: &[WorkloadIssuer],
    place: usize,
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    let issuer = &issuers[place];
    let key = |key: &str| format!("workloads.{place}.{key}");
    if issuer.issuer.is_empty() {
        return fail(&key("issuer"), "it must be set", invalid);
    }
    if issuers[..place].iter().any(|other| other.issuer == issuer.issuer) {
        return fail(
            &key("issuer"),
            "there is an entry for it already: put all rules there",
            invalid,
        );
    }
    if issuer.jwks.is_none() && issuer.jwksurl.is_none() && !is_url(&issuer.issuer) {
        return fail(
            &key("issuer"),
            "its keys cannot be found, as it is not a URL: set `jwksurl` or `jwks`",
            invalid,
        );
    }
    if issuer.audience.is_empty() {
        return fail(
            &key("audience"),
            "it must be set: tokens that are for somebody else are not taken",
            invalid,
        );
    }
    if issuer.rules.is_empty() {
        return fail(&key("rules"), "there must be one: without any no workload is meant", invalid);
    }
    let mut names = BTreeSet::new();
    for (rule, at) in issuer.rules.iter().zip(0..) {
        let key = |name: &str| key(&format!("rules.{at}.{name}"));
        if let Err(error) = rule.name.parse::<AccountName>() {
            return fail(&key("name"), &error.to_string(), invalid);
        }
        if !names.insert(&rule.name) {
            return fail(&key("name"), "there is a rule of this name already", invalid);
        }
        let means_all = |text: &String| text.trim_matches('*').is_empty();
        if rule.claims.is_empty() || rule.claims.values().any(means_all) {
            return fail(
                &key("claims"),
                "each claim must be something, and there must be one: whoever has a token of the issuer would be meant",
                invalid,
            );
        }
    }
    Ok(())
}

fn numbers(auth: &Auth, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let (tokens, attempts) = (&auth.tokens, &auth.attempts);
    for (key, is_zero) in [
        ("tokens.lifetime", tokens.lifetime.is_zero()),
        ("tokens.refresh", tokens.refresh.is_zero()),
        ("tokens.keylifetime", tokens.keylifetime.is_zero()),
        ("attempts.account", attempts.account == 0),
        ("attempts.source", attempts.source == 0),
        ("attempts.window", attempts.window.is_zero()),
        ("attempts.parallel", attempts.parallel == 0),
    ] {
        if is_zero {
            return fail(key, "it must be more than 0", invalid);
        }
    }
    for (key, text) in [("tokens.issuer", &tokens.issuer), ("tokens.service", &tokens.service)] {
        if text.is_empty() || !super::is_printable(text) {
            return fail(key, "it must be a word", invalid);
        }
    }
    Ok(())
}
