//! The description of a secret: free text of a bounded length.

use std::fmt;
use std::str::FromStr;

use crate::domain::limits::DESCRIPTION_LEN_MAX_BYTES;

/// What a secret is for, in its owner's words: 0 to 2048 bytes of UTF-8 (csms.md 7.33).
///
/// It is sealed on disk, but it is not guarded like a value: listings, `Debug` and `Display`
/// show it.
///
/// # Examples
///
/// ```
/// use strongroom::Description;
///
/// let text: Description = "password of the billing database".parse()?;
/// assert_eq!(text.as_str().len(), 32);
/// assert!("x".repeat(2049).parse::<Description>().is_err());
/// # Ok::<(), strongroom::DescriptionError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Description(Box<str>);

impl Description {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Description {
    type Err = DescriptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > DESCRIPTION_LEN_MAX_BYTES {
            return Err(DescriptionError { len_bytes: text.len() });
        }
        Ok(Self(text.into()))
    }
}

impl AsRef<str> for Description {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A description has more than 2048 bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a description has at most {DESCRIPTION_LEN_MAX_BYTES} bytes, not {len_bytes}")]
pub struct DescriptionError {
    /// How long the text is, in bytes of UTF-8.
    pub len_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_in_bytes() {
        let cases: &[(&str, String, Option<usize>)] = &[
            ("nothing", String::new(), None),
            ("the longest", "x".repeat(2048), None),
            ("one byte more", "x".repeat(2049), Some(2049)),
            ("two bytes a sign", "\u{e9}".repeat(1024), None),
            ("one such sign more", "\u{e9}".repeat(1025), Some(2050)),
        ];
        for (what, text, refused) in cases {
            let got = text.parse::<Description>();
            match refused {
                None => assert_eq!(got.unwrap().as_str(), text, "case: {what}"),
                Some(len_bytes) => {
                    let want = DescriptionError { len_bytes: *len_bytes };
                    assert_eq!(got, Err(want), "case: {what}");
                }
            }
        }
    }
}
