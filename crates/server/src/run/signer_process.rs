//! The embedded signer: `coffer-signer serve` as a child, on a socket pair that nobody else can open.
//!
//! The child's end is its standard input; the end of that channel, however this process ends, ends the
//! child. A channel that breaks is never used again: the child is ended, and the next call starts
//! another, with a growing pause between attempts. The first child's attestation key is
//! pinned for the life of this process, so a restart cannot bring in another vault's key file.
//! Calls block; the platform makes them where blocking is allowed.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_signing::{
    AccountSpec, SealKey, SignedDescriptor, Signer, SignerClient, SignerError, SignerIdentity,
};
use tokio_util::sync::CancellationToken;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// From the end of the channel until the child is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug, Clone)]
pub(super) struct SignerLaunch {
    pub(super) program: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) passphrase_file: Option<PathBuf>,
}

pub(super) struct SignerProcess {
    launch: SignerLaunch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    pinned: Option<[u8; 32]>,
    failures: u32,
    not_before: Option<Instant>,
    stopped: bool,
}

struct Running {
    child: Child,
    /// `None` only on its way up or down.
    client: Option<Arc<SignerClient>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SignerProcess {
    /// Starts the child and greets it, so that a wrong passphrase or program is found at once.
    pub(super) fn start(launch: SignerLaunch) -> Result<Self, SignerError> {
        let process = Self {
            launch,
            state: Mutex::default(),
        };
        process.client()?;
        Ok(process)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of a child that runs; starts one if it may.
    fn client(&self) -> Result<Arc<SignerClient>, SignerError> {
        let mut state = self.state();
        if let Some(client) = state
            .running
            .as_ref()
            .and_then(|running| running.client.clone())
        {
            return Ok(client);
        }
        if state.stopped {
            return Err(SignerError::Unreachable("this process is stopping".into()));
        }
        if let Some(wait) = state
            .not_before
            .and_then(|at| at.checked_duration_since(Instant::now()))
        {
            let ms = wait.as_millis();
            return Err(SignerError::Unreachable(format!(
                "it failed and is started again in {ms} ms"
            )));
        }
        match spawn(&self.launch, state.pinned) {
            Ok((running, client)) => {
                state.failures = 0;
                state.pinned = Some(client.greeted_identity().attestation_public_key);
                state.running = Some(running);
                Ok(client)
            }
            Err(error) => {
                state.pause();
                Err(error)
            }
        }
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&SignerClient) -> Result<T, SignerError>,
    ) -> Result<T, SignerError> {
        let client = self.client()?;
        let answer = question(&client);
        if matches!(
            answer,
            Err(SignerError::Unreachable(_) | SignerError::Untrusted(_))
        ) {
            self.state().drop_client(&client);
        }
        answer
    }

    /// Restarts a child that died while nobody asked it anything, until `stop`.
    pub(super) async fn supervise(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let this = Arc::clone(&self);
            // Opening the key file takes Argon2id's time.
            let looked = tokio::task::spawn_blocking(move || {
                this.state().drop_dead();
                this.client().err()
            });
            if let Ok(Some(error)) = looked.await {
                tracing::warn!(%error, "the signer is down");
            }
        }
    }

    /// Closes the channel, gives the child a moment to end, then kills it.
    pub(super) async fn stop(&self) {
        let running = {
            let mut state = self.state();
            state.stopped = true;
            state.running.take()
        };
        let Some(mut running) = running else { return };
        running.client = None;
        let ended = async {
            while let Ok(None) = running.child.try_wait() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("the signer did not end with its channel; killing it");
        }
    }
}

impl State {
    fn pause(&mut self) {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(16));
        self.not_before = Some(Instant::now() + pause.min(LONGEST_PAUSE));
        self.failures = self.failures.saturating_add(1);
        metrics::counter!("coffer_signer_failures_total").increment(1);
    }

    /// Unless another caller has replaced it already.
    fn drop_client(&mut self, broken: &Arc<SignerClient>) {
        let is_current = |running: &Running| {
            running
                .client
                .as_ref()
                .is_some_and(|client| Arc::ptr_eq(client, broken))
        };
        if self.running.as_ref().is_some_and(is_current) {
            self.running = None;
            self.pause();
        }
    }

    fn drop_dead(&mut self) {
        let is_dead = |running: &mut Running| !matches!(running.child.try_wait(), Ok(None));
        if self.running.as_mut().is_some_and(is_dead) {
            self.running = None;
            self.pause();
        }
    }
}

fn spawn(
    launch: &SignerLaunch,
    pinned: Option<[u8; 32]>,
) -> Result<(Running, Arc<SignerClient>), SignerError> {
    let failed = |what: &str, error: std::io::Error| {
        let program = launch.program.display();
        SignerError::Unreachable(format!("{what} {program}: {error}"))
    };
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed("no channel to", error))?;
    let mut command = Command::new(&launch.program);
    command.arg("serve").arg("--key-file").arg(&launch.key_file);
    if let Some(file) = &launch.passphrase_file {
        command.arg("--passphrase-file").arg(file);
    }
    let child = command
        // Passwords of the database and API keys are none of the signer's business.
        .env_remove("COFFER_DATABASE_URL")
        .env_remove("COFFER_API_KEY")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed("cannot start", error))?;
    // The command holds the child's end; while it does, the child's death does not end the channel.
    drop(command);
    let mut running = Running {
        child,
        client: None,
    };
    let client = Arc::new(SignerClient::connect(ours, pinned)?);
    running.client = Some(Arc::clone(&client));
    Ok((running, client))
}

impl Signer for SignerProcess {
    fn identity(&self) -> Result<SignerIdentity, SignerError> {
        self.ask(SignerClient::identity)
    }

    fn seal_key(&self) -> Result<SealKey, SignerError> {
        self.ask(SignerClient::seal_key)
    }

    fn account_descriptors(&self, spec: AccountSpec) -> Result<Vec<SignedDescriptor>, SignerError> {
        self.ask(|client| client.account_descriptors(spec))
    }

    fn solana_public_keys(
        &self,
        first_child: u32,
        count: u32,
    ) -> Result<Vec<[u8; 32]>, SignerError> {
        self.ask(|client| client.solana_public_keys(first_child, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(program: &str) -> SignerLaunch {
        SignerLaunch {
            program: program.into(),
            key_file: "/nonexistent".into(),
            passphrase_file: None,
        }
    }

    #[test]
    fn a_program_that_is_missing_or_answers_nothing_is_told() {
        for program in ["/nonexistent/coffer-signer", "/bin/true"] {
            let error = SignerProcess::start(launch(program)).err().expect(program);
            assert!(matches!(error, SignerError::Unreachable(_)), "{error}");
        }
    }

    #[test]
    fn failures_are_followed_by_growing_pauses() {
        let process = SignerProcess {
            launch: launch("/bin/false"),
            state: Mutex::default(),
        };
        assert!(process.identity().is_err());
        let told = process.identity().expect_err("pausing").to_string();
        assert!(told.contains("started again"), "{told}");
        let mut state = State::default();
        let pause = |state: &mut State| {
            state.pause();
            state
                .not_before
                .expect("set")
                .saturating_duration_since(Instant::now())
        };
        let pauses: Vec<_> = (0..20).map(|_| pause(&mut state)).collect();
        assert!(pauses[3] > pauses[0] * 4);
        assert!(pauses[19] <= LONGEST_PAUSE);
    }
}
