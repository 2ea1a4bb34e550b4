use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_brokers::{BrokerError, SinkBroker, SourceBroker};
use coffer_testkit::{BrokerServer, Wire};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;

use crate::proxy::Proxy;
use crate::stage::{
    events, in_time, judge, number, numbers, receive_all, relay, settings, sink, source,
};

const EVENTS: &str = "coffer.events";
const BATCHES: &str = "coffer.batches";

async fn broker() -> BrokerServer {
    BrokerServer::rabbitmq().await.expect("RabbitMQ")
}

fn to(address: &str) -> SinkBroker {
    settings(json!({ "rabbitmq": {
        "url": format!("amqp://{address}/%2f"), "exchange": "coffer", "queue": EVENTS,
        "create": true, "confirm_timeout_ms": 2_000,
    }}))
}

fn from(address: &str, queue: &str, prefetch: u16) -> SourceBroker {
    settings(json!({ "rabbitmq": {
        "url": format!("amqp://{address}/%2f"), "queue": queue, "create": queue == BATCHES,
        "prefetch": prefetch,
    }}))
}

/// A client of its own, to see and to do what ours cannot.
async fn bare(address: &str) -> (Connection, Channel) {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&format!("amqp://{address}/%2f"), properties).await;
    let connection = connection.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

async fn submit(channel: &Channel, queue: &str, numbers: std::ops::Range<usize>) {
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.expect("confirms");
    for number in numbers {
        let properties = BasicProperties::default()
            .with_reply_to("answers".into())
            .with_correlation_id(format!("c{number}").as_str().into())
            .with_headers(FieldTable::from(std::collections::BTreeMap::from([(
                "Idempotency-Key".into(),
                AMQPValue::LongString(format!("key {number}").into()),
            )])));
        let body = number.to_string();
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(
            "".into(),
            queue.into(),
            options,
            body.as_bytes(),
            properties,
        );
        sent.await.expect("sent").await.expect("confirmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_whole_in_order_and_addressed() {
    let broker = broker().await;
    let mut sink = sink(&to(&broker.address())).await;
    for batch in events(2_000, 20).chunks(500) {
        in_time("to publish", sink.publish(batch))
            .await
            .expect("published");
    }

    let (_connection, channel) = bare(&broker.address()).await;
    let got = channel.basic_get(EVENTS.into(), BasicGetOptions::default());
    let got = got.await.expect("an answer").expect("a message").delivery;
    assert_eq!(got.routing_key.as_str(), "org_1.deposit.dep_0");
    let properties = &got.properties;
    assert_eq!(
        properties.message_id().as_ref().map(ToString::to_string),
        Some("evt_0".into())
    );
    assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
    assert_eq!(
        properties.content_type().as_ref().map(ToString::to_string),
        Some("application/cloudevents+json".into())
    );
    // It goes back to the head of the queue when this connection ends.
    drop((channel, _connection));

    let mut source = source(&from(&broker.address(), EVENTS, 100)).await;
    let received = receive_all(&mut *source, 2_000).await;
    let first = received.iter().position(|message| number(message) == 0);
    let mut numbers = numbers(&received);
    // Only where the broker put it back may it stand elsewhere than first.
    numbers.remove(first.expect("it came"));
    numbers.insert(0, 0);
    judge(&numbers, 2_000, 20);
    assert_eq!(received.len(), 2_000, "nothing came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_queue_takes_is_refused() {
    let broker = broker().await;
    let lonely: SinkBroker = settings(json!({ "rabbitmq": {
        "url": format!("amqp://{}/%2f", broker.address()), "exchange": "lonely", "create": true,
    }}));
    let mut sink = sink(&lonely).await;
    let error = sink
        .publish(&events(3, 3))
        .await
        .expect_err("nothing is bound");
    assert!(
        matches!(&error, BrokerError::Refused(text) if text.contains("evt_0") && text.contains("bind a queue")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_of_another_kind_is_refused() {
    let broker = broker().await;
    let refused = |broker: SinkBroker, what: &'static str| async move {
        let connected = broker.connector().expect("good settings").connect().await;
        let error = connected.err().expect(what);
        assert!(matches!(error, BrokerError::Refused(_)), "{what}: {error}");
    };
    let missing = json!({ "rabbitmq": {
        "url": format!("amqp://{}/%2f", broker.address()), "exchange": "nowhere",
    }});
    refused(settings(missing), "no such exchange").await;

    let (_connection, channel) = bare(&broker.address()).await;
    let declared = channel.queue_declare(
        EVENTS.into(),
        QueueDeclareOptions::durable(),
        FieldTable::default(),
    );
    declared.await.expect("a classic queue");
    refused(to(&broker.address()), "not a quorum queue").await;

    let secret = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(secret.path(), "guest:wrong-word").expect("written");
    let wrong: SinkBroker = settings(json!({ "rabbitmq": {
        "url": format!("amqp://{}/%2f", broker.address()), "exchange": "coffer",
        "user_file": secret.path(),
    }}));
    let connected = wrong.connector().expect("good settings").connect().await;
    let error = connected.err().expect("a wrong password").to_string();
    assert!(!error.contains("wrong-word"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_killed() {
    let mut broker = broker().await;
    let (address, messages) = (broker.address(), events(3_000, 7));
    let connector = to(&address).connector().expect("good settings");
    drop(connector.connect().await.expect("the queue is made"));
    broker.remembers(EVENTS).await.expect("it writes it down");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let working = tokio::spawn(async move {
        relay(&*connector, &messages, |batch| {
            let _ = tell.send(batch);
        })
        .await
    });
    // Three times, each a few batches further on.
    for kill_at in [3, 9, 17] {
        while told.recv().await.expect("the relay works") < kill_at {}
        broker.kill();
        broker.start_again().await.expect("it starts again");
    }
    let failures = in_time("the relay", working).await.expect("no panic");
    assert!(failures >= 3, "each kill was felt: {failures}");

    let mut source = source(&from(&address, EVENTS, 200)).await;
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
    // The exchange and the queue are made again with the connection; the cursor has been put back to the beginning.
    relay(&*connector, &messages, |_| {}).await;
    let mut source = source(&from(&address, EVENTS, 200)).await;
    judge(&numbers(&receive_all(&mut *source, 600).await), 600, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_broker_is_given_up_in_time_and_taken_up_again() {
    let broker = broker().await;
    let (address, messages) = (broker.address(), events(400, 5));
    let mut sink = sink(&to(&address)).await;
    sink.publish(&messages[..200]).await.expect("published");
    broker.pause().expect("it runs");
    let start = Instant::now();
    let error = sink
        .publish(&messages[200..])
        .await
        .expect_err("nobody confirms");
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "it waited for the confirmation"
    );
    drop(sink);
    broker.resume().expect("it runs");

    let connector = to(&address).connector().expect("good settings");
    relay(&*connector, &messages[200..], |_| {}).await;
    let mut source = source(&from(&address, EVENTS, 200)).await;
    judge(&numbers(&receive_all(&mut *source, 400).await), 400, 5);
}

/// How many of these messages, of which no confirmation ever arrives, are sent all the same.
async fn sent_without_confirmation(objects: usize) -> u32 {
    let broker = broker().await;
    let proxy = Proxy::start(Wire::listener().await, broker.address());
    let mut sink = sink(&to(&proxy.address())).await;
    proxy.swallow_answers(true);
    let error = sink
        .publish(&events(4, objects))
        .await
        .expect_err("nobody confirms");
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
    drop(sink);

    let (_connection, channel) = bare(&broker.address()).await;
    let waiting = || async {
        let options = QueueDeclareOptions::default().passive();
        let queue = channel.queue_declare(EVENTS.into(), options, FieldTable::default());
        queue.await.expect("it is there").message_count()
    };
    let arrived = waiting().await;

    // The same ids come again; a consumer that knows them sees each once.
    proxy.swallow_answers(false);
    let connector = to(&proxy.address()).connector().expect("good settings");
    relay(&*connector, &events(4, objects), |_| {}).await;
    assert_eq!(waiting().await, arrived + 4);
    let mut source = source(&from(&broker.address(), EVENTS, 200)).await;
    judge(&numbers(&receive_all(&mut *source, 4).await), 4, objects);
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_that_never_come_hold_back_what_is_about_the_same_object() {
    // Of one object's events the second waits for the confirmation of the first, or a broker that refuses the first and
    // takes the second would turn them round.
    assert_eq!(sent_without_confirmation(1).await, 1);
    // Of different objects they go out together.
    assert_eq!(sent_without_confirmation(4).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_settled_comes_again_and_what_is_does_not() {
    let mut broker = broker().await;
    let address = broker.address();
    let mut first = source(&from(&address, BATCHES, 10)).await;
    let (connection, channel) = bare(&address).await;
    submit(&channel, BATCHES, 0..3).await;
    drop((channel, connection));
    broker.remembers(BATCHES).await.expect("it writes it down");

    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(
            in_time("to receive", first.receive(10))
                .await
                .expect("messages"),
        );
    }
    assert_eq!(held[0].header("Idempotency-Key"), Some("key 0"));
    assert_eq!(
        (held[0].reply_to.as_deref(), held[0].deliveries),
        (Some("answers"), 1)
    );
    first.acknowledge(&held[1]).await.expect("acknowledged");
    first.extend(&held[0]).await.expect("alive");
    drop(first);

    let mut second = source(&from(&address, BATCHES, 10)).await;
    let mut again = Vec::new();
    while again.len() < 2 {
        again.extend(
            in_time("to receive", second.receive(10))
                .await
                .expect("messages"),
        );
    }
    let mut seen = numbers(&again);
    seen.sort_unstable();
    assert_eq!(seen, [0, 2]);
    assert!(
        again.iter().all(|message| message.deliveries >= 2),
        "the broker counts"
    );

    // Killed while they are in hand: nothing is settled, and all come again.
    broker.kill();
    let told = in_time("to be told", second.receive(10)).await;
    assert!(matches!(told, Err(BrokerError::Unavailable(_))), "{told:?}");
    drop(second);
    broker.start_again().await.expect("it starts again");
    let mut third = source(&from(&address, BATCHES, 10)).await;
    let mut again = Vec::new();
    while again.len() < 2 {
        again.extend(
            in_time("to receive", third.receive(10))
                .await
                .expect("messages"),
        );
    }
    let mut seen = numbers(&again);
    seen.sort_unstable();
    assert_eq!(seen, [0, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_comes_after_its_delay_and_the_prefetch_bounds_what_is_held() {
    let broker = broker().await;
    let address = broker.address();
    let mut source = source(&from(&address, BATCHES, 2)).await;
    let (_connection, channel) = bare(&address).await;
    submit(&channel, BATCHES, 0..4).await;

    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(
            in_time("to receive", source.receive(10))
                .await
                .expect("messages"),
        );
    }
    assert_eq!(numbers(&held), [0, 1], "no more than the prefetch");
    let delay = Duration::from_millis(700);
    let start = Instant::now();
    source.put_back(&held[0], delay).await.expect("put back");
    let again = in_time("to receive", source.receive(10))
        .await
        .expect("messages");
    assert_eq!((numbers(&again), again[0].deliveries), (vec![0], 2));
    assert!(start.elapsed() >= delay, "not before its time");

    source.acknowledge(&held[1]).await.expect("acknowledged");
    let next = in_time("to receive", source.receive(10))
        .await
        .expect("messages");
    assert_eq!(numbers(&next), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_to_its_queue_and_a_bad_one_harms_nobody() {
    let broker = broker().await;
    let address = broker.address();
    let mut source = source(&from(&address, BATCHES, 5)).await;
    let (_connection, channel) = bare(&address).await;
    let answers = channel.queue_declare(
        "answers".into(),
        QueueDeclareOptions::durable(),
        FieldTable::default(),
    );
    answers.await.expect("a queue");
    submit(&channel, BATCHES, 7..8).await;
    let mut message = in_time("to receive", source.receive(1))
        .await
        .expect("messages")
        .remove(0);

    let body = Bytes::from_static(br#"{"batch":"bat_1"}"#);
    source.reply(&message, body.clone()).await.expect("sent");
    let mut answer = None;
    in_time("the answer", async {
        while answer.is_none() {
            let got = channel.basic_get("answers".into(), BasicGetOptions { no_ack: true });
            answer = got.await.expect("an answer");
        }
    })
    .await;
    let answer = answer.expect("it came").delivery;
    assert_eq!(answer.data, body);
    let correlation = answer
        .properties
        .correlation_id()
        .as_ref()
        .map(ToString::to_string);
    assert_eq!(correlation.as_deref(), Some("c7"));

    for queue in ["nobody".to_owned(), "x".repeat(300)] {
        message.reply_to = Some(queue);
        source
            .reply(&message, body.clone())
            .await
            .expect("at most once");
    }
    source.acknowledge(&message).await.expect("still connected");
}
