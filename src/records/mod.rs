//! Secrets as records: the one place where plaintext meets bytes.
//!
//! Above this layer there are words (`SecretBody`, `Stages`, `SecretValue`), below it there are
//! sealed bytes. Nothing here decides who may do what.

mod audit;
mod cache;
mod census;
mod draft;
mod due;
mod facts;
mod fill;
mod head;
mod local_key;
mod losses;
mod object;
mod reader;
mod salvage;
mod schedule;
mod seal;
mod secret;
mod stages;
mod value;
mod verify;

pub(crate) use audit::{Act, Author, Operation};
pub(crate) use cache::Head;
pub(crate) use draft::{Draft, DraftError, NewVersionSpec, Written};
pub(crate) use due::{Due, TOLD_EXPIRED, TOLD_NEAR, next_rotation};
pub(crate) use facts::{Gate, SecretFacts, VersionFacts};
pub(crate) use fill::Filler;
pub(crate) use local_key::LocalKey;
pub use losses::{Cause, Completeness, Loss, SalvagedSecret};
pub(crate) use object::{Object, ObjectBody};
pub(crate) use reader::{CacheSizes, Records, Seen};
pub(crate) use salvage::{Finds, Mended};
pub(crate) use schedule::DueOf;
pub(crate) use seal::Sealer;
pub(crate) use secret::SecretBody;
pub(crate) use stages::{AddVersionError, Stages, Token, VersionEntry};
pub(crate) use verify::Verified;
#[cfg(feature = "testing")]
pub(crate) use {audit::open_audit, head::HeadBody, value::open_value};
