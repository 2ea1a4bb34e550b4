//! The client's end of the channel: asks one question at a time and believes no answer unchecked.
//!
//! Whatever breaks the exchange (an I/O error, a time-out, an answer that is not of the protocol or
//! does not verify) closes the connection for good: a late answer must never be taken for
//! the answer to the next question. Whoever owns the client starts a new signer and a new client.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coffer_domain::address::AddressKind;

use crate::wire::{
    self, HARDENED_CHILDREN, PROTOCOL_VERSION, Request, Response, SOLANA_KEYS_MAX,
    SOLANA_KEYS_PER_FRAME, WireError,
};
use crate::{
    AccountDescriptor, AccountSpec, SealKey, SignedDescriptor, Signer, SignerError, SignerIdentity,
};

/// From the question to the last byte of its answer. The first answer waits for Argon2id to open the
/// key file, the longest one for 65,536 Solana keys on a busy machine.
pub const ANSWER_TIME_OUT: Duration = Duration::from_secs(120);

/// The kinds of which an account has a descriptor, in the order of the answer.
pub const DESCRIPTOR_KINDS: [AddressKind; 4] = [
    AddressKind::Evm,
    AddressKind::Tron,
    AddressKind::BitcoinP2wpkh,
    AddressKind::BitcoinP2tr,
];

/// A signer at the other end of a Unix stream socket.
pub struct SignerClient {
    /// `None` once the connection has broken.
    channel: Mutex<Option<UnixStream>>,
    answer_time_out: Duration,
    identity: SignerIdentity,
}

impl SignerClient {
    /// Greets the signer. With `pinned`, any other attestation key is refused; without it, the key
    /// of this first answer holds for the life of the client, and the caller is to pin it.
    pub fn connect(stream: UnixStream, pinned: Option<[u8; 32]>) -> Result<Self, SignerError> {
        Self::connect_within(stream, pinned, ANSWER_TIME_OUT)
    }

    /// [`Self::connect`] with another time-out than [`ANSWER_TIME_OUT`], which holds for each answer.
    pub fn connect_within(
        stream: UnixStream,
        pinned: Option<[u8; 32]>,
        answer_time_out: Duration,
    ) -> Result<Self, SignerError> {
        let mut stream = stream;
        let hello = Request::Hello {
            protocol: PROTOCOL_VERSION,
        };
        let identity = match Answer::to(&hello, &mut stream, answer_time_out)?.next()? {
            Response::Hello {
                protocol: PROTOCOL_VERSION,
                identity,
            } => SignerIdentity::from(identity),
            Response::Hello { protocol, .. } => {
                return Err(untrusted(format!(
                    "it speaks protocol {protocol}, this program {PROTOCOL_VERSION}: install coffer and coffer-signer of the same version"
                )));
            }
            Response::Refused { reason } => return Err(SignerError::Refused(reason)),
            _ => return Err(another_answer()),
        };
        if pinned.is_some_and(|pinned| pinned != identity.attestation_public_key) {
            return Err(untrusted(
                "its attestation key is not the pinned one: this is another vault's key file",
            ));
        }
        Ok(Self {
            channel: Mutex::new(Some(stream)),
            answer_time_out,
            identity,
        })
    }

    /// As the signer gave it when the connection was made, without asking again.
    #[must_use]
    pub fn greeted_identity(&self) -> &SignerIdentity {
        &self.identity
    }

    /// Asks, and lets `check` judge the answer. The channel is put back only when all went well (or the
    /// signer refused, which is an orderly answer), so a panic in between closes it, too.
    fn ask<T>(
        &self,
        request: &Request,
        check: impl FnOnce(Response) -> Result<T, SignerError>,
    ) -> Result<T, SignerError> {
        self.ask_for_frames(request, |response, _| check(response))
    }

    /// The same for an answer of several frames: `check` gets the first and asks for the others. A refusal
    /// can only be the first.
    fn ask_for_frames<T>(
        &self,
        request: &Request,
        check: impl FnOnce(Response, &mut Answer<'_>) -> Result<T, SignerError>,
    ) -> Result<T, SignerError> {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream = channel.take().ok_or_else(|| {
            SignerError::Unreachable("the connection broke earlier; start a new one".into())
        })?;
        let mut answer = Answer::to(request, &mut stream, self.answer_time_out)?;
        let result = match answer.next()? {
            Response::Refused { reason } => Err(SignerError::Refused(reason)),
            response => Ok(check(response, &mut answer)?),
        };
        *channel = Some(stream);
        result
    }
}

impl Signer for SignerClient {
    fn identity(&self) -> Result<SignerIdentity, SignerError> {
        self.ask(&Request::Identity {}, |response| match response {
            Response::Identity { identity } => {
                let identity = SignerIdentity::from(identity);
                (identity == self.identity)
                    .then_some(identity)
                    .ok_or_else(|| untrusted("its identity changed within one connection"))
            }
            _ => Err(another_answer()),
        })
    }

    fn seal_key(&self) -> Result<SealKey, SignerError> {
        self.ask(&Request::SealKey {}, |response| match response {
            Response::SealKey { key } => Ok(key),
            _ => Err(another_answer()),
        })
    }

