//! Tokens of the registry's own service: what they are for, and which are refused.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use berth_auth::token::{IssuedToken, NewKey, OwnKeys, Way};
use berth_auth::{AccessEntry, AccessList, Holder, Who};
use berth_metadata::{AccountChange, AccountKind, NewAccount};
use berth_oci::access::Actions;
use berth_tests::content::Blob;
use berth_tests::wait;
use berth_tests::wire::{get, post};
use serde_json::{Value, json};

use super::{
    GRANTS, HTPASSWD, PasswordFile, ask_token, basic, by, challenged, form, text, token_of,
    with_token,
};
use crate::api::Api;

const TEAM: &str = "['user:alice writer team/**', 'anyone reader public/**']";

fn start(file: &PasswordFile) -> Result<Api> {
    Api::in_memory(&[(HTPASSWD, &file.setting()), (GRANTS, TEAM)])
}

fn claims(token: &str) -> Result<Value> {
    let part = token.split('.').nth(1).context("no claims")?;
    Ok(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part)?)?)
}

#[test]
fn a_token_is_for_what_its_holder_may_of_what_was_asked() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let query = "service=berth&account=alice&scope=repository:team/app:pull,push,delete\
        &scope=repository:other/app:pull%20repository:public/app:pull,push&scope=artifact:x:y";
    let answer = ask_token(&api, "alice", query)?.expect(200)?;
    ensure!(answer.header("cache-control")? == "no-store");
    let body = answer.json()?;
    ensure!(body["token"] == body["access_token"] && body["expires_in"] == 300, "{body}");
    let token = text(&body, "token")?;
    let claims = claims(&token)?;
    ensure!(
        claims["access"]
            == json!([
                { "type": "repository", "name": "team/app", "actions": ["pull", "push"] },
                { "type": "repository", "name": "public/app", "actions": ["pull"] },
            ]),
        "{claims}"
    );
    api.send(&with_token(&token, get("/v2/")))?.expect(200)?;
    api.send(&with_token(&token, post("/v2/team/app/blobs/uploads/")))?.expect(202)?;
    // For another repository, and for more than it is for.
    for request in [
        post("/v2/team/other/blobs/uploads/"),
        get("/v2/other/app/tags/list"),
        post("/v2/public/app/blobs/uploads/"),
        berth_tests::wire::delete("/v2/team/app/manifests/v1"),
    ] {
        let challenge = challenged(api.send(&with_token(&token, request.clone()))?)?;
        ensure!(
            challenge.contains("error=\"insufficient_scope\"") && challenge.contains(",scope=\""),
            "{}: {challenge}",
            request.line()
        );
    }
    Ok(())
}

#[test]
fn a_mount_asks_for_a_token_that_is_for_its_source_where_its_holder_may_read_that() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let into = "scope=repository:team/app:pull,push";
    let both = "scope=repository:team/app:pull,push&scope=repository:team/base:pull";
    let [narrow, wide] =
        [into, both].map(|query| ask_token(&api, "alice", query).and_then(token_of));
    let (narrow, wide) = (narrow?, wide?);
    let blob = Blob::new("mounted");
    let whole = format!("/v2/team/base/blobs/uploads/?digest={}", blob.digest);
    let pushed = token_of(ask_token(&api, "alice", "scope=repository:team/base:pull,push")?)?;
    api.send(&with_token(&pushed, post(whole).body(&*blob.bytes)))?.expect(201)?;
    let mount = |token: &str, from: &str| {
        let target = format!("/v2/team/app/blobs/uploads/?mount={}&from={from}", blob.digest);
        api.send(&with_token(token, post(target)))
    };
    let challenge = challenged(mount(&narrow, "team/base")?)?;
    ensure!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    for scope in ["repository:team/app:pull,push", "repository:team/base:pull"] {
        ensure!(challenge.contains(scope), "{challenge}");
    }
    mount(&wide, "team/base")?.expect(201)?;
    // What no token would let her read is nowhere: the blob is uploaded.
    mount(&narrow, "other/base")?.expect(202)?;
    Ok(())
}

