//! The registry's whole HTTP face, over TCP, on both embedded stores.
//!
//! Beside what the distribution specification asks for, each behaviour that real clients lean on without any
//! specification writing it down has a test here. A file has one subject.

mod access;
mod api;
mod blobs;
mod deletion;
mod face;
mod faulty_store;
mod h2c;
mod immutable_tags;
mod isolation;
mod listings;
mod manifests;
mod modes;
mod mounts;
mod notifications;
mod object_store;
mod object_store_faults;
mod observe;
mod quotas;
mod races;
mod ranges;
mod rates;
mod referrers;
mod refused_manifests;
mod refused_names;
mod refused_uploads;
mod sessions;
mod slow;
mod store_faults;
mod uploads;
mod wire_faults;
