//! Tampering whose effect shows only when Coffer acts: pools, gates, drills, batches at work, triggers,
//! a row put back the moment after it changed, and the whole database put back to an older copy.

use std::future::Future;

use coffer_domain::batch::BatchState;
use coffer_domain::id::BatchId;
use coffer_domain::wallet::{Decision, WalletState};
use coffer_platform::batches::{Control, RowStatus};
use coffer_platform::{Answer, Assigned, Error, Platform};
use coffer_testkit::Engine;

use super::observe::{Seen, observe, seen};
use super::owner::{OLD, SAVED};
use super::scene::{Scene, anchor, external, new_wallet, upload, work};

async fn both<F: Future<Output = ()>>(test: impl Fn(Engine) -> F) {
    for engine in Engine::ALL {
        test(engine).await;
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert_eq!(seen(result), Seen::Refused);
}

async fn assign(
    scene: &Scene,
    platform: &Platform,
    vault: coffer_domain::id::VaultId,
    id: &str,
) -> Result<Assigned, Error> {
    match platform
        .assign_wallet(&scene.installation.admin, new_wallet(vault, id), None)
        .await?
    {
        Answer::Executed(assigned) => Ok(assigned),
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

/// No read, no anchor and no other process comes between the change and the old row.
#[tokio::test]
async fn a_row_put_back_the_moment_after_it_changed_is_refused_by_the_same_process() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let platform = scene.installation.platform.clone();
        let wallet = scene.wallet("man-4").clone();
        let decided = platform
            .decide_wallet(
                &scene.decider,
                wallet.id,
                Decision::Reject,
                Some("no".into()),
                None,
            )
            .await;
        assert!(matches!(decided, Ok(Answer::Executed(_))));
        scene.owner.restore(&["wallets"]).await;
        refused(platform.wallet(&scene.installation.admin, wallet.id).await);
        refused(
            platform
                .decide_wallet(&scene.decider, wallet.id, Decision::Activate, None, None)
                .await
                .map(|_| ()),
        );
        let page = platform
            .wallets(&scene.installation.admin, &Default::default(), None, 100)
            .await
            .expect("a page");
        assert_eq!(
            page.refused
                .iter()
                .map(|refused| refused.id)
                .collect::<Vec<_>>(),
            [wallet.id]
        );

        let reader = platform
            .authenticate(&scene.reader_token)
            .await
            .expect("checked")
            .expect("counts");
        platform
            .revoke_api_key(&scene.decider, reader.key)
            .await
            .expect("revoked");
        scene.owner.restore(&["api_keys"]).await;
        refused(platform.authenticate(&scene.reader_token).await);

        let gate = coffer_domain::vault::Gate {
            mode: coffer_domain::vault::GateMode::AllowList,
            hook_url: None,
        };
        platform
            .set_gate(&scene.decider, scene.manual, gate)
            .await
            .expect("set");
        scene.owner.restore(&["vaults"]).await;
        refused(platform.vault(&scene.decider, scene.manual).await);
    })
    .await;
}

#[tokio::test]
async fn a_pool_gives_no_edited_entry_and_none_twice() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let platform = scene.installation.platform.clone();
        let vault = scene.installation.vault;
        let at = scene.owner.bytes(vault.as_bytes());
        let other = scene.owner.bytes(scene.manual.as_bytes());
        let columns = scene.owner.columns("pool_entries");
        for column in &columns {
            let value = match column.as_str() {
                "vault_id" => other.clone(),
                "derivation_index" => "derivation_index + 1000".to_owned(),
                "payloads" => format!("(SELECT p.payloads FROM {SAVED}_pool_entries p WHERE p.vault_id = {other} LIMIT 1)"),
                "seal" => scene.owner.bytes(&[1; 32]),
                other => panic!("pool_entries.{other} has no tampering case: add one"),
            };
            // An entry moved to another vault is offered there.
            let offered = if column == "vault_id" { scene.manual } else { vault };
            let clear = if column == "vault_id" { format!("DELETE FROM pool_entries WHERE vault_id = {other};") } else { String::new() };
            scene.owner.run(&format!("{clear} UPDATE pool_entries SET {column} = {value} WHERE vault_id = {at};")).await;
            refused(assign(&scene, &platform, offered, "newcomer").await);
            scene.owner.restore(&["pool_entries"]).await;
        }
        let taken = scene.wallet("pool-0").index;
        let put_back = format!("INSERT INTO pool_entries SELECT * FROM {OLD}_pool_entries WHERE vault_id = {at} AND derivation_index = {taken};");
        scene.owner.run(&put_back).await;
        refused(assign(&scene, &platform, vault, "newcomer").await);
        let wallet = scene.owner.bytes(scene.wallet("pool-0").id.as_bytes());
        scene.owner.run(&format!("DELETE FROM wallets WHERE id = {wallet}; DELETE FROM addresses WHERE wallet_id = {wallet};")).await;
        refused(assign(&scene, &scene.installation.reopen().await, vault, "newcomer").await);
        scene.owner.restore(&["pool_entries", "wallets", "addresses"]).await;
        assert!(!assign(&scene, &platform, vault, "newcomer").await.expect("assigned").existing);
    })
    .await;
}

