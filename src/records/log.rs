//! The audit log, read: record by record behind a position, or as a page of those that are asked for.

use std::ops::ControlFlow;

use crate::{
    commit::{EngineError, audit_address, parse_audit_key},
    crypto::Forged,
    domain::{AuditOperation, Position, SecretName, Timestamp, VersionId, uuid_text},
    format::{AuditV1, SubjectV1, Tree},
    records::{
        Records,
        audit::{open_audit, said},
    },
};

/// How many commits are looked at together when the log is read from its end, at first and at most.
const WINDOW_COMMITS: (u64, u64) = (64, 1024);

/// One operation on the store: who did what, to which secret, when (csms.md 3.9).
///
/// It is written in the commit of the change itself, so there is no change without a record. What changes
/// nothing has one too where it is told of: values that were read, backups, notifications that were sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRecord {
    position: Position,
    time: Timestamp,
    actor: String,
    operation: AuditOperation,
    secret: Option<(SecretName, [u8; 16])>,
    version: Option<VersionId>,
    detail: String,
    pub(crate) subject: Option<Subject>,
}

/// A secret that subscribes to events, as a change left it.
pub(crate) type Subject = SubjectV1;

impl AuditRecord {
    fn of(position: Position, wire: AuditV1) -> Result<Self, Forged> {
        let secret = match wire.name.as_str() {
            "" => None,
            name => Some((SecretName::from_stored(name).map_err(|_| Forged)?, wire.sid)),
        };
        Ok(Self {
            position,
            time: Timestamp::from_millis(wire.time_ms),
            actor: wire.actor,
            operation: said(wire.operation),
            secret,
            version: VersionId::from_number(wire.version),
            detail: wire.detail,
            subject: wire.subject,
        })
    }

    /// Where it stands in the log: the commit that made the change, and a number in it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// When it was done, by the store's clock. Clocks are set, so a later record may show an earlier
    /// time.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Who did it; empty for the program that embeds the store.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// What was done.
    #[must_use]
    pub fn operation(&self) -> AuditOperation {
        self.operation
    }

    /// The secret that it was done to; `None` for an operation on the store as a whole.
    #[must_use]
    pub fn secret_name(&self) -> Option<&SecretName> {
        self.secret.as_ref().map(|(name, _)| name)
    }

    /// The secret's [id](crate::Secret::id), which tells it from others that had the name before or
    /// after it.
    #[must_use]
    pub fn secret_id(&self) -> Option<String> {
        self.secret_sid().map(uuid_text)
    }

    pub(crate) fn secret_sid(&self) -> Option<&[u8; 16]> {
        self.secret.as_ref().map(|(_, sid)| sid)
    }

    /// The version that was made, read or changed, if there is one.
    #[must_use]
    pub fn version(&self) -> Option<VersionId> {
        self.version
    }

    /// More about it, in words: the name of an event, what was cut off. Often empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Records behind a position, in order.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) records: Vec<AuditRecord>,
    /// Behind the last of them, or behind its commit if that has no more.
    pub(crate) reached: Position,
}

/// What to look for in the log.
pub(crate) struct LogQuery<'a> {
    /// Only records behind it, or before it if the newest come first.
    pub(crate) marker: Option<Position>,
    pub(crate) newest_first: bool,
    pub(crate) max: usize,
    pub(crate) keep: &'a dyn Fn(&AuditRecord) -> bool,
}

/// What reading a part of the log came to.
enum Scanned {
    Whole,
    /// A record is missing, which may be because the log was cut meanwhile.
    Gap,
}

impl Records {
    /// The next records behind `after`, `max` at most, read by their keys: nobody waits for the state to
    /// catch up. `None` if records behind `after` were cut off.
    pub(crate) fn follow(
        &self,
        after: Position,
        max: usize,
    ) -> Result<Option<Followed>, EngineError> {
        self.engine.wait_ready()?;
        let end = self.engine.news().seq();
        let first_of = |seq: u64| Position::new(seq, 0);
        let behind = |at: Position| {
            at.next_in_commit().unwrap_or_else(|| first_of(at.commit().saturating_add(1)))
        };
        let (mut records, mut reached, mut gap) = (Vec::new(), after, false);
        while records.len() < max && behind(reached).commit() <= end {
            let at = behind(reached);
            match self.engine.read(&audit_address(at.commit(), at.index()))? {
                Some(record) => {
                    records.push(self.open_logged(at, &record)?);
                    reached = at;
                }
                // Every commit has a record.
                None if at.index() == 0 => {
                    gap = true;
                    break;
                }
                None => reached = Position::end_of(at.commit()),
            }
        }
        // Asked last: what was cut off before it was read is told by now.
        let first = self.engine.news().audit_first();
        if after < Position::end_of(first.saturating_sub(1)) {
            return Ok(None);
        }
        if gap { Err(FORGED) } else { Ok(Some(Followed { records, reached })) }
    }

