//! What proxies say of a client: an address for each hop, or none, in their order.
#![no_main]

use berth_registry::http::forwarded_addresses;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<Vec<u8>>)| {
    let mut headers = HeaderMap::new();
    for (name, values) in [("forwarded", &input.0), ("x-forwarded-for", &input.1)] {
        for value in values {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
    }
    let commas = headers.values().map(|v| v.as_bytes().iter().filter(|b| **b == b',').count());
    assert!(forwarded_addresses(&headers).len() <= commas.sum::<usize>() + headers.len());
});
