//! The tokens of an external server: `auth.token` of `registry:2`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use berth_tests::wire::{delete, get, post};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{challenged, with_token};
use crate::api::Api;

/// A server that signs tokens, and the file of its keys.
pub(super) struct TokenServer {
    key: EncodingKey,
    folder: TempDir,
}

impl TokenServer {
    pub(super) fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .ok()
            .context("no key")?;
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        jwk.common.key_id = Some("one".to_owned());
        let folder = tempfile::tempdir()?;
        let server = Self { key, folder };
        std::fs::write(server.jwks(), serde_json::to_string(&JwkSet { keys: vec![jwk] })?)?;
        Ok(server)
    }

    pub(super) fn jwks(&self) -> std::path::PathBuf {
        self.folder.path().join("keys.json")
    }

    pub(super) fn sign(&self, claims: &Value) -> Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("one".to_owned());
        Ok(encode(&header, claims, &self.key)?)
    }
}

pub(super) fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn start(server: &TokenServer, more: &[(&str, &str)]) -> Result<Api> {
    let jwks = server.jwks().display().to_string();
    let mut settings = vec![
        ("REGISTRY_AUTH_TOKEN_REALM", "https://auth.example.org/token"),
        ("REGISTRY_AUTH_TOKEN_SERVICE", "registry.example.org"),
        ("REGISTRY_AUTH_TOKEN_ISSUER", "auth.example.org"),
        ("REGISTRY_AUTH_TOKEN_JWKS", &jwks),
    ];
    settings.extend_from_slice(more);
    Api::in_memory(&settings)
}

fn claims(access: Value) -> Result<Value> {
    Ok(json!({
        "iss": "auth.example.org", "aud": "registry.example.org", "sub": "alice",
        "exp": now()? + 300, "nbf": now()? - 5, "access": access,
    }))
}

fn repository(name: &str, actions: &[&str]) -> Value {
    json!({ "type": "repository", "name": name, "actions": actions })
}

#[test]
fn the_server_alone_says_who_may_do_what() -> Result<()> {
    let server = TokenServer::new()?;
    let api = start(&server, &[])?;
    let challenge = challenged(api.get("/v2/team/app/tags/list")?)?;
    ensure!(
        challenge
            == "Bearer realm=\"https://auth.example.org/token\",service=\"registry.example.org\",scope=\"repository:team/app:pull\"",
        "{challenge}"
    );
    let access = json!([repository("team/app", &["pull", "push"]), repository("bin", &["*"])]);
    let token = server.sign(&claims(access)?)?;
    for (request, status) in [
        (get("/v2/"), 200),
        (get("/v2/team/app/tags/list"), 404),
        (post("/v2/team/app/blobs/uploads/"), 202),
        (delete("/v2/team/app/manifests/v1"), 401),
        (delete("/v2/bin/manifests/v1"), 404),
        (get("/v2/other/tags/list"), 401),
        (get("/v2/_catalog"), 401),
    ] {
        let answer = api.send(&with_token(&token, request.clone()))?;
        ensure!(answer.status == status, "{}: {answer:?}", request.line());
        if status == 401 {
            let challenge = challenged(answer)?;
            ensure!(challenge.contains("insufficient_scope"), "{challenge}");
        }
    }
    let list = json!([{ "type": "registry", "name": "catalog", "actions": ["*"] }]);
    let token = server.sign(&claims(list)?)?;
    api.send(&with_token(&token, get("/v2/_catalog")))?.expect(200)?;
    // The registry issues none of its own.
    ensure!(api.get("/token")?.status == 404);
    Ok(())
}

#[test]
fn a_token_that_is_not_the_server_s_or_not_for_us_is_refused() -> Result<()> {
    let (server, other) = (TokenServer::new()?, TokenServer::new()?);
    let api = start(&server, &[])?;
    let good = claims(json!([repository("team/app", &["pull"])]))?;
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        server.sign(&claims)
    };
    for (what, token) in [
        ("expired", with("exp", json!(now()? - 120))?),
        ("not yet valid", with("nbf", json!(now()? + 120))?),
        ("of another issuer", with("iss", json!("other"))?),
        ("for another registry", with("aud", json!("other"))?),
        ("of another key", other.sign(&good)?),
        ("no token", "x".to_owned()),
    ] {
        let answer = api.send(&with_token(&token, get("/v2/team/app/tags/list")))?;
        let challenge = challenged(answer).context(what)?;
        ensure!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
    }
    // A password is none of its tokens.
    let password = get("/v2/").header("Authorization", super::basic("alice", "alice"));
    challenged(api.send(&password)?)?;
    Ok(())
}

#[test]
fn clients_are_sent_to_the_host_that_they_asked_where_that_is_wanted() -> Result<()> {
    let server = TokenServer::new()?;
    let api = start(
        &server,
        &[
            ("REGISTRY_AUTH_TOKEN_AUTOREDIRECT", "true"),
            ("REGISTRY_AUTH_TOKEN_AUTOREDIRECTPATH", "/tokens"),
        ],
    )?;
    let request = get("/v2/").header("Host", "r.example.org").header("X-Forwarded-Proto", "https");
    let challenge = challenged(api.send(&request)?)?;
    ensure!(challenge.contains("realm=\"https://r.example.org/tokens\""), "{challenge}");
    Ok(())
}
