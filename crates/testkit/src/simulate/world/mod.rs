//! The truth: a tree of blocks, one of whose branches is the chain at a time.
//!
//! Guarantees: a block's hash covers all that it holds; whatever a branch holds is possible on that branch alone.
//! Deliberately not here: what anybody is told of it (`nodes`), and what the ledger must say of it (`check`).
//! Cost: a walk to the first block for each new run of blocks.

mod coins;

use std::collections::{HashMap, HashSet};

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use coffer_domain::id::{AssetId, WalletId};
use coffer_domain::movement::{Movement, MovementId, ObservedBlock, Part};
use coffer_domain::output::Spend;
use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use super::random::Random;
pub(super) use coins::Transaction;

/// What the blocks of a run are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Accounts: a transaction run in another block may do something else.
    Evm,
    /// Outputs: a transaction does the same wherever it is, and two that spend the same output exclude each other.
    Bitcoin,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::Evm, Self::Bitcoin];

    /// Where nobody chose: seeds take turns.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        if seed.is_multiple_of(2) {
            Self::Evm
        } else {
            Self::Bitcoin
        }
    }
}

/// The assets of a run: a coin, a token with a minimum, a token without measure, and one that is on no list.
pub(super) const ASSETS: u8 = 4;
const UNLISTED: u8 = 3;
const BOUNDLESS: u8 = 2;
const MINIMUM: u64 = 20;

pub(super) fn asset(number: u8) -> AssetId {
    AssetId::from_bytes([number + 1; 16])
}

pub(super) fn is_listed(id: AssetId) -> bool {
    id != asset(UNLISTED)
}

/// Whether sums of it may be more than the ledger counts.
pub(super) fn is_boundless(id: AssetId) -> bool {
    id == asset(BOUNDLESS)
}

pub(super) fn minimum(id: AssetId) -> U256 {
    U256::from(if id == asset(1) { MINIMUM } else { 0 })
}

