//! The store's conformance suite: what each engine must do, without a platform above it.

#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from its beginning to its end"
)]

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use coffer_domain::address::{AddressKind, AddressKinds, AddressPayload, BitcoinNetwork};
use coffer_domain::batch::{Batch, BatchState, OnError};
use coffer_domain::id::{ApiKeyId, BatchId, DrillId, OrganizationId, VaultId, WalletId};
use coffer_domain::vault::{Gate, GateMode, Tier, Vault, VaultState};
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::allow_list::AllowedId;
use coffer_store::api_keys::ApiKeyRow;
use coffer_store::audit::AuditRow;
use coffer_store::batches::BatchRow;
use coffer_store::chunks::{self, Retry, StagedChunk};
use coffer_store::drills::Drill;
use coffer_store::idempotency::{IdempotencyScope, StoredAnswer};
use coffer_store::organizations::Organization;
use coffer_store::pools::{PoolEntry, Watermarks};
use coffer_store::vaults::VaultRow;
use coffer_store::wallets::Filter;
use coffer_store::{
    Constraint, Db, Param, Sealed, StoreError, addresses, allow_list, api_keys, audit, batches,
    bulk, drills, hook_jobs, idempotency, organizations, pools, vaults, wallets,
};
use coffer_testkit::{Engine, TestDatabase};

use crate::scene::{external_id, on_both_engines, until};

on_both_engines!(
    organizations_and_vaults,
    batches_by_compare_and_set_and_in_pages,
    wallets_and_their_index,
    keys_drills_and_answers,
    pools_and_allow_lists,
    the_audit_chain_in_pages,
    chunks_are_claimed_in_order_and_fenced,
    chunks_put_off_wait_and_leases_end,
    eight_at_once_share_no_chunk,
    only_dead_uploads_are_collected,
    hook_jobs_are_fenced,
    bulk_inserts_of_every_size,
    every_constraint_has_its_name,
    a_dropped_transaction_leaves_nothing,
    a_commit_outlives_its_caller,
    a_reader_sees_one_moment,
    a_writer_that_stops_gives_its_locks_up,
    a_writer_that_stops_while_it_sends_is_ended,
    addresses_are_found_in_every_run,
    an_address_index_without_runs_is_carried_over,
    an_unknown_schema_is_refused,
    unsafe_settings_are_refused,
);

fn organization() -> OrganizationId {
    OrganizationId::from_bytes([1; 16])
}

fn vault_id() -> VaultId {
    VaultId::of_key(&[7; 32], 0)
}

fn batch_id(number: u8) -> BatchId {
    BatchId::new_v7(u64::from(number), [number; 10])
}

fn key_id() -> ApiKeyId {
    ApiKeyId::from_bytes([5; 16])
}

fn sealed<T>(value: T) -> Sealed<T> {
    Sealed {
        value,
        seal: vec![9; 32],
    }
}

fn an_organization() -> Organization {
    Organization {
        id: organization(),
        name: "Größe 客户".to_owned(),
        created_at_ms: 1,
    }
}

fn a_vault() -> VaultRow {
    let vault = Vault {
        id: vault_id(),
        organization: organization(),
        name: "main".to_owned(),
        tier: Tier::Cold,
        account: 0x7fff_ffff,
        bitcoin_network: BitcoinNetwork::Signet,
        state: VaultState::AwaitingDrill,
        gate: Gate::AUTOMATIC,
        attestation_public_key: [7; 32],
        next_index: 0,
        created_at_ms: 2,
        drilled_at_ms: None,
        version: 1,
    };
    VaultRow {
        vault,
        encrypted_descriptors: vec![0, 255, 1],
    }
}

fn a_batch(number: u8, state: BatchState) -> BatchRow {
    let batch = Batch {
        id: batch_id(number),
        organization: organization(),
        vault: vault_id(),
        state,
        kinds: AddressKinds::ALL,
        on_error: OnError::Skip,
        first_index: 0,
        rows_total: 3,
        rows_created: 0,
        rows_existing: 0,
        rows_failed: 0,
        chunks_total: 3,
        chunks_done: 0,
        content_sha256: [3; 32],
        created_by: key_id(),
        created_at_ms: 3,
        started_at_ms: None,
        finished_at_ms: None,
    };
    BatchRow { batch, version: 1 }
}

fn a_wallet(index: u32, id: &str) -> Wallet {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&index.to_be_bytes());
    let payload = |kind| AddressPayload::try_new(kind, &bytes).expect("20 bytes");
    Wallet {
        id: WalletId::of_index(vault_id(), index),
        organization: organization(),
        vault: vault_id(),
        index,
        external_id: external_id(id),
        label: None,
        metadata: None,
        state: WalletState::Pending,
        reason: None,
        payloads: vec![payload(AddressKind::Evm), payload(AddressKind::Tron)],
        batch: None,
        created_by: key_id(),
        created_at_ms: 4,
        version: 1,
    }
}

fn a_chunk(batch: u8, number: u32) -> StagedChunk {
    StagedChunk {
        batch: batch_id(batch),
        number,
        first_row: number + 1,
        row_count: 1,
        rows_json: vec![0, 255],
        rows_seal: vec![1; 32],
    }
}

async fn fresh(engine: Engine, folder: &Path) -> (TestDatabase, Db) {
    let database = TestDatabase::create(engine, folder).await;
    let db = Db::open(&database.url).await.expect("opens");
    (database, db)
}

