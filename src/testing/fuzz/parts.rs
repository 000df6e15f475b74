//! Private parts of the crate, made reachable: plaintexts, seals, and valid bytes of every file.

use crate::{
    crypto::{Draw, Envelope, Header, Key, Place, Sealing},
    format::{
        AuditV1, FrameBuilder, KeyFile, LabelNameV1, LabelV1, Malformed, OperationV1, Padding,
        RootV1, RotationV1, SecretV1, SegmentHeader, SlotRecord, StagesV1, SubjectV1, TaskV1,
        TokenV1, VersionV1, unframe, write_frame,
    },
};

/// A kind of record whose plaintext has a structure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "named for the records of the format")]
pub enum RecordKind {
    Audit,
    Root,
    Secret,
    Stages,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Audit, Self::Root, Self::Secret, Self::Stages];

    /// Its name, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Root => "root",
            Self::Secret => "secret",
            Self::Stages => "stages",
        }
    }
}

/// The plaintext of a record, decoded.
#[derive(Debug, Eq, PartialEq)]
pub struct Plaintext(Inner);

#[derive(Debug, Eq, PartialEq)]
enum Inner {
    Audit(AuditV1),
    Root(RootV1),
    Secret(Box<SecretV1>),
    Stages(StagesV1, Vec<[u8; 32]>),
}

impl Plaintext {
    /// One with every field in use. It never changes: golden files were made of it.
    #[must_use]
    pub fn sample(kind: RecordKind) -> Self {
        Self(match kind {
            RecordKind::Audit => Inner::Audit(sample_audit()),
            RecordKind::Root => Inner::Root(sample_root()),
            RecordKind::Secret => Inner::Secret(Box::new(sample_secret())),
            RecordKind::Stages => Inner::Stages(sample_stages(), vec![[0xd1; 32], [0xd2; 32]]),
        })
    }

    /// What `bytes` are as a plaintext of this kind, if they are one.
    #[must_use]
    pub fn decode(kind: RecordKind, bytes: &[u8]) -> Option<Self> {
        let inner = match kind {
            RecordKind::Audit => Inner::Audit(AuditV1::decode(bytes).ok()?),
            RecordKind::Root => Inner::Root(RootV1::decode(bytes).ok()?),
            RecordKind::Secret => Inner::Secret(Box::new(SecretV1::decode(bytes).ok()?)),
            RecordKind::Stages => {
                let (stages, keys) = StagesV1::decode(bytes).ok()?;
                Inner::Stages(stages, keys.filter_map(|key| key.try_into().ok()).collect())
            }
        };
        Some(Self(inner))
    }

    /// The bytes, or `None` if they would not fit.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        self.try_encode().ok()
    }

    fn try_encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out;
        match &self.0 {
            Inner::Audit(audit) => {
                out = vec![0; audit.encoded_len()?];
                audit.encode_into(&mut out)?;
            }
            Inner::Root(root) => out = root.encode().to_vec(),
            Inner::Secret(secret) => {
                out = vec![0; secret.encoded_len()?];
                secret.encode_into(&mut out)?;
            }
            Inner::Stages(stages, keys) => {
                out = vec![0; stages.encoded_len()?];
                stages.encode_into(keys.iter(), &mut out)?;
            }
        }
        Ok(out)
    }
}

/// Seals and opens values under a fixed key for a fixed place.
#[derive(Debug)]
pub struct Seals {
    key: Key,
}

impl Seals {
    const STORE_ID: [u8; 16] = [0x51; 16];
    const HEADER: Header = Header { kind: 0x20, generation: 0, revision: 7 };

    /// Whatever it is used for, it is the same.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "nobody needs one by default")]
    pub fn new() -> Self {
        Self { key: Key::init_with(|key| key.fill(0x5e)) }
    }

    /// A sealed record with this value, under a fresh nonce.
    #[must_use]
    pub fn seal(&self, value: &[u8]) -> Option<Vec<u8>> {
        self.seal_with(value, Draw::new(24).ok()?.take().ok()?)
    }

    /// A sealed record with this value, under this nonce: only for bytes that must be the same again.
    #[must_use]
    pub fn seal_with(&self, value: &[u8], nonce: [u8; 24]) -> Option<Vec<u8>> {
        let mut sealing = Sealing::new(Padding::Value.frame_len(value.len()));
        write_frame(sealing.plaintext_mut(), value.len()).ok()?.copy_from_slice(value);
        sealing.seal(&self.key, &Self::HEADER, nonce, &Self::place()).ok()
    }

    /// The value in a record, if it was sealed here.
    #[must_use]
    pub fn open(&self, record: &[u8]) -> Option<Vec<u8>> {
        let opened = Envelope::parse(record).ok()?.open(&self.key, &Self::place()).ok()?;
        unframe(&opened, Padding::Value).ok().map(<[u8]>::to_vec)
    }

    fn place() -> Place<'static> {
        Place {
            store_id: &Self::STORE_ID,
            tree: 0x20,
            key: &[0, 0, 0, 0, 0, 0, 0, 9],
            context: &[],
        }
    }
}

/// A key file with a raw slot and a passphrase slot. Nothing in it opens.
#[must_use]
pub fn key_file() -> Option<Vec<u8>> {
    let slot = |id: u32, parameters: Vec<u8>| SlotRecord {
        id,
        slot_type: if parameters.is_empty() { 1 } else { 2 },
        label: format!("slot {id}"),
        created_s: 1_700_000_000,
        parameters,
        salt: [0x5a; 32],
        commitment: [0xc0; 32],
        nonce: [0x0e; 24],
        wrapped: [0x7f; 48],
    };
    let file = KeyFile {
        store_id: [0x51; 16],
        ring_seq: 3,
        slots: vec![slot(1, Vec::new()), slot(2, vec![0x13; 29])],
        ring_nonce: [0x0f; 24],
        sealed_ring: vec![0xee; 150],
    };
    file.encode().ok()
}

