//! The rows of every other sealed table: vaults, API keys, batches and their chunks, allow-list, kept answers.

use coffer_testkit::Engine;

use super::observe::{Seeing, Seen, lies, observe, replay};
use super::owner::{OLD, SAVED, mixed};
use super::scene::Scene;

struct Case {
    name: String,
    table: &'static str,
    sql: String,
    /// Whether some read must say that it refuses; other columns are the workers' own and shown nowhere.
    refuses: bool,
}

/// Tables and the condition of the row under attack.
fn targets(scene: &Scene) -> Vec<(&'static str, String)> {
    let owner = &scene.owner;
    let batch = owner.bytes(scene.batches[0].as_bytes());
    let reader = "name = 'reader'".to_owned();
    vec![
        (
            "vaults",
            format!("id = {}", owner.bytes(scene.manual.as_bytes())),
        ),
        ("api_keys", reader),
        ("batches", format!("id = {batch}")),
        ("batch_chunks", format!("batch_id = {batch}")),
        ("chunk_rows", format!("batch_id = {batch}")),
        (
            "allow_list",
            format!("vault_id = {}", owner.bytes(scene.listed.as_bytes())),
        ),
        (
            "idempotency_keys",
            "operation = 'wallets.assign'".to_owned(),
        ),
    ]
}

