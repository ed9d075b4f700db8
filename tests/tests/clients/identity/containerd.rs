use std::fs;

use anyhow::Result;
use berth_tests::fixtures;

use super::{ALICE, DENIED, Guarded, UNAUTHORIZED, User, WRONG, says};
use crate::containerd::Containerd;
use crate::same;

#[test]
#[ignore = "run by cargo xtask clients"]
fn containerd_shows_a_password_pushes_and_pulls() -> Result<()> {
    let (containerd, guarded) = (Containerd::start()?, Guarded::start()?);
    let (host, image) = (guarded.host(), fixtures::busybox()?);
    let hosts = containerd.home.path("hosts");
    fs::create_dir_all(hosts.join(&host))?;
    fs::write(
        hosts.join(&host).join("hosts.toml"),
        format!(
            "server = \"https://{host}\"\n[host.\"https://{host}\"]\n  ca = \"{}\"\n",
            guarded.authority()
        ),
    )?;
    let hosts = hosts.display();
    let line = |command: &str, user: Option<User>, name: &str| {
        let user = user.map_or_else(String::new, |user| format!("--user {}", user.pair()));
        format!("images {command} --hosts-dir {hosts} {user} {host}/{name}")
    };
    let push = |user, name: &str| containerd.ctr(&line("push", user, name));
    let pull = |user, name: &str| containerd.ctr(&line("pull --snapshotter native", user, name));
    let refused = |outcome: Result<String>, words: &[&str]| match outcome {
        Ok(printed) => anyhow::bail!("it should fail and did not:\n{printed}"),
        Err(error) => says(&format!("{error:#}"), words),
    };
    guarded.publish(&containerd.home, &image, "public/app:latest")?;
    pull(None, "public/app:latest")?;
    for repository in ["team/app", "other/app"] {
        let name = format!("{host}/{repository}:latest");
        containerd.ctr(&format!("images tag {host}/public/app:latest {name}"))?;
    }
    refused(push(None, "team/app:latest"), &DENIED)?;
    refused(push(Some(WRONG), "team/app:latest"), &UNAUTHORIZED)?;
    push(Some(ALICE), "team/app:latest")?;
    guarded.arrived("team/app:latest", &image.digest)?;
    refused(push(Some(ALICE), "other/app:latest"), &DENIED)?;
    let name = format!("{host}/team/app:latest");
    containerd.ctr(&format!("images rm --sync {name}"))?;
    refused(pull(None, "team/app:latest"), &DENIED)?;
    pull(Some(ALICE), "team/app:latest")?;
    same("the digest after the way back", &containerd.digest(&name)?, &image.digest)?;
    containerd.stop()?;
    guarded.stop(&[])
}
