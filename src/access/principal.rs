//! Who calls through a session.

use std::{fmt, str::FromStr};

use crate::domain::PRINCIPAL_LEN_MAX;

/// The name of who calls through a session: 1 to 128 signs, none of them a control character
/// (csms.md 3.9).
///
/// Whom it stands for is the embedder's business: it decides who somebody is, the store what he may do.
/// The name stands in the audit log as the actor of what was done through the session, and in
/// [`Error::Denied`](crate::Error::Denied).
///
/// ```
/// use strongroom::Principal;
///
/// let caller: Principal = "orders-service".parse()?;
/// assert_eq!(caller.as_str(), "orders-service");
/// assert!("two\nlines".parse::<Principal>().is_err()); // it must not forge lines of a log
/// # Ok::<(), strongroom::PrincipalError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Principal(Box<str>);

impl Principal {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let len = text.chars().count();
        if !(1..=PRINCIPAL_LEN_MAX).contains(&len) {
            return Err(PrincipalError::Length { len });
        }
        match text.char_indices().find(|(_, sign)| is_line_sign(*sign)) {
            Some((at, _)) => Err(PrincipalError::Control { at }),
            None => Ok(Self(text.into())),
        }
    }
}

/// Control characters, and the two that end a line without being one.
fn is_line_sign(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{2028}' | '\u{2029}')
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not the name of a principal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalError {
    /// It has a control character or a line separator.
    #[error("a principal's name may not have a control character (at byte {at})")]
    Control {
        /// Where it stands, in bytes from the start.
        at: usize,
    },
    /// It is empty or too long.
    #[error("a principal's name has 1 to {PRINCIPAL_LEN_MAX} signs, not {len}")]
    Length {
        /// How many signs it has.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_1_to_128_signs_and_none_that_controls() {
        use PrincipalError::{Control, Length};
        let (longest, longer) = ("é".repeat(128), "é".repeat(129));
        let cases: &[(&str, &str, Result<(), PrincipalError>)] = &[
            ("one sign", "a", Ok(())),
            ("what names of users look like", "Domain\\ann.lee@example.com", Ok(())),
            ("a space", "ann lee", Ok(())),
            ("the longest, in signs and not bytes", &longest, Ok(())),
            ("one more", &longer, Err(Length { len: 129 })),
            ("nothing", "", Err(Length { len: 0 })),
            ("a line feed", "ann\nlee", Err(Control { at: 3 })),
            ("a zero byte", "ann\0", Err(Control { at: 3 })),
            ("an escape", "\u{1b}[2J", Err(Control { at: 0 })),
            ("a line separator", "é\u{2028}", Err(Control { at: 2 })),
        ];
        for (what, text, want) in cases {
            assert_eq!(&text.parse::<Principal>().map(drop), want, "case: {what}");
        }
    }
}
