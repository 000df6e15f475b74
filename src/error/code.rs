//! Errors as CSMS tells them: a code, an HTTP status, a message (csms.md 5.2, 5.3, 8).

use crate::{
    domain::StateRefusal,
    error::{Error, Limit, Missing, Rule, VersionRefusal},
};

/// The status of what is not there, where the documents of CSMS disagree: every page lists 404, which
/// clients need to notice that something is gone; the table of codes has 400 (csms.md 8.2 row 28).
const NOT_FOUND_STATUS: u16 = 404;

/// How CSMS tells an error: what a REST interface answers with.
///
/// The codes and messages are those of CSMS, spelling included, and of the key manager where CSMS has it
/// answer. Where no code of theirs is known, it is one of ours, which begins with `STRONGROOM.`: what CSMS
/// has no call for, and what is wrong with the store itself. All of them are listed in
/// [the manual](crate::manual::errors).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct CsmsCode {
    /// Such as `CSMS.0106`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The message that belongs to the code. What happened is in the error's own words.
    pub message: &'static str,
}

impl Error {
    /// The code, status and message by which CSMS tells this error.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// let err = store.secret(&"nobody".parse()?).unwrap_err();
    /// assert_eq!((err.code().code, err.code().status), ("CSMS.0106", 404));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn code(&self) -> CsmsCode {
        match self {
            // CSMS has no code of its own for a name that is taken (8.2 row 25).
            Self::AlreadyExists { .. } | Self::InvalidArgument { .. } => INVALID,
            Self::Conflict { .. } => CONFLICT,
            Self::Constraint { rule: Rule::BuiltInStage(_), .. } => BUILT_IN_STAGE,
            // Among them: a COMMON secret is rotated (8.3 row 53).
            Self::Constraint { rule: Rule::Other(_), .. } => INVALID,
            Self::Denied { .. } => DENIED,
            Self::Key { .. } => KEY,
            Self::LimitExceeded { what, .. } => of_limit(*what),
            Self::NotFound(missing) => of_missing(missing),
            Self::Pruned { .. } => PRUNED,
            Self::SecretState { refusal, .. } => of_state(*refusal),
            Self::VersionState { refusal, .. } => of_version(*refusal),
            Self::InvalidState | Self::Locked { .. } | Self::Poisoned => UNAVAILABLE,
            Self::AnchorTooOld
            | Self::Damaged { .. }
            | Self::NotAStore { .. }
            | Self::Random
            | Self::Rollback { .. }
            | Self::Storage { .. }
            | Self::Tampered { .. }
            | Self::UnsupportedFormat { .. }
            | Self::WrongKey
            | Self::WrongStore => BROKEN,
        }
    }
}

impl CsmsCode {
    /// What a code stands for; `None` for a text that is none of those above.
    pub(crate) fn named(code: &str) -> Option<Self> {
        ALL.iter().find(|it| it.code == code).copied()
    }
}

/// Every code that an error is told by.
const ALL: [CsmsCode; 21] = [
    INVALID,
    PENDING_DELETION,
    BUILT_IN_STAGE,
    SCHEDULED,
    NOT_SCHEDULED,
    SECRETS_FULL,
    STAGES_FULL,
    MANY_STAGES,
    TAGS_FULL,
    KEY,
    NOT_ENABLED,
    DENIED,
    NOT_FOUND,
    NO_SECRET,
    NO_KEY,
    NO_TAG,
    CONFLICT,
    PROTECTED,
    PRUNED,
    BROKEN,
    UNAVAILABLE,
];

fn of_missing(missing: &Missing) -> CsmsCode {
    match missing {
        Missing::Secret(_) => NO_SECRET,
        Missing::Event(_)
        | Missing::KeySlot(_)
        | Missing::PasswordPolicy(_)
        | Missing::Stage(..)
        | Missing::Task(_)
        | Missing::Version(..) => NOT_FOUND,
        Missing::Key(_) => NO_KEY,
        Missing::Tag(..) => NO_TAG,
    }
}

fn of_state(refusal: StateRefusal) -> CsmsCode {
    match refusal {
        StateRefusal::AlreadyScheduled => SCHEDULED,
        StateRefusal::NotEnabled => NOT_ENABLED,
        StateRefusal::NotScheduled => NOT_SCHEDULED,
        StateRefusal::PendingDeletion => PENDING_DELETION,
        StateRefusal::Protected => PROTECTED,
    }
}

/// CSMS knows no states of versions: the nearest that it has for secrets.
fn of_version(refusal: VersionRefusal) -> CsmsCode {
    match refusal {
        VersionRefusal::Destroyed => NOT_FOUND,
        VersionRefusal::Disabled | VersionRefusal::Expired | VersionRefusal::NotYet => NOT_ENABLED,
        VersionRefusal::Labelled => INVALID,
    }
}

