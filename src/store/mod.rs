//! The facade: check, plan, commit, translate.

mod audit;
mod builder;
mod change;
mod events;
mod feed;
mod handle;
mod keys;
mod load;
mod maintenance;
mod notify;
mod request;
mod rotate;
mod salvage;
mod secrets;
mod stages;
#[cfg(test)]
mod tampering;
mod turns;
mod versions;
mod view;

pub use audit::{AuditQuery, PrunedAudit};
pub use builder::{Builder, HasKey, NoKey, Verify};
pub use events::{EventUpdate, ListEvents, NewEvent};
pub use feed::Subscription;
pub use handle::SecretStore;
pub use keys::KeySlot;
pub use load::{Loaded, Refused};
pub use maintenance::{Compaction, Verification};
pub use notify::{Delivered, ListNotifications};
pub use request::{
    ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions, RequestToken,
    RequestTokenError, RotateOptions, SecretUpdate,
};
pub use salvage::Salvage;
pub use view::{Page, Rotation, Secret, StageInfo, Version, VersionMetadata};
