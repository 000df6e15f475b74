//! Points in time, where they come from, and when a version expires.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::limits::EXPIRE_TIME_MAX_MS;

/// A point in time: milliseconds since the start of 1970 (UTC), negative before it.
///
/// The documents of CSMS say seconds and show milliseconds; milliseconds it is (csms.md 1.1).
///
/// # Examples
///
/// ```
/// use strongroom::Timestamp;
///
/// let time = Timestamp::from_millis(1_581_507_580_123);
/// assert_eq!(time.whole_seconds().as_millis(), 1_581_507_580_000);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time so many milliseconds after the start of 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The whole second that the time lies in: the last three digits cut off, toward the past.
    ///
    /// CSMS stores whole seconds (csms.md 1.1). (In the very first second that the type can
    /// hold, 292 million years ago, the time itself.)
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        match self.0.checked_sub(self.0.rem_euclid(MILLIS_A_SECOND)) {
            Some(millis) => Self(millis),
            None => self,
        }
    }

    /// This moment, or the first one after `other` if that is later.
    pub(crate) fn or_after(self, other: Self) -> Self {
        self.max(Self::from_millis(other.as_millis().saturating_add(1)))
    }
}

/// Where the store takes the time from (csms.md 9.3).
///
/// A store asks its clock and nothing else, so a test can set the time by hand.
///
/// # Examples
///
/// ```
/// use strongroom::{Clock, Timestamp};
///
/// struct Standing;
///
/// impl Clock for Standing {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_millis(1_581_507_580_000)
///     }
/// }
/// assert_eq!(Standing.now(), Standing.now());
/// ```
pub trait Clock: Send + Sync {
    /// The time at this moment. It may step back, as clocks are set.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system (csms.md 9.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        of_system_time(SystemTime::now())
    }
}

/// Why a version cannot expire at a given time.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExpireTimeError {
    /// It is not later than the time from which on the version may be used.
    #[error("a version cannot expire before it may be used")]
    BeforeUse,
    /// It is not later than now.
    #[error("a version can only expire in the future")]
    NotInFuture,
    /// It is negative, or has more than 13 digits in milliseconds.
    #[error("the time of expiry is 0 to {EXPIRE_TIME_MAX_MS} milliseconds since 1970")]
    OutOfRange,
}

/// When a version shall expire: `None` for never, which is asked for with 0.
///
/// The time is cut to the whole second before it is compared, so that what is stored lies in
/// the future too (csms.md 1.1, 2.4, 8.1 rows 19 and 20).
///
/// # Errors
///
/// [`ExpireTimeError`] if `asked` is out of range or not later than `now`.
pub(crate) fn expire_time(
    asked: Timestamp,
    now: Timestamp,
) -> Result<Option<Timestamp>, ExpireTimeError> {
    match asked.as_millis() {
        0 => Ok(None),
        1..=EXPIRE_TIME_MAX_MS => {
            let second = asked.whole_seconds();
            if second > now { Ok(Some(second)) } else { Err(ExpireTimeError::NotInFuture) }
        }
        _ => Err(ExpireTimeError::OutOfRange),
    }
}

/// From when on a version may be used: `None` for always, which is asked for with 0. Rounded up to a
/// whole second, so that it is not sooner than asked.
///
/// # Errors
///
/// [`ExpireTimeError`] if `asked` is out of range, or the version has expired by then.
pub(crate) fn not_before(
    asked: Timestamp,
    expires: Option<Timestamp>,
) -> Result<Option<Timestamp>, ExpireTimeError> {
    match asked.as_millis() {
        0 => Ok(None),
        millis @ 1..=EXPIRE_TIME_MAX_MS => {
            let second = Timestamp(millis.saturating_add(MILLIS_A_SECOND - 1)).whole_seconds();
            if expires.is_some_and(|expires| expires <= second) {
                return Err(ExpireTimeError::BeforeUse);
            }
            Ok(Some(second))
        }
        _ => Err(ExpireTimeError::OutOfRange),
    }
}

/// The millisecond that `time` lies in; the ends of the range stand for all beyond.
fn of_system_time(time: SystemTime) -> Timestamp {
    let millis = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration().saturating_add(ALMOST_A_MILLI).as_millis();
            i64::try_from(before).map_or(i64::MIN, i64::saturating_neg)
        }
    };
    Timestamp(millis)
}

