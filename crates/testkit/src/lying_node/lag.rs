//! A head that is lower than it is: tags in requests are exchanged, and what lies above is denied.

use serde_json::{Value, json};

use crate::anvil::number;

/// Exchanges `latest` and its like for heights below the pretended head.
pub(super) fn rewrite(params: &mut Value, head: u64) {
    match params {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, head)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rewrite(field, head)),
        Value::String(text) => {
            let height = match text.as_str() {
                "latest" | "pending" => head,
                "safe" => head.saturating_sub(32),
                "finalized" => head.saturating_sub(64),
                _ => return,
            };
            *text = format!("{height:#x}");
        }
        _ => {}
    }
}

/// Denies what is above the pretended head.
pub(super) fn cut(method: &str, result: &mut Value, head: u64) {
    if method == "eth_blockNumber" {
        *result = json!(format!("{head:#x}"));
        return;
    }
    let above = |item: &Value| height_of(item).is_some_and(|height| height > head);
    if method == "eth_getLogs" {
        if let Some(logs) = result.as_array_mut() {
            logs.retain(|log| !above(log));
        }
    } else if above(result) || result.get(0).is_some_and(above) {
        *result = Value::Null;
    }
}

/// Of a block, a receipt, a transaction or a log.
pub(super) fn height_of(item: &Value) -> Option<u64> {
    let height = item.get("blockNumber").or_else(|| item.get("number"))?;
    u64::try_from(number(height).ok()?).ok()
}
