//! The record of one value, sealed under a data key that seals nothing else.

use crate::{
    crypto::{Draw, Forged, Key},
    domain::{SecretValue, VersionId},
    format::{Kind, Padding, Tree},
    records::{
        Sealer,
        seal::{SealError, Seat},
        stages::VersionEntry,
    },
    storage::Record,
};

/// What binds a value to its secret and version: `sid ‖ u64(version)`.
fn context(sid: &[u8; 16], version: VersionId) -> [u8; 24] {
    let mut context = [0; 24];
    let (front, back) = context.split_at_mut(16);
    front.copy_from_slice(sid);
    back.copy_from_slice(&version.number().to_be_bytes());
    context
}

pub(crate) fn seal_value(
    sealer: &Sealer,
    (key, value): (&Key, &SecretValue),
    (vrec, sid, version): (u64, &[u8; 16], VersionId),
    revision: u64,
    draw: &mut Draw,
) -> Result<Record, SealError> {
    let (vrec, context) = (vrec.to_be_bytes(), context(sid, version));
    let plain = value.expose();
    let fill = |out: &mut [u8]| {
        out.copy_from_slice(plain);
        Ok(())
    };
    sealer.seal(key, &seat(&vrec, &context), (revision, draw), (plain.len(), fill))
}

/// Opens the value of a row of the version table that is under no named key.
#[cfg(feature = "testing")]
pub(crate) fn open_value(
    sealer: &Sealer,
    sid: &[u8; 16],
    entry: &VersionEntry,
    record: &[u8],
) -> Result<SecretValue, Forged> {
    open_value_with(sealer, &entry.data_key, (sid, entry), record)
}

/// Opens the value of a row of the version table, whose length and kind it must have, with the key that
/// it is sealed under.
pub(crate) fn open_value_with(
    sealer: &Sealer,
    key: &Key,
    (sid, entry): (&[u8; 16], &VersionEntry),
    record: &[u8],
) -> Result<SecretValue, Forged> {
    let (vrec, context) = (entry.vrec.to_be_bytes(), context(sid, entry.id));
    let opened = sealer.open(key, &seat(&vrec, &context), record)?;
    let data = opened.into_data()?;
    if usize::try_from(entry.len) != Ok(data.len()) {
        return Err(Forged);
    }
    SecretValue::from_parts(data, entry.kind).map_err(|_| Forged)
}

fn seat<'a>(vrec: &'a [u8; 8], context: &'a [u8; 24]) -> Seat<'a> {
    Seat {
        kind: Kind::Value,
        generation: 0,
        tree: Tree::Versions,
        tree_key: vrec,
        context,
        padding: Padding::Value,
    }
}