/// Other values of a column, and whether its change must be refused somewhere.
fn edits(scene: &Scene, table: &str, column: &str) -> (Vec<String>, bool) {
    let owner = &scene.owner;
    let sealed = |values: &[&str]| {
        (
            values.iter().map(|value| (*value).to_owned()).collect(),
            true,
        )
    };
    let free = |value: &str| (vec![value.to_owned()], false);
    let (id, key, seal) = (
        owner.bytes(&[9; 16]),
        owner.bytes(&[9; 32]),
        owner.bytes(&[]),
    );
    match (table, column) {
        ("batch_chunks", "state") => free("'ready'"),
        ("batch_chunks", "attempts" | "not_before" | "lease_until" | "fence" | "staged_at") => {
            free("77")
        }
        ("batch_chunks", "lease_owner") => free(&id),
        ("batch_chunks", "last_error") => free("'x'"),
        ("chunk_rows", "rows_json") => {
            sealed(&[&owner.bytes(b"{\"e\":\"evil\",\"k\":1}\n"), &seal])
        }
        ("batch_chunks", "outcome") => {
            sealed(&["'{\"existing\":[],\"dead\":[[1,\"x\"]]}'", "NULL"])
        }
        ("idempotency_keys", "created_at") => free("77"),
        // The row is not the answer to this call any more.
        ("idempotency_keys", "operation" | "idempotency_key") => free("'x'"),
        ("idempotency_keys", "organization_id" | "caller") => free(&id),
        ("idempotency_keys", "fingerprint") => sealed(&[&key]),
        ("idempotency_keys", "status") => sealed(&["200"]),
        ("idempotency_keys", "answer") => sealed(&["'another'"]),
        ("allow_list", "vault_id") => (vec![owner.bytes(scene.manual.as_bytes())], false),
        ("allow_list", "generation") => sealed(&["generation + 1"]),
        (_, "id" | "organization_id" | "batch_id" | "vault_id" | "created_by" | "external_key") => {
            sealed(&[&id])
        }
        (_, "seal" | "outcome_seal" | "rows_seal") => sealed(&[&key, &seal]),
        (_, "attestation_public_key" | "secret_hash" | "content_sha256" | "descriptors") => {
            sealed(&[&key])
        }
        (_, "name" | "external_id" | "gate_hook_url") => sealed(&["'https://evil.example'"]),
        ("vaults", "tier") => sealed(&["'cold'"]),
        ("vaults", "bitcoin_network") => sealed(&["'testnet'", "'signet'"]),
        ("vaults", "state") => sealed(&["'awaiting_drill'"]),
        ("vaults", "gate_mode") => sealed(&["'automatic'", "'allow-list'", "'hook'"]),
        ("vaults", "account") => sealed(&["9"]),
        ("vaults", "next_index") => sealed(&["0", "next_index - 1", "next_index + 1"]),
        ("vaults", "drilled_at") => sealed(&["77", "NULL"]),
        ("api_keys", "scopes") => sealed(&["'admin'", "''"]),
        ("api_keys", "expires_at" | "revoked_at") => sealed(&["99999999999999"]),
        ("batches", "state") => sealed(&["'running'", "'accepted'", "'cancelled'", "'completed'"]),
        ("batches", "on_error") => sealed(&["'abort'"]),
        ("batches", "kinds") => sealed(&["1"]),
        (_, "version") => sealed(&["version + 1", "version - 1"]),
        (
            _,
            "first_index" | "rows_total" | "rows_created" | "rows_existing" | "rows_failed"
            | "chunks_total" | "chunks_done" | "created_at" | "started_at" | "finished_at"
            | "number" | "first_row" | "row_count",
        ) => (vec![format!("{column} + 1")], true),
        (table, column) => panic!("{table}.{column} has no tampering case: add one"),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a table of cases, or one scene set up in order"
)]
fn cases(scene: &Scene) -> Vec<Case> {
    let owner = &scene.owner;
    let mut cases = Vec::new();
    for (table, row) in targets(scene) {
        let columns = owner.columns(table);
        for column in &columns {
            let (values, refuses) = edits(scene, table, column);
            for value in values {
                let sql = format!("UPDATE {table} SET {column} = {value} WHERE {row};");
                cases.push(Case {
                    name: format!("edit {table}.{column} = {value}"),
                    table,
                    sql,
                    refuses,
                });
            }
        }
        // A kept answer or an allow-list entry that is gone is no answer and no entry.
        let refuses = !matches!(table, "idempotency_keys" | "allow_list");
        cases.push(Case {
            name: format!("delete of {table}"),
            table,
            sql: format!("DELETE FROM {table} WHERE {row};"),
            refuses,
        });
    }
    let pairs = [
        (
            "vaults",
            format!("{{}}.id = {}", owner.bytes(scene.manual.as_bytes())),
            format!(
                "{{}}.id = {}",
                owner.bytes(scene.installation.vault.as_bytes())
            ),
        ),
        (
            "api_keys",
            "{}.name = 'reader'".to_owned(),
            "{}.name = 'decider'".to_owned(),
        ),
        (
            "api_keys",
            "{}.name = 'revoked'".to_owned(),
            "{}.name = 'decider'".to_owned(),
        ),
        (
            "batches",
            format!("{{}}.id = {}", owner.bytes(scene.batches[0].as_bytes())),
            format!("{{}}.id = {}", owner.bytes(scene.batches[1].as_bytes())),
        ),
        (
            "batch_chunks",
            format!(
                "{{}}.batch_id = {}",
                owner.bytes(scene.batches[0].as_bytes())
            ),
            format!(
                "{{}}.batch_id = {}",
                owner.bytes(scene.batches[1].as_bytes())
            ),
        ),
        (
            "chunk_rows",
            format!(
                "{{}}.batch_id = {}",
                owner.bytes(scene.batches[0].as_bytes())
            ),
            format!(
                "{{}}.batch_id = {}",
                owner.bytes(scene.batches[1].as_bytes())
            ),
        ),
    ];
    for (table, one, two) in pairs {
        let columns = owner.columns(table);
        let delete = format!(
            "DELETE FROM {table} WHERE {}; DELETE FROM {table} WHERE {};",
            one.replace("{}.", ""),
            two.replace("{}.", "")
        );
        for column in &columns {
            let refuses = edits(scene, table, column).1;
            let unique = matches!(column.as_str(), "account" | "attestation_public_key");
            let (first, second) = (
                mixed(table, &columns, &[column], (&one, &two)),
                mixed(table, &columns, &[column], (&two, &one)),
            );
            cases.push(Case {
                name: format!("swap {table}.{column}"),
                table,
                sql: format!("{delete} {first} {second}"),
                refuses,
            });
            let keep = if unique {
                String::new()
            } else {
                format!(
                    "INSERT INTO {table} SELECT * FROM {SAVED}_{table} WHERE {};",
                    two.replace("{}.", "")
                )
            };
            let copy = if column == "id" || column == "batch_id" {
                String::new()
            } else {
                keep
            };
            cases.push(Case {
                name: format!("copy {table}.{column}"),
                table,
                sql: format!("{delete} {first} {copy}"),
                refuses,
            });
        }
    }
    for (table, row) in [
        ("api_keys", "name = 'revoked'".to_owned()),
        (
            "vaults",
            format!("id = {}", owner.bytes(scene.installation.vault.as_bytes())),
        ),
        (
            "vaults",
            format!("id = {}", owner.bytes(scene.listed.as_bytes())),
        ),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE {row}; INSERT INTO {table} SELECT * FROM {OLD}_{table} WHERE {row};"
        );
        cases.push(Case {
            name: format!("put back an older row of {table}"),
            table,
            sql,
            refuses: true,
        });
    }
    let listed = owner.bytes(scene.listed.as_bytes());
    let put_back = format!(
        "INSERT INTO allow_list SELECT * FROM {OLD}_allow_list WHERE external_id = 'removed' AND vault_id = {listed};"
    );
    cases.push(Case {
        name: "put back a removed entry of the allow-list".into(),
        table: "allow_list",
        sql: put_back,
        refuses: true,
    });
    let inserted = format!(
        "INSERT INTO allow_list SELECT vault_id, {}, 'friend', generation, seal FROM allow_list;",
        owner.bytes(&[8; 16])
    );
    cases.push(Case {
        name: "insert an entry of the allow-list".into(),
        table: "allow_list",
        sql: inserted,
        refuses: true,
    });
    let columns = owner.columns("api_keys");
    let fresh: Vec<String> = columns
        .iter()
        .map(|column| {
            if column == "id" {
                owner.bytes(&[8; 16])
            } else {
                column.clone()
            }
        })
        .collect();
    let sql = format!(
        "INSERT INTO api_keys SELECT {} FROM api_keys WHERE name = 'decider';",
        fresh.join(", ")
    );
    cases.push(Case {
        name: "insert an admin key".into(),
        table: "api_keys",
        sql,
        refuses: true,
    });
    cases
}

