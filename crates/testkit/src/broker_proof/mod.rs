//! A broker is a door, never the record: shown by killing it, pausing it, robbing it, and delivering everything five times.
//!
//! One scenario for every broker. A real `coffer serve` publishes its events to a real broker and takes batches from it, while
//! the broker is killed, paused and loses its data, and `coffer` is killed too; each message is sent five times, shuffled.
//! Judged: every command made one batch and every row one wallet, whatever was delivered how often; what a
//! consumer got is word for word what the cursor `/v1/events` tells; each object's events came in order; after
//! the sink was set back, the broker alone gives every event.

mod consumer;
mod sender;
mod wiring;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::BrokerServer;
use crate::serving::{Api, Programs, Server, Site};

use consumer::Consumer;
use sender::Sender;
pub use wiring::Wiring;

const WITHIN: Duration = Duration::from_secs(240);
const ROWS: usize = 20;
const COPIES: usize = 5;
/// The object of commands, the last level of their subject.
const ORDERS: &str = "orders";
const STRANGERS: &str = "strangers";
const PAUSE: Duration = Duration::from_secs(3);

/// What is done to the parts while commands are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    BrokerKilled,
    BrokerPaused,
    /// Killed, and all its data deleted.
    BrokerRobbed,
    CofferKilled,
}

pub const TROUBLES: [Trouble; 6] = [
    Trouble::None,
    Trouble::BrokerKilled,
    Trouble::CofferKilled,
    Trouble::BrokerPaused,
    Trouble::BrokerRobbed,
    Trouble::CofferKilled,
];

pub struct Options {
    pub programs: Programs,
    pub wiring: Wiring,
    pub site: Site,
    pub broker: BrokerServer,
    /// In this order; one wave of commands for each.
    pub troubles: Vec<Trouble>,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub commands: usize,
    pub deliveries: usize,
    pub events: usize,
    /// As the consumer got them.
    pub received: usize,
}

struct Proof {
    options: Options,
    server: Option<Server>,
    api: Option<Api>,
    commands: Vec<String>,
    sender: Sender,
    consumer: Consumer,
    deliveries: usize,
    /// The id of an API key that may see batches and make none.
    stranger: String,
}

/// Runs the scenario and judges it.
///
/// # Errors
/// The first thing that is not as it must be.
pub async fn run(options: Options) -> Result<Summary> {
    let address = options.broker.address();
    let mut proof = Proof {
        sender: Sender::new(options.wiring.submitter(&address)?),
        consumer: Consumer::new(&options.wiring, address),
        options,
        server: None,
        api: None,
        commands: Vec::new(),
        deliveries: 0,
        stranger: String::new(),
    };
    proof.start_coffer().await?;
    let stranger = proof
        .api()?
        .create_key("stranger", &["batches:read"])
        .await?;
    proof.stranger = key_of(&stranger)?;
    proof.stop_coffer().await?;
    proof.write_config()?;
    proof.start_coffer().await?;
    for (number, trouble) in proof.options.troubles.clone().into_iter().enumerate() {
        proof
            .wave(number, trouble)
            .await
            .with_context(|| format!("wave {number}, {trouble:?}"))?;
    }
    proof
        .poison()
        .await
        .context("a message that is no command")?;
    proof
        .strangers()
        .await
        .context("a key without the right, and then without any")?;
    proof.judge().await
}

impl Proof {
    fn config_file(&self) -> PathBuf {
        self.options.site.folder().join("coffer.toml")
    }

    fn write_config(&self) -> Result<()> {
        let address = self.options.broker.address();
        let key = key_of(&self.options.site.token)?;
        let wiring = &self.options.wiring;
        let stranger = wiring.strangers.map_or(String::new(), |subject| {
            let key = &self.stranger;
            format!("[[sources.senders]]\nsubject = \"{subject}\"\nkey = \"{key}\"\n")
        });
        let text = format!(
            "[[sinks]]\nname = \"proof\"\n[sinks.broker.{name}]\n{sink}\n\n\
             [[sources]]\nname = \"proof\"\n[[sources.senders]]\nsubject = \"{subject}\"\nkey = \"{key}\"\n\
             {stranger}[sources.broker.{name}]\n{source}\n",
            name = wiring.name,
            sink = wiring.sink_lines(&address)?,
            source = wiring.source_lines(&address)?,
            subject = wiring.subject,
        );
        Ok(std::fs::write(self.config_file(), text)?)
    }