#[test]
fn who_has_not_logged_in_gets_a_token_for_what_is_public() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let query = "scope=repository:public/app:pull,push&scope=repository:team/app:pull";
    let token = token_of(ask_token(&api, "anonymous", query)?)?;
    ensure!(claims(&token)?["access"][0]["actions"] == json!(["pull"]));
    ensure!(api.send(&with_token(&token, get("/v2/")))?.status == 200);
    let tags = api.send(&with_token(&token, get("/v2/public/app/tags/list")))?;
    ensure!(tags.status == 404, "{tags:?}");
    challenged(api.send(&with_token(&token, get("/v2/team/app/tags/list")))?)?;
    Ok(())
}

#[test]
fn the_form_of_oauth_gives_the_same() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let fields = [
        ("grant_type", "password"),
        ("service", "berth"),
        ("client_id", "docker"),
        ("username", "alice"),
        ("password", "alice"),
        ("scope", "repository:team/app:pull+repository:team/web:pull,push"),
    ];
    let body = form(&api, &fields)?.expect(200)?.json()?;
    ensure!(body["scope"] == "repository:team/app:pull repository:team/web:pull,push", "{body}");
    ensure!(body.get("refresh_token").is_none(), "{body}");
    let mut wrong = fields;
    wrong[4].1 = "bob";
    let refused = form(&api, &wrong)?.expect(401)?.json()?;
    ensure!(refused["error"] == "invalid_grant", "{refused}");
    ensure!(refused["errors"][0]["code"] == "UNAUTHORIZED", "{refused}");
    for (fields, error) in [
        (&[("grant_type", "client_credentials")][..], "invalid_request"),
        (&[("grant_type", "password"), ("username", "alice")], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[], "invalid_request"),
    ] {
        let refused = form(&api, fields)?.expect(400)?.json()?;
        ensure!(refused["error"] == error, "{fields:?}: {refused}");
    }
    for query in ["service=other", "scope=pull", "scope=repository:a"] {
        ensure!(ask_token(&api, "alice", query)?.status == 400, "{query}");
    }
    ensure!(ask_token(&api, "alice", &"scope=repository:a:pull&".repeat(101))?.status == 400);
    Ok(())
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A token that would do, to be spoiled.
fn good() -> Result<IssuedToken> {
    let now = now()?;
    Ok(IssuedToken {
        issuer: "berth".to_owned(),
        subject: "alice".to_owned(),
        service: "berth".to_owned(),
        expires: now + 300,
        not_before: now,
        issued: now,
        issued_micros: now * 1_000_000,
        id: "1".to_owned(),
        access: AccessList(vec![AccessEntry::of_repository(&"team/app".parse()?, Actions::ALL)]),
        holder: Holder::of(Who::Account("alice".parse()?)),
        way: Way::Htpasswd,
        access_token: None,
    })
}