fn of_limit(limit: Limit) -> CsmsCode {
    match limit {
        Limit::Labels => STAGES_FULL,
        Limit::LabelsInRequest => MANY_STAGES,
        Limit::Secrets => SECRETS_FULL,
        // The key manager's tag service answers for these (8.4 row 78).
        Limit::Tags | Limit::TagsInRequest => TAGS_FULL,
        Limit::BackupBytes
        | Limit::EventSubscriptions
        | Limit::Events
        | Limit::Filters
        | Limit::KeySlots
        | Limit::Keys
        | Limit::Moves
        | Limit::Names
        | Limit::Policies
        | Limit::ValueBytes
        | Limit::Versions => INVALID,
    }
}

const fn bad(code: &'static str, message: &'static str) -> CsmsCode {
    CsmsCode { code, status: 400, message }
}

const INVALID: CsmsCode = bad("CSMS.0002", "The value of parameter is invalid.");
const PENDING_DELETION: CsmsCode =
    bad("CSMS.0103", "The secret is in the scheduled deletion state.");
const BUILT_IN_STAGE: CsmsCode = bad("CSMS.0105", "Can not delete the system internal stage.");
const SCHEDULED: CsmsCode = bad("CSMS.0107", "The secret is in schedule delete state.");
const NOT_SCHEDULED: CsmsCode = bad("CSMS.0108", "The secret is not in schedule delete state.");
const SECRETS_FULL: CsmsCode =
    bad("CSMS.0202", "The number of secret has reached the upper limit.");
const STAGES_FULL: CsmsCode = bad("CSMS.0203", "The number of stage has reached the upper limit.");
const MANY_STAGES: CsmsCode =
    bad("CSMS.0204", "The number of stage is greater than the quota limit.");
const TAGS_FULL: CsmsCode = bad("KMS.0409", "The number of tags has reached the upper limit.");
const KEY: CsmsCode =
    bad("CSMS.0401", "Can not get the protected secret value using the provided KMS key.");

const NOT_ENABLED: CsmsCode =
    CsmsCode { code: "CSMS.0109", status: 403, message: "The secret state is not enabled." };
/// The text of this one is not known.
const DENIED: CsmsCode =
    CsmsCode { code: "CSMS.0302", status: 403, message: "The permission is missing." };

const NOT_FOUND: CsmsCode =
    CsmsCode { status: NOT_FOUND_STATUS, ..bad("CSMS.0005", "The resource does not exist.") };
const NO_SECRET: CsmsCode = CsmsCode {
    status: NOT_FOUND_STATUS,
    ..bad("CSMS.0106", "The secret name not found int the db.")
};
/// The key manager's, whose status is not in doubt.
const NO_KEY: CsmsCode =
    CsmsCode { code: "KMS.0207", status: 404, message: "The key does not exist." };
const NO_TAG: CsmsCode =
    CsmsCode { code: "KMS.0416", status: 404, message: "The tag does not exist." };

