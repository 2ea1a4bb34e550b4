//! One sink of one organization: read, publish, move the cursor.
//!
//! While a page is published the next is read and the one before is stored; so a crash repeats two pages at most.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use coffer_brokers::{BrokerError, OutgoingMessage, Sink};
use coffer_domain::id::OrganizationId;
use tokio_util::sync::CancellationToken;

use super::SinkSettings;
use super::cursor::{Claim, LEASE_MS};
use crate::{Error, Event, Platform, clock};

/// Events of one page: at most, and the first after a failure, lest a slow broker never gets through one.
const PAGE_MAX: u32 = 1000;
const PAGE_AFTER_FAILURE: u32 = 50;
/// How often an idle relay keeps its lease, and one without asks for it.
const RENEW: Duration = Duration::from_secs(3);
/// The longest that a broker may take to take us in, and to confirm a page; shorter than the lease.
const BROKER_TIMEOUT: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often organizations are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LAG_EVERY_MS: i64 = 1_000;

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Platform(#[from] Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Fault {
    fn kind(&self) -> &'static str {
        match self {
            Self::Platform(_) => "store",
            Self::Broker(BrokerError::Unavailable(_)) => "unavailable",
            Self::Broker(BrokerError::Refused(_)) => "refused",
            Self::Broker(BrokerError::Settings(_) | BrokerError::NotBuilt(_)) => "settings",
        }
    }
}

/// Why a turn of a relay ended without a fault.
enum Ended {
    Stopped,
    /// Another process relays.
    NotOurs,
    /// The lease was taken over, or the cursor set back.
    Moved,
}

/// A page on its way out.
struct Ready {
    messages: Vec<OutgoingMessage>,
    /// The cursor behind it.
    next: u64,
}

struct Relay {
    platform: Platform,
    settings: SinkSettings,
    organization: OrganizationId,
    owner: [u8; 16],
    stop: CancellationToken,
    told_at_ms: i64,
    pause: Duration,
    page: u32,
}

