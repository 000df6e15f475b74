//! The handle of an open store, and what all its clones share.

use std::{collections::BTreeMap, fmt, sync::Arc, thread::JoinHandle};

use parking_lot::{Mutex, RwLock};

use super::turns::Turns;
use crate::{
    access::Session,
    commit::EngineError,
    domain::{Action, Clock, Limits, PasswordPolicy, PasswordPolicyName, SecretName, Timestamp},
    error::Error,
    events::Notifier,
    records::{Author, Records},
};

/// An open store of secrets (csms.md 3 has the operations).
///
/// A handle: cloning it is cheap, all clones are the same store, and threads may use it at the same
/// time. When the last one is dropped, the store is closed as by [`close`](Self::close), but errors
/// are not heard.
///
/// Every method that changes something is *durable* (when it returns `Ok`, the change survives a
/// crash and a loss of power) and *atomic* (it happens wholly or not at all). A reader never sees
/// what is not durable yet.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("store");
/// use strongroom::{MasterKey, NewSecret, SecretStore, SecretType, SecretValue};
///
/// let store = SecretStore::builder().master_key(MasterKey::generate()?).create(&path)?;
/// let name = "billing-db".parse()?;
/// let value = SecretValue::from_string(r#"{"users":[{"name":"app","password":"first"}]}"#);
/// store.create_secret(NewSecret::new(name, value).secret_type(SecretType::RdsFg))?;
///
/// let name = "billing-db".parse()?;
/// let rotation = store.rotate(&name)?;
/// assert_eq!(rotation.to_json(), r#"{"version_id":"v2","secret_name":"billing-db"}"#);
/// assert_ne!(store.get(&name)?.value().expose_str(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SecretStore {
    pub(super) inner: Arc<Inner>,
    pub(super) caller: Caller,
}

/// Who calls through a handle.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// The program that opened the store: it may do everything.
    Embedder,
    /// The store itself, for what the clock brings about.
    Store,
    /// A principal: he may do what his policies say.
    Session(Arc<Session>),
}

/// What the store is called in the audit log, for what it does by itself.
pub(super) const STORE_ACTOR: &str = "strongroom";

impl SecretStore {
    /// Refuses what the caller may not do, and to which secret. The first thing that every public
    /// method does: before anything is read, so that a refusal tells nothing of what is there.
    pub(super) fn permit(&self, action: Action, on: Option<&SecretName>) -> Result<(), Error> {
        match &self.caller {
            Caller::Embedder | Caller::Store => Ok(()),
            Caller::Session(session) => match session.lacks(action, on) {
                None => Ok(()),
                Some(lacking) => Err(Error::denied(session.principal(), lacking, on)),
            },
        }
    }

    /// The same for a secret that the caller did not name: the refusal does not either.
    pub(super) fn permit_unnamed(&self, action: Action, on: &SecretName) -> Result<(), Error> {
        self.permit(action, Some(on)).map_err(Error::without_secret)
    }

    /// Refuses a caller who may not do one of these, for methods that do the one or the other.
    pub(super) fn permit_any(
        &self,
        actions: &[Action],
        on: Option<&SecretName>,
    ) -> Result<(), Error> {
        let refused = actions.iter().map(|action| self.permit(*action, on));
        refused.reduce(Result::or).unwrap_or(Ok(()))
    }

    /// Refuses a caller who may do this to no secret at all, for methods that then leave out, or refuse,
    /// one by one, what he may not: see [`may`](Self::may).
    pub(super) fn permit_somewhere(&self, action: Action) -> Result<(), Error> {
        match &self.caller {
            Caller::Embedder | Caller::Store => Ok(()),
            Caller::Session(session) if session.allows_somewhere(action) => Ok(()),
            Caller::Session(session) => Err(Error::denied(session.principal(), action, None)),
        }
    }

    /// The same for methods that do one of these.
    pub(super) fn permit_somewhere_any(&self, actions: &[Action]) -> Result<(), Error> {
        let refused = actions.iter().map(|action| self.permit_somewhere(*action));
        refused.reduce(Result::or).unwrap_or(Ok(()))
    }

    /// Whether the caller may do this to a secret.
    pub(super) fn may(&self, action: Action, name: &SecretName) -> bool {
        self.may_see(action, Some(name))
    }

    /// Whether a listing may show the caller a row about a secret, or about none.
    pub(super) fn may_see(&self, action: Action, on: Option<&SecretName>) -> bool {
        match &self.caller {
            Caller::Embedder | Caller::Store => true,
            Caller::Session(session) => session.lacks(action, on).is_none(),
        }
    }

    /// Whether the caller is the embedder, or the store itself, who may do everything.
    pub(super) fn is_embedder(&self) -> bool {
        !matches!(self.caller, Caller::Session(_))
    }

    /// The caller, as the audit log names him.
    pub(super) fn author(&self, at: Timestamp) -> Author<'_> {
        match &self.caller {
            Caller::Embedder => Author { actor: "", at },
            Caller::Store => Author { actor: STORE_ACTOR, at },
            Caller::Session(session) => Author { actor: session.principal().as_str(), at },
        }
    }

    /// A handle for what the store does by itself.
    pub(super) fn own(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), caller: Caller::Store }
    }
}

/// What all handles of a store share.
pub(super) struct Inner {
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) password_policy: PasswordPolicy,
    /// Those that requests can ask for by name.
    pub(super) named_password_policies: BTreeMap<PasswordPolicyName, PasswordPolicy>,
    /// Whether versions are refused before and after their time.
    pub(super) enforce_validity: bool,
    pub(super) turns: Turns,
    /// Held while a secret is created under a quota, so that the quota holds exactly.
    pub(super) creation: Mutex<()>,
    /// Held while events are changed, so that their number is kept exactly.
    pub(super) events: Mutex<()>,
    /// Held for reading while a secret is made to subscribe to an event, for writing while one is
    /// deleted.
    pub(super) subscribing: RwLock<()>,
    pub(super) notifier: Option<Arc<dyn Notifier>>,
    /// Held while notifications are sent.
    pub(super) delivery: Mutex<()>,
    /// Whether values that are read go into the audit log.
    pub(super) audit_reads: bool,
    /// Checks the store in the background after a deferred opening.
    pub(super) verifier: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    pub(super) fn close(&self) -> Result<(), EngineError> {
        let closed = self.records.engine.close();
        if let Some(verifier) = self.verifier.lock().take() {
            // It sees that the store is closed and ends; what it found is no longer of interest.
            let _ = verifier.join();
        }
        closed
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; what was acknowledged is in the journal.
        let _ = self.close();
    }
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretStore").finish_non_exhaustive()
    }
}
