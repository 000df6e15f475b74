//! Every kind of error is produced, and none of them tells a secret.

use std::{collections::BTreeSet, error::Error as _, fs, io, sync::Arc};

use strongroom::{
    Anchor, Description, Error, ErrorKind, Expect, Limits, ListSecrets, NameSyntax, NewSecret,
    NewVersion, PasswordPolicy, Preconditions, RotateOptions, SecretName, SecretState, SecretStore,
    SecretType, SecretUpdate, SecretValue, Stage, VersionId,
    testing::{Fault, FaultyDisk, Operation},
};

use super::*;

/// Stands for everything that must not be told: values, passwords, passphrases.
const MARK: &str = "s3cr3t-MARK";

/// A way to an error.
type Produce = fn() -> Error;

/// Every kind, and a way to it. One has none.
const KINDS: &[(ErrorKind, Option<Produce>)] = &[
    (ErrorKind::AlreadyExists, Some(already_exists)),
    (ErrorKind::AnchorTooOld, Some(anchor_too_old)),
    (ErrorKind::Conflict, Some(conflict)),
    (ErrorKind::Constraint, Some(constraint)),
    (ErrorKind::Damaged, Some(damaged)),
    (ErrorKind::Denied, Some(denied)),
    (ErrorKind::InvalidArgument, Some(invalid_argument)),
    (ErrorKind::InvalidState, Some(invalid_state)),
    (ErrorKind::Key, Some(key_refused)),
    (ErrorKind::KeyManager, Some(key_manager)),
    (ErrorKind::LimitExceeded, Some(limit_exceeded)),
    (ErrorKind::Locked, Some(locked)),
    (ErrorKind::NotAStore, Some(not_a_store)),
    (ErrorKind::NotFound, Some(not_found)),
    (ErrorKind::Poisoned, Some(poisoned)),
    (ErrorKind::Pruned, Some(pruned)),
    // The operating system cannot be made to give no randomness from here.
    (ErrorKind::Random, None),
    (ErrorKind::Rollback, Some(rollback)),
    (ErrorKind::SecretState, Some(secret_state)),
    (ErrorKind::Storage, Some(storage)),
    (ErrorKind::Tampered, Some(tampered)),
    (ErrorKind::UnsupportedFormat, Some(unsupported_format)),
    (ErrorKind::VersionState, Some(version_state)),
    (ErrorKind::WrongKey, Some(wrong_key)),
    (ErrorKind::WrongStore, Some(wrong_store)),
];

/// A store with a secret "s", in whose value and key slots the mark is.
fn marked() -> Fresh {
    let fresh = Fresh::with(SecretStore::builder().passphrase(phrase()));
    let new = NewSecret::new(name("s"), account(MARK)).secret_type(SecretType::RdsFg);
    fresh.create_secret(new).unwrap();
    fresh
}

fn phrase() -> strongroom::SecretString {
    strongroom::SecretString::from(format!("{MARK} as a passphrase"))
}

fn again() -> Builder<HasKey> {
    SecretStore::builder().passphrase(phrase())
}

fn already_exists() -> Error {
    marked().create_secret(NewSecret::new(name("s"), text(MARK))).unwrap_err()
}

fn anchor_too_old() -> Error {
    let fresh = marked();
    let anchor = fresh.anchor().unwrap();
    (0..2).for_each(|_| drop(fresh.rotate(&name("s")).unwrap()));
    fresh.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    again().expect(Expect::Anchor(anchor)).open(&path).unwrap_err()
}

fn conflict() -> Error {
    let new = NewVersion::new(account(MARK)).preconditions(Preconditions::none().if_revision(9));
    marked().put_version(&name("s"), new).unwrap_err()
}

