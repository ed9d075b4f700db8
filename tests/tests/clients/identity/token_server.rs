//! A token server of others, before Debian's registry and before Berth: both take the same tokens.

use anyhow::{Context, Result, ensure};
use berth_test_stores::{KeyKind, SignedBy, TokenServer};
use berth_tests::fixtures::{self, Layout};
use berth_tests::wire::{Request, get, post, send};
use berth_tests::{Home, Launch, Server, Target};
use serde_json::{Value, json};

use super::{DENIED, says};
use crate::docker::Docker;
use crate::{arrived, same};

const BOTH: [Target; 2] = [Target::DockerRegistry, Target::Berth];

fn start(target: Target, tokens: &TokenServer) -> Result<Server> {
    let all = json!([{"type": "repository", "name": "team/app", "actions": ["pull"]}]);
    let reader = tokens.sign(SignedBy::Root, &tokens.claims(&all))?;
    let launch = Launch::temporary()?.target(target).showing(format!("Bearer {reader}"));
    let launch = launch.env("REGISTRY_AUTH", "token").env("REGISTRY_LOG_LEVEL", "debug");
    tokens.settings().iter().fold(launch, |launch, (name, value)| launch.env(name, value)).start()
}

/// Each token, what is told of it, and whether it lets somebody push to `team/app`.
fn table(tokens: &TokenServer) -> Result<Vec<(&'static str, String, bool)>> {
    let access = |name: &str, actions: &[&str]| json!([{"type": "repository", "name": name, "actions": actions}]);
    let good = tokens.claims(&access("team/app", &["pull", "push"]));
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        tokens.sign(SignedBy::Root, &claims)
    };
    let now = good["iat"].as_u64().context("no time")?;
    let of = |access: &Value| tokens.sign(SignedBy::Root, &tokens.claims(access));
    let signed = |by: SignedBy| tokens.sign(by, &good);
    let cut = signed(SignedBy::Root)?;
    let cut = cut[..cut.len() - 4].to_owned();
    Ok(vec![
        ("good", signed(SignedBy::Root)?, true),
        ("of a certificate that it brings", signed(SignedBy::Chain)?, true),
        ("for all actions", of(&access("team/app", &["*"]))?, true),
        ("to pull", of(&access("team/app", &["pull"]))?, false),
        ("for another repository", of(&access("team/other", &["pull", "push"]))?, false),
        ("for nothing", of(&json!([]))?, false),
        ("expired", with("exp", json!(now - 120))?, false),
        ("not valid yet", with("nbf", json!(now + 120))?, false),
        ("for another registry", with("aud", json!("other.berth.test"))?, false),
        ("of another server", with("iss", json!("other.berth.test"))?, false),
        ("of an unknown key", signed(SignedBy::Stranger)?, false),
        ("of an unknown key by a known name", signed(SignedBy::Impostor)?, false),
        ("of an unknown certificate that it brings", signed(SignedBy::StrangeChain)?, false),
        ("cut off", cut, false),
        ("no token", "abc".to_owned(), false),
    ])
}

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: u16,
    challenge: Option<String>,
    code: Option<String>,
}

fn ask(server: &Server, request: &Request) -> Result<Outcome> {
    let answer = send(server.address(), request)?;
    let code = match answer.status {
        401 => answer.json()?["errors"][0]["code"].as_str().map(str::to_owned),
        _ => None,
    };
    // Debian's has no order among the actions that it asks for.
    let challenge =
        answer.find("www-authenticate").map(|told| told.replace("push,pull", "pull,push"));
    Ok(Outcome { status: answer.status, challenge, code })
}

