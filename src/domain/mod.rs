//! The words of the crate: names, versions, stages, values, limits, time.
//!
//! Whatever is built here is valid. Nothing here does I/O or draws random numbers, and only
//! [`SystemClock`] reads a clock. What callers of the crate see is re-exported below; the rest
//! is reached by its module.

pub(crate) mod action;
pub(crate) mod anchor;
pub(crate) mod blob;
pub(crate) mod calendar;
pub(crate) mod description;
pub(crate) mod event;
pub(crate) mod key_id;
pub(crate) mod kind;
pub(crate) mod lifecycle;
pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod operation;
pub(crate) mod password;
pub(crate) mod password_policy_name;
pub(crate) mod password_request;
pub(crate) mod planted;
pub(crate) mod position;
pub(crate) mod project;
pub(crate) mod retention;
pub(crate) mod rotation_config;
pub(crate) mod rotation_period;
pub(crate) mod rotation_policy;
pub(crate) mod rotation_task;
pub(crate) mod stage;
pub(crate) mod tag;
pub(crate) mod time;
pub(crate) mod uuid;
pub(crate) mod value;
pub(crate) mod version;

pub use self::action::{Action, ActionError};
pub use self::anchor::{Anchor, AnchorError, Expect};
pub use self::blob::{SecretBlob, SecretBlobError};
pub use self::description::{Description, DescriptionError};
pub use self::event::{
    EventName, EventNameError, EventState, EventType, EventTypeError, NotificationTarget,
    NotificationTargetError,
};
pub use self::key_id::{KeyId, KeyIdError, KeyState};
pub use self::kind::{CustomType, SecretType, SecretTypeError};
pub use self::lifecycle::{SecretState, StateRefusal, VersionState};
pub use self::limits::{Limits, LimitsError};
pub use self::name::{NameSyntax, SecretName, SecretNameError};
pub use self::operation::{AuditOperation, AuditOperationError};
pub use self::password::{PasswordPolicy, PasswordPolicyError};
pub use self::password_policy_name::{PasswordPolicyName, PasswordPolicyNameError};
pub use self::password_request::{PasswordRequest, PasswordRequestError, SignClass};
pub use self::position::{Position, PositionError};
pub use self::project::{EnterpriseProjectId, EnterpriseProjectIdError};
pub use self::retention::{RecoveryWindow, Retention};
pub use self::rotation_config::{
    FunctionUrn, FunctionUrnError, RotationConfig, RotationConfigError, SecretSubType,
};
pub use self::rotation_period::{RotationPeriod, RotationPeriodError};
pub use self::rotation_policy::RotationRules;
pub use self::rotation_task::{TaskId, TaskIdError, TaskStatus};
pub use self::stage::{Label, Stage, StageNameError};
pub use self::tag::{Tag, TagError, TagFilter, TagKey, TagValue, TagValues};
pub use self::time::{Clock, ExpireTimeError, SystemClock, Timestamp};
pub use self::value::{SecretValue, ValueKind};
pub use self::version::{VersionId, VersionIdError, VersionRef};

pub(crate) use self::blob::{BLOB_LEN_MAX, text_len as blob_text_len};
pub(crate) use self::limits::{
    BATCH_MAX, EVENTS_MAX, NOTICES_KEPT_MS, PAGE_DEFAULT, PAGE_MAX, SUBSCRIPTIONS_MAX,
};
pub(crate) use self::limits::{
    DATA_KEY_LEN_MAX_BYTES, DATA_KEY_LEN_MIN_BYTES, KEY_ALIAS_LEN_MAX, KEY_CONTEXT_LEN_MAX_BYTES,
    KEYS_MAX, POLICY_ENTRIES_MAX, POLICY_LEN_MAX_BYTES, POLICY_PATTERN_LEN_MAX,
    POLICY_STATEMENTS_MAX, PRINCIPAL_LEN_MAX, SESSION_POLICIES_MAX,
};
pub(crate) use self::{
    calendar::iso8601,
    key_id::KeyTrouble,
    lifecycle::Usage,
    retention::MILLIS_A_DAY,
    rotation_policy::{Mode, RotationPolicy, RotationRuleError},
    rotation_task::{AfterFailure, OpenTask, TaskNote},
    stage::{Placed, Placement, StageError, StageMap},
    tag::{FILTERS_MAX, TAGS_MAX},
    time::{expire_time, not_before},
    uuid::{parse_uuid, uuid_text},
};
