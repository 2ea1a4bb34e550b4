//! What k of n answers agree on.

use coffer_domain::block::BlockHeight;

/// The answer that at least `quorum` nodes gave; `None` stands for a node that gave none.
pub(super) fn agreed<T: PartialEq + Copy>(answers: &[Option<T>], quorum: usize) -> Option<T> {
    answers.iter().copied().flatten().find(|answer| {
        answers.iter().flatten().filter(|other| *other == answer).count() >= quorum
    })
}

/// The highest height that at least `quorum` nodes have reached.
pub(super) fn agreed_height(heads: &[Option<BlockHeight>], quorum: usize) -> Option<BlockHeight> {
    let mut heads: Vec<_> = heads.iter().copied().flatten().collect();
    heads.sort_unstable_by(|left, right| right.cmp(left));
    heads.get(quorum.checked_sub(1)?).copied()
}
