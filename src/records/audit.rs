//! The audit record in words: one for each operation that changed something.

use crate::{
    commit::{EngineError, Plan},
    crypto::{Draw, Forged},
    domain::{AuditOperation, SecretName, Timestamp, VersionId},
    format::{AuditV1, Kind, OperationV1, Padding, SubjectV1, Tree},
    records::{
        Records, Sealer,
        seal::{SealError, Seat},
    },
    storage::Record,
};

/// What was done.
pub(crate) type Operation = OperationV1;

/// Which of a secret's heads an operation always rewrites. The other one may be rewritten too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rewrites {
    pub(crate) secret: bool,
    pub(crate) stages: bool,
}

/// What an operation rewrites of the secret it is about; nothing if it does not change it.
pub(crate) fn rewrites(operation: Operation) -> Rewrites {
    let (secret, stages) = match operation {
        // A scheduled deletion stands in both heads.
        Operation::CreateSecret
        | Operation::RestoreSecret
        | Operation::ScheduleDeletion
        | Operation::CancelDeletion => (true, true),
        Operation::UpdateSecret
        | Operation::ProtectFromPurge
        | Operation::CreateTags
        | Operation::DeleteTags
        | Operation::BeginRotation
        | Operation::RetryRotation
        | Operation::FailRotation
        | Operation::CancelRotation
        | Operation::ResumeRotation => (true, false),
        Operation::CreateVersion
        | Operation::UpdateVersion
        | Operation::CreateStage
        | Operation::MoveStage
        | Operation::DeleteStage
        | Operation::RotateSecret
        | Operation::SetState
        | Operation::SetVersionState
        | Operation::ScheduleDestruction
        | Operation::DestroyVersion
        | Operation::ExpireVersion
        | Operation::NearExpiry => (false, true),
        Operation::CreateStore
        | Operation::ChangeKeys
        | Operation::DeleteSecret
        | Operation::BackupSecret
        | Operation::CreateEvent
        | Operation::UpdateEvent
        | Operation::DeleteEvent
        | Operation::ReadValue
        | Operation::PruneAudit
        | Operation::CreateKey
        | Operation::UpdateKey
        | Operation::BackupStore
        | Operation::RestoreStore
        | Operation::Notify => (false, false),
    };
    Rewrites { secret, stages }
}

/// The operation in words.
pub(crate) fn said(operation: Operation) -> AuditOperation {
    macro_rules! same {
        ($($name:ident)*) => {
            match operation {
                $(Operation::$name => AuditOperation::$name,)*
            }
        };
    }
    same! {
        CreateStore ChangeKeys CreateSecret UpdateSecret DeleteSecret CreateVersion UpdateVersion
        CreateStage MoveStage DeleteStage RotateSecret ScheduleDeletion CancelDeletion SetState
        ProtectFromPurge SetVersionState ScheduleDestruction DestroyVersion ExpireVersion NearExpiry CreateTags
        DeleteTags BeginRotation RetryRotation FailRotation CancelRotation ResumeRotation BackupSecret
        RestoreSecret CreateEvent UpdateEvent DeleteEvent ReadValue PruneAudit CreateKey UpdateKey
        BackupStore RestoreStore Notify
    }
}

/// The detail of what was not done here, but brought from another store.
pub(crate) const SALVAGED: &str = "salvaged";

/// Who makes a change, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Author<'a> {
    /// Empty for the program that embeds the crate.
    pub(crate) actor: &'a str,
    pub(crate) at: Timestamp,
}

/// Who did what, to which secret, when.
#[derive(Clone, Debug)]
pub(crate) struct Act<'a> {
    pub(crate) author: Author<'a>,
    pub(crate) operation: Operation,
    /// `None` for an operation on the store itself.
    pub(crate) secret: Option<(&'a SecretName, [u8; 16])>,
    pub(crate) version: Option<VersionId>,
    pub(crate) detail: &'a str,
}

impl<'a> Act<'a> {
    /// An operation on the store itself.
    pub(crate) fn on_store(author: Author<'a>, operation: Operation) -> Self {
        Self { author, operation, secret: None, version: None, detail: "" }
    }

    /// Seals the record where nothing else of a change is sealed.
    pub(crate) fn seal_alone(&self, sealer: &Sealer) -> Result<Record, EngineError> {
        Ok(self.seal(sealer, &mut Draw::new(24)?)?)
    }

    /// Seals the record. Its place in the log is bound by the chain, since the number of the commit
    /// is not known yet.
    pub(crate) fn seal(&self, sealer: &Sealer, draw: &mut Draw) -> Result<Record, SealError> {
        self.seal_about(None, sealer, draw)
    }

    /// The same with what notifications tell of the secret.
    pub(crate) fn seal_about(
        &self,
        subject: Option<SubjectV1>,
        sealer: &Sealer,
        draw: &mut Draw,
    ) -> Result<Record, SealError> {
        let wire = AuditV1 {
            time_ms: self.author.at.as_millis(),
            operation: self.operation,
            name: self.secret.map(|(name, _)| name.as_str().to_owned()).unwrap_or_default(),
            sid: self.secret.map(|(_, sid)| sid).unwrap_or_default(),
            version: self.version.map_or(0, VersionId::number),
            actor: self.author.actor.to_owned(),
            detail: self.detail.to_owned(),
            subject,
        };
        let len = wire.encoded_len()?;
        sealer.seal(sealer.ring.log_key(), &SEAT, (0, draw), (len, |out| wire.encode_into(out)))
    }
}

impl Records {
    /// Commits nothing but an audit record.
    pub(crate) fn commit_act(
        &self,
        author: Author<'_>,
        operation: Operation,
        secret: Option<(&SecretName, [u8; 16])>,
        detail: &str,
    ) -> Result<(), EngineError> {
        let act = Act { author, operation, secret, version: None, detail };
        let mut plan = Plan::at(author.at);
        plan.audit.push(act.seal_alone(&self.sealer)?);
        self.engine.commit(plan).map(drop)
    }
}

/// Opens an audit record.
pub(crate) fn open_audit(sealer: &Sealer, record: &[u8]) -> Result<AuditV1, Forged> {
    let opened = sealer.open(sealer.ring.log_key(), &SEAT, record)?;
    AuditV1::decode(opened.data()?).map_err(|_| Forged)
}

const SEAT: Seat<'static> = Seat {
    kind: Kind::Audit,
    generation: 0,
    tree: Tree::Audit,
    tree_key: &[],
    context: &[],
    padding: Padding::Blocks,
};
