//! The limits, against a real listener on loopback and with clients that misbehave.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::body::ClientBody;
use super::{accept, enveloped};
use crate::config::ServerConfig;
use crate::problem::Problem;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn hurried() -> ServerConfig {
    ServerConfig {
        header_read_timeout_ms: 150,
        body_idle_timeout_ms: 150,
        body_read_timeout_ms: 400,
        write_idle_timeout_ms: 200,
        shutdown_deadline_ms: 300,
        max_body_bytes: 1000,
        max_upload_bytes: 1000,
        max_header_bytes: 8192,
        max_headers: 10,
        max_connections: 8,
        ..ServerConfig::default()
    }
}

fn router(config: ServerConfig) -> Router {
    let upload = move |request: Request| {
        let config = config.clone();
        async move {
            let body = ClientBody::of_upload(request, &config)?;
            let faults = body.faults();
            let read = body
                .into_stream()
                .try_fold(0_usize, |sum, chunk| async move { Ok(sum + chunk.len()) });
            match read.await {
                Ok(sum) => Ok(sum.to_string().into_response()),
                Err(_) => Err(Problem::from(faults.first().expect("a fault is why"))),
            }
        }
    };
    let endless = || async {
        let chunks =
            futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 65_536]));
        Body::from_stream(chunks)
    };
    let slow = || async {
        // Paced: an endpoint that takes its time.
        tokio::time::sleep(Duration::from_millis(150)).await;
        "slow"
    };
    let stuck = || std::future::pending::<&'static str>();
    enveloped(
        Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/upload", post(upload))
            .route("/endless", get(endless))
            .route("/slow", get(slow))
            .route("/stuck", get(stuck)),
    )
}

async fn start(config: ServerConfig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { accept(listener, router(config.clone()), &config, stop).await }
    });
    Running {
        address,
        stop,
        task,
    }
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("connects");
    socket.write_all(text.as_bytes()).await.expect("sends");
    socket
}

/// Everything until the server closes, which it has to do within five seconds.
async fn rest(mut socket: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut bytes)).await;
    // A connection that is reset has ended as well.
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn check(text: &str, status: &str) {
    let server = start(hurried()).await;
    let answer = rest(send(server.address, text).await).await;
    let line = answer.lines().next().unwrap_or_default();
    assert!(line.contains(status), "{text:?}: {line:?}");
}

const CLOSE: &str = "Host: x\r\nConnection: close\r\n";

#[tokio::test]
async fn a_decent_request_is_answered() {
    check(&format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"), "200").await;
    check(
        &format!("POST /upload HTTP/1.1\r\n{CLOSE}Content-Length: 3\r\n\r\nabc"),
        "200",
    )
    .await;
}

#[tokio::test]
async fn headers_byte_by_byte_are_cut() {
    let server = start(hurried()).await;
    let mut socket = send(server.address, "GET / HTTP/1.1\r\nHost: x\r\n").await;
    let begun = Instant::now();
    let drip = async {
        loop {
            // Paced: a client that sends a byte now and then.
            tokio::time::sleep(Duration::from_millis(20)).await;
            if socket.write_all(b"a").await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), drip)
        .await
        .expect("cut");
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(hurried()).await;
    let socket = send(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(rest(socket).await.contains("200"));
    assert_eq!(rest(send(server.address, "").await).await, "");
}

#[tokio::test]
async fn headers_too_many_or_too_large_are_refused() {
    let many: String = (0..20).map(|n| format!("X-{n}: 1\r\n")).collect();
    check(&format!("GET / HTTP/1.1\r\n{CLOSE}{many}\r\n"), "431").await;
    let large = "a".repeat(20_000);
    check(
        &format!("GET / HTTP/1.1\r\n{CLOSE}X-Large: {large}\r\n\r\n"),
        "431",
    )
    .await;
    check(&format!("GET /{large} HTTP/1.1\r\n{CLOSE}\r\n"), "4").await;
}

#[tokio::test]
async fn bodies_too_large_silent_or_cut_are_refused() {
    let declared = format!("POST /upload HTTP/1.1\r\n{CLOSE}Content-Length: 100000\r\n\r\n");
    check(&declared, "413").await;
    let chunk = format!("400\r\n{}\r\n", "y".repeat(0x400));
    let chunked = format!("POST /upload HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n");
    check(&format!("{chunked}{chunk}"), "413").await;
    check(&format!("{chunked}3\r\nabc\r\n"), "408").await;
    check(&format!("{chunked}zz\r\nabc\r\n"), "400").await;
}

#[tokio::test]
async fn a_request_hidden_behind_a_chunked_one_is_not_answered() {
    let server = start(hurried()).await;
    let text = "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = rest(send(server.address, text).await).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(!answer.contains("hello"));
}

#[tokio::test]
async fn a_client_that_is_still_sending_gets_the_answer_that_refuses_it() {
    let server = start(hurried()).await;
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    let head = format!("POST /upload HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("sends");
    let chunk = format!("10000\r\n{}\r\n", "z".repeat(0x10000));
    for _ in 0..200 {
        socket
            .write_all(chunk.as_bytes())
            .await
            .expect("the connection is not reset");
    }
    assert!(rest(socket).await.contains("413 Payload Too Large"));
}

#[tokio::test]
async fn an_upload_of_a_byte_now_and_then_is_cut() {
    // Never silent for long, but far below the least rate.
    let chunks = futures_util::stream::unfold((), |()| async {
        // Paced: a client that sends a byte now and then; the clock is paused.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>("a"), ()))
    });
    tokio::time::pause();
    let request = Request::post("/")
        .body(Body::from_stream(chunks))
        .expect("request");
    let body =
        ClientBody::of_upload(request, &ServerConfig::default()).expect("no length declared");
    let faults = body.faults();
    let read = body.into_stream().try_for_each(|_| async { Ok(()) });
    assert!(
        tokio::time::timeout(Duration::from_secs(60), read)
            .await
            .expect("cut")
            .is_err()
    );
    assert_eq!(faults.first(), Some(super::body::Fault::TooSlow));
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_cut() {
    let server = start(hurried()).await;
    let mut socket = send(
        server.address,
        &format!("GET /endless HTTP/1.1\r\n{CLOSE}\r\n"),
    )
    .await;
    // Paced: a client that does not read for a while.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    let drain = async {
        while let Ok(count @ 1..) = socket.read(&mut buffer).await {
            read += count;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), drain)
        .await
        .expect("what was sent ends");
    assert!(read > 0);
}

#[tokio::test]
async fn silent_connections_do_not_keep_clients_out() {
    let patient = ServerConfig {
        header_read_timeout_ms: 60_000,
        ..hurried()
    };
    let server = start(patient).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(send(server.address, "GET / HT").await);
    }
    for _ in 0..20 {
        let socket = send(server.address, &format!("GET / HTTP/1.1\r\n{CLOSE}\r\n")).await;
        assert!(rest(socket).await.contains("200"));
    }
}

#[tokio::test]
async fn a_stop_lets_requests_finish_until_the_deadline() {
    let server = start(hurried()).await;
    let slow = send(server.address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let stuck = send(server.address, "GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let idle = send(server.address, "").await;
    // Paced: the requests are to have arrived; more time does no harm.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    assert!(rest(slow).await.contains("slow"));
    assert_eq!(rest(stuck).await, "");
    assert_eq!(rest(idle).await, "");
    server.task.await.expect("stopped");
    assert!(TcpStream::connect(server.address).await.is_err());
}
