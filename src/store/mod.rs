//! The facade: check, plan, commit, translate.

mod admit;
mod builder;
mod change;
mod handle;
mod keys;
mod kms;
mod lifecycle;
mod load;
mod maintenance;
mod request;
mod rotate;
mod salvage;
mod secrets;
mod session;
mod stages;
mod sweep;
#[cfg(test)]
mod tampering;
mod turns;
mod version_states;
mod versions;
mod view;

pub use builder::{Builder, HasKey, NoKey, Verify};
pub use handle::SecretStore;
pub use keys::KeySlot;
pub use load::{Loaded, Refused};
pub use maintenance::{Compaction, Verification};
pub use request::{
    ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions, RequestToken,
    RequestTokenError, RotateOptions, SecretUpdate,
};
pub use salvage::Salvage;
pub use sweep::Swept;
pub use view::{Page, Rotation, Secret, StageInfo, Version, VersionMetadata};
