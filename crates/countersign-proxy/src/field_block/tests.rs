use super::*;

/// A block of fields as text, none of which is put into the table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        write_string(name.as_bytes(), &mut block);
        write_string(value.as_bytes(), &mut block);
    }
    block
}

/// The fields of a block, all of which are text.
fn fields(mut block: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while let Some((first, rest)) = block.split_first() {
        assert_eq!(*first, 0);
        let mut reader = Reader { rest };
        let mut text =
            || String::from_utf8(reader.string().unwrap().decode().unwrap().into_owned()).unwrap();
        fields.push((text(), text()));
        block = reader.rest;
    }
    fields
}

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "a"),
    (":path", "/"),
];

fn check(fields: &[(&str, &str)], section: Section) -> Checked {
    FieldBlocks::new().check(&block(fields), section)
}

fn fault_of(fields: &[(&str, &str)], section: Section) -> Option<HeadFault> {
    match check(fields, section) {
        Checked::Sound => None,
        Checked::Replaced { fault, .. } => Some(fault),
        Checked::Undecodable => panic!("{fields:?}"),
    }
}

#[test]
fn it_is_known_why_a_request_is_none() {
    for (field, fault) in [
        (("x-a", "b"), None),
        (("x-a", "\tb \u{e9}"), None),
        (("te", "trailers"), None),
        (("x-a", "b\0"), Some(HeadFault::Value)),
        (("x-a", "b\nc"), Some(HeadFault::Value)),
        (("x-a", "\u{7f}"), Some(HeadFault::Value)),
        (("X-a", "b"), Some(HeadFault::Name)),
        (("x a", "b"), Some(HeadFault::Name)),
        (("", "b"), Some(HeadFault::Name)),
        ((":a", "b"), Some(HeadFault::Name)),
        ((":status", "200"), Some(HeadFault::Name)),
        (("connection", "close"), Some(HeadFault::HopByHop)),
        (("keep-alive", "1"), Some(HeadFault::HopByHop)),
        (("te", "gzip"), Some(HeadFault::HopByHop)),
        ((":path", "/b"), Some(HeadFault::Order)),
    ] {
        let after = [&GET[..], &[field]].concat();
        assert_eq!(fault_of(&after, Section::Request), fault, "{field:?}");
        // What is the value of a method or path in a request is nothing in trailers.
        assert_eq!(fault_of(&[field], Section::Trailers), fault, "{field:?}");
    }
    for (name, value) in [
        (":method", "G T"),
        (":scheme", "ht tps"),
        (":authority", "a b"),
        (":path", "/a b"),
        (":path", "/\u{1}"),
    ] {
        let fields = GET.map(|field| {
            if field.0 == name {
                (name, value)
            } else {
                field
            }
        });
        let fault = fault_of(&fields, Section::Request);
        assert_eq!(fault, Some(HeadFault::Pseudo(name)), "{value}");
    }
    let late = [("x-a", "b"), (":method", "GET")];
    assert_eq!(fault_of(&late, Section::Request), Some(HeadFault::Order));
}

#[test]
fn a_request_that_is_whole_but_for_a_value_is_marked() {
    let written = [&GET[..3], &[(":path", "/a b"), ("x-a", "\n"), ("x-b", "c")]].concat();
    let Checked::Replaced { block, fault, .. } = check(&written, Section::Request) else {
        panic!();
    };
    assert_eq!(fault, HeadFault::Pseudo(":path"));
    let found = fields(&block);
    let found: Vec<_> = found
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let rest = [
        (":path", "/xxx"),
        ("x-b", "c"),
        ("countersign-malformed-request", ":path"),
    ];
    assert_eq!(found, [&GET[..3], &rest].concat());
    assert_eq!(HeadFault::of_mark(b":path"), fault);
    assert_eq!(
        HeadFault::of_mark(HeadFault::Value.mark().as_bytes()),
        HeadFault::Value
    );
}

#[test]
fn what_cannot_be_answered_is_reset_whatever_else_is_wrong() {
    for written in [[("x-a", "\n"), ("X", "b")], [("X", "b"), ("x-a", "\n")]] {
        let written = [&GET[..], &written].concat();
        let Checked::Replaced { block, fault, .. } = check(&written, Section::Request) else {
            panic!();
        };
        assert_eq!(fault, HeadFault::Name);
        assert_eq!(fields(&block).last().unwrap().0, "connection");
    }
    let Checked::Replaced { block, .. } = check(&[("x-a", "\n")], Section::Trailers) else {
        panic!();
    };
    assert_eq!(
        fields(&block),
        [("connection".to_owned(), "close".to_owned())]
    );
}

#[test]
fn what_cannot_be_decoded_is_left_to_whoever_reads_it() {
    let undecodable: [&[u8]; 6] = [
        // No such index.
        &[0x80],
        &[0xbe],
        // A string that is longer than the block, and one whose end is missing.
        &[0, 5, b'a'],
        &[0x41],
        // A table larger than there may be.
        &[0x3f, 0xe2, 0x1f],
        // A field that takes less than any that could be put in its place.
        &[0x40, 0, 0],
    ];
    for block in undecodable {
        let checked = FieldBlocks::new().check(block, Section::Request);
        assert_eq!(checked, Checked::Undecodable, "{block:x?}");
    }
}
