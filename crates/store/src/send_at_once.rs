//! `TCP_NODELAY` for connections to PostgreSQL, until `sqlx` sets it again.
//!
//! `sqlx` 0.9.0 leaves Nagle's algorithm on (<https://github.com/transact-rs/sqlx/issues/4335>, mended after it), so the message
//! that ends a COPY waits until the server has acknowledged the data before it, which a server that has nothing to
//! say does 40 ms later. It hands out no socket; so this process looks for its own sockets whose other end has the
//! server's port. Nothing but speed depends on it, so what fails is left as it is.
//! Cost: a link read for each open file of the process, once for each connection.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::getpeername;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

pub(crate) fn send_at_once(port: u16) {
    let set = || -> std::io::Result<()> {
        for socket in sockets()? {
            let peer = getpeername(&socket).ok().flatten();
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
            if peer.is_some_and(|peer| peer.port() == port) {
                set_tcp_nodelay(&socket, true)?;
            }
        }
        Ok(())
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "connections to the database wait before they send");
    }
}

/// A second descriptor of each socket that this process has open. Of nothing else: to close a second
/// descriptor of a file gives up the process's locks on it, SQLite's among them.
fn sockets() -> std::io::Result<Vec<OwnedFd>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut sockets = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")?.flatten() {
        let is_socket = fs::read_link(entry.path()).is_ok_and(|target| {
            target
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(b"socket:")
        });
        let number = entry.file_name().to_string_lossy().parse();
        if let (true, Ok(number)) = (is_socket, number) {
            sockets.extend(pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok());
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_to_the_port_send_at_once_and_others_are_left_alone() {
        let (here, there) = (
            TcpListener::bind("127.0.0.1:0"),
            TcpListener::bind("127.0.0.1:0"),
        );
        let (here, there) = (here.expect("a port"), there.expect("a port"));
        let connect = |to: &TcpListener| {
            TcpStream::connect(to.local_addr().expect("bound")).expect("connected")
        };
        let (asked, other) = (connect(&here), connect(&there));
        assert!(!asked.nodelay().expect("an option"));
        send_at_once(here.local_addr().expect("bound").port());
        assert!(asked.nodelay().expect("an option"));
        assert!(!other.nodelay().expect("an option"));
    }
}
