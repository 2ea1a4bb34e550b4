//! The envelope: CloudEvents 1.0 in JSON, structured mode.

use coffer_domain::time::rfc3339;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Event, schema_of};

/// [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) with the extension `sequence`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CloudEvent<'a> {
    #[schema(example = "1.0")]
    specversion: &'static str,
    /// Stable: the same event has it on every channel and each time.
    #[schema(example = "evt_5d0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    id: String,
    #[schema(example = "/organizations/org_019376f2a8c07c5b8f1e2d3c4b5a6978")]
    source: String,
    #[schema(example = "coffer.deposit.confirmed")]
    r#type: String,
    /// The object's id. Events of one object are in order.
    #[schema(example = "dep_5d0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    subject: &'a str,
    time: String,
    #[schema(example = "application/json")]
    datacontenttype: &'static str,
    /// Names the schema of `data` in this document, with its version.
    #[schema(example = "urn:coffer:schema:DepositEventV1")]
    dataschema: String,
    /// The event's number: without gaps, in the order of commits. A cursor.
    #[schema(example = "4711")]
    sequence: String,
    #[schema(value_type = Object)]
    data: &'a RawValue,
}

impl Event {
    /// The type as other systems see it.
    #[must_use]
    pub fn type_name(&self) -> String {
        format!("coffer.{}", self.kind)
    }

    /// JSON text, the same bytes each time.
    #[must_use]
    pub fn to_cloud_event(&self) -> String {
        let data: &RawValue =
            serde_json::from_str(&self.data).expect("data was written as JSON, and its seal holds");
        let envelope = CloudEvent {
            specversion: "1.0",
            id: self.id.to_string(),
            source: format!("/organizations/{}", self.organization),
            r#type: self.type_name(),
            subject: &self.subject,
            time: rfc3339(self.at_ms),
            datacontenttype: "application/json",
            dataschema: format!("urn:coffer:schema:{}", schema_of(self.kind)),
            sequence: self.seq.to_string(),
            data,
        };
        serde_json::to_string(&envelope).expect("an envelope is texts around JSON")
    }
}
