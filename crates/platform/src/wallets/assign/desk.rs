//! Where calls wait, and the task that takes those that wait together.
//!
//! The task runs only while somebody waits. What comes while a transaction is under way is the next group; so
//! under load groups grow by themselves, and a lone call waits for nobody. A group that fails as a whole, for a
//! reason that waiting would not cure, is done again call by call: so the one that is at fault fails alone.
//! A caller that went away before its turn is passed over; one that goes away later has its wallet, and finds it
//! under its idempotency key or its external id.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use coffer_domain::id::VaultId;
use coffer_store::idempotency::IdempotencyScope;
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::group::Served;
use super::{Assigned, NewWallet};
use crate::idempotency::scope;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, OwnedOnce, Platform};

/// Calls that may wait; more are refused, since they would wait too long.
const MAX_WAITING: usize = 10_000;
/// Wallets of one transaction, unless one call alone asks for more.
const GROUP_WALLETS: usize = 512;

pub(super) type Reply = Result<Answer<Vec<Assigned>>, Error>;

/// One caller's request, all for one vault.
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) vault: VaultId,
    pub(super) wallets: Vec<NewWallet>,
    /// The customers' keys, in the same order.
    pub(super) keys: Vec<[u8; 16]>,
    pub(super) once: Option<(IdempotencyScope, OwnedOnce<Vec<Assigned>>)>,
    reply: oneshot::Sender<Reply>,
}

impl Call {
    pub(super) fn new(
        caller: &Caller,
        operation: &'static str,
        wallets: Vec<NewWallet>,
        once: Option<OwnedOnce<Vec<Assigned>>>,
    ) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answered) = oneshot::channel();
        let key = |new: &NewWallet| new.external_id.key(caller.organization);
        let call = Self {
            caller: caller.clone(),
            vault: wallets[0].vault,
            keys: wallets.iter().map(key).collect(),
            wallets,
            once: once.map(|once| (scope(caller, operation, &once.key), once)),
            reply,
        };
        (call, answered)
    }

    /// To a caller that went away there is nothing to say.
    fn answer(self, reply: Reply) {
        let _ = self.reply.send(reply);
    }
}

#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    /// A task takes calls.
    served: bool,
}

/// The queue of one process.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Waiting>);

impl Desk {
    fn with<T>(&self, work: impl FnOnce(&mut Waiting) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls for one transaction, in the order in which they came; empty when nobody waits, and then the task
    /// that asked must end. Two calls for one customer or under one idempotency key go one after the other, so that
    /// the second sees what came of the first.
    fn next_group(&self) -> Vec<Call> {
        self.with(|waiting| {
            let (mut group, mut later) = (Vec::new(), VecDeque::new());
            let mut customers: HashSet<[u8; 16]> = HashSet::new();
            let mut scopes = HashSet::new();
            let mut size = 0;
            while let Some(call) = waiting.calls.pop_front() {
                if call.reply.is_closed() {
                    continue;
                }
                let full = size > 0 && size + call.wallets.len() > GROUP_WALLETS;
                let key = call.once.as_ref().map(|(scope, _)| scope.clone());
                let met = call.keys.iter().any(|key| customers.contains(key))
                    || key.as_ref().is_some_and(|key| scopes.contains(key));
                // Whatever waits behind a call that is put off must not pass it.
                customers.extend(&call.keys);
                scopes.extend(key);
                if full || met {
                    later.push_back(call);
                } else {
                    size += call.wallets.len();
                    group.push(call);
                }
                if full {
                    break;
                }
            }
            later.append(&mut waiting.calls);
            waiting.calls = later;
            waiting.served = !group.is_empty();
            group
        })
    }
}

impl Platform {
    pub(super) fn queue_call(&self, call: Call) -> Result<(), Error> {
        if self.0.desk.with(|waiting| waiting.calls.len()) >= MAX_WAITING {
            let text = format!("{MAX_WAITING} calls wait for a wallet already");
            return Err(Error::StoreUnavailable(text));
        }
        self.enqueue(call);
        Ok(())
    }

    fn enqueue(&self, call: Call) {
        let begin = self.0.desk.with(|waiting| {
            waiting.calls.push_back(call);
            !std::mem::replace(&mut waiting.served, true)
        });
        if begin {
            tokio::spawn(self.clone().serve_desk());
        }
    }

    async fn serve_desk(self) {
        loop {
            let group = self.0.desk.next_group();
            if group.is_empty() {
                return;
            }
            // A panic in one group must not leave the others waiting for ever.
            let serving = AssertUnwindSafe(self.serve_group(group)).catch_unwind();
            if serving.await.is_err() {
                tracing::error!("a group of calls for wallets ended in a panic");
            }
        }
    }

    async fn serve_group(&self, group: Vec<Call>) {
        metrics::counter!("coffer_assign_groups_total").increment(1);
        metrics::counter!("coffer_assign_calls_total").increment(group.len() as u64);
        match self.commit_group(&group).await {
            Ok(served) => self.answer_group(group, served),
            Err(error) if group.len() == 1 || error.is_transient() => {
                for call in group {
                    call.answer(Err(error.again()));
                }
            }
            Err(_) => {
                for call in group {
                    match self.commit_group(std::slice::from_ref(&call)).await {
                        Ok(served) => self.answer_group(vec![call], served),
                        Err(error) => call.answer(Err(error)),
                    }
                }
            }
        }
    }

