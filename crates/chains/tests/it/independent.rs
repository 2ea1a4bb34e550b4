//! The Bitcoin codec against the `bitcoin` crate.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, ScriptBuf, WitnessProgram, WitnessVersion};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use proptest::prelude::*;

fn their_network(network: BitcoinNetwork) -> bitcoin::Network {
    match network {
        BitcoinNetwork::Mainnet => bitcoin::Network::Bitcoin,
        BitcoinNetwork::Testnet => bitcoin::Network::Testnet,
        BitcoinNetwork::Signet => bitcoin::Network::Signet,
        BitcoinNetwork::Regtest => bitcoin::Network::Regtest,
    }
}

proptest! {
    #[test]
    fn bitcoin_texts_are_those_of_the_bitcoin_crate(bytes in any::<[u8; 32]>(), taproot in any::<bool>(), network in 0..4_usize) {
        let network = BitcoinNetwork::ALL[network];
        let (kind, version) = if taproot {
            (AddressKind::BitcoinP2tr, WitnessVersion::V1)
        } else {
            (AddressKind::BitcoinP2wpkh, WitnessVersion::V0)
        };
        let program = &bytes[..kind.payload_len()];
        let payload = AddressPayload::try_new(kind, program).expect("right length");
        let ours = coffer_chains::encode(&payload, network);

        let script = ScriptBuf::new_witness_program(&WitnessProgram::new(version, program).expect("allowed length"));
        let theirs = Address::from_script(&script, their_network(network)).expect("a witness program");
        prop_assert_eq!(&ours, &theirs.to_string());
        let back: Address<NetworkUnchecked> = ours.parse().expect("a valid address");
        prop_assert_eq!(back.assume_checked().script_pubkey(), script);
    }
}
