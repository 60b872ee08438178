//! Wakes an event loop: rung by tasks, heard through a file descriptor, or by a thread that waits.

use tokio::sync::Notify;

/// It rings once, and not again until it is armed: however much comes meanwhile costs one wake-up.
pub(crate) struct Alarm {
    #[cfg(unix)]
    pair: Option<(std::os::unix::net::UnixStream, std::os::unix::net::UnixStream)>,
    rung: Notify,
    armed: Notify,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Alarm {
            #[cfg(unix)]
            pair: pair().ok(),
            rung: Notify::new(),
            armed: Notify::new(),
        }
    }

    /// What a loop watches for reading, where there is such a thing.
    #[cfg(unix)]
    pub(crate) fn descriptor(&self) -> Option<i32> {
        use std::os::fd::AsRawFd as _;

        self.pair.as_ref().map(|(reader, _)| reader.as_raw_fd())
    }

    #[cfg(not(unix))]
    pub(crate) fn descriptor(&self) -> Option<i32> {
        None
    }

    pub(crate) fn ring(&self) {
        #[cfg(unix)]
        if let Some((_, writer)) = &self.pair {
            use std::io::Write as _;

            // Full: it has been rung and not heard.
            let _ = (&*writer).write(&[1]);
        }
        self.rung.notify_one();
    }

    /// It has been heard.
    pub(crate) fn hush(&self) {
        #[cfg(unix)]
        if let Some((reader, _)) = &self.pair {
            use std::io::Read as _;

            let mut rings = [0; 16];
            // Empty: it was drained without having been rung.
            let _ = (&*reader).read(&mut rings);
        }
    }

    pub(crate) async fn heard(&self) {
        self.rung.notified().await;
    }

    pub(crate) fn arm(&self) {
        self.armed.notify_one();
    }

    pub(crate) async fn until_armed(&self) {
        self.armed.notified().await;
    }
}

#[cfg(unix)]
fn pair() -> std::io::Result<(std::os::unix::net::UnixStream, std::os::unix::net::UnixStream)> {
    let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    Ok((reader, writer))
}
