//! Scopes of token requests, and the words of grants: what is read is written as it was.
#![no_main]

use berth_auth::Scope;
use berth_oci::access::{AccountName, Grant, RepositoryPattern, Subject, TeamName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, name) = input;
    if let Ok(scope) = text.parse::<Scope>() {
        if let Scope::Repository { .. } = &scope {
            assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
        }
    }
    if let Ok(grant) = text.parse::<Grant>() {
        assert_eq!(grant.to_string().parse::<Grant>(), Ok(grant));
    }
    if let Ok(subject) = text.parse::<Subject>() {
        assert_eq!(subject.to_string(), text);
    }
    if let Ok(pattern) = text.parse::<RepositoryPattern>() {
        let literal = pattern.literal();
        if pattern.matches(name) {
            assert!(name.starts_with(literal));
        }
    }
    let _ = (text.parse::<AccountName>(), text.parse::<TeamName>());
});
