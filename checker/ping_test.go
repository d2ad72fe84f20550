package checker

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// mayPing skips where neither kind of ICMP socket is permitted.
func mayPing(t *testing.T, v6 bool) {
	t.Helper()
	s, err := openPing(v6)
	if err != nil {
		t.Skip(err)
	}
	_ = s.file.Close()
}

func TestPingLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			target := netip.MustParseAddr(addr)
			mayPing(t, target.Is6())
			inBothWays(t, Spec{Type: Ping, Target: netip.AddrPortFrom(target, 0)}, func(t *testing.T, r Result) {
				if !r.OK || r.Reason != "echo reply" {
					t.Errorf("got %+v", r)
				}
			})
			inBothWays(t, Spec{Type: Connect, Protocol: "udp", Target: netip.AddrPortFrom(target, 53)}, func(t *testing.T, r Result) {
				if !r.OK || r.Reason != "echo reply (UDP has no handshake: a ping instead)" {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

// TestPingMany shares one socket among many checks at once.
func TestPingMany(t *testing.T) {
	mayPing(t, false)
	p := newPinger()
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			spec := Spec{Type: Ping, Timeout: 10 * time.Second, Target: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 3, byte(i)}), 0)}
			if r := newPingProbe(&spec, p).check(t.Context(), nil); !r.OK {
				t.Errorf("%s: %s", spec.Target.Addr(), r.Reason)
			}
		})
	}
	wg.Wait()
	p.close()
}

// packet builds what a socket would read, for the parts that need no network.
func packet(v6 bool, typ, code byte, id, seq uint16, token uint64) []byte {
	b := make([]byte, echoSize)
	b[0], b[1] = typ, code
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	binary.BigEndian.PutUint64(b[8:], token)
	if v6 {
		return b
	}
	return append(ipv4Header(), b...)
}

func ipv4Header() []byte {
	h := make([]byte, 20)
	h[0] = 0x45
	copy(h[12:], []byte{10, 0, 0, 1})
	return h
}

func TestPingTake(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		s := &pingSocket{v6: v6, rawIP: true, id: 7, waiting: map[uint16]*echo{}}
		reply, request, gone := byte(echoReply4), byte(echoRequest4), byte(unreachable4)
		if v6 {
			reply, request, gone = echoReply6, echoRequest6, unreachable6
		}
		e := s.expect()
		answered := func() bool {
			select {
			case <-e.answered:
				return true
			default:
				return false
			}
		}
		s.take(packet(v6, reply, 0, 7, e.seq, e.token+1))
		s.take(packet(v6, reply, 0, 7, e.seq+1, e.token))
		s.take(packet(v6, request, 0, 7, e.seq, e.token))
		if answered() {
			t.Error("a foreign packet was taken for the answer")
		}
		inner := packet(v6, request, 0, 7, e.seq, e.token)
		header := make([]byte, 8)
		header[0], header[1] = gone, map[bool]byte{false: 1, true: 3}[v6]
		if v6 {
			s.take(append(header, append(make([]byte, 40), inner...)...))
		} else {
			s.take(append(ipv4Header(), append(header, inner...)...))
		}
		if note := s.note(e); !strings.HasPrefix(note, "host unreachable") {
			t.Errorf("note %q", note)
		}
		if answered() {
			t.Error("an error was taken for the answer")
		}
		s.take(packet(v6, reply, 0, 99, e.seq, e.token)) // ping sockets have an id of their own
		if !answered() {
			t.Error("the answer was not seen")
		}
		s.forget(e)
		if len(s.waiting) != 0 {
			t.Error("echo not forgotten")
		}
	}
}

func FuzzPingTake(f *testing.F) {
	f.Add(false, packet(false, 0, 0, 7, 1, 1))
	f.Add(true, packet(true, 129, 0, 7, 1, 1))
	f.Add(false, append(ipv4Header(), 3, 1, 0, 0, 0, 0, 0, 0, 0x45))
	f.Fuzz(func(_ *testing.T, v6 bool, b []byte) {
		s := &pingSocket{v6: v6, rawIP: true, waiting: map[uint16]*echo{}}
		s.expect()
		s.take(b)
	})
}

func TestICMPChecksum(t *testing.T) {
	b := []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4}
	sum := icmpChecksum(b)
	b[2], b[3] = byte(sum>>8), byte(sum)
	if icmpChecksum(b) != 0 {
		t.Error("a packet with its checksum doesn't add up")
	}
}
