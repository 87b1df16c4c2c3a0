//! What `h2` reads of a connection after its bytes passed: it is the judge of whether the tables of
//! fields agree.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf};

use super::{FieldFilter, Noted};
use crate::{
    field_block::{MALFORMED, write_integer, write_string},
    http2_io::{Http2Io, Traffic},
};

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

type Field = (&'static str, &'static str);

/// A client that puts fields into its table and refers to them.
#[derive(Default)]
struct Sender {
    table: VecDeque<Field>,
}

impl Sender {
    fn write(&mut self, (name, value): Field, random: &mut Random, block: &mut Vec<u8>) {
        let place = |known: Option<usize>| known.map_or(0, |place| place + 62);
        let whole = place(self.table.iter().position(|each| *each == (name, value)));
        if whole > 0 && random.below(3) > 0 {
            return write_integer(0x80, 7, whole, block);
        }
        let named = place(self.table.iter().position(|each| each.0 == name));
        let inserts = random.below(3) > 0;
        let (first, prefix) = if inserts {
            (0x40, 6)
        } else {
            (random.of(&[0, 0x10]), 4)
        };
        write_integer(first, prefix, named, block);
        if named == 0 {
            write_string(name.as_bytes(), block);
        }
        write_string(value.as_bytes(), block);
        if inserts {
            self.table.push_front((name, value));
        }
        let mut size = 0;
        self.table.retain(|(name, value)| {
            size += name.len() + value.len() + 32;
            size <= 4_096
        });
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], sent: &mut Vec<u8>) {
    sent.extend(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
    sent.extend([kind, flags]);
    sent.extend(stream.to_be_bytes());
    sent.extend(payload);
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Read(Vec<Field>),
    Marked,
    Reset,
}

const LONG: &str = "a value that is long enough to have the table forget those that it knew before it, \
                    again and again, since no more than four thousand bytes of it are remembered";

/// A request with a few fields, some of which no request has.
fn request(random: &mut Random) -> (Vec<Field>, Expected) {
    let mut fields = vec![
        (":method", random.of(&["GET", "PUT"])),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", random.of(&["/", "/a", "/b", "/c d", "/e\u{7f} f"])),
    ];
    for _ in 0..random.below(6) {
        fields.push(random.of(&[
            ("x-a", "1"),
            ("x-a", "2"),
            ("x-b", LONG),
            ("x-c", ""),
            ("cookie", "a=b"),
        ]));
    }
    if random.below(3) == 0 {
        let at = 4 + random.below(fields.len() - 3);
        fields.insert(
            at,
            random.of(&[
                ("x-a", "b\n"),
                ("x-b", "\u{1}"),
                ("X-Upper", "a"),
                ("x y", ""),
                ("", "a"),
                (":unknown", "a"),
                ("connection", "close"),
                ("transfer-encoding", "chunked"),
            ]),
        );
    }
    let name_is_wrong = |name: &str| {
        name.bytes()
            .any(|octet| octet.is_ascii_uppercase() || octet == b' ')
            || ["", ":unknown", "connection", "transfer-encoding"].contains(&name)
    };
    let value_is_wrong = |(name, value): &Field| {
        value.bytes().any(|octet| octet < 32) || *name == ":path" && value.contains(' ')
    };
    let expected = if fields.iter().any(|(name, _)| name_is_wrong(name)) {
        Expected::Reset
    } else if fields.iter().any(value_is_wrong) {
        Expected::Marked
    } else {
        Expected::Read(fields.clone())
    };
    (fields, expected)
}

/// All that a client sends, and what becomes of each request.
fn connection(random: &mut Random, requests: usize) -> (Vec<u8>, Vec<(u32, Expected)>) {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(4, 0, 0, &[], &mut sent);
    let (mut sender, mut expected) = (Sender::default(), Vec::new());
    for stream in (1..).step_by(2).take(requests) {
        let (mut fields, mut outcome) = request(random);
        if expected.len() + 1 == requests {
            // By the last one it is known that the connection goes on.
            fields.truncate(3);
            fields.push((":path", "/last"));
            outcome = Expected::Read(fields.clone());
        }
        let mut block = Vec::new();
        for field in fields {
            sender.write(field, random, &mut block);
        }
        let ends = random.below(2) == 0;
        let end_stream = u8::from(ends);
        if random.below(3) == 0 {
            let (first, rest) = block.split_at(random.below(block.len()));
            frame(1, end_stream, stream, first, &mut sent);
            frame(9, 4, stream, rest, &mut sent);
        } else {
            frame(1, end_stream | 4, stream, &block, &mut sent);
        }
        if !ends && outcome != Expected::Reset {
            frame(0, 1, stream, b"body", &mut sent);
        }
        expected.push((stream, outcome));
    }
    (sent, expected)
}

fn read(request: &Request<h2::RecvStream>) -> Vec<(String, String)> {
    let uri = request.uri();
    let pseudo = [
        (":method", request.method().to_string()),
        (":scheme", uri.scheme_str().unwrap().to_owned()),
        (":authority", uri.authority().unwrap().to_string()),
        (":path", uri.path().to_owned()),
    ];
    let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value));
    let headers: &HeaderMap = request.headers();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut all: Vec<_> = pseudo.into_iter().chain(headers).collect();
    all.sort();
    all
}

