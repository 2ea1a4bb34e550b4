//! The loop that answers `coffer`: one question at a time, from one socket, until it closes.

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use coffer_failpoint::{Outcome, hit};
use coffer_keys::{
    AttestationKey, DerivationError, Entropy, KEY_FILE_LIMIT_BYTES, MasterSeed, OsEntropy,
    SolanaError, SolanaPiece, open_key_file, read_secret_file,
};
use coffer_signing::wire::{
    self, Descriptor, Identity, PROTOCOL_VERSION, Request, Response, SOLANA_KEYS_MAX,
    SOLANA_KEYS_PER_FRAME, WireError,
};
use coffer_signing::{AccountDescriptor, AccountSpec, DESCRIPTOR_KINDS, SealKey, SignedDescriptor};
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::error::Failure;
use crate::{confine, log, secrets};

/// A piece is what a frame holds.
const _: () = assert!(coffer_keys::SOLANA_PIECE == SOLANA_KEYS_PER_FRAME);

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
            let answer = match hit("signer.request_read", name) {
                Outcome::Continue => self.answer(&request, &mut greeted)?,
                Outcome::Fail => refused("failpoint signer.request_read").into(),
            };
            match answer {
                Answer::Whole(response) => {
                    give_first(&mut channel, name, response)?;
                }
                Answer::SolanaKeys { first, count } => {
                    self.stream_solana_keys(&mut channel, name, (first, count))?;
                }
            }
        }
    }

    /// An error here is a fault that makes every later answer doubtful, and ends the process.
    fn answer(&self, request: &Request, greeted: &mut bool) -> Result<Answer, Failure> {
        if let Request::Hello { protocol } = *request {
            if protocol != PROTOCOL_VERSION {
                return Ok(refused(format!(
                    "protocol {protocol} is not spoken here, only {PROTOCOL_VERSION}: install coffer and coffer-signer of the same version"
                ))
                .into());
            }
            *greeted = true;
            return Ok(Answer::Whole(Response::Hello {
                protocol: PROTOCOL_VERSION,
                identity: self.identity(),
            }));
        }
        if !*greeted {
            return Ok(refused("the first question must be hello").into());
        }
        let response = match *request {
            Request::Hello { .. } | Request::Identity {} => Response::Identity {
                identity: self.identity(),
            },
            Request::SealKey {} => Response::SealKey {
                key: SealKey::from_bytes(*self.seed.seal_key()),
            },
            Request::AccountDescriptors {
                account,
                bitcoin_network,
            } => self.describe(AccountSpec {
                account,
                bitcoin_network,
            })?,
            Request::SolanaPublicKeys { first_child, count } if count > SOLANA_KEYS_MAX => {
                refused(format!(
                    "{count} Solana keys from child {first_child}: at most {SOLANA_KEYS_MAX} at once"
                ))
            }
            Request::SolanaPublicKeys { first_child, count } => {
                return Ok(Answer::SolanaKeys {
                    first: first_child,
                    count,
                });
            }
        };
        Ok(Answer::Whole(response))
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

    /// Sends each piece when it is derived; while it waits for `coffer` to read, so does the derivation.
    fn stream_solana_keys(
        &self,
        channel: &mut UnixStream,
        name: &'static str,
        (first, count): (u32, u32),
    ) -> Result<(), Failure> {
        let mut begun = false;
        let send = |piece: SolanaPiece| {
            if piece.proof_failed {
                log::error(
                    "bulk derivation of Solana keys was wrong and was replaced: check this machine",
                    &[
                        ("alarm", "derivation".into()),
                        ("first_child", piece.first_child.into()),
                        ("keys", piece.keys.len().into()),
                    ],
                );
            }
            let frame = Response::SolanaPublicKeys {
                first_child: piece.first_child,
                keys: piece.keys.concat(),
            };
            if std::mem::replace(&mut begun, true) {
                return wire::write_response(channel, &frame).map_err(|e| Failure::from(e).into());
            }
            give_first(channel, name, frame)?
                .then_some(())
                .ok_or(Stop::Refused)
        };
        let streamed = self
            .seed
            .stream_solana_public_keys(first, count, self.threads, send);
        match streamed {
            // No key was asked for; the answer has a frame nevertheless.
            Ok(()) if count == 0 => {
                let (first_child, keys) = (first, vec![]);
                let nothing = Response::SolanaPublicKeys { first_child, keys };
                give_first(channel, name, nothing).map(|_| ())
            }
            Ok(()) | Err(Stop::Refused) => Ok(()),
            Err(Stop::Solana(range @ SolanaError::OutOfRange { .. })) => {
                give_first(channel, name, refused(range.to_string())).map(|_| ())
            }
            Err(Stop::Solana(fault)) => Err(fault.into()),
            Err(Stop::Failure(failure)) => Err(failure),
        }
    }
}

/// What a question gets.
enum Answer {
    Whole(Response),
    SolanaKeys { first: u32, count: u32 },
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Whole(response)
    }
}

/// Why a stream of keys ended before its end.
enum Stop {
    /// A failpoint's refusal went out in place of the first frame.
    Refused,
    Solana(SolanaError),
    Failure(Failure),
}

impl From<SolanaError> for Stop {
    fn from(error: SolanaError) -> Self {
        Self::Solana(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Writes the first frame of an answer; `false` when a refusal went out.
fn give_first(
    channel: &mut UnixStream,
    name: &'static str,
    response: Response,
) -> Result<bool, Failure> {
    let response = match hit("signer.before_answer", name) {
        Outcome::Continue => response,
        Outcome::Fail => refused("failpoint signer.before_answer"),
    };
    let refusal = match &response {
        Response::Refused { reason } => Some(reason.as_str()),
        _ => None,
    };
    if let Some(reason) = refusal {
        log::warn("refused a question", &[("reason", reason.into())]);
    }
    wire::write_response(channel, &response)?;
    Ok(refusal.is_none())
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
