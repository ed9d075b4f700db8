//! The suite over SQLite, in a file and in memory.
#![allow(clippy::expect_used, clippy::unwrap_used, unreachable_pub)]

mod suite;

use std::path::Path;

use berth_metadata::{Follower, SqliteLocation, SqliteOptions, SqliteStore};
use suite::fixtures::Opened;

fn options(location: SqliteLocation) -> SqliteOptions {
    SqliteOptions { follower: Follower::Tree, ..SqliteOptions::new(location) }
}

fn file(directory: &Path) -> SqliteOptions {
    options(SqliteLocation::File(directory.join("metadata.db")))
}

async fn open_file() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(directory.path())).await.unwrap();
    Opened::new(store, Some(directory))
}

async fn open_memory() -> Opened {
    let store = SqliteStore::open(options(SqliteLocation::Memory)).await.unwrap();
    Opened::new(store, None)
}

metadata_suite!(in_file, open_file);
metadata_suite!(in_memory, open_memory);
accounts_suite!(accounts_in_file, open_file);
accounts_suite!(accounts_in_memory, open_memory);
upkeep_suite!(upkeep_in_file, open_file);
upkeep_suite!(upkeep_in_memory, open_memory);
