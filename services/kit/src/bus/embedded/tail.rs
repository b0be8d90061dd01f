//! The newest part of the log in memory, so that a group that keeps up with this process's events never reads the file.
use super::tables;
use crate::bus::Published;
use std::{collections::VecDeque, sync::Arc};

/// Events kept at most; a group that falls further behind reads the file.
const MAX_EVENTS: usize = 1024;
/// Text kept at most, in bytes of JSON; an event may be large (a day's bars of every instrument).
const MAX_BYTES: usize = 8 << 20;

/// An event that has just been appended.
#[derive(Debug, Clone)]
pub(super) struct Added {
    pub(super) event: Arc<Published>,
    /// Length of its JSON in bytes.
    pub(super) size: usize,
}

/// A window of the log without gaps: every event after `from`, up to and including `to`, is here.
///
/// Positions are handed out in growing order by one writer at a time, so an event that follows `to` directly leaves no
/// room for another one between. When it does not follow directly (another process wrote, or a publish was cut off after
/// its commit), the window begins anew before it. Losing the window is never wrong: the file has everything.
#[derive(Debug)]
pub(super) struct Tail {
    from: u64,
    to: u64,
    events: VecDeque<Added>,
    bytes: usize,
}

impl Tail {
    /// An empty window at the end of the log.
    pub(super) const fn at(end: u64) -> Self {
        Self { from: end, to: end, events: VecDeque::new(), bytes: 0 }
    }

    /// Takes in all that one statement appended, in growing order.
    pub(super) fn push(&mut self, added: Vec<Added>) {
        let (Some(first), Some(last)) = (added.first(), added.last()) else { return };
        let (first, last) = (first.event.sequence, last.event.sequence);
        if first <= self.to {
            return;
        }
        if first != self.to + 1 {
            *self = Self::at(first - 1);
        }
        self.to = last;
        self.bytes += added.iter().map(|new| new.size).sum::<usize>();
        self.events.extend(added);
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.size;
            self.from = oldest.event.sequence;
        }
    }

    /// Up to `limit` events of some types after a position, and how far that reaches; `None` when only the file knows.
    pub(super) fn after(&self, position: u64, types: &[String], limit: usize) -> Option<(Vec<Arc<Published>>, u64)> {
        if position < self.from || position >= self.to {
            return None;
        }
        let found: Vec<_> = self.of_types(types, position).take(limit).map(Arc::clone).collect();
        let reached = if found.len() == limit { found.last().map_or(self.to, |last| last.sequence) } else { self.to };
        Some((found, reached))
    }

    /// How many events of some types lie after a position, up to and including another; `None` when only the file knows.
    pub(super) fn count(&self, types: &[String], after: u64, until: u64) -> Option<u64> {
        if after < self.from || until > self.to {
            return None;
        }
        Some(self.of_types(types, after).take_while(|event| event.sequence <= until).count() as u64)
    }

    fn of_types(&self, types: &[String], after: u64) -> impl Iterator<Item = &Arc<Published>> {
        let start = self.events.partition_point(|kept| kept.event.sequence <= after);
        self.events
            .range(start..)
            .map(|kept| &kept.event)
            .filter(|event| tables::takes(types, &event.envelope.event_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Envelope;
    use moneta_types::{Cause, EventId, Timestamp};

    fn added(sequence: u64, kind: &str, size: usize) -> Added {
        let cause = Cause::named("tail");
        let envelope = Envelope {
            specversion: "1.0".to_owned(),
            id: EventId::from_uuid(cause.derive(&sequence.to_string())),
            source: "tests".to_owned(),
            event_type: kind.to_owned(),
            subject: "a".to_owned(),
            time: Timestamp::EPOCH,
            datacontenttype: "application/json".to_owned(),
            cause,
            actor: String::new(),
            data: serde_json::Value::Null,
        };
        Added { event: Arc::new(Published { sequence, envelope }), size }
    }

    fn sequences(found: Option<(Vec<Arc<Published>>, u64)>) -> Option<(Vec<u64>, u64)> {
        found.map(|(events, reached)| (events.iter().map(|event| event.sequence).collect(), reached))
    }

    fn all() -> Vec<String> {
        vec!["*".to_owned()]
    }

    #[test]
    fn what_follows_directly_is_found_by_type_and_reaches_over_the_others() {
        let mut tail = Tail::at(4);
        tail.push(vec![added(5, "x", 1), added(6, "y", 1)]);
        tail.push(vec![added(7, "x", 1), added(8, "y", 1)]);
        let x = ["x".to_owned()];
        assert_eq!(sequences(tail.after(4, &x, 10)), Some((vec![5, 7], 8)));
        assert_eq!(sequences(tail.after(5, &all(), 2)), Some((vec![6, 7], 7)), "no further than what was handed out");
        assert_eq!(sequences(tail.after(7, &x, 10)), Some((vec![], 8)));
        assert_eq!(tail.count(&x, 5, 7), Some(1));
        assert_eq!(sequences(tail.after(3, &x, 10)), None, "from before the window");
        assert_eq!(sequences(tail.after(8, &x, 10)), None, "nothing newer here");
        assert_eq!(tail.count(&x, 5, 9), None);
    }

    #[test]
    fn a_gap_that_another_process_may_have_filled_is_left_to_the_file() {
        let mut tail = Tail::at(4);
        tail.push(vec![added(5, "x", 1)]);
        tail.push(vec![added(9, "x", 1)]);
        assert_eq!(sequences(tail.after(5, &all(), 10)), None);
        assert_eq!(sequences(tail.after(8, &all(), 10)), Some((vec![9], 9)));
        tail.push(vec![added(6, "x", 1)]);
        assert_eq!(sequences(tail.after(8, &all(), 10)), Some((vec![9], 9)), "what comes late changes nothing");
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_large() {
        let mut tail = Tail::at(0);
        let many = MAX_EVENTS as u64 + 10;
        tail.push((1..=many).map(|sequence| added(sequence, "x", 1)).collect());
        assert_eq!(sequences(tail.after(9, &all(), 1)), None);
        assert_eq!(sequences(tail.after(10, &all(), 1)), Some((vec![11], 11)));
        tail.push(vec![added(many + 1, "x", MAX_BYTES), added(many + 2, "x", 1)]);
        assert_eq!(sequences(tail.after(many + 1, &all(), 9)), Some((vec![many + 2], many + 2)));
        tail.push(vec![added(many + 3, "x", MAX_BYTES + 1)]);
        assert_eq!(tail.after(many + 2, &all(), 9), None, "an event too large to keep is read from the file");
    }
}
