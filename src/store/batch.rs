//! Current values of several secrets at once.

use super::{Refused, SecretStore, Version, VersionMetadata};
use crate::{
    domain::{Action, BATCH_MAX, SecretName, Stage},
    error::{Error, Limit, Missing},
    records::Sighted,
};

/// Current values of several secrets, all of one moment: an answer for each name, in the order in
/// which they were given (csms.md 8.2 row 44).
#[derive(Debug)]
pub struct BatchValues {
    items: Vec<Result<Version, Refused>>,
}

impl BatchValues {
    /// The values that could be read, in order.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.items.iter().filter_map(|item| item.as_ref().ok())
    }

    /// The names of which no value is given out, in order, with the reasons.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.items.iter().filter_map(|item| item.as_ref().err())
    }

    /// How many values there are: `total_count` of the REST operation.
    #[must_use]
    pub fn total_count(&self) -> usize {
        self.versions().count()
    }

    /// An answer for each name.
    #[must_use]
    pub fn into_items(self) -> Vec<Result<Version, Refused>> {
        self.items
    }
}

impl SecretStore {
    /// The values behind SYSCURRENT of up to 20 secrets, all of one moment: of a commit that changes
    /// several of them, such as one of [`move_stages`](Self::move_stages), all is seen or nothing
    /// (csms.md 3.2, 8.2 row 44).
    ///
    /// A secret that is missing, not enabled, or not for the caller, or whose version or key is disabled, is
    /// left out, and told in [`BatchValues::refused`]. A name that is given twice is answered twice.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if no name is given, [`Error::LimitExceeded`] if more than 20 are.
    /// * [`Error::Tampered`] if a record is not what was written.
    /// * [`Error::Storage`] if reading failed, [`Error::InvalidState`] if the store is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{ErrorKind, NewSecret, SecretValue};
    ///
    /// for (name, value) in [("user", "app"), ("password", "tr-7f2c")] {
    ///     store.create_secret(NewSecret::new(name.parse()?, SecretValue::from_string(value)))?;
    /// }
    /// let values = store.get_many(&["user".parse()?, "nobody".parse()?, "password".parse()?])?;
    /// let read: Vec<_> = values.versions().filter_map(|it| it.value().expose_str()).collect();
    /// assert_eq!(read, ["app", "tr-7f2c"]);
    /// let refused = values.refused().next().ok_or("one is missing")?;
    /// assert_eq!((refused.position(), refused.error().kind()), (1, ErrorKind::NotFound));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "BatchGetSecretValue")]
    #[doc(alias = "BatchShowSecretVersion")]
    pub fn get_many(&self, names: &[SecretName]) -> Result<BatchValues, Error> {
        self.permit_somewhere(Action::BatchGetValue)?;
        let permitted: Vec<Result<(), Error>> =
            names.iter().map(|name| self.permit(Action::BatchGetValue, Some(name))).collect();
        check_count(("names", Limit::Names), names.len())?;
        // What the caller may not read is not even looked for.
        let allowed = names.iter().zip(&permitted).filter(|(_, permitted)| permitted.is_ok());
        let records = &self.inner.records;
        let ids: Vec<_> = allowed.map(|(name, _)| records.id(name)).collect();
        let mut sighted = records.snapshot(&ids)?.into_iter();
        let (mut items, mut reads) = (Vec::with_capacity(names.len()), Vec::new());
        for (position, (name, permitted)) in names.iter().zip(permitted).enumerate() {
            let answer = match permitted {
                Ok(()) => self.answer(name, sighted.next().flatten()),
                Err(err) => Err(err),
            };
            match answer {
                Ok((sid, version)) => {
                    reads.push((name, sid, version.id()));
                    items.push(Ok(version));
                }
                Err(err) if is_of_one(&err) => {
                    items.push(Err(Refused::new(position, name.clone(), err)));
                }
                Err(err) => return Err(err),
            }
        }
        self.record_reads(&reads)?;
        Ok(BatchValues { items })
    }

