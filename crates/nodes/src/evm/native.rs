//! The chain's own coin: verified transactions and withdrawals, calls inside of contracts, fees to a watched
//! coinbase, and what is left without an explanation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy_primitives::Address;
use coffer_chains::evm::payload;
use coffer_chains::evm::transfer::transfer;
use coffer_domain::block::TransactionHash;
use coffer_domain::id::AssetId;
use coffer_domain::movement::{Movement, MovementId, Part, attribute};
use ruint::aliases::U256;

use super::EvmSource;
use super::observe::{Order, Placed, Seen};
use super::traces::{Inner, Told};
use crate::NodeError;

/// Something that claims to have brought coins to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    order: Order,
    id: MovementId,
    from: Option<Address>,
    wei: U256,
}

/// All claims about one address, by how far they can be believed.
#[derive(Default)]
struct Claims {
    /// Covered by the block's hash.
    verified: Vec<Claim>,
    /// What each node's traces say.
    told: Vec<Vec<Inner>>,
    /// The fees of the block, whose sum nobody states.
    is_coinbase: bool,
}

impl EvmSource {
    pub(super) async fn native_movements(&self, seen: &Seen<'_>) -> Result<Vec<Placed>, NodeError> {
        let Some(asset) = seen.native else {
            return Ok(Vec::new());
        };
        let told = self.inner_calls(seen).await?;
        let has_traces = told.is_some();
        let mut claims = collect(seen, told)?;
        if !has_traces {
            for address in named(seen) {
                claims.entry(address).or_default();
            }
        }
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let left = left(seen, &claims)?;
        let owners: Vec<Address> = claims.keys().copied().collect();
        let at = &seen.block.block;
        let grown = self
            .growth(at, seen.block.parent_ref(), None, &owners)
            .await?;
        let mut placed = Vec::new();
        for ((owner, claims), growth) in claims.into_iter().zip(grown) {
            let gained = growth.gained(left.get(&owner).copied().unwrap_or_default());
            let account = Account { seen, asset, owner };
            placed.extend(account.settle(claims, gained, has_traces));
        }
        Ok(placed)
    }
}

/// Whom the block paid, as far as its hash or a trace says it.
fn collect(seen: &Seen<'_>, told: Told) -> Result<BTreeMap<Address, Claims>, NodeError> {
    let mut claims: BTreeMap<Address, Claims> = BTreeMap::new();
    let outcomes = seen.block.transactions.iter().zip(&seen.receipts);
    for (position, (transaction, receipt)) in outcomes.enumerate() {
        let Some(to) = transaction.to.filter(|to| seen.is_watched(*to)) else {
            continue;
        };
        if !receipt.has_succeeded || transaction.value.is_zero() {
            continue;
        }
        let from = sender(seen, position)?;
        if from == to {
            continue;
        }
        claims.entry(to).or_default().verified.push(Claim {
            order: Order::Call(position, 0),
            id: MovementId {
                transaction: transaction.hash,
                part: Part::Call(0),
            },
            from: Some(from),
            wei: transaction.value,
        });
    }
    for payout in seen
        .block
        .withdrawals
        .iter()
        .filter(|payout| seen.is_watched(payout.to))
    {
        if payout.wei.is_zero() {
            continue;
        }
        let claim = reward(seen, payout.position, payout.wei);
        claims.entry(payout.to).or_default().verified.push(claim);
    }
    for (teller, calls) in told.unwrap_or_default().into_iter().enumerate() {
        for inner in calls {
            let told = &mut claims.entry(inner.call.to).or_default().told;
            told.resize_with(told.len().max(teller + 1), Vec::new);
            told[teller].push(inner);
        }
    }
    let coinbase = seen.block.header.beneficiary;
    if seen.is_watched(coinbase) {
        claims.entry(coinbase).or_default().is_coinbase = true;
    }
    Ok(claims)
}

fn sender(seen: &Seen<'_>, position: usize) -> Result<Address, NodeError> {
    let sender = seen.block.transactions[position].sender();
    sender.map_err(|error| NodeError::Unverifiable {
        hash: seen.block.block.hash,
        reason: error.to_string(),
    })
}

fn reward(seen: &Seen<'_>, number: u32, wei: U256) -> Claim {
    Claim {
        order: Order::Reward(number),
        id: MovementId {
            transaction: TransactionHash(seen.block.block.hash.0),
            part: Part::Reward(number),
        },
        from: None,
        wei,
    }
}

/// Watched addresses that a transaction or a token event of the block names: without traces, value from inside of a
/// contract can be looked for only there.
fn named(seen: &Seen<'_>) -> BTreeSet<Address> {
    let called = seen.block.transactions.iter().filter_map(|tx| tx.to);
    let logs = seen.receipts.iter().flat_map(|receipt| &receipt.logs);
    let told = logs
        .filter_map(transfer)
        .flat_map(|transfer| [transfer.from, transfer.to]);
    called
        .chain(told)
        .filter(|address| seen.is_watched(*address))
        .collect()
}

