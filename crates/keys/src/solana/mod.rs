//! Solana's children of a range in bulk: `m/44'/501'/i'/0'`, in order, on all threads it is given.
//!
//! Guarantees: a key leaves only when it was proven right, either with its whole chunk (`proof`) or, where
//! that cannot be, one by one by two implementations; constant time on secrets; a piece of at most
//! [`PIECE`] keys is all that a thread holds ahead of the receiver, which thereby sets the pace.
//! Deliberately not here: private keys as a result, and a faster way for processors without AVX-512 IFMA:
//! those derive each key twice.
//! Cost on AVX-512 IFMA: see `docs/performance.md` and `cargo run --release --example solana -p coffer-keys`.

mod field;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod point;
mod proof;
mod table;

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use zeroize::Zeroize;

use self::field::Field;
use self::point::Affine;
use self::proof::Weight;
use crate::SolanaError;
use crate::slip10::{Node, SecondNode};

/// Most keys of one piece, and of one proof.
pub const PIECE: u32 = 1024;
/// Fewer than this are quicker one by one.
const BULK_MIN: usize = 24;

/// A run of consecutive keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolanaPiece {
    pub first_child: u32,
    pub keys: Vec<[u8; 32]>,
    /// The bulk derivation was wrong here, and these keys were derived anew one by one: a fault in
    /// this machine or in this program that somebody must look at.
    pub proof_failed: bool,
}

/// One child as the lanes give it: its key, and points that let the proof go without a square root.
/// Public, all of it: whoever has the key can compute the rest.
#[derive(Clone, Copy)]
struct Child {
    /// The key's eighth, its quarter, its half and itself.
    steps: [Affine; 4],
    key: [u8; 32],
}

const NO_CHILD: Child = Child {
    steps: [Affine {
        x: Field::ZERO,
        y: Field::ZERO,
    }; 4],
    key: [0; 32],
};

/// The node `m/44'/501'` by both implementations.
pub(crate) struct Parents {
    pub(crate) first: Node,
    pub(crate) second: SecondNode,
}

impl Parents {
    /// Derived one by one; `None` when the implementations disagree.
    pub(crate) fn checked_key(&self, child: u32) -> Option<[u8; 32]> {
        let key = self.first.child(child).child(0).public_key();
        (self.second.child(child).child(0).public_key() == Some(key)).then_some(key)
    }

    /// The children `first .. first + count`, which the caller has found to be in range.
    fn piece(&self, first: u32, count: usize) -> Result<SolanaPiece, SolanaError> {
        self.piece_with(first, count, &mut |_| ())
    }

    /// `fault` is where tests break what was derived.
    fn piece_with(
        &self,
        first: u32,
        count: usize,
        fault: &mut dyn FnMut(&mut [Child]),
    ) -> Result<SolanaPiece, SolanaError> {
        let proven = match self.in_bulk(first, count) {
            None => None,
            Some(mut children) => {
                fault(&mut children);
                Some(self.prove(first, &children)?.then(|| keys_of(&children)))
            }
        };
        let proof_failed = proven == Some(None);
        let keys = match proven.flatten() {
            Some(keys) => keys,
            None => (first..)
                .take(count)
                .map(|child| self.checked_key(child).ok_or(SolanaError::Disagreement))
                .collect::<Result<_, _>>()?,
        };
        Ok(SolanaPiece {
            first_child: first,
            keys,
            proof_failed,
        })
    }

    /// `None` where there is no faster way than one by one. Nothing is proven yet.
    fn in_bulk(&self, first: u32, count: usize) -> Option<Vec<Child>> {
        if count < BULK_MIN {
            return None;
        }
        #[cfg(target_arch = "x86_64")]
        {
            let mut children = vec![NO_CHILD; count];
            let mut start = first;
            for batch in children.chunks_mut(lanes::BATCH) {
                lanes::derive(self.first.parts(), start, table::table(), batch)?;
                start += u32::try_from(batch.len()).ok()?;
            }
            for child in &mut children {
                child.key = child.steps[3].encoded();
            }
            Some(children)
        }
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    fn prove(&self, first: u32, children: &[Child]) -> Result<bool, SolanaError> {
        let mut weights: Vec<Weight> = vec![[0; 16]; children.len()];
        getrandom::fill(weights.as_flattened_mut()).map_err(|_| SolanaError::NoRandomness)?;
        let holds = proof::holds(&self.second, first, children, &weights);
        wipe_stack();
        Ok(holds)
    }

    /// Gives the children `first .. first + count` to `receive`, piece by piece and in order, derived on
    /// `threads` threads; each holds at most two pieces that were not yet received. An error of
    /// `receive` ends the derivation.
    pub(crate) fn stream<E: From<SolanaError>>(
        &self,
        (first, count): (u32, u32),
        threads: NonZeroUsize,
        mut receive: impl FnMut(SolanaPiece) -> Result<(), E>,
    ) -> Result<(), E> {
        let pieces = count.div_ceil(PIECE);
        let piece = |number: u32| {
            let start = number * PIECE;
            self.piece(first + start, (count - start).min(PIECE) as usize)
        };
        let workers = u32::try_from(threads.get()).unwrap_or(u32::MAX).min(pieces);
        if workers < 2 {
            return (0..pieces).try_for_each(|number| receive(piece(number)?));
        }
        std::thread::scope(|scope| {
            let work = |worker: u32, sender: SyncSender<_>| {
                for number in (worker..pieces).step_by(workers as usize) {
                    // Nobody receives any more after an error.
                    if sender.send(piece(number)).is_err() {
                        return;
                    }
                }
            };
            let receivers: Vec<Receiver<Result<SolanaPiece, SolanaError>>> = (0..workers)
                .map(|worker| {
                    let (sender, receiver) = sync_channel(1);
                    scope.spawn(move || work(worker, sender));
                    receiver
                })
                .collect();
            for number in 0..pieces {
                let next = receivers[(number % workers) as usize].recv();
                receive(next.map_err(|_| SolanaError::BrokeOff)??)?;
            }
            Ok(())
        })
    }
}

/// Overwrites what the calls that just ended have left on the stack, those into libraries included.
#[inline(never)]
fn wipe_stack() {
    let mut left = [0_u64; 4096];
    left.zeroize();
    std::hint::black_box(&left);
}

fn keys_of(children: &[Child]) -> Vec<[u8; 32]> {
    children.iter().map(|child| child.key).collect()
}

#[cfg(test)]
mod tests;
