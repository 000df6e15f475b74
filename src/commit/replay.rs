//! The journal as it is read when a store is opened: checked from its oldest segment to its end.

use std::{collections::HashMap, io, thread};

use crate::{
    commit::{address::root_address, open::OpenError, plan::GROUP_BYTES_MAX, root::open_root},
    crypto::KeyRing,
    format::{
        END_MARK_SEQ, Frame, SEGMENT_HEADER_BYTES, SegmentHeader, is_zero, parse_payload,
        torn_reach,
    },
    storage::{
        Address, BLOCK_BYTES, Backend, Record, SEGMENT_BYTES, Segment, SegmentDir, StorageError,
        Write,
    },
};

/// Longest frame that a write may have been cut off in.
const TORN_BYTES_MAX: usize = GROUP_BYTES_MAX + GROUP_BYTES_MAX / 2;

/// Most threads that compare the journal with the state, and fewest writes for which one is begun.
const THREADS_MAX: usize = 8;
const THREAD_WRITES_MIN: usize = 1000;

/// What the kept segments say.
#[derive(Debug)]
pub(crate) struct JournalImage {
    /// The commit before the oldest kept frame.
    pub(crate) base_seq: u64,
    /// The last commit.
    pub(crate) last_seq: u64,
    /// What the frames wrote, the last write of each address.
    pub(crate) writes: HashMap<Address, Option<Record>>,
    /// Where the next frame goes, and what stands before it.
    pub(crate) segment: Segment,
    kept: Vec<u8>,
    pub(crate) header: SegmentHeader,
    pub(crate) offset: usize,
    /// Behind the last frame stands a write that was cut off and never acknowledged.
    pub(crate) torn: bool,
    /// Segments in front of a gap, or behind the last one and not begun: to be removed.
    pub(crate) stray: Vec<u64>,
    /// A segment made in advance, ready for use.
    pub(crate) spare: Option<Segment>,
}

/// One segment, read whole.
struct Loaded {
    segment: Segment,
    bytes: Vec<u8>,
    header: SegmentHeader,
}

/// Reads and checks the whole journal. Writes nothing.
pub(crate) fn read_journal(
    dir: &SegmentDir,
    ring: &KeyRing,
    store_id: &[u8; 16],
) -> Result<JournalImage, OpenError> {
    let numbers = match dir.numbers() {
        Err(err) if err.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged(format!("the journal: {err}")));
        }
        other => other?,
    };
    let mut stray = Vec::new();
    let mut spare = None;
    let mut loaded: Vec<Loaded> = Vec::new();
    for number in last_run(&numbers, &mut stray) {
        let segment = dir.open(number)?;
        let bytes = segment.read()?;
        match parse_header(&bytes, ring, store_id, number) {
            // Made at full length before it was begun.
            Some(_) if bytes.len() != SEGMENT_BYTES => {
                return Err(damaged(format!("the length of journal segment {number}")));
            }
            Some(header) if spare.is_none() => loaded.push(Loaded { segment, bytes, header }),
            // A segment is begun by its header, so one without frames and header was only made.
            None if is_zero(bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default()) => {
                let whole = bytes.len() == SEGMENT_BYTES && is_zero(&bytes) && spare.is_none();
                if whole {
                    spare = Some(segment);
                } else {
                    stray.push(number);
                }
            }
            _ => return Err(damaged(format!("the header of journal segment {number}"))),
        }
    }
    assemble(loaded, ring, stray, spare)
}

fn assemble(
    loaded: Vec<Loaded>,
    ring: &KeyRing,
    stray: Vec<u64>,
    spare: Option<Segment>,
) -> Result<JournalImage, OpenError> {
    let count = loaded.len();
    let first = loaded.first().ok_or_else(|| damaged("the journal is missing".to_owned()))?;
    let (base_seq, mut seq) = (first.header.base_seq, first.header.base_seq);
    let (mut writes, mut end) = (HashMap::new(), None);
    for (at, Loaded { segment, bytes, header }) in loaded.into_iter().enumerate() {
        if header.base_seq != seq {
            let number = header.number;
            return Err(damaged(format!(
                "journal segment {number} does not go on after commit {seq}"
            )));
        }
        check_chain(&header, ring, &writes)?;
        let read = read_frames(&bytes, &header, ring, &mut seq, &mut writes)?;
        let is_last = at.saturating_add(1) == count;
        if read.torn && !is_last {
            return Err(damaged(format!("journal segment {} after commit {seq}", header.number)));
        }
        if read.ended && is_last {
            let next = header.number.saturating_add(1);
            return Err(damaged(format!("journal segment {next} is missing")));
        }
        end = Some((segment, bytes, header, read));
    }
    let (segment, mut kept, header, read) =
        end.ok_or_else(|| damaged("the journal is missing".to_owned()))?;
    // The spare must be the very next one; any other is in the way.
    let is_next = |spare: &Segment| spare.number() == header.number.saturating_add(1);
    let mut stray = stray;
    let spare = match spare {
        Some(spare) if !is_next(&spare) => {
            stray.push(spare.number());
            None
        }
        other => other,
    };
    Ok(JournalImage {
        base_seq,
        last_seq: seq,
        writes,
        segment,
        kept: {
            kept.truncate(read.offset);
            kept
        },
        header,
        offset: read.offset,
        torn: read.torn,
        stray,
        spare,
    })
}

