//! Tags: show, add, remove; all of the store.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Preconditions, SecretStore,
    change::{Edit, Terms},
};
use crate::{
    domain::{
        Action, SecretName, TAGS_MAX, Tag, TagError, TagFilter, TagKey, TagValue, TagValues, Usage,
    },
    error::{Error, Limit, Missing},
    records::{Operation, Seen},
};

impl SecretStore {
    /// The tags of a secret, ascending by key (csms.md 3.4). Also of one that is to be deleted (8.4
    /// row 84).
    ///
    /// # Errors
    ///
    /// As for [`secret`](Self::secret).
    #[doc(alias = "ListSecretTags")]
    pub fn tags(&self, name: &SecretName) -> Result<Vec<Tag>, Error> {
        self.permit(Action::ListTags, Some(name))?;
        let facts = self.facts(name)?.ok_or_else(|| Error::no_secret(name))?;
        facts.tags.iter().map(|(key, value)| Ok(Tag::new(key, value)?)).collect()
    }

    /// Puts a tag on a secret, in place of the one of the same key if there is one (csms.md 3.4, 8.4
    /// row 77). See [`add_tags`](Self::add_tags), and [`add_tags_if`](Self::add_tags_if) for one under
    /// preconditions.
    ///
    /// # Errors
    ///
    /// As for [`add_tags`](Self::add_tags).
    #[doc(alias = "CreateSecretTag")]
    pub fn add_tag(&self, name: &SecretName, tag: Tag) -> Result<(), Error> {
        self.add_tags(name, [tag])
    }

    /// Puts 1 to 20 tags on a secret, all or none, each in place of the one of the same key if there is
    /// one (csms.md 3.4, 8.4 rows 77 and 78). If all are there already, nothing is written.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if it is frozen or to be deleted.
    /// * [`Error::LimitExceeded`] if more than 20 are named, or the secret would have more than 20.
    /// * [`Error::InvalidArgument`] if none is named, or a key twice.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{FindSecrets, NewSecret, SecretValue, Tag, TagFilter};
    ///
    /// let name = "api-token".parse()?;
    /// store.create_secret(NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// store.add_tags(&name, [Tag::new("team", "billing")?, Tag::new("stage", "prod")?])?;
    /// let of_team = FindSecrets::new().tag(TagFilter::any("team".parse()?));
    /// assert_eq!(store.count_secrets(&of_team)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "BatchCreateOrDeleteTags")]
    pub fn add_tags(
        &self,
        name: &SecretName,
        tags: impl IntoIterator<Item = Tag>,
    ) -> Result<(), Error> {
        self.add_tags_if(name, tags, &Preconditions::none())
    }

    /// Puts 1 to 20 tags on a secret if it is as required (csms.md 3.4). See
    /// [`add_tags`](Self::add_tags).
    ///
    /// # Errors
    ///
    /// As for [`add_tags`](Self::add_tags), and [`Error::Conflict`] if a precondition does not
    /// hold.
    pub fn add_tags_if(
        &self,
        name: &SecretName,
        tags: impl IntoIterator<Item = Tag>,
        preconditions: &Preconditions,
    ) -> Result<(), Error> {
        self.permit(Action::CreateTag, Some(name))?;
        let tags: Vec<Tag> = tags.into_iter().collect();
        check_batch(tags.iter().map(Tag::key))?;
        self.change_tags(name, (Operation::CreateTags, preconditions), |all| {
            all.extend(tags_to_keep(&tags));
            Ok(())
        })
    }

    /// Removes a tag (csms.md 3.4).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, or it has no such tag (8.4 row 79).
    /// * [`Error::SecretState`] if it is frozen or to be deleted.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "DeleteSecretTag")]
    pub fn remove_tag(&self, name: &SecretName, key: &TagKey) -> Result<(), Error> {
        self.remove_tag_if(name, key, &Preconditions::none())
    }

    /// Removes a tag if the secret is as required (csms.md 3.4). See
    /// [`remove_tag`](Self::remove_tag).
    ///
    /// # Errors
    ///
    /// As for [`remove_tag`](Self::remove_tag), and [`Error::Conflict`] if a precondition does not
    /// hold.
    pub fn remove_tag_if(
        &self,
        name: &SecretName,
        key: &TagKey,
        preconditions: &Preconditions,
    ) -> Result<(), Error> {
        self.permit(Action::DeleteTag, Some(name))?;
        let missing = || Missing::Tag(name.clone(), key.as_str().to_owned());
        self.change_tags(name, (Operation::DeleteTags, preconditions), |all| {
            all.remove(key.as_str()).map(drop).ok_or_else(|| Error::NotFound(missing()))
        })
    }

