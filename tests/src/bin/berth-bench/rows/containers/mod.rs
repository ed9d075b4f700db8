//! Containers: the same command line of Berth and of other runtimes and engines, in turn.

mod engines;
pub(crate) mod exec;
mod machine;
pub(crate) mod monitor;
pub(crate) mod oci_run;
pub(crate) mod pull_ready;
pub(crate) mod run;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use berth_tests::fixtures::Layout;

use super::Row;
use crate::Bench;
use crate::peers::{Launch, Server};

pub(crate) const CRUN: &str = "crun";
pub(crate) const RUNC: &str = "runc";
pub(crate) const PODMAN: &str = "podman";
pub(crate) const DOCKER: &str = "dockerd";
pub(crate) const CONTAINERD: &str = "containerd";

/// The milliseconds that a command takes, which must succeed.
fn milliseconds(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let output = child.wait_with_output()?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {complaint}", output.status);
    Ok(milliseconds)
}

/// What a command says, which must succeed.
fn says(mut command: Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {complaint}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A registry that the engines pull from: Berth, with an image in it.
struct Images {
    server: Server,
    name: String,
}

impl Images {
    fn with(bench: &Bench, row: Row, image: &Layout) -> Result<Self> {
        let images = Self::on(bench, &row.launch(bench, "registry")?)?;
        images.push(image)?;
        Ok(images)
    }

    /// A registry with nothing in it yet.
    fn on(bench: &Bench, launch: &Launch) -> Result<Self> {
        let server = bench.berth()?.start(launch)?;
        let name = image_name(server.address);
        Ok(Self { server, name })
    }

    fn push(&self, image: &Layout) -> Result<()> {
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--dest-tls-verify=false", &image.oci()]);
        copy.arg(format!("docker://{}", self.name));
        says(copy).map(drop)
    }

    fn stop(self) -> Result<()> {
        self.server.stop()
    }
}

fn image_name(address: SocketAddr) -> String {
    format!("{address}/bench/image:1")
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}
