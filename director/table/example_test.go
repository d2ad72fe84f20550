package table_test

import (
	"fmt"
	"net/netip"

	"github.com/ipvsd/ipvsd/director/table"
)

func ExamplePlan() {
	web := table.ByAddr(table.TCP, netip.MustParseAddrPort("192.0.2.10:80"))
	web1 := table.Real{Addr: netip.MustParseAddrPort("10.0.0.11:80"), Forward: table.DR, Weight: 100}
	web2 := table.Real{Addr: netip.MustParseAddrPort("10.0.0.12:80"), Forward: table.DR, Weight: 100}
	with := func(r table.Real) table.State {
		return table.State{web: {
			Service: table.Service{ServiceKey: web, Scheduler: "wlc"},
			Reals:   map[netip.AddrPort]table.Real{r.Addr: r},
		}}
	}

	ours := func(table.ServiceKey) bool { return true }
	for _, step := range table.Plan(with(web1), with(web2), ours) {
		fmt.Println("ipvsadm", step)
	}
	// Output:
	// ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.12:80 -g -w 100
	// ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.11:80 -g -w 0
	// ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.11:80
}
