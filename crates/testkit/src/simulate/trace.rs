//! What happened, as one number always and as lines on demand.

use std::collections::VecDeque;

use super::random::mix;
use super::store::{BlockChange, Commit, Store};

const LINES_MAX: usize = 40;

pub(super) struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
}

impl Trace {
    pub(super) fn new(told: bool) -> Self {
        Self {
            hash: 0,
            lines: told.then(VecDeque::new),
        }
    }

    pub(super) fn is_told(&self) -> bool {
        self.lines.is_some()
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().flatten().cloned().collect()
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line());
        }
    }

    pub(super) fn commit(&mut self, commit: &Commit, store: &Store) {
        for byte in commit.what.bytes() {
            self.take(byte.into());
        }
        if let Some(tip) = store.tip() {
            self.take(tip.height.0);
            self.take(first(&tip.hash.0));
        }
        for deposit in &commit.deposits {
            self.take(first(deposit.id.as_bytes()));
            self.take(deposit.state as u64 + u64::from(deposit.version) * 8);
        }
        for posted in &commit.posted {
            self.take(first(posted.id.as_bytes()));
            for entry in &posted.entries {
                self.take(entry.version);
                self.take(first(&entry.balance.posted_credits.to_le_bytes::<32>()));
                self.take(first(&entry.balance.posted_debits.to_le_bytes::<32>()));
            }
        }
        for output in &commit.outputs {
            self.take(first(&output.id.transaction.0) ^ u64::from(output.id.number));
            self.take(output.spent.map_or(0, |spent| first(&spent.by.0)));
        }
        for removed in &commit.removed_outputs {
            self.take(first(&removed.transaction.0) ^ u64::from(removed.number));
        }
        self.note(|| line(commit, store));
    }

    fn take(&mut self, number: u64) {
        self.hash = mix(self.hash.rotate_left(5) ^ number);
    }
}

fn first(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))
}

fn line(commit: &Commit, store: &Store) -> String {
    let mut line = match commit.block {
        Some(BlockChange::Take(stored)) => format!("took {}", stored.block),
        Some(BlockChange::Undo(block)) => format!("undid {block}"),
        None => commit.what.to_owned(),
    };
    if let Some(height) = store.finalized {
        line.push_str(&format!(", final {height}"));
    }
    for deposit in &commit.deposits {
        line.push_str(&format!(
            "\n    {} {} {} units, inclusion {}",
            deposit.id, deposit.state, deposit.units, deposit.inclusion
        ));
    }
    for output in &commit.outputs {
        let state = match output.spent {
            Some(spent) => format!("spent by {}", spent.by),
            None => "unspent".to_owned(),
        };
        line.push_str(&format!(
            "\n    output {} {} units, {state}",
            output.id, output.units
        ));
    }
    for removed in &commit.removed_outputs {
        line.push_str(&format!("\n    output {removed} removed"));
    }
    for posted in &commit.posted {
        let units = posted
            .entries
            .first()
            .map_or_else(Default::default, |entry| entry.units);
        let source = &posted.transaction.source;
        line.push_str(&format!("\n    posted {} {units}", source.id));
    }
    line
}
