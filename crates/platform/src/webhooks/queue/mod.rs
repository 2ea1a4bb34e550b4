//! Which event of a webhook is sent next, and what follows from each answer. Pure: time and jitter are handed in.
//!
//! Guarantees: of one object at most one event is under way, in the order of their numbers, and a later one only
//! after the earlier was delivered or parked; the place ([`Queue::told_to`]) never passes an event that is neither
//! delivered, parked, unwanted nor open.
//! Events beyond the place are in memory only, at most [`WINDOW`] of them. One that fails while others succeed
//! becomes *open*: it is written down, the place passes it, and it is tried again by itself; at most [`OPEN_MAX`] are.
//! When [`DOWN_AFTER`] different events fail and none succeeds, the receiver is down: the place stays, nothing more is
//! written down, and a few events are tried at growing pauses until one succeeds.
//! Cost: logarithmic in the window, for each event.

mod health;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) use health::{Health, pause_ms};

/// Events in memory of one webhook.
pub(super) const WINDOW: usize = 1024;
/// Events of one webhook that are written down because they failed by themselves, and those that wait behind them.
pub(super) const OPEN_MAX: usize = 1000;
/// So long is an event tried.
pub(super) const TRY_FOR_MS: i64 = 3 * 24 * 60 * 60 * 1000;

/// An event, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) seq: u64,
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) body: Bytes,
}

/// An event behind the place that is still to be delivered. This is its stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenEvent {
    pub(super) seq: u64,
    pub(super) subject: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_failed_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_zero_time")]
    pub(super) not_before_ms: i64,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_zero_time(value: &i64) -> bool {
    *value == 0
}

/// What a receiver made of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    /// With the pause that the receiver asked for, if it did.
    Failed {
        pause_ms: Option<i64>,
    },
}

/// What became of the event by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    Again,
    Parked,
}

/// The next to be sent. The text of an open event is read again when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) seq: u64,
    /// Of this try, from 1.
    pub(super) attempt: u32,
    pub(super) message: Option<Arc<Message>>,
}

struct Entry {
    event: OpenEvent,
    /// `None` for an open event that waits.
    message: Option<Arc<Message>>,
    /// Whether the place has passed it.
    open: bool,
    /// It failed while the receiver was down for all, and was forgiven once.
    forgiven: bool,
}

/// The events of one object, by number.
#[derive(Default)]
struct Line {
    waiting: BTreeSet<u64>,
    under_way: bool,
}

pub(super) struct Queue {
    /// The last number that was read; wanted or not.
    read_to: u64,
    entries: BTreeMap<u64, Entry>,
    /// Numbers beyond the place.
    window: BTreeSet<u64>,
    open: BTreeSet<u64>,
    /// Those beyond the place that have failed.
    suspects: BTreeSet<u64>,
    lines: HashMap<String, Line>,
    /// The first of each line that is not under way, by when it may be sent.
    due: BTreeSet<(i64, u64)>,
    under_way: usize,
    health: Health,
}

impl Queue {
    pub(super) fn new(told_to: u64, open: Vec<OpenEvent>, health: Health) -> Self {
        let mut queue = Self {
            read_to: told_to,
            entries: BTreeMap::new(),
            window: BTreeSet::new(),
            open: BTreeSet::new(),
            suspects: BTreeSet::new(),
            lines: HashMap::new(),
            due: BTreeSet::new(),
            under_way: 0,
            health,
        };
        for event in open {
            queue.add(event, None, true);
        }
        queue
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn read_to(&self) -> u64 {
        self.read_to
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many more events may be read into memory.
    pub(super) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.window.len())
    }

    pub(super) fn open_room(&self) -> usize {
        OPEN_MAX.saturating_sub(self.open.len())
    }

    /// Every event up to this number is delivered, parked, unwanted or open.
    pub(super) fn told_to(&self) -> u64 {
        self.window.first().map_or(self.read_to, |first| first - 1)
    }

    /// What is to be written down with [`Self::told_to`].
    pub(super) fn open_events(&self) -> Vec<&OpenEvent> {
        let found = self.open.iter().filter_map(|seq| self.entries.get(seq));
        found.map(|entry| &entry.event).collect()
    }

