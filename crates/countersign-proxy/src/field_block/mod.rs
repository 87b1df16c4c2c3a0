//! The field blocks of a client's HTTP/2 connection, looked at before `h2` reads them. A field that
//! cannot be one makes `h2` end the whole connection, with all other requests on it, since its table
//! of fields is undone. Here such a block is replaced by one that leaves the table as it must be, and
//! makes of the request one that is refused by itself (RFC 9113 section 8.1.1).

mod field;
mod hpack;
mod huffman;

pub use field::HeadFault;
#[cfg(test)]
pub(crate) use field::MALFORMED;

use std::borrow::Cow;

use field::{Name, fault};
use hpack::{Entry, Reader, Representation, Table, Text};
pub(crate) use hpack::{write_integer, write_string};
use huffman::Undecodable;

/// What a block is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// As it should be.
    Sound,
    /// Not as it should be; this is to be read in its place.
    Replaced {
        block: Vec<u8>,
        fault: HeadFault,
        /// The request is reset for it, and no answer is given.
        is_reset: bool,
    },
    /// Nothing more can be said of what is sent on this connection.
    Undecodable,
}

/// What a block is the head of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Request,
    Trailers,
}

/// Follows the field blocks of a connection.
#[derive(Debug)]
pub(crate) struct FieldBlocks {
    table: Table,
}

impl FieldBlocks {
    pub(crate) const fn new() -> Self {
        Self {
            table: Table::new(),
        }
    }

    /// Looks at the next block.
    pub(crate) fn check(&mut self, block: &[u8], section: Section) -> Checked {
        let mut check = Check {
            table: &mut self.table,
            seen: 0,
            in_fields: section == Section::Trailers,
            replaced: None,
        };
        match check.read(block) {
            Err(Undecodable) => Checked::Undecodable,
            Ok(()) => match check.replaced {
                None => Checked::Sound,
                Some(replaced) => replaced.end(section),
            },
        }
    }
}

/// One block that is looked at.
struct Check<'blocks> {
    table: &'blocks mut Table,
    /// The pseudo-headers that it has so far.
    seen: u8,
    /// No pseudo-header may follow.
    in_fields: bool,
    replaced: Option<Replaced>,
}

/// A field as it was read.
struct Field<'block> {
    representation: Representation,
    /// Its name, as an index or as text.
    written: Written<'block>,
    entry: Entry,
}

enum Written<'block> {
    Index(usize),
    Text(Cow<'block, [u8]>),
}

impl Check<'_> {
    fn read(&mut self, block: &[u8]) -> Result<(), Undecodable> {
        let mut reader = Reader { rest: block };
        while !reader.rest.is_empty() {
            let before = reader.rest;
            let field = self.next(&mut reader)?;
            let read = before.len() - reader.rest.len();
            let written = before.get(..read).unwrap_or_default();
            let fault = field.as_ref().and_then(|field| self.fault(field.entry));
            if let (Some(fault), Some(field)) = (fault, field) {
                let so_far = block.len() - before.len();
                let so_far = block.get(..so_far).unwrap_or_default();
                let begin = || Replaced::new(so_far, fault);
                let replaced = self.replaced.get_or_insert_with(begin);
                replaced.replace(&field, written, fault)?;
            } else if let Some(replaced) = &mut self.replaced {
                replaced.keep(written);
            }
        }
        Ok(())
    }

    /// The next field, unless the block only changes the table there.
    fn next<'block>(
        &mut self,
        reader: &mut Reader<'block>,
    ) -> Result<Option<Field<'block>>, Undecodable> {
        let (representation, integer) = reader.begin()?;
        let field = match representation {
            Representation::Resized => {
                self.table.resize(integer)?;
                return Ok(None);
            }
            Representation::Indexed => Field {
                representation,
                written: Written::Index(integer),
                entry: self.table.get(integer)?,
            },
            Representation::Inserted | Representation::Literal => {
                self.text(representation, integer, reader)?
            }
        };
        if representation == Representation::Inserted {
            self.table.insert(field.entry);
        }
        Ok(Some(field))
    }

    fn text<'block>(
        &self,
        representation: Representation,
        index: usize,
        reader: &mut Reader<'block>,
    ) -> Result<Field<'block>, Undecodable> {
        let (written, name, name_length) = if index == 0 {
            let text = reader.string()?.decode()?;
            let (name, length) = (Name::of(&text), text.len());
            (Written::Text(text), name, length)
        } else {
            let entry = self.table.get(index)?;
            (Written::Index(index), entry.name, entry.name_length)
        };
        let (value_length, fault) = read_value(name, reader.string()?)?;
        let entry = Entry {
            name,
            name_length,
            value_length,
            fault,
        };
        Ok(Field {
            representation,
            written,
            entry,
        })
    }

    /// Why this field must not be where it is.
    fn fault(&mut self, entry: Entry) -> Option<HeadFault> {
        let Name::Pseudo(pseudo) = entry.name else {
            self.in_fields = true;
            return entry.fault;
        };
        let is_misplaced = self.in_fields || self.seen & pseudo.bit() != 0;
        self.seen |= pseudo.bit();
        entry.fault.or(is_misplaced.then_some(HeadFault::Order))
    }
}

