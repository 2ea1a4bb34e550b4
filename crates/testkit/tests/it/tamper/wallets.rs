//! Wallet and address rows.

use coffer_domain::id::WalletId;
use coffer_domain::wallet::Wallet;
use coffer_testkit::Engine;

use super::observe::{Seeing, Seen, acts, lies, observe};
use super::owner::{OLD, mixed};
use super::scene::Scene;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) sql: String,
    /// The wallet whose own row is touched.
    pub(crate) subject: Option<WalletId>,
}

impl Case {
    /// Whether two rows may have the same value by chance, made as they are in one millisecond or in two.
    fn is_of_times(&self) -> bool {
        self.name.contains("created_at")
    }
}

fn wallet_row(scene: &Scene, wallet: &Wallet) -> String {
    format!("{{}}.id = {}", scene.owner.bytes(wallet.id.as_bytes()))
}

fn is(scene: &Scene, wallet: &Wallet) -> String {
    format!("id = {}", scene.owner.bytes(wallet.id.as_bytes()))
}

/// Other valid values of a column; panics for a column that has none here.
fn edits(scene: &Scene, column: &str) -> Vec<String> {
    let owner = &scene.owner;
    let fresh = WalletId::of_index(scene.installation.vault, 1000);
    let other = scene.wallet("man-3");
    let values: Vec<String> = match column {
        "id" => vec![owner.bytes(&[9; 16]), owner.bytes(fresh.as_bytes())],
        "organization_id" => vec![owner.bytes(&[9; 16])],
        "vault_id" => vec![owner.bytes(scene.listed.as_bytes()), owner.bytes(&[9; 16])],
        "derivation_index" => vec!["derivation_index + 1".into(), "1000".into()],
        "external_id" => vec!["'somebody else'".into(), "upper(external_id)".into()],
        "label" => vec!["'x'".into(), "''".into(), "NULL".into()],
        "metadata" => vec!["'{\"n\":99}'".into(), "NULL".into()],
        "state" => vec![
            "'active'".into(),
            "'pending'".into(),
            "'rejected'".into(),
            "'unheard of'".into(),
        ],
        "reason" => vec!["'because'".into(), "''".into()],
        "kinds" => vec!["1".into(), "0".into(), "1024".into()],
        "payloads" => {
            let mut bytes: Vec<u8> = other
                .payloads
                .iter()
                .flat_map(|payload| payload.bytes().to_vec())
                .collect();
            let copied = owner.bytes(&bytes);
            bytes[0] ^= 1;
            vec![
                copied,
                owner.bytes(&bytes),
                owner.bytes(&bytes[..20]),
                owner.bytes(&[]),
            ]
        }
        "batch_id" => vec![
            owner.bytes(scene.batches[1].as_bytes()),
            owner.bytes(&[9; 16]),
            "NULL".into(),
        ],
        "created_by" => vec![owner.bytes(scene.decider.key.as_bytes())],
        "created_at" => vec!["created_at + 1".into(), "0".into()],
        "version" => vec!["version + 1".into(), "version - 1".into(), "300".into()],
        "seal" => vec![owner.bytes(&[9; 32]), owner.bytes(&[])],
        other => panic!("wallets.{other} has no tampering case: add one"),
    };
    values
}

