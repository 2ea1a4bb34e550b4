//! What holds when parts die, clients go away, and the process is told to stop.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::installation::{Installation, config, made};

const CSV: (&str, &str) = ("Content-Type", "text/csv");

fn file(rows: u32) -> String {
    let mut text = String::from("external_id\n");
    for row in 1..=rows {
        writeln!(text, "customer-{row}").expect("a string grows");
    }
    text
}

/// The `coffer-signer` that serves this installation.
fn signer_pid(installation: &Installation) -> Option<rustix::process::Pid> {
    let key_file = installation.folder.path().join("data/keys/vault.key");
    let key_file = key_file.to_str().expect("text").to_owned();
    std::fs::read_dir("/proc")
        .expect("Linux")
        .flatten()
        .find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let is_ours = line.contains("serve") && line.contains(&key_file);
            rustix::process::Pid::from_raw(pid).filter(|_| is_ours)
        })
}

async fn until(client: &Client, path: &str, wanted: impl Fn(u16, &Value) -> bool) {
    let wait = async {
        loop {
            let answer = client.get(path).await;
            if wanted(answer.status, &answer.json()) {
                return;
            }
            // Paced: the pause of a loop under a deadline.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .expect(path);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_was_killed_is_started_again() {
    let installation = Installation::new().await;
    let first = signer_pid(&installation).expect("a signer");
    rustix::process::kill_process(first, rustix::process::Signal::KILL).expect("ours");
    until(&installation.client, "/readyz", |status, ready| {
        status == 503 && ready["checks"]["signer"] == false
    })
    .await;
    until(&installation.client, "/readyz", |status, _| status == 200).await;
    assert_ne!(signer_pid(&installation), Some(first));
    let answer = installation
        .client
        .send(
            "POST",
            "/v1/batches?chains=solana",
            &[CSV],
            file(10).as_bytes(),
        )
        .await;
    let batch = installation
        .finished(answer.json()["id"].as_str().expect("an id"))
        .await;
    assert_eq!(batch["rows_created"], 10);
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing_and_its_key_usable() {
    let installation = Installation::new().await;
    let text = file(5000);
    let key = installation.client.key.clone().expect("the admin's");
    for part in [0, 1, 100, text.len() / 2, text.len() - 1] {
        let mut socket = TcpStream::connect(installation.client.address)
            .await
            .expect("connects");
        let length = text.len();
        let head = format!(
            "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nIdempotency-Key: k\r\n\
             Authorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("sends");
        socket
            .write_all(&text.as_bytes()[..part])
            .await
            .expect("sends");
        socket.shutdown().await.expect("goes away");
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer).await;
        assert!(!answer.contains("HTTP/1.1 2"), "{part}: {answer}");
    }
    assert_eq!(
        installation.client.get("/v1/batches").await.json()["data"],
        json!([])
    );
    let again = installation
        .client
        .send(
            "POST",
            "/v1/batches",
            &[CSV, ("Idempotency-Key", "k")],
            text.as_bytes(),
        )
        .await;
    assert_eq!(again.status, 202, "{again:?}");
    installation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_batch_loses_nothing() {
    let made = made().await;
    let settings = config(&made);
    let installation = Installation::start(made, settings.clone()).await;
    let answer = installation
        .client
        .send("POST", "/v1/batches", &[CSV], file(20_000).as_bytes())
        .await;
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/batches/{id}");
    until(&installation.client, &path, |_, batch| {
        batch["rows_done"].as_u64() > Some(0)
    })
    .await;
    // A follower does not keep the process from stopping.
    let follower = installation.client.clone();
    let events =
        tokio::spawn(async move { follower.get(&format!("/v1/batches/{id}/events")).await });
    // Paced: the follower is to be connected; more time does no harm.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let made = installation.stop().await;
    let events = events.await.expect("no panic").text();
    assert!(
        events.starts_with("event: progress\ndata: {") && !events.contains("event: end"),
        "{events}"
    );

    let again = Installation::start(made, settings).await;
    until(&again.client, &path, |_, batch| {
        batch["state"] == "completed"
    })
    .await;
    let results = again.client.get(&format!("{path}/results")).await.text();
    let mut wallets: Vec<&str> = results
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(3))
        .collect();
    wallets.sort_unstable();
    wallets.dedup();
    assert_eq!(wallets.len(), 20_000, "each row has a wallet of its own");
    let in_order = (0_u32..).zip(results.lines().skip(1));
    for (index, line) in in_order {
        assert!(
            line.starts_with(&format!("{},customer-{},created,", index + 1, index + 1)),
            "{line}"
        );
    }
    again.stop().await;
}
