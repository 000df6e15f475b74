//! The change feed: the audit log as it grows, for who wants to know of every change.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    SecretStore,
    handle::{Caller, Inner},
};
use crate::{
    domain::{Action, Position},
    error::{Error, ErrorKind},
    records::{AuditRecord, Followed, Records},
};

/// How many records are read ahead.
const RECORDS_AHEAD: usize = 256;

/// Every change of a store behind a position, in order and without gaps.
///
/// Made by [`SecretStore::subscribe`]. As an iterator it waits for the next change as long as it takes,
/// and ends when the store is closed (what it had not told by then, a later subscription from
/// [`reached`](Self::reached) on tells); [`next_within`](Self::next_within) waits no longer than it is
/// told. It does not keep the store open. It belongs to one thread at a time; any number may be at
/// work, each with a place of its own, and none keeps writers or another one waiting.
pub struct Subscription {
    store: Weak<Inner>,
    caller: Caller,
    /// What the caller was given last.
    reached: Position,
    /// What was read ahead, and how far that came.
    ahead: VecDeque<AuditRecord>,
    read_to: Position,
    /// There was an error that lasts, or the store was closed.
    ended: bool,
}

impl SecretStore {
    /// Follows the changes of the store from a position on: [`position`](Self::position) for those to
    /// come, [`Position::START`] for all that ever happened, or where an earlier subscription
    /// [had come to](Subscription::reached), also before the store was closed.
    ///
    /// A change is told once it is durable, each exactly once, in the order in which they were made.
    /// What changes nothing is left out: values read, backups. So is what the caller may not follow: one
    /// who may follow some secrets is told of these alone, and of what is about no secret only if he may
    /// follow all.
    ///
    /// # Errors
    ///
    /// * [`Error::Denied`] if the caller may follow no secret.
    /// * [`Error::Pruned`] if records behind the position were [cut off](Self::prune_audit).
    /// * [`Error::Rollback`] if the store has not come so far: it was put back to an older state.
    /// * [`Error::InvalidState`] if the store is closed, [`Error::Tampered`] if it was found forged.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{NewSecret, SecretValue};
    ///
    /// let mut changes = store.subscribe(store.position()?)?;
    /// store.create_secret(NewSecret::new("api".parse()?, SecretValue::from_string("tr-7f2c")))?;
    ///
    /// let change = changes.next().expect("the store is open")?;
    /// assert_eq!(change.secret_name().map(|name| name.as_str()), Some("api"));
    /// let later = changes.reached(); // to be kept, and gone on from
    /// # let _ = later;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe(&self, from: Position) -> Result<Subscription, Error> {
        self.permit_somewhere(Action::Subscribe)?;
        let engine = &self.inner.records.engine;
        engine.wait_ready()?;
        let (seq, oldest) = (engine.news().seq(), self.oldest_position()?);
        if from < oldest {
            return Err(Error::Pruned { from, oldest });
        }
        if from > Position::end_of(seq) {
            return Err(Error::Rollback { found: seq, expected: from.commit() });
        }
        Ok(Subscription {
            store: Arc::downgrade(&self.inner),
            caller: self.caller.clone(),
            reached: from,
            ahead: VecDeque::new(),
            read_to: from,
            ended: false,
        })
    }
}

impl Subscription {
    /// Where it has come to: behind the change that was given last. A later subscription from here on
    /// misses nothing and repeats nothing.
    #[must_use]
    pub fn reached(&self) -> Position {
        self.reached
    }

    /// The next change; `None` if there was none within `timeout`, or sooner if all that was written
    /// meanwhile is left out.
    ///
    /// # Errors
    ///
    /// * [`Error::Pruned`] if the next records were cut off before they were read.
    /// * [`Error::InvalidState`] if the store is closed.
    /// * [`Error::Poisoned`] if it can write no more, once all that was written is told.
    /// * [`Error::Tampered`] if records are not what was written, [`Error::Storage`] if reading failed.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<AuditRecord>, Error> {
        self.advance(Some(timeout))
    }

    fn advance(&mut self, timeout: Option<Duration>) -> Result<Option<AuditRecord>, Error> {
        let mut waited = false;
        loop {
            if let Some(record) = self.ahead.pop_front() {
                self.reached = if self.ahead.is_empty() { self.read_to } else { record.position() };
                return Ok(Some(record));
            }
            if self.read_ahead()? {
                if self.ahead.is_empty() && waited && timeout.is_some() {
                    return Ok(None);
                }
                continue;
            }
            // Kept only while it waits: the records, not the store, whose last handle may go.
            let records = self.records()?;
            let news = records.engine.news();
            if !news.wait_behind(self.read_to.commit(), timeout) {
                records.engine.health().check_write()?;
                return Ok(None);
            }
            waited = true;
        }
    }

    /// Reads what there is; whether there is anything.
    fn read_ahead(&mut self) -> Result<bool, Error> {
        let inner = self.store.upgrade().ok_or(Error::InvalidState)?;
        let store = SecretStore { inner, caller: self.caller.clone() };
        store.permit_somewhere(Action::Subscribe)?;
        let Some(Followed { records, reached }) =
            store.inner.records.follow(self.read_to, RECORDS_AHEAD)?
        else {
            let oldest = store.oldest_position()?;
            return Err(Error::Pruned { from: self.reached, oldest });
        };
        let moved = reached != self.read_to;
        self.read_to = reached;
        let shown = |record: &AuditRecord| {
            record.operation().is_change() && store.may_see(Action::Subscribe, record.secret_name())
        };
        self.ahead.extend(records.into_iter().filter(shown));
        if self.ahead.is_empty() {
            self.reached = reached;
        }
        Ok(moved)
    }

    fn records(&self) -> Result<Arc<Records>, Error> {
        let inner = self.store.upgrade().ok_or(Error::InvalidState)?;
        Ok(Arc::clone(&inner.records))
    }
}

/// Waits for each change. Ends when the store is closed, and behind an error.
impl Iterator for Subscription {
    type Item = Result<AuditRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.advance(None) {
            Ok(record) => record.map(Ok),
            Err(err) => {
                self.ended = true;
                (err.kind() != ErrorKind::InvalidState).then_some(Err(err))
            }
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("position", &self.reached).finish_non_exhaustive()
    }
}