fn column_cases(scene: &Scene, cases: &mut Vec<Case>) {
    let columns = scene.owner.columns("wallets");
    for column in &columns {
        for subject in ["auto-1", "man-1", "man-4"] {
            let wallet = scene.wallet(subject);
            for value in edits(scene, column) {
                let sql = format!(
                    "UPDATE wallets SET {column} = {value} WHERE {};",
                    is(scene, wallet)
                );
                cases.push(Case {
                    name: format!("edit {column} = {value} of {subject}"),
                    sql,
                    subject: Some(wallet.id),
                });
            }
        }
        for (one, two) in [
            ("auto-1", "auto-2"),
            ("man-1", "man-3"),
            ("man-1", "man-4"),
            ("man-2", "auto-1"),
            ("auto-1", "pool-0"),
        ] {
            exchange(scene, &columns, &[column], (one, two), cases);
        }
    }
    for taken in [
        ["organization_id", "external_id"],
        ["payloads", "kinds"],
        ["state", "reason"],
        ["version", "seal"],
        ["payloads", "seal"],
    ] {
        for pair in [
            ("auto-1", "auto-2"),
            ("man-1", "man-4"),
            ("man-2", "auto-1"),
        ] {
            exchange(scene, &columns, &taken, pair, cases);
        }
    }
    let all_but_id: Vec<&str> = columns
        .iter()
        .map(String::as_str)
        .filter(|column| *column != "id")
        .collect();
    for pair in [
        ("auto-1", "auto-2"),
        ("man-1", "man-4"),
        ("man-2", "auto-1"),
    ] {
        exchange(scene, &columns, &all_but_id, pair, cases);
    }
}

/// A swap of columns between two customers, and a copy from the one to the other.
fn exchange(
    scene: &Scene,
    columns: &[String],
    taken: &[&str],
    (one, two): (&str, &str),
    cases: &mut Vec<Case>,
) {
    let (a, b) = (scene.wallet(one), scene.wallet(two));
    let rows = (wallet_row(scene, a), wallet_row(scene, b));
    let (delete_a, delete_b) = (is(scene, a), is(scene, b));
    let what = if taken.len() > 5 {
        "all but the id".to_owned()
    } else {
        taken.join(" and ")
    };
    let first = mixed("wallets", columns, taken, (&rows.0, &rows.1));
    let second = mixed("wallets", columns, taken, (&rows.1, &rows.0));
    let sql = format!(
        "DELETE FROM wallets WHERE {delete_a}; DELETE FROM wallets WHERE {delete_b}; {first} {second}"
    );
    cases.push(Case {
        name: format!("swap {what} of {one} and {two}"),
        sql,
        subject: Some(a.id),
    });
    // The database allows a key but once, so the row it is copied from has to go.
    let unique = taken.contains(&"id") || taken.contains(&"external_id");
    let also = if unique {
        format!("DELETE FROM wallets WHERE {delete_b};")
    } else {
        String::new()
    };
    let sql = format!("DELETE FROM wallets WHERE {delete_a}; {also} {first}");
    cases.push(Case {
        name: format!("copy {what} from {two} to {one}"),
        sql,
        subject: Some(a.id),
    });
}

