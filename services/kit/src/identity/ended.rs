//! Sessions that ended before their access tokens did. Every process keeps the whole list in memory: a token is good for
//! an hour at most, so the list is as long as an hour's logouts.
use super::Session;
use moneta_contracts::events::SessionEnded;
use moneta_types::{SessionId, Timestamp, UserId};
use std::collections::HashMap;

/// The longest that an access token is good for, seconds. A token that claims more is refused, so that what is kept here
/// is always enough.
pub const LONGEST_ACCESS_SECONDS: i64 = 3_600;

/// How often the list is swept, seconds.
const SWEEP_SECONDS: i64 = 60;

/// What has ended, each with the second after which no token of it can be left.
#[derive(Debug, Default)]
pub(super) struct Ended {
    sessions: HashMap<SessionId, i64>,
    /// The oldest generation of tokens that is still good.
    users: HashMap<UserId, (u32, i64)>,
    swept: i64,
}

impl Ended {
    /// Takes in what was told; the same again changes nothing.
    pub(super) fn learn(&mut self, event: &SessionEnded, now: i64) {
        let until = seconds(event.at).saturating_add(LONGEST_ACCESS_SECONDS);
        if until <= now {
            return;
        }
        match event.session_id {
            Some(session) => {
                self.sessions.insert(session, until);
            }
            None => {
                let known = self.users.entry(event.user_id).or_insert((event.generation, until));
                *known = (known.0.max(event.generation), known.1.max(until));
            }
        }
        if now.saturating_sub(self.swept) >= SWEEP_SECONDS {
            self.swept = now;
            self.sessions.retain(|_, until| *until > now);
            self.users.retain(|_, (_, until)| *until > now);
        }
    }

    /// Whether tokens of this session are no longer good.
    pub(super) fn holds(&self, user: UserId, session: &Session) -> bool {
        self.sessions.contains_key(&session.id)
            || self.users.get(&user).is_some_and(|(generation, _)| session.generation < *generation)
    }
}

pub(super) const fn seconds(at: Timestamp) -> i64 {
    at.micros() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const NOW: i64 = 1_700_000_000;

    fn event(user: u128, session: Option<u128>, generation: u32, at: i64) -> SessionEnded {
        SessionEnded {
            user_id: UserId::from_uuid(Uuid::from_u128(user)),
            session_id: session.map(|id| SessionId::from_uuid(Uuid::from_u128(id))),
            generation,
            reason: "logged_out".to_owned(),
            at: Timestamp::from_micros(at * 1_000_000),
        }
    }

    fn holds(ended: &Ended, user: u128, session: u128, generation: u32) -> bool {
        let session =
            Session { id: SessionId::from_uuid(Uuid::from_u128(session)), generation, password_change_only: false };
        ended.holds(UserId::from_uuid(Uuid::from_u128(user)), &session)
    }

    #[test]
    fn a_session_ends_alone_and_a_generation_ends_all_that_are_older() {
        let mut ended = Ended::default();
        ended.learn(&event(1, Some(10), 0, NOW), NOW);
        assert!(holds(&ended, 1, 10, 0) && !holds(&ended, 1, 11, 0));
        ended.learn(&event(1, None, 3, NOW), NOW);
        assert!(holds(&ended, 1, 11, 2) && !holds(&ended, 1, 11, 3) && !holds(&ended, 2, 11, 0));
        ended.learn(&event(1, None, 2, NOW), NOW);
        assert!(holds(&ended, 1, 11, 2), "an older event that comes late takes nothing back");
    }

    #[test]
    fn what_no_token_can_outlive_is_forgotten() {
        let mut ended = Ended::default();
        ended.learn(&event(1, Some(10), 0, NOW), NOW);
        ended.learn(&event(2, None, 1, NOW), NOW);
        ended.learn(&event(3, Some(30), 0, NOW - LONGEST_ACCESS_SECONDS), NOW);
        assert_eq!((ended.sessions.len(), ended.users.len()), (1, 1), "what is past from the start is not kept");
        let later = NOW + LONGEST_ACCESS_SECONDS;
        ended.learn(&event(4, Some(40), 0, later), later);
        assert_eq!((ended.sessions.len(), ended.users.len()), (1, 0));
    }
}
