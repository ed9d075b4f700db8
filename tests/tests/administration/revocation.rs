//! What ends what was given out: another password, a disabled account, a revocation, the end of a token's time.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use berth_tests::wire::{Request, get};
use serde_json::{Value, json};

use crate::house::{As, House, authorized, password, problem, text, user};

/// A token of the token service, and one to have another with.
struct Login {
    token: String,
    refresh: String,
}

impl Login {
    fn of(house: &House, by: &As) -> Result<Self> {
        let target = "/token?service=berth&offline_token=true&client_id=test";
        let told = house.ask(&authorized(get(target), by))?.expect(200)?.json()?;
        Ok(Self { token: text(&told["token"])?, refresh: text(&told["refresh_token"])? })
    }

    fn is_good(&self, house: &House) -> Result<bool> {
        let is_let_in = house.lets_in(&As::Bearer(self.token.clone()))?;
        let form = format!(
            "grant_type=refresh_token&service=berth&client_id=test&refresh_token={}",
            self.refresh
        );
        let request = Request::new("POST", "/token")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.into_bytes());
        let is_refreshed = house.ask(&request)?.status == 200;
        ensure!(is_let_in == is_refreshed, "token {is_let_in}, refresh token {is_refreshed}");
        Ok(is_let_in)
    }
}

fn change(house: &House, name: &str, change: Value, by: &As) -> Result<()> {
    house.send("PATCH", &format!("/users/{name}"), Some(change), by)?.expect(200).map(drop)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn another_password_ends_logins_and_leaves_access_tokens() -> Result<()> {
    let house = House::full()?;
    let mia = user("mia");
    let login = Login::of(&house, &mia)?;
    let access = As::Basic("mia", house.token("mia", json!({ "name": "laptop" }))?);
    ensure!(login.is_good(&house)? && house.lets_in(&access)? && house.lets_in(&mia)?);

    // A token that was found is not enough to take the account over.
    let other = json!({ "password": "another password" });
    let refused = house.send("PATCH", "/users/mia", Some(other.clone()), &access)?;
    ensure!(problem(&refused, 403)?.contains("present password"));
    change(&house, "mia", other, &mia)?;

    ensure!(!login.is_good(&house)? && !house.lets_in(&mia)?);
    ensure!(house.lets_in(&As::Basic("mia", "another password".to_owned()))?);
    ensure!(house.lets_in(&access)?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn who_is_disabled_is_out_at_once() -> Result<()> {
    let house = House::full()?;
    let (root, mia) = (user("root"), user("mia"));
    let login = Login::of(&house, &mia)?;
    let access = As::Basic("mia", house.token("mia", json!({ "name": "laptop" }))?);
    ensure!(house.lets_in(&access)? && house.lets_in(&mia)?);
    change(&house, "mia", json!({ "disabled": true }), &root)?;
    ensure!(!house.lets_in(&mia)? && !house.lets_in(&access)? && !login.is_good(&house)?);
    change(&house, "mia", json!({ "disabled": false }), &root)?;
    ensure!(house.lets_in(&mia)? && house.lets_in(&access)?);
    ensure!(!login.is_good(&house)?, "an old login is back");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_revocation_ends_all_but_the_password() -> Result<()> {
    let house = House::full()?;
    let mia = user("mia");
    let login = Login::of(&house, &mia)?;
    let tokens: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| Ok(As::Basic("mia", house.token("mia", json!({ "name": name }))?)))
        .collect::<Result<_>>()?;
    for token in &tokens {
        ensure!(house.lets_in(token)?);
    }
    house.send("POST", "/accounts/mia/revoke", None, &mia)?.expect(204)?;
    ensure!(!login.is_good(&house)?);
    for token in &tokens {
        ensure!(!house.lets_in(token)?);
    }
    ensure!(house.lets_in(&mia)?);
    ensure!(house.get("/accounts/mia/tokens", &mia)?.expect(200)?.json()? == json!([]));
    ensure!(Login::of(&house, &mia)?.is_good(&house)?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_change_of_grants_and_members_is_in_force_with_the_next_request() -> Result<()> {
    let house = House::full()?;
    let (olga, mia) = (user("olga"), user("mia"));
    let upload = || {
        let request = authorized(Request::new("POST", "/v2/acme/web/blobs/uploads/"), &mia);
        Ok::<_, anyhow::Error>(house.ask(&request)?.status)
    };
    ensure!(upload()? == 403);
    let grant = json!({ "subject": "team:acme/dev", "role": "writer", "repositories": "acme/**" });
    let made = house.send("POST", "/grants", Some(grant), &olga)?.expect(201)?.json()?;
    ensure!(upload()? == 202);
    let member = "/organisations/acme/teams/dev/members/mia";
    house.send("DELETE", member, None, &olga)?.expect(204)?;
    ensure!(upload()? == 403);
    house.send("PUT", member, None, &olga)?.expect(204)?;
    ensure!(upload()? == 202);
    house.send("DELETE", &format!("/grants/{}", made["id"]), None, &olga)?.expect(204)?;
    ensure!(upload()? == 403);
    // By a command too.
    house.run(&["grant", "add", "allow user:mia writer acme/web"])?;
    ensure!(upload()? == 202);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_token_ends_with_its_time() -> Result<()> {
    let house = House::full()?;
    // A token of the administrator's takes no time to verify, as a password does.
    let root = As::Bearer(house.token("root", json!({ "name": "whole" }))?);
    let (mut soon, mut short) = (SystemTime::now(), None);
    berth_tests::wait::until("a token that is not over before it is made", || {
        soon = SystemTime::now() + Duration::from_secs(3);
        let expires = jiff::Timestamp::try_from(soon)?.to_string();
        let new = json!({ "name": expires, "expires": expires });
        let made = house.send("POST", "/accounts/mia/tokens", Some(new), &root)?;
        short = (made.status == 201).then(|| made.json()).transpose()?;
        Ok(short.is_some())
    })?;
    let secret = short.map(|made| text(&made["secret"])).transpose()?;
    let short = As::Basic("mia", secret.unwrap_or_default());
    ensure!(house.lets_in(&short)? || SystemTime::now() >= soon);
    berth_tests::wait::until("it is over", || {
        // What was found good is remembered for a while; a change of anything has it looked at again.
        let grant = json!({ "subject": "user:mia", "role": "reader", "repositories": "x" });
        let made = house.send("POST", "/grants", Some(grant), &root)?.json()?;
        house.send("DELETE", &format!("/grants/{}", made["id"]), None, &root)?;
        Ok(!house.lets_in(&short)?)
    })?;
    ensure!(SystemTime::now() >= soon, "it was over too soon");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn all_is_still_there_after_a_restart() -> Result<()> {
    let house = House::full()?;
    let token = house.robot("acme+bot")?;
    let (launch, root) = house.stop()?;
    let server = launch.start()?;
    for (name, secret) in [("mia", password("mia")), ("acme+bot", token)] {
        let by = As::Basic(name, secret);
        let answer = berth_tests::wire::send(server.address(), &authorized(get("/v2/"), &by))?;
        ensure!(answer.status == 200, "{name}: {}", answer.text());
    }
    server.stop()?;
    drop(root);
    Ok(())
}
