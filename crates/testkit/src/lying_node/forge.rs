//! What a lie does to one answer, as far as the answer alone suffices.

use serde_json::{Map, Value, json};

use super::header::header_hash;

/// By how much forged values are too large.
pub const FORGED: u128 = 1_000_000;

/// Whether something mentions the address (lower case, without `0x`), or no address was asked for.
fn mentions(object: &Map<String, Value>, about: Option<&str>) -> bool {
    let Some(about) = about else { return true };
    // Inner calls are looked at for themselves.
    let own = object
        .iter()
        .filter(|(name, _)| !["calls", "logs", "transactions", "result"].contains(&name.as_str()));
    own.into_iter()
        .any(|(_, value)| value.to_string().to_lowercase().contains(about))
}

fn is_log(object: &Map<String, Value>) -> bool {
    object.contains_key("topics")
}

/// Calls `change` for every object, the inner ones first.
fn each_object(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Object(object) => {
            object
                .values_mut()
                .for_each(|inner| each_object(inner, change));
            change(object);
        }
        _ => {}
    }
}

/// Values of logs, transactions and trace frames.
pub(super) fn forge_values(result: &mut Value, about: Option<&str>) {
    each_object(result, &mut |object| {
        if !mentions(object, about) {
            return;
        }
        if is_log(object) {
            raise(&mut object["data"]);
        } else if object.contains_key("from") && object.contains_key("value") {
            raise(&mut object["value"]);
        }
    });
}

/// Adds to a quantity, or to the last word of bytes, without changing the length of bytes.
pub(super) fn raise(value: &mut Value) {
    let Some(digits) = value.as_str().and_then(|text| text.strip_prefix("0x")) else {
        return;
    };
    let at = digits.len().saturating_sub(32);
    if !digits.is_ascii() || digits.is_empty() {
        return;
    }
    let (head, tail) = digits.split_at(at);
    let Ok(number) = u128::from_str_radix(tail, 16) else {
        return;
    };
    let number = number.wrapping_add(FORGED);
    // What stands before it must keep its place.
    let width = if head.is_empty() { 1 } else { tail.len() };
    *value = json!(format!("0x{head}{number:0width$x}"));
}

pub(super) fn hide_logs(result: &mut Value, about: Option<&str>) {
    let hidden = |item: &Value| {
        item.as_object()
            .is_some_and(|log| is_log(log) && mentions(log, about))
    };
    if let Some(list) = result.as_array_mut() {
        list.retain(|item| !hidden(item));
    }
    each_object(result, &mut |object| {
        if let Some(Value::Array(logs)) = object.get_mut("logs") {
            logs.retain(|item| !hidden(item));
        }
    });
}

pub(super) fn hide_receipts(result: &mut Value, about: Option<&str>) {
    let hidden = |item: &Value| {
        let text = item.to_string().to_lowercase();
        item.get("cumulativeGasUsed").is_some() && about.is_none_or(|about| text.contains(about))
    };
    if hidden(result) {
        *result = Value::Null;
    } else if let Some(list) = result.as_array_mut() {
        list.retain(|item| !hidden(item));
    }
}

/// Hashes alone name no address: about one, only whole transactions can be hidden.
pub(super) fn hide_transactions(result: &mut Value, about: Option<&str>) {
    if let Some(list) = result.get_mut("transactions").and_then(Value::as_array_mut) {
        list.retain(|item| match item.as_object() {
            Some(transaction) => !mentions(transaction, about),
            None => about.is_some(),
        });
    }
}

pub(super) fn hide_traces(result: &mut Value, about: Option<&str>) {
    if let Some(list) = result.as_array_mut() {
        list.retain(|item| {
            let text = item.to_string().to_lowercase();
            item.get("txHash").is_none() || about.is_some_and(|about| !text.contains(about))
        });
    }
    each_object(result, &mut |object| {
        if let Some(Value::Array(calls)) = object.get_mut("calls") {
            calls.retain(|call| call.as_object().is_some_and(|call| !mentions(call, about)));
        }
    });
}

pub(super) fn is_block(value: &Value) -> bool {
    value.get("parentHash").is_some() && value.get("stateRoot").is_some()
}

pub(super) fn forge_header(result: &mut Value) {
    if is_block(result) {
        result["stateRoot"] = json!(format!("0x{}", "5a".repeat(32)));
    }
}

/// Another block 0 whose hash fits.
pub(super) fn forge_genesis(result: &mut Value) {
    if !is_block(result) || result["number"] != "0x0" {
        return;
    }
    result["extraData"] = json!("0x616e6f74686572");
    if let Ok(hash) = header_hash(result) {
        result["hash"] = json!(hash);
    }
}
