//! Relays against a broker that refuses, forgets and takes half: nothing is left out, and order holds.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use coffer_brokers::{BrokerError, OutgoingMessage, Sink, SinkConnector};
use coffer_platform::{Answer, Error, EventFilter, Platform, SinkSettings};
use coffer_testkit::{Engine, Installation};
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::{on_both_engines, until};

/// What a broker double has got, and how it behaves.
#[derive(Default)]
struct State {
    got: Vec<OutgoingMessage>,
    /// Publishes that it takes only a part of, and then fails.
    halves: usize,
    /// Connections that it refuses.
    refusals: usize,
    connections: usize,
    /// Does not answer at all.
    silent: bool,
}

#[derive(Clone, Default)]
struct Double(Arc<Mutex<State>>);

impl Double {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ids(&self) -> Vec<String> {
        self.with(|state| state.got.iter().map(|message| message.id.clone()).collect())
    }
}

impl SinkConnector for Double {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, BrokerError>> {
        let refused = self.with(|state| {
            state.connections += 1;
            let refused = state.refusals > 0;
            state.refusals = state.refusals.saturating_sub(1);
            refused
        });
        let sink: Box<dyn Sink> = Box::new(self.clone());
        async move {
            if refused {
                return Err(BrokerError::Unavailable("down".into()));
            }
            Ok(sink)
        }
        .boxed()
    }
}

impl Sink for Double {
    fn publish<'a>(
        &'a mut self,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        let silent = self.with(|state| state.silent);
        if silent {
            return std::future::pending().boxed();
        }
        let result = self.with(|state| {
            if state.halves > 0 {
                state.halves -= 1;
                state.got.extend_from_slice(&messages[..messages.len() / 2]);
                return Err(BrokerError::Unavailable("gone in the middle".into()));
            }
            state.got.extend_from_slice(messages);
            Ok(())
        });
        async move { result }.boxed()
    }
}

struct Running {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(platform: &Platform, double: &Double) -> Self {
        let stop = CancellationToken::new();
        let settings = SinkSettings {
            name: "double".into(),
            organization: None,
            filter: EventFilter::default(),
            connector: Arc::new(double.clone()),
        };
        let (relaying, until) = (platform.clone(), stop.clone());
        let relays = tokio::spawn(async move {
            relaying
                .run_sinks(vec![settings], until)
                .await
                .expect("relays end well");
        });
        let (telling, until) = (platform.clone(), stop.clone());
        let feed = tokio::spawn(async move { telling.run_event_feed(until).await });
        Self {
            stop,
            tasks: vec![relays, feed],
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("ends");
        }
    }

