//! A configuration file that is accepted can be shown, and what is shown is accepted.
#![no_main]

use berth_config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|yaml: &str| {
    if let Ok(loaded) = Config::parse(yaml, std::iter::empty()) {
        let shown = loaded.config.show();
        if !shown.contains("<redacted>") {
            Config::parse(&shown, std::iter::empty()).expect("what is shown is a configuration");
        }
    }
});
