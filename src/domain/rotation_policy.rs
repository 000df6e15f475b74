//! Whether, when and how a secret is rotated by itself.

use crate::domain::{FunctionUrn, OpenTask, RotationConfig, RotationPeriod, SecretType, Timestamp};

/// How a secret is to be rotated by itself: what is said in a request (csms.md 4.1). What is not named
/// is not set, or stays as it is.
///
/// # Examples
///
/// ```
/// use strongroom::RotationRules;
///
/// let rules = RotationRules::new().automatic(true).period("30d".parse()?);
/// # let _ = rules;
/// # Ok::<(), strongroom::RotationPeriodError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use = "rules do nothing by themselves"]
pub struct RotationRules {
    automatic: Option<bool>,
    period: Option<RotationPeriod>,
    function_urn: Option<FunctionUrn>,
}

impl RotationRules {
    /// Says nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the secret is rotated when its period has passed; a new secret is not by default.
    ///
    /// The first time is a period after this was switched on (csms.md 8.3 row 57), later ones a period
    /// after the last rotation, manual ones included (row 60). Switched off, the period is kept (row
    /// 59). It takes a [scheduler](crate::SecretStore::start_scheduler), or calls of
    /// [`rotate_due`](crate::SecretStore::rotate_due).
    pub fn automatic(self, automatic: bool) -> Self {
        Self { automatic: Some(automatic), ..self }
    }

    /// The time between two rotations. A new one counts from the last rotation, or from when automatic
    /// rotation was switched on; if it has passed by then the secret is due (csms.md 8.3 row 58).
    pub fn period(self, period: RotationPeriod) -> Self {
        Self { period: Some(period), ..self }
    }

    /// The function that does it. Kept and shown only.
    pub fn function_urn(self, function_urn: FunctionUrn) -> Self {
        Self { function_urn: Some(function_urn), ..self }
    }
}

/// The rotation policy of a secret.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct RotationPolicy {
    pub(crate) mode: Mode,
    pub(crate) config: Option<RotationConfig>,
    pub(crate) function_urn: Option<FunctionUrn>,
    /// When the last automatic rotation that came to nothing was given up: the schedule goes on from
    /// there.
    pub(crate) put_off: Option<Timestamp>,
    /// The rotation that was begun and has not ended.
    pub(crate) task: Option<OpenTask>,
}

/// Whether a secret is rotated by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Automatic {
        period: RotationPeriod,
        since: Timestamp,
    },
    /// With the period that was set, or held before it was switched off.
    Manual {
        period: Option<RotationPeriod>,
    },
}

impl Default for Mode {
    fn default() -> Self {
        Self::Manual { period: None }
    }
}

/// Why rules cannot be a secret's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RotationRuleError {
    #[error("a secret of type COMMON cannot be rotated automatically")]
    Common,
    #[error("automatic rotation takes a period")]
    NoPeriod,
}

impl RotationPolicy {
    /// This policy with `rules` from `at` on, for a secret of `secret_type`.
    pub(crate) fn with_rules(
        &self,
        rules: &RotationRules,
        secret_type: &SecretType,
        at: Timestamp,
    ) -> Result<Self, RotationRuleError> {
        let RotationRules { automatic, period, function_urn } = rules;
        let period = period.as_ref().or(self.period()).cloned();
        let mode = match (automatic.unwrap_or(self.is_automatic()), period) {
            (false, period) => Mode::Manual { period },
            (true, _) if !secret_type.is_rotatable() => return Err(RotationRuleError::Common),
            (true, None) => return Err(RotationRuleError::NoPeriod),
            (true, Some(period)) => match &self.mode {
                Mode::Automatic { since, .. } => Mode::Automatic { period, since: *since },
                Mode::Manual { .. } => Mode::Automatic { period, since: at },
            },
        };
        let function_urn = function_urn.as_ref().or(self.function_urn.as_ref()).cloned();
        Ok(Self { mode, function_urn, ..self.clone() })
    }

    /// This policy with nothing that would happen by itself.
    pub(crate) fn at_rest(&self) -> Self {
        let mode = Mode::Manual { period: self.period().cloned() };
        let (config, function_urn) = (self.config.clone(), self.function_urn.clone());
        Self { mode, config, function_urn, put_off: None, task: None }
    }

    pub(crate) fn is_automatic(&self) -> bool {
        match self.mode {
            Mode::Automatic { .. } => true,
            Mode::Manual { .. } => false,
        }
    }

    pub(crate) fn period(&self) -> Option<&RotationPeriod> {
        match &self.mode {
            Mode::Automatic { period, .. } => Some(period),
            Mode::Manual { period } => period.as_ref(),
        }
    }