/// Runs statements in one write transaction.
macro_rules! write {
    ($db:expr, $tx:ident, $body:expr) => {{
        let mut transaction = $db.write().await.expect("begins");
        let value = {
            let $tx = &mut transaction;
            $body
        };
        transaction.commit().await.expect("commits");
        value
    }};
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

async fn organizations_and_vaults(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    write!(
        db,
        tx,
        organizations::insert(tx, &an_organization())
            .await
            .expect("inserts")
    );
    let mut row = a_vault();
    write!(
        db,
        tx,
        vaults::insert(tx, &sealed(row.clone()))
            .await
            .expect("inserts")
    );
    let mut tx = db.read().await.expect("reads");
    assert_eq!(
        organizations::all(&mut tx).await.expect("reads"),
        [an_organization()]
    );
    assert_eq!(
        vaults::by_id(&mut tx, vault_id()).await.expect("reads"),
        Some(sealed(row.clone()))
    );
    assert_eq!(
        vaults::by_id(&mut tx, VaultId::from_bytes([0; 16]))
            .await
            .expect("reads"),
        None
    );
    drop(tx);
    row.vault.state = VaultState::Open;
    row.vault.gate = Gate {
        mode: GateMode::Hook,
        hook_url: Some("https://kyc.example/".to_owned()),
    };
    row.vault.next_index = 1 << 31;
    row.vault.drilled_at_ms = Some(-1);
    row.vault.version = 2;
    write!(
        db,
        tx,
        vaults::update(tx, &sealed(row.clone()), 1)
            .await
            .expect("updates")
    );
    let mut tx = db.write().await.expect("begins");
    let lost = vaults::update(&mut tx, &sealed(row.clone()), 1).await;
    assert!(matches!(lost, Err(StoreError::Retry(_))), "{lost:?}");
    assert_eq!(
        vaults::lock(&mut tx, vault_id()).await.expect("reads"),
        Some(sealed(row.clone()))
    );
    assert_eq!(
        vaults::of_organization(&mut tx, organization())
            .await
            .expect("reads"),
        [sealed(row.clone())]
    );
    assert!(
        vaults::of_organization(&mut tx, OrganizationId::from_bytes([2; 16]))
            .await
            .expect("reads")
            .is_empty()
    );
    assert_eq!(vaults::all(&mut tx).await.expect("reads").len(), 1);
}

async fn batches_by_compare_and_set_and_in_pages(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    for number in 1..=5 {
        let state = if number == 3 {
            BatchState::Paused
        } else {
            BatchState::Accepted
        };
        write!(
            db,
            tx,
            batches::insert(tx, &sealed(a_batch(number, state)))
                .await
                .expect("inserts")
        );
    }
    let mut changed = a_batch(2, BatchState::Running);
    (
        changed.batch.rows_created,
        changed.batch.chunks_done,
        changed.batch.started_at_ms,
    ) = (1, 1, Some(10));
    changed.version = 2;
    write!(
        db,
        tx,
        batches::update_progress(tx, &sealed(changed.clone()), 1)
            .await
            .expect("updates")
    );
    let mut tx = db.write().await.expect("begins");
    let lost = batches::update_progress(&mut tx, &sealed(changed.clone()), 1).await;
    assert!(matches!(lost, Err(StoreError::Retry(_))), "{lost:?}");
    assert_eq!(
        batches::lock(&mut tx, changed.batch.id)
            .await
            .expect("reads"),
        Some(sealed(changed.clone()))
    );
    assert_eq!(
        batches::by_id(&mut tx, batch_id(9)).await.expect("reads"),
        None
    );
    let numbers = |page: Vec<Sealed<BatchRow>>| {
        page.iter()
            .map(|sealed| sealed.value.batch.id)
            .collect::<Vec<_>>()
    };
    let page = numbers(
        batches::page(&mut tx, organization(), None, None, 2)
            .await
            .expect("reads"),
    );
    assert_eq!(page, [batch_id(5), batch_id(4)], "the newest first");
    let page = numbers(
        batches::page(&mut tx, organization(), None, Some(batch_id(4)), 10)
            .await
            .expect("reads"),
    );
    assert_eq!(page, [batch_id(3), batch_id(2), batch_id(1)]);
    let page = numbers(
        batches::page(&mut tx, organization(), Some(BatchState::Paused), None, 10)
            .await
            .expect("reads"),
    );
    assert_eq!(page, [batch_id(3)]);
    let other = OrganizationId::from_bytes([2; 16]);
    assert!(
        batches::page(&mut tx, other, None, None, 10)
            .await
            .expect("reads")
            .is_empty()
    );
}

async fn wallets_and_their_index(engine: Engine) {
    let folder = folder();
    let (database, db) = fresh(engine, folder.path()).await;
    let mut born: Vec<_> = (0..1500)
        .map(|index| sealed(a_wallet(index, &format!("u{index}"))))
        .collect();
    born[1].value.label = Some("名前 '\"\\\t".to_owned());
    born[1].value.metadata = Some("{}".to_owned());
    born[1].value.batch = Some(batch_id(1));
    born[2].value.label = Some(String::new());
    write!(
        db,
        tx,
        wallets::insert_many(tx, &born).await.expect("inserts")
    );
    write!(
        db,
        tx,
        wallets::insert_many(tx, &[])
            .await
            .expect("nothing is fine")
    );
    let mut tx = db.write().await.expect("begins");
    assert_eq!(wallets::count(&mut tx).await.expect("reads"), 1500);
    for index in [1, 2] {
        let found = wallets::by_id(&mut tx, born[index].value.id)
            .await
            .expect("reads")
            .expect("is there")
            .expect("reads");
        assert_eq!(found, born[index], "an empty label is not a missing one");
    }
    let id = &born[7].value.external_id;
    assert_eq!(
        wallets::by_external_id(&mut tx, organization(), id)
            .await
            .expect("reads")
            .expect("is there")
            .expect("reads"),
        born[7]
    );
    let id = addresses::wallet_of(&mut tx, &born[9].value.payloads[1])
        .await
        .expect("reads");
    assert_eq!(id, Some(born[9].value.id));
    let unknown = external_id("nobody");
    let asked = born.iter().map(|wallet| &wallet.value.external_id);
    let asked: Vec<_> = asked.chain([&unknown]).collect();
    let taken = wallets::existing(&mut tx, organization(), &asked)
        .await
        .expect("reads");
    assert_eq!(taken.len(), 1500);
    assert!(taken.contains(&("u7".to_owned(), born[7].value.id)));
    let elsewhere = wallets::existing(&mut tx, OrganizationId::from_bytes([2; 16]), &asked)
        .await
        .expect("reads");
    assert_eq!(elsewhere, []);
    let ids: Vec<_> = born.iter().map(|wallet| wallet.value.id).collect();
    assert_eq!(
        wallets::by_ids(&mut tx, &ids).await.expect("reads").len(),
        1500
    );
    let range = wallets::in_range(&mut tx, ids[10], ids[12])
        .await
        .expect("reads");
    assert_eq!(
        range
            .into_iter()
            .map(|found| found.expect("reads").value.index)
            .collect::<Vec<_>>(),
        [10, 11, 12]
    );
    let mut changed = born[3].clone();
    (
        changed.value.state,
        changed.value.reason,
        changed.value.version,
    ) = (WalletState::Rejected, Some("no".to_owned()), 2);
    wallets::update_state(&mut tx, &changed, 1)
        .await
        .expect("updates");
    let lost = wallets::update_state(&mut tx, &changed, 1).await;
    assert!(matches!(lost, Err(StoreError::Retry(_))), "{lost:?}");
    assert_eq!(
        wallets::lock(&mut tx, ids[3])
            .await
            .expect("reads")
            .expect("is there")
            .expect("reads"),
        changed
    );
    let filter = Filter {
        vault: Some(vault_id()),
        state: Some(WalletState::Pending),
    };
    let page = wallets::page(&mut tx, organization(), &filter, Some(ids[1]), 2)
        .await
        .expect("reads");
    assert_eq!(
        page.into_iter()
            .map(|found| found.expect("reads").value.index)
            .collect::<Vec<_>>(),
        [2, 4]
    );
    tx.commit().await.expect("commits");
    database.tamper("UPDATE wallets SET state = 'frozen' WHERE external_id = 'u5'; UPDATE wallets SET external_id = ' u6' WHERE external_id = 'u6'").await;
    let mut tx = db.read().await.expect("reads");
    for index in [5, 6] {
        let found = wallets::by_id(&mut tx, ids[index])
            .await
            .expect("reads")
            .expect("is there");
        assert!(
            matches!(found, Err((id, StoreError::Corrupt(_))) if id == ids[index]),
            "a row that cannot be ours is named"
        );
    }
}

async fn keys_drills_and_answers(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let mut key = ApiKeyRow {
        id: key_id(),
        organization: organization(),
        name: "k".to_owned(),
        secret_hash: [4; 32],
        scopes: "admin".to_owned(),
        created_at_ms: 1,
        expires_at_ms: Some(2),
        revoked_at_ms: None,
        version: 1,
    };
    let mut drill = Drill {
        id: DrillId::from_bytes([6; 16]),
        vault: vault_id(),
        challenge: "{}".to_owned(),
        created_at_ms: 1,
        passed_at_ms: None,
    };
    let scope = IdempotencyScope {
        organization: organization(),
        caller: key_id(),
        operation: "wallets.assign",
        key: "ключ".to_owned(),
    };
    let answer = StoredAnswer {
        fingerprint: [8; 32],
        status: 201,
        answer: "{\"a\":\"ü\"}".to_owned(),
        seal: vec![1; 32],
    };
    write!(db, tx, {
        organizations::insert(tx, &an_organization())
            .await
            .expect("inserts");
        vaults::insert(tx, &sealed(a_vault()))
            .await
            .expect("inserts");
        api_keys::insert(tx, &sealed(key.clone()))
            .await
            .expect("inserts");
        drills::insert(tx, &sealed(drill.clone()))
            .await
            .expect("inserts");
        idempotency::insert(tx, &scope, &answer, 1)
            .await
            .expect("inserts");
    });
    (key.revoked_at_ms, key.version) = (Some(9), 2);
    let mut tx = db.write().await.expect("begins");
    api_keys::update(&mut tx, &sealed(key.clone()), 1)
        .await
        .expect("updates");
    assert!(matches!(
        api_keys::update(&mut tx, &sealed(key.clone()), 1).await,
        Err(StoreError::Retry(_))
    ));
    assert_eq!(
        api_keys::by_id(&mut tx, key_id()).await.expect("reads"),
        Some(sealed(key.clone()))
    );
    assert_eq!(
        api_keys::of_organization(&mut tx, organization())
            .await
            .expect("reads"),
        [sealed(key)]
    );
    assert!(
        drills::mark_passed(&mut tx, drill.id, 5)
            .await
            .expect("marks")
    );
    assert!(
        !drills::mark_passed(&mut tx, drill.id, 6)
            .await
            .expect("marks"),
        "once"
    );
    drill.passed_at_ms = Some(5);
    assert_eq!(
        drills::by_id(&mut tx, drill.id).await.expect("reads"),
        Some(sealed(drill))
    );
    assert_eq!(
        idempotency::find(&mut tx, &scope).await.expect("reads"),
        Some(answer)
    );
    let others = [
        IdempotencyScope {
            organization: OrganizationId::from_bytes([2; 16]),
            ..scope.clone()
        },
        IdempotencyScope {
            caller: ApiKeyId::from_bytes([2; 16]),
            ..scope.clone()
        },
        IdempotencyScope {
            operation: "batches.create",
            ..scope.clone()
        },
        IdempotencyScope {
            key: "Ключ".to_owned(),
            ..scope
        },
    ];
    for other in others {
        assert_eq!(
            idempotency::find(&mut tx, &other).await.expect("reads"),
            None,
            "{other:?}"
        );
    }
}

async fn pools_and_allow_lists(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    write!(db, tx, {
        organizations::insert(tx, &an_organization())
            .await
            .expect("inserts");
        vaults::insert(tx, &sealed(a_vault()))
            .await
            .expect("inserts");
    });
    let mut tx = db.write().await.expect("begins");
    assert_eq!(
        pools::watermarks(&mut tx, vault_id()).await.expect("reads"),
        None
    );
    for marks in [
        Watermarks { low: 1, high: 2 },
        Watermarks { low: 3, high: 4 },
    ] {
        pools::set_watermarks(&mut tx, vault_id(), marks)
            .await
            .expect("sets");
        assert_eq!(
            pools::watermarks(&mut tx, vault_id()).await.expect("reads"),
            Some(marks)
        );
    }
    let entries: Vec<_> = [5, 3, 4]
        .map(|index| {
            sealed(PoolEntry {
                vault: vault_id(),
                index,
                payloads: vec![0, 255],
            })
        })
        .to_vec();
    pools::add(&mut tx, &entries).await.expect("adds");
    for (count, left, wanted) in [(1, 2, &[3][..]), (0, 2, &[]), (5, 0, &[4, 5]), (1, 0, &[])] {
        let taken = pools::take(&mut tx, vault_id(), count)
            .await
            .expect("takes");
        let indexes: Vec<u32> = taken.iter().map(|entry| entry.value.index).collect();
        assert_eq!(indexes, wanted, "the lowest first");
        assert_eq!(
            pools::level_up_to(&mut tx, vault_id(), 1_000)
                .await
                .expect("reads"),
            left
        );
    }
    let allowed = |n: u16| {
        sealed(AllowedId {
            vault: vault_id(),
            external_key: [n.to_be_bytes()[1]; 16],
            external_id: format!("u{n}"),
            generation: u32::from(n),
        })
    };
    for n in 0..5 {
        assert!(allow_list::add(&mut tx, &allowed(n)).await.expect("adds"));
    }
    assert!(
        !allow_list::add(&mut tx, &allowed(0)).await.expect("adds"),
        "it was there"
    );
    let keys: Vec<[u8; 16]> = (0..=255)
        .chain(0..=255)
        .chain(0..=255)
        .map(|n| [n; 16])
        .collect();
    let mut among: Vec<_> = allow_list::among(&mut tx, vault_id(), &keys[..256])
        .await
        .expect("reads");
    among.sort_by_key(|entry| entry.value.external_key);
    assert_eq!(among, (0..5).map(allowed).collect::<Vec<_>>());
    assert!(
        allow_list::among(&mut tx, vault_id(), &keys)
            .await
            .expect("more than one statement")
            .len()
            >= 5
    );
    let page = allow_list::page(&mut tx, vault_id(), [1; 16], 2)
        .await
        .expect("reads");
    assert_eq!(
        page.iter()
            .map(|entry| entry.value.external_id.as_str())
            .collect::<Vec<_>>(),
        ["u2", "u3"]
    );
    assert!(
        allow_list::remove(&mut tx, vault_id(), &[2; 16])
            .await
            .expect("removes")
    );
    assert!(
        !allow_list::remove(&mut tx, vault_id(), &[2; 16])
            .await
            .expect("removes")
    );
}

fn record(seq: u64) -> AuditRow {
    AuditRow {
        organization: organization(),
        seq,
        at_ms: -5,
        actor: "system".to_owned(),
        action: "thing.done".to_owned(),
        object: "o".to_owned(),
        payload: "{\"k\":\"\u{1F600}\"}".to_owned(),
        prev_hash: [0; 32],
        hash: [u8::try_from(seq).expect("few"); 32],
        mac: [2; 32],
    }
}

async fn the_audit_chain_in_pages(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    write!(
        db,
        tx,
        organizations::insert(tx, &an_organization())
            .await
            .expect("inserts")
    );
    let mut tx = db.write().await.expect("begins");
    assert_eq!(
        audit::lock_head(&mut tx, organization())
            .await
            .expect("reads"),
        None
    );
    for seq in 1..=5 {
        audit::append(&mut tx, &record(seq), 0)
            .await
            .expect("appends");
    }
    let head = audit::head(&mut tx, organization())
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!((head.seq, head.hash), (5, [5; 32]));
    assert_eq!(
        audit::page(&mut tx, organization(), 1, 2)
            .await
            .expect("reads"),
        [record(2), record(3)]
    );
    assert!(
        audit::page(&mut tx, organization(), 5, 2)
            .await
            .expect("reads")
            .is_empty()
    );
}

const OWNER: [u8; 16] = [11; 16];

async fn claim(db: &Db, now: i64, until: i64) -> Option<chunks::LeasedChunk> {
    write!(
        db,
        tx,
        chunks::claim(tx, &OWNER, now, until).await.expect("claims")
    )
}

/// Two batches of three chunks each, staged.
async fn two_batches(db: &Db) {
    write!(db, tx, {
        for batch in [2, 1] {
            let staged: Vec<_> = (0..3).map(|number| a_chunk(batch, number)).collect();
            chunks::stage(tx, &staged, 100).await.expect("stages");
            batches::insert(tx, &sealed(a_batch(batch, BatchState::Accepted)))
                .await
                .expect("inserts");
        }
    });
}

async fn chunks_are_claimed_in_order_and_fenced(engine: Engine) {
    let folder = folder();
    let (database, db) = fresh(engine, folder.path()).await;
    two_batches(&db).await;
    let mut claimed = Vec::new();
    while let Some(leased) = claim(&db, 1000, 2000).await {
        claimed.push((leased.chunk.batch, leased.chunk.number));
    }
    let wanted: Vec<_> = [1, 2]
        .iter()
        .flat_map(|batch| (0..3).map(|number| (batch_id(*batch), number)))
        .collect();
    assert_eq!(claimed, wanted, "the oldest batch first, in its order");
    let again = claim(&db, 2000, 3000)
        .await
        .expect("a lease that ended is taken over");
    assert_eq!(
        (again.attempts, again.fence, &again.chunk),
        (2, 2, &a_chunk(1, 0))
    );
    let mut tx = db.write().await.expect("begins");
    assert!(
        !chunks::lock_lease(&mut tx, batch_id(1), 0, 1)
            .await
            .expect("reads"),
        "the old fence"
    );
    assert!(
        chunks::lock_lease(&mut tx, batch_id(1), 0, 2)
            .await
            .expect("reads")
    );
    chunks::finish(&mut tx, batch_id(1), 0, ("{}", &[3; 32]))
        .await
        .expect("finishes");
    assert!(
        !chunks::lock_lease(&mut tx, batch_id(1), 0, 2)
            .await
            .expect("reads"),
        "what is done is nobody's"
    );
    let read = chunks::read(&mut tx, batch_id(1), 0)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (read.chunk, read.outcome),
        (a_chunk(1, 0), Some(("{}".to_owned(), vec![3; 32])))
    );
    assert_eq!(
        chunks::read(&mut tx, batch_id(1), 9).await.expect("reads"),
        None
    );
    assert_eq!(chunks::queue(&mut tx).await.expect("reads"), (5, Some(100)));
    assert_eq!(chunks::count(&mut tx, batch_id(1)).await.expect("reads"), 3);
    tx.commit().await.expect("commits");
    database.tamper("UPDATE batches SET state = 'paused'").await;
    assert_eq!(
        claim(&db, 9000, 9999).await,
        None,
        "only of batches that run"
    );
}