pub(super) fn wallet(number: u64) -> WalletId {
    let mut bytes = [0xaa; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    WalletId::from_bytes(bytes)
}

pub(super) fn address(number: u64) -> AddressPayload {
    let mut bytes = [0xbb; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    AddressPayload::try_new(AddressKind::Evm, &bytes).expect("20 bytes")
}

/// Nobody's of ours.
const STRANGER: u64 = u64::MAX;

fn stranger() -> AddressPayload {
    address(STRANGER)
}

/// Whose address it is: its last eight bytes, whatever its kind.
pub(super) fn number_of(address: &AddressPayload) -> u64 {
    let bytes = address.bytes();
    let last = bytes.last_chunk().expect("an address has 20 bytes or more");
    u64::from_be_bytes(*last)
}

pub(super) struct Block {
    pub(super) observed: ObservedBlock,
    pub(super) parent: Option<usize>,
    transactions: Vec<usize>,
    /// Made by liars; never part of the chain.
    pub(super) is_false: bool,
}

impl Block {
    pub(super) fn height(&self) -> u64 {
        self.observed.block.height.0
    }

    pub(super) fn hash(&self) -> BlockHash {
        self.observed.block.hash
    }
}

/// What a block brings and takes.
#[derive(Default)]
struct Content {
    movements: Vec<Movement>,
    spends: Vec<Spend>,
}

impl Content {
    fn of(movements: Vec<Movement>) -> Self {
        Self {
            movements,
            spends: Vec::new(),
        }
    }
}

pub(super) struct World {
    family: Family,
    pub(super) blocks: Vec<Block>,
    by_hash: HashMap<BlockHash, usize>,
    /// The chain's head.
    pub(super) tip: usize,
    /// Heads that were the chain's once.
    left: Vec<usize>,
    /// What each transaction of an EVM chain brings.
    transactions: Vec<Vec<Movement>>,
    /// Every transaction of Bitcoin that somebody made, in whichever branches it is.
    coins: Vec<Transaction>,
    /// Wallets whose addresses are known to their customers.
    pub(super) issued: u64,
}

impl World {
    pub(super) fn new(random: &mut Random, family: Family) -> Self {
        let mut world = Self {
            family,
            blocks: Vec::new(),
            by_hash: HashMap::new(),
            tip: 0,
            left: Vec::new(),
            transactions: Vec::new(),
            coins: Vec::new(),
            issued: 0,
        };
        match family {
            Family::Evm => world.add(None, Vec::new(), Content::default(), random.next()),
            Family::Bitcoin => world.add_first_coins(random),
        };
        world
    }

    pub(super) fn block(&self, hash: &BlockHash) -> Option<&Block> {
        self.by_hash.get(hash).map(|at| &self.blocks[*at])
    }

    /// The block at a height of the branch that ends in `tip`.
    pub(super) fn at(&self, tip: usize, height: u64) -> Option<usize> {
        let mut at = tip;
        if self.blocks[at].height() < height {
            return None;
        }
        while self.blocks[at].height() > height {
            at = self.blocks[at].parent?;
        }
        Some(at)
    }

    pub(super) fn head(&self, tip: usize) -> u64 {
        self.blocks[tip].height()
    }

    fn add(
        &mut self,
        parent: Option<usize>,
        transactions: Vec<usize>,
        content: Content,
        salt: u64,
    ) -> usize {
        let Content { movements, spends } = content;
        let height = parent.map_or(0, |at| self.blocks[at].height() + 1);
        let mut observed = ObservedBlock {
            block: BlockRef {
                height: BlockHeight(height),
                hash: BlockHash([0; 32]),
            },
            parent: parent.map_or(BlockHash([0; 32]), |at| self.blocks[at].hash()),
            unix_s: salt,
            transactions: u32::try_from(transactions.len()).expect("few"),
            logs: u32::try_from(movements.len()).expect("few"),
            root: root(&movements, &spends),
            movements,
            spends,
        };
        observed.block.hash = hash(&observed);
        self.by_hash.insert(observed.block.hash, self.blocks.len());
        self.blocks.push(Block {
            observed,
            parent,
            transactions,
            is_false: false,
        });
        self.blocks.len() - 1
    }

    /// Puts blocks on `parent`, whose movements are new or were in blocks of other branches.
    fn branch(&mut self, parent: usize, count: u64, random: &mut Random) -> usize {
        if self.family == Family::Bitcoin {
            return self.branch_of_coins(parent, count, random);
        }
        let mut used = self.used(parent);
        let mut tip = parent;
        for _ in 0..count {
            let (transactions, mut movements) = self.fill(&mut used, random);
            let salt = random.next();
            if self.issued > 0 && random.permille(30) {
                let whole = TransactionHash(random.bytes());
                movements.push(self.movement(whole, Part::Reward(0), random));
            }
            tip = self.add(Some(tip), transactions, Content::of(movements), salt);
        }
        tip
    }

    fn used(&self, tip: usize) -> HashSet<usize> {
        let mut used = HashSet::new();
        let mut at = Some(tip);
        while let Some(block) = at {
            used.extend(self.blocks[block].transactions.iter().copied());
            at = self.blocks[block].parent;
        }
        used
    }

    fn fill(
        &mut self,
        used: &mut HashSet<usize>,
        random: &mut Random,
    ) -> (Vec<usize>, Vec<Movement>) {
        let (mut numbers, mut movements) = (Vec::new(), Vec::new());
        if self.issued == 0 {
            return (numbers, movements);
        }
        for _ in 0..[0, 0, 1, 1, 2][random.index(5)] {
            let again = self
                .transactions
                .len()
                .checked_sub(1)
                .filter(|_| random.permille(600));
            let number = match again {
                Some(last) => last - random.index(self.transactions.len().min(40)),
                None => self.new_transaction(random),
            };
            if !used.insert(number) {
                continue;
            }
            numbers.push(number);
            let mut done = self.transactions[number].clone();
            if random.permille(200) {
                done = self.otherwise(done, random);
            }
            movements.extend(done);
        }
        (numbers, movements)
    }

    fn new_transaction(&mut self, random: &mut Random) -> usize {
        let hash = TransactionHash(random.bytes());
        let count = u32::try_from(random.between(1, 3)).expect("small");
        let mut movements: Vec<Movement> = (0..count)
            .map(|log| self.movement(hash, Part::Log(log), random))
            .collect();
        if random.permille(200) {
            // The same address once more, in the same transaction.
            let mut twin = movements[0].clone();
            twin.id.part = Part::Call(0);
            movements.push(twin);
        }
        self.transactions.push(movements);
        self.transactions.len() - 1
    }

    fn movement(&self, transaction: TransactionHash, part: Part, random: &mut Random) -> Movement {
        let number = u8::try_from(random.below(ASSETS.into())).expect("small");
        let face = if number == BOUNDLESS && random.permille(300) {
            U256::MAX >> random.index(3)
        } else {
            U256::from(random.between(0, 100))
        };
        let fee = if random.permille(200) {
            U256::from(random.below(10))
        } else {
            U256::ZERO
        };
        let to = if random.permille(100) {
            stranger()
        } else {
            address(random.below(self.issued))
        };
        Movement {
            id: MovementId { transaction, part },
            asset: asset(number),
            from: random
                .permille(500)
                .then(|| address(1 << 40 | random.below(8))),
            to,
            face_units: face,
            gained_units: face.saturating_sub(fee),
        }
    }

    /// The same transaction run in another block: other logs, other amounts, even another asset.
    fn otherwise(&self, mut movements: Vec<Movement>, random: &mut Random) -> Vec<Movement> {
        if random.permille(300) {
            movements.remove(0);
        }
        for movement in &mut movements {
            let other = self.movement(movement.id.transaction, movement.id.part, random);
            let to = if random.permille(500) {
                movement.to
            } else {
                other.to
            };
            *movement = Movement { to, ..other };
        }
        movements
    }

    pub(super) fn grow(&mut self, count: u64, random: &mut Random) {
        self.tip = self.branch(self.tip, count, random);
    }

    /// Another branch becomes the chain: `depth` blocks go, `count` come.
    pub(super) fn reorganize(&mut self, depth: u64, count: u64, random: &mut Random) {
        let parting = self.head(self.tip).saturating_sub(depth);
        let parent = self.at(self.tip, parting).expect("an ancestor");
        self.left.push(self.tip);
        self.tip = self.branch(parent, count, random);
    }

    /// A branch that was left is the chain again.
    pub(super) fn flip(&mut self, random: &mut Random) {
        if self.left.is_empty() {
            return;
        }
        let at = random.index(self.left.len());
        std::mem::swap(&mut self.left[at], &mut self.tip);
    }

    /// Liars agree on a branch of their own: every hash is right, the money is not there.
    pub(super) fn false_branch(&mut self, random: &mut Random) -> usize {
        let back = random.below(4).min(self.head(self.tip));
        let mut tip = self
            .at(self.tip, self.head(self.tip) - back)
            .expect("an ancestor");
        for _ in 0..=back + random.below(3) {
            let content = match self.family {
                Family::Bitcoin => self.false_coins(tip, random),
                Family::Evm if self.issued == 0 => Content::default(),
                Family::Evm => {
                    let hash = TransactionHash(random.bytes());
                    Content::of(vec![self.movement(hash, Part::Log(0), random)])
                }
            };
            tip = self.add(Some(tip), Vec::new(), content, random.next());
            self.blocks[tip].is_false = true;
        }
        tip
    }
}

/// Stands for the receipts root, or the root of the transactions: what a block holds cannot be changed without
/// changing it.
fn root(movements: &[Movement], spends: &[Spend]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for movement in movements {
        digest.update(movement.id.transaction.0);
        digest.update(movement.id.part.to_string());
        digest.update(movement.asset.as_bytes());
        digest.update(movement.to.bytes());
        digest.update(movement.face_units.to_be_bytes::<32>());
        digest.update(movement.gained_units.to_be_bytes::<32>());
    }
    for spend in spends {
        digest.update(spend.output.transaction.0);
        digest.update(spend.output.number.to_be_bytes());
        digest.update(spend.by.0);
    }
    digest.finalize().into()
}

fn hash(block: &ObservedBlock) -> BlockHash {
    let digest = Sha256::new()
        .chain_update(block.parent.0)
        .chain_update(block.block.height.0.to_be_bytes())
        .chain_update(block.unix_s.to_be_bytes())
        .chain_update(block.root);
    BlockHash(digest.finalize().into())
}

/// What a client of a node does with a block before it believes it.
pub(super) fn verifies(asked: &BlockRef, block: &ObservedBlock) -> bool {
    let root = root(&block.movements, &block.spends);
    block.block == *asked && root == block.root && hash(block) == asked.hash
}
