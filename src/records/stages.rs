//! The `stages` record in words: where labels point, and the version table with its data keys.

use std::sync::Arc;

use crate::{
    commit::{Heads, NameId, Tag, stages_address},
    crypto::{Draw, Forged, Key},
    domain::{
        Limits, Placement, SecretState, Stage, StageError, StageMap, Timestamp, ValueKind,
        VersionId, VersionState,
    },
    format::{Kind, LabelNameV1, LabelV1, Padding, StagesV1, TokenV1, Tree, VersionV1},
    records::{
        Records, Sealer,
        cache::HeadCache,
        due::after,
        head::HeadBody,
        seal::{SealError, Seat},
    },
    storage::{Address, Record},
};

/// How many request tokens a secret remembers; the oldest is forgotten first.
pub(crate) const TOKENS_MAX: usize = 32;

/// The hot half of a secret.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    pub(crate) sid: [u8; 16],
    /// The state beside a scheduled deletion; see [`Stages::state`].
    pub(crate) set_state: SecretState,
    /// When it is to be deleted, if that is scheduled.
    pub(crate) deletion: Option<Timestamp>,
    pub(crate) next_version: VersionId,
    pub(crate) updated: Timestamp,
    pub(crate) rotated: Option<Timestamp>,
    pub(crate) labels: StageMap,
    /// Ascending by id.
    pub(crate) versions: Vec<VersionEntry>,
    /// Oldest first.
    pub(crate) tokens: Vec<Token>,
}

/// A row of the version table.
#[derive(Clone, Debug)]
pub(crate) struct VersionEntry {
    pub(crate) id: VersionId,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) vrec: u64,
    pub(crate) len: u32,
    pub(crate) kind: ValueKind,
    pub(crate) state: VersionState,
    /// The key of the key manager that wraps the data key; none for the default one.
    pub(crate) kms_key_id: Option<Arc<str>>,
    pub(crate) not_before: Option<Timestamp>,
    /// When it is to be destroyed, if that is scheduled.
    pub(crate) destruction: Option<Timestamp>,
    /// Which events its expiry has fired since it was set: bit 0 near expiry, bit 1 expired.
    pub(crate) expiry_told: u8,
    /// Used for one seal only. Shared, not copied, by the drafts and caches that hold the row.
    pub(crate) data_key: Arc<Key>,
}

/// A request that was carried out, to answer its repetition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) token: [u8; 16],
    pub(crate) request: [u8; 16],
    pub(crate) version: VersionId,
}

/// Why a version could not be added. The table is as before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AddVersionError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("all versions carry labels, so none can make room")]
    NoRoom,
    #[error("version numbers are used up")]
    NumbersUsedUp,
}

