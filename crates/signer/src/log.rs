//! Log lines, on standard error: plain text from the commands that people run, one JSON object each
//! from `serve`. No time in them: `coffer`, which reads them, stamps what it logs. Callers pass
//! values that are public; no type that holds a secret can be passed.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::error::Failure;

static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// From here on, JSON.
pub(crate) fn for_programs() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

pub(crate) fn info(message: &str, fields: &[(&str, Value)]) {
    line("info", message, fields);
}

pub(crate) fn warn(message: &str, fields: &[(&str, Value)]) {
    line("warn", message, fields);
}

pub(crate) fn error(message: &str, fields: &[(&str, Value)]) {
    line("error", message, fields);
}

pub(crate) fn failure(failure: &Failure) {
    line(
        "error",
        &failure.to_string(),
        &[("exit_code", failure.exit_code().into())],
    );
}

fn line(level: &str, message: &str, fields: &[(&str, Value)]) {
    let mut stderr = std::io::stderr().lock();
    // When nobody reads the log any more the signer goes on.
    let _ = if FOR_PROGRAMS.load(Ordering::Relaxed) {
        let mut object = Map::new();
        object.insert("level".into(), level.into());
        object.insert("program".into(), "coffer-signer".into());
        object.insert("message".into(), message.into());
        for (name, value) in fields {
            object.insert((*name).into(), value.clone());
        }
        writeln!(stderr, "{}", Value::Object(object))
    } else {
        let details: String = fields
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect();
        writeln!(stderr, "coffer-signer: {level}: {message}{details}")
    };
}
