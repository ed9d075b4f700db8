//! Debian's registry beside Berth, both with the same password file: they answer the same, whatever they are shown.

use std::fmt;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::wire::{Answer, Request, get, head, post, send};
use berth_tests::{Launch, Server, Target};

use super::{ALICE, CAROL, WRONG, password_file};

/// What an answer comes to.
#[derive(PartialEq, Eq)]
struct Outcome {
    status: u16,
    challenge: Option<String>,
    code: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{}, {}, {}", self.status, text(&self.challenge), text(&self.code))
    }
}

impl Outcome {
    fn of(answer: &Answer) -> Result<Self> {
        let code = match answer.body.as_slice() {
            [] => None,
            _ => answer.json()?["errors"][0]["code"].as_str().map(str::to_owned),
        };
        let challenge = answer.find("www-authenticate").map(str::to_owned);
        Ok(Self { status: answer.status, challenge, code })
    }
}

fn start(target: Target, settings: &[(&str, &str)]) -> Result<Server> {
    let launch = Launch::temporary()?.target(target);
    settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).start()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn debian_s_registry_and_berth_answer_the_same_with_the_same_password_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = password_file(folder.path())?.display().to_string();
    let settings = [
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", &file),
        // As many wrong passwords as this table has.
        ("REGISTRY_AUTH_ATTEMPTS_ACCOUNT", "1000"),
        ("REGISTRY_AUTH_ATTEMPTS_SOURCE", "1000"),
    ];
    let theirs = start(Target::DockerRegistry, &settings[..3])?;
    let ours = start(Target::Berth, &settings)?;
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let shown = [
        ("nothing", None),
        ("a password with a hash of $2y$", Some(ALICE.basic())),
        ("a password with a hash of $2b$", Some(CAROL.basic())),
        ("a scheme in small letters", Some(format!("basic {}", encoded(&ALICE.pair())))),
        ("a wrong password", Some(WRONG.basic())),
        ("an unknown user", Some(format!("Basic {}", encoded("mallory:of-alice-4f1c")))),
        ("a name in capitals", Some(format!("Basic {}", encoded("ALICE:of-alice-4f1c")))),
        ("no password", Some(format!("Basic {}", encoded("alice:")))),
        ("no name", Some(format!("Basic {}", encoded(":of-alice-4f1c")))),
        ("neither", Some(format!("Basic {}", encoded(":")))),
        ("no colon", Some(format!("Basic {}", encoded("alice")))),
        ("more than a password", Some(format!("Basic {}", encoded("alice:of-alice-4f1c:x")))),
        ("a line break", Some(format!("Basic {}", encoded("alice:of-alice-4f1c\n")))),
        ("no base 64", Some("Basic %%%".to_owned())),
        ("base 64 without its end", Some(ALICE.basic().trim_end_matches('=').to_owned() + "=")),
        ("a scheme alone", Some("Basic".to_owned())),
        ("an empty header", Some(String::new())),
        ("a token", Some("Bearer abc".to_owned())),
        ("another scheme", Some("Digest username=\"alice\"".to_owned())),
    ];
    let asked: [Request; 5] = [
        get("/v2/"),
        get("/v2/team/app/manifests/1"),
        head("/v2/team/app/manifests/1"),
        post("/v2/team/app/blobs/uploads/"),
        get("/v2/_catalog"),
    ];
    let mut surprises = Vec::new();
    for (what, authorization) in &shown {
        for request in &asked {
            let request = match authorization {
                Some(value) => request.clone().header("Authorization", value),
                None => request.clone(),
            };
            let ask = |server: &Server| -> Result<Outcome> {
                Outcome::of(&send(server.address(), &request).context(*what)?)
            };
            let (theirs, ours) = (ask(&theirs)?, ask(&ours)?);
            if theirs != ours {
                surprises.push(format!("{what}, {}: {theirs} there, {ours} here", request.line()));
            }
        }
    }
    ensure!(surprises.is_empty(), "{}", surprises.join("\n"));
    theirs.stop()?;
    ours.stop()
}
