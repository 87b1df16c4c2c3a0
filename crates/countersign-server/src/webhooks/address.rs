//! Where webhooks may go. An organization's admin chooses the URL, and the control plane is in a
//! network that the admin may have no access to: it must not become a way into it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Reads the URL of a webhook, or returns a sentence that says what is wrong with it. With
/// `private`, addresses that are not public and plain `http` are allowed.
pub(crate) fn check_url(text: &str, private: bool) -> Result<Url, &'static str> {
    check(text, private, private)
}

/// The same for a revocation list, which is signed, so that plain `http` is allowed.
pub(crate) fn check_list_url(text: &str, private: bool) -> Result<Url, &'static str> {
    check(text, private, true)
}

fn check(text: &str, private: bool, http: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "It is not a URL.")?;
    match url.scheme() {
        "https" => {}
        "http" if http => {}
        "http" => return Err("Only `https` is allowed here."),
        _ if http => return Err("Its scheme is neither `https` nor `http`."),
        _ => return Err("Its scheme is not `https`."),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("It holds a user or a password. Leave them out.");
    }
    if url.fragment().is_some() {
        return Err("It has a fragment. Leave it out.");
    }
    let literal = match url.host() {
        None => return Err("It names no host."),
        Some(Host::Domain(_)) => None,
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
    };
    if literal.is_some_and(|ip| !private && !is_public(ip)) {
        return Err("Its address is not a public one.");
    }
    Ok(url)
}

/// Whether an address is public, by the registries of special addresses (RFC 6890 and its updates).
/// An IPv6 address that contains an IPv4 address is judged by that one.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        // This network; shared with carriers; protocol assignments; 6to4 relays; benchmarks;
        // reserved, with broadcast.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let inside = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(one, two, three, four))
    };
    match (a, b) {
        // Mapped, and NAT64 of the well-known prefix.
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => inside(g, h),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => inside(g, h),
        (0x2002, _) => inside(b, c),
        // Teredo, benchmarks and other assignments below 2001:200::; documentation.
        (0x2001, ..0x200) | (0x2001, 0xdb8) | (0x3fff, ..0x1000) => false,
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: &str = "\
        127.0.0.1 127.9.9.9 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 \
        169.254.169.254 100.64.0.1 100.127.255.255 0.0.0.0 0.1.2.3 192.0.0.192 192.0.2.1 \
        198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 192.88.99.1 224.0.0.1 \
        240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 \
        ::ffff:169.254.169.254 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe \
        64:ff9b:1::1 2002:7f00:1:: 2001::1 2001:db8::1 3fff::1 fc00::1 fd00:ec2::254 \
        fe80::1 fec0::1 ff02::1 100::1 4000::1";
    const PUBLIC: &str = "\
        1.1.1.1 8.8.8.8 100.63.0.1 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 \
        198.20.0.1 223.255.255.255 2606:4700::1111 2001:4860::8888 ::ffff:1.1.1.1 \
        64:ff9b::101:101 2002:101:101::";

    #[test]
    fn only_public_addresses_are_public() {
        for (texts, public) in [(SPECIAL, false), (PUBLIC, true)] {
            for text in texts.split_ascii_whitespace() {
                assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
            }
        }
    }

    #[test]
    fn a_url_is_https_to_a_public_place_unless_the_operator_allows_more() {
        for (text, public, private) in [
            ("https://example.com/hook?token=x", true, true),
            ("https://1.1.1.1:8443/", true, true),
            ("http://example.com/", false, true),
            ("http://127.0.0.1:9/", false, true),
            ("https://127.0.0.1/", false, true),
            ("https://2130706433/", false, true),
            ("https://0x7f.1/", false, true),
            ("https://[::1]/", false, true),
            ("https://[::ffff:169.254.169.254]/", false, true),
            ("https://user@example.com/", false, false),
            ("https://:pass@example.com/", false, false),
            ("https://example.com/#part", false, false),
            ("ftp://example.com/", false, false),
            ("file:///etc/passwd", false, false),
            ("example.com", false, false),
            ("https://", false, false),
            ("", false, false),
        ] {
            assert_eq!(check_url(text, false).is_ok(), public, "{text}");
            assert_eq!(check_url(text, true).is_ok(), private, "{text}");
        }
    }
}
