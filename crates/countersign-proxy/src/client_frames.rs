//! The frames of a client's HTTP/2 connection (RFC 9113 section 4), followed as their bytes arrive:
//! what each is worth, and where the field blocks are.

use std::ops::Range;

use crate::{field_block::Section, frame_budget::EACH_USEFUL_FRAME};

/// What a frame of settings costs: it is acknowledged, and may change every stream.
const SETTINGS_COST: u32 = 10;

/// What one frame is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    Earns(u32),
    Costs(u32),
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// The length of a frame's header.
const FRAME_HEAD: usize = 9;

/// The length of what precedes a client's frames (RFC 9113 section 3.4).
const PREFACE: u32 = 24;

/// The longest payload of a frame, as long as nobody asks for longer ones.
const MAX_PAYLOAD: usize = 16_384;

/// A frame's header (RFC 9113 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameHead {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameHead {
    /// The header that these bytes begin with, once it is whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<FRAME_HEAD>()?;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        })
    }

    fn write(self, bytes: &mut Vec<u8>) {
        let [_, length @ ..] = self.length.to_be_bytes();
        bytes.extend(length);
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
    }

    const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it neither carries nor ends anything: not even padding.
    const fn is_empty_data(self) -> bool {
        self.kind == DATA && self.length == 0 && !self.has(END_STREAM | PADDED)
    }

    /// What it is worth, if streams up to this one were open before it.
    const fn worth(self, last: u32) -> Worth {
        match self.kind {
            // The last frame of a body may be empty.
            DATA if self.length > 0 => Worth::Earns(EACH_USEFUL_FRAME),
            DATA if self.has(END_STREAM) => Worth::Earns(0),
            HEADERS if self.length > 0 && self.stream > last => Worth::Earns(EACH_USEFUL_FRAME),
            HEADERS | CONTINUATION if self.length > 0 => Worth::Earns(0),
            SETTINGS => Worth::Costs(SETTINGS_COST),
            _ => Worth::Costs(1),
        }
    }
}

/// What is found among the bytes of a client; places are counted from their first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A frame, and its place if it might as well not be there.
    Frame(Worth, Option<Range<usize>>),
    /// The frames of a whole field block.
    Block(Section, Range<usize>),
    /// A field block is interrupted: it is none.
    Broken,
}

/// Follows the frames of a client, as their bytes pass.
#[derive(Debug)]
pub(crate) struct ClientFrames {
    /// How much of the present frame's payload, or of the preface, is still to come.
    left: u32,
    /// The last stream that the client opened.
    last: u32,
    /// The field block that has begun.
    block: Option<Block>,
    /// How many of the bytes that are still to be shown again were looked at.
    looked_at: usize,
    /// A field block is shown again until it is whole.
    holds: bool,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    section: Section,
    stream: u32,
    /// Where its first frame begins.
    begin: usize,
    /// The present frame is its last.
    ends: bool,
}

impl ClientFrames {
    pub(crate) const fn new() -> Self {
        Self {
            left: PREFACE,
            last: 0,
            block: None,
            looked_at: 0,
            holds: true,
        }
    }

    /// Holds field blocks no longer, and says how many more bytes of those that were shown are done with.
    pub(crate) fn give_up(&mut self) -> usize {
        self.holds = false;
        std::mem::take(&mut self.looked_at)
    }

    /// Looks at bytes, and says how many of them are done with. The others, of a frame's header or a
    /// field block that is not whole yet, are to be shown again, with what follows them.
    pub(crate) fn read(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) -> usize {
        let mut at = std::mem::take(&mut self.looked_at);
        loop {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let skipped = left.min(bytes.len().saturating_sub(at));
            self.left -= u32::try_from(skipped).unwrap_or(self.left);
            at += skipped;
            if self.left == 0
                && let Some(block) = self.block.take_if(|block| block.ends)
            {
                found(Found::Block(block.section, block.begin..at));
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let next = FrameHead::read(rest).filter(|_| self.left == 0);
            let Some(frame) = next else {
                let held = self.block.as_mut().filter(|_| self.holds);
                let done = held.map_or(at, |block| std::mem::take(&mut block.begin));
                self.looked_at = at - done;
                return done;
            };
            self.begin(frame, at, &mut found);
            at += FRAME_HEAD;
            self.left = frame.length;
        }
    }

    fn begin(&mut self, frame: FrameHead, at: usize, found: &mut impl FnMut(Found)) {
        let is_needless = self.block.is_none()
            && frame.is_empty_data()
            && (1..=self.last).contains(&frame.stream);
        let place = is_needless.then_some(at..at + FRAME_HEAD);
        found(Found::Frame(frame.worth(self.last), place));
        match &mut self.block {
            Some(block) if frame.kind == CONTINUATION && frame.stream == block.stream => {
                block.ends = frame.has(END_HEADERS);
            }
            Some(_) => {
                self.block = None;
                found(Found::Broken);
            }
            None if frame.kind == HEADERS => {
                let section = if frame.stream > self.last {
                    Section::Request
                } else {
                    Section::Trailers
                };
                self.last = self.last.max(frame.stream);
                self.block = Some(Block {
                    section,
                    stream: frame.stream,
                    begin: at,
                    ends: frame.has(END_HEADERS),
                });
            }
            None => {}
        }
    }
}

/// The field block that these frames carry, unless one of them is not as it should be.
pub(crate) fn block_of(frames: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    let (first, mut rest) = fragment(frames)?;
    if rest.is_empty() {
        return Some(first.into());
    }
    let mut block = first.to_vec();
    while !rest.is_empty() {
        let (next, after) = fragment(rest)?;
        block.extend_from_slice(next);
        rest = after;
    }
    Some(block.into())
}

/// What the first of these frames carries of a block, and the other frames.
fn fragment(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = FrameHead::read(frames)?;
    let rest = frames.get(FRAME_HEAD..)?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(head.length).ok()?)?;
    if head.kind == CONTINUATION {
        return Some((payload, rest));
    }
    let (mut payload, mut padding) = (payload, 0);
    if head.has(PADDED) {
        let (length, after) = payload.split_first()?;
        (payload, padding) = (after, usize::from(*length));
    }
    if head.has(PRIORITY) {
        payload = payload.get(5..)?;
    }
    Some((payload.get(..payload.len().checked_sub(padding)?)?, rest))
}

