//! A whole life of a network in one number: chains that branch and reorganize, nodes that lag, fall silent and lie,
//! crashes between any two steps, customers who spend and operators who decide; and after every commit a judge.
//!
//! It drives the functions that the platform drives (`domain::sync`, `domain::deposit`, `domain::ledger`, `nodes::quorum`) over a store
//! in memory with the database's constraints, and knows the truth that the platform can only ask for. The judge
//! computes from the chain alone what the ledger must say, without the ledger's own code.
//!
//! Guarantees: one seed is one run, down to the last bit, on every machine; a seed that fails is named, and run
//! again it fails at the same step with its story printed. That the judge would notice is shown by [`Defect`]s:
//! mistakes put in on purpose, each found within a few seeds.
//! Deliberately not here: a node, a database, time, threads within a run. What only shows with real nodes and real
//! engines is found by the other runners.
//! Seeds take turns between two families of chains: accounts (EVM), and outputs (Bitcoin), where transactions
//! exclude each other, are malleated, and spend what is ours past the ledger; there the record of outputs is judged
//! beside the ledger.
//! Cost: some milliseconds per seed of accounts, some tens per seed of outputs, whose chains are longer.

mod check;
mod check_outputs;
mod defect;
mod follow;
mod nodes;
mod outputs;
mod people;
mod random;
mod store;
#[cfg(test)]
mod tests;
mod trace;
mod world;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use coffer_domain::block::BlockHeight;
use coffer_domain::id::{ApiKeyId, NetworkId, OrganizationId};
use coffer_domain::network::{Finality, Network, NetworkSettings, NetworkState, NodeUrl};

pub use defect::Defect;
pub use world::Family;

use follow::Followed;
use nodes::Nodes;
use random::Random;
use store::{Commit, Store};
use trace::Trace;
use world::World;

/// What a run that found nothing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    pub commits: u64,
    pub undone: u64,
    pub crashes: u64,
    pub frozen: u64,
    pub deposits: u64,
    pub ledger_transactions: u64,
    pub deepest: u64,
    /// Rows that undone blocks gave back to the record of outputs.
    pub restored: u64,
    /// Outputs of ours at the end, and how many of them are spent.
    pub outputs: u64,
    pub spent_outputs: u64,
    /// Over every commit: two runs that differ anywhere differ here.
    pub trace_hash: u64,
}

/// Where a run went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    /// Commits before it.
    pub step: u64,
    pub what: String,
    /// The last lines of its story, where it was told.
    pub story: Vec<String>,
}

/// Why a step ended.
#[derive(Debug)]
enum Halt {
    /// Everything that is not in the store is lost.
    Crash,
    Wrong(String),
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    start: BlockHeight,
    confirmations: u64,
    finality: Finality,
    /// How far the nodes' own final block is behind their head.
    tag_depth: u64,
    one_undo_per_step: bool,
    /// The deepest reorganization of this run.
    deepest: u64,
}

struct Run {
    random: Random,
    settings: Settings,
    organization: OrganizationId,
    world: World,
    nodes: Nodes,
    store: Store,
    network: Network,
    /// Wallets whose addresses are in memory; lost in a crash.
    watched: Option<u64>,
    defect: Option<Defect>,
    /// What honest nodes saw during this step.
    views: Vec<usize>,
    votes: Vec<ApiKeyId>,
    entries: usize,
    /// Counts what people do.
    number: u64,
    now_ms: i64,
    /// Nothing happens by chance any more.
    settled: bool,
    report: Report,
    trace: Trace,
}

/// What a run is of, beside its seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The seed chooses where nobody does.
    pub family: Option<Family>,
    pub defect: Option<Defect>,
    /// Its story is kept, and everything is judged after every commit instead of now and then.
    pub told: bool,
}

pub fn run(seed: u64, options: Options) -> Result<Report, Box<Failure>> {
    tell(seed, options).0
}

/// One run, and the end of its story if it is `told`; a failure has its own.
pub fn tell(seed: u64, options: Options) -> (Result<Report, Box<Failure>>, Vec<String>) {
    let mut run = Run::new(seed, options);
    match run.live() {
        Ok(()) => {
            let story = run.trace.lines();
            (Ok(run.finish()), story)
        }
        Err(what) => {
            let failure = Failure {
                seed,
                step: run.report.commits,
                what,
                story: run.trace.lines(),
            };
            (Err(Box::new(failure)), Vec::new())
        }
    }
}

