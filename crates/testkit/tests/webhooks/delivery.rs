//! What arrives: everything wanted, signed, in order per object, once while nothing goes wrong.

use std::collections::{HashMap, HashSet};

use coffer_domain::id::DeliveryId;
use coffer_domain::vault::GateMode;
use coffer_domain::webhook::SendLimits;
use coffer_platform::webhooks::{DeliveryFilter, NewWebhook, RedeliveryRange, RotatedSecret};
use coffer_platform::{Answer, Platform};
use coffer_testkit::Engine;
use coffer_testkit::receiver::{Arrived, Receiver, Reply};

use super::site::{Notifier, Site, assert_in_order, new, sequence};
use crate::{on_both_engines, until};

on_both_engines!(
    everything_arrives_signed_and_in_order,
    only_what_is_wanted_is_sent,
    two_secrets_sign_until_the_overlap_ends,
    two_processes_do_not_deliver_twice,
    what_was_sent_is_sent_again_when_asked,
    a_rate_is_kept,
);

async fn everything_arrives_signed_and_in_order(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site
        .make(NewWebhook {
            after: Some(0),
            ..new(&receiver.url)
        })
        .await;
    for number in 0..20 {
        site.wallet(&format!("w-{number}")).await;
    }
    site.vault_events(7).await;
    let notifier = Notifier::start(site.platform());
    let id = created.view.webhook.id;
    site.told(id).await;
    site.vault_events(4).await;
    let view = site.told(id).await;
    notifier.stop().await;

    let truth = site.truth().await;
    let events = receiver.events();
    let arrived: HashMap<_, _> = events.iter().map(|one| (one.id.clone(), one)).collect();
    assert_eq!(arrived.len(), events.len(), "nothing came twice");
    assert_eq!(arrived.len(), truth.len());
    for (id, body) in &truth {
        let one = arrived.get(id).expect("it came");
        assert_eq!(
            one.body,
            body.as_bytes(),
            "the same bytes as on every channel"
        );
        assert!(one.is_signed_with(&created.secret));
        assert!(!one.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    }
    assert_in_order(&events);
    assert!(view.progress.failing_since_ms.is_none() && view.progress.last_success_at_ms.is_some());

    let page = site
        .platform()
        .webhook_deliveries(
            &site.installation.admin,
            id,
            &DeliveryFilter::default(),
            (None, 1000),
        )
        .await
        .expect("reads");
    assert_eq!(page.items.len(), truth.len());
    assert!(
        page.items
            .iter()
            .all(|one| one.status == Some(200) && one.attempt == 1)
    );
}

async fn only_what_is_wanted_is_sent(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let types = vec!["wallet.*".parse().expect("a pattern")];
    let created = site
        .make(NewWebhook {
            types,
            ..new(&receiver.url)
        })
        .await;
    let notifier = Notifier::start(site.platform());
    site.vault_events(2).await;
    let wallet = site.wallet("one").await;
    site.told(created.view.webhook.id).await;
    notifier.stop().await;
    let events = receiver.events();
    assert_eq!(events.len(), 1);
    let event = events[0].event();
    assert_eq!(event["type"], "coffer.wallet.created");
    assert_eq!(event["subject"], wallet.as_str());
    assert_eq!(event["id"], events[0].id.as_str());
}

async fn rotated(
    site: &Site,
    platform: &Platform,
    id: coffer_domain::id::WebhookId,
    hours: u32,
) -> RotatedSecret {
    let rotated = platform
        .rotate_webhook_secret(&site.installation.admin, id, hours, None)
        .await;
    match rotated.expect("rotated") {
        Answer::Executed(rotated) => rotated,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

async fn two_secrets_sign_until_the_overlap_ends(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    // A notifier that runs already may send one event more as it knew the webhook.
    let second = rotated(&site, site.platform(), id, 2).await;
    let notifier = Notifier::start(site.platform());
    site.wallet("during").await;
    site.told(id).await;
    let during = receiver.events();
    assert!(during[0].is_signed_with(&created.secret) && during[0].is_signed_with(&second.secret));
    assert_eq!(during[0].signature.split(' ').count(), 2);

    site.installation.clock.advance_ms(3 * 3_600_000);
    site.wallet("after").await;
    site.told(id).await;
    let after = receiver.events();
    let last = after.last().expect("it came");
    assert!(last.is_signed_with(&second.secret) && !last.is_signed_with(&created.secret));
    assert_eq!(last.signature.split(' ').count(), 1);

    let third = rotated(&site, site.platform(), id, 0).await;
    until("the new secret signs", || async {
        let tested = site
            .platform()
            .test_webhook(&site.installation.admin, id)
            .await;
        assert!(tested.expect("sent").is_success());
        let all = receiver.arrived();
        let last = all.last().expect("a test event");
        (last.is_signed_with(&third.secret) && !last.is_signed_with(&second.secret)).then_some(())
    })
    .await;
    notifier.stop().await;
}

async fn two_processes_do_not_deliver_twice(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let other = site.installation.reopen().await;
    let notifiers = [Notifier::start(site.platform()), Notifier::start(&other)];
    for number in 0..30 {
        site.wallet(&format!("w-{number}")).await;
    }
    site.told(created.view.webhook.id).await;
    for notifier in notifiers {
        notifier.stop().await;
    }
    let events = receiver.events();
    let ids: HashSet<_> = events.iter().map(|one| &one.id).collect();
    assert_eq!((events.len(), ids.len()), (30, 30));

    // The lease was given back: another process goes on at once.
    let next = Notifier::start(&other);
    site.wallet("later").await;
    site.told(created.view.webhook.id).await;
    next.stop().await;
    assert_eq!(receiver.events().len(), 31);
}

/// Ranges over three events of a vault and ten of wallets, each with how many it asks for.
fn ranges(
    first: &[Arrived],
    vault: String,
    (delivery, created_at_ms): (DeliveryId, i64),
) -> [(RedeliveryRange, usize); 6] {
    let numbers: Vec<u64> = first.iter().map(sequence).collect();
    let event = first[4].id.parse().expect("an event's id");
    let times = numbers.iter().min().copied();
    [
        (
            RedeliveryRange {
                event: Some(event),
                ..RedeliveryRange::default()
            },
            1,
        ),
        (
            RedeliveryRange {
                delivery: Some(delivery),
                ..RedeliveryRange::default()
            },
            1,
        ),
        (
            RedeliveryRange {
                subject: Some(vault),
                first_seq: times,
                ..RedeliveryRange::default()
            },
            3,
        ),
        (
            RedeliveryRange {
                first_seq: times,
                last_seq: times.map(|seq| seq + 4),
                ..RedeliveryRange::default()
            },
            5,
        ),
        (
            RedeliveryRange {
                from_ms: Some(created_at_ms),
                ..RedeliveryRange::default()
            },
            13,
        ),
        (
            RedeliveryRange {
                until_ms: Some(0),
                ..RedeliveryRange::default()
            },
            0,
        ),
    ]
}

async fn what_was_sent_is_sent_again_when_asked(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    let notifier = Notifier::start(site.platform());
    for number in 0..10 {
        site.wallet(&format!("w-{number}")).await;
    }
    site.vault_events(3).await;
    site.told(id).await;
    let first = receiver.events();
    assert_eq!(first.len(), 13);
    let log = site
        .platform()
        .webhook_deliveries(
            &site.installation.admin,
            id,
            &DeliveryFilter::default(),
            (None, 100),
        )
        .await
        .expect("reads");
    let made = (log.items[2].id, created.view.webhook.created_at_ms);
    let ranges = ranges(&first, site.installation.vault.to_string(), made);
    let mut expected = 13;
    for (range, count) in ranges {
        let asked = site
            .platform()
            .redeliver(&site.installation.admin, id, &range, None)
            .await;
        assert!(matches!(asked, Ok(Answer::Executed(_))), "{range:?}");
        expected += count;
        until("it was sent again", || async {
            (receiver.events().len() == expected).then_some(())
        })
        .await;
    }
    site.told(id).await;
    notifier.stop().await;
    let events = receiver.events();
    assert_eq!(events.len(), expected);
    assert!(events.iter().all(|one| one.is_signed_with(&created.secret)));
    let nothing = RedeliveryRange::default();
    let refused = site
        .platform()
        .redeliver(&site.installation.admin, id, &nothing, None)
        .await;
    assert!(refused.is_err());
}

async fn a_rate_is_kept(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| Reply::from(204));
    let limits = SendLimits::try_new(Some(10), 4).expect("within bounds");
    let created = site
        .make(NewWebhook {
            limits,
            ..new(&receiver.url)
        })
        .await;
    for number in 0..15 {
        site.wallet(&format!("w-{number}")).await;
    }
    site.of_vault(GateMode::Automatic).await;
    let started = std::time::Instant::now();
    let notifier = Notifier::start(site.platform());
    site.told(created.view.webhook.id).await;
    assert!(
        started.elapsed() >= std::time::Duration::from_millis(1400),
        "{:?}",
        started.elapsed()
    );
    notifier.stop().await;
    assert_eq!(receiver.events().len(), 16);
}
