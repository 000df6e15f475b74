//! What falls due in a secret by the clock alone, and when.

use crate::{
    domain::{SecretState, Timestamp, VersionId, VersionState},
    records::{SecretBody, Stages, VersionEntry},
};

/// Bit of [`VersionEntry::expiry_told`]: that the version expires soon was told.
pub(crate) const TOLD_NEAR: u8 = 1;

/// Bit of [`VersionEntry::expiry_told`]: that the version has expired was told.
pub(crate) const TOLD_EXPIRED: u8 = 2;

/// Something that is to happen at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    /// The secret is to be removed.
    Deletion,
    /// A version is to be destroyed.
    Destruction(VersionId),
    /// A version expires.
    Expiry(VersionId),
    /// A version will expire before long.
    NearExpiry(VersionId),
    /// A version has been kept as long as the secret keeps those without a label, or there are more than
    /// it keeps.
    Retention(VersionId),
    /// The secret is to be rotated.
    Rotation,
}

/// Everything that is to happen to a secret as it is, in no order. `near_ms` is how long before its
/// expiry a version is near it; none if that is not to be told.
///
/// While a deletion is scheduled nothing else falls due, and in a frozen secret nothing at all.
pub(crate) fn moments(
    secret: &SecretBody,
    stages: &Stages,
    near_ms: Option<i64>,
) -> Vec<(Timestamp, Due)> {
    let mut moments = Vec::new();
    match (stages.deletion, stages.state()) {
        (Some(at), _) => moments.push((at, Due::Deletion)),
        (None, SecretState::Frozen) => {}
        (None, _) => {
            for entry in &stages.versions {
                of_version(secret, stages, entry, near_ms, &mut moments);
            }
            let beyond = stages.beyond(secret.keep_versions);
            moments.extend(beyond.map(|entry| (entry.created, Due::Retention(entry.id))));
            moments.extend(next_rotation(secret, stages).map(|at| (at, Due::Rotation)));
        }
    }
    moments
}

fn of_version(
    secret: &SecretBody,
    stages: &Stages,
    entry: &VersionEntry,
    near_ms: Option<i64>,
    moments: &mut Vec<(Timestamp, Due)>,
) {
    let told = |bit: u8| entry.expiry_told & bit != 0;
    let destroyed = entry.state == VersionState::Destroyed;
    if let Some(expires) = entry.expires.filter(|_| !destroyed && !told(TOLD_EXPIRED)) {
        moments.push((expires, Due::Expiry(entry.id)));
        if let Some(near_ms) = near_ms.filter(|_| !told(TOLD_NEAR)) {
            moments.push((before(expires, near_ms), Due::NearExpiry(entry.id)));
        }
    }
    // A labelled version is in use, whatever is scheduled for it.
    if stages.labels.is_labelled(entry.id) {
        return;
    }
    if let Some(at) = entry.destruction.filter(|_| !destroyed) {
        moments.push((at, Due::Destruction(entry.id)));
    }
    if let Some(keep_ms) = secret.keep_ms {
        moments.push((after(entry.created, keep_ms), Due::Retention(entry.id)));
    }
}

/// When the secret is to be rotated next, if it is by itself. Only an enabled one is.
pub(crate) fn next_rotation(secret: &SecretBody, stages: &Stages) -> Option<Timestamp> {
    match stages.state() {
        SecretState::Enabled => secret.rotation.next(stages.rotated),
        _ => None,
    }
}

fn before(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_sub(millis))
}

/// The time so many milliseconds later, or the last one.
pub(crate) fn after(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(millis))
}
