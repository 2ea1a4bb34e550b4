//! From the platform's errors to stable codes.
//!
//! The platform has one error for all its use cases, so one exhaustive match stands here instead of thirty
//! equal ones in the endpoints: a new variant does not compile until it has its code.

use coffer_platform::Error;
use coffer_platform::batches::parse::UploadError;

use crate::problem::{Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let public = error.to_string();
        match error {
            Error::NotFound { .. } => Self::new(Code::NotFound, public),
            Error::Validation { field, .. } => {
                Self::new(Code::Validation, public).with("field", field)
            }
            Error::Upload(error) => upload(&error),
            Error::IdempotencyConflict { .. } => Self::new(Code::IdempotencyConflict, public),
            Error::IdempotencyInProgress { id } => Self::new(Code::IdempotencyInProgress, public)
                .with("id", id)
                .retry_after(1),
            Error::StateConflict(_) => Self::new(Code::StateConflict, public),
            Error::SameActor | Error::SecondPerson => Self::new(Code::SameActor, public),
            Error::VaultAwaitingDrill(vault) => {
                Self::new(Code::VaultAwaitingDrill, public).with("vault_id", vault.to_string())
            }
            Error::IndexExhausted(_) => Self::new(Code::IndexExhausted, public),
            Error::Integrity { object } => {
                tracing::error!(object, "a stored row was refused");
                Self::new(Code::IntegrityViolation, public).with("object", object)
            }
            Error::AuditBroken { .. } => {
                tracing::error!(error = public, "refused");
                Self::new(Code::AuditBroken, public)
            }
            Error::Signer(error) => Self::unavailable(
                Code::SignerUnavailable,
                "the signer cannot serve now; GET /readyz says when it can",
                error,
            ),
            Error::Nodes(error) => Self::new(Code::NodesUnavailable, error).retry_after(5),
            Error::Ledger(error) => Self::internal(error),
            Error::StoreUnavailable(private) | Error::Contended(private) => Self::unavailable(
                Code::StoreUnavailable,
                "the database cannot serve now; the same request may be sent again",
                private,
            ),
            Error::Internal(private) => Self::internal(private),
        }
    }
}

fn upload(error: &UploadError) -> Problem {
    use UploadError as U;
    let code = match error {
        U::TooLarge { .. } | U::Bomb { .. } | U::TooManyRows { .. } => Code::BodyTooLarge,
        U::UnsupportedEncoding { .. } => Code::UnsupportedFormat,
        U::Stopped => Code::StoreUnavailable,
        U::Io(_) => Code::BadRequest,
        U::Malformed { .. }
        | U::RowTooLong { .. }
        | U::TooManyColumns { .. }
        | U::DamagedGzip { .. }
        | U::MissingColumn { .. }
        | U::UnknownColumn { .. }
        | U::DuplicateColumn { .. }
        | U::Empty => Code::MalformedUpload,
    };
    let problem = Problem::new(code, error);
    match error.position() {
        Some((line, Some(column))) => problem.with("line", line).with("column", column),
        Some((line, None)) => problem.with("line", line),
        None => problem,
    }
}
