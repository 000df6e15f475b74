//! Secrets: create, show, list, update, delete.

use super::{
    ListSecrets, NewSecret, Page, Preconditions, Secret, SecretStore, SecretUpdate,
    bounds::page_limit,
    change::{Edit, Once, Terms},
    tags::{check_keys, tags_to_keep},
};
use crate::{
    commit::{EngineError, Plan},
    domain::{
        Action, EventName, PAGE_MAX, SecretName, SecretValue, StateRefusal, Tag, Usage, ValueKind,
        VersionId,
    },
    error::{Error, Limit},
    records::{Draft, NewVersionSpec, Operation, SecretBody, Written},
    rotation,
};

/// How often a creation is tried again because its key was changed meanwhile.
const KEY_TRIES_MAX: usize = 16;

impl SecretStore {
    /// Creates a secret; its value becomes version `v1`, labelled SYSCURRENT (csms.md 3.1).
    ///
    /// # Errors
    ///
    /// * [`Error::AlreadyExists`] if there is a secret of this name. It is not changed.
    /// * [`Error::Constraint`] if the type is a rotatable one and the value does not have its shape:
    ///   `{"users":[{"name":"...","password":"..."}]}` with one account; or automatic rotation is
    ///   asked for a secret of type COMMON.
    /// * [`Error::Key`] if the key of the key manager that it names is not there or disabled.
    /// * [`Error::InvalidArgument`] if the name is legal only under another
    ///   [name syntax](crate::NameSyntax), automatic rotation has no period, a rotation configuration
    ///   is missing that the [limits](crate::Limits) ask for, or a tag's key is given twice.
    /// * [`Error::LimitExceeded`] if the value is too long, there are more than 20 tags or one event, or
    ///   the store's quota of secrets is full; [`Error::NotFound`] if there is no such event.
    /// * [`Error::Conflict`] if the request token was used for another type or value.
    ///
    /// Nothing was written in any of these cases. And those of every write:
    /// [`Error::Storage`], after which it is open whether the secret is there, [`Error::Poisoned`],
    /// [`Error::InvalidState`], [`Error::Tampered`], [`Error::Damaged`], [`Error::Random`].
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
    /// let secret = NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c"))
    ///     .description("the tracker's".parse()?);
    /// let secret = store.create_secret(secret)?;
    /// assert_eq!(secret.current_version(), Some(strongroom::VersionId::FIRST));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "CreateSecret")]
    #[expect(clippy::needless_pass_by_value, reason = "the value is taken over and wiped here")]
    pub fn create_secret(&self, new: NewSecret) -> Result<Secret, Error> {
        self.permit(Action::CreateSecret, Some(&new.name))?;
        self.permit_parts(&new)?;
        let _held = (!new.event_subscriptions.is_empty()).then(|| self.hold_events());
        let once = self.check_new(&new)?;
        let _alone = self.alone_under_quota(&new.name)?;
        self.commit_new(&new, once)
    }

    /// Refuses a caller who may create a secret, but not with a key or tags.
    fn permit_parts(&self, new: &NewSecret) -> Result<(), Error> {
        self.permit_key(Some(&new.kms_key_id), &new.name)?;
        match new.tags.is_empty() {
            true => Ok(()),
            false => self.permit(Action::CreateTag, Some(&new.name)),
        }
    }

    /// Whether the request is one that can be carried out, whatever is in the store.
    fn check_new(&self, new: &NewSecret) -> Result<Option<Once>, Error> {
        self.check_name(&new.name)?;
        self.check_value(&new.value)?;
        check_keys(Limit::Tags, new.tags.iter().map(Tag::key))?;
        if new.secret_type.is_rotatable() {
            rotation::check(&new.value).map_err(|err| Error::of_shape(&new.name, err))?;
        }
        Ok(self.once(
            new.token.as_ref(),
            "create",
            &[new.secret_type.as_str().as_bytes(), kind_byte(&new.value), new.value.expose()],
        ))
    }

