//! Row R9 of the walk-throughs: a TLS-terminating, authenticating reverse proxy in front.

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use berth_tests::fixtures::{self, Layout};
use berth_tests::process::Daemon;
use berth_tests::server::free_address;
use berth_tests::{Home, Server};

use crate::docker::Docker;
use crate::{arrived, same};

const CREDENTIALS: &str = "reader:secret";

/// nginx before a registry, with a certificate for 127.0.0.1 that it made itself, in `certificates/ca.crt`.
struct Proxy {
    daemon: Daemon,
    address: SocketAddr,
}

impl Proxy {
    fn start(home: &Home, server: &Server) -> Result<Self> {
        let folder = home.path("certificates");
        std::fs::create_dir(&folder)?;
        let (key, certificate) = (folder.join("ca.key"), folder.join("ca.crt"));
        home.run(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {} -out {}",
            key.display(),
            certificate.display()
        ))?;
        let (user, password) = CREDENTIALS.split_once(':').context("no colon")?;
        let hash = home.run(&format!("openssl passwd -apr1 {password}"))?;
        std::fs::write(home.path("htpasswd"), format!("{user}:{hash}\n"))?;

        let address = free_address()?;
        let config = home.path("nginx.conf");
        std::fs::write(&config, configuration(home, address, server))?;
        let mut daemon = home.daemon("nginx", &format!("nginx -c {}", config.display()))?;
        daemon.wait_until(|| TcpStream::connect(address).is_ok())?;
        Ok(Self { daemon, address })
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    fn stop(self) -> Result<()> {
        self.daemon.stop()?;
        Ok(())
    }
}

/// What the documentation of registries tells people to write.
fn configuration(home: &Home, address: SocketAddr, server: &Server) -> String {
    let home_folder = home.path("");
    let home_folder = home_folder.display();
    let upstream = server.host();
    format!(
        r#"
user root;
daemon off;
pid {home_folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home_folder}/tmp/body;
    proxy_temp_path {home_folder}/tmp/proxy;
    fastcgi_temp_path {home_folder}/tmp/fastcgi;
    uwsgi_temp_path {home_folder}/tmp/uwsgi;
    scgi_temp_path {home_folder}/tmp/scgi;
    server {{
        listen {address} ssl;
        ssl_certificate {home_folder}/certificates/ca.crt;
        ssl_certificate_key {home_folder}/certificates/ca.key;
        client_max_body_size 0;
        chunked_transfer_encoding on;
        location /v2/ {{
            auth_basic "a registry";
            auth_basic_user_file {home_folder}/htpasswd;
            add_header Docker-Distribution-Api-Version registry/2.0 always;
            proxy_pass http://{upstream};
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 900;
        }}
    }}
}}
"#
    )
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn uploads_continue_at_a_location_that_a_client_of_the_proxy_can_reach() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let proxy = Proxy::start(&home, &server)?;
    let host = proxy.host();
    let ca = home.path("certificates/ca.crt");
    let curl = format!("curl --silent --show-error --include --cacert {}", ca.display());
    let refused = home.run(&format!("{curl} https://{host}/v2/"))?;
    ensure!(
        refused.starts_with("HTTP/1.1 401"),
        "without credentials the proxy answered:\n{refused}"
    );

    let answer = home.run(&format!(
        "{curl} --user {CREDENTIALS} --request POST https://{host}/v2/app/blobs/uploads/"
    ))?;
    ensure!(answer.starts_with("HTTP/1.1 202"), "the upload was not started:\n{answer}");
    let location = answer
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("location").then_some(value.trim()))
        .context("no Location")?;
    let secure = format!("https://{host}/v2/app/blobs/uploads/");
    ensure!(
        location.starts_with("/v2/app/blobs/uploads/") || location.starts_with(&secure),
        "a client of the proxy cannot follow {location}"
    );
    proxy.stop()?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn clients_that_verify_the_certificate_push_and_pull_through_it() -> Result<()> {
    let (mut home, server) = (Home::new()?, Server::start()?);
    let proxy = Proxy::start(&home, &server)?;
    let (host, certificates) = (proxy.host(), home.path("certificates"));
    // skopeo would take the key beside it for a client's.
    let trusted = home.path("trusted");
    std::fs::create_dir(&trusted)?;
    std::fs::copy(certificates.join("ca.crt"), trusted.join("ca.crt"))?;
    home.set("SSL_CERT_FILE", certificates.join("ca.crt"));

    for (name, image) in [("busybox", fixtures::busybox()?), ("debian", fixtures::debian()?)] {
        home.run(&format!(
            "skopeo copy --preserve-digests --dest-creds {CREDENTIALS} --dest-cert-dir {} {} docker://{host}/skopeo/{name}:1",
            trusted.display(),
            image.oci()
        ))?;
        arrived(&server, &format!("skopeo/{name}"), "1", &image.digest)?;
        let copy = home.path(&format!("copy-{name}"));
        home.run(&format!(
            "skopeo copy --src-creds {CREDENTIALS} --src-cert-dir {} docker://{host}/skopeo/{name}:1 oci:{}:1",
            trusted.display(),
            copy.display()
        ))?;
        same("the digest after the way back", &Layout::open(&copy)?.digest, &image.digest)?;
    }

    let (user, password) = CREDENTIALS.split_once(':').context("no colon")?;
    home.run(&format!("crane auth login {host} --username {user} --password {password}"))?;
    let image = fixtures::busybox()?;
    home.run(&format!("crane push {} {host}/crane/busybox:1", image.path.display()))?;
    arrived(&server, "crane/busybox", "1", &image.digest)?;
    home.run(&format!("crane validate --remote {host}/crane/busybox:1"))?;
    proxy.stop()?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn docker_logs_in_pushes_and_pulls_through_it() -> Result<()> {
    let (docker, server) = (Docker::start()?, Server::start()?);
    let proxy = Proxy::start(&docker.home, &server)?;
    // The daemon trusts any certificate on a loopback address, so this says nothing about trust.
    let name = format!("{}/docker/debian:12", proxy.host());
    crate::publish(&docker.home, &fixtures::debian()?, &server, "source:1")?;
    docker.pull(&format!("{}/source:1", server.host()))?;
    docker.run(&format!("tag {}/source:1 {name}", server.host()))?;
    let id = docker.id(&name)?;
    docker.home.refused(&format!("docker push {name}"))?;
    let (user, password) = CREDENTIALS.split_once(':').context("no colon")?;
    docker.run(&format!("login --username {user} --password {password} {}", proxy.host()))?;
    let pushed = docker.push(&name)?;
    arrived(&server, "docker/debian", "12", &pushed)?;
    docker.remove_all_images()?;
    same("the digest after the way back", &docker.pull(&name)?, &pushed)?;
    same("the image id after the way back", &docker.id(&name)?, &id)?;
    docker.stop()?;
    proxy.stop()?;
    server.stop()
}