async fn send(mut client: DuplexStream, sent: Vec<u8>, mut random: Random) {
    let (mut answers, mut stream) = tokio::io::split(&mut client);
    let reading = async {
        let mut answered = Vec::new();
        let _ = answers.read_to_end(&mut answered).await;
    };
    let writing = async {
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let size = random.of(&[1, 3, 20, 200, 5_000]).min(rest.len());
            let (now, later) = rest.split_at(size);
            // Once the last request is read, nobody waits for its body.
            if stream.write_all(now).await.is_err() {
                return;
            }
            rest = later;
        }
    };
    tokio::join!(reading, writing);
}

#[tokio::test]
async fn every_sound_request_is_read_whatever_else_is_sent() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let (sent, expected) = connection(&mut random, 100);
        let (client, server) = tokio::io::duplex(random.of(&[16, 700, 100_000]));
        let sending = tokio::spawn(send(client, sent, Random(seed)));
        let traffic = Arc::<Traffic>::default();
        let server = Http2Io::new(
            server,
            Duration::from_secs(60),
            1 << 20,
            Arc::clone(&traffic),
        );
        let mut server = h2::server::Builder::new()
            .max_concurrent_streams(1_000)
            .handshake::<_, Bytes>(server)
            .await
            .unwrap();
        let expected = expected
            .into_iter()
            .filter(|(_, outcome)| *outcome != Expected::Reset);
        let mut kept = Vec::new();
        for (stream, outcome) in expected {
            let (request, respond) = server.accept().await.unwrap().unwrap();
            assert_eq!(u32::from(respond.stream_id()), stream, "seed {seed}");
            let is_marked = request.headers().contains_key(MALFORMED);
            match outcome {
                Expected::Read(mut fields) => {
                    fields.sort_unstable();
                    let read = read(&request);
                    let read: Vec<_> = read
                        .iter()
                        .map(|(name, value)| (&**name, &**value))
                        .collect();
                    assert_eq!(read, fields, "seed {seed}, stream {stream}");
                }
                Expected::Marked => assert!(is_marked, "seed {seed}, stream {stream}"),
                Expected::Reset => unreachable!(),
            }
            kept.push((request, respond));
        }
        drop(server);
        sending.await.unwrap();
    }
}

#[test]
fn nothing_that_is_sent_is_kept_for_ever() {
    let mut random = Random(7);
    for _ in 0..2_000 {
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for stream in (1..9).step_by(2) {
            let payload: Vec<u8> = (0..random.below(60))
                .map(|_| u8::try_from(random.below(256)).unwrap())
                .collect();
            let (kind, flags) = (
                random.of(&[0, 1, 1, 1, 9, 4]),
                random.of(&[0, 1, 4, 5, 8, 0x2c]),
            );
            frame(kind, flags, stream, &payload, &mut sent);
        }
        let (mut filter, mut read) = (FieldFilter::new(random.of(&[10, 100_000])), 0);
        let mut space = [0; 700];
        let mut faults = 0;
        for bytes in sent.chunks(random.of(&[1, 7, 300])).chain([&[][..]]) {
            let mut buffer = ReadBuf::new(&mut space);
            buffer.put_slice(bytes);
            let _ = filter.take(&mut buffer, 0, |noted| {
                faults += usize::from(matches!(noted, Noted::Reset(_)));
            });
            read += buffer.filled().len();
            while filter.give(&mut ReadBuf::new(&mut space[..1])) {
                read += 1;
            }
        }
        // But for frames that are needless.
        assert!(read + 4 * 9 >= sent.len() || faults > 0);
    }
}
