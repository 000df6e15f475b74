//! What the public error is made of when the disk, a commit or the key file fails.

use std::{io, sync::Arc};

use crate::{
    commit::{EngineError, KeyError},
    error::{Error, Limit, Missing},
    storage::StorageError,
};

impl From<EngineError> for Error {
    fn from(err: EngineError) -> Self {
        match err {
            EngineError::Closed => Self::InvalidState,
            // Lost races are tried again by the store, which knows the name.
            EngineError::Conflict | EngineError::Poisoned => Self::Poisoned,
            EngineError::Key(key_id, trouble) => {
                Self::Key { key_id: key_id.to_string(), reason: trouble.to_string() }
            }
            EngineError::Random => Self::Random,
            EngineError::Storage(err) => match Arc::try_unwrap(err) {
                Ok(err) => err.into(),
                Err(shared) => Self::of_shared(&shared),
            },
            EngineError::Tampered(what) => Self::Tampered { what: what.to_owned() },
            EngineError::TooLarge => Self::invalid("change", "it is larger than one commit may be"),
        }
    }
}

impl Error {
    /// Several writers of one group get the same error, which cannot be taken apart.
    fn of_shared(err: &Arc<StorageError>) -> Self {
        match &**err {
            StorageError::Io(io) => {
                let source = match io.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(io.kind(), Arc::clone(err)),
                };
                Self::Storage { source }
            }
            StorageError::Corrupt(what) => Self::Damaged { what: what.clone() },
            StorageError::Panicked => Self::Damaged { what: StorageError::Panicked.to_string() },
            StorageError::Closed => Self::InvalidState,
        }
    }
}

impl From<StorageError> for Error {
    fn from(err: StorageError) -> Self {
        match err {
            StorageError::Io(source) => Self::Storage { source },
            other => Self::of_shared(&Arc::new(other)),
        }
    }
}

impl From<KeyError> for Error {
    fn from(err: KeyError) -> Self {
        match err {
            KeyError::Damaged | KeyError::Missing => Self::Damaged { what: err.to_string() },
            KeyError::Forged => Self::Tampered { what: "the key file".to_owned() },
            KeyError::Format(found) => Self::UnsupportedFormat { found },
            KeyError::Io(source) => Self::Storage { source },
            KeyError::Kms { key_id, source } => Self::KeyManager { key_id, source },
            KeyError::LabelTooLong
            | KeyError::LastSlot
            | KeyError::Limits(_)
            | KeyError::TooLarge => Self::invalid("key slot", err.to_string()),
            KeyError::NoSuchSlot(id) => Self::NotFound(Missing::KeySlot(id)),
            KeyError::Random(_) => Self::Random,
            KeyError::TooManySlots { asked, max } => {
                Self::LimitExceeded { what: Limit::KeySlots, asked, max }
            }
            KeyError::WrongKey => Self::WrongKey,
        }
    }
}
