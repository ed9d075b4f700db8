//! `docs/reference/configuration.md`, rendered from the schema.

/// The reference page, as it is in `docs/reference/configuration.md`.
pub fn reference_markdown() -> String {
    String::new()
}
