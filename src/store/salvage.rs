//! Salvage: what is intact of a store that does not open, and a new store made of it.

use std::{fmt, path::Path, sync::Arc};

use super::{
    Builder, HasKey, Secret, SecretStore, Version, VersionMetadata, kms::info, place::absolute,
    versions::resolve,
};
use crate::{
    commit::{self, Damage, Remains, SalvageOptions},
    domain::{Expect, SecretName, VersionId, VersionRef},
    error::Error,
    kms::KeyInfo,
    records::{
        Cause, Completeness, Event, Filler, Finds, Loss, Mended, SalvagedSecret, SecretFacts,
    },
    storage::Disk,
};

/// What is intact of a damaged store, and what is not: a report, and the values to read.
///
/// Made by [`Builder::salvage`]. The damaged store stays locked, and its copy on the disk, as long as
/// this lives. Nothing in it is shown in the clear but names, labels and numbers.
pub struct Salvage {
    finds: Finds,
    builder: Builder<HasKey>,
}

impl Builder<HasKey> {
    /// Reads what is intact of the store at `path`, which may be damaged in any way. Nothing there is
    /// written, and the disk may be one that cannot be written.
    ///
    /// It takes the key file (one of its two copies), every frame of the journal that authenticates, and
    /// what sled can read of a copy of the state. For each record the newest authentic one counts. Each
    /// value is opened once, to know whether it is intact, and let go again.
    ///
    /// The copy needs as much room as `db` in the directory for temporary files (`TMPDIR`), and is
    /// removed with the [`Salvage`]. All in it is encrypted.
    ///
    /// With [`expect`](Self::expect) another store is refused, and an older one than the anchor is
    /// reported.
    ///
    /// # Errors
    ///
    /// * [`Error::NotAStore`] if nothing of a store is there.
    /// * [`Error::Locked`] if it is open.
    /// * [`Error::WrongKey`] if the key does not open it, [`Error::KeyManager`] if a key manager did not
    ///   do its part.
    /// * [`Error::Damaged`] or [`Error::Tampered`] if neither copy of the key file is good.
    /// * [`Error::UnsupportedFormat`] if it is of another format.
    /// * [`Error::WrongStore`] if it is not the expected one.
    /// * [`Error::Storage`] if the disk fails altogether, or there is no room for the copy.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (damaged, mended) = (dir.path().join("damaged"), dir.path().join("mended"));
    /// # let key = || strongroom::MasterKey::from_bytes(&std::array::from_fn(|at| at as u8));
    /// use strongroom::{NewSecret, SecretStore, SecretValue};
    ///
    /// # let name: strongroom::SecretName = "api-token".parse()?;
    /// let store = SecretStore::builder().master_key(key()?).create(&damaged)?;
    /// store.create_secret(NewSecret::new(name.clone(), SecretValue::from_string("tr-7f2c")))?;
    /// store.close()?;
    /// std::fs::remove_file(damaged.join("db/db"))?; // an accident
    /// assert!(SecretStore::builder().master_key(key()?).open(&damaged).is_err());
    ///
    /// let salvage = SecretStore::builder().master_key(key()?).salvage(&damaged)?;
    /// println!("{salvage}"); // read this before anything else
    /// assert_eq!(salvage.get(&name)?.value().expose_str(), Some("tr-7f2c")); // the journal had it
    ///
    /// let store = salvage.write_to(&mended)?;
    /// assert_eq!(store.get(&name)?.value().expose_str(), Some("tr-7f2c"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn salvage(self, path: impl AsRef<Path>) -> Result<Salvage, Error> {
        self.salvage_with(path, |_| {})
    }

    /// Like [`salvage`](Self::salvage); `progress` is called with the number of secrets looked at so
    /// far.
    ///
    /// # Errors
    ///
    /// As for [`salvage`](Self::salvage).
    pub fn salvage_with(
        self,
        path: impl AsRef<Path>,
        progress: impl Fn(u64),
    ) -> Result<Salvage, Error> {
        let path = &absolute(path.as_ref())?;
        let options = SalvageOptions {
            disk: Arc::clone(&self.settings.disk),
            unlock: &self.key.0,
            expect: &self.settings.expect,
            cache_bytes: self.settings.state_cache_bytes,
        };
        let remains = Remains::open(path, &options).map_err(|err| Error::of_open(path, err))?;
        let finds = Finds::survey(remains, self.settings.clock.now(), &progress);
        Ok(Salvage { finds, builder: self })
    }
}

