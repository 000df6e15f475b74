//! Secrets as records: the one place where plaintext meets bytes.
//!
//! Above this layer there are words (`SecretBody`, `Stages`, `SecretValue`), below it there are
//! sealed bytes. Nothing here decides who may do what.

mod alarm;
mod audit;
mod backup;
mod blob;
mod cache;
mod census;
mod deliveries;
mod draft;
mod due;
mod ended;
mod event;
mod facts;
mod fill;
mod head;
mod ids;
mod inspect;
mod leftovers;
mod local_key;
mod log;
mod losses;
mod notice;
mod object;
mod prune;
mod read;
mod reader;
mod restore;
mod rotation;
mod salvage;
mod schedule;
mod seal;
mod secret;
mod snapshot;
mod stages;
mod stream;
mod value;
mod verify;

pub(crate) use alarm::Alarm;
pub(crate) use audit::{Act, Author, Operation, said};
pub(crate) use backup::{Contents, Target as RestoreTarget, check_backup, restore_backup};
pub(crate) use blob::{BlobError, Unpacked};
pub(crate) use cache::Head;
pub(crate) use deliveries::oldest_notice;
pub(crate) use draft::{Draft, DraftError, NewVersionSpec, Written};
pub(crate) use due::{Due, Telling, next_rotation};
pub(crate) use ended::{EndedRotation, Outcome};
pub use event::Event;
pub(crate) use event::{CURSOR_KEY, Cursor};
pub(crate) use facts::{Gate, SecretFacts, VersionFacts};
pub(crate) use fill::Filler;
pub(crate) use leftovers::Leftovers;
pub(crate) use local_key::LocalKey;
pub use log::AuditRecord;
pub(crate) use log::{Followed, LogQuery, Subject};
pub use losses::{Cause, Completeness, Loss, SalvagedSecret};
pub use notice::{NotificationRecord, NotificationStatus};
pub(crate) use object::{Object, ObjectBody};
pub(crate) use prune::Pruned;
pub(crate) use read::ReadValue;
pub(crate) use reader::{CacheSizes, Records, Seen};
pub(crate) use salvage::{Finds, Mended};
pub(crate) use seal::Sealer;
pub(crate) use secret::SecretBody;
pub(crate) use snapshot::Sighted;
pub(crate) use stages::{AddVersionError, Stages, Token, VersionEntry};
pub(crate) use verify::Verified;
#[cfg(feature = "testing")]
pub(crate) use {audit::open_audit, head::HeadBody, value::open_value};
