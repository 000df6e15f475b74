//! The number of a version, and the ways to name one.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::domain::limits::{VERSION_DIGITS_MAX, VERSION_NUMBER_MAX};
use crate::domain::stage::Stage;

/// What `latest` stands for: the version labelled SYSCURRENT (csms.md 8.1 row 15).
///
/// The documents also call it the newest version. The two agree as long as nobody stores a
/// version without making it current; where they differ, SYSCURRENT keeps readers away from a
/// version that is still pending. This is the one place that decides it.
pub(crate) const LATEST: Stage = Stage::Current;

/// The number of a version of a secret: `v1`, `v2`, `v3`, ...
///
/// 1 to 9,999,999,999, counted up by one for each value stored and never used again, even after
/// the version is gone (csms.md 2.4).
///
/// # Examples
///
/// ```
/// use strongroom::VersionId;
///
/// let first: VersionId = "v1".parse()?;
/// assert_eq!(first, VersionId::FIRST);
/// assert_eq!(first.next().map(|next| next.to_string()).as_deref(), Some("v2"));
/// assert!("v01".parse::<VersionId>().is_err());
/// # Ok::<(), strongroom::VersionIdError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VersionId(NonZeroU64);

impl VersionId {
    /// The first version of every secret, `v1`.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The version with this number; `None` unless it is 1 to 9,999,999,999.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).filter(|number| number.get() <= VERSION_NUMBER_MAX).map(Self)
    }

    /// The number: 1 for `v1`.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The version after this one; `None` after the last, `v9999999999`.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.number().checked_add(1).and_then(Self::from_number)
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('v').ok_or(VersionIdError::Prefix)?;
        match digits.len() {
            0 => return Err(VersionIdError::NoNumber),
            len if len > VERSION_DIGITS_MAX => return Err(VersionIdError::TooLong { len }),
            _ => {}
        }
        // Not left to `parse`, which takes a `+`.
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(VersionIdError::NotDecimal);
        }
        if digits.starts_with('0') {
            return Err(VersionIdError::LeadingZero);
        }
        digits.parse().ok().and_then(Self::from_number).ok_or(VersionIdError::NotDecimal)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// A way to name one version of a secret: by number, by label, or as the latest.
///
/// As text it is `v` and a number, or `latest` (csms.md 1.4). A label is not read from text
/// here, as a label may be called `v1` or `latest` too; make it [`VersionRef::Stage`].
///
/// # Examples
///
/// ```
/// use strongroom::{Stage, VersionId, VersionRef};
///
/// assert_eq!("latest".parse(), Ok(VersionRef::Latest));
/// assert_eq!("v1".parse(), Ok(VersionRef::Id(VersionId::FIRST)));
/// assert_eq!(VersionRef::from(Stage::Previous), VersionRef::Stage(Stage::Previous));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum VersionRef {
    /// The version with this number.
    Id(VersionId),
    /// The version that bears this label.
    Stage(Stage),
    /// The version labelled SYSCURRENT (csms.md 8.1 row 15).
    Latest,
}

impl From<VersionId> for VersionRef {
    fn from(id: VersionId) -> Self {
        Self::Id(id)
    }
}

impl From<Stage> for VersionRef {
    fn from(stage: Stage) -> Self {
        Self::Stage(stage)
    }
}

impl FromStr for VersionRef {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == LATEST_TEXT { Ok(Self::Latest) } else { text.parse().map(Self::Id) }
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Stage(stage) => stage.fmt(f),
            Self::Latest => f.write_str(LATEST_TEXT),
        }
    }
}

/// Why a text is not the number of a version.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VersionIdError {
    /// The number starts with a zero: each version has one spelling.
    #[error("a version's number does not start with a zero")]
    LeadingZero,
    /// There is nothing behind the `v`.
    #[error("a version's number is missing")]
    NoNumber,
    /// There is something other than the digits 0 to 9 behind the `v`.
    #[error("a version's number has the digits 0 to 9 only")]
    NotDecimal,
    /// It does not start with a small `v`.
    #[error("a version is named v and a number")]
    Prefix,
    /// There are more than 10 digits.
    #[error("a version's number has at most {VERSION_DIGITS_MAX} digits, not {len}")]
    TooLong {
        /// How long the part behind the `v` is, in bytes.
        len: usize,
    },
}

const LATEST_TEXT: &str = "latest";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn from_str_accepts_and_rejects() {
        use VersionIdError::{LeadingZero, NoNumber, NotDecimal, Prefix, TooLong};
        let cases: &[(&str, &str, Result<u64, VersionIdError>)] = &[
            ("the first", "v1", Ok(1)),
            ("more digits", "v20", Ok(20)),
            ("the last", "v9999999999", Ok(9_999_999_999)),
            ("one digit more", "v10000000000", Err(TooLong { len: 11 })),
            ("zero", "v0", Err(LeadingZero)),
            ("a zero in front", "v01", Err(LeadingZero)),
            ("no number", "v", Err(NoNumber)),
            ("nothing", "", Err(Prefix)),
            ("a capital", "V1", Err(Prefix)),
            ("only the number", "1", Err(Prefix)),
            ("a space in front", " v1", Err(Prefix)),
            ("latest", "latest", Err(Prefix)),
            ("a plus", "v+1", Err(NotDecimal)),
            ("a minus", "v-1", Err(NotDecimal)),
            ("a space at the end", "v1 ", Err(NotDecimal)),
            ("a digit beyond ASCII", "v\u{661}", Err(NotDecimal)),
        ];
        for (what, text, want) in cases {
            let got = text.parse::<VersionId>().map(VersionId::number);
            assert_eq!(&got, want, "case: {what}");
        }
    }

    #[test]
    fn numbers_have_a_first_and_a_last() {
        let last = VersionId::from_number(9_999_999_999).unwrap();
        assert_eq!(last.next(), None);
        assert_eq!(VersionId::FIRST.next(), VersionId::from_number(2));
        for number in [0, 10_000_000_000, u64::MAX] {
            assert_eq!(VersionId::from_number(number), None, "case: {number}");
        }
    }

    #[test]
    fn a_reference_reads_as_it_is_written() {
        let cases = [
            ("latest", Ok(VersionRef::Latest)),
            ("v7", Ok(VersionRef::Id(VersionId::from_number(7).unwrap()))),
            ("Latest", Err(VersionIdError::Prefix)),
            ("SYSCURRENT", Err(VersionIdError::Prefix)),
            ("v7x", Err(VersionIdError::NotDecimal)),
        ];
        for (text, want) in cases {
            let got = text.parse::<VersionRef>();
            assert_eq!(got, want, "case: {text}");
            if let Ok(reference) = got {
                assert_eq!(reference.to_string(), text);
            }
        }
        assert_eq!(VersionRef::from(Stage::Pending).to_string(), "SYSPENDING");
    }

    proptest! {
        /// Every number has one spelling, and the order of versions is that of their numbers.
        #[test]
        fn numbers_and_texts_correspond(a in 1..=9_999_999_999_u64, b in 1..=9_999_999_999_u64) {
            let (x, y) = (VersionId::from_number(a).unwrap(), VersionId::from_number(b).unwrap());
            prop_assert_eq!(x.to_string().parse(), Ok(x));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        /// Whatever text is taken for a version is the spelling of that version.
        #[test]
        fn no_version_has_a_second_spelling(text in "v[0-9+ ]{0,12}") {
            if let Ok(id) = text.parse::<VersionId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
