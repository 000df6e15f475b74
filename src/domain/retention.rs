//! How long things are kept: old versions, and secrets that are to be deleted.

use crate::domain::{
    limits::{
        DELETION_WAIT_DEFAULT_DAYS, DELETION_WAIT_MAX_DAYS, DELETION_WAIT_MIN_DAYS, LimitsError,
        VERSIONS_CEILING, VERSIONS_FLOOR, within,
    },
    time::Timestamp,
};

/// How long a secret can still be had back after its deletion was scheduled: 7 to 30 days, by default
/// 30 (csms.md 1.12, 3.1).
///
/// # Examples
///
/// ```
/// use strongroom::RecoveryWindow;
///
/// assert_eq!(RecoveryWindow::default().days(), 30);
/// assert_eq!(RecoveryWindow::from_days(7)?, RecoveryWindow::SHORTEST);
/// assert!(RecoveryWindow::from_days(6).is_err());
/// # Ok::<(), strongroom::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecoveryWindow {
    days: u32,
}

impl RecoveryWindow {
    /// 7 days.
    pub const SHORTEST: Self = Self { days: DELETION_WAIT_MIN_DAYS };

    /// 30 days.
    pub const LONGEST: Self = Self { days: DELETION_WAIT_MAX_DAYS };

    /// A window of so many days.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] unless it is 7 to 30.
    pub fn from_days(days: u32) -> Result<Self, LimitsError> {
        if (DELETION_WAIT_MIN_DAYS..=DELETION_WAIT_MAX_DAYS).contains(&days) {
            return Ok(Self { days });
        }
        let as_len = |days: u32| usize::try_from(days).unwrap_or(usize::MAX);
        Err(LimitsError {
            limit: "recovery_window_in_days",
            asked: as_len(days),
            min: as_len(DELETION_WAIT_MIN_DAYS),
            max: as_len(DELETION_WAIT_MAX_DAYS),
        })
    }

    /// How many days it is.
    #[must_use]
    pub fn days(self) -> u32 {
        self.days
    }

    /// When a window that begins at `at` ends.
    pub(crate) fn end(self, at: Timestamp) -> Timestamp {
        let millis = i64::from(self.days).saturating_mul(MILLIS_A_DAY);
        Timestamp::from_millis(at.as_millis().saturating_add(millis))
    }
}

impl Default for RecoveryWindow {
    fn default() -> Self {
        Self { days: DELETION_WAIT_DEFAULT_DAYS }
    }
}

/// Which versions without a label a secret keeps, where that is less than the store allows. By default as many
/// as [`Limits::versions_max`](crate::Limits::versions_max), for ever.
///
/// A version with a label is never dropped, however old it is and however many there are. CSMS has
/// no such settings: its only bound is the number (csms.md 8.1 rows 1 and 2).
///
/// # Examples
///
/// ```
/// use strongroom::Retention;
///
/// let retention = Retention::default().with_versions(5)?.with_days(90)?;
/// assert_eq!((retention.versions(), retention.days()), (Some(5), Some(90)));
/// assert!(retention.with_versions(1).is_err());
/// # Ok::<(), strongroom::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    versions: Option<u32>,
    age_ms: Option<i64>,
}

impl Retention {
    /// Keeps so many versions in all, labelled ones counted. If the store allows fewer, its limit
    /// counts.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] unless it is 2 to 128.
    pub fn with_versions(self, versions: usize) -> Result<Self, LimitsError> {
        let versions = within("versions", versions, VERSIONS_FLOOR, VERSIONS_CEILING)?;
        Ok(Self { versions: u32::try_from(versions).ok(), ..self })
    }

    /// Keeps a version without a label for so many days from its creation on.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] unless it is 1 to 36,500.
    pub fn with_days(self, days: usize) -> Result<Self, LimitsError> {
        let days = within("days", days, 1, RETENTION_MAX_DAYS)?;
        let age_ms = i64::try_from(days).ok().map(|days| days.saturating_mul(MILLIS_A_DAY));
        Ok(Self { age_ms, ..self })
    }

    /// How many versions are kept, if fewer than the store allows.
    #[must_use]
    pub fn versions(self) -> Option<usize> {
        self.versions.and_then(|versions| usize::try_from(versions).ok())
    }

    /// For how many days a version without a label is kept, if not for ever.
    #[must_use]
    pub fn days(self) -> Option<usize> {
        self.age_ms.and_then(|age_ms| usize::try_from(age_ms / MILLIS_A_DAY).ok())
    }

    /// As it is stored: the number of versions, the age in milliseconds.
    pub(crate) fn parts(self) -> (Option<u32>, Option<i64>) {
        (self.versions, self.age_ms)
    }

    pub(crate) fn from_parts((versions, age_ms): (Option<u32>, Option<i64>)) -> Self {
        Self { versions, age_ms }
    }
}

/// A hundred years.
const RETENTION_MAX_DAYS: usize = 36_500;

/// Milliseconds of a day.
pub(crate) const MILLIS_A_DAY: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_taken_and_what_lies_beyond_is_refused() {
        for (days, taken) in [(0, false), (6, false), (7, true), (30, true), (31, false)] {
            assert_eq!(RecoveryWindow::from_days(days).is_ok(), taken, "case: window of {days}");
        }
        for (count, taken) in [(0, false), (1, false), (2, true), (128, true), (129, false)] {
            let got = Retention::default().with_versions(count);
            assert_eq!(got.is_ok(), taken, "case: {count} versions");
            assert!(got.is_err() || got.unwrap().versions() == Some(count));
        }
        for (days, taken) in [(0, false), (1, true), (36_500, true), (36_501, false)] {
            let got = Retention::default().with_days(days);
            assert_eq!(got.is_ok(), taken, "case: {days} days");
            assert!(got.is_err() || got.unwrap().days() == Some(days));
        }
    }

    #[test]
    fn a_window_ends_whole_days_later_and_never_before_it_begins() {
        let end = |at| RecoveryWindow::SHORTEST.end(Timestamp::from_millis(at)).as_millis();
        assert_eq!(end(5), 604_800_005);
        assert_eq!(end(i64::MAX), i64::MAX);
    }
}
