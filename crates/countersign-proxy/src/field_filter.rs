//! What arrives on a client's HTTP/2 connection, on its way to `h2`: field blocks that it would end
//! the connection for are replaced, and frames are left out that it counts against the connection.

use std::{ops::Range, task::Poll};

use bytes::Bytes;
use tokio::io::ReadBuf;

use crate::{
    client_frames::{ClientFrames, Found, Worth, block_of, frames_of},
    field_block::{Checked, FieldBlocks, HeadFault, Section},
};

/// What the bytes mean for their connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    Frame(Worth),
    /// The head of a request has arrived.
    Head,
    /// A request is about to be reset, or its trailers.
    Reset(HeadFault),
}

/// How many bytes more than its header list a field block may have: the headers of its frames, and padding.
const BLOCK_ROOM: usize = 64 * 1024;

/// Looks through the bytes of a connection.
#[derive(Debug)]
pub(crate) struct FieldFilter {
    frames: ClientFrames,
    blocks: FieldBlocks,
    /// Nothing is replaced any more: what follows cannot be understood, and `h2` is about to say so.
    gave_up: bool,
    /// The begin of a frame's header or of a field block, which is not whole yet.
    held: Vec<u8>,
    /// How much of a field block may be held.
    max_held: usize,
    /// What is to be read before anything else.
    ahead: Bytes,
}

/// Bytes to put in the place of others.
type Edit = (Range<usize>, Vec<u8>);

impl FieldFilter {
    /// For header lists of up to so many bytes.
    pub(crate) const fn new(list_bytes: usize) -> Self {
        Self {
            frames: ClientFrames::new(),
            blocks: FieldBlocks::new(),
            gave_up: false,
            held: Vec::new(),
            max_held: list_bytes.saturating_add(BLOCK_ROOM),
            ahead: Bytes::new(),
        }
    }

    /// Gives what is to be read before anything else; whether there was anything.
    pub(crate) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let count = self.ahead.len().min(buffer.remaining());
        let given = self.ahead.split_to(count);
        buffer.put_slice(&given);
        count > 0
    }

    /// Looks through the bytes that arrived, which begin there in a buffer, and leaves in it what is to
    /// be read now. Pending if that is nothing, but because more must arrive.
    pub(crate) fn take(
        &mut self,
        buffer: &mut ReadBuf<'_>,
        begin: usize,
        note: impl FnMut(Noted),
    ) -> Poll<()> {
        if buffer.filled().len() == begin {
            // What is held is not going to be whole.
            self.ahead = std::mem::take(&mut self.held).into();
            self.give(buffer);
            return Poll::Ready(());
        }
        self.pass(buffer, begin, note);
        if buffer.filled().len() > begin {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn pass(&mut self, buffer: &mut ReadBuf<'_>, begin: usize, note: impl FnMut(Noted)) {
        let arrived = buffer.filled().get(begin..).unwrap_or_default();
        if self.held.is_empty() {
            let (done, edits) = self.look(arrived, note);
            if done == arrived.len() && edits.is_empty() {
                return;
            }
            let arrived = arrived.to_vec();
            buffer.set_filled(begin);
            self.release(arrived, done, edits);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(arrived);
            buffer.set_filled(begin);
            let (done, edits) = self.look(&held, note);
            self.release(held, done, edits);
        }
        self.give(buffer);
    }

    /// How many of the bytes may be read now, and what in them is to be replaced.
    fn look(&mut self, bytes: &[u8], mut note: impl FnMut(Noted)) -> (usize, Vec<Edit>) {
        let mut edits = Vec::new();
        let Self {
            frames,
            blocks,
            gave_up,
            ..
        } = self;
        let done = frames.read(bytes, |found| match found {
            Found::Frame(worth, needless) => {
                note(Noted::Frame(worth));
                edits.extend(needless.map(|place| (place, Vec::new())));
            }
            Found::Broken => *gave_up = true,
            Found::Block(section, place) => {
                if section == Section::Request {
                    note(Noted::Head);
                }
                if *gave_up {
                    return;
                }
                let written = bytes.get(place.clone()).unwrap_or_default();
                match block_of(written).map(|block| blocks.check(&block, section)) {
                    Some(Checked::Sound) => {}
                    Some(Checked::Replaced {
                        block,
                        fault,
                        is_reset,
                    }) => {
                        if is_reset {
                            note(Noted::Reset(fault));
                        }
                        edits.push((place, frames_of(&block, written)));
                    }
                    Some(Checked::Undecodable) | None => *gave_up = true,
                }
            }
        });
        (done, edits)
    }

    /// Sets apart what is done with, edited, and holds the rest.
    fn release(&mut self, mut bytes: Vec<u8>, mut done: usize, edits: Vec<Edit>) {
        // `h2` has bounds of its own, and ends the connection when they are reached.
        if self.gave_up || bytes.len() - done > self.max_held {
            self.gave_up = true;
            done += self.frames.give_up();
        }
        self.held = bytes.split_off(done);
        for (place, instead) in edits.into_iter().rev() {
            bytes.splice(place, instead);
        }
        self.ahead = bytes.into();
    }
}

#[cfg(test)]
mod tests;
