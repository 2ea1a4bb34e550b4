//! Receivers that fail, are slow, down or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_domain::webhook::{DeliveryResult, WebhookState};
use coffer_platform::webhooks::{DeliveryFilter, RedeliveryRange};
use coffer_platform::{Answer, Error};
use coffer_testkit::Engine;
use coffer_testkit::receiver::{Receiver, Reply};

use super::site::{Notifier, Site, assert_in_order, new};
use crate::{on_both_engines, until};

on_both_engines!(
    a_poison_event_is_tried_again_and_holds_up_its_object_alone,
    after_three_days_an_event_is_parked_and_can_be_sent_again,
    a_receiver_that_is_down_costs_no_rows_and_misses_nothing,
    a_receiver_that_is_gone_is_disabled_and_goes_on_when_enabled,
    after_three_days_of_silence_a_webhook_is_disabled,
    a_slow_receiver_delays_nobody_else,
    a_receiver_may_ask_for_a_pause,
);

const DAY_MS: i64 = 24 * 3_600_000;

async fn a_poison_event_is_tried_again_and_holds_up_its_object_alone(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let (vault, healed) = (
        site.installation.vault.to_string(),
        Arc::new(AtomicBool::new(false)),
    );
    let well = Arc::clone(&healed);
    receiver.answer(move |one| {
        let poison = one.event()["subject"] == vault.as_str() && !well.load(Ordering::SeqCst);
        Reply::from(if poison { 500 } else { 200 })
    });
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    let notifier = Notifier::start(site.platform());
    site.vault_events(3).await;
    for number in 0..10 {
        site.wallet(&format!("w-{number}")).await;
    }
    let view = until("the others are told", || async {
        let view = site.show(id).await;
        (view.progress.lag == 0).then_some(view)
    })
    .await;
    assert_eq!(view.progress.open, 3, "the poison, and the two behind it");
    let succeeded = receiver
        .events()
        .iter()
        .filter(|one| one.is_success())
        .count();
    assert_eq!(succeeded, 10);
    healed.store(true, Ordering::SeqCst);
    until("its time comes", || async {
        site.installation.clock.advance_ms(10_000);
        (site.show(id).await.progress.open == 0).then_some(())
    })
    .await;
    notifier.stop().await;
    let events = receiver.events();
    assert_in_order(&events);
    assert_eq!(events.iter().filter(|one| one.is_success()).count(), 13);
}

async fn after_three_days_an_event_is_parked_and_can_be_sent_again(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let vault = site.installation.vault.to_string();
    let of = vault.clone();
    receiver.answer(move |one| {
        Reply::from(if one.event()["subject"] == of.as_str() {
            400
        } else {
            200
        })
    });
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    let notifier = Notifier::start(site.platform());
    site.vault_events(1).await;
    site.wallet("other").await;
    until("it is known to fail by itself", || async {
        (site.show(id).await.progress.open == 1).then_some(())
    })
    .await;
    site.installation.clock.advance_ms(3 * DAY_MS);
    let view = until("it is parked", || async {
        let view = site.show(id).await;
        (view.progress.parked == 1).then_some(view)
    })
    .await;
    assert_eq!((view.progress.open, view.progress.lag), (0, 0));
    let parked = DeliveryFilter {
        result: Some(DeliveryResult::Parked),
        ..DeliveryFilter::default()
    };
    let page = site
        .platform()
        .webhook_deliveries(&site.installation.admin, id, &parked, (None, 10))
        .await;
    let page = page.expect("reads");
    assert_eq!(
        (page.items.len(), page.items[0].subject.as_str()),
        (1, vault.as_str())
    );

    receiver.answer(|_| Reply::from(200));
    let again = RedeliveryRange {
        delivery: Some(page.items[0].id),
        ..RedeliveryRange::default()
    };
    let asked = site
        .platform()
        .redeliver(&site.installation.admin, id, &again, None)
        .await;
    assert!(matches!(asked, Ok(Answer::Executed(_))));
    until("it arrives", || async {
        let events = receiver.events();
        let came = |one: &&coffer_testkit::receiver::Arrived| {
            one.is_success() && one.id == page.items[0].event_id
        };
        events.iter().find(came).map(|_| ())
    })
    .await;
    notifier.stop().await;
}

async fn rows(site: &Site, table: &str) -> i64 {
    let mut tx = site.platform().db().read().await.expect("reads");
    let sql = format!("SELECT count(*) FROM {table}");
    tx.fetch(sql, &[]).await.expect("reads")[0]
        .int(0)
        .expect("a number")
}

async fn a_receiver_that_is_down_costs_no_rows_and_misses_nothing(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| Reply::from(503));
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    let before = site.show(id).await.progress.told_to;
    for number in 0..60 {
        site.wallet(&format!("w-{number}")).await;
    }
    let notifier = Notifier::start(site.platform());
    let down = until("it counts as down", || async {
        let view = site.show(id).await;
        view.progress.paused_until_ms.is_some().then_some(view)
    })
    .await;
    assert_eq!((down.progress.told_to, down.progress.open), (before, 0));
    assert!(down.progress.failing_since_ms.is_some());
    for _ in 0..5 {
        site.installation.clock.advance_ms(3_600_000);
        let asked = receiver.events().len();
        until("it is asked again", || async {
            (receiver.events().len() > asked).then_some(())
        })
        .await;
    }
    // A process that dies meanwhile forgets nothing.
    notifier.stop().await;
    let view = site.show(id).await;
    assert_eq!((view.progress.told_to, view.progress.open), (before, 0));
    assert!(
        rows(&site, "webhook_deliveries").await < 60,
        "attempts, not events"
    );
    receiver.answer(|_| Reply::from(200));
    let other = site.installation.reopen().await;
    let notifier = Notifier::start(&other);
    until("it is told all", || async {
        site.installation.clock.advance_ms(20_000);
        let view = site.show(id).await;
        (view.progress.lag == 0 && view.progress.open == 0).then_some(())
    })
    .await;
    notifier.stop().await;
    let events = receiver.events();
    assert_eq!(events.iter().filter(|one| one.is_success()).count(), 60);
    assert_in_order(&events);
}