async fn chunks_put_off_wait_and_leases_end(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    write!(db, tx, {
        chunks::stage(tx, &[a_chunk(1, 0)], 100)
            .await
            .expect("stages");
        batches::insert(tx, &sealed(a_batch(1, BatchState::Running)))
            .await
            .expect("inserts");
    });
    let first = claim(&db, 1000, 2000).await.expect("a chunk");
    let retry = Retry {
        not_before_ms: 5000,
        attempts: 7,
        error: "später",
    };
    write!(
        db,
        tx,
        chunks::give_back(tx, &first, &retry)
            .await
            .expect("gives back")
    );
    assert_eq!(claim(&db, 4999, 9000).await, None, "not before its time");
    let second = claim(&db, 5000, 9000).await.expect("a chunk");
    assert_eq!((second.attempts, second.fence), (8, 2));
    // The first worker wakes up late: what it says no longer counts.
    write!(
        db,
        tx,
        chunks::give_back(tx, &first, &retry)
            .await
            .expect("changes nothing")
    );
    let mut tx = db.write().await.expect("begins");
    assert!(
        chunks::lock_lease(&mut tx, batch_id(1), 0, 2)
            .await
            .expect("reads")
    );
    assert_eq!(
        chunks::release_leases(&mut tx, &[0; 16])
            .await
            .expect("releases"),
        0,
        "another instance's"
    );
    assert_eq!(
        chunks::release_leases(&mut tx, &OWNER)
            .await
            .expect("releases"),
        1
    );
    assert!(
        !chunks::lock_lease(&mut tx, batch_id(1), 0, 2)
            .await
            .expect("reads")
    );
    tx.commit().await.expect("commits");
    assert_eq!(
        claim(&db, 5000, 9000).await.map(|leased| leased.fence),
        Some(3)
    );
}

