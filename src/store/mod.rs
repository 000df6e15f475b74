//! The facade: check, plan, commit, translate.

mod admit;
mod audit;
mod backup;
mod batch;
mod blob;
mod bounds;
mod builder;
mod change;
mod due_rotations;
mod events;
mod feed;
mod find;
mod handle;
mod keys;
mod kms;
mod lifecycle;
mod load;
mod maintenance;
mod moves;
mod notify;
mod passwords;
mod place;
mod request;
mod rotate;
mod rotation_policy;
mod salvage;
mod scheduler;
mod secrets;
mod session;
mod stages;
mod sweep;
mod tags;
#[cfg(test)]
mod tampering;
mod tasks;
mod token;
mod turns;
mod version_states;
mod version_update;
mod versions;
mod view;

pub use audit::{AuditQuery, PrunedAudit};
pub use backup::BackupInfo;
pub use batch::BatchValues;
pub use blob::RestoreOptions;
pub use builder::{Builder, HasKey, NoKey, Verify};
pub use due_rotations::{DueRotations, FailedRotation};
pub use events::{EventUpdate, ListEvents, NewEvent};
pub use feed::Subscription;
pub use handle::SecretStore;
pub use keys::KeySlot;
pub use load::{Loaded, Refused};
pub use maintenance::{Compaction, Verification};
pub use moves::StageMove;
pub use notify::{Delivered, ListNotifications};
pub use request::{
    FindSecrets, ListSecrets, ListVersions, NewSecret, NewVersion, Preconditions, RotateOptions,
    SecretUpdate,
};
pub use salvage::Salvage;
pub use scheduler::{Scheduler, SchedulerError, SchedulerOptions};
pub use sweep::Swept;
pub use tasks::{ListTasks, RotationTask, TaskPage};
pub use token::{RequestToken, RequestTokenError};
pub use version_update::VersionUpdate;
pub use view::{Page, Rotation, Secret, StageInfo, Version, VersionMetadata};
