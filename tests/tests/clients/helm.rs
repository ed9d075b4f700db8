use anyhow::Result;
use berth_tests::registry::sha256_of_file;
use berth_tests::{Home, Server};

use crate::{arrived, first_digest, same};

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_a_chart_and_pulls_the_same_back() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    home.run("helm create webapp")?;
    // Helm writes the + of a version as _ in the tag.
    home.run("helm package --version 1.2.3+build.4 webapp")?;
    let pushed =
        home.run(&format!("helm push --plain-http webapp-1.2.3+build.4.tgz oci://{host}/charts"));
    let pushed = pushed?;
    let manifest = server.registry().manifest("charts/webapp", "1.2.3_build.4")?;
    if pushed.contains("sha256:") {
        same("the digest helm prints", &first_digest(&pushed)?, &manifest.digest)?;
    }
    arrived(&server, "charts/webapp", "1.2.3_build.4", &manifest.digest)?;

    let back = home.path("back");
    std::fs::create_dir(&back)?;
    home.run(&format!(
        "helm pull --plain-http --version 1.2.3+build.4 --destination {} oci://{host}/charts/webapp",
        back.display()
    ))?;
    same(
        "the chart after the way back",
        &sha256_of_file(&back.join("webapp-1.2.3+build.4.tgz"))?,
        &sha256_of_file(&home.path("home/webapp-1.2.3+build.4.tgz"))?,
    )?;
    let newest = home.run(&format!("helm show chart --plain-http oci://{host}/charts/webapp"))?;
    same(
        "the newest version",
        &newest.lines().any(|line| line == "version: 1.2.3+build.4"),
        &true,
    )?;
    server.stop()
}
