//! One damage after the other: what came of each, whether that is allowed, and how often.

use std::{collections::BTreeMap, error::Error as _, path::Path};

use strongroom::{Error, ErrorKind};

use crate::{
    original::{KEY, Left, Original, builder, content},
    support::in_time,
};

/// What an opened store may say of damage, or an opening.
const HONEST: [ErrorKind; 6] = [
    ErrorKind::Damaged,
    ErrorKind::Tampered,
    ErrorKind::WrongKey,
    ErrorKind::UnsupportedFormat,
    ErrorKind::Storage,
    ErrorKind::NotAStore,
];

/// What errors call the parts of a store: by the files that are damaged, what to look for.
const SAYS: [(&str, &[&str]); 4] = [
    ("keys", &["key"]),
    ("lock", &[]),
    ("journal", &["journal", "the state is at commit"]),
    ("db", &["state", "db", "record", "audit", "value", "label", "secret", "version"]),
];

/// How the cases of a test ended.
#[derive(Debug, Default)]
pub struct Tally {
    pub whole: usize,
    /// The last commits are gone, which nobody can tell from a crash.
    pub cut_off: usize,
    pub errors: BTreeMap<String, usize>,
    /// Errors after which the damaged file alone was put back, and then everything was there.
    mended: usize,
}

/// What a damaged store did.
pub enum Seen {
    Content(String),
    Error(Error),
}

impl Tally {
    /// Damage to `files` that hits the last commit at most so that nobody can tell.
    pub fn case(
        &mut self,
        original: &Original,
        (what, files): (&str, &str),
        damage: impl FnOnce(&Path),
    ) {
        self.case_of_tail(original, (what, files, 1), damage);
    }

    /// Damage that takes away the last `tail` commits at most so that nobody can tell.
    pub fn case_of_tail(
        &mut self,
        original: &Original,
        (what, files, tail): (&str, &str, usize),
        damage: impl FnOnce(&Path),
    ) {
        let what = format!("{:?}, {what}", original.left);
        let (_dir, path) = original.copy();
        damage(&path);
        match look(&what, &path) {
            Seen::Error(err) => self.refused(original, (&what, files), &path, &err),
            Seen::Content(found) => {
                let newest = original.history.len() - 1;
                match original.history.iter().rposition(|then| *then == found) {
                    Some(at) if at == newest => self.whole += 1,
                    Some(at) if original.left == Left::Running && at + tail >= newest => {
                        self.cut_off += 1;
                    }
                    Some(at) => panic!("{what}: silently lost {} commits", newest - at),
                    None => panic!("{what}: other data\n{found}"),
                }
            }
        }
    }

    /// A refusal says what is damaged, does not change its mind, and takes away nothing: with the
    /// undamaged file back everything is there.
    fn refused(
        &mut self,
        original: &Original,
        (what, files): (&str, &str),
        path: &Path,
        err: &Error,
    ) {
        let kind = self.count(what, err);
        assert!(says(err, files), "{what}: the error does not say so: {}", whole_text(err));
        match look(what, path) {
            Seen::Error(again) if again.kind() == kind => {}
            Seen::Error(again) => panic!("{what}: first {err:?}, then {again:?}"),
            Seen::Content(_) => panic!("{what}: first {err:?}, then opened"),
        }
        original.put_back(path, files);
        match look(what, path) {
            Seen::Content(found) if found == original.newest() => self.mended += 1,
            // sled writes to its files as it opens them, so they belong together.
            Seen::Error(err) if files.starts_with("db") => {
                assert!(HONEST.contains(&err.kind()) && says(&err, files), "{what}: {err:?}");
                original.put_back(path, "db");
                match look(what, path) {
                    Seen::Content(found) => assert_eq!(found, original.newest(), "{what}: back"),
                    Seen::Error(err) => panic!("{what}: with db/ put back: {err:?}"),
                }
            }
            Seen::Content(found) => panic!("{what}: put back, other data\n{found}"),
            Seen::Error(err) => panic!("{what}: put back: {err:?}"),
        }
    }

    /// Notes an error of an honest kind.
    pub fn count(&mut self, what: &str, err: &Error) -> ErrorKind {
        assert!(HONEST.contains(&err.kind()), "{what}: {err:?}");
        *self.errors.entry(format!("{:?}", err.kind())).or_default() += 1;
        err.kind()
    }

    pub fn refusals(&self) -> usize {
        self.errors.values().sum()
    }

    pub fn print(&self, what: &str) {
        let Self { whole, cut_off, errors, mended } = self;
        let cases = whole + cut_off + self.refusals();
        println!(
            "{what}: {cases} cases, {whole} whole, {cut_off} cut off, {errors:?}, \
             {mended} mended by the file alone"
        );
    }
}

/// Whether an error names what is damaged.
pub fn says(err: &Error, files: &str) -> bool {
    let (_, words) = SAYS.iter().find(|(part, _)| files.starts_with(part)).unwrap();
    let text = whole_text(err);
    words.is_empty() || words.iter().any(|word| text.contains(word))
}

/// An error with all its causes.
pub fn whole_text(err: &Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        text = format!("{text}: {err}");
        cause = err.source();
    }
    text
}

/// Opens, reads and verifies everything, within a time.
pub fn look(what: &str, path: &Path) -> Seen {
    let look = || {
        let store = builder(KEY).open(path)?;
        let found = content(&store)?;
        store.verify()?;
        store.close()?;
        Ok(found)
    };
    match in_time(what, look) {
        Ok(found) => Seen::Content(found),
        Err(err) => Seen::Error(err),
    }
}