fn row_cases(scene: &Scene, cases: &mut Vec<Case>) {
    let columns = scene.owner.columns("wallets");
    for name in ["man-1", "man-2", "man-3"] {
        let (wallet, row) = (scene.wallet(name), is(scene, scene.wallet(name)));
        let sql = format!(
            "DELETE FROM wallets WHERE {row}; INSERT INTO wallets SELECT * FROM {OLD}_wallets WHERE {row};"
        );
        cases.push(Case {
            name: format!("put back {name} as it was while pending"),
            sql,
            subject: Some(wallet.id),
        });
    }
    for name in ["auto-1", "man-1", "man-2", "man-4", "pool-0"] {
        let (wallet, row) = (scene.wallet(name), is(scene, scene.wallet(name)));
        cases.push(Case {
            name: format!("delete {name}"),
            sql: format!("DELETE FROM wallets WHERE {row};"),
            subject: Some(wallet.id),
        });
        let with_addresses = format!(
            "DELETE FROM wallets WHERE {row}; DELETE FROM addresses WHERE wallet_id = {};",
            scene.owner.bytes(wallet.id.as_bytes())
        );
        cases.push(Case {
            name: format!("delete {name} and its addresses"),
            sql: with_addresses,
            subject: Some(wallet.id),
        });
        for fresh in [
            WalletId::of_index(scene.installation.vault, 1000),
            WalletId::from_bytes([9; 16]),
        ] {
            for column in ["external_id", "id"] {
                let id = scene.owner.bytes(fresh.as_bytes());
                let list: Vec<String> = columns
                    .iter()
                    .map(|c| match c.as_str() {
                        "id" => id.clone(),
                        // The database allows an external id but once.
                        "external_id" if column == "external_id" => "'new customer'".to_owned(),
                        "external_id" => "upper(external_id)".to_owned(),
                        other => other.to_owned(),
                    })
                    .collect();
                let sql = format!(
                    "INSERT INTO wallets SELECT {} FROM wallets WHERE {row};",
                    list.join(", ")
                );
                cases.push(Case {
                    name: format!("insert a copy of {name} as {fresh}, with its {column}"),
                    sql,
                    subject: None,
                });
            }
        }
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a table of cases, or one scene set up in order"
)]
fn address_cases(scene: &Scene, cases: &mut Vec<Case>) {
    let columns = scene.owner.columns("addresses");
    let (a, b) = (scene.wallet("auto-1"), scene.wallet("auto-2"));
    let foreign = scene.wallet("man-4");
    for (position, payload) in a.payloads.iter().enumerate() {
        let here = format!(
            "{{}}.payload = {} AND {{}}.kind = {}",
            scene.owner.bytes(payload.bytes()),
            payload.kind().code()
        );
        let at = here.replace("{}.", "");
        let other = &b.payloads[position];
        let there = format!(
            "{{}}.payload = {} AND {{}}.kind = {}",
            scene.owner.bytes(other.bytes()),
            other.kind().code()
        );
        for column in &columns {
            let mut flipped = payload.bytes().to_vec();
            flipped[3] ^= 1;
            let values = match column.as_str() {
                "run" => vec!["run + 1".to_owned(), "0".to_owned()],
                "payload" => vec![scene.owner.bytes(&flipped)],
                "kind" => vec![
                    format!("{}", (payload.kind().code() + 1) % 5),
                    "99".to_owned(),
                ],
                "wallet_id" => vec![
                    scene.owner.bytes(b.id.as_bytes()),
                    scene.owner.bytes(foreign.id.as_bytes()),
                    scene
                        .owner
                        .bytes(WalletId::of_index(a.vault, 1000).as_bytes()),
                    scene.owner.bytes(&[9; 16]),
                ],
                other => panic!("addresses.{other} has no tampering case: add one"),
            };
            for value in values {
                let sql = format!("UPDATE addresses SET {column} = {value} WHERE {at};");
                cases.push(Case {
                    name: format!("edit {column} of the index of {payload:?}"),
                    sql,
                    subject: None,
                });
            }
            let delete = format!(
                "DELETE FROM addresses WHERE {at}; DELETE FROM addresses WHERE {};",
                there.replace("{}.", "")
            );
            let first = mixed("addresses", &columns, &[column], (&here, &there));
            let second = mixed("addresses", &columns, &[column], (&there, &here));
            cases.push(Case {
                name: format!("swap {column} of the index of {payload:?}"),
                sql: format!("{delete} {first} {second}"),
                subject: None,
            });
            cases.push(Case {
                name: format!("copy {column} into the index of {payload:?}"),
                sql: format!("{delete} {first}"),
                subject: None,
            });
        }
        cases.push(Case {
            name: format!("delete the index of {payload:?}"),
            sql: format!("DELETE FROM addresses WHERE {at};"),
            subject: None,
        });
        let inserted = scene.owner.bytes(&vec![7; payload.bytes().len()]);
        let sql = format!(
            "INSERT INTO addresses (run, payload, kind, wallet_id) VALUES (0, {inserted}, {}, {});",
            payload.kind().code(),
            scene.owner.bytes(a.id.as_bytes())
        );
        cases.push(Case {
            name: format!("insert an address of {:?}", payload.kind()),
            sql,
            subject: None,
        });
    }
}

