//! The text around a certificate: what it may be, what it may not, and what must not be in it.

use countersign_testca::{Key, KeyKind, der, root};
use countersign_types::error::ErrorCode;
use countersign_verify::certificate::read_upload;

use crate::{NOW, check, mint, refuse};

#[test]
fn other_objects_are_recognized() {
    let minted = root("Example Root").mint();
    let (pem, der) = (minted.pem(), minted.der());
    let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let as_latin_1: String = der.iter().map(|byte| char::from(*byte)).collect();
    let relabelled = |label: &str| pem.replace("CERTIFICATE", label);
    check(
        "other_things",
        [
            ("empty", String::new()),
            ("blank", " \r\n\t\n".to_owned()),
            (
                "too large",
                format!("{}{pem}", "#".repeat(16 * 1024 + 1 - pem.len())),
            ),
            ("a path", "/etc/ssl/ca.pem".to_owned()),
            ("DER read as Latin-1", as_latin_1),
            (
                "DER read as UTF-8",
                String::from_utf8_lossy(der).into_owned(),
            ),
            (
                "UTF-16",
                pem.encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .map(char::from)
                    .collect(),
            ),
            ("base64 alone", body.join("\n")),
            ("a request", relabelled("CERTIFICATE REQUEST")),
            ("OpenSSL's own", relabelled("TRUSTED CERTIFICATE")),
            ("the old label", relabelled("X509 CERTIFICATE")),
            ("a public key", relabelled("PUBLIC KEY")),
            ("a revocation list", relabelled("X509 CRL")),
            ("PKCS#7", relabelled("PKCS7")),
            ("another label", relabelled("EC PARAMETERS")),
            (
                "a label that is none",
                relabelled("<script>alert(1)</script>"),
            ),
            (
                "another block first",
                format!("{}{pem}", relabelled("X509 CRL")),
            ),
            (
                "not a certificate",
                der::pem("CERTIFICATE", &der::sequence(&[])),
            ),
            ("not even DER", der::pem("CERTIFICATE", b"not even DER")),
            (
                "bytes after it",
                mint(root("Example Root").trailing(&[5, 0])),
            ),
        ],
    );
}

#[test]
fn damage_is_found_on_its_line() {
    let pem = mint(root("Example Root"));
    let lines: Vec<&str> = pem.lines().collect();
    let (last, joined) = (lines.len() - 1, |lines: &[&str]| lines.join("\n"));
    let cut = |more: &[&str]| joined(&[&lines[..4], more, &lines[last..]].concat());
    let replaced = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        joined(&lines)
    };
    check(
        "damage",
        [
            ("four dashes", pem.replace("-----", "----")),
            (
                "four dashes after the label",
                replaced(0, "-----BEGIN CERTIFICATE----"),
            ),
            ("without line breaks", pem.replace('\n', " ")),
            ("no end", joined(&lines[..last])),
            (
                "a begin before the end",
                joined(&[&lines[..3], &lines[..]].concat()),
            ),
            ("another end", replaced(last, "-----END X509 CRL-----")),
            ("nothing between", joined(&[lines[0], lines[last]])),
            ("a star in line 4", replaced(3, "MIIB*IIB")),
            ("padding in line 3", replaced(2, "MIIBMII=")),
            ("three of padding in line 5", cut(&["M==="])),
            ("a header in line 2", replaced(1, "Proc-Type: 4,CLEAR")),
            ("cut within a group, line 5", cut(&["MII"])),
            ("cut between groups, line 4", cut(&[])),
            (
                "cut, literal line breaks, line 4",
                cut(&[]).replace('\n', "\\n"),
            ),
            (
                "text before, a star in line 6",
                format!("a\r\nb\r\n{}", replaced(3, "*")),
            ),
        ],
    );
}

#[test]
fn pasting_habits_are_tolerated() {
    let minted = root("Example Root").mint();
    let pem = minted.pem();
    let other = mint(root("Other Root").version(1));
    let tolerated = [
        pem.replace('\n', "\r\n"),
        pem.replace('\n', "\r"),
        pem.trim_end().to_owned(),
        pem.replace('\n', "\\n"),
        pem.replace('\n', "\\r\\n"),
        format!("\"{}\"", pem.replace('\n', "\\n")),
        format!("\u{feff}{pem}"),
        format!("subject=CN = Example Root\n  issuer=...\n{pem}bye\n"),
        pem.lines().map(|line| format!("    {line}  \n")).collect(),
        pem.replace('\n', "\n\n"),
        format!("{pem}{other}"),
        format!("{pem}-----BEGIN X509 CRL-----\nrubbish"),
        format!("X509v3 Private Key Usage Period: none\n{pem}"),
        pem.lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join("\n"),
    ];
    for text in tolerated {
        let anchor = read_upload(&text, NOW).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(anchor.der(), minted.der(), "{text}");
    }
}

#[test]
fn a_private_key_is_refused_wherever_it_stands_and_never_quoted() {
    let minted = root("Example Root").mint();
    let (pem, key) = (minted.pem(), minted.key_pem());
    let rsa = Key::generate(KeyKind::Rsa2048).pem();
    let body = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
    let label = |label: &str| key.replace("PRIVATE KEY", label);
    let texts = [
        key.clone(),
        rsa.clone(),
        format!("{key}{pem}"),
        format!("{pem}{key}"),
        format!("{pem}{rsa}").replace('\n', "\\n"),
        format!("{pem}{}", key.replace('\n', "\r\n")),
        format!("{pem}{}", key.replace('\n', " ")),
        format!("{pem}{}", key.to_lowercase()),
        format!("{pem}   \"{key}"),
        format!("{pem}{}", label("RSA PRIVATE KEY")),
        format!("{pem}{}", label("EC PRIVATE KEY")),
        format!("{pem}{}", label("ENCRYPTED PRIVATE KEY")),
        format!("{pem}{}", label("OPENSSH PRIVATE KEY")),
        format!("{pem}{}", label("PGP PRIVATE KEY BLOCK")),
        format!("{pem}{}", label("PRIVATE  KEY")),
        format!("{pem}{}", key.replace("-----", "—--")),
        format!("{pem}{}", label("CERTIFICATE")),
        label("CERTIFICATE"),
        format!("{pem}\nkey: {}", body(&key)),
        body(&rsa),
        format!("{}\n{pem}", body(&key)),
        format!("PuTTY-User-Key-File-3: ssh-ed25519\n{pem}"),
        format!("Private-Key: (256 bit)\npriv:\n    0a:1b:2c\n{pem}"),
        format!("{pem}RSA Private-Key: (2048 bit, 2 primes)\nmodulus:\n    00:aa"),
    ];
    for text in texts {
        let refused = refuse(&text);
        assert_eq!(refused.code, ErrorCode::MtlsCertificateInvalid);
        assert!(refused.message.contains("private key"), "{text}: {refused}");
        for secret in key
            .lines()
            .chain(rsa.lines())
            .filter(|line| !line.starts_with('-'))
        {
            assert!(!refused.message.contains(secret));
            assert!(!format!("{refused:?}").contains(secret));
        }
    }
}
