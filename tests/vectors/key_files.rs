//! Vectors of key files: of the golden store `closed`, which is opened with each of them.

use std::{fs, ops::Range};

use strongroom::{
    ErrorKind, MasterKey, SecretStore,
    testing::fuzz::{Layer, check_key_file, with_ring},
};

use super::{Vector, golden};

/// Where the slots end, of which the first is for the master key.
const SLOTS_AT: usize = 35;

pub(super) fn made() -> Vec<Vector> {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    golden::unpack("closed", &store);
    let good = fs::read(store.join("keys")).unwrap();
    let mut vectors = vec![("as it was written".to_owned(), None, good.clone())];
    vectors.extend(shapeless(&good));
    vectors.extend(edited(&good));
    vectors.extend(resealed(&good));
    vectors
}

/// What refuses each, by the parts; and the whole store must say the same in its own words.
pub(super) fn refused_by(vectors: &[Vector]) -> Vec<Option<Layer>> {
    vectors
        .iter()
        .map(|(what, wanted, bytes)| {
            let found = check_key_file(bytes, golden::master_key_bytes()).err();
            let kind = opened_with(bytes);
            // What is authentic and of another time, only the store can tell.
            let found = if kind == Some(ErrorKind::Tampered) {
                found.or(Some(Layer::Order))
            } else {
                found
            };
            let format = what.contains("format") || what.contains("suite");
            let in_words = match wanted {
                None => None,
                Some(Layer::Shape) if format => Some(ErrorKind::UnsupportedFormat),
                Some(Layer::Shape) => Some(ErrorKind::Damaged),
                Some(Layer::Key) => Some(ErrorKind::WrongKey),
                Some(_) => Some(ErrorKind::Tampered),
            };
            assert_eq!(kind, in_words, "{what}");
            found
        })
        .collect()
}

fn opened_with(bytes: &[u8]) -> Option<ErrorKind> {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    golden::unpack("closed", &store);
    for name in ["keys", "keys.bak"] {
        fs::write(store.join(name), bytes).unwrap();
    }
    let key = MasterKey::from_bytes(&golden::master_key_bytes()).unwrap();
    SecretStore::builder().master_key(key).open(store).err().map(|err| err.kind())
}

/// Not even a key file.
fn shapeless(good: &[u8]) -> Vec<Vector> {
    let (raw, passphrase) = slots(good);
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut file = good.to_vec();
        edit(&mut file);
        file
    };
    let end = good.len();
    let first = &good[raw.clone()];
    let of = |count: u8, parts: &[&[u8]]| with_slots(good, count, parts);
    let vectors = [
        ("nothing", Vec::new()),
        ("another magic", edited(&|file| file[0] = b'X')),
        ("format 2", edited(&|file| file[8] = 2)),
        ("suite 2", edited(&|file| file[9] = 2)),
        ("no slot", of(0, &[])),
        ("17 slots", of(17, &[first; 17])),
        ("a slot announced that is not there", edited(&|file| file[34] = 3)),
        (
            "a slot's length of 2^16 - 1",
            edited(&|file| {
                file[raw.start..raw.start + 2].fill(0xff);
            }),
        ),
        ("a slot too short by one", edited(&|file| file[raw.start + 1] -= 1)),
        (
            "a label that is not UTF-8",
            edited(&|file| {
                file[passphrase.start + 8] = 0xff;
            }),
        ),
        (
            "parameters beyond the slot",
            edited(&|file| {
                file[raw.start + 16] = 0xff;
            }),
        ),
        ("the ring cut by a byte", good[..end - 1].to_vec()),
        ("a byte behind the ring", [good, &[0]].concat()),
        (
            "a ring of 2^32 - 1 bytes",
            edited(&|file| {
                file[passphrase.end..passphrase.end + 4].fill(0xff);
            }),
        ),
        ("longer than any", { [good, &vec![0; 256 * 1024]].concat() }),
    ];
    vectors.map(|(what, bytes)| (what.to_owned(), Some(Layer::Shape), bytes)).to_vec()
}

