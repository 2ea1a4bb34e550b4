//! The independent checker: what must hold in the database after any crash, whoever wrote it.
//!
//! Reads tables through `sqlx` alone and shares no code with `platform` or `store`: the chain's hash, the
//! packing of payloads and the form of staged rows are written down here a second time. It needs no key, so
//! seals' MACs are not its business; that the seals in the rows are those the audit names is.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, SqliteConnection};

/// What the client knows: for each row of the file, the external id if the row is good.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    pub rows: Option<&'a [Option<String>]>,
}

#[derive(Debug, Default)]
pub struct Report {
    pub wallets: usize,
    pub addresses: usize,
    pub audit_records: usize,
    /// Staged chunks of uploads that died; the collector's business.
    pub orphan_chunks: usize,
    /// Empty when everything holds.
    pub problems: Vec<String>,
}

enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Rows as tuples, on either engine.
macro_rules! rows {
    ($db:expr, $sql:expr, $row:ty) => {
        match &mut $db {
            Connected::Sqlite(connection) => {
                sqlx::query_as::<_, $row>($sql).fetch_all(connection).await
            }
            Connected::Postgres(connection) => {
                sqlx::query_as::<_, $row>($sql).fetch_all(connection).await
            }
        }
        .with_context(|| format!("the checker cannot run {:?}", $sql))?
    };
}

type Bytes = Vec<u8>;
/// id, vault, index, external id, kinds, payloads, batch, version, seal, organization, label, metadata, creator,
/// time
type WalletRow = (
    Bytes,
    Bytes,
    i64,
    String,
    i64,
    Bytes,
    Option<Bytes>,
    i64,
    Bytes,
    Bytes,
    Option<String>,
    Option<String>,
    Bytes,
    i64,
);
/// id, state, first index, total, created, existing, failed, chunks total, chunks done
type BatchRow = (Bytes, String, i64, i64, i64, i64, i64, i64, i64);
/// batch, number, first row, count, rows, state, outcome
type ChunkRow = (Bytes, i64, i64, i64, Bytes, String, Option<String>);
/// organization, seq, at, actor, action, object, payload, previous hash, hash
type AuditRow = (
    Bytes,
    i64,
    i64,
    String,
    String,
    String,
    String,
    Bytes,
    Bytes,
);

struct Tables {
    wallets: Vec<WalletRow>,
    /// run, payload, kind, wallet
    addresses: Vec<(i64, Bytes, i64, Bytes)>,
    /// vault, number
    address_vaults: Vec<(Bytes, i64)>,
    batches: Vec<BatchRow>,
    chunks: Vec<ChunkRow>,
    /// vault, index
    pool: Vec<(Bytes, i64)>,
    /// id, next index
    vaults: Vec<(Bytes, i64)>,
    audit: Vec<AuditRow>,
    heads: Vec<(Bytes, i64, Bytes)>,
}

/// Reads a database at rest and judges it.
///
/// # Errors
/// When it cannot be read.
pub async fn check(database_url: &str, expected: Expected<'_>) -> Result<Report> {
    let tables = read(database_url).await?;
    let mut report = Report {
        wallets: tables.wallets.len(),
        addresses: tables.addresses.len(),
        audit_records: tables.audit.len(),
        ..Report::default()
    };
    let problems = &mut report.problems;
    uniqueness(&tables, problems);
    address_index(&tables, problems);
    report.orphan_chunks = batches(&tables, problems);
    if let Some(rows) = expected.rows {
        accepted_rows(&tables, rows, problems);
    }
    index_ranges(&tables, problems);
    chain(&tables, problems);
    audited(&tables, problems);
    Ok(report)
}