/// A segment goes on from one history. Of two copies of a store that went on apart, each has a segment
/// that begins after the same commit, but not behind the same chain.
fn check_chain(
    header: &SegmentHeader,
    ring: &KeyRing,
    before: &HashMap<Address, Option<Record>>,
) -> Result<(), OpenError> {
    let Some(Some(record)) = before.get(&root_address()) else { return Ok(()) };
    let root = open_root(ring, &header.store_id, record)
        .map_err(|_| OpenError::Tampered("the root record in the journal"))?;
    if root.seq == header.base_seq && root.chain != header.base_chain {
        let (number, seq) = (header.number, header.base_seq);
        return Err(damaged(format!(
            "journal segment {number} goes on from another history of commit {seq}"
        )));
    }
    Ok(())
}

/// The numbers at the end that have no gap between them. Segments are removed from the oldest on,
/// and that they are gone need not be durable at once, so some in front may have come back.
fn last_run(numbers: &[u64], stray: &mut Vec<u64>) -> Vec<u64> {
    let mut run: Vec<u64> = Vec::new();
    for number in numbers {
        if run.last().is_some_and(|last| last.checked_add(1) != Some(*number)) {
            stray.append(&mut run);
        }
        run.push(*number);
    }
    run
}

/// The header of segment `number` of this store, if it verifies.
pub(super) fn parse_header(
    bytes: &[u8],
    ring: &KeyRing,
    store_id: &[u8; 16],
    number: u64,
) -> Option<SegmentHeader> {
    let verify = |parts: &[&[u8]], mac: &[u8; 32]| ring.journal_mac().verify(parts, mac);
    let header = SegmentHeader::parse(bytes.get(..SEGMENT_HEADER_BYTES)?, &verify).ok()?;
    (header.number == number && header.store_id == *store_id).then_some(header)
}

/// Where the frames of a segment end, and whether something that is no frame stands there.
#[derive(Clone, Copy)]
struct FramesEnd {
    offset: usize,
    torn: bool,
    /// An end mark stands there.
    ended: bool,
}

fn read_frames(
    bytes: &[u8],
    header: &SegmentHeader,
    ring: &KeyRing,
    seq: &mut u64,
    writes: &mut HashMap<Address, Option<Record>>,
) -> Result<FramesEnd, OpenError> {
    let verify = |parts: &[&[u8]], mac: &[u8; 32]| ring.journal_mac().verify(parts, mac);
    let mut offset = SEGMENT_HEADER_BYTES;
    loop {
        let rest = bytes.get(offset..).unwrap_or_default();
        if is_zero(rest) {
            return Ok(FramesEnd { offset, torn: false, ended: false });
        }
        let Ok(frame) = Frame::parse(rest, header, &verify) else { break };
        if frame.seq == END_MARK_SEQ {
            return Ok(FramesEnd { offset, torn: false, ended: true });
        }
        if Some(frame.seq) != seq.checked_add(1) {
            let text = format!("journal segment {} repeats or leaves out a frame", header.number);
            return Err(damaged(text));
        }
        fold(frame.payload, writes)?;
        *seq = frame.seq;
        offset = offset.saturating_add(frame.padded_len);
    }
    // A write that was cut off can only be the last one: if anything stands behind it, what is broken
    // here had been acknowledged.
    let rest = bytes.get(offset..).unwrap_or_default();
    let reach = torn_reach(rest, seq.saturating_add(1)).unwrap_or(TORN_BYTES_MAX);
    if !is_zero(rest.get(reach..).unwrap_or_default()) {
        return Err(damaged(format!("journal segment {} after commit {seq}", header.number)));
    }
    let mut later = offset.saturating_add(BLOCK_BYTES);
    while let Some(rest) = bytes.get(later..).filter(|rest| !rest.is_empty()) {
        if Frame::parse(rest, header, &verify).is_ok() {
            return Err(damaged(format!("journal segment {} after commit {seq}", header.number)));
        }
        later = later.saturating_add(BLOCK_BYTES);
    }
    Ok(FramesEnd { offset, torn: true, ended: false })
}

