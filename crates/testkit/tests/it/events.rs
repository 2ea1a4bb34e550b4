//! The outbox: complete, in order, told with the change or not at all, and refused once it was tampered with.

use std::collections::HashMap;
use std::time::Duration;

use coffer_domain::event::EventType;
use coffer_domain::id::{EventId, WalletId};
use coffer_domain::vault::GateMode;
use coffer_domain::wallet::Decision;
use coffer_platform::batches::parse::Format;
use coffer_platform::{Answer, Error, Event, EventFilter, Platform, Scope};
use coffer_testkit::{Engine, Installation};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::scene::{
    Workers, assign, colleague, csv, finished, on_both_engines, send, upload, without_pool,
};
use crate::tamper::Owner;

on_both_engines!(
    every_change_is_told_once_in_order,
    pages_of_every_size_give_the_same_events,
    filters_choose_by_type_and_object,
    an_event_is_the_same_after_its_object_changed,
    what_is_edited_or_removed_is_refused,
    readers_are_told_of_news_of_this_and_other_processes,
    a_refused_object_raises_an_alarm,
);

/// Everything, in pages of `limit`.
async fn all(installation: &Installation, platform: &Platform, limit: u32) -> Vec<Event> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = platform
            .events(&installation.admin, &EventFilter::default(), after, limit)
            .await
            .expect("reads");
        assert!(page.items.len() <= limit as usize);
        events.extend(page.items);
        after = page.next;
        if !page.more {
            return events;
        }
    }
}

fn data(event: &Event) -> Value {
    serde_json::from_str(&event.data).expect("data is JSON")
}

/// A batch of `rows`, worked on to its end, and one wallet from the pool.
async fn scene(engine: Engine, rows: u32) -> Installation {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    let ids = (0..rows).map(|n| format!("b{n}"));
    let vault = installation.vault;
    let batch = send(platform, admin, upload(vault, Format::Csv), &csv(ids)).await;
    let workers = Workers::start(platform, 2);
    finished(platform, admin, batch.id).await;
    workers.stop().await;
    assign(platform, admin, vault, "single")
        .await
        .expect("assigned");
    installation
}

async fn every_change_is_told_once_in_order(engine: Engine) {
    let installation = scene(engine, 1500).await;
    let events = all(&installation, &installation.platform, 1000).await;
    for (seq, event) in (1..).zip(&events) {
        assert_eq!(event.seq, seq, "numbers have no gaps");
        assert_eq!(event.id, EventId::of(event.organization, seq));
    }
    let mut created = HashMap::new();
    for event in &events {
        if event.kind == EventType::WalletCreated {
            let data = data(event);
            let name = data["external_id"].as_str().expect("a name").to_owned();
            assert_eq!(event.subject, data["id"].as_str().expect("an id"));
            assert_eq!(data["addresses"].as_array().map(Vec::len), Some(5));
            assert!(created.insert(name, event.subject.clone()).is_none());
        }
    }
    assert_eq!(created.len(), 1501);
    assert!(created.contains_key("b1499") && created.contains_key("single"));
    let of_batch: Vec<EventType> = events
        .iter()
        .filter(|event| event.kind.object() == "batch")
        .map(|event| event.kind)
        .collect();
    assert_eq!(
        of_batch,
        [
            EventType::BatchAccepted,
            EventType::BatchProgressed,
            EventType::BatchCompleted
        ]
    );
    assert_eq!(events[0].kind, EventType::VaultCreated);
}

async fn pages_of_every_size_give_the_same_events(engine: Engine) {
    let installation = scene(engine, 40).await;
    let whole = all(&installation, &installation.platform, 1000).await;
    let other = installation.reopen().await;
    for limit in [1, 2, 7, 39, 41] {
        assert_eq!(all(&installation, &other, limit).await, whole, "{limit}");
    }
    let beyond = installation
        .platform
        .events(
            &installation.admin,
            &EventFilter::default(),
            whole.len() as u64 + 1,
            10,
        )
        .await;
    assert!(matches!(
        beyond,
        Err(Error::Validation {
            field: "cursor",
            ..
        })
    ));
}

async fn filters_choose_by_type_and_object(engine: Engine) {
    let installation = scene(engine, 12).await;
    let events = all(&installation, &installation.platform, 1000).await;
    let check = async |types: &[&str], subject: Option<&str>| {
        let types = types.iter().map(|text| text.parse().expect("a pattern"));
        let filter = EventFilter {
            types: types.collect(),
            subject: subject.map(str::to_owned),
        };
        let expected: Vec<Event> = events
            .iter()
            .filter(|event| filter.matches(event))
            .cloned()
            .collect();
        let found = installation
            .platform
            .events(&installation.admin, &filter, 0, 1000)
            .await
            .expect("reads");
        assert_eq!(found.items, expected);
        assert_eq!(found.next, events.len() as u64, "all was looked at");
        expected.len()
    };
    assert_eq!(check(&["wallet.*"], None).await, 13);
    assert_eq!(check(&["batch.completed", "pool.*"], None).await, 3);
    let wallet = WalletId::of_index(installation.vault, 5).to_string();
    assert_eq!(check(&[], Some(&wallet)).await, 1);
    assert_eq!(check(&["deposit.*"], Some(&wallet)).await, 0);
}