async fn see_all(scene: &Scene, platform: &coffer_platform::Platform) -> Seeing {
    let mut seeing = observe(scene, platform).await;
    seeing.insert("kept answer".into(), replay(scene, platform).await);
    seeing
}

async fn every_table(engine: Engine) {
    let mut scene = Scene::create(engine).await;
    let running = scene.installation.platform.clone();
    let truth = see_all(&scene, &running).await;
    let cases = cases(&scene);
    let (mut ran, mut wrong) = (0, Vec::new());
    for case in &cases {
        scene.owner.run(&case.sql).await;
        let changed = scene.owner.differences(case.table).await > 0;
        // Two rows made in one millisecond have the same times, and an exchange of those changes nothing.
        ran += usize::from(changed || case.name.contains("_at"));
        if !changed {
            continue;
        }
        let reopened = scene.installation.reopen().await;
        for platform in [&running, &reopened] {
            // Without its row, the kept answer's call comes anew and finds the wallet that is there.
            let seeing = if case.table == "idempotency_keys" && !case.refuses {
                observe(&scene, platform).await
            } else {
                see_all(&scene, platform).await
            };
            wrong.extend(
                lies(&truth, &seeing)
                    .into_iter()
                    .map(|lie| format!("{}: {lie}", case.name)),
            );
            if case.refuses && !seeing.values().any(|seen| *seen == Seen::Refused) {
                wrong.push(format!("{}: nothing was refused", case.name));
            }
        }
        reopened.db().close().await;
        scene.owner.restore(&[case.table]).await;
    }
    assert!(
        wrong.is_empty(),
        "{} lies:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(
        see_all(&scene, &running).await,
        truth,
        "the scene was restored"
    );
    assert_eq!(ran, CASES, "cases that changed something");
}

const CASES: usize = 192;

#[tokio::test]
async fn every_other_table_on_sqlite() {
    every_table(Engine::Sqlite).await;
}

#[tokio::test]
async fn every_other_table_on_postgresql() {
    every_table(Engine::Postgres).await;
}
