//! Brokers are killed, paused and robbed under a running `coffer`, which is killed too; nothing is lost or made twice.

use coffer_testkit::broker_proof::{self, Options, TROUBLES, Trouble, Wiring};
use coffer_testkit::programs::program;
use coffer_testkit::serving::{Programs, Template};
use coffer_testkit::{BrokerServer, Engine};

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment what there is"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// As `cargo xtask test --engine` chooses.
fn is_asked_for(engine: &str) -> bool {
    environment("COFFER_TEST_ENGINES")
        .is_none_or(|engines| engines.split(',').any(|name| name == engine))
}

async fn nothing_is_lost_or_made_twice(engine: Engine, wiring: Wiring, broker: BrokerServer) {
    under(&TROUBLES, engine, wiring, broker).await;
}

async fn under(troubles: &[Trouble], engine: Engine, wiring: Wiring, broker: BrokerServer) {
    let folder = program("coffer");
    let folder = folder.parent().expect("a program lies in a folder");
    let programs = Programs::in_folder(folder).expect("the programs are built");
    let server_url = environment("COFFER_TEST_POSTGRES_URL");
    assert!(
        engine == Engine::Sqlite || server_url.is_some(),
        "COFFER_TEST_POSTGRES_URL is not set; run the tests by `cargo xtask test`, which starts a PostgreSQL"
    );
    let template = Template::make(&programs, engine, server_url.as_deref())
        .await
        .expect("an installation");
    let options = Options {
        programs,
        wiring,
        site: template.copy().await.expect("a copy"),
        broker,
        troubles: troubles.to_vec(),
    };
    let summary = broker_proof::run(options)
        .await
        .expect("everything is as it must be");
    eprintln!("{summary:?}");
    assert_eq!(summary.commands, 2 * troubles.len());
}

#[tokio::test]
async fn nats_is_a_door_and_not_the_record_on_sqlite() {
    if is_asked_for("sqlite") {
        let broker = BrokerServer::nats().await.expect("it starts");
        nothing_is_lost_or_made_twice(Engine::Sqlite, Wiring::NATS, broker).await;
    }
}

#[tokio::test]
async fn nats_is_a_door_and_not_the_record_on_postgresql() {
    if is_asked_for("postgres") {
        let broker = BrokerServer::nats().await.expect("it starts");
        nothing_is_lost_or_made_twice(Engine::Postgres, Wiring::NATS, broker).await;
    }
}

#[tokio::test]
async fn rabbitmq_is_a_door_and_not_the_record() {
    if is_asked_for("sqlite") {
        let broker = BrokerServer::rabbitmq().await.expect("it starts");
        nothing_is_lost_or_made_twice(Engine::Sqlite, Wiring::RABBITMQ, broker).await;
    }
}

/// The broker keeps everything in memory: killed, it has lost its data too.
#[cfg(feature = "kafka")]
#[tokio::test]
async fn kafka_is_a_door_and_not_the_record() {
    if is_asked_for("sqlite") {
        let mut troubles = TROUBLES.to_vec();
        troubles.retain(|trouble| *trouble != Trouble::BrokerKilled);
        let broker = BrokerServer::kafka().await.expect("it starts");
        under(&troubles, Engine::Sqlite, Wiring::KAFKA, broker).await;
    }
}
