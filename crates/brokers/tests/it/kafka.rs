use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_brokers::{BrokerError, SinkBroker, SourceBroker};
use coffer_testkit::{BrokerServer, Wire};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::json;

use crate::proxy::Proxy;
use crate::stage::{events, in_time, judge, number, numbers, relay, settings, sink, source};

const EVENTS: &str = "coffer.events";
const BATCHES: &str = "coffer.batches";
const PARTITIONS: u16 = 4;

async fn broker() -> BrokerServer {
    BrokerServer::kafka().await.expect("tansu")
}

fn to(address: &str) -> SinkBroker {
    settings(json!({ "kafka": {
        "servers": [address], "topic": EVENTS, "create_topic": true, "partitions": PARTITIONS,
        "replicas": 1, "confirm_timeout_ms": 4_000,
    }}))
}

fn from(address: &str, topic: &str) -> SourceBroker {
    settings(json!({ "kafka": { "servers": [address], "topic": topic, "group": "coffer" } }))
}

fn bare(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

async fn make_topic(address: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = bare(address).create().expect("an admin");
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await;
    made.expect("an answer").remove(0).expect("a topic");
}

async fn submit(address: &str, topic: &str, numbers: std::ops::Range<usize>) {
    let producer: FutureProducer = bare(address).create().expect("a producer");
    for number in numbers {
        let body = number.to_string();
        let headers = [
            ("Idempotency-Key", "key"),
            ("Coffer-Reply-To", "answers"),
            ("Coffer-Correlation-Id", "c"),
        ];
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| {
                let value = Some(format!("{value} {number}"));
                all.insert(Header {
                    key,
                    value: value.as_ref(),
                })
            });
        let record = FutureRecord::to(topic)
            .key("all")
            .payload(&body)
            .headers(headers);
        producer
            .send(record, Duration::from_secs(30))
            .await
            .expect("sent");
    }
}

/// Everything in a topic by now, each partition in its order, read without a group. What is "now" a last message in each
/// partition says: tansu 0.6.0 tells a high watermark that is too low.
async fn everything(address: &str, topic: &str) -> Vec<OwnedMessage> {
    const LAST: &[u8] = b"last";
    let consumer: BaseConsumer = bare(address)
        .set("group.id", "reader")
        .set("fetch.wait.max.ms", "50")
        .create()
        .expect("a consumer");
    let (patience, topic) = (Duration::from_secs(30), topic.to_owned());
    let metadata = consumer
        .fetch_metadata(Some(&topic), patience)
        .expect("an answer");
    let producer: FutureProducer = bare(address).create().expect("a producer");
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let record = FutureRecord::<[u8], [u8]>::to(&topic)
            .partition(partition.id())
            .key(LAST);
        producer.send(record, patience).await.expect("sent");
        all.add_partition_offset(&topic, partition.id(), Offset::Beginning)
            .expect("an offset");
    }
    let read = tokio::task::spawn_blocking(move || {
        consumer.assign(&all).expect("assigned");
        let (mut messages, mut open) = (Vec::new(), all.count());
        while open > 0 {
            let polled = consumer.poll(patience).expect("a message in time");
            let message = polled.expect("a message").detach();
            match message.key() {
                Some(LAST) => open -= 1,
                _ => messages.push(message),
            }
        }
        messages
    });
    in_time("to read everything", read).await.expect("no panic")
}

fn text(message: &OwnedMessage) -> &str {
    std::str::from_utf8(message.payload().unwrap_or_default()).expect("text")
}