async fn eight_at_once_share_no_chunk(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    write!(db, tx, {
        let staged: Vec<_> = (0..100).map(|number| a_chunk(1, number)).collect();
        chunks::stage(tx, &staged, 1).await.expect("stages");
        batches::insert(tx, &sealed(a_batch(1, BatchState::Running)))
            .await
            .expect("inserts");
    });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let db = db.clone();
        tasks.spawn(async move {
            let mut mine = Vec::new();
            while let Some(leased) = claim(&db, 1000, 2000).await {
                mine.push(leased.chunk.number);
            }
            mine
        });
    }
    let claimed: Vec<u32> = tasks.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<u32> = claimed.iter().copied().collect();
    // With locked rows passed over, a worker may find nothing while others hold the last ones.
    assert_eq!((claimed.len(), distinct.len()), (100, 100));
}

async fn only_dead_uploads_are_collected(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    write!(db, tx, {
        chunks::stage(
            tx,
            &[a_chunk(1, 0), a_chunk(2, 0), a_chunk(3, 0), a_chunk(4, 0)],
            100,
        )
        .await
        .expect("stages");
        chunks::stage(tx, &[a_chunk(3, 1)], 500)
            .await
            .expect("stages");
        batches::insert(tx, &sealed(a_batch(2, BatchState::Accepted)))
            .await
            .expect("inserts");
    });
    let mut tx = db.write().await.expect("begins");
    assert_eq!(
        chunks::collect_orphans(&mut tx, 100)
            .await
            .expect("collects"),
        0,
        "not yet"
    );
    assert_eq!(
        chunks::discard(&mut tx, batch_id(4))
            .await
            .expect("discards"),
        1
    );
    assert_eq!(
        chunks::discard(&mut tx, batch_id(2))
            .await
            .expect("discards"),
        0,
        "a batch's chunks stay"
    );
    assert_eq!(
        chunks::collect_orphans(&mut tx, 101)
            .await
            .expect("collects"),
        1,
        "the one that added nothing since"
    );
    let left = [1, 2, 3].map(batch_id);
    let mut counts = Vec::new();
    for batch in left {
        counts.push(chunks::count(&mut tx, batch).await.expect("reads"));
    }
    assert_eq!(counts, [0, 1, 2]);
}