    async fn start_coffer(&mut self) -> Result<()> {
        let mut arguments = Vec::new();
        if self.config_file().exists() {
            arguments.push("--config".to_owned());
            arguments.push(self.config_file().display().to_string());
        }
        let (programs, site) = (&self.options.programs, &self.options.site);
        let server = Server::start_with(programs, site, &arguments).await?;
        self.api = Some(Api::new(&server.url, &site.token)?);
        self.server = Some(server);
        Ok(())
    }

    async fn stop_coffer(&mut self) -> Result<()> {
        let server = self.server.take().context("coffer runs")?;
        server.stop().await
    }

    fn api(&self) -> Result<&Api> {
        self.api.as_ref().context("coffer runs")
    }

    /// Two new commands, and all before them again, five times each and shuffled, under trouble.
    async fn wave(&mut self, number: usize, trouble: Trouble) -> Result<()> {
        for command in 0..2 {
            self.commands.push(command_text(number * 2 + command));
        }
        let mut letters: Vec<String> = Vec::new();
        for _ in 0..COPIES {
            letters.extend(self.commands.iter().cloned());
        }
        shuffle(&mut letters, number as u64 + 1);
        self.deliveries += letters.len();
        let half = letters.len() / 2;
        self.sender.send(ORDERS, &letters[..half]).await?;
        self.make(trouble).await?;
        self.sender.send(ORDERS, &letters[half..]).await?;
        self.batches_are_made().await
    }

