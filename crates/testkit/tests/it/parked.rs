//! Messages that can never be worked on: kept once, counted, shown to their owner alone, discarded on the record.

use coffer_platform::{Error, Parking};
use coffer_testkit::{Engine, Installation};

use crate::scene::on_both_engines;

fn parking<'a>(installation: &Installation, body: &'a [u8]) -> Parking<'a> {
    Parking {
        organization: installation.admin.organization,
        source: "orders",
        subject: "in.a",
        code: "bad_request",
        reason: "no JSON\0",
        body,
    }
}

async fn a_message_is_parked_once(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let long = vec![b'x'; 100_000];
    let parking = |body| parking(&installation, body);
    let id = platform.park_message(parking(b"{")).await.expect("parked");
    for _ in 0..4 {
        assert_eq!(
            platform.park_message(parking(b"{")).await.expect("parked"),
            id
        );
    }
    let other = platform.park_message(parking(&long)).await.expect("parked");
    assert_ne!(other, id);
    let count = platform.parked_count(admin.organization, "orders").await;
    assert_eq!(count.expect("counted"), 2);
    let page = platform
        .parked_messages(admin, Some("orders"), None, 10)
        .await;
    let page = page.expect("a page");
    assert_eq!(page.next, None);
    let first = page
        .items
        .iter()
        .find(|item| item.id == id)
        .expect("listed");
    assert_eq!((first.times, first.body.as_slice()), (5, &b"{"[..]));
    assert_eq!(first.reason, "no JSON\u{fffd}");
    let second = page
        .items
        .iter()
        .find(|item| item.id == other)
        .expect("listed");
    assert_eq!((second.body.len(), second.body_bytes), (64 << 10, 100_000));
    let none = platform
        .parked_messages(admin, Some("other"), None, 10)
        .await;
    assert!(none.expect("a page").items.is_empty());
    let one = platform
        .parked_messages(admin, None, None, 1)
        .await
        .expect("a page");
    let rest = platform
        .parked_messages(admin, None, one.next, 1)
        .await
        .expect("a page");
    assert_eq!((one.items.len(), rest.items.len(), rest.next), (1, 1, None));
}

async fn a_message_is_discarded_on_the_record_and_refused_once_edited(engine: Engine) {
    let installation = Installation::create(engine).await;
    let (platform, admin) = (&installation.platform, &installation.admin);
    let parking = |body| parking(&installation, body);
    let id = platform.park_message(parking(b"{")).await.expect("parked");
    platform.park_message(parking(b"[")).await.expect("parked");
    platform.discard_parked(admin, id).await.expect("discarded");
    let again = platform.discard_parked(admin, id).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    let records = platform.audit_records(admin, 0, 1000).await.expect("audit");
    let of = |action: &str| {
        records
            .iter()
            .filter(|record| record.action == action)
            .count()
    };
    assert_eq!((of("message.parked"), of("message.discarded")), (2, 1));

    let mut tx = platform.db().write().await.expect("a transaction");
    tx.execute("UPDATE parked_messages SET reason = 'nothing'", &[])
        .await
        .expect("edited");
    tx.commit().await.expect("committed");
    let read = platform.parked_messages(admin, None, None, 10).await;
    assert!(matches!(read, Err(Error::Integrity { .. })), "{read:?}");
}

on_both_engines!(
    a_message_is_parked_once,
    a_message_is_discarded_on_the_record_and_refused_once_edited,
);
