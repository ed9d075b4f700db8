//! What an upstream is shown, and who else is not.

use std::fs;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::wire;
use berth_tests::{Launch, Server, Target};
use tempfile::TempDir;

use crate::scene::{Image, Scene, mirror_of};

const USER: &str = "mirror";
const PASSWORD: &str = "of-the-mirror";

/// An upstream of this kind that wants a password, or a token for one.
fn upstream(target: Target, tokens: bool) -> Result<(Server, TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("htpasswd");
    fs::write(&file, format!("{USER}:{}\n", bcrypt::hash(PASSWORD, 5)?))?;
    let mut launch = Launch::temporary()?
        .target(target)
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "upstream")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", &file)
        .showing(basic());
    if tokens {
        launch = launch.env("REGISTRY_AUTH_TOKENS_ENABLED", "true");
    }
    Ok((launch.start()?, folder))
}

fn basic() -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn with_password(launch: Launch, password: &str) -> Launch {
    launch
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_USERNAME", USER)
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_PASSWORD", password)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_upstream_gets_the_password_or_gives_a_token_for_it() -> Result<()> {
    for (seed, target, tokens) in
        [(90, Target::DockerRegistry, false), (91, Target::Berth, false), (92, Target::Berth, true)]
    {
        let (upstream, _file) = upstream(target, tokens)?;
        let image = Image::new(seed);
        image.push_showing(&upstream, "team/app", "v1", Some(&basic()))?;
        let scene = Scene::of(upstream, |mirror| with_password(mirror, PASSWORD))?;
        scene.pull("v1", &image)?;
        if tokens {
            let asked = scene.proxy.requests().iter().filter(|seen| seen.path == "/token").count();
            ensure!(asked == 1, "{asked} tokens for one repository");
        }
        // Whoever has the wrong one is told so.
        let nothing = mirror_of(Launch::temporary()?, &scene.proxy.endpoint());
        for wrong in [with_password(nothing.clone(), "wrong"), nothing] {
            let mirror = wrong.start()?;
            let target = "/v2/hub/team/app/manifests/v1";
            let message =
                wire::send(mirror.address(), &wire::get(target))?.refusal(403, "DENIED")?;
            ensure!(message.contains("credentials"), "{message}");
            mirror.stop()?;
        }
        scene.stop()?;
    }
    Ok(())
}
