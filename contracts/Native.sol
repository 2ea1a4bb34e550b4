// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

// Ether that arrives in other ways than a plain transaction. No log tells of it: traces and balances do.

/// Refuses ether, so that an inner transfer to it fails.
/// Expected credit: nothing, it is nobody's deposit address.
contract Refuser {
    receive() external payable {
        revert("refused");
    }
}

/// Sends ether by internal calls, as exchanges and contract wallets do.
contract NativeSender {
    receive() external payable {}

    /// Expected credit: the value.
    function send(address payable to) external payable {
        (bool ok, ) = to.call{value: msg.value}("");
        require(ok, "not sent");
    }

    /// One share each; a receiver that refuses is passed over and its share stays here.
    /// Expected credit: the share, for each receiver that takes it; twice the share for one named twice.
    function sendMany(address payable[] calldata to, uint256 share) external payable {
        for (uint256 i = 0; i < to.length; ++i) {
            (bool ok, ) = to[i].call{value: share}("");
            ok;
        }
    }

    /// Sends to `lost` inside a call that is reverted after it had succeeded, then to `kept` for good.
    /// Expected credit: the share to `kept`. Nothing to `lost`, although the inner frame has no error of its own.
    function sendOneUndone(address payable lost, address payable kept, uint256 share) external payable {
        try this.sendThenRevert(lost, share) {} catch {}
        (bool ok, ) = kept.call{value: share}("");
        require(ok, "not sent");
    }

    function sendThenRevert(address payable to, uint256 share) external {
        (bool ok, ) = to.call{value: share}("");
        require(ok, "not sent");
        revert("undone");
    }

    /// Expected credit: nothing; the transaction fails as a whole, with a transfer in its trace.
    function sendAndFail(address payable to) external payable {
        (bool ok, ) = to.call{value: msg.value}("");
        require(ok, "not sent");
        revert("failed after all");
    }

    /// Runs `code` in this contract's place with the value of the call: DELEGATECALL frames carry a value that
    /// moves nothing.
    /// Expected credit: nothing from the DELEGATECALL frame itself; what `code` sends counts.
    function delegate(address code, bytes calldata data) external payable {
        (bool ok, ) = code.delegatecall(data);
        require(ok, "the code failed");
    }

    /// Makes a contract with an endowment.
    /// Expected credit: the value, if the new contract's address is a deposit address; else nothing.
    function create(bytes32 salt) external payable returns (address made) {
        made = address(new Purse{value: msg.value, salt: salt}());
    }
}

/// Holds what it was made with.
contract Purse {
    constructor() payable {}
}

/// Gives all it has to a receiver without calling it: no receive function can refuse it.
/// Expected credit: the whole balance.
contract SelfDestructor {
    receive() external payable {}

    function destroy(address payable to) external payable {
        selfdestruct(to);
    }
}

/// A contract wallet: does what its owner says, from its own address.
/// Expected credit: as if the wallet were the sender: the value of a listed token's Transfer, or the ether sent.
contract ContractWallet {
    receive() external payable {}

    function execute(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = target.call{value: value}(data);
        require(ok, "the call failed");
        return answer;
    }

    /// Runs foreign code in the wallet's own place: what it logs bears the wallet's address.
    /// Expected credit: nothing, even when the code is that of a listed token.
    function executeDelegate(address code, bytes calldata data) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = code.delegatecall(data);
        require(ok, "the code failed");
        return answer;
    }
}
