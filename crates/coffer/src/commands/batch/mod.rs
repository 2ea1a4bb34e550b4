//! Batches: sending a file, following the work, fetching the results.
//!
//! A file is streamed, so its size does not matter; it is sent under an idempotency key, so
//! a repetition after a lost connection makes no second batch. Results become a file whole or not at
//! all. Which batch ended how is the server's word; nothing is counted here.

mod create;
mod refused;
mod results;
mod upload;
mod wait;

use reqwest::Method;
use serde_json::Value;

use super::Session;
use super::pages::{self, PageQuery};
use crate::args::{BatchCommand, BatchListArgs};
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, duration, fields, member};

pub(crate) async fn run(session: &Session, command: BatchCommand) -> Result<(), Failure> {
    match command {
        BatchCommand::Create(args) => create::run(session, args).await,
        BatchCommand::Show(batch) => {
            let batch = session
                .client
                .get(Resource::at(&["batches", &batch.id]))
                .await?;
            print(session, &batch)
        }
        BatchCommand::List(args) => list(session, args).await,
        BatchCommand::Pause(batch) => steer(session, &batch.id, "pause").await,
        BatchCommand::Resume(batch) => steer(session, &batch.id, "resume").await,
        BatchCommand::Cancel(batch) => steer(session, &batch.id, "cancel").await,
        BatchCommand::Results(args) => results::run(session, args).await,
    }
}

async fn steer(session: &Session, id: &str, verb: &str) -> Result<(), Failure> {
    let path = ["batches", id, verb];
    let batch = session
        .client
        .send(Method::POST, Resource::at(&path), None)
        .await?;
    print(session, &batch)
}

async fn list(session: &Session, args: BatchListArgs) -> Result<(), Failure> {
    let filters = [("state", &args.state)];
    let query = PageQuery::new(&["batches"], args.page).filtered(filters);
    pages::print(session, query, table).await?.into_result()
}

fn table(batches: &[Value]) -> String {
    let mut table = Table::new(&["ID", "STATE", "ROWS", "DONE", "FAILED", "CREATED"]);
    for batch in batches {
        let names = [
            "id",
            "state",
            "rows_total",
            "rows_done",
            "rows_failed",
            "created_at",
        ];
        table.row(names.map(|name| member(batch, name)));
    }
    table.render()
}

fn print(session: &Session, batch: &Value) -> Result<(), Failure> {
    session.out.answer(batch, || describe(batch))?;
    Ok(())
}

fn describe(batch: &Value) -> String {
    fields(&[
        ("id", member(batch, "id")),
        ("state", member(batch, "state")),
        ("vault", member(batch, "vault_id")),
        ("chains", member(batch, "chains")),
        ("rows", member(batch, "rows_total")),
        ("created", member(batch, "rows_created")),
        ("existing", member(batch, "rows_existing")),
        ("failed", member(batch, "rows_failed")),
        ("done", member(batch, "rows_done")),
        ("speed", pace(batch)),
        ("accepted at", member(batch, "created_at")),
        ("started at", member(batch, "started_at")),
        ("finished at", member(batch, "finished_at")),
        ("results", member(batch, "results_file")),
    ])
}

/// The server's own rate and estimate; nothing where it gives none.
fn pace(batch: &Value) -> String {
    let rate = batch["rows_per_second"]
        .as_f64()
        .filter(|rate| *rate >= 1.0);
    let rate = rate.map(|rate| format!("{rate:.0} rows/s"));
    let left = batch["eta_seconds"]
        .as_f64()
        .filter(|eta| *eta >= 0.5 && *eta < 1e9);
    let left = left.map(|eta| format!("{} left", duration(eta.ceil() as u64)));
    [rate, left]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn id_of(batch: &Value) -> Result<String, Failure> {
    batch["id"].as_str().map(str::to_owned).ok_or_else(|| {
        Failure::unexpected(
            "the answer is not a batch",
            "is --server the address of a Coffer server?",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pace_is_the_servers_word() {
        let of =
            |rate: Value, eta: Value| pace(&json!({"rows_per_second": rate, "eta_seconds": eta}));
        assert_eq!(
            of(json!(5123.4), json!(61.2)),
            "5123 rows/s, 1 min 02 s left"
        );
        assert_eq!(of(json!(null), json!(null)), "");
        assert_eq!(of(json!(10.0), json!(0.0)), "10 rows/s");
    }

    #[test]
    fn a_batch_reads_at_a_glance() {
        let batch = json!({"id": "bat_0", "state": "running", "rows_total": 10_000, "chains": ["evm", "tron"]});
        assert_eq!(
            describe(&batch),
            "id      bat_0\nstate   running\nchains  evm,tron\nrows    10,000\n"
        );
    }
}
