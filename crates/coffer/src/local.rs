//! The seam to the server's room: what runs on this machine instead of over HTTP.

use crate::Environment;
use crate::args::{InitArgs, ServeArgs};
use crate::error::Failure;
use crate::output::Output;

pub(crate) fn init(
    _args: &InitArgs,
    _database_url: Option<String>,
    _out: Output,
) -> Result<(), Failure> {
    Err(absent())
}

pub(crate) fn serve(_args: ServeArgs, _environment: Environment) -> Result<(), Failure> {
    Err(absent())
}

pub(crate) fn openapi(_out: Output) -> Result<(), Failure> {
    Err(absent())
}

fn absent() -> Failure {
    Failure::unexpected(
        "this build does not hold the server",
        "build the whole workspace",
    )
}
