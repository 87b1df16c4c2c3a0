//! HTTP/1.1 on a client's connection. hyper keeps two buffers and the last headers for as long as it serves one:
//! while no request comes, the connection is its byte stream and nothing else.

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::{
    body::{Body, Incoming},
    server::conn::http1::{Builder, Parts, UpgradeableConnection},
    service::HttpService,
};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite as _;

use crate::{
    bare_refusal::RefuseHead, client_state::ClientState, client_stream::ClientStream,
    over_socket::OverSocket,
};

/// The least that is read of a head at once; hyper takes no less.
const HEAD_BUFFER: usize = 8 * 1024;

/// Its own allocation, so that it is moved as one word.
type Stream<S, R> = Box<ClientStream<S, R>>;

/// Serves HTTP/1.1 until the connection ends.
#[expect(missing_debug_implementations, reason = "a service has none")]
pub struct Http1Connection<S, R, H>
where
    S: OverSocket,
    R: RefuseHead + Unpin,
    H: HttpService<Incoming>,
{
    header_bytes: usize,
    state: Arc<ClientState>,
    serving: Serving<S, R, H>,
}

/// What a connection is doing.
enum Serving<S, R, H>
where
    S: OverSocket,
    R: RefuseHead + Unpin,
    H: HttpService<Incoming>,
{
    Requests(Box<UpgradeableConnection<TokioIo<Stream<S, R>>, H>>),
    /// Nothing, until the client sends something.
    Idle(Stream<S, R>, H),
    Closing(Stream<S, R>),
    Over,
}

impl<S, R, H, B> Http1Connection<S, R, H>
where
    S: OverSocket + Send + 'static,
    R: RefuseHead + Send + Unpin + 'static,
    H: HttpService<Incoming, ResBody = B> + Unpin,
    H::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves the requests of a stream, whose heads may have so many bytes.
    pub fn new(stream: ClientStream<S, R>, header_bytes: usize, service: H) -> Self {
        Self {
            header_bytes,
            state: stream.state(),
            serving: serve(Box::new(stream), header_bytes, service),
        }
    }

    /// Ends the connection once the request under way is answered.
    pub fn graceful_shutdown(&mut self) {
        match std::mem::replace(&mut self.serving, Serving::Over) {
            Serving::Requests(mut connection) => {
                Pin::new(&mut *connection).graceful_shutdown();
                self.serving = Serving::Requests(connection);
            }
            Serving::Idle(stream, _) => self.serving = Serving::Closing(stream),
            other => self.serving = other,
        }
    }

    /// Goes from one to the next that is done; none once the connection is over.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Serving<S, R, H>>> {
        match &mut self.serving {
            Serving::Requests(connection) => {
                // How a connection ends is said of its requests.
                if Pin::new(&mut **connection).poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                // hyper may have written a piece without asking the body again.
                if self.state.take_body_to_ask() {
                    context.waker().wake_by_ref();
                }
                if !self.state.is_idle() {
                    return Poll::Pending;
                }
            }
            Serving::Idle(stream, _) => {
                if !ready!(stream.poll_again(context)) {
                    return Poll::Ready(
                        self.take_idle().map(|(stream, _)| Serving::Closing(stream)),
                    );
                }
                let idle = self.take_idle();
                let next = |(stream, service)| serve(stream, self.header_bytes, service);
                return Poll::Ready(idle.map(next));
            }
            Serving::Closing(stream) => {
                // Best effort: its client may be gone.
                return Pin::new(stream).poll_shutdown(context).map(|_| None);
            }
            Serving::Over => return Poll::Ready(None),
        }
        Poll::Ready(self.put_away())
    }

    fn take_idle(&mut self) -> Option<(Stream<S, R>, H)> {
        match std::mem::replace(&mut self.serving, Serving::Over) {
            Serving::Idle(stream, service) => Some((stream, service)),
            _ => None,
        }
    }

    /// Lets go of what serves requests. None was under way and all was written, so all that hyper may still hold
    /// is empty lines between two requests, which mean nothing (RFC 9112 section 2.2).
    fn put_away(&mut self) -> Option<Serving<S, R, H>> {
        let Serving::Requests(connection) = std::mem::replace(&mut self.serving, Serving::Over)
        else {
            return None;
        };
        let Parts {
            io,
            service,
            read_buf,
            ..
        } = connection.into_parts()?;
        let stream = io.into_inner();
        // Anything else would be a request that is lost: whoever sent it is told by the end of the connection.
        let is_empty = read_buf.iter().all(|byte| b"\r\n".contains(byte));
        Some(if is_empty {
            Serving::Idle(stream, service)
        } else {
            Serving::Closing(stream)
        })
    }
}

