//! Every authentic frame of a journal that may be damaged anywhere: also behind damage, behind gaps,
//! and under a header that does not verify.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use crate::{
    commit::{replay::parse_header, salvage::Damage},
    crypto::KeyRing,
    format::{END_MARK_SEQ, Frame, SEGMENT_HEADER_BYTES, SegmentHeader, is_zero, parse_payload},
    storage::{Address, BLOCK_BYTES, Disk, Record, SEGMENT_BYTES, read_around, segment_number},
};

/// The last write of an address: its commit, and the record or `None` if it was removed.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) record: Option<Record>,
}

/// What the authentic frames say.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub(crate) last: HashMap<Address, Logged>,
    /// First and last of commits in a row that were made, and of which there is no frame.
    pub(crate) missing: Vec<(u64, u64)>,
    /// The commit of the newest frame.
    pub(crate) last_seq: Option<u64>,
    pub(crate) damage: Vec<Damage>,
}

/// What is gathered segment by segment.
#[derive(Default)]
struct Gathering {
    frames: Frames,
    commits: BTreeSet<u64>,
    /// The bases of the segments whose headers verify: so many commits were made before them.
    bases: BTreeSet<u64>,
    /// An end mark says that this segment was begun.
    announced: Option<u64>,
    /// What stands behind the last frame of the newest segment, and may be a write that was cut off.
    tail: Option<Damage>,
}

/// Reads the journal in the directory `path` as far as it can be read.
pub(crate) fn read_frames(
    disk: &dyn Disk,
    path: &Path,
    ring: &KeyRing,
    store_id: &[u8; 16],
) -> Frames {
    let mut gathering = Gathering::default();
    let mut numbers: Vec<u64> = Vec::new();
    match disk.list(path) {
        Ok(names) => {
            for name in names {
                match segment_number(&name) {
                    Some(number) => numbers.push(number),
                    None => gathering.note("journal", format!("{name:?} does not belong there")),
                }
            }
        }
        Err(err) => gathering.note("journal", format!("it cannot be read: {err}")),
    }
    numbers.sort_unstable();
    for number in numbers {
        let place = format!("journal/{number}");
        match read_around(disk, &path.join(number.to_string()), SEGMENT_BYTES as u64) {
            Ok((bytes, unread)) => {
                if unread > 0 {
                    gathering.note(&place, format!("{unread} bytes of it cannot be read"));
                }
                gathering.segment((number, &place), &bytes, ring, store_id);
            }
            Err(err) => gathering.note(&place, format!("it cannot be read: {err}")),
        }
    }
    gathering.finish()
}

impl Gathering {
    fn note(&mut self, place: &str, what: impl Into<String>) {
        self.frames.damage.push(Damage::new(place, what));
    }

    fn segment(
        &mut self,
        (number, place): (u64, &str),
        bytes: &[u8],
        ring: &KeyRing,
        store_id: &[u8; 16],
    ) {
        let behind_header = bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
        let header = parse_header(bytes, ring, store_id, number);
        match &header {
            Some(header) => {
                self.bases.insert(header.base_seq);
                if bytes.len() != SEGMENT_BYTES {
                    let text = format!("it has {} bytes of {SEGMENT_BYTES}", bytes.len());
                    self.note(place, text);
                }
            }
            // Made in advance, or cut off while it was begun.
            None if is_zero(behind_header) => return,
            None => self.note(place, "its header is damaged"),
        }
        // Something follows, so what stood at the end of the segment before was not cut off.
        let tail = self.tail.take();
        self.frames.damage.extend(tail);
        self.announced = self.announced.filter(|announced| *announced != number);
        // Good if frames verify with it, whatever became of the header.
        let salt = SegmentHeader::unchecked_salt(bytes).unwrap_or_default();
        let header = header.unwrap_or(SegmentHeader {
            store_id: *store_id,
            number,
            salt,
            base_seq: 0,
            base_chain: [0; 32],
        });
        self.frames_of(place, bytes, &header, ring);
    }

