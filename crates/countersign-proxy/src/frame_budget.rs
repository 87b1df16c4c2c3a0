//! What a client may send on an HTTP/2 connection that is neither a request nor its body. Such
//! frames cost the sender nothing and are answered or taken into account one by one, so that a
//! flood of them would take a whole core before anyone is authenticated. Useful work earns more of
//! them, and so does time: what a client has reason to send never runs out.

use std::time::Instant;

/// What a connection may spend at once when it begins.
const START: u32 = 1_000;

/// The most that it can save up.
const MAX: u32 = 10_000;

/// What each second earns.
const EACH_SECOND: u32 = 20;

/// What a request, and each frame of a body in either direction, earns.
pub(crate) const EACH_USEFUL_FRAME: u32 = 10;

/// What a frame of settings costs: it is acknowledged, and may change every stream.
const SETTINGS_COST: u32 = 10;

/// Something to spend, which comes back with time.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    max: u32,
    each_second: u32,
    counted: Instant,
}

impl Budget {
    /// So much to begin with, with what it may grow to and what each second earns.
    pub(crate) const fn new(left: u32, max: u32, each_second: u32, now: Instant) -> Self {
        Self {
            left,
            max,
            each_second,
            counted: now,
        }
    }

    pub(crate) const fn of_frames(now: Instant) -> Self {
        Self::new(START, MAX, EACH_SECOND, now)
    }

