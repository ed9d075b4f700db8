//! A chunk's place has a length, an end that fits, and survives being written in the plain form.
#![no_main]

use berth_registry::http::ContentRange;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(range) = text.parse::<ContentRange>() {
        assert!(range.len > 0);
        let last = range.first.checked_add(range.len - 1).expect("the last byte has a place");
        let plain = format!("{}-{last}", range.first);
        assert_eq!(plain.parse::<ContentRange>(), Ok(range));
    }
});
