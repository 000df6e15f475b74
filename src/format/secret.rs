//! The `secrets` record: what a secret is. Rewritten when its metadata changes.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec};

const SCHEMA: u16 = 1;

/// Metadata of a secret that a rotation does not touch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct SecretV1 {
    pub(crate) name: String,
    pub(crate) sid: [u8; 16],
    pub(crate) secret_type: String,
    pub(crate) description: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) enterprise_project_id: Option<String>,
    pub(crate) rotation: RotationV1,
    pub(crate) event_subscriptions: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
}

/// The rotation policy of a secret.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RotationV1 {
    pub(crate) automatic: bool,
    pub(crate) period: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) function_urn: Option<String>,
}

impl SecretV1 {
    pub(crate) fn encoded_len(&self) -> Result<usize, Malformed> {
        codec::encoded_len_with_schema(self)
    }

    pub(crate) fn encode_into(&self, out: &mut [u8]) -> Result<(), Malformed> {
        codec::encode_with_schema(SCHEMA, self, out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode_with_schema(SCHEMA, bytes)
    }
}
