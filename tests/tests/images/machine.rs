//! A machine with an engine of its own: nothing is shared with what else runs here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Result, ensure};
use berth_tests::disk::Disk;
use berth_tests::fixtures::Layout;
use berth_tests::{Home, berth_binary};

pub(crate) struct Machine {
    pub(crate) home: Home,
    data: PathBuf,
    berth: PathBuf,
}

impl Machine {
    pub(crate) fn new() -> Result<Self> {
        let home = Home::new()?;
        let data = home.path("data");
        Self::keeping(home, data)
    }

    /// With its images on this disk.
    pub(crate) fn on(disk: &Disk) -> Result<Self> {
        Self::keeping(Home::new()?, disk.path("data"))
    }

    fn keeping(mut home: Home, data: PathBuf) -> Result<Self> {
        let run = home.path("exec");
        home.set("BERTH_DATA_ROOT", &data);
        home.set("BERTH_EXEC_ROOT", run);
        Ok(Self { home, data, berth: berth_binary()? })
    }

    /// With settings of the engine.
    pub(crate) fn set_up(&mut self, settings: &str) -> Result<()> {
        let path = self.home.path("engine.yml");
        fs::write(&path, settings)?;
        self.home.set("BERTH_ENGINE_CONFIG", path);
        Ok(())
    }

    /// `berth` with these arguments; what it printed.
    pub(crate) fn berth(&self, arguments: &str) -> Result<String> {
        self.home.run(&self.line(arguments))
    }

    /// `berth`, which must refuse; what it printed.
    pub(crate) fn refused(&self, arguments: &str) -> Result<String> {
        self.home.refused(&self.line(arguments))
    }

    pub(crate) fn line(&self, arguments: &str) -> String {
        format!("{} {arguments}", self.berth.display())
    }

    /// `berth` with an argument that may hold white space.
    pub(crate) fn berth_with(&self, arguments: &str, last: &str) -> Result<String> {
        let output: Output = self.home.command(&self.line(arguments))?.arg(last).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// One member of what `image inspect` shows.
    pub(crate) fn inspect(&self, image: &str, template: &str) -> Result<String> {
        self.berth_with(&format!("image inspect {image} --format"), template)
    }

    /// Files that hold content: blobs, layers, and what is on its way.
    pub(crate) fn content(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in ["images/blobs", "images/partial", "layers"] {
            files(&self.data.join(folder), &mut found)?;
        }
        found.retain(|path| !path.ends_with("lock"));
        Ok(found)
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files(&entry.path(), found)?,
            false => found.push(entry.path()),
        }
    }
    Ok(())
}

/// Puts an image of the suite into a registry, by hands that are not ours.
pub(crate) fn publish(machine: &Machine, layout: &Layout, name: &str) -> Result<()> {
    let line = format!(
        "skopeo copy --quiet --all --dest-tls-verify=false {} docker://{name}",
        layout.oci()
    );
    machine.home.run(&line).map(drop)
}
