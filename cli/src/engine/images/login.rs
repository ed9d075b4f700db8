use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use berth_client::Password;
use berth_runner::images::{self, Kept, Settings};

use super::arguments::LoginArguments;
use crate::commands::password::prompt;

/// The longest password that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// `berth login [SERVER]`.
pub(super) fn login(arguments: LoginArguments) -> Result<ExitCode> {
    let server = images::server(arguments.server.as_deref());
    let login = credentials(arguments, &server)?;
    match images::login(&Settings::read()?, &server, login)? {
        Kept::Helper => {}
        Kept::Plain(path) => eprintln!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to \
             remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            path.display()
        ),
    }
    println!("Login Succeeded");
    Ok(ExitCode::SUCCESS)
}

/// `berth logout [SERVER]`.
pub(super) fn logout(server: Option<&str>) -> Result<ExitCode> {
    let server = images::server(server);
    match images::logout(&server)? {
        true => println!("Removing login credentials for {}", shown(&server)),
        false => println!("Not logged in to {}", shown(&server)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The name by which docker shows Docker Hub.
fn shown(server: &str) -> &str {
    if server == "docker.io" { "https://index.docker.io/v1/" } else { server }
}

fn credentials(arguments: LoginArguments, server: &str) -> Result<Password> {
    if arguments.password_stdin && arguments.username.is_none() {
        bail!("Must provide --username with --password-stdin");
    }
    if arguments.password.is_some() {
        eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    let is_asked = !arguments.password_stdin && arguments.password.is_none();
    if is_asked && !std::io::stdin().is_terminal() {
        bail!("Cannot perform an interactive login from a non TTY device");
    }
    let username = match arguments.username {
        Some(username) => username,
        None => ask_username(server)?,
    };
    let password = match (arguments.password, arguments.password_stdin) {
        (Some(password), _) => password,
        (None, true) => password_from_stdin()?,
        (None, false) => prompt("Password: ")?,
    };
    if password.is_empty() {
        bail!("password is empty");
    }
    Ok(Password { username, password })
}

fn ask_username(server: &str) -> Result<String> {
    eprint!("Username for {}: ", shown(server));
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "" => bail!("username is empty"),
        name => Ok(name.to_owned()),
    }
}

/// All of it, without the end of its last line.
fn password_from_stdin() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text);
    read.context("read the password")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