    /// The commit of a new secret, to be made together with others. `None` if it must be created by
    /// itself: its name is taken, there is a quota, or it subscribes to events.
    pub(super) fn plan_new(&self, new: &NewSecret) -> Result<Option<(Plan, Written)>, Error> {
        self.permit(Action::CreateSecret, Some(&new.name))?;
        self.permit_parts(new)?;
        let (once, records) = (self.check_new(new)?, &self.inner.records);
        let alone =
            self.inner.limits.secrets_max().is_some() || !new.event_subscriptions.is_empty();
        if alone || records.seen(&new.name)?.is_some() {
            return Ok(None);
        }
        let (draft, version) = self.draft_new(new, once)?;
        Ok(Some(draft.into_plan(Operation::CreateSecret, Some(version))?))
    }

    fn draft_new(
        &self,
        new: &NewSecret,
        once: Option<Once>,
    ) -> Result<(Draft<'_>, VersionId), Error> {
        let kind = (new.secret_type.clone(), new.description.clone());
        let author = self.author(self.inner.clock.now());
        let mut draft = Draft::create(&self.inner.records, new.name.clone(), kind, author)?;
        draft.set_key(self.named_key(&new.kms_key_id))?;
        if let Some(rotation) = self.rotation_of_new(new, author.at)? {
            draft.secret_mut().rotation = rotation;
        }
        let spec = NewVersionSpec { value: &new.value, stages: &[], expires: None };
        let version = draft
            .add_version(&spec, &self.inner.limits)
            .map_err(|err| Error::of_draft(&new.name, err))?;
        if !new.event_subscriptions.is_empty() {
            self.subscribe_to(&mut draft, (&[], &new.event_subscriptions))?;
        }
        if let Some(once) = once {
            once.remember(draft.stages_mut(), version);
        }
        let secret = draft.secret_mut();
        secret.tags = tags_to_keep(&new.tags);
        secret.purge_protected = new.purge_protected;
        (secret.keep_versions, secret.keep_ms) = new.retention.parts();
        let project = new.enterprise_project_id.as_ref();
        secret.enterprise_project_id = project.map(|id| id.as_str().to_owned());
        Ok((draft, version))
    }

    fn commit_new(&self, new: &NewSecret, once: Option<Once>) -> Result<Secret, Error> {
        let records = &self.inner.records;
        if let Some(there) = self.find(&new.name)? {
            let done = once.map(|once| once.done_before(&new.name, &there.stages.body));
            return match done.transpose()?.flatten() {
                Some(_) => Ok(Secret::of(&there)),
                None => Err(Error::AlreadyExists { what: format!("secret {}", new.name) }),
            };
        }
        let mut tries = 0..KEY_TRIES_MAX;
        loop {
            let (draft, version) = self.draft_new(new, once)?;
            return match draft.commit(Operation::CreateSecret, Some(version)) {
                Ok(seen) => {
                    self.announce(&seen, Operation::CreateSecret);
                    Ok(Secret::of(&seen))
                }
                // Another writer made it meanwhile; with our token, it was ourselves.
                Err(EngineError::Conflict) => match (records.seen(&new.name)?, once) {
                    (Some(there), Some(once))
                        if once.done_before(&new.name, &there.stages.body)?.is_some() =>
                    {
                        Ok(Secret::of(&there))
                    }
                    // It was its key that changed, or the secret is gone again.
                    (None, _) if tries.next().is_some() => continue,
                    _ => Err(Error::AlreadyExists { what: format!("secret {}", new.name) }),
                },
                Err(err) => Err(err.into()),
            };
        }
    }

    /// The metadata of a secret (csms.md 3.1).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::Tampered`] if its records are not what was written.
    /// * [`Error::Storage`] if reading failed, [`Error::InvalidState`] if the store is closed.
    #[doc(alias = "ShowSecret")]
    #[doc(alias = "DescribeSecret")]
    pub fn secret(&self, name: &SecretName) -> Result<Secret, Error> {
        self.permit(Action::GetSecret, Some(name))?;
        let facts = self.facts(name)?;
        facts.map(Secret).ok_or_else(|| Error::no_secret(name))
    }

