package gossip

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func TestMessages(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		// Configured is enough, before anybody joined.
		r.net.NoStreams(addrOf(0).Addr(), true)
		r.net.NoStreams(addrOf(1).Addr(), true)
		a, b, c := r.start(0, nil), r.start(1, nil), r.start(2, nil)
		synctest.Wait()
		sent := time.Now()
		if err := a.Broadcast([]byte("all")); err != nil {
			t.Fatal(err)
		}
		if err := a.Send(addrOf(1), []byte("one")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		got := map[string]Message{}
		for _, m := range b.drain() {
			got[string(m.Payload)] = m
		}
		if len(got) != 2 || len(c.drain()) != 1 || len(a.drain()) != 0 {
			t.Fatalf("b got %v", got)
		}
		m := got["one"]
		if m.From != "lb1" || m.Addr != addrOf(0) || m.Boot != a.BootID() || m.At.Before(sent) || m.At.Sub(sent) > time.Millisecond {
			t.Errorf("%+v", m)
		}
		if err := a.SendTo("lb2", nil); err == nil {
			t.Error("sent to an unknown name")
		}
		r.net.NoStreams(addrOf(0).Addr(), false)
		r.net.NoStreams(addrOf(1).Addr(), false)
		r.within(3*time.Second, "joined", func() bool { return complete(a, b, c) })
		if err := a.SendTo("lb2", nil); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Millisecond)
		if m := b.drain(); len(m) != 1 || len(m[0].Payload) != 0 {
			t.Errorf("%+v", m)
		}
		if err := a.Broadcast(make([]byte, MaxPayload+1)); err == nil {
			t.Error("took a message that is too long")
		}
		if err := a.Broadcast(make([]byte, MaxPayload)); err != nil {
			t.Error(err)
		}
	})
}

// Who doesn't fetch its messages keeps the newest and blocks nobody.
func TestReceiveOverflow(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		nodes := r.startAll()
		const sent = receiveQueue + 100
		for i := range sent {
			_ = nodes[0].Broadcast(fmt.Appendf(nil, "%d", i))
			time.Sleep(2 * time.Millisecond)
		}
		got := nodes[1].drain()
		if len(got) != receiveQueue || string(got[len(got)-1].Payload) != fmt.Sprint(sent-1) {
			t.Errorf("%d messages, the last is %s", len(got), got[len(got)-1].Payload)
		}
		if d := nodes[1].Stats().ReceiveDrops; d != 100 {
			t.Errorf("%d drops counted", d)
		}
	})
}

func TestOutbox(t *testing.T) {
	o := newOutbox()
	for i := range sendQueue + 3 {
		o.put(parcel{payload: []byte{byte(i)}})
	}
	q := o.take()
	if len(q) != sendQueue || q[0].payload[0] != 3 || o.dropped.Load() != 3 {
		t.Errorf("%d parcels, first %v, dropped %d", len(q), q[0].payload, o.dropped.Load())
	}
}

func TestMeta(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		nodes := r.startAll()
		if err := nodes[0].SetMeta(make([]byte, MaxMeta+1)); err == nil {
			t.Error("took metadata that are too long")
		}
		full := bytes.Repeat([]byte{7}, MaxMeta)
		for i := range 100 { // faster than they may go out
			full[0] = byte(i)
			if err := nodes[0].SetMeta(full); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		r.within(2500*time.Millisecond, "the last value everywhere", func() bool {
			return bytes.Equal(nodes[1].see("lb1").Meta, full) && bytes.Equal(nodes[2].see("lb1").Meta, full) && bytes.Equal(nodes[0].see("lb1").Meta, full)
		})
	})
}

func TestEnvelope(t *testing.T) {
	for _, e := range []envelope{
		{said, 1, addrOf(1), "lb1", []byte("x")},
		{farewell, 1 << 63, addrOf(1), "a", nil},
	} {
		got, err := decodeEnvelope(e.encode())
		if err != nil || got.name != e.name || got.addr != e.addr || got.boot != e.boot || got.kind != e.kind || !bytes.Equal(got.payload, e.payload) {
			t.Errorf("%+v, %v, want %+v", got, err, e)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope{said, 1, addrOf(1), "lb1", []byte("x")}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeEnvelope(b); err == nil && !bytes.Equal(e.encode(), b) {
			t.Errorf("%x became %x", b, e.encode())
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(encodeMeta(5, []Key{{1}, {2}}, []byte("meta")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, err := decodeMeta(append(b[:len(b)-len(m.user):len(b)-len(m.user)], m.user...))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}
