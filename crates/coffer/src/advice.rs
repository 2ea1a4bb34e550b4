//! What to do next about each stable code of the API.

/// `code` is stable; `status` serves for an answer that has none, from a proxy for instance.
pub(crate) fn for_code(code: &str, status: u16) -> &'static str {
    match code {
        "unauthorized" => {
            "give a valid, unexpired key with --api-key, --api-key-file or COFFER_API_KEY"
        }
        "forbidden" => {
            "use a key that has the scope named above; `coffer key create NAME --scopes …` makes one"
        }
        "not_found" => "check the id: the matching `list` command shows what there is",
        "validation" => "correct the value named above and try again",
        "malformed_upload" => {
            "mend the file at the place named above and send it again: nothing was created"
        }
        "unsupported_format" => "send csv, ndjson or json, plain or gzipped; --format says which",
        "body_too_large" => "split the file and send the parts as batches of their own",
        "idempotency_conflict" => {
            "this idempotency key belongs to another request: send the same input, or choose a new key"
        }
        "idempotency_in_progress" => {
            "the first request with this key is still at work: repeat it with the same key in a moment"
        }
        "state_conflict" => "look at its present state with the `show` command first",
        "same_actor" => "somebody other than the creator has to do this: use another API key",
        "vault_awaiting_drill" => "prove the vault's backup first: `coffer vault drill VAULT`",
        "index_exhausted" => "this vault's account is full: use another vault",
        "rate_limited" => "wait a little and try again",
        "integrity_violation" | "audit_broken" => {
            "do not use the data: stop, keep everything as it is, and run `coffer audit verify` and `coffer doctor`"
        }
        "signer_unavailable" => {
            "look at the server's log for coffer-signer, then try again: nothing was lost"
        }
        "store_unavailable" => {
            "check the database and its disk, then try again with the same idempotency key"
        }
        _ if status == 404 => "is --server the address of a Coffer server?",
        _ if status >= 500 => "look at the server's log under the request id, then try again",
        _ => "correct the request and try again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stable_code_has_advice_of_its_own() {
        let fallback = for_code("no such code", 400);
        for code in
            "unauthorized forbidden not_found validation malformed_upload unsupported_format \
            body_too_large idempotency_conflict idempotency_in_progress state_conflict same_actor \
            vault_awaiting_drill index_exhausted rate_limited integrity_violation audit_broken \
            signer_unavailable store_unavailable"
                .split_whitespace()
        {
            assert_ne!(for_code(code, 400), fallback, "{code}");
        }
    }
}