    async fn make(&mut self, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::None => {}
            Trouble::BrokerKilled => {
                for queue in self.options.wiring.queues {
                    self.options.broker.remembers(queue).await?;
                }
                self.options.broker.kill();
                self.works_without_broker("killed").await?;
                self.options.broker.start_again().await?;
            }
            Trouble::BrokerPaused => {
                self.options.broker.pause()?;
                self.works_without_broker("paused").await?;
                tokio::time::sleep(PAUSE).await;
                self.options.broker.resume()?;
            }
            Trouble::BrokerRobbed => {
                self.consumer.drain().await?;
                self.options.broker.lose_everything()?;
                self.works_without_broker("robbed").await?;
                self.options.broker.start_again().await?;
                self.consumer.begin_with_nothing();
                // What was sent is lost with the broker; whoever has no answer sends again.
                let again = self.commands.clone();
                self.deliveries += again.len();
                self.sender.send(ORDERS, &again).await?;
            }
            Trouble::CofferKilled => {
                let server = self.server.take().context("coffer runs")?;
                server.kill().await;
                self.start_coffer().await?;
            }
        }
        Ok(())
    }

    /// A wallet by HTTP while the broker is away: it takes as it always does.
    async fn works_without_broker(&self, how: &str) -> Result<()> {
        let rows = format!("external_id\nwithout-{how}\n").into_bytes();
        let key = format!("without-{how}");
        self.api()?.upload(rows, "evm", &key).await?;
        Ok(())
    }

    async fn batches(&self) -> Result<Vec<Value>> {
        let answer = self.api()?.get("/v1/batches?limit=1000").await?;
        Ok(answer["data"].as_array().cloned().unwrap_or_default())
    }

    /// Every command has its batch, and each is done.
    async fn batches_are_made(&self) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let batches = self.batches().await?;
            let of_commands: Vec<_> = batches
                .iter()
                .filter(|batch| batch["rows_total"] == ROWS)
                .collect();
            let done = |batch: &Value| batch["state"] == "completed";
            if of_commands.len() >= self.commands.len() && batches.iter().all(done) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "{} of {} batches are made; {}",
                    of_commands.len(),
                    self.commands.len(),
                    self.log()
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn log(&self) -> String {
        self.server
            .as_ref()
            .map(Server::log_tail)
            .unwrap_or_default()
    }

    /// Sent five times, parked once, and shown with its reason.
    async fn poison(&mut self) -> Result<()> {
        let letters = vec!["{\"no\": \"command\"}".to_owned(); COPIES];
        self.sender.send(ORDERS, &letters).await?;
        self.deliveries += letters.len();
        let deadline = Instant::now() + WITHIN;
        loop {
            let parked = self.api()?.get("/v1/parked-messages?source=proof").await?;
            let items = parked["items"].as_array().cloned().unwrap_or_default();
            ensure!(items.len() <= 1, "parked more than once: {items:?}");
            if let Some(item) = items.first()
                && item["times"].as_u64() >= Some(COPIES as u64)
            {
                ensure!(item["code"] == "bad_request", "{item}");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "not parked: {items:?}; {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A command as good as the others: parked while its key lacks the scope, and when the key is revoked.
    async fn strangers(&mut self) -> Result<()> {
        if self.options.wiring.strangers.is_none() {
            return Ok(());
        }
        self.sender.send(STRANGERS, &[command_text(1_000)]).await?;
        self.is_parked_for("forbidden").await?;
        let path = format!("/v1/keys/{}", self.stranger);
        self.api()?.delete(&path).await?;
        self.sender.send(STRANGERS, &[command_text(1_001)]).await?;
        self.deliveries += 2;
        self.is_parked_for("unauthorized").await
    }

    async fn is_parked_for(&self, code: &str) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let parked = self.api()?.get("/v1/parked-messages").await?;
            let items = parked["items"].as_array().cloned().unwrap_or_default();
            if items.iter().any(|item| item["code"] == code) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "not parked for {code}: {items:?}; {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The sink has published everything there is.
    async fn sink_is_through(&self) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let sinks = self.api()?.get("/v1/sinks").await?;
            let sink = sinks["items"][0].clone();
            if sink["published"].is_u64() && sink["published"] == sink["newest"] {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{sink}; {}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every event by the cursor: id → the envelope as text.
    async fn truth(&self) -> Result<HashMap<String, String>> {
        let (mut truth, mut cursor) = (HashMap::new(), "0".to_owned());
        loop {
            let path = format!("/v1/events?limit=1000&cursor={cursor}");
            let page = self.api()?.get_bytes(&path).await?;
            let page: consumer::Page = serde_json::from_slice(&page)?;
            for item in page.items {
                truth.insert(consumer::id_of(item.get())?, item.get().to_owned());
            }
            cursor = page.next_cursor;
            if !page.more {
                return Ok(truth);
            }
        }
    }

    async fn judge(&mut self) -> Result<Summary> {
        self.one_batch_each().await?;
        self.sink_is_through().await?;
        self.consumer.drain().await?;
        let truth = self.truth().await?;
        self.consumer.agrees_with(&truth)?;
        // Whoever lost something asks for it again, and the broker alone gives all.
        self.consumer.begin_anew();
        let to = json!({ "to": 0 });
        self.api()?
            .post("/v1/sinks/proof/rewind", "again", &to)
            .await?;
        self.sink_is_through().await?;
        self.all_come_again(&truth).await?;
        let truth = self.truth().await?;
        self.consumer.agrees_with(&truth)?;
        self.stop_coffer().await?;
        Ok(Summary {
            commands: self.commands.len(),
            deliveries: self.deliveries,
            events: truth.len(),
            received: self.consumer.received(),
        })
    }

    async fn all_come_again(&mut self, truth: &HashMap<String, String>) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        let mut follower = 0;
        while self.consumer.missing(truth) > 0 {
            ensure!(
                Instant::now() < deadline,
                "{} of {} events never came again",
                self.consumer.missing(truth),
                truth.len()
            );
            if self.options.wiring.holds_back {
                follower += 1;
                let rows: String = (0..ROWS + 1)
                    .map(|row| format!("follower-{follower}-{row}\n"))
                    .collect();
                let rows = format!("external_id\n{rows}").into_bytes();
                let key = format!("follower-{follower}");
                self.api()?.upload(rows, "evm", &key).await?;
                self.sink_is_through().await?;
            }
            self.consumer.drain().await?;
        }
        Ok(())
    }

    async fn one_batch_each(&self) -> Result<()> {
        let batches = self.batches().await?;
        let of_commands: Vec<_> = batches
            .iter()
            .filter(|batch| batch["rows_total"] == ROWS)
            .collect();
        ensure!(
            of_commands.len() == self.commands.len(),
            "{} batches for {} commands",
            of_commands.len(),
            self.commands.len()
        );
        for batch in of_commands {
            ensure!(
                batch["rows_created"] == ROWS && batch["rows_existing"] == 0,
                "a batch whose rows another had made: {batch}"
            );
        }
        Ok(())
    }
}

/// The id of the API key that a token is of.
fn key_of(token: &str) -> Result<String> {
    let id = token.split('_').nth(1).context("a token names its key")?;
    Ok(format!("key_{id}"))
}

fn command_text(number: usize) -> String {
    let row = |row: usize| json!({ "external_id": format!("customer-{number}-{row}") });
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    json!({ "idempotency_key": format!("command-{number}"), "chains": ["evm"], "rows": rows })
        .to_string()
}

/// Fisher-Yates over splitmix64, so that a run can be had again.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for end in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let other = usize::try_from(mixed % (end as u64 + 1)).unwrap_or(0);
        items.swap(end, other);
    }
}
