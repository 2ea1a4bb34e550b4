use std::collections::HashMap;
use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use coffer_domain::address::AddressKinds;
use coffer_domain::id::{BatchId, VaultId};
use coffer_domain::vault::Vault;
use coffer_platform::Scope;
use coffer_platform::batches::neutralise::neutralise;
use coffer_platform::batches::{ResultRow, ResultsReader};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{PathId, Query};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    /// csv or ndjson; left out: as Accept says, else csv.
    format: Option<String>,
}

/// One row of the results. In CSV the addresses are columns of their own, between index and error.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResultView {
    /// The data row's number in the file, from 1.
    row: u32,
    external_id: String,
    /// created, existing, failed, pending (not yet worked on), cancelled, or refused (its stored wallet was changed
    /// outside Coffer).
    status: &'static str,
    wallet_id: Option<String>,
    index: Option<u32>,
    /// By kind: evm, tron, bitcoin, bitcoin_taproot, solana. Empty unless the wallet is active.
    #[schema(value_type = HashMap<String, String>)]
    addresses: Map<String, Value>,
    error: Option<String>,
}

/// A batch's results, in the file's order
///
/// Streamed, also while the batch runs. CSV cells that a spreadsheet would take for a formula begin with an
/// apostrophe; NDJSON has every text as it is. An answer that ends early is cut, not closed, so that half a file
/// cannot be taken for a whole one.
#[utoipa::path(get, path = "/v1/batches/{id}/results", tag = "batches", params(("id" = String, Path), ResultsQuery),
    responses((status = 200, content((String = "text/csv"), (ResultView = "application/x-ndjson")))))]
pub(crate) async fn batch_results(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<BatchId>,
    Query(query): Query<ResultsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = format(&query, &headers)?;
    let reader = api.platform().batch_results(&caller, id).await?;
    let vaults = api.platform().vaults_at(caller.mark(), &caller).await?;
    let writer = Writer {
        format,
        kinds: reader.batch.kinds,
        vaults: vaults.into_iter().map(|vault| (vault.id, vault)).collect(),
    };
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Ndjson => "application/x-ndjson",
    };
    let file = format!("attachment; filename=\"{id}.{}\"", format.extension());
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    Ok((headers, Body::from_stream(pieces(reader, writer))).into_response())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

fn format(query: &ResultsQuery, headers: &HeaderMap) -> Result<Format, Problem> {
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    match query.format.as_deref() {
        Some("csv") => Ok(Format::Csv),
        Some("ndjson") => Ok(Format::Ndjson),
        Some(_) => Err(page::invalid("format", "use csv or ndjson")),
        None if accepted.is_some_and(|types| types.contains("ndjson")) => Ok(Format::Ndjson),
        None => Ok(Format::Csv),
    }
}

/// A piece for each chunk of the batch, made when the client has taken the one before.
fn pieces(
    mut reader: ResultsReader,
    writer: Writer,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    async_stream::try_stream! {
        if let Some(header) = writer.header()? {
            yield header;
        }
        loop {
            let next = reader.next().await.map_err(|error| {
                tracing::warn!(batch = %reader.batch.id, %error, "results end early");
                io::Error::other("the results cannot be read on")
            })?;
            match next {
                Some(rows) => yield writer.piece(&rows)?,
                None => break,
            }
        }
    }
}

struct Writer {
    format: Format,
    kinds: AddressKinds,
    vaults: HashMap<VaultId, Vault>,
}

impl Writer {
    fn header(&self) -> io::Result<Option<Bytes>> {
        if self.format == Format::Ndjson {
            return Ok(None);
        }
        let mut csv = csv::Writer::from_writer(Vec::new());
        let first = ["row", "external_id", "status", "wallet_id", "index"];
        let kinds = self.kinds.iter().map(|kind| kind.column());
        csv.write_record(first.into_iter().chain(kinds).chain(["error"]))?;
        written(csv).map(Some)
    }

