package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Our filters among those of an interface: nobody else's have these priorities.
const (
	preference4 = 7760
	preference6 = 7761
)

// Addrs are the machine's own addresses.
func (*Linux) Addrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	var out []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out, err
}

// Silence puts filters where packets leave the machine (tc-u32(8) in the egress
// of clsact), one for each address, on each interface by which a client may be
// reached. Traffic control and not the firewall, because a firewall's rules are
// the operator's to flush, and because of what kernels have.
func (l *Linux) Silence(addrs []netip.Addr) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("hold back resets: list interfaces: %v", err)
	}
	var errs []error
	for _, link := range links {
		a := link.Attrs()
		if a.Flags&net.FlagUp == 0 || a.Flags&net.FlagLoopback != 0 || a.MasterIndex != 0 || !addressed(link) {
			continue
		}
		if err := l.silence(a.Index, addrs); err != nil {
			errs = append(errs, fmt.Errorf("hold back resets on %s: %w", a.Name, err))
		}
	}
	return errors.Join(errs...)
}

// addressed is whether an interface has an address, and so may carry answers.
func addressed(link netlink.Link) bool {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	return err == nil && len(addrs) > 0
}

// silence replaces our filters on one interface. Without any, a clsact that we
// made goes too, unless somebody else uses it by now.
func (l *Linux) silence(link int, addrs []netip.Addr) error {
	if len(addrs) == 0 && !l.made[link] && !anyOurs(link) {
		return nil
	}
	for pref, proto := range map[uint16]uint16{preference4: unix.ETH_P_IP, preference6: unix.ETH_P_IPV6} {
		err := netlink.FilterDel(&netlink.U32{FilterAttrs: filterAt(link, pref, proto)})
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) { // none there
			return fmt.Errorf("remove filters: %v", err)
		}
	}
	if len(addrs) == 0 {
		if l.made[link] && unused(link) {
			_ = netlink.QdiscDel(clsact(link)) // the next director to use it makes it again
			delete(l.made, link)
		}
		return nil
	}
	switch err := netlink.QdiscAdd(clsact(link)); {
	case err == nil:
		if l.made == nil {
			l.made = make(map[int]bool)
		}
		l.made[link] = true
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("add qdisc clsact: %v", err)
	}
	for _, a := range addrs {
		f := &netlink.U32{
			FilterAttrs: filterAt(link, preference4, unix.ETH_P_IP),
			Sel:         resets(a),
			Actions:     []netlink.Action{&netlink.GenericAction{ActionAttrs: netlink.ActionAttrs{Action: netlink.TC_ACT_SHOT}}},
		}
		if a.Is6() {
			f.FilterAttrs = filterAt(link, preference6, unix.ETH_P_IPV6)
		}
		if err := netlink.FilterAdd(f); err != nil {
			return fmt.Errorf("add a filter for %s: %v", a, err)
		}
	}
	return nil
}

func clsact(link int) netlink.Qdisc {
	return &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
		QdiscType:  "clsact",
	}
}

func filterAt(link int, pref, proto uint16) netlink.FilterAttrs {
	return netlink.FilterAttrs{LinkIndex: link, Parent: netlink.HANDLE_MIN_EGRESS, Priority: pref, Protocol: proto}
}

// anyOurs is whether an earlier process left filters.
func anyOurs(link int) bool {
	for _, f := range filters(link, netlink.HANDLE_MIN_EGRESS) {
		if p := f.Attrs().Priority; p == preference4 || p == preference6 {
			return true
		}
	}
	return false
}

func unused(link int) bool {
	return len(filters(link, netlink.HANDLE_MIN_EGRESS)) == 0 && len(filters(link, netlink.HANDLE_MIN_INGRESS)) == 0
}

func filters(link int, parent uint32) []netlink.Filter {
	fs, _ := netlink.FilterList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: link}}, parent)
	return fs
}

// resets matches TCP segments with the reset bit (RFC 9293 section 3.1) that
// come from an address. The kernel's own resets have no options before TCP's
// header. Offsets are the IP header's, values 32 bits in the network's order.
func resets(a netip.Addr) *netlink.TcU32Sel {
	const reset = 0x00040000 // in the word of data offset, flags and window
	sel := &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL}
	match := func(off int32, mask, val uint32) {
		sel.Keys = append(sel.Keys, netlink.TcU32Key{Mask: mask, Val: val, Off: off})
	}
	if a.Is4() {
		b := a.As4()
		match(0, 0x0f000000, 0x05000000) // header length
		match(8, 0x00ff0000, unix.IPPROTO_TCP<<16)
		match(12, 0xffffffff, binary.BigEndian.Uint32(b[:]))
		match(20+12, reset, reset)
	} else {
		b := a.As16()
		match(4, 0x0000ff00, unix.IPPROTO_TCP<<8) // next header
		for i := 0; i < 16; i += 4 {
			match(int32(8+i), 0xffffffff, binary.BigEndian.Uint32(b[i:]))
		}
		match(40+12, reset, reset)
	}
	sel.Nkeys = uint8(len(sel.Keys))
	return sel
}