async fn a_receiver_that_is_gone_is_disabled_and_goes_on_when_enabled(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let (id, admin) = (created.view.webhook.id, &site.installation.admin);
    receiver.answer(|_| Reply::from(410));
    let notifier = Notifier::start(site.platform());
    site.wallet("one").await;
    let view = until("it is disabled", || async {
        let view = site.show(id).await;
        (view.webhook.state != WebhookState::Enabled).then_some(view)
    })
    .await;
    let reason = view.webhook.state.reason().expect("a reason").to_owned();
    assert!(reason.contains("410"), "{reason}");
    site.wallet("two").await;
    receiver.answer(|_| Reply::from(200));
    let enabled = site.platform().enable_webhook(admin, id, None).await;
    assert!(matches!(enabled, Ok(Answer::Executed(_))));
    site.told(id).await;
    notifier.stop().await;
    let delivered = receiver
        .events()
        .iter()
        .filter(|one| one.is_success())
        .count();
    assert_eq!(delivered, 2, "nothing of meanwhile is left out");
    let audit = site
        .platform()
        .audit_records(admin, 0, 1000)
        .await
        .expect("reads");
    let disabled = audit
        .iter()
        .find(|record| record.action == "webhook.disabled")
        .expect("is recorded");
    assert_eq!(disabled.actor, "notifier");
}

async fn after_three_days_of_silence_a_webhook_is_disabled(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    receiver.answer(|_| Reply::from(502));
    let notifier = Notifier::start(site.platform());
    for number in 0..8 {
        site.wallet(&format!("w-{number}")).await;
    }
    until("it counts as down", || async {
        site.show(id).await.progress.paused_until_ms.map(|_| ())
    })
    .await;
    site.installation.clock.advance_ms(3 * DAY_MS);
    until("it is disabled", || async {
        (site.show(id).await.webhook.state != WebhookState::Enabled).then_some(())
    })
    .await;
    assert_eq!(site.show(id).await.progress.parked, 0);
    receiver.answer(|_| Reply::from(200));
    let enabled = site
        .platform()
        .enable_webhook(&site.installation.admin, id, None)
        .await;
    assert!(matches!(enabled, Ok(Answer::Executed(_))));
    site.told(id).await;
    notifier.stop().await;
    let delivered = receiver
        .events()
        .iter()
        .filter(|one| one.is_success())
        .count();
    assert_eq!(delivered, 8);
}

async fn a_slow_receiver_delays_nobody_else(engine: Engine) {
    let site = Site::create(engine).await;
    let (slow, fast) = (Receiver::start().await, Receiver::start().await);
    let slow_one = site.webhook(&slow).await;
    let fast_one = site.webhook(&fast).await;
    slow.answer(|_| Reply {
        silent: true,
        ..Reply::from(200)
    });
    let notifier = Notifier::start(site.platform());
    for number in 0..40 {
        site.wallet(&format!("w-{number}")).await;
    }
    site.told(fast_one.view.webhook.id).await;
    let waiting = site.show(slow_one.view.webhook.id).await;
    assert!(waiting.progress.lag > 0);
    assert_eq!(fast.events().len(), 40);
    assert!(slow.events().len() <= 16, "its own concurrency bounds it");
    notifier.stop().await;
}

async fn a_receiver_may_ask_for_a_pause(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let id = created.view.webhook.id;
    receiver.answer(|_| Reply {
        header: Some(("retry-after", "1200".to_owned())),
        ..Reply::from(429)
    });
    let notifier = Notifier::start(site.platform());
    site.wallet("one").await;
    let view = until("it is paused", || async {
        let view = site.show(id).await;
        view.progress.paused_until_ms.is_some().then_some(view)
    })
    .await;
    let until_ms = view.progress.paused_until_ms.expect("paused");
    let left = until_ms - site.installation.clock_ms();
    assert!((1_000_000..=1_200_000).contains(&left), "{left}");
    receiver.answer(|_| Reply::from(200));
    site.wallet("two").await;
    site.installation.clock.advance_ms(600_000);
    assert_eq!(receiver.events().len(), 1, "it is left alone");
    site.installation.clock.advance_ms(700_000);
    site.told(id).await;
    notifier.stop().await;
    assert_eq!(
        receiver
            .events()
            .iter()
            .filter(|one| one.is_success())
            .count(),
        2
    );
    let refused = site
        .platform()
        .create_webhook(&site.installation.admin, new("http://127.0.0.1:22/"), None)
        .await;
    assert!(matches!(
        refused,
        Err(Error::Validation { field: "url", .. })
    ));
}
