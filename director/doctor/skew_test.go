package doctor

import (
	"encoding/binary"
	"testing"
	"time"
)

// replyTo is what a machine whose clock is ahead answers, each way taking some
// milliseconds.
func replyTo(request []byte, ahead time.Duration, there, back uint32) (reply []byte, at uint32) {
	const wrap = uint32(day / time.Millisecond)
	sent := binary.BigEndian.Uint32(request[8:])
	shift := uint32((ahead + day) / time.Millisecond % time.Duration(wrap))
	reply = append([]byte(nil), request...)
	reply[0] = timestampReply
	binary.BigEndian.PutUint32(reply[12:], (sent+there+shift)%wrap)
	binary.BigEndian.PutUint32(reply[16:], (sent+there+shift)%wrap)
	return reply, (sent + there + back) % wrap
}

// FuzzClock: whatever the time of day, the other clock's offset is found to
// within the error that is told; and no bytes make a panic or an offset of more
// than half a day.
func FuzzClock(f *testing.F) {
	f.Add(uint32(86_399_999), int32(-7000), uint16(3), uint16(90), []byte{14, 0})
	f.Add(uint32(0), int32(40_000_000), uint16(0), uint16(0), []byte{})
	f.Fuzz(func(t *testing.T, now uint32, aheadMS int32, there, back uint16, junk []byte) {
		now %= uint32(day / time.Millisecond)
		ahead := time.Duration(aheadMS) * time.Millisecond % (day / 2)
		request := askTime(7, 3, now)
		if sum := checksum(request); sum != 0xffff {
			t.Fatalf("checksum of %x is %04x", request, sum)
		}
		if _, _, _, ok := toldTime(request, now); ok {
			t.Error("a request counts as a reply")
		}
		reply, at := replyTo(request, ahead, uint32(there), uint32(back))
		id, seq, s, ok := toldTime(reply, at)
		if !ok || id != 7 || seq != 3 {
			t.Fatalf("id %d, seq %d, %v", id, seq, ok)
		}
		trip := time.Duration(there)*time.Millisecond + time.Duration(back)*time.Millisecond
		if nearNoon := (day/2 - ahead.Abs()) <= trip; (s.Offset-ahead).Abs() > s.Error && !nearNoon {
			t.Errorf("ahead %v is told as %v ± %v", ahead, s.Offset, s.Error)
		}
		if _, _, s, ok := toldTime(junk, now); ok && s.Offset.Abs() > day/2 {
			t.Errorf("%x: %v", junk, s)
		}
	})
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return uint16(sum>>16 + sum&0xffff)
}
