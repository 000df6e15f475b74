//! Passwords that callers ask for.

use super::{Builder, SecretStore};
use crate::{
    crypto::random,
    domain::{Action, PasswordPolicy, PasswordPolicyName, PasswordRequest, SecretValue, ValueKind},
    error::{Error, Missing},
    rotation::{generate, generate_asked},
};

impl<Key> Builder<Key> {
    /// Gives the store a password policy under a name, by which
    /// [requests](PasswordRequest::policy_name) can ask for it. None by default; of two of one name the
    /// later one counts.
    pub fn named_password_policy(
        mut self,
        name: PasswordPolicyName,
        policy: PasswordPolicy,
    ) -> Self {
        self.settings.named_password_policies.insert(name, policy);
        self
    }
}

impl SecretStore {
    /// Makes up a random password as it is asked for (csms.md 3.8). Nothing is read or written: keep
    /// it yourself, or store it with [`put_version`](Self::put_version).
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if no password keeps the request, or it names a policy and sets
    ///   other options; see [`PasswordRequestError`](crate::PasswordRequestError).
    /// * [`Error::NotFound`] if the store was given no policy of the name that it asks for.
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
    ///
    /// By a policy with a name:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (key, path) = (strongroom::MasterKey::generate()?, dir.path().join("s"));
    /// use strongroom::{PasswordPolicy, PasswordRequest, SecretStore};
    ///
    /// let store = SecretStore::builder()
    ///     .master_key(key)
    ///     .named_password_policy("mysql".parse()?, PasswordPolicy::huawei_rds_mysql())
    ///     .create(path)?;
    /// let request = PasswordRequest::new().policy_name("mysql".parse()?);
    /// assert_eq!(store.generate_password(&request)?.expose().len(), 24);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "GenerateRandomPassword")]
    #[doc(alias = "GetRandomPassword")]
    pub fn generate_password(&self, request: &PasswordRequest) -> Result<SecretValue, Error> {
        self.permit(Action::GeneratePassword, None)?;
        if let Some(name) = request.named_policy()? {
            let policy = self.inner.named_password_policies.get(name);
            let missing = || Error::NotFound(Missing::PasswordPolicy(name.as_str().to_owned()));
            return self.generate_password_by(policy.ok_or_else(missing)?);
        }
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
