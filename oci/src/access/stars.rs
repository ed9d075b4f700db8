/// Whether a text matches a pattern in which each `*` stands for any text, none at all too.
pub fn matches_stars(pattern: &str, text: &str) -> bool {
    // Bytes will do: what stands between stars is compared whole.
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, text));
                pattern = rest;
                continue;
            }
            ([], []) => return true,
            ([wanted, pattern_rest @ ..], [there, rest @ ..]) if wanted == there => {
                (pattern, text) = (pattern_rest, rest);
                continue;
            }
            _ => {}
        }
        // The last star takes one byte more.
        let Some((after, [_, rest @ ..])) = retry else { return false };
        retry = Some((after, rest));
        (pattern, text) = (after, rest);
    }
}
