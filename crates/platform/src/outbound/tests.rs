use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::signature::{SigningKey, sign};
use super::url::UrlRefusal;
use super::{Answer, GuardedClient, LookUp, NameResolver, Outbound, SendError};

/// A resolver double: it gives its answers one after the other and the last one for ever, as a name server with a
/// lifetime of 0 may.
struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

impl Answers {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl NameResolver for Answers {
    fn look_up(&self, _: &str) -> LookUp {
        let mut answers = self.0.lock().expect("no test panics in here");
        let answer = match answers.len() {
            0 => Vec::new(),
            1 => answers[0].clone(),
            _ => answers.pop_front().expect("it has some"),
        };
        Box::pin(async move { io::Result::Ok(answer) })
    }
}

fn outbound(allow: &[&str], resolver: Arc<dyn NameResolver>) -> Outbound {
    Outbound {
        allow: allow.iter().map(|text| text.parse().expect(text)).collect(),
        http: true,
        ports: vec!["1-65535".parse().expect("a range")],
        resolver,
    }
}

fn strict() -> GuardedClient {
    outbound(&[], Answers::of(&[&["127.0.0.1"]])).webhooks()
}

async fn call(client: &GuardedClient, url: &str, most: usize) -> Result<Answer, String> {
    let target = client.target(url).map_err(|error| error.to_string())?;
    let headers = sign(&[SigningKey::new(&[1; 32])], "evt_1", 0, b"{}");
    let body = ("application/json", Bytes::from_static(b"{}"));
    let answer = client.post(&target, headers, body, most).await;
    answer.map_err(|error: SendError| error.kind().to_owned())
}

/// Listens where nothing may arrive.
struct Trap(TcpListener);

impl Trap {
    async fn set() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let port = listener.local_addr().expect("bound").port();
        (Self(listener), port)
    }

    /// Connections are accepted in the order in which they came: the first one is this test's own.
    async fn is_empty(self) -> bool {
        let port = self.0.local_addr().expect("bound").port();
        let mut own = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("connects");
        own.write_all(b"ours").await.expect("writes");
        let (mut first, _) = self.0.accept().await.expect("accepts");
        let mut word = [0; 4];
        first.read_exact(&mut word).await.is_ok() && &word == b"ours"
    }
}

#[tokio::test]
async fn no_trick_of_a_url_reaches_a_forbidden_address() {
    let (trap, port) = Trap::set().await;
    let client = strict();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "１２７.０.０.１",
        "127。0。0。1",
        "ⓛocalhost",
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.0.192",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let answer = call(&client, &url, 10).await;
            let error = answer.expect_err(&url);
            let refused = error.contains("not allowed") || error == "forbidden_address";
            assert!(refused, "{url}: {error}");
        }
    }
    assert!(trap.is_empty().await);
}

#[tokio::test]
async fn schemes_user_names_zones_and_odd_texts_are_refused() {
    let (trap, port) = Trap::set().await;
    let client = strict();
    for url in [
        format!("file://127.0.0.1:{port}/etc/passwd"),
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.1:{port}/_x"),
        format!("ftp://127.0.0.1:{port}/"),
        format!("ws://127.0.0.1:{port}/"),
        "data:text/plain,x".to_owned(),
        "javascript:alert(1)".to_owned(),
        format!("http://user@hooks.example:{port}/"),
        format!("http://user:password@hooks.example:{port}/"),
        format!("http://@hooks.example:{port}/"),
        format!("http://hooks.example@127.0.0.1:{port}/"),
        format!("http://[fe80::1%25lo]:{port}/"),
        format!("http://[fe80::1%lo]:{port}/"),
        format!("http:\\\\127.0.0.1:{port}\\"),
        format!("http://hooks.example\t:{port}/"),
        format!("http://hooks.example:{port}/a b"),
        format!("http://hooks.example:{port}/#part"),
        format!("http://hooks.example:{port}/{}", "a".repeat(3000)),
        "http://".to_owned(),
        "//127.0.0.1/".to_owned(),
        "http://127.0.0.1:99999/".to_owned(),
        String::new(),
    ] {
        assert!(client.target(&url).is_err(), "{url}");
    }
    assert!(trap.is_empty().await);
}

#[test]
fn https_and_the_ports_of_web_servers_are_the_default() {
    let client = Outbound::default().webhooks();
    for url in [
        "https://hooks.example/",
        "https://hooks.example:8443/a?b=c",
        "https://1.1.1.1/",
    ] {
        assert!(client.target(url).is_ok(), "{url}");
    }
    assert_eq!(
        client.target("http://hooks.example/"),
        Err(UrlRefusal::Http)
    );
    for port in [22, 25, 5432, 6379, 9000] {
        let url = format!("https://hooks.example:{port}/");
        assert_eq!(client.target(&url), Err(UrlRefusal::Port(port)));
    }
}

#[tokio::test]
async fn a_name_is_refused_when_one_of_its_addresses_is() {
    let (trap, port) = Trap::set().await;
    for answer in [
        &["127.0.0.1"][..],
        &["1.1.1.1", "127.0.0.1"],
        &["2606:4700:4700::1111", "::ffff:127.0.0.1"],
        &["169.254.169.254"],
    ] {
        let client = outbound(&[], Answers::of(&[answer])).webhooks();
        let url = format!("http://hooks.example:{port}/");
        assert_eq!(
            call(&client, &url, 10).await,
            Err("forbidden_address".to_owned()),
            "{answer:?}"
        );
    }
    let client = outbound(&[], Answers::of(&[&[]])).webhooks();
    let url = format!("http://hooks.example:{port}/");
    assert_eq!(
        call(&client, &url, 10).await,
        Err("no_such_host".to_owned())
    );
    assert!(trap.is_empty().await);
}

