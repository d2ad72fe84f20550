// Package clusterlab tests package cluster in the lab: real addresses, real
// gossip, a client that pings. It is a folder of its own because all tests of a
// binary run in the lab, where the fast ones of package cluster need not be.
package clusterlab

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/test/lab"
)

// The environment that makes the test binary a director.
const (
	envName    = "CLUSTERLAB_NAME"    // lb1, lb2, …
	envListen  = "CLUSTERLAB_LISTEN"  // its address and port
	envJoin    = "CLUSTERLAB_JOIN"    // the others', with spaces between
	envProfile = "CLUSTERLAB_PROFILE" // standard or fast
)

func TestMain(m *testing.M) {
	if name := os.Getenv(envName); name != "" {
		if err := direct(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	lab.Main(m)
}

// direct is a director: SIGTERM hands over, anything harder doesn't.
func direct(name string) error {
	var join []netip.AddrPort
	for _, s := range strings.Fields(os.Getenv(envJoin)) {
		join = append(join, netip.MustParseAddrPort(s))
	}
	timers, _ := core.Profile(os.Getenv(envProfile))
	key, err := gossip.ParseKey(labKey)
	if err != nil {
		return err
	}
	n, err := cluster.New(cluster.Options{
		Core: core.Config{Name: name, Directors: len(join) + 1, Priority: 200 - int(name[2]), Timers: timers},
		Groups: []cluster.Group{{Name: "web", Addresses: []vip.Want{
			{Addr: netip.MustParsePrefix(v4)}, {Addr: netip.MustParsePrefix(v6)},
		}}},
		Gossip: gossip.Options{
			Listen: netip.MustParseAddrPort(os.Getenv(envListen)), Join: join, Keys: []gossip.Key{key}, ClusterLabel: "lab",
		},
		Log:  slog.New(slog.NewTextHandler(os.Stdout, nil)),
		Hook: func(e cluster.Event) { fmt.Printf("hook %s %s\n", e.Group, e.To) },
	})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	run := make(chan error, 1)
	go func() { run <- n.Run(ctx) }()
	n.Programmed()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	select {
	case err := <-run:
		return fmt.Errorf("run ended: %v", err)
	case <-term:
	}
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := n.Stop(limit); err != nil {
		return err
	}
	end()
	return <-run
}
