//! What kind of secret it is, which decides whether it can be rotated.

use std::fmt;
use std::str::FromStr;

use crate::domain::limits::CUSTOM_TYPE_LEN_MAX;
use crate::domain::name::{first_foreign, is_word_sign};

/// The type of a secret, fixed when it is created (csms.md 2.1).
///
/// [`FromStr`] knows the types of CSMS only, so that a slip of the pen does not make a new one;
/// [`rotatable`](Self::rotatable) makes a type of the embedder's own.
///
/// # Examples
///
/// ```
/// use strongroom::SecretType;
///
/// assert_eq!("RDS-FG".parse(), Ok(SecretType::RdsFg));
/// assert!(!SecretType::default().is_rotatable());
///
/// let ours = SecretType::rotatable("REDIS-ACL")?;
/// assert!(ours.is_rotatable());
/// assert_eq!(ours.as_str(), "REDIS-ACL");
/// # Ok::<(), strongroom::SecretTypeError>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum SecretType {
    /// `COMMON`: any value, stored by its owner; a rotation is refused.
    #[default]
    Common,
    /// `RDS-FG`: an account of an RDS instance.
    RdsFg,
    /// `GaussDB-FG`: an account of a TaurusDB instance (csms.md 7.16).
    GaussDbFg,
    /// A rotatable type that the embedder named; see [`SecretType::rotatable`].
    Custom(CustomType),
}

impl SecretType {
    /// Names a rotatable type of the embedder's own.
    ///
    /// 1 to 32 of `a-z A-Z 0-9 _ -`, and not the name of a type of CSMS in any mixture of upper
    /// and lower case.
    ///
    /// # Errors
    ///
    /// [`SecretTypeError`], which says what is wrong.
    pub fn rotatable(name: &str) -> Result<Self, SecretTypeError> {
        match name.len() {
            0 => return Err(SecretTypeError::Empty),
            len if len > CUSTOM_TYPE_LEN_MAX => return Err(SecretTypeError::TooLong { len }),
            _ => {}
        }
        if let Some((at, found)) = first_foreign(name, is_word_sign) {
            return Err(SecretTypeError::Character { at, found });
        }
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(SecretTypeError::Reserved);
        }
        Ok(Self::Custom(CustomType(name.into())))
    }

    /// Reads back what [`as_str`](Self::as_str) wrote. No custom name is that of a built-in
    /// type, so the text decides.
    ///
    /// # Errors
    ///
    /// [`SecretTypeError`] if `as_str` cannot have written it.
    pub(crate) fn from_stored(text: &str) -> Result<Self, SecretTypeError> {
        match text.parse() {
            Err(SecretTypeError::Unknown) => Self::rotatable(text),
            known => known,
        }
    }

    /// The name on the wire, such as `COMMON`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Common => COMMON,
            Self::RdsFg => RDS_FG,
            Self::GaussDbFg => GAUSS_DB_FG,
            Self::Custom(custom) => custom.as_str(),
        }
    }

    /// Whether a secret of this type can be rotated: all but `COMMON` (csms.md 2.2).
    #[must_use]
    pub fn is_rotatable(&self) -> bool {
        match self {
            Self::Common => false,
            Self::RdsFg | Self::GaussDbFg | Self::Custom(_) => true,
        }
    }
}

impl FromStr for SecretType {
    type Err = SecretTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            COMMON => Ok(Self::Common),
            RDS_FG => Ok(Self::RdsFg),
            GAUSS_DB_FG => Ok(Self::GaussDbFg),
            RDS => Err(SecretTypeError::Withdrawn),
            _ => Err(SecretTypeError::Unknown),
        }
    }
}

impl fmt::Display for SecretType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a type that is not one of CSMS's, made by [`SecretType::rotatable`] (csms.md 2.1 has a
/// fixed list).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CustomType(Box<str>);

