//! Records of notifications: what was told to whom, and what became of it.

use std::ops::ControlFlow;

use crate::{
    commit::{EngineError, notice_address, parse_audit_key},
    crypto::{Draw, Forged},
    domain::{EventType, Position, SecretName, SecretType, Timestamp},
    format::{Kind, NoticeStatusV1, NoticeV1, Padding, Tree},
    records::{Records, seal::Seat},
    storage::{Address, Write},
};

/// What became of a notification (csms.md 1.8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotificationStatus {
    /// `SUCCESS`: it was sent.
    Success,
    /// `FAIL`: it could not be sent, however often that was tried.
    Fail,
    /// `INVALID`: the target is none that anything could be sent to.
    Invalid,
}

impl NotificationStatus {
    /// `SUCCESS`, `FAIL` or `INVALID`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }
}

/// One notification as it was sent, or tried to (csms.md 1.8). Kept for three months.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotificationRecord {
    pub(crate) position: Position,
    pub(crate) event_name: String,
    pub(crate) event_type: EventType,
    pub(crate) created: Timestamp,
    pub(crate) secret_name: SecretName,
    pub(crate) secret_type: SecretType,
    pub(crate) target_id: String,
    pub(crate) target_name: String,
    pub(crate) content: String,
    pub(crate) status: NotificationStatus,
}

impl NotificationRecord {
    /// Where in the store's history the change stands that it tells of.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The event that fired.
    #[must_use]
    pub fn event_name(&self) -> &str {
        &self.event_name
    }

    /// What happened.
    #[must_use]
    pub fn trigger_event_type(&self) -> EventType {
        self.event_type
    }

    /// When it was sent, or tried to for the last time; a whole second.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created.whole_seconds()
    }

    /// The secret that it happened to.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.secret_name
    }

    /// The secret's type.
    #[must_use]
    pub fn secret_type(&self) -> &SecretType {
        &self.secret_type
    }

    /// The id of whom it was to tell.
    #[must_use]
    pub fn target_id(&self) -> &str {
        &self.target_id
    }

    /// The name of whom it was to tell.
    #[must_use]
    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// What was told, as JSON.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    /// What became of it.
    #[must_use]
    pub fn status(&self) -> NotificationStatus {
        self.status
    }

    fn to_wire(&self) -> NoticeV1 {
        NoticeV1 {
            event: self.event_name.clone(),
            event_type: self.event_type.as_str().to_owned(),
            created_ms: self.created.as_millis(),
            secret: self.secret_name.as_str().to_owned(),
            secret_type: self.secret_type.as_str().to_owned(),
            target_id: self.target_id.clone(),
            target_name: self.target_name.clone(),
            content: self.content.clone(),
            status: match self.status {
                NotificationStatus::Success => NoticeStatusV1::Success,
                NotificationStatus::Fail => NoticeStatusV1::Fail,
                NotificationStatus::Invalid => NoticeStatusV1::Invalid,
            },
        }
    }

    fn from_wire(position: Position, wire: NoticeV1) -> Result<Self, Forged> {
        Ok(Self {
            position,
            event_name: wire.event,
            event_type: wire.event_type.parse().map_err(|_| Forged)?,
            created: Timestamp::from_millis(wire.created_ms),
            secret_name: SecretName::from_stored(&wire.secret).map_err(|_| Forged)?,
            secret_type: SecretType::from_stored(&wire.secret_type).map_err(|_| Forged)?,
            target_id: wire.target_id,
            target_name: wire.target_name,
            content: wire.content,
            status: match wire.status {
                NoticeStatusV1::Success => NotificationStatus::Success,
                NoticeStatusV1::Fail => NotificationStatus::Fail,
                NoticeStatusV1::Invalid => NotificationStatus::Invalid,
            },
        })
    }
}

impl Records {
    /// The write of a record, at the place of the change that it tells of.
    pub(crate) fn notice_write(
        &self,
        notice: &NotificationRecord,
        draw: &mut Draw,
    ) -> Result<Write, EngineError> {
        let address = address(notice.position);
        let wire = notice.to_wire();
        let len = wire.encoded_len()?;
        let fill = |out: &mut [u8]| wire.encode_into(out);
        let key = self.sealer.ring.log_key();
        let record = self.sealer.seal(key, &seat(address.key()), (0, draw), (len, fill))?;
        Ok(Write::put(address, record))
    }

    /// At most `max` records behind `after` that are wanted, of `since` or later.
    pub(crate) fn notices(
        &self,
        after: Option<Position>,
        since: Timestamp,
        max: usize,
        wanted: &dyn Fn(&NotificationRecord) -> bool,
    ) -> Result<Vec<NotificationRecord>, EngineError> {
        self.engine.wait_ready()?;
        self.engine.caught_up_root()?;
        let mut found = Vec::new();
        self.scan_notices(after, &mut |_, notice| {
            if notice.created >= since && wanted(&notice) {
                found.push(notice);
            }
            found.len() < max
        })?;
        Ok(found)
    }

    /// Where records from before `before` stand, at most `max` from the front. One that was removed just
    /// now may be among them.
    pub(crate) fn old_notices(
        &self,
        before: Timestamp,
        max: usize,
    ) -> Result<Vec<Address>, EngineError> {
        let mut found = Vec::new();
        self.scan_notices(None, &mut |address, notice| {
            let is_old = notice.created < before;
            if is_old {
                found.push(address);
            }
            is_old && found.len() < max
        })?;
        Ok(found)
    }

    /// Opens every record; how many there are.
    pub(crate) fn verify_notices(&self) -> Result<u64, EngineError> {
        let mut count = 0_u64;
        self.engine.caught_up_root()?;
        self.scan_notices(None, &mut |_, _| {
            count = count.saturating_add(1);
            true
        })?;
        Ok(count)
    }

    /// Visits records in order until `visit` has enough.
    fn scan_notices(
        &self,
        after: Option<Position>,
        visit: &mut dyn FnMut(Address, NotificationRecord) -> bool,
    ) -> Result<(), EngineError> {
        let (mut sound, after) = (true, after.map(address));
        let after = after.as_ref().map(Address::key);
        self.engine.state().scan(Tree::Notices.id(), after, &mut |key, record| match self
            .open_notice(key, record)
        {
            Ok((address, notice)) => match visit(address, notice) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            },
            Err(Forged) => {
                sound = false;
                ControlFlow::Break(())
            }
        })?;
        if sound { Ok(()) } else { Err(EngineError::Tampered("a notification's record")) }
    }

    fn open_notice(
        &self,
        key: &[u8],
        record: &[u8],
    ) -> Result<(Address, NotificationRecord), Forged> {
        let (seq, index) = parse_audit_key(key).ok_or(Forged)?;
        let opened = self.sealer.open(self.sealer.ring.log_key(), &seat(key), record)?;
        let wire = NoticeV1::decode(opened.data()?).map_err(|_| Forged)?;
        let position = Position::new(seq, index);
        Ok((address(position), NotificationRecord::from_wire(position, wire)?))
    }
}

fn address(position: Position) -> Address {
    notice_address(position.commit(), position.index())
}

fn seat(key: &[u8]) -> Seat<'_> {
    Seat {
        kind: Kind::Notice,
        generation: 0,
        tree: Tree::Notices,
        tree_key: key,
        context: &[],
        padding: Padding::Blocks,
    }
}
