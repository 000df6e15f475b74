//! What bounds a request: lengths of values, the syntax of names, the quota of secrets, sizes of pages.

use parking_lot::MutexGuard;

use super::SecretStore;
use crate::{
    domain::{PAGE_DEFAULT, PAGE_MAX, SecretName, SecretValue},
    error::{Error, Limit},
};

impl SecretStore {
    /// Refuses a value that is longer than the store allows (csms.md 8.1 rows 22 and 23).
    pub(super) fn check_value(&self, value: &SecretValue) -> Result<(), Error> {
        let (asked, max) = (value.measured_len(), self.inner.limits.value_len_max_bytes());
        if asked <= max {
            return Ok(());
        }
        Err(Error::LimitExceeded { what: Limit::ValueBytes, asked, max })
    }

    /// Refuses a name that is legal under another syntax only.
    pub(super) fn check_name(&self, name: &SecretName) -> Result<(), Error> {
        match SecretName::with_syntax(name.as_str(), self.inner.limits.name_syntax()) {
            Ok(_) => Ok(()),
            Err(_) => {
                let reason = "it has a dot, which this store does not allow";
                Err(Error::invalid("secret name", reason))
            }
        }
    }

    /// If there is a quota of secrets: checks that there is room for `name`, and keeps other creations
    /// away as long as what is given lives.
    pub(super) fn alone_under_quota(
        &self,
        name: &SecretName,
    ) -> Result<Option<MutexGuard<'_, ()>>, Error> {
        let Some(max) = self.inner.limits.secrets_max() else { return Ok(None) };
        let alone = self.inner.creation.lock();
        self.check_quota(name, max)?;
        Ok(Some(alone))
    }

    fn check_quota(&self, name: &SecretName, max: usize) -> Result<(), Error> {
        let engine = &self.inner.records.engine;
        engine.wait_ready()?;
        self.remove_due();
        let there = self.inner.records.seen(name)?.is_some();
        let asked = engine.index.len().saturating_add(1);
        if there || asked <= max {
            return Ok(());
        }
        Err(Error::LimitExceeded { what: Limit::Secrets, asked, max })
    }
}

/// How many entries a page has.
pub(super) fn page_limit(limit: Option<usize>) -> Result<usize, Error> {
    match limit.unwrap_or(PAGE_DEFAULT) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        _ => Err(Error::invalid("limit", format!("a page has 1 to {PAGE_MAX} items"))),
    }
}
