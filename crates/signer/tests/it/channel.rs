use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;

use coffer_domain::address::{AddressKind, BitcoinNetwork};
use coffer_keys::Mnemonic;
use coffer_signing::wire::{self, Request, Response};
use coffer_signing::{AccountSpec, DESCRIPTOR_KINDS, Signer, SignerClient, SignerError};

use crate::rig::{OTHER_WORDS, Rig, WORDS, assert_exit};

const SPEC: AccountSpec = AccountSpec {
    account: 2,
    bitcoin_network: BitcoinNetwork::Testnet,
};

#[test]
fn every_question_is_answered() {
    let rig = Rig::imported(WORDS);
    let (serving, client) = rig.client();
    let seed = Mnemonic::parse(WORDS).expect("valid").seed();
    let identity = client.identity().expect("an answer");
    assert_eq!(
        identity.attestation_public_key,
        seed.attestation_key().public_key()
    );
    assert_eq!(
        client.seal_key().map(|key| *key.expose()).ok(),
        Some(*seed.seal_key())
    );

    let descriptors = client.account_descriptors(SPEC).expect("an answer");
    let kinds: Vec<AddressKind> = descriptors
        .iter()
        .map(|signed| signed.descriptor.kind)
        .collect();
    assert_eq!(kinds, DESCRIPTOR_KINDS);
    for signed in &descriptors {
        let descriptor = &signed.descriptor;
        let key = seed.account_public_key(descriptor.kind, SPEC.bitcoin_network, SPEC.account);
        let key = key.expect("an account");
        assert_eq!(descriptor.public_key, key.public_key);
        assert_eq!(descriptor.chain_code, key.chain_code);
    }

    let keys = client.solana_public_keys(40, 300).expect("an answer");
    assert_eq!(keys.len(), 300);
    let payload = seed.address_payload(AddressKind::Solana, BitcoinNetwork::Mainnet, 0, 339);
    assert_eq!(payload.expect("in range").bytes(), keys[299]);

    // Five frames and a bit, and each key in its place.
    let many = client.solana_public_keys(7, 5300).expect("an answer");
    assert_eq!(many.len(), 5300);
    assert_eq!(many[33..333], keys);
    let threads = std::num::NonZeroUsize::MIN;
    let last = seed.solana_public_keys(5306, 1, threads);
    assert_eq!(last, Ok(vec![many[5299]]));
    drop(client);
    let output = serving.finish();
    assert_exit(&output, 0, "ready");
    assert!(output.stdout.is_empty());
}

#[test]
fn questions_out_of_range_are_refused_and_the_channel_goes_on() {
    let rig = Rig::imported(WORDS);
    let (_serving, client) = rig.client();
    let beyond = AccountSpec {
        account: 1 << 31,
        ..SPEC
    };
    assert!(matches!(
        client.account_descriptors(beyond),
        Err(SignerError::Refused(_))
    ));
    assert!(matches!(
        client.solana_public_keys(0, 65_537),
        Err(SignerError::Refused(_))
    ));
    assert_eq!(
        client.solana_public_keys(0, 0).map(|keys| keys.len()).ok(),
        Some(0)
    );
    assert!(client.identity().is_ok());
}

/// The socket holds a few frames; the signer waits with the others until somebody reads, and ends with its client.
#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_ends_the_signer() {
    let rig = Rig::imported(WORDS);
    let (serving, mut channel) = rig.serve();
    let protocol = wire::PROTOCOL_VERSION;
    ask(&mut channel, Request::Hello { protocol });
    let all = Request::SolanaPublicKeys {
        first_child: 3,
        count: wire::SOLANA_KEYS_MAX,
    };
    wire::write_request(&mut channel, &all).expect("written");
    for frame in 0..3 {
        let answer = wire::read_response(&mut channel).expect("of the protocol");
        let Some(Response::SolanaPublicKeys { first_child, keys }) = answer else {
            panic!("another answer");
        };
        let per_frame = wire::SOLANA_KEYS_PER_FRAME;
        assert_eq!(first_child, 3 + frame * per_frame);
        assert_eq!(keys.len(), 32 * per_frame as usize);
    }
    drop(channel);
    assert_exit(&serving.finish(), 6, "the channel to coffer broke");
}

#[test]
fn another_vaults_signer_is_not_believed() {
    let pinned = Mnemonic::parse(OTHER_WORDS)
        .expect("valid")
        .seed()
        .attestation_key()
        .public_key();
    let rig = Rig::imported(WORDS);
    let (_serving, stream) = rig.serve();
    let refused = SignerClient::connect(stream, Some(pinned));
    assert!(matches!(refused, Err(SignerError::Untrusted(_))));
}

