//! The enterprise project that a secret belongs to.

use std::{fmt, str::FromStr};

/// Longest id, in signs (csms.md 1.2).
const LEN_MAX: usize = 36;

/// The id of an enterprise project: 1 to 36 printable ASCII characters without spaces, such as a UUID
/// or `0`, the default project (csms.md 1.2).
///
/// # Examples
///
/// ```
/// use strongroom::EnterpriseProjectId;
///
/// let id: EnterpriseProjectId = "0".parse()?;
/// assert_eq!(id.as_str(), "0");
/// assert!("".parse::<EnterpriseProjectId>().is_err());
/// # Ok::<(), strongroom::EnterpriseProjectIdError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EnterpriseProjectId(Box<str>);

impl EnterpriseProjectId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnterpriseProjectId {
    type Err = EnterpriseProjectIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound =
            (1..=LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(text.into())) } else { Err(EnterpriseProjectIdError) }
    }
}

impl fmt::Display for EnterpriseProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no id of an enterprise project.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of an enterprise project is 1 to {LEN_MAX} printable ASCII characters, no spaces")]
pub struct EnterpriseProjectIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_accepts_and_rejects() {
        let cases = [
            ("the default project", "0".to_owned(), true),
            ("the longest", "x".repeat(36), true),
            ("one sign more", "x".repeat(37), false),
            ("nothing", String::new(), false),
            ("a space", "a b".to_owned(), false),
            ("beyond ASCII", "\u{e9}".to_owned(), false),
        ];
        for (what, text, taken) in cases {
            assert_eq!(text.parse::<EnterpriseProjectId>().is_ok(), taken, "case: {what}");
        }
    }
}
