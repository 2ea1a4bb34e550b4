// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IToken} from "./EvilTokens.sol";
import {Ledger} from "./Token.sol";

// Logs that look like a Transfer and are none. Nothing here is a listed token.

/// Transfer with one, two and four topics instead of three.
/// Expected credit: nothing for any of them, even when listed: four topics are an ERC-721 token's number, not a value.
contract OddTopicsToken {
    string public constant symbol = "ODD";
    uint8 public constant decimals = 0;
    bytes32 private constant TRANSFER = keccak256("Transfer(address,address,uint256)");

    function oneTopic(address to, uint256 value) external {
        bytes memory data = abi.encode(msg.sender, to, value);
        bytes32 topic = TRANSFER;
        assembly ("memory-safe") {
            log1(add(data, 32), mload(data), topic)
        }
    }

    function twoTopics(address to, uint256 value) external {
        bytes memory data = abi.encode(to, value);
        bytes32 topic = TRANSFER;
        assembly ("memory-safe") {
            log2(add(data, 32), mload(data), topic, caller())
        }
    }

    function fourTopics(address to, uint256 value) external {
        bytes32 topic = TRANSFER;
        assembly ("memory-safe") {
            log4(0, 0, topic, caller(), to, value)
        }
    }

    /// Three topics, and data that is one byte short, one byte long, or absent.
    function oddData(address to, uint256 length) external {
        bytes memory data = new bytes(length);
        bytes32 topic = TRANSFER;
        assembly ("memory-safe") {
            log3(add(data, 32), length, topic, caller(), to)
        }
    }

    /// The upper twelve bytes of the receiver's topic are not zero.
    function dirtyTopic(address to, uint256 value) external {
        bytes memory data = abi.encode(value);
        bytes32 topic = TRANSFER;
        assembly ("memory-safe") {
            log3(add(data, 32), mload(data), topic, caller(), or(to, shl(160, 1)))
        }
    }
}

/// A log that names a listed token wherever a log can name it, save as the contract that logged.
/// Expected credit: nothing; the address of a log is the contract that ran.
contract LogForger {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Deposited(address indexed token, address indexed to, uint256 value);

    function forge(address token, address to, uint256 value) external {
        emit Transfer(token, to, value);
        emit Deposited(token, to, value);
        emit Transfer(to, to, uint256(uint160(token)));
    }
}

/// Takes over the code of a listed token: its logs bear this contract's address, its books are here.
/// Expected credit: nothing.
contract DelegateWrapper is Ledger {
    uint8 public decimals = 18;

    constructor() Ledger("WRAP") {}

    function run(address code, bytes calldata data) external {
        (bool ok, ) = code.delegatecall(data);
        require(ok, "the code failed");
    }
}

/// Moves a listed token inside a call that is reverted afterwards, and catches the revert.
/// Expected credit: nothing; the transaction succeeds, but a reverted call leaves no log.
contract InnerReverter {
    function attempt(IToken token, address to, uint256 value) external {
        try this.transferThenRevert(token, to, value) {} catch {}
    }

    function transferThenRevert(IToken token, address to, uint256 value) external {
        token.transfer(to, value);
        revert("undone");
    }

    /// Expected credit: nothing; the transaction itself fails, with the log in its trace only.
    function transferAndFail(IToken token, address to, uint256 value) external {
        token.transfer(to, value);
        revert("failed after all");
    }
}

/// Pays many receivers in one transaction.
/// Expected credit, for a listed token that it holds: each share, one deposit per log, told apart by its ordinal.
contract Disperser {
    function disperse(IToken token, address[] calldata to, uint256 share) external {
        for (uint256 i = 0; i < to.length; ++i) token.transfer(to[i], share);
    }
}

/// Dust and poison: floods addresses with worthless Transfers, and moves zero of a listed token in other
/// people's names, so that an attacker's address shows up in their history.
/// Expected credit: nothing.
contract Spammer {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function flood(address to, uint256 count) external {
        for (uint256 i = 0; i < count; ++i) emit Transfer(msg.sender, to, 1);
    }

    function poison(IToken token, address victim, address lookAlike) external {
        token.transferFrom(victim, lookAlike, 0);
        token.transferFrom(lookAlike, victim, 0);
    }
}
