//! Which operations events fire for.

use crate::domain::{AuditOperation, EventType};

/// The event that an operation is. A rotation is not the creation of a version (csms.md 8.3 row 69),
/// and only what deletes for good is a deletion (8.4 row 70).
pub(crate) const fn event_type(operation: AuditOperation) -> Option<EventType> {
    match operation {
        AuditOperation::CreateSecret | AuditOperation::CreateVersion => {
            Some(EventType::VersionCreated)
        }
        AuditOperation::ExpireVersion => Some(EventType::VersionExpired),
        AuditOperation::NearExpiry => Some(EventType::VersionNearExpiry),
        AuditOperation::RotateSecret => Some(EventType::Rotated),
        AuditOperation::FailRotation => Some(EventType::RotationFailed),
        AuditOperation::DeleteSecret => Some(EventType::Deleted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_type_has_its_operations() {
        use AuditOperation as Op;
        let rows = [
            ("row 69: made by a user", Op::CreateVersion, Some(EventType::VersionCreated)),
            ("row 69: the first one too", Op::CreateSecret, Some(EventType::VersionCreated)),
            ("row 69: made by a rotation", Op::RotateSecret, Some(EventType::Rotated)),
            ("row 70: really deleted", Op::DeleteSecret, Some(EventType::Deleted)),
            ("row 70: only scheduled", Op::ScheduleDeletion, None),
            ("row 76: a version expired", Op::ExpireVersion, Some(EventType::VersionExpired)),
            ("an expiry was set", Op::UpdateVersion, None),
            ("a restored secret", Op::RestoreSecret, None),
        ];
        for (what, operation, want) in rows {
            assert_eq!(event_type(operation), want, "case: {what}");
        }
        for kind in EventType::ALL {
            assert!(Op::ALL.iter().any(|it| event_type(*it) == Some(*kind)), "{kind}");
        }
    }
}
