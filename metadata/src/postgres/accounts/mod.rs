//! Accounts, what they may do, and what they did.

mod account;
mod audit;
mod grants;
mod keys;
mod members;
mod policy;
mod refresh;
mod store;
mod teams;
#[cfg(test)]
pub(super) mod tests;
mod tokens;
