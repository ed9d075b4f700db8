//! The `Authorization` header: what is taken is what was sent, and is not shown.
#![no_main]

use berth_auth::Credentials;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    let Ok(credentials) = Credentials::parse(header) else { return };
    let shown = format!("{credentials:?}");
    match &credentials {
        Credentials::Basic { name, password } => {
            assert!(!name.contains(|c: char| c == ':' || c.is_control()));
            let secret = password.expose();
            assert!(secret.len() < 8 || name.contains(secret) || !shown.contains(secret));
        }
        Credentials::Bearer(token) => {
            let token = token.expose();
            assert!(!token.is_empty() && !token.contains(char::is_whitespace));
            assert!(token.len() < 16 || !shown.contains(token));
        }
    }
});
