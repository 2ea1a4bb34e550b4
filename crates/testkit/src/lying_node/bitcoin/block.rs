//! Raw blocks, altered. `None` where a block has nothing to alter in that way.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, CompactTarget, ScriptBuf, Witness, consensus};

use super::BitcoinLie;

/// An easier target than regtest's, the easiest of all networks.
const TOO_EASY: u32 = 0x2100_ffff;

pub(super) fn altered(lie: &BitcoinLie, raw: &str) -> Option<String> {
    if *lie == BitcoinLie::BlockByte {
        return Some(byte(raw));
    }
    let mut block: Block = consensus::encode::deserialize_hex(raw).ok()?;
    let count = block.txdata.len();
    match lie {
        BitcoinLie::BlockNonce => block.header.nonce = block.header.nonce.wrapping_add(1),
        BitcoinLie::BlockTarget => block.header.bits = CompactTarget::from_consensus(TOO_EASY),
        BitcoinLie::BlockAmount => {
            let output = block.txdata.last_mut()?.output.first_mut()?;
            output.value = Amount::from_sat(output.value.to_sat() + 1);
        }
        BitcoinLie::BlockWitness => {
            let input = block.txdata.get_mut(1..)?.last_mut()?.input.first_mut()?;
            let mut parts = input.witness.to_vec();
            let part = parts.first_mut()?;
            let byte = part.get_mut(10)?;
            *byte ^= 1;
            input.witness = Witness::from_slice(&parts);
        }
        BitcoinLie::BlockStripped => {
            for transaction in block.txdata.get_mut(1..)? {
                for input in &mut transaction.input {
                    input.witness = Witness::new();
                }
            }
        }
        BitcoinLie::BlockMissing if count > 1 => drop(block.txdata.pop()),
        BitcoinLie::BlockSwapped if count > 2 => block.txdata.swap(1, count - 1),
        BitcoinLie::BlockDoubled => {
            // The last of an odd number is hashed with itself; so is the last pair of an odd number of pairs.
            let length = 1 << count.trailing_zeros();
            let end = block.txdata[count - length..].to_vec();
            if length == count {
                return None;
            }
            block.txdata.extend(end);
        }
        BitcoinLie::BlockReward(script) => reward(&mut block, script)?,
        _ => return None,
    }
    Some(consensus::encode::serialize_hex(&block))
}

/// Pays the reward to a script.
pub(super) fn reward(block: &mut Block, script: &str) -> Option<()> {
    let script = ScriptBuf::from_hex(script).ok()?;
    block.txdata.first_mut()?.output.first_mut()?.script_pubkey = script;
    Some(())
}

/// The hash of the block before it.
pub(super) fn parent(raw: &str) -> Option<String> {
    let block: Block = consensus::encode::deserialize_hex(raw).ok()?;
    let parent = block.header.prev_blockhash;
    (parent.to_byte_array() != [0; 32]).then(|| parent.to_string())
}

fn byte(raw: &str) -> String {
    let middle = raw.len() / 2;
    let digit = if &raw[middle..=middle] == "0" {
        "1"
    } else {
        "0"
    };
    format!("{}{digit}{}", &raw[..middle], &raw[middle + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_end_has_the_same_root() {
        let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest);
        for (count, doubled) in [
            (3_u32, Some(4)),
            (5, Some(6)),
            (6, Some(8)),
            (1, None),
            (4, None),
        ] {
            let mut block = genesis.clone();
            for number in 1..count {
                let mut transaction = block.txdata[0].clone();
                transaction.lock_time = bitcoin::absolute::LockTime::from_consensus(number);
                block.txdata.push(transaction);
            }
            let raw = consensus::encode::serialize_hex(&block);
            let forged = altered(&BitcoinLie::BlockDoubled, &raw);
            let forged = forged
                .map(|raw| -> Block { consensus::encode::deserialize_hex(&raw).expect("a block") });
            assert_eq!(forged.as_ref().map(|block| block.txdata.len()), doubled);
            if let Some(forged) = forged {
                assert_eq!(forged.compute_merkle_root(), block.compute_merkle_root());
            }
        }
    }
}
