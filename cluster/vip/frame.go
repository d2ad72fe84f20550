package vip

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
)

// The ARP operations of RFC 826.
const (
	arpRequest = 1
	arpReply   = 2
)

// garp builds a gratuitous ARP packet (without the Ethernet header): sender
// and target are the address itself. Some machines take the request form only
// for an update of their cache, some the reply form only, so both are sent.
// The target's hardware address is zero in a request (RFC 5227 section 3) and
// our own in a reply.
func garp(op uint16, mac [6]byte, addr netip.Addr) []byte {
	target := mac
	if op == arpRequest {
		target = [6]byte{}
	}
	return arp(op, mac, addr, target, addr)
}

// arpProbe asks who has addr without telling a cache anything: the sender's
// address is 0.0.0.0 (RFC 5227 section 2.1.1).
func arpProbe(mac [6]byte, addr netip.Addr) []byte {
	return arp(arpRequest, mac, netip.IPv4Unspecified(), [6]byte{}, addr)
}

func arp(op uint16, mac [6]byte, ip netip.Addr, targetMAC [6]byte, target netip.Addr) []byte {
	b := make([]byte, 0, 28)
	b = binary.BigEndian.AppendUint16(b, 1)      // Ethernet
	b = binary.BigEndian.AppendUint16(b, 0x0800) // IPv4
	b = append(b, 6, 4)                          // lengths of the two addresses
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(b, mac[:]...)
	b = append(b, ip.AsSlice()...)
	b = append(b, targetMAC[:]...)
	return append(b, target.AsSlice()...)
}

// claimARP reads who claims an address by an ARP packet: its sender, be it an
// answer or a question of its own (RFC 5227 section 2.1.1).
func claimARP(b []byte) (c claim, ok bool) {
	if len(b) < 28 || !bytes.Equal(b[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return claim{}, false
	}
	c = claim{netip.AddrFrom4([4]byte(b[14:18])), [6]byte(b[8:14])}
	return c, !c.Addr.IsUnspecified()
}

// Neighbour discovery (RFC 4861 section 4).
const (
	protoICMPv6       = 58
	hopLimit          = 255 // no router has passed it on
	icmpSolicitation  = 135
	icmpAdvertisement = 136
	optTargetMAC      = 2
)

// The flags of a neighbour advertisement (RFC 4861 section 4.4).
const (
	naRouter   = 0x80
	naOverride = 0x20
)

var allNodes = netip.MustParseAddr("ff02::1")

// unsolicitedNA builds a neighbour advertisement to all nodes as a whole IPv6
// packet: hop limit 255, source and target the address itself, override set,
// target link-layer address. It is built from the IPv6 header on, not sent
// through an ICMPv6 socket, because the kernel would pick another source
// address (the VIP is deprecated) and its output filter could drop it.
//
// router is whether this machine forwards on that interface: hosts that had it
// as their router drop it from their list when an advertisement denies it.
func unsolicitedNA(mac [6]byte, addr netip.Addr, router bool) []byte {
	flags := byte(naOverride)
	if router {
		flags |= naRouter
	}
	ip := addr.As16()
	na := slices.Concat(
		[]byte{icmpAdvertisement, 0, 0, 0, flags, 0, 0, 0}, // type, code, checksum, flags
		ip[:],
		[]byte{optTargetMAC, 1}, mac[:], // option: target link-layer address, 8 bytes
	)
	return icmpv6(ip, allNodes.As16(), na)
}

// solicitation asks who has addr as duplicate address detection does (RFC 4862
// section 5.4.2): from the unspecified address, hence without an option, to
// the solicited-node group. Who has it answers all nodes.
func solicitation(addr netip.Addr) []byte {
	ip := addr.As16()
	ns := append([]byte{icmpSolicitation, 0, 0, 0, 0, 0, 0, 0}, ip[:]...)
	return icmpv6([16]byte{}, solicitedNode(addr), ns)
}

// solicitationFrom asks who has addr from an address of this machine, so that
// the answer comes to it alone.
func solicitationFrom(from netip.Addr, mac [6]byte, addr netip.Addr) []byte {
	ip := addr.As16()
	ns := slices.Concat([]byte{icmpSolicitation, 0, 0, 0, 0, 0, 0, 0}, ip[:], []byte{1, 1}, mac[:])
	return icmpv6(from.As16(), solicitedNode(addr), ns)
}

// solicitedNode is the multicast group ff02::1:ffXX:XXXX (RFC 4291 section
// 2.7.1) which who has addr is in.
func solicitedNode(addr netip.Addr) [16]byte {
	group, ip := [16]byte{0xff, 0x02, 11: 1, 12: 0xff}, addr.As16()
	copy(group[13:], ip[13:])
	return group
}

// icmpv6 builds an IPv6 packet of neighbour discovery, with its checksum.
func icmpv6(src, dst [16]byte, msg []byte) []byte {
	binary.BigEndian.PutUint16(msg[2:], icmpv6Checksum(src, dst, msg))
	b := make([]byte, 0, 40+len(msg))
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(msg)))
	b = append(b, protoICMPv6, hopLimit)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	return append(b, msg...)
}

// claimNA reads who claims an address by a neighbour advertisement in an IPv6
// packet; from is the sender of the frame, for one without the link-layer
// address.
func claimNA(b []byte, from [6]byte) (c claim, ok bool) {
	if len(b) < 64 || b[0]>>4 != 6 || b[6] != protoICMPv6 || b[7] != hopLimit || b[40] != icmpAdvertisement || b[41] != 0 {
		return claim{}, false
	}
	c = claim{netip.AddrFrom16([16]byte(b[48:64])), from}
	for o := b[64:]; len(o) >= 8; o = o[8*int(o[1]):] {
		if o[1] == 0 || 8*int(o[1]) > len(o) {
			return claim{}, false // RFC 4861 section 4.6
		}
		if o[0] == optTargetMAC && o[1] == 1 {
			c.MAC = [6]byte(o[2:8])
		}
	}
	return c, true
}

// icmpv6Checksum is the Internet checksum over the pseudo-header of RFC 8200
// section 8.1 and the message, whose length is even.
func icmpv6Checksum(src, dst [16]byte, msg []byte) uint16 {
	sum := uint32(len(msg)) + protoICMPv6
	for _, part := range [][]byte{src[:], dst[:], msg} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
