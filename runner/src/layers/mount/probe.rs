//! What the kernel can, found out by doing it with a layer that has nothing in it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::overlay::Changes;
use super::{attach_at, layer, overlay, unmount_at};
use crate::layers::error::{Doing as _, LayerError};
use crate::layers::prepare::prepare;
use crate::layers::rung::{Choice, Rung};
use crate::layers::store::{ARCHIVE, LayerStore, Passage};
use crate::layers::{Limits, ingest};

/// The setting that takes the choice away.
const SETTING: &str = "BERTH_LAYERS";

/// How layers are kept on this host: as is known, or as is found out now.
pub(in crate::layers) fn choose(store: &LayerStore) -> Result<Choice, LayerError> {
    if let Some(choice) = known(store)? {
        return Ok(choice);
    }
    let (choice, record) = (probe(store)?, record(store));
    write(&record, &choice).doing(|| format!("write {}", record.display()))?;
    Ok(choice)
}

/// How layers are kept on this host: as is set, or as was found out since the machine has been started.
pub(in crate::layers) fn known(store: &LayerStore) -> Result<Option<Choice>, LayerError> {
    if let Some(setting) = std::env::var_os(SETTING).filter(|setting| !setting.is_empty()) {
        let rung = setting.to_string_lossy().parse().map_err(|why: String| {
            let source = io::Error::new(io::ErrorKind::InvalidInput, why);
            LayerError::System { doing: format!("read {SETTING}"), source }
        })?;
        return Ok(Some(Choice { rung, reason: None }));
    }
    Ok(fs::read_to_string(record(store)).ok().and_then(|text| recorded(&text)))
}

fn record(store: &LayerStore) -> PathBuf {
    store.run.join("rung")
}

/// The kernel that was tried, the way, and the reason, each on a line.
fn recorded(text: &str) -> Option<Choice> {
    let mut lines = text.splitn(3, '\n');
    let kernel = lines.next()?;
    let rung = lines.next()?.parse().ok()?;
    let reason = lines.next().filter(|reason| !reason.is_empty()).map(str::to_owned);
    (kernel == release()).then_some(Choice { rung, reason })
}

fn write(record: &Path, choice: &Choice) -> io::Result<()> {
    let reason = choice.reason.as_deref().unwrap_or_default();
    let scratch = record.with_extension(format!("new.{}", std::process::id()));
    fs::write(&scratch, format!("{}\n{}\n{reason}", release(), choice.rung))?;
    fs::rename(scratch, record)
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn probe(store: &LayerStore) -> Result<Choice, LayerError> {
    let name = format!("probe-{}", std::process::id());
    let passage = Passage::enter(&store.ingest_folder().join(name))?;
    let choice = probe_in(&passage.path);
    passage.leave()?;
    choice
}

/// Takes away what a trial in this folder has mounted, if any was made there.
pub(in crate::layers) fn unmount_in(folder: &Path) -> Result<(), LayerError> {
    for rung in [Rung::Erofs, Rung::Directories] {
        for name in ["target", "lower"] {
            unmount_at(&folder.join(rung.as_str()).join(name))?;
        }
    }
    Ok(())
}

fn probe_in(folder: &Path) -> Result<Choice, LayerError> {
    let mut reasons = Vec::new();
    for rung in [Rung::Erofs, Rung::Directories] {
        let folder = folder.join(rung.as_str());
        match attempt(rung, &folder)? {
            Ok(()) => return Ok(Choice { rung, reason: joined(&reasons) }),
            Err(error) => reasons.push(format!("layers are not kept as {rung}: {error}")),
        }
    }
    Ok(Choice { rung: Rung::Copy, reason: joined(&reasons) })
}

fn joined(reasons: &[String]) -> Option<String> {
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Mounts an empty layer as the root of nothing, and what the kernel has against it.
fn attempt(rung: Rung, folder: &Path) -> Result<io::Result<()>, LayerError> {
    let [lower, writable, target] = ["lower", "writable", "target"].map(|name| folder.join(name));
    for made in [&lower, &writable, &target] {
        fs::create_dir_all(made).doing(|| format!("make {}", made.display()))?;
    }
    let path = folder.join(ARCHIVE);
    fs::write(&path, []).doing(|| format!("write {}", path.display()))?;
    let archive = File::open(&path).doing(|| format!("open {}", path.display()))?;
    let tree = ingest::tree(&[][..], &Limits::NONE)?;
    prepare(rung, &tree, &archive, folder)?;
    let mounted = match rung {
        Rung::Erofs => layer::mount(folder, &lower),
        _ => Ok(()),
    };
    let lower = [lower];
    let mounted = mounted.and_then(|()| {
        overlay::prepare(&lower, &writable)?;
        attach_at(overlay::create(&lower, &writable, Changes::Kept)?, &target)
    });
    unmount_at(&target)?;
    unmount_at(&lower[0])?;
    Ok(mounted)
}
