//! The `secrets` record in words: what a secret is.

use crate::{
    commit::{Heads, NameId, Tag, secret_address},
    crypto::{Draw, Forged},
    domain::{Description, RotationPolicy, SecretName, SecretType, Timestamp},
    format::{Kind, Padding, SecretV1, Tree},
    records::{
        Records, Sealer,
        cache::HeadCache,
        head::HeadBody,
        rotation::{rotation_from_wire, rotation_to_wire},
        seal::{SealError, Seat},
    },
    storage::{Address, Record},
};

/// Metadata of a secret that a rotation does not touch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretBody {
    pub(crate) name: SecretName,
    /// Random, new for every creation: a name that is deleted and made again is another secret.
    pub(crate) sid: [u8; 16],
    pub(crate) secret_type: SecretType,
    pub(crate) description: Description,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) rotation: RotationPolicy,
    /// The key of the key manager for new versions; none for the default one.
    pub(crate) kms_key_id: Option<String>,
    pub(crate) enterprise_project_id: Option<String>,
    pub(crate) event_subscriptions: Vec<String>,
    /// Ascending by key.
    pub(crate) tags: Vec<(String, String)>,
    /// Nobody may delete it sooner than a scheduled deletion would.
    pub(crate) purge_protected: bool,
    /// Most versions kept, if fewer than the store allows.
    pub(crate) keep_versions: Option<u32>,
    /// How long a version without a label is kept, in milliseconds.
    pub(crate) keep_ms: Option<i64>,
    /// A copy of [`Stages::deletion`](crate::records::Stages::deletion), which every change keeps up:
    /// this record is opened when the index is loaded, the other one is not.
    pub(crate) deletion: Option<Timestamp>,
}

impl SecretBody {
    pub(crate) fn new(
        name: SecretName,
        sid: [u8; 16],
        secret_type: SecretType,
        description: Description,
        at: Timestamp,
    ) -> Self {
        Self {
            name,
            sid,
            secret_type,
            description,
            created: at,
            updated: at,
            rotation: RotationPolicy::default(),
            kms_key_id: None,
            enterprise_project_id: None,
            event_subscriptions: Vec::new(),
            tags: Vec::new(),
            purge_protected: false,
            keep_versions: None,
            keep_ms: None,
            deletion: None,
        }
    }

    pub(super) fn to_wire(&self) -> SecretV1 {
        SecretV1 {
            name: self.name.as_str().to_owned(),
            sid: self.sid,
            secret_type: self.secret_type.as_str().to_owned(),
            description: self.description.as_str().to_owned(),
            created_ms: self.created.as_millis(),
            updated_ms: self.updated.as_millis(),
            kms_key_id: self.kms_key_id.clone(),
            enterprise_project_id: self.enterprise_project_id.clone(),
            rotation: rotation_to_wire(&self.rotation),
            event_subscriptions: self.event_subscriptions.clone(),
            tags: self.tags.clone(),
            purge_protected: self.purge_protected,
            keep_versions: self.keep_versions,
            keep_ms: self.keep_ms,
            deletion_ms: self.deletion.map(Timestamp::as_millis),
        }
    }

    pub(super) fn from_wire(wire: SecretV1) -> Result<Self, Forged> {
        Ok(Self {
            name: SecretName::from_stored(&wire.name).map_err(|_| Forged)?,
            sid: wire.sid,
            secret_type: SecretType::from_stored(&wire.secret_type).map_err(|_| Forged)?,
            description: wire.description.parse().map_err(|_| Forged)?,
            created: Timestamp::from_millis(wire.created_ms),
            updated: Timestamp::from_millis(wire.updated_ms),
            rotation: rotation_from_wire(wire.rotation)?,
            kms_key_id: wire.kms_key_id,
            enterprise_project_id: wire.enterprise_project_id,
            event_subscriptions: wire.event_subscriptions,
            tags: wire.tags,
            purge_protected: wire.purge_protected,
            keep_versions: wire.keep_versions,
            keep_ms: wire.keep_ms,
            deletion: wire.deletion_ms.map(Timestamp::from_millis),
        })
    }
}

impl HeadBody for SecretBody {
    fn address(id: &NameId) -> Address {
        secret_address(id)
    }

    fn seal(
        &self,
        sealer: &Sealer,
        id: &NameId,
        revision: u64,
        draw: &mut Draw,
    ) -> Result<Record, SealError> {
        let (key, generation) = sealer.active_meta_key()?;
        let wire = self.to_wire();
        let len = wire.encoded_len()?;
        sealer.seal(
            key,
            &seat(id, generation),
            (revision, draw),
            (len, |out| wire.encode_into(out)),
        )
    }

    fn open(sealer: &Sealer, id: &NameId, record: &[u8]) -> Result<(Self, u64), Forged> {
        let (key, generation) = sealer.meta_key_of(record)?;
        let opened = sealer.open(key, &seat(id, generation), record)?;
        let body = SecretV1::decode(opened.data()?).map_err(|_| Forged)?;
        let body = Self::from_wire(body)?;
        if sealer.ring.name_id(body.name.as_str().as_bytes()) != *id {
            return Err(Forged);
        }
        Ok((body, opened.revision))
    }

    fn cache(records: &Records) -> &HeadCache<Self> {
        &records.secrets
    }

    fn tag(heads: &Heads) -> Tag {
        heads.secret
    }

    fn sid(&self) -> &[u8; 16] {
        &self.sid
    }
}

fn seat(id: &NameId, generation: u32) -> Seat<'_> {
    Seat {
        kind: Kind::Secret,
        generation,
        tree: Tree::Secrets,
        tree_key: id,
        context: &[],
        padding: Padding::Blocks,
    }
}
