//! The facade: check, plan, commit, translate.

mod admit;
mod builder;
mod change;
mod due_rotations;
mod handle;
mod keys;
mod lifecycle;
mod load;
mod maintenance;
mod passwords;
mod request;
mod rotate;
mod rotation_policy;
mod salvage;
mod scheduler;
mod secrets;
mod stages;
mod sweep;
#[cfg(test)]
mod tampering;
mod tasks;
mod turns;
mod version_states;
mod versions;
mod view;

pub use builder::{Builder, HasKey, NoKey, Verify};
pub use due_rotations::{DueRotations, FailedRotation};
pub use handle::SecretStore;
pub use keys::KeySlot;
pub use load::{Loaded, Refused};
pub use maintenance::{Compaction, Verification};
pub use request::{
    ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions, RequestToken,
    RequestTokenError, RotateOptions, SecretUpdate,
};
pub use salvage::Salvage;
pub use scheduler::{Scheduler, SchedulerError, SchedulerOptions};
pub use sweep::Swept;
pub use tasks::{ListTasks, RotationTask, TaskPage};
pub use view::{Page, Rotation, Secret, StageInfo, Version, VersionMetadata};
