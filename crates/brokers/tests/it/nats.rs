use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer, stream};
use bytes::Bytes;
use coffer_brokers::{BrokerError, SinkBroker, SourceBroker};
use coffer_testkit::BrokerServer;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::stage::{events, in_time, judge, numbers, receive_all, relay, settings, sink, source};

async fn broker() -> BrokerServer {
    BrokerServer::nats().await.expect("NATS")
}

fn to(address: &str) -> SinkBroker {
    settings(json!({ "nats": {
        "servers": [format!("nats://{address}")], "stream": "EVENTS", "prefix": "coffer", "create_stream": true,
    }}))
}

fn from(address: &str, stream: &str, subject: &str) -> SourceBroker {
    settings(json!({ "nats": {
        "servers": [format!("nats://{address}")], "stream": stream, "subject": subject, "consumer": "reader",
        "create_stream": stream == "WORK",
    }}))
}

/// A client of its own, to see and to do what ours cannot.
async fn bare(address: &str) -> (async_nats::Client, jetstream::Context) {
    let client = async_nats::connect(address).await.expect("a connection");
    (client.clone(), jetstream::new(client))
}

async fn submit(address: &str, numbers: std::ops::Range<usize>) {
    let (_, jetstream) = bare(address).await;
    for number in numbers {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("coffer-reply-to", "replies.erp");
        headers.insert("Idempotency", format!("key {number}"));
        let body = Bytes::from(number.to_string());
        let sent = jetstream
            .publish_with_headers("in.erp", headers, body)
            .await;
        sent.expect("sent").await.expect("stored");
    }
}

async fn refused(connected: Result<(), BrokerError>, word: &str) {
    let error = connected.expect_err(word);
    assert!(
        matches!(&error, BrokerError::Refused(text) if text.contains(word)),
        "{word}: {error}"
    );
}

async fn connect_sink(broker: &SinkBroker) -> Result<(), BrokerError> {
    broker.connector()?.connect().await.map(drop)
}

