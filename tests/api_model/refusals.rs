//! Every refusal that the model knows: the kind of the error and its code (csms.md 5.2, 5.3).

/// As [`crate::shown::refused`] writes an error.
pub type Refused = &'static str;

pub const EXISTS: Refused = "AlreadyExists CSMS.0002";
pub const CONFLICT: Refused = "Conflict STRONGROOM.0409";
pub const CONSTRAINT: Refused = "Constraint CSMS.0002";
pub const BUILT_IN_LABEL: Refused = "Constraint CSMS.0105";
pub const DENIED: Refused = "Denied CSMS.0302";
pub const INVALID: Refused = "InvalidArgument CSMS.0002";
pub const NO_USABLE_KEY: Refused = "Key CSMS.0401";
pub const TOO_MUCH: Refused = "LimitExceeded CSMS.0002";
pub const LABELS_FULL: Refused = "LimitExceeded CSMS.0203";
pub const LABELS_LISTED: Refused = "LimitExceeded CSMS.0204";
pub const NO_SECRET: Refused = "NotFound CSMS.0106";
/// A version, a label, an event, a task.
pub const MISSING: Refused = "NotFound CSMS.0005";
pub const NO_TAG: Refused = "NotFound KMS.0416";
pub const NO_KEY: Refused = "NotFound KMS.0207";
pub const PENDING: Refused = "SecretState CSMS.0103";
pub const SCHEDULED: Refused = "SecretState CSMS.0107";
pub const NOT_SCHEDULED: Refused = "SecretState CSMS.0108";
pub const NOT_ENABLED: Refused = "SecretState CSMS.0109";
pub const PROTECTED: Refused = "SecretState STRONGROOM.0403";
pub const DESTROYED: Refused = "VersionState CSMS.0005";
pub const VERSION_NOT_ENABLED: Refused = "VersionState CSMS.0109";
pub const LABELLED: Refused = "VersionState CSMS.0002";
