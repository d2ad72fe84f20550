package viplab

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// TestVLANAndBond keeps addresses on a VLAN of the cable and on a bond of it:
// they are announced there, a client reaches them, and they go again.
func TestVLANAndBond(t *testing.T) {
	for _, tt := range []struct {
		name, face string
		make       func(h *lab.Host)
	}{
		{"VLAN", "eth0.7", func(h *lab.Host) {
			h.Run("ip", "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id", "7")
		}},
		{"bond", "bond7", func(h *lab.Host) {
			h.Run("ip", "link", "add", "bond7", "type", "bond", "mode", "active-backup", "miimon", "50")
			h.Run("ip", "link", "set", "eth0", "down")
			h.Run("ip", "link", "set", "eth0", "master", "bond7")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, director := pair(t)
			for addr, h := range map[string]*lab.Host{"198.51.100.1": client, "198.51.100.10": director} {
				tt.make(h)
				h.Run("ip", "addr", "add", addr+"/24", "dev", tt.face)
				h.Run("ip", "link", "set", tt.face, "up")
			}
			const addr = "198.51.100.100"
			p := start(director, wants(addr+"/32@?"))
			lab.Eventually(t, 10*time.Second, "the director holds it on "+tt.face, holds(director, tt.face, addr+"/32"))
			lab.Eventually(t, 5*time.Second, "the client reaches it", func() bool {
				_, err := client.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), 9).String(), time.Second)
				return errors.Is(err, syscall.ECONNREFUSED)
			})
			p.Signal(syscall.SIGTERM)
			if err := p.Wait(5 * time.Second); err != nil {
				t.Errorf("%v\n%s", err, p.Output())
			}
			if holds(director, tt.face, addr+"/32")() {
				t.Error("it is still there")
			}
		})
	}
}
