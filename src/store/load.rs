//! Many new secrets at once.

use std::{
    collections::HashSet,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{NewSecret, SecretStore};
use crate::{
    commit::{EngineError, HeadChange, NameId, Plan},
    domain::{Action, SecretName},
    error::Error,
    records::Written,
};

/// How many commits may be sealed ahead of the one that is on its way to the disk.
const BATCHES_AHEAD: usize = 2;

/// What became of secrets that were to be created (csms.md 8.2 row 45).
#[derive(Debug, Default)]
pub struct Loaded {
    created: usize,
    refused: Vec<Refused>,
}

impl Loaded {
    /// How many secrets were created, or were there already by the same request token.
    #[must_use]
    pub fn created(&self) -> usize {
        self.created
    }

    /// How many were given.
    #[must_use]
    pub fn total(&self) -> usize {
        self.created.saturating_add(self.failed())
    }

    /// How many were not created.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.refused.len()
    }

    /// Those that were not, in order.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// A secret of many that was not created, or not read, and why (csms.md 8.2 rows 44 and 45).
#[derive(Debug)]
pub struct Refused {
    position: usize,
    name: SecretName,
    error: Error,
}

impl Refused {
    pub(super) fn new(position: usize, name: SecretName, error: Error) -> Self {
        Self { position, name, error }
    }

    /// Its position among those that were given, from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// Why it was refused.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Why it was refused, as a value.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }
}

/// What is to be committed next.
enum Work {
    /// New secrets, sealed, in one commit.
    Together(Batch),
    /// One that may be there already.
    Alone(usize, NewSecret),
}

/// New secrets that are to be committed together.
struct Batch {
    plan: Plan,
    ids: HashSet<NameId>,
    /// With their positions, in case they must be created one by one.
    secrets: Vec<(usize, NewSecret)>,
    /// What to keep in memory of them.
    written: Vec<Written>,
}

/// Seals secrets and hands them on in batches.
struct Loader<'a> {
    store: &'a SecretStore,
    work: SyncSender<Work>,
    batch: Option<Batch>,
    refused: Vec<Refused>,
}

/// Nobody takes any more work: the committer met an error.
struct Ended;

impl SecretStore {
    /// Creates many secrets, several in each commit: many times as fast as one call for each (csms.md 3.1, 8.2 row 45).
    ///
    /// Each secret is created as by [`create_secret`](Self::create_secret), wholly or not at all, and
    /// in the order given: of two with one name the first is created. One that is refused does not
    /// keep the others out. All that are counted as created are durable when this returns. `secrets`
    /// is asked for the next one when there is room for it, so it may be longer than memory; to be
    /// told of the progress, count in it.
    ///
    /// # Errors
    ///
    /// Those after which a store takes no more: [`Error::Storage`], [`Error::Poisoned`],
    /// [`Error::InvalidState`], [`Error::Tampered`], [`Error::Damaged`], [`Error::Random`]. Secrets given
    /// before may have been created or not, each wholly or not at all; [`secret`](Self::secret) tells. What is wrong
    /// with one secret is in [`Loaded::refused`], also that the caller may not create it;
    /// [`Error::Denied`] if he may create none.
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
    /// let new = |name: &str| Ok(NewSecret::new(name.parse()?, SecretValue::from_string("tr-7f2c")));
    /// let secrets: Vec<NewSecret> =
    ///     ["a", "b", "a"].into_iter().map(new).collect::<Result<_, strongroom::SecretNameError>>()?;
    /// let loaded = store.create_secrets(secrets)?;
    /// assert_eq!(loaded.created(), 2);
    /// let refused = &loaded.refused()[0];
    /// assert_eq!((refused.position(), refused.error().kind()), (2, ErrorKind::AlreadyExists));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "BatchImportSecrets")]
    #[doc(alias = "import")]
    pub fn create_secrets(
        &self,
        secrets: impl IntoIterator<Item = NewSecret>,
    ) -> Result<Loaded, Error> {
        self.permit_somewhere(Action::CreateSecret)?;
        thread::scope(|scope| {
            let (work, ahead) = sync_channel(BATCHES_AHEAD);
            let committer = scope.spawn(move || self.commit_all(ahead));
            let loader = Loader { store: self, work, batch: None, refused: Vec::new() };
            let sealed = loader.seal_all(secrets);
            let mut loaded = committer.join().unwrap_or(Err(Error::Poisoned))?;
            loaded.refused.append(&mut sealed?);
            loaded.refused.sort_by_key(|refused| refused.position);
            Ok(loaded)
        })
    }