async fn read(url: &str) -> Result<Tables> {
    let mut db = match url.strip_prefix("sqlite:") {
        Some(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .read_only(true);
            Connected::Sqlite(SqliteConnection::connect_with(&options).await?)
        }
        None => Connected::Postgres(PgConnection::connect(url).await?),
    };
    Ok(Tables {
        wallets: rows!(
            db,
            "SELECT id, vault_id, derivation_index, external_id, kinds, payloads, batch_id, version, seal, \
             organization_id, label, metadata, created_by, created_at FROM wallets \
             ORDER BY vault_id, derivation_index",
            WalletRow
        ),
        addresses: rows!(
            db,
            "SELECT run, payload, kind, wallet_id FROM addresses",
            (i64, Bytes, i64, Bytes)
        ),
        address_vaults: rows!(
            db,
            "SELECT vault_id, number FROM address_vaults",
            (Bytes, i64)
        ),
        batches: rows!(
            db,
            "SELECT id, state, first_index, rows_total, rows_created, rows_existing, rows_failed, chunks_total, chunks_done \
             FROM batches ORDER BY id",
            BatchRow
        ),
        chunks: rows!(
            db,
            "SELECT c.batch_id, c.number, c.first_row, c.row_count, r.rows_json, c.state, c.outcome FROM batch_chunks c \
             JOIN chunk_rows r ON r.batch_id = c.batch_id AND r.number = c.number ORDER BY c.batch_id, c.number",
            ChunkRow
        ),
        pool: rows!(
            db,
            "SELECT vault_id, derivation_index FROM pool_entries",
            (Bytes, i64)
        ),
        vaults: rows!(db, "SELECT id, next_index FROM vaults", (Bytes, i64)),
        audit: rows!(
            db,
            "SELECT organization_id, seq, at, actor, action, object, payload, prev_hash, hash FROM audit_records \
             ORDER BY organization_id, seq",
            AuditRow
        ),
        heads: rows!(
            db,
            "SELECT organization_id, seq, hash FROM audit_heads",
            (Bytes, i64, Bytes)
        ),
    })
}

fn uniqueness(tables: &Tables, problems: &mut Vec<String>) {
    let (mut indexes, mut externals, mut ids) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (id, vault, index, external_id, ..) in &tables.wallets {
        if !indexes.insert((vault, index)) {
            problems.push(format!("index {index} is used twice"));
        }
        if !externals.insert(external_id) {
            problems.push(format!("{external_id:?} has two wallets"));
        }
        if !ids.insert(id) {
            problems.push(format!("wallet {} is there twice", hex::encode(id)));
        }
    }
    for (vault, index) in &tables.pool {
        if !indexes.insert((vault, index)) {
            problems.push(format!("index {index} of the pool is used twice"));
        }
    }
}

/// Bytes of an address's payload by the bit of its kind: EVM, TRON, P2WPKH, P2TR, Solana.
const PAYLOAD_BYTES: [usize; 5] = [20, 20, 20, 32, 32];

fn unpacked(kinds: i64, packed: &[u8]) -> Option<Vec<(i64, &[u8])>> {
    let mut rest = packed;
    let mut payloads = Vec::new();
    for (bit, length) in PAYLOAD_BYTES.into_iter().enumerate() {
        if kinds & (1 << bit) != 0 {
            let (head, tail) = rest.split_at_checked(length)?;
            payloads.push((bit as i64 + 1, head));
            rest = tail;
        }
    }
    rest.is_empty().then_some(payloads)
}

/// Every address of every wallet is in the index exactly once, in the run of its vault and derivation index,
/// and nothing else is.
fn address_index(tables: &Tables, problems: &mut Vec<String>) {
    /// Payload and kind, of which run and wallet are said.
    type Index<'a> = HashMap<(&'a [u8], i64), (i64, &'a [u8])>;
    let mut index = Index::new();
    for (run, payload, kind, wallet) in &tables.addresses {
        if index.insert((payload, *kind), (*run, wallet)).is_some() {
            problems.push(format!("address {} is there twice", hex::encode(payload)));
        }
    }
    let numbers: HashMap<&[u8], i64> = tables
        .address_vaults
        .iter()
        .map(|(vault, number)| (vault.as_slice(), *number))
        .collect();
    for (id, vault, number, _, kinds, packed, ..) in &tables.wallets {
        let Some(payloads) = unpacked(*kinds, packed) else {
            problems.push(format!("the payloads of index {number} cannot be read"));
            continue;
        };
        // 8,192 indexes a run, and room for 262,144 runs a vault.
        let run = numbers
            .get(vault.as_slice())
            .map(|vault| vault * 262_144 + number / 8192);
        for (kind, payload) in payloads {
            match index.remove(&(payload, kind)) {
                Some((found, wallet)) if wallet == id && Some(found) == run => {}
                Some((found, wallet)) if wallet == id => problems.push(format!(
                    "address {} of index {number} is in run {found} instead of {run:?}",
                    hex::encode(payload)
                )),
                Some(_) => problems.push(format!(
                    "address {} belongs to two wallets",
                    hex::encode(payload)
                )),
                None => problems.push(format!(
                    "address {} of index {number} is missing or twice",
                    hex::encode(payload)
                )),
            }
        }
    }
    if !index.is_empty() {
        problems.push(format!("{} addresses belong to no wallet", index.len()));
    }
}