    fn account_descriptors(&self, spec: AccountSpec) -> Result<Vec<SignedDescriptor>, SignerError> {
        let request = Request::AccountDescriptors {
            account: spec.account,
            bitcoin_network: spec.bitcoin_network,
        };
        self.ask(&request, |response| match response {
            Response::AccountDescriptors { descriptors } => {
                let descriptors: Vec<_> = descriptors
                    .into_iter()
                    .map(SignedDescriptor::from)
                    .collect();
                check_descriptors(&descriptors, spec, &self.identity.attestation_public_key)?;
                Ok(descriptors)
            }
            _ => Err(another_answer()),
        })
    }

    fn solana_public_keys(
        &self,
        first_child: u32,
        count: u32,
    ) -> Result<Vec<[u8; 32]>, SignerError> {
        let end = first_child.checked_add(count);
        if count > SOLANA_KEYS_MAX || end.is_none_or(|end| end > HARDENED_CHILDREN) {
            return Err(SignerError::Refused(format!(
                "children {first_child} and the {count} from there: at most {SOLANA_KEYS_MAX} at once, all below {HARDENED_CHILDREN}"
            )));
        }
        let request = Request::SolanaPublicKeys { first_child, count };
        self.ask_for_frames(&request, |mut response, answer| {
            let mut keys = Vec::with_capacity(count as usize);
            loop {
                let got = u32::try_from(keys.len()).unwrap_or(u32::MAX);
                let expected = (count - got).min(SOLANA_KEYS_PER_FRAME);
                keys.extend(frame_of_keys(response, first_child + got, expected)?);
                if keys.len() == count as usize {
                    return Ok(keys);
                }
                response = answer.next()?;
            }
        })
    }
}

/// The keys of one frame, when it is the one that must come.
fn frame_of_keys(
    response: Response,
    expected_first: u32,
    expected_count: u32,
) -> Result<Vec<[u8; 32]>, SignerError> {
    let Response::SolanaPublicKeys { first_child, keys } = response else {
        return Err(another_answer());
    };
    let (keys, rest) = keys.as_chunks::<32>();
    if first_child != expected_first || keys.len() != expected_count as usize || !rest.is_empty() {
        return Err(untrusted("it gave other Solana keys than those asked for"));
    }
    Ok(keys.to_vec())
}

fn check_descriptors(
    descriptors: &[SignedDescriptor],
    spec: AccountSpec,
    attestation_public_key: &[u8; 32],
) -> Result<(), SignerError> {
    let kinds = descriptors.iter().map(|signed| signed.descriptor.kind);
    if !kinds.eq(DESCRIPTOR_KINDS) {
        return Err(untrusted("its descriptors are not the four of an account"));
    }
    let of_this_account = |descriptor: &AccountDescriptor| {
        descriptor.spec == spec
            && descriptor.master_fingerprint == descriptors[0].descriptor.master_fingerprint
    };
    for signed in descriptors {
        if !of_this_account(&signed.descriptor) {
            return Err(untrusted("it gave the descriptor of another account"));
        }
        signed
            .verify(attestation_public_key)
            .map_err(|error| untrusted(error.to_string()))?;
    }
    Ok(())
}

/// The frames of one answer, all of them within one deadline.
struct Answer<'a> {
    channel: UntilDeadline<'a>,
    time_out: Duration,
}

impl<'a> Answer<'a> {
    /// Asks.
    fn to(
        request: &Request,
        stream: &'a mut UnixStream,
        time_out: Duration,
    ) -> Result<Self, SignerError> {
        stream
            .set_write_timeout(Some(time_out))
            .map_err(|error| unreachable(&error, time_out))?;
        wire::write_request(stream, request).map_err(|error| judged(error, time_out))?;
        let deadline = Instant::now() + time_out;
        Ok(Self {
            channel: UntilDeadline { stream, deadline },
            time_out,
        })
    }

    fn next(&mut self) -> Result<Response, SignerError> {
        wire::read_response(&mut self.channel)
            .map_err(|error| judged(error, self.time_out))?
            .ok_or_else(|| SignerError::Unreachable("it closed the connection".into()))
    }
}

fn unreachable(error: &io::Error, time_out: Duration) -> SignerError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            SignerError::Unreachable(format!("no answer within {} s", time_out.as_secs()))
        }
        _ => SignerError::Unreachable(error.to_string()),
    }
}

fn judged(error: WireError, time_out: Duration) -> SignerError {
    match error {
        WireError::Io(error) => unreachable(&error, time_out),
        broken @ (WireError::TooLarge { .. } | WireError::Malformed { .. }) => {
            untrusted(broken.to_string())
        }
    }
}

/// Reads with one deadline for all of it: a socket's own time-out begins anew with each byte.
struct UntilDeadline<'a> {
    stream: &'a mut UnixStream,
    deadline: Instant,
}

impl Read for UntilDeadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

fn untrusted(what: impl Into<String>) -> SignerError {
    SignerError::Untrusted(what.into())
}

fn another_answer() -> SignerError {
    untrusted("it answered another question than the one asked")
}
