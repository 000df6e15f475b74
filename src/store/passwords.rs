//! Passwords that callers ask for.

use super::SecretStore;
use crate::{
    crypto::random,
    domain::{Action, PasswordPolicy, PasswordRequest, SecretValue, ValueKind},
    error::Error,
    rotation::{generate, generate_asked},
};

impl SecretStore {
    /// Makes up a random password as it is asked for (csms.md 3.8). Nothing is read or written: keep
    /// it yourself, or store it with [`put_version`](Self::put_version).
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if no password keeps the request; see
    ///   [`PasswordRequestError`](crate::PasswordRequestError).
    /// * [`Error::Random`] if the operating system gives no randomness.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{NewSecret, PasswordRequest};
    ///
    /// let request = PasswordRequest::new().length(24).exclude_characters("\"'\\@/");
    /// let password = store.generate_password(&request.require_each_included_type(true))?;
    /// assert_eq!(password.expose().len(), 24);
    /// store.create_secret(NewSecret::new("smtp-password".parse()?, password))?;
    ///
    /// assert!(store.generate_password(&PasswordRequest::new().length(0)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "GenerateRandomPassword")]
    #[doc(alias = "GetRandomPassword")]
    pub fn generate_password(&self, request: &PasswordRequest) -> Result<SecretValue, Error> {
        self.permit(Action::GeneratePassword, None)?;
        let recipe = request.recipe()?;
        // The request can be kept, so only the source can have failed.
        let made = generate_asked(&recipe, &mut |bytes| random::fill(bytes));
        SecretValue::from_parts(made.map_err(|_| Error::Random)?, ValueKind::Text)
            .map_err(|_| Error::Random)
    }

    /// Makes up a random password by a policy, as a rotation does (csms.md 8.3 row 66). Nothing is
    /// read or written.
    ///
    /// # Errors
    ///
    /// [`Error::Random`] if the operating system gives no randomness.
    pub fn generate_password_by(&self, policy: &PasswordPolicy) -> Result<SecretValue, Error> {
        self.permit(Action::GeneratePassword, None)?;
        let made = generate(policy, &[], &mut |bytes| random::fill(bytes));
        SecretValue::from_parts(made.map_err(|_| Error::Random)?, ValueKind::Text)
            .map_err(|_| Error::Random)
    }
}
