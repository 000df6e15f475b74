//! Records that somebody changes in the state *under an open store*: what comes out is what was
//! stored, or an error.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "test code, all of it"
)]

use std::{collections::BTreeMap, fmt::Write as _, ops::ControlFlow};

use tempfile::TempDir;

use super::{ListSecrets, ListVersions, NewSecret, NewVersion, SecretStore};
use crate::{
    domain::{Limits, SecretName, SecretType, SecretValue, VersionRef},
    error::{Error, ErrorKind},
    storage::{Address, Write},
};

/// The trees of the state by their numbers on disk: root, secrets, labels, values, audit.
const TREES: [u8; 5] = [ROOT, SECRETS, STAGES, 0x20, 0x30];
const ROOT: u8 = 0x01;
const SECRETS: u8 = 0x10;
const STAGES: u8 = 0x11;

type Records = BTreeMap<Address, Vec<u8>>;

/// An open store in whose state nothing is on its way any more.
struct Lab {
    _dir: TempDir,
    store: SecretStore,
    /// What all records were some changes ago.
    before: Records,
    now: Records,
    content: String,
}

impl Lab {
    /// `cached` heads are kept in memory.
    fn new(cached: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SecretStore::builder()
            .master_key(
                crate::crypto::MasterKey::from_bytes(&std::array::from_fn(|n| n as u8 ^ 0x5a))
                    .unwrap(),
            )
            .limits(Limits::default().with_versions_max(4).unwrap())
            .cached_secrets_max(cached)
            .cached_heads_max(cached)
            .create(dir.path().join("store"))
            .unwrap();
        for (n, len) in [10, 700, 5000].into_iter().enumerate() {
            let new = NewSecret::new(name(n), value(n, len)).secret_type(SecretType::RdsFg);
            store.create_secret(new).unwrap();
            store.put_version(&name(n), NewVersion::new(value(n + 10, len))).unwrap();
        }
        let before = records(&store);
        for n in 0..3 {
            (0..4).for_each(|_| drop(store.rotate(&name(n)).unwrap()));
        }
        let (now, content) = (records(&store), content(&store).unwrap());
        Self { _dir: dir, store, before, now, content }
    }

    fn put(&self, address: Address, record: Option<&Vec<u8>>) {
        let write = match record {
            Some(record) => Write::put(address, record.clone()),
            None => Write::remove(address),
        };
        self.store.inner.records.engine.state().apply(&[write]).unwrap();
    }

    /// Makes `edits`, looks, and takes them back. Says whether reading or verifying noticed it.
    fn tampered(&self, what: &str, edits: &[(Address, Option<&Vec<u8>>)]) -> bool {
        edits.iter().for_each(|(address, record)| self.put(*address, *record));
        let mut noticed = false;
        match content(&self.store) {
            Ok(found) => assert_eq!(found, self.content, "{what}: other data"),
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Tampered, "{what}: {err:?}");
                noticed = true;
            }
        }
        if let Err(err) = self.store.verify() {
            assert_eq!(err.kind(), ErrorKind::Tampered, "{what}: {err:?}");
            noticed = true;
        }
        for (address, _) in edits {
            self.put(*address, self.now.get(address));
        }
        assert_eq!(content(&self.store).unwrap(), self.content, "{what}: put right again");
        noticed
    }
}

fn records(store: &SecretStore) -> Records {
    store.checkpoint().unwrap();
    let (state, mut records) = (store.inner.records.engine.state(), Records::new());
    for tree in TREES {
        let mut keys = Vec::new();
        state
            .scan(tree, None, &mut |key, _| {
                keys.push(Address::from_slice(tree, key).unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        for address in keys {
            records.insert(address, state.read(&address).unwrap().unwrap().to_vec());
        }
    }
    records
}

fn content(store: &SecretStore) -> Result<String, Error> {
    let mut text = String::new();
    for secret in store.secrets(&ListSecrets::new())?.items() {
        writeln!(text, "{} {}", secret.name(), secret.revision()).unwrap();
        for version in store.versions(secret.name(), &ListVersions::new())?.items() {
            let got = store.version(secret.name(), &VersionRef::Id(version.id()))?;
            let value = got.value().expose_str().unwrap();
            writeln!(text, "{} {:?} {value}", version.id(), version.stages()).unwrap();
        }
    }
    Ok(text)
}

fn name(number: usize) -> SecretName {
    format!("secret-{number}").parse().unwrap()
}

fn value(number: usize, len: usize) -> SecretValue {
    let pad = "x".repeat(len);
    SecretValue::from_string(format!(
        r#"{{"users":[{{"name":"app","password":"pw-{number}"}}],"pad":"{pad}"}}"#
    ))
}

#[test]
fn a_record_changed_under_an_open_store_is_never_given_out() {
    for cached in [1, 1000] {
        let lab = Lab::new(cached);
        let (mut cases, mut unnoticed) = (0, 0);
        let addresses: Vec<Address> = lab.now.keys().copied().collect();
        let mut case = |what: &str, edits: &[(Address, Option<&Vec<u8>>)]| {
            let what = format!("{cached} cached, {what}");
            let root_alone = edits.iter().all(|(address, _)| address.tree() == ROOT);
            let noticed = lab.tampered(&what, edits);
            // The root is in memory too, and is written again with the next commit.
            assert!(noticed || root_alone, "{what}: not noticed");
            cases += 1;
            unnoticed += usize::from(!noticed);
        };
        for (n, address) in addresses.iter().enumerate() {
            let what = format!("record {n} of tree {:#x}", address.tree());
            let record = &lab.now[address];
            case(&format!("{what} removed"), &[(*address, None)]);
            for at in [0, 3, 12, 30, record.len() / 2, record.len() - 1] {
                let mut changed = record.clone();
                changed[at] ^= 1;
                case(&format!("{what}, byte {at}"), &[(*address, Some(&changed))]);
            }
            let shorter = record[..record.len() - 1].to_vec();
            case(&format!("{what}, cut"), &[(*address, Some(&shorter))]);
            if let Some(old) = lab.before.get(address).filter(|old| *old != record) {
                case(&format!("{what} put back"), &[(*address, Some(old))]);
            }
            for other in [1, 2, 5].map(|step| addresses[(n + step) % addresses.len()]) {
                let there = &lab.now[&other];
                case(&format!("{what} over another"), &[(other, Some(record))]);
                let swap = [(other, Some(record)), (*address, Some(there))];
                case(&format!("{what} swapped"), &swap);
            }
        }
        // Both heads of a secret put back together, and all heads of all.
        let heads = |tree: u8| {
            let of_tree = lab.before.iter().filter(move |(at, _)| at.tree() == tree);
            of_tree.map(|(at, old)| (*at, Some(old))).collect::<Vec<_>>()
        };
        let (secrets, stages) = (heads(SECRETS), heads(STAGES));
        for (secret, stages) in secrets.iter().zip(&stages) {
            case("both heads put back", &[*secret, *stages]);
        }
        case("all heads put back", &[secrets, stages].concat());
        assert!(cases > 400 && unnoticed < 20, "{cases} cases, {unnoticed} unnoticed");
        // It goes on as if nothing had been.
        lab.store.rotate(&name(0)).unwrap();
        lab.store.verify().unwrap();
    }
}
