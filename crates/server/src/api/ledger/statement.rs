use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use coffer_domain::id::LedgerAccountId;
use coffer_domain::ledger::Balance;
use coffer_platform::Scope;
use coffer_platform::batches::neutralise::neutralise;
use coffer_platform::ledger::{LedgerEntry, Statement};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{AccountView, EntryView, LedgerBalance, Scales, moment};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{PathId, Query};
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

/// Entries that fit into one JSON answer; longer statements are for CSV, which is streamed.
const JSON_ENTRIES_MAX: u64 = 10_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementQuery {
    /// The first moment, RFC 3339; left out: from the beginning.
    from: Option<String>,
    /// The last moment, RFC 3339; left out: now.
    to: Option<String>,
    /// csv (left out) or json.
    format: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StatementView {
    account: AccountView,
    from: Option<String>,
    to: String,
    /// The balance before `from`.
    opening: LedgerBalance,
    /// The balance at `to`.
    closing: LedgerBalance,
    entries: Vec<EntryView>,
}

/// An account's statement: its entries in a span of time, between its opening and its closing balance
///
/// As CSV it is streamed; the first row is the opening balance and the last one the closing balance, so that a file
/// which ends early can be told from a whole one. Cells that a spreadsheet would take for a formula begin with an
/// apostrophe.
#[utoipa::path(get, path = "/v1/ledger/accounts/{id}/statement", tag = "ledger",
    params(("id" = String, Path), StatementQuery),
    responses((status = 200, content((String = "text/csv"), (StatementView = "application/json")))))]
pub(crate) async fn ledger_statement(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<LedgerAccountId>,
    Query(query): Query<StatementQuery>,
) -> Result<Response, Problem> {
    let bound = |field, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| moment::parsed(field, text)).transpose()
    };
    let from_ms = bound("from", &query.from)?;
    let to_ms = bound("to", &query.to)?;
    let format = query.format.as_deref().unwrap_or("csv");
    if !matches!(format, "csv" | "json") {
        return Err(page::invalid("format", "use csv or json"));
    }
    // Entries are not later than the newest, whatever the clock says.
    let last = to_ms.unwrap_or(i64::MAX);
    let statement = api
        .platform()
        .statement(&caller, id, from_ms.unwrap_or(0), last)
        .await?;
    let scales = Scales::of(&api, &caller).await?;
    if format == "json" {
        return json(statement, &scales, from_ms, to_ms).await;
    }
    let file = format!("attachment; filename=\"{id}.csv\"");
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present".to_owned(),
        ),
        (header::CONTENT_DISPOSITION, file),
    ];
    let writer = Writer { scales };
    Ok((headers, Body::from_stream(pieces(statement, writer))).into_response())
}

async fn json(
    mut statement: Statement,
    scales: &Scales,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
) -> Result<Response, Problem> {
    if statement.entries() > JSON_ENTRIES_MAX {
        let message = format!("more than {JSON_ENTRIES_MAX} entries; use csv, or a shorter span");
        return Err(page::invalid("format", message));
    }
    let asset = statement.account.key.asset;
    let mut entries = Vec::new();
    while let Some(more) = statement.next().await? {
        entries.extend(more.iter().map(|entry| scales.entry(asset, entry)));
    }
    let view = StatementView {
        account: scales.account(&statement.account),
        from: from_ms.map(rfc3339),
        to: to_ms.map_or("now".to_owned(), rfc3339),
        opening: scales.balance(asset, &statement.opening),
        closing: scales.balance(asset, &statement.closing),
        entries,
    };
    Ok(Json(view).into_response())
}

fn pieces(
    mut statement: Statement,
    writer: Writer,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    async_stream::try_stream! {
        yield writer.opening(&statement)?;
        loop {
            let next = statement.next().await.map_err(|error| {
                tracing::warn!(account = %statement.account.id, %error, "a statement ends early");
                io::Error::other("the statement cannot be read on")
            })?;
            match next {
                Some(entries) => yield writer.entries(&statement, &entries)?,
                None => break,
            }
        }
        yield writer.closing(&statement)?;
    }
}

const COLUMNS: [&str; 15] = [
    "row",
    "at",
    "transaction_id",
    "source_kind",
    "source_id",
    "phase",
    "side",
    "units",
    "amount",
    "posted_debits",
    "posted_credits",
    "pending_debits",
    "pending_credits",
    "net_side",
    "net_units",
];

pub(super) struct Writer {
    pub(super) scales: Scales,
}

impl Writer {
    fn opening(&self, statement: &Statement) -> io::Result<Bytes> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS)?;
        let row = balance_row("opening", statement.from_ms, &statement.opening);
        csv.write_record(row)?;
        written(csv)
    }

    fn closing(&self, statement: &Statement) -> io::Result<Bytes> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let row = balance_row("closing", statement.to_ms, &statement.closing);
        csv.write_record(row)?;
        written(csv)
    }

    fn entries(&self, statement: &Statement, entries: &[LedgerEntry]) -> io::Result<Bytes> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        for entry in entries {
            let amount = self.scales.amount(statement.account.key.asset, entry.units);
            csv.write_record(entry_row(entry, amount))?;
        }
        written(csv)
    }
}

pub(super) fn entry_row(entry: &LedgerEntry, amount: Option<String>) -> Vec<String> {
    let mut row = vec![
        entry.version.to_string(),
        rfc3339(entry.at_ms),
        entry.transaction.to_string(),
        entry.source.kind.name().to_owned(),
        neutralise(&entry.source.id).into_owned(),
        entry.phase.name().to_owned(),
        entry.side.name().to_owned(),
        entry.units.to_string(),
        amount.unwrap_or_default(),
    ];
    row.extend(balance_cells(&entry.balance));
    row
}

fn balance_row(name: &str, at_ms: i64, balance: &Balance) -> Vec<String> {
    let at = match at_ms {
        0 | i64::MAX => String::new(),
        at_ms => rfc3339(at_ms),
    };
    let mut row = vec![name.to_owned(), at];
    row.resize(9, String::new());
    row.extend(balance_cells(balance));
    row
}

fn balance_cells(balance: &Balance) -> [String; 6] {
    let net = balance.posted();
    [
        balance.posted_debits.to_string(),
        balance.posted_credits.to_string(),
        balance.pending_debits.to_string(),
        balance.pending_credits.to_string(),
        net.side.name().to_owned(),
        net.units.to_string(),
    ]
}

fn written(csv: csv::Writer<Vec<u8>>) -> io::Result<Bytes> {
    let bytes = csv
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.into())
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(ledger_statement))
}
