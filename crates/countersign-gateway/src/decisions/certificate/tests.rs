use super::*;
use countersign_testca::{Minted, root};
use data_encoding::BASE64;

fn escape(pem: &str) -> String {
    let escaped = percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC);
    escaped.to_string()
}

fn pair() -> (Minted, Minted) {
    let ca = root("Root").mint();
    let leaf = ca.leaf("workload").mint();
    (leaf, ca)
}

fn read(form: CertificateForm, headers: &[(&str, &str)]) -> Result<Vec<Vec<u8>>, Fault> {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()));
    let sent = Sent::among(form, headers)?;
    if sent.is_none() {
        return Ok(Vec::new());
    }
    let chain = sent.read(form)?;
    Ok(chain.iter().map(|der| der.to_vec()).collect())
}

/// A form, its headers, and how many certificates they carry.
type Form = (CertificateForm, Vec<(&'static str, String)>, usize);

/// Each form, with its header and how it writes these certificates.
fn forms(leaf: &Minted, ca: &Minted) -> Vec<Form> {
    use CertificateForm::{Alb, CaddyDer, NginxEscapedPem, Rfc9440, Traefik, XfccJson, XfccText};
    let bare = |each: &Minted| BASE64.encode(each.der());
    let both = escape(&format!("{}{}", leaf.pem(), ca.pem()));
    let hash = countersign_types::digest::Sha256::of(leaf.der());
    let one = escape(&leaf.pem());
    vec![
        (NginxEscapedPem, vec![("ssl-client-cert", one.clone())], 1),
        (CaddyDer, vec![("x-client-cert-der", bare(leaf))], 1),
        (
            Traefik,
            vec![(
                "x-forwarded-tls-client-cert",
                format!("{},{}", bare(leaf), bare(ca)),
            )],
            2,
        ),
        (
            Rfc9440,
            vec![
                ("client-cert", format!(":{}:", bare(leaf))),
                (
                    "client-cert-chain",
                    format!(":{}:, :{}:", bare(ca), bare(ca)),
                ),
            ],
            3,
        ),
        (Alb, vec![("x-amzn-mtls-clientcert", both.clone())], 2),
        (
            XfccText,
            vec![(
                "x-forwarded-client-cert",
                format!(
                    "By=a;Hash={hash};Cert=\"{one}\";Chain=\"{both}\";Subject=\"CN=\\\"a;b,c\\\"\";URI="
                ),
            )],
            2,
        ),
        (
            XfccJson,
            vec![(
                "x-forwarded-client-cert",
                format!("[{{\"Hash\":\"{hash}\",\"Chain\":\"{both}\",\"DNS\":[\"a\"]}}]"),
            )],
            2,
        ),
    ]
}

#[test]
fn each_form_is_read_and_an_absent_or_empty_header_is_no_certificate() {
    let (leaf, ca) = pair();
    for (form, headers, certificates) in forms(&leaf, &ca) {
        let borrowed: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let chain = read(form, &borrowed).unwrap();
        assert_eq!(chain.len(), certificates, "{form:?}");
        assert_eq!(chain[0], leaf.der(), "{form:?}");
        assert!(chain[1..].iter().all(|each| each == ca.der()), "{form:?}");
        let empty: Vec<_> = borrowed.iter().map(|(name, _)| (*name, "")).collect();
        assert_eq!(read(form, &empty), Ok(Vec::new()));
        assert_eq!(read(form, &[("accept", "*/*")]), Ok(Vec::new()));
    }
}

#[test]
fn what_is_cut_off_or_of_another_form_is_refused() {
    let (leaf, ca) = pair();
    let forms = forms(&leaf, &ca);
    for (form, headers, _) in &forms {
        let (name, value) = &headers[0];
        for kept in [1, 10, value.len() / 2, value.len() - 1] {
            let cut = read(*form, &[(name, &value[..kept])]);
            assert!(
                matches!(cut, Err(Fault::WrongForm(_))),
                "{form:?} {kept} {cut:?}"
            );
        }
        for (other, others, _) in &forms {
            let given = read(*form, &[(name, others[0].1.as_str())]);
            let is_list =
                |form| matches!(form, CertificateForm::Traefik | CertificateForm::CaddyDer);
            let same_kind = (is_list(*form) && is_list(*other))
                || matches!(
                    (form, other),
                    (CertificateForm::Alb, CertificateForm::NginxEscapedPem)
                );
            if form != other && !same_kind {
                assert!(given.is_err(), "{form:?} read {other:?}");
            }
        }
        // There, more of the last value.
        if *form == CertificateForm::XfccText {
            continue;
        }
        let junk = format!("{value} and more");
        assert!(read(*form, &[(name, &junk)]).is_err(), "{form:?}");
    }
}

#[test]
fn two_certificates_another_header_and_too_much_are_refused() {
    let (leaf, ca) = pair();
    for (form, headers, _) in forms(&leaf, &ca) {
        let (name, value) = (headers[0].0, headers[0].1.as_str());
        assert_eq!(
            read(form, &[(name, value), (name, value)]),
            Err(Fault::Repeated)
        );
        for other in KNOWN {
            if headers.iter().any(|(name, _)| *name == other) || names(form).contains(&Some(other))
            {
                continue;
            }
            let both = read(form, &[(name, value), (other, "x")]);
            assert_eq!(both, Err(Fault::OtherHeader(other)), "{form:?}");
        }
        let folded = name.replace('-', "_");
        let spelled = read(form, &[(name, value), (&folded, value)]);
        assert!(matches!(spelled, Err(Fault::OtherHeader(_))), "{form:?}");
        let large = "A".repeat(MAX_BYTES + 1);
        assert_eq!(read(form, &[(name, &large)]), Err(Fault::TooLarge));
    }
}

#[test]
fn an_xfcc_header_is_of_one_proxy_and_agrees_with_itself() {
    let (leaf, ca) = pair();
    let (one, other) = (escape(&leaf.pem()), escape(&ca.pem()));
    let hash = countersign_types::digest::Sha256::of(ca.der());
    for (header, fault) in [
        (format!("Cert=\"{one}\",Cert=\"{one}\""), "repeated"),
        (format!("Cert=\"{one}\";Cert=\"{one}\""), "repeated"),
        (format!("Cert=\"{one}\";cert=\"{one}\""), "repeated"),
        (format!("Cert=\"{one}\";Chain=\"{other}\""), "wrong_form"),
        (format!("Hash={hash};Cert=\"{one}\""), "wrong_form"),
        (format!("Cert=\"{one}{other}\""), "wrong_form"),
        ("Hash=00;Subject=\"CN=a\"".to_owned(), "wrong_form"),
        (format!("Cert=\"{one}"), "wrong_form"),
        (format!("Cert=\"{one}\"x"), "wrong_form"),
        ("Cert".to_owned(), "wrong_form"),
    ] {
        let given = read(
            CertificateForm::XfccText,
            &[("x-forwarded-client-cert", &header)],
        );
        assert_eq!(given.unwrap_err().word(), fault, "{header}");
    }
    for (header, fault) in [
        (
            format!("[{{\"Cert\":\"{one}\"}},{{\"Cert\":\"{one}\"}}]"),
            "repeated",
        ),
        ("[]".to_owned(), "wrong_form"),
        (format!("{{\"Cert\":\"{one}\"}}"), "wrong_form"),
        (
            format!("[{{\"Cert\":\"{one}\",\"Cert\":\"{other}\"}}]"),
            "wrong_form",
        ),
    ] {
        let given = read(
            CertificateForm::XfccJson,
            &[("x-forwarded-client-cert", &header)],
        );
        assert_eq!(given.unwrap_err().word(), fault, "{header}");
    }
}
