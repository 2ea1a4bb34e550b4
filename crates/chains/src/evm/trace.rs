//! Value that moves inside transactions, from the frames of the `callTracer`.
//!
//! No hash covers a trace. What is read here says only where to look; balances that enough nodes agree on say
//! what came.

use alloy_primitives::{Address, B256, U256};
use coffer_domain::block::TransactionHash;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::EvmError;

/// A frame that moved value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// Counted over all frames of the transaction in depth-first order; 0 is the transaction itself.
    pub ordinal: u32,
    pub from: Address,
    pub to: Address,
    pub wei: U256,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    from: Address,
    #[serde(default)]
    to: Option<Address>,
    #[serde(default)]
    value: Option<U256>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    calls: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Traced<'a> {
    #[serde(default)]
    tx_hash: Option<B256>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
}

/// A block cannot pay for more: the cheapest call takes 100 gas.
const FRAMES_MAX: u32 = 10_000_000;

/// The frames that moved value, transaction by transaction, from what `debug_traceBlockByHash` gives. An answer
/// that leaves a transaction out is refused.
pub fn block_calls(
    json: &str,
    transactions: &[TransactionHash],
) -> Result<Vec<Vec<Call>>, EvmError> {
    let traced: Vec<Traced<'_>> =
        serde_json::from_str(json).map_err(|error| EvmError::malformed("traces", error))?;
    if traced.len() != transactions.len() {
        let reason = format!(
            "{} traces of {} transactions",
            traced.len(),
            transactions.len()
        );
        return Err(EvmError::malformed("traces", reason));
    }
    let each = traced.iter().zip(transactions).map(|(traced, hash)| {
        if traced.tx_hash.is_some_and(|found| found.0 != hash.0) {
            return Err(EvmError::malformed("traces", "of another transaction"));
        }
        let frame = traced
            .result
            .ok_or_else(|| EvmError::malformed("traces", "one is missing"))?;
        calls(frame.get())
    });
    each.collect()
}

/// The frames of one transaction that moved value. What is below a frame that failed was undone with it, though
/// it carries no error of its own. `DELEGATECALL` and `CALLCODE` show the value of the call around them.
///
/// Goes frame by frame and never by recursion: the chain allows 1,024 levels.
pub fn calls(json: &str) -> Result<Vec<Call>, EvmError> {
    let malformed = |error| EvmError::malformed("trace", error);
    let root: &RawValue = serde_json::from_str(json).map_err(malformed)?;
    let mut open: Vec<&RawValue> = vec![root];
    let mut ordinal = 0;
    let mut calls = Vec::new();
    // Frames below a failed one keep their numbers, so that a number never depends on what failed.
    let mut undone: Vec<bool> = vec![false];
    while let (Some(json), Some(is_undone)) = (open.pop(), undone.pop()) {
        let frame: Frame<'_> = serde_json::from_str(json.get()).map_err(malformed)?;
        let has_failed = frame
            .error
            .is_some_and(|error| !matches!(error.get(), "null" | "\"\""));
        let is_undone = is_undone || has_failed;
        if !is_undone && let Some(call) = frame.moved(ordinal) {
            calls.push(call);
        }
        for inner in frame.calls.unwrap_or_default().into_iter().rev() {
            open.push(inner);
            undone.push(is_undone);
        }
        ordinal += 1;
        if ordinal > FRAMES_MAX {
            return Err(EvmError::malformed(
                "trace",
                "more frames than gas pays for",
            ));
        }
    }
    Ok(calls)
}

impl Frame<'_> {
    fn moved(&self, ordinal: u32) -> Option<Call> {
        let carries = matches!(self.kind, "CALL" | "CREATE" | "CREATE2" | "SELFDESTRUCT");
        let wei = self.value.filter(|value| !value.is_zero())?;
        let to = self.to?;
        (carries && to != self.from).then_some(Call {
            ordinal,
            from: self.from,
            to,
            wei,
        })
    }
}
