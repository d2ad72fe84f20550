// Package realserver prepares a web node, a real server of IPVS, for the
// packets that a director forwards to it, and puts everything back.
//
// What each forwarding method needs on the node:
//
//   - dr: the director sends the frame on with the VIP still in it, so the node
//     must own the VIP and must not say so on the network. IPv4: the VIP as /32
//     on lo, arp_ignore=1 and arp_announce=2 before it comes up. IPv6: the VIP
//     as /128 on lo and no sysctl at all, because Linux answers a neighbour
//     solicitation only for addresses of the interface that received it
//     (ndisc_recv_ns in net/ipv6/ndisc.c; measured on 6.1 and 6.18, see
//     test/scenario). IPv4 is different: there an address belongs to the host.
//   - tun: the frame arrives inside another IP packet. The VIP is on tunl0 or
//     ip6tnl0, which must be up, and rp_filter must not be strict there: the
//     way back to the client is another interface.
//   - nat: the director rewrites both directions, so answers must pass through
//     it. The node has no VIP; it must not accept redirects around the director.
//
// The package is want / have / plan / apply: [Want] says what is needed, a
// [Kernel] reads what is there, [Plan] is the ordered difference, each [Step]
// prints as the shell command that does the same. The [Record] on disk holds
// what was there before; it is written before anything is changed and deleted
// when everything is back.
//
// The package owns the addresses, files and values in its record and nothing
// else: what was there before setup is left alone, by teardown too. It starts
// no goroutine and never touches routes or the IPVS table.
//
// Documents: Documentation/networking/ip-sysctl.rst, sysctl.d(5),
// systemd.network(5), interfaces(5).
package realserver