/// Counters equal rows; chunks cover the file without gap. Answers how many chunks belong to no batch.
fn batches(tables: &Tables, problems: &mut Vec<String>) -> usize {
    let mut chunks: BTreeMap<&[u8], Vec<&ChunkRow>> = BTreeMap::new();
    for chunk in &tables.chunks {
        chunks.entry(&chunk.0).or_default().push(chunk);
    }
    for (id, state, _, total, created, existing, failed, chunks_total, chunks_done) in
        &tables.batches
    {
        let name = hex::encode(id);
        let own = chunks.remove(id.as_slice()).unwrap_or_default();
        let mut next_row = 1;
        for (position, (_, number, first, count, ..)) in own.iter().enumerate() {
            if *number != position as i64 || *first != next_row {
                problems.push(format!(
                    "batch {name}: chunk {number} does not follow the one before"
                ));
            }
            next_row = first + count;
        }
        if next_row - 1 != *total || own.len() as i64 != *chunks_total {
            problems.push(format!(
                "batch {name}: the chunks hold {} rows, the batch {total}",
                next_row - 1
            ));
        }
        if !state.starts_with("completed") {
            problems.push(format!("batch {name} is {state}"));
            continue;
        }
        if created + existing + failed != *total || chunks_done != chunks_total {
            problems.push(format!("batch {name}: {created} + {existing} + {failed} rows of {total}, {chunks_done} chunks of {chunks_total}"));
        }
        let wallets = tables
            .wallets
            .iter()
            .filter(|wallet| wallet.6.as_ref() == Some(id))
            .count() as i64;
        if wallets != *created {
            problems.push(format!(
                "batch {name} counts {created} wallets, there are {wallets}"
            ));
        }
        if own
            .iter()
            .any(|(.., state, outcome)| state != "done" || outcome.is_none())
        {
            problems.push(format!("batch {name} is complete with open chunks"));
        }
    }
    chunks.values().map(Vec::len).sum()
}

/// Row k of the one batch has the wallet at first index + k − 1, if it is good; else none.
fn accepted_rows(tables: &Tables, rows: &[Option<String>], problems: &mut Vec<String>) {
    let [(batch, _, first_index, total, ..)] = tables.batches.as_slice() else {
        return problems.push(format!("{} batches instead of one", tables.batches.len()));
    };
    if rows.len() as i64 != *total {
        problems.push(format!("{total} rows of {} were taken in", rows.len()));
    }
    let mut by_index: HashMap<i64, &str> = HashMap::new();
    for wallet in tables
        .wallets
        .iter()
        .filter(|wallet| wallet.6.as_ref() == Some(batch))
    {
        by_index.insert(wallet.2, &wallet.3);
    }
    for (position, row) in rows.iter().enumerate() {
        let found = by_index.remove(&(first_index + position as i64));
        if found != row.as_deref() {
            problems.push(format!(
                "row {}: wallet of {found:?} instead of {row:?}",
                position + 1
            ));
        }
    }
    if !by_index.is_empty() {
        problems.push(format!(
            "{} wallets of the batch belong to no row",
            by_index.len()
        ));
    }
    staged_rows(tables, batch, rows, problems);
}

/// What was staged is what was sent.
fn staged_rows(tables: &Tables, batch: &[u8], rows: &[Option<String>], problems: &mut Vec<String>) {
    for (_, number, first, count, json, ..) in tables.chunks.iter().filter(|chunk| chunk.0 == batch)
    {
        let lines: Vec<&[u8]> = json
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect();
        if lines.len() as i64 != *count {
            problems.push(format!(
                "chunk {number} holds {} rows and says {count}",
                lines.len()
            ));
        }
        for (line, row) in lines.iter().zip(rows.iter().skip((*first - 1) as usize)) {
            let staged: Value = serde_json::from_slice(line).unwrap_or_default();
            let id = if staged["x"].is_null() {
                staged["e"].as_str()
            } else {
                None
            };
            if id != row.as_deref() {
                problems.push(format!("chunk {number} holds {id:?} instead of {row:?}"));
            }
        }
    }
}

