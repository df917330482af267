//! Addresses that only an operator may choose. Pure.
//!
//! Where outsiders choose a target (a redirect, a diagnosis or a prefetch of what no site configures), this machine and
//! its networks are none of their business: the POP stands where they do not. The ranges are those that the IANA
//! registries of special-purpose addresses (RFC 6890) call not globally reachable, and the forms of IPv6 that carry an
//! IPv4 address are judged by that address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the address is, if it is none that an outsider may choose; a word for people.
pub fn prohibited(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => row_of(&IPV4, u32::from(address)),
        IpAddr::V6(address) => match carried(address) {
            // Loopback and unspecified have the form of a carried address too (RFC 4291 §2.5.5.1).
            Some(inner) if !matches!(u128::from(address), 0 | 1) => row_of(&IPV4, u32::from(inner)),
            _ => row_of(&IPV6, u128::from(address)),
        },
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 (RFC 6052), 6to4, and SIIT.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(address);
    let low = |shift: u32| u32::try_from((bits >> shift) & 0xffff_ffff).ok().map(Ipv4Addr::from);
    match (bits >> 32, bits >> 112) {
        (COMPATIBLE | MAPPED | SIIT | NAT64, _) => low(0),
        (_, 0x2002) => low(80),
        _ => None,
    }
}

/// The upper 96 bits of addresses that end in an IPv4 address.
const COMPATIBLE: u128 = 0;
const MAPPED: u128 = 0xffff;
const SIIT: u128 = 0xffff_0000;
const NAT64: u128 = 0x0064_ff9b << 64;

/// A range: its first address, the bits that all its addresses share, and what it is.
type Row<B> = (B, u32, &'static str);

fn row_of<B>(rows: &[Row<B>], address: B) -> Option<&'static str>
where
    B: Copy + Eq + std::ops::BitXor<Output = B> + std::ops::Shr<u32, Output = B> + Default,
{
    let width = u32::try_from(std::mem::size_of::<B>()).unwrap_or(0) * 8;
    let is_in = |row: &&Row<B>| (row.0 ^ address) >> width.saturating_sub(row.1) == B::default();
    rows.iter().find(is_in).map(|(.., what)| *what)
}

const fn v4(a: u8, b: u8, c: u8) -> u32 {
    u32::from_be_bytes([a, b, c, 0])
}

const fn v6(first: u16, second: u16, third: u16) -> u128 {
    (first as u128) << 112 | (second as u128) << 96 | (third as u128) << 80
}

/// RFC 6890, RFC 5737, RFC 2544, RFC 6598, RFC 7534, RFC 5771.
const IPV4: [Row<u32>; 17] = [
    (v4(0, 0, 0), 8, "unspecified"),
    (v4(10, 0, 0), 8, "private"),
    (v4(100, 64, 0), 10, "shared by carriers"),
    (v4(127, 0, 0), 8, "loopback"),
    (v4(169, 254, 0), 16, "link-local"),
    (v4(172, 16, 0), 12, "private"),
    (v4(192, 0, 0), 24, "reserved"),
    (v4(192, 0, 2), 24, "for documentation"),
    (v4(192, 31, 196), 24, "reserved"),
    (v4(192, 52, 193), 24, "reserved"),
    (v4(192, 88, 99), 24, "reserved"),
    (v4(192, 168, 0), 16, "private"),
    (v4(192, 175, 48), 24, "reserved"),
    (v4(198, 18, 0), 15, "for benchmarks"),
    (v4(198, 51, 100), 24, "for documentation"),
    (v4(203, 0, 113), 24, "for documentation"),
    // Multicast and all above it, the broadcast address last.
    (v4(224, 0, 0), 3, "multicast or reserved"),
];

/// RFC 4291, RFC 6890, RFC 8215, RFC 6666, RFC 3849, RFC 9637, RFC 9602.
const IPV6: [Row<u128>; 14] = [
    (0, 128, "unspecified"),
    (1, 128, "loopback"),
    (0x0064_ff9b_0001 << 80, 48, "private"),
    (v6(0x0100, 0, 0), 64, "discarded"),
    // Teredo carries addresses in disguise; the rest of 2001::/23 is for protocols.
    (v6(0x2001, 0, 0), 23, "reserved"),
    (v6(0x2001, 0x0db8, 0), 32, "for documentation"),
    (v6(0x3fff, 0, 0), 20, "for documentation"),
    (v6(0x5f00, 0, 0), 16, "reserved"),
    (v6(0xfc00, 0, 0), 7, "private"),
    (v6(0xfe80, 0, 0), 10, "link-local"),
    (v6(0xfec0, 0, 0), 10, "private"),
    (v6(0xff00, 0, 0), 8, "multicast"),
    (v6(0x2620, 0x004f, 0x8000), 48, "reserved"),
    (v6(0x0200, 0, 0), 7, "reserved"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_networks_are_prohibited() {
        let rows = [
            ("unspecified", "0.0.0.0 0.255.255.255 :: ::ffff:0.0.0.0"),
            ("private", "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.1 192.168.255.255"),
            ("shared by carriers", "100.64.0.0 100.127.255.255 64:ff9b::100.64.0.1"),
            ("loopback", "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::7f00:1"),
            ("loopback", "2002:7f00:1:: ::ffff:0:127.0.0.1"),
            ("link-local", "169.254.0.1 169.254.169.254 fe80::1 febf::1 ::ffff:169.254.169.254"),
            ("private", "fc00::1 fdff:ffff::1 fec0::1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::1 2002:a00:1::"),
            ("for documentation", "192.0.2.1 198.51.100.255 203.0.113.0 2001:db8::1 3fff:fff::1"),
            ("for benchmarks", "198.18.0.0 198.19.255.255"),
            ("multicast or reserved", "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"),
            ("multicast", "ff02::1 ff0e::1"),
            ("reserved", "192.0.0.8 192.88.99.1 2001::1 2001:1ff:ffff::1 5f00::1"),
            ("discarded", "100::1"),
        ];
        for (what, addresses) in rows {
            for address in addresses.split(' ') {
                assert_eq!(prohibited(address.parse().unwrap()), Some(what), "{address}");
            }
        }
    }

    #[test]
    fn addresses_of_the_world_are_not() {
        let addresses = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 \
            169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 \
            198.20.0.0 223.255.255.255 2606:4700::1111 2001:200::1 2001:db7::1 2001:db9::1 fbff::1 64:ff9b::1.1.1.1 \
            ::ffff:1.1.1.1 2002:101:101:: 2400::1 4000::1";
        for address in addresses.split_whitespace() {
            assert_eq!(prohibited(address.parse().unwrap()), None, "{address}");
        }
    }
}
