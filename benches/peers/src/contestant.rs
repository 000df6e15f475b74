//! What every store here can do, and the proof that it does it right.

use std::path::Path;

use crate::{
    Outcome,
    work::{Fresh, Name, Newest, Random, VERSIONS_MAX, Work, rotated},
};

/// A store that takes part. All calls that change something return when it is on stable storage.
pub trait Contestant: Send + Sync {
    /// Stores many new secrets, as fast as it can.
    fn load(&self, secrets: &mut dyn Iterator<Item = Outcome<Fresh>>) -> Outcome<()>;

    fn create(&self, secret: &Fresh) -> Outcome<()>;

    /// Reads the current value, appends a version, moves CURRENT and PREVIOUS, drops the 21st
    /// version: all of it or nothing. `value` is what to store, for who does not make one up. Gives
    /// the new version's number.
    fn rotate(&self, name: &Name, value: &str) -> Outcome<u64>;

    /// Shows the current value.
    fn get(&self, name: &Name, seen: &mut dyn FnMut(&[u8])) -> Outcome<()>;

    /// Shows the value of a version; whether it is there.
    fn version(&self, name: &Name, number: u64, seen: &mut dyn FnMut(&[u8])) -> Outcome<bool>;

    /// The numbers of the versions that bear CURRENT and PREVIOUS.
    fn labels(&self, name: &Name) -> Outcome<(u64, u64)>;

    /// Shows so many names with their metadata, in the order of names.
    fn list(
        &self,
        after: Option<&Name>,
        limit: usize,
        row: &mut dyn FnMut(&str, &str),
    ) -> Outcome<()>;

    /// Shows so many names, in their order.
    fn names(&self, after: Option<&Name>, limit: usize, row: &mut dyn FnMut(&str)) -> Outcome<()>;

    /// Ends all work in the background and closes.
    fn close(self: Box<Self>) -> Outcome<()>;
}

/// How a store is opened.
#[derive(Clone, Copy)]
pub struct Setting {
    pub cache_bytes: u64,
    /// For strongroom: check everything later, in the background.
    pub deferred: bool,
}

impl Setting {
    /// As strongroom has it by default, and so all others too.
    pub const USUAL: Self = Self { cache_bytes: 128 << 20, deferred: false };
    /// To see what a store needs beside its caches.
    pub const FRUGAL: Self = Self { cache_bytes: 1 << 20, deferred: false };
}

#[derive(Clone, Copy, Eq, PartialEq, Debug)]
pub enum Role {
    Ours,
    Peer,
    /// What is not a store, but what no store can beat.
    Bound,
}

/// How a store enters.
pub struct Entrant {
    pub key: &'static str,
    pub title: &'static str,
    /// What was done so that it is at its best.
    pub done: &'static str,
    pub role: Role,
    /// Whether its writes are on stable storage, so that they are worth measuring.
    pub writes: bool,
    /// Whether what was written is there after opening again.
    pub reopens: bool,
    /// Opens the store in this directory, and makes it if there is none.
    pub open: fn(&Path, Setting) -> Outcome<Box<dyn Contestant>>,
}

/// Loads and rotates some secrets of a store of its own and compares every answer, also after
/// opening again.
pub fn conforms(entrant: &Entrant, dir: &Path) -> Outcome<()> {
    const SECRETS: usize = 130;
    let work = Work::new(SECRETS)?;
    let store = (entrant.open)(dir, Setting::USUAL)?;
    store.load(&mut (1..SECRETS).map(|number| work.secret(number)))?;
    store.create(&work.secret(0)?)?;
    let mut random = Random::new(1);
    let newest = Newest::new(SECRETS);
    let mut history = vec![Vec::new(); SECRETS];
    for (number, (name, values)) in work.names.iter().zip(&mut history).enumerate() {
        values.push(work.secret(number)?.value.into_bytes());
        let rotations = if number.is_multiple_of(10) { VERSIONS_MAX + 3 } else { 1 };
        for version in 2..=rotations + 1 {
            let value = rotated(&mut random);
            check(store.rotate(name, &value)? == version, "a rotation gives the wrong version")?;
            newest.raise(number, version);
            values.push(current(&*store, name)?);
            let stored = values.last().map(Vec::as_slice);
            check(
                entrant.role == Role::Ours || stored == Some(value.as_bytes()),
                "a rotation stores another value",
            )?;
        }
    }
    answers_right(&*store, &work, &history)?;
    if !entrant.reopens {
        return store.close();
    }
    store.close()?;
    let store = (entrant.open)(dir, Setting::USUAL)?;
    answers_right(&*store, &work, &history)?;
    store.close()
}

fn answers_right(store: &dyn Contestant, work: &Work, history: &[Vec<Vec<u8>>]) -> Outcome<()> {
    for (name, values) in work.names.iter().zip(history) {
        let newest = values.len() as u64;
        check(Some(&current(store, name)?) == values.last(), "current is another value")?;
        check(store.labels(name)? == (newest, newest - 1), "the labels sit elsewhere")?;
        for (number, value) in (1..).zip(values) {
            let mut found = Vec::new();
            let there = store.version(name, number, &mut |value| found = value.to_vec())?;
            check(there == (number + VERSIONS_MAX > newest), "wrong versions are kept")?;
            check(!there || found == *value, "a version has another value")?;
        }
    }
    lists_right(store, work)
}

