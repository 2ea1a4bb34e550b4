use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::results::{self, Target};
use super::upload::{Upload, guess_format};
use super::{describe, id_of, refused, wait};
use crate::args::{CreateArgs, ResultsFormat};
use crate::client::Resource;
use crate::commands::Session;
use crate::commands::input;
use crate::error::{Failure, Kind};
use crate::output::{member, printable, thousands};

/// How long the first contact is tried: long enough for a server that is just starting.
const FIRST_CONTACT: Duration = Duration::from_secs(3);
/// Once it has been there: long enough for a restart.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Failed rows that are shown; the results have them all.
const FAILED_ROWS_SHOWN: usize = 5;

pub(crate) async fn run(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let target = args.results.as_deref().map(Target::check).transpose()?;
    let patience_at_first = args.patience.map_or(FIRST_CONTACT, Duration::from_secs);
    let patience = args.patience.map_or(PATIENCE, Duration::from_secs);
    let wait = args.wait || target.is_some();
    let key_was_given = args.idempotency_key.is_some();
    let upload = prepare(args)?;
    let key = upload.idempotency_key.clone();
    if !key_was_given {
        session.out.note(&format!("idempotency key: {key}"));
    }
    let again = format!(
        "run the same command again with --idempotency-key {key}: it makes no second batch"
    );
    session.on_interrupt(
        "interrupted while sending; a batch exists only if the server had the file whole",
        &again,
        &[("idempotency_key", &key)],
    );
    first_contact(session, patience_at_first).await?;
    let sent = send(session, &upload, patience).await;
    let mut batch = sent.map_err(|failure| {
        let failure = failure.with("idempotency_key", key.as_str());
        if failure.is_passing() {
            failure.advise(again)
        } else {
            failure
        }
    })?;
    let id = id_of(&batch)?;
    if wait {
        batch = follow(session, &id, &batch, patience).await?;
    }
    let mut rows_refused = 0;
    if let Some(target) = &target {
        let format = results::format_by_name(&target.path).unwrap_or(ResultsFormat::Csv);
        let copied = results::download(session, &id, format, target, patience).await?;
        rows_refused = copied.refused;
        batch["results_file"] = target.path.display().to_string().into();
    }
    batch["idempotency_key"] = key.into();
    session.out.answer(&batch, || describe(&batch))?;
    refused::no_success(rows_refused)?;
    if wait {
        return verdict(session, &id, &batch).await;
    }
    let rows = batch["rows_total"].as_u64().map_or(String::new(), |rows| {
        format!(" of {} rows", thousands(rows))
    });
    session.out.note(&format!(
        "The batch{rows} is accepted.\nnext:  coffer batch show {id}"
    ));
    Ok(())
}

fn prepare(args: CreateArgs) -> Result<Upload, Failure> {
    let format = args
        .format
        .or_else(|| guess_format(&args.file))
        .ok_or_else(|| {
            Failure::usage(
                format!(
                    "{} does not say by its name what format it has",
                    args.file.display()
                ),
                "add --format csv, ndjson or json",
            )
        })?;
    let mut query = vec![("format", format.name().to_owned())];
    if !args.chains.is_empty() {
        query.push(("chains", args.chains.join(",")));
    }
    if let Some(vault) = args.vault {
        query.push(("vault", vault));
    }
    if let Some(on_error) = args.on_error {
        query.push(("on_error", on_error.name().to_owned()));
    }
    let upload = Upload {
        file: args.file,
        format,
        query,
        idempotency_key: match args.idempotency_key {
            Some(key) => key,
            None => random_key()?,
        },
    };
    if !upload.is_stdin() {
        input::open(&upload.file).map_err(|error| Failure::file("read", &upload.file, &error))?;
    }
    Ok(upload)
}

/// A UUIDv4 (RFC 9562).
fn random_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::unexpected(
            format!("the system gives no random bytes: {error}"),
            "choose a key yourself with --idempotency-key",
        )
    })?;
    Ok(uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string())
}