/// The length of a value, and why a field of this name has no such one. Most are looked at and not kept:
/// a bearer header comes with each request.
fn read_value(name: Name, value: Text<'_>) -> Result<(usize, Option<HeadFault>), Undecodable> {
    if name != Name::Other {
        let value = value.decode()?;
        return Ok((value.len(), fault(name, &value)));
    }
    let (mut length, mut is_visible) = (0, true);
    value.each(|octet| {
        length += 1;
        is_visible &= field::is_visible(octet);
    })?;
    Ok((length, (!is_visible).then_some(HeadFault::Value)))
}

/// A block in place of one that is not as it should be.
struct Replaced {
    block: Vec<u8>,
    fault: HeadFault,
}

impl Replaced {
    fn new(so_far: &[u8], fault: HeadFault) -> Self {
        Self {
            block: so_far.to_vec(),
            fault,
        }
    }

    fn keep(&mut self, sound: &[u8]) {
        self.block.extend_from_slice(sound);
    }

    /// Leaves out a field, or puts one in its place that takes as much of the table.
    fn replace(
        &mut self,
        field: &Field<'_>,
        written: &[u8],
        fault: HeadFault,
    ) -> Result<(), Undecodable> {
        // What cannot be answered decides what becomes of the request.
        if self.fault.is_of_value() && !fault.is_of_value() {
            self.fault = fault;
        }
        let inserts = field.representation == Representation::Inserted;
        match field.entry.name {
            // Nothing is wrong with it elsewhere, where it is named by its index.
            _ if fault == HeadFault::Order && inserts => self.keep(written),
            _ if fault == HeadFault::Order => {}
            // Whatever has this name is left out.
            Name::Impossible | Name::HopByHop if inserts => {
                self.write_possible_name(field.entry)?
            }
            Name::Pseudo(pseudo) => {
                let value = pseudo.possible(field.entry.value_length, inserts)?;
                self.write(field, &value, inserts);
            }
            Name::Te | Name::Other if inserts => {
                self.write(field, &vec![b'x'; field.entry.value_length], inserts);
            }
            _ => {}
        }
        Ok(())
    }

    /// A field that takes as much of the table as this one, whose name no field has.
    fn write_possible_name(&mut self, entry: Entry) -> Result<(), Undecodable> {
        let name = entry.name_length.max(1);
        let value = (entry.name_length + entry.value_length).checked_sub(name);
        let value = value.ok_or(Undecodable)?;
        self.begin(None, true);
        write_string(&vec![b'x'; name], &mut self.block);
        write_string(&vec![b'x'; value], &mut self.block);
        Ok(())
    }

    /// A field of the same name.
    fn write(&mut self, field: &Field<'_>, value: &[u8], inserts: bool) {
        match &field.written {
            Written::Index(index) => self.begin(Some(*index), inserts),
            Written::Text(name) => {
                self.begin(None, inserts);
                write_string(name, &mut self.block);
            }
        }
        write_string(value, &mut self.block);
    }

    fn begin(&mut self, index: Option<usize>, inserts: bool) {
        let (first, prefix) = if inserts { (0x40, 6) } else { (0, 4) };
        write_integer(first, prefix, index.unwrap_or_default(), &mut self.block);
    }

    /// The block, with a field by which it is known.
    fn end(mut self, section: Section) -> Checked {
        let fault = self.fault;
        let is_reset = !fault.is_of_value() || section == Section::Trailers;
        self.begin(None, false);
        if is_reset {
            // `h2` resets a stream for it, and nothing else.
            write_string(b"connection", &mut self.block);
            write_string(b"close", &mut self.block);
        } else {
            write_string(field::MALFORMED.as_str().as_bytes(), &mut self.block);
            write_string(fault.mark().as_bytes(), &mut self.block);
        }
        Checked::Replaced {
            block: self.block,
            fault,
            is_reset,
        }
    }
}

#[cfg(test)]
mod tests;
