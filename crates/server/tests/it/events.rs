//! Events over HTTP: pulled by cursor, followed with resume.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::installation::Installation;

const CSV: (&str, &str) = ("Content-Type", "text/csv");

#[tokio::test(flavor = "multi_thread")]
async fn events_are_pulled_and_followed() {
    let installation = Installation::new().await;
    let client = &installation.client;
    let made = client
        .send(
            "POST",
            "/v1/batches",
            &[CSV],
            b"external_id\nann\nbob\ncyd\n",
        )
        .await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    installation.finished(&id).await;

    let page = client.get("/v1/events?types=wallet.created,batch.*").await;
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    let items = page["items"].as_array().expect("items");
    let of_type = |kind: &str| items.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(of_type("coffer.wallet.created"), 3);
    assert_eq!(of_type("coffer.batch.completed"), 1);
    for event in items {
        assert_eq!(event["specversion"], "1.0");
        assert!(
            event["id"]
                .as_str()
                .is_some_and(|id| id.starts_with("evt_"))
        );
        assert!(
            event["source"]
                .as_str()
                .is_some_and(|source| source.starts_with("/organizations/org_"))
        );
        assert_eq!(event["subject"], event["data"]["id"]);
    }
    let next = page["next_cursor"].as_str().expect("a cursor").to_owned();
    let rest = client
        .get(&format!("/v1/events?cursor={next}"))
        .await
        .json();
    assert_eq!((&rest["items"], &rest["more"]), (&json!([]), &json!(false)));
    assert_eq!(rest["next_cursor"], next.as_str());

    let last: u64 = next.parse().expect("a number");
    let resumed = followed(client, &format!("Last-Event-ID: {}\r\n", last - 2), "", 2).await;
    assert_eq!(sequences(&resumed), [last - 1, last]);
    let from_cursor = followed(client, "", &format!("?cursor={}", last - 1), 1).await;
    assert_eq!(sequences(&from_cursor), [last]);
    let (header, body) = (
        format!("Last-Event-ID: {last}\r\n"),
        json!({ "external_id": "dot" }),
    );
    let (live, made) = tokio::join!(
        followed(client, &header, "?types=wallet.*", 1),
        client.json("POST", "/v1/wallets", &body)
    );
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(live[0]["data"]["external_id"], "dot");
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused() {
    let installation = Installation::new().await;
    let client = &installation.client;
    for (query, field) in [
        ("types=deposits.*", "types"),
        ("types=", "types"),
        ("cursor=x", "cursor"),
        ("cursor=-1", "cursor"),
        ("cursor=4000000000", "cursor"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
    ] {
        for path in ["/v1/events", "/v1/events/stream"] {
            let answer = client.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, 422, "{path}?{query}: {answer:?}");
            assert_eq!(answer.json()["field"], field, "{query}");
        }
    }
    let keyless = client.without_key().get("/v1/events").await;
    assert_eq!(keyless.status, 401);
    installation.stop().await;
}

fn sequences(events: &[Value]) -> Vec<u64> {
    let number = |event: &Value| {
        event["sequence"]
            .as_str()
            .and_then(|text| text.parse().ok())
    };
    events
        .iter()
        .map(|event| number(event).expect("a number"))
        .collect()
}

/// The first `count` events of a stream.
async fn followed(client: &Client, header: &str, query: &str, count: usize) -> Vec<Value> {
    let key = client.key.as_deref().expect("a key");
    let head = format!(
        "GET /v1/events/stream{query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n{header}\r\n"
    );
    let mut socket = TcpStream::connect(client.address).await.expect("connects");
    socket.write_all(head.as_bytes()).await.expect("sends");
    let reading = async {
        let mut text = String::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = socket.read(&mut piece).await.expect("reads");
            assert!(read > 0, "the stream ended: {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..read]));
            let events: Vec<Value> = text
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .filter_map(|data| serde_json::from_str(data).ok())
                .collect();
            if events.len() >= count {
                assert!(text.contains("content-type: text/event-stream"));
                return events;
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
    read.expect("in time")
}
