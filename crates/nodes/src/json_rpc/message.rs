//! Requests and answers as text, without the network.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{RpcError, shortened};

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

impl Call {
    pub(crate) fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }
}

pub(crate) type Answer = Result<Box<RawValue>, RpcError>;

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(default)]
    id: Option<Value>,
    // `Option` would make a result of `null` no result.
    #[serde(default, borrow)]
    result: Present<'a>,
    #[serde(default, borrow)]
    error: Option<ErrorObject<'a>>,
}

#[derive(Default)]
struct Present<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Present<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(from).map(|value| Self(Some(value)))
    }
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(default)]
    code: i64,
    #[serde(default, borrow)]
    message: Cow<'a, str>,
}

/// The body of a request; a single question goes without the list.
pub(crate) fn request(calls: &[Call], first_id: u64) -> Vec<u8> {
    let requests = calls.iter().zip(first_id..).map(|(call, id)| Request {
        jsonrpc: "2.0",
        id,
        method: call.method,
        params: &call.params,
    });
    let requests: Vec<Request<'_>> = requests.collect();
    let body = match requests.as_slice() {
        [one] => serde_json::to_vec(one),
        many => serde_json::to_vec(many),
    };
    body.expect("texts and numbers always serialize")
}

/// The answers in the order of the questions, whatever order they came in.
pub(crate) fn answers(body: &[u8], first_id: u64, calls: usize) -> Result<Vec<Answer>, RpcError> {
    let not_json = |error: serde_json::Error| RpcError::NotJson(shortened(&error.to_string()));
    if calls == 1 {
        let response: Response<'_> = serde_json::from_slice(body).map_err(not_json)?;
        return Ok(vec![one(&response, first_id)?]);
    }
    let Ok(responses) = serde_json::from_slice::<Vec<Response<'_>>>(body) else {
        // A node that takes no batch says so with one error for all.
        let response: Response<'_> = serde_json::from_slice(body).map_err(not_json)?;
        return Err(match answer(&response) {
            Err(error @ RpcError::Rpc { .. }) => error,
            _ => RpcError::Missing,
        });
    };
    let mut by_id: HashMap<u64, Answer> = HashMap::with_capacity(responses.len());
    for response in &responses {
        let id = response.id.as_ref().and_then(Value::as_u64);
        let id = id.filter(|id| id.checked_sub(first_id).is_some_and(|at| at < calls as u64));
        let id = id.ok_or(RpcError::WrongId)?;
        if by_id.insert(id, answer(response)).is_some() {
            return Err(RpcError::Duplicate);
        }
    }
    let in_order = (first_id..).take(calls);
    Ok(in_order
        .map(|id| by_id.remove(&id).unwrap_or(Err(RpcError::Missing)))
        .collect())
}

/// An error without an id is one about the request as a whole.
fn one(response: &Response<'_>, id: u64) -> Result<Answer, RpcError> {
    let right = match &response.id {
        None | Some(Value::Null) => response.error.is_some(),
        Some(found) => found.as_u64() == Some(id),
    };
    if !right {
        return Err(RpcError::WrongId);
    }
    Ok(answer(response))
}

fn answer(response: &Response<'_>) -> Answer {
    match (&response.error, response.result.0) {
        (Some(error), _) => Err(RpcError::Rpc {
            code: error.code,
            message: shortened(&error.message),
        }),
        (None, Some(result)) => Ok(result.to_owned()),
        (None, None) => Err(RpcError::NotJson("neither result nor error".to_owned())),
    }
}
