package realserver_test

import (
	"fmt"

	"github.com/ipvsd/ipvsd/realserver"
)

// Sysctls come before the address, so that nobody hears of it.
func ExamplePlan() {
	goal, err := realserver.Options{VIPs: []string{"192.168.0.105"}}.Goal()
	if err != nil {
		panic(err)
	}
	have := realserver.State{Links: map[string]realserver.Link{"lo": {Up: true, Loopback: true}}}
	for _, step := range realserver.Plan(have, realserver.Want(goal)) {
		fmt.Printf("%s: %s\n", step.Command(), step)
	}
	// Output:
	// sysctl -w net.ipv4.conf.all.arp_ignore=1: net.ipv4.conf.all.arp_ignore: 0 -> 1
	// sysctl -w net.ipv4.conf.all.arp_announce=2: net.ipv4.conf.all.arp_announce: 0 -> 2
	// ip addr add 192.168.0.105/32 dev lo label lo:0: added 192.168.0.105/32 to lo (label lo:0)
}