/// Added before truncation, it rounds up.
const ALMOST_A_MILLI: Duration = Duration::from_nanos(999_999);
const MILLIS_A_SECOND: i64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_cut_toward_the_past() {
        let cases = [
            ("the start", 0, 0),
            ("just before the next second", 1999, 1000),
            ("a whole second", 2000, 2000),
            ("just before 1970", -1, -1000),
            ("a whole second before 1970", -1000, -1000),
            ("the end of the range", i64::MAX, 9_223_372_036_854_775_000),
            ("the first whole second", i64::MIN + 808, i64::MIN + 808),
            ("before the first whole second", i64::MIN, i64::MIN),
        ];
        for (what, millis, want) in cases {
            let got = Timestamp::from_millis(millis).whole_seconds().as_millis();
            assert_eq!(got, want, "case: {what}");
        }
    }

    #[test]
    fn an_expire_time_is_cleared_taken_or_refused() {
        use ExpireTimeError::{NotInFuture, OutOfRange};
        const NOW: i64 = 1_700_000_000_500;
        let cases = [
            ("zero clears", 0, Ok(None)),
            ("the next second", 1_700_000_001_000, Ok(Some(1_700_000_001_000))),
            ("cut to the second", 1_700_000_001_999, Ok(Some(1_700_000_001_000))),
            ("later, in this second", 1_700_000_000_900, Err(NotInFuture)),
            ("now", NOW, Err(NotInFuture)),
            ("long ago", 1, Err(NotInFuture)),
            ("the last", 9_999_999_999_999, Ok(Some(9_999_999_999_000))),
            ("one more", 10_000_000_000_000, Err(OutOfRange)),
            ("the largest", i64::MAX, Err(OutOfRange)),
            ("negative", -1, Err(OutOfRange)),
        ];
        for (what, millis, want) in cases {
            let asked = Timestamp::from_millis(millis);
            let got = expire_time(asked, Timestamp::from_millis(NOW));
            assert_eq!(got.map(|time| time.map(Timestamp::as_millis)), want, "case: {what}");
        }
    }

    #[test]
    fn a_time_of_first_use_is_cleared_taken_or_refused() {
        use ExpireTimeError::{BeforeUse, OutOfRange};
        let cases = [
            ("zero clears", 0, None, Ok(None)),
            ("rounded up", 1001, None, Ok(Some(2000))),
            ("a whole second", 2000, None, Ok(Some(2000))),
            ("before the expiry", 2000, Some(3000), Ok(Some(2000))),
            ("at the expiry", 3000, Some(3000), Err(BeforeUse)),
            ("rounded to the expiry", 2001, Some(3000), Err(BeforeUse)),
            ("one too many", 10_000_000_000_000, None, Err(OutOfRange)),
            ("negative", -1, None, Err(OutOfRange)),
        ];
        for (what, millis, expires, want) in cases {
            let got = not_before(Timestamp(millis), expires.map(Timestamp));
            assert_eq!(got.map(|time| time.map(Timestamp::as_millis)), want, "case: {what}");
        }
    }

    #[test]
    fn the_second_that_is_now_is_not_in_the_future() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let later = Timestamp::from_millis(1_700_000_000_999);
        assert_eq!(expire_time(later, now), Err(ExpireTimeError::NotInFuture));
    }

    #[test]
    fn system_times_become_milliseconds() {
        let cases = [
            ("the start", UNIX_EPOCH, 0),
            ("after", UNIX_EPOCH + Duration::from_micros(1999), 1),
            ("just before", UNIX_EPOCH - Duration::from_nanos(1), -1),
            ("a millisecond before", UNIX_EPOCH - Duration::from_millis(1), -1),
            ("a bit more before", UNIX_EPOCH - Duration::from_micros(1001), -2),
        ];
        for (what, time, want) in cases {
            assert_eq!(of_system_time(time).as_millis(), want, "case: {what}");
        }
    }

    #[test]
    fn the_system_clock_lives_after_this_was_written() {
        assert!(SystemClock.now() > Timestamp::from_millis(1_750_000_000_000));
    }
}
