use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientContext, message};

use super::client::{self, Client};
use super::progress::Progress;
use crate::put_back::PutBack;
use crate::{BrokerError, Header, IncomingMessage, Source, Token};

/// Held in memory; beyond it the partitions are paused.
const HELD_MAX: usize = 1_000;
/// Header of a reply, taken over from the message.
const CORRELATION: &str = "Coffer-Correlation-Id";

/// Counts the times that the group gave out its partitions; called by whoever polls.
#[derive(Default)]
struct Rebalances(AtomicU64);

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, _rebalance: &Rebalance<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "offsets were not committed; the messages come again");
        }
    }
}

pub(super) struct KafkaSource {
    consumer: Client<StreamConsumer<Rebalances>>,
    base: ClientConfig,
    progress: Progress,
    rebalances_seen: u64,
    put_back: PutBack,
    /// Received while nobody had asked.
    ready: VecDeque<IncomingMessage>,
    paused: bool,
    replies: Option<Client<FutureProducer>>,
}

impl KafkaSource {
    pub(super) async fn connect(settings: &crate::KafkaSource) -> Result<Self, BrokerError> {
        let base = client::config(&settings.servers, settings.user_file.as_deref())?;
        let mut config = base.clone();
        config
            .set("group.id", &settings.group)
            // A new group begins at the beginning: a batch that was sent before us is worked off too.
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.wait.max.ms", "100");
        let consumer: StreamConsumer<Rebalances> = config
            .create_with_context(Rebalances::default())
            .map_err(|error| client::broken(&error))?;
        let source = Self {
            consumer: Client::new(consumer),
            base,
            progress: Progress::default(),
            rebalances_seen: 0,
            put_back: PutBack::default(),
            ready: VecDeque::new(),
            paused: false,
            replies: None,
        };
        let (consumer, topic) = (source.consumer.share(), settings.topic.clone());
        let partitions =
            client::blocking(move || client::partitions(consumer.client(), &topic)).await??;
        if partitions == 0 {
            return Err(client::no_topic(&settings.topic));
        }
        let subscribed = source.consumer.subscribe(&[&settings.topic]);
        subscribed.map_err(|error| client::broken(&error))?;
        Ok(source)
    }

    async fn receive_some(&mut self, limit: usize) -> Result<Vec<IncomingMessage>, BrokerError> {
        loop {
            self.take_arrived(limit)?;
            let mut messages: Vec<_> = self.put_back.due(limit);
            let room = limit - messages.len();
            messages.extend(self.ready.drain(..room.min(self.ready.len())));
            if !messages.is_empty() {
                return Ok(messages);
            }
            let consumer = self.consumer.share();
            tokio::select! {
                received = consumer.recv() => {
                    let received = received.map_err(|error| client::broken(&error))?;
                    self.hold(&received);
                }
                message = self.put_back.next() => return Ok(vec![message]),
            }
        }
    }

    /// Whatever librdkafka has by now; to ask it also tells the group that we are alive.
    fn take_arrived(&mut self, limit: usize) -> Result<(), BrokerError> {
        self.pause_or_resume()?;
        let consumer = self.consumer.share();
        loop {
            let full = self.ready.len() >= limit.min(HELD_MAX);
            match consumer.recv().now_or_never() {
                Some(Ok(received)) => self.hold(&received),
                Some(Err(error)) => return Err(client::broken(&error)),
                None => {
                    self.notice_rebalance();
                    return Ok(());
                }
            }
            if full {
                return self.pause_or_resume();
            }
        }
    }

    fn hold(&mut self, received: &BorrowedMessage<'_>) {
        self.notice_rebalance();
        let (topic, partition, offset) =
            (received.topic(), received.partition(), received.offset());
        let assignment = self.progress.handed_out(topic, partition, offset);
        let token = Token::Offset {
            assignment,
            topic: topic.to_owned(),
            partition,
            offset,
        };
        self.ready.push_back(incoming(received, token));
    }

    /// What was held for an assignment that is over comes again, to us or to another member of the group.
    fn notice_rebalance(&mut self) {
        let rebalances = self.consumer.context().0.load(Ordering::SeqCst);
        if rebalances != self.rebalances_seen {
            self.rebalances_seen = rebalances;
            self.progress.reassigned();
            self.ready.clear();
            self.put_back.retain(|_| false);
            self.paused = false;
        }
    }