#[test]
fn a_token_that_is_not_good_is_refused() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let stored = api.with_accounts(|store| async move { Ok(store.signing_keys().await?) })?;
    let key = stored.first().context("no key")?;
    let keys = OwnKeys::new([(key.id.as_str(), key.private.as_slice())])?;
    let sign = |token: &IssuedToken| keys.sign(token);
    let now = now()?;
    let answer = api.send(&with_token(&sign(&good()?)?, get("/v2/team/app/tags/list")))?;
    ensure!(answer.status == 404, "the good one: {answer:?}");

    let stranger = NewKey::generate()?;
    let foreign = OwnKeys::new([(stranger.id.as_str(), stranger.private.as_slice())])?;
    let impostor = OwnKeys::new([(key.id.as_str(), stranger.private.as_slice())])?;
    let header = |alg: &str| json!({ "alg": alg, "typ": "JWT", "kid": key.id });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = part(&serde_json::to_value(good()?)?);
    let unsigned = format!("{}.{claims}.", part(&header("none")));
    let jwks = api.get("/token/keys")?.expect(200)?.body;
    let mut by_secret = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    by_secret.kid = Some(key.id.clone());
    let secret = jsonwebtoken::EncodingKey::from_secret(&jwks);
    let confused = jsonwebtoken::encode(&by_secret, &good()?, &secret)?;
    let own = sign(&good()?)?;
    let changed = own.replacen(&claims_of(&own)?, &part(&json!({ "sub": "root" })), 1);
    let cases = [
        ("expired", sign(&IssuedToken { expires: now - 120, ..good()? })?),
        ("not yet valid", sign(&IssuedToken { not_before: now + 120, ..good()? })?),
        ("of another issuer", sign(&IssuedToken { issuer: "other".into(), ..good()? })?),
        ("for another service", sign(&IssuedToken { service: "other".into(), ..good()? })?),
        ("of a foreign key", foreign.sign(&good()?)?),
        ("of a foreign key under a known name", impostor.sign(&good()?)?),
        ("unsigned", unsigned),
        ("signed by the public key as a secret", confused),
        ("changed", changed),
        (
            "of who is not there",
            sign(&IssuedToken { holder: Holder::of(Who::Account("mallory".parse()?)), ..good()? })?,
        ),
        (
            "of a rule that is not there",
            sign(&IssuedToken {
                holder: Holder::of(Who::Workload("ci".parse()?)),
                way: Way::Workload,
                ..good()?
            })?,
        ),
        ("no token", "abc".to_owned()),
    ];
    for (what, token) in cases {
        let answer = api.send(&with_token(&token, get("/v2/team/app/tags/list")))?;
        let challenge = challenged(answer).context(what)?;
        ensure!(
            challenge.contains("error=\"invalid_token\"")
                && challenge.contains("scope=\"repository:team/app:pull\""),
            "{what}: {challenge}"
        );
    }
    Ok(())
}

fn claims_of(token: &str) -> Result<String> {
    Ok(token.split('.').nth(1).context("no claims")?.to_owned())
}

#[test]
fn what_is_taken_from_a_holder_is_taken_from_their_tokens() -> Result<()> {
    let file = PasswordFile::of(&["alice", "bob"])?;
    let api = start(&file)?;
    let query = "scope=repository:team/app:pull";
    let token = token_of(ask_token(&api, "alice", query)?)?;
    let read = || api.send(&with_token(&token, get("/v2/team/app/tags/list")));
    ensure!(read()?.status == 404);
    // The grant goes, by a reload.
    api.reload(&[(HTPASSWD, &file.setting()), (GRANTS, "['user:bob reader **']")])?;
    wait::until("the change is seen", || Ok(read()?.status == 401))?;
    api.reload(&[(HTPASSWD, &file.setting()), (GRANTS, TEAM)])?;
    wait::until("the change is seen", || Ok(read()?.status == 404))?;
    // The holder goes from the file.
    file.write(&["bob"])?;
    wait::until("the change is seen", || Ok(read()?.status == 401))?;
    Ok(())
}

#[test]
fn where_the_last_grant_goes_everybody_in_the_file_may_everything_again() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let push = || api.send(&by("alice", post("/v2/other/app/blobs/uploads/")));
    ensure!(push()?.status == 403);
    api.reload(&[(HTPASSWD, &file.setting())])?;
    wait::until("the change is seen", || Ok(push()?.status == 202))?;
    api.reload(&[(HTPASSWD, &file.setting()), (GRANTS, TEAM)])?;
    wait::until("the change is seen", || Ok(push()?.status == 403))
}