fn read_numbers(messages: &[OwnedMessage]) -> Vec<usize> {
    messages
        .iter()
        .map(|message| text(message).parse().expect("a number"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_whole_in_order_and_by_object() {
    let broker = broker().await;
    let mut sink = sink(&to(&broker.address())).await;
    for batch in events(2_000, 20).chunks(500) {
        in_time("to publish", sink.publish(batch))
            .await
            .expect("published");
    }
    let messages = everything(&broker.address(), EVENTS).await;
    assert_eq!(messages.len(), 2_000, "nothing came twice");
    judge(&read_numbers(&messages), 2_000, 20);

    let mut partition_of = HashMap::new();
    for message in &messages {
        let key = message.key().expect("a key").to_vec();
        let partition = *partition_of.entry(key).or_insert(message.partition());
        assert_eq!(partition, message.partition(), "one object, one partition");
    }
    assert_eq!(partition_of.len(), 20);
    let headers = messages[0].headers().expect("headers");
    let value = |name: &str| {
        let found = headers.iter().find(|header| header.key == name);
        found
            .and_then(|header| header.value)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(
        value("message-id"),
        Some(format!("evt_{}", text(&messages[0])))
    );
    assert_eq!(
        value("content-type").as_deref(),
        Some("application/cloudevents+json")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_refused_and_who_is_silent_is_unavailable() {
    let mut broker = broker().await;
    let missing: SinkBroker = settings(json!({ "kafka": {
        "servers": [broker.address()], "topic": "nowhere",
    }}));
    let connector = missing.connector().expect("good settings");
    let error = connector.connect().await.err().expect("no such topic");
    assert!(matches!(error, BrokerError::Refused(_)), "{error}");
    let nowhere = from(&broker.address(), "nowhere")
        .connector()
        .expect("good settings");
    let error = nowhere.connect().await.err().expect("no such topic");
    assert!(matches!(error, BrokerError::Refused(_)), "{error}");

    broker.kill();
    let error = connector.connect().await.err().expect("nobody there");
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_killed_and_lost_everything_is_filled_again() {
    let mut broker = broker().await;
    let (address, messages) = (broker.address(), events(3_000, 7));
    let connector = to(&address).connector().expect("good settings");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let working = {
        let (connector, messages) = (connector.clone(), messages.clone());
        tokio::spawn(async move {
            relay(&*connector, &messages, |batch| {
                let _ = tell.send(batch);
            })
            .await
        })
    };
    for kill_at in [3, 15] {
        while told.recv().await.expect("the relay works") < kill_at {}
        broker.kill();
        broker.start_again().await.expect("it starts again");
    }
    let failures = in_time("the relay", working).await.expect("no panic");
    assert!(failures >= 2, "each kill was felt: {failures}");

    // Memory is all it has, so the beginning is gone; the cursor is put back.
    relay(&*connector, &messages, |_| {}).await;
    let read = read_numbers(&everything(&address, EVENTS).await);
    for object in 0..7 {
        let of_object: Vec<_> = read.iter().filter(|number| *number % 7 == object).collect();
        let whole: Vec<_> = (object..3_000).step_by(7).collect();
        let last = &of_object[of_object.len() - whole.len()..];
        assert!(
            last.iter().copied().eq(&whole),
            "object {object}, whole and in order"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_broker_is_given_up_in_time_and_taken_up_again() {
    let broker = broker().await;
    let (address, messages) = (broker.address(), events(400, 5));
    let mut sink = sink(&to(&address)).await;
    sink.publish(&messages[..200]).await.expect("published");
    broker.pause().expect("it runs");
    let start = Instant::now();
    let published = in_time("to give up", sink.publish(&messages[200..])).await;
    let error = published.expect_err("nobody confirms");
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
    assert!(
        start.elapsed() >= Duration::from_secs(3),
        "it waited for the confirmation"
    );
    drop(sink);
    broker.resume().expect("it runs");

    let connector = to(&address).connector().expect("good settings");
    relay(&*connector, &messages[200..], |_| {}).await;
    judge(&read_numbers(&everything(&address, EVENTS).await), 400, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_that_never_come_make_the_same_events_come_again() {
    let listener = Wire::listener().await;
    let port = listener.local_addr().expect("it listens").port();
    let broker = BrokerServer::kafka_behind(port).await.expect("tansu");
    let proxy = Proxy::start(listener, broker.address());
    let mut sink = sink(&to(&proxy.address())).await;
    sink.publish(&events(10, 5)).await.expect("published");
    proxy.swallow_answers(true);
    let published = in_time("to give up", sink.publish(&events(200, 5)[10..])).await;
    let error = published.expect_err("nobody confirms");
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
    drop(sink);

    proxy.swallow_answers(false);
    let connector = to(&proxy.address()).connector().expect("good settings");
    relay(&*connector, &events(200, 5)[10..], |_| {}).await;
    let read = read_numbers(&everything(&proxy.address(), EVENTS).await);
    assert!(
        read.len() > 200,
        "what was not confirmed had arrived all the same"
    );
    judge(&read, 200, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_settled_without_a_gap_does_not_come_again() {
    let broker = broker().await;
    let address = broker.address();
    make_topic(&address, BATCHES, 1).await;
    submit(&address, BATCHES, 0..4).await;

    let mut first = source(&from(&address, BATCHES)).await;
    let mut held = Vec::new();
    while held.len() < 4 {
        held.extend(
            in_time("to receive", first.receive(10))
                .await
                .expect("messages"),
        );
    }
    assert_eq!(numbers(&held), [0, 1, 2, 3]);
    assert_eq!(held[1].header("idempotency-key"), Some("key 1"));
    assert_eq!(held[1].reply_to.as_deref(), Some("answers 1"));
    // 0 is done, 1 is still being worked on, 2 is done.
    first.acknowledge(&held[0]).await.expect("acknowledged");
    first.acknowledge(&held[2]).await.expect("acknowledged");
    first.extend(&held[1]).await.expect("alive");
    drop(first);

    let mut second = source(&from(&address, BATCHES)).await;
    let mut again = Vec::new();
    while again.len() < 3 {
        again.extend(
            in_time("to receive", second.receive(10))
                .await
                .expect("messages"),
        );
    }
    assert_eq!(numbers(&again), [1, 2, 3]);
    for message in again.iter().rev() {
        second.acknowledge(message).await.expect("acknowledged");
    }
    drop(second);

    submit(&address, BATCHES, 9..10).await;
    let mut third = source(&from(&address, BATCHES)).await;
    let next = in_time("to receive", third.receive(10))
        .await
        .expect("messages");
    assert_eq!(numbers(&next), [9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_comes_after_its_delay_and_a_reply_goes_to_its_topic() {
    let broker = broker().await;
    let address = broker.address();
    make_topic(&address, BATCHES, 1).await;
    make_topic(&address, "answers", 1).await;
    submit(&address, BATCHES, 0..2).await;

    let mut source = source(&from(&address, BATCHES)).await;
    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(
            in_time("to receive", source.receive(10))
                .await
                .expect("messages"),
        );
    }
    let delay = Duration::from_millis(700);
    let start = Instant::now();
    source.put_back(&held[0], delay).await.expect("put back");
    let again = in_time("to receive", source.receive(10))
        .await
        .expect("messages");
    assert_eq!((numbers(&again), again[0].deliveries), (vec![0], 2));
    assert!(start.elapsed() >= delay, "not before its time");

    let body = Bytes::from_static(br#"{"batch":"bat_1"}"#);
    let mut message = held.remove(1);
    for topic in ["answers", "no such topic", "nobody-made-this"] {
        message.reply_to = Some(topic.to_owned());
        let replied = source.reply(&message, body.clone());
        in_time("to reply", replied).await.expect("at most once");
    }
    let answers = everything(&address, "answers").await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].payload(), Some(&body[..]));
    assert_eq!(answers[0].key(), Some(&b"c 1"[..]));
    source.acknowledge(&message).await.expect("still connected");
    assert_eq!(number(&message), 1);
}