/// Asked before a long upload, because a server that refuses one half-way may close the
/// connection before its reason is read: a wrong key or address is found here.
async fn first_contact(session: &Session, patience: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE_FIRST;
    loop {
        let asked = session
            .client
            .get(Resource::with(&["batches"], &[("limit", "1")]))
            .await;
        match asked {
            Err(failure) if failure.kind() == Kind::Unreachable => {
                if Instant::now() + pause > deadline {
                    return Err(failure);
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(failure) if failure.status() == Some(401) => return Err(failure),
            // A key that may send batches need not be able to list them.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

/// Sends until the server has answered for good. Repeating is safe: the key is the same.
async fn send(session: &Session, upload: &Upload, patience: Duration) -> Result<Value, Failure> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE_FIRST;
    loop {
        let failure = match upload.send(session).await {
            Ok(batch) => return Ok(batch),
            Err(failure) => failure,
        };
        let asked_for = failure
            .retry_after()
            .map_or(Duration::ZERO, Duration::from_secs);
        let next = pause.max(asked_for);
        // Standard input cannot be read twice.
        if !failure.is_passing() || upload.is_stdin() || Instant::now() + next > deadline {
            return Err(failure);
        }
        session.out.note(&format!(
            "{failure}; sending again in {:.1} s with the same key",
            next.as_secs_f64()
        ));
        sleep(next).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn follow(
    session: &Session,
    id: &str,
    batch: &Value,
    patience: Duration,
) -> Result<Value, Failure> {
    let advice = format!(
        "follow it with `coffer batch show {id}`, stop it with `coffer batch cancel {id}`, fetch `coffer batch results {id}`"
    );
    session.on_interrupt(
        "interrupted; the batch goes on in the server",
        &advice,
        &[("batch_id", id)],
    );
    session.out.note(&format!("batch {id}"));
    let followed = wait::until_ended(session, id, batch, patience).await;
    followed.map_err(|failure| {
        let failure = failure.with("batch_id", id);
        if failure.kind() == Kind::Unreachable {
            return failure.advise(format!(
                "the batch is accepted and goes on when the server is back: {advice}"
            ));
        }
        failure
    })
}

/// Success only when every row has its wallet.
async fn verdict(session: &Session, id: &str, batch: &Value) -> Result<(), Failure> {
    let state = member(batch, "state");
    if state == "completed" {
        return Ok(());
    }
    let failed = batch["rows_failed"].as_u64().unwrap_or(0);
    let wanted = FAILED_ROWS_SHOWN.min(usize::try_from(failed).unwrap_or(FAILED_ROWS_SHOWN));
    // What is only shown may be missing; the verdict stands without it.
    let rows = results::first_failed(session, id, wanted)
        .await
        .unwrap_or_default();
    for row in &rows {
        session.out.note(&format!(
            "row {}, {:?}: {}",
            row["row"],
            row["external_id"].as_str().unwrap_or_default(),
            printable(&reason(&row["error"]))
        ));
    }
    let what = match state.as_str() {
        "completed_with_errors" => format!(
            "{} of {} rows failed",
            thousands(failed),
            member(batch, "rows_total")
        ),
        state => format!("the batch is {state}"),
    };
    let advice = format!(
        "`coffer batch results {id}` has the reason of each row; mend those rows and send them as a new batch"
    );
    Err(Failure::new(Kind::BatchErrors, what, advice)
        .with("batch_id", id)
        .with("state", state)
        .with("rows_failed", failed)
        .with("failed_rows", rows))
}

fn reason(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        other => {
            let text = other["detail"]
                .as_str()
                .or_else(|| other["reason"].as_str());
            text.map_or_else(|| other.to_string(), str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_key_is_a_uuid_and_never_the_same() {
        let (one, two) = (random_key().expect("a key"), random_key().expect("a key"));
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
    }

    #[test]
    fn a_rows_reason_is_read_in_both_forms() {
        assert_eq!(reason(&serde_json::json!("too long")), "too long");
        assert_eq!(reason(&serde_json::json!({"detail": "empty"})), "empty");
    }
}
