//! A deadline for the first bytes of a connection.
//!
//! hyper waits for ever for the 24 bytes by which HTTP/2 begins, so that peers who
//! send none, or 23, would hold their connections for nothing. A peer that turns
//! out to speak HTTP/1 is under hyper's own time-out for request heads.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The client connection preface, RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes are awaited.
#[derive(Debug)]
pub(super) struct FirstBytes<S> {
    stream: S,
    /// `None` once it is clear what the peer speaks.
    awaited: Option<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    deadline: Pin<Box<Sleep>>,
    /// What is still missing of the preface.
    missing: &'static [u8],
}

impl<S> FirstBytes<S> {
    pub(super) fn new(stream: S, timeout: Duration) -> Self {
        Self {
            stream,
            awaited: Some(Awaited {
                deadline: Box::pin(tokio::time::sleep(timeout)),
                missing: PREFACE,
            }),
        }
    }
}

impl Awaited {
    /// Whether `read` ends the wait: the preface is whole, or this is none.
    fn is_over_with(&mut self, read: &[u8]) -> bool {
        let common = read.len().min(self.missing.len());
        let (expected, missing) = self.missing.split_at(common);
        self.missing = missing;
        missing.is_empty() || !read.starts_with(expected)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(awaited) = &mut this.awaited else {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        };
        if awaited.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if awaited.is_over_with(read) {
            this.awaited = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// What a reader sees of `sent` when the peer then stays silent.
    async fn read_after(sent: &[u8]) -> io::Result<Vec<u8>> {
        let (mut peer, stream) = tokio::io::duplex(1024);
        let mut stream = FirstBytes::new(stream, TIMEOUT);
        peer.write_all(sent).await?;
        let mut read = vec![0; sent.len()];
        stream.read_exact(&mut read).await?;
        let silence = tokio::time::timeout(TIMEOUT * 2, stream.read_u8());
        match silence.await {
            Ok(ended) => Err(ended.err().unwrap()),
            Err(_) => Ok(read),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_a_partial_preface_time_out() {
        for length in 0..PREFACE.len() {
            let error = read_after(&PREFACE[..length]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{length} bytes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_preface_ends_the_wait() {
        assert_eq!(read_after(PREFACE).await.unwrap(), PREFACE);
        let more = [PREFACE.as_slice(), b"frames"].concat();
        assert_eq!(read_after(&more).await.unwrap(), more);
    }

    #[tokio::test(start_paused = true)]
    async fn http_1_is_left_to_its_own_time_out() {
        for request in [&b"GET / HTTP/1.1\r\n"[..], b"POST", b"PRI /"] {
            assert_eq!(read_after(request).await.unwrap(), request);
        }
    }
}