    /// When the secret is to be rotated next: the next attempt of the task under way, or else a period
    /// after the latest of the last rotation, the switching on, and a rotation that was given up. Whole
    /// seconds.
    pub(crate) fn next(&self, rotated: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(task) = &self.task {
            return Some(task.next_attempt);
        }
        let Mode::Automatic { period, since } = &self.mode else { return None };
        let from = [Some(*since), rotated, self.put_off].into_iter().flatten().max()?;
        let millis = from.whole_seconds().as_millis().saturating_add(period.as_millis());
        Some(Timestamp::from_millis(millis))
    }

    /// Whether the last automatic rotation came to nothing, and none was made since.
    pub(crate) fn is_put_off(&self, rotated: Option<Timestamp>) -> bool {
        self.is_automatic() && self.put_off.is_some_and(|at| rotated.is_none_or(|done| done < at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn rules(automatic: Option<bool>, period: &str) -> RotationRules {
        let period = (!period.is_empty()).then(|| period.parse().unwrap());
        RotationRules { automatic, period, function_urn: None }
    }

    /// When it is rotated next, after each of several changes at their times.
    fn next_after(changes: &[(i64, Option<bool>, &str)], rotated: Option<i64>) -> Option<i64> {
        let mut policy = RotationPolicy::default();
        for (millis, automatic, period) in changes {
            let rules = rules(*automatic, period);
            policy = policy.with_rules(&rules, &SecretType::RdsFg, at(*millis)).unwrap();
        }
        policy.next(rotated.map(at)).map(Timestamp::as_millis)
    }

    #[test]
    fn the_next_rotation_follows_from_rules_and_the_last_one() {
        let (on, off) = (Some(true), Some(false));
        type Changes<'a> = &'a [(i64, Option<bool>, &'a str)];
        let cases: &[(&str, Changes<'_>, Option<i64>, Option<i64>)] = &[
            ("never switched on", &[(0, None, "6h")], None, None),
            (
                "row 57: a period after it was switched on",
                &[(1000, on, "6h")],
                None,
                Some(1000 + 6 * HOUR),
            ),
            ("row 57: in whole seconds", &[(1999, on, "6h")], None, Some(1000 + 6 * HOUR)),
            (
                "row 57: a rotation before it was switched on",
                &[(5000, on, "6h")],
                Some(1000),
                Some(5000 + 6 * HOUR),
            ),
            (
                "row 58: another period",
                &[(0, on, "6h"), (9000, None, "12h")],
                None,
                Some(12 * HOUR),
            ),
            (
                "row 58: after a rotation",
                &[(0, on, "6h"), (9000, None, "12h")],
                Some(5000),
                Some(5000 + 12 * HOUR),
            ),
            ("row 58: switched on twice", &[(0, on, "6h"), (9000, on, "6h")], None, Some(6 * HOUR)),
            ("row 59: switched off", &[(0, on, "6h"), (9000, off, "")], None, None),
            (
                "row 59: and on again with the period kept",
                &[(0, on, "6h"), (5000, off, ""), (9000, on, "")],
                None,
                Some(9000 + 6 * HOUR),
            ),
            ("row 60: a rotation counts", &[(0, on, "6h")], Some(7000), Some(7000 + 6 * HOUR)),
            ("the end of time", &[(i64::MAX, on, "6h")], None, Some(i64::MAX)),
        ];
        for (what, changes, rotated, want) in cases {
            assert_eq!(next_after(changes, *rotated), *want, "case: {what}");
        }
    }

    #[test]
    fn rules_that_cannot_be_are_refused() {
        let (on, off) = (Some(true), Some(false));
        let (rds, common) = (SecretType::RdsFg, SecretType::Common);
        let cases: &[(&str, &SecretType, RotationRules, Option<RotationRuleError>)] = &[
            ("row 54: COMMON", &common, rules(on, "1d"), Some(RotationRuleError::Common)),
            ("row 54: COMMON, switched off", &common, rules(off, "1d"), None),
            ("row 55: without a period", &rds, rules(on, ""), Some(RotationRuleError::NoPeriod)),
            ("row 55: off without a period", &rds, rules(off, ""), None),
            ("both", &rds, rules(on, "1d"), None),
        ];
        for (what, secret_type, rules, want) in cases {
            let got = RotationPolicy::default().with_rules(rules, secret_type, at(0));
            assert_eq!(&got.err(), want, "case: {what}");
        }
    }

    #[test]
    fn a_rotation_that_was_given_up_puts_the_next_one_off_by_a_period() {
        let policy = RotationPolicy::default();
        let policy =
            policy.with_rules(&rules(Some(true), "6h"), &SecretType::RdsFg, at(0)).unwrap();
        let given_up = RotationPolicy { put_off: Some(at(8 * HOUR)), ..policy };
        assert_eq!(given_up.next(None), Some(at(14 * HOUR)));
        assert!(given_up.is_put_off(None) && given_up.is_put_off(Some(at(HOUR))));
        assert!(!given_up.is_put_off(Some(at(9 * HOUR))), "rotated since");
        assert_eq!(given_up.next(Some(at(9 * HOUR))), Some(at(15 * HOUR)));
    }
}