    /// The records that a query asks for.
    pub(crate) fn log(&self, query: &LogQuery<'_>) -> Result<Vec<AuditRecord>, EngineError> {
        self.engine.wait_ready()?;
        loop {
            let root = self.engine.caught_up_root()?;
            let (first, last) = (root.audit_first_seq, root.seq);
            let mut found = Vec::new();
            let scanned = if query.newest_first {
                self.log_backwards(query, (first, last), &mut found)?
            } else {
                self.log_forwards(query, (first, last), &mut found)?
            };
            match scanned {
                Scanned::Whole => return Ok(found),
                Scanned::Gap if self.engine.news().audit_first() == first => return Err(FORGED),
                // Cut while it was read.
                Scanned::Gap => {}
            }
        }
    }

    fn log_forwards(
        &self,
        query: &LogQuery<'_>,
        (first, last): (u64, u64),
        found: &mut Vec<AuditRecord>,
    ) -> Result<Scanned, EngineError> {
        let start = Position::end_of(first.saturating_sub(1));
        let after = query.marker.map_or(start, |marker| marker.max(start));
        self.scan_log(after, last, &mut |record| {
            if (query.keep)(&record) {
                found.push(record);
            }
            if found.len() < query.max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    fn log_backwards(
        &self,
        query: &LogQuery<'_>,
        (first, last): (u64, u64),
        found: &mut Vec<AuditRecord>,
    ) -> Result<Scanned, EngineError> {
        let before = |record: &AuditRecord| query.marker.is_none_or(|it| record.position < it);
        let mut to = query.marker.map_or(last, |marker| marker.commit().min(last));
        let mut window = WINDOW_COMMITS.0;
        while to >= first && found.len() < query.max {
            // The commits from behind `below` to `to`.
            let below = to.saturating_sub(window).max(first.saturating_sub(1));
            let mut records = Vec::new();
            let scanned = self.scan_log(Position::end_of(below), to, &mut |record| {
                records.push(record);
                ControlFlow::Continue(())
            })?;
            if matches!(scanned, Scanned::Gap) {
                return Ok(Scanned::Gap);
            }
            let room = query.max.saturating_sub(found.len());
            let wanted = records.into_iter().rev().filter(before).filter(query.keep);
            found.extend(wanted.take(room));
            (to, window) = (below, window.saturating_mul(2).min(WINDOW_COMMITS.1));
        }
        Ok(Scanned::Whole)
    }

    /// Visits the records behind `after` up to the end of commit `last`, which the state must have.
    fn scan_log(
        &self,
        after: Position,
        last: u64,
        visit: &mut dyn FnMut(AuditRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, EngineError> {
        let from = audit_address(after.commit(), after.index());
        let (mut at, mut stopped, mut result) = (after, false, Ok(Scanned::Whole));
        self.engine.state().scan(Tree::Audit.id(), Some(from.key()), &mut |key, record| {
            let found = parse_audit_key(key).map(|(seq, index)| Position::new(seq, index));
            let step = match found {
                None => Err(FORGED),
                Some(found) if found.commit() > last => return ControlFlow::Break(()),
                Some(found) if !follows(at, found) => Ok(Scanned::Gap),
                Some(found) => match self.open_logged(found, record) {
                    Ok(opened) => {
                        at = found;
                        stopped = visit(opened).is_break();
                        return if stopped {
                            ControlFlow::Break(())
                        } else {
                            ControlFlow::Continue(())
                        };
                    }
                    Err(err) => Err(err),
                },
            };
            result = step;
            ControlFlow::Break(())
        })?;
        match result? {
            // It ends before it should.
            Scanned::Whole if !stopped && at.commit() < last => Ok(Scanned::Gap),
            other => Ok(other),
        }
    }

    fn open_logged(&self, at: Position, record: &[u8]) -> Result<AuditRecord, EngineError> {
        let wire = open_audit(&self.sealer, record).map_err(|Forged| FORGED)?;
        AuditRecord::of(at, wire).map_err(|Forged| FORGED)
    }
}

const FORGED: EngineError = EngineError::Tampered("the audit log");

/// Whether a record may stand right behind a position: the next of its commit, or the first of the next
/// commit.
pub(crate) fn follows(last: Position, next: Position) -> bool {
    let first_of_next = last.commit().checked_add(1).map(|seq| Position::new(seq, 0));
    last.next_in_commit() == Some(next) || first_of_next == Some(next)
}