fn ask(channel: &mut UnixStream, request: Request) -> Response {
    wire::write_request(channel, &request).expect("written");
    wire::read_response(channel)
        .expect("of the protocol")
        .expect("an answer")
}

fn is_refused(response: &Response, part: &str) -> bool {
    matches!(response, Response::Refused { reason } if reason.contains(part))
}

#[test]
fn the_signer_checks_what_a_careless_client_asks() {
    let rig = Rig::imported(WORDS);
    let (serving, mut channel) = rig.serve();
    assert!(is_refused(&ask(&mut channel, Request::SealKey {}), "hello"));
    assert!(is_refused(
        &ask(&mut channel, Request::Hello { protocol: 1 }),
        "same version"
    ));
    assert!(is_refused(&ask(&mut channel, Request::SealKey {}), "hello"));
    let hello = ask(
        &mut channel,
        Request::Hello {
            protocol: wire::PROTOCOL_VERSION,
        },
    );
    assert!(matches!(hello, Response::Hello { .. }));
    let many = Request::SolanaPublicKeys {
        first_child: 0,
        count: 65_537,
    };
    assert!(is_refused(&ask(&mut channel, many), "65536"));
    let beyond = Request::SolanaPublicKeys {
        first_child: u32::MAX,
        count: 1,
    };
    assert!(is_refused(&ask(&mut channel, beyond), "below"));

    for json in ["{\"export\":{}}", "{\"sign\":{}}", "nonsense", ""] {
        let length = u32::try_from(json.len()).expect("short").to_be_bytes();
        channel
            .write_all(&[&length, json.as_bytes()].concat())
            .expect("written");
        let answer = wire::read_response(&mut channel).expect("of the protocol");
        assert!(
            is_refused(&answer.expect("an answer"), "not of the protocol"),
            "{json}"
        );
    }
    channel.write_all(&u32::MAX.to_be_bytes()).expect("written");
    assert!(matches!(
        wire::read_response(&mut channel),
        Ok(None) | Err(_)
    ));
    assert_exit(&serving.finish(), 6, "over the limit");
}

#[test]
fn a_channel_cut_within_a_question_is_an_error() {
    let rig = Rig::imported(WORDS);
    let (serving, mut channel) = rig.serve();
    channel.write_all(&[0, 0, 0, 20, b'{']).expect("written");
    drop(channel);
    assert_exit(&serving.finish(), 6, "channel");
}

#[test]
fn standard_input_must_be_a_connected_stream_socket() {
    let rig = Rig::imported(WORDS);
    let (datagrams, _peer) = UnixDatagram::pair().expect("a socket pair");
    let listener = std::os::unix::net::UnixListener::bind(rig.path("socket")).expect("bound");
    let network = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let wrong = [
        Stdio::null(),
        Stdio::piped(),
        Stdio::from(OwnedFd::from(datagrams)),
        Stdio::from(OwnedFd::from(listener)),
        Stdio::from(OwnedFd::from(network)),
    ];
    for stdin in wrong {
        let output = rig
            .serve_command()
            .stdin(stdin)
            .output()
            .expect("the signer runs");
        assert_exit(&output, 4, "coffer serve");
    }
}

#[test]
fn a_wrong_passphrase_and_a_damaged_file_look_alike() {
    let rig = Rig::imported(WORDS);
    let message = |rig: &Rig| {
        let (serving, channel) = rig.serve();
        let output = serving.finish();
        drop(channel);
        assert_exit(&output, 3, "wrong passphrase, or the key file is damaged");
        output.stderr
    };
    rig.write("passphrase", "another passphrase");
    let wrong = message(&rig);
    let rig = Rig::imported(WORDS);
    let mut file = std::fs::read(rig.path("vault.key")).expect("readable");
    let last = file.len() - 10;
    file[last] = if file[last] == b'0' { b'1' } else { b'0' };
    std::fs::write(rig.path("vault.key"), file).expect("writable");
    assert_eq!(message(&rig), wrong);
}

#[cfg(feature = "failpoints")]
#[test]
fn a_signer_killed_at_a_failpoint_is_unreachable() {
    for name in ["signer.request_read", "signer.before_answer"] {
        let rig = Rig::imported(WORDS);
        let mut command = rig.serve_command();
        command.env(
            "COFFER_FAILPOINT",
            format!("{name}@solana_public_keys:2:kill"),
        );
        let (serving, stream) = crate::rig::serve(command);
        let client = SignerClient::connect(stream, None).expect("the signer greets");
        assert!(client.solana_public_keys(0, 1).is_ok());
        let killed = client.solana_public_keys(0, 1);
        assert!(matches!(killed, Err(SignerError::Unreachable(_))), "{name}");
        let status = serving.finish().status;
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
    }
}
