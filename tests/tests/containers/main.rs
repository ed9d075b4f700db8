//! `berth run` and all that comes after it, on images that the suite makes. Started by `cargo xtask runner`: it
//! takes root and a `berth` that is built.

mod crash;
mod debian;
mod exec;
mod habits;
mod host;
mod images;
mod inspecting;
mod kills;
mod lifecycle;
mod limits;
mod listing;
mod logs;
mod options;
mod ports;
mod printing;
mod processes;
mod refusals;
mod runtimes;
mod terminal;
mod usage;
mod values;
mod volumes;