impl Salvage {
    /// All secrets of which anything is known, by name; those whose names are lost come last.
    #[must_use]
    pub fn secrets(&self) -> &[SalvagedSecret] {
        &self.finds.secrets
    }

    /// Files and places in them that are damaged or missing. Not all of it need have cost anything: what
    /// the journal has lost may be in the state, and the other way round.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.finds.remains.damage
    }

    /// The events, by name, as they will be written. If the newest record of one is damaged, an earlier
    /// one is used where there is one: it may have been disabled or removed since. Each damaged record
    /// is among the [`damage`](Self::damage).
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.finds.leftovers.events
    }

    /// The keys of the local key ring, ascending by id, under the same rule: **a key that was disabled
    /// or deleted may be enabled here.** What was under a key that is lost is lost ([`Cause::Key`]).
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.finds.leftovers.keys.iter().map(info).collect()
    }

    /// What can be said of the secrets as a whole.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        self.finds.completeness
    }

    /// Whether nothing is lost, as far as the store itself can tell: every secret is whole, the newest
    /// root record vouches for the set, and no commit is missing. Last commits that look like a write that
    /// was cut off or never made, and a whole store that was put back, show by an anchor only.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.finds.is_whole()
    }

    /// The metadata of a secret, as it would be written.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such secret, [`Error::Damaged`] if no version of it is intact.
    pub fn secret(&self, name: &SecretName) -> Result<Secret, Error> {
        let Mended { secret, stages, revision } = self.mended(name)?;
        Ok(Secret(Arc::new(SecretFacts::of_parts(&secret, &stages, revision))))
    }

    /// The intact versions of a secret, ascending by number, with the labels that they would be written
    /// with. No values.
    ///
    /// # Errors
    ///
    /// As for [`secret`](Self::secret).
    pub fn versions(&self, name: &SecretName) -> Result<Vec<VersionMetadata>, Error> {
        let stages = self.mended(name)?.stages;
        Ok(stages.versions.iter().map(|row| VersionMetadata::of(name, &stages, row)).collect())
    }

    /// The value behind SYSCURRENT, where [`Loss::Current`] may have put it on an older version.
    ///
    /// # Errors
    ///
    /// As for [`version`](Self::version).
    pub fn get(&self, name: &SecretName) -> Result<Version, Error> {
        self.version(name, &VersionRef::Latest)
    }

    /// The value of an intact version. Also of a secret whose name is lost, to whoever knows it.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, version or label.
    /// * [`Error::Damaged`] if it is lost.
    pub fn version(&self, name: &SecretName, reference: &VersionRef) -> Result<Version, Error> {
        let mended = self.mended(name)?;
        let entry = resolve(name, &mended.stages, reference)
            .map_err(|err| self.lost(name, reference).unwrap_or(err))?;
        let value = self.finds.value_of(&mended, entry);
        let value = value.map_err(|cause| unreadable(&mended, entry.id, cause))?;
        Ok(Version { metadata: VersionMetadata::of(name, &mended.stages, entry), value })
    }

    /// Writes all that is intact into a new store at `path`, under the same key, and opens it.
    ///
    /// Secrets keep their ids, types, descriptions, revisions and times, versions their numbers, times and
    /// labels. Events and keys of the ring come along as [found](Self::keys), and values stay under
    /// the keys that they were under; of a secret that was to get new versions under a key that is lost,
    /// they will be under the default one.
    ///
    /// A secret without a name or without an intact version is left out. Request tokens are forgotten; the
    /// audit log begins anew and tells of each secret that it was salvaged. So notifications that were
    /// still to be sent are not sent, and records of those that were stay behind.
    /// [Data keys](SecretStore::create_data_key) that the old store wrapped, only the old store opens.
    /// Limits do not count.
    ///
    /// The store is built beside its place and put there when it is whole.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::create`], and [`Error::Damaged`] if the copy of the damaged store can no more
    /// be read. Nothing is at `path` then.
    pub fn write_to(self, path: impl AsRef<Path>) -> Result<SecretStore, Error> {
        write(&self.finds, self.builder, path.as_ref())
    }

    /// Like [`write_to`](Self::write_to), with the key and settings of `builder`. What it
    /// [expects](Builder::expect) does not count: the store is a new one.
    ///
    /// # Errors
    ///
    /// As for [`write_to`](Self::write_to).
    pub fn write_with(
        &self,
        builder: Builder<HasKey>,
        path: impl AsRef<Path>,
    ) -> Result<SecretStore, Error> {
        write(&self.finds, builder, path.as_ref())
    }

    fn mended(&self, name: &SecretName) -> Result<Mended, Error> {
        let secret = self.finds.secret(name).ok_or_else(|| Error::no_secret(name))?;
        let lost = || Error::Damaged { what: format!("no version of {name} is intact") };
        self.finds.mended(secret, name).ok_or_else(lost)
    }

    /// The error of something that was there and is lost.
    fn lost(&self, name: &SecretName, reference: &VersionRef) -> Option<Error> {
        let secret = self.finds.secret(name)?;
        let is_lost = match reference {
            VersionRef::Id(id) => secret.has_lost(*id),
            VersionRef::Stage(asked) => secret
                .losses()
                .iter()
                .any(|loss| matches!(loss, Loss::Label { stage, .. } if stage == asked)),
            VersionRef::Latest => false,
        };
        is_lost.then(|| Error::Damaged { what: format!("{reference} of {name} is lost") })
    }
}