impl Run {
    fn new(seed: u64, options: Options) -> Self {
        let family = options.family.unwrap_or_else(|| Family::of(seed));
        let mut random = Random::new(seed);
        let settings = Settings::draw(&mut random, family);
        let mut world = World::new(&mut random, family);
        let height = if family == Family::Bitcoin {
            // Rewards of the first blocks become spendable while the run lasts.
            random.between(60, 130)
        } else if settings.deepest > 20 {
            random.between(60, 100)
        } else {
            random.between(3, 25)
        };
        let organization = OrganizationId::from_bytes([1; 16]);
        world.grow(height, &mut random);
        Self {
            nodes: Nodes::new(&mut random),
            network: network(organization, &settings, family),
            random,
            settings,
            organization,
            world,
            store: Store::default(),
            watched: None,
            defect: options.defect,
            views: Vec::new(),
            votes: Vec::new(),
            entries: 0,
            number: 0,
            now_ms: 1_800_000_000_000,
            settled: false,
            report: Report::default(),
            trace: Trace::new(options.told),
        }
    }

    fn live(&mut self) -> Result<(), String> {
        let events = self.random.between(40, 100);
        for _ in 0..events {
            self.now_ms += 1_000;
            self.event();
            self.survive(Self::act)?;
            for _ in 0..self.random.below(7) {
                self.survive(|run| run.follow().map(drop))?;
            }
        }
        self.settle()
    }

    fn event(&mut self) {
        match self.random.below(10) {
            0..=5 => {
                let count = self.random.between(1, 4);
                self.world.grow(count, &mut self.random);
            }
            6 | 7 => self.change_chain(),
            _ => self.nodes.change(&mut self.world, &mut self.random),
        }
    }

    fn change_chain(&mut self) {
        if self.random.permille(350) {
            self.world.flip(&mut self.random);
            self.trace
                .note(|| "the chain is another one of its branches".to_owned());
            return;
        }
        let deep = self.random.permille(150);
        let most = if deep { self.settings.deepest } else { 5 };
        let depth = self.random.between(1, most);
        let count = self.random.below(depth + 4);
        self.world.reorganize(depth, count, &mut self.random);
        self.trace
            .note(|| format!("reorganized: {depth} blocks go, {count} come"));
    }

    /// Does something that a crash may cut short.
    fn survive(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Halt>) -> Result<(), String> {
        match work(self) {
            Ok(()) => Ok(()),
            Err(Halt::Wrong(what)) => Err(what),
            Err(Halt::Crash) => {
                self.report.crashes += 1;
                self.watched = None;
                Ok(())
            }
        }
    }

    /// Everything heals; then chain and ledger must become the same.
    fn settle(&mut self) -> Result<(), String> {
        self.nodes.heal();
        self.store.tripped.clear();
        let ours = self.store.tip().map_or(0, |tip| tip.height.0);
        let ahead = ours
            .max(self.settings.start.0)
            .saturating_sub(self.world.head(self.world.tip));
        let count = ahead + self.settings.confirmations + 1;
        self.world.grow(count, &mut self.random);
        self.settled = true;
        for _ in 0..4_000 {
            match self.follow() {
                Ok(Followed::Idle) => {
                    return self.check(true).map_err(|halt| match halt {
                        Halt::Crash => "a crash where nothing crashes".to_owned(),
                        Halt::Wrong(what) => what,
                    });
                }
                Ok(Followed::Frozen) => self.survive(Self::resume)?,
                Ok(Followed::Took | Followed::Undid | Followed::Waiting) => {}
                Err(Halt::Crash) => return Err("a crash where nothing crashes".to_owned()),
                Err(Halt::Wrong(what)) => return Err(what),
            }
        }
        Err("it does not come to the chain's head".to_owned())
    }

    /// A place at which the process may end.
    fn point(&mut self, name: &'static str) -> Result<(), Halt> {
        if !self.settled && self.random.permille(12) {
            self.trace.note(|| format!("crash: {name}"));
            return Err(Halt::Crash);
        }
        Ok(())
    }

