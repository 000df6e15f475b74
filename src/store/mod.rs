//! The facade: check, plan, commit, translate.

mod backup;
mod batch;
mod blob;
mod builder;
mod change;
mod handle;
mod keys;
mod load;
mod maintenance;
mod moves;
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

pub use backup::BackupInfo;
pub use batch::BatchValues;
pub use builder::{Builder, HasKey, NoKey, Verify};
pub use handle::SecretStore;
pub use keys::KeySlot;
pub use load::{Loaded, Refused};
pub use maintenance::{Compaction, Verification};
pub use moves::StageMove;
pub use request::{
    ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions, RequestToken,
    RequestTokenError, RestoreOptions, RotateOptions, SecretUpdate,
};
pub use salvage::Salvage;
pub use view::{Page, Rotation, Secret, StageInfo, Version, VersionMetadata};
