//! The name of a secret, and the alphabet that it shares with stages and types.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::domain::limits::NAME_LEN_MAX;

/// The name of a secret, such as `billing-db_password`.
///
/// 1 to 64 of `a-z A-Z 0-9 _ -` (csms.md 1.2), upper and lower case being different. It is the
/// key of the secret and never changes. Names are not secret in the sense of a value: they show
/// up in errors and in the audit log. They do not stand on disk in the clear. A clone shares the text.
///
/// # Examples
///
/// ```
/// use strongroom::{NameSyntax, SecretName, SecretNameError};
///
/// let name: SecretName = "billing-db_password".parse()?;
/// assert_eq!(name.as_str(), "billing-db_password");
///
/// let err = "billing.db".parse::<SecretName>().unwrap_err();
/// assert_eq!(err, SecretNameError::Character { at: 7, found: '.' });
/// assert!(SecretName::with_syntax("billing.db", NameSyntax::WithDots).is_ok());
/// # Ok::<(), SecretNameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// Reads a name by the rule that the store is set to.
    ///
    /// [`FromStr`] reads it by [`NameSyntax::Current`].
    ///
    /// # Errors
    ///
    /// [`SecretNameError`], which says what is wrong and where.
    pub fn with_syntax(text: &str, syntax: NameSyntax) -> Result<Self, SecretNameError> {
        match text.len() {
            0 => return Err(SecretNameError::Empty),
            len if len > NAME_LEN_MAX => return Err(SecretNameError::TooLong { len }),
            _ => {}
        }
        let dots = syntax == NameSyntax::WithDots;
        match first_foreign(text, |sign| is_word_sign(sign) || (dots && sign == '.')) {
            Some((at, found)) => Err(SecretNameError::Character { at, found }),
            None => Ok(Self(text.into())),
        }
    }

    /// Reads a name that was legal when it was stored, under whatever setting.
    pub(crate) fn from_stored(text: &str) -> Result<Self, SecretNameError> {
        Self::with_syntax(text, NameSyntax::WithDots)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::with_syntax(text, NameSyntax::Current)
    }
}

impl AsRef<str> for SecretName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Names sort and compare as their text does.
impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which signs a secret's name may have: the documents of CSMS disagree (csms.md 7.1).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum NameSyntax {
    /// `^[a-zA-Z0-9_-]{1,64}$`: the interface description and the documents since 2023.
    #[default]
    Current,
    /// `^[a-zA-Z0-9._-]{1,64}$`: the documents of 2021 and the partner clouds.
    WithDots,
}

/// Why a text is not the name of a secret.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretNameError {
    /// A sign is not allowed.
    #[error("a secret's name may not have {found:?} (at byte {at})")]
    Character {
        /// Where it stands, in bytes from the start.
        at: usize,
        /// The sign.
        found: char,
    },
    /// There is no text.
    #[error("a secret's name may not be empty")]
    Empty,
    /// There are more than 64 bytes.
    #[error("a secret's name has at most {NAME_LEN_MAX} signs, not {len}")]
    TooLong {
        /// How long the text is, in bytes.
        len: usize,
    },
}

/// Whether `sign` is of the alphabet `[A-Za-z0-9_-]` of names, stages and types.
pub(super) fn is_word_sign(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-')
}

/// The first sign of `text` that is not allowed, with its place in bytes.
pub(super) fn first_foreign(text: &str, allowed: impl Fn(char) -> bool) -> Option<(usize, char)> {
    text.char_indices().find(|(_, sign)| !allowed(*sign))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn from_str_accepts_and_rejects() {
        use SecretNameError::{Character, Empty, TooLong};
        let long = "x".repeat(65);
        let cases: &[(&str, &str, Result<(), SecretNameError>)] = &[
            ("a plain name", "billing-db_password", Ok(())),
            ("one sign", "a", Ok(())),
            ("every kind of sign", "azAZ09_-", Ok(())),
            ("only signs that are not letters", "-_0", Ok(())),
            ("the longest", &long[..64], Ok(())),
            ("one byte more", &long, Err(TooLong { len: 65 })),
            ("nothing", "", Err(Empty)),
            ("a dot", "a.b", Err(Character { at: 1, found: '.' })),
            ("a slash", "a/b", Err(Character { at: 1, found: '/' })),
            ("a space", "a b", Err(Character { at: 1, found: ' ' })),
            ("a space at the end", "ab ", Err(Character { at: 2, found: ' ' })),
            ("a line feed at the end", "ab\n", Err(Character { at: 2, found: '\n' })),
            ("beyond ASCII", "caf\u{e9}", Err(Character { at: 3, found: '\u{e9}' })),
            ("a digit beyond ASCII", "a\u{661}", Err(Character { at: 1, found: '\u{661}' })),
            ("a zero byte", "a\0b", Err(Character { at: 1, found: '\0' })),
        ];
        for (what, text, want) in cases {
            let got = text.parse::<SecretName>().map(|_| ());
            assert_eq!(&got, want, "case: {what}");
        }
    }

    #[test]
    fn dots_are_allowed_only_when_asked_for() {
        for text in ["a.b", ".", "..", "a."] {
            assert!(SecretName::with_syntax(text, NameSyntax::WithDots).is_ok(), "case: {text}");
            assert!(SecretName::with_syntax(text, NameSyntax::Current).is_err(), "case: {text}");
        }
        assert_eq!(
            SecretName::with_syntax("a/b", NameSyntax::WithDots),
            Err(SecretNameError::Character { at: 1, found: '/' }),
        );
    }

    #[test]
    fn the_errors_say_what_is_wrong() {
        let said = |text: &str| text.parse::<SecretName>().unwrap_err().to_string();
        assert_eq!(said(""), "a secret's name may not be empty");
        assert_eq!(said("a b"), "a secret's name may not have ' ' (at byte 1)");
        assert_eq!(said(&"x".repeat(70)), "a secret's name has at most 64 signs, not 70");
    }

    proptest! {
        /// A text is a name exactly if the pattern of the documents matches it, and a name
        /// reads as it was written.
        #[test]
        fn names_follow_the_pattern(text in "[a-c._ \u{e9}-]{0,70}|[a-zA-Z0-9_-]{60,68}") {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let want = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
            match text.parse::<SecretName>() {
                Ok(name) => {
                    prop_assert!(want);
                    prop_assert_eq!(name.to_string(), text);
                }
                Err(_) => prop_assert!(!want),
            }
        }
    }
}