    fn frames_of(&mut self, place: &str, bytes: &[u8], header: &SegmentHeader, ring: &KeyRing) {
        let verify = |parts: &[&[u8]], mac: &[u8; 32]| ring.journal_mac().verify(parts, mac);
        let (mut offset, mut broken_from) = (SEGMENT_HEADER_BYTES, None);
        while let Some(rest) = bytes.get(offset..).filter(|rest| !is_zero(rest)) {
            match Frame::parse(rest, header, &verify) {
                Ok(frame) => {
                    if let Some(from) = broken_from.take() {
                        self.note(place, no_frame(from, offset));
                    }
                    if frame.seq == END_MARK_SEQ {
                        self.announced = header.number.checked_add(1);
                    } else {
                        self.fold(place, &frame);
                    }
                    offset = offset.saturating_add(frame.padded_len);
                }
                Err(_) => {
                    broken_from = broken_from.or(Some(offset));
                    offset = offset.saturating_add(BLOCK_BYTES);
                }
            }
        }
        self.tail = broken_from.map(|from| Damage::new(place, no_frame(from, offset)));
    }

    fn fold(&mut self, place: &str, frame: &Frame<'_>) {
        let Ok(entries) = parse_payload(frame.payload) else {
            return self.note(place, format!("the frame of commit {} is malformed", frame.seq));
        };
        self.commits.insert(frame.seq);
        for (tree, key, record) in entries {
            let Some(address) = Address::from_slice(tree, key) else { continue };
            let logged = Logged { seq: frame.seq, record: record.map(Record::from) };
            match self.frames.last.get_mut(&address) {
                Some(last) if last.seq > logged.seq => {}
                Some(last) => *last = logged,
                None => drop(self.frames.last.insert(address, logged)),
            }
        }
    }

    fn finish(mut self) -> Frames {
        if let Some(tail) = self.tail.take() {
            let text = format!("{}: a write that was cut off, or a damaged commit", tail.what());
            self.note(tail.place(), text);
        }
        if let Some(number) = self.announced {
            self.note(&format!("journal/{number}"), "it is missing, with the last commits");
        }
        if self.commits.is_empty() && self.bases.is_empty() {
            self.note("journal", "there is nothing in it");
        }
        self.frames.last_seq = self.commits.last().copied();
        self.frames.missing = missing(&self.commits, &self.bases);
        self.frames
    }
}

/// The gaps between the oldest base, or the oldest commit that is there, and the newest of both.
fn missing(commits: &BTreeSet<u64>, bases: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let before_first = commits.first().map(|first| first.saturating_sub(1));
    let Some(base) = bases.first().copied().into_iter().chain(before_first).min() else {
        return Vec::new();
    };
    let (mut gaps, mut last) = (Vec::new(), base);
    // So many commits were made as the newest base says.
    let behind = bases.last().map(|newest| newest.saturating_add(1));
    let newest = commits.last().copied();
    for seq in commits.iter().copied().chain(behind.filter(|behind| newest < Some(*behind))) {
        let next = last.saturating_add(1);
        if seq > next {
            gaps.push((next, seq.saturating_sub(1)));
        }
        last = last.max(seq);
    }
    gaps
}

fn no_frame(from: usize, to: usize) -> String {
    format!("bytes {from} to {} are no frame", to.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::type_complexity,
        reason = "a table of cases has a column for each thing that varies"
    )]
    fn commits_between_those_that_are_there_are_missing() {
        let cases: [(&str, &[u64], &[u64], &[(u64, u64)]); 9] = [
            ("nothing", &[], &[], &[]),
            ("a begun segment", &[], &[4], &[]),
            ("all", &[5, 6, 7], &[4], &[]),
            ("no header", &[5, 6, 7], &[], &[]),
            ("one in the middle", &[5, 7], &[4], &[(6, 6)]),
            ("the first two", &[7, 8], &[4], &[(5, 6)]),
            ("behind the last, before a base", &[5], &[4, 9], &[(6, 9)]),
            ("all before a base", &[], &[4, 9], &[(5, 9)]),
            ("several", &[5, 8, 10], &[4, 11], &[(6, 7), (9, 9), (11, 11)]),
        ];
        for (what, commits, bases, want) in cases {
            let commits = commits.iter().copied().collect();
            let bases = bases.iter().copied().collect();
            assert_eq!(missing(&commits, &bases), want, "{what}");
        }
    }
}
