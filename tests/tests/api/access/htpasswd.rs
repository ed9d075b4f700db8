//! The password file, as `registry:2` has it.

use anyhow::{Context as _, Result, ensure};
use berth_tests::wait;
use berth_tests::wire::{get, post};

use super::{HTPASSWD, PasswordFile, basic, by, challenged};
use crate::api::Api;

#[test]
fn whoever_is_in_the_file_may_do_everything_and_nobody_else_anything() -> Result<()> {
    let file = PasswordFile::of(&["alice", "Bob.B@example"])?;
    for api in Api::each_with(&[(HTPASSWD, &file.setting())]) {
        let challenge = challenged(api.get("/v2/")?)?;
        ensure!(challenge == "Basic realm=\"Berth\"", "{challenge}");
        for name in ["alice", "Bob.B@example"] {
            api.send(&by(name, get("/v2/")))?.expect(200)?;
            api.send(&by(name, post("/v2/any/app/blobs/uploads/")))?.expect(202)?;
            api.send(&by(name, get("/v2/_catalog")))?.expect(200)?;
        }
        for header in [
            basic("alice", "bob"),
            basic("carol", "carol"),
            basic("alice", ""),
            basic("", ""),
            "Basic".to_owned(),
            "Basic %%%".to_owned(),
            "Digest username=alice".to_owned(),
            "Bearer abc".to_owned(),
        ] {
            let answer = api.send(&get("/v2/").header("Authorization", &header))?;
            let challenge = challenged(answer).with_context(|| header.clone())?;
            ensure!(challenge == "Basic realm=\"Berth\"", "{header}: {challenge}");
        }
        // No tokens are issued where only passwords are configured.
        ensure!(api.get("/token")?.status == 404);
    }
    Ok(())
}

#[test]
fn a_changed_file_is_taken_over_and_a_broken_one_is_not() -> Result<()> {
    let file = PasswordFile::of(&["alice"])?;
    // Asking until it is so is guessing, too.
    let api = Api::in_memory(&[
        (HTPASSWD, &file.setting()),
        ("REGISTRY_AUTH_ATTEMPTS_ACCOUNT", "100000"),
        ("REGISTRY_AUTH_ATTEMPTS_SOURCE", "100000"),
    ])?;
    api.send(&by("alice", get("/v2/")))?.expect(200)?;
    file.write(&["alice", "bob"])?;
    wait::until("the change is seen", || Ok(api.send(&by("bob", get("/v2/")))?.status == 200))?;
    std::fs::write(file.path(), "no password file")?;
    // Whoever is written now is seen after what was broken before.
    api.send(&by("bob", get("/v2/")))?.expect(200)?;
    file.write(&["carol"])?;
    wait::until("the change is seen", || Ok(api.send(&by("carol", get("/v2/")))?.status == 200))?;
    // A password that was right a moment ago is not remembered beyond that.
    challenged(api.send(&by("alice", get("/v2/")))?)?;
    Ok(())
}

#[test]
fn who_guesses_has_to_wait_and_others_do_not() -> Result<()> {
    let file = PasswordFile::of(&["alice", "bob"])?;
    let api = Api::in_memory(&[
        (HTPASSWD, &file.setting()),
        ("REGISTRY_AUTH_ATTEMPTS_ACCOUNT", "3"),
        ("REGISTRY_AUTH_ATTEMPTS_WINDOW", "1h"),
    ])?;
    let guess =
        |password: &str| api.send(&get("/v2/").header("Authorization", basic("alice", password)));
    for _ in 0..3 {
        ensure!(guess("wrong")?.status == 401);
    }
    // Not even the right one is looked at: the answer would tell which it is.
    for password in ["wrong", "alice"] {
        let answer = guess(password)?;
        ensure!(answer.status == 429, "{answer:?}");
        let wait: u64 = answer.header("retry-after")?.parse()?;
        ensure!((3000..=3600).contains(&wait), "{wait}");
        answer.refusal(429, "TOOMANYREQUESTS")?;
    }
    api.send(&by("bob", get("/v2/")))?.expect(200)?;
    Ok(())
}
