//! `update`.

use std::io::Read as _;
use std::path::Path;

use super::super::Result;
use super::super::arguments::{Limits, Update};
use super::super::config::resources::Resources;
use super::super::container::{ContainerId, Folder, Status};
use super::super::error::{Doing as _, Error};
use super::Context;

pub(super) fn update(context: &Context<'_>, update: &Update) -> Result<()> {
    let id: ContainerId = update.id.parse()?;
    let folder = Folder::open(context.root, &id)?;
    let record = folder.record()?;
    match folder.status(&record)? {
        Status::Created | Status::Running | Status::Paused => {}
        status => return Err(Error::Status { action: "update", status }),
    }
    let mut resources = match &update.resources {
        Some(path) => read(path)?,
        None => Resources::default(),
    };
    add(&mut resources, &update.limits);
    record.cgroup.update(&resources)
}

fn read(path: &Path) -> Result<Resources> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.doing(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

fn add(resources: &mut Resources, limits: &Limits) {
    fn set<T: Clone>(target: &mut Option<T>, limit: &Option<T>) {
        if limit.is_some() {
            target.clone_from(limit);
        }
    }
    set(&mut resources.block_io.weight, &limits.blkio_weight);
    set(&mut resources.cpu.period, &limits.cpu_period);
    set(&mut resources.cpu.quota, &limits.cpu_quota);
    set(&mut resources.cpu.shares, &limits.cpu_shares);
    set(&mut resources.cpu.cpus, &limits.cpuset_cpus);
    set(&mut resources.cpu.mems, &limits.cpuset_mems);
    set(&mut resources.memory.limit, &limits.memory);
    set(&mut resources.memory.reservation, &limits.memory_reservation);
    set(&mut resources.memory.swap, &limits.memory_swap);
    set(&mut resources.pids.limit, &limits.pids_limit);
}
