// Package api is how the daemon is looked at and spoken to: HTTP on [http]
// listen, which only tells, and the control socket, which only root and the
// group ipvsd reach. It owns both listeners and the metrics registry, and asks
// a [Source] for everything else. It never touches the kernel, the checks or
// the file itself.
//
// Metrics follow the Prometheus text format 0.0.4 and OpenMetrics 1.0. What a
// director.Status tells is written by exposition.go straight from it: as const
// metrics of a collector, the series of 10,000 real servers cost 123 MB for each
// scrape. All others are in an ordinary registry.
//
// Goroutines: [Server.Run] starts those of net/http, and one that looks at the
// director for all dashboards and keeps the history; it ends them before it
// returns. Nothing else is started.
package api

import (
	"context"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// DefaultSocket is where the control socket is when nothing else is said, and
// Group whose members may use it.
const (
	DefaultSocket = "/run/ipvsd/ipvsd.sock"
	Group         = "ipvsd"
)

// Source is the running director as seen from here. All methods may be called
// from several goroutines at once and return when ctx ends.
type Source interface {
	// Status says how everything stands, with one read of the kernel. Where that
	// failed, Kernel.ReadError says why, and the rest is complete but for the
	// kernel's figures. A real server's address comes only once in a virtual
	// service.
	Status(ctx context.Context) director.Status

	// Loads are the connections alone, of the same real servers in the same
	// order.
	Loads(ctx context.Context) director.Loads

	// Ready reports whether the kernel was programmed and every real server had
	// its first verdict.
	Ready() bool

	// Active reports whether this director holds the addresses.
	Active() bool

	// Hung names the loops that don't turn; none is well.
	Hung(ctx context.Context) []string
}

// Limits that keep a client, slow or hostile, from holding what others need.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 15 * time.Second // a scrape of 10,000 real servers over 10 Mbit/s
	idleTimeout   = time.Minute
	stopTimeout   = time.Second
	kernelTimeout = 5 * time.Second // for one Status
	hungTimeout   = 2 * time.Second

	maxHeaderBytes = 16 << 10
	maxConns       = 128 // per listener; more wait in the kernel's queue
	maxStatuses    = 8   // that may be held in memory at once, per server
)

// snapshot asks src for a Status in which lists and maps are never nil, so that
// JSON has [] and {} for them.
func snapshot(ctx context.Context, src Source) director.Status {
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	st := src.Status(ctx)
	if st.Virtuals == nil {
		st.Virtuals = []director.VirtualStatus{}
	}
	for i := range st.Virtuals {
		if st.Virtuals[i].Reals == nil {
			st.Virtuals[i].Reals = []director.RealStatus{}
		}
	}
	if st.Addresses == nil {
		st.Addresses = []director.AddressStatus{}
	}
	if st.Config.Reloads == nil {
		st.Config.Reloads = map[string]uint64{}
	}
	if st.Kernel.Drifts == nil {
		st.Kernel.Drifts = map[string]uint64{}
	}
	st.Cluster = wholeCluster(st.Cluster)
	return st
}
