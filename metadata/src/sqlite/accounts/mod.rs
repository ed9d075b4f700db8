//! Accounts, what they may do, and what they did.

mod account;
mod audit;
mod grants;
mod keys;
mod members;
#[cfg(test)]
pub(super) mod plans;
mod policy;
mod refresh;
mod store;
mod teams;
mod tokens;
