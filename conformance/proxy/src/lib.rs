//! A TCP proxy that reads HTTP/2 frames as they pass and cuts the connection where a test wants it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What a client says before its first frame.
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;

/// Whose frame a connection is cut in place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server's: what it answers has happened, and is not told.
    Answer,
    /// The client's: what it asks for does not arrive.
    Request,
}

/// A proxy in front of one server. It lasts as long as the runtime that it was started on.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// How many DATA frames of the server still pass; negative: all.
    answers: AtomicI64,
    /// As `answers`, of the client.
    requests: AtomicI64,
    /// Cut again after as many as that; 0: once.
    every: AtomicU64,
    cuts: AtomicU64,
    /// Nothing passes, and who connects is turned away.
    down: watch::Sender<bool>,
}

impl Proxy {
    /// Starts one on a free port of loopback.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let plan = Arc::new(Plan { answers: (-1).into(), requests: (-1).into(), ..Plan::default() });
        tokio::spawn({
            let plan = plan.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let plan = plan.clone();
                    tokio::spawn(async move {
                        if *plan.down.borrow() {
                            return;
                        }
                        if let Ok(server) = TcpStream::connect(server).await {
                            pass(client, server, plan).await;
                        }
                    });
                }
            }
        });
        Proxy { address, plan }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connection, once, in place of the next frame of one side.
    pub fn cut_next(&self, cut: Cut) {
        let left = match cut {
            Cut::Answer => &self.plan.answers,
            Cut::Request => &self.plan.requests,
        };
        left.store(0, Ordering::SeqCst);
    }

    /// Cuts after every so many frames of the server, again and again.
    pub fn cut_every(&self, answers: u64) {
        self.plan.every.store(answers, Ordering::SeqCst);
        self.plan.answers.store(answers as i64, Ordering::SeqCst);
    }

    /// Lets everything pass.
    pub fn cut_no_more(&self) {
        self.plan.answers.store(-1, Ordering::SeqCst);
        self.plan.requests.store(-1, Ordering::SeqCst);
    }

    /// Cuts every connection, and those that come, until [`come_up`](Self::come_up).
    pub fn go_down(&self) {
        self.plan.down.send_replace(true);
    }

    /// Lets connections be made again.
    pub fn come_up(&self) {
        self.plan.down.send_replace(false);
    }

    /// How many connections have been cut within.
    pub fn cuts(&self) -> u64 {
        self.plan.cuts.load(Ordering::SeqCst)
    }
}

impl Plan {
    /// A DATA frame is about to pass. True when the connection is to be cut in its place.
    fn cut(&self, left: &AtomicI64) -> bool {
        let again = self.every.load(Ordering::SeqCst) as i64;
        let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
            0 if again > 0 => Some(again),
            // Below zero nothing is counted.
            ..0 => None,
            left => Some(left - 1),
        });
        let cut = before == Ok(0);
        self.cuts.fetch_add(u64::from(cut), Ordering::SeqCst);
        cut
    }
}

async fn pass(client: TcpStream, server: TcpStream, plan: Arc<Plan>) {
    client.set_nodelay(true).expect("a socket");
    server.set_nodelay(true).expect("a socket");
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = copy(from_client, to_server, PREFACE, &plan, &plan.requests);
    let answers = copy(from_server, to_client, 0, &plan, &plan.answers);
    let mut down = plan.down.subscribe();
    tokio::select! {
        _ = requests => {}
        _ = answers => {}
        _ = down.wait_for(|down| *down) => {}
    }
}

/// Passes frames on until one end is gone or the plan says so.
async fn copy(
    from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    preface: usize,
    plan: &Plan,
    left: &AtomicI64,
) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut frame = vec![0; preface];
    from.read_exact(&mut frame).await?;
    to.write_all(&frame).await?;
    loop {
        frame.resize(FRAME_HEAD, 0);
        from.read_exact(&mut frame).await?;
        let length = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        frame.resize(FRAME_HEAD + length, 0);
        from.read_exact(&mut frame[FRAME_HEAD..]).await?;
        if frame[3] == DATA && length > 0 && plan.cut(left) {
            return Ok(());
        }
        to.write_all(&frame).await?;
    }
}
