//! Rotation policies: in requests, and in what is told of a secret.

use super::{NewSecret, Secret, SecretStore, SecretUpdate};
use crate::{
    domain::{
        FunctionUrn, RotationConfig, RotationPeriod, RotationPolicy, RotationRuleError,
        RotationRules, SecretName, SecretType, Timestamp,
    },
    error::Error,
    records::Seen,
};

impl NewSecret {
    /// Sets whether and when the secret is rotated by itself (csms.md 3.1, 4.1). By default it is not.
    pub fn rotation(self, rotation: RotationRules) -> Self {
        Self { rotation, ..self }
    }

    /// Sets the rotation configuration, which never changes later (csms.md 2.1, 4.1).
    ///
    /// CSMS asks for one with the types `RDS-FG` and `GaussDB-FG`; this store does if
    /// [its limits](crate::Limits::with_rotation_config_required) say so.
    pub fn rotation_config(self, config: RotationConfig) -> Self {
        Self { rotation_config: Some(config), ..self }
    }
}

impl SecretUpdate {
    /// Changes whether and when the secret is rotated by itself (csms.md 3.1, 4.1). What the rules do
    /// not name stays.
    ///
    /// Automatic rotation of a secret of type COMMON is an [`Error::Constraint`](crate::Error), and one
    /// without a period, now or from before, an [`Error::InvalidArgument`](crate::Error). A rotation
    /// under way goes on; see [`cancel_rotation`](SecretStore::cancel_rotation).
    pub fn rotation(self, rotation: RotationRules) -> Self {
        Self { rotation, ..self }
    }
}

impl SecretStore {
    /// The policy of a new secret, if it is not the default one.
    pub(super) fn rotation_of_new(
        &self,
        new: &NewSecret,
        at: Timestamp,
    ) -> Result<Option<RotationPolicy>, Error> {
        let required = self.inner.limits.rotation_config_required()
            && matches!(new.secret_type, SecretType::RdsFg | SecretType::GaussDbFg);
        if required && new.rotation_config.is_none() {
            let reason = format!("a secret of type {} needs one", new.secret_type);
            return Err(Error::invalid("rotation config", reason));
        }
        let before =
            RotationPolicy { config: new.rotation_config.clone(), ..RotationPolicy::default() };
        let policy = before
            .with_rules(&new.rotation, &new.secret_type, at)
            .map_err(|err| of_rule(&new.name, err))?;
        Ok(Some(policy).filter(|policy| *policy != RotationPolicy::default()))
    }
}

impl SecretUpdate {
    /// The policy that the update gives a secret, if it is another one.
    pub(super) fn rotation_of(
        &self,
        seen: &Seen,
        at: Timestamp,
    ) -> Result<Option<RotationPolicy>, Error> {
        let secret = &seen.secret.body;
        let policy = secret
            .rotation
            .with_rules(&self.rotation, &secret.secret_type, at)
            .map_err(|err| of_rule(&secret.name, err))?;
        Ok(Some(policy).filter(|policy| *policy != secret.rotation))
    }
}

fn of_rule(name: &SecretName, err: RotationRuleError) -> Error {
    match err {
        RotationRuleError::Common => Error::constraint(name, err.to_string()),
        RotationRuleError::NoPeriod => Error::invalid("rotation period", err.to_string()),
    }
}

impl Secret {
    /// Whether it is rotated by itself (csms.md 4.1).
    #[must_use]
    pub fn auto_rotation(&self) -> bool {
        self.policy().is_some_and(RotationPolicy::is_automatic)
    }

    /// The time between two automatic rotations. It is kept when they are switched off.
    #[must_use]
    pub fn rotation_period(&self) -> Option<&RotationPeriod> {
        self.policy()?.period()
    }

    /// The rotation configuration it was created with.
    #[must_use]
    pub fn rotation_config(&self) -> Option<&RotationConfig> {
        self.policy()?.config.as_ref()
    }

    /// The function that rotates it.
    #[must_use]
    pub fn rotation_func_urn(&self) -> Option<&FunctionUrn> {
        self.policy()?.function_urn.as_ref()
    }

    /// When it is rotated next by itself: a period after the last rotation, or after automatic rotation
    /// was switched on (csms.md 4.1). While attempts fail, the time of the next attempt; after all have
    /// failed, or a cancellation, a period later. It may have passed.
    #[must_use]
    pub fn next_rotation(&self) -> Option<Timestamp> {
        self.policy()?.next(self.rotated()).map(Timestamp::whole_seconds)
    }

    fn policy(&self) -> Option<&RotationPolicy> {
        self.0.rotation.as_deref()
    }
}
