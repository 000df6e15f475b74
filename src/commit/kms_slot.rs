//! Slots that open with a data key, which a key manager wraps and unwraps.
//!
//! ```text
//! context   "secretstore:" ‖ hex(store id) ‖ ":slot:" ‖ slot id
//! ```

use std::fmt::Write as _;

use crate::{
    commit::KeyError,
    crypto::MasterKey,
    domain::SecretValue,
    format::KmsParams,
    kms::{KmsContext, KmsError, KmsKey},
};

/// Length of the data keys that open slots, in bytes.
const DATA_KEY_LEN: usize = 32;

/// Longest wrapped data key that is kept, in bytes: all slots have to fit into a key file.
const WRAPPED_LEN_MAX: usize = 8 * 1024;

/// Longest name of a provider, in bytes.
const PROVIDER_LEN_MAX: usize = 64;

/// Has a data key made for a new slot: the key, and the slot's parameters.
///
/// What was wrapped is unwrapped at once: a slot that would not open is found now, and not when the
/// store is closed.
pub(super) fn create_data_key(
    key: &KmsKey,
    store_id: &[u8; 16],
    slot_id: u32,
) -> Result<(MasterKey, Vec<u8>), KeyError> {
    let fail = |source| failed(key, source);
    let context = context(store_id, slot_id).map_err(fail)?;
    let made = key.manager().create_data_key(key.key_id(), DATA_KEY_LEN, &context).map_err(fail)?;
    let provider = key.manager().provider();
    if provider.len() > PROVIDER_LEN_MAX || made.wrapped.len() > WRAPPED_LEN_MAX {
        let reason = "the provider's name or the wrapped key is too long for a slot".to_owned();
        return Err(fail(KmsError::Invalid(reason)));
    }
    let data_key = master_key(&made.plaintext).map_err(fail)?;
    let opened = key.manager().decrypt_data_key(key.key_id(), &made.wrapped, &context);
    let opened = master_key(&opened.map_err(fail)?).map_err(fail)?;
    if opened.key() != data_key.key() {
        return Err(fail(KmsError::BadCiphertext));
    }
    let params = KmsParams { provider, key_id: key.key_id().as_str(), wrapped: &made.wrapped };
    Ok((data_key, params.encode().map_err(|_| KeyError::Damaged)?))
}

/// The data key of a slot; none if the slot is not of this key.
pub(super) fn decrypt_data_key(
    key: &KmsKey,
    (store_id, slot_id): (&[u8; 16], u32),
    parameters: &[u8],
) -> Result<Option<MasterKey>, KeyError> {
    let params = KmsParams::parse(parameters).map_err(|_| KeyError::Damaged)?;
    if params.provider != key.manager().provider() || params.key_id != key.key_id().as_str() {
        return Ok(None);
    }
    let fail = |source| failed(key, source);
    let context = context(store_id, slot_id).map_err(fail)?;
    let opened = key.manager().decrypt_data_key(key.key_id(), params.wrapped, &context);
    master_key(&opened.map_err(fail)?).map(Some).map_err(fail)
}

/// It decrypted a slot of its own, and to something that does not open it.
pub(super) fn wrong_answer(key: &KmsKey) -> KeyError {
    failed(key, KmsError::BadCiphertext)
}

fn failed(key: &KmsKey, source: KmsError) -> KeyError {
    KeyError::Kms { key_id: key.key_id().to_string(), source }
}

/// What a data key is bound to.
fn context(store_id: &[u8; 16], slot_id: u32) -> Result<KmsContext, KmsError> {
    let mut text = "secretstore:".to_owned();
    for byte in store_id {
        // Writing to a text cannot fail.
        _ = write!(text, "{byte:02x}");
    }
    _ = write!(text, ":slot:{slot_id}");
    text.parse().map_err(|_| KmsError::Invalid("the context".to_owned()))
}

/// A key manager that gives another length, or a key that is none, is not to be trusted with a store.
fn master_key(data_key: &SecretValue) -> Result<MasterKey, KmsError> {
    let refused = || KmsError::Invalid("it did not give a key of 32 bytes".to_owned());
    let bytes = data_key.expose().try_into().map_err(|_| refused())?;
    MasterKey::from_bytes(bytes).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_names_store_and_slot_and_is_no_longer_than_allowed() {
        let longest = context(&[0xa5; 16], u32::MAX).unwrap();
        let want = format!("secretstore:{}:slot:4294967295", "a5".repeat(16));
        assert_eq!(longest.as_str(), want);
        assert!(want.len() <= 60);
    }
}
