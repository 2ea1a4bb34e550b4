use std::collections::{BTreeSet, HashMap};

/// How far each partition has been worked off. Pure.
#[derive(Debug, Default)]
pub(super) struct Progress {
    partitions: HashMap<(String, i32), Partition>,
    /// Counts what the group has assigned to us, and every time that a partition began anew.
    assignment: u64,
}

#[derive(Debug)]
struct Partition {
    assignment: u64,
    /// Handed out and not settled.
    open: BTreeSet<i64>,
    /// One behind the highest that was handed out.
    next: i64,
    /// What was last committed, or said to be.
    committed: i64,
}

impl Progress {
    /// The group has given out its partitions anew: nothing that was handed out before is ours to commit.
    pub(super) fn reassigned(&mut self) {
        self.partitions.clear();
        self.assignment += 1;
    }

    /// A message is handed out; answers the number of the assignment that its settling has to name.
    pub(super) fn handed_out(&mut self, topic: &str, partition: i32, offset: i64) -> u64 {
        let key = (topic.to_owned(), partition);
        let begin = |assignment| Partition {
            assignment,
            open: BTreeSet::new(),
            next: offset,
            committed: offset,
        };
        let fresh = self.assignment;
        let state = self.partitions.entry(key).or_insert_with(|| begin(fresh));
        if offset < state.next {
            // The partition went back, as after a broker lost its data: an old offset may now name another message.
            self.assignment += 1;
            *state = begin(self.assignment);
        }
        state.open.insert(offset);
        state.next = offset + 1;
        state.assignment
    }

    pub(super) fn is_current(&self, topic: &str, partition: i32, assignment: u64) -> bool {
        let state = self.partitions.get(&(topic.to_owned(), partition));
        state.is_some_and(|state| state.assignment == assignment)
    }

    /// A message is settled; answers the offset to commit, if everything before it is settled too.
    pub(super) fn settled(
        &mut self,
        topic: &str,
        partition: i32,
        assignment: u64,
        offset: i64,
    ) -> Option<i64> {
        let state = self.partitions.get_mut(&(topic.to_owned(), partition))?;
        if state.assignment != assignment {
            return None;
        }
        state.open.remove(&offset);
        let frontier = state.open.first().copied().unwrap_or(state.next);
        if frontier <= state.committed {
            return None;
        }
        state.committed = frontier;
        Some(frontier)
    }
}