async fn an_event_is_the_same_after_its_object_changed(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    without_pool(platform, admin, installation.vault).await;
    crate::gates::set(&installation, GateMode::Manual).await;
    let assigned = assign(platform, admin, installation.vault, "waits").await;
    let id = assigned.expect("assigned").wallet.id;
    let before = all(&installation, platform, 1000).await;
    let other = colleague(platform, admin, &[Scope::WalletsActivate]).await;
    let activated = platform
        .decide_wallet(&other, id, Decision::Activate, None, None)
        .await;
    assert!(matches!(activated, Ok(Answer::Executed(_))));
    let after = all(&installation, platform, 1000).await;
    assert_eq!(after[..before.len()], before);
    let born = before.last().expect("the wallet's birth");
    assert_eq!(data(born)["state"], "pending");
    assert_eq!(data(born)["addresses"], Value::Array(Vec::new()));
    let activated = after.last().expect("its activation");
    assert_eq!(activated.kind, EventType::WalletActivated);
    assert_eq!(activated.subject, born.subject);
    assert_eq!(
        data(activated)["addresses"].as_array().map(Vec::len),
        Some(5)
    );
}

async fn what_is_edited_or_removed_is_refused(engine: Engine) {
    let installation = scene(engine, 30).await;
    let mut owner = Owner::connect(engine, &installation).await;
    owner.copy_all("saved").await;
    let runs = "form = 'wallets' AND count > 1";
    let cases = [
        format!("UPDATE events SET data = replace(data, 'active', 'pending') WHERE {runs}"),
        format!("UPDATE events SET count = count - 1 WHERE {runs}"),
        format!("UPDATE events SET last_seq = last_seq + 1000 WHERE {runs}"),
        "UPDATE events SET type = 'deposit.confirmed' WHERE last_seq = 1".to_owned(),
        "UPDATE events SET subject = 'x' WHERE last_seq = 1".to_owned(),
        "UPDATE events SET at = at + 1 WHERE last_seq = 1".to_owned(),
        "UPDATE events SET seal = (SELECT seal FROM events WHERE last_seq = 2) WHERE last_seq = 1"
            .to_owned(),
        "DELETE FROM events WHERE last_seq = 2".to_owned(),
        "DELETE FROM events WHERE last_seq = (SELECT max(last_seq) FROM events)".to_owned(),
        "DELETE FROM events".to_owned(),
        "UPDATE wallets SET label = 'x' WHERE external_id = 'b3'".to_owned(),
        "DELETE FROM wallets WHERE external_id = 'b3'".to_owned(),
    ];
    for sql in cases {
        assert!(owner.run(&sql).await > 0, "{sql} changes something");
        for platform in [&installation.platform, &installation.reopen().await] {
            let read = platform
                .events(&installation.admin, &EventFilter::default(), 0, 1000)
                .await;
            assert!(
                matches!(read, Err(Error::Integrity { .. })),
                "{sql}: {read:?}"
            );
        }
        owner.restore(&["events", "wallets"]).await;
    }
    // Nobody believes the head's column where the chain knows better.
    owner
        .run("UPDATE audit_heads SET event_seq = event_seq - 1")
        .await;
    let head = installation
        .platform
        .event_head(installation.admin.organization)
        .await;
    let told = all(&installation, &installation.platform, 1000).await;
    assert_eq!(head.expect("reads"), told.len() as u64);
}

async fn readers_are_told_of_news_of_this_and_other_processes(engine: Engine) {
    let installation = scene(engine, 3).await;
    let organization = installation.admin.organization;
    let reader = installation.platform.clone();
    let other = installation.reopen().await;
    let stop = CancellationToken::new();
    let feed = tokio::spawn({
        let (reader, stop) = (reader.clone(), stop.clone());
        async move { reader.run_event_feed(stop).await }
    });
    for (name, writer) in [("n1", &reader), ("n2", &other)] {
        let head = reader.event_head(organization).await.expect("reads");
        let news = reader.event_news(organization, head);
        let written = assign(writer, &installation.admin, installation.vault, name);
        let (news, written) =
            tokio::join!(tokio::time::timeout(Duration::from_secs(30), news), written);
        written.expect("assigned");
        news.expect("told in time");
        assert!(reader.event_head(organization).await.expect("reads") > head);
    }
    stop.cancel();
    feed.await.expect("ends");
}

async fn a_refused_object_raises_an_alarm(engine: Engine) {
    let installation = scene(engine, 3).await;
    let mut owner = Owner::connect(engine, &installation).await;
    owner
        .run("UPDATE wallets SET label = 'x' WHERE external_id = 'b1'")
        .await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let id = WalletId::of_index(installation.vault, 1);
    let before = platform
        .event_head(admin.organization)
        .await
        .expect("reads");
    let refused = platform.wallet(admin, id).await;
    assert!(matches!(refused, Err(Error::Integrity { .. })));
    let alarms = async || {
        platform.tell_alarms().await.expect("tells");
        let page = platform
            .events(admin, &EventFilter::default(), before, 1000)
            .await
            .expect("reads");
        let about = |event: &&Event| data(event)["object"] == id.to_string();
        page.items.iter().filter(about).count()
    };
    assert_eq!(alarms().await, 1);
    let _ = platform.wallet(admin, id).await;
    assert_eq!(alarms().await, 1, "once an hour");
    installation.clock.advance_ms(60 * 60 * 1000 + 1);
    let _ = platform.wallet(admin, id).await;
    assert_eq!(alarms().await, 2);
}
