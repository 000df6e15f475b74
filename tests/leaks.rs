//! No secret in what is printed, and no plaintext of a value, password, name, label, description, token
//! or passphrase in any byte that was written.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use strongroom::{
    Limits, ListSecrets, ListVersions, MasterKey, NewSecret, NewVersion, Preconditions,
    RequestToken, RotateOptions, SecretName, SecretStore, SecretString, SecretType, SecretUpdate,
    SecretValue, Stage, Timestamp, Unlock, VersionRef,
};

const PASSPHRASE: &str = "ZqMk-passphrase-ZqMk";

/// Words that must not be found, each in the forms in which it could be.
#[derive(Default)]
struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    fn add(&mut self, word: impl AsRef<[u8]>) {
        let word = word.as_ref();
        let what = String::from_utf8_lossy(word).into_owned();
        let hex: String = word.iter().map(|byte| format!("{byte:02x}")).collect();
        let reversed: Vec<u8> = word.iter().rev().copied().collect();
        let wide: Vec<u8> = word.iter().flat_map(|byte| [*byte, 0]).collect();
        let mut forms = vec![
            ("raw", word.to_vec()),
            ("reversed", reversed),
            ("UTF-16", wide),
            ("hex", hex.clone().into_bytes()),
            ("HEX", hex.to_uppercase().into_bytes()),
        ];
        forms.extend((0..3).map(|shift| ("base64", base64_within(word, shift))));
        self.0.extend(forms.into_iter().map(|(form, bytes)| (format!("{what} ({form})"), bytes)));
    }

    /// The first word that stands in `bytes`.
    fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        let starts = |first: u8| self.0.iter().filter(move |(_, needle)| needle[0] == first);
        let mut by_first: Vec<Vec<&(String, Vec<u8>)>> = Vec::new();
        by_first.extend((0..=255).map(|first| starts(first).collect()));
        (0..bytes.len()).find_map(|at| {
            let here = &by_first[usize::from(bytes[at])];
            here.iter().find(|(_, needle)| bytes[at..].starts_with(needle)).map(|(what, _)| &**what)
        })
    }

    /// The first word in a name or file below `dir`, and where.
    fn found_below(&self, dir: &Path) -> Option<String> {
        let mut directories = vec![dir.to_owned()];
        let mut looked_at = 0;
        while let Some(dir) = directories.pop() {
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                let (name, is_dir) = (path.file_name().unwrap().to_owned(), path.is_dir());
                let bytes = if is_dir { Vec::new() } else { fs::read(&path).unwrap() };
                looked_at += bytes.len();
                for bytes in [name.as_encoded_bytes(), &bytes] {
                    if let Some(what) = self.found_in(bytes) {
                        return Some(format!("{what} in {}", path.display()));
                    }
                }
                directories.extend(is_dir.then_some(path));
            }
        }
        assert!(looked_at > 0, "nothing was looked at in {}", dir.display());
        None
    }
}

/// The signs of base64 that do not depend on what stands around `word`, at one of three places.
fn base64_within(word: &[u8], shift: usize) -> Vec<u8> {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(word.iter().copied()).collect();
    let signs: Vec<u8> = padded
        .chunks_exact(3)
        .flat_map(|group| {
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            [18, 12, 6, 0].map(|by| SIGNS[(bits >> by & 63) as usize])
        })
        .collect();
    // The signs of the first group share bits with what stands before the word.
    signs[if shift == 0 { 0 } else { 4 }..].to_vec()
}

