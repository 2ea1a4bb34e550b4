//! Named failpoints: the places where a process may die, stall or fail, chosen from outside.
//!
//! Without the feature `enabled` a failpoint is nothing. With it, `COFFER_FAILPOINT=name:nth:action`
//! arms one: at its nth passing the process kills itself (`kill`), panics (`panic`), stops for
//! `sleep=MS`, or the call answers [`Outcome::Fail`] (`error`). `nth` may be `*`: at every passing.
//! The names are listed in [`NAMES`]; an unknown one ends the process at once, so that a
//! crash test cannot pass because its failpoint was renamed.
//! Several are parted by commas.

/// Every failpoint there is. A crash runner goes through this list.
pub const NAMES: &[&str] = &[
    // A batch's upload: rows staged, then accepted in one transaction.
    "batch.upload.begun",
    "batch.upload.chunk_staged",
    "batch.accept.before_commit",
    "batch.accept.after_commit",
    // A chunk's life in the worker.
    "chunk.claimed",
    "chunk.derived",
    "chunk.verified",
    "chunk.before_commit",
    "chunk.after_commit",
    "chunk.row",
    // The address pool.
    "pool.fill.before_commit",
    "pool.take.before_commit",
    "pool.take.after_commit",
    // The wallet's gate.
    "wallet.transition.before_commit",
    // A reconciliation of one asset.
    "reconcile.before_commit",
    "reconcile.after_commit",
    "audit.anchor.before_rename",
    // Following a chain: a block fetched, taken, undone; a range read again.
    "block.fetched",
    "block.before_commit",
    "block.after_commit",
    "undo.before_commit",
    "undo.after_commit",
    "rescan.before_commit",
    // A look at mempools, stored.
    "mempool.before_commit",
    "mempool.after_commit",
    // Events sent to a webhook, and what became of them written down.
    "webhook.claimed",
    "webhook.before_send",
    "webhook.answered",
    "webhook.before_commit",
    "webhook.after_commit",
    // The signer.
    "signer.request_read",
    "signer.before_answer",
];

#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Continue,
    /// The caller is to answer with its own error.
    Fail,
}

/// Passes the failpoint `name`; `detail` further narrows it (`chunk.row` passes the external id, and
/// `name@detail:nth:action` arms it for that detail alone).
#[cfg(not(feature = "enabled"))]
#[inline]
pub fn hit(_name: &'static str, _detail: &str) -> Outcome {
    Outcome::Continue
}

#[cfg(feature = "enabled")]
pub use armed::hit;

#[cfg(feature = "enabled")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::{NAMES, Outcome};

    #[derive(Debug, Clone, Copy)]
    enum Action {
        Kill,
        Panic,
        Error,
        Sleep(Duration),
    }

    #[derive(Debug)]
    struct Armed {
        name: &'static str,
        detail: Option<String>,
        /// `None`: at every passing.
        nth: Option<u64>,
        action: Action,
        passed: AtomicU64,
    }

    fn parse(text: &str) -> Option<Armed> {
        let mut parts = text.splitn(3, ':');
        let place = parts.next()?;
        let (name, detail) = match place.split_once('@') {
            Some((name, detail)) => (name, Some(detail.to_owned())),
            None => (place, None),
        };
        let name = NAMES.iter().find(|known| **known == name)?;
        let nth = match parts.next()? {
            "*" => None,
            nth => Some(nth.parse().ok()?),
        };
        let action = match parts.next()? {
            "kill" => Action::Kill,
            "panic" => Action::Panic,
            "error" => Action::Error,
            other => Action::Sleep(Duration::from_millis(
                other.strip_prefix("sleep=")?.parse().ok()?,
            )),
        };
        Some(Armed {
            name,
            detail,
            nth,
            action,
            passed: AtomicU64::new(0),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test facility, armed from outside before main's configuration exists"
    )]
    fn armed() -> &'static [Armed] {
        static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();
        ARMED.get_or_init(|| {
            let text = std::env::var("COFFER_FAILPOINT").unwrap_or_default();
            text.split(',')
                .filter(|part| !part.is_empty())
                .map(|part| {
                    parse(part).unwrap_or_else(|| {
                        eprintln!("COFFER_FAILPOINT: {part:?} is not name[@detail]:nth:action with a known name");
                        std::process::exit(70)
                    })
                })
                .collect()
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "stalling is what this failpoint is for"
    )]
    pub fn hit(name: &'static str, detail: &str) -> Outcome {
        debug_assert!(
            NAMES.contains(&name),
            "failpoint {name} is not listed in NAMES"
        );
        for point in armed() {
            let here = point.name == name
                && point
                    .detail
                    .as_deref()
                    .is_none_or(|wanted| wanted == detail);
            if !here {
                continue;
            }
            let passing = point.passed.fetch_add(1, Ordering::Relaxed) + 1;
            if point.nth.is_some_and(|nth| nth != passing) {
                continue;
            }
            match point.action {
                Action::Kill => {
                    let _ = rustix::process::kill_process(
                        rustix::process::getpid(),
                        rustix::process::Signal::KILL,
                    );
                    std::thread::sleep(Duration::from_secs(60));
                }
                Action::Panic => panic!("failpoint {name}"),
                Action::Error => return Outcome::Fail,
                Action::Sleep(time) => std::thread::sleep(time),
            }
        }
        Outcome::Continue
    }
}
