//! Rate limits: by user when the caller is known, by address when not, and a stricter one where passwords are tried. And a
//! limit of what each has answered at the same time.
use crate::{
    App, Config, Error, Result,
    auth::Session,
    config::Rate,
    proxies::{self, ClientAddress},
};
use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use moneta_kit::problem::{Kind, Problem};
use moneta_types::UserId;
use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Requests after which limits that nobody is near to are forgotten.
const TIDY_EVERY: u32 = 4_096;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    User(UserId),
    Peer(IpAddr),
}

/// The counters.
pub(crate) struct Limits {
    users: DefaultKeyedRateLimiter<Who>,
    peers: DefaultKeyedRateLimiter<Who>,
    attempts: DefaultKeyedRateLimiter<Who>,
    clock: DefaultClock,
    seen: AtomicU32,
    /// Requests that are being answered, by client.
    busy: Arc<Mutex<HashMap<Who, u32>>>,
    most_at_once: u32,
}

/// A client's right to have one more request answered at the same time; given back when it is dropped.
struct Turn {
    busy: Arc<Mutex<HashMap<Who, u32>>>,
    who: Who,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = busy.entry(self.who) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            users: limiter(config.user_rate)?,
            peers: limiter(config.peer_rate)?,
            attempts: limiter(config.auth_rate)?,
            clock: DefaultClock::default(),
            seen: AtomicU32::new(0),
            busy: Arc::default(),
            most_at_once: config.requests_at_once.get(),
        })
    }

    /// One client cannot occupy everything that answers, however slow its own requests are.
    fn turn(&self, session: &Session, peer: IpAddr) -> Result<Turn> {
        let who = session.user().map_or(Who::Peer(peer), Who::User);
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = busy.entry(who).or_default();
        if *count >= self.most_at_once {
            return Err(Error::TooMany(Duration::from_secs(1)));
        }
        *count += 1;
        Ok(Turn { busy: Arc::clone(&self.busy), who })
    }

    fn check(&self, session: &Session, peer: IpAddr, attempt: bool) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            for limiter in [&self.users, &self.peers, &self.attempts] {
                limiter.retain_recent();
            }
        }
        let (limiter, who) = match (attempt, session.user()) {
            (true, _) => (&self.attempts, Who::Peer(peer)),
            (false, Some(user)) => (&self.users, Who::User(user)),
            (false, None) => (&self.peers, Who::Peer(peer)),
        };
        limiter.check_key(&who).map_err(|denied| Error::TooMany(denied.wait_time_from(self.clock.now())))
    }
}

fn limiter(rate: Rate) -> Result<DefaultKeyedRateLimiter<Who>> {
    let period = Duration::from_secs(60) / rate.per_minute.get();
    let quota = Quota::with_period(period).ok_or_else(|| {
        Problem::new(Kind::InvalidArgument, "configuration", "gateway: per_minute must leave a pause between requests")
    })?;
    Ok(RateLimiter::keyed(quota.allow_burst(rate.burst)))
}

/// Checks the token and the rate before anything else is looked at.
pub(crate) async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let session = Session::of(&app, request.headers());
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    let client = proxies::client(&app.config().trusted_proxies, peer, request.headers());
    request.extensions_mut().insert(ClientAddress(client));
    let peer = network(client);
    let attempt = request.uri().path().starts_with("/api/v1/auth/");
    if let Err(error) = app.limits().check(&session, peer, attempt) {
        return error.into_response();
    }
    let turn = app.limits().turn(&session, peer);
    let _turn = match turn {
        Ok(turn) => turn,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// One household has a whole /64 of IPv6 addresses, so they count as one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let one: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        let two: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        let other: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(network(one), network(two));
        assert_ne!(network(one), network(other));
    }

    #[test]
    fn one_client_occupies_so_many_turns_and_no_other_clients() {
        let config: Config = serde_json::from_value(serde_json::json!({"requests_at_once": 2})).unwrap();
        let limits = Limits::new(&config).unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let first = limits.turn(&Session::Anonymous, peer).unwrap();
        let _second = limits.turn(&Session::Anonymous, peer).unwrap();
        assert!(matches!(limits.turn(&Session::Anonymous, peer), Err(Error::TooMany(_))));
        assert!(limits.turn(&Session::Anonymous, "10.0.0.9".parse().unwrap()).is_ok());
        drop(first);
        assert!(limits.turn(&Session::Anonymous, peer).is_ok());
    }

    #[test]
    fn a_burst_is_let_through_and_then_told_how_long_to_wait() {
        let config: Config =
            serde_json::from_value(serde_json::json!({"peer_rate": {"burst": 2, "per_minute": 1}})).unwrap();
        let limits = Limits::new(&config).unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..2 {
            limits.check(&Session::Anonymous, peer, false).unwrap();
        }
        let Err(Error::TooMany(wait)) = limits.check(&Session::Anonymous, peer, false) else { panic!("let through") };
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
        limits.check(&Session::Anonymous, "10.0.0.9".parse().unwrap(), false).unwrap();
        limits.check(&Session::Anonymous, peer, true).unwrap();
    }
}