#[tokio::test]
async fn a_gate_lets_nobody_through_by_a_forged_entry() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let platform = scene.installation.platform.clone();
        let listed = scene.owner.bytes(scene.listed.as_bytes());
        let organization = scene.installation.admin.organization;
        let put_back = format!("INSERT INTO allow_list SELECT * FROM {OLD}_allow_list WHERE external_id = 'removed' AND vault_id = {listed}");
        scene.owner.run(&put_back).await;
        refused(assign(&scene, &platform, scene.listed, "removed").await);
        scene.owner.restore(&["allow_list"]).await;
        let key = scene.owner.bytes(&external("friend").key(organization));
        scene.owner.run(&format!("INSERT INTO allow_list SELECT vault_id, {key}, 'friend', generation, seal FROM allow_list")).await;
        refused(assign(&scene, &platform, scene.listed, "friend").await);
        scene.owner.restore(&["allow_list"]).await;
        for (id, state) in [("kept", WalletState::Active), ("removed", WalletState::Pending)] {
            assert_eq!(assign(&scene, &platform, scene.listed, id).await.expect("assigned").wallet.state, state);
        }
        platform.allow(&scene.decider, scene.listed, &[external("removed"), external("removed")]).await.expect("added anew");
        assert_eq!(assign(&scene, &platform, scene.listed, "removed").await.expect("is there").wallet.state, WalletState::Active);
    })
    .await;
}

#[tokio::test]
async fn a_drill_is_judged_by_its_own_challenge_and_once() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let platform = scene.installation.platform.clone();
        let (admin, vault) = (&scene.installation.admin, scene.installation.vault);
        let challenge = platform
            .start_drill(admin, vault, Some(1))
            .await
            .expect("a challenge");
        let proof = scene.installation.answer_drill(&challenge);
        let id = scene.owner.bytes(challenge.drill_id.as_bytes());
        scene
            .owner
            .run(&format!(
                "DROP TABLE {SAVED}_drills; CREATE TABLE {SAVED}_drills AS SELECT * FROM drills"
            ))
            .await;
        for column in scene.owner.columns("drills") {
            let value = match column.as_str() {
                "id" | "vault_id" => scene.owner.bytes(scene.manual.as_bytes()),
                "challenge" => "replace(challenge, '0', '1')".to_owned(),
                "created_at" => "created_at + 1".to_owned(),
                "passed_at" => "created_at + 1".to_owned(),
                "seal" => scene.owner.bytes(&[1; 32]),
                other => panic!("drills.{other} has no tampering case: add one"),
            };
            scene
                .owner
                .run(&format!(
                    "UPDATE drills SET {column} = {value} WHERE id = {id}"
                ))
                .await;
            let judged = platform
                .finish_drill(admin, vault, challenge.drill_id, &proof)
                .await;
            let stopped = matches!(
                judged,
                Err(Error::Integrity { .. } | Error::NotFound { .. } | Error::StateConflict(_))
            );
            assert!(stopped, "{column}: {judged:?}");
            scene.owner.restore(&["drills"]).await;
        }
        platform
            .finish_drill(admin, vault, challenge.drill_id, &proof)
            .await
            .expect("passes");
        scene.owner.restore(&["drills"]).await;
        let again = platform
            .finish_drill(admin, vault, challenge.drill_id, &proof)
            .await;
        assert!(matches!(again, Err(Error::StateConflict(_))), "{again:?}");
    })
    .await;
}