async fn hook_jobs_are_fenced(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let ids: Vec<_> = (0..3)
        .map(|index| WalletId::of_index(vault_id(), index))
        .collect();
    let mut tx = db.write().await.expect("begins");
    hook_jobs::add(&mut tx, vault_id(), &ids, 100)
        .await
        .expect("adds");
    assert!(
        hook_jobs::claim(&mut tx, 99, 200, 8)
            .await
            .expect("claims")
            .is_empty()
    );
    let old = hook_jobs::claim(&mut tx, 100, 200, 8)
        .await
        .expect("claims");
    assert_eq!(old.len(), 3);
    assert!(
        hook_jobs::claim(&mut tx, 199, 300, 8)
            .await
            .expect("claims")
            .is_empty()
    );
    let new = hook_jobs::claim(&mut tx, 200, 300, 2)
        .await
        .expect("claims");
    assert!(new.len() == 2 && new.iter().all(|job| job.attempts == 2 && job.fence == 2));
    let stale = old
        .iter()
        .find(|job| job.wallet == new[0].wallet)
        .expect("the same job");
    hook_jobs::put_off(&mut tx, stale, 0, Some(1), "late")
        .await
        .expect("changes nothing");
    hook_jobs::put_off(&mut tx, &new[1], 0, Some(1), "given up")
        .await
        .expect("parks");
    hook_jobs::remove(&mut tx, new[0].wallet)
        .await
        .expect("removes");
    let last = hook_jobs::claim(&mut tx, i64::MAX, i64::MAX, 8)
        .await
        .expect("claims");
    assert!(
        last.len() == 1 && last[0].wallet != new[0].wallet && last[0].wallet != new[1].wallet,
        "{last:?}"
    );
}

