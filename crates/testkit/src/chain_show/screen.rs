//! The picture in the terminal, drawn over itself; without a terminal a line now and then.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use coffer_domain::chain::{ChainFamily, ChainId};

use super::ask::{Answers, STATES};

/// Without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// What happened last, so many lines of it.
const NEWS: usize = 4;

pub(super) struct Screen {
    started: Instant,
    is_terminal: bool,
    wallets: usize,
    news: Vec<String>,
    /// Lines of the last picture.
    drawn: usize,
    told: Option<Instant>,
}

impl Screen {
    pub(super) fn new(wallets: usize) -> Self {
        Self {
            started: Instant::now(),
            is_terminal: std::io::stdout().is_terminal(),
            wallets,
            news: Vec::new(),
            drawn: 0,
            told: None,
        }
    }

    /// Something happened.
    pub(super) fn say(&mut self, news: &str) {
        let line = format!("{} {news}", self.clock());
        if !self.is_terminal {
            println!("{line}");
        }
        self.news.push(line);
        if self.news.len() > NEWS {
            self.news.remove(0);
        }
    }

    fn clock(&self) -> String {
        let seconds = self.started.elapsed().as_secs();
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    }

    pub(super) fn draw(&mut self, answers: &Answers) {
        if !self.is_terminal {
            return self.line(answers);
        }
        let picture = self.picture(answers);
        let mut text = String::new();
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for line in picture.lines() {
            let _ = writeln!(text, "\x1b[2K{line}");
        }
        // Whatever of the last picture stood below.
        text.push_str("\x1b[J");
        self.drawn = picture.lines().count();
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }

    /// The picture stays; what is printed next comes below it.
    pub(super) fn close(&mut self) {
        self.drawn = 0;
    }

    fn line(&mut self, answers: &Answers) {
        if self.told.is_some_and(|told| told.elapsed() < LINE_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        for (chain, line) in &answers.networks {
            let states: Vec<String> = STATES
                .iter()
                .filter_map(|state| Some(format!("{} {state}", line.deposits.get(*state)?)))
                .collect();
            println!(
                "{} {}: at {} of {}, {}",
                self.clock(),
                label(chain),
                line.height,
                line.head,
                states.join(", ")
            );
        }
    }

    fn picture(&self, answers: &Answers) -> String {
        let mut text = format!(
            "\n  Coffer watches {} chains for {} wallets{:>36}\n\n",
            answers.networks.len(),
            self.wallets,
            self.clock()
        );
        let _ = writeln!(
            text,
            "  \x1b[2m{:<16}{:>7}{:>9}{:>9}{:>6}{:>8}{:>9}  state\x1b[0m",
            "chain", "head", "agreed", "ledger", "lag", "nodes", "reorgs"
        );
        for (chain, line) in &answers.networks {
            let behind = line.head.saturating_sub(line.height).max(line.lag);
            let nodes = format!("{}/{}", line.healthy.0, line.healthy.1);
            let _ = writeln!(
                text,
                "  {:<16}{:>7}{:>9}{:>9}{behind:>6}{nodes:>8}{:>9}  {}",
                label(chain),
                line.head,
                line.agreed,
                line.height,
                line.reorgs,
                line.state
            );
        }
        let _ = write!(text, "\n  \x1b[2m{:<16}", "deposits");
        for state in STATES {
            let _ = write!(text, "{state:>10}");
        }
        text.push_str("\x1b[0m\n");
        for (chain, line) in &answers.networks {
            let _ = write!(text, "  {:<16}", label(chain));
            for state in STATES {
                let _ = write!(
                    text,
                    "{:>10}",
                    line.deposits.get(state).copied().unwrap_or(0)
                );
            }
            text.push('\n');
        }
        balances(&mut text, answers);
        text.push('\n');
        for position in 0..NEWS {
            let news = self.news.get(position).map_or("", String::as_str);
            let _ = writeln!(text, "  \x1b[2m{news}\x1b[0m");
        }
        text
    }
}

fn balances(text: &mut String, answers: &Answers) {
    let _ = writeln!(
        text,
        "\n  \x1b[2m{:<20}{:>14}{:>13}{:>15}{:>15}\x1b[0m",
        "balances", "available", "pending", "ledger", "chain"
    );
    for asset in &answers.assets {
        let name = format!("{} {}", label(&asset.chain), asset.symbol);
        let verdict = match asset.state.as_str() {
            "" => String::new(),
            _ if asset.ledger == asset.on_chain => {
                format!("\x1b[32m= at {}\x1b[0m", asset.at)
            }
            state => format!("\x1b[31m{state} at {}\x1b[0m", asset.at),
        };
        let _ = writeln!(
            text,
            "  {name:<20}{:>14}{:>13}{:>15}{:>15} {verdict}",
            short(&asset.available),
            short(&asset.pending),
            short(&asset.ledger),
            short(&asset.on_chain)
        );
    }
}

/// Short enough for a column: a Bitcoin network by its name, instead of half the hash of its first block.
pub(super) fn label(chain: &str) -> String {
    let family = chain.parse::<ChainId>().ok().and_then(|id| id.family());
    match family {
        Some(ChainFamily::Bitcoin(network)) => format!("bitcoin {}", network.name()),
        _ => chain.to_owned(),
    }
}

/// With six decimals at most: cut off, not rounded, and saying so.
fn short(amount: &str) -> String {
    match amount.split_once('.') {
        Some((whole, fraction)) if fraction.len() > 6 => format!("{whole}.{}…", &fraction[..6]),
        _ => amount.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_have_names_that_fit() {
        let regtest = label("bip122:0f9188f13cb7b2c71f2a335e3a4fc328");
        assert_eq!(regtest, "bitcoin regtest");
        assert_eq!(label("eip155:31337"), "eip155:31337");
    }

    #[test]
    fn long_amounts_are_cut_and_say_so() {
        assert_eq!(short("12.5"), "12.5");
        assert_eq!(short("12.500000000001"), "12.500000…");
    }
}