async fn accepted(scene: &mut Scene) -> BatchId {
    let platform = scene.installation.platform.clone();
    let body = "external_id\nlate-1\nlate-2\n".to_owned();
    let id = upload(
        &platform,
        &scene.installation.admin,
        scene.installation.vault,
        body,
    )
    .await;
    for table in ["batches", "batch_chunks", "chunk_rows"] {
        scene
            .owner
            .run(&format!(
                "DROP TABLE {SAVED}_{table}; CREATE TABLE {SAVED}_{table} AS SELECT * FROM {table}"
            ))
            .await;
    }
    id
}

/// Edited between its acceptance and its work, a batch creates nothing; repaired, it goes on.
#[tokio::test]
async fn a_batch_edited_before_it_is_worked_on_creates_nothing() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let id = accepted(&mut scene).await;
        let (platform, admin) = (scene.installation.platform.clone(), scene.installation.admin.clone());
        let row = scene.owner.bytes(id.as_bytes());
        let manual = scene.owner.bytes(scene.manual.as_bytes());
        let evil = scene.owner.bytes(b"{\"e\":\"evil-1\",\"k\":31}\n{\"e\":\"evil-2\",\"k\":31}\n");
        let edits = [
            format!("UPDATE batches SET first_index = 0 WHERE id = {row}"),
            format!("UPDATE batches SET kinds = 1 WHERE id = {row}"),
            format!("UPDATE batches SET vault_id = {manual} WHERE id = {row}"),
            format!("UPDATE chunk_rows SET rows_json = {evil} WHERE batch_id = {row}"),
            format!("UPDATE batch_chunks SET first_row = 2 WHERE batch_id = {row}"),
            format!("DELETE FROM chunk_rows WHERE batch_id = {row}"),
            format!("UPDATE chunk_rows SET rows_json = (SELECT s.rows_json FROM {SAVED}_chunk_rows s WHERE s.batch_id <> {row} LIMIT 1) WHERE batch_id = {row}"),
        ];
        let before = scene.owner.count("SELECT count(*) FROM wallets").await;
        for edit in &edits {
            scene.owner.run(edit).await;
            let tried = format!("UPDATE batch_chunks SET fence = fence WHERE batch_id = {row} AND last_error IS NOT NULL");
            work(&platform, async || scene.installation.database.tamper(&tried).await > 0).await;
            assert_eq!(scene.owner.count("SELECT count(*) FROM wallets").await, before, "{edit}");
            scene.owner.restore(&["batches", "batch_chunks", "chunk_rows"]).await;
        }
        work(&platform, async || platform.batch(&admin, id).await.is_ok_and(|batch| batch.state.is_final())).await;
        let batch = platform.batch(&admin, id).await.expect("reads");
        assert_eq!((batch.state, batch.rows_created), (BatchState::Completed, 2));

        // Chunk and batch are put back to how they were before the work: no wallet is made anew.
        scene.owner.restore(&["batches", "batch_chunks", "chunk_rows"]).await;
        for platform in [&platform, &scene.installation.reopen().await] {
            refused(platform.batch(&admin, id).await);
            refused(platform.control_batch(&admin, id, Control::Cancel, None).await.map(|_| ()));
        }
    })
    .await;
}

#[tokio::test]
async fn a_chunk_put_back_alone_does_not_read_as_still_to_do() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let id = scene.batches[0];
        let row = scene.owner.bytes(id.as_bytes());
        let undone = format!("UPDATE batch_chunks SET state = 'ready', outcome = NULL, outcome_seal = NULL WHERE batch_id = {row}");
        scene.owner.run(&undone).await;
        let platform = &scene.installation.platform;
        let mut results = platform.batch_results(&scene.installation.admin, id).await.expect("the batch itself is sound");
        refused(results.next().await);
    })
    .await;
}