    /// Stops fetching while too much is held, so that messages put back again and again cannot fill the memory.
    fn pause_or_resume(&mut self) -> Result<(), BrokerError> {
        let full = self.ready.len() + self.put_back.len() >= HELD_MAX;
        if full == self.paused {
            return Ok(());
        }
        let changed = self.consumer.assignment().and_then(|all| match full {
            true => self.consumer.pause(&all),
            false => self.consumer.resume(&all),
        });
        changed.map_err(|error| client::broken(&error))?;
        self.paused = full;
        Ok(())
    }

    fn settle(&mut self, message: &IncomingMessage) -> Result<(), BrokerError> {
        let (topic, partition, assignment, offset) = place(message)?;
        let frontier = self.progress.settled(topic, partition, assignment, offset);
        let Some(frontier) = frontier else {
            return Ok(());
        };
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(frontier))
            .and_then(|()| self.consumer.commit(&offsets, CommitMode::Async))
            .map_err(|error| client::broken(&error))
    }

    async fn reply_to(
        &mut self,
        message: &IncomingMessage,
        body: Bytes,
    ) -> Result<(), BrokerError> {
        let Some(topic) = message
            .reply_to
            .as_deref()
            .filter(|to| client::is_topic(to))
        else {
            return Ok(());
        };
        let producer = match &self.replies {
            Some(producer) => producer,
            None => self
                .replies
                .insert(Client::new(replies(self.base.clone())?)),
        };
        let mut headers = OwnedHeaders::new().insert(message::Header {
            key: "content-type",
            value: Some("application/json"),
        });
        let correlation = message.header(CORRELATION);
        if let Some(value) = correlation {
            headers = headers.insert(message::Header {
                key: CORRELATION,
                value: Some(value),
            });
        }
        let record = FutureRecord::to(topic)
            .key(correlation.unwrap_or_default())
            .payload(body.as_ref())
            .headers(headers);
        if let Err((error, _)) = producer.send(record, Duration::ZERO).await {
            tracing::debug!(%error, "a reply could not be sent");
        }
        Ok(())
    }
}

fn replies(mut config: ClientConfig) -> Result<FutureProducer, BrokerError> {
    config
        .set("delivery.timeout.ms", "10000")
        .set("request.timeout.ms", "5000")
        // Else a topic that is not there is waited for.
        .set("topic.metadata.propagation.max.ms", "0");
    config.create().map_err(|error| client::broken(&error))
}

fn place(message: &IncomingMessage) -> Result<(&str, i32, u64, i64), BrokerError> {
    match &message.token {
        Token::Offset {
            assignment,
            topic,
            partition,
            offset,
        } => Ok((topic, *partition, *assignment, *offset)),
        _ => Err(BrokerError::Settings(
            "not a message of this source".to_owned(),
        )),
    }
}

fn incoming(received: &BorrowedMessage<'_>, token: Token) -> IncomingMessage {
    let named = received.headers().map(|headers| headers.iter());
    let headers: Vec<Header> = named
        .into_iter()
        .flatten()
        .filter_map(|header| {
            let value = std::str::from_utf8(header.value?).ok()?;
            Some(Header {
                name: header.key.to_owned(),
                value: value.to_owned(),
            })
        })
        .collect();
    let mut message = IncomingMessage {
        subject: received.topic().to_owned(),
        headers,
        body: Bytes::copy_from_slice(received.payload().unwrap_or_default()),
        reply_to: None,
        // Kafka does not count.
        deliveries: 1,
        token,
    };
    message.reply_to = message.header(IncomingMessage::REPLY_TO).map(str::to_owned);
    message
}

impl Source for KafkaSource {
    fn receive(
        &mut self,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<IncomingMessage>, BrokerError>> {
        self.receive_some(limit.max(1)).boxed()
    }

    /// The commit is on its way when this answers; one that is lost makes the message come again.
    fn acknowledge<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        futures_util::future::ready(self.settle(message)).boxed()
    }

    /// Kafka can give back nothing: it is handed out again from memory, and its offset is not committed until then.
    fn put_back<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        let kept = place(message).map(|(topic, partition, assignment, _)| {
            if self.progress.is_current(topic, partition, assignment) {
                self.put_back.add(message, delay);
            }
        });
        futures_util::future::ready(kept).boxed()
    }

    fn extend<'a>(
        &'a mut self,
        _message: &'a IncomingMessage,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        futures_util::future::ready(self.take_arrived(1)).boxed()
    }

    fn reply<'a>(
        &'a mut self,
        message: &'a IncomingMessage,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.reply_to(message, body).boxed()
    }
}