    /// Takes up what was read: the wanted events, in order, and the last number looked at.
    pub(super) fn read(&mut self, messages: Vec<Message>, read_to: u64, now_ms: i64) {
        for message in messages {
            let event = OpenEvent {
                seq: message.seq,
                subject: message.subject.clone(),
                attempts: 0,
                first_failed_ms: None,
                not_before_ms: now_ms,
            };
            self.add(event, Some(Arc::new(message)), false);
        }
        self.read_to = self.read_to.max(read_to);
    }

    /// Puts an event that was told already among the open ones, unless it is there or still to come.
    pub(super) fn reopen(&mut self, message: Message, now_ms: i64) {
        if message.seq > self.told_to() || self.entries.contains_key(&message.seq) {
            return;
        }
        let event = OpenEvent {
            seq: message.seq,
            subject: message.subject.clone(),
            attempts: 0,
            first_failed_ms: None,
            not_before_ms: now_ms,
        };
        self.add(event, Some(Arc::new(message)), true);
    }

    fn add(&mut self, event: OpenEvent, message: Option<Arc<Message>>, open: bool) {
        let (seq, subject) = (event.seq, event.subject.clone());
        self.undue(&subject);
        self.lines
            .entry(subject.clone())
            .or_default()
            .waiting
            .insert(seq);
        if open {
            self.open.insert(seq);
        } else {
            self.window.insert(seq);
        }
        let entry = Entry {
            event,
            message,
            open,
            forgiven: false,
        };
        self.entries.insert(seq, entry);
        self.redue(&subject);
    }

    /// The first of a line and when it is due; `None` while one of the line is under way.
    fn head(&self, subject: &str) -> Option<(i64, u64)> {
        let line = self.lines.get(subject).filter(|line| !line.under_way)?;
        let entry = self.entries.get(line.waiting.first()?)?;
        Some((entry.event.not_before_ms, entry.event.seq))
    }

    fn undue(&mut self, subject: &str) {
        if let Some(head) = self.head(subject) {
            self.due.remove(&head);
        }
    }

    fn redue(&mut self, subject: &str) {
        if let Some(head) = self.head(subject) {
            self.due.insert(head);
        }
    }

    /// The next event to be sent now; it is under way until [`Self::answered`] or [`Self::put_back`].
    pub(super) fn next(&mut self, now_ms: i64) -> Option<Turn> {
        let (not_before, seq) = *self.due.first()?;
        match self.health.allows(now_ms) {
            health::Allowed::Nothing => return None,
            // A receiver that is down is asked with whatever waited longest.
            health::Allowed::Probe => self.health.probe_sent(),
            health::Allowed::Due if not_before > now_ms => return None,
            health::Allowed::Due => {}
        }
        self.due.remove(&(not_before, seq));
        let entry = self.entries.get(&seq)?;
        let turn = Turn {
            seq,
            attempt: entry.event.attempts + 1,
            message: entry.message.clone(),
        };
        if let Some(line) = self.lines.get_mut(&entry.event.subject) {
            line.under_way = true;
        }
        self.under_way += 1;
        Some(turn)
    }

    /// When [`Self::next`] may have something, if nothing happens before.
    pub(super) fn wake_at_ms(&self, now_ms: i64) -> Option<i64> {
        let (not_before, _) = *self.due.first()?;
        self.health.wake_at_ms(not_before, now_ms)
    }

    /// An event that could not be tried for a reason of ours.
    pub(super) fn put_back(&mut self, seq: u64, not_before_ms: i64) {
        self.landed(seq, |event| event.not_before_ms = not_before_ms);
        self.health.probe_came_back(not_before_ms);
    }

    /// Takes note of an answer. `random` spreads the pause.
    pub(super) fn answered(
        &mut self,
        seq: u64,
        outcome: Outcome,
        now_ms: i64,
        random: u64,
    ) -> Verdict {
        match outcome {
            Outcome::Delivered => {
                self.remove(seq);
                self.succeeded(now_ms);
                Verdict::Delivered
            }
            Outcome::Failed { pause_ms } => self.failed(seq, pause_ms, now_ms, random),
        }
    }

