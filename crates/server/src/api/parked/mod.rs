//! Parked messages: what came in through a message broker and can never be worked on.

mod discard;
mod list;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_domain::time::rfc3339;
use coffer_platform::ParkedMessage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    discard::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = ParkedMessage)]
pub(crate) struct ParkedView {
    #[schema(example = "prk_5d0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    id: String,
    #[schema(example = "orders")]
    source: String,
    subject: String,
    /// That of the problem which the sender was answered.
    #[schema(example = "malformed_upload")]
    code: String,
    reason: String,
    /// In Base64; of a long one, the first 65,536 bytes.
    body: String,
    body_sha256: String,
    body_bytes: u64,
    /// How often it came.
    times: u64,
    first_at: String,
    last_at: String,
}

impl From<&ParkedMessage> for ParkedView {
    fn from(parked: &ParkedMessage) -> Self {
        Self {
            id: parked.id.to_string(),
            source: parked.source.clone(),
            subject: parked.subject.clone(),
            code: parked.code.clone(),
            reason: parked.reason.clone(),
            body: STANDARD.encode(&parked.body),
            body_sha256: hex::encode(parked.body_sha256),
            body_bytes: parked.body_bytes,
            times: parked.times,
            first_at: rfc3339(parked.first_at_ms),
            last_at: rfc3339(parked.last_at_ms),
        }
    }
}
