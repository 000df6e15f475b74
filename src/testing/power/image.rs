//! The directory that a loss of power could have left.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::testing::power::ledger::{Inode, Ledger, Names};

/// What a disk writes in one piece: all of it or nothing.
const SECTOR_BYTES: usize = 512;

/// The unit in which an image is written; blocks of zeros are left out.
const BLOCK_BYTES: usize = 4096;

/// A moment at which power could fail.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(super) number: u64,
    pub(super) ledger: &'a Ledger,
}

/// What happens to the changes that are not durable.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Style {
    /// All are lost.
    Drop,
    /// Some files have theirs, the others lost them.
    Files,
    /// All are there, as after `kill -9`.
    Keep,
    /// Each sector and each name is there or not, whatever its age.
    Random,
    /// The changes at the end of each file are there, those before are lost; of the names, the
    /// younger.
    Reorder,
    /// The changes at the beginning of each file are there, those behind are lost; of the names, the
    /// older.
    Tear,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 6] =
        [Self::Drop, Self::Keep, Self::Random, Self::Tear, Self::Reorder, Self::Files];
}

impl Moment<'_> {
    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Builds in `target`, an empty directory, what could be left. The same seed draws the same
    /// choices.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    pub fn image(&self, style: Style, seed: u64, target: &Path) -> io::Result<()> {
        let mut draw = Draw(seed);
        let names = self.names(style, &mut draw);
        self.build(self.ledger.root_inode, &names, (style, &mut draw), target)
    }

    /// The names that are left: the durable ones, and those of the later changes that are there.
    fn names(&self, style: Style, draw: &mut Draw) -> Names {
        let mut names = self.ledger.durable.clone();
        let keeps = keeps(style, self.ledger.pending.len(), draw);
        for (change, _) in self.ledger.pending.iter().zip(keeps).filter(|(_, keep)| *keep) {
            // What it builds on must be there: the directory, and what is renamed or removed.
            let possible = change.0.iter().all(|((dir, name), entry)| {
                let dir_is_there = *dir == self.ledger.root_inode
                    || names.values().any(|entry| entry.inode == *dir);
                let is_there = names.contains_key(&(*dir, name.clone()));
                dir_is_there && (entry.is_some() || is_there)
            });
            if possible {
                change.apply(&mut names);
            }
        }
        names
    }

    fn build(
        &self,
        dir: Inode,
        names: &Names,
        (style, draw): (Style, &mut Draw),
        target: &Path,
    ) -> io::Result<()> {
        for ((_, name), entry) in names.iter().filter(|((at, _), _)| *at == dir) {
            let path = target.join(name);
            if entry.is_dir {
                fs::create_dir(&path)?;
                self.build(entry.inode, names, (style, draw), &path)?;
            } else {
                write_sparse(&path, &self.bytes(entry.inode, style, draw)?)?;
            }
        }
        Ok(())
    }

    /// What a file holds: the durable bytes, with the changed sectors that are there.
    fn bytes(&self, inode: Inode, style: Style, draw: &mut Draw) -> io::Result<Vec<u8>> {
        let mut bytes = self.ledger.bytes.get(&inode).cloned().unwrap_or_default();
        // A file that has no name any more has what was durable.
        let now = match self.ledger.path(inode).map(fs::read) {
            Some(Ok(now)) => now,
            Some(Err(err)) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => return Ok(bytes),
        };
        let sectors = now.len().max(bytes.len()).div_ceil(SECTOR_BYTES);
        let sector = |bytes: &[u8], n: usize| -> Vec<u8> {
            let from = n.saturating_mul(SECTOR_BYTES).min(bytes.len());
            let to = from.saturating_add(SECTOR_BYTES).min(bytes.len());
            bytes.get(from..to).unwrap_or_default().to_vec()
        };
        let changed: Vec<usize> =
            (0..sectors).filter(|n| sector(&bytes, *n) != sector(&now, *n)).collect();
        let cut = draw.coin();
        if now.len() < bytes.len() && (style == Style::Keep || (cut && style != Style::Drop)) {
            bytes.truncate(now.len());
        }
        let keeps = keeps(style, changed.len(), draw);
        for (n, _) in changed.into_iter().zip(keeps).filter(|(_, keep)| *keep) {
            let (at, fresh) = (n.saturating_mul(SECTOR_BYTES), sector(&now, n));
            let end = at.saturating_add(fresh.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let Some(room) = bytes.get_mut(at..end) {
                room.copy_from_slice(&fresh);
            }
        }
        Ok(bytes)
    }
}

/// Which of `count` changes, in order, are there.
fn keeps(style: Style, count: usize, draw: &mut Draw) -> Vec<bool> {
    let cut = draw.below(count.saturating_add(1));
    let all = draw.coin();
    (0..count)
        .map(|n| match style {
            Style::Drop => false,
            Style::Files => all,
            Style::Keep => true,
            Style::Random => draw.coin(),
            Style::Reorder => n >= cut,
            Style::Tear => n < cut,
        })
        .collect()
}

fn write_sparse(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    let mut at = 0_u64;
    for block in bytes.chunks(BLOCK_BYTES) {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, at)?;
        }
        at = at.saturating_add(block.len() as u64);
    }
    Ok(())
}

/// Choices from a seed (splitmix64).
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next().checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }
}
