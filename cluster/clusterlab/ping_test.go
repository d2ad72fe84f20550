package clusterlab

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// pinger sends an ICMP echo to an address each 10 ms.
type pinger struct {
	conn net.PacketConn
	to   *net.IPAddr
	six  bool
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	sent []time.Time // by sequence
	back []bool
}

const pingEvery = 10 * time.Millisecond

func ping(t *testing.T, h *lab.Host, addr netip.Addr) *pinger {
	p := &pinger{to: &net.IPAddr{IP: addr.AsSlice()}, six: addr.Is6(), stop: make(chan struct{})}
	network := "ip4:icmp"
	if p.six {
		network = "ip6:ipv6-icmp"
	}
	if err := h.Do(func() (err error) { p.conn, err = net.ListenPacket(network, ""); return err }); err != nil {
		t.Fatal(err)
	}
	p.done.Go(p.read)
	p.done.Go(p.write)
	t.Cleanup(func() { p.end() })
	return p
}

func (p *pinger) end() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.conn.Close()
	p.done.Wait()
}

func (p *pinger) write() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		seq := len(p.sent)
		p.sent, p.back = append(p.sent, time.Now()), append(p.back, false)
		p.mu.Unlock()
		b := []byte{8, 0, 0, 0, 0x77, 0x77, byte(seq >> 8), byte(seq)}
		if p.six {
			b[0] = 128
		} else {
			sum := uint32(0)
			for i := 0; i < 8; i += 2 {
				sum += uint32(binary.BigEndian.Uint16(b[i:]))
			}
			sum = sum>>16 + sum&0xffff
			binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
		}
		_, _ = p.conn.WriteTo(b, p.to)
	}
}

func (p *pinger) read() {
	b := make([]byte, 256)
	for {
		n, _, err := p.conn.ReadFrom(b)
		if err != nil {
			select {
			case <-p.stop:
				return
			default:
				continue
			}
		}
		if n >= 8 && (b[0] == 0 && !p.six || b[0] == 129 && p.six) && b[4] == 0x77 {
			seq := int(binary.BigEndian.Uint16(b[6:]))
			p.mu.Lock()
			if seq < len(p.back) {
				p.back[seq] = true
			}
			p.mu.Unlock()
		}
	}
}

// gap is what the client saw since a time.
type gap struct {
	lost, sent int
	longest    time.Duration // from the first lost question of a row to the next answered one
	at         time.Duration // when it began
	open       bool          // it isn't over
}

func (g gap) String() string {
	return fmt.Sprintf("%d of %d lost, the longest gap %v, %v after", g.lost, g.sent, g.longest.Round(time.Millisecond), g.at.Round(time.Millisecond))
}

func (p *pinger) since(t time.Time) (g gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var from time.Time
	for i, at := range p.sent {
		if at.Before(t) || i+5 > len(p.sent) { // the last ones are on their way
			continue
		}
		g.sent++
		switch {
		case !p.back[i]:
			g.lost++
			if from.IsZero() {
				from = at
			}
			g.open = true
		case !from.IsZero():
			if d := at.Sub(from); d > g.longest {
				g.longest, g.at = d, from.Sub(t)
			}
			from, g.open = time.Time{}, false
		}
	}
	return g
}