async fn bulk_inserts_of_every_size(engine: Engine) {
    let folder = folder();
    let (database, db) = fresh(engine, folder.path()).await;
    let blob = if engine == Engine::Sqlite {
        "BLOB"
    } else {
        "BYTEA"
    };
    database
        .tamper(&format!(
            "CREATE TABLE many (n BIGINT PRIMARY KEY, t TEXT, b {blob}, i BIGINT)"
        ))
        .await;
    let texts = [
        "",
        "ünï 客户 \u{1F600}",
        "tab\tnew\nline\\N",
        "'; DROP TABLE many; --",
    ];
    let mut next = 0_i64;
    for size in [0, 1, 499, 500, 501, 1500] {
        let numbers: Vec<i64> = (next..next + size).collect();
        let bytes: Vec<[u8; 8]> = numbers.iter().map(|n| n.to_le_bytes()).collect();
        let rows = numbers.iter().copied().zip(&bytes).map(|(n, bytes)| {
            let text = texts[usize::try_from(n % 4).expect("small")];
            let missing = n % 3 == 0;
            vec![
                Param::Int(n),
                Param::OptText((!missing).then_some(text)),
                Param::OptBlob((!missing).then_some(bytes.as_slice())),
                Param::OptInt((!missing).then_some(-n)),
            ]
        });
        let inserted = write!(
            db,
            tx,
            bulk::insert(tx, "many", &["n", "t", "b", "i"], rows)
                .await
                .expect("inserts")
        );
        assert_eq!(inserted, u64::try_from(size).expect("small"));
        next += size;
    }
    let mut tx = db.read().await.expect("reads");
    let rows = tx
        .fetch("SELECT n, t, b, i FROM many ORDER BY n", &[])
        .await
        .expect("reads");
    assert_eq!(rows.len(), 3001);
    for (n, row) in (0_i64..).zip(&rows) {
        let here = n % 3 != 0;
        let text = texts[usize::try_from(n % 4).expect("small")];
        let got = (
            row.int(0).expect("reads"),
            row.opt_text(1).expect("reads"),
            row.opt_blob(2).expect("reads"),
            row.opt_int(3).expect("reads"),
        );
        assert_eq!(
            got,
            (
                n,
                here.then(|| text.to_owned()),
                here.then(|| n.to_le_bytes().to_vec()),
                here.then_some(-n)
            )
        );
    }
    drop(tx);
    let mut tx = db.write().await.expect("begins");
    let rows = [5000, 5001, 7].into_iter().map(|n| {
        vec![
            Param::Int(n),
            Param::OptText(None),
            Param::OptBlob(None),
            Param::OptInt(None),
        ]
    });
    assert!(matches!(
        bulk::insert(&mut tx, "many", &["n", "t", "b", "i"], rows).await,
        Err(StoreError::Conflict(_))
    ));
    drop(tx);
    let mut tx = db.read().await.expect("reads");
    let left = tx
        .fetch("SELECT count(*) FROM many", &[])
        .await
        .expect("reads")[0]
        .int(0)
        .expect("reads");
    assert_eq!(left, 3001, "all of it or nothing");
}

async fn every_constraint_has_its_name(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let scope = IdempotencyScope {
        organization: organization(),
        caller: key_id(),
        operation: "o",
        key: "k".to_owned(),
    };
    let answer = StoredAnswer {
        fingerprint: [8; 32],
        status: 201,
        answer: String::new(),
        seal: Vec::new(),
    };
    write!(db, tx, {
        organizations::insert(tx, &an_organization())
            .await
            .expect("inserts");
        wallets::insert_many(tx, &[sealed(a_wallet(0, "u"))])
            .await
            .expect("inserts");
        idempotency::insert(tx, &scope, &answer, 1)
            .await
            .expect("inserts");
        audit::append(tx, &record(1), 0).await.expect("appends");
    });
    let conflict = |result: Result<(), StoreError>| match result {
        Err(StoreError::Conflict(constraint)) => constraint,
        other => panic!("{other:?}"),
    };
    let mut same_address = a_wallet(1, "v");
    same_address.payloads = a_wallet(0, "u").payloads;
    for (wallet, wanted) in [
        (a_wallet(1, "u"), Constraint::ExternalId),
        (a_wallet(0, "v"), Constraint::WalletId),
        (same_address, Constraint::Address),
    ] {
        let mut tx = db.write().await.expect("begins");
        assert_eq!(
            conflict(wallets::insert_many(&mut tx, &[sealed(wallet)]).await),
            wanted
        );
    }
    let mut tx = db.write().await.expect("begins");
    assert_eq!(
        conflict(idempotency::insert(&mut tx, &scope, &answer, 2).await),
        Constraint::IdempotencyKey
    );
    drop(tx);
    let mut tx = db.write().await.expect("begins");
    assert_eq!(
        conflict(audit::append(&mut tx, &record(1), 0).await),
        Constraint::AuditSequence
    );
    drop(tx);
    let mut tx = db.write().await.expect("begins");
    assert!(matches!(
        conflict(organizations::insert(&mut tx, &an_organization()).await),
        Constraint::Other(_)
    ));
    drop(tx);
    let mut tx = db.write().await.expect("begins");
    let orphan = Drill {
        id: DrillId::from_bytes([6; 16]),
        vault: vault_id(),
        challenge: String::new(),
        created_at_ms: 1,
        passed_at_ms: None,
    };
    assert!(
        drills::insert(&mut tx, &sealed(orphan)).await.is_err(),
        "a drill of no vault: foreign keys are on"
    );
}

async fn count_organizations(db: &Db) -> usize {
    organizations::all(&mut db.read().await.expect("reads"))
        .await
        .expect("reads")
        .len()
}

async fn a_dropped_transaction_leaves_nothing(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let mut tx = db.write().await.expect("begins");
    organizations::insert(&mut tx, &an_organization())
        .await
        .expect("inserts");
    drop(tx);
    assert_eq!(count_organizations(&db).await, 0);
    write!(
        db,
        tx,
        organizations::insert(tx, &an_organization())
            .await
            .expect("the writer is free again")
    );
    assert_eq!(count_organizations(&db).await, 1);
}

async fn a_commit_outlives_its_caller(engine: Engine) {
    use std::task::{Context, Poll, Waker};
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let mut tx = db.write().await.expect("begins");
    organizations::insert(&mut tx, &an_organization())
        .await
        .expect("inserts");
    let mut committing = Box::pin(tx.commit());
    // The caller looks once, then goes away.
    let looked = committing
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(looked, Poll::Pending | Poll::Ready(Ok(()))));
    drop(committing);
    until("the commit happened", || async {
        (count_organizations(&db).await == 1).then_some(())
    })
    .await;
}

async fn a_reader_sees_one_moment(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let mut tx = db.read().await.expect("reads");
    assert!(organizations::all(&mut tx).await.expect("reads").is_empty());
    write!(
        db,
        tx,
        organizations::insert(tx, &an_organization())
            .await
            .expect("inserts")
    );
    assert!(
        organizations::all(&mut tx).await.expect("reads").is_empty(),
        "the same moment as before"
    );
    let refused = organizations::insert(&mut tx, &an_organization()).await;
    assert!(refused.is_err(), "a reader writes nothing");
}

