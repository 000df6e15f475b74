//! Sessions: handles through which a principal calls, and what they may do.

use std::sync::Arc;

use super::{SecretStore, handle::Caller};
use crate::{
    access::{DATABASE_ROTATION_NEEDS, Policy, Principal, Session},
    domain::{Action, SESSION_POLICIES_MAX, SecretName},
    error::{Error, Limit},
};

impl SecretStore {
    /// A handle through which `principal` calls, with the rights that `policies` give him (csms.md 3.9).
    ///
    /// It has all the methods that this handle has. Each of them first asks the policies whether its
    /// [`Action`] is allowed on the secret that it is about, and answers [`Error::Denied`] if not, before
    /// anything is read: whether a secret is there is not told to those who may not know. Only what a
    /// rotation takes beside its own permission, and which of two permissions moving a label takes, is
    /// looked at when the secret was read. With no
    /// policies everything is denied. The principal is the actor in the audit records of what he does.
    /// What the policies say is fixed when the session is made.
    ///
    /// Beside its own permission an action may take others, as in CSMS:
    ///
    /// | to | takes beside it |
    /// | --- | --- |
    /// | read a value (`csms:secret:getVersion`, `batchGetSecretValue`) | `kms:cmk:decryptDataKey` |
    /// | store a version (`csms:secret:createVersion`) | `kms:cmk:createDataKey` |
    /// | rotate (`csms:secret:rotate`) | `rds:password:update`, `kms:cmk:get`, `list`, `createDataKey`, `decryptDataKey` |
    /// | set a retention (`csms:secret:update`) | `strongroom:secret:destroyVersion` |
    /// | create a secret with tags, or under a named key (`csms:secret:create`) | `csms:secret:createTag`; `kms:cmk:createDataKey` |
    ///
    /// They are asked for on the same secret. Calls that are about no secret, such as listing events, are
    /// allowed by statements about all secrets only.
    ///
    /// What lists rows about secrets is allowed if its action is on some secret: secrets, names and
    /// searches, tags of the store, rotation tasks, the audit log, the change feed, records of
    /// notifications. It shows the rows about secrets on which the action is allowed; the others are on
    /// no page and in no count. Rows about no secret, such as of a key slot in the audit log, are shown to
    /// those who are allowed the action on all. So what shall not be seen of a secret is denied action by
    /// action: who may not `csms:secret:list` it may still find it in the audit log, if he may
    /// `strongroom:audit:read` there.
    ///
    /// Only the handle that opened the store, and its clones, can make sessions. A session keeps the store
    /// open like any other handle; it can [`close`](Self::close) it only with
    /// `strongroom:store:maintain`.
    ///
    /// # Errors
    ///
    /// * [`Error::Denied`] if this handle is a session itself, whatever its policies say.
    /// * [`Error::LimitExceeded`] if there are more than 32 policies.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{ErrorKind, NewSecret, Policy, SecretValue};
    ///
    /// # let orders: strongroom::SecretName = "orders-db".parse()?;
    /// # let billing: strongroom::SecretName = "billing-db".parse()?;
    /// store.create_secret(NewSecret::new("orders-db".parse()?, SecretValue::from_string("one")))?;
    /// store.create_secret(NewSecret::new("billing-db".parse()?, SecretValue::from_string("two")))?;
    ///
    /// let policy: Policy = r#"{"Version":"1.1","Statement":[{
    ///     "Effect": "Allow",
    ///     "Action": ["csms:secret:get*", "csms:secret:list", "kms:cmk:decryptDataKey"],
    ///     "Resource": ["csms:*:*:secretName:orders-*"]
    /// }]}"#.parse()?;
    /// let session = store.session("orders-service".parse()?, [policy])?;
    ///
    /// assert_eq!(session.get(&orders)?.value().expose_str(), Some("one"));
    /// let denied = session.get(&billing).unwrap_err();
    /// assert_eq!(denied.kind(), ErrorKind::Denied);
    /// assert_eq!(
    ///     denied.to_string(),
    ///     "orders-service lacks the permission csms:secret:getVersion on secret billing-db",
    /// );
    /// let listed = session.secrets(&strongroom::ListSecrets::new())?;
    /// assert_eq!(listed.items().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(
        &self,
        principal: Principal,
        policies: impl IntoIterator<Item = Policy>,
    ) -> Result<Self, Error> {
        self.permit(Action::OpenSession, None)?;
        let one_more = SESSION_POLICIES_MAX.saturating_add(1);
        let policies: Vec<Policy> = policies.into_iter().take(one_more).collect();
        if policies.len() > SESSION_POLICIES_MAX {
            let (asked, max) = (policies.len(), SESSION_POLICIES_MAX);
            return Err(Error::LimitExceeded { what: Limit::Policies, asked, max });
        }
        let session = Arc::new(Session::new(principal, policies));
        Ok(Self { inner: Arc::clone(&self.inner), caller: Caller::Session(session) })
    }

    /// The principal who calls through this handle; `None` for the embedder.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        match &self.caller {
            Caller::Embedder | Caller::Store => None,
            Caller::Session(session) => Some(session.principal()),
        }
    }

    /// Refuses a caller who lacks what rotating a secret of a database takes.
    pub(super) fn permit_database_rotation(&self, name: &SecretName) -> Result<(), Error> {
        DATABASE_ROTATION_NEEDS.iter().try_for_each(|action| self.permit(*action, Some(name)))
    }
}
