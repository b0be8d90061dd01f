//! Registrations that no gateway vouches for: programs of this machine, where services are processes of their own.
use crate::Result;
use moneta_kit::problem::Problem;
use moneta_types::Timestamp;
use std::sync::{Mutex, PoisonError};

/// How many of them there may be in a minute of real time, all callers together.
pub struct Unvouched {
    most: u32,
    /// When the minute began, and how many there were since.
    minute: Mutex<(Timestamp, u32)>,
}

impl Unvouched {
    /// At most this many a minute.
    pub const fn new(most: u32) -> Self {
        Self { most, minute: Mutex::new((Timestamp::EPOCH, 0)) }
    }

    /// Ok, and counted, while there may be one more.
    pub fn admit(&self, now: Timestamp) -> Result<()> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if now.seconds_since(minute.0) >= 60 || now < minute.0 {
            *minute = (now, 0);
        }
        if minute.1 >= self.most {
            let message = format!("more than {} registrations a minute past the gateway: try again later", self.most);
            return Err(Problem::exhausted("rate_limited", message).into());
        }
        minute.1 += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_so_many_and_the_next_one_again() {
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let unvouched = Unvouched::new(2);
        let admitted = [100, 101, 102, 159, 160, 161, 162, 50].map(|second| unvouched.admit(at(second)).is_ok());
        assert_eq!(admitted, [true, true, false, false, true, true, false, true]);
    }
}
