package gossip

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestAsk(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		count := 0
		var packets [][]byte
		echo := func(o *Options) {
			o.Answer = func(_ context.Context, from string, q []byte) []byte {
				count++
				return []byte(from + " said " + string(q))
			}
		}
		a, b := r.start(0, nil), r.start(1, echo)
		r.within(2*time.Second, "joined", func() bool { return complete(a, b) })
		ask := func(n *node, q string) (string, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			got, err := n.Ask(ctx, "lb2", []byte(q))
			return string(got), err
		}
		r.net.Loss(0.5)
		for i := range 10 {
			if got, err := ask(a, "hello"); got != "lb1 said hello" || err != nil || count != i+1 {
				t.Errorf("%q, %v, answered %d times", got, err, count)
			}
		}
		r.net.Loss(0)

		// What was recorded and is played back isn't carried out again.
		for n := uint64(1); n < 12; n++ {
			e := a.envelope(asked, askPayload(b.BootID(), n, aboutOther, []byte("again")))
			packets = append(packets, e.encode())
		}
		before := count
		for _, p := range packets[:10] {
			(*delegate)(b.Gossip).NotifyMsg(p)
			time.Sleep(10 * time.Millisecond)
		}
		if count != before {
			t.Errorf("carried out %d more", count-before)
		}
		forged := a.envelope(asked, askPayload(b.BootID(), 99, aboutOther, nil))
		forged.boot++
		(*delegate)(b.Gossip).NotifyMsg(forged.encode())
		elsewhere := a.envelope(asked, askPayload(b.BootID()+1, 99, aboutOther, nil))
		(*delegate)(b.Gossip).NotifyMsg(elsewhere.encode())
		time.Sleep(100 * time.Millisecond)
		if count != before {
			t.Error("answered another process' question")
		}

		if _, err := a.Ask(context.Background(), "lb9", nil); err == nil {
			t.Error("asked nobody")
		}
		if _, err := a.Ask(context.Background(), "lb2", make([]byte, MaxPayload)); err == nil {
			t.Error("asked too much")
		}
		b.crash()
		if _, err := ask(a, "hello"); err == nil || err.Error() != "lb2 doesn't answer" {
			t.Error(err)
		}
	})
}

// An answer that doesn't fit is none; a question of half a head is nothing.
func TestAskOdd(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a := r.start(0, nil)
		b := r.start(1, func(o *Options) {
			o.Answer = func(context.Context, string, []byte) []byte { return bytes.Repeat([]byte("x"), MaxPayload) }
		})
		r.within(2*time.Second, "joined", func() bool { return complete(a, b) })
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := a.Ask(ctx, "lb2", nil); err == nil || !strings.Contains(err.Error(), "doesn't answer") {
			t.Error(err)
		}
		for n := range askHead {
			(*delegate)(b.Gossip).NotifyMsg(a.envelope(asked, make([]byte, n)).encode())
		}
	})
}
