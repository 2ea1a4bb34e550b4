// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

// The ordinary token of the tests, and the ledger of balances that the odd ones share.
//
// "Expected credit" above a contract says what a deposit address may be credited for what the contract does.
// A token counts as listed only where it says so: everything else credits nothing, whatever it logs.

/// Balances and allowances without a way in or out; each token adds its own.
abstract contract Ledger {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    string public symbol;
    string public name;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(string memory symbol_) {
        symbol = symbol_;
        name = symbol_;
    }

    function mint(address to, uint256 value) external {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    /// Moves value in the books alone.
    function move(address from, address to, uint256 value) internal {
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }

    function spend(address from, uint256 value) internal {
        if (value > 0) allowance[from][msg.sender] -= value;
    }
}

/// Expected credit, when listed: the value of every Transfer to a deposit address. A mint is a Transfer from the
/// zero address and counts; a Transfer of zero, which anybody may cause in anybody's name, credits nothing.
contract Token is Ledger {
    uint8 public decimals;

    constructor(string memory symbol_, uint8 decimals_) Ledger(symbol_) {
        decimals = decimals_;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        spend(from, value);
        move(from, to, value);
        emit Transfer(from, to, value);
        return true;
    }
}

/// Expected credit, when listed: the value, as for `Token`; that nothing is returned changes nothing.
contract NoReturnToken is Ledger {
    uint8 public constant decimals = 6;

    constructor(string memory symbol_) Ledger(symbol_) {}

    function transfer(address to, uint256 value) external {
        move(msg.sender, to, value);
        emit Transfer(msg.sender, to, value);
    }
}

/// A proxy whose code can be exchanged: it keeps the ledger, the code behind it decides.
/// Expected credit, when listed: what `Token` behind it logs. After the exchange for `PhantomToken` the logs go on
/// while balances stand still: reconciliation has to notice, for no log can tell.
contract SwappableToken is Ledger {
    uint8 public decimals = 18;
    address public code;

    constructor(string memory symbol_, address code_) Ledger(symbol_) {
        code = code_;
    }

    function swap(address code_) external {
        code = code_;
    }

    fallback() external {
        (bool ok, bytes memory answer) = code.delegatecall(msg.data);
        require(ok, "the code behind failed");
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}
