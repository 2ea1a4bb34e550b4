// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Ledger} from "./Token.sol";

// Tokens that say one thing and do another. Unless "when listed" is said, they are not, and credit nothing.

/// Expected credit: nothing; `transfer` answers false, moves nothing and logs nothing, and the transaction succeeds.
contract FalseToken is Ledger {
    uint8 public constant decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address, uint256) external pure returns (bool) {
        return false;
    }
}

/// Expected credit: nothing; the Transfer is logged and no balance moves.
/// When listed by mistake: reconciliation finds less on the chain than in the books.
contract PhantomToken is Ledger {
    uint8 public decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256 value) external returns (bool) {
        emit Transfer(msg.sender, to, value);
        return true;
    }
}

/// Expected credit: nothing; it moves balances and logs nothing.
/// When listed: no credit either, and reconciliation finds more on the chain than in the books.
contract SilentToken is Ledger {
    uint8 public constant decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }
}

/// The same symbol, name and decimals as a listed token; does all that an honest token does.
/// Expected credit: nothing; a token is its address, not its name.
contract LookAlikeToken is Ledger {
    uint8 public decimals;

    constructor(string memory symbol_, uint8 decimals_) Ledger(symbol_) {
        decimals = decimals_;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        emit Transfer(msg.sender, to, value);
        return true;
    }
}

/// One part in ten is kept back, and the log says so.
/// Expected credit, when listed: the value of the Transfer to the receiver, nine tenths of what was sent.
contract FeeToken is Ledger {
    uint8 public constant decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 fee = value / 10;
        move(msg.sender, to, value - fee);
        move(msg.sender, address(this), fee);
        emit Transfer(msg.sender, to, value - fee);
        emit Transfer(msg.sender, address(this), fee);
        return true;
    }
}

/// One part in ten is kept back, and the log does not say so.
/// Expected credit: nothing. When listed by mistake: the balance rises by nine tenths of the value logged, so
/// no more than nine tenths may become available.
contract HiddenFeeToken is Ledger {
    uint8 public constant decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 fee = value / 10;
        move(msg.sender, to, value - fee);
        move(msg.sender, address(this), fee);
        emit Transfer(msg.sender, to, value);
        return true;
    }
}

/// All balances change at once, by a factor, without a log.
/// Expected credit: nothing. When listed by mistake: the value logged, and reconciliation finds the difference.
contract RebasingToken {
    event Transfer(address indexed from, address indexed to, uint256 value);

    string public symbol;
    uint8 public constant decimals = 18;
    uint256 public percent = 100;
    mapping(address => uint256) private shares;

    constructor(string memory symbol_) {
        symbol = symbol_;
    }

    function balanceOf(address owner) external view returns (uint256) {
        return (shares[owner] * percent) / 100;
    }

    function mint(address to, uint256 value) external {
        shares[to] += (value * 100) / percent;
        emit Transfer(address(0), to, value);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 part = (value * 100) / percent;
        shares[msg.sender] -= part;
        shares[to] += part;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function rebase(uint256 percent_) external {
        percent = percent_;
    }
}

/// Logs a Transfer of 2^256-1, and two of 2^255, whose sum is 0 for who counts in 256 bits.
/// Expected credit: nothing, and nothing overflows. When listed by mistake: held back, for it exceeds any supply.
contract HugeToken is Ledger {
    uint8 public constant decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256) external returns (bool) {
        emit Transfer(msg.sender, to, type(uint256).max);
        return true;
    }

    function transferTwice(address to) external {
        emit Transfer(msg.sender, to, 1 << 255);
        emit Transfer(msg.sender, to, 1 << 255);
    }
}

/// `decimals` answers what its maker wants today.
/// Expected credit, when listed: the raw units; the decimals are those of the listing, never asked again.
contract ChangingDecimalsToken is Ledger {
    uint8 public decimals;

    constructor(string memory symbol_, uint8 decimals_) Ledger(symbol_) {
        decimals = decimals_;
    }

    function setDecimals(uint8 decimals_) external {
        decimals = decimals_;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        emit Transfer(msg.sender, to, value);
        return true;
    }
}

/// Calls whoever receives, before the books are closed, as ERC-777 does; logs `Sent` beside `Transfer`.
/// Expected credit, when listed: the value of each Transfer, once. `Sent` counts for nothing.
contract HookToken is Ledger {
    event Sent(
        address indexed operator,
        address indexed from,
        address indexed to,
        uint256 amount,
        bytes data,
        bytes operatorData
    );

    uint8 public constant decimals = 18;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256 value) external returns (bool) {
        if (to.code.length > 0) IReceiver(to).tokensReceived(msg.sender, value);
        move(msg.sender, to, value);
        emit Sent(msg.sender, msg.sender, to, value, "", "");
        emit Transfer(msg.sender, to, value);
        return true;
    }
}

interface IReceiver {
    function tokensReceived(address from, uint256 value) external;
}

interface IToken {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Uses the hook to send on what it holds already, in the middle of the transfer to itself.
/// Expected credit, when the token is listed: what `Transfer` logs to the deposit address, once.
contract Reentrant is IReceiver {
    address public immutable onward;

    constructor(address onward_) {
        onward = onward_;
    }

    function tokensReceived(address, uint256 value) external {
        (bool ok, ) = msg.sender.call(abi.encodeCall(IToken.transfer, (onward, value)));
        ok;
    }
}
