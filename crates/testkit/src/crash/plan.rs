//! Which disturbances there are: every failpoint of the list, and those that need none.

use anyhow::{Result, bail};

/// Where a failpoint lies, and so which script drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Batch,
    /// Pool, single wallets, the gate.
    Wallets,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Armed {
    pub name: &'static str,
    /// As `COFFER_FAILPOINT` says it.
    pub text: String,
    pub script: Script,
    /// The signer dies of it, and `coffer` does not.
    pub in_signer: bool,
    /// After the signer's first death `coffer` is killed, too, and started without the failpoint.
    pub restart_coffer: bool,
}

/// Sizes of the run, from which the middle passing follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub rows: u64,
    pub chunks: u64,
}

/// Pieces of a body that are stored together at most.
const CHUNKS_PER_STAGING: u64 = 8;

/// Whether only following a chain passes it, or telling a receiver: `coffer-testkit reorgs` kills there, on a real
/// node, and `tests/webhooks`; at a look at mempools `tests/it/bitcoin`.
fn is_driven_elsewhere(name: &str) -> bool {
    [
        "block.",
        "undo.",
        "rescan.",
        "reconcile.",
        "webhook.",
        "mempool.",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// All ways to arm `name`: at its first passing, and at one in the middle where there is one; none for a
/// failpoint that is driven elsewhere.
///
/// # Errors
/// For a name that no script is known to pass: a new failpoint needs a line here.
pub(super) fn armed(name: &'static str, sizes: Sizes) -> Result<Vec<Armed>> {
    if is_driven_elsewhere(name) {
        return Ok(Vec::new());
    }
    let middle = (sizes.chunks / 2).max(2);
    let (script, passings) = match name {
        "batch.upload.begun" | "batch.accept.before_commit" | "batch.accept.after_commit" => {
            (Script::Batch, vec![1])
        }
        "batch.upload.chunk_staged" if sizes.chunks > CHUNKS_PER_STAGING => {
            (Script::Batch, vec![1, 2])
        }
        "batch.upload.chunk_staged" => (Script::Batch, vec![1]),
        "chunk.row" => (Script::Batch, vec![1, sizes.rows / 2]),
        "audit.anchor.before_rename" => (Script::Batch, vec![1, 2]),
        name if name.starts_with("chunk.") || name.starts_with("signer.") => {
            (Script::Batch, vec![1, middle])
        }
        "pool.fill.before_commit" => (Script::Wallets, vec![1]),
        "pool.take.before_commit" | "pool.take.after_commit" => (Script::Wallets, vec![1, 2]),
        "wallet.transition.before_commit" => (Script::Wallets, vec![1]),
        other => bail!("no script passes the failpoint {other}; give it a line in crash/plan.rs"),
    };
    let in_signer = name.starts_with("signer.");
    // The greeting alone would end the signer before it serves.
    let place = if in_signer {
        format!("{name}@solana_public_keys")
    } else {
        name.to_owned()
    };
    let arm = |nth: u64| Armed {
        name,
        text: format!("{place}:{nth}:kill"),
        script,
        in_signer,
        restart_coffer: in_signer && nth == 1,
    };
    Ok(passings.into_iter().map(arm).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failpoint_has_a_script() {
        for name in coffer_failpoint::NAMES {
            let armed = armed(
                name,
                Sizes {
                    rows: 20_000,
                    chunks: 20,
                },
            )
            .expect(name);
            assert_eq!(armed.is_empty(), is_driven_elsewhere(name), "{name}");
        }
    }
}
