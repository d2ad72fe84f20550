package lab

import (
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
)

// fault is what ails a cable. Each direction has its own queue: towards the host at the bridge's end, from the host at
// the host's end.
type fault struct {
	lossIn, lossOut   float32 // percent
	delayIn, delayOut time.Duration
}

// Cut pulls the cables of the named interfaces, of all if none is named: the host loses its carrier and keeps its
// addresses.
func (h *Host) Cut(ifnames ...string) {
	h.t.Helper()
	h.cable("cut", ifnames, h.net.fabric.nl.LinkSetDown)
}

// Heal plugs the cables in again and waits for their carrier. Loss and delay stay.
func (h *Host) Heal(ifnames ...string) {
	h.t.Helper()
	h.cable("heal", ifnames, h.net.fabric.nl.LinkSetUp)
	for _, p := range h.portsOf(ifnames) {
		if err := h.awaitCarrier(p); err != nil {
			h.t.Fatalf("lab: %s: heal %s: %v", h.Name, p.ifname, err)
		}
	}
}

func (h *Host) cable(what string, ifnames []string, do func(netlink.Link) error) {
	h.t.Helper()
	for _, p := range h.portsOf(ifnames) {
		if err := do(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: p.bridge}}); err != nil {
			h.t.Fatalf("lab: %s: %s %s: %v", h.Name, what, p.ifname, err)
		}
	}
}

func (h *Host) portsOf(ifnames []string) []*port {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*port
	for _, name := range ifnames {
		p := h.ports[name]
		if p == nil {
			h.t.Fatalf("lab: %s: no interface %s", h.Name, name)
		}
		out = append(out, p)
	}
	if len(ifnames) == 0 {
		for _, p := range h.ports {
			out = append(out, p)
		}
	}
	return out
}

// LossIn drops that many percent of the frames to the host; 0 ends it.
func (h *Host) LossIn(percent float64, ifnames ...string) {
	h.t.Helper()
	h.setFault(ifnames, func(f *fault) { f.lossIn = float32(percent) })
}

// LossOut drops that many percent of the frames from the host; 0 ends it.
func (h *Host) LossOut(percent float64, ifnames ...string) {
	h.t.Helper()
	h.setFault(ifnames, func(f *fault) { f.lossOut = float32(percent) })
}

// Delay delays the frames from the host; 0 ends it.
func (h *Host) Delay(d time.Duration, ifnames ...string) {
	h.t.Helper()
	h.setFault(ifnames, func(f *fault) { f.delayOut = d })
}

// DelayIn delays the frames to the host; 0 ends it.
func (h *Host) DelayIn(d time.Duration, ifnames ...string) {
	h.t.Helper()
	h.setFault(ifnames, func(f *fault) { f.delayIn = d })
}

func (h *Host) setFault(ifnames []string, change func(*fault)) {
	h.t.Helper()
	for _, p := range h.portsOf(ifnames) {
		was := p.fault
		change(&p.fault)
		now := p.fault
		err := netem(h.net.fabric.nl, p.bridge, was.lossIn, now.lossIn, was.delayIn, now.delayIn)
		if err == nil {
			err = netem(h.space.nl, p.host, was.lossOut, now.lossOut, was.delayOut, now.delayOut)
		}
		if err != nil {
			h.t.Fatalf("lab: %s: %s: %v", h.Name, p.ifname, err)
		}
	}
}

// netem makes the root queue of an interface the emulator, or takes it away if nothing is to emulate.
func netem(nl *netlink.Handle, index int, wasLoss, loss float32, wasDelay, delay time.Duration) error {
	if wasLoss == loss && wasDelay == delay {
		return nil
	}
	attrs := netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	q := netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{
		Loss:    loss,
		Latency: uint32(delay.Microseconds()),
		Limit:   100_000,
	})
	if loss == 0 && delay == 0 {
		if err := nl.QdiscDel(q); err != nil {
			return fmt.Errorf("delete netem: %v", err)
		}
		return nil
	}
	if err := nl.QdiscReplace(q); err != nil {
		return fmt.Errorf("netem loss %v%% delay %v: %v", loss, delay, err)
	}
	return nil
}