const CONFLICT: CsmsCode = CsmsCode {
    code: "STRONGROOM.0409",
    status: 409,
    message: "A precondition of the request does not hold.",
};
const PROTECTED: CsmsCode = CsmsCode {
    code: "STRONGROOM.0403",
    status: 403,
    message: "The secret is protected from being deleted at once.",
};
const PRUNED: CsmsCode = CsmsCode {
    code: "STRONGROOM.0410",
    status: 410,
    message: "This part of the audit log was cut off.",
};
const BROKEN: CsmsCode = CsmsCode {
    code: "STRONGROOM.0500",
    status: 500,
    message: "The store cannot be read or written.",
};
const UNAVAILABLE: CsmsCode = CsmsCode {
    code: "STRONGROOM.0503",
    status: 503,
    message: "The store is closed, in use, or has stopped writing.",
};

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, io, path::Path};

    use super::*;
    use crate::domain::{Action, Position, SecretName, SecretState, Stage, VersionId};

    /// How the manual calls an error, its row of csms.md, one of its kind, and what it is told by.
    type Row = (&'static str, &'static str, Error, &'static str, u16);

    fn name() -> SecretName {
        "s".parse().unwrap()
    }

    fn text() -> String {
        "x".to_owned()
    }

    fn state(refusal: StateRefusal) -> Error {
        Error::of_state(&name(), SecretState::Disabled, refusal)
    }

    fn version(refusal: VersionRefusal) -> Error {
        Error::VersionState { name: name(), version: VersionId::FIRST, refusal }
    }

    fn limit(what: Limit) -> Error {
        Error::LimitExceeded { what, asked: 2, max: 1 }
    }

    fn built_in() -> Error {
        Error::Constraint { name: name(), rule: Rule::BuiltInStage(Stage::Current) }
    }

    fn denied() -> Error {
        Error::Denied { principal: text(), action: Action::GetSecret, secret: None }
    }

    #[rustfmt::skip]
    fn rows() -> Vec<Row> {
        let missing = Error::NotFound;
        let path = || Path::new("x").to_owned();
        vec![
            ("AlreadyExists", "rows 25, 26, 46, 74", Error::AlreadyExists { what: text() }, "CSMS.0002", 400),
            ("AnchorTooOld", "", Error::AnchorTooOld, "STRONGROOM.0500", 500),
            ("Conflict", "", Error::Conflict { name: name(), reason: "x" }, "STRONGROOM.0409", 409),
            ("Constraint, Rule::BuiltInStage", "8.5", built_in(), "CSMS.0105", 400),
            ("Constraint, Rule::Other", "rows 53, 54", Error::constraint(&name(), "x"), "CSMS.0002", 400),
            ("Damaged", "", Error::Damaged { what: text() }, "STRONGROOM.0500", 500),
            ("Denied", "row 86", denied(), "CSMS.0302", 403),
            ("InvalidArgument", "rows 7, 19, 24, 43, 55", Error::invalid("x", "x"), "CSMS.0002", 400),
            ("InvalidState", "", Error::InvalidState, "STRONGROOM.0503", 503),
            ("Key", "row 38", Error::Key { key_id: text(), reason: text() }, "CSMS.0401", 400),
            ("LimitExceeded, Limit::BackupBytes", "1.12", limit(Limit::BackupBytes), "CSMS.0002", 400),
            ("LimitExceeded, Limit::EventSubscriptions", "1.7", limit(Limit::EventSubscriptions), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Events", "row 74", limit(Limit::Events), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Filters", "3.4", limit(Limit::Filters), "CSMS.0002", 400),
            ("LimitExceeded, Limit::KeySlots", "", limit(Limit::KeySlots), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Keys", "", limit(Limit::Keys), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Labels", "row 11", limit(Limit::Labels), "CSMS.0203", 400),
            ("LimitExceeded, Limit::LabelsInRequest", "row 11", limit(Limit::LabelsInRequest), "CSMS.0204", 400),
            ("LimitExceeded, Limit::Moves", "", limit(Limit::Moves), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Names", "1.12", limit(Limit::Names), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Policies", "", limit(Limit::Policies), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Secrets", "5.2", limit(Limit::Secrets), "CSMS.0202", 400),
            ("LimitExceeded, Limit::Tags", "1.12", limit(Limit::Tags), "KMS.0409", 400),
            ("LimitExceeded, Limit::TagsInRequest", "row 78", limit(Limit::TagsInRequest), "KMS.0409", 400),
            ("LimitExceeded, Limit::ValueBytes", "row 23", limit(Limit::ValueBytes), "CSMS.0002", 400),
            ("LimitExceeded, Limit::Versions", "1.12", limit(Limit::Versions), "CSMS.0002", 400),
            ("Locked", "", Error::Locked { path: path() }, "STRONGROOM.0503", 503),
            ("NotAStore", "", Error::NotAStore { path: path() }, "STRONGROOM.0500", 500),
            ("NotFound, Missing::Event", "rows 28, 71", missing(Missing::Event(text())), "CSMS.0005", 404),
            ("NotFound, Missing::Key", "5.3", missing(Missing::Key(text())), "KMS.0207", 404),
            ("NotFound, Missing::KeySlot", "", missing(Missing::KeySlot(1)), "CSMS.0005", 404),
            ("NotFound, Missing::PasswordPolicy", "3.8", missing(Missing::PasswordPolicy(text())), "CSMS.0005", 404),
            ("NotFound, Missing::Secret", "row 28", missing(Missing::Secret(name())), "CSMS.0106", 404),
            ("NotFound, Missing::Stage", "rows 14, 28", missing(Missing::Stage(name(), Stage::Current)), "CSMS.0005", 404),
            ("NotFound, Missing::Tag", "row 79", missing(Missing::Tag(name(), text())), "KMS.0416", 404),
            ("NotFound, Missing::Task", "row 28", missing(Missing::Task(text())), "CSMS.0005", 404),
            ("NotFound, Missing::Version", "rows 13, 28", missing(Missing::Version(name(), VersionId::FIRST)), "CSMS.0005", 404),
            ("Poisoned", "", Error::Poisoned, "STRONGROOM.0503", 503),
            ("Pruned", "", Error::Pruned { from: Position::START, oldest: Position::START }, "STRONGROOM.0410", 410),
            ("Random", "", Error::Random, "STRONGROOM.0500", 500),
            ("Rollback", "", Error::Rollback { found: 1, expected: 2 }, "STRONGROOM.0500", 500),
            ("SecretState, StateRefusal::AlreadyScheduled", "8.5", state(StateRefusal::AlreadyScheduled), "CSMS.0107", 400),
            ("SecretState, StateRefusal::NotEnabled", "rows 29, 49, 67", state(StateRefusal::NotEnabled), "CSMS.0109", 403),
            ("SecretState, StateRefusal::NotScheduled", "8.5", state(StateRefusal::NotScheduled), "CSMS.0108", 400),
            ("SecretState, StateRefusal::PendingDeletion", "rows 30, 49, 67, 84", state(StateRefusal::PendingDeletion), "CSMS.0103", 400),
            ("SecretState, StateRefusal::Protected", "", state(StateRefusal::Protected), "STRONGROOM.0403", 403),
            ("Storage", "", Error::Storage { source: io::Error::other("x") }, "STRONGROOM.0500", 500),
            ("Tampered", "", Error::Tampered { what: text() }, "STRONGROOM.0500", 500),
            ("UnsupportedFormat", "", Error::UnsupportedFormat { found: 2 }, "STRONGROOM.0500", 500),
            ("VersionState, VersionRefusal::Destroyed", "", version(VersionRefusal::Destroyed), "CSMS.0005", 404),
            ("VersionState, VersionRefusal::Disabled", "", version(VersionRefusal::Disabled), "CSMS.0109", 403),
            ("VersionState, VersionRefusal::Expired", "", version(VersionRefusal::Expired), "CSMS.0109", 403),
            ("VersionState, VersionRefusal::Labelled", "", version(VersionRefusal::Labelled), "CSMS.0002", 400),
            ("VersionState, VersionRefusal::NotYet", "", version(VersionRefusal::NotYet), "CSMS.0109", 403),
            ("WrongKey", "", Error::WrongKey, "STRONGROOM.0500", 500),
            ("WrongStore", "", Error::WrongStore, "STRONGROOM.0500", 500),
        ]
    }

    #[test]
    fn every_error_is_told_by_the_code_of_its_row() {
        for (called, row, err, code, status) in rows() {
            let told = err.code();
            assert_eq!((told.code, told.status), (code, status), "{called}: {row}");
            assert_eq!(CsmsCode::named(code), Some(told), "{called}");
            // The lengths that answers may have (csms.md 5.1).
            assert!((8..=36).contains(&told.code.len()), "{called}");
            assert!((2..=512).contains(&told.message.len()), "{called}");
            assert!(err.to_string().len() <= 512, "{called}");
        }
    }

    #[test]
    fn a_text_that_is_no_code_stands_for_none() {
        for text in ["", "CSMS.9999", "csms.0002", "CSMS.0002 ", "cancelled"] {
            assert_eq!(CsmsCode::named(text), None, "case: {text:?}");
        }
    }

    /// `code` is complete by its `match`; this table by a look at the source.
    #[test]
    fn the_table_has_a_row_for_every_variant() {
        let source = concat!(
            include_str!("../error.rs"),
            include_str!("reasons.rs"),
            include_str!("../domain/lifecycle.rs")
        );
        let called: BTreeSet<String> =
            rows().iter().map(|(called, ..)| (*called).to_owned()).collect();
        let variants = |of: &str| -> Vec<String> {
            let head = format!("pub enum {of} {{\n");
            let body = source.split(&head).nth(1).unwrap().split("\n}\n").next().unwrap();
            let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
            let word = |line: &str| line.split(['(', ' ', ',']).next().unwrap().to_owned();
            lines.filter(|line| line.starts_with(char::is_uppercase)).map(word).collect()
        };
        let mut wanted = BTreeSet::new();
        for kind in variants("Error") {
            let (of, within) = match &*kind {
                "Constraint" => ("Rule", variants("Rule")),
                "NotFound" => ("Missing", variants("Missing")),
                "SecretState" => ("StateRefusal", variants("StateRefusal")),
                "VersionState" => ("VersionRefusal", variants("VersionRefusal")),
                "LimitExceeded" => ("Limit", variants("Limit")),
                _ => {
                    wanted.insert(kind);
                    continue;
                }
            };
            wanted.extend(within.into_iter().map(|variant| format!("{kind}, {of}::{variant}")));
        }
        assert_eq!(called, wanted);
    }

    /// The page of the manual is this table.
    #[test]
    fn the_manual_has_the_table() {
        let page = include_str!("../manual/errors.md");
        let there: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let line = |(called, row, err, ..): &Row| {
            let CsmsCode { code, status, message } = err.code();
            format!(
                "| `{}` | {row} | `{code}` | {status} | {message} |",
                called.replace(", ", "` `")
            )
        };
        let want: Vec<String> = rows().iter().map(line).collect();
        assert!(there == want, "it should be:\n{}", want.join("\n"));
    }
}
