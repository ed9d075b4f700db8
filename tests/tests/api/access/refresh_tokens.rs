//! Refresh tokens, by which a client logs in once.

use anyhow::{Result, ensure};
use berth_tests::wait;
use berth_tests::wire::{Answer, get};

use super::{GRANTS, HTPASSWD, PasswordFile, ask_token, form, text, with_token};
use crate::api::Api;

const TEAM: &str = "['user:alice writer team/**']";

fn login(api: &Api, client: &str) -> Result<String> {
    let query = format!("service=berth&offline_token=true&client_id={client}");
    text(&ask_token(api, "alice", &query)?.expect(200)?.json()?, "refresh_token")
}

fn renew(api: &Api, refresh: &str, client: &str) -> Result<Answer> {
    form(
        api,
        &[
            ("grant_type", "refresh_token"),
            ("service", "berth"),
            ("client_id", client),
            ("refresh_token", refresh),
            ("scope", "repository:team/app:pull,push"),
        ],
    )
}

#[test]
fn a_refresh_token_gives_tokens_again_and_again_to_its_client() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = Api::in_memory(&[(HTPASSWD, &file.setting()), (GRANTS, TEAM)])?;
    let refresh = login(&api, "docker")?;
    for _ in 0..2 {
        let body = renew(&api, &refresh, "docker")?.expect(200)?.json()?;
        ensure!(body["scope"] == "repository:team/app:pull,push", "{body}");
        let token = text(&body, "token")?;
        let read = api.send(&with_token(&token, get("/v2/team/app/tags/list")))?;
        ensure!(read.status == 404, "{read:?}");
    }
    for (refresh, client) in
        [(refresh.as_str(), "other"), ("berth_rt_wrong", "docker"), ("", "docker")]
    {
        let refused = renew(&api, refresh, client)?.expect(401)?.json()?;
        ensure!(refused["error"] == "invalid_grant", "{refused}");
    }
    // Nobody in particular is not remembered.
    let anonymous = ask_token(&api, "anonymous", "offline_token=true")?.expect(200)?.json()?;
    ensure!(anonymous.get("refresh_token").is_none(), "{anonymous}");
    // It is no token for the registry itself.
    ensure!(api.send(&with_token(&refresh, get("/v2/")))?.status == 401);
    // Whoever leaves the file has no use of it any longer.
    file.write(&["bob"])?;
    wait::until("the change is seen", || Ok(renew(&api, &refresh, "docker")?.status == 401))
}

#[test]
fn one_that_is_good_for_one_use_takes_the_login_away_when_it_is_replayed() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = Api::in_memory(&[
        (HTPASSWD, &file.setting()),
        (GRANTS, TEAM),
        ("REGISTRY_AUTH_TOKENS_ROTATEREFRESH", "true"),
    ])?;
    let (first, other) = (login(&api, "tool")?, login(&api, "tool")?);
    let second = text(&renew(&api, &first, "tool")?.expect(200)?.json()?, "refresh_token")?;
    let third = text(&renew(&api, &second, "tool")?.expect(200)?.json()?, "refresh_token")?;
    ensure!(first != second && second != third);
    ensure!(renew(&api, &first, "tool")?.status == 401, "the replay");
    ensure!(renew(&api, &third, "tool")?.status == 401, "what came of the same login");
    // Another login of the same person is another.
    renew(&api, &other, "tool")?.expect(200)?;
    Ok(())
}

#[test]
fn a_refresh_token_ends_with_its_time() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    let api = Api::in_memory(&[
        (HTPASSWD, &file.setting()),
        (GRANTS, TEAM),
        ("REGISTRY_AUTH_TOKENS_REFRESH", "1s"),
    ])?;
    let refresh = login(&api, "docker")?;
    wait::until("the change is seen", || Ok(renew(&api, &refresh, "docker")?.status == 401))
}
