//! Stores that were once written and packed into one file, unpacked again.
#![allow(unreachable_pub, reason = "a module of each test binary")]

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What a packed store begins with.
pub const MAGIC: &[u8] = b"STRONGROOM-PACKED-1\n";

/// Where the files of format 1 are.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1")
}

/// The bytes of the golden stores' master key.
pub fn master_key_bytes() -> [u8; 32] {
    std::array::from_fn(|at| 0x40 + u8::try_from(at).unwrap())
}

/// Makes the store `which` of format 1 at `store`, which must not be there.
pub fn unpack(which: &str, store: &Path) {
    let packed = fs::read(data().join(format!("{which}.packed"))).unwrap();
    let (mut steps, mut all) = (packed.strip_prefix(MAGIC).expect("a packed store"), Vec::new());
    while !steps.is_empty() {
        let len = number(&mut steps, 4);
        all.extend_from_slice(take(&mut steps, len));
        let (from, len) = (number(&mut steps, 4), number(&mut steps, 4));
        for at in from..from + len {
            all.push(all[at]);
        }
    }
    let mut rest = &all[..];
    while !rest.is_empty() {
        let len = number(&mut rest, 2);
        let path = store.join(std::str::from_utf8(take(&mut rest, len)).unwrap());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
        let len = number(&mut rest, 8);
        file.write_all(take(&mut rest, len)).unwrap();
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(len);
    *rest = left;
    taken
}

fn number(rest: &mut &[u8], len: usize) -> usize {
    take(rest, len).iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}