    fn answer(
        &self,
        name: &SecretName,
        sighted: Option<Sighted>,
    ) -> Result<([u8; 16], Version), Error> {
        let sighted = sighted.ok_or_else(|| Error::no_secret(name))?;
        let stages = &sighted.head.body;
        let lost = || Error::NotFound(Missing::Stage(name.clone(), Stage::Current));
        let entry = sighted.entry().ok_or_else(lost)?;
        self.admit_version(name, stages, entry)?;
        let value = self.inner.records.open_sighted(&sighted)?.ok_or_else(lost)?;
        Ok((stages.sid, Version { metadata: VersionMetadata::of(name, stages, entry), value }))
    }
}

/// Refuses none, and more than a call may be about.
pub(super) fn check_count(
    (argument, what): (&'static str, Limit),
    count: usize,
) -> Result<(), Error> {
    match count {
        0 => Err(Error::invalid(argument, "there are none")),
        1..=BATCH_MAX => Ok(()),
        _ => Err(Error::LimitExceeded { what, asked: count, max: BATCH_MAX }),
    }
}

/// Whether an error is about one secret, and says nothing of the others.
fn is_of_one(err: &Error) -> bool {
    matches!(
        err,
        Error::Denied { .. }
            | Error::Key { .. }
            | Error::NotFound(_)
            | Error::SecretState { .. }
            | Error::VersionState { .. }
    )
}

#[cfg(test)]
mod tests {
    use crate::{
        MasterKey, NewSecret, NewVersion, SecretName, SecretStore, SecretValue, Stage, VersionId,
        records::{Draft, Operation},
    };

    /// Between the two of one commit a reader would see the first as it is now and the second as it was.
    #[test]
    fn two_secrets_of_one_commit_are_not_seen_while_it_is_published() {
        let dir = tempfile::tempdir().unwrap();
        let builder = SecretStore::builder().master_key(MasterKey::generate().unwrap());
        let store = builder.create(dir.path().join("s")).unwrap();
        let names: [SecretName; 2] = ["a", "b"].map(|name| name.parse().unwrap());
        let value = || SecretValue::from_string("one");
        for name in &names {
            store.create_secret(NewSecret::new(name.clone(), value())).unwrap();
            store.put_version(name, NewVersion::new(value())).unwrap();
        }
        let (records, at) = (&store.inner.records, store.inner.clock.now());
        let ids = names.each_ref().map(|name| records.id(name));
        let glimpse = || -> Option<Vec<u64>> {
            let all = records.glimpse_all(&ids).unwrap()?;
            let current = |it: Option<super::Sighted>| it.unwrap().entry().unwrap().id.number();
            Some(all.into_iter().map(current).collect())
        };
        assert_eq!(glimpse(), Some(vec![2, 2]));
        let (mut changes, mut written) = (Vec::new(), Vec::new());
        for name in &names {
            let author = store.author(at);
            let mut draft = Draft::of(records, store.seen(name).unwrap(), author).unwrap();
            let labels = &mut draft.stages_mut().labels;
            let _ = labels.place(&Stage::Current, VersionId::FIRST, at, 20).unwrap();
            let (plan, after) =
                draft.into_plan(Operation::MoveStage, Some(VersionId::FIRST)).unwrap();
            records.keep(&after);
            changes.extend(plan.heads);
            written.push(after);
        }
        let mut seen = Vec::new();
        let index = &records.engine.index;
        index.publish_all(changes.iter().inspect(|_| {
            // Those that are published by now are known as they are now.
            written.iter().take(seen.len()).for_each(|after| records.keep(after));
            seen.push(glimpse());
        }));
        assert_eq!(seen, [None, None]);
        written.iter().for_each(|after| records.keep(after));
        assert_eq!(glimpse(), Some(vec![1, 1]));
    }
}
