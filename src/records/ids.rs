//! Which secret has an id, for those who address secrets by that.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;

use crate::{
    commit::EngineError,
    domain::SecretName,
    records::{Records, SecretBody, SecretFacts},
};

/// The names of secrets by their ids. Empty until somebody asks; from then on kept up by every commit.
#[derive(Default)]
pub(crate) struct Ids(Mutex<Known>);

#[derive(Default)]
struct Known {
    asked: bool,
    complete: bool,
    names: HashMap<[u8; 16], SecretName>,
}

impl Ids {
    /// Notes a secret that was just written or read.
    pub(super) fn note(&self, secret: &SecretBody) {
        let mut known = self.0.lock();
        if known.asked && !known.names.contains_key(&secret.sid) {
            known.names.insert(secret.sid, secret.name.clone());
        }
    }

    /// Forgets a secret that was removed.
    pub(super) fn forget(&self, sid: &[u8; 16]) {
        self.0.lock().names.remove(sid);
    }
}

impl Records {
    /// What is told of the secret with this id, if there is one.
    ///
    /// The first call looks at all secrets, some ten microseconds for each, and keeps 100 bytes or so
    /// for each from then on.
    pub(crate) fn facts_by_sid(
        &self,
        sid: &[u8; 16],
    ) -> Result<Option<Arc<SecretFacts>>, EngineError> {
        self.engine.wait_ready()?;
        self.fill_ids()?;
        let Some(name) = self.ids.0.lock().names.get(sid).cloned() else { return Ok(None) };
        Ok(self.facts(&name)?.filter(|facts| facts.id == *sid))
    }

    fn fill_ids(&self) -> Result<(), EngineError> {
        let mut known = self.ids.0.lock();
        if known.complete {
            return Ok(());
        }
        known.asked = true;
        drop(known);
        // Two who begin at once do the same work, and each is right.
        self.each_secret(|name| {
            if let Some(seen) = self.seen(name)? {
                self.ids.note(&seen.secret.body);
            }
            Ok(())
        })?;
        self.ids.0.lock().complete = true;
        Ok(())
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids(..)")
    }
}
