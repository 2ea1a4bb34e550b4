//! How many events a second go to a real broker through [`coffer_brokers::Sink`], beside the same broker's bare client.
//!
//! `cargo xtask bench brokers` runs it. Both sides publish the same bodies to the same place under the same promises (confirmed
//! and persistent, or idempotent), by turns in one run; the ratio of the medians is what counts. The bare client has a thousand
//! messages on their way at any time; the sink waits for all of a batch before the next, as the relay must to move its cursor.

use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_brokers::{OutgoingMessage, Sink, SinkBroker};
use coffer_testkit::BrokerServer;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 9;
/// As many as the relay takes at once.
const BATCH: usize = 1_000;
/// Of a CloudEvents envelope with its data.
const BODY_BYTES: usize = 600;

fn events(count: usize, objects: usize) -> Vec<OutgoingMessage> {
    let event = |number: usize| OutgoingMessage {
        id: format!("evt_{number:026}"),
        organization: "org_01hzy3v7k8e9m2n4p6q8r0s2t4".into(),
        object: format!("dep_{:026}", number % objects),
        kind: "deposit.confirmed".into(),
        body: Bytes::from(vec![b'e'; BODY_BYTES]),
    };
    (0..count).map(event).collect()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

async fn ours(sink: &mut dyn Sink, messages: &[OutgoingMessage]) -> Result<f64, Failure> {
    let start = Instant::now();
    for batch in messages.chunks(BATCH) {
        sink.publish(batch).await?;
    }
    Ok(rate(messages.len(), start.elapsed()))
}

/// A client that knows nothing of Coffer.
trait Bare {
    async fn publish(&mut self, messages: &[OutgoingMessage]) -> Result<f64, Failure>;
}

async fn compare(
    name: &str,
    settings: Value,
    bare: &mut impl Bare,
    count: usize,
) -> Result<(), Failure> {
    let settings: SinkBroker = serde_json::from_value(settings)?;
    let mut sink = settings.connector()?.connect().await?;
    for objects in [BATCH, BATCH / 10] {
        let messages = events(count, objects);
        ours(&mut *sink, &messages[..count / 10]).await?;
        bare.publish(&messages[..count / 10]).await?;
        let (mut through, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            beside.push(bare.publish(&messages).await?);
            through.push(ours(&mut *sink, &messages).await?);
        }
        let (through, beside) = (median(through), median(beside));
        println!(
            "{name}, {count} events about {objects} objects: sink {through:.0}/s, bare client {beside:.0}/s, ratio {:.2}",
            through / beside
        );
    }
    Ok(())
}

mod rabbitmq {
    use std::collections::VecDeque;

    use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
    use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm};

    use super::{Bare, BrokerServer, Failure, Instant, OutgoingMessage, Value, json, rate};

    pub(crate) struct Client {
        channel: Channel,
        _connection: Connection,
    }

    pub(crate) fn settings(broker: &BrokerServer) -> Value {
        json!({ "rabbitmq": {
            "url": format!("amqp://{}/%2f", broker.address()),
            "exchange": "coffer", "queue": "coffer.events", "create": true,
        }})
    }

    impl Client {
        /// To the same quorum queue, through the same exchange.
        pub(crate) async fn connect(broker: &BrokerServer) -> Result<Self, Failure> {
            let url = format!("amqp://{}/%2f", broker.address());
            let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok(Self {
                channel,
                _connection: connection,
            })
        }
    }

    impl Bare for Client {
        async fn publish(&mut self, messages: &[OutgoingMessage]) -> Result<f64, Failure> {
            let start = Instant::now();
            let mut in_flight: VecDeque<PublisherConfirm> = VecDeque::new();
            for message in messages {
                if in_flight.len() >= super::BATCH
                    && let Some(oldest) = in_flight.pop_front()
                {
                    oldest.await?;
                }
                let mandatory = BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                };
                let properties = BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_message_id(message.id.as_str().into());
                let published = self.channel.basic_publish(
                    "coffer".into(),
                    message.path().as_str().into(),
                    mandatory,
                    &message.body,
                    properties,
                );
                in_flight.push_back(published.await?);
            }
            for sent in in_flight {
                sent.await?;
            }
            Ok(rate(messages.len(), start.elapsed()))
        }
    }
}

#[cfg(feature = "kafka")]
mod kafka {
    use std::collections::VecDeque;

    use rdkafka::config::ClientConfig;
    use rdkafka::producer::future_producer::DeliveryFuture;
    use rdkafka::producer::{FutureProducer, FutureRecord};

    use super::{Bare, BrokerServer, Failure, Instant, OutgoingMessage, Value, json, rate};

    pub(crate) struct Client(FutureProducer);

    pub(crate) fn settings(broker: &BrokerServer) -> Value {
        json!({ "kafka": {
            "servers": [broker.address()], "topic": "coffer.events", "create_topic": true,
            "partitions": 4, "replicas": 1,
        }})
    }

    impl Client {
        pub(crate) fn connect(broker: &BrokerServer) -> Result<Self, Failure> {
            let producer = ClientConfig::new()
                .set("bootstrap.servers", broker.address())
                .set("enable.idempotence", "true")
                .set("acks", "all")
                .set("compression.type", "lz4")
                .set("linger.ms", "2")
                .create()?;
            Ok(Self(producer))
        }
    }

    impl Bare for Client {
        async fn publish(&mut self, messages: &[OutgoingMessage]) -> Result<f64, Failure> {
            let start = Instant::now();
            let mut in_flight: VecDeque<DeliveryFuture> = VecDeque::new();
            for message in messages {
                if in_flight.len() >= super::BATCH
                    && let Some(oldest) = in_flight.pop_front()
                {
                    oldest.await?.map_err(|(error, _)| error)?;
                }
                let record = FutureRecord::to("coffer.events")
                    .key(&message.object)
                    .payload(message.body.as_ref());
                let sent = self.0.send_result(record).map_err(|(error, _)| error)?;
                in_flight.push_back(sent);
            }
            for sent in in_flight {
                sent.await?.map_err(|(error, _)| error)?;
            }
            Ok(rate(messages.len(), start.elapsed()))
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap_or_default();
    let count = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    match broker.as_str() {
        "rabbitmq" => {
            let server = BrokerServer::rabbitmq().await?;
            let mut bare = rabbitmq::Client::connect(&server).await?;
            compare("RabbitMQ", rabbitmq::settings(&server), &mut bare, count).await
        }
        #[cfg(feature = "kafka")]
        "kafka" => {
            let server = BrokerServer::kafka().await?;
            let mut bare = kafka::Client::connect(&server)?;
            compare("Kafka (tansu)", kafka::settings(&server), &mut bare, count).await
        }
        other => Err(format!("{other:?}: name a broker (and count): rabbitmq or kafka").into()),
    }
}
