//! Compiles the program of `--init`, which goes into containers and is linked with nothing.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=init");
    if env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    let program = PathBuf::from(env::var("OUT_DIR")?).join("init");
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc
        .args(["--edition=2024", "--crate-name=berth_init", "--crate-type=bin", "init/init.rs"])
        .args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Crelocation-model=static"])
        .args(["-Clink-arg=-nostdlib", "-Clink-arg=-nostartfiles", "-Clink-arg=-static"])
        .args(["-Clink-arg=-Wl,-z,noseparate-code,--build-id=none"])
        .arg(format!("--target={}", env::var("TARGET")?))
        .arg("-o")
        .arg(&program);
    // Else it would bring an entry point of its own.
    if env::var("CARGO_CFG_TARGET_ENV")? == "musl" {
        rustc.arg("-Clink-self-contained=no");
    }
    // Cargo says which one, where it is not the usual one.
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let status = rustc.status()?;
    if !status.success() {
        return Err(format!("the program of --init cannot be compiled: {status}").into());
    }
    Ok(())
}
