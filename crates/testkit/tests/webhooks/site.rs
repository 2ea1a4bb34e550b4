//! An installation whose events go to receivers.

use std::collections::HashMap;

use coffer_domain::address::AddressKinds;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::WebhookId;
use coffer_domain::vault::{Gate, GateMode};
use coffer_domain::webhook::SendLimits;
use coffer_platform::webhooks::{CreatedWebhook, NewWebhook, WebhookView};
use coffer_platform::{Answer, Error, EventFilter, NewWallet, Platform, WorkerSettings};
use coffer_testkit::receiver::{Arrived, Receiver};
use coffer_testkit::{Engine, Installation};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::until;

const POOL: u32 = 100;

pub(super) struct Site {
    pub(super) installation: Installation,
}

/// Enough for a test's wallets, so that none of them makes the pool tell of being filled.
async fn fill_pool(installation: &Installation) {
    let (platform, admin, vault) = (
        &installation.platform,
        &installation.admin,
        installation.vault,
    );
    platform
        .set_pool(admin, vault, POOL, POOL)
        .await
        .expect("set");
    let stop = CancellationToken::new();
    let (working, end) = (platform.clone(), stop.clone());
    let settings = WorkerSettings { parallel_chunks: 1 };
    let workers = tokio::spawn(async move { working.run_workers(settings, end).await });
    until("the pool is full", || async {
        let pool = platform.pool(admin, vault).await.expect("reads");
        (pool.level >= POOL).then_some(())
    })
    .await;
    stop.cancel();
    workers.await.expect("they end").expect("they end well");
}

/// A platform's notifier, with what tells it of events.
pub(super) struct Notifier {
    stop: CancellationToken,
    tasks: [JoinHandle<()>; 2],
}

impl Notifier {
    pub(super) fn start(platform: &Platform) -> Self {
        let stop = CancellationToken::new();
        let (feeding, until) = (platform.clone(), stop.clone());
        let feed = tokio::spawn(async move { feeding.run_event_feed(until).await });
        let (telling, until) = (platform.clone(), stop.clone());
        let tell = tokio::spawn(async move {
            telling.run_notifier(until).await.expect("ends well");
        });
        Self {
            stop,
            tasks: [feed, tell],
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("ends");
        }
    }
}

impl Site {
    pub(super) async fn create(engine: Engine) -> Self {
        let installation = Installation::create(engine).await;
        fill_pool(&installation).await;
        Self { installation }
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.installation.platform
    }

    pub(super) async fn make(&self, new: NewWebhook) -> CreatedWebhook {
        let made = self
            .platform()
            .create_webhook(&self.installation.admin, new, None)
            .await;
        match made.expect("made") {
            Answer::Executed(created) => created,
            Answer::Replayed { .. } => panic!("nothing to replay"),
        }
    }

    /// A webhook that wants everything from now on.
    pub(super) async fn webhook(&self, receiver: &Receiver) -> CreatedWebhook {
        self.make(new(&receiver.url)).await
    }

    pub(super) async fn show(&self, id: WebhookId) -> WebhookView {
        let shown = self.platform().webhook(&self.installation.admin, id).await;
        shown.expect("reads")
    }

    /// An event of an object of its own; answers that object's id.
    pub(super) async fn wallet(&self, name: &str) -> String {
        let (platform, admin) = (self.platform(), &self.installation.admin);
        let new = NewWallet {
            vault: self.installation.vault,
            external_id: ExternalId::try_new(name).expect("a good id"),
            label: None,
            metadata: None,
            kinds: AddressKinds::ALL,
        };
        let assigned = platform.assign_wallet(admin, new, None).await;
        match assigned.expect("assigned") {
            Answer::Executed(assigned) => assigned.wallet.id.to_string(),
            Answer::Replayed { .. } => panic!("nothing to replay"),
        }
    }

    /// An event of the vault: always the same object.
    pub(super) async fn of_vault(&self, mode: GateMode) -> String {
        let gate = Gate {
            mode,
            hook_url: None,
        };
        let vault = self.installation.vault;
        let set = self
            .platform()
            .set_gate(&self.installation.admin, vault, gate)
            .await;
        set.expect("set");
        vault.to_string()
    }

    /// Events of the vault, alternating.
    pub(super) async fn vault_events(&self, count: usize) {
        for number in 0..count {
            let mode = [GateMode::AllowList, GateMode::Automatic][number % 2];
            self.of_vault(mode).await;
        }
    }

    /// Every event there ever was: the truth that a receiver is measured by.
    pub(super) async fn truth(&self) -> HashMap<String, String> {
        let (platform, admin) = (self.platform(), &self.installation.admin);
        let mut truth = HashMap::new();
        let mut after = 0;
        loop {
            let page = platform
                .events(admin, &EventFilter::default(), after, 1000)
                .await;
            let page = page.expect("reads");
            for event in &page.items {
                truth.insert(event.id.to_string(), event.to_cloud_event());
            }
            after = page.next;
            if !page.more {
                return truth;
            }
        }
    }

    /// Waits until the webhook was told everything and nothing is open.
    pub(super) async fn told(&self, id: WebhookId) -> WebhookView {
        until("everything is told", || async {
            let view = self.show(id).await;
            (view.progress.lag == 0 && view.progress.open == 0).then_some(view)
        })
        .await
    }

    pub(super) async fn refused(&self, id: WebhookId) -> bool {
        let shown = self.platform().webhook(&self.installation.admin, id).await;
        matches!(shown, Err(Error::Integrity { .. }))
    }
}

pub(super) fn new(url: &str) -> NewWebhook {
    NewWebhook {
        url: url.to_owned(),
        description: None,
        types: Vec::new(),
        limits: SendLimits::default(),
        after: None,
        check: true,
    }
}

/// The number that an event says it has.
pub(super) fn sequence(arrived: &Arrived) -> u64 {
    let event = arrived.event();
    let text = event["sequence"].as_str().expect("a number as text");
    text.parse().expect("a number")
}

/// That of each object the successful deliveries came in order, first ones counted.
pub(super) fn assert_in_order(arrived: &[Arrived]) {
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for one in arrived.iter().filter(|one| one.is_success()) {
        if !seen.insert(one.id.clone()) {
            continue;
        }
        let subject = one.event()["subject"]
            .as_str()
            .expect("a subject")
            .to_owned();
        let number = sequence(one);
        let before = last.insert(subject.clone(), number).unwrap_or(0);
        assert!(before < number, "{subject}: {number} came after {before}");
    }
}
