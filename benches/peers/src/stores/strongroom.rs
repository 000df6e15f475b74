//! Strongroom itself, through its public calls.

use std::path::Path;

use strongroom::{
    ListSecrets, MasterKey, NewSecret, SecretStore, SecretType, SecretValue, Stage, Verify,
    VersionId, VersionRef,
};

use crate::{
    Outcome,
    cipher::KEY,
    contestant::{Contestant, Entrant, Role, Setting},
    work::{Fresh, Name},
};

pub const ENTRANT: Entrant = Entrant {
    key: "strongroom",
    title: "**strongroom**",
    done: "as it comes: everything sealed, names and metadata too; audit record, root and a password \
           made up in each rotation",
    role: Role::Ours,
    writes: true,
    reopens: true,
    open,
};

/// How many secrets it keeps opened by default, and when memory is measured.
const FRUGAL_SECRETS: usize = 16;

struct Strongroom(SecretStore);

fn open(dir: &Path, setting: Setting) -> Outcome<Box<dyn Contestant>> {
    let verify = if setting.deferred { Verify::Deferred } else { Verify::Eager };
    let mut builder = SecretStore::builder()
        .master_key(MasterKey::from_bytes(&KEY)?)
        .state_cache_bytes(setting.cache_bytes)
        .verify(verify);
    if setting.cache_bytes < Setting::USUAL.cache_bytes {
        builder = builder.cached_secrets_max(FRUGAL_SECRETS).cached_heads_max(FRUGAL_SECRETS);
    }
    Ok(Box::new(Strongroom(builder.open_or_create(dir.join("strongroom"))?)))
}

/// Creates all, and gives the first error of those that come with one.
fn load(store: &SecretStore, secrets: &mut dyn Iterator<Item = Outcome<NewSecret>>) -> Outcome<()> {
    let mut failed = Ok(());
    let sound = std::iter::from_fn(|| match secrets.next()? {
        Ok(secret) => Some(secret),
        Err(err) => {
            failed = Err(err);
            None
        }
    });
    let loaded = store.create_secrets(sound)?;
    failed?;
    match loaded.refused().first() {
        Some(refused) => Err(format!("{}: {}", refused.name(), refused.error()).into()),
        None => Ok(()),
    }
}

fn request(secret: &Fresh) -> Outcome<NewSecret> {
    let value = SecretValue::from_string(secret.value.as_str());
    Ok(NewSecret::new(secret.name.typed.clone(), value)
        .secret_type(SecretType::RdsFg)
        .description(secret.metadata.parse()?))
}

fn page(after: Option<&Name>, limit: usize) -> ListSecrets {
    let list = ListSecrets::new().limit(limit);
    match after {
        Some(name) => list.marker(name.typed.clone()),
        None => list,
    }
}

impl Contestant for Strongroom {
    fn load(&self, secrets: &mut dyn Iterator<Item = Outcome<Fresh>>) -> Outcome<()> {
        load(&self.0, &mut secrets.map(|secret| request(&secret?)))
    }

    fn create(&self, secret: &Fresh) -> Outcome<()> {
        self.0.create_secret(request(secret)?)?;
        Ok(())
    }

    fn rotate(&self, name: &Name, _: &str) -> Outcome<u64> {
        Ok(self.0.rotate(&name.typed)?.version_id().number())
    }

    fn get(&self, name: &Name, seen: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        seen(self.0.get(&name.typed)?.value().expose());
        Ok(())
    }

    fn version(&self, name: &Name, number: u64, seen: &mut dyn FnMut(&[u8])) -> Outcome<bool> {
        let id = VersionId::from_number(number).ok_or("no such number")?;
        match self.0.version(&name.typed, &VersionRef::Id(id)) {
            Ok(version) => {
                seen(version.value().expose());
                Ok(true)
            }
            Err(strongroom::Error::NotFound(_)) => Ok(false),
            Err(err) => Err(err.into()),
        }
    }

    fn labels(&self, name: &Name) -> Outcome<(u64, u64)> {
        let number = |stage| -> Outcome<u64> {
            Ok(self.0.version(&name.typed, &VersionRef::Stage(stage))?.id().number())
        };
        Ok((number(Stage::Current)?, number(Stage::Previous)?))
    }

    fn list(
        &self,
        after: Option<&Name>,
        limit: usize,
        row: &mut dyn FnMut(&str, &str),
    ) -> Outcome<()> {
        for secret in self.0.secrets(&page(after, limit))?.items() {
            row(secret.name().as_str(), secret.description().as_str());
        }
        Ok(())
    }

    fn names(&self, after: Option<&Name>, limit: usize, row: &mut dyn FnMut(&str)) -> Outcome<()> {
        for name in self.0.names(&page(after, limit))?.items() {
            row(name.as_str());
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        Ok(self.0.close()?)
    }
}
