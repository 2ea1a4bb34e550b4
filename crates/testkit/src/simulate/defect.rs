//! Defects that a run can be given on purpose, to prove that it would notice them.

use super::world::Family;

/// What is done wrong. Each is a mistake that a change of the platform could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// A block is taken back, its deposits stay.
    SkipUndo,
    /// A deposit is credited one confirmation too early.
    CreditEarly,
    /// A deposit that comes again is taken for a new one.
    DoubleInclude,
    /// An undone pending credit is not voided in the ledger.
    ForgetVoid,
    /// One node is enough.
    QuorumOfOne,
    /// A block is put on a tip that is not its parent.
    IgnoreParent,
    /// What was spent of a reversed deposit is forgotten.
    ReversalWithoutDebt,
    /// The ledger takes a change twice.
    PostTwice,
    /// A crash leaves the tip behind without the block's deposits.
    LoseBlockOnCrash,
    /// A crash leaves the deposits behind without their ledger entries.
    LosePostingsOnCrash,
    /// Silence counts as another answer.
    UndoOnSilence,
    /// Nothing is ever final.
    IgnoreFinality,
    /// The finalized height itself is undone.
    FinalityOffByOne,
    /// Finality falls with the tip.
    FinalityFalls,
    /// A block's content is believed without its hash.
    SkipVerification,
    /// New wallets are watched only after a restart.
    StaleWatch,
    /// The breaker does not hold back credits.
    IgnoreBreaker,
    /// Deposits below the minimum are credited.
    IgnoreMinimum,
    /// What an event says is credited, and not what the balance gained.
    CreditFace,
    /// One person resumes a frozen network.
    ResumeAlone,
    /// A released hold leaves the debt where it is.
    ForgetDebtOnRelease,
    /// A deposit keeps its first asset for ever.
    KeepAsset,
    /// An account's head is not read before it is posted to.
    ForgetHead,
    /// A block is taken back, what it spent stays spent.
    KeepSpends,
    /// A block is taken back, the outputs that it made stay.
    KeepOutputs,
    /// What a block spends is not recorded.
    IgnoreSpends,
    /// What a block spends is recorded before what it makes: what is both stays unspent.
    SpendsFirst,
    /// A coinbase's output is credited like any other.
    CoinbaseEarly,
    /// A held reward is released before anybody could spend it.
    ReleaseRewardEarly,
    /// A deposit that comes again in another block is another deposit.
    IdentityByBlock,
    /// A deposit to the same address with the same amount as a retracted one is taken for it, whatever its id.
    MalleatedIsTheSame,
    /// A crash leaves the block behind without its outputs.
    LoseOutputsOnCrash,
}

impl Defect {
    pub const ALL: [Self; 32] = [
        Self::SkipUndo,
        Self::CreditEarly,
        Self::DoubleInclude,
        Self::ForgetVoid,
        Self::QuorumOfOne,
        Self::IgnoreParent,
        Self::ReversalWithoutDebt,
        Self::PostTwice,
        Self::LoseBlockOnCrash,
        Self::LosePostingsOnCrash,
        Self::UndoOnSilence,
        Self::IgnoreFinality,
        Self::FinalityOffByOne,
        Self::FinalityFalls,
        Self::SkipVerification,
        Self::StaleWatch,
        Self::IgnoreBreaker,
        Self::IgnoreMinimum,
        Self::CreditFace,
        Self::ResumeAlone,
        Self::ForgetDebtOnRelease,
        Self::KeepAsset,
        Self::ForgetHead,
        Self::KeepSpends,
        Self::KeepOutputs,
        Self::IgnoreSpends,
        Self::SpendsFirst,
        Self::CoinbaseEarly,
        Self::ReleaseRewardEarly,
        Self::IdentityByBlock,
        Self::MalleatedIsTheSame,
        Self::LoseOutputsOnCrash,
    ];

    /// The chains on which it can be made.
    #[must_use]
    pub fn families(self) -> &'static [Family] {
        match self {
            Self::CreditFace | Self::KeepAsset => &[Family::Evm],
            Self::KeepSpends
            | Self::KeepOutputs
            | Self::IgnoreSpends
            | Self::SpendsFirst
            | Self::CoinbaseEarly
            | Self::ReleaseRewardEarly
            | Self::IdentityByBlock
            | Self::MalleatedIsTheSame
            | Self::LoseOutputsOnCrash => &[Family::Bitcoin],
            _ => &Family::ALL,
        }
    }
}