fn write(finds: &Finds, mut builder: Builder<HasKey>, path: &Path) -> Result<SecretStore, Error> {
    let path = &absolute(path)?;
    let disk: Arc<dyn Disk> = Arc::clone(&builder.settings.disk);
    let of_open = |err| Error::of_open(path, err);
    commit::check_is_free(disk.as_ref(), path).map_err(of_open)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let scratch = commit::scratch_in(disk.as_ref(), parent).map_err(of_open)?;
    let building = scratch.path().join("store");
    builder.settings.expect = Expect::default();
    let lock = builder.create_files(&building)?;
    let (options, settings) = builder.into_options();
    let store = settings.clone().open(&building, &options, Some(lock))?;
    fill(finds, &store)?;
    store.close()?;
    commit::put_in_place(disk.as_ref(), &building, path).map_err(of_open)?;
    drop(scratch);
    settings.open(path, &options, None)
}

fn fill(finds: &Finds, store: &SecretStore) -> Result<(), Error> {
    let (records, now) = (&store.inner.records, store.inner.clock.now());
    let mut filler = Filler::begin(records, &finds.leftovers, now)?;
    let named = finds.secrets.iter().filter_map(|secret| Some((secret, secret.name()?)));
    for (secret, name) in named {
        // One of which no version is intact has nothing to be written.
        let Some(mended) = finds.mended(secret, name) else { continue };
        filler.add(mended, &|mended, entry| {
            finds.value_of(mended, entry).map_err(|cause| unreadable(mended, entry.id, cause))
        })?;
    }
    Ok(filler.finish()?)
}

/// A value that could be read before.
fn unreadable(mended: &Mended, id: VersionId, cause: Cause) -> Error {
    Error::Damaged { what: format!("{id} of {}: {cause}", mended.secret.name) }
}

impl fmt::Display for Salvage {
    /// The whole report, a line for each thing that is lost or damaged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.secrets().iter().filter(|secret| secret.is_whole()).count();
        let versions: usize = self.secrets().iter().map(|secret| secret.intact().len()).sum();
        write!(f, "{whole} of {} secrets are whole, ", self.secrets().len())?;
        write!(f, "{versions} versions intact; {}", self.completeness())?;
        let (events, keys) = (self.events().len(), self.finds.leftovers.keys.len());
        if events > 0 || keys > 0 {
            write!(f, "; {events} events and {keys} keys of the key ring")?;
        }
        for secret in self.secrets().iter().filter(|secret| !secret.is_whole()) {
            write!(f, "\n{secret}")?;
        }
        self.damage().iter().try_for_each(|damage| write!(f, "\n{damage}"))
    }
}

impl fmt::Debug for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvage")
            .field("secrets", &self.secrets())
            .field("completeness", &self.completeness())
            .field("damage", &self.damage())
            .finish_non_exhaustive()
    }
}
