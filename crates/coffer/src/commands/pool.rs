use reqwest::Method;
use serde_json::json;

use super::Session;
use crate::args::PoolCommand;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{fields, member};

pub(crate) async fn run(session: &Session, command: PoolCommand) -> Result<(), Failure> {
    let pool = match command {
        PoolCommand::Show { vault } => session.client.get(Resource::at(&["pools", &vault])).await?,
        PoolCommand::Set { vault, low, high } => {
            if low > high {
                return Err(Failure::usage(
                    format!("the low watermark {low} is above the high one {high}"),
                    "give --low N and --high M with N at most M",
                ));
            }
            let body = json!({"low": low, "high": high});
            let path = ["pools", vault.as_str()];
            session
                .client
                .send(Method::PUT, Resource::at(&path), Some(&body))
                .await?
        }
    };
    session.out.answer(&pool, || {
        fields(&[
            ("vault", member(&pool, "vault_id")),
            ("ready", member(&pool, "level")),
            ("low", member(&pool, "low")),
            ("high", member(&pool, "high")),
        ])
    })?;
    Ok(())
}
