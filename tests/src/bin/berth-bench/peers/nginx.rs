//! The yardstick: the same bytes as files.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Launch;
use crate::content::MANIFEST_TYPE;

/// What the page says about it.
pub(crate) const SETTINGS: &str = "nginx: two workers (one a core), `sendfile on`, `tcp_nopush on`, access log off, the \
    same bytes under the same path with the same content type, `open_file_cache` off, and on as a peer of its own";

pub(super) fn command(
    launch: &Launch,
    address: SocketAddr,
    open_file_cache: bool,
) -> Result<Command> {
    let folder = launch.folder.display();
    let data = launch.data();
    let data = data.display();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let cache = match open_file_cache {
        true => "open_file_cache max=10000 inactive=10m; open_file_cache_valid 10m;",
        false => "open_file_cache off;",
    };
    let listen = match &launch.tls {
        None => format!("listen {address};"),
        Some(files) => format!(
            "listen {address} ssl; ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.2 TLSv1.3;",
            files.certificate.display(),
            files.key.display()
        ),
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    let config = format!(
        "{user}
worker_processes {workers};
daemon off;
pid {folder}/pid;
error_log {folder}/errors error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  {cache}
{temporary}  server {{
    {listen}
    root {data};
    location /v2/ {{ default_type {MANIFEST_TYPE}; }}
    location ~ /blobs/ {{ default_type application/octet-stream; }}
    location = /v2/ {{ return 200; }}
  }}
}}
"
    );
    let path = launch.folder.join("nginx.conf");
    fs::write(&path, config)?;
    let mut command = Command::new("nginx");
    command.arg("-e").arg(launch.folder.join("errors")).arg("-c").arg(path);
    Ok(command)
}
