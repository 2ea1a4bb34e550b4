//! Each lie of the connection, of the body and of the batch is told and counted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use coffer_testkit::lying_node::Fault;
use serde_json::{Value, json};

use super::{OURS, Scene};

fn client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy();
    Ok(builder
        .redirect(reqwest::redirect::Policy::none())
        .build()?)
}

fn question() -> String {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "eth_getBalance", "params": [OURS, "latest"] })
        .to_string()
}

async fn ask(scene: &Scene, fault: Fault) -> Result<reqwest::Response, reqwest::Error> {
    scene.node.set(fault);
    let client = client().expect("a client");
    let request = client
        .post(scene.node.url())
        .header("content-type", "application/json");
    request
        .timeout(Duration::from_secs(10))
        .body(question())
        .send()
        .await
}

#[tokio::test]
async fn answers_that_are_no_answers() -> Result<()> {
    let scene = Scene::new().await?;
    let html = ask(&scene, Fault::Html).await?;
    assert_eq!(
        (html.status().as_u16(), &html.headers()["content-type"]),
        (200, &"text/html".parse()?)
    );
    assert!(html.text().await?.starts_with('<'));

    let busy = ask(&scene, Fault::TooManyRequests(3)).await?;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (429, &"3".parse()?)
    );
    assert_eq!(
        ask(&scene, Fault::Unavailable).await?.status().as_u16(),
        503
    );
    let elsewhere = "http://127.0.0.1:1/".to_owned();
    let moved = ask(&scene, Fault::Redirect(elsewhere)).await?;
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (302, &"http://127.0.0.1:1/".parse()?)
    );

    let truncated = ask(&scene, Fault::Truncated).await?.text().await?;
    assert!(truncated.starts_with('{') && serde_json::from_str::<Value>(&truncated).is_err());
    let gzip = ask(&scene, Fault::Gzip).await?;
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    assert_ne!(gzip.bytes().await?[..2], [0x1f, 0x8b]);
    let huge = ask(&scene, Fault::Huge(3 << 20)).await?;
    assert_eq!(huge.content_length(), None);
    assert!(huge.bytes().await?.len() > (3 << 20) - (64 << 10));

    let cut = ask(&scene, Fault::Cut).await?;
    assert!(cut.content_length().context("a length")? > 20);
    assert!(cut.bytes().await.is_err());
    assert!(ask(&scene, Fault::Gone).await.is_err());
    for (name, told) in scene.node.told() {
        assert_eq!(told, 1, "{name}");
    }
    assert_eq!(scene.node.told().len(), 9);
    Ok(())
}

#[tokio::test]
async fn late_and_silent() -> Result<()> {
    let scene = Scene::new().await?;
    let start = Instant::now();
    let late = ask(&scene, Fault::Delay(Duration::from_millis(300))).await?;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(late.json::<Value>().await?["result"], "0x7");

    scene.node.set(Fault::Silent);
    let request = client()?.post(scene.node.url()).body(question());
    let silent = request.timeout(Duration::from_millis(300)).send().await;
    assert!(silent.expect_err("nothing comes").is_timeout());
    assert_eq!(
        (
            scene.told(&Fault::Delay(Duration::ZERO)),
            scene.told(&Fault::Silent)
        ),
        (1, 1)
    );

    // Those that wait do not hold up others, nor the end.
    scene.node.be_honest();
    scene.rpc.call("eth_chainId", json!([])).await?;
    Ok(())
}

#[tokio::test]
async fn ids_order_and_number() -> Result<()> {
    let scene = Scene::new().await?;
    let calls = [
        ("eth_chainId", json!([])),
        ("eth_blockNumber", json!([])),
        ("net_version", json!([])),
    ];
    let ids = async |fault: Fault| -> Result<Vec<Value>> {
        scene.node.set(fault);
        let answers = scene.rpc.batch(&calls).await?;
        Ok(answers.iter().map(|answer| answer["id"].clone()).collect())
    };
    assert_eq!(ids(Fault::Shuffled).await?, [2, 1, 0]);
    assert_eq!(ids(Fault::Missing).await?, [0, 1]);
    assert_eq!(
        ids(Fault::WrongId).await?,
        [1_000_000, 1_000_001, 1_000_002]
    );
    assert_eq!(
        ask(&scene, Fault::Missing).await?.json::<Value>().await?,
        json!([])
    );
    assert_eq!(
        ask(&scene, Fault::WrongId).await?.json::<Value>().await?["id"],
        1_000_007
    );
    let told = scene.node.told();
    assert_eq!(
        (told["shuffled"], told["missing"], told["wrong-id"]),
        (1, 2, 2)
    );
    Ok(())
}

#[tokio::test]
async fn a_proxy_without_its_node_says_so() -> Result<()> {
    let scene = Scene::new().await?;
    let Scene { anvil, node, .. } = scene;
    drop(anvil);
    let sent = client()?.post(node.url()).body(question()).send().await?;
    assert_eq!(sent.status().as_u16(), 502);
    let url = node.url();
    drop(node);
    assert!(client()?.post(url).body(question()).send().await.is_err());
    Ok(())
}
