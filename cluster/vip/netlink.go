package vip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// linux is the kernel's side: route netlink for addresses and interfaces (each
// request through a socket of its own, so that nothing stale is kept), packet
// sockets for announcements and probes. The library's address functions know neither the
// metric nor preferred lifetime 0, so those messages are made here.
type linux struct{ wire wire }

func (k *linux) Read() (Facts, error) { return readFacts() }

// Read returns what the kernel holds, default routes included.
func Read() (Facts, error) {
	facts, err := readFacts()
	if err == nil {
		facts.Defaults, err = readDefaults(facts.Links)
	}
	return facts, err
}

// Do carries out one step.
func (k *linux) Do(s Step) error {
	if s.Op == Promote {
		return os.WriteFile("/proc/sys/net/ipv4/conf/"+s.Interface+"/promote_secondaries", []byte("1"), 0)
	}
	index, err := indexOf(s.Interface)
	switch {
	case err != nil && s.Op == Delete:
		return errNotFound // it left with its interface
	case err != nil:
		return fmt.Errorf("there is no interface %s", s.Interface)
	}
	_, err = request(s, index).Execute(unix.NETLINK_ROUTE, 0)
	return explain(s, err)
}

// indexOf finds an interface. net.InterfaceByName would read all of them, for
// each address of a takeover.
func indexOf(name string) (int, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err // too long
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l, err := net.InterfaceByName(name)
		if err != nil {
			return 0, err
		}
		return l.Index, nil
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}

// request makes the netlink message of a step.
func request(s Step, index int) *nl.NetlinkRequest {
	family, ip := unix.AF_INET, s.Addr.Addr().AsSlice()
	if s.Addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	kind, flags := unix.RTM_NEWADDR, unix.NLM_F_ACK
	switch s.Op {
	case Add:
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	case Change:
		flags |= unix.NLM_F_REPLACE
	case Delete:
		kind = unix.RTM_DELADDR
	default:
		panic(fmt.Sprintf("vip: no message for step %q", s))
	}
	msg := nl.NewIfAddrmsg(family)
	msg.Prefixlen, msg.Index = uint8(s.Addr.Bits()), uint32(index)
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, ip))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, ip))
	if s.Op == Delete {
		return req
	}
	ifaFlags := uint32(unix.IFA_F_NOPREFIXROUTE)
	if s.Addr.Addr().Is6() {
		ifaFlags |= unix.IFA_F_NODAD
	}
	req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(ifaFlags)))
	req.AddData(nl.NewRtAttr(unix.IFA_RT_PRIORITY, nl.Uint32Attr(Mark)))
	if l := s.Label(); l != "" {
		req.AddData(nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(l)))
	}
	life := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: s.Seconds, Prefered: s.preferred()}}
	req.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, life.Serialize()))
	return req
}

// explain adds the cure to the kernel's terse errors.
func explain(s Step, err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		return errExist
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return errNotFound
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: needs root or CAP_NET_ADMIN", err)
	case errors.Is(err, unix.EACCES) && s.Addr.Addr().Is6():
		return fmt.Errorf("%w: IPv6 is off on %s (net.ipv6.conf.%s.disable_ipv6)", err, s.Interface, s.Interface)
	}
	return err
}

// Watch listens to the kernel's messages on addresses and interfaces.
func (k *linux) Watch(ctx context.Context, wake func()) error {
	return watch(ctx, wake, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
}

// WatchLinks calls wake once it listens and then whenever an interface may have
// changed. It returns nil when ctx ends.
func WatchLinks(ctx context.Context, wake func()) error { return watch(ctx, wake, unix.RTNLGRP_LINK) }

func watch(ctx context.Context, wake func(), groups ...uint) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, groups...)
	if err != nil {
		return fmt.Errorf("subscribe to address changes: %w", err)
	}
	defer context.AfterFunc(ctx, s.Close)() // a closed socket ends Receive
	defer s.Close()
	wake()
	for {
		_, _, err := s.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, errors.Is(err, unix.ENOBUFS): // lost some: the look at the kernel makes up for it
			wake()
		case errors.Is(err, unix.EINTR):
		default:
			return fmt.Errorf("receive address changes: %w", err)
		}
	}
}

func (k *linux) Defaults(links []Link) ([]Default, error) { return readDefaults(links) }

func (k *linux) Probe(ctx context.Context, l Link, addrs []netip.Addr) ([]claim, error) {
	return askNeighbours(ctx, l, addrs)
}

func (k *linux) Announce(l Link, addr netip.Addr) error { return k.wire.announce(l, addr) }

func (k *linux) Close() { k.wire.close() }

// attempts is how often a dump is repeated that the kernel calls inconsistent
// because something changed under it.
const attempts = 5

