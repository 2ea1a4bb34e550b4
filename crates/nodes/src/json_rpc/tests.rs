use std::time::{Duration, Instant};

use serde_json::json;

use super::batch::BatchSize;
use super::error::{RpcError, shortened};
use super::health::{Health, pause};
use super::message::{answers, request};
use super::{Call, Limits};

fn texts(body: &str, calls: usize) -> Result<Vec<Result<String, RpcError>>, RpcError> {
    let each = answers(body.as_bytes(), 10, calls)?.into_iter();
    Ok(each
        .map(|answer| answer.map(|value| value.get().to_owned()))
        .collect())
}

#[test]
fn answers_find_their_questions() {
    let one = |body: &str| texts(body, 1);
    assert_eq!(
        one(r#"{"id":10,"result":null}"#),
        Ok(vec![Ok("null".to_owned())])
    );
    assert_eq!(one(r#"{"id":11,"result":1}"#), Err(RpcError::WrongId));
    assert_eq!(one(r#"{"result":1}"#), Err(RpcError::WrongId));
    assert!(matches!(one("<html>"), Err(RpcError::NotJson(_))));
    assert!(matches!(
        one(r#"{"id":10,"result":"0x"#),
        Err(RpcError::NotJson(_))
    ));
    assert!(matches!(
        one(r#"{"id":10}"#).as_deref(),
        Ok([Err(RpcError::NotJson(_))])
    ));
    let batch = r#"[{"id":11,"result":"b"},{"id":10,"error":{"code":-5,"message":"no\n!"}}]"#;
    let error = RpcError::Rpc {
        code: -5,
        message: "no !".to_owned(),
    };
    assert_eq!(
        texts(batch, 2),
        Ok(vec![Err(error), Ok("\"b\"".to_owned())])
    );
    let short = texts(r#"[{"id":10,"result":1}]"#, 2).expect("a batch");
    assert_eq!(short[1], Err(RpcError::Missing));
    let twice = r#"[{"id":10,"result":1},{"id":10,"result":2}]"#;
    assert_eq!(texts(twice, 2), Err(RpcError::Duplicate));
    let stranger = r#"[{"id":10,"result":1},{"id":12,"result":2}]"#;
    assert_eq!(texts(stranger, 2), Err(RpcError::WrongId));
    let refused = texts(
        r#"{"id":null,"error":{"code":-32600,"message":"no batches"}}"#,
        2,
    );
    assert!(matches!(refused, Err(RpcError::Rpc { code: -32600, .. })));
}

#[test]
fn a_single_question_goes_without_a_list() {
    let call = Call::new("m", json!([1]));
    let one = request(std::slice::from_ref(&call), 5);
    assert_eq!(
        one,
        br#"{"jsonrpc":"2.0","id":5,"method":"m","params":[1]}"#
    );
    assert!(request(&[call.clone(), call], 5).starts_with(b"["));
}

#[test]
fn batches_halve_and_grow_again() {
    let mut size = BatchSize::new(100);
    size.shrink(100);
    assert_eq!(size.get(), 50);
    size.shrink(3);
    assert_eq!(size.get(), 1);
    size.shrink(1);
    assert_eq!(size.get(), 1);
    for _ in 0..100 {
        size.grow();
    }
    assert_eq!(size.get(), 100);
}

#[test]
fn pauses_double_up_to_a_limit_and_are_spread() {
    let limits = Limits::default();
    assert_eq!(pause(&limits, 0, 1.0), limits.pause_base);
    assert_eq!(pause(&limits, 3, 1.0), limits.pause_base * 8);
    assert_eq!(pause(&limits, 60, 1.0), limits.pause_max);
    assert_eq!(pause(&limits, 60, 0.5), limits.pause_max / 2);
    assert_eq!(pause(&limits, 60, 0.0), Duration::ZERO);
}

#[test]
fn a_node_rests_when_it_asks_for_it_or_fails_again_and_again() {
    let (limits, now) = (Limits::default(), Instant::now());
    let mut health = Health::default();
    health.fail(&RpcError::Timeout, now, &limits, 1.0);
    assert_eq!(health.rest(now), None);
    health.fail(&RpcError::Timeout, now, &limits, 1.0);
    health.fail(&RpcError::Timeout, now, &limits, 1.0);
    assert_eq!(health.rest(now), Some(limits.pause_base));
    health.succeed(Duration::from_millis(3));
    assert_eq!(health.rest(now), None);
    let retry_after = Some(Duration::from_secs(7));
    let busy = RpcError::Status {
        status: 429,
        retry_after,
    };
    health.fail(&busy, now, &limits, 0.0);
    assert_eq!(health.rest(now), retry_after);
    assert_eq!(health.rest(now + Duration::from_secs(8)), None);
    assert!(health.score < 1.0 && health.score > 0.5);
}

#[test]
fn errors_of_nodes_are_told_apart_by_what_can_be_done() {
    let rpc = |code: i64, message: &str| RpcError::Rpc {
        code,
        message: message.to_owned(),
    };
    assert!(rpc(-32601, "").is_unsupported());
    assert!(rpc(-32000, "Method debug_x is not available").is_unsupported());
    assert!(!rpc(-32000, "unknown block").is_unsupported());
    assert!(rpc(-32001, "Resource not found").is_gone());
    assert!(rpc(-32000, "header not found").is_gone());
    assert!(!rpc(-32000, "execution timeout").is_gone());
    assert!(rpc(3, "execution reverted: no").is_reverted());
    assert!(!rpc(-32000, "out of memory").is_reverted());
    assert_eq!(shortened(&"x".repeat(500)).len(), 160);
}
