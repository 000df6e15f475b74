//! What was found of a damaged store's secrets, in words.

use std::fmt;

use crate::{
    commit::NameId,
    domain::{SecretName, Stage, VersionId},
};

/// Why something is lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Something is stored there, and it does not authenticate.
    Damaged,
    /// The key of the key manager under which it is sealed is damaged or missing.
    Key,
    /// Nothing is stored there.
    Missing,
    /// The file or the page that would hold it cannot be read.
    Unreadable,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "its record is damaged",
            Self::Key => "its key is damaged or missing",
            Self::Missing => "its record is missing",
            Self::Unreadable => "its record cannot be read",
        })
    }
}

/// Something of a secret that is lost, or cannot be vouched for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// SYSCURRENT was on a version that is lost, and is on the newest intact one now that is not
    /// pending. **Look at such a secret before it is used**: the value is an older one.
    Current {
        /// Where it was.
        was: VersionId,
        /// Where it is now.
        now: VersionId,
    },
    /// Its metadata, or its labels and versions, are those of an earlier moment: the audit log tells of
    /// later changes.
    Earlier {
        /// The revision that was found.
        found: u64,
        /// The one that it must have had at least.
        at_least: u64,
    },
    /// A label was on a version that is lost. It is dropped.
    Label {
        /// The label.
        stage: Stage,
        /// Where it was.
        version: VersionId,
    },
    /// Type, description and all else that is not of a version: tags, subscriptions, rotation, retention,
    /// purge protection, enterprise project, the key for new versions. The secret is written with type COMMON and none of these.
    Metadata(Cause),
    /// The name. Whoever knows it can read the secret by it; without it, it is not written.
    Name,
    /// Versions that were made after the newest one that is known. Some may have been dropped since.
    Newer {
        /// The first.
        first: VersionId,
        /// The last.
        last: VersionId,
    },
    /// The table of versions, which holds the keys of their values: with it all versions are lost.
    Table {
        /// Why.
        cause: Cause,
        /// The newest version that was made, if anything tells.
        newest: Option<VersionId>,
    },
    /// One version.
    Version {
        /// Which.
        id: VersionId,
        /// Why.
        cause: Cause,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current { was, now } => {
                write!(f, "SYSCURRENT was on {was}, which is lost; it is on {now} now")
            }
            Self::Earlier { found, at_least } => {
                write!(f, "it is of an earlier moment: revision {found} of at least {at_least}")
            }
            Self::Label { stage, version } => {
                write!(f, "label {stage} was on {version}, which is lost; it is dropped")
            }
            Self::Metadata(cause) => {
                write!(f, "type, description, tags and all other metadata are lost: {cause}")
            }
            Self::Name => f.write_str("its name is lost"),
            Self::Newer { first, last } => {
                write!(f, "{first} to {last} are lost with a newer table")
            }
            Self::Table { cause, newest: Some(newest) } => {
                write!(f, "all versions, up to {newest}, are lost with their table: {cause}")
            }
            Self::Table { cause, newest: None } => {
                write!(f, "all versions are lost with their table: {cause}")
            }
            Self::Version { id, cause } => write!(f, "{id} is lost: {cause}"),
        }
    }
}

/// What was found of one secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SalvagedSecret {
    pub(crate) id: NameId,
    pub(super) name: Option<SecretName>,
    pub(super) intact: Vec<VersionId>,
    pub(super) losses: Vec<Loss>,
}

impl SalvagedSecret {
    /// Its name; `None` if that is lost.
    #[must_use]
    pub fn name(&self) -> Option<&SecretName> {
        self.name.as_ref()
    }

    /// Its intact versions, ascending. Each was opened: its value is what was stored.
    #[must_use]
    pub fn intact(&self) -> &[VersionId] {
        &self.intact
    }

    /// What is lost of it.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Whether nothing of it is lost.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.losses.is_empty()
    }

    /// Whether this version is among what is lost, by itself or with all that are newer or all there
    /// are.
    #[must_use]
    pub fn has_lost(&self, id: VersionId) -> bool {
        self.losses.iter().any(|loss| match loss {
            Loss::Newer { first, last } => (*first..=*last).contains(&id),
            Loss::Table { newest, .. } => newest.is_none_or(|newest| id <= newest),
            Loss::Version { id: lost, .. } => *lost == id,
            _ => false,
        })
    }
}

impl fmt::Display for SalvagedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}: ")?,
            None => f.write_str("a secret without a name: ")?,
        }
        match self.intact.len() {
            1 => f.write_str("1 version intact")?,
            count => write!(f, "{count} versions intact")?,
        }
        self.losses.iter().try_for_each(|loss| write!(f, "; {loss}"))
    }
}

/// What can be said of the secrets as a whole. Not whether *all* files were put back to an older
/// state: that shows by an [`Anchor`](crate::Anchor) alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Completeness {
    /// The root record of this commit counts other secrets than were found, or other records of them.
    Counted {
        /// The commit.
        commit: u64,
        /// How many secrets it counts.
        expected: u64,
        /// How many are listed, the lost ones among them.
        found: u64,
    },
    /// The root record of this commit, the newest there is, vouches for it: these are all secrets, with
    /// the labels and versions of that moment. Values are checked one by one.
    Proven {
        /// The commit.
        commit: u64,
    },
    /// There is no root record. Nothing says whether secrets are missing.
    Unknown,
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted { commit, expected, found } => {
                write!(f, "commit {commit} counts {expected} secrets, {found} are listed")?;
                let changed = if expected == found { ", not all of them as they were" } else { "" };
                f.write_str(changed)
            }
            Self::Proven { commit } => {
                write!(f, "these are all secrets, as they were at commit {commit}")
            }
            Self::Unknown => f.write_str("nothing says how many secrets there were"),
        }
    }
}