impl Stages {
    /// The table of a new secret, without a version yet.
    pub(crate) fn new(sid: [u8; 16], at: Timestamp) -> Self {
        Self {
            sid,
            set_state: SecretState::Enabled,
            deletion: None,
            next_version: VersionId::FIRST,
            updated: at,
            rotated: None,
            labels: StageMap::new(VersionId::FIRST, at),
            versions: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// The state of the secret.
    pub(crate) fn state(&self) -> SecretState {
        if self.deletion.is_some() { SecretState::PendingDeletion } else { self.set_state }
    }

    pub(crate) fn version(&self, id: VersionId) -> Option<&VersionEntry> {
        let at = self.versions.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.versions.get(at)
    }

    pub(crate) fn version_mut(&mut self, id: VersionId) -> Option<&mut VersionEntry> {
        let at = self.versions.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.versions.get_mut(at)
    }

    /// Whether the secret's deletion was due by `now`: then it is as good as gone.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.deletion.is_some_and(|at| at <= now)
    }

    /// The row behind SYSCURRENT.
    pub(crate) fn current(&self) -> Option<&VersionEntry> {
        self.version(self.labels.version_of(&Stage::Current)?)
    }

    /// The number that the next version gets. Numbers are never used again.
    pub(crate) fn next_id(&self) -> VersionId {
        self.next_version
    }

    /// Adds a version under [`Stages::next_id`], labelled as asked, and makes room by dropping the
    /// oldest versions without a label (csms.md 8.1 rows 1 and 2). Gives the dropped ones.
    pub(crate) fn add(
        &mut self,
        entry: VersionEntry,
        stages: &[Stage],
        limits: &Limits,
    ) -> Result<Vec<VersionEntry>, AddVersionError> {
        let (id, at) = (entry.id, entry.created);
        let next_version = id.next().ok_or(AddVersionError::NumbersUsedUp)?;
        let mut labels = self.labels.clone();
        let _ = labels.place_new(stages, id, at, limits.labels_max())?;
        let mut kept: Vec<VersionId> = self.versions.iter().map(|entry| entry.id).collect();
        kept.push(id);
        while kept.len() > limits.versions_max() {
            let victim = labels.droppable(&kept).ok_or(AddVersionError::NoRoom)?;
            kept.retain(|id| *id != victim);
        }
        self.versions.push(entry);
        let gone = |entry: &mut VersionEntry| kept.binary_search(&entry.id).is_err();
        let dropped = self.versions.extract_if(.., gone).collect();
        (self.labels, self.next_version) = (labels, next_version);
        Ok(dropped)
    }

    /// The versions without a label that are beyond what the secret keeps: the oldest, while there are
    /// more than `versions`, and those that are as old as `age_ms`.
    pub(crate) fn outlived(
        &self,
        versions: Option<u32>,
        age_ms: Option<i64>,
        now: Timestamp,
    ) -> Vec<VersionId> {
        let keep = versions.and_then(|versions| usize::try_from(versions).ok());
        let mut surplus = keep.map_or(0, |keep| self.versions.len().saturating_sub(keep));
        let is_old =
            |entry: &VersionEntry| age_ms.is_some_and(|age_ms| after(entry.created, age_ms) <= now);
        let outlived = |entry: &&VersionEntry| {
            let goes = !self.labels.is_labelled(entry.id) && (surplus > 0 || is_old(entry));
            surplus = surplus.saturating_sub(usize::from(goes));
            goes
        };
        self.versions.iter().filter(outlived).map(|entry| entry.id).collect()
    }

    /// The oldest version without a label, if the secret has more than it keeps.
    pub(crate) fn beyond(&self, versions: Option<u32>) -> Option<&VersionEntry> {
        let keep = versions.and_then(|versions| usize::try_from(versions).ok())?;
        let mut unlabelled =
            self.versions.iter().filter(|entry| !self.labels.is_labelled(entry.id));
        unlabelled.next().filter(|_| self.versions.len() > keep)
    }

    /// Remembers a carried-out request, and forgets the oldest beyond [`TOKENS_MAX`].
    pub(crate) fn remember(&mut self, token: Token) {
        self.tokens.push(token);
        let surplus = self.tokens.len().saturating_sub(TOKENS_MAX);
        self.tokens.drain(..surplus);
    }

    pub(super) fn to_wire(&self) -> StagesV1 {
        StagesV1 {
            sid: self.sid,
            state: state_to_wire(self.set_state),
            next_version: self.next_version.number(),
            updated_ms: self.updated.as_millis(),
            rotated_ms: self.rotated.map(Timestamp::as_millis),
            deletion_ms: self.deletion.map(Timestamp::as_millis),
            labels: self.labels.iter().map(label_to_wire).collect(),
            versions: self.versions.iter().map(VersionEntry::to_wire).collect(),
            tokens: self.tokens.iter().copied().map(Token::to_wire).collect(),
        }
    }

    /// Checks what no honest writer breaks: ascending numbers below the next one, and labels that
    /// point at versions there are.
    pub(super) fn from_wire<'k>(
        wire: StagesV1,
        data_keys: impl Iterator<Item = &'k [u8]>,
    ) -> Result<Self, Forged> {
        let labels = wire
            .labels
            .into_iter()
            .map(label_from_wire)
            .collect::<Result<Vec<(Stage, Placement)>, Forged>>()?;
        let versions = wire
            .versions
            .iter()
            .zip(data_keys)
            .map(|(version, key)| VersionEntry::from_wire(version, key))
            .collect::<Result<Vec<_>, Forged>>()?;
        let stages = Self {
            sid: wire.sid,
            set_state: state_from_wire(wire.state)?,
            deletion: wire.deletion_ms.map(Timestamp::from_millis),
            next_version: VersionId::from_number(wire.next_version).ok_or(Forged)?,
            updated: Timestamp::from_millis(wire.updated_ms),
            rotated: wire.rotated_ms.map(Timestamp::from_millis),
            labels: StageMap::from_parts(labels).map_err(|_| Forged)?,
            versions,
            tokens: wire.tokens.iter().map(Token::from_wire).collect::<Result<_, _>>()?,
        };
        let ascending =
            stages.versions.is_sorted_by(|a, b| a.id < b.id) && !stages.versions.is_empty();
        let below_next = stages.versions.iter().all(|entry| entry.id < stages.next_version);
        let placed = stages.labels.iter().all(|(_, at)| stages.version(at.version).is_some());
        if ascending && below_next && placed { Ok(stages) } else { Err(Forged) }
    }
}

impl HeadBody for Stages {
    fn address(id: &NameId) -> Address {
        stages_address(id)
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
        let data_keys = self.versions.iter().map(|entry| entry.data_key.expose());
        let fill = |out: &mut [u8]| wire.encode_into(data_keys, out);
        sealer.seal(key, &seat(id, generation), (revision, draw), (len, fill))
    }

