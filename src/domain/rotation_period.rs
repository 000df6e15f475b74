//! How often a secret is rotated by itself.

use std::fmt;
use std::str::FromStr;

use crate::domain::limits::{
    ROTATION_PERIOD_LEN_MAX, ROTATION_PERIOD_MAX_MS, ROTATION_PERIOD_MIN_MS,
};

/// The time between two automatic rotations: digits and one of `d`, `h`, `m`, `s`, from 6 hours to
/// 8760 hours (csms.md 4.1, 8.3 row 56).
///
/// The text is kept as it was given: `1d` and `24h` are the same time and two different periods.
///
/// # Examples
///
/// ```
/// use strongroom::RotationPeriod;
///
/// let day: RotationPeriod = "1d".parse()?;
/// assert_eq!((day.as_str(), day.as_millis()), ("1d", 86_400_000));
/// assert!("5h".parse::<RotationPeriod>().is_err());
/// assert!("8761h".parse::<RotationPeriod>().is_err());
/// assert!("1w".parse::<RotationPeriod>().is_err());
/// # Ok::<(), strongroom::RotationPeriodError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RotationPeriod {
    text: Box<str>,
    millis: i64,
}

impl RotationPeriod {
    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long it is, in milliseconds: a number of whole seconds.
    #[must_use]
    pub fn as_millis(&self) -> i64 {
        self.millis
    }
}

impl FromStr for RotationPeriod {
    type Err = RotationPeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ROTATION_PERIOD_LEN_MAX {
            return Err(RotationPeriodError::TooLong { len: text.len() });
        }
        let (digits, unit_ms) = UNITS
            .iter()
            .find_map(|(unit, millis)| Some((text.strip_suffix(*unit)?, *millis)))
            .ok_or(RotationPeriodError::Form)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RotationPeriodError::Form);
        }
        // So many digits that they overflow are too much of every unit.
        let millis = digits.parse::<i64>().ok().and_then(|count| count.checked_mul(unit_ms));
        match millis {
            Some(millis @ ROTATION_PERIOD_MIN_MS..=ROTATION_PERIOD_MAX_MS) => {
                Ok(Self { text: text.into(), millis })
            }
            _ => Err(RotationPeriodError::OutOfRange),
        }
    }
}

impl fmt::Display for RotationPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Units and their milliseconds.
const UNITS: [(char, i64); 4] = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1000)];

/// A text that is no rotation period.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RotationPeriodError {
    /// It is not digits and one of `d`, `h`, `m`, `s`.
    #[error("a rotation period is digits and one of d, h, m, s")]
    Form,
    /// It is shorter than 6 hours or longer than 8760.
    #[error("a rotation period is 6 to 8760 hours")]
    OutOfRange,
    /// It has more than 50 signs.
    #[error("a rotation period has at most {ROTATION_PERIOD_LEN_MAX} signs, not {len}")]
    TooLong {
        /// How long the text is, in bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_bounded() {
        use RotationPeriodError::{Form, OutOfRange, TooLong};
        const HOUR: i64 = 3_600_000;
        let zeros = format!("{}6h", "0".repeat(48));
        let cases: &[(&str, &str, Result<i64, RotationPeriodError>)] = &[
            ("row 56: the shortest in hours", "6h", Ok(6 * HOUR)),
            ("row 56: the shortest in minutes", "360m", Ok(6 * HOUR)),
            ("row 56: the shortest in seconds", "21600s", Ok(6 * HOUR)),
            ("row 56: a minute less", "359m", Err(OutOfRange)),
            ("row 56: a second less", "21599s", Err(OutOfRange)),
            ("row 56: the longest in days", "365d", Ok(8760 * HOUR)),
            ("row 56: the longest in hours", "8760h", Ok(8760 * HOUR)),
            ("row 56: the longest in seconds", "31536000s", Ok(8760 * HOUR)),
            ("row 56: a second more", "31536001s", Err(OutOfRange)),
            ("row 56: a day more", "366d", Err(OutOfRange)),
            ("a day", "1d", Ok(24 * HOUR)),
            ("leading zeros", "0024h", Ok(24 * HOUR)),
            ("50 signs", &zeros, Ok(6 * HOUR)),
            ("nothing of it", "0d", Err(OutOfRange)),
            ("more than a number holds", "99999999999999999999d", Err(OutOfRange)),
            ("more than a time holds", "9223372036854775807d", Err(OutOfRange)),
            ("empty", "", Err(Form)),
            ("a unit alone", "d", Err(Form)),
            ("no unit", "24", Err(Form)),
            ("another unit", "1w", Err(Form)),
            ("a capital unit", "1D", Err(Form)),
            ("two units", "1d6h", Err(Form)),
            ("a sign", "+7d", Err(Form)),
            ("below zero", "-7d", Err(Form)),
            ("a fraction", "1.5d", Err(Form)),
            ("a space in front", " 1d", Err(Form)),
            ("a space behind", "1d ", Err(Form)),
            ("a line end", "1d\n", Err(Form)),
            ("digits of another script", "\u{661}d", Err(Form)),
        ];
        for (what, text, want) in cases {
            let got = text.parse::<RotationPeriod>();
            assert_eq!(
                got.as_ref().map(RotationPeriod::as_millis),
                want.as_ref().copied(),
                "case: {what}"
            );
            if let Ok(period) = got {
                assert_eq!(period.as_str(), *text, "case: {what}: the text is kept");
            }
        }
        let long = format!("0{zeros}");
        assert_eq!(long.parse::<RotationPeriod>(), Err(TooLong { len: 51 }));
    }
}