fn fold(payload: &[u8], writes: &mut HashMap<Address, Option<Record>>) -> Result<(), OpenError> {
    let entries = parse_payload(payload).map_err(|_| damaged("a journal frame".to_owned()))?;
    for (tree, key, record) in entries {
        let address = Address::from_slice(tree, key)
            .ok_or_else(|| damaged("a key in the journal".to_owned()))?;
        writes.insert(address, record.map(Record::from));
    }
    Ok(())
}

impl JournalImage {
    /// The folded writes that the state does not have yet. A record that is to be removed counts as
    /// there if any of it is.
    pub(crate) fn missing_from(&mut self, state: &dyn Backend) -> Result<Vec<Write>, OpenError> {
        let writes = std::mem::take(&mut self.writes).into_iter();
        let mut writes: Vec<Write> =
            writes.map(|(address, record)| Write { address, record }).collect();
        // Those that stand together in the state are read together.
        writes.sort_unstable_by_key(|write| write.address);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let share = writes.len().div_ceil(threads).max(THREAD_WRITES_MIN);
        if writes.len() <= share {
            return missing_of(&writes, state);
        }
        thread::scope(|scope| {
            let threads: Vec<_> = writes
                .chunks(share)
                .map(|writes| scope.spawn(move || missing_of(writes, state)))
                .collect();
            let mut missing = Vec::new();
            for thread in threads {
                missing.extend(thread.join().unwrap_or(Err(StorageError::Panicked.into()))?);
            }
            Ok(missing)
        })
    }

    /// Clears what a cut-off write left, removes stray segments, and makes durable what is kept.
    ///
    /// The last frame may have been read from memory alone: the process that wrote it died before it
    /// was synced. It is about to go into the state, which must never be ahead of the journal.
    pub(crate) fn settle(&self, dir: &SegmentDir) -> io::Result<()> {
        if self.torn {
            self.segment.clear_from(self.offset)?;
        }
        self.stray.iter().try_for_each(|number| dir.remove(*number))?;
        // Written again, and not only synced: if an earlier sync failed, the system takes what is in
        // its memory for written.
        self.segment.write(&self.kept, 0)?;
        self.segment.sync()?;
        if let Some(spare) = &self.spare {
            spare.sync()?;
        }
        dir.sync()
    }
}

fn missing_of(writes: &[Write], state: &dyn Backend) -> Result<Vec<Write>, OpenError> {
    let mut missing = Vec::new();
    for write in writes {
        let is_there = match &write.record {
            Some(_) => state.read(&write.address)? == write.record,
            None => state.stored_bytes(&write.address)? == 0,
        };
        if !is_there {
            missing.push(write.clone());
        }
    }
    Ok(missing)
}

