//! A caller with his policies: what he may do, and what he lacks.

use crate::{
    access::{Effect, Policy, Principal, Statement},
    domain::{Action, SecretName},
};

/// What an action takes beside the permission of its own name (csms.md 3.9): a value is sealed under a data
/// key, so whoever stores one has one made, and whoever reads one has one decrypted.
const NEEDS: &[(Action, &[Action])] = &[
    (Action::CreateVersion, &[Action::CreateDataKey]),
    (Action::GetVersion, &[Action::DecryptDataKey]),
    (Action::BatchGetValue, &[Action::DecryptDataKey]),
];

/// What rotating a secret of a database takes beside `csms:secret:rotate` (csms.md 3.1): to set the password
/// of the database, and to have a data key made and decrypted under a key that is looked up.
pub(crate) const DATABASE_ROTATION_NEEDS: [Action; 5] = [
    Action::SetDatabasePassword,
    Action::GetKey,
    Action::ListKeys,
    Action::CreateDataKey,
    Action::DecryptDataKey,
];

/// A principal and what he may do.
#[derive(Debug)]
pub(crate) struct Session {
    principal: Principal,
    policies: Vec<Policy>,
}

impl Session {
    pub(crate) fn new(principal: Principal, policies: Vec<Policy>) -> Self {
        Self { principal, policies }
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The first permission that is missing for an action, on a secret or on none.
    pub(crate) fn lacks(&self, action: Action, on: Option<&SecretName>) -> Option<Action> {
        let needs = NEEDS.iter().find(|(of, _)| *of == action).map_or(&[][..], |(_, needs)| needs);
        std::iter::once(&action).chain(needs).copied().find(|action| !self.allows(*action, on))
    }

    /// Whether there may be a secret on which an action is allowed. For listings, which leave out what is
    /// not.
    pub(crate) fn allows_somewhere(&self, action: Action) -> bool {
        let speaks = |effect: Effect| {
            self.statements().filter(move |of| of.effect == effect && of.means(action))
        };
        !speaks(Effect::Deny).any(Statement::is_about_all) && speaks(Effect::Allow).next().is_some()
    }

    /// A denial wins; what nobody allowed is denied.
    fn allows(&self, action: Action, on: Option<&SecretName>) -> bool {
        let mut allowed = false;
        for statement in self.statements().filter(|statement| statement.applies(action, on)) {
            match statement.effect {
                Effect::Deny => return false,
                Effect::Allow => allowed = true,
            }
        }
        allowed
    }

    fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.policies.iter().flat_map(|policy| &policy.statements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(policies: &[&[Statement]]) -> Session {
        let policies = policies.iter().map(|of| Policy::new(of.to_vec()).unwrap()).collect();
        Session::new("ann".parse().unwrap(), policies)
    }

    fn allow(actions: &[&str], names: &[&str]) -> Statement {
        Statement::allow(actions).unwrap().on(names).unwrap()
    }

    fn deny(actions: &[&str], names: &[&str]) -> Statement {
        Statement::deny(actions).unwrap().on(names).unwrap()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a case for each rule")]
    fn what_nobody_allowed_is_denied_and_a_denial_wins() {
        let (get, list) = (Action::GetSecret, Action::ListSecrets);
        let cases: &[(&str, Session, Action, Option<&str>, bool)] = &[
            ("no policy", session(&[]), get, Some("a"), false),
            (
                "another action",
                session(&[&[allow(&["csms:secret:list"], &["*"])]]),
                get,
                Some("a"),
                false,
            ),
            ("another secret", session(&[&[allow(&["csms:*"], &["b*"])]]), get, Some("a"), false),
            ("this one", session(&[&[allow(&["csms:*"], &["b*", "a"])]]), get, Some("a"), true),
            (
                "a denial behind",
                session(&[&[allow(&["*"], &["*"]), deny(&["csms:secret:get"], &["a"])]]),
                get,
                Some("a"),
                false,
            ),
            (
                "a denial before",
                session(&[&[deny(&["csms:secret:get"], &["a"]), allow(&["*"], &["*"])]]),
                get,
                Some("a"),
                false,
            ),
            (
                "a denial in another policy",
                session(&[&[allow(&["*"], &["*"])], &[deny(&["csms:*"], &["*"])]]),
                get,
                Some("a"),
                false,
            ),
            (
                "a denial of another secret",
                session(&[&[allow(&["*"], &["*"]), deny(&["*"], &["b"])]]),
                get,
                Some("a"),
                true,
            ),
            ("only denials", session(&[&[deny(&["csms:*"], &["b"])]]), get, Some("a"), false),
            (
                "no secret, allowed for all",
                session(&[&[allow(&["csms:*"], &["*"])]]),
                Action::CreateEvent,
                None,
                true,
            ),
            (
                "no secret, allowed for some",
                session(&[&[allow(&["csms:*"], &["a*"])]]),
                Action::CreateEvent,
                None,
                false,
            ),
            (
                "no secret, denied for some",
                session(&[&[allow(&["*"], &["*"]), deny(&["*"], &["a*"])]]),
                list,
                None,
                true,
            ),
            (
                "what only the embedder may",
                session(&[&[allow(&["*"], &["*"])]]),
                Action::OpenSession,
                None,
                false,
            ),
        ];
        for (what, session, action, on, want) in cases {
            let name = on.map(|name| name.parse().unwrap());
            let lacks = session.lacks(*action, name.as_ref());
            assert_eq!(lacks, (!want).then_some(*action), "case: {what}");
        }
    }

    #[test]
    fn a_value_takes_its_data_key_too() {
        let name: SecretName = "a".parse().unwrap();
        let of = |actions: &[&str]| session(&[&[allow(actions, &["*"])]]);
        let cases = [
            (Action::GetVersion, "csms:secret:getVersion", "kms:cmk:decryptDataKey"),
            (Action::BatchGetValue, "csms:secret:batchGetSecretValue", "kms:cmk:decryptDataKey"),
            (Action::CreateVersion, "csms:secret:createVersion", "kms:cmk:createDataKey"),
        ];
        for (action, own, other) in cases {
            let missing = |given: &[&str]| of(given).lacks(action, Some(&name)).map(Action::as_str);
            assert_eq!(missing(&[own]), Some(other));
            assert_eq!(missing(&[other]), Some(own));
            assert_eq!(missing(&[own, other]), None);
        }
    }

    #[test]
    fn a_listing_is_allowed_if_something_can_be_in_it() {
        let list = Action::ListSecrets;
        let cases = [
            ("nothing", session(&[]), false),
            ("some", session(&[&[allow(&["csms:secret:list"], &["a*"])]]), true),
            ("some, less some", session(&[&[allow(&["*"], &["a*"]), deny(&["*"], &["b*"])]]), true),
            ("some, less all", session(&[&[allow(&["*"], &["a*"]), deny(&["*"], &["*"])]]), false),
            ("another action", session(&[&[allow(&["csms:secret:get"], &["a*"])]]), false),
        ];
        for (what, session, want) in cases {
            assert_eq!(session.allows_somewhere(list), want, "case: {what}");
        }
    }

    #[test]
    fn the_system_policies_allow_what_they_are_called_after() {
        let of = |text: &str| Session::new("ann".parse().unwrap(), vec![text.parse().unwrap()]);
        let (full, read) = (of(Policy::FULL_ACCESS), of(Policy::READ_ONLY_ACCESS));
        for action in Action::ALL {
            let text = action.as_str();
            let of_cloud = text.starts_with("csms:") || text.starts_with("kms:");
            assert_eq!(full.allows(*action, None), of_cloud, "{action}");
            let last = text.rsplit(':').next().unwrap();
            let reads = last.starts_with("get") || last.starts_with("list");
            assert_eq!(read.allows(*action, None), of_cloud && reads, "{action}");
        }
        let name: SecretName = "a".parse().unwrap();
        assert_eq!(full.lacks(Action::GetVersion, Some(&name)), None);
        let missing = read.lacks(Action::GetVersion, Some(&name));
        assert_eq!(missing, Some(Action::DecryptDataKey), "metadata only");
    }
}
