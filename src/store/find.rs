//! Secrets by their tags, parts of their names, and ids.

use std::sync::Arc;

use super::{FindSecrets, ListSecrets, Page, Secret, SecretStore, bounds::page_limit};
use crate::{
    domain::{Action, FILTERS_MAX, PAGE_MAX, SecretName, TagError, TagFilter, parse_uuid},
    error::{Error, Limit},
    records::SecretFacts,
};

/// How many are on a page when the caller names no number (csms.md 3.4).
const PAGE_DEFAULT: usize = 10;

impl SecretStore {
    /// A page of the secrets that have certain tags and a name with a certain part, by name in byte
    /// order (csms.md 3.4, 8.4 row 81). Also those that are to be deleted.
    ///
    /// Looks at the secrets whose names have the part, some microseconds for each.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the limit is not from 1 to 1,000, or a key is filtered twice.
    /// * [`Error::LimitExceeded`] for more than 10 filters.
    /// * [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for
    ///   [`secret`](Self::secret).
    #[doc(alias = "ListResourceInstances")]
    pub fn find_secrets(&self, find: &FindSecrets) -> Result<Page<Secret>, Error> {
        self.permit_somewhere(Action::ListSecrets)?;
        let limit = page_limit(find.limit.or(Some(PAGE_DEFAULT)))?;
        let (mut skip, mut found) = (find.offset, Vec::new());
        self.each_found(find, &mut |facts| {
            if skip > 0 {
                skip = skip.saturating_sub(1);
            } else if found.len() <= limit {
                found.push(Secret(facts));
            }
        })?;
        Ok(Page::cut(found, limit))
    }

    /// How many secrets [`find_secrets`](Self::find_secrets) finds on all pages: limit and offset do not
    /// matter (csms.md 8.4 row 82).
    ///
    /// # Errors
    ///
    /// As for [`find_secrets`](Self::find_secrets).
    #[doc(alias = "ListResourceInstances")]
    pub fn count_secrets(&self, find: &FindSecrets) -> Result<usize, Error> {
        self.permit_somewhere(Action::ListSecrets)?;
        let mut count = 0_usize;
        self.each_found(find, &mut |_| count = count.saturating_add(1))?;
        Ok(count)
    }

    /// The secret with this [id](Secret::id), if there is one that the caller may see; CSMS addresses secrets by it in its calls
    /// about tags (csms.md 1.1). The first call looks at all secrets, some ten microseconds for each.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if it is no text in the form of an id; others as for
    /// [`secret`](Self::secret).
    pub fn secret_by_id(&self, id: &str) -> Result<Option<Secret>, Error> {
        self.permit_somewhere(Action::GetSecret)?;
        let sid = parse_uuid(id).ok_or_else(|| Error::invalid("id", "it is not a UUID"))?;
        let Some(facts) = self.inner.records.facts_by_sid(&sid)? else { return Ok(None) };
        if !self.may(Action::GetSecret, &facts.name) {
            // Whether it is there is not his business.
            return Ok(None);
        }
        let now = self.facts(&facts.name)?;
        Ok(now.filter(|now| now.id == sid).map(Secret))
    }

    fn each_found(
        &self,
        find: &FindSecrets,
        visit: &mut dyn FnMut(Arc<SecretFacts>),
    ) -> Result<(), Error> {
        let filters = &find.tags;
        if filters.len() > FILTERS_MAX {
            let (what, asked, max) = (Limit::Filters, filters.len(), FILTERS_MAX);
            return Err(Error::LimitExceeded { what, asked, max });
        }
        let mut keys: Vec<_> = filters.iter().map(TagFilter::key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() < filters.len() {
            return Err(TagError::Twice.into());
        }
        // An empty part matches nothing (csms.md 3.4).
        let named = |name: &SecretName| {
            let part = find.name_part.as_deref();
            part.is_none_or(|part| !part.is_empty() && name.as_str().contains(part))
        };
        self.each_facts(Action::ListSecrets, &named, &mut |facts| {
            let has = |filter: &TagFilter| {
                facts.tags.iter().any(|(key, value)| filter.matches((key, value)))
            };
            if filters.iter().all(has) {
                visit(Arc::clone(facts));
            }
            Ok(())
        })
    }

    /// Visits what is told of each secret whose name is wanted and to which the caller may do this, by
    /// name in byte order.
    pub(super) fn each_facts(
        &self,
        action: Action,
        wanted: &dyn Fn(&SecretName) -> bool,
        visit: &mut dyn FnMut(&Arc<SecretFacts>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut list = ListSecrets::new().limit(PAGE_MAX);
        loop {
            let page = self.own().names(&list)?;
            let visited = |name: &&SecretName| wanted(name) && self.may(action, name);
            for name in page.items().iter().filter(visited) {
                // One that was removed meanwhile is left out.
                if let Some(facts) = self.facts(name)? {
                    visit(&facts)?;
                }
            }
            let Some(last) = page.items().last().filter(|_| page.has_more()) else {
                return Ok(());
            };
            list = list.marker(last.clone());
        }
    }
}