/// What left each of the addresses by its own signature: value and fees, all covered by the block's hash. Senders
/// are recovered, because one that a node merely states could hide or invent what was spent.
fn left(
    seen: &Seen<'_>,
    claims: &BTreeMap<Address, Claims>,
) -> Result<HashMap<Address, U256>, NodeError> {
    let mut left: HashMap<Address, U256> = HashMap::new();
    let outcomes = seen.block.transactions.iter().zip(&seen.receipts);
    for (position, (transaction, receipt)) in outcomes.enumerate() {
        let from = sender(seen, position)?;
        if !claims.contains_key(&from) {
            continue;
        }
        let fee = transaction.fee(receipt.gas_used, seen.block.header.base_fee_per_gas);
        let moved = receipt.has_succeeded && transaction.to != Some(from);
        let value = if moved { transaction.value } else { U256::ZERO };
        let sum = left.entry(from).or_default();
        *sum = sum.saturating_add(fee).saturating_add(value);
    }
    Ok(left)
}

/// One address of one block.
struct Account<'a> {
    seen: &'a Seen<'a>,
    asset: AssetId,
    owner: Address,
}

impl Account<'_> {
    /// Parts the gain: first what the hash covers, then what traces tell, then the rest.
    fn settle(&self, claims: Claims, gained: U256, has_traces: bool) -> Vec<Placed> {
        let mut rest = gained;
        let mut placed = self.share(&claims.verified, &mut rest);
        for calls in ranked(&claims.told, rest) {
            let inner: Vec<Claim> = calls.iter().map(|inner| self.claim(inner)).collect();
            let moved = self.share(&inner, &mut rest);
            // A call that only a trace tells of, and that brought nothing, is not recorded.
            placed.extend(
                moved
                    .into_iter()
                    .filter(|placed| !placed.movement.gained_units.is_zero()),
            );
        }
        if rest.is_zero() {
            return placed;
        }
        if claims.is_coinbase {
            let number = u32::try_from(self.seen.block.withdrawals.len()).unwrap_or(u32::MAX);
            let fees = reward(self.seen, number, rest);
            placed.extend(self.share(&[fees], &mut rest));
        } else if !has_traces {
            let claim = self.unexplained(rest);
            placed.extend(self.share(&[claim], &mut rest));
        }
        placed
    }

    fn share(&self, claims: &[Claim], rest: &mut U256) -> Vec<Placed> {
        let faces: Vec<U256> = claims.iter().map(|claim| claim.wei).collect();
        let gains = attribute(&faces, *rest);
        let placed = claims.iter().zip(gains).map(|(claim, gained_units)| {
            *rest = rest.saturating_sub(gained_units);
            Placed {
                order: claim.order,
                movement: Movement {
                    id: claim.id,
                    asset: self.asset,
                    from: claim.from.map(payload),
                    to: payload(self.owner),
                    face_units: claim.wei,
                    gained_units,
                },
            }
        });
        placed.collect()
    }

    fn claim(&self, inner: &Inner) -> Claim {
        Claim {
            order: Order::Call(inner.transaction, inner.call.ordinal),
            id: MovementId {
                transaction: self.seen.block.transactions[inner.transaction].hash,
                part: Part::Call(inner.call.ordinal),
            },
            from: Some(inner.call.from),
            wei: inner.call.wei,
        }
    }

    fn unexplained(&self, wei: U256) -> Claim {
        let [a, b, c, d, ..] = self.owner.into_array();
        Claim {
            order: Order::Difference(self.owner),
            id: MovementId {
                transaction: TransactionHash(self.seen.block.block.hash.0),
                part: Part::Difference(u32::from_be_bytes([a, b, c, d])),
            },
            from: None,
            wei,
        }
    }
}

/// The calls in the order in which they are believed, none of them twice. If what some nodes tell explains the gain
/// to the unit, it is the truth or indistinguishable from it, and nothing else is looked at; most nodes win. Else
/// those that most nodes tell come first.
fn ranked(told: &[Vec<Inner>], gained: U256) -> Vec<Vec<Inner>> {
    let support = |calls: &Vec<Inner>| told.iter().filter(|other| *other == calls).count();
    let sum = |calls: &Vec<Inner>| {
        let each = calls.iter().map(|inner| inner.call.wei);
        each.fold(U256::ZERO, U256::saturating_add)
    };
    let mut ranked: Vec<&Vec<Inner>> = told.iter().collect();
    ranked.sort_by_key(|calls| (sum(calls) != gained, std::cmp::Reverse(support(calls))));
    if ranked.first().is_some_and(|calls| sum(calls) == gained) {
        ranked.truncate(1);
    }
    let mut taken = BTreeSet::new();
    let fresh = ranked.into_iter().map(|calls| {
        calls
            .iter()
            .copied()
            .filter(|inner| taken.insert(*inner))
            .collect()
    });
    fresh.collect()
}
