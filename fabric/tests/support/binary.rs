//! The binary, run with the flags of a test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

/// A run with these flags. The tests' own environment configures nothing.
pub(crate) fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perper-fabric"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PERPER_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// The exit code, and what was written to standard output and standard error.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = binary(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A running server. It is killed with this value, as `kill -9` does.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// On a free port. What becomes of its log is for `stderr` to say.
    pub(crate) fn start(arguments: &[&str], stderr: Stdio) -> Self {
        Self::start_at("127.0.0.1:0", arguments, stderr)
    }

    pub(crate) fn start_at(address: &str, arguments: &[&str], stderr: Stdio) -> Self {
        let mut child = binary(&["--address", address])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!("the server did not start: {line:?}");
        };
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