/// Every index given out is a wallet's, the pool's, or lies in a batch's range.
fn index_ranges(tables: &Tables, problems: &mut Vec<String>) {
    let [(vault, next)] = tables.vaults.as_slice() else {
        return;
    };
    let mut used = vec![false; usize::try_from(*next).unwrap_or(0)];
    let wallets = tables.wallets.iter().map(|wallet| (&wallet.1, wallet.2));
    let pool = tables.pool.iter().map(|(vault, index)| (vault, *index));
    let ranges = tables
        .batches
        .iter()
        .flat_map(|batch| (batch.2..batch.2 + batch.3).map(|index| (vault, index)));
    for (owner, index) in wallets.chain(pool).chain(ranges) {
        match usize::try_from(index)
            .ok()
            .and_then(|index| used.get_mut(index))
        {
            Some(used) if owner == vault => *used = true,
            _ => problems.push(format!("index {index} was never given out")),
        }
    }
    let lost = used.iter().filter(|used| !**used).count();
    if lost > 0 {
        problems.push(format!("{lost} indexes were given out and lost"));
    }
}

fn hash_of(row: &AuditRow) -> [u8; 32] {
    let (organization, seq, at, actor, action, object, payload, previous, _) = row;
    let mut hash = Sha256::new();
    hash.update(b"coffer audit v1");
    hash.update(organization);
    hash.update(seq.to_be_bytes());
    hash.update(at.to_be_bytes());
    for text in [actor, action, object, payload] {
        hash.update((text.len() as u32).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(previous);
    hash.finalize().into()
}

/// Each organization's records link from number 1 to the head.
fn chain(tables: &Tables, problems: &mut Vec<String>) {
    let mut ends: HashMap<&[u8], (i64, Bytes)> = HashMap::new();
    for row in &tables.audit {
        let (seq, previous) = ends
            .get(row.0.as_slice())
            .cloned()
            .unwrap_or((0, vec![0; 32]));
        if row.1 != seq + 1 || row.7 != previous {
            problems.push(format!("audit record {} does not follow {seq}", row.1));
        }
        if hash_of(row)[..] != row.8 {
            problems.push(format!("audit record {} has another hash", row.1));
        }
        ends.insert(&row.0, (row.1, row.8.clone()));
    }
    for (organization, seq, hash) in &tables.heads {
        if ends.remove(organization.as_slice()) != Some((*seq, hash.clone())) {
            problems.push(format!(
                "the audit head says record {seq}, the records end elsewhere"
            ));
        }
    }
    if !ends.is_empty() {
        problems.push("a chain without a head".to_owned());
    }
}

/// Each wallet is named by exactly one record as created, and that record's root is that of the rows.
fn audited(tables: &Tables, problems: &mut Vec<String>) {
    let mut unaudited: HashMap<(Bytes, i64), &WalletRow> = HashMap::new();
    for wallet in &tables.wallets {
        unaudited.insert((wallet.1.clone(), wallet.2), wallet);
    }
    for row in &tables.audit {
        if let Err(error) = take_created(row, &mut unaudited, problems) {
            problems.push(format!("audit record {} cannot be read: {error}", row.1));
        }
    }
    for (_, index) in unaudited.keys() {
        problems.push(format!("no audit record names the wallet at index {index}"));
    }
}

fn take_created(
    row: &AuditRow,
    unaudited: &mut HashMap<(Bytes, i64), &WalletRow>,
    problems: &mut Vec<String>,
) -> Result<()> {
    let payload: Value = serde_json::from_str(&row.6)?;
    let created = &payload["changes"]["created"];
    if created.is_null() {
        return Ok(());
    }
    let vault = created["vault"]
        .as_str()
        .and_then(|id| hex::decode(id.strip_prefix("vlt_")?).ok());
    let vault = vault.context("no vault")?;
    let mut born: Vec<&WalletRow> = Vec::new();
    for run in created["runs"].as_array().context("no runs")? {
        let (Some(first), Some(count)) = (run[0].as_i64(), run[1].as_i64()) else {
            bail!("a run that is none")
        };
        for index in first..first + count {
            match unaudited.remove(&(vault.clone(), index)) {
                Some(wallet) => born.push(wallet),
                None => problems.push(format!(
                    "audit record {} names index {index}, which has no wallet or a record before",
                    row.1
                )),
            }
        }
    }
    if !as_recorded(created, &born)? {
        problems.push(format!(
            "audit record {} names other wallets than there are",
            row.1
        ));
    }
    Ok(())
}

/// Whether the wallets are those whose root, or in older records whose seals' digest, is in the record.
fn as_recorded(created: &Value, born: &[&WalletRow]) -> Result<bool> {
    if let Some(root) = created["births_root"].as_str() {
        let leaves: Vec<[u8; 32]> = born.iter().map(|wallet| birth_leaf(wallet)).collect();
        return Ok(hex::encode(merkle_root(&leaves)) == root);
    }
    let digest = created["seals_sha256"].as_str();
    let digest = digest.context("neither a root nor a digest of seals")?;
    // A decision gives a wallet another seal; that record's digest can no longer be looked at.
    if born.iter().any(|wallet| wallet.7 != 1) {
        return Ok(true);
    }
    let seals = born
        .iter()
        .fold(Sha256::new(), |seals, wallet| seals.chain_update(&wallet.8));
    Ok(hex::encode(seals.finalize()) == digest)
}

/// RFC 6962's leaf hash over what of a wallet never changes.
fn birth_leaf(wallet: &WalletRow) -> [u8; 32] {
    let (id, vault, index, external_id, kinds, payloads, batch, ..) = wallet;
    let (.., organization, label, metadata, created_by, created_at) = wallet;
    let number = |value: i64| value.to_be_bytes().to_vec();
    let bytes = |bytes: &[u8]| [&(bytes.len() as u64).to_be_bytes(), bytes].concat();
    let optional = |text: &Option<String>| {
        let bytes = bytes(text.as_deref().unwrap_or_default().as_bytes());
        [number(i64::from(text.is_some())), bytes].concat()
    };
    let leaf = [
        vec![0],
        bytes(b"coffer wallet birth v1"),
        bytes(id),
        bytes(organization),
        bytes(vault),
        number(*index),
        bytes(external_id.as_bytes()),
        optional(label),
        optional(metadata),
        number(*kinds),
        bytes(&Sha256::digest(payloads)),
        bytes(batch.as_deref().unwrap_or_default()),
        bytes(created_by),
        number(*created_at),
    ];
    Sha256::digest(leaf.concat()).into()
}

/// RFC 6962, section 2.1, by its definition.
fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
            Sha256::new_with_prefix([1])
                .chain_update(merkle_root(left))
                .chain_update(merkle_root(right))
                .finalize()
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(index: i64, version: i64) -> WalletRow {
        let byte = u8::try_from(index).expect("small");
        (
            vec![byte; 16],
            vec![2; 16],
            index,
            format!("c{index}"),
            1,
            vec![byte; 20],
            None,
            version,
            vec![byte; 32],
            vec![3; 16],
            None,
            Some("{}".to_owned()),
            vec![4; 16],
            5,
        )
    }

    fn check(created: &Value, wallets: &[WalletRow], expected: bool) {
        let born: Vec<&WalletRow> = wallets.iter().collect();
        let judged = as_recorded(created, &born).expect("is judged");
        assert_eq!(judged, expected, "{created}");
    }

    #[test]
    fn old_records_are_held_against_seals_and_new_ones_against_births() {
        let wallets = [wallet(1, 1), wallet(2, 1)];
        let seals = Sha256::digest([[1; 32], [2; 32]].concat());
        let old = serde_json::json!({ "seals_sha256": hex::encode(seals) });
        check(&old, &wallets, true);
        check(&old, &[wallet(1, 1), wallet(3, 1)], false);
        // A decision gave it another seal.
        check(&old, &[wallet(1, 1), wallet(3, 2)], true);
        let leaves: Vec<[u8; 32]> = wallets.iter().map(birth_leaf).collect();
        let new = serde_json::json!({ "births_root": hex::encode(merkle_root(&leaves)) });
        check(&new, &wallets, true);
        check(&new, &[wallet(1, 2), wallet(2, 3)], true);
        let mut edited = wallet(2, 2);
        edited.3.push('x');
        check(&new, &[wallet(1, 1), edited], false);
        assert!(as_recorded(&serde_json::json!({}), &[]).is_err());
    }
}