    /// A page of secrets, by name in byte order (csms.md 3.1, 8.2 rows 41 to 43).
    ///
    /// Secrets created or deleted while one pages through are in a later page or not, but no other
    /// secret is left out or given twice.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the limit is not from 1 to 1,000.
    /// * [`Error::Denied`] if the caller may list no secret. Of one who may list some, the page has these
    ///   alone, and tells nothing of others.
    /// * [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for
    ///   [`secret`](Self::secret).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::ListSecrets;
    ///
    /// let mut request = ListSecrets::new().prefix("billing-").limit(100);
    /// loop {
    ///     let page = store.secrets(&request)?;
    ///     for secret in page.items() {
    ///         println!("{} {}", secret.name(), secret.revision());
    ///     }
    ///     let Some(last) = page.items().last().filter(|_| page.has_more()) else { break };
    ///     request = request.marker(last.name().clone());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "ListSecrets")]
    pub fn secrets(&self, list: &ListSecrets) -> Result<Page<Secret>, Error> {
        self.permit_somewhere(Action::ListSecrets)?;
        if let Some(event) = &list.event_name {
            let limit = page_limit(list.limit)?;
            let found = self.subscribers(list, (event, limit.saturating_add(1)), |name| {
                self.may(Action::ListSecrets, name)
            })?;
            return Ok(Page::cut(found, limit));
        }
        let mut list = list.clone();
        loop {
            let names = self.names(&list)?;
            let last = names.items().last().cloned();
            // One that was deleted since its name was listed is left out. The last of a page is where the
            // next one begins, so none is empty before the end.
            let page = names.try_map(|name| Ok::<_, Error>(self.facts(&name)?.map(Secret)))?;
            if !page.items().is_empty() || !page.has_more() {
                return Ok(page);
            }
            list.marker = last;
        }
    }

    /// A page of names, like [`secrets`](Self::secrets) but without reading a single record. Not in
    /// CSMS.
    ///
    /// # Errors
    ///
    /// As for [`secrets`](Self::secrets).
    pub fn names(&self, list: &ListSecrets) -> Result<Page<SecretName>, Error> {
        self.permit_somewhere(Action::ListSecrets)?;
        if list.event_name.is_some() {
            let page = self.secrets(list)?;
            return page.try_map(|secret| Ok(Some(secret.name().clone())));
        }
        let limit = page_limit(list.limit)?;
        self.inner.records.engine.wait_ready()?;
        let gone = self.remove_due();
        let count = limit.saturating_add(1).saturating_add(gone.len());
        let mut names = self.names_to_list(&list.prefix, list.marker.clone(), count);
        names.retain(|name| !gone.contains(name));
        Ok(Page::cut(names, limit))
    }

    /// The first `count` names behind `after` that the caller may list.
    fn names_to_list(
        &self,
        prefix: &str,
        mut after: Option<SecretName>,
        count: usize,
    ) -> Vec<SecretName> {
        let index = &self.inner.records.engine.index;
        // Of a caller who may not list all, most names may fall out.
        let at_a_time = if self.is_embedder() { count } else { count.max(PAGE_MAX) };
        let mut listed = Vec::new();
        loop {
            let names = index.names(prefix, after.as_ref(), at_a_time);
            let Some(last) = names.last().cloned() else { return listed };
            let is_last = names.len() < at_a_time;
            listed.extend(names.into_iter().filter(|name| self.may(Action::ListSecrets, name)));
            if is_last || listed.len() >= count {
                return listed;
            }
            after = Some(last);
        }
    }