#[test]
fn who_leaves_the_password_file_is_out_whatever_account_has_the_name() -> Result<()> {
    let file = PasswordFile::of(&["alice", "bob"])?;
    let api =
        Api::in_memory(&[(HTPASSWD, &file.setting()), ("REGISTRY_AUTH_ACCOUNTS_ENABLED", "true")])?;
    // An account without a password, for what is granted to the name.
    api.with_accounts(|store| async move {
        let account = NewAccount {
            name: "alice".parse()?,
            kind: AccountKind::User,
            is_admin: false,
            password: None,
            description: String::new(),
            expires: None,
        };
        store.create_account(&account).await?;
        Ok(())
    })?;
    let query = "scope=repository:alice/app:pull";
    let token = token_of(ask_token(&api, "alice", query)?)?;
    let read = || api.send(&with_token(&token, get("/v2/alice/app/tags/list")));
    ensure!(read()?.status == 404);
    file.write(&["bob"])?;
    wait::until("the change is seen", || Ok(read()?.status == 401))
}

#[test]
fn tokens_of_an_account_end_when_they_are_revoked_or_it_is_disabled() -> Result<()> {
    let api = Api::in_memory(&[("REGISTRY_AUTH_ACCOUNTS_ENABLED", "true")])?;
    let hash = api.with_accounts(|_| async {
        let passwords = berth_auth::password::Passwords::new(1)?;
        Ok(passwords.hash("a long password".to_owned().into()).await?)
    })?;
    api.with_accounts(|store| async move {
        let account = NewAccount {
            name: "alice".parse()?,
            kind: AccountKind::User,
            is_admin: false,
            password: Some(hash),
            description: String::new(),
            expires: None,
        };
        store.create_account(&account).await?;
        Ok(())
    })?;
    let login = || {
        let request = get("/token?scope=repository:alice/app:pull,push&offline_token=true");
        api.send(&request.header("Authorization", basic("alice", "a long password")))
    };
    let change = |change: AccountChange| {
        api.with_accounts(|store| async move {
            store.change_account(&"alice".parse()?, &change).await?;
            Ok(())
        })
    };
    let read = |token: &str| api.send(&with_token(token, get("/v2/alice/app/tags/list")));
    let body = login()?.expect(200)?.json()?;
    let (token, refresh) = (text(&body, "token")?, text(&body, "refresh_token")?);
    ensure!(read(&token)?.status == 404);
    change(AccountChange { revoke_tokens: true, ..AccountChange::default() })?;
    wait::until("the change is seen", || Ok(read(&token)?.status == 401))?;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    ensure!(form(&api, &fields)?.status == 401);
    let again = token_of(login()?)?;
    ensure!(read(&again)?.status == 404);
    change(AccountChange { is_disabled: Some(true), ..AccountChange::default() })?;
    wait::until("the change is seen", || Ok(read(&again)?.status == 401))?;
    ensure!(login()?.status == 401);
    Ok(())
}

#[test]
fn a_password_is_enough_without_a_token() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    api.send(&by("alice", post("/v2/team/app/blobs/uploads/")))?.expect(202)?;
    ensure!(api.send(&by("alice", post("/v2/other/app/blobs/uploads/")))?.status == 403);
    Ok(())
}

#[test]
fn the_realm_is_where_the_client_asked() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = start(&file)?;
    let realm = |headers: &[(&str, &str)]| -> Result<String> {
        let request = headers.iter().fold(get("/v2/"), |r, (name, value)| r.header(name, value));
        challenged(api.send(&request)?)
    };
    let forwarded = [("X-Forwarded-Proto", "https"), ("Host", "r.example.org")];
    for (headers, expected) in [
        (&[("Host", "localhost:5000")][..], "realm=\"http://localhost:5000/token\""),
        (&forwarded, "realm=\"https://r.example.org/token\""),
    ] {
        let challenge = realm(headers)?;
        ensure!(challenge.contains(expected), "{challenge}");
    }
    let api = Api::in_memory(&[
        (HTPASSWD, &file.setting()),
        (GRANTS, TEAM),
        ("REGISTRY_HTTP_HOST", "https://registry.example.org"),
        ("REGISTRY_HTTP_PREFIX", "/images/"),
    ])?;
    let challenge = challenged(api.get("/images/v2/")?)?;
    ensure!(
        challenge.contains("realm=\"https://registry.example.org/images/token\""),
        "{challenge}"
    );
    ensure!(api.get("/images/token")?.status == 200);
    Ok(())
}
