//! Rotations that ended, as the audit log tells of them.

use std::ops::ControlFlow;

use crate::{
    commit::{EngineError, audit_address, parse_audit_key},
    domain::{SecretName, TaskNote, Timestamp, VersionId},
    format::{AuditV1, Tree},
    records::{Operation, Records, audit::open_audit},
};

/// Clocks are set back now and then: records so much older than asked for are looked at too.
const CLOCK_STEP_MS: i64 = 24 * 60 * 60 * 1000;

/// How a rotation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Cancelled,
    Failed,
    Rotated,
}

/// A rotation that ended.
#[derive(Clone, Debug)]
pub(crate) struct EndedRotation {
    pub(crate) name: SecretName,
    pub(crate) note: TaskNote,
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) version: Option<VersionId>,
}

impl EndedRotation {
    /// `None` for the record of anything else.
    fn of(audit: &AuditV1) -> Option<Self> {
        let outcome = match audit.operation {
            Operation::RotateSecret => Outcome::Rotated,
            Operation::FailRotation => Outcome::Failed,
            Operation::CancelRotation => Outcome::Cancelled,
            _ => return None,
        };
        Some(Self {
            name: SecretName::from_stored(&audit.name).ok()?,
            note: TaskNote::read(&audit.detail)?,
            at: Timestamp::from_millis(audit.time_ms),
            outcome,
            version: VersionId::from_number(audit.version),
        })
    }
}

impl Records {
    /// The rotations that ended at `since` or later, in the order in which they did.
    ///
    /// Opens every audit record of that time: some microseconds each.
    pub(crate) fn ended_rotations(
        &self,
        since: Timestamp,
    ) -> Result<Vec<EndedRotation>, EngineError> {
        self.engine.wait_ready()?;
        let root = self.engine.caught_up_root()?;
        let before = Timestamp::from_millis(since.as_millis().saturating_sub(CLOCK_STEP_MS));
        let first = self.first_commit_since(before, (root.audit_first_seq, root.seq))?;
        let after = audit_address(first.saturating_sub(1), u32::MAX);
        let (mut ended, mut sound) = (Vec::new(), true);
        self.engine.state().scan(Tree::Audit.id(), Some(after.key()), &mut |key, record| {
            // What came after the root was looked at is told next time.
            if parse_audit_key(key).is_none_or(|(seq, _)| seq > root.seq) {
                return ControlFlow::Break(());
            }
            match open_audit(&self.sealer, record) {
                Ok(audit) => {
                    ended.extend(EndedRotation::of(&audit).filter(|ended| ended.at >= since));
                    ControlFlow::Continue(())
                }
                Err(_) => {
                    sound = false;
                    ControlFlow::Break(())
                }
            }
        })?;
        if sound { Ok(ended) } else { Err(EngineError::Tampered("the audit log")) }
    }

    /// A commit not later than the first one at `since` or later, near it: found by halves.
    fn first_commit_since(
        &self,
        since: Timestamp,
        (mut low, mut high): (u64, u64),
    ) -> Result<u64, EngineError> {
        while low < high {
            let middle = low.midpoint(high);
            let record = self.engine.read(&audit_address(middle, 0))?;
            let opened = record.and_then(|record| open_audit(&self.sealer, &record).ok());
            // One that is missing, or that the scan will find forged, says nothing: then earlier.
            if opened.is_some_and(|audit| audit.time_ms < since.as_millis()) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