fn damaged(what: String) -> OpenError {
    OpenError::Damaged(what)
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;
    use crate::{
        commit::journal::Journal,
        storage::{Disk, MemoryBackend, RealDisk},
    };

    const STORE_ID: [u8; 16] = [7; 16];

    /// A journal in a directory of its own, with a key ring.
    struct Lab {
        dir: tempfile::TempDir,
        segments: SegmentDir,
        ring: KeyRing,
        journal: Journal,
    }

    impl Lab {
        /// The first segment, begun after commit 1.
        fn new() -> Self {
            Self::on(Arc::new(RealDisk))
        }

        fn on(disk: Arc<dyn Disk>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let segments = SegmentDir::new(disk, dir.path().to_owned());
            let ring = KeyRing::generate(&STORE_ID).unwrap();
            let header = SegmentHeader {
                store_id: STORE_ID,
                number: 1,
                salt: [1; 16],
                base_seq: 1,
                base_chain: [0; 32],
            };
            Journal::begin(&segments, &ring, &header).unwrap();
            let journal = Journal::resume(
                segments.clone(),
                STORE_ID,
                (segments.open(1).unwrap(), header, SEGMENT_HEADER_BYTES),
                Arc::default(),
            );
            Self { dir, segments, ring, journal }
        }

        /// Appends commit `seq`, which puts `seq` at one address of its own and at a common one.
        fn append(&mut self, seq: u64) {
            let writes =
                [own(seq), common()].map(|address| Write::put(address, seq.to_be_bytes().to_vec()));
            self.journal.append(&self.ring, seq, [0; 32], &writes).unwrap();
        }

        fn switch(&mut self, seq: u64) {
            self.journal.switch(&self.ring, seq, [0; 32]).unwrap();
        }

        fn read(&self) -> Result<JournalImage, OpenError> {
            read_journal(&self.segments, &self.ring, &STORE_ID)
        }

        fn edit(&self, number: u64, edit: impl FnOnce(&mut Vec<u8>)) {
            let path = self.dir.path().join(number.to_string());
            let mut bytes = fs::read(&path).unwrap();
            edit(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
    }

    fn own(seq: u64) -> Address {
        Address::new(1, seq.to_be_bytes())
    }

    fn common() -> Address {
        Address::new(2, [0; 8])
    }

    /// Where the frame of the `n`th commit of a segment begins; each takes one block.
    fn frame_at(n: usize) -> usize {
        n.saturating_mul(BLOCK_BYTES).saturating_add(SEGMENT_HEADER_BYTES)
    }

    fn is_damaged(result: &Result<JournalImage, OpenError>) -> bool {
        matches!(result, Err(OpenError::Damaged(_)))
    }

    #[test]
    fn all_frames_of_all_segments_are_folded_the_last_write_winning() {
        let mut lab = Lab::new();
        (2..=4).for_each(|seq| lab.append(seq));
        lab.switch(4);
        (5..=6).for_each(|seq| lab.append(seq));
        let image = lab.read().unwrap();
        assert_eq!((image.base_seq, image.last_seq, image.torn), (1, 6, false));
        assert_eq!((image.segment.number(), image.offset), (2, frame_at(2)));
        assert_eq!(image.writes.len(), 6);
        assert_eq!(image.writes[&common()].as_deref(), Some(&6_u64.to_be_bytes()[..]));
        assert_eq!(image.writes[&own(3)].as_deref(), Some(&3_u64.to_be_bytes()[..]));
    }

    #[test]
    fn a_write_cut_off_at_the_end_is_cleared_and_the_journal_goes_on_there() {
        let mut lab = Lab::new();
        (2..=3).for_each(|seq| lab.append(seq));
        lab.edit(1, |bytes| bytes[frame_at(1) + 50] ^= 1);
        let image = lab.read().unwrap();
        assert_eq!((image.last_seq, image.torn, image.offset), (2, true, frame_at(1)));
        image.settle(&lab.segments).unwrap();
        let image = lab.read().unwrap();
        assert_eq!((image.last_seq, image.torn, image.offset), (2, false, frame_at(1)));
    }

    /// A process that dies between the write and the sync of a frame leaves it in the system's memory,
    /// where the next opening reads it. Replayed without a sync, a power cut would leave the state
    /// ahead of the journal: a store that never opens again.
    #[cfg(feature = "testing")]
    #[test]
    fn a_frame_that_may_be_in_memory_only_is_made_durable_before_it_is_replayed() {
        use crate::testing::{Fault, FaultyDisk, Operation};
        let counted = Fault {
            at: u64::MAX,
            lasting: false,
            only: Some(Operation::Sync),
            error: io::ErrorKind::Other,
        };
        let disk = FaultyDisk::new(Some(counted));
        let mut lab = Lab::on(Arc::new(disk.clone()));
        lab.append(2);
        let image = lab.read().unwrap();
        let before = disk.count();
        image.settle(&lab.segments).unwrap();
        assert_eq!(disk.count() - before, 2, "the segment and the directory");
    }

    #[test]
    fn damage_with_something_authentic_behind_it_is_damage() {
        for frame in 0..2 {
            let mut lab = Lab::new();
            (2..=4).for_each(|seq| lab.append(seq));
            lab.edit(1, |bytes| bytes[frame_at(frame) + 50] ^= 1);
            assert!(is_damaged(&lab.read()), "frame {frame}");
        }
        // Behind the last frame of a segment stands the next segment.
        let mut lab = Lab::new();
        lab.append(2);
        lab.switch(2);
        lab.edit(1, |bytes| bytes[frame_at(0) + 50] ^= 1);
        assert!(is_damaged(&lab.read()));
        let mut lab = Lab::new();
        lab.append(2);
        lab.switch(2);
        lab.edit(1, |bytes| bytes[frame_at(0)..].fill(0));
        assert!(is_damaged(&lab.read()), "a lost last frame of a segment that was full");
    }

    #[test]
    fn several_broken_frames_at_the_end_are_damage_for_only_one_can_be_cut_off() {
        let mut lab = Lab::new();
        (2..=6).for_each(|seq| lab.append(seq));
        lab.edit(1, |bytes| (2..5).for_each(|frame| bytes[frame_at(frame) + 50] ^= 1));
        assert!(is_damaged(&lab.read()));
    }

    #[test]
    fn a_segment_that_lost_its_end_is_damage() {
        let mut lab = Lab::new();
        (2..=6).for_each(|seq| lab.append(seq));
        lab.edit(1, |bytes| bytes.truncate(frame_at(2)));
        assert!(is_damaged(&lab.read()));
    }

    #[test]
    fn the_last_segment_is_missed() {
        let mut lab = Lab::new();
        lab.append(2);
        lab.switch(2);
        lab.append(3);
        lab.segments.remove(2).unwrap();
        assert!(is_damaged(&lab.read()));
        lab.segments.create(2).unwrap();
        assert!(is_damaged(&lab.read()), "replaced by one that was never begun");
    }

    #[test]
    fn a_frame_put_in_another_s_place_is_damage() {
        let mut lab = Lab::new();
        (2..=4).for_each(|seq| lab.append(seq));
        lab.edit(1, |bytes| bytes.copy_within(frame_at(0)..frame_at(1), frame_at(2)));
        assert!(is_damaged(&lab.read()));
    }

    #[test]
    fn a_segment_of_another_store_or_number_is_damage() {
        let (mut lab, mut other) = (Lab::new(), Lab::new());
        lab.append(2);
        other.append(2);
        fs::copy(other.dir.path().join("1"), lab.dir.path().join("1")).unwrap();
        assert!(is_damaged(&lab.read()));
        let mut lab = Lab::new();
        lab.append(2);
        fs::copy(lab.dir.path().join("1"), lab.dir.path().join("2")).unwrap();
        assert!(is_damaged(&lab.read()));
    }

    #[test]
    fn a_segment_made_in_advance_is_used_and_a_half_made_one_removed() {
        let mut lab = Lab::new();
        lab.append(2);
        lab.segments.create(2).unwrap();
        let image = lab.read().unwrap();
        assert_eq!(image.spare.as_ref().map(Segment::number), Some(2));
        lab.edit(2, |bytes| bytes.truncate(10_000));
        let image = lab.read().unwrap();
        assert!(image.spare.is_none());
        assert_eq!(image.stray, [2]);
        image.settle(&lab.segments).unwrap();
        assert_eq!(lab.segments.numbers().unwrap(), [1]);
    }

    #[test]
    fn a_segment_whose_header_was_cut_off_holds_nothing_and_is_removed() {
        let mut lab = Lab::new();
        lab.append(2);
        lab.switch(2);
        lab.edit(2, |bytes| bytes[40] ^= 1);
        // The end mark comes after the header.
        lab.edit(1, |bytes| bytes[frame_at(1)..].fill(0));
        let image = lab.read().unwrap();
        assert_eq!((image.last_seq, &image.stray[..]), (2, &[2][..]));
    }

    #[test]
    fn old_segments_in_front_of_a_gap_are_stray() {
        let mut lab = Lab::new();
        for seq in 2..=4 {
            lab.append(seq);
            lab.switch(seq);
        }
        lab.segments.remove(2).unwrap();
        let image = lab.read().unwrap();
        assert_eq!((image.base_seq, image.last_seq, &image.stray[..]), (3, 4, &[1][..]));
    }

    #[test]
    fn no_journal_at_all_is_damage() {
        let lab = Lab::new();
        lab.segments.remove(1).unwrap();
        assert!(is_damaged(&lab.read()));
        lab.segments.create(1).unwrap();
        assert!(is_damaged(&lab.read()), "a segment that was never begun");
    }

    /// By several threads, if there are several processors.
    #[test]
    fn what_the_state_lacks_is_found_among_many_writes() {
        let lab = Lab::new();
        let mut image = lab.read().unwrap();
        let state = MemoryBackend::default();
        let mut lacking = Vec::new();
        for seq in 0..5 * THREAD_WRITES_MIN as u64 {
            // There as written, there as something else, absent, removed in vain, removed.
            let (there, record) = match seq % 500 {
                7 => (Some("old"), Some("new")),
                8 => (None, Some("new")),
                9 => (Some("old"), None),
                even if even % 2 == 0 => (None, None),
                _ => (Some("new"), Some("new")),
            };
            let put = |text: &str| Record::from(text.as_bytes());
            if let Some(there) = there {
                state.apply(&[Write::put(own(seq), put(there))]).unwrap();
            }
            if there != record {
                lacking.push((own(seq), record.map(put)));
            }
            image.writes.insert(own(seq), record.map(put));
        }
        let missing = image.missing_from(&state).unwrap();
        let missing: Vec<_> =
            missing.into_iter().map(|write| (write.address, write.record)).collect();
        assert_eq!(lacking.len(), 30);
        assert_eq!(missing, lacking, "in the order of their keys");
    }
}
