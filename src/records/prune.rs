//! The audit log, cut: its oldest commits removed, so that what is left can still be verified.

use std::ops::ControlFlow;

use crate::{
    commit::{AuditStart, EngineError, Plan, audit_address, fold_step},
    crypto::Draw,
    domain::{Position, Timestamp},
    format::{RootV1, Tree},
    records::{Act, Author, Operation, Records, audit::open_audit},
    storage::{Address, Write},
};

/// From how many records on a cut is committed, and another one made for the rest. A commit has some
/// hundred at most, and all must fit into one transaction.
const RECORDS_A_CUT: usize = 1024;

/// What was cut off the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Pruned {
    pub(crate) commits: u64,
    pub(crate) records: u64,
}

/// The commits at the front of the log that are to go.
struct Cut {
    start: AuditStart,
    places: Vec<Address>,
    commits: u64,
    /// Records of a commit of which not all were seen yet.
    open: Vec<Address>,
}

impl Records {
    /// Cuts off whole commits whose records are all older than `before`, from the front, none behind
    /// `end`. Each step is a commit that says so in the log itself.
    pub(crate) fn prune(
        &self,
        before: Timestamp,
        end: Position,
        author: Author<'_>,
    ) -> Result<Pruned, EngineError> {
        self.engine.wait_ready()?;
        // Not the records of its own steps.
        let end = end.min(Position::end_of(self.engine.news().seq()));
        let mut pruned = Pruned::default();
        loop {
            let Some(cut) = self.next_cut(before, end)? else { return Ok(pruned) };
            let records = cut.places.len();
            match self.commit_cut(cut.start, &cut.places, author) {
                Ok(()) => {}
                // Somebody else cut it.
                Err(EngineError::Conflict) => continue,
                Err(err) => return Err(err),
            }
            pruned.commits = pruned.commits.saturating_add(cut.commits);
            pruned.records = pruned.records.saturating_add(records as u64);
            if records < RECORDS_A_CUT {
                return Ok(pruned);
            }
        }
    }

    fn next_cut(&self, before: Timestamp, end: Position) -> Result<Option<Cut>, EngineError> {
        loop {
            let root = self.engine.caught_up_root()?;
            match self.cut_from(&root, before, end)? {
                Some(cut) => return Ok((!cut.places.is_empty()).then_some(cut)),
                None if self.engine.news().audit_first() == root.audit_first_seq => {
                    return Err(EngineError::Tampered("the audit log"));
                }
                // Somebody else cut it while it was read.
                None => {}
            }
        }
    }

    /// What may go of the log as it begins in `root`. `None` if it is not what was written.
    fn cut_from(
        &self,
        root: &RootV1,
        before: Timestamp,
        end: Position,
    ) -> Result<Option<Cut>, EngineError> {
        let start = AuditStart { seq: root.audit_first_seq, chain: root.audit_first_chain };
        let mut cut = Cut { start, places: Vec::new(), commits: 0, open: Vec::new() };
        let (mut chain, mut sound, mut done) = (start.chain, true, false);
        let from = audit_address(start.seq.saturating_sub(1), u32::MAX);
        self.engine.state().scan(Tree::Audit.id(), Some(from.key()), &mut |key, record| {
            let stepped = fold_step(&self.sealer.ring, &chain, key, record);
            let opened = open_audit(&self.sealer, record);
            let (Some((next, (seq, index))), Ok(audit)) = (stepped, opened) else {
                sound = false;
                return ControlFlow::Break(());
            };
            if seq != cut.start.seq {
                sound = cut.start.seq.checked_add(1) == Some(seq);
                cut.take_in(seq, chain);
            }
            let fits = cut.places.len() < RECORDS_A_CUT && Position::end_of(seq) <= end;
            if !sound {
                return ControlFlow::Break(());
            }
            if seq > root.seq || audit.time_ms >= before.as_millis() || !fits {
                done = true;
                return ControlFlow::Break(());
            }
            chain = next;
            cut.open.push(audit_address(seq, index));
            ControlFlow::Continue(())
        })?;
        if !sound {
            return Ok(None);
        }
        if !done {
            // Every record there is.
            cut.take_in(root.seq.saturating_add(1), chain);
        }
        Ok(Some(cut))
    }

    fn commit_cut(
        &self,
        start: AuditStart,
        places: &[Address],
        author: Author<'_>,
    ) -> Result<(), EngineError> {
        let last = start.seq.saturating_sub(1);
        let detail = format!("{} records, to the end of commit {last}", places.len());
        let mut plan = Plan::at(author.at);
        plan.audit_start = Some(start);
        plan.writes.extend(places.iter().map(|place| Write::remove(*place)));
        let act = Act {
            author,
            operation: Operation::PruneAudit,
            secret: None,
            version: None,
            detail: &detail,
        };
        plan.audit.push(act.seal(&self.sealer, &mut Draw::new(24)?)?);
        self.engine.commit(plan).map(|_| ())
    }
}

impl Cut {
    /// All records of a commit were seen and are old; the log is to begin with commit `next`, behind
    /// `chain`.
    fn take_in(&mut self, next: u64, chain: [u8; 32]) {
        self.start = AuditStart { seq: next, chain };
        self.commits = self.commits.saturating_add(1);
        self.places.append(&mut self.open);
    }
}
