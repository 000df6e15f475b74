//! The whole memory of this process, looked through for canaries.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::FileExt as _,
    sync::Mutex,
};

use crate::canary::{self, Piece};

const BUFFER_LEN: usize = 1 << 18;
/// Read twice, so that a piece across two buffers is found, and found once.
const OVERLAP: usize = 7;

/// What is read goes here, and here nothing is searched.
static BUFFER: Mutex<[u8; BUFFER_LEN]> = Mutex::new([0; BUFFER_LEN]);

/// A canary, or a part of one, at one place in memory.
#[derive(Clone, Debug)]
pub struct Place {
    pub canary: usize,
    /// How many of its pieces stand there.
    pub pieces: usize,
    address: usize,
    mapping: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { canary, pieces, address, mapping } = self;
        write!(f, "canary {canary}: {pieces} pieces at {address:x} in {mapping}")
    }
}

/// All places with canaries in the mappings that can be read and written, and how many bytes these are.
pub fn memory() -> (Vec<Place>, usize) {
    let mut buffer = BUFFER.lock().unwrap();
    let own = buffer.as_ptr() as usize..buffer.as_ptr() as usize + BUFFER_LEN;
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut found: BTreeMap<(usize, usize), (usize, String)> = BTreeMap::new();
    let mut looked_at = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let address = |text: &str| usize::from_str_radix(text, 16).unwrap();
        let (start, end) = (address(start), address(end));
        let mapping = fields.nth(3).unwrap_or("a nameless mapping").to_owned();
        for part in [start..end.min(own.start.max(start)), start.max(own.end.min(end))..end] {
            let mut at = part.start;
            while at < part.end {
                let len = (part.end - at).min(BUFFER_LEN);
                let read = match memory.read_at(&mut buffer[..len], at as u64) {
                    Ok(read) if read > 0 => read,
                    Ok(_) => break,
                    Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                    // Mapped and not readable: of the kernel.
                    Err(_) => break,
                };
                looked_at += read;
                canary::search(&buffer[..read], |offset, piece: Piece| {
                    let begins = (at + offset).wrapping_sub(piece.offset);
                    let place = found.entry((piece.canary, begins));
                    place.or_insert_with(|| (0, mapping.clone())).0 += 1;
                });
                at +=
                    if read == part.end - at { read } else { read.saturating_sub(OVERLAP).max(1) };
            }
        }
    }
    buffer.fill(0);
    let place = |((canary, address), (pieces, mapping))| Place { canary, pieces, address, mapping };
    (found.into_iter().map(place).collect(), looked_at)
}