#[tokio::test]
async fn a_trigger_that_alters_new_rows_gives_rows_that_are_refused() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let id = accepted(&mut scene).await;
        let (platform, admin) = (scene.installation.platform.clone(), scene.installation.admin.clone());
        let evil = scene.owner.bytes(&scene.wallet("man-4").payloads.iter().flat_map(|p| p.bytes().to_vec()).collect::<Vec<_>>());
        let trigger = match engine {
            Engine::Sqlite => format!("CREATE TRIGGER evil AFTER INSERT ON wallets BEGIN UPDATE wallets SET payloads = {evil} WHERE id = NEW.id; END"),
            Engine::Postgres => format!(
                "CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.payloads = {evil}; RETURN NEW; END $$; \
                 CREATE TRIGGER evil BEFORE INSERT ON wallets FOR EACH ROW EXECUTE FUNCTION evil()"
            ),
        };
        scene.owner.run(&trigger).await;
        work(&platform, async || platform.batch(&admin, id).await.is_ok_and(|batch| batch.state.is_final())).await;
        for platform in [&platform, &scene.installation.reopen().await] {
            let rows = platform.batch_results(&admin, id).await.expect("reads").next().await.expect("reads").expect("a chunk");
            assert!(rows.iter().all(|row| row.status == RowStatus::Refused && row.wallet.is_none()), "{rows:?}");
            refused(platform.wallet_by_external_id(&admin, &external("late-1")).await);
        }
    })
    .await;
}

/// Every table as it was before: consistent in itself, and older than the anchor knows.
#[tokio::test]
async fn a_database_put_back_as_a_whole_is_refused() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let tables: Vec<String> = scene.owner.tables();
        let sql: String = tables
            .iter()
            .map(|table| {
                format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {OLD}_{table};")
            })
            .collect();
        scene.owner.run(&format!("BEGIN; {sql} COMMIT")).await;
        let reopened = scene.installation.reopen().await;
        let page = reopened
            .wallets(&scene.installation.admin, &Default::default(), None, 100)
            .await;
        assert!(matches!(page, Err(Error::AuditBroken { .. })));
        anchor(&scene.installation.platform).await;
        refused(
            scene
                .installation
                .platform
                .wallet(&scene.installation.admin, scene.wallet("auto-1").id)
                .await,
        );
    })
    .await;
}

#[tokio::test]
async fn an_older_database_file_is_refused() {
    let mut scene = Scene::create(Engine::Sqlite).await;
    scene.owner.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let file = scene.installation.folder.path().join("coffer.db");
    let older = std::fs::read(&file).expect("reads");
    let platform = scene.installation.platform.clone();
    let wallet = scene.wallet("man-4").id;
    let decided = platform
        .decide_wallet(
            &scene.decider,
            wallet,
            Decision::Reject,
            Some("no".into()),
            None,
        )
        .await;
    assert!(matches!(decided, Ok(Answer::Executed(_))));
    anchor(&platform).await;
    platform.db().close().await;
    drop(platform);
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(
            scene
                .installation
                .folder
                .path()
                .join(format!("coffer.db{end}")),
        );
    }
    let put_back = scene.installation.folder.path().join("older.db");
    std::fs::write(&put_back, older).expect("writes");
    std::fs::rename(&put_back, &file).expect("is put in its place");
    let reopened = scene.installation.reopen().await;
    refused(reopened.wallet(&scene.installation.admin, wallet).await);
}

#[tokio::test]
async fn an_organization_that_is_hidden_keeps_its_anchor() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let file = scene.installation.folder.path().join("audit.anchor");
        let before = std::fs::read_to_string(&file).expect("reads");
        scene.owner.run("DELETE FROM organizations").await;
        anchor(&scene.installation.reopen().await).await;
        assert_eq!(std::fs::read_to_string(&file).expect("reads"), before);
        scene.owner.restore(&["organizations"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_record_edited_while_running_is_found_when_it_is_read() {
    both(|engine| async move {
        let mut scene = Scene::create(engine).await;
        let platform = scene.installation.platform.clone();
        let admin = &scene.installation.admin;
        let truth = observe(&scene, &platform).await;
        assert!(!truth.values().any(|seen| *seen == Seen::Refused));
        platform.audit_records(admin, 0, 100).await.expect("reads");
        platform
            .wallet(admin, scene.wallet("auto-1").id)
            .await
            .expect("an untouched chain is no break");
        scene
            .owner
            .run("UPDATE audit_records SET actor = 'nobody' WHERE seq = 3")
            .await;
        platform
            .audit_records(admin, 0, 100)
            .await
            .expect("whoever investigates may read");
        refused(platform.wallet(admin, scene.wallet("auto-1").id).await);
        let reopened = scene.installation.reopen().await;
        refused(reopened.wallet(admin, scene.wallet("auto-1").id).await);
    })
    .await;
}
