//! Every bound of the crate, the unit last, and the few that a store may set otherwise.

use crate::domain::name::NameSyntax;

/// The longest name of a secret, in signs (csms.md 1.2).
pub(crate) const NAME_LEN_MAX: usize = 64;
/// The longest name of a stage, in signs (csms.md 1.5).
pub(crate) const STAGE_LEN_MAX: usize = 64;
/// The longest name of a secret type that an embedder makes up, in signs. Ours, not CSMS's.
pub(crate) const CUSTOM_TYPE_LEN_MAX: usize = 32;
/// The longest description, in bytes of UTF-8 (csms.md 7.33).
pub(crate) const DESCRIPTION_LEN_MAX_BYTES: usize = 2048;

/// The longest value unless [`Limits`] says otherwise, in bytes (csms.md 7.5).
pub(crate) const VALUE_LEN_DEFAULT_BYTES: usize = 32 * 1024;
/// The longest value that [`Limits`] can allow, in bytes.
pub(crate) const VALUE_LEN_MAX_BYTES: usize = 1024 * 1024;

/// Versions kept of a secret unless [`Limits`] says otherwise (csms.md 1.12).
pub(crate) const VERSIONS_DEFAULT: usize = 20;
/// The fewest versions that [`Limits`] can ask for: the current and the previous one.
pub(crate) const VERSIONS_FLOOR: usize = 2;
/// The most versions of a secret that [`Limits`] can allow.
pub(crate) const VERSIONS_CEILING: usize = 128;
/// The largest version number: `v` and 10 digits (csms.md 1.4).
pub(crate) const VERSION_NUMBER_MAX: u64 = 9_999_999_999;
/// The most digits of a version number.
pub(crate) const VERSION_DIGITS_MAX: usize = 10;

/// Labels of a secret, built-in ones included, unless [`Limits`] says otherwise
/// (csms.md 8.1 row 10).
pub(crate) const LABELS_DEFAULT: usize = 12;
/// The fewest labels that [`Limits`] can ask for: SYSCURRENT and SYSPREVIOUS.
pub(crate) const LABELS_FLOOR: usize = 2;
/// The most labels of a secret that [`Limits`] can allow.
pub(crate) const LABELS_CEILING: usize = 32;

/// The longest name of a password policy, in signs.
pub(crate) const PASSWORD_POLICY_NAME_LEN_MAX: usize = 64;

/// The longest name of an event, in signs (csms.md 1.7).
pub(crate) const EVENT_NAME_LEN_MAX: usize = 64;
/// The longest id of a notification target, in signs (csms.md 1.7).
pub(crate) const TARGET_ID_LEN_MAX: usize = 256;
/// The longest name of a notification target, in signs (csms.md 1.7).
pub(crate) const TARGET_NAME_LEN_MAX: usize = 64;
/// Most events of a store (csms.md 1.12).
pub(crate) const EVENTS_MAX: usize = 30;
/// Most events that a secret subscribes to (csms.md 1.12).
pub(crate) const SUBSCRIPTIONS_MAX: usize = 1;
/// How long the records of notifications are kept: three months, in milliseconds (csms.md 1.12).
pub(crate) const NOTICES_KEPT_MS: i64 = 92 * 24 * 60 * 60 * 1000;

/// Entries of a page of a listing when the caller names no number (csms.md 1.12).
pub(crate) const PAGE_DEFAULT: usize = 50;
/// The most entries of a page of a listing (csms.md 1.12).
pub(crate) const PAGE_MAX: usize = 1000;

/// The most secrets that one call reads or relabels together (csms.md 1.12).
pub(crate) const BATCH_MAX: usize = 20;

/// The latest time at which a version can expire, in milliseconds since 1970 (csms.md 1.4).
pub(crate) const EXPIRE_TIME_MAX_MS: i64 = 9_999_999_999_999;

/// The shortest wait of a scheduled deletion, in days (csms.md 1.12).
pub(crate) const DELETION_WAIT_MIN_DAYS: u32 = 7;
/// The longest wait of a scheduled deletion, in days (csms.md 1.12).
pub(crate) const DELETION_WAIT_MAX_DAYS: u32 = 30;
/// The wait of a scheduled deletion when the caller names none, in days (csms.md 7.28).
pub(crate) const DELETION_WAIT_DEFAULT_DAYS: u32 = 30;

