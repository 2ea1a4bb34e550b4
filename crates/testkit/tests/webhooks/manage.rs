//! Making, changing and deleting webhooks, and what is kept of their secrets.

use coffer_domain::webhook::{SendLimits, WebhookState};
use coffer_platform::webhooks::{CreatedWebhook, NewWebhook, RedeliveryRange, WebhookChange};
use coffer_platform::{Answer, Error, NewApiKey, Once, Scope};
use coffer_testkit::Engine;
use coffer_testkit::receiver::{Receiver, Reply};

use super::site::{Notifier, Site, new};
use crate::{on_both_engines, until};

on_both_engines!(
    a_url_must_be_allowed_and_answer,
    a_repeated_creation_has_one_effect_and_keeps_no_secret,
    secrets_are_encrypted_at_rest,
    a_changed_url_gets_what_was_not_delivered,
    a_deleted_webhook_is_told_nothing_more,
    webhooks_of_others_do_not_exist,
);

async fn a_url_must_be_allowed_and_answer(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let receiver = Receiver::start().await;
    receiver.answer(|_| Reply {
        body: "who are you?",
        ..Reply::from(401)
    });
    let created = site.webhook(&receiver).await;
    let check = created.check.expect("it was called");
    assert_eq!((check.status, check.is_success()), (Some(401), false));
    assert_eq!(check.excerpt.as_deref(), Some("who are you?"));
    let test = receiver.arrived();
    assert_eq!(test.len(), 1);
    assert!(test[0].is_signed_with(&created.secret) && !test[0].id.starts_with("evt_"));

    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    for (url, says) in [
        ("http://10.0.0.1:8080/".to_owned(), "private"),
        ("http://[::ffff:127.0.0.1]:8080/".to_owned(), "not allowed"),
        ("ftp://127.0.0.1/".to_owned(), "ftp"),
        ("http://127.0.0.1:22/".to_owned(), "port 22"),
        (format!("http://127.0.0.1:{closed}/"), "no connection"),
        ("http://user@127.0.0.1:8080/".to_owned(), "user name"),
    ] {
        let refused = platform.create_webhook(admin, new(&url), None).await;
        match refused.err() {
            Some(Error::Validation {
                field: "url",
                message,
            }) => assert!(message.contains(says), "{url}: {message}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    let unchecked = NewWebhook {
        check: false,
        ..new(&format!("http://127.0.0.1:{closed}/"))
    };
    assert!(
        platform
            .create_webhook(admin, unchecked, None)
            .await
            .is_ok()
    );
    assert_eq!(platform.webhooks(admin).await.expect("reads").len(), 2);
}

fn render(created: &CreatedWebhook) -> (u16, String) {
    (201, created.view.webhook.id.to_string())
}

async fn a_repeated_creation_has_one_effect_and_keeps_no_secret(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let receiver = Receiver::start().await;
    let once = || {
        Some(Once {
            key: "one",
            fingerprint: [1; 32],
            render: &render,
        })
    };
    let first = platform
        .create_webhook(admin, new(&receiver.url), once())
        .await
        .expect("made");
    let Answer::Executed(created) = first else {
        panic!("nothing to replay")
    };
    let again = platform
        .create_webhook(admin, new(&receiver.url), once())
        .await
        .expect("answered");
    match again {
        Answer::Replayed { status, body } => {
            assert_eq!((status, body), (201, created.view.webhook.id.to_string()));
        }
        Answer::Executed(_) => panic!("a second effect"),
    }
    assert_eq!(platform.webhooks(admin).await.expect("reads").len(), 1);
    assert_eq!(receiver.arrived().len(), 1, "it was called once");
}

async fn secrets_are_encrypted_at_rest(engine: Engine) {
    use base64::Engine as _;
    let site = Site::create(engine).await;
    let receiver = Receiver::start().await;
    let created = site.webhook(&receiver).await;
    let encoded = created
        .secret
        .strip_prefix("whsec_")
        .expect("the documented form");
    let secret = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .expect("base64");
    assert_eq!(secret.len(), 32);
    let mut tx = site.platform().db().read().await.expect("reads");
    let stored = tx
        .fetch("SELECT secret FROM webhooks", &[])
        .await
        .expect("reads");
    let stored = stored[0].blob(0).expect("bytes");
    assert!(!stored.windows(8).any(|window| secret.starts_with(window)));
    let audit = site
        .platform()
        .audit_records(&site.installation.admin, 0, 1000)
        .await
        .expect("reads");
    assert!(audit.iter().all(|record| !record.payload.contains(encoded)));
}

async fn a_changed_url_gets_what_was_not_delivered(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let (old, next) = (Receiver::start().await, Receiver::start().await);
    let created = site.webhook(&old).await;
    let id = created.view.webhook.id;
    old.answer(|_| Reply::from(500));
    let notifier = Notifier::start(platform);
    for number in 0..10 {
        site.wallet(&format!("w-{number}")).await;
    }
    until("it fails", || async {
        site.show(id).await.progress.failing_since_ms.map(|_| ())
    })
    .await;
    let change = WebhookChange {
        url: Some(next.url.clone()),
        description: Some("moved".to_owned()),
        limits: SendLimits::try_new(Some(1000), 2),
        types: None,
    };
    platform
        .set_webhook(admin, id, change.clone())
        .await
        .expect("set");
    site.told(id).await;
    assert_eq!(next.events().len(), 10);
    let view = site.show(id).await;
    assert_eq!(
        (view.webhook.description.as_deref(), view.webhook.version),
        (Some("moved"), 2)
    );
    platform.set_webhook(admin, id, change).await.expect("set");
    assert_eq!(site.show(id).await.webhook.version, 2, "nothing changed");
    let bad = WebhookChange {
        url: Some("http://10.0.0.1:8080/".to_owned()),
        ..WebhookChange::default()
    };
    assert!(matches!(
        platform.set_webhook(admin, id, bad).await,
        Err(Error::Validation { field: "url", .. })
    ));
    notifier.stop().await;
}

async fn a_deleted_webhook_is_told_nothing_more(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let (gone, kept) = (Receiver::start().await, Receiver::start().await);
    let id = site.webhook(&gone).await.view.webhook.id;
    let other = site.webhook(&kept).await.view.webhook.id;
    let notifier = Notifier::start(platform);
    site.wallet("before").await;
    site.told(id).await;
    site.told(other).await;
    platform.delete_webhook(admin, id).await.expect("deleted");
    assert!(matches!(
        platform.webhook(admin, id).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        platform.delete_webhook(admin, id).await,
        Err(Error::NotFound { .. })
    ));
    let again = RedeliveryRange {
        first_seq: Some(1),
        ..RedeliveryRange::default()
    };
    assert!(platform.redeliver(admin, id, &again, None).await.is_err());
    assert_eq!(platform.webhooks(admin).await.expect("reads").len(), 1);
    notifier.stop().await;
    let fresh = site.installation.reopen().await;
    let notifier = Notifier::start(&fresh);
    site.wallet("after").await;
    site.told(other).await;
    notifier.stop().await;
    assert_eq!((gone.events().len(), kept.events().len()), (1, 2));
}

async fn webhooks_of_others_do_not_exist(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let receiver = Receiver::start().await;
    let id = site.webhook(&receiver).await.view.webhook.id;
    let mut stranger = admin.clone();
    stranger.organization = coffer_domain::id::OrganizationId::from_bytes([9; 16]);
    assert!(platform.webhooks(&stranger).await.expect("none").is_empty());
    for refused in [
        platform.webhook(&stranger, id).await.err(),
        platform.test_webhook(&stranger, id).await.err(),
        platform.delete_webhook(&stranger, id).await.err(),
        platform.enable_webhook(&stranger, id, None).await.err(),
        platform
            .rotate_webhook_secret(&stranger, id, 1, None)
            .await
            .err(),
    ] {
        assert!(
            matches!(refused, Some(Error::NotFound { .. })),
            "{refused:?}"
        );
    }
    let new = NewApiKey {
        name: "reader".to_owned(),
        scopes: vec![Scope::WebhooksRead],
        expires_in_days: None,
    };
    assert!(platform.create_api_key(admin, new).await.is_ok());
    assert_eq!(site.show(id).await.webhook.state, WebhookState::Enabled);
}
