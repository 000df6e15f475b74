//! The commit path: group commit, journal, applier, checkpoints, recovery.
//!
//! Knows records as sealed bytes. It seals the root itself, chains the audit records and adds up the
//! set hash; what is in the other records is the business of `records`.

mod address;
mod applier;
mod backlog;
mod compact;
mod create;
mod engine;
mod frames;
mod group;
mod health;
mod index;
mod journal;
mod keys;
mod kms_slot;
mod news;
mod objects;
mod open;
mod overlay;
mod plan;
mod replay;
mod restore;
mod root;
mod salvage;
mod scan;
mod slots;
mod standstill;
mod state;

pub(crate) use address::{
    NameId, audit_address, notice_address, parse_audit_key, secret_address, stages_address,
    value_address,
};
pub(crate) use create::{FIRST_SEQ, build_in_place, check_is_free, create, put_in_place};
pub(crate) use engine::Engine;
pub(crate) use health::EngineError;
pub(crate) use index::{Heads, Index, Tag, tag_of};
pub(crate) use keys::{Bind, KeyError, Unlocked};
pub(crate) use objects::{ObjectChange, ObjectKey, Objects};
pub(crate) use open::{OpenError, OpenOptions, Opening, fold_step, open};
pub(crate) use plan::{AuditStart, HeadChange, Plan, RingChange};
pub(crate) use restore::{Copied, build_copy};
pub(crate) use root::open_root;
pub use salvage::Damage;
pub(crate) use salvage::{Remains, SalvageOptions, scratch_in};
pub(crate) use slots::SlotInfo;
pub use slots::{SlotKind, Unlock};
