//! The database's owner edits webhooks behind Coffer's back.

use coffer_testkit::Engine;
use coffer_testkit::receiver::Receiver;

use super::site::{Notifier, Site};
use crate::{on_both_engines, until};

on_both_engines!(
    no_edited_row_is_used,
    a_row_put_back_is_refused,
    a_place_moved_while_it_is_delivered_is_noticed,
);

/// Every column that a seal covers, with another value.
fn edits(evil: &str, engine: Engine) -> Vec<String> {
    let bytes = match engine {
        Engine::Sqlite => format!("x'{}'", "07".repeat(72)),
        Engine::Postgres => format!("'\\x{}'", "07".repeat(72)),
    };
    let of_webhook = [
        format!("url = '{evil}'"),
        "types = 'deposit.*'".to_owned(),
        "description = 'x'".to_owned(),
        "state = 'disabled', reason = 'x'".to_owned(),
        "state = 'deleted'".to_owned(),
        "rate_per_second = 1".to_owned(),
        "concurrency = 2".to_owned(),
        format!("secret = {bytes}"),
        format!("previous_secret = {bytes}, previous_until = 99999999999999"),
        "created_at = 1".to_owned(),
        "version = 2".to_owned(),
        format!("seal = {bytes}"),
    ];
    let of_progress = [
        "told_to = told_to + 1",
        "told_to = 0",
        "open_events = '[{\"seq\":1,\"subject\":\"x\"}]'",
        "failing_since = 1",
        "failures = 9",
        "paused_until = 99999999999999",
        "next_number = 99",
        "moves = 99",
    ];
    let webhooks = of_webhook
        .iter()
        .map(|set| format!("UPDATE webhooks SET {set}"));
    let progress = of_progress
        .iter()
        .map(|set| format!("UPDATE webhook_progress SET {set}"));
    let removed = ["DELETE FROM webhooks", "DELETE FROM webhook_progress"].map(str::to_owned);
    webhooks.chain(progress).chain(removed).collect()
}

/// Makes copies of both tables, to put everything back.
async fn save(site: &Site) {
    for table in ["webhooks", "webhook_progress"] {
        let sql = format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}");
        site.installation.database.tamper(&sql).await;
    }
}

async fn put_back(site: &Site) {
    for table in ["webhooks", "webhook_progress"] {
        let sql = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table}");
        site.installation.database.tamper(&sql).await;
    }
}

async fn no_edited_row_is_used(engine: Engine) {
    let site = Site::create(engine).await;
    let (receiver, evil) = (Receiver::start().await, Receiver::start().await);
    let id = site.webhook(&receiver).await.view.webhook.id;
    site.wallet("one").await;
    save(&site).await;
    for sql in edits(&evil.url, engine) {
        let changed = site.installation.database.tamper(&sql).await;
        assert!(changed > 0, "{sql}");
        assert!(site.refused(id).await, "shown after {sql}");
        let listed = site.platform().webhooks(&site.installation.admin).await;
        assert!(listed.is_err(), "listed after {sql}");
        let fresh = site.installation.reopen().await;
        let tested = fresh.test_webhook(&site.installation.admin, id).await;
        let notifier = Notifier::start(&fresh);
        assert!(
            tested.is_err() || sql.contains("webhook_progress"),
            "tested after {sql}"
        );
        notifier.stop().await;
        put_back(&site).await;
    }
    assert!(evil.arrived().is_empty(), "nothing went elsewhere");
    assert!(receiver.events().is_empty());
    let notifier = Notifier::start(site.platform());
    site.told(id).await;
    notifier.stop().await;
    assert_eq!(receiver.events().len(), 1, "what was put back works on");
}

async fn a_row_put_back_is_refused(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let id = site.webhook(&receiver).await.view.webhook.id;
    save(&site).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    assert!(
        platform
            .rotate_webhook_secret(admin, id, 0, None)
            .await
            .is_ok()
    );
    put_back(&site).await;
    assert!(site.refused(id).await, "the old secret would sign again");
    assert!(platform.test_webhook(admin, id).await.is_err());
}

async fn a_place_moved_while_it_is_delivered_is_noticed(engine: Engine) {
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let id = site.webhook(&receiver).await.view.webhook.id;
    save(&site).await;
    let notifier = Notifier::start(site.platform());
    site.wallet("one").await;
    site.told(id).await;
    // The lease stays as it is: only the sealed part of an older row comes back.
    let older = "UPDATE webhook_progress SET (told_to, open_events, next_number, moves, seal, last_success_at) = \
        (SELECT told_to, open_events, next_number, moves, seal, last_success_at FROM saved_webhook_progress)";
    site.installation.database.tamper(older).await;
    site.wallet("two").await;
    until("both came, the first again", || async {
        (receiver.events().len() >= 3).then_some(())
    })
    .await;
    site.told(id).await;
    notifier.stop().await;
    let ids: std::collections::HashSet<_> =
        receiver.events().into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 2, "twice, and none left out");
}
