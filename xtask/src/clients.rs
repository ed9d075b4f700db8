//! `cargo xtask clients`: real clients against the optimised build.

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};
use crate::tools;

/// The modules of `tests/tests/clients` and the programs that each needs.
const CLIENTS: [(&str, &[&str]); 15] = [
    ("buildah", &["buildah", "skopeo"]),
    ("containerd", &["containerd", "ctr", "skopeo"]),
    ("cosign", &["cosign", "skopeo"]),
    ("crane", &["crane", "skopeo"]),
    ("distribution", &["docker-registry", "crane", "oras", "skopeo"]),
    ("docker", &["dockerd", "docker", "skopeo"]),
    ("helm", &["helm"]),
    (
        "identity",
        &[
            "buildah",
            "containerd",
            "ctr",
            "crane",
            "docker",
            "docker-registry",
            "dockerd",
            "helm",
            "node",
            "oras",
            "podman",
            "regctl",
            "skopeo",
        ],
    ),
    ("nginx", &["nginx", "openssl", "curl", "crane", "docker", "dockerd", "skopeo"]),
    ("oras", &["oras", "skopeo"]),
    ("podman", &["podman", "skopeo"]),
    ("regctl", &["regctl", "skopeo"]),
    ("skopeo", &["skopeo"]),
    ("tls", &["containerd", "ctr", "crane", "docker", "dockerd", "oras", "podman", "skopeo"]),
    ("umoci", &["umoci", "skopeo"]),
];
/// What the images are made with.
const FIXTURES: [&str; 2] = ["busybox", "debootstrap"];

pub(crate) fn parts() -> Vec<Part> {
    vec![
        conformance::build(),
        Part { name: "clients", what: "real clients push and pull real images", run: clients },
    ]
}

fn clients(context: &Context) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    let missing = |program: &&str| !tools::is_installed(context, program);
    if let Some(program) = FIXTURES.iter().find(|program| missing(program)) {
        return Outcome::not_run(format!("{program} is not installed: run `cargo xtask setup`"));
    }
    let mut absent = Vec::new();
    let mut command = cargo(context, "test --workspace --locked --test clients -- --ignored");
    for (client, programs) in CLIENTS {
        let lacking: Vec<&str> = programs.iter().copied().filter(missing).collect();
        if !lacking.is_empty() {
            command.args(["--skip", &format!("{client}::")]);
            absent.push(format!("{client}: no {}", lacking.join(", ")));
        }
    }
    command
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env("RUST_BACKTRACE", "0");
    match tests(&mut command)? {
        Outcome::Passed { tests, note } if !absent.is_empty() => {
            let reason = format!("{}; of the others, {note} passed", absent.join("; "));
            Ok(Outcome::NotRun { tests, reason, accepted: false })
        }
        outcome => Ok(outcome),
    }
}