    fn piece(&self, rows: &[ResultRow]) -> io::Result<Bytes> {
        let views = rows.iter().map(|row| self.view(row));
        match self.format {
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(Vec::new());
                for view in views {
                    self.write_csv(&mut csv, &view)?;
                }
                written(csv)
            }
            Format::Ndjson => {
                let mut lines = Vec::new();
                for view in views {
                    serde_json::to_writer(&mut lines, &view)?;
                    lines.push(b'\n');
                }
                Ok(lines.into())
            }
        }
    }

    fn view(&self, row: &ResultRow) -> ResultView {
        let wallet = row.wallet.as_ref();
        let shown = wallet.filter(|_| row.shows_addresses());
        let addresses = shown.and_then(|wallet| {
            let network = self.vaults.get(&wallet.vault)?.bitcoin_network;
            let pair = |payload: &coffer_domain::address::AddressPayload| {
                let text = coffer_chains::encode(payload, network);
                (payload.kind().column().to_owned(), Value::String(text))
            };
            Some(wallet.payloads.iter().map(pair).collect())
        });
        ResultView {
            row: row.row,
            external_id: row.external_id.clone(),
            status: row.status.name(),
            wallet_id: wallet.map(|wallet| wallet.id.to_string()),
            index: wallet.map(|wallet| wallet.index),
            addresses: addresses.unwrap_or_default(),
            error: row.error.clone(),
        }
    }

    fn write_csv(&self, csv: &mut csv::Writer<Vec<u8>>, view: &ResultView) -> io::Result<()> {
        csv.write_field(view.row.to_string())?;
        csv.write_field(neutralise(&view.external_id).as_ref())?;
        csv.write_field(view.status)?;
        csv.write_field(view.wallet_id.as_deref().unwrap_or_default())?;
        csv.write_field(
            view.index
                .map(|index| index.to_string())
                .unwrap_or_default(),
        )?;
        for kind in self.kinds.iter() {
            let address = view.addresses.get(kind.column()).and_then(Value::as_str);
            csv.write_field(address.unwrap_or_default())?;
        }
        csv.write_field(neutralise(view.error.as_deref().unwrap_or_default()).as_ref())?;
        csv.write_record(None::<&[u8]>)?;
        Ok(())
    }
}

fn written(csv: csv::Writer<Vec<u8>>) -> io::Result<Bytes> {
    let bytes = csv
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.into())
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesRead, routes!(batch_results))
}

#[cfg(test)]
mod tests {
    use coffer_domain::address::AddressKind;
    use coffer_platform::batches::RowStatus;

    use super::*;

    fn check(format: Format, external_id: &str, expected: &str) {
        let writer = Writer {
            format,
            kinds: [AddressKind::Evm, AddressKind::BitcoinP2tr]
                .into_iter()
                .collect(),
            vaults: HashMap::new(),
        };
        let row = ResultRow {
            row: 3,
            external_id: external_id.to_owned(),
            status: RowStatus::Failed,
            wallet: None,
            error: Some("line 4: no, \"really\"".into()),
        };
        let mut text = writer
            .header()
            .expect("header")
            .unwrap_or_default()
            .to_vec();
        text.extend(writer.piece(&[row]).expect("piece"));
        assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
    }

    #[test]
    fn csv_has_the_batchs_columns_and_no_formula() {
        check(
            Format::Csv,
            "=cmd|'/C calc'!A0",
            "row,external_id,status,wallet_id,index,evm,bitcoin_taproot,error\n\
             3,'=cmd|'/C calc'!A0,failed,,,,,\"line 4: no, \"\"really\"\"\"\n",
        );
    }

    #[test]
    fn ndjson_has_texts_as_they_are() {
        check(
            Format::Ndjson,
            "=顾客",
            "{\"row\":3,\"external_id\":\"=顾客\",\"status\":\"failed\",\"wallet_id\":null,\"index\":null,\
             \"addresses\":{},\"error\":\"line 4: no, \\\"really\\\"\"}\n",
        );
    }
}
