//! Points in time as dates, for texts that people and other programs read.

use crate::domain::Timestamp;

const MILLIS_A_DAY: i64 = 86_400_000;

/// The time in UTC as ISO 8601 with milliseconds, such as `2023-04-14T20:25:10.126Z`.
pub(crate) fn iso8601(time: Timestamp) -> String {
    let millis = time.as_millis();
    let (day, of_day) = (millis.div_euclid(MILLIS_A_DAY), millis.rem_euclid(MILLIS_A_DAY));
    let (year, month, day) = date(day);
    let (second, milli) = (of_day.div_euclid(1000), of_day.rem_euclid(1000));
    let (minute, second) = (second.div_euclid(60), second.rem_euclid(60));
    let (hour, minute) = (minute.div_euclid(60), minute.rem_euclid(60));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are counted from March on, so that the day of a leap year is their last one, and in cycles of
/// 400 years, which all have the same number of days.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a day of any 64-bit millisecond is far from the ends of the range"
)]
fn date(day: i64) -> (i64, i64, i64) {
    const DAYS_A_CYCLE: i64 = 146_097;
    // From 0000-03-01.
    let day = day + 719_468;
    let (cycle, day) = (day.div_euclid(DAYS_A_CYCLE), day.rem_euclid(DAYS_A_CYCLE));
    let leap_days = day / 1460 - day / 36_524 + day / (DAYS_A_CYCLE - 1);
    let year = (day - leap_days) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    // Of five months from March or August on, each pair has 61 days but for the last one.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        let cases = [
            ("the start", 0, "1970-01-01T00:00:00.000Z"),
            ("of csms.md 1.8", 1_681_503_910_126, "2023-04-14T20:25:10.126Z"),
            ("a leap day", 1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
            ("the day after it", 1_709_251_199_999 + 1, "2024-03-01T00:00:00.000Z"),
            ("a century that leaps", 951_782_400_000, "2000-02-29T00:00:00.000Z"),
            ("one that does not", 4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            ("the end of a year", 1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            ("before the start", -1, "1969-12-31T23:59:59.999Z"),
            ("13 digits", 9_999_999_999_999, "2286-11-20T17:46:39.999Z"),
        ];
        for (what, millis, want) in cases {
            assert_eq!(iso8601(Timestamp::from_millis(millis)), want, "case: {what}");
        }
    }

    #[test]
    fn every_day_of_a_cycle_follows_the_one_before() {
        let long = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = |year, month| match month {
            2 if long(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut want = (1970, 1, 1);
        for day in 0..146_098 {
            assert_eq!(date(day), want);
            let (year, month, of_month) = want;
            want = match (of_month == days(year, month), month) {
                (false, _) => (year, month, of_month + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn the_ends_of_the_range_do_not_panic() {
        for millis in [i64::MIN, i64::MAX] {
            assert!(iso8601(Timestamp::from_millis(millis)).ends_with('Z'));
        }
    }
}
