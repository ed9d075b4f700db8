//! Several replicas on one PostgreSQL and one storage, on good days and bad ones: every request goes to whichever
//! replica chance picks, nodes die, the database stops, fills up and fails over, and clocks differ.
//!
//! `BERTH_REPLICAS_SIZE=short` does less of everything. The tests need the optimised build, PostgreSQL, PgBouncer and
//! libfaketime, and some mount filesystems, which takes root. So they are ignored unless `cargo xtask replicas` asks
//! for them by name.

mod clocks;
mod conformance;
mod database;
mod group;
mod identity;
mod mixed;
mod notifications;
mod old_server;
mod outages;
mod pooler;
mod size;
mod start;
mod tags;
mod uploads;