/// Edited by somebody without the key.
fn edited(good: &[u8]) -> Vec<Vector> {
    let (raw, passphrase) = slots(good);
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut file = good.to_vec();
        edit(&mut file);
        file
    };
    let end = good.len();
    let (first, second) = (&good[raw.clone()], &good[passphrase.clone()]);
    let of = |count: u8, parts: &[&[u8]]| with_slots(good, count, parts);
    let vectors = [
        ("another store id", Layer::Key, edited(&|file| file[10] ^= 1)),
        ("another slot id", Layer::Key, edited(&|file| file[raw.start + 5] ^= 1)),
        ("another type of slot", Layer::Key, edited(&|file| file[raw.start + 6] = 3)),
        ("another salt", Layer::Key, edited(&|file| file[raw.start + 18] ^= 1)),
        ("another commitment", Layer::Key, edited(&|file| file[raw.start + 50] ^= 1)),
        ("the key's slot left out", Layer::Key, of(1, &[second])),
        ("another time of creation", Layer::Seal, edited(&|file| file[raw.start + 15] ^= 1)),
        ("the slot's nonce", Layer::Seal, edited(&|file| file[raw.start + 82] ^= 1)),
        ("the wrapped key's last bit", Layer::Seal, edited(&|file| file[raw.end - 1] ^= 1)),
        ("another sequence number", Layer::Seal, edited(&|file| file[33] += 1)),
        ("another label", Layer::Seal, edited(&|file| file[passphrase.start + 8] ^= 1)),
        (
            "cheaper parameters",
            Layer::Seal,
            edited(&|file| {
                file[passphrase.end - 160] ^= 1;
            }),
        ),
        ("the other slot left out", Layer::Seal, of(1, &[first])),
        ("slots exchanged", Layer::Seal, of(2, &[second, first])),
        ("the ring's nonce", Layer::Seal, edited(&|file| file[passphrase.end + 4] ^= 1)),
        ("the ring's last bit", Layer::Seal, edited(&|file| file[end - 1] ^= 1)),
    ];
    vectors.map(|(what, layer, bytes)| (what.to_owned(), Some(layer), bytes)).to_vec()
}

/// Edited and sealed again by somebody with the key.
fn resealed(good: &[u8]) -> Vec<Vector> {
    let head = good[..slots(good).1.end].to_vec();
    let with = |head: &[u8], edit: &dyn Fn(&mut Vec<u8>)| {
        with_ring(good, (golden::master_key_bytes(), [0x4e; 24]), head, edit)
    };
    let ring = |edit: &dyn Fn(&mut Vec<u8>)| with(&head, edit);
    let numbered = |more: u8| {
        let mut head = head.clone();
        head[33] += more;
        with(&head, &|_| {})
    };
    let vectors = [
        ("an empty ring", Layer::Body, ring(&Vec::clear)),
        ("a ring of schema 2", Layer::Body, ring(&|ring| ring[1] = 2)),
        ("a ring without its active generation", Layer::Body, ring(&|ring| ring[5] = 2)),
        ("a generation announced that is not there", Layer::Body, ring(&|ring| ring[7] = 2)),
        ("generation 0", Layer::Body, ring(&|ring| (ring[5], ring[11]) = (0, 0))),
        ("a generation of suite 2", Layer::Body, ring(&|ring| ring[12] = 2)),
        (
            "an old key announced that is not there",
            Layer::Body,
            ring(&|ring| {
                *ring.last_mut().unwrap() = 1;
            }),
        ),
        ("a byte behind the ring's keys", Layer::Body, ring(&|ring| ring.push(0))),
        ("a ring cut by a byte", Layer::Body, ring(&|ring| super::shorten(ring))),
        ("another file of the same number", Layer::Order, ring(&|_| {})),
        ("two changes ahead", Layer::Order, numbered(2)),
        ("255 changes ahead", Layer::Order, numbered(253)),
    ];
    vectors.map(|(what, layer, bytes)| (what.to_owned(), Some(layer), bytes)).to_vec()
}

/// The file with other slots in it.
fn with_slots(good: &[u8], count: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&good[..34], &[count], &parts.concat(), &good[slots(good).1.end..]].concat()
}

/// Where both slots are.
fn slots(file: &[u8]) -> (Range<usize>, Range<usize>) {
    let end = |at: usize| at + 2 + usize::from(u16::from_be_bytes([file[at], file[at + 1]]));
    let first = SLOTS_AT..end(SLOTS_AT);
    (first.clone(), first.end..end(first.end))
}
