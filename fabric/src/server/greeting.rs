//! What a client says first, and what to answer when it is not gRPC.
//!
//! HTTP/2 begins with 24 fixed bytes. Reading them here, under a time limit, tells a wrong client apart by name,
//! instead of by an error from deep inside HTTP/2, and keeps a silent one from holding a connection.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::metrics::Refusal;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// How the methods of HTTP/1 begin.
const HTTP1_METHODS: [&[u8]; 9] =
    [b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC"];

/// What a client said first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The preface of HTTP/2, which HTTP/2 has to see again.
    Http2(Bytes),
    /// Something else, as told by its first bytes.
    Other(Refusal),
    /// Nothing: a probe that looks whether the port is open, or a client that thought better of it.
    Closed,
}

/// Reads until it is clear what the client speaks.
pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Greeting> {
    let mut buffer = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() {
        let count = io.read(&mut buffer[filled..]).await?;
        filled += count;
        if count == 0 {
            return Ok(if filled == 0 {
                Greeting::Closed
            } else {
                Greeting::Other(classify(&buffer[..filled]))
            });
        }
        // "P" alone may become "POST": wait until the bytes can be told apart.
        if !PREFACE.starts_with(&buffer[..filled]) && (filled >= 4 || buffer[0] == TLS_HANDSHAKE) {
            return Ok(Greeting::Other(classify(&buffer[..filled])));
        }
    }
    Ok(Greeting::Http2(Bytes::from_static(PREFACE)))
}

fn classify(bytes: &[u8]) -> Refusal {
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        Refusal::UnexpectedTls
    } else if HTTP1_METHODS.iter().any(|method| bytes.starts_with(method)) {
        Refusal::Http1
    } else {
        Refusal::NotHttp
    }
}

/// The answer to a client of HTTP/1, which people read in a browser or with curl.
pub(super) fn http1_answer(tls: bool) -> String {
    let body = if tls {
        "This port speaks gRPC over TLS: HTTP/2 inside TLS, and no plain HTTP.\n"
    } else {
        "This port speaks gRPC: HTTP/2 with prior knowledge, and no HTTP/1.\n"
    };
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn greet(mut bytes: &[u8]) -> Greeting {
        read(&mut bytes).await.unwrap()
    }

    #[tokio::test]
    async fn clients_are_told_apart_by_their_first_bytes() {
        assert_eq!(greet(b"").await, Greeting::Closed);
        assert_eq!(
            greet(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest").await,
            Greeting::Http2(Bytes::from_static(PREFACE))
        );
        for (bytes, refusal) in [
            (&b"GET / HTTP/1.1\r\n"[..], Refusal::Http1),
            (b"POST / HTTP/1.1\r\n", Refusal::Http1),
            (b"\x16\x03\x01", Refusal::UnexpectedTls),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Refusal::NotHttp),
            (b"P", Refusal::NotHttp),
            (b"\0\0\0\0\0\0", Refusal::NotHttp),
            (b"SSH-2.0-OpenSSH", Refusal::NotHttp),
        ] {
            assert_eq!(greet(bytes).await, Greeting::Other(refusal), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_greeting_in_pieces_is_waited_for() {
        let (mut client, mut server) = tokio::io::duplex(1);
        let write =
            tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut client, PREFACE).await });
        assert_eq!(read(&mut server).await.unwrap(), Greeting::Http2(Bytes::from_static(PREFACE)));
        write.await.unwrap().unwrap();
    }
}