fn text(value: &str) -> SecretValue {
    SecretValue::from_string(value)
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn key() -> MasterKey {
    MasterKey::from_bytes(&std::array::from_fn(|at| 0xa0 + at as u8)).unwrap()
}

fn builder() -> strongroom::Builder<strongroom::HasKey> {
    SecretStore::builder().master_key(key()).state_cache_bytes(4 << 20)
}

/// Some 200 operations of every kind, all whose words are marked.
fn work(store: &SecretStore, needles: &mut Needles) {
    let mut marked = |word: String| {
        needles.add(&word);
        word
    };
    for n in 0..20 {
        let secret = name(&marked(format!("ZqMk-name-{n}")));
        let account = marked(format!("ZqMk-account-{n}"));
        let password = marked(format!("ZqMk-password-{n}"));
        let value = format!(r#"{{"users":[{{"name":"{account}","password":"{password}"}}]}}"#);
        let token = |word: String| -> RequestToken { word.parse().unwrap() };
        let new = NewSecret::new(secret.clone(), text(&value))
            .secret_type(SecretType::rotatable(&marked(format!("ZqMk-type-{n}"))).unwrap())
            .description(marked(format!("ZqMk description {n}")).parse().unwrap())
            .token(token(marked(format!("ZqMk-create-token-{n}"))));
        store.create_secret(new).unwrap();
        let update = marked(format!("ZqMk updated description {n}"));
        let update = SecretUpdate::new().description(update.parse().unwrap());
        store.update_secret(&secret, &update).unwrap();
        for round in 0..2 {
            let token = token(marked(format!("ZqMk-rotate-token-{n}-{round}")));
            store.rotate_with(&secret, &RotateOptions::new().token(token)).unwrap();
            let value = store.get(&secret).unwrap().into_value();
            let value = value.expose_str().unwrap();
            let made = value.rsplit('"').nth(1).unwrap();
            assert_eq!(made.len(), 24);
            marked(made.to_owned());
        }
        let label: Stage = marked(format!("ZqMk-label-{n}")).parse().unwrap();
        store.move_stage(&secret, &label, strongroom::VersionId::FIRST).unwrap();
        let more = marked(format!("ZqMk-more-{n}"));
        let value = format!(r#"{{"users":[{{"name":"{account}","password":"{more}"}}]}}"#);
        let new = NewVersion::new(text(&value)).stages([label.clone(), Stage::Pending]);
        store
            .put_version(&secret, new.token(token(marked(format!("ZqMk-put-token-{n}")))))
            .unwrap();
        store.delete_stage(&secret, &label).unwrap();

        let plain = name(&marked(format!("ZqMk-plain-{n}")));
        let long = marked(format!("ZqMk-long-value-{n}")).repeat(1 + n * 50);
        store.create_secret(NewSecret::new(plain.clone(), text(&long))).unwrap();
        let later = Timestamp::from_millis(9_000_000_000_000);
        store.update_version(&plain, &VersionRef::Latest, later).unwrap();
        if n % 4 == 0 {
            store.delete_secret(&plain).unwrap();
        }
        if n % 7 == 0 {
            store.checkpoint().unwrap();
        }
    }
    let present = Unlock::MasterKey(key());
    store.add_key_slot(&present, &Unlock::Passphrase(PASSPHRASE.into()), "spare").unwrap();
    needles.add(PASSPHRASE);
    needles.add(std::array::from_fn::<u8, 32, _>(|at| 0xa0 + at as u8));
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn nothing_readable_is_ever_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = builder().create(&path).unwrap();
    let mut needles = Needles::default();
    work(&store, &mut needles);
    assert!(needles.0.len() > 1000);
    // As a crash would leave it.
    copy_dir(&path, &dir.path().join("crashed"));
    assert_eq!(needles.found_below(dir.path()), None, "while it is open");
    store.close().unwrap();
    assert_eq!(needles.found_below(dir.path()), None, "after closing");

    let copy = builder().open(dir.path().join("crashed")).unwrap();
    let listed = copy.secrets(&ListSecrets::new().limit(1000)).unwrap();
    assert_eq!(listed.items().len(), 35);
    copy.rotate(&name("ZqMk-name-3")).unwrap();
    drop(copy);
    assert_eq!(needles.found_below(dir.path()), None, "after recovery and dropping");
}

/// The search finds what is there, in every form and at every place.
#[test]
fn the_search_finds_what_was_planted() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder().create(dir.path().join("store")).unwrap();
    store.close().unwrap();
    let mut needles = Needles::default();
    needles.add("ZqMk-planted");
    needles.add("another");
    assert_eq!(needles.found_below(dir.path()), None);
    // base64 of "ZqMk-planted" behind nothing, "x" and "xy", made by another program.
    let planted: [&[u8]; 8] = [
        b"ZqMk-planted",
        b"detnalp-kMqZ",
        b"Z\0q\0M\0k\0-\0p\0l\0a\0n\0t\0e\0d\0",
        b"5a714d6b2d706c616e746564",
        b"5A714D6B2D706C616E746564",
        b"WnFNay1wbGFudGVk",
        b"eFpxTWstcGxhbnRlZA==",
        b"eHlacU1rLXBsYW50ZWQ=",
    ];
    for file in ["keys", "journal/1", "db/db"] {
        let path = dir.path().join("store").join(file);
        let good = fs::read(&path).unwrap();
        for planted in planted {
            for at in [0, 1, good.len() / 2, good.len()] {
                let bytes = [&good[..at], planted, &good[at..]].concat();
                fs::write(&path, bytes).unwrap();
                let found = needles.found_below(dir.path()).expect("it was planted");
                assert!(found.starts_with("ZqMk-planted ("), "{found}");
            }
        }
        fs::write(&path, good).unwrap();
    }
    fs::write(dir.path().join("store/x-ZqMk-planted"), "").unwrap();
    assert!(needles.found_below(dir.path()).is_some(), "in a name");
}

#[test]
fn nothing_secret_is_printed() {
    const MARK: &str = "ZqMk";
    let (value, marked) = (|| text("ZqMk-value"), format!("{MARK}-passphrase"));
    let phrase = || SecretString::from(marked.clone());
    let key_bytes = *b"ZqMkZqMkZqMkZqMkZqMkZqMkZqMkZqM!";
    let key = || MasterKey::from_bytes(&key_bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::builder().master_key(key()).create(dir.path().join("s")).unwrap();
    let new = || NewSecret::new(name("s"), value());
    let secret = store.create_secret(new()).unwrap();
    let (name, latest) = (name("s"), VersionRef::Latest);
    let slot = store.add_key_slot(&key().into(), &phrase().into(), "label").unwrap();
    let version = store.version(&name, &latest).unwrap();

    let mut said: Vec<String> = Vec::new();
    macro_rules! say {
        ($($thing:expr),* $(,)?) => { $(
            let thing = $thing;
            said.push(format!("{thing:?}"));
            said.push(format!("{thing:#?}"));
        )* };
    }
    say![
        value(),
        SecretValue::from_bytes(*b"ZqMk-bytes"),
        &version,
        version.value(),
        version.metadata(),
        new(),
        NewVersion::new(value()).preconditions(Preconditions::none().if_revision(1)),
        &store,
        store.clone(),
        SecretStore::builder(),
        SecretStore::builder().master_key(key()).limits(Limits::default()),
        SecretStore::builder().passphrase(phrase()),
        SecretStore::builder().unlock(phrase().into()),
        key(),
        Unlock::MasterKey(key()),
        Unlock::Passphrase(phrase()),
        slot,
        secret,
        store.secrets(&ListSecrets::new()).unwrap(),
        store.versions(&name, &ListVersions::new()).unwrap(),
        store.stage(&name, &Stage::Current).unwrap(),
        store.anchor().unwrap(),
        store.verify().unwrap(),
        SecretValue::from_bytes(key_bytes),
    ];
    let bytes: String = format!("{:?}", &key_bytes[..8]);
    let bytes = bytes.trim_matches(['[', ']']);
    for said in said {
        assert!(!said.is_empty() && !said.contains(MARK), "{said}");
        assert!(!said.contains(bytes) && !said.contains("5a714d6b"), "{said}");
    }
}

/// A token is the caller's word for a request and opens nothing, so it may be printed; what it is
/// printed with may not.
#[test]
fn requests_print_their_names_and_tokens_and_not_their_values() {
    let token: RequestToken = "token-1".parse().unwrap();
    let new = NewSecret::new(name("billing"), text("ZqMk")).token(token.clone());
    let said = format!("{new:?}");
    assert!(said.contains("billing") && said.contains("SecretValue(..)"), "{said}");
    assert!(!said.contains("ZqMk"), "{said}");
    let said = format!("{:?}", NewVersion::new(text("ZqMk")).token(token));
    assert!(said.contains("SecretValue(..)") && !said.contains("ZqMk"), "{said}");
}
