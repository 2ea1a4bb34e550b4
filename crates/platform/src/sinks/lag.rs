//! How far behind a sink is, as metrics.

use coffer_domain::id::OrganizationId;

use crate::{Error, EventFilter, Platform};

impl Platform {
    /// Sets the gauges of a sink from how far it has come; events that its filter leaves out count until it has passed them.
    pub(super) async fn tell_lag(
        &self,
        organization: OrganizationId,
        sink: &str,
        seq: u64,
    ) -> Result<(), Error> {
        let head = self.event_head(organization).await?;
        let behind = head.saturating_sub(seq);
        let mut age_ms = 0;
        if behind > 0 {
            let all = EventFilter::default();
            let oldest = self.events_of(organization, &all, seq, 1).await?;
            let at_ms = oldest.items.first().map(|event| event.at_ms);
            age_ms = at_ms.map_or(0, |at| (self.now_ms() - at).max(0));
        }
        let labels = [
            ("sink", sink.to_owned()),
            ("organization", organization.to_string()),
        ];
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts and ages stay below 2^53"
        )]
        {
            metrics::gauge!("coffer_sink_lag_events", &labels).set(behind as f64);
            metrics::gauge!("coffer_sink_lag_seconds", &labels).set(age_ms as f64 / 1000.0);
        }
        Ok(())
    }
}
