//! What k of n answers agree on, in the form in which the room of the nodes has it.

/// The answer that at least `quorum` gave.
pub(super) fn agreed<T: PartialEq>(quorum: usize, answers: &[T]) -> Option<&T> {
    answers.iter().find(|answer| {
        let same = answers.iter().filter(|other| other == answer).count();
        same >= quorum.max(1)
    })
}

/// The highest value that at least `quorum` reach.
pub(super) fn reached<T: Ord + Copy>(quorum: usize, claims: &[T]) -> Option<T> {
    let mut claims = claims.to_vec();
    claims.sort_unstable_by(|left, right| right.cmp(left));
    claims.get(quorum.checked_sub(1)?).copied()
}