fn lists_right(store: &dyn Contestant, work: &Work) -> Outcome<()> {
    let mut after = None;
    for (page, names) in work.names.chunks(40).enumerate() {
        let (mut rows, mut listed) = (Vec::new(), Vec::new());
        store.list(after, 40, &mut |name, metadata| {
            rows.push((name.to_owned(), metadata.to_owned()));
        })?;
        store.names(after, 40, &mut |name| listed.push(name.to_owned()))?;
        let want: Vec<_> = (page * 40..)
            .zip(names)
            .map(|(number, name)| Ok((name.text.clone(), work.secret(number)?.metadata)))
            .collect::<Outcome<_>>()?;
        check(rows == want, "a page is not right")?;
        check(
            listed.iter().eq(names.iter().map(|name| &name.text)),
            "a page of names is not right",
        )?;
        after = names.last();
    }
    Ok(())
}

fn current(store: &dyn Contestant, name: &Name) -> Outcome<Vec<u8>> {
    let mut found = Vec::new();
    store.get(name, &mut |value| found = value.to_vec())?;
    Ok(found)
}

fn check(holds: bool, otherwise: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::stores;

    /// A right store with one thing wrong.
    struct Faulty {
        inner: Box<dyn Contestant>,
        fault: Fault,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        KeepsAll,
        GivesPrevious,
        LosesARow,
        MixesVersions,
        MixesMetadata,
        RotatesTwice,
        SwapsLabels,
    }

    impl Contestant for Faulty {
        fn load(&self, secrets: &mut dyn Iterator<Item = Outcome<Fresh>>) -> Outcome<()> {
            self.inner.load(secrets)
        }

        fn create(&self, secret: &Fresh) -> Outcome<()> {
            self.inner.create(secret)
        }

        fn rotate(&self, name: &Name, value: &str) -> Outcome<u64> {
            let version = self.inner.rotate(name, value)?;
            match self.fault {
                Fault::RotatesTwice => self.inner.rotate(name, value),
                _ => Ok(version),
            }
        }

        fn get(&self, name: &Name, seen: &mut dyn FnMut(&[u8])) -> Outcome<()> {
            match self.fault {
                Fault::GivesPrevious => {
                    let (_, previous) = self.inner.labels(name)?;
                    self.inner.version(name, previous, seen).map(|_| ())
                }
                _ => self.inner.get(name, seen),
            }
        }

        fn version(&self, name: &Name, number: u64, seen: &mut dyn FnMut(&[u8])) -> Outcome<bool> {
            let number = match self.fault {
                Fault::MixesVersions if number == 2 => 1,
                _ => number,
            };
            let there = self.inner.version(name, number, seen)?;
            Ok(there || (self.fault == Fault::KeepsAll && number == 1))
        }

        fn labels(&self, name: &Name) -> Outcome<(u64, u64)> {
            let (current, previous) = self.inner.labels(name)?;
            Ok(if self.fault == Fault::SwapsLabels {
                (previous, current)
            } else {
                (current, previous)
            })
        }

        fn list(
            &self,
            after: Option<&Name>,
            limit: usize,
            row: &mut dyn FnMut(&str, &str),
        ) -> Outcome<()> {
            self.inner.list(after, limit, &mut |name, metadata| {
                row(name, if self.fault == Fault::MixesMetadata { name } else { metadata });
            })
        }

        fn names(
            &self,
            after: Option<&Name>,
            limit: usize,
            row: &mut dyn FnMut(&str),
        ) -> Outcome<()> {
            let limit = if self.fault == Fault::LosesARow { limit - 1 } else { limit };
            self.inner.names(after, limit, row)
        }

        fn close(self: Box<Self>) -> Outcome<()> {
            self.inner.close()
        }
    }

    fn open_map(fault: Fault) -> Outcome<Box<dyn Contestant>> {
        let map = stores::ALL.first().ok_or("nobody")?;
        let inner = (map.open)(&PathBuf::new(), Setting::USUAL)?;
        Ok(Box::new(Faulty { inner, fault }))
    }

    /// Each fault is found, and a store without one passes.
    #[test]
    fn what_is_wrong_does_not_conform() {
        type Open = fn(&Path, Setting) -> Outcome<Box<dyn Contestant>>;
        let cases: &[(Open, Option<&str>)] = &[
            (|_, _| open_map(Fault::None), None),
            (|_, _| open_map(Fault::SwapsLabels), Some("the labels sit elsewhere")),
            (|_, _| open_map(Fault::KeepsAll), Some("wrong versions are kept")),
            (|_, _| open_map(Fault::GivesPrevious), Some("a rotation stores another value")),
            (|_, _| open_map(Fault::LosesARow), Some("a page of names is not right")),
            (|_, _| open_map(Fault::MixesVersions), Some("a version has another value")),
            (|_, _| open_map(Fault::MixesMetadata), Some("a page is not right")),
            (|_, _| open_map(Fault::RotatesTwice), Some("a rotation gives the wrong version")),
        ];
        for (open, want) in cases {
            let entrant = Entrant {
                key: "faulty",
                title: "",
                done: "",
                role: Role::Peer,
                writes: false,
                reopens: false,
                open: *open,
            };
            let found = conforms(&entrant, Path::new("")).err().map(|err| err.to_string());
            assert_eq!(found.as_deref(), *want);
        }
    }

    /// A store that is empty when it is opened again does not pass for one that reopens.
    #[test]
    fn what_forgets_does_not_conform() {
        let map = stores::ALL.first().unwrap();
        assert!(conforms(&Entrant { reopens: true, ..*map }, Path::new("")).is_err());
    }
}
