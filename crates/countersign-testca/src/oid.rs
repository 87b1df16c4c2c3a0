//! Object identifiers of RFC 5280 and related RFCs, as their numbers.

macro_rules! oids {
    ($($name:ident = $($number:literal)+;)*) => {
        $(
            #[expect(missing_docs, reason = "the name is the standard's")]
            pub const $name: &[u64] = &[$($number),+];
        )*
    };
}

oids! {
    COMMON_NAME = 2 5 4 3;
    COUNTRY = 2 5 4 6;
    LOCALITY = 2 5 4 7;
    STATE = 2 5 4 8;
    STREET = 2 5 4 9;
    ORGANIZATION = 2 5 4 10;
    ORGANIZATIONAL_UNIT = 2 5 4 11;
    POSTAL_CODE = 2 5 4 17;

    SUBJECT_KEY_IDENTIFIER = 2 5 29 14;
    KEY_USAGE = 2 5 29 15;
    SUBJECT_ALT_NAME = 2 5 29 17;
    BASIC_CONSTRAINTS = 2 5 29 19;
    CRL_NUMBER = 2 5 29 20;
    REASON_CODE = 2 5 29 21;
    DELTA_CRL_INDICATOR = 2 5 29 27;
    ISSUING_DISTRIBUTION_POINT = 2 5 29 28;
    CERTIFICATE_ISSUER = 2 5 29 29;
    NAME_CONSTRAINTS = 2 5 29 30;
    POLICY_MAPPINGS = 2 5 29 33;
    AUTHORITY_KEY_IDENTIFIER = 2 5 29 35;
    POLICY_CONSTRAINTS = 2 5 29 36;
    EXTENDED_KEY_USAGE = 2 5 29 37;
    INHIBIT_ANY_POLICY = 2 5 29 54;

    ANY_EXTENDED_KEY_USAGE = 2 5 29 37 0;
    SERVER_AUTH = 1 3 6 1 5 5 7 3 1;
    CLIENT_AUTH = 1 3 6 1 5 5 7 3 2;
    CODE_SIGNING = 1 3 6 1 5 5 7 3 3;
    EMAIL_PROTECTION = 1 3 6 1 5 5 7 3 4;

    RSA_ENCRYPTION = 1 2 840 113549 1 1 1;
    SHA1_WITH_RSA = 1 2 840 113549 1 1 5;
    MGF1 = 1 2 840 113549 1 1 8;
    RSA_PSS = 1 2 840 113549 1 1 10;
    SHA256_WITH_RSA = 1 2 840 113549 1 1 11;
    SHA384_WITH_RSA = 1 2 840 113549 1 1 12;
    SHA512_WITH_RSA = 1 2 840 113549 1 1 13;
    ECDSA_WITH_SHA1 = 1 2 840 10045 4 1;
    ECDSA_WITH_SHA256 = 1 2 840 10045 4 3 2;
    ECDSA_WITH_SHA384 = 1 2 840 10045 4 3 3;
    ECDSA_WITH_SHA512 = 1 2 840 10045 4 3 4;
    ED25519 = 1 3 101 112;
    SHA1 = 1 3 14 3 2 26;
    SHA256 = 2 16 840 1 101 3 4 2 1;
    SHA384 = 2 16 840 1 101 3 4 2 2;
    SHA512 = 2 16 840 1 101 3 4 2 3;
}
