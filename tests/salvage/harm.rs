//! Damage of files, drawn at random.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::support::Random;

const SECTOR: usize = 512;

/// What is done to a store's files.
#[derive(Clone, Debug)]
pub(crate) struct Harm {
    file: PathBuf,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Bits { from: usize, count: usize, apart: usize },
    Cut { len: usize },
    Noise { from: usize, len: usize, seed: u64 },
    Removed,
    Zeros { from: usize, len: usize },
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.file.display(), self.how)
    }
}

impl Harm {
    /// Damage of some file of the store at `store`, which is not changed.
    pub(crate) fn draw(random: &mut Random, store: &Path) -> Self {
        let below = |dir: &str, prefix: &str| -> Vec<String> {
            let names = fs::read_dir(store.join(dir)).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
            names.sort();
            names.into_iter().map(|name| format!("{dir}/{name}")).collect()
        };
        let files = match random.below(10) {
            0..=3 => vec!["db/db".to_owned()],
            4 => vec!["db/conf".to_owned()],
            5 => below("db", "snap."),
            6..=8 => below("journal", ""),
            _ => vec!["keys".to_owned(), "keys.bak".to_owned()],
        };
        let file =
            PathBuf::from(files.get(random.below(files.len().max(1))).map_or("db/db", |it| it));
        let bytes = fs::read(store.join(&file)).unwrap();
        // Most of a segment of the journal, and of sled's log, is zeros that nobody wrote yet.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |at| at + 1);
        let from = random.below(used);
        let how = match random.below(12) {
            0..=3 => How::Bits { from, count: 1 + random.below(20), apart: 1 + random.below(3000) },
            4 | 5 => How::Zeros { from: from / SECTOR * SECTOR, len: SECTOR << random.below(5) },
            6 | 7 => How::Noise { from, len: 1 + random.below(20_000), seed: random.next() },
            8 => How::Zeros { from, len: used },
            9 | 10 => How::Cut { len: from },
            _ => How::Removed,
        };
        Self { file, how }
    }

    /// The file that is damaged.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Damages the store at `store`.
    pub(crate) fn do_to(&self, store: &Path) {
        let path = store.join(&self.file);
        // Another harm may have removed it before.
        let Ok(mut bytes) = fs::read(&path) else { return };
        let len = bytes.len();
        let part = |from: usize, part: usize| from.min(len)..from.saturating_add(part).min(len);
        match self.how {
            How::Bits { from, count, apart } => {
                for n in 0..count {
                    if let Some(byte) = bytes.get_mut(from + n * apart) {
                        *byte ^= 1 << (n % 8);
                    }
                }
            }
            How::Cut { len } => bytes.truncate(len),
            How::Noise { from, len, seed } => {
                let mut random = Random::new(seed);
                bytes[part(from, len)].fill_with(|| random.next().to_le_bytes()[0]);
            }
            How::Removed => return fs::remove_file(path).unwrap(),
            How::Zeros { from, len } => bytes[part(from, len)].fill(0),
        }
        fs::write(path, bytes).unwrap();
    }
}
