use super::Session;
use super::wallet;
use crate::args::AddressCommand;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{fields, member};

pub(crate) async fn run(session: &Session, command: AddressCommand) -> Result<(), Failure> {
    let AddressCommand::Lookup { address } = command;
    let found = session
        .client
        .get(Resource::at(&["addresses", &address]))
        .await?;
    session.out.answer(&found, || {
        let head = fields(&[
            ("address", member(&found, "address")),
            ("chain", member(&found, "chain")),
        ]);
        format!("{head}\n{}", wallet::describe(&found["wallet"]))
    })?;
    Ok(())
}
