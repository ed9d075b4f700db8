//! Templates: each is refused, or says something of data.
#![no_main]

use berth_runner::templates::Template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let data = serde_json::json!({
        "a": {"b": [1, 2.5, "x", null, true]}, "c": "text", "d": null, "e": {},
    });
    if let Ok(template) = Template::parse(text) {
        let _ = template.render(&data);
    }
});
