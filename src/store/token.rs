//! Request tokens: names of requests, so that repeating one does nothing more.

use std::{fmt, str::FromStr};

/// Longest request token, in bytes.
const TOKEN_LEN_MAX: usize = 128;

/// A name that a caller gives to one request, so that repeating the request does nothing more
/// (csms.md 8.1 row 21: CSMS has none).
///
/// 1 to 128 printable ASCII characters without spaces, such as a UUID. A secret remembers the last
/// 32 tokens; they are not stored themselves, only keyed hashes of them. Moving or deleting a
/// label, changing metadata or an expiry needs no token: done twice, it is as done once.
#[derive(Clone, Eq, PartialEq)]
pub struct RequestToken(Box<str>);

impl RequestToken {
    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the token: the store writes none in the clear, and what is printed ends in logs on a disk.
impl fmt::Debug for RequestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestToken(..)")
    }
}

impl FromStr for RequestToken {
    type Err = RequestTokenError;

    fn from_str(text: &str) -> Result<Self, RequestTokenError> {
        let sound = (1..=TOKEN_LEN_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(text.into())) } else { Err(RequestTokenError) }
    }
}

/// A text that is no request token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a request token is 1 to {TOKEN_LEN_MAX} printable ASCII characters without spaces")]
pub struct RequestTokenError;