/// The shortest and the longest id of a key, in signs (csms.md 7.34).
pub(crate) const KEY_ID_LEN_MIN: usize = 2;
pub(crate) const KEY_ID_LEN_MAX: usize = 64;
/// The longest alias of a key, in signs. Ours, like the next four.
pub(crate) const KEY_ALIAS_LEN_MAX: usize = 255;
/// The most keys of the local ring.
pub(crate) const KEYS_MAX: usize = 100;
/// The longest context of a data key, in bytes: what the cloud's key manager takes.
pub(crate) const KEY_CONTEXT_LEN_MAX_BYTES: usize = 128;
/// The shortest and the longest data key, in bytes.
pub(crate) const DATA_KEY_LEN_MIN_BYTES: usize = 16;
pub(crate) const DATA_KEY_LEN_MAX_BYTES: usize = 512;
/// The longest name of a principal, in signs. Ours, not CSMS's.
pub(crate) const PRINCIPAL_LEN_MAX: usize = 128;
/// The longest policy, in bytes of JSON. Ours, like the next three.
pub(crate) const POLICY_LEN_MAX_BYTES: usize = 16 * 1024;
/// The most statements of a policy.
pub(crate) const POLICY_STATEMENTS_MAX: usize = 64;
/// The most actions, and the most resources, of a statement.
pub(crate) const POLICY_ENTRIES_MAX: usize = 128;
/// The longest pattern of an action or a name, in signs.
pub(crate) const POLICY_PATTERN_LEN_MAX: usize = 128;
/// The most policies of a session.
pub(crate) const SESSION_POLICIES_MAX: usize = 32;

/// The shortest generated password, in signs (crypto.md 9).
pub(crate) const PASSWORD_LEN_MIN: usize = 8;
/// The length of a generated password when nothing else is asked, in signs (crypto.md 9).
pub(crate) const PASSWORD_LEN_DEFAULT: usize = 24;
/// The longest generated password, in signs.
pub(crate) const PASSWORD_LEN_MAX: usize = 128;
/// A policy that leaves fewer bits to chance is refused (crypto.md 9).
pub(crate) const PASSWORD_ENTROPY_MIN_BITS: f64 = 64.0;
/// A policy that accepts a smaller share of random passwords is refused: the generator would
/// run out of its tries. At one in twenty, fewer than one in 10^22 calls do.
pub(crate) const PASSWORD_ACCEPTED_MIN: f64 = 0.05;
/// Candidates that the generator draws before it gives up (crypto.md 9).
pub(crate) const PASSWORD_TRIES_MAX: usize = 1000;
/// The length of a password that is asked for by itself, in signs (csms.md 3.8).
pub(crate) const PASSWORD_REQUEST_LEN_DEFAULT: usize = 32;
/// The longest such password, in signs (csms.md 8.3 row 66).
pub(crate) const PASSWORD_REQUEST_LEN_MAX: usize = 4096;
/// The most signs that such a request excludes: as many as AWS takes.
pub(crate) const PASSWORD_EXCLUDED_MAX: usize = 4096;

/// The shortest time between two automatic rotations, in milliseconds (csms.md 4.1).
pub(crate) const ROTATION_PERIOD_MIN_MS: i64 = 6 * 60 * 60 * 1000;
/// The longest time between two automatic rotations, in milliseconds (csms.md 4.1).
pub(crate) const ROTATION_PERIOD_MAX_MS: i64 = 8760 * 60 * 60 * 1000;
/// The longest text of a rotation period, in signs (csms.md 4.1).
pub(crate) const ROTATION_PERIOD_LEN_MAX: usize = 50;
/// The longest rotation configuration, in characters (csms.md 1.12).
pub(crate) const ROTATION_CONFIG_LEN_MAX: usize = 1024;
/// The longest name of a rotation function, in signs. CSMS documents none.
pub(crate) const FUNCTION_URN_LEN_MAX: usize = 256;
/// How often a rotation that is due is tried before it counts as failed (csms.md 8.3 row 63).
pub(crate) const ROTATION_ATTEMPTS_MAX: u32 = 3;
/// The wait after the first attempt that failed, in milliseconds; after the second it is four times
/// as long. CSMS documents none.
pub(crate) const ROTATION_BACK_OFF_MS: i64 = 60 * 1000;
/// The longest error that a rotation task keeps, in characters.
pub(crate) const TASK_ERROR_LEN_MAX: usize = 256;
/// How long rotation tasks that ended are told of, in milliseconds: three months
/// (csms.md 8.3 row 65).
pub(crate) const TASKS_KEPT_MS: i64 = 92 * 24 * 60 * 60 * 1000;