    fn open(sealer: &Sealer, id: &NameId, record: &[u8]) -> Result<(Self, u64), Forged> {
        let (key, generation) = sealer.meta_key_of(record)?;
        let opened = sealer.open(key, &seat(id, generation), record)?;
        let (wire, data_keys) = StagesV1::decode(opened.data()?).map_err(|_| Forged)?;
        let stages = Self::from_wire(wire, data_keys)?;
        Ok((stages, opened.revision))
    }

    fn cache(records: &Records) -> &HeadCache<Self> {
        &records.stages
    }

    fn tag(heads: &Heads) -> Tag {
        heads.stages
    }

    fn sid(&self) -> &[u8; 16] {
        &self.sid
    }
}

impl VersionEntry {
    fn to_wire(&self) -> VersionV1 {
        VersionV1 {
            number: self.id.number(),
            created_ms: self.created.as_millis(),
            expires_ms: self.expires.map(Timestamp::as_millis),
            vrec: self.vrec,
            len: self.len,
            value_kind: match self.kind {
                ValueKind::Text => 0,
                ValueKind::Binary => 1,
            },
            state: match self.state {
                VersionState::Enabled => 0,
                VersionState::Disabled => 1,
                VersionState::Destroyed => 2,
            },
            kms_key_id: self.kms_key_id.as_deref().map(str::to_owned),
            not_before_ms: self.not_before.map(Timestamp::as_millis),
            destroy_ms: self.destruction.map(Timestamp::as_millis),
            expiry_told: self.expiry_told,
        }
    }

    fn from_wire(wire: &VersionV1, data_key: &[u8]) -> Result<Self, Forged> {
        Ok(Self {
            id: VersionId::from_number(wire.number).ok_or(Forged)?,
            created: Timestamp::from_millis(wire.created_ms),
            expires: wire.expires_ms.map(Timestamp::from_millis),
            vrec: wire.vrec,
            len: wire.len,
            kind: match wire.value_kind {
                0 => ValueKind::Text,
                1 => ValueKind::Binary,
                _ => return Err(Forged),
            },
            state: match wire.state {
                0 => VersionState::Enabled,
                1 => VersionState::Disabled,
                2 => VersionState::Destroyed,
                _ => return Err(Forged),
            },
            kms_key_id: wire.kms_key_id.as_deref().map(Arc::from),
            not_before: wire.not_before_ms.map(Timestamp::from_millis),
            destruction: wire.destroy_ms.map(Timestamp::from_millis),
            expiry_told: wire.expiry_told,
            data_key: Arc::new(Key::from_slice(data_key).ok_or(Forged)?),
        })
    }
}

impl Token {
    fn to_wire(self) -> TokenV1 {
        TokenV1 { token: self.token, request: self.request, version: self.version.number() }
    }

    fn from_wire(wire: &TokenV1) -> Result<Self, Forged> {
        let version = VersionId::from_number(wire.version).ok_or(Forged)?;
        Ok(Self { token: wire.token, request: wire.request, version })
    }
}

fn state_to_wire(state: SecretState) -> u8 {
    match state {
        // A scheduled deletion stands in a field of its own, beside the state before it.
        SecretState::Enabled | SecretState::PendingDeletion => 0,
        SecretState::Disabled => 1,
        SecretState::Frozen => 2,
    }
}

fn state_from_wire(wire: u8) -> Result<SecretState, Forged> {
    match wire {
        0 => Ok(SecretState::Enabled),
        1 => Ok(SecretState::Disabled),
        2 => Ok(SecretState::Frozen),
        _ => Err(Forged),
    }
}

fn label_to_wire((stage, placement): (&Stage, Placement)) -> LabelV1 {
    LabelV1 {
        name: match stage {
            Stage::Current => LabelNameV1::Current,
            Stage::Previous => LabelNameV1::Previous,
            Stage::Pending => LabelNameV1::Pending,
            Stage::Custom(label) => LabelNameV1::Custom(label.as_str().to_owned()),
        },
        version: placement.version.number(),
        moved_ms: placement.moved_at.as_millis(),
    }
}

fn label_from_wire(wire: LabelV1) -> Result<(Stage, Placement), Forged> {
    let stage = match wire.name {
        LabelNameV1::Current => Stage::Current,
        LabelNameV1::Previous => Stage::Previous,
        LabelNameV1::Pending => Stage::Pending,
        LabelNameV1::Custom(text) => match text.parse().map_err(|_| Forged)? {
            stage @ Stage::Custom(_) => stage,
            // One label has one encoding.
            _ => return Err(Forged),
        },
    };
    let version = VersionId::from_number(wire.version).ok_or(Forged)?;
    Ok((stage, Placement { version, moved_at: Timestamp::from_millis(wire.moved_ms) }))
}

fn seat(id: &NameId, generation: u32) -> Seat<'_> {
    Seat {
        kind: Kind::Stages,
        generation,
        tree: Tree::Stages,
        tree_key: id,
        context: &[],
        padding: Padding::Blocks,
    }
}