fn constraint() -> Error {
    let cut_off = format!(r#"{{"users":[{{"name":"{MARK}","password":"{MARK}"}}"#);
    marked().put_version(&name("s"), NewVersion::new(text(&cut_off))).unwrap_err()
}

fn damaged() -> Error {
    let Fresh { store, path, dir: _dir } = marked();
    store.close().unwrap();
    fs::remove_dir_all(path.join("journal")).unwrap();
    again().open(&path).unwrap_err()
}

fn denied() -> Error {
    let session = marked().session("ann".parse().unwrap(), []).unwrap();
    session.get(&name("s")).unwrap_err()
}

fn key_refused() -> Error {
    let new = NewSecret::new(name("t"), text(MARK)).kms_key_id("nobodys-key".parse().unwrap());
    marked().create_secret(new).unwrap_err()
}

fn key_manager() -> Error {
    let Fresh { store, path: _, dir } = marked();
    let key = strongroom::KmsKey::new(Arc::new(store), "nobodys-key".parse().unwrap());
    SecretStore::builder().kms_key(key).create(dir.path().join("locked")).unwrap_err()
}

fn secret_state() -> Error {
    let fresh = marked();
    fresh.set_state(&name("s"), SecretState::Disabled).unwrap();
    fresh.get(&name("s")).unwrap_err()
}

fn version_state() -> Error {
    let fresh = marked();
    fresh.disable_version(&name("s"), v(1)).unwrap();
    fresh.get(&name("s")).unwrap_err()
}

fn pruned() -> Error {
    let fresh = marked();
    fresh.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
    fresh.subscribe(strongroom::Position::START).map(drop).unwrap_err()
}

fn invalid_argument() -> Error {
    let list = ListSecrets::new().limit(0);
    marked().secrets(&list).unwrap_err()
}

fn invalid_state() -> Error {
    let fresh = marked();
    fresh.store.clone().close().unwrap();
    fresh.get(&name("s")).unwrap_err()
}

fn limit_exceeded() -> Error {
    let long = MARK.repeat(10_000);
    marked().put_version(&name("s"), NewVersion::new(text(&long))).unwrap_err()
}

fn locked() -> Error {
    let fresh = marked();
    again().open(&fresh.path).unwrap_err()
}

fn not_a_store() -> Error {
    again().open("/nowhere/at/all").unwrap_err()
}

fn not_found() -> Error {
    marked().version(&name("s"), &v(7).into()).unwrap_err()
}

/// A store whose writes fail from now on, and the first of these failures.
fn failed() -> (SecretStore, Error, TempDir) {
    let Fresh { store, path, dir } = marked();
    store.close().unwrap();
    let disk = FaultyDisk::new(None);
    let store = again().disk(Arc::new(disk.clone())).open(&path).unwrap();
    let (only, error) = (Some(Operation::Sync), io::ErrorKind::StorageFull);
    disk.set(Some(Fault { at: 0, lasting: true, only, error }));
    let err = store.put_version(&name("s"), NewVersion::new(account(MARK))).map(drop).unwrap_err();
    (store, err, dir)
}

fn poisoned() -> Error {
    let (store, _, _dir) = failed();
    store.rotate(&name("s")).unwrap_err()
}

fn storage() -> Error {
    failed().1
}

fn rollback() -> Error {
    let Fresh { store, path, dir } = marked();
    store.close().unwrap();
    let copy = dir.path().join("copy");
    copy_dir(&path, &copy);
    let store = again().open(&path).unwrap();
    store.rotate(&name("s")).unwrap();
    let anchor = store.anchor().unwrap();
    again().expect(Expect::Anchor(anchor)).open(&copy).unwrap_err()
}

fn tampered() -> Error {
    let Fresh { store, path, dir: _dir } = marked();
    let old = fs::read(path.join("keys")).unwrap();
    store.add_key_slot(&phrase().into(), &key(2).into(), "").unwrap();
    store.close().unwrap();
    ["keys", "keys.bak"].iter().for_each(|file| fs::write(path.join(file), &old).unwrap());
    again().open(&path).unwrap_err()
}

fn unsupported_format() -> Error {
    let Fresh { store, path, dir: _dir } = marked();
    store.close().unwrap();
    for file in ["keys", "keys.bak"] {
        let mut bytes = fs::read(path.join(file)).unwrap();
        bytes[8] = 2;
        fs::write(path.join(file), bytes).unwrap();
    }
    again().open(&path).unwrap_err()
}

fn wrong_key() -> Error {
    let Fresh { store, path, dir: _dir } = marked();
    store.close().unwrap();
    let wrong = strongroom::SecretString::from(format!("{MARK} and wrong"));
    SecretStore::builder().passphrase(wrong).open(&path).unwrap_err()
}

fn wrong_store() -> Error {
    let Fresh { store, path, dir: _dir } = marked();
    store.close().unwrap();
    again().expect(Expect::StoreId([7; 16])).open(&path).unwrap_err()
}

#[test]
fn every_kind_of_error_is_produced_and_tells_no_secret() {
    for (kind, produce) in KINDS {
        let Some(produce) = produce else { continue };
        let err = produce();
        assert_eq!(err.kind(), *kind, "{err:?}");
        let mut said = format!("{err}\n{err:?}\n{err:#?}");
        let mut source = err.source();
        let has_cause = matches!(kind, ErrorKind::KeyManager | ErrorKind::Storage);
        assert_eq!(source.is_some(), has_cause, "{err:?}");
        while let Some(cause) = source {
            said = format!("{said}\n{cause}\n{cause:?}");
            source = cause.source();
        }
        assert!(!said.contains(MARK), "{said}");
        assert!(!err.to_string().contains('\n'), "one line: {err}");
        assert_eq!(err.kind(), *kind);
    }
}

/// The list above is compared with the source, since a match outside the crate cannot be complete.
#[test]
fn the_list_of_kinds_is_complete() {
    let source = include_str!("../../src/error/kind.rs");
    let body = source.split("pub enum ErrorKind {").nth(1).unwrap().split('}').next().unwrap();
    let there: BTreeSet<String> = body
        .split(',')
        .map(|kind| kind.trim().to_owned())
        .filter(|kind| !kind.is_empty())
        .collect();
    let listed: BTreeSet<String> = KINDS.iter().map(|(kind, _)| format!("{kind:?}")).collect();
    assert_eq!(listed, there);
}

/// What no call can be made to say is made in a unit test, beside where it becomes the public error.
#[test]
fn kinds_without_a_way_to_them_have_a_unit_test() {
    let tests = include_str!("../../src/error.rs").split("mod tests {").nth(1).unwrap();
    let unproduced = KINDS.iter().filter(|(_, produce)| produce.is_none());
    let kinds: Vec<String> = unproduced.map(|(kind, _)| format!("ErrorKind::{kind:?}")).collect();
    for kind in &kinds {
        assert!(tests.contains(kind.as_str()), "no test produces {kind}");
    }
    assert!(kinds.len() <= 2, "{kinds:?}: find a way to the new one");
}

#[test]
fn a_storage_error_carries_what_the_operating_system_said() {
    let Error::Storage { source } = storage() else { panic!("another kind") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
}

/// What `?` makes of the error of a text that does not parse.
fn unparsed<T, E: Into<Error>>(result: Result<T, E>) -> Error {
    result.err().expect("it does not parse").into()
}

#[test]
fn texts_that_do_not_parse_become_invalid_arguments_by_question_mark() {
    let with_dots = SecretName::with_syntax("a/b", NameSyntax::WithDots);
    let long = "x".repeat(2049);
    let cases = [
        ("anchor", unparsed("x".parse::<Anchor>())),
        ("secret name", unparsed("a b".parse::<SecretName>())),
        ("secret name", unparsed(with_dots)),
        ("stage name", unparsed("a b".parse::<Stage>())),
        ("version id", unparsed("v0".parse::<VersionId>())),
        ("secret type", unparsed("RDS".parse::<SecretType>())),
        ("secret type", unparsed(SecretType::rotatable("common"))),
        ("description", unparsed(long.parse::<Description>())),
        ("limits", unparsed(Limits::default().with_versions_max(1))),
        ("password policy", unparsed(PasswordPolicy::default().with_length(8))),
    ];
    for (what, err) in cases {
        let Error::InvalidArgument { argument, reason } = &err else { panic!("{what}: {err:?}") };
        assert_eq!(*argument, what);
        assert_eq!(err.to_string(), format!("invalid {what}: {reason}"));
    }
}

/// What an error names is what the caller asked for.
#[test]
fn errors_name_what_they_are_about() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "billing");
    let cases = [
        (fresh.get(&name("nil")).map(drop), "there is no secret nil"),
        (
            fresh.version(&secret, &v(7).into()).map(drop),
            "there is no version v7 of secret billing",
        ),
        (
            fresh.stage(&secret, &stage("blue")).map(drop),
            "there is no label blue on secret billing",
        ),
        (fresh.remove_key_slot(7), "there is no key slot 7"),
        (
            fresh.create_secret(NewSecret::new(secret.clone(), text(""))).map(drop),
            "secret billing exists already",
        ),
        (
            fresh.rotate(&secret).map(drop),
            "constraint violated by billing: a secret of type COMMON cannot be rotated",
        ),
        (
            fresh
                .rotate_with(
                    &secret,
                    &RotateOptions::new().preconditions(Preconditions::none().if_version(v(2))),
                )
                .map(drop),
            "billing is not as the call requires: SYSCURRENT is on another version",
        ),
        (
            fresh
                .update_secret(
                    &secret,
                    &SecretUpdate::new().preconditions(Preconditions::none().if_revision(2)),
                )
                .map(drop),
            "billing is not as the call requires: its revision is another",
        ),
        (
            fresh
                .put_version(&secret, NewVersion::new(SecretValue::from_bytes(vec![0; 24_577])))
                .map(drop),
            "bytes of a value: 32772 asked, 32768 allowed",
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got.unwrap_err().to_string(), want);
    }
}