    pub(crate) fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.max);
    }

    /// Whether so much was left. The clock is read only when it was not.
    pub(crate) fn spend(&mut self, cost: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.left < cost {
            let now = now();
            let seconds = now.saturating_duration_since(self.counted).as_secs();
            if seconds > 0 {
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                self.earn(seconds.saturating_mul(self.each_second));
                self.counted = now;
            }
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

/// What one frame is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    Earns(u32),
    Costs(u32),
}

/// A frame's header (RFC 9113 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl FrameHead {
    fn new(bytes: [u8; FRAME_HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    /// Whether it neither carries nor ends anything: not even padding.
    fn is_empty_data(self) -> bool {
        const PADDED: u8 = 8;
        self.kind == DATA && self.length == 0 && self.flags & (END_STREAM | PADDED) == 0
    }

    /// What it is worth, if streams up to this one were open before it.
    fn worth(self, last: u32) -> Worth {
        match self.kind {
            // The last frame of a body may be empty.
            DATA if self.length > 0 => Worth::Earns(EACH_USEFUL_FRAME),
            DATA if self.flags & END_STREAM != 0 => Worth::Earns(0),
            HEADERS if self.length > 0 && self.stream > last => Worth::Earns(EACH_USEFUL_FRAME),
            HEADERS | CONTINUATION if self.length > 0 => Worth::Earns(0),
            SETTINGS => Worth::Costs(SETTINGS_COST),
            _ => Worth::Costs(1),
        }
    }
}

/// The length of a frame's header.
pub(crate) const FRAME_HEAD: usize = 9;

/// The length of what precedes a client's frames (RFC 9113 section 3.4).
const PREFACE: u32 = 24;

/// Follows the frames of a client, as their bytes pass.
#[derive(Debug)]
pub(crate) struct Frames {
    head: [u8; FRAME_HEAD],
    /// How much of the next frame's header is there.
    known: usize,
    /// How much of the present frame's payload, or of the preface, is still to come.
    left: u32,
    /// The last stream that the client opened.
    last: u32,
    /// The present frame is the last one of the head of a new request.
    ends_head: bool,
    /// The head of a new request goes on in the next frame.
    in_head: bool,
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Self {
            head: [0; FRAME_HEAD],
            known: 0,
            left: PREFACE,
            last: 0,
            ends_head: false,
            in_head: false,
        }
    }

    /// Takes note of bytes: says what each frame that begins in them is worth, and counts the heads
    /// of requests that end in them. Of a frame that might as well not be there it says where in them
    /// its header, which is all of it, begins.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        mut note: impl FnMut(Worth, Option<usize>),
    ) -> u32 {
        let (mut heads, all) = (0, bytes.len());
        loop {
            let skipped = bytes
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= u32::try_from(skipped).unwrap_or(self.left);
            bytes = bytes.get(skipped..).unwrap_or_default();
            if self.left > 0 {
                return heads;
            }
            heads += u32::from(std::mem::take(&mut self.ends_head));
            if bytes.is_empty() {
                return heads;
            }
            let Some(frame) = self.next(&mut bytes) else {
                return heads;
            };
            let is_needless =
                frame.is_empty_data() && !self.in_head && (1..=self.last).contains(&frame.stream);
            let begin = (all - bytes.len()).checked_sub(FRAME_HEAD);
            note(frame.worth(self.last), begin.filter(|_| is_needless));
            self.begin(frame);
        }
    }

    /// The next frame's header, once it is whole.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<FrameHead> {
        let missing = self.head.get_mut(self.known..)?;
        let count = missing.len().min(bytes.len());
        let (now, later) = bytes.split_at(count);
        missing.get_mut(..count)?.copy_from_slice(now);
        *bytes = later;
        self.known += count;
        (self.known == FRAME_HEAD).then(|| FrameHead::new(self.head))
    }

    fn begin(&mut self, frame: FrameHead) {
        self.known = 0;
        self.left = frame.length;
        let ends = frame.flags & END_HEADERS != 0;
        match frame.kind {
            HEADERS if frame.stream > self.last => {
                self.last = frame.stream;
                self.ends_head = ends;
                self.in_head = !ends;
            }
            CONTINUATION if self.in_head && ends => {
                self.ends_head = true;
                self.in_head = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(bytes.len() + length, 7);
        bytes
    }

    #[test]
    fn frames_are_followed_however_their_bytes_are_cut() {
        let mut sent = vec![b'P'; 24];
        for (kind, flags, stream, length) in [
            (SETTINGS, 0, 0, 18),
            (HEADERS, END_HEADERS, 1, 40),
            (DATA, 0, 1, 300),
            (DATA, 0, 1, 0),
            (DATA, END_STREAM, 1, 0),
            (HEADERS, 0, 3, 10),
            (CONTINUATION, 0, 3, 0),
            (CONTINUATION, END_HEADERS, 3, 5),
            (HEADERS, END_HEADERS | END_STREAM, 3, 5),
            (6, 0, 0, 8),
        ] {
            sent.extend(frame(kind, flags, stream, length));
        }
        let worth = [
            Worth::Costs(SETTINGS_COST),
            Worth::Earns(EACH_USEFUL_FRAME),
            Worth::Earns(EACH_USEFUL_FRAME),
            Worth::Costs(1),
            Worth::Earns(0),
            Worth::Earns(EACH_USEFUL_FRAME),
            Worth::Costs(1),
            Worth::Earns(0),
            Worth::Earns(0),
            Worth::Costs(1),
        ];
        for size in [1, 2, 7, 9, 24, 33, 1_000] {
            let (mut frames, mut found, mut heads) = (Frames::new(), Vec::new(), 0);
            for bytes in sent.chunks(size) {
                heads += frames.read(bytes, |worth, _| found.push(worth));
            }
            assert_eq!((&found[..], heads), (&worth[..], 2), "in pieces of {size}");
        }
    }

    #[test]
    fn only_an_empty_frame_of_a_body_that_is_not_its_last_is_needless() {
        let mut sent = vec![b'P'; 24];
        for (kind, flags, stream, length) in [
            (DATA, 0, 1, 0),
            (HEADERS, END_HEADERS, 1, 40),
            (DATA, 0, 1, 3),
            (DATA, 0, 1, 0),
            (DATA, 8, 1, 1),
            (DATA, 0, 0, 0),
            (DATA, 0, 1, 0),
            (DATA, END_STREAM, 1, 0),
            (HEADERS, 0, 3, 5),
            (DATA, 0, 1, 0),
        ] {
            sent.extend(frame(kind, flags, stream, length));
        }
        let needless = |bytes: &[u8], frames: &mut Frames| {
            let mut found = Vec::new();
            frames.read(bytes, |_, begin| found.extend(begin));
            found
        };
        let (first, second) = (24 + 9 + 49 + 12, 24 + 9 + 49 + 12 + 9 + 10 + 9);
        assert_eq!(needless(&sent, &mut Frames::new()), [first, second]);
        // A header that came in two pieces has been passed on in part.
        let mut frames = Frames::new();
        assert!(needless(&sent[..first + 4], &mut frames).is_empty());
        assert_eq!(
            needless(&sent[first + 4..], &mut frames),
            [second - first - 4]
        );
    }

    #[test]
    fn what_is_spent_comes_back_with_work_and_with_time() {
        let begin = Instant::now();
        let mut budget = Budget::of_frames(begin);
        let spend =
            |budget: &mut Budget, second| budget.spend(1, || begin + Duration::from_secs(second));
        assert!((0..START).all(|_| spend(&mut budget, 0)));
        assert!(!spend(&mut budget, 0), "a flood");
        budget.earn(EACH_USEFUL_FRAME);
        assert!((0..EACH_USEFUL_FRAME).all(|_| spend(&mut budget, 0)));
        // A ping each second, for hours.
        assert!((1..10_000).all(|second| spend(&mut budget, second)));
        // Two updates of a window for each frame of a large download.
        for _ in 0..100_000 {
            budget.earn(EACH_USEFUL_FRAME);
            assert!(spend(&mut budget, 10_000) && spend(&mut budget, 10_000));
        }
    }
}