    fn commit_all(&self, work: Receiver<Work>) -> Result<Loaded, Error> {
        let mut loaded = Loaded::default();
        for work in work {
            let alone = match work {
                Work::Alone(position, new) => vec![(position, new)],
                Work::Together(batch) => {
                    let count = batch.secrets.len();
                    let records = &self.inner.records;
                    match records.engine.commit(batch.plan) {
                        Ok(_) => {
                            loaded.created = loaded.created.saturating_add(count);
                            for written in &batch.written {
                                records.keep(written);
                                records.keep_facts(&written.seen);
                            }
                            continue;
                        }
                        // Somebody else made one of them meanwhile.
                        Err(EngineError::Conflict) => batch.secrets,
                        Err(err) => return Err(err.into()),
                    }
                }
            };
            for (position, new) in alone {
                let name = new.name.clone();
                match self.create_secret(new) {
                    Ok(_) => loaded.created = loaded.created.saturating_add(1),
                    Err(err) if ends_all(&err) => return Err(err),
                    Err(error) => loaded.refused.push(Refused { position, name, error }),
                }
            }
        }
        Ok(loaded)
    }
}

impl Loader<'_> {
    /// Takes all secrets and gives those that were refused before they were committed.
    fn seal_all(
        mut self,
        secrets: impl IntoIterator<Item = NewSecret>,
    ) -> Result<Vec<Refused>, Error> {
        for (position, new) in secrets.into_iter().enumerate() {
            let taken = match self.store.plan_new(&new) {
                Ok(plan) => self.take(plan, position, new),
                Err(err) if ends_all(&err) => return Err(err),
                Err(error) => {
                    self.refused.push(Refused { position, name: new.name, error });
                    Ok(())
                }
            };
            if let Err(Ended) = taken {
                break;
            }
        }
        // If it fails, the committer tells why.
        let _ = self.hand_on();
        Ok(self.refused)
    }

    /// Adds a secret to the batch, or if it is not sure to be new, hands it on by itself.
    fn take(
        &mut self,
        plan: Option<(Plan, Written)>,
        position: usize,
        new: NewSecret,
    ) -> Result<(), Ended> {
        let is_new = |change: &HeadChange| {
            self.batch.as_ref().is_none_or(|batch| !batch.ids.contains(&change.id))
        };
        let Some((plan, written)) = plan.filter(|(plan, _)| plan.heads.iter().all(is_new)) else {
            self.hand_on()?;
            return self.work.send(Work::Alone(position, new)).map_err(|_| Ended);
        };
        let ids: Vec<NameId> = plan.heads.iter().map(|change| change.id).collect();
        let left = match &mut self.batch {
            Some(batch) => batch.plan.absorb(plan),
            None => Some(plan),
        };
        if let Some(plan) = left {
            self.hand_on()?;
            self.batch =
                Some(Batch { plan, ids: HashSet::new(), secrets: Vec::new(), written: Vec::new() });
        }
        if let Some(batch) = &mut self.batch {
            batch.ids.extend(ids);
            batch.secrets.push((position, new));
            batch.written.push(written);
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<(), Ended> {
        match self.batch.take() {
            Some(batch) => self.work.send(Work::Together(batch)).map_err(|_| Ended),
            None => Ok(()),
        }
    }
}

/// Whether an error is not about one secret.
fn ends_all(err: &Error) -> bool {
    !matches!(
        err,
        Error::AlreadyExists { .. }
            | Error::Conflict { .. }
            | Error::Constraint { .. }
            | Error::Denied { .. }
            | Error::InvalidArgument { .. }
            | Error::Key { .. }
            | Error::LimitExceeded { .. }
            | Error::NotFound(_)
    )
}