    /// Removes the tags that one of 1 to 20 filters names: by their key, and if the filter has values
    /// only with one of these. Those that are not there count for nothing (csms.md 3.4, 8.4 rows 79
    /// and 80).
    ///
    /// # Errors
    ///
    /// As for [`add_tags`](Self::add_tags).
    #[doc(alias = "BatchCreateOrDeleteTags")]
    pub fn remove_tags(
        &self,
        name: &SecretName,
        tags: impl IntoIterator<Item = TagFilter>,
    ) -> Result<(), Error> {
        self.remove_tags_if(name, tags, &Preconditions::none())
    }

    /// Removes the tags that filters name, if the secret is as required (csms.md 3.4). See
    /// [`remove_tags`](Self::remove_tags).
    ///
    /// # Errors
    ///
    /// As for [`remove_tags`](Self::remove_tags), and [`Error::Conflict`] if a precondition does
    /// not hold.
    pub fn remove_tags_if(
        &self,
        name: &SecretName,
        tags: impl IntoIterator<Item = TagFilter>,
        preconditions: &Preconditions,
    ) -> Result<(), Error> {
        self.permit(Action::DeleteTag, Some(name))?;
        let tags: Vec<TagFilter> = tags.into_iter().collect();
        check_batch(tags.iter().map(TagFilter::key))?;
        self.change_tags(name, (Operation::DeleteTags, preconditions), |all| {
            all.retain(|key, value| !tags.iter().any(|filter| filter.matches((key, value))));
            Ok(())
        })
    }

    /// All tag keys in use on secrets whose tags the caller may list, each with its values, ascending (csms.md 3.4, 8.4 row 83). Looks at all
    /// secrets, some microseconds for each.
    ///
    /// # Errors
    ///
    /// As for [`secrets`](Self::secrets).
    #[doc(alias = "ListProjectSecretsTags")]
    pub fn project_tags(&self) -> Result<Vec<TagValues>, Error> {
        self.permit_somewhere(Action::ListTags)?;
        let mut all: BTreeMap<TagKey, BTreeSet<TagValue>> = BTreeMap::new();
        self.each_facts(Action::ListTags, &|_| true, &mut |facts| {
            for (key, value) in &facts.tags {
                all.entry(key.parse()?).or_default().insert(value.parse()?);
            }
            Ok(())
        })?;
        let row = |(key, values): (TagKey, BTreeSet<TagValue>)| TagValues {
            key,
            values: values.into_iter().collect(),
        };
        Ok(all.into_iter().map(row).collect())
    }

    fn change_tags(
        &self,
        name: &SecretName,
        (operation, preconditions): (Operation, &Preconditions),
        edit: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let terms = Terms::of(Usage::Metadata, preconditions);
        self.change(name, terms, |draft, seen: &Seen, _| {
            let before = &seen.secret.body.tags;
            let mut tags: BTreeMap<String, String> = before.iter().cloned().collect();
            edit(&mut tags)?;
            if tags.len() > TAGS_MAX {
                return Err(too_many(Limit::Tags, tags.len()));
            }
            let tags: Vec<(String, String)> = tags.into_iter().collect();
            if tags == *before {
                return Ok(Edit::Nothing);
            }
            draft.secret_mut().tags = tags;
            Ok(Edit::Commit(operation, None))
        })?;
        Ok(())
    }
}

/// Whether so many may be named at once, and each key is named once.
fn check_batch<'a>(keys: impl ExactSizeIterator<Item = &'a TagKey>) -> Result<(), Error> {
    match keys.len() {
        0 => Err(Error::invalid("tags", "none is named")),
        _ => check_keys(Limit::TagsInRequest, keys),
    }
}

/// Whether there are no more keys than a secret may have, each once.
pub(super) fn check_keys<'a>(
    what: Limit,
    keys: impl ExactSizeIterator<Item = &'a TagKey>,
) -> Result<(), Error> {
    let count = keys.len();
    if count > TAGS_MAX {
        return Err(too_many(what, count));
    }
    let distinct: BTreeSet<&TagKey> = keys.collect();
    if distinct.len() == count { Ok(()) } else { Err(TagError::Twice.into()) }
}

/// Tags as a secret keeps them: in the order of their keys.
pub(super) fn tags_to_keep(tags: &[Tag]) -> Vec<(String, String)> {
    let pairs = tags.iter().map(|tag| (tag.key().as_str(), tag.value().as_str()));
    let sorted: BTreeMap<&str, &str> = pairs.collect();
    sorted.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn too_many(what: Limit, asked: usize) -> Error {
    Error::LimitExceeded { what, asked, max: TAGS_MAX }
}
