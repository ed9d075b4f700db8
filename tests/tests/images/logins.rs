use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use berth_tests::{Launch, fixtures};

use crate::machine::Machine;

#[test]
#[ignore = "started by cargo xtask runner"]
fn a_login_is_verified_kept_used_and_forgotten() -> Result<()> {
    let machine = Machine::new()?;
    let users = machine.home.path("users");
    let hash = bcrypt::hash("secret", 4)?;
    fs::write(&users, format!("me:{hash}\n"))?;
    let server = Launch::temporary()?
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "test")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", &users)
        .showing(format!("Basic {}", base64_of("me:secret")))
        .start()?;
    let host = server.host();
    let login = machine.line(&format!("login -u me --password-stdin {host}"));
    let refused = machine.home.refused_with_input(&login, b"wrong\n")?;
    assert!(refused.to_lowercase().contains("not accept the credentials"), "{refused}");
    let file = machine.home.path("home/.docker/config.json");
    assert!(!file.exists());

    let told = machine.home.run_with_input(&login, b"secret\n")?;
    assert!(told.ends_with("Login Succeeded"), "{told}");
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let line = format!(
        "skopeo copy --quiet --dest-tls-verify=false --dest-creds me:secret {} docker://{host}/app:1",
        fixtures::busybox()?.oci()
    );
    machine.home.run(&line)?;
    machine.berth(&format!("pull {host}/app:1"))?;
    assert_eq!(
        machine.berth(&format!("logout {host}"))?,
        format!("Removing login credentials for {host}")
    );
    assert_eq!(machine.berth(&format!("logout {host}"))?, format!("Not logged in to {host}"));
    let refused = machine.refused(&format!("pull {host}/app:1"))?;
    assert!(refused.contains("pull access denied for"), "{refused}");

    // Podman's file is read where docker's has nothing.
    let auths =
        serde_json::json!({"auths": {format!("{host}/app"): {"auth": base64_of("me:secret")}}});
    fs::write(machine.home.path("home/auth.json"), auths.to_string())?;
    machine.berth(&format!("pull {host}/app:1"))?;
    server.stop().context("stop the registry")
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn who_cannot_be_asked_for_a_password_is_refused() -> Result<()> {
    let machine = Machine::new()?;
    let refused = machine.refused("login -u me localhost:5000")?;
    assert!(refused.contains("Cannot perform an interactive login from a non TTY device"));
    let refused = machine.refused("login --password-stdin localhost:5000")?;
    assert!(refused.contains("Must provide --username with --password-stdin"), "{refused}");
    Ok(())
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
