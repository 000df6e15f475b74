//! What falls due in a secret by the clock alone, and when.

use crate::{
    domain::{SecretState, Timestamp, VersionId, VersionState},
    records::{SecretBody, Stages, VersionEntry},
};

/// What can be told of an expiry, as bits of [`VersionEntry::expiry_told`]: that it is near, that it is
/// over. The audit log is told once; who subscribes to events is too, even if that was later (csms.md 8.4
/// row 76), so it is noted apart that nobody heard it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Telling {
    logged: u8,
    unheard: u8,
    /// What nobody has to hear any more once this was heard.
    settled: u8,
}

impl Telling {
    /// The version expires soon.
    pub(crate) const NEAR: Self = Self { logged: 1, unheard: 4, settled: 4 };

    /// The version has expired; that it will before long is not worth telling any more.
    pub(crate) const EXPIRED: Self = Self { logged: 3, unheard: 8, settled: 12 };

    /// What is noted when it is told of a version of this secret.
    pub(crate) fn noted(self, secret: &SecretBody, entry: &VersionEntry) -> u8 {
        let told = (entry.expiry_told | self.logged) & !self.settled;
        if secret.event_subscriptions.is_empty() { told | self.unheard } else { told }
    }

    /// Whether it is still to be told of a version of this secret.
    pub(crate) fn is_new(self, secret: &SecretBody, entry: &VersionEntry) -> bool {
        if entry.state == VersionState::Destroyed {
            // There is nothing left that could expire.
            return false;
        }
        let told = entry.expiry_told;
        let to_be_heard = told & self.unheard != 0 && !secret.event_subscriptions.is_empty();
        told & self.logged != self.logged || to_be_heard
    }
}

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
    let is_new = |telling: Telling| telling.is_new(secret, entry);
    let destroyed = entry.state == VersionState::Destroyed;
    if let Some(expires) = entry.expires.filter(|_| is_new(Telling::EXPIRED)) {
        moments.push((expires, Due::Expiry(entry.id)));
        if let Some(near_ms) = near_ms.filter(|_| is_new(Telling::NEAR)) {
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
