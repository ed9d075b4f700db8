use anyhow::Result;
use berth_tests::fixtures;
use berth_tests::registry::sha256_of_file;
use berth_tests::{Home, Server};

use crate::{publish, same};

#[test]
#[ignore = "run by cargo xtask clients"]
fn unpacks_what_came_back_from_the_registry() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    publish(&home, &fixtures::busybox()?, &server, "busybox:1")?;
    let layout = home.path("layout");
    home.run(&format!(
        "skopeo copy --src-tls-verify=false docker://{host}/busybox:1 oci:{}:1",
        layout.display()
    ))?;
    let bundle = home.path("bundle");
    home.run(&format!("umoci unpack --image {}:1 {}", layout.display(), bundle.display()))?;
    same(
        "the busybox in the image and on this machine",
        &sha256_of_file(&bundle.join("rootfs/bin/busybox"))?,
        &sha256_of_file("/bin/busybox".as_ref())?,
    )?;
    server.stop()
}
