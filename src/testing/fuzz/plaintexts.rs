//! What is in the specimens: plaintexts that are different for every number.
//!
//! Vectors were made of them, so they never change.

use std::sync::Arc;

use super::{must::Must as _, parts::sample_root, specimens::Sealed};
use crate::{
    crypto::Key,
    domain::{Timestamp, ValueKind, VersionId, VersionState},
    format::{
        AuditV1, LabelNameV1, LabelV1, OperationV1, ROOT_LEN, RootV1, RotationV1, SecretV1,
        StagesV1, TokenV1, VersionV1,
    },
    records::VersionEntry,
};

pub(super) fn name(which: u8) -> String {
    format!("secret-{which}")
}

pub(super) fn sid(which: u8) -> [u8; 16] {
    [0x50 ^ which; 16]
}

pub(super) fn vrec(which: u8) -> u64 {
    u64::from(which).saturating_add(100)
}

pub(super) fn data_key(which: u8) -> Key {
    Key::init_with(|key| key.fill(0xd0 ^ which))
}

const AT_MS: i64 = 1_700_000_000_123;

pub(super) fn data(kind: Sealed, which: u8) -> Vec<u8> {
    let mut out;
    match kind {
        Sealed::Audit => {
            let audit = audit(which);
            out = vec![0; audit.encoded_len().must("it fits")];
            audit.encode_into(&mut out).must("the room is exact");
        }
        Sealed::Root => out = root(which).encode().to_vec(),
        Sealed::Secret => {
            let secret = secret(which);
            out = vec![0; secret.encoded_len().must("it fits")];
            secret.encode_into(&mut out).must("the room is exact");
        }
        Sealed::Stages => {
            let (stages, keys) = (stages(which), [[0xd9; 32], *data_key(which).expose()]);
            out = vec![0; stages.encoded_len().must("it fits")];
            stages.encode_into(keys.iter(), &mut out).must("the room is exact");
        }
        Sealed::Value => out = value(which).into_bytes(),
    }
    out
}

fn value(which: u8) -> String {
    format!(r#"{{"users":[{{"name":"app","password":"p-{which}"}}]}}"#)
}

pub(super) fn entry(which: u8) -> VersionEntry {
    VersionEntry {
        id: VersionId::from_number(2).must("versions begin at 1"),
        created: Timestamp::from_millis(AT_MS),
        expires: None,
        vrec: vrec(which),
        len: u32::try_from(value(which).len()).must("it is short"),
        kind: ValueKind::Text,
        state: VersionState::Enabled,
        kms_key_id: None,
        not_before: None,
        destruction: None,
        expiry_told: 0,
        data_key: Arc::new(data_key(which)),
    }
}

fn audit(which: u8) -> AuditV1 {
    AuditV1 {
        time_ms: AT_MS,
        operation: OperationV1::RotateSecret,
        name: name(which),
        sid: sid(which),
        version: 2,
        actor: String::new(),
        detail: String::new(),
        subject: None,
    }
}

pub(super) fn root(which: u8) -> RootV1 {
    const _: () = assert!(ROOT_LEN == 208, "the vectors were made of this one");
    RootV1 {
        seq: u64::from(which).saturating_add(40),
        leaves: 8,
        secrets: 4,
        next_vrec: 200,
        time_ms: AT_MS,
        ..sample_root()
    }
}

fn secret(which: u8) -> SecretV1 {
    SecretV1 {
        name: name(which),
        sid: sid(which),
        secret_type: "RDS-FG".to_owned(),
        description: "an account".to_owned(),
        created_ms: AT_MS,
        updated_ms: AT_MS,
        kms_key_id: None,
        enterprise_project_id: None,
        rotation: RotationV1::default(),
        event_subscriptions: Vec::new(),
        tags: vec![("team".to_owned(), "orders".to_owned())],
        purge_protected: false,
        keep_versions: None,
        keep_ms: None,
        deletion_ms: None,
    }
}

fn stages(which: u8) -> StagesV1 {
    let label = |name, version| LabelV1 { name, version, moved_ms: AT_MS };
    let version = |number: u64, vrec| VersionV1 {
        number,
        created_ms: AT_MS,
        expires_ms: None,
        vrec,
        len: u32::try_from(value(which).len()).unwrap_or(0),
        value_kind: 0,
        state: 0,
        kms_key_id: None,
        not_before_ms: None,
        destroy_ms: None,
        expiry_told: 0,
    };
    StagesV1 {
        sid: sid(which),
        state: 0,
        next_version: 3,
        updated_ms: AT_MS,
        rotated_ms: None,
        deletion_ms: None,
        labels: vec![label(LabelNameV1::Current, 2), label(LabelNameV1::Previous, 1)],
        versions: vec![version(1, 50), version(2, vrec(which))],
        tokens: vec![TokenV1 { token: [0x70; 16], request: [0x71; 16], version: 2 }],
    }
}
