//! Password files: each is taken or refused by the line, and none lets in whom it does not name.
#![no_main]

use berth_auth::{Htpasswd, HtpasswdError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines = text.lines().count();
    match Htpasswd::parse(text) {
        Ok(file) => {
            assert!(file.len() <= lines);
            assert!(!file.has("") && !file.has("a name that nobody would write"));
        }
        Err(
            HtpasswdError::NoHash(line)
            | HtpasswdError::NoName(line)
            | HtpasswdError::NotBcrypt(line)
            | HtpasswdError::TooCostly(line),
        ) => assert!((1..=lines).contains(&line)),
        Err(HtpasswdError::Hash(_)) => unreachable!("nothing was hashed"),
    }
});
