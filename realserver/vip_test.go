package realserver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var cmpAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestGoalErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		opts Options
		want string
	}{
		{"text", Options{VIPs: []string{"web"}}, "vip web: not an IP address"},
		{"mask", Options{VIPs: []string{"192.0.2.1/24"}}, "vip 192.0.2.1/24: give the address alone, 192.0.2.1; it always gets a host's mask, /32"},
		{"mask6", Options{VIPs: []string{"fd00::1/64"}}, "vip fd00::1/64: give the address alone, fd00::1; it always gets a host's mask, /128"},
		{"mapped", Options{VIPs: []string{"::ffff:192.0.2.1"}}, "vip ::ffff:192.0.2.1: write it as 192.0.2.1"},
		{"loopback", Options{VIPs: []string{"127.0.0.2"}}, "vip 127.0.0.2: a loopback address cannot be reached from a director"},
		{"any", Options{VIPs: []string{"::"}}, "vip ::: the unspecified address cannot be a VIP"},
		{"multicast", Options{VIPs: []string{"224.0.0.1"}}, "vip 224.0.0.1: IPVS balances unicast addresses only"},
		{"broadcast", Options{VIPs: []string{"255.255.255.255"}}, "vip 255.255.255.255: IPVS balances unicast addresses only"},
		{"link-local", Options{VIPs: []string{"fe80::1%eth0"}}, "vip fe80::1%eth0: link-local: it is not unique and cannot be a VIP"},
		{"method", Options{VIPs: []string{"192.0.2.1"}, Method: "gate"}, `method "gate": it is dr, tun or nat; did you mean dr?`},
		{"gateway", Options{VIPs: []string{"192.0.2.1"}, Gateway: "192.0.2.9"}, "gateway: only method nat sends its answers through the director"},
		{"gateway is vip", Options{VIPs: []string{"192.0.2.1"}, Method: "nat", Gateway: "192.0.2.1"}, "gateway 192.0.2.1: that is the VIP; give the director's address on the side of this node"},
		{"all of them", Options{VIPs: []string{"a", "b"}, Method: "x"}, "method \"x\": it is dr, tun or nat\nvip a: not an IP address\nvip b: not an IP address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.opts.Goal()
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestExtend(t *testing.T) {
	first := mustGoal(t, Options{VIPs: []string{"192.0.2.2", "fd00::1"}, Persist: true})
	got, err := first.Extend(mustGoal(t, Options{VIPs: []string{"192.0.2.1", "192.0.2.2"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := mustGoal(t, Options{VIPs: []string{"192.0.2.1", "192.0.2.2", "fd00::1"}, Persist: true})
	if diff := cmp.Diff(want, got, cmpAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = first.Extend(mustGoal(t, Options{VIPs: []string{"192.0.2.2"}, Method: "tun"}))
	if err == nil || !strings.Contains(err.Error(), "set up with method dr, not tun") {
		t.Errorf("another method: %v", err)
	}
}