async fn connect_source(broker: &SourceBroker) -> Result<(), BrokerError> {
    broker.connector()?.connect().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_once_in_order_and_addressed() {
    let broker = broker().await;
    let mut sink = sink(&to(&broker.address())).await;
    let all = events(2_000, 20);
    // The second time is what a relay does that did not hear the confirmation.
    for batch in all.chunks(500).chain(all[1_500..].chunks(500)) {
        in_time("to publish", sink.publish(batch))
            .await
            .expect("published");
    }
    let (_, jetstream) = bare(&broker.address()).await;
    let stream = jetstream.get_stream("EVENTS").await.expect("the stream");
    let first = stream.get_raw_message(1).await.expect("a message");
    assert_eq!(first.subject.as_str(), "coffer.org_1.deposit.dep_0");
    let header = |name: &str| {
        first
            .headers
            .get(name)
            .map(|value| value.as_str().to_owned())
    };
    assert_eq!(header("Nats-Msg-Id"), Some("evt_0".into()));
    assert_eq!(
        header("Content-Type"),
        Some("application/cloudevents+json".into())
    );
    let mut source = source(&from(&broker.address(), "EVENTS", "coffer.>")).await;
    let received = receive_all(&mut *source, 2_000).await;
    judge(&numbers(&received), 2_000, 20);
    assert_eq!(stream.cached_info().state.messages, 2_000, "stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_in_silence_is_refused() {
    let broker = broker().await;
    let address = broker.address();
    let missing: SinkBroker = settings(json!({ "nats": {
        "servers": [format!("nats://{address}")], "stream": "NONE", "prefix": "coffer",
    }}));
    refused(connect_sink(&missing).await, "create_stream").await;

    let (_, jetstream) = bare(&address).await;
    let config = |name: &str, subjects: &str, no_ack: bool| stream::Config {
        name: name.into(),
        subjects: vec![subjects.into()],
        no_ack,
        ..stream::Config::default()
    };
    let made = jetstream
        .create_stream(config("EVENTS", "coffer.>", true))
        .await;
    made.expect("a stream");
    refused(connect_sink(&to(&address)).await, "no_ack").await;
    jetstream.delete_stream("EVENTS").await.expect("deleted");
    let made = jetstream
        .create_stream(config("EVENTS", "other.>", false))
        .await;
    made.expect("a stream");
    refused(connect_sink(&to(&address)).await, "coffer.>").await;

    let made = jetstream.create_stream(config("WORK", "in.>", false)).await;
    let consumer = consumer::pull::Config {
        durable_name: Some("reader".into()),
        filter_subject: "in.>".into(),
        max_deliver: 3,
        ..consumer::pull::Config::default()
    };
    made.expect("a stream")
        .create_consumer(consumer)
        .await
        .expect("a consumer");
    let work = from(&address, "WORK", "in.>");
    refused(connect_source(&work).await, "max_deliver").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_settled_once_or_comes_again() {
    let broker = broker().await;
    let address = broker.address();
    let mut source = source(&from(&address, "WORK", "in.>")).await;
    submit(&address, 0..2).await;

    let first = in_time("to receive", source.receive(1)).await.expect("one");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].subject, "in.erp");
    assert_eq!(first[0].header("idempotency"), Some("key 0"));
    assert_eq!(first[0].reply_to.as_deref(), Some("replies.erp"));
    assert_eq!(first[0].deliveries, 1);
    source
        .put_back(&first[0], Duration::from_secs(1))
        .await
        .expect("put back");
    let put_back = Instant::now();

    let second = in_time("to receive", source.receive(1)).await.expect("one");
    assert_eq!(numbers(&second), [1]);
    source.extend(&second[0]).await.expect("extended");
    source.acknowledge(&second[0]).await.expect("acknowledged");

    let again = in_time("to receive", source.receive(1)).await.expect("one");
    assert_eq!(numbers(&again), [0]);
    assert_eq!(again[0].deliveries, 2);
    assert!(
        put_back.elapsed() >= Duration::from_millis(900),
        "after the delay"
    );
    source.acknowledge(&again[0]).await.expect("acknowledged");
    // What is acknowledged is gone: the stream is a queue of work.
    let (_, jetstream) = bare(&address).await;
    let stream = jetstream.get_stream("WORK").await.expect("the stream");
    assert_eq!(stream.cached_info().state.messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_where_it_was_asked_for() {
    let broker = broker().await;
    let address = broker.address();
    let mut source = source(&from(&address, "WORK", "in.>")).await;
    let (client, _) = bare(&address).await;
    let mut answers = client.subscribe("replies.>").await.expect("a subscription");
    client.flush().await.expect("known to the server");
    submit(&address, 0..1).await;
    let received = in_time("to receive", source.receive(1)).await.expect("one");
    source
        .reply(&received[0], Bytes::from_static(b"{}"))
        .await
        .expect("sent");
    let answer = in_time("an answer", answers.next()).await.expect("one");
    assert_eq!(
        (answer.subject.as_str(), &answer.payload[..]),
        ("replies.erp", &b"{}"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_killed() {
    let mut broker = broker().await;
    let (address, messages) = (broker.address(), events(3_000, 7));
    let connector = to(&address).connector().expect("good settings");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let working = tokio::spawn(async move {
        relay(&*connector, &messages, |batch| {
            let _ = tell.send(batch);
        })
        .await
    });
    for kill_at in [3, 9, 17] {
        while told.recv().await.expect("the relay works") < kill_at {}
        broker.kill();
        broker.start_again().await.expect("it starts again");
    }
    let failures = in_time("the relay", working).await.expect("no panic");
    assert!(failures >= 3, "each kill was felt: {failures}");
    let mut source = source(&from(&address, "EVENTS", "coffer.>")).await;
    let received = receive_all(&mut *source, 3_000).await;
    judge(&numbers(&received), 3_000, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_lost_everything_is_filled_again() {
    let mut broker = broker().await;
    let (address, messages) = (broker.address(), events(600, 5));
    let connector = to(&address).connector().expect("good settings");
    relay(&*connector, &messages[..300], |_| {}).await;
    broker.lose_everything().expect("its folder goes");
    broker.start_again().await.expect("it starts again");
    relay(&*connector, &messages, |_| {}).await;
    let mut source = source(&from(&address, "EVENTS", "coffer.>")).await;
    judge(&numbers(&receive_all(&mut *source, 600).await), 600, 5);
}
