//! Records of notifications, compared with the audit log: it tells of each delivery, so that none that
//! was recorded can be taken away unnoticed.
//!
//! Whoever removes a record leaves a delivery without one. He cannot move another to its place, which
//! each is bound to. Left out are those that a later delivery cleared away since they were too old, and
//! those of which the log tells no more since it was cut.

use crate::{
    domain::{AuditOperation, NOTICES_KEPT_MS, Timestamp},
    format::AuditV1,
    records::audit::said,
};

/// What the audit log tells of deliveries.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// When each was made that left a record.
    recorded: Vec<i64>,
    /// The latest of all times: what was too old by then may have been cleared away.
    latest: Option<i64>,
}

impl Deliveries {
    /// Takes in an audit record. One that `may_be_later` than the records of notifications were looked at
    /// only tells what may be cleared away.
    pub(super) fn note(&mut self, audit: &AuditV1, may_be_later: bool) {
        if said(audit.operation) != AuditOperation::Notify {
            return;
        }
        self.latest = self.latest.max(Some(audit.time_ms));
        // That they have come so far is noted without a notification too.
        if !may_be_later && !audit.detail.is_empty() {
            self.recorded.push(audit.time_ms);
        }
    }

    /// Whether each has its record, given when those records were made that there are.
    pub(super) fn are_all_among(mut self, mut there: Vec<i64>) -> bool {
        let Some(latest) = self.latest else { return true };
        let oldest = oldest_notice(Timestamp::from_millis(latest)).as_millis();
        self.recorded.retain(|at| *at >= oldest);
        self.recorded.sort_unstable();
        there.sort_unstable();
        let mut there = there.into_iter();
        self.recorded.iter().all(|at| there.by_ref().find(|it| it >= at) == Some(*at))
    }
}

/// Records of notifications from before this are told no more, and cleared away by the next delivery.
pub(crate) fn oldest_notice(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(NOTICES_KEPT_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Operation;

    /// A day behind the time for which records are kept.
    const LATE: i64 = NOTICES_KEPT_MS + 24 * 60 * 60 * 1000;

    fn told(operation: Operation, time_ms: i64, detail: &str) -> AuditV1 {
        AuditV1 {
            time_ms,
            operation,
            name: String::new(),
            sid: [0; 16],
            version: 0,
            actor: String::new(),
            detail: detail.to_owned(),
            subject: None,
        }
    }

    #[test]
    fn a_delivery_without_a_record_is_missed_unless_it_was_cleared_away() {
        let cases: [(&str, &[i64], &[i64], bool); 8] = [
            ("none", &[], &[], true),
            ("all", &[1, 2, 3], &[3, 1, 2], true),
            ("more than the log tells of", &[2], &[1, 2, 2, 9], true),
            ("one is missing", &[1, 2, 3], &[1, 3], false),
            ("the last is missing", &[1, 2, 3], &[1, 2], false),
            ("one of two of the same time", &[5, 5], &[5], false),
            ("one of another time", &[5], &[4, 6], false),
            ("those that are too old are gone", &[1, LATE, 2], &[LATE], true),
        ];
        for (what, log, there, want) in cases {
            let mut deliveries = Deliveries::default();
            for at in log {
                deliveries.note(&told(Operation::Notify, *at, "e SUCCESS"), false);
                deliveries.note(&told(Operation::CreateSecret, at + 1, "e SUCCESS"), false);
                deliveries.note(&told(Operation::Notify, *at, ""), false);
            }
            assert_eq!(deliveries.are_all_among(there.to_vec()), want, "case: {what}");
        }
    }

    #[test]
    fn what_came_later_need_not_be_there_but_may_have_cleared_away() {
        let mut deliveries = Deliveries::default();
        deliveries.note(&told(Operation::Notify, 1, "e SUCCESS"), false);
        deliveries.note(&told(Operation::Notify, LATE, "e SUCCESS"), true);
        assert!(deliveries.are_all_among(Vec::new()));
    }
}