/// The frames of another block in place of those of one.
pub(crate) fn frames_of(block: &[u8], instead_of: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(block.len() + FRAME_HEAD);
    let Some(first) = FrameHead::read(instead_of) else {
        return frames;
    };
    let mut fragments = block.chunks(MAX_PAYLOAD).peekable();
    let (mut kind, mut flags) = (HEADERS, first.flags & END_STREAM);
    while let Some(fragment) = fragments.next() {
        if fragments.peek().is_none() {
            flags |= END_HEADERS;
        }
        let head = FrameHead {
            length: u32::try_from(fragment.len()).unwrap_or_default(),
            kind,
            flags,
            stream: first.stream,
        };
        head.write(&mut frames);
        frames.extend_from_slice(fragment);
        (kind, flags) = (CONTINUATION, 0);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let head = FrameHead {
            length: length.try_into().unwrap(),
            kind,
            flags,
            stream,
        };
        head.write(&mut bytes);
        bytes.resize(bytes.len() + length, 7);
        bytes
    }

    /// What is found in bytes that arrive in pieces, with places counted from the first of them all.
    fn found(sent: &[u8], size: usize) -> Vec<Found> {
        let (mut frames, mut found, mut held, mut done) =
            (ClientFrames::new(), Vec::new(), Vec::new(), 0);
        for bytes in sent.chunks(size) {
            held.extend_from_slice(bytes);
            let moved = |range: Range<usize>| range.start + done..range.end + done;
            let count = frames.read(&held, |each| {
                found.push(match each {
                    Found::Frame(worth, place) => Found::Frame(worth, place.map(moved)),
                    Found::Block(section, place) => Found::Block(section, moved(place)),
                    Found::Broken => Found::Broken,
                });
            });
            held.drain(..count);
            done += count;
        }
        assert!(held.is_empty());
        found
    }

    #[test]
    fn frames_are_followed_however_their_bytes_are_cut() {
        let mut sent = vec![b'P'; 24];
        let mut places = Vec::new();
        for (kind, flags, stream, length) in [
            (SETTINGS, 0, 0, 18),
            (HEADERS, END_HEADERS, 1, 40),
            (DATA, 0, 1, 300),
            (DATA, 0, 1, 0),
            (DATA, PADDED, 1, 1),
            (DATA, 0, 0, 0),
            (DATA, END_STREAM, 1, 0),
            (HEADERS, 0, 3, 10),
            (CONTINUATION, 0, 3, 0),
            (CONTINUATION, END_HEADERS, 3, 5),
            (HEADERS, END_HEADERS | END_STREAM, 3, 5),
            (6, 0, 0, 8),
            (HEADERS, 0, 5, 8),
            (DATA, 0, 5, 0),
        ] {
            let begin = sent.len();
            sent.extend(frame(kind, flags, stream, length));
            places.push(begin..sent.len());
        }
        let (earns, costs) = (
            |count| Found::Frame(Worth::Earns(count), None),
            |count| Found::Frame(Worth::Costs(count), None),
        );
        let all = |from: usize, to: usize| places[from].start..places[to].end;
        let expected = [
            costs(SETTINGS_COST),
            earns(EACH_USEFUL_FRAME),
            Found::Block(Section::Request, all(1, 1)),
            earns(EACH_USEFUL_FRAME),
            Found::Frame(Worth::Costs(1), Some(all(3, 3))),
            earns(EACH_USEFUL_FRAME),
            costs(1),
            earns(0),
            earns(EACH_USEFUL_FRAME),
            costs(1),
            earns(0),
            Found::Block(Section::Request, all(7, 9)),
            earns(0),
            Found::Block(Section::Trailers, all(10, 10)),
            costs(1),
            earns(EACH_USEFUL_FRAME),
            costs(1),
            Found::Broken,
        ];
        for size in [1, 2, 7, 9, 24, 33, 1_000] {
            assert_eq!(found(&sent, size), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_block_is_taken_out_of_its_frames_and_put_into_others() {
        let head = |length, kind, flags| FrameHead {
            length,
            kind,
            flags,
            stream: 3,
        };
        let mut frames = Vec::new();
        head(12, HEADERS, PADDED | PRIORITY | END_STREAM).write(&mut frames);
        frames.extend([2, 0, 0, 0, 0, 9]);
        frames.extend(b"head");
        frames.extend([0, 0]);
        head(5, CONTINUATION, END_HEADERS).write(&mut frames);
        frames.extend(b" rest");
        assert_eq!(block_of(&frames).unwrap(), &b"head rest"[..]);
        // Its padding is longer than it is.
        frames[9] = 7;
        assert_eq!(block_of(&frames), None);

        let long = vec![b'a'; MAX_PAYLOAD + 1];
        let written = frames_of(&long, &frames);
        assert_eq!(block_of(&written).unwrap(), &long[..]);
        let first = FrameHead::read(&written).unwrap();
        assert_eq!((first.flags, first.stream), (END_STREAM, 3));
    }
}
