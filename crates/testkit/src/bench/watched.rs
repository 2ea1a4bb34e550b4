//! The set of watched addresses: memory, time per question, and how fast it is built.
//!
//! The baseline in the same run is the standard library's `HashSet` of whole addresses. It answers for sure
//! where the watched set answers "probably", which is confirmed by deriving once; see `platform::watch`.

use std::collections::HashSet;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use coffer_derive::{Deriver, ExtendedPublicKey, IndexRange, Payloads, Scheme};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use coffer_domain::id::VaultId;
use coffer_keys::Mnemonic;
use coffer_nodes::Watched;
use coffer_platform::{Entropy as _, OsEntropy, WatchedSet};
use serde_json::{Value, json};

use super::machine;
use crate::MNEMONIC;

/// Indexes derived in one go.
const STEP: u32 = 8192;
/// Questions timed.
const ASKED: u32 = 2_000_000;
const LENGTH: usize = 20;

struct Timed {
    bytes_per_address: f64,
    hit_ns: f64,
    miss_ns: f64,
    false_hits: u32,
}

/// Measures; the answer is a JSON object and its text for people.
///
/// # Errors
/// When derivation fails, or there is no memory.
pub fn watched(addresses: u32) -> Result<(Value, String)> {
    let parent = parent()?;
    let mut key = [0; 16];
    OsEntropy
        .fill(&mut key)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let set = WatchedSet::new(AddressKind::Evm, key);
    let started = Instant::now();
    let all = build(&set, &parent, addresses)?;
    let built = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let vault = VaultId::of_key(&[2; 32], 0);
    let bare = WatchedSet::new(AddressKind::Evm, key);
    bare.reserve(addresses);
    bare.add(vault, 0, &all)?;
    let inserted = started.elapsed().as_secs_f64();
    drop(bare);
    let ours = time(&all, set.bytes(), |address| set.contains(address));
    drop(set);
    let std_set: HashSet<[u8; LENGTH]> = all
        .chunks_exact(LENGTH)
        .map(|bytes| bytes.try_into().expect("twenty bytes"))
        .collect();
    // One control byte per bucket, at most seven eighths full, buckets a power of two.
    let buckets = (std_set.capacity() * 8 / 7).next_power_of_two();
    let theirs = time(&all, buckets * (LENGTH + 1), |address| {
        std_set.contains(address.bytes())
    });
    let rate = f64::from(addresses) / built;
    let line = |name: &str, timed: &Timed| {
        format!(
            "{name:28} {:>6.1} bytes/address {:>7.1} ns/hit {:>7.1} ns/miss  {} false hits of {ASKED}\n",
            timed.bytes_per_address, timed.hit_ns, timed.miss_ns, timed.false_hits
        )
    };
    let text = format!(
        "{}\n{addresses} addresses; built in {built:.1} s, {rate:.0}/s with derivation; {:.0}/s without\n{}{}",
        machine(),
        f64::from(addresses) / inserted,
        line("watched set", &ours),
        line("HashSet<[u8; 20]> (baseline)", &theirs),
    );
    let part = |timed: &Timed| {
        json!({
            "bytes_per_address": timed.bytes_per_address, "ns_per_hit": timed.hit_ns,
            "ns_per_miss": timed.miss_ns, "false_hits": timed.false_hits,
        })
    };
    let json = json!({
        "machine": machine(), "addresses": addresses, "asked": ASKED,
        "build_seconds": built, "addresses_per_second": rate,
        "watched_set": part(&ours), "hash_set": part(&theirs),
    });
    Ok((json, text))
}

fn parent() -> Result<ExtendedPublicKey> {
    let words = Mnemonic::parse(MNEMONIC).map_err(|error| anyhow::anyhow!("{error}"))?;
    let seed = words.seed();
    let account = seed.account_public_key(AddressKind::Evm, BitcoinNetwork::Mainnet, 0)?;
    let account = ExtendedPublicKey {
        public_key: account.public_key,
        chain_code: account.chain_code,
    };
    Ok(account.child(0)?)
}

/// Derives on every core and adds; answers all addresses one behind the other, in the order of their indexes.
fn build(set: &WatchedSet, parent: &ExtendedPublicKey, addresses: u32) -> Result<Vec<u8>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (deriver, vault) = (Deriver::new(), VaultId::of_key(&[1; 32], 0));
    let next = AtomicU32::new(0);
    set.reserve(addresses);
    let work = || -> Result<Vec<(u32, Vec<u8>)>> {
        let mut made = Vec::new();
        loop {
            let first = next.fetch_add(STEP, Ordering::Relaxed);
            if first >= addresses {
                return Ok(made);
            }
            let range = IndexRange::try_new(first, STEP.min(addresses - first))?;
            let mut payloads = Payloads::new();
            deriver.payloads(parent, Scheme::Keccak20, range, &mut payloads)?;
            set.add(vault, first, payloads.as_bytes())?;
            made.push((first, payloads.as_bytes().to_vec()));
        }
    };
    let mut parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut parts = Vec::new();
        for worker in workers {
            let made = worker.join().ok().context("a thread panicked")?;
            parts.extend(made?);
        }
        anyhow::Ok(parts)
    })?;
    parts.sort_unstable_by_key(|(first, _)| *first);
    Ok(parts.into_iter().flat_map(|(_, bytes)| bytes).collect())
}

/// Hits are spread over the whole set, misses are addresses of nobody.
fn time(all: &[u8], bytes: usize, contains: impl Fn(&AddressPayload) -> bool) -> Timed {
    let count = all.len() / LENGTH;
    let payload = |bytes: &[u8]| {
        AddressPayload::try_new(AddressKind::Evm, bytes).expect("twenty bytes")
    };
    let spread = |number: u32| (number as usize).wrapping_mul(7_919_999) % count;
    let hits: Vec<_> = (0..ASKED)
        .map(|number| {
            let at = spread(number) * LENGTH;
            payload(&all[at..at + LENGTH])
        })
        .collect();
    let misses: Vec<_> = hits
        .iter()
        .map(|hit| {
            let mut bytes: Vec<u8> = hit.bytes().to_vec();
            bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
            payload(&bytes)
        })
        .collect();
    let ask = |asked: &[AddressPayload]| {
        let started = Instant::now();
        let found = asked.iter().filter(|address| black_box(contains(address)));
        let found = u32::try_from(found.count()).unwrap_or(u32::MAX);
        (found, started.elapsed().as_secs_f64() * 1e9 / f64::from(ASKED))
    };
    let (found, hit_ns) = ask(&hits);
    assert_eq!(found, ASKED, "an address was not found");
    let (false_hits, miss_ns) = ask(&misses);
    #[expect(clippy::cast_precision_loss, reason = "sizes stay below 2^53")]
    let bytes_per_address = bytes as f64 / count as f64;
    Timed {
        bytes_per_address,
        hit_ns,
        miss_ns,
        false_hits,
    }
}