// dump repeats read until it is consistent.
func dump[T any](read func() (T, error)) (v T, err error) {
	for range attempts {
		if v, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return v, err
}

// readFacts reads interfaces, then addresses. An interface that vanishes
// between the two takes its addresses with it; one that appears is left for
// the event that tells of it.
func readFacts() (Facts, error) {
	list, err := dump(netlink.LinkList)
	if err != nil {
		return Facts{}, fmt.Errorf("read interfaces: %w", err)
	}
	var f Facts
	byIndex := make(map[int]Link, len(list))
	for _, l := range list {
		link := linkOf(l.Attrs())
		f.Links = append(f.Links, link)
		byIndex[link.Index] = link
	}
	messages, err := dump(func() ([][]byte, error) {
		req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
		return req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	})
	if err != nil {
		return Facts{}, fmt.Errorf("read addresses: %w", err)
	}
	for _, m := range messages {
		h, index, ok := parseAddr(m)
		if l, known := byIndex[index]; ok && known {
			h.Interface, h.Loopback = l.Name, l.Loopback
			f.Held = append(f.Held, h)
		}
	}
	return f, nil
}

func linkOf(a *netlink.LinkAttrs) Link {
	l := Link{
		Name:     a.Name,
		AltName:  strings.Join(a.AltNames, " "),
		Index:    a.Index,
		Loopback: a.RawFlags&unix.IFF_LOOPBACK != 0,
		Up:       a.RawFlags&unix.IFF_UP != 0,
		Carrier:  a.RawFlags&unix.IFF_RUNNING != 0,
		Ethernet: len(a.HardwareAddr) == 6 && a.RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) == 0,
	}
	copy(l.MAC[:], a.HardwareAddr)
	return l
}

// parseAddr reads a RTM_NEWADDR message without its netlink header.
func parseAddr(m []byte) (h Held, index int, ok bool) {
	if len(m) < unix.SizeofIfAddrmsg {
		return Held{}, 0, false
	}
	msg := nl.DeserializeIfAddrmsg(m)
	attrs, err := nl.ParseRouteAttr(m[unix.SizeofIfAddrmsg:])
	if err != nil {
		return Held{}, 0, false
	}
	h.Seconds = Forever
	flags := uint32(msg.Flags)
	var local, address []byte
	for _, a := range attrs {
		switch {
		case a.Attr.Type == unix.IFA_LOCAL:
			local = a.Value
		case a.Attr.Type == unix.IFA_ADDRESS:
			address = a.Value
		case a.Attr.Type == unix.IFA_FLAGS && len(a.Value) >= 4:
			flags = binary.NativeEndian.Uint32(a.Value)
		case a.Attr.Type == unix.IFA_RT_PRIORITY && len(a.Value) >= 4:
			h.Ours = binary.NativeEndian.Uint32(a.Value) == Mark
		case a.Attr.Type == unix.IFA_CACHEINFO && len(a.Value) >= 8:
			h.Seconds = binary.NativeEndian.Uint32(a.Value[4:]) // after the preferred lifetime
		}
	}
	bits := int(msg.Prefixlen)
	switch {
	case local == nil:
		local = address
	case address != nil && !bytes.Equal(local, address):
		bits = len(local) * 8 // point to point: the prefix is the peer's
	}
	ip, ok := netip.AddrFromSlice(local)
	if !ok {
		return Held{}, 0, false
	}
	h.Addr = netip.PrefixFrom(ip, bits)
	h.Secondary = flags&unix.IFA_F_SECONDARY != 0 && ip.Is4()
	return h, int(msg.Index), h.Addr.IsValid()
}

// readDefaults reads the default routes of the main table.
func readDefaults(links []Link) ([]Default, error) {
	names := make(map[int]string)
	for _, l := range links {
		names[l.Index] = l.Name
	}
	var out []Default
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := dump(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		})
		if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EOPNOTSUPP) {
			continue // a kernel without that family
		}
		if err != nil {
			return nil, fmt.Errorf("read routes: %w", err)
		}
		for _, r := range routes {
			index, gw := r.LinkIndex, r.Gw
			if index == 0 && len(r.MultiPath) > 0 {
				index, gw = r.MultiPath[0].LinkIndex, r.MultiPath[0].Gw
			}
			if name := names[index]; name != "" && isDefault(r.Dst) {
				gateway, _ := netip.AddrFromSlice(gw) // the zero one where there is none
				out = append(out, Default{
					IPv6: family == unix.AF_INET6, Interface: name, Metric: r.Priority, Gateway: gateway.Unmap(),
				})
			}
		}
	}
	return out, nil
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0 && dst.IP.IsUnspecified()
}