async fn addresses_are_found_in_every_run(engine: Engine) {
    let folder = folder();
    let (_, db) = fresh(engine, folder.path()).await;
    let second = VaultId::of_key(&[7; 32], 1);
    let mut born: Vec<_> = [0, 8191, 8192, 20_000, 0x7fff_ffff]
        .into_iter()
        .map(|index| sealed(a_wallet(index, &format!("u{index}"))))
        .collect();
    for index in [3, 8193] {
        let mut other = a_wallet(index, &format!("v{index}"));
        (other.vault, other.id) = (second, WalletId::of_index(second, index));
        born.push(sealed(other));
    }
    write!(
        db,
        tx,
        wallets::insert_many(tx, &born).await.expect("inserts")
    );
    let mut tx = db.read().await.expect("reads");
    for wallet in &born {
        for payload in &wallet.value.payloads {
            let found = addresses::wallet_of(&mut tx, payload).await.expect("reads");
            assert_eq!(found, Some(wallet.value.id), "{payload:?}");
        }
    }
    let unknown = &a_wallet(1, "w").payloads[0];
    let found = addresses::wallet_of(&mut tx, unknown).await.expect("reads");
    assert_eq!(found, None);
    let rows = tx
        .fetch("SELECT DISTINCT run FROM addresses ORDER BY run", &[])
        .await
        .expect("reads");
    let runs: Vec<i64> = rows.iter().map(|row| row.int(0).expect("reads")).collect();
    let (one, two) = (262_144, 524_288);
    assert_eq!(
        runs,
        [one, one + 1, one + 2, one + 262_143, two, two + 1],
        "a run has 8,192 indexes of one vault"
    );
}

/// The schema as programs before its version 3 left it, what came later taken away.
fn without_runs(engine: Engine) -> String {
    let bytes = match engine {
        Engine::Sqlite => "BLOB",
        Engine::Postgres => "BYTEA",
    };
    format!(
        "CREATE TABLE kept AS SELECT payload, kind, wallet_id FROM addresses; \
         DROP TABLE addresses; DROP TABLE address_vaults; \
         CREATE TABLE addresses (payload {bytes} NOT NULL, kind BIGINT NOT NULL, wallet_id {bytes} NOT NULL, \
         PRIMARY KEY (payload, kind)); \
         INSERT INTO addresses SELECT * FROM kept; DROP TABLE kept; \
         DROP INDEX wallets_external_id; ALTER TABLE wallets ADD COLUMN external_key {bytes}; \
         UPDATE wallets SET external_key = id; \
         CREATE UNIQUE INDEX wallets_external_key ON wallets (external_key); \
         DROP TABLE chunk_rows; ALTER TABLE batch_chunks ADD COLUMN rows_json {bytes}; \
         ALTER TABLE batch_chunks ADD COLUMN rows_seal {bytes}; \
         DROP TABLE events; ALTER TABLE audit_heads DROP COLUMN event_seq; \
         DROP TABLE webhook_redeliveries; DROP TABLE webhook_deliveries; DROP TABLE webhook_progress; \
         DROP TABLE webhooks; DROP TABLE sink_cursors; DROP TABLE parked_messages; DROP TABLE outputs; \
         DROP TABLE unconfirmed_deposits; DROP TABLE unconfirmed_inputs; \
         DELETE FROM schema_migrations WHERE number >= 3"
    )
}

async fn an_address_index_without_runs_is_carried_over(engine: Engine) {
    let folder = folder();
    let (database, db) = fresh(engine, folder.path()).await;
    let born: Vec<_> = [0, 8192, 20_000]
        .into_iter()
        .map(|index| sealed(a_wallet(index, &format!("u{index}"))))
        .collect();
    write!(
        db,
        tx,
        wallets::insert_many(tx, &born).await.expect("inserts")
    );
    db.close().await;
    database.tamper(&without_runs(engine)).await;
    // The last one's row was removed behind Coffer's back.
    database
        .tamper("DELETE FROM wallets WHERE derivation_index = 20000")
        .await;
    let db = Db::open(&database.url).await.expect("migrates");
    let late = sealed(a_wallet(8193, "late"));
    write!(
        db,
        tx,
        wallets::insert_many(tx, std::slice::from_ref(&late))
            .await
            .expect("inserts")
    );
    let mut tx = db.read().await.expect("reads");
    for wallet in born.iter().chain([&late]) {
        let payload = &wallet.value.payloads[1];
        let found = addresses::wallet_of(&mut tx, payload).await.expect("reads");
        assert_eq!(found, Some(wallet.value.id), "{payload:?}");
    }
    let rows = tx
        .fetch(
            "SELECT run, count(*) FROM addresses GROUP BY run ORDER BY run",
            &[],
        )
        .await
        .expect("reads");
    let runs: Vec<(i64, i64)> = rows
        .iter()
        .map(|row| (row.int(0).expect("reads"), row.int(1).expect("reads")))
        .collect();
    assert_eq!(
        runs,
        [(0, 2), (262_144, 2), (262_145, 4)],
        "a wallet that is gone leaves its entries in run 0"
    );
}

async fn an_unknown_schema_is_refused(engine: Engine) {
    let folder = folder();
    let (database, db) = fresh(engine, folder.path()).await;
    db.close().await;
    Db::open(&database.url)
        .await
        .expect("opens again")
        .close()
        .await;
    database.tamper("INSERT INTO schema_migrations (number, name, fingerprint) VALUES (9999, '9999_from_the_future', 1)").await;
    let refused = Db::open(&database.url).await.err();
    assert!(
        matches!(refused, Some(StoreError::NewerSchema { found: 9999, .. })),
        "{refused:?}"
    );
    database.tamper("DELETE FROM schema_migrations WHERE number = 9999; UPDATE schema_migrations SET fingerprint = fingerprint + 1").await;
    let refused = Db::open(&database.url).await.err();
    assert!(
        matches!(refused, Some(StoreError::ChangedMigration(_))),
        "{refused:?}"
    );
}