    fn commit(&mut self, mut commit: Commit) -> Result<(), Halt> {
        self.judge(&commit)?;
        if let Err(crash) = self.point("before the commit") {
            match self.defect {
                Some(Defect::LoseBlockOnCrash) => {
                    commit.deposits.clear();
                    commit.posted.clear();
                }
                Some(Defect::LosePostingsOnCrash) => commit.posted.clear(),
                Some(Defect::LoseOutputsOnCrash) => {
                    commit.outputs.clear();
                    commit.removed_outputs.clear();
                }
                _ => return Err(crash),
            }
        }
        self.store.commit(&commit).map_err(Halt::Wrong)?;
        self.entries += commit
            .posted
            .iter()
            .map(|posted| posted.entries.len())
            .sum::<usize>();
        self.report.commits += 1;
        self.report.undone += u64::from(commit.what == "undo");
        self.trace.commit(&commit, &self.store);
        if self.trace.is_told() || self.report.commits.is_multiple_of(8) {
            self.check(false)?;
        }
        self.point("after the commit")
    }

    fn finish(mut self) -> Report {
        self.report.deposits = self.store.deposits.len() as u64;
        self.report.ledger_transactions = self.store.transactions.len() as u64;
        self.report.deepest = self.settings.deepest;
        let outputs = self.store.outputs.values();
        self.report.outputs = outputs.len() as u64;
        self.report.spent_outputs = outputs.filter(|output| output.spent.is_some()).count() as u64;
        self.report.trace_hash = self.trace.hash();
        self.report
    }
}

impl Settings {
    fn draw(random: &mut Random, family: Family) -> Self {
        let confirmations = random.between(1, 6);
        let deepest = if random.permille(120) {
            64
        } else {
            random.between(3, 16)
        };
        let depths = [0, 3, 10, 70].map(|more| confirmations + more);
        let depth = u32::try_from(depths[random.index(4)]).expect("small");
        // Bitcoin's nodes call no block final.
        let tag = random.permille(300) && family == Family::Evm;
        Self {
            start: BlockHeight([0, 1, 2, 5][random.index(4)]),
            confirmations,
            finality: if tag {
                Finality::Tag
            } else {
                Finality::Depth(NonZeroU32::new(depth).expect("at least one confirmation"))
            },
            tag_depth: [2, 8, 64][random.index(3)],
            one_undo_per_step: random.permille(500),
            deepest,
        }
    }
}

fn network(organization: OrganizationId, settings: &Settings, family: Family) -> Network {
    let node = NodeUrl {
        rpc: "http://127.0.0.1:1".to_owned(),
        websocket: None,
    };
    let confirmations = u32::try_from(settings.confirmations).expect("small");
    let chain = match family {
        Family::Evm => "eip155:31337",
        Family::Bitcoin => "bip122:0f9188f13cb7b2c71f2a335e3a4fc328",
    };
    let chain = chain.parse().expect("a chain id");
    Network {
        id: NetworkId::of(organization, &chain),
        organization,
        chain,
        settings: NetworkSettings {
            name: "simulated".to_owned(),
            nodes: vec![node],
            quorum: 1,
            confirmations: NonZeroU32::new(confirmations).expect("at least one"),
            finality: settings.finality,
            start_height: settings.start.0,
            genesis: None,
            poll_interval_ms: 1_000,
        },
        state: NetworkState::Active,
        reason: None,
        resume_by: None,
        created_at_ms: 0,
        version: 1,
    }
}

/// What many runs did together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub seeds: u64,
    pub total: Report,
    pub failure: Option<Box<Failure>>,
}

/// Runs all seeds on so many threads, up to the first failure; that seed is run again with its story.
#[must_use]
pub fn run_all(seeds: std::ops::Range<u64>, options: Options, threads: usize) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = run(seed, options);
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    summary
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(result);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    let again = Options {
        told: true,
        ..options
    };
    if let Some(failure) = &mut summary.failure
        && let Err(told) = run(failure.seed, again)
    {
        *failure = told;
    }
    summary
}

impl Summary {
    fn add(&mut self, result: Result<Report, Box<Failure>>) {
        self.seeds += 1;
        match result {
            Ok(report) => self.total.add(&report),
            Err(failure) => {
                // The lowest one, so that the answer does not depend on which thread was faster.
                if self
                    .failure
                    .as_ref()
                    .is_none_or(|other| other.seed > failure.seed)
                {
                    self.failure = Some(failure);
                }
            }
        }
    }
}

impl Report {
    fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.undone += other.undone;
        self.crashes += other.crashes;
        self.frozen += other.frozen;
        self.deposits += other.deposits;
        self.ledger_transactions += other.ledger_transactions;
        self.deepest = self.deepest.max(other.deepest);
        self.restored += other.restored;
        self.outputs += other.outputs;
        self.spent_outputs += other.spent_outputs;
        self.trace_hash ^= other.trace_hash;
    }
}
