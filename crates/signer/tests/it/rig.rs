//! Starts the signer as `coffer` does: over one end of a socket pair, as its standard input.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use coffer_signing::SignerClient;
use tempfile::TempDir;

/// BIP-39's test mnemonics: public, and searched for in everything that the signer says.
pub(crate) const WORDS: &str =
    "legal winner thank year wave sausage worth useful legal winner thank yellow";
pub(crate) const OTHER_WORDS: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
pub(crate) const PASSPHRASE: &str = "canary passphrase";

pub(crate) struct Rig {
    folder: TempDir,
}

pub(crate) struct Serving {
    child: Child,
}

pub(crate) fn signer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_coffer-signer"))
}

impl Rig {
    /// A folder with a passphrase file.
    pub(crate) fn new() -> Self {
        let rig = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        rig.write("passphrase", &format!("{PASSPHRASE}\n"));
        rig
    }

    /// And with the key file of `words`.
    pub(crate) fn imported(words: &str) -> Self {
        let rig = Self::new();
        let output = rig.import(words);
        assert!(output.status.success(), "{output:?}");
        rig
    }

    pub(crate) fn import(&self, words: &str) -> Output {
        self.write("words", words);
        let mut command = self.init();
        command.arg("--import-mnemonic").arg(self.path("words"));
        command.output().expect("the signer runs")
    }

    /// `init --json` without the choice between new words and imported ones.
    pub(crate) fn init(&self) -> Command {
        let mut command = signer();
        command.args(["init", "--json"]);
        command.arg("--key-file").arg(self.path("vault.key"));
        command
            .arg("--passphrase-file")
            .arg(self.path("passphrase"));
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("a writable folder");
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), private).expect("ours to change");
    }

    pub(crate) fn serve_command(&self) -> Command {
        let mut command = signer();
        command.arg("serve");
        command.arg("--key-file").arg(self.path("vault.key"));
        command
            .arg("--passphrase-file")
            .arg(self.path("passphrase"));
        command
    }

    pub(crate) fn serve(&self) -> (Serving, UnixStream) {
        serve(self.serve_command())
    }

    pub(crate) fn client(&self) -> (Serving, SignerClient) {
        let (serving, stream) = self.serve();
        let client = SignerClient::connect(stream, None).expect("the signer greets");
        (serving, client)
    }
}

pub(crate) fn serve(mut command: Command) -> (Serving, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let child = command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the signer starts");
    drop(command);
    (Serving { child }, ours)
}

impl Serving {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; the caller has closed the channel or otherwise ended the process.
    pub(crate) fn finish(self) -> Output {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(self.child.wait_with_output()));
        receiver
            .recv_timeout(Duration::from_secs(60))
            .expect("the signer ends")
            .expect("its output is readable")
    }
}

pub(crate) fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the signer starts");
    // It may refuse before it reads everything.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("its output is readable")
}

pub(crate) fn assert_exit(output: &Output, code: i32, part_of_message: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains(part_of_message), "{message}");
}
