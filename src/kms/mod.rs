//! The key manager: what the store asks of one. Its own is the store itself, with keys in its local ring.

mod key;
mod port;

pub use self::{
    key::KmsKey,
    port::{DataKey, KeyInfo, KeyList, KeyPage, Kms, KmsContext, KmsContextError, KmsError},
};