    /// Changes the metadata of a secret. An update that changes nothing writes nothing (csms.md 8.2
    /// row 37). A [retention](SecretUpdate::retention) drops the versions that are beyond it for good,
    /// also one that the secret had already.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, or no event that it is to subscribe to.
    /// * [`Error::SecretState`] if it is frozen or to be deleted.
    /// * [`Error::Conflict`] if a precondition does not hold.
    /// * [`Error::Key`] if the key that it names is not there or disabled.
    /// * [`Error::LimitExceeded`] if it is to subscribe to more than one event.
    /// * [`Error::Constraint`], [`Error::InvalidArgument`] if the secret cannot be
    ///   [rotated so](SecretUpdate::rotation).
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "UpdateSecret")]
    pub fn update_secret(&self, name: &SecretName, update: &SecretUpdate) -> Result<Secret, Error> {
        self.permit(Action::UpdateSecret, Some(name))?;
        self.permit_key(update.kms_key_id.as_ref(), name)?;
        if update.retention.is_some() {
            self.permit(Action::DestroyVersion, Some(name))?;
        }
        let _held = update.event_subscriptions.is_some().then(|| self.hold_events());
        let terms = Terms::of(Usage::Metadata, &update.preconditions);
        let changed = self.change(name, terms, |draft, seen, at| {
            let before = &seen.secret.body;
            let mut after = before.clone();
            if let Some(description) = &update.description {
                after.description = description.clone();
            }
            if let Some(retention) = update.retention {
                (after.keep_versions, after.keep_ms) = retention.parts();
            }
            if let Some(events) = &update.event_subscriptions
                && !events.iter().map(EventName::as_str).eq(&before.event_subscriptions)
            {
                self.subscribe_to(draft, (&before.event_subscriptions, events))?;
                after.event_subscriptions = draft.secret_mut().event_subscriptions.clone();
            }
            if let Some(key_id) = &update.kms_key_id {
                after.kms_key_id = self.named_key(key_id);
            }
            if after.kms_key_id != before.kms_key_id {
                draft.set_key(after.kms_key_id.clone())?;
            }
            if let Some(rotation) = update.rotation_of(seen, at)? {
                after.rotation = rotation;
            }
            let is_another = after != *before;
            *draft.secret_mut() = SecretBody { updated: draft.secret_mut().updated, ..after };
            // Also if it was the same before: what is beyond it by now goes.
            let dropped = if update.retention.is_some() { draft.drop_outlived() } else { 0 };
            if !is_another && dropped == 0 {
                return Ok(Edit::Nothing);
            }
            if dropped > 0 {
                draft.set_detail(format!("{dropped} versions dropped"));
            }
            Ok(Edit::Commit(Operation::UpdateSecret, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }

    /// Deletes a secret with all its versions, at once and for good, whatever its state. Its name is
    /// free again; a new secret of that name starts at `v1` (csms.md 2.5, 8.2 rows 27, 32 and 34).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if it is [protected](crate::NewSecret::purge_protected).
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "DeleteSecret")]
    pub fn delete_secret(&self, name: &SecretName) -> Result<(), Error> {
        self.delete_secret_if(name, &Preconditions::none())
    }

    /// Deletes a secret if it is as required (csms.md 3.1). See
    /// [`delete_secret`](Self::delete_secret).
    ///
    /// # Errors
    ///
    /// As for [`delete_secret`](Self::delete_secret), and [`Error::Conflict`] if a precondition does
    /// not hold.
    pub fn delete_secret_if(
        &self,
        name: &SecretName,
        preconditions: &Preconditions,
    ) -> Result<(), Error> {
        self.permit(Action::DeleteSecret, Some(name))?;
        self.change(name, Terms::of(Usage::Delete, preconditions), |_, seen, _| {
            if seen.secret.body.purge_protected {
                let state = seen.stages.body.state();
                return Err(Error::of_state(name, state, StateRefusal::Protected));
            }
            Ok(Edit::Remove)
        })?;
        Ok(())
    }
}

/// Tells text from binary in a token's hash.
pub(super) fn kind_byte(value: &SecretValue) -> &'static [u8] {
    match value.kind() {
        ValueKind::Text => b"text",
        ValueKind::Binary => b"binary",
    }
}
