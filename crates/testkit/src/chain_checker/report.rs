//! What was found, in words.

use std::collections::BTreeMap;
use std::fmt;

use super::tables::Tables;

/// The part of the proof that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    Ledger,
    Coverage,
    Custody,
    Deposits,
    Outputs,
    Customers,
    Audit,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ledger => "ledger",
            Self::Coverage => "coverage",
            Self::Custody => "custody",
            Self::Deposits => "deposits",
            Self::Outputs => "outputs",
            Self::Customers => "customers",
            Self::Audit => "audit",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub check: Check,
    pub text: String,
}

/// What was compared on one network.
#[derive(Debug, Clone)]
pub struct NetworkReport {
    pub chain: String,
    pub height: u64,
    pub hash: String,
    pub blocks: usize,
    /// Of the canonical chain, to addresses of ours.
    pub movements: usize,
    pub addresses: usize,
}

#[derive(Debug, Default)]
pub struct Report {
    pub networks: Vec<NetworkReport>,
    pub transactions: usize,
    pub entries: usize,
    pub accounts: usize,
    /// Deposits by state.
    pub deposits: BTreeMap<String, usize>,
    /// Blocks that a reorganization took back.
    pub orphaned: usize,
    /// Deposits that more than one block has included.
    pub returned: usize,
    /// Rows of the record of outputs.
    pub outputs: usize,
    /// Of those, spent ones.
    pub spent: usize,
    /// Custody positions that were compared with the chain.
    pub positions: usize,
    /// Differences that a tripped breaker accounts for.
    pub tripped: Vec<String>,
    /// Empty when everything holds.
    pub problems: Vec<Problem>,
}

impl Report {
    pub(super) fn of(tables: &Tables) -> Self {
        let mut deposits = BTreeMap::new();
        for deposit in &tables.deposits {
            *deposits.entry(deposit.state.clone()).or_insert(0) += 1;
        }
        Self {
            transactions: tables.transactions.len(),
            entries: tables.entries.len(),
            accounts: tables.accounts.len(),
            deposits,
            orphaned: tables.orphaned.len(),
            returned: tables
                .deposits
                .iter()
                .filter(|row| row.inclusion > 1)
                .count(),
            outputs: tables.outputs.len(),
            spent: tables
                .outputs
                .iter()
                .filter(|row| row.spent_by.is_some())
                .count(),
            ..Self::default()
        }
    }

    pub(super) fn problem(&mut self, check: Check, text: String) {
        self.problems.push(Problem { check, text });
    }

    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether that part of the proof has failed.
    #[must_use]
    pub fn objects_to(&self, check: Check) -> bool {
        self.problems.iter().any(|problem| problem.check == check)
    }
}

/// So many of a part's problems are shown.
const SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for network in &self.networks {
            writeln!(
                f,
                "{}: {} blocks to {} {}, {} movements to {} addresses of ours",
                network.chain,
                network.blocks,
                network.height,
                network.hash,
                network.movements,
                network.addresses
            )?;
        }
        let states = self
            .deposits
            .iter()
            .map(|(state, count)| format!("{count} {state}"));
        let states: Vec<String> = states.collect();
        writeln!(
            f,
            "deposits: {}; {} of them taken in more than once; {} blocks taken back",
            if states.is_empty() {
                "none".to_owned()
            } else {
                states.join(", ")
            },
            self.returned,
            self.orphaned
        )?;
        writeln!(
            f,
            "ledger: {} transactions, {} entries, {} accounts; {} positions compared with the chain",
            self.transactions, self.entries, self.accounts, self.positions
        )?;
        if self.outputs > 0 {
            writeln!(f, "outputs: {}, {} of them spent", self.outputs, self.spent)?;
        }
        for text in &self.tripped {
            writeln!(f, "breaker tripped: {text}")?;
        }
        for problem in self.problems.iter().take(SHOWN) {
            writeln!(f, "WRONG ({}): {}", problem.check, problem.text)?;
        }
        if self.problems.len() > SHOWN {
            writeln!(f, "… and {} more", self.problems.len() - SHOWN)?;
        }
        if self.is_good() && !self.networks.is_empty() {
            f.write_str("ledger = chain, to the unit.")
        } else if self.is_good() {
            f.write_str("the ledger is whole; no chain was compared.")
        } else {
            write!(f, "{} problems.", self.problems.len())
        }
    }
}
