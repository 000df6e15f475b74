//! The key manager: what the store asks of one. Its own is the store itself, with keys in its local ring.

mod port;

pub use self::port::{
    DataKey, KeyInfo, KeyList, KeyPage, Kms, KmsContext, KmsContextError, KmsError,
};
