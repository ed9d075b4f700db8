//! No variables panic, and those that are no setting change nothing.
#![no_main]

use berth_config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|variables: Vec<(String, String)>| {
    let variables = variables.into_iter().map(|(name, value)| (format!("REGISTRY_{name}"), value));
    // Files are not the parser's business, and must not be read at a fuzzer's whim.
    let variables: Vec<_> =
        variables.filter(|(name, _)| !name.to_ascii_uppercase().ends_with("_FILE")).collect();
    let known = Config::parse("", variables.clone().into_iter());
    if let Ok(loaded) = known
        && loaded.origin.variables.is_empty()
    {
        assert_eq!(loaded.config, Config::parse("", std::iter::empty()).expect("defaults").config);
    }
});