impl CustomType {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the type of a secret.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretTypeError {
    /// A sign is not allowed.
    #[error("a secret type may not have {found:?} (at byte {at})")]
    Character {
        /// Where it stands, in bytes from the start.
        at: usize,
        /// The sign.
        found: char,
    },
    /// There is no text.
    #[error("a secret type may not be empty")]
    Empty,
    /// It is, but for upper and lower case, the name of a built-in type.
    #[error("this is the name of a built-in secret type")]
    Reserved,
    /// There are more than 32 bytes.
    #[error("a secret type has at most {CUSTOM_TYPE_LEN_MAX} signs, not {len}")]
    TooLong {
        /// How long the text is, in bytes.
        len: usize,
    },
    /// It is none of CSMS's types. One of the embedder's own comes from
    /// [`SecretType::rotatable`].
    #[error("the secret types are {COMMON}, {RDS_FG} and {GAUSS_DB_FG}")]
    Unknown,
    /// It is `RDS`, which CSMS withdrew in favour of `RDS-FG` (csms.md 7.15).
    #[error("the secret type {RDS} was withdrawn: use {RDS_FG}")]
    Withdrawn,
}

const COMMON: &str = "COMMON";
const GAUSS_DB_FG: &str = "GaussDB-FG";
const RDS: &str = "RDS";
const RDS_FG: &str = "RDS-FG";
/// Names that a custom type may not have. The withdrawn one is among them, as it still means
/// something to users of CSMS.
const RESERVED: [&str; 4] = [COMMON, GAUSS_DB_FG, RDS, RDS_FG];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_knows_the_types_of_csms() {
        use SecretTypeError::{Unknown, Withdrawn};
        let cases = [
            ("COMMON", Ok(SecretType::Common)),
            ("RDS-FG", Ok(SecretType::RdsFg)),
            ("GaussDB-FG", Ok(SecretType::GaussDbFg)),
            ("RDS", Err(Withdrawn)),
            ("common", Err(Unknown)),
            ("GAUSSDB-FG", Err(Unknown)),
            ("REDIS-ACL", Err(Unknown)),
            ("", Err(Unknown)),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<SecretType>(), want, "case: {text}");
        }
    }

    #[test]
    fn the_withdrawn_type_is_refused_by_name() {
        let err = "RDS".parse::<SecretType>().unwrap_err();
        assert_eq!(err.to_string(), "the secret type RDS was withdrawn: use RDS-FG");
    }

    #[test]
    fn custom_types_are_checked() {
        use SecretTypeError::{Character, Empty, Reserved, TooLong};
        let long = "x".repeat(33);
        let cases: &[(&str, &str, Result<(), SecretTypeError>)] = &[
            ("a name", "MY-TYPE_1", Ok(())),
            ("the longest", &long[..32], Ok(())),
            ("one more", &long, Err(TooLong { len: 33 })),
            ("nothing", "", Err(Empty)),
            ("a space", "MY TYPE", Err(Character { at: 2, found: ' ' })),
            ("beyond ASCII", "\u{e9}", Err(Character { at: 0, found: '\u{e9}' })),
            ("built in", "COMMON", Err(Reserved)),
            ("built in, in small letters", "gaussdb-fg", Err(Reserved)),
            ("built in, mixed", "Rds-Fg", Err(Reserved)),
            ("withdrawn", "rds", Err(Reserved)),
            ("built in with an end", "COMMON2", Ok(())),
        ];
        for (what, name, want) in cases {
            let got = SecretType::rotatable(name).map(|_| ());
            assert_eq!(&got, want, "case: {what}");
        }
    }

    #[test]
    fn only_common_cannot_be_rotated() {
        let custom = SecretType::rotatable("MY-TYPE").unwrap();
        let cases = [
            (SecretType::Common, false),
            (SecretType::RdsFg, true),
            (SecretType::GaussDbFg, true),
            (custom, true),
        ];
        for (kind, want) in cases {
            assert_eq!(kind.is_rotatable(), want, "case: {kind}");
        }
    }

    #[test]
    fn a_stored_type_reads_back_as_it_was() {
        let custom = SecretType::rotatable("MY-TYPE").unwrap();
        for kind in [SecretType::Common, SecretType::RdsFg, SecretType::GaussDbFg, custom] {
            assert_eq!(SecretType::from_stored(kind.as_str()), Ok(kind.clone()), "case: {kind}");
        }
        let refused = [
            ("RDS", SecretTypeError::Withdrawn),
            ("common", SecretTypeError::Reserved),
            ("", SecretTypeError::Empty),
        ];
        for (text, want) in refused {
            assert_eq!(SecretType::from_stored(text), Err(want), "case: {text}");
        }
    }
}
