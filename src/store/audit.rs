//! The audit log: asked, cut, and told of values that were read.

use super::{Page, SecretStore, Version, bounds::page_limit};
use crate::{
    commit::{EngineError, Plan},
    crypto::Draw,
    domain::{Action, AuditOperation, Position, SecretName, Timestamp, VersionId},
    error::Error,
    records::{Act, AuditRecord, LogQuery, Operation, Pruned},
};

/// Which records of the audit log to give. All by default, oldest first, 50 at a time.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct AuditQuery {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    actor: Option<String>,
    secret: Option<SecretName>,
    operation: Option<AuditOperation>,
    marker: Option<Position>,
    newest_first: bool,
    limit: Option<usize>,
}

impl AuditQuery {
    /// The oldest 50 records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only records of this time or later.
    pub fn since(self, since: Timestamp) -> Self {
        Self { since: Some(since), ..self }
    }

    /// Only records of an earlier time than this.
    pub fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }

    /// Only what this one did; an empty text stands for the program that embeds the store.
    pub fn actor(self, actor: impl Into<String>) -> Self {
        Self { actor: Some(actor.into()), ..self }
    }

    /// Only what was done to secrets of this name.
    pub fn secret(self, name: SecretName) -> Self {
        Self { secret: Some(name), ..self }
    }

    /// Only what was done so.
    pub fn operation(self, operation: AuditOperation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only records behind this position, or if the newest come first, before it: the position of the
    /// last record of the page before.
    pub fn marker(self, marker: Position) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// The newest records first.
    pub fn newest_first(self) -> Self {
        Self { newest_first: true, ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn keeps(&self, record: &AuditRecord) -> bool {
        self.since.is_none_or(|since| record.time() >= since)
            && self.until.is_none_or(|until| record.time() < until)
            && self.actor.as_ref().is_none_or(|actor| record.actor() == actor)
            && self.secret.as_ref().is_none_or(|name| record.secret_name() == Some(name))
            && self.operation.is_none_or(|operation| record.operation() == operation)
    }
}

/// What [`SecretStore::prune_audit`] removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PrunedAudit {
    /// Commits whose records were removed.
    pub commits: u64,
    /// Records.
    pub records: u64,
    /// The log was not cut as far as asked, since notifications of what it tells are still to be sent.
    pub held_back: bool,
}

impl SecretStore {
    /// A page of the audit log (csms.md 3.9).
    ///
    /// Every change has a record, written in its own commit; who reads values is in it only if the
    /// store is told so, by [`Builder::audit_reads`](crate::Builder::audit_reads). What is asked for is
    /// looked for record by record, some microseconds each; writers go on meanwhile. Records written
    /// meanwhile are in a later page, and none is given twice.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the limit is not from 1 to 1,000.
    /// * [`Error::Denied`] if the caller may read the records of no secret. One who may read those of some
    ///   is shown these alone; records about no secret are for who may read all.
    /// * [`Error::Tampered`] if records are missing or not what was written.
    /// * [`Error::Storage`] if reading failed, [`Error::InvalidState`] if the store is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{AuditQuery, NewSecret, SecretValue};
    ///
    /// store.create_secret(NewSecret::new("api".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// let page = store.audit(&AuditQuery::new().secret("api".parse()?).newest_first())?;
    /// assert_eq!(page.items()[0].operation().as_str(), "createSecret");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "CloudTrail")]
    pub fn audit(&self, query: &AuditQuery) -> Result<Page<AuditRecord>, Error> {
        self.permit_somewhere(Action::ReadAudit)?;
        let limit = page_limit(query.limit)?;
        let shown = |record: &AuditRecord| self.may_see(Action::ReadAudit, record.secret_name());
        let records = self.inner.records.log(&LogQuery {
            marker: query.marker,
            newest_first: query.newest_first,
            max: limit.saturating_add(1),
            keep: &|record| query.keeps(record) && shown(record),
        })?;
        Ok(Page::cut(records, limit))
    }

    /// Where the store's history has come to: behind its last commit. Changes made after this was
    /// called are behind it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if the store is closed, [`Error::Tampered`] if it was found forged.
    pub fn position(&self) -> Result<Position, Error> {
        self.permit_somewhere(Action::Subscribe)?;
        let engine = &self.inner.records.engine;
        engine.health().check_read()?;
        Ok(Position::end_of(engine.news().seq()))
    }

    /// Where the history that is kept begins: before the oldest record that was not
    /// [cut off](Self::prune_audit).
    ///
    /// # Errors
    ///
    /// As for [`position`](Self::position).
    pub fn oldest_position(&self) -> Result<Position, Error> {
        self.permit_somewhere(Action::Subscribe)?;
        let engine = &self.inner.records.engine;
        engine.health().check_read()?;
        Ok(Position::end_of(engine.news().audit_first().saturating_sub(1)))
    }

    /// Removes the oldest records of the audit log, those from before `before`.
    ///
    /// The log stays verifiable: the store keeps the chain value at which it begins now. Only whole
    /// commits go, from the front, up to the first one with a record that is not so old. It is done in
    /// steps, each a commit with a record of its own; after a crash some of them were done, and the
    /// next call does the rest. An [anchor](crate::Anchor) from before what is removed can no more be
    /// compared, and a [subscription](Self::subscribe) that has not come so far gets
    /// [`Error::Pruned`]: renew anchors first.
    ///
    /// If the store has events, nothing is removed of which notifications are still to be sent
    /// ([`PrunedAudit::held_back`]).
    ///
    /// # Errors
    ///
    /// Those of every write, as for [`create_secret`](Self::create_secret), and [`Error::Tampered`] if
    /// the log is not what was written. Steps made before stay made.
    pub fn prune_audit(&self, before: Timestamp) -> Result<PrunedAudit, Error> {
        self.permit(Action::PruneAudit, None)?;
        let records = &self.inner.records;
        let told = self.notifications_sent_to()?;
        let end = told.as_ref().map_or(Position::end_of(u64::MAX), |told| told.position);
        let author = self.author(self.inner.clock.now());
        let Pruned { commits, records: count } = records.prune(before, end, author)?;
        let held_back = told.is_some_and(|told| told.pending) && self.begins_before(before)?;
        Ok(PrunedAudit { commits, records: count, held_back })
    }

    /// Whether the log begins with a record from before `before`.
    fn begins_before(&self, before: Timestamp) -> Result<bool, Error> {
        let query = LogQuery { marker: None, newest_first: false, max: 1, keep: &|_| true };
        let first = self.inner.records.log(&query)?;
        Ok(first.first().is_some_and(|it| it.time() < before))
    }

    /// Records that a value is about to be given out, if the store does so. Without a record there is no
    /// answer.
    pub(super) fn told_of_read(&self, sid: [u8; 16], version: Version) -> Result<Version, Error> {
        self.record_reads(&[(version.metadata.secret_name(), sid, version.id())])?;
        Ok(version)
    }

    /// The same for several values, in one commit.
    pub(super) fn record_reads(
        &self,
        reads: &[(&SecretName, [u8; 16], VersionId)],
    ) -> Result<(), Error> {
        if !self.inner.audit_reads || reads.is_empty() {
            return Ok(());
        }
        let records = &self.inner.records;
        let at = self.inner.clock.now();
        let mut plan = Plan::at(at);
        let bytes = reads.len().saturating_mul(24);
        let mut draw = Draw::new(bytes).map_err(EngineError::from)?;
        for (name, sid, version) in reads {
            let act = Act {
                author: self.author(at),
                operation: Operation::ReadValue,
                secret: Some((name, *sid)),
                version: Some(*version),
                detail: "",
            };
            plan.audit.push(act.seal(&records.sealer, &mut draw).map_err(EngineError::from)?);
        }
        records.engine.commit(plan)?;
        Ok(())
    }
}
