//! Quiet hours in the user's own time zone: what may wait, waits for their end; nothing is dropped.
use chrono::{DateTime, Days, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;
use moneta_types::Timestamp;

/// From one local time of day to another; past midnight when the first is the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: NaiveTime,
    to: NaiveTime,
}

impl QuietHours {
    /// Reads "22:00" and "07:00"; nothing when either is not a time of day or both are the same.
    pub fn parse(from: &str, to: &str) -> Option<Self> {
        let (from, to) = (time(from)?, time(to)?);
        (from != to).then_some(Self { from, to })
    }

    /// The beginning, "22:00".
    pub fn from(&self) -> String {
        self.from.format("%H:%M").to_string()
    }

    /// The end, "07:00".
    pub fn to(&self) -> String {
        self.to.format("%H:%M").to_string()
    }

    /// When the quiet hours end in which a moment falls; nothing when it falls in none.
    pub fn end_after(&self, moment: Timestamp, zone: Tz) -> Option<Timestamp> {
        let local = moment.utc().with_timezone(&zone);
        let now = local.time();
        let over_midnight = self.from > self.to;
        let inside = if over_midnight { now >= self.from || now < self.to } else { now >= self.from && now < self.to };
        if !inside {
            return None;
        }
        let today = local.date_naive();
        let day = if over_midnight && now >= self.from { today.checked_add_days(Days::new(1))? } else { today };
        Some(Timestamp::from(resolve(zone, day.and_time(self.to))?.to_utc()))
    }
}

/// A local time in UTC. When clocks go back it is there twice, and the later one lets nobody be woken early; when they go
/// forward it is not there at all, and the quiet hours end at the first time after the gap.
fn resolve(zone: Tz, local: chrono::NaiveDateTime) -> Option<DateTime<Tz>> {
    (0..=3).find_map(|hours| {
        zone.from_local_datetime(&(local + chrono::TimeDelta::hours(hours)))
            .latest()
            .map(|found| if hours == 0 { found } else { found.with_minute(0).unwrap_or(found) })
    })
}

fn time(text: &str) -> Option<NaiveTime> {
    (text.len() == 5).then(|| NaiveTime::parse_from_str(text, "%H:%M").ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(from: &str, to: &str, zone: &str, moment: &str, end: Option<&str>) {
        let quiet = QuietHours::parse(from, to).unwrap();
        assert_eq!(quiet.end_after(at(moment), zone.parse().unwrap()), end.map(at));
    }

    #[test]
    fn hours_past_midnight_end_on_the_next_morning() {
        check("22:00", "07:00", "UTC", "2020-03-12T21:59:59Z", None);
        check("22:00", "07:00", "UTC", "2020-03-12T22:00:00Z", Some("2020-03-13T07:00:00Z"));
        check("22:00", "07:00", "UTC", "2020-03-13T06:59:59Z", Some("2020-03-13T07:00:00Z"));
        check("22:00", "07:00", "UTC", "2020-03-13T07:00:00Z", None);
    }

    #[test]
    fn hours_within_a_day_end_on_that_day() {
        check("12:30", "14:00", "UTC", "2020-03-12T13:00:00Z", Some("2020-03-12T14:00:00Z"));
        check("12:30", "14:00", "UTC", "2020-03-12T12:00:00Z", None);
    }

    #[test]
    fn the_users_time_zone_counts() {
        // 21:05 UTC is 06:05 of the next day in Tokyo.
        check("22:00", "07:00", "Asia/Tokyo", "2020-03-12T21:05:00Z", Some("2020-03-12T22:00:00Z"));
        check("22:00", "07:00", "America/New_York", "2020-03-12T21:05:00Z", None);
    }

    #[test]
    fn an_end_that_the_clocks_skip_is_the_first_time_after_the_gap() {
        // London skips 01:00 to 02:00 on 2020-03-29.
        check("22:00", "01:30", "Europe/London", "2020-03-28T23:00:00Z", Some("2020-03-29T01:00:00Z"));
        // London has 01:30 twice on 2020-10-25; the later one is 01:30 UTC.
        check("22:00", "01:30", "Europe/London", "2020-10-24T22:00:00Z", Some("2020-10-25T01:30:00Z"));
    }

    #[test]
    fn what_is_not_a_time_of_day_is_refused() {
        for (from, to) in [("24:00", "07:00"), ("7:00", "08:00"), ("", "07:00"), ("07:00", "07:00"), ("ab:cd", "07:00")]
        {
            assert_eq!(QuietHours::parse(from, to), None, "{from} {to}");
        }
    }
}
