//! Nodes that are asked: honest, late, silent or lying; never so many liars that they are a quorum.

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::movement::ObservedBlock;
use coffer_nodes::quorum;
use ruint::aliases::U256;

use super::random::Random;
use super::world::{World, verifies};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// A hash that no block has.
    OtherHash,
    /// All liars tell of the same branch, in which every hash is right.
    FalseBranch,
    /// The right hash, and a block whose amounts are not those of the chain.
    ForgedBlock,
    /// The right hash, and a block from which a movement or a spend is missing.
    HiddenMovement,
    HeadTooHigh,
    HeadTooLow,
    /// The answer to the question before.
    Late,
}

const LIES: [Lie; 7] = [
    Lie::OtherHash,
    Lie::FalseBranch,
    Lie::ForgedBlock,
    Lie::HiddenMovement,
    Lie::HeadTooHigh,
    Lie::HeadTooLow,
    Lie::Late,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Honest,
    /// So many blocks behind.
    Lagging(u64),
    /// Knows of nothing after this block, be it on the chain or not.
    Stuck(usize),
    Silent,
    Lying(Lie),
}

pub(super) struct Nodes {
    conducts: Vec<Conduct>,
    /// The first so many may lie.
    liars: usize,
    pub(super) quorum: usize,
    false_tip: Option<usize>,
    last: Option<BlockHash>,
}

impl Nodes {
    pub(super) fn new(random: &mut Random) -> Self {
        let count = [1, 3, 3, 4, 5][random.index(5)];
        let least = count / 2 + 1;
        let quorum = least + random.index(count - least + 1);
        // Seldom so many that they can stop everything; never a quorum.
        let many = random.permille(300);
        Self {
            conducts: vec![Conduct::Honest; count],
            liars: random.index(if many { quorum } else { count - quorum + 1 }),
            quorum,
            false_tip: None,
            last: None,
        }
    }

    pub(super) fn heal(&mut self) {
        self.conducts.fill(Conduct::Honest);
    }

    /// Some node behaves in another way from now on.
    pub(super) fn change(&mut self, world: &mut World, random: &mut Random) {
        let at = random.index(self.conducts.len());
        if at < self.liars && random.permille(700) {
            let lie = LIES[random.index(LIES.len())];
            if lie == Lie::FalseBranch {
                self.false_tip = Some(world.false_branch(random));
            }
            self.conducts[at] = Conduct::Lying(lie);
            return;
        }
        self.conducts[at] = match random.below(8) {
            0 => Conduct::Lagging(random.between(1, 12)),
            1 => Conduct::Stuck(world.tip),
            2 => Conduct::Silent,
            _ => Conduct::Honest,
        };
    }

    /// The branch that a node believes in; `None` for one that is silent.
    fn view(&self, node: usize, world: &World) -> Option<usize> {
        match self.conducts[node] {
            Conduct::Silent => None,
            Conduct::Stuck(tip) => Some(tip),
            Conduct::Lagging(blocks) => {
                world.at(world.tip, world.head(world.tip).saturating_sub(blocks))
            }
            Conduct::Lying(Lie::FalseBranch) => self.false_tip,
            Conduct::Honest | Conduct::Lying(_) => Some(world.tip),
        }
    }

    /// What those who do not lie see, for judging what was done.
    pub(super) fn honest_views(&self, world: &World) -> Vec<usize> {
        (0..self.conducts.len())
            .filter(|node| !matches!(self.conducts[*node], Conduct::Lying(_)))
            .filter_map(|node| self.view(node, world))
            .collect()
    }

    fn says_head(&self, node: usize, world: &World) -> Option<u64> {
        let head = world.head(self.view(node, world)?);
        Some(match self.conducts[node] {
            Conduct::Lying(Lie::HeadTooHigh) => head + 1_000,
            Conduct::Lying(Lie::HeadTooLow) => head / 2,
            _ => head,
        })
    }

    /// The highest height that `quorum` nodes have reached.
    pub(super) fn agreed_head(&self, world: &World, quorum: usize) -> Option<BlockHeight> {
        let heads: Vec<_> = (0..self.conducts.len())
            .filter_map(|node| self.says_head(node, world).map(BlockHeight))
            .collect();
        quorum::reached(quorum, &heads)
    }

    /// `None` when no quorum agrees, `Some(None)` when it agrees that there is no such block.
    pub(super) fn agreed_hash(
        &mut self,
        world: &World,
        height: BlockHeight,
        quorum: usize,
    ) -> Option<Option<BlockHash>> {
        let answers: Vec<_> = (0..self.conducts.len())
            .filter_map(|node| self.says_hash(node, world, height.0))
            .collect();
        self.last = world
            .at(world.tip, height.0)
            .map(|at| world.blocks[at].hash());
        quorum::agreed(quorum, &answers).copied()
    }

    fn says_hash(&self, node: usize, world: &World, height: u64) -> Option<Option<BlockHash>> {
        let hash = world
            .at(self.view(node, world)?, height)
            .map(|at| world.blocks[at].hash());
        Some(match self.conducts[node] {
            Conduct::Lying(Lie::OtherHash) => hash.map(|hash| {
                let mut other = hash.0;
                other[31] ^= 1;
                BlockHash(other)
            }),
            Conduct::Lying(Lie::Late) => self.last,
            _ => hash,
        })
    }

    /// The block from the first node that gives one that verifies, or the first at all where `check` is off.
    pub(super) fn fetch(
        &self,
        world: &World,
        wanted: BlockRef,
        check: bool,
    ) -> Option<ObservedBlock> {
        (0..self.conducts.len())
            .filter_map(|node| self.gives(node, world, wanted))
            .find(|block| !check || verifies(&wanted, block))
    }

    /// A node has only the blocks of its own branch.
    fn gives(&self, node: usize, world: &World, wanted: BlockRef) -> Option<ObservedBlock> {
        let at = world.at(self.view(node, world)?, wanted.height.0)?;
        let mut block = world.blocks[at].observed.clone();
        match self.conducts[node] {
            Conduct::Lying(Lie::ForgedBlock) => {
                if let Some(first) = block.movements.first_mut() {
                    first.face_units = first.face_units.saturating_add(U256::from(7));
                    first.gained_units = first.gained_units.saturating_add(U256::from(7));
                }
            }
            Conduct::Lying(Lie::HiddenMovement) => {
                let hides_spend = wanted.height.0.is_multiple_of(2);
                if !hides_spend || block.spends.pop().is_none() {
                    block.movements.pop();
                }
            }
            _ if block.block != wanted => return None,
            _ => {}
        }
        Some(block)
    }
}
