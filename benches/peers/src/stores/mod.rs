//! Those who take part.

mod fjall;
mod heed;
mod keyed;
mod memory;
mod redb;
mod sled;
mod sqlcipher;
mod strongroom;

use crate::contestant::Entrant;

/// In the order of the table.
pub const ALL: &[Entrant] = &[
    memory::MAP,
    memory::LOG,
    strongroom::ENTRANT,
    fjall::ENTRANT,
    redb::ENTRANT,
    sled::ENTRANT,
    sqlcipher::ENTRANT,
    heed::ENTRANT,
];
