//! The checked-in document is the one that the code gives.

use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

pub(crate) fn document() -> Value {
    serde_json::from_str(&coffer_server::openapi_json()).expect("JSON")
}

/// Method, path and operation.
pub(crate) fn operations() -> Vec<(String, String, Value)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("an item") {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

#[test]
fn the_checked_in_document_is_up_to_date() {
    let current = coffer_server::openapi_json();
    let kept = std::fs::read_to_string(PATH).unwrap_or_default();
    if kept != current {
        let beside = concat!(env!("CARGO_TARGET_TMPDIR"), "/openapi.json");
        std::fs::write(beside, current).expect("written");
        panic!(
            "docs/openapi.json is out of date; if the change is wanted: cp {beside} docs/openapi.json"
        );
    }
}

#[test]
fn every_operation_is_described() {
    let mut ids = Vec::new();
    for (method, path, operation) in operations() {
        let place = format!("{method} {path}");
        assert!(operation["summary"].is_string(), "{place} has no summary");
        assert!(
            operation["responses"]["default"].is_object(),
            "{place} does not tell its problems"
        );
        let responses = operation["responses"].as_object().expect("responses");
        assert!(
            responses
                .values()
                .all(|response| response["description"].is_string()),
            "{place}"
        );
        ids.push(operation["operationId"].as_str().expect("an id").to_owned());
        let under_v1 = path.starts_with("/v1/");
        assert_eq!(
            operation["security"].is_array(),
            under_v1,
            "{place}: all of /v1 needs a key, nothing else does"
        );
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operation id occurs twice");
    assert!(
        document()["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
}

/// A client generator stops at a reference that leads nowhere.
#[test]
fn every_reference_is_resolved() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.push(target.clone());
                }
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    for target in found {
        let pointer = target.strip_prefix('#').expect("local");
        assert!(
            document.pointer(pointer).is_some(),
            "{target} leads nowhere"
        );
    }
}