    fn succeeded(&mut self, now_ms: i64) {
        let suspects = std::mem::take(&mut self.suspects);
        let was_down = self.health.succeeded();
        for seq in suspects {
            // It was down for all: that is not held against an event the first time. Otherwise others succeed while
            // this one fails, so it fails by itself.
            if was_down && self.forgive(seq) {
                self.reschedule(seq, now_ms);
            } else {
                self.open_up(seq);
            }
        }
    }

    fn failed(&mut self, seq: u64, asked_ms: Option<i64>, now_ms: i64, random: u64) -> Verdict {
        let Some(entry) = self.entries.get(&seq) else {
            return Verdict::Again;
        };
        let first = entry.event.first_failed_ms.unwrap_or(now_ms);
        let was_down = self.health.is_down();
        self.health.failed(seq, !entry.open, now_ms, random);
        if let Some(asked_ms) = asked_ms {
            self.health.pause_until(now_ms.saturating_add(asked_ms));
        }
        // While nothing gets through, the whole webhook is given up in its time, and not event by event.
        if now_ms - first >= TRY_FOR_MS && !was_down {
            self.remove(seq);
            return Verdict::Parked;
        }
        let pause = pause_ms(entry.event.attempts, random).max(asked_ms.unwrap_or(0));
        if !entry.open {
            self.suspects.insert(seq);
        }
        self.landed(seq, |event| {
            event.attempts += 1;
            event.first_failed_ms = Some(first);
            event.not_before_ms = now_ms.saturating_add(pause);
        });
        Verdict::Again
    }

    /// Ends an event's being under way.
    fn landed(&mut self, seq: u64, change: impl FnOnce(&mut OpenEvent)) {
        let Some(entry) = self.entries.get_mut(&seq) else {
            return;
        };
        change(&mut entry.event);
        if entry.open {
            entry.message = None;
        }
        let subject = entry.event.subject.clone();
        if let Some(line) = self.lines.get_mut(&subject)
            && line.under_way
        {
            line.under_way = false;
            self.under_way -= 1;
        }
        self.redue(&subject);
    }

    fn remove(&mut self, seq: u64) {
        let Some(entry) = self.entries.remove(&seq) else {
            return;
        };
        self.window.remove(&seq);
        self.open.remove(&seq);
        self.suspects.remove(&seq);
        let subject = entry.event.subject;
        let Some(line) = self.lines.get_mut(&subject) else {
            return;
        };
        line.waiting.remove(&seq);
        if line.under_way {
            line.under_way = false;
            self.under_way -= 1;
        }
        if line.waiting.is_empty() {
            self.lines.remove(&subject);
        } else {
            self.redue(&subject);
        }
    }

    /// Whether this is the first time.
    fn forgive(&mut self, seq: u64) -> bool {
        let entry = self.entries.get_mut(&seq);
        entry.is_some_and(|entry| !std::mem::replace(&mut entry.forgiven, true))
    }

    fn reschedule(&mut self, seq: u64, not_before_ms: i64) {
        let Some(subject) = self
            .entries
            .get(&seq)
            .map(|entry| entry.event.subject.clone())
        else {
            return;
        };
        self.undue(&subject);
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.event.not_before_ms = not_before_ms;
        }
        self.redue(&subject);
    }

    /// The place may pass it from now on.
    fn open_up(&mut self, seq: u64) {
        if self.open.len() >= OPEN_MAX {
            self.suspects.insert(seq);
            return;
        }
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.open = true;
            self.window.remove(&seq);
            self.open.insert(seq);
        }
    }

    /// Lets the place pass the events that wait behind an open one of their object. Before the place is written down.
    pub(super) fn settle(&mut self) {
        while let Some(first) = self.window.first().copied() {
            let head = self.entries.get(&first).and_then(|entry| {
                let line = self.lines.get(&entry.event.subject)?;
                line.waiting.first().copied()
            });
            let behind = head.is_some_and(|head| head != first && self.open.contains(&head));
            if !behind || self.open.len() >= OPEN_MAX {
                return;
            }
            self.open_up(first);
            if let Some(entry) = self.entries.get_mut(&first) {
                entry.message = None;
                entry.event.not_before_ms = 0;
            }
        }
    }
}
