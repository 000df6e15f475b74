//! New passwords, and where they go in a secret's value.

mod accounts;
mod generator;

pub(crate) use accounts::{ReplaceError, ShapeError, check, with_new_password};
pub(crate) use generator::{GenerateError, generate, generate_asked};