/// What Berth has to answer where the other answers so. It has a code of its own where a token is good, but not for
/// this: clients show it to people, and to log in again is of no use to them.
fn expected(mut theirs: Outcome) -> Outcome {
    if theirs.challenge.as_ref().is_some_and(|told| told.contains("insufficient_scope")) {
        theirs.code = Some("DENIED".to_owned());
    }
    theirs
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn debian_s_registry_and_berth_take_the_same_tokens() -> Result<()> {
    for kind in [KeyKind::Rsa, KeyKind::Ec] {
        let tokens = TokenServer::start(kind)?;
        let (theirs, ours) = (start(BOTH[0], &tokens)?, start(BOTH[1], &tokens)?);
        let table = table(&tokens)?;
        let mut surprises = Vec::new();
        for (what, token, pushes) in &table {
            for request in
                [get("/v2/"), get("/v2/team/app/tags/list"), post("/v2/team/app/blobs/uploads/")]
            {
                let shown = request.clone().header("Authorization", format!("Bearer {token}"));
                let theirs = expected(ask(&theirs, &shown).context(*what)?);
                let ours = ask(&ours, &shown).context(*what)?;
                if theirs != ours {
                    surprises.push(format!(
                        "{what}, {}: {theirs:?} there, {ours:?} here",
                        request.line()
                    ));
                }
                let is_push = request.line().starts_with("POST");
                if is_push && (ours.status == 202) != *pushes {
                    surprises.push(format!("{what}: {ours:?}"));
                }
            }
        }
        ensure!(surprises.is_empty(), "{kind:?}:\n{}", surprises.join("\n"));
        theirs.stop()?;
        let log = ours.stop_for_log()?;
        ensure!(table.iter().all(|(_, token, _)| token.len() < 10 || !log.contains(token)));
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn crane_gets_its_tokens_there() -> Result<()> {
    for target in BOTH {
        let (home, tokens) = (Home::new()?, TokenServer::start(KeyKind::Ec)?);
        let (server, image) = (start(target, &tokens)?, fixtures::busybox()?);
        let host = server.host();
        let push = |name: &str| format!("crane push {} {host}/{name}", image.path.display());
        let login =
            format!("crane auth login {host} --username {} --password-stdin", tokens.user());
        says(&home.refused(&push("team/app:1"))?, &DENIED)?;
        home.run_with_input(&login, b"wrong")?;
        home.refused(&push("team/app:1"))?;
        home.run_with_input(&login, tokens.password().as_bytes())?;
        home.run(&push("team/app:1"))?;
        arrived(&server, "team/app", "1", &image.digest)?;
        let back = home.path("back");
        home.run(&format!("crane pull --format oci {host}/team/app:1 {}", back.display()))?;
        same("the digest after the way back", &Layout::open(&back)?.digest, &image.digest)?;
        says(&home.refused(&push("other/app:1"))?, &DENIED)?;
        let log = server.stop_for_log()?;
        ensure!(
            !log.contains(tokens.password()) && !log.contains(".eyJ"),
            "a secret is in the log"
        );
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn docker_gets_its_tokens_there() -> Result<()> {
    let (docker, tokens) = (Docker::start()?, TokenServer::start(KeyKind::Rsa)?);
    for target in BOTH {
        let (server, image) = (start(target, &tokens)?, fixtures::busybox()?);
        let (home, host) = (&docker.home, server.host());
        let login = format!("docker login --username {} --password-stdin {host}", tokens.user());
        home.run(&format!(
            "skopeo copy --dest-tls-verify=false --dest-creds {}:{} {} docker://{host}/team/app:1",
            tokens.user(),
            tokens.password(),
            image.oci()
        ))?;
        home.refused(&format!("docker pull {host}/team/app:1"))?;
        home.refused_with_input(&login, b"wrong")?;
        home.run_with_input(&login, tokens.password().as_bytes())?;
        same("the digest", &docker.pull(&format!("{host}/team/app:1"))?, &image.digest)?;
        for name in ["team/app:2", "other/app:2"] {
            docker.run(&format!("tag {host}/team/app:1 {host}/{name}"))?;
        }
        let pushed = docker.push(&format!("{host}/team/app:2"))?;
        arrived(&server, "team/app", "2", &pushed)?;
        says(&home.refused(&format!("docker push {host}/other/app:2"))?, &DENIED)?;
        docker.remove_all_images()?;
        server.stop()?;
    }
    docker.stop()
}