/// The header block of a segment. Its mac is 32 times 0xac: no key is known here.
#[must_use]
pub fn segment_header() -> Vec<u8> {
    sample_segment().encode(&|_| [0xac; 32])
}

/// A frame of that segment with two writes and a removal, and such a mac.
#[must_use]
pub fn frame() -> Option<Vec<u8>> {
    sample_frame().ok()?.finish(43, &sample_segment(), &|_| [0xac; 32]).ok()
}

/// The payload of that frame.
#[must_use]
pub fn payload() -> Option<Vec<u8>> {
    const HEAD_BYTES: usize = 12;
    let frame = frame()?;
    let len = usize::try_from(u32::from_be_bytes(*frame.first_chunk()?)).ok()?;
    frame.get(HEAD_BYTES..)?.get(..len).map(<[u8]>::to_vec)
}

pub(super) fn sample_segment() -> SegmentHeader {
    SegmentHeader {
        store_id: [0x51; 16],
        number: 5,
        salt: [0x5a; 16],
        base_seq: 42,
        base_chain: [0xca; 32],
    }
}

fn sample_frame() -> Result<FrameBuilder, Malformed> {
    let mut frame = FrameBuilder::with_capacity(512);
    frame.push(0x11, &[0x1d; 16], Some(&[0x88; 120]))?;
    frame.push(0x20, &[0, 0, 0, 0, 0, 0, 0, 9], Some(&[0x99; 200]))?;
    frame.push(0x20, &[0, 0, 0, 0, 0, 0, 0, 8], None)?;
    Ok(frame)
}

fn sample_audit() -> AuditV1 {
    AuditV1 {
        time_ms: 1_700_000_000_123,
        operation: OperationV1::RotateSecret,
        name: "orders-db".to_owned(),
        sid: [0x1d; 16],
        version: 2,
        actor: "service".to_owned(),
        detail: "on schedule".to_owned(),
        subject: Some(SubjectV1 {
            events: vec!["all".to_owned()],
            secret_type: "RDS-FG".to_owned(),
            created_ms: 1_700_000_000_000,
            updated_ms: 1_700_000_000_123,
            expires_ms: Some(1_800_000_000_000),
        }),
    }
}

pub(super) fn sample_root() -> RootV1 {
    RootV1 {
        epoch: 1,
        seq: 42,
        leaves: 6,
        secrets: 3,
        next_vrec: 17,
        audit_first_seq: 1,
        audit_first_chain: [0xa1; 32],
        set_hash: [0xa2; 32],
        chain: [0xa3; 32],
        ring_seq: 3,
        ring_digest: [0xa4; 32],
        kek_active: 1,
        kek_floor: 1,
        time_ms: -1,
    }
}

fn sample_secret() -> SecretV1 {
    SecretV1 {
        name: "orders-db".to_owned(),
        sid: [0x1d; 16],
        secret_type: "RDS-FG".to_owned(),
        description: "the orders' database".to_owned(),
        created_ms: 1_700_000_000_123,
        updated_ms: 1_700_000_001_123,
        kms_key_id: Some("key-1".to_owned()),
        enterprise_project_id: Some("0".to_owned()),
        rotation: RotationV1 {
            period: Some("30d".to_owned()),
            config: Some("{}".to_owned()),
            function_urn: Some("urn:f".to_owned()),
            automatic_since_ms: Some(1_700_000_000_123),
            put_off_ms: Some(1_700_000_001_123),
            task: Some(TaskV1 {
                id: [0x7a; 16],
                begun_ms: 1_700_000_000_123,
                attempts: 2,
                next_ms: 1_700_000_002_123,
                error: "the target answered no".to_owned(),
            }),
        },
        event_subscriptions: vec!["event".to_owned()],
        tags: vec![("team".to_owned(), "orders".to_owned())],
        purge_protected: true,
        keep_versions: Some(5),
        keep_ms: Some(86_400_000),
        deletion_ms: Some(1_700_000_003_123),
    }
}

fn sample_stages() -> StagesV1 {
    let label = |name, version| LabelV1 { name, version, moved_ms: 1_700_000_000_123 };
    let version = |number, expires_ms, kms_key_id| VersionV1 {
        number,
        created_ms: 1_700_000_000_123,
        expires_ms,
        vrec: number,
        len: 24,
        value_kind: 0,
        state: 0,
        kms_key_id,
        not_before_ms: None,
        destroy_ms: expires_ms,
        expiry_told: 1,
    };
    StagesV1 {
        sid: [0x1d; 16],
        state: 0,
        next_version: 3,
        updated_ms: 1_700_000_000_123,
        rotated_ms: Some(1_700_000_000_123),
        deletion_ms: Some(1_800_000_000_000),
        labels: vec![
            label(LabelNameV1::Current, 2),
            label(LabelNameV1::Previous, 1),
            label(LabelNameV1::Pending, 2),
            label(LabelNameV1::Custom("blue".to_owned()), 1),
        ],
        versions: vec![
            version(1, None, None),
            version(2, Some(1_900_000_000_000), Some("key-1".to_owned())),
        ],
        tokens: vec![TokenV1 { token: [0x70; 16], request: [0x71; 16], version: 2 }],
    }
}
