//! Any calls, closings and crashes of a store against a model of maps.
//!
//! A crash is a disk that fails from some call on, in the middle of a write too: whatever was
//! acknowledged is there when the store is opened again, and the call that was cut off is there
//! wholly or not at all.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    model::{Action, Answer, Call, LABELS_MAX, Model, Plain, VERSIONS_MAX},
    must::Must as _,
};
use crate::{
    crypto::MasterKey,
    domain::{
        Anchor, Clock as _, Expect, Limits, Stage, Timestamp, ValueKind, VersionId, VersionRef,
    },
    error::{Error, ErrorKind},
    store::{SecretStore, Verify},
    testing::{Fault, FaultyDisk, ManualClock, Operation},
};

/// Most steps of a run, so that a long input takes no longer than the fuzzer allows.
const STEPS_MAX: usize = 100;

/// A step of a run.
#[derive(Debug)]
enum Step {
    Anchor,
    Call(Call),
    Check,
    Checkpoint,
    /// Close and open again, on a disk with this fault.
    Reopen(Option<Fault>, Verify),
    Tick(i64),
}

/// Takes the bytes for a list of steps, on a new store in `dir`, which must be an empty directory.
///
/// # Panics
///
/// If the store answers otherwise than the model, or holds something else after a crash.
pub fn fuzz_store_ops(bytes: &[u8], dir: &Path) {
    let mut input = Input(bytes);
    let mut run = Run::begin(dir.join("store"));
    for _ in 0..STEPS_MAX {
        let Some(step) = input.step() else { break };
        run.step(step);
    }
    run.reopen(None, Verify::Eager);
    run.check();
    let found = run.store.verify().must("a sound store verifies");
    let want = (run.model.secrets() as u64, run.model.versions() as u64);
    assert_eq!((found.secrets, found.versions), want);
}

/// A store and what it should hold.
struct Run {
    path: PathBuf,
    clock: ManualClock,
    store: SecretStore,
    model: Model,
    anchor: Option<Anchor>,
    /// The disk may fail.
    faulty: bool,
}

impl Run {
    fn begin(path: PathBuf) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let store = builder(&clock, None, None).create(&path).must("a store is made");
        Self { path, clock, store, model: Model::default(), anchor: None, faulty: false }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Anchor => self.anchor = Some(self.store.anchor().must("an open store has one")),
            Step::Call(call) => self.call(&call),
            Step::Check => self.check(),
            Step::Checkpoint => match self.store.checkpoint() {
                Ok(()) => {}
                Err(err) => self.crashed(&err, None),
            },
            Step::Reopen(fault, verify) => self.reopen(fault, verify),
            Step::Tick(millis) => self.clock.advance_ms(millis),
        }
    }

    fn call(&mut self, call: &Call) {
        let mut after = self.model.clone();
        let want = after.apply(call, self.clock.now());
        let got = call.run(&self.store);
        match got {
            Err(err) if matches!(err.kind(), ErrorKind::Storage | ErrorKind::Poisoned) => {
                // After `Poisoned` nothing was written; after `Storage` it is open.
                let open = err.kind() == ErrorKind::Storage && want.is_ok();
                self.crashed(&err, open.then_some(after));
            }
            got => {
                assert_eq!(got.map_err(|err| err.kind()), want, "{call:?}");
                if want.is_ok() {
                    self.model = after;
                }
                if matches!((&call.action, &want), (Action::Rotate, Ok(_))) {
                    self.read_rotated(call, want.ok());
                }
            }
        }
    }

    /// The new value is not known before it is read; it is another one than before.
    fn read_rotated(&mut self, call: &Call, rotated: Option<Answer>) {
        let seen = Model::read(&self.store).must("an open store can be read");
        self.model.learn(&seen);
        let id = rotated.and_then(|answer| answer.version).must("a rotation makes a version");
        let read = |reference| {
            let call = Call { name: call.name.clone(), action: Action::Get(reference) };
            call.run(&self.store).must("both are there").value
        };
        let (new, old) = (read(VersionRef::Id(id)), read(VersionRef::Stage(Stage::Previous)));
        assert_ne!(new, old, "a rotation kept the password");
    }

    fn check(&mut self) {
        let seen = Model::read(&self.store).must("an open store can be read");
        assert_eq!(seen, self.model);
    }

    /// After a failure of the disk: opens the store on a good one, where it must hold what was
    /// acknowledged, or with the call that failed.
    fn crashed(&mut self, err: &Error, after: Option<Model>) {
        assert!(self.faulty, "a good disk failed: {err:?}");
        self.swap(None, Verify::Eager).must("after a crash the store opens");
        let seen = Model::read(&self.store).must("after a crash the store can be read");
        if let Some(mut after) = after {
            after.learn(&seen);
            if after == seen && after != self.model {
                self.model = after;
            }
        }
        assert_eq!(seen, self.model, "after a crash");
    }

    fn reopen(&mut self, fault: Option<Fault>, verify: Verify) {
        match self.store.clone().close() {
            Ok(()) => {}
            Err(err) => assert!(self.faulty, "a good disk failed at closing: {err:?}"),
        }
        if let Err(err) = self.swap(fault, verify) {
            let kinds = [ErrorKind::Storage, ErrorKind::Poisoned];
            assert!(fault.is_some() && kinds.contains(&err.kind()), "{err:?}");
            self.swap(None, verify).must("an opening that failed changes nothing");
            self.check();
        }
    }

    /// Lets go of the store and opens it, on a disk with this fault.
    fn swap(&mut self, fault: Option<Fault>, verify: Verify) -> Result<(), Error> {
        // Closed already, or its disk fails at it: either way it writes nothing more.
        let _ = self.store.clone().close();
        self.faulty = fault.is_some();
        self.store = builder(&self.clock, fault, self.anchor).verify(verify).open(&self.path)?;
        Ok(())
    }
}

