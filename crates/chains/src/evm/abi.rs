//! The few contract calls that are made: ERC-20 views, and Multicall3 to make many of them in one.

use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};

sol! {
    function balanceOf(address owner) returns (uint256);
    function decimals() returns (uint8);
    function symbol() returns (string);

    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Result3 { bool success; bytes returnData; }
    function aggregate3(Call3[] calls) returns (Result3[] results);
    function getEthBalance(address owner) returns (uint256);
}

/// Where Multicall3 stands on every chain that has it, by a deployment that no key can repeat elsewhere.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// One call within [`aggregate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub target: Address,
    pub data: Bytes,
}

/// The balance of a token.
#[must_use]
pub fn token_balance(token: Address, owner: Address) -> View {
    View {
        target: token,
        data: balanceOfCall { owner }.abi_encode().into(),
    }
}

/// The balance of the chain's coin, as Multicall3 tells it.
#[must_use]
pub fn coin_balance(owner: Address) -> View {
    View {
        target: MULTICALL3,
        data: getEthBalanceCall { owner }.abi_encode().into(),
    }
}

#[must_use]
pub fn decimals(token: Address) -> View {
    View {
        target: token,
        data: decimalsCall {}.abi_encode().into(),
    }
}

#[must_use]
pub fn symbol(token: Address) -> View {
    View {
        target: token,
        data: symbolCall {}.abi_encode().into(),
    }
}

/// All views in one call of Multicall3; one that fails does not fail the others.
#[must_use]
pub fn aggregate(views: &[View]) -> Bytes {
    let calls = views.iter().map(|view| Call3 {
        target: view.target,
        allowFailure: true,
        callData: view.data.clone(),
    });
    aggregate3Call {
        calls: calls.collect(),
    }
    .abi_encode()
    .into()
}

/// What each view answered, `None` for one that failed. `None` altogether for an answer that is not Multicall3's.
#[must_use]
pub fn aggregated(answer: &[u8], views: usize) -> Option<Vec<Option<Bytes>>> {
    let results = aggregate3Call::abi_decode_returns(answer).ok()?;
    let each = results
        .into_iter()
        .map(|result| result.success.then_some(result.returnData));
    let each: Vec<Option<Bytes>> = each.collect();
    (each.len() == views).then_some(each)
}

/// The first word of an answer; `None` for one without a whole word, as of an address without code.
#[must_use]
pub fn number(answer: &[u8]) -> Option<U256> {
    answer.get(..32).map(U256::from_be_slice)
}

const SYMBOL_CHARS_MAX: usize = 32;

/// A symbol, given as a string or, by the oldest tokens, as 32 bytes. Only what can be shown in one line.
#[must_use]
pub fn symbol_text(answer: &[u8]) -> Option<String> {
    let text = if answer.len() == 32 {
        let end = answer.iter().position(|byte| *byte == 0).unwrap_or(32);
        String::from_utf8(answer[..end].to_vec()).ok()?
    } else {
        String::abi_decode(answer).ok()?
    };
    let good = !text.is_empty()
        && text.chars().count() <= SYMBOL_CHARS_MAX
        && text.chars().all(|c| !c.is_control());
    good.then_some(text)
}
