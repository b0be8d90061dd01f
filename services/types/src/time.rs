//! Moments as UTC microseconds, and calendar dates.
use crate::{Error, Result};
use chrono::{DateTime, Days, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A calendar date, ISO 8601 in text.
pub type Date = chrono::NaiveDate;

/// A moment in UTC microseconds since 1970-01-01; RFC 3339 in text and JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// `hour`:00 UTC of a date; hours above 23 count into the next days.
    pub fn at_hour(date: Date, hour: u8) -> Self {
        let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
        Self(midnight.saturating_add(i64::from(hour) * 3_600_000_000))
    }

    /// The UTC calendar date; the last representable date when the moment lies beyond the calendar.
    pub fn date(self) -> Date {
        self.utc().date_naive()
    }

    /// As chrono's type; the calendar's end when the moment lies beyond it.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// This moment plus a duration (saturating).
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Seconds since `earlier`; negative when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }

    /// The date as many years later, the last of February for its 29th (saturating).
    pub fn date_after_years(self, years: u32) -> Date {
        let months = chrono::Months::new(years.saturating_mul(12));
        self.date().checked_add_months(months).unwrap_or(Date::MAX)
    }

    /// This moment plus whole days (saturating).
    pub fn plus_days(self, days: u64) -> Self {
        self.utc().checked_add_days(Days::new(days)).map_or(Self(i64::MAX), |later| Self(later.timestamp_micros()))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment.timestamp_micros())
    }
}

impl FromStr for Timestamp {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        DateTime::parse_from_rfc3339(text)
            .map(|moment| Self(moment.timestamp_micros()))
            .map_err(|_| Error::invalid("time", text, "RFC 3339 such as 2020-01-02T21:00:00Z"))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(moment: Timestamp) -> Self {
        moment.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339_in_text() {
        let close = Timestamp::at_hour(Date::from_ymd_opt(2020, 3, 12).unwrap(), 21);
        assert_eq!(close.to_string(), "2020-03-12T21:00:00Z");
        assert_eq!("2020-03-12T21:00:00Z".parse::<Timestamp>().unwrap(), close);
        assert_eq!(close.date().to_string(), "2020-03-12");
    }

    #[test]
    fn a_moment_beyond_the_calendar_does_not_panic() {
        assert!(Timestamp::from_micros(i64::MAX).date() > Timestamp::EPOCH.date());
        assert!(Timestamp::from_micros(i64::MIN).date() < Timestamp::EPOCH.date());
    }
}