impl Platform {
    /// Relays every sink until `stop`; each relay ends what it has in hand.
    pub async fn run_sinks(
        &self,
        sinks: Vec<SinkSettings>,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let owner = clock::random(self.0.entropy.as_ref())?;
        let mut relays = tokio::task::JoinSet::new();
        let mut running = HashSet::new();
        while !stop.is_cancelled() {
            let found = match self.0.db.read().await {
                Ok(mut tx) => coffer_store::organizations::all(&mut tx).await,
                Err(error) => Err(error),
            };
            let found = found.unwrap_or_else(|error| {
                tracing::warn!(%error, "organizations could not be looked for");
                Vec::new()
            });
            for organization in found.iter().map(|organization| organization.id) {
                for settings in &sinks {
                    let meant = settings
                        .organization
                        .is_none_or(|only| only == organization);
                    if meant && running.insert((settings.name.clone(), organization)) {
                        let mut relay = Relay {
                            platform: self.clone(),
                            settings: settings.clone(),
                            organization,
                            owner,
                            stop: stop.clone(),
                            told_at_ms: 0,
                            pause: FIRST_PAUSE,
                            page: PAGE_MAX,
                        };
                        relays.spawn(async move { relay.run().await });
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        while let Some(ended) = relays.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a relay ended early");
            }
        }
        Ok(())
    }
}

impl Relay {
    async fn run(&mut self) {
        while !self.stop.is_cancelled() {
            let pause = match self.turn().await {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Moved) => continue,
                Ok(Ended::NotOurs) => RENEW,
                Err(fault) => {
                    metrics::counter!("coffer_sink_failures_total",
                        "sink" => self.settings.name.clone(), "kind" => fault.kind())
                    .increment(1);
                    let pause = self.pause;
                    tracing::warn!(sink = self.settings.name, organization = %self.organization, error = %fault,
                        again_ms = pause.as_millis(), "a sink does not publish");
                    self.pause = (pause * 2).min(LONGEST_PAUSE);
                    self.told_at_ms = 0;
                    self.page = PAGE_AFTER_FAILURE;
                    pause
                }
            };
            self.look_from_outside().await;
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tells the lag while nothing is published here.
    async fn look_from_outside(&mut self) {
        let name = &self.settings.name;
        let told: Result<(), Error> = async {
            let mut tx = self.platform.0.db.read().await?;
            let found = self
                .platform
                .cursor_in(&mut tx, self.organization, name)
                .await?;
            drop(tx);
            let seq = found.map_or(0, |(cursor, _)| cursor.seq);
            self.platform.tell_lag(self.organization, name, seq).await
        }
        .await;
        if let Err(error) = told {
            tracing::warn!(sink = name, %error, "how far a sink is behind is not known");
        }
    }

    async fn turn(&mut self) -> Result<Ended, Fault> {
        let platform = self.platform.clone();
        platform.guard(self.organization)?;
        let claimed = platform
            .claim_sink(self.organization, &self.settings.name, self.owner)
            .await?;
        let Some(mut claim) = claimed else {
            return Ok(Ended::NotOurs);
        };
        let relayed = self.relay(&mut claim).await;
        // So that another process need not wait for the lease to run out.
        if let Err(error) = platform.renew_sink(&claim, 0).await {
            tracing::warn!(sink = self.settings.name, %error, "a lease was not given back");
        }
        relayed
    }

    async fn relay(&mut self, claim: &mut Claim) -> Result<Ended, Fault> {
        let connecting = self.settings.connector.connect();
        let mut sink = in_time(connecting).await?;
        let replays = claim.cursor.replays;
        // Confirmed by the broker; stored while the next page is on its way.
        let mut confirmed = claim.cursor.seq;
        let mut ready = self.read(replays, confirmed).await?;
        loop {
            let (sent, following, stored) = tokio::join!(
                publish(&mut *sink, &ready),
                self.read(replays, ready.next),
                self.store(claim, confirmed)
            );
            if !stored? {
                return Ok(Ended::Moved);
            }
            sent?;
            self.succeeded(ready.messages.len());
            confirmed = ready.next;
            ready = following?;
            let idle = ready.next == confirmed;
            if idle {
                // What is said last stands until there is news.
                self.told_at_ms = 0;
            }
            self.tell(confirmed).await?;
            if idle || self.stop.is_cancelled() {
                if !self.store(claim, confirmed).await? {
                    return Ok(Ended::Moved);
                }
                if self.stop.is_cancelled() {
                    return Ok(Ended::Stopped);
                }
                if !self.wait(claim, confirmed).await? {
                    return Ok(Ended::Moved);
                }
                ready = self.read(replays, confirmed).await?;
            }
        }
    }

    /// Moves the stored cursor, if there is something to move. `false`: it is not ours to move any more.
    async fn store(&self, claim: &mut Claim, confirmed: u64) -> Result<bool, Error> {
        if confirmed <= claim.cursor.seq {
            return Ok(true);
        }
        self.platform.move_sink(claim, confirmed).await
    }

    async fn read(&self, replays: u64, after: u64) -> Result<Ready, Error> {
        let page = self
            .platform
            .events_of(self.organization, &self.settings.filter, after, self.page)
            .await?;
        let message = |event: &Event| outgoing(event, replays);
        Ok(Ready {
            messages: page.items.iter().map(message).collect(),
            next: page.next,
        })
    }
}

impl Relay {
    /// Waits for events behind `after`, and keeps the lease. `false`: it is lost, or the cursor was set back.
    async fn wait(&mut self, claim: &Claim, after: u64) -> Result<bool, Error> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(true),
                () = self.platform.event_news(self.organization, after) => return Ok(true),
                () = tokio::time::sleep(RENEW) => {
                    if !self.platform.renew_sink(claim, LEASE_MS).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn succeeded(&mut self, published: usize) {
        if published > 0 {
            self.pause = FIRST_PAUSE;
            self.page = (self.page * 2).min(PAGE_MAX);
            metrics::counter!("coffer_sink_published_total", "sink" => self.settings.name.clone())
                .increment(published as u64);
        }
    }

    /// Tells the lag, once a second at most.
    async fn tell(&mut self, seq: u64) -> Result<(), Error> {
        let now = self.platform.now_ms();
        if now - self.told_at_ms < LAG_EVERY_MS {
            return Ok(());
        }
        self.told_at_ms = now;
        let name = &self.settings.name;
        self.platform.tell_lag(self.organization, name, seq).await
    }
}

async fn publish(sink: &mut dyn Sink, ready: &Ready) -> Result<(), BrokerError> {
    if ready.messages.is_empty() {
        return Ok(());
    }
    in_time(sink.publish(&ready.messages)).await
}

async fn in_time<T>(work: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    tokio::time::timeout(BROKER_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| {
            Err(BrokerError::Unavailable(
                "it does not answer in time".into(),
            ))
        })
}

fn outgoing(event: &Event, replays: u64) -> OutgoingMessage {
    let id = match replays {
        0 => event.id.to_string(),
        replay => format!("{}.{replay}", event.id),
    };
    OutgoingMessage {
        id,
        organization: event.organization.to_string(),
        object: event.subject.clone(),
        kind: event.kind.name().to_owned(),
        body: Bytes::from(event.to_cloud_event()),
    }
}