    /// As a killed process: nothing is given back.
    fn kill(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Changes that each tell an event.
async fn events(installation: &Installation, count: u32) {
    for high in 1..=count {
        installation
            .platform
            .set_pool(&installation.admin, installation.vault, 0, high)
            .await
            .expect("set");
    }
}

async fn all(installation: &Installation) -> Vec<String> {
    let page = installation
        .platform
        .events(&installation.admin, &EventFilter::default(), 0, 1000)
        .await
        .expect("events");
    assert!(!page.more);
    page.items
        .iter()
        .map(|event| event.id.to_string())
        .collect()
}

async fn is_through(installation: &Installation) {
    let head = all(installation).await.len() as u64;
    until("the sink is through", || async {
        let sinks = installation.platform.sinks(&installation.admin).await;
        let sinks = sinks.expect("sinks");
        sinks.first().filter(|sink| sink.seq == head).map(drop)
    })
    .await;
}

async fn everything_arrives_in_order(engine: Engine) {
    let installation = Installation::create(engine).await;
    let double = Double::default();
    let running = Running::start(&installation.platform, &double);
    events(&installation, 5).await;
    is_through(&installation).await;
    events(&installation, 5).await;
    is_through(&installation).await;
    running.stop().await;
    assert_eq!(double.ids(), all(&installation).await);
    let paths: HashSet<String> =
        double.with(|state| state.got.iter().map(OutgoingMessage::path).collect());
    let pool = format!(
        "{}.pool.{}",
        installation.admin.organization, installation.vault
    );
    assert!(paths.contains(&pool), "{paths:?}");
}

async fn a_broker_that_fails_gets_everything(engine: Engine) {
    let installation = Installation::create(engine).await;
    events(&installation, 20).await;
    let double = Double::default();
    double.with(|state| {
        state.refusals = 2;
        state.halves = 2;
    });
    let running = Running::start(&installation.platform, &double);
    is_through(&installation).await;
    running.stop().await;
    let mut seen = HashSet::new();
    let mut first: Vec<String> = double.ids();
    first.retain(|id| seen.insert(id.clone()));
    assert_eq!(first, all(&installation).await, "first arrivals, in order");
    assert!(double.ids().len() > first.len(), "a half that came again");
    assert_eq!(
        double.with(|state| state.connections),
        5,
        "no connection is used after an error"
    );
}

async fn a_sink_set_back_publishes_again(engine: Engine) {
    let installation = Installation::create(engine).await;
    events(&installation, 6).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let double = Double::default();
    let running = Running::start(platform, &double);
    is_through(&installation).await;
    let ids = all(&installation).await;
    let forward = platform.rewind_sink(admin, "double", 1000, None).await;
    assert!(matches!(forward, Err(Error::Validation { .. })));
    let unknown = platform.rewind_sink(admin, "other", 0, None).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    let answer = platform.rewind_sink(admin, "double", 2, None).await;
    assert!(matches!(answer, Ok(Answer::Executed(state)) if state.seq == 2 && state.replays == 1));
    let again: Vec<String> = ids[2..].iter().map(|id| format!("{id}.1")).collect();
    until("they come again", || async {
        (double.ids().len() == ids.len() + again.len()).then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(double.ids(), [ids, again].concat());
    let records = platform.audit_records(admin, 0, 1000).await.expect("audit");
    let rewound: Vec<_> = records
        .iter()
        .filter(|record| record.action == "sink.rewound")
        .collect();
    assert_eq!(rewound.len(), 1);
    assert_eq!(rewound[0].actor, admin.key.to_string());
}

async fn one_process_relays_and_another_takes_over(engine: Engine) {
    let installation = Installation::create(engine).await;
    events(&installation, 3).await;
    let first = Double::default();
    let running = Running::start(&installation.platform, &first);
    is_through(&installation).await;
    let second = Double::default();
    let other = installation.reopen().await;
    let beside = Running::start(&other, &second);
    events(&installation, 3).await;
    is_through(&installation).await;
    assert_eq!(
        second.ids(),
        Vec::<String>::new(),
        "the lease is the first one's"
    );
    // The first dies in the middle of a publish; its lease runs out.
    first.with(|state| state.silent = true);
    events(&installation, 1).await;
    running.kill();
    installation.clock.advance_ms(60_000);
    is_through(&installation).await;
    beside.stop().await;
    let ids = all(&installation).await;
    assert_eq!([first.ids(), second.ids()].concat(), ids);
}

async fn an_edited_cursor_is_refused(engine: Engine) {
    let installation = Installation::create(engine).await;
    events(&installation, 3).await;
    let double = Double::default();
    let running = Running::start(&installation.platform, &double);
    is_through(&installation).await;
    running.stop().await;
    let mut tx = installation
        .platform
        .db()
        .write()
        .await
        .expect("a transaction");
    tx.execute("UPDATE sink_cursors SET seq = 1000000", &[])
        .await
        .expect("edited");
    tx.commit().await.expect("committed");
    let read = installation.platform.sinks(&installation.admin).await;
    assert!(matches!(read, Err(Error::Integrity { .. })), "{read:?}");
}

on_both_engines!(
    everything_arrives_in_order,
    a_broker_that_fails_gets_everything,
    a_sink_set_back_publishes_again,
    one_process_relays_and_another_takes_over,
    an_edited_cursor_is_refused,
);
