//! Eight threads call the same few secrets, while the store is closed under them and opened again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use strongroom::{
    Error, ErrorKind, Limits, ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions,
    RotateOptions, Secret, SecretName, SecretStore, SecretType, SecretUpdate, SecretValue, Stage,
    Verify, Version, VersionId, VersionMetadata, VersionRef,
};
use tempfile::TempDir;

use crate::{
    history::{
        Answer, Asked, Call, Content, Row, State, Terms, VERSIONS_MAX, Which, explain, overlaps,
    },
    support::{Random, cases, in_time, key, name, seed},
};

const THREADS: usize = 8;

/// Few, so that threads meet. Those with an even number can be rotated.
const SECRETS: usize = 4;

/// How often the store is closed while the others call it.
const CLOSINGS: usize = 3;

/// Calls of each thread.
const CALLS: usize = 2_000;

/// Every so many values have so many bytes: they are stored in pieces.
const LARGE_EVERY: u64 = 30;
const LARGE_LEN: usize = 20_000;

#[test]
fn what_eight_threads_are_answered_fits_together() {
    for run in 0..cases(1) {
        one_run(seed().wrapping_mul(100).wrapping_add(run as u64), run);
    }
}

fn one_run(draws: u64, run: usize) {
    // On a disk where a sync takes its time: while one waits for it, the others come in.
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let what = format!("seed {}, run {run}", seed());
    let limits = Limits::default().with_versions_max(VERSIONS_MAX).unwrap();
    let builder = || SecretStore::builder().master_key(key(1)).limits(limits);
    let mut store = builder().create(&path).unwrap();
    let starts: Vec<State> = (0..SECRETS).map(|secret| create(&store, secret)).collect();
    let clock = AtomicU64::new(0);
    let caller = |thread| Caller::new(thread, &clock, draws);
    let mut threads: Vec<Caller<'_>> = (0..THREADS).map(caller).collect();
    for round in 0..=CLOSINGS {
        let closer = (round < CLOSINGS).then_some((round, CALLS * (round + 1) / (CLOSINGS + 1)));
        in_time(&format!("{what}, round {round}"), || work(&store, &mut threads, closer));
        store.close().unwrap();
        // Checked in the background while all call again; then with heads that are hardly ever cached.
        store = match round % 2 {
            0 => builder().verify(Verify::Deferred).open(&path).unwrap(),
            _ => builder().cached_secrets_max(1).open(&path).unwrap(),
        };
    }
    assert!(threads.iter().all(|caller| caller.made == CALLS), "{what}");
    let mut last = caller(THREADS);
    (0..SECRETS).for_each(|secret| last.look_at_all(&store, secret));
    store.verify().unwrap();
    store.close().unwrap();
    threads.push(last);
    tell(&threads, &starts, &what);
}