const _: () = {
    assert!(VALUE_LEN_DEFAULT_BYTES <= VALUE_LEN_MAX_BYTES);
    assert!(VERSIONS_FLOOR <= VERSIONS_DEFAULT && VERSIONS_DEFAULT <= VERSIONS_CEILING);
    assert!(LABELS_FLOOR <= LABELS_DEFAULT && LABELS_DEFAULT <= LABELS_CEILING);
    // By default a version without a label is always there to make room (csms.md 8.1 row 1).
    assert!(LABELS_DEFAULT < VERSIONS_DEFAULT);
    assert!(VERSION_NUMBER_MAX < 10_u64.pow(10) && VERSION_NUMBER_MAX >= 10_u64.pow(9));
    assert!(VERSION_DIGITS_MAX == 10);
    assert!(PAGE_DEFAULT <= PAGE_MAX);
    assert!(EXPIRE_TIME_MAX_MS == 10_i64.pow(13) - 1);
    assert!(DELETION_WAIT_MIN_DAYS <= DELETION_WAIT_DEFAULT_DAYS);
    assert!(DELETION_WAIT_DEFAULT_DAYS <= DELETION_WAIT_MAX_DAYS);
    assert!(PASSWORD_LEN_MIN <= PASSWORD_LEN_DEFAULT && PASSWORD_LEN_DEFAULT <= PASSWORD_LEN_MAX);
    assert!(Limits::SECRETS_QUOTA_2023 < Limits::SECRETS_QUOTA_2025);
    assert!(Limits::SECRETS_QUOTA_2025 < Limits::SECRETS_QUOTA_2026);
};

/// The bounds of a store in which the documents of CSMS disagree, or which its owner may set
/// (csms.md 1.12).
///
/// The default is what CSMS does. Bounds that are not listed here cannot be changed.
///
/// | bound | default | may be |
/// | --- | --- | --- |
/// | [`value_len_max_bytes`](Self::value_len_max_bytes) | 32 KiB | 1 byte to 1 MiB |
/// | [`versions_max`](Self::versions_max) | 20 | 2 to 128 |
/// | [`labels_max`](Self::labels_max) | 12 | 2 to 32 |
/// | [`secrets_max`](Self::secrets_max) | none | none, or any number |
/// | [`name_syntax`](Self::name_syntax) | [`NameSyntax::Current`] | see [`NameSyntax`] |
/// | [`rotation_config_required`](Self::rotation_config_required) | no | no, yes |
///
/// # Examples
///
/// ```
/// use strongroom::Limits;
///
/// let limits = Limits::default()
///     .with_value_len_max_bytes(64 * 1024)?
///     .with_secrets_max(Some(Limits::SECRETS_QUOTA_2026));
/// assert_eq!(limits.versions_max(), 20);
/// assert!(limits.with_labels_max(33).is_err());
/// # Ok::<(), strongroom::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    value_len_max_bytes: usize,
    versions_max: usize,
    labels_max: usize,
    secrets_max: Option<usize>,
    name_syntax: NameSyntax,
    rotation_config_required: bool,
}

impl Limits {
    /// Secrets of one user by the documents of 2023 (csms.md 7.6).
    pub const SECRETS_QUOTA_2023: usize = 200;
    /// Secrets of one user by the international documents of 2025 (csms.md 7.6).
    pub const SECRETS_QUOTA_2025: usize = 500;
    /// Secrets of one user by the Chinese documents of 2026 (csms.md 7.6).
    pub const SECRETS_QUOTA_2026: usize = 5000;

    /// Sets the longest value, in bytes as a value is measured: UTF-8 for text, the base64
    /// text for binary (csms.md 7.5, 8.1 row 23).
    ///
    /// # Errors
    ///
    /// [`LimitsError`] unless it is 1 to 1,048,576.
    pub fn with_value_len_max_bytes(self, len: usize) -> Result<Self, LimitsError> {
        let value_len_max_bytes = within("value_len_max_bytes", len, 1, VALUE_LEN_MAX_BYTES)?;
        Ok(Self { value_len_max_bytes, ..self })
    }

    /// Sets how many versions of a secret are kept (csms.md 8.1 row 1).
    ///
    /// With as many labels as versions, or more, every version may bear a label; then there is
    /// none to drop, and a new version is refused until a label is moved or removed.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] unless it is 2 to 128.
    pub fn with_versions_max(self, versions: usize) -> Result<Self, LimitsError> {
        let versions_max = within("versions_max", versions, VERSIONS_FLOOR, VERSIONS_CEILING)?;
        Ok(Self { versions_max, ..self })
    }

    /// Sets how many labels a secret may have, built-in ones included (csms.md 8.1 row 10).
    ///
    /// With two, SYSCURRENT and SYSPREVIOUS, there is no room for SYSPENDING or one of your own.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] unless it is 2 to 32.
    pub fn with_labels_max(self, labels: usize) -> Result<Self, LimitsError> {
        let labels_max = within("labels_max", labels, LABELS_FLOOR, LABELS_CEILING)?;
        Ok(Self { labels_max, ..self })
    }

    /// Sets how many secrets the store may hold; `None` for as many as there is room for.
    ///
    /// The quotas that CSMS documents are [`SECRETS_QUOTA_2023`](Self::SECRETS_QUOTA_2023) and
    /// its neighbours (csms.md 7.6).
    #[must_use]
    pub fn with_secrets_max(self, secrets: Option<usize>) -> Self {
        Self { secrets_max: secrets, ..self }
    }

