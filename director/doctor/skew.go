package doctor

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// Skew is how far another machine's clock is ahead of ours; the truth is within
// Error of it.
type Skew struct {
	Offset, Error time.Duration
}

const skewCheck = "clock-skew"

// skewAllowed: drains end on time to the second or so; see docs/drain.md.
const skewAllowed = time.Second

func clockSkew(f *Facts) (out []Finding) {
	for addr, s := range f.Skews {
		if s.Offset.Abs()-s.Error <= skewAllowed {
			continue
		}
		word := "ahead of"
		if s.Offset < 0 {
			word = "behind"
		}
		out = append(out, Finding{
			Object: addr.String(),
			Reason: fmt.Sprintf("the clock of this director is %.1f s %s this machine's (ICMP timestamps, ± %.3f s)",
				s.Offset.Abs().Seconds(), word, s.Error.Seconds()),
			Cure: "`chronyc tracking` or `timedatectl timesync-status` on both tells which of them is wrong",
		})
	}
	return out
}

// The messages of RFC 792 that carry a machine's time of day.
const (
	timestampRequest = 13
	timestampReply   = 14
	day              = 24 * time.Hour
	nonstandard      = 1 << 31 // the time isn't in milliseconds since midnight UT
)

// timeOfDay is what ICMP calls it: milliseconds since midnight UT.
func timeOfDay(t time.Time) uint32 {
	return uint32(t.UTC().Sub(t.UTC().Truncate(day)) / time.Millisecond)
}

// askTime is a request by a machine whose time of day is now.
func askTime(id, seq uint16, now uint32) []byte {
	b := []byte{timestampRequest, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, now)
	b = append(b, make([]byte, 8)...)
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum))
	return b
}

// toldTime reads a reply that came at back: which question it answers, and how
// far the other clock is ahead. Times of day are compared around midnight, so
// that clocks may be half a day apart.
func toldTime(b []byte, back uint32) (id, seq uint16, s Skew, ok bool) {
	if len(b) < 20 || b[0] != timestampReply || b[1] != 0 {
		return 0, 0, Skew{}, false
	}
	sent, received, answered := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
	for _, t := range []uint32{sent, received, answered, back} {
		if t&nonstandard != 0 || time.Duration(t)*time.Millisecond >= day {
			return 0, 0, Skew{}, false
		}
	}
	there, here := apart(received, sent), apart(answered, back)
	trip := apart(back, sent)
	// Each time is cut to a millisecond.
	s = Skew{Offset: (there + here) / 2, Error: max(trip, 0)/2 + time.Millisecond}
	return binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), s, true
}

// apart is a − b on a clock of one day, from −12 h to 12 h.
func apart(a, b uint32) time.Duration {
	d := (time.Duration(a) - time.Duration(b)) * time.Millisecond
	switch {
	case d >= day/2:
		d -= day
	case d < -day/2:
		d += day
	}
	return d
}

// clockWait is how long replies may take.
const clockWait = 300 * time.Millisecond

// askClocks asks the other directors what time it is. A director that doesn't
// answer, as firewalls have it, is left out; so is one by IPv6, which has no
// such message.
func (f *Facts) askClocks(ctx context.Context) {
	f.Skews = map[netip.Addr]Skew{}
	if f.Config == nil || f.Config.Cluster == nil {
		return
	}
	conn, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
	if err != nil {
		f.unknown("the other directors' clocks", withHint(err), skewCheck)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	id := uint16(rand.Uint32())
	var asked []netip.Addr
	for _, j := range f.Config.Cluster.Join {
		if addr := j.Addr(); addr.Is4() {
			b := askTime(id, uint16(len(asked)), timeOfDay(time.Now()))
			asked = append(asked, addr)
			_, _ = conn.WriteTo(b, &net.IPAddr{IP: addr.AsSlice()}) // no way there: no answer
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(clockWait)); err != nil {
		f.unknown("the other directors' clocks", err, skewCheck)
		return
	}
	buf := make([]byte, 1500)
	for len(f.Skews) < len(asked) {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return // the time is over
		}
		theirs, seq, s, ok := toldTime(buf[:n], timeOfDay(time.Now()))
		if ok && theirs == id && int(seq) < len(asked) && from.String() == asked[seq].String() {
			f.Skews[asked[seq]] = s
		}
	}
}