fn serve<S, R, H, B>(stream: Stream<S, R>, header_bytes: usize, service: H) -> Serving<S, R, H>
where
    S: OverSocket + Send + 'static,
    R: RefuseHead + Send + Unpin + 'static,
    H: HttpService<Incoming, ResBody = B>,
    H::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connection = Builder::new()
        // A client that has sent its request may close its side: it is answered all the same.
        .half_close(true)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes.max(HEAD_BUFFER))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    Serving::Requests(Box::new(connection))
}

impl<S, R, H, B> Future for Http1Connection<S, R, H>
where
    S: OverSocket + Send + 'static,
    R: RefuseHead + Send + Unpin + 'static,
    H: HttpService<Incoming, ResBody = B> + Unpin,
    H::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match ready!(this.poll_next(context)) {
                Some(next) => this.serving = next,
                None => {
                    this.serving = Serving::Over;
                    return Poll::Ready(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{convert::Infallible, future::poll_fn, time::Duration};

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt as _, Full};
    use hyper::service::service_fn;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
    const LONG: Duration = Duration::from_secs(60);

    #[derive(Debug)]
    struct Bare;

    impl RefuseHead for Bare {
        fn refuse(&self, status: StatusCode) -> Response<Bytes> {
            let mut response = Response::default();
            *response.status_mut() = status;
            response
        }
    }

    /// A connection that answers with each request's path, and its client.
    async fn pair(
        limit: Duration,
    ) -> (
        Http1Connection<
            TcpStream,
            Bare,
            impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible> + Unpin,
        >,
        TcpStream,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let state = Arc::new(ClientState::default());
        let stream = ClientStream::new(accepted.unwrap().0, Arc::clone(&state), Bare, LONG)
            .with_head_timeout(limit, std::time::Instant::now());
        let service = service_fn(move |request: Request<Incoming>| {
            assert!(!state.begin(), "no request here has both lengths");
            let path = Bytes::from(request.uri().path().to_owned());
            let state = Arc::clone(&state);
            async move {
                request.into_body().collect().await.unwrap();
                state.answer();
                Ok(Response::new(Full::new(path)))
            }
        });
        (
            Http1Connection::new(stream, 4_096, service),
            client.unwrap(),
        )
    }

    /// Reads so many answers, each of which ends with the path.
    async fn answers(client: &mut TcpStream, count: usize) {
        let mut read = Vec::new();
        while read.windows(6).filter(|part| part == b"\r\n\r\n/a").count() < count {
            assert_ne!(
                client.read_buf(&mut read).await.unwrap(),
                0,
                "it ended early"
            );
        }
    }

    /// Serves until the connection is put away.
    async fn until_idle<R: RefuseHead + Send + Unpin + 'static>(
        connection: &mut Http1Connection<
            TcpStream,
            R,
            impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible> + Unpin,
        >,
    ) {
        poll_fn(|context| {
            assert!(Pin::new(&mut *connection).poll(context).is_pending());
            match connection.serving {
                Serving::Idle(..) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    #[tokio::test]
    async fn requests_are_answered_that_come_once_the_connection_was_put_away() {
        let (mut connection, mut client) = pair(LONG).await;
        for pieces in [
            &[REQUEST][..],
            &[b"\r\n", REQUEST],
            &[b"G", b"ET /a HTTP/1.1\r\nhost", b": a\r\n\r\n"],
            &[
                b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n",
                b"bc",
            ],
        ] {
            until_idle(&mut connection).await;
            let asks = async {
                for piece in pieces {
                    client.write_all(piece).await.unwrap();
                    // Read by itself: a connection in the middle of a head is not put away.
                    tokio::task::yield_now().await;
                }
                answers(&mut client, 1).await;
            };
            tokio::select! {
                () = &mut connection => panic!("it ended"),
                () = asks => {}
            }
        }
        until_idle(&mut connection).await;
        client.write_all(&REQUEST.repeat(3)).await.unwrap();
        tokio::select! {
            () = &mut connection => panic!("it ended"),
            () = answers(&mut client, 3) => {}
        }
        connection.graceful_shutdown();
        connection.await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_idle_connection_ends_with_its_client_and_with_its_time() {
        let (mut connection, mut client) = pair(LONG).await;
        until_idle(&mut connection).await;
        client.shutdown().await.unwrap();
        connection.await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);

        let limit = Duration::from_millis(50);
        let begin = Instant::now();
        let (connection, mut client) = pair(limit).await;
        connection.await;
        assert!(begin.elapsed() >= limit);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn half_a_head_keeps_a_connection_no_longer_than_none() {
        let limit = Duration::from_millis(50);
        let (mut connection, mut client) = pair(limit).await;
        until_idle(&mut connection).await;
        client.write_all(b"GET /a").await.unwrap();
        connection.await;
    }
}