fn refused_where_touched(scene: &Scene, case: &Case, seeing: &Seeing) -> Vec<String> {
    let Some(subject) = case.subject else {
        return Vec::new();
    };
    let wallet = scene
        .wallets
        .iter()
        .find(|wallet| wallet.id == subject)
        .expect("of the scene");
    let name = wallet.external_id.as_str();
    let mut wrong = Vec::new();
    if seeing[&format!("id/{name}")] != Seen::Refused {
        wrong.push(format!("id/{name}: {:?}", seeing[&format!("id/{name}")]));
    }
    for (path, answer) in seeing.range(format!("address/{name}/")..format!("address/{name}0")) {
        if *answer != Seen::Refused && !case.name.ends_with("and its addresses") {
            wrong.push(format!("{path}: {answer:?}"));
        }
    }
    wrong
}

/// Runs one case on both platforms; `None` when it changed nothing (a swap of equal values).
pub(crate) async fn run(scene: &mut Scene, truth: &Seeing, case: &Case) -> Option<Vec<String>> {
    let tables = ["wallets", "addresses"];
    scene.owner.run(&case.sql).await;
    if scene.owner.differences("wallets").await + scene.owner.differences("addresses").await == 0 {
        return None;
    }
    let mut wrong = Vec::new();
    let reopened = scene.installation.reopen().await;
    for platform in [scene.installation.platform.clone(), reopened.clone()] {
        let seeing = observe(scene, &platform).await;
        // A customer whose row is hidden may get another wallet, for which the vault's pool is filled.
        wrong.extend(
            lies(truth, &seeing)
                .into_iter()
                .filter(|lie| !lie.starts_with("vault")),
        );
        wrong.extend(refused_where_touched(scene, case, &seeing));
    }
    if let Some(subject) = case.subject {
        let wallet = scene
            .wallets
            .iter()
            .find(|wallet| wallet.id == subject)
            .expect("of the scene")
            .clone();
        wrong.extend(acts(scene, &reopened, &wallet).await);
    }
    reopened.db().close().await;
    scene.owner.restore(&tables).await;
    Some(wrong)
}

async fn all(engine: Engine, make: impl Fn(&Scene, &mut Vec<Case>), expected: usize) {
    let mut scene = Scene::create(engine).await;
    let truth = observe(&scene, &scene.installation.platform).await;
    assert!(
        truth
            .values()
            .filter(|seen| matches!(seen, Seen::Value(_)))
            .count()
            > 80,
        "{truth:?}"
    );
    let mut cases = Vec::new();
    make(&scene, &mut cases);
    let (mut ran, mut wrong) = (0, Vec::new());
    for case in &cases {
        let found = run(&mut scene, &truth, case).await;
        ran += usize::from(found.is_some() || case.is_of_times());
        if let Some(found) = found {
            wrong.extend(found.into_iter().map(|lie| format!("{}: {lie}", case.name)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} lies:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let after = observe(&scene, &scene.installation.platform).await;
    let differing = truth
        .iter()
        .filter(|(path, seen)| !path.starts_with("vault") && after.get(*path) != Some(*seen));
    assert_eq!(differing.count(), 0, "the scene was restored");
    assert_eq!(ran, expected, "cases that changed something");
}

const COLUMN_CASES: usize = 241;
const ROW_CASES: usize = 33;
const ADDRESS_CASES: usize = 85;

#[tokio::test]
async fn wallet_columns_on_sqlite() {
    all(Engine::Sqlite, column_cases, COLUMN_CASES).await;
}

#[tokio::test]
async fn wallet_columns_on_postgresql() {
    all(Engine::Postgres, column_cases, COLUMN_CASES).await;
}

#[tokio::test]
async fn wallet_rows_on_sqlite() {
    all(Engine::Sqlite, row_cases, ROW_CASES).await;
}

#[tokio::test]
async fn wallet_rows_on_postgresql() {
    all(Engine::Postgres, row_cases, ROW_CASES).await;
}

#[tokio::test]
async fn addresses_on_sqlite() {
    all(Engine::Sqlite, address_cases, ADDRESS_CASES).await;
}

#[tokio::test]
async fn addresses_on_postgresql() {
    all(Engine::Postgres, address_cases, ADDRESS_CASES).await;
}
