//! The facade: check, plan, commit, translate.

mod builder;
mod change;
mod handle;
mod keys;
mod maintenance;
mod request;
mod rotate;
mod secrets;
mod stages;
mod turns;
mod versions;
mod view;

pub use builder::{Builder, HasKey, NoKey, Verify};
pub use handle::SecretStore;
pub use keys::KeySlot;
pub use maintenance::Verification;
pub use request::{
    ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions, RequestToken,
    RequestTokenError, RotateOptions, SecretUpdate,
};
pub use view::{Page, Rotation, Secret, StageInfo, Version, VersionMetadata};
