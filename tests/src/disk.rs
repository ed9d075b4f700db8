//! Small disks that can be filled and broken.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// A filesystem of its own; unmounted when dropped. Mounting takes root.
#[derive(Debug)]
pub struct Disk {
    /// Holds the image, where there is one, and the mount point.
    folder: TempDir,
}

impl Disk {
    /// A disk in memory.
    pub fn tmpfs(mebibytes: u32) -> Result<Self> {
        let disk = Self::unmounted()?;
        let size = format!("size={mebibytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(disk.point()))?;
        Ok(disk)
    }

    /// A disk in a file, with the filesystem that most servers have. On an error it becomes read-only.
    pub fn ext4(mebibytes: u32) -> Result<Self> {
        let disk = Self::unmounted()?;
        let image = disk.folder.path().join("image");
        File::create(&image)?.set_len(u64::from(mebibytes) << 20)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        let options = "loop,errors=remount-ro";
        run(Command::new("mount").args(["-o", options]).arg(&image).arg(disk.point()))?;
        Ok(disk)
    }

    /// A path on this disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.point().join(name)
    }

    /// Leaves no byte free.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::options().append(true).create(true).open(self.path("filler"))?;
        for size in [64 * 1024, 4096, 512, 1] {
            loop {
                match filler.write_all(&vec![1; size]).and_then(|()| filler.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("cannot fill the disk"),
                }
            }
        }
        Ok(())
    }

    /// Gives back what [`Disk::fill`] took.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.path("filler"))?)
    }

    /// Has the kernel find an error in the ext4 filesystem, which makes it read-only under whoever uses it.
    pub fn break_down(&self) -> Result<()> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let point = self.point().display().to_string();
        let device = mounts
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, rest)| rest.split(' ').next() == Some(&point))
            .and_then(|(device, _)| device.strip_prefix("/dev/"))
            .context("the disk is not mounted")?;
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1")?;
        match File::create(self.path("probe")) {
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => Ok(()),
            other => bail!("the disk should be read-only: {other:?}"),
        }
    }

    fn unmounted() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // Servers that use the disk need not be root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        fs::create_dir(folder.path().join("disk"))?;
        Ok(Self { folder })
    }

    fn point(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a registry that a failed test leaves behind may still use it.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.point()));
    }
}

/// Makes a mount read-only or writable again; nobody may have files of it open for writing.
pub fn remount(path: &Path, mode: &str) -> Result<()> {
    run(Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(path))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}(mounting takes root)",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
