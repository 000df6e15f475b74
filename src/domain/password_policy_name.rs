//! The name under which a store keeps a password policy.

use std::{fmt, str::FromStr};

use crate::domain::{limits::PASSWORD_POLICY_NAME_LEN_MAX, name::is_word_sign};

/// The name of a password policy: 1 to 64 of `a-z A-Z 0-9 _ -`. CSMS says of its
/// `password_policy_name` nothing more than that it is a text (csms.md 3.8).
///
/// # Examples
///
/// ```
/// use strongroom::PasswordPolicyName;
///
/// let name: PasswordPolicyName = "mysql".parse()?;
/// assert_eq!(name.as_str(), "mysql");
/// assert!("my sql".parse::<PasswordPolicyName>().is_err());
/// # Ok::<(), strongroom::PasswordPolicyNameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PasswordPolicyName(Box<str>);

impl PasswordPolicyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordPolicyName {
    type Err = PasswordPolicyNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = (1..=PASSWORD_POLICY_NAME_LEN_MAX).contains(&text.len())
            && text.chars().all(is_word_sign);
        if sound { Ok(Self(text.into())) } else { Err(PasswordPolicyNameError) }
    }
}

impl fmt::Display for PasswordPolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is the name of no password policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a password policy's name is 1 to {PASSWORD_POLICY_NAME_LEN_MAX} of a-z A-Z 0-9 _ -")]
pub struct PasswordPolicyNameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_accepts_and_rejects() {
        let (longest, longer) = ("x".repeat(64), "x".repeat(65));
        let cases = [
            ("every kind of sign", "aZ09_-", true),
            ("the longest", &longest, true),
            ("one more", &longer, false),
            ("nothing", "", false),
            ("a dot", "a.b", false),
            ("a space", "a b", false),
            ("beyond ASCII", "caf\u{e9}", false),
            ("a zero byte", "a\0", false),
        ];
        for (what, text, taken) in cases {
            let name = text.parse::<PasswordPolicyName>();
            assert_eq!(name.is_ok(), taken, "case: {what}");
            assert!(name.is_err() || name.unwrap().to_string() == text, "case: {what}");
        }
    }
}
