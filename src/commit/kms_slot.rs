//! Slots that open with a data key, which a key manager wraps and unwraps.
//!
//! ```text
//! parameters   provider ‖ key id ‖ key version (empty) ‖ wrapped data key, each behind its u16 length
//! context      "secretstore:" ‖ hex(store id) ‖ ":slot:" ‖ slot id
//! ```

use std::fmt::Write as _;

use crate::{
    commit::KeyError,
    crypto::MasterKey,
    domain::SecretValue,
    kms::{KmsContext, KmsError, KmsKey},
};

/// Length of the data keys that open slots, in bytes.
const DATA_KEY_LEN: usize = 32;

/// Longest wrapped data key that is kept, in bytes: all slots have to fit into a key file.
const WRAPPED_LEN_MAX: usize = 8 * 1024;

/// Longest name of a provider, in bytes.
const PROVIDER_LEN_MAX: usize = 64;

/// What a slot says of the data key that opens it. Nothing of it is secret.
#[derive(Debug)]
pub(super) struct KmsParams<'a> {
    pub(super) provider: &'a str,
    pub(super) key_id: &'a str,
    wrapped: &'a [u8],
}

impl<'a> KmsParams<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, KeyError> {
        let mut rest = bytes;
        let mut next = || {
            let (len, behind) = rest.split_first_chunk::<2>()?;
            let (field, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            rest = behind;
            Some(field)
        };
        let fields = (next(), next(), next(), next());
        let (Some(provider), Some(key_id), Some(_version), Some(wrapped)) = fields else {
            return Err(KeyError::Damaged);
        };
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| KeyError::Damaged);
        match rest.is_empty() {
            true => Ok(Self { provider: text(provider)?, key_id: text(key_id)?, wrapped }),
            false => Err(KeyError::Damaged),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, KeyError> {
        let mut bytes = Vec::new();
        let fields = [self.provider.as_bytes(), self.key_id.as_bytes(), &[], self.wrapped];
        for field in fields {
            let len = u16::try_from(field.len()).map_err(|_| KeyError::Damaged)?;
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(field);
        }
        Ok(bytes)
    }
}

/// Has a data key made for a new slot: the key, and the slot's parameters.
///
/// What was wrapped is unwrapped at once: a slot that would not open is found now, and not when the
/// store is closed.
pub(super) fn create_data_key(
    key: &KmsKey,
    store_id: &[u8; 16],
    slot_id: u32,
) -> Result<(MasterKey, Vec<u8>), KeyError> {
    let fail = |err| KeyError::Kms { key_id: key.key_id().to_string(), source: err };
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
    Ok((data_key, params.encode()?))
}

/// The data key of a slot; none if the slot is not of this key.
pub(super) fn decrypt_data_key(
    key: &KmsKey,
    (store_id, slot_id): (&[u8; 16], u32),
    parameters: &[u8],
) -> Result<Option<MasterKey>, KeyError> {
    let params = KmsParams::parse(parameters)?;
    if params.provider != key.manager().provider() || params.key_id != key.key_id().as_str() {
        return Ok(None);
    }
    let fail = |err| KeyError::Kms { key_id: key.key_id().to_string(), source: err };
    let context = context(store_id, slot_id).map_err(fail)?;
    let opened = key.manager().decrypt_data_key(key.key_id(), params.wrapped, &context);
    master_key(&opened.map_err(fail)?).map(Some).map_err(fail)
}

/// It decrypted a slot of its own, and to something that does not open it.
pub(super) fn wrong_answer(key: &KmsKey) -> KeyError {
    KeyError::Kms { key_id: key.key_id().to_string(), source: KmsError::BadCiphertext }
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
    fn parameters_read_back_and_every_cut_is_refused() {
        let params = KmsParams { provider: "local", key_id: "csms/default", wrapped: &[7; 60] };
        let bytes = params.encode().unwrap();
        assert_eq!(bytes[..7], *b"\0\x05local");
        let KmsParams { provider, key_id, wrapped } = KmsParams::parse(&bytes).unwrap();
        assert_eq!((provider, key_id, wrapped), ("local", "csms/default", &[7; 60][..]));
        for cut in 0..bytes.len() {
            assert!(KmsParams::parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(KmsParams::parse(&[&bytes[..], &[0]].concat()).is_err());
        let no_text = [b"\0\x01\xff".as_slice(), &bytes[7..]].concat();
        assert!(KmsParams::parse(&no_text).is_err());
    }

    #[test]
    fn a_context_names_store_and_slot_and_is_no_longer_than_allowed() {
        let longest = context(&[0xa5; 16], u32::MAX).unwrap();
        let want = format!("secretstore:{}:slot:4294967295", "a5".repeat(16));
        assert_eq!(longest.as_str(), want);
        assert!(want.len() <= 60);
    }
}
