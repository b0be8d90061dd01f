//! On whose behalf the present request runs: whatever it writes names its actor without being told, and what it showed of
//! clients to people who work for the house is counted.
use super::{Identity, Subject};
use crate::lock;
use moneta_types::UserId;
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
};

/// Accesses of one request that are told one by one; one that reaches more clients is told as reaching all.
const MOST: usize = 200;

/// Who acts in a request that nobody signed in for.
const ANONYMOUS: &str = "anonymous";

tokio::task_local! {
    static REQUEST: Arc<Acting>;
}

/// What was done with a client's data that must not go unrecorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shown {
    /// Somebody who works for the house saw what is this client's; none: what is of clients in general.
    StaffRead(Option<UserId>),
    /// A copy of everything that is this client's was handed out.
    Export(UserId),
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Acting {
    actor: Option<String>,
    /// The caller is a service, which acts for nobody.
    service_alone: bool,
    accesses: Mutex<BTreeSet<Shown>>,
}

impl Acting {
    /// A request by a caller, or by nobody who signed in.
    pub(crate) fn new(caller: Option<&Identity>) -> Arc<Self> {
        let service_alone = caller.is_some_and(|caller| caller.is_service() && caller.on_behalf_of.is_none());
        Arc::new(Self { actor: caller.map(Identity::actor), service_alone, accesses: Mutex::default() })
    }

    /// Runs the request.
    pub(crate) async fn within<F: Future>(self: &Arc<Self>, request: F) -> F::Output {
        REQUEST.scope(Arc::clone(self), request).await
    }

    /// What was accessed so far.
    pub(crate) fn accesses(&self) -> BTreeSet<Shown> {
        lock(&self.accesses).clone()
    }
}

/// Who acts now, or else `otherwise`. A signed-in caller is always himself: nobody may name another in his request.
pub(crate) fn actor(named: &str, otherwise: &str) -> String {
    let of_request = REQUEST.try_with(|acting| acting.actor.clone()).ok();
    match (of_request, named) {
        (Some(Some(caller)), _) => caller,
        (Some(None), "") => ANONYMOUS.to_owned(),
        (None, "") => otherwise.to_owned(),
        (_, named) => named.to_owned(),
    }
}

/// Who is behind a request with which a service stands for somebody who is not signed in: the gateway, at a sign-in. A person who
/// is signed in, or for whom a service acts, is still always himself.
pub(crate) fn vouched(named: &str, otherwise: &str) -> String {
    let alone = REQUEST.try_with(|acting| acting.service_alone).unwrap_or(false);
    if alone && !named.is_empty() { named.to_owned() } else { actor(named, otherwise) }
}

/// Notes an access in the present request; outside of one the platform itself looks.
pub(super) fn note(access: Shown) {
    let _ = REQUEST.try_with(|acting| {
        let mut accesses = lock(&acting.accesses);
        let general = Shown::StaffRead(None);
        let room = accesses.len() < MOST;
        accesses.insert(if room { access } else { general });
    });
}

impl Identity {
    /// The caller as the audit log names him: a user's id, `service:NAME`, or `service:NAME for USER`.
    pub fn actor(&self) -> String {
        match (&self.kind, self.on_behalf_of) {
            (Subject::User(user), _) => user.to_string(),
            (Subject::Service(name), None) => format!("service:{name}"),
            (Subject::Service(name), Some(user)) => format!("service:{name} for {user}"),
        }
    }

    /// Says that the answer shows what is of clients in general (a list of all of them). When the caller works for the
    /// house, that becomes an entry of the audit log.
    pub fn sees_clients(&self) {
        if self.is_staff() {
            note(Shown::StaffRead(None));
        }
    }

    /// Says that the answer shows what is this client's, where [`Identity::may_see`] was not asked.
    pub fn sees_client(&self, client: UserId) {
        if self.is_staff() && self.user_id() != Some(client) {
            note(Shown::StaffRead(Some(client)));
        }
    }

    /// Says that the answer is a copy of everything that is this client's, whoever asked for it.
    pub fn exports(&self, client: UserId) {
        note(Shown::Export(client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;

    fn user(nth: u128) -> UserId {
        UserId::from_uuid(uuid::Uuid::from_u128(nth))
    }

    #[test]
    fn a_caller_is_named_with_the_one_for_whom_he_acts() {
        assert_eq!(Identity::user(user(1), &[Role::Investor]).actor(), user(1).to_string());
        assert_eq!(Identity::service("advisor", None).actor(), "service:advisor");
        assert_eq!(Identity::service("advisor", Some(user(1))).actor(), format!("service:advisor for {}", user(1)));
    }

    #[tokio::test]
    async fn a_signed_in_caller_cannot_act_in_another_name() {
        assert_eq!(actor("", "service:trading"), "service:trading");
        assert_eq!(actor("operator", "service:trading"), "operator");
        let anna = Acting::new(Some(&Identity::user(user(1), &[Role::Investor])));
        let named = anna.within(async { (actor("", "service:trading"), actor("bob", "service:trading")) }).await;
        assert_eq!(named, (user(1).to_string(), user(1).to_string()));
        let nobody = Acting::new(None);
        let named = nobody.within(async { (actor("", "service:user"), actor("new", "service:user")) }).await;
        assert_eq!(named, ("anonymous".to_owned(), "new".to_owned()));
    }

    #[tokio::test]
    async fn at_a_sign_in_the_person_is_named_and_not_the_service_at_the_door() {
        let said = async |caller: Identity| {
            Acting::new(Some(&caller)).within(async { (vouched("anna", "x"), actor("anna", "x")) }).await
        };
        let door = said(Identity::service("gateway", None)).await;
        assert_eq!(door, ("anna".to_owned(), "service:gateway".to_owned()));
        let signed_in = said(Identity::user(user(1), &[Role::Investor])).await;
        assert_eq!(signed_in.0, user(1).to_string());
        let acting = said(Identity::service("advisor", Some(user(1)))).await;
        assert_eq!(acting.0, format!("service:advisor for {}", user(1)));
    }

    #[tokio::test]
    async fn what_staff_see_of_clients_is_noted_and_nothing_else() {
        let staff = Identity::user(user(9), &[Role::Adviser]);
        let acting = Acting::new(Some(&staff));
        acting
            .within(async {
                staff.may_see(user(1), "order", 7).unwrap();
                staff.may_see(user(1), "order", 8).unwrap();
                staff.may_see(user(9), "order", 9).unwrap();
                Identity::user(user(2), &[Role::Investor]).may_see(user(2), "order", 1).unwrap();
                Identity::user(user(2), &[Role::Investor]).may_see(user(1), "order", 1).unwrap_err();
                Identity::service("advisor", None).may_see(user(1), "order", 1).unwrap();
            })
            .await;
        assert_eq!(acting.accesses(), BTreeSet::from([Shown::StaffRead(Some(user(1)))]));
    }

    #[tokio::test]
    async fn a_request_that_reaches_very_many_is_told_as_reaching_all() {
        let staff = Identity::user(user(9_999), &[Role::Adviser]);
        let acting = Acting::new(Some(&staff));
        acting.within(async { (0..1_000).for_each(|nth| staff.sees_client(user(nth))) }).await;
        assert_eq!(acting.accesses().len(), MOST + 1);
        assert!(acting.accesses().contains(&Shown::StaffRead(None)));
    }
}
