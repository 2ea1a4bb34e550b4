use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, OnError};
use coffer_platform::Scope;
use coffer_platform::batches::Upload;
use coffer_platform::batches::parse::{Format, Limits};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::BatchView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{fingerprint, once, rendered, reply};
use crate::api::{page, vaults};
use crate::http::{ClientBody, IdempotencyKey, Query};
use crate::problem::{Code, Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// Kinds of address for rows that name none, parted by commas; left out: all.
    #[param(example = "evm,tron,bitcoin,bitcoin-taproot,solana")]
    chains: Option<String>,
    /// Left out: the organization's first vault.
    vault: Option<String>,
    /// skip (the default) creates the good rows; abort creates nothing when one row is bad.
    on_error: Option<String>,
    /// csv, ndjson or json; left out: as Content-Type says.
    format: Option<String>,
}

/// Create many wallets from a file
///
/// CSV (with a header line), NDJSON, or a JSON array, in UTF-8; `Content-Encoding: gzip` is taken. A row has
/// `external_id`, and may have `label`, `metadata` (a JSON object) and `chains`. The file is accepted whole or not
/// at all; a bad row does not keep the others from being created, and is told in the results. Row k always
/// gets the index `first_index + k - 1`.
#[utoipa::path(post, path = "/v1/batches", tag = "batches",
    params(UploadQuery, ("Idempotency-Key" = Option<String>, Header), ("Content-Encoding" = Option<String>, Header)),
    request_body(content(
        (String = "text/csv", example = "external_id,label\ncustomer-1,Ann\ncustomer-2,\"Lee, Bo\"\n"),
        (String = "application/x-ndjson", example = "{\"external_id\":\"customer-1\",\"chains\":[\"evm\"]}\n"),
        (Vec<Object> = "application/json", example = json!([{"external_id": "customer-1"}])),
    )),
    responses((status = 202, body = BatchView, headers(("Location" = String, description = "The batch")))))]
pub(crate) async fn create_batch(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<UploadQuery>,
    key: IdempotencyKey,
    headers: HeaderMap,
    body: ClientBody,
) -> Result<Response, Problem> {
    let vault = vaults::named_or_default(&api, &caller, query.vault.as_deref()).await?;
    let upload = Upload {
        vault: vault.id,
        format: format(&query, &headers)?,
        gzip: is_gzip(&headers)?,
        kinds: match &query.chains {
            Some(text) => page::parsed("chains", text)?,
            None => AddressKinds::ALL,
        },
        on_error: match &query.on_error {
            Some(text) => page::parsed("on_error", text)?,
            None => OnError::Skip,
        },
        limits: Limits::default(),
    };
    let print = upload_fingerprint(&upload);
    let now_ms = api.now_ms();
    let render = move |batch: &Batch| accepted(batch, now_ms);
    let faults = body.faults();
    let stream = Box::pin(body.into_stream());
    let once = once(&key, print, &render);
    let answer = api
        .platform()
        .create_batch(&caller, upload, stream, once)
        .await;
    // The platform sees that reading failed; why is known here.
    let answer =
        answer.map_err(|error| faults.first().map_or_else(|| error.into(), Problem::from))?;
    located(reply(answer, &render)?).await
}

/// What makes two uploads of the same content the same request, whichever door they came through.
pub(crate) fn upload_fingerprint(upload: &Upload) -> [u8; 32] {
    fingerprint(&[
        upload.vault.as_bytes(),
        upload.format.name().as_bytes(),
        &[upload.kinds.bits()],
        upload.on_error.name().as_bytes(),
    ])
}

/// The answer to a batch that was taken in.
pub(crate) fn accepted(batch: &Batch, now_ms: i64) -> (u16, String) {
    rendered(StatusCode::ACCEPTED, &BatchView::of(batch, now_ms))
}

fn format(query: &UploadQuery, headers: &HeaderMap) -> Result<Format, Problem> {
    if let Some(name) = &query.format {
        let unknown = || page::invalid("format", "use csv, ndjson or json");
        return Format::from_name(name).ok_or_else(unknown);
    }
    let sent = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    sent.and_then(Format::from_content_type).ok_or_else(|| {
        let text =
            "send Content-Type text/csv, application/x-ndjson or application/json, or ?format=";
        Problem::new(Code::UnsupportedFormat, text)
    })
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut sent = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = sent.next().map(|value| {
        value
            .to_str()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    });
    match encoding.as_deref() {
        None | Some("identity") if sent.next().is_none() => Ok(false),
        Some("gzip" | "x-gzip") if sent.next().is_none() => Ok(true),
        _ => Err(Problem::new(
            Code::UnsupportedFormat,
            "of content encodings, gzip alone is taken",
        )),
    }
}

/// Adds the batch's place. A replayed answer is text, so its id is read from there.
async fn located(response: Response) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 10)
        .await
        .map_err(Problem::internal)?;
    let Id { id } = serde_json::from_slice(&bytes).map_err(Problem::internal)?;
    let place = HeaderValue::from_str(&format!("/v1/batches/{id}")).map_err(Problem::internal)?;
    parts.headers.insert(header::LOCATION, place);
    Ok(Response::from_parts(parts, bytes.into()))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesWrite, routes!(create_batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&'static str]) -> HeaderMap {
        let pair = |value: &&'static str| (name.clone(), HeaderValue::from_static(value));
        values.iter().map(pair).collect()
    }

    #[test]
    fn one_known_content_encoding_is_taken() {
        let check = |values: &[&'static str], expected: Option<bool>| {
            let found = is_gzip(&headers(header::CONTENT_ENCODING, values)).ok();
            assert_eq!(found, expected, "{values:?}");
        };
        check(&[], Some(false));
        check(&["identity"], Some(false));
        check(&["GZIP"], Some(true));
        check(&["br"], None);
        check(&["gzip, gzip"], None);
        check(&["gzip", "gzip"], None);
    }

    #[test]
    fn the_query_wins_over_the_content_type() {
        let query = |format: Option<&str>| UploadQuery {
            chains: None,
            vault: None,
            on_error: None,
            format: format.map(str::to_owned),
        };
        let csv = headers(header::CONTENT_TYPE, &["text/csv; charset=utf-8"]);
        assert!(matches!(format(&query(None), &csv), Ok(Format::Csv)));
        assert!(matches!(
            format(&query(Some("json")), &csv),
            Ok(Format::Json)
        ));
        assert!(format(&query(Some("xml")), &csv).is_err());
        assert!(format(&query(None), &HeaderMap::new()).is_err());
    }
}
