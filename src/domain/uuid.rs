//! Sixteen bytes in the form of a UUID, as resource ids, tasks and keys are written.

use std::fmt::Write as _;

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in small letters.
pub(crate) fn uuid_text(id: &[u8; 16]) -> String {
    let mut text = String::with_capacity(TEXT_LEN);
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // A text takes whatever is written into it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads back what [`uuid_text`] wrote, and nothing else.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
    Some(number.to_be_bytes()).filter(|id| uuid_text(id) == text)
}

const TEXT_LEN: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_are_written_in_five_groups() {
        let id = std::array::from_fn(|at| u8::try_from(at * 16 + at).unwrap());
        assert_eq!(uuid_text(&id), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn only_what_is_written_so_is_read_back() {
        let id: [u8; 16] = std::array::from_fn(|at| u8::try_from(at * 16 + at).unwrap());
        assert_eq!(parse_uuid(&uuid_text(&id)), Some(id));
        assert_eq!(parse_uuid(&uuid_text(&[0; 16])), Some([0; 16]));
        for text in [
            "",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeefff",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
            "00112233445566778899aabbccddeeff",
            "001122334-455-6677-8899-aabbccddeeff",
            "+0112233-4455-6677-8899-aabbccddeeff",
            "0011223g-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(parse_uuid(text), None, "case: {text}");
        }
    }
}