/// Judges all that was answered, and prints what it was.
fn tell(threads: &[Caller<'_>], starts: &[State], what: &str) {
    let judged = (0..SECRETS).map(|secret| judge(secret, &starts[secret], threads, what));
    let (made, beside) = judged.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let count = |answer: fn(&Answer) -> bool| -> usize {
        let all = threads.iter().flat_map(|caller| caller.calls.iter().flatten());
        all.filter(|call| answer(&call.answer)).count()
    };
    let conflicts = count(|answer| *answer == Answer::Conflict);
    let missing = count(|answer| *answer == Answer::NotFound);
    let all = count(|_| true);
    let closed: usize = threads.iter().map(|caller| caller.closed).sum();
    println!(
        "{all} answers of {THREADS} threads about {SECRETS} secrets fit together, {beside} of them \
         beside another, {made} versions made, {conflicts} conflicts, {missing} not found, {CLOSINGS} \
         times closed under {closed} calls ({what})"
    );
    assert!(closed >= CLOSINGS, "nobody was in when the store was closed, {what}");
    assert!(conflicts >= CALLS / 20 && missing >= CALLS / 20, "{conflicts}, {missing}: {what}");
}

/// Whether the calls on a secret can be explained. Gives how many versions it had, and how many calls
/// overlapped.
fn judge(secret: usize, start: &State, threads: &[Caller<'_>], what: &str) -> (u64, usize) {
    let calls: Vec<Call> =
        threads.iter().flat_map(|caller| caller.calls[secret].iter().cloned()).collect();
    let beside = overlaps(&calls);
    assert!(beside * 50 >= calls.len(), "only {beside} of {} calls overlap, {what}", calls.len());
    let end = in_time(&format!("{what}, explaining secret {secret}"), || {
        explain(start.clone(), &calls)
            .unwrap_or_else(|err| panic!("secret {secret}, {what}: {err}"))
    });
    let mut passwords: BTreeMap<u64, &str> = BTreeMap::new();
    for (id, password) in threads.iter().flat_map(|caller| &caller.passwords[secret]) {
        let first = passwords.entry(*id).or_insert(password);
        assert_eq!(*first, password, "two passwords of v{id}, secret {secret}, {what}");
    }
    let distinct: BTreeSet<_> = passwords.values().collect();
    assert_eq!(distinct.len(), passwords.len(), "a password twice, secret {secret}, {what}");
    (end.made(), beside)
}

/// Lets all threads call, until all are done or `closer`, a thread, closes the store after so many
/// calls.
fn work(store: &SecretStore, threads: &mut [Caller<'_>], closer: Option<(usize, usize)>) {
    let closing = AtomicBool::new(false);
    thread::scope(|scope| {
        for caller in threads {
            let (store, closing) = (store.clone(), &closing);
            scope.spawn(move || {
                let closes = closer.filter(|(thread, _)| *thread == caller.thread);
                let until = closes.map_or(CALLS, |(_, calls)| calls);
                while caller.made < until && caller.call(&store, closing) {}
                if closes.is_some() {
                    closing.store(true, Ordering::SeqCst);
                    store.close().unwrap();
                }
            });
        }
    });
}

// --- One thread -----------------------------------------------------------------------------

/// A thread that calls and writes down what it was answered.
struct Caller<'a> {
    thread: usize,
    clock: &'a AtomicU64,
    random: Random,
    made: usize,
    /// Calls that found the store closed.
    closed: usize,
    /// By secret.
    calls: Vec<Vec<Call>>,
    /// Passwords that rotations drew, as read, by secret: number and password.
    passwords: Vec<Vec<(u64, String)>>,
    seen: [Seen; SECRETS],
}

/// What a thread knows of a secret, to require it or to refer to it.
#[derive(Clone, Copy)]
struct Seen {
    current: u64,
    revision: u64,
}

impl<'a> Caller<'a> {
    fn new(thread: usize, clock: &'a AtomicU64, draws: u64) -> Self {
        Self {
            thread,
            clock,
            random: Random::new(draws.wrapping_mul(1_000).wrapping_add(thread as u64)),
            made: 0,
            closed: 0,
            calls: vec![Vec::new(); SECRETS],
            passwords: vec![Vec::new(); SECRETS],
            seen: [Seen { current: 1, revision: 1 }; SECRETS],
        }
    }

    /// One call. `false` if the store is closed: then nothing was done.
    fn call(&mut self, store: &SecretStore, closing: &AtomicBool) -> bool {
        let before = self.random.clone();
        let secret = self.random.below(SECRETS);
        let listing = self.random.below(50) == 0;
        if self.random.below(400) == 0 {
            // Beside all others; if the store is closed, the call finds that too.
            drop(store.checkpoint());
        }
        let asked = if listing { Asked::Secret } else { self.draw(secret) };
        let begin = self.clock.fetch_add(1, Ordering::SeqCst);
        let answers = if listing {
            self.list(store)
        } else {
            self.ask(store, secret, &asked).map(|answer| vec![(secret, answer)])
        };
        let end = self.clock.fetch_add(1, Ordering::SeqCst);
        match answers {
            Ok(answers) => {
                for (secret, answer) in answers {
                    self.note(secret, &answer);
                    let (thread, asked) = (self.thread, asked.clone());
                    self.calls[secret].push(Call { begin, end, thread, asked, answer });
                }
                self.made += 1;
                true
            }
            Err(err) if err.kind() == ErrorKind::InvalidState => {
                assert!(closing.load(Ordering::SeqCst), "closed, but nobody closed it");
                self.closed += 1;
                self.random = before;
                false
            }
            Err(err) => panic!("thread {}, {asked:?}, seed {}: {err:?}", self.thread, seed()),
        }
    }

    /// Reads everything of a secret, and writes that down too.
    fn look_at_all(&mut self, store: &SecretStore, secret: usize) {
        let labels = [Stage::Current, Stage::Previous, Stage::Pending, blue()];
        let mut asked = vec![Asked::Secret, Asked::Versions];
        asked.extend(labels.iter().cloned().map(Asked::Stage));
        asked.extend(labels.into_iter().map(|stage| Asked::Get(Which::Stage(stage))));
        for version in store.versions(&of(secret), &ListVersions::new()).unwrap().items() {
            asked.push(Asked::Get(Which::Id(version.id().number())));
        }
        for asked in asked {
            let begin = self.clock.fetch_add(1, Ordering::SeqCst);
            let answer = self.ask(store, secret, &asked).unwrap();
            let end = self.clock.fetch_add(1, Ordering::SeqCst);
            let thread = self.thread;
            self.calls[secret].push(Call { begin, end, thread, asked, answer });
        }
    }

    fn draw(&mut self, secret: usize) -> Asked {
        let terms = self.terms(secret);
        let about = self.about(secret);
        let origin = (((self.thread + 1) * 1_000_000 + self.made) * SECRETS + secret) as u64;
        match self.random.below(100) {
            0..30 => Asked::Get(Which::Latest),
            30..34 => Asked::Get(Which::Stage(Stage::Previous)),
            34..38 => Asked::Get(Which::Stage(blue())),
            38..44 => Asked::Get(Which::Id(about)),
            44..48 => Asked::Versions,
            48..54 => Asked::Secret,
            54..58 => Asked::Stage(if about.is_multiple_of(2) { blue() } else { Stage::Pending }),
            58..72 => Asked::Put(origin, vec![], terms),
            72..75 => Asked::Put(origin, vec![Stage::Pending], terms),
            75..78 => Asked::Put(origin, vec![blue(), Stage::Current], terms),
            78..86 if secret.is_multiple_of(2) => Asked::Rotate(terms),
            78..86 => Asked::Put(origin, vec![blue()], terms),
            86..90 => Asked::Move(blue(), about, terms),
            90..93 => Asked::Move(Stage::Current, about, terms),
            93..97 => Asked::Unlabel(blue(), terms),
            _ => Asked::Describe(format!("by {origin}"), terms),
        }
    }

    /// A part of the writes require what was seen last.
    fn terms(&mut self, secret: usize) -> Terms {
        let Seen { current, revision } = self.seen[secret];
        match self.random.below(8) {
            0 => Terms { current: Some(current), revision: None },
            1 => Terms { current: None, revision: Some(revision) },
            _ => Terms::default(),
        }
    }

    /// A version that there probably is, or was a moment ago, or will be.
    fn about(&mut self, secret: usize) -> u64 {
        (self.seen[secret].current + self.random.below(6) as u64).saturating_sub(4).max(1)
    }

    fn note(&mut self, secret: usize, answer: &Answer) {
        let seen = &mut self.seen[secret];
        match answer {
            Answer::Secret { revision, current, .. } => {
                *seen = Seen { current: *current, revision: *revision };
            }
            Answer::Made((id, labels)) | Answer::Value((id, labels), _)
                if labels.contains(&Stage::Current) =>
            {
                seen.current = *id;
            }
            Answer::Rotated(id) => seen.current = *id,
            _ => {}
        }
    }

    // --- Asking ---

    fn list(&mut self, store: &SecretStore) -> Result<Vec<(usize, Answer)>, Error> {
        let page = store.secrets(&ListSecrets::new())?;
        assert_eq!(page.items().len(), SECRETS, "a listing is not whole");
        Ok(page.items().iter().map(describe).enumerate().collect())
    }

    fn ask(&mut self, store: &SecretStore, secret: usize, asked: &Asked) -> Result<Answer, Error> {
        let (of, done) = (of(secret), self.write(store, secret, asked));
        let answer = match asked {
            Asked::Get(which) => {
                let got = store.version(&of, &reference(which));
                got.map(|version| self.value(secret, &version))
            }
            Asked::Secret => store.secret(&of).map(|secret| describe(&secret)),
            Asked::Stage(stage) => {
                store.stage(&of, stage).map(|info| Answer::At(info.version_id().number()))
            }
            Asked::Versions => store
                .versions(&of, &ListVersions::new())
                .map(|page| Answer::Versions(page.items().iter().map(row).collect())),
            _ => done.expect("a write"),
        };
        match answer {
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(Answer::NotFound),
            Err(err) if err.kind() == ErrorKind::Conflict => Ok(Answer::Conflict),
            other => other,
        }
    }

    fn write(
        &self,
        store: &SecretStore,
        secret: usize,
        asked: &Asked,
    ) -> Option<Result<Answer, Error>> {
        let of = of(secret);
        Some(match asked {
            Asked::Describe(text, terms) => {
                let update = SecretUpdate::new().description(text.parse().unwrap());
                let update = update.preconditions(required(*terms));
                store.update_secret(&of, &update).map(|secret| describe(&secret))
            }
            Asked::Move(stage, to, terms) => store
                .move_stage_if(&of, stage, id(*to), &required(*terms))
                .map(|info| Answer::At(info.version_id().number())),
            Asked::Put(origin, stages, terms) => {
                let new = NewVersion::new(value(*origin)).stages(stages.iter().cloned());
                let made = store.put_version(&of, new.preconditions(required(*terms)));
                made.map(|version| Answer::Made(row(&version)))
            }
            Asked::Rotate(terms) => {
                let options = RotateOptions::new().preconditions(required(*terms));
                let rotation = store.rotate_with(&of, &options);
                rotation.map(|rotation| Answer::Rotated(rotation.version_id().number()))
            }
            Asked::Unlabel(stage, terms) => {
                store.delete_stage_if(&of, stage, &required(*terms)).map(|()| Answer::Done)
            }
            Asked::Get(_) | Asked::Secret | Asked::Stage(_) | Asked::Versions => return None,
        })
    }

    /// What was read, and the password if a rotation drew it.
    fn value(&mut self, secret: usize, version: &Version) -> Answer {
        let text = version.value().expose_str().unwrap();
        let part = |from: &str| text.split_once(from).unwrap().1.split_once('"').unwrap().0;
        let (password, origin) = (part(r#""password":""#), part(r#""origin":""#).parse().unwrap());
        let rotated = password != own_password(origin);
        if rotated {
            self.passwords[secret].push((version.id().number(), password.to_owned()));
        }
        let whole = value_with(origin, password);
        assert_eq!(text, whole, "a value is not one that was written");
        Answer::Value(row(version.metadata()), Content { origin, rotated })
    }
}

fn create(store: &SecretStore, secret: usize) -> State {
    let kind = if secret.is_multiple_of(2) { SecretType::RdsFg } else { SecretType::Common };
    let origin = secret as u64;
    let made = store.create_secret(NewSecret::new(of(secret), value(origin)).secret_type(kind));
    State::new(origin, made.unwrap().revision())
}

fn of(secret: usize) -> SecretName {
    name(&format!("s{secret}"))
}

fn blue() -> Stage {
    "blue".parse().unwrap()
}

fn id(number: u64) -> VersionId {
    VersionId::from_number(number).unwrap()
}

fn own_password(origin: u64) -> String {
    format!("own-{origin}")
}

fn value(origin: u64) -> SecretValue {
    SecretValue::from_string(value_with(origin, &own_password(origin)))
}

fn value_with(origin: u64, password: &str) -> String {
    let large = origin / SECRETS as u64 % LARGE_EVERY == 7;
    let pad = origin.to_string().repeat(if large { LARGE_LEN / 7 } else { 1 });
    let user = format!(r#"{{"name":"app","password":"{password}"}}"#);
    format!(r#"{{"users":[{user}],"origin":"{origin}","pad":"{pad}"}}"#)
}

fn reference(which: &Which) -> VersionRef {
    match which {
        Which::Id(number) => VersionRef::Id(id(*number)),
        Which::Latest => VersionRef::Latest,
        Which::Stage(stage) => VersionRef::Stage(stage.clone()),
    }
}

fn required(terms: Terms) -> Preconditions {
    let mut required = Preconditions::none();
    if let Some(revision) = terms.revision {
        required = required.if_revision(revision);
    }
    if let Some(current) = terms.current {
        required = required.if_version(id(current));
    }
    required
}

fn describe(secret: &Secret) -> Answer {
    Answer::Secret {
        revision: secret.revision(),
        current: secret.current_version().unwrap().number(),
        description: secret.description().to_string(),
    }
}

fn row(version: &VersionMetadata) -> Row {
    let mut stages = version.stages().to_vec();
    stages.sort_unstable();
    (version.id().number(), stages)
}
