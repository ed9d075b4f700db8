//! The `Authorization` header: what is taken is what was sent, and is not shown.
#![no_main]

use berth_auth::Credentials;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    let Ok(credentials) = Credentials::parse(header) else { return };
    let secret = match &credentials {
        Credentials::Basic { name, password } => {
            assert!(!name.contains(|c: char| c == ':' || c.is_control()));
            password
        }
        Credentials::Bearer(token) => {
            assert!(!token.expose().is_empty() && !token.expose().contains(char::is_whitespace));
            token
        }
    };
    assert_eq!(format!("{secret:?}"), "<redacted>");
});
