//! Access: who calls, what policies say, and what they come to. Rules only: nothing here reads or writes.

mod json;
mod pattern;
mod policy;
mod principal;
mod session;

pub(crate) use self::session::{DATABASE_ROTATION_NEEDS, Session};
pub use self::{
    policy::{Effect, Policy, PolicyError, Statement},
    principal::{Principal, PrincipalError},
};
