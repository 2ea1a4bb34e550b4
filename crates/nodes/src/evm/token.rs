//! Tokens: verified Transfer events say where to look, balances say what came.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use coffer_chains::evm::payload;
use coffer_chains::evm::transfer::{Transfer, transfer};
use coffer_domain::block::BlockRef;
use coffer_domain::id::AssetId;
use coffer_domain::movement::{Movement, MovementId, Part, attribute};
use ruint::aliases::U256;

use super::EvmSource;
use super::observe::{Order, Placed, Seen};
use crate::NodeError;

/// A transfer of an asset of ours, by transaction and log.
struct Event {
    transaction: usize,
    log: u32,
    asset: AssetId,
    transfer: Transfer,
}

impl EvmSource {
    pub(super) async fn token_movements(&self, seen: &Seen<'_>) -> Result<Vec<Placed>, NodeError> {
        let events = events(seen);
        let mut incoming: BTreeMap<(Address, Address), Vec<&Event>> = BTreeMap::new();
        for event in &events {
            let Transfer {
                contract, from, to, ..
            } = event.transfer;
            if from != to && seen.is_watched(to) {
                incoming.entry((contract, to)).or_default().push(event);
            }
        }
        let mut by_token: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
        for (contract, owner) in incoming.keys() {
            by_token.entry(*contract).or_default().push(*owner);
        }
        let mut placed = Vec::new();
        for (contract, owners) in by_token {
            let grown = self.growth(
                &seen.block.block,
                seen.block.parent_ref(),
                Some(contract),
                &owners,
            );
            for (owner, growth) in owners.iter().zip(grown.await?) {
                let arrivals = incoming.remove(&(contract, *owner)).unwrap_or_default();
                let gained = growth.gained(left(&events, contract, *owner));
                let faces: Vec<U256> = arrivals.iter().map(|event| event.transfer.units).collect();
                let gains = attribute(&faces, gained);
                let moved = arrivals.iter().zip(gains);
                placed.extend(moved.map(|(event, gain)| event.placed(seen, gain)));
            }
        }
        Ok(placed)
    }

    /// Balances before and after a block.
    pub(super) async fn growth(
        &self,
        at: &BlockRef,
        parent: Option<BlockRef>,
        token: Option<Address>,
        owners: &[Address],
    ) -> Result<Vec<Growth>, NodeError> {
        let after = self.balances_at(*at, token, owners).await?;
        let before = match parent {
            Some(parent) => self.balances_at(parent, token, owners).await?,
            None => vec![U256::ZERO; owners.len()],
        };
        let both = before.into_iter().zip(after);
        Ok(both
            .map(|(before, after)| Growth { before, after })
            .collect())
    }
}

/// What an address held before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    before: U256,
    after: U256,
}

impl Growth {
    /// What came in, if so much went out.
    pub(super) fn gained(self, left: U256) -> U256 {
        self.after.saturating_add(left).saturating_sub(self.before)
    }
}

fn events(seen: &Seen<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for (transaction, receipt) in seen.receipts.iter().enumerate() {
        for (log, entry) in (0..).zip(&receipt.logs) {
            let Some(asset) = seen.tokens.get(&entry.address).copied() else {
                continue;
            };
            events.extend(transfer(entry).map(|transfer| Event {
                transaction,
                log,
                asset,
                transfer,
            }));
        }
    }
    events
}

/// What the address gave away by the token's own events.
fn left(events: &[Event], contract: Address, owner: Address) -> U256 {
    let outgoing = events
        .iter()
        .map(|event| &event.transfer)
        .filter(|transfer| {
            transfer.contract == contract && transfer.from == owner && transfer.to != owner
        });
    outgoing.fold(U256::ZERO, |sum, transfer| {
        sum.saturating_add(transfer.units)
    })
}

impl Event {
    fn placed(&self, seen: &Seen<'_>, gained_units: U256) -> Placed {
        Placed {
            order: Order::Log(self.transaction, self.log),
            movement: Movement {
                id: MovementId {
                    transaction: seen.block.transactions[self.transaction].hash,
                    part: Part::Log(self.log),
                },
                asset: self.asset,
                from: Some(payload(self.transfer.from)),
                to: payload(self.transfer.to),
                face_units: self.transfer.units,
                gained_units,
            },
        }
    }
}