fn builder(
    clock: &ManualClock,
    fault: Option<Fault>,
    anchor: Option<Anchor>,
) -> crate::store::Builder<crate::store::HasKey> {
    let limits = Limits::default().with_versions_max(VERSIONS_MAX).must("it is allowed");
    let key = MasterKey::from_bytes(&std::array::from_fn(|at| at.to_le_bytes()[0]));
    SecretStore::builder()
        .master_key(key.must("the bytes differ"))
        .clock(clock.clone())
        .limits(limits.with_labels_max(LABELS_MAX).must("it is allowed"))
        .disk(Arc::new(FaultyDisk::new(fault)))
        .expect(anchor.map_or(Expect::Nothing, Expect::Anchor))
}

/// The bytes that are left.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn below(&mut self, bound: u8) -> Option<u8> {
        self.byte()?.checked_rem(bound)
    }

    fn step(&mut self) -> Option<Step> {
        Some(match self.below(24)? {
            0 => Step::Anchor,
            1 => Step::Check,
            2 => Step::Checkpoint,
            3 => Step::Reopen(None, self.verify()?),
            4 | 5 => Step::Reopen(Some(self.fault()?), self.verify()?),
            6 => Step::Tick(i64::from(self.byte()?).saturating_sub(64).saturating_mul(40)),
            action => Step::Call(self.call(action)?),
        })
    }

    fn call(&mut self, action: u8) -> Option<Call> {
        let name = ["alpha", "beta", "gamma"].get(usize::from(self.below(3)?))?.parse().ok()?;
        let action = match action {
            7..=9 => Action::Create { rotatable: self.below(2)? == 1, value: self.value()? },
            10 => Action::Delete,
            11 => Action::Describe("d".repeat(usize::from(self.byte()?))),
            12 => {
                let reference = self.reference()?;
                let millis = i64::from(self.below(4)?).saturating_mul(566_666_700_000);
                Action::Expire(reference, Timestamp::from_millis(millis))
            }
            13 | 14 => Action::Get(self.reference()?),
            15 | 16 => Action::Move(self.stage()?, self.version()?),
            17..=20 => {
                let value = self.value()?;
                let stages = match self.below(4)? {
                    0 => vec![self.stage()?],
                    _ => Vec::new(),
                };
                let token = match self.below(6)? {
                    token @ 0..=1 => Some(format!("token-{token}")),
                    _ => None,
                };
                Action::Put { value, stages, token }
            }
            21 | 22 => Action::Rotate,
            _ => Action::Unlabel(self.stage()?),
        };
        Some(Call { name, action })
    }

    fn value(&mut self) -> Option<Plain> {
        let (form, byte) = (self.below(8)?, self.byte()?);
        let text = |text: String| Plain { bytes: text.into_bytes(), kind: ValueKind::Text };
        let bytes = |bytes| Plain { bytes, kind: ValueKind::Binary };
        Some(match form {
            0 => text("x".repeat(byte.into())),
            1 => bytes(vec![byte; usize::from(byte)]),
            // Longer than a piece of a record in the state.
            2 => bytes(vec![byte; usize::from(byte).saturating_mul(60)]),
            _ => text(format!(r#"{{"users":[{{"name":"app","password":"pass-{byte}"}}]}}"#)),
        })
    }

    fn reference(&mut self) -> Option<VersionRef> {
        Some(match self.below(3)? {
            0 => VersionRef::Latest,
            1 => VersionRef::Id(self.version()?),
            _ => VersionRef::Stage(self.stage()?),
        })
    }

    fn version(&mut self) -> Option<VersionId> {
        VersionId::from_number(u64::from(self.below(12)?).saturating_add(1))
    }

    fn stage(&mut self) -> Option<Stage> {
        Some(match self.below(5)? {
            0 => Stage::Current,
            1 => Stage::Previous,
            2 => Stage::Pending,
            3 => "blue".parse().ok()?,
            _ => "green".parse().ok()?,
        })
    }

    fn verify(&mut self) -> Option<Verify> {
        Some(if self.below(4)? == 0 { Verify::Deferred } else { Verify::Eager })
    }

    fn fault(&mut self) -> Option<Fault> {
        let (at, which) = (u64::from(self.byte()?), self.byte()?);
        let only = match which & 7 {
            0 => None,
            1 | 2 => Some(Operation::Sync),
            3 => Some(Operation::Rename),
            4 => Some(Operation::Create),
            5 => Some(Operation::Remove),
            _ => Some(Operation::Write),
        };
        let error = if which & 8 == 0 { io::ErrorKind::Other } else { io::ErrorKind::StorageFull };
        // A session is short: a late fault would strike in few of them.
        let at = if only.is_some() { at & 15 } else { at & 127 };
        Some(Fault { at, lasting: which & 16 != 0, only, error })
    }
}