    async fn commit_group(&self, group: &[Call]) -> Result<Vec<Served>, Error> {
        let served = transact!(self, tx, { self.try_group(tx, group).await });
        let _ = coffer_failpoint::hit("pool.take.after_commit", "");
        served
    }

    fn answer_group(&self, group: Vec<Call>, served: Vec<Served>) {
        let mut short: Vec<(Call, u32)> = Vec::new();
        for (call, served) in group.into_iter().zip(served) {
            match served {
                Served::Answered(reply) => call.answer(reply),
                Served::Short(missing) => short.push((call, missing)),
            }
        }
        short.sort_by_key(|(call, _)| call.vault);
        while let Some((first, _)) = short.first() {
            let vault = first.vault;
            let behind = short.partition_point(|(call, _)| call.vault == vault);
            let (calls, missing): (Vec<_>, Vec<_>) = short.drain(..behind).unzip();
            // Deriving takes its time, and the signer may be away: other vaults' calls go on.
            tokio::spawn(self.clone().fill_for(vault, calls, missing.iter().sum()));
        }
    }

    /// Adds what calls lack, and lets them try again; others may be faster, and then it begins anew.
    async fn fill_for(self, vault: VaultId, calls: Vec<Call>, missing: u32) {
        let filled = self.begin_pool(vault, missing).await;
        for call in calls {
            match &filled {
                Err(error) => call.answer(Err(error.again())),
                Ok(()) => self.enqueue(call),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coffer_domain::address::AddressKinds;
    use coffer_domain::external_id::ExternalId;
    use coffer_domain::id::{ApiKeyId, OrganizationId};

    use super::*;

    type Answered = oneshot::Receiver<Reply>;

    /// A call for these customers, of the caller with this number, under this idempotency key.
    fn call(customers: &[&str], caller: u8, key: Option<&str>) -> (Call, Answered) {
        let caller = Caller {
            organization: OrganizationId::from_bytes([1; 16]),
            key: ApiKeyId::from_bytes([caller; 16]),
            scopes: Vec::new(),
        };
        let new = |name: &&str| NewWallet {
            vault: VaultId::from_bytes([2; 16]),
            external_id: ExternalId::try_new(name).expect("valid"),
            label: None,
            metadata: None,
            kinds: AddressKinds::ALL,
        };
        let once = key.map(|key| OwnedOnce {
            key: key.to_owned(),
            fingerprint: [0; 32],
            render: Arc::new(|_: &Vec<Assigned>| (200, String::new())),
        });
        Call::new(&caller, "test", customers.iter().map(new).collect(), once)
    }

    /// The groups in which calls are served, by their first customers.
    fn groups(calls: Vec<Call>) -> Vec<Vec<String>> {
        let desk = Desk::default();
        desk.with(|waiting| waiting.calls.extend(calls));
        let mut groups = Vec::new();
        loop {
            let group = desk.next_group();
            if group.is_empty() {
                assert!(!desk.with(|waiting| waiting.served));
                return groups;
            }
            let name = |call: &Call| call.wallets[0].external_id.as_str().to_owned();
            groups.push(group.iter().map(name).collect());
        }
    }

    #[test]
    fn calls_that_wait_together_are_one_group() {
        let (calls, _answers): (Vec<_>, Vec<_>) = [
            call(&["a"], 1, None),
            call(&["b"], 1, Some("k")),
            call(&["c"], 2, Some("k")),
        ]
        .into_iter()
        .unzip();
        assert_eq!(groups(calls), [["a", "b", "c"]]);
    }

    #[test]
    fn one_customer_and_one_key_are_served_one_after_the_other() {
        let (calls, _answers): (Vec<_>, Vec<_>) = [
            call(&["a", "x"], 1, None),
            call(&["x"], 1, None),
            call(&["b"], 1, Some("k")),
            call(&["c"], 1, Some("k")),
            call(&["c"], 1, None),
        ]
        .into_iter()
        .unzip();
        let expected = [vec!["a", "b"], vec!["x", "c"], vec!["c"]];
        assert_eq!(groups(calls), expected);
    }

    #[test]
    fn a_group_is_bounded_and_the_order_kept() {
        let names: Vec<String> = (0..GROUP_WALLETS + 3).map(|n| format!("n{n}")).collect();
        let (calls, _answers): (Vec<_>, Vec<_>) =
            names.iter().map(|name| call(&[name], 1, None)).unzip();
        let groups = groups(calls);
        assert_eq!(
            groups.iter().map(Vec::len).collect::<Vec<_>>(),
            [GROUP_WALLETS, 3]
        );
        assert_eq!(groups.concat(), names);
        // One call alone may ask for more.
        let many: Vec<&str> = names.iter().map(String::as_str).collect();
        let (large, _answered) = call(&many, 1, None);
        assert_eq!(large.wallets.len(), GROUP_WALLETS + 3);
        let desk = Desk::default();
        desk.with(|waiting| waiting.calls.push_back(large));
        assert_eq!(desk.next_group().len(), 1);
    }

    #[test]
    fn a_caller_that_went_away_is_passed_over() {
        let (gone, answered) = call(&["gone"], 1, None);
        drop(answered);
        let (there, _answered) = call(&["there"], 1, None);
        assert_eq!(groups(vec![gone, there]), [["there"]]);
    }
}
