//! What this process gives up, so that a bug in it, or a look at its memory, gains little.
//!
//! [`protect_memory`] comes first, before a secret is read: no core dump, not readable or traceable by
//! other processes of the same user, no new privileges, memory kept out of swap
//! ([`lock_present_memory`] where the limit is too low for all of it). [`confine`] follows once
//! the key file is open: no file can be opened (Landlock, where the kernel has it), and only the
//! system calls that reading, deriving and answering need are left (seccomp): no socket can be made,
//! no program started, no process traced.
//!
//! What must hold and does not, ends the process; what depends on kernel and limits is
//! reported in the log's `ready` line. `PR_SET_PDEATHSIG` is left out on purpose: it fires when the
//! *thread* that started this process ends, and `coffer`'s threads come and go; the
//! end of file on the channel says the same without that trap.

mod probe;
mod system_calls;

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::log;
pub(crate) use probe::check;

/// Memory that must be lockable before all of it is locked: Argon2id's at its default, and room.
const LOCKABLE_BYTES: u64 = 256 << 20;

/// A locked stack counts when it grows, and beyond the limit that ends the process.
const STACK_GROWTH_BYTES: u64 = 1 << 20;
/// The field of the report: `all`, `seed` or `no`.
const MEMORY_LOCKED: &str = "memory_locked";

fn needed(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Failure {
    move |why| Failure::Unsafe {
        what,
        why: why.to_string(),
    }
}

/// Returns what was applied, for the log.
pub(crate) fn protect_memory() -> Result<Map<String, Value>, Failure> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(needed("forbidding core dumps (RLIMIT_CORE)"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(needed(
        "closing this process's memory to others (PR_SET_DUMPABLE)",
    ))?;
    set_no_new_privs(true).map_err(needed("giving up new privileges (PR_SET_NO_NEW_PRIVS)"))?;
    let mut applied = Map::new();
    for name in ["no_core_dumps", "not_dumpable", "no_new_privileges"] {
        applied.insert(name.into(), true.into());
    }
    let memory = if lock_all_memory() { "all" } else { "no" };
    applied.insert(MEMORY_LOCKED.into(), memory.into());
    Ok(applied)
}

/// Raises the limit as far as it goes; `None` is no limit.
fn lockable_bytes() -> Option<u64> {
    let limit = getrlimit(Resource::Memlock);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let privileged =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    match setrlimit(Resource::Memlock, raised) {
        _ if privileged => None,
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Locks all memory, present and future, when the limit allows for it: with a low limit, locking
/// would succeed now and make allocations fail later.
fn lock_all_memory() -> bool {
    // On fault: pages that are never touched need not be in memory at all.
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    lockable_bytes().is_none_or(|bytes| bytes >= LOCKABLE_BYTES) && mlockall(all).is_ok()
}

/// Where the limit was too low for all memory: locks what is there once the seed is. That is little
/// after Argon2id has given its memory back, and fits the usual limit of 8 MiB.
pub(crate) fn lock_present_memory(applied: &mut Map<String, Value>) {
    if applied
        .get(MEMORY_LOCKED)
        .is_some_and(|memory| memory == "all")
    {
        return;
    }
    let limit = lockable_bytes();
    let fits = |size: u64| limit.is_none_or(|bytes| size + STACK_GROWTH_BYTES <= bytes);
    let present = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
    if mapped_bytes().is_some_and(fits) && mlockall(present).is_ok() {
        applied.insert(MEMORY_LOCKED.into(), "seed".into());
        return;
    }
    log::warn(
        "memory is not locked and may reach the swap: set LimitMEMLOCK=infinity (ulimit -l unlimited), or turn swap off",
        &[("limit_bytes", limit.into())],
    );
}

/// `VmSize`, which `mlockall` compares with the limit.
fn mapped_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// From here on: no files, no network, no programs. Must be called before other threads start.
pub(crate) fn confine() -> Result<Map<String, Value>, Failure> {
    let landlock = forbid_files()?;
    forbid_system_calls()?;
    let mut applied = Map::new();
    applied.insert("landlock".into(), landlock.into());
    applied.insert("seccomp".into(), ENFORCED.into());
    Ok(applied)
}

const ENFORCED: &str = "enforced";

fn forbid_files() -> Result<&'static str, Failure> {
    match allow_no_path() {
        Ok(RulesetStatus::FullyEnforced) => Ok(ENFORCED),
        Ok(RulesetStatus::PartiallyEnforced) => Ok("enforced as far as this older kernel goes"),
        Ok(RulesetStatus::NotEnforced) => Ok("not supported by this kernel"),
        Err(error) => Err(Failure::Unsafe {
            what: "giving up the file system (Landlock)",
            why: error.to_string(),
        }),
    }
}

fn forbid_system_calls() -> Result<(), Failure> {
    system_calls::restrict().map_err(|error| Failure::Unsafe {
        what: "giving up system calls (seccomp)",
        why: error.to_string(),
    })
}

/// For the probe: memory must stay closed even to a change of mind.
fn become_dumpable() -> std::io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::Dumpable)?)
}

/// Handles every right that the kernel knows, and allows none.
fn allow_no_path() -> Result<RulesetStatus, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset)
}
