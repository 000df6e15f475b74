//! Sixteen random bytes in the form of a UUID, as resource ids are written.

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
pub(crate) fn uuid_text(id: &[u8; 16]) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let [a, b, c, d, e, f, g, h, i, j, rest @ ..] = id;
    let parts: [&[u8]; 5] = [&[*a, *b, *c, *d], &[*e, *f], &[*g, *h], &[*i, *j], rest];
    parts.map(hex).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_are_written_in_five_groups() {
        let id = std::array::from_fn(|at| u8::try_from(at * 16 + at).unwrap());
        assert_eq!(uuid_text(&id), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
