//! What calls answer with in CSMS's codes, by the rows of csms.md 8 and 5.2.

use strongroom::{ListSecrets, NewSecret, NewVersion, Policy, VersionRef};

use super::*;

type Call = fn(&SecretStore) -> Result<(), Error>;

/// A quota of two secrets: "common", at v2, and "db", which can be rotated.
fn store() -> Fresh {
    let fresh = Fresh::limited(Limits::default().with_secrets_max(Some(2)));
    let secret = create(&fresh, "common");
    put(&fresh, &secret, "");
    create_rotatable(&fresh, "db");
    fresh
}

fn labels(count: usize) -> Vec<Stage> {
    (0..count).map(|n| stage(&format!("l{n}"))).collect()
}

fn put_labelled(store: &SecretStore, count: usize) -> Result<(), Error> {
    store.put_version(&name("common"), NewVersion::new(text("x")).stages(labels(count))).map(drop)
}

#[rustfmt::skip]
const ROWS: &[(&str, &str, u16, Call)] = &[
    ("row 7: a label twice in one request", "CSMS.0002", 400,
        |s| s.put_version(&name("common"), NewVersion::new(text("x")).stages([stage("a"), stage("a")])).map(drop)),
    ("row 11: more than 12 labels in one request", "CSMS.0204", 400, |s| put_labelled(s, 13)),
    ("row 11: more than 12 labels in all", "CSMS.0203", 400, |s| put_labelled(s, 11)),
    ("row 13: a label on a missing version", "CSMS.0005", 404,
        |s| s.move_stage(&name("common"), &stage("blue"), v(9)).map(drop)),
    ("row 14: a missing label is shown", "CSMS.0005", 404, |s| s.stage(&name("common"), &stage("blue")).map(drop)),
    ("row 14: a missing label is deleted", "CSMS.0005", 404, |s| s.delete_stage(&name("common"), &stage("blue"))),
    ("row 19: an expiry in the past", "CSMS.0002", 400,
        |s| s.update_version(&name("common"), &VersionRef::Latest, Timestamp::from_millis(1000)).map(drop)),
    ("row 23: a value that is too long", "CSMS.0002", 400,
        |s| s.put_version(&name("common"), NewVersion::new(text(&"x".repeat(32_769)))).map(drop)),
    ("row 25: a name that is taken", "CSMS.0002", 400,
        |s| s.create_secret(NewSecret::new(name("common"), text("x"))).map(drop)),
    ("row 28: a missing secret", "CSMS.0106", 404, |s| s.secret(&name("nil")).map(drop)),
    ("row 28: a missing version", "CSMS.0005", 404, |s| s.version(&name("common"), &v(9).into()).map(drop)),
    ("row 34: a missing secret is deleted", "CSMS.0106", 404, |s| s.delete_secret(&name("nil"))),
    ("row 43: a limit of 0", "CSMS.0002", 400, |s| s.secrets(&ListSecrets::new().limit(0)).map(drop)),
    ("row 53: a COMMON secret is rotated", "CSMS.0002", 400, |s| s.rotate(&name("common")).map(drop)),
    ("8.5: a missing secret is rotated", "CSMS.0106", 404, |s| s.rotate(&name("nil")).map(drop)),
    ("8.5: a built-in label is deleted", "CSMS.0105", 400, |s| s.delete_stage(&name("common"), &Stage::Current)),
    ("5.2: the quota of secrets is full", "CSMS.0202", 400,
        |s| s.create_secret(NewSecret::new(name("third"), text("x"))).map(drop)),
    ("row 86: a permission is missing", "CSMS.0302", 403,
        |s| s.session("ann".parse()?, None::<Policy>)?.get(&name("nil")).map(drop)),
];

#[test]
fn calls_answer_with_the_codes_of_their_rows() {
    let fresh = store();
    let before = seq(&fresh);
    for (row, code, status, call) in ROWS {
        let told = call(&fresh).err().unwrap_or_else(|| panic!("{row}: no error")).code();
        assert_eq!((told.code, told.status), (*code, *status), "{row}");
    }
    assert_eq!(seq(&fresh), before, "nothing was written");
}