/// SQLite's locks go with their process. PostgreSQL ends the transaction of one that says nothing between two statements,
/// and a statement that takes too long; reports are given their time.
async fn a_writer_that_stops_gives_its_locks_up(engine: Engine) {
    if engine == Engine::Sqlite {
        return;
    }
    let folder = folder();
    let database = TestDatabase::create(engine, folder.path()).await;
    let db = Db::open(&database.url).await.expect("opens");
    let sql = "SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('statement_timeout')";
    let settings = async |mut tx: coffer_store::Tx| {
        let row = tx.fetch_optional(sql, &[]).await.expect("reads");
        let row = row.expect("a row");
        (row.text(0).expect("a text"), row.text(1).expect("a text"))
    };
    let expected = |statement: &str| ("20s".to_owned(), statement.to_owned());
    let write = db.write().await.expect("begins");
    assert_eq!(settings(write).await, expected("1min"));
    let read = db.read().await.expect("begins");
    assert_eq!(settings(read).await, expected("0"));
    let mut tx = db.write().await.expect("begins");
    let short = "SET LOCAL statement_timeout = 50";
    tx.execute(short, &[]).await.expect("set");
    let waited = tx.execute("SELECT pg_sleep(20)", &[]).await;
    assert!(
        matches!(waited, Err(StoreError::Unavailable(_))),
        "{waited:?}"
    );
}

/// One that stops in the middle of a COPY is reached by no time-out: it is ended when it gets no further, and nobody else is.
async fn a_writer_that_stops_while_it_sends_is_ended(engine: Engine) {
    const NOW: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(600);
    let folder = folder();
    let database = TestDatabase::create(engine, folder.path()).await;
    let db = Db::open(&database.url).await.expect("opens");
    let Some(mut hosts) = db.silent_hosts() else {
        assert_eq!(engine, Engine::Sqlite);
        return;
    };
    database
        .tamper("CREATE TABLE theirs (n BIGINT PRIMARY KEY)")
        .await;
    let waits = async |bytes: u64| {
        until("the server waits for the client", || async {
            let sql = "SELECT COUNT(*) FROM pg_stat_activity AS a JOIN pg_stat_progress_copy AS p ON p.pid = a.pid \
                WHERE a.datname = current_database() AND a.wait_event = 'ClientRead' AND p.bytes_processed = $1";
            let bytes = i64::try_from(bytes).expect("few");
            let found = db.look(sql, &[Param::Int(bytes)]).await.expect("reads");
            (found[0].u64(0).expect("a number") == 1).then_some(())
        })
        .await;
    };

    for (program, is_ours) in [("coffer", true), ("psql", false)] {
        let mut connection = database.connect_as(program).await;
        let begin = sqlx::raw_sql("BEGIN; INSERT INTO theirs VALUES (1)");
        begin.execute(&mut connection).await.expect("inserts");
        let copy = connection.copy_in_raw("COPY theirs FROM STDIN").await;
        let mut copy = copy.expect("begins");
        waits(0).await;
        assert_eq!(
            hosts.end_transactions(NOW).await.expect("looks"),
            0,
            "seen once"
        );
        copy.send("2\n".as_bytes()).await.expect("sent");
        waits(2).await;
        assert_eq!(
            hosts.end_transactions(NOW).await.expect("looks"),
            0,
            "it goes on"
        );
        assert_eq!(
            hosts.end_transactions(LATER).await.expect("looks"),
            0,
            "not yet"
        );
        let ended = hosts.end_transactions(NOW).await.expect("looks");
        assert_eq!(ended, u64::from(is_ours), "{program}");
        let finished = copy.finish().await;
        assert_eq!(finished.is_err(), is_ours, "{program}: {finished:?}");
        // The locks are free; what is not committed is taken back once its connection is gone.
        drop(connection);
        let mut tx = db.write().await.expect("begins");
        let insert = "INSERT INTO theirs VALUES (1)";
        assert_eq!(tx.execute(insert, &[]).await.expect("inserts"), 1);
    }

    // Slow, but not silent.
    let mut connection = database.connect_as("coffer").await;
    let busy = tokio::spawn(async move {
        sqlx::raw_sql("BEGIN; INSERT INTO theirs VALUES (1); SELECT pg_sleep(1); ROLLBACK")
            .execute(&mut connection)
            .await
    });
    while !busy.is_finished() {
        assert_eq!(hosts.end_transactions(NOW).await.expect("looks"), 0);
    }
    busy.await.expect("runs").expect("is not ended");
}

async fn unsafe_settings_are_refused(engine: Engine) {
    let folder = folder();
    for url in [
        "mysql://host/db",
        "coffer.db",
        "postgres://user:secret@[bad",
    ] {
        let refused = Db::open(url).await.err().expect("is refused").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
    match engine {
        Engine::Sqlite => {
            // A database in memory cannot have a write-ahead log, nor outlive a power cut.
            let refused = Db::open("sqlite::memory:").await.err();
            assert!(
                matches!(refused, Some(StoreError::UnsafeSetting(_))),
                "{refused:?}"
            );
            // A file with a rollback journal is brought to WAL.
            let database = TestDatabase::create(engine, folder.path()).await;
            std::fs::write(folder.path().join("coffer.db"), []).expect("writes");
            database
                .tamper("PRAGMA journal_mode = DELETE; CREATE TABLE theirs (n BIGINT)")
                .await;
            Db::open(&database.url).await.expect("opens").close().await;
            let header = std::fs::read(folder.path().join("coffer.db")).expect("reads");
            assert_eq!(header[18..20], [2, 2], "the file's header says WAL");
        }
        Engine::Postgres => {
            let database = TestDatabase::create(engine, folder.path()).await;
            let name = database
                .url
                .rsplit('/')
                .next()
                .expect("a name")
                .split('?')
                .next()
                .expect("a name")
                .to_owned();
            database
                .tamper(&format!(
                    "ALTER DATABASE {name} SET synchronous_commit = off"
                ))
                .await;
            let refused = Db::open(&database.url).await.err();
            assert!(
                matches!(refused, Some(StoreError::UnsafeSetting(_))),
                "{refused:?}"
            );
            database
                .tamper(&format!(
                    "ALTER DATABASE {name} SET synchronous_commit = on"
                ))
                .await;
            Db::open(&database.url).await.expect("opens");
        }
    }
}