    /// Sets which signs a secret's name may have (csms.md 7.1).
    #[must_use]
    pub fn with_name_syntax(self, syntax: NameSyntax) -> Self {
        Self { name_syntax: syntax, ..self }
    }

    /// Sets whether a new secret of type `RDS-FG` or `GaussDB-FG` must have a rotation configuration
    /// (csms.md 4.1).
    ///
    /// CSMS asks for it, since its rotation finds the database instance there. This store changes no
    /// database by itself and needs none, so by default it does not ask.
    #[must_use]
    pub fn with_rotation_config_required(self, required: bool) -> Self {
        Self { rotation_config_required: required, ..self }
    }

    /// The longest value, in bytes as a value is measured.
    #[must_use]
    pub fn value_len_max_bytes(&self) -> usize {
        self.value_len_max_bytes
    }

    /// How many versions of a secret are kept.
    #[must_use]
    pub fn versions_max(&self) -> usize {
        self.versions_max
    }

    /// How many labels a secret may have, built-in ones included.
    #[must_use]
    pub fn labels_max(&self) -> usize {
        self.labels_max
    }

    /// How many secrets the store may hold; `None` for as many as there is room for.
    #[must_use]
    pub fn secrets_max(&self) -> Option<usize> {
        self.secrets_max
    }

    /// Which signs a secret's name may have.
    #[must_use]
    pub fn name_syntax(&self) -> NameSyntax {
        self.name_syntax
    }

    /// Whether a new database secret must have a rotation configuration.
    #[must_use]
    pub fn rotation_config_required(&self) -> bool {
        self.rotation_config_required
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_len_max_bytes: VALUE_LEN_DEFAULT_BYTES,
            versions_max: VERSIONS_DEFAULT,
            labels_max: LABELS_DEFAULT,
            secrets_max: None,
            name_syntax: NameSyntax::Current,
            rotation_config_required: false,
        }
    }
}

/// A bound was asked for that the store cannot keep.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{limit} may be {min} to {max}, not {asked}")]
pub struct LimitsError {
    /// What is bounded: for a bound of [`Limits`], the getter's name.
    pub limit: &'static str,
    /// What was asked for.
    pub asked: usize,
    /// The least that is possible.
    pub min: usize,
    /// The most that is possible.
    pub max: usize,
}

/// Takes a number within its bounds.
pub(crate) fn within(
    limit: &'static str,
    asked: usize,
    min: usize,
    max: usize,
) -> Result<usize, LimitsError> {
    if (min..=max).contains(&asked) {
        Ok(asked)
    } else {
        Err(LimitsError { limit, asked, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_csms() {
        let limits = Limits::default();
        assert_eq!(limits.value_len_max_bytes(), 32_768);
        assert_eq!(limits.versions_max(), 20);
        assert_eq!(limits.labels_max(), 12);
        assert_eq!(limits.secrets_max(), None);
        assert_eq!(limits.name_syntax(), NameSyntax::Current);
    }

    #[test]
    fn bounds_are_refused_outside_their_range() {
        type Set = fn(Limits, usize) -> Result<Limits, LimitsError>;
        type Got = fn(&Limits) -> usize;
        let cases: &[(&str, Set, Got, usize, usize)] = &[
            (
                "value_len_max_bytes",
                Limits::with_value_len_max_bytes,
                Limits::value_len_max_bytes,
                1,
                1_048_576,
            ),
            ("versions_max", Limits::with_versions_max, Limits::versions_max, 2, 128),
            ("labels_max", Limits::with_labels_max, Limits::labels_max, 2, 32),
        ];
        for &(limit, set, got, min, max) in cases {
            for good in [min, max] {
                let limits = set(Limits::default(), good).unwrap();
                assert_eq!(got(&limits), good, "case: {limit} {good}");
            }
            for asked in [min - 1, max + 1] {
                let want = Err(LimitsError { limit, asked, min, max });
                assert_eq!(set(Limits::default(), asked), want, "case: {limit} {asked}");
            }
        }
    }

    #[test]
    fn setting_one_bound_leaves_the_others() {
        let limits = Limits::default()
            .with_name_syntax(NameSyntax::WithDots)
            .with_secrets_max(Some(0))
            .with_labels_max(3)
            .unwrap();
        assert_eq!(limits.name_syntax(), NameSyntax::WithDots);
        assert_eq!(limits.secrets_max(), Some(0));
        assert_eq!(limits.labels_max(), 3);
        assert_eq!(limits.versions_max(), VERSIONS_DEFAULT);
    }

    #[test]
    fn the_error_names_the_bound() {
        let err = Limits::default().with_labels_max(1).unwrap_err();
        assert_eq!(err.to_string(), "labels_max may be 2 to 32, not 1");
    }
}
