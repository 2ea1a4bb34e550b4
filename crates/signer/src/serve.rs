//! The loop that answers `coffer`: one question at a time, from one socket, until it closes.

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use coffer_failpoint::{Outcome, hit};
use coffer_keys::{
    AttestationKey, DerivationError, Entropy, KEY_FILE_LIMIT_BYTES, MasterSeed, OsEntropy,
    SolanaError, open_key_file, read_secret_file,
};
use coffer_signing::wire::{
    self, Descriptor, Identity, PROTOCOL_VERSION, Request, Response, SOLANA_KEYS_MAX, WireError,
};
use coffer_signing::{AccountDescriptor, AccountSpec, DESCRIPTOR_KINDS, SealKey, SignedDescriptor};
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::error::Failure;
use crate::{confine, log, secrets};

pub(crate) fn run(key_file: &Path, passphrase_file: Option<&Path>) -> Result<(), Failure> {
    let channel = channel()?;
    let mut protections = confine::protect_memory()?;
    OsEntropy.self_check()?;
    // Asked before confinement: it reads files of the kernel's.
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let seed = {
        let passphrase = secrets::existing_passphrase(passphrase_file)?;
        let text = read_secret_file(key_file, KEY_FILE_LIMIT_BYTES)?;
        open_key_file(&text, &passphrase)?
    };
    confine::lock_present_memory(&mut protections);
    let confinement = confine::confine()?;
    let answerer = Answerer {
        attestation: seed.attestation_key(),
        seed,
        threads,
    };
    log::info(
        "ready",
        &[
            (
                "attestation_public_key",
                hex::encode(answerer.attestation.public_key()).into(),
            ),
            ("threads", threads.get().into()),
            ("protections", protections.into()),
            ("confinement", confinement.into()),
        ],
    );
    answerer.serve(channel)
}

/// Standard input, if it is what it must be: anything else could be somebody's terminal or file.
fn channel() -> Result<UnixStream, Failure> {
    let stdin = std::io::stdin();
    let is_channel = sockopt::socket_domain(&stdin) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(&stdin) == Ok(SocketType::STREAM);
    if !is_channel {
        return Err(Failure::NoChannel);
    }
    let owned = stdin.as_fd().try_clone_to_owned()?;
    let channel = UnixStream::from(owned);
    channel.peer_addr().map_err(|_| Failure::NoChannel)?;
    Ok(channel)
}

/// The signed descriptors of one account, in the order of [`DESCRIPTOR_KINDS`].
pub(crate) fn descriptors(
    seed: &MasterSeed,
    attestation: &AttestationKey,
    spec: AccountSpec,
) -> Result<Vec<SignedDescriptor>, DerivationError> {
    let describe = |kind| {
        let account = seed.account_public_key(kind, spec.bitcoin_network, spec.account)?;
        let descriptor = AccountDescriptor {
            kind,
            spec,
            public_key: account.public_key,
            chain_code: account.chain_code,
            master_fingerprint: account.master_fingerprint,
        };
        let signature = attestation.sign(&descriptor.message());
        Ok(SignedDescriptor {
            descriptor,
            signature,
        })
    };
    DESCRIPTOR_KINDS.into_iter().map(describe).collect()
}

struct Answerer {
    seed: MasterSeed,
    attestation: AttestationKey,
    threads: NonZeroUsize,
}

impl Answerer {
    fn serve(&self, mut channel: UnixStream) -> Result<(), Failure> {
        let mut greeted = false;
        loop {
            let request = match wire::read_request(&mut channel) {
                Ok(Some(request)) => request,
                Ok(None) => {
                    log::info("coffer closed the channel", &[]);
                    return Ok(());
                }
                // The frame was whole: the next one can be read.
                Err(error @ WireError::Malformed { .. }) => {
                    let reason = error.to_string();
                    log::warn("refused a question", &[("reason", reason.clone().into())]);
                    wire::write_response(&mut channel, &Response::Refused { reason })?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let name = name_of(&request);
            let response = match hit("signer.request_read", name) {
                Outcome::Continue => self.answer(&request, &mut greeted)?,
                Outcome::Fail => refused("failpoint signer.request_read"),
            };
            let response = match hit("signer.before_answer", name) {
                Outcome::Continue => response,
                Outcome::Fail => refused("failpoint signer.before_answer"),
            };
            if let Response::Refused { reason } = &response {
                log::warn("refused a question", &[("reason", reason.as_str().into())]);
            }
            wire::write_response(&mut channel, &response)?;
        }
    }

    /// An error here is a fault that makes every later answer doubtful, and ends the process.
    fn answer(&self, request: &Request, greeted: &mut bool) -> Result<Response, Failure> {
        if let Request::Hello { protocol } = *request {
            if protocol != PROTOCOL_VERSION {
                return Ok(refused(format!(
                    "protocol {protocol} is not spoken here, only {PROTOCOL_VERSION}: install coffer and coffer-signer of the same version"
                )));
            }
            *greeted = true;
            return Ok(Response::Hello {
                protocol: PROTOCOL_VERSION,
                identity: self.identity(),
            });
        }
        if !*greeted {
            return Ok(refused("the first question must be hello"));
        }
        match *request {
            Request::Hello { .. } | Request::Identity {} => Ok(Response::Identity {
                identity: self.identity(),
            }),
            Request::SealKey {} => Ok(Response::SealKey {
                key: SealKey::from_bytes(*self.seed.seal_key()),
            }),
            Request::AccountDescriptors {
                account,
                bitcoin_network,
            } => self.describe(AccountSpec {
                account,
                bitcoin_network,
            }),
            Request::SolanaPublicKeys { first_child, count } => self.solana(first_child, count),
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            attestation_public_key: self.attestation.public_key(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    fn describe(&self, spec: AccountSpec) -> Result<Response, Failure> {
        match descriptors(&self.seed, &self.attestation, spec) {
            Ok(signed) => Ok(Response::AccountDescriptors {
                descriptors: signed.iter().map(Descriptor::from).collect(),
            }),
            Err(fault @ DerivationError::Disagreement) => Err(fault.into()),
            Err(error) => Ok(refused(error.to_string())),
        }
    }

    fn solana(&self, first: u32, count: u32) -> Result<Response, Failure> {
        if count > SOLANA_KEYS_MAX {
            return Ok(refused(format!(
                "{count} Solana keys: at most {SOLANA_KEYS_MAX} at once"
            )));
        }
        match self.seed.solana_public_keys(first, count, self.threads) {
            Ok(keys) => Ok(Response::SolanaPublicKeys {
                keys: keys.concat(),
            }),
            Err(fault @ SolanaError::Disagreement) => Err(fault.into()),
            Err(error) => Ok(refused(error.to_string())),
        }
    }
}

fn refused(reason: impl Into<String>) -> Response {
    Response::Refused {
        reason: reason.into(),
    }
}

/// As on the wire; a failpoint can be armed for one of them.
fn name_of(request: &Request) -> &'static str {
    match request {
        Request::Hello { .. } => "hello",
        Request::Identity {} => "identity",
        Request::SealKey {} => "seal_key",
        Request::AccountDescriptors { .. } => "account_descriptors",
        Request::SolanaPublicKeys { .. } => "solana_public_keys",
    }
}
