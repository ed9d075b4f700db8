//! The router and the query parser: no request line panics, and what is accepted is under one of
//! the two roots of the API.
#![no_main]

use berth_registry::http::Action;
use http::Method;
use libfuzzer_sys::fuzz_target;

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const ROOTS: [&str; 2] = ["/v2", "/api/v1/"];

fuzz_target!(|input: (u8, &str, Option<&str>)| {
    let (method, path, query) = input;
    let method = &METHODS[usize::from(method) % METHODS.len()];
    for path in [path.to_owned(), format!("/v2/{path}")] {
        if let Ok(action) = Action::parse(method, &path, query) {
            assert!(ROOTS.iter().any(|root| path.starts_with(root)) || path.contains('%'));
            let reads = matches!(*method, Method::GET | Method::HEAD);
            assert_eq!(action.is_write(), !reads);
        }
    }
});
