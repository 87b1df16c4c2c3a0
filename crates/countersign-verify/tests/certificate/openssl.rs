//! What the `openssl` command makes of the same (`openssl/make.sh`).

use std::fmt::Write as _;

use countersign_verify::certificate::inspect;

use crate::NOW;

macro_rules! files {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("openssl/", $name, ".pem"))),)*]
    };
}

#[test]
fn what_openssl_makes_is_read() {
    let files = files![
        "root" "root-as-text" "root-rsa" "root-ed25519" "root-signed-with-pss" "intermediate"
        "root-constrained" "root-compressed-point" "root-explicit-curve" "root-key-for-pss-only"
        "root-signed-with-sha1" "root-rsa-1024" "root-secp224r1" "root-secp256k1"
        "root-brainpoolP256r1" "root-ed448" "root-dsa" "root-no-keycertsign" "root-for-servers"
        "root-policies" "self-signed-leaf" "leaf-version-1" "leaf" "request" "trusted"
        "public-key" "pkcs7" "revocations"
    ];
    let mut out = String::new();
    for (name, pem) in files {
        let inspection = inspect(pem, NOW);
        writeln!(out, "{name}").unwrap();
        if let Some(facts) = inspection.facts {
            let (subject, issuer) = (facts.subject(), facts.issuer());
            let (key, signature) = (facts.key_algorithm(), facts.signature_algorithm());
            writeln!(out, "  {subject} under {issuer}, {key}, {signature}").unwrap();
        }
        if inspection.reasons.is_empty() {
            writeln!(out, "  accepted").unwrap();
        }
        for reason in inspection.reasons {
            writeln!(out, "  {}: {reason}", reason.code.as_str()).unwrap();
        }
    }
    insta::assert_snapshot!("openssl", out, "openssl");
}