/// Answers one request on each connection with `answer`, and counts nothing.
async fn receiver(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        }
    });
    port
}

#[tokio::test]
async fn a_name_that_moves_between_two_calls_is_judged_again() {
    // The second address is this host's too, and only the first is allowed.
    let port =
        receiver(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    let resolver = Answers::of(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = outbound(&["127.0.0.1/32"], resolver).webhooks();
    let trap = TcpListener::bind(("127.0.0.2", port)).await.expect("binds");
    let url = format!("http://hooks.example:{port}/");
    let first = call(&client, &url, 10).await.expect("allowed");
    assert_eq!((first.status, first.body.as_slice()), (200, &b"ok"[..]));
    assert_eq!(
        call(&client, &url, 10).await,
        Err("forbidden_address".to_owned())
    );
    let mut own = TcpStream::connect(("127.0.0.2", port))
        .await
        .expect("connects");
    own.write_all(b"ours").await.expect("writes");
    let (mut arrived, _) = trap.accept().await.expect("accepts");
    let mut word = [0; 4];
    arrived.read_exact(&mut word).await.expect("reads");
    assert_eq!(&word, b"ours");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (trap, port) = Trap::set().await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
    );
    let from = receiver(answer.leak().as_bytes()).await;
    let client = outbound(&["127.0.0.0/8"], Answers::of(&[&["127.0.0.1"]])).webhooks();
    let url = format!("http://hooks.example:{from}/");
    assert_eq!(
        call(&client, &url, 10).await.expect("an answer").status,
        307
    );
    assert!(trap.is_empty().await);
}

#[tokio::test]
async fn of_an_endless_answer_only_the_beginning_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("bound").port();
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.expect("writes");
        // Until the caller has had enough.
        while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {}
    });
    let client = outbound(&["127.0.0.0/8"], Answers::of(&[&["127.0.0.1"]])).webhooks();
    let answer = call(&client, &format!("http://hooks.example:{port}/"), 1000).await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.body.len(), answer.cut), (1000, true));
    endless.await.expect("ends");
}

/// The clock is the runtime's own: it jumps to the next timer as soon as nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_says_nothing_costs_a_bounded_time() {
    let (trap, port) = Trap::set().await;
    let client = outbound(&["127.0.0.0/8"], Answers::of(&[&["127.0.0.1"]])).webhooks();
    let started = tokio::time::Instant::now();
    let answer = call(&client, &format!("http://hooks.example:{port}/"), 1000).await;
    assert_eq!(answer, Err("timeout".to_owned()));
    assert!(started.elapsed() <= std::time::Duration::from_secs(11));
    drop(trap);
}

#[tokio::test]
async fn tls_asks_for_the_name_of_the_url_at_the_pinned_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("bound").port();
    let hello = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut hello = vec![0; 4096];
        let length = stream.read(&mut hello).await.expect("reads");
        hello.truncate(length);
        hello
    });
    let client = outbound(&["127.0.0.0/8"], Answers::of(&[&["127.0.0.1"]])).webhooks();
    let answer = call(&client, &format!("https://hooks.example:{port}/"), 10).await;
    assert!(answer.is_err());
    let hello = hello.await.expect("a client hello");
    let name = b"hooks.example";
    assert!(hello.windows(name.len()).any(|window| window == name));
}

#[test]
fn a_gate_hook_may_be_private_and_never_of_the_metadata() {
    let client = Outbound::default().gate_hook();
    for url in [
        "https://10.1.2.3/kyc",
        "https://[fd12::1]:9000/",
        "http://127.0.0.1:9000/",
        "https://127.0.0.1/",
    ] {
        assert!(client.target(url).is_ok(), "{url}");
    }
    for url in [
        "https://169.254.169.254/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "http://10.1.2.3/",
    ] {
        assert!(client.target(url).is_err(), "{url}");
    }
}

#[test]
fn networks_and_ports_are_read_strictly() {
    let net = |text: &str| text.parse::<super::Cidr>();
    assert!(
        net("10.0.0.0/8")
            .expect("valid")
            .contains("10.255.0.1".parse().expect("ip"))
    );
    assert!(
        !net("10.0.0.0/8")
            .expect("valid")
            .contains("::ffff:10.0.0.1".parse().expect("ip"))
    );
    assert!(
        net("0.0.0.0/0")
            .expect("valid")
            .contains("8.8.8.8".parse().expect("ip"))
    );
    assert!(
        net("fd00::/8")
            .expect("valid")
            .contains("fdff::1".parse().expect("ip"))
    );
    for bad in [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0/8",
        "localhost",
        "fd00::/129",
        "",
    ] {
        assert!(net(bad).is_err(), "{bad}");
    }
    for bad in ["0", "70000", "9-8", "a", "", "1-"] {
        assert!(bad.parse::<super::PortRange>().is_err(), "{bad}");
    }
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(net("127.0.0.1").expect("valid").contains(loopback));
}
