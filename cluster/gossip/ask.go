package gossip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// A question is repeated until its answer comes, and answered once: a repeated
// one gets the answer that it had, one that was recorded and is played back
// none. For it names both processes by their boot ids, and its number grows.
//
//	boot id of who is asked 8 | number 8 | topic 1 | the caller's
const (
	askHead     = 8 + 8 + 1
	askEvery    = 150 * time.Millisecond
	askQueue    = 16
	maxAnswered = 64
	maxQuestion = MaxPayload - askHead
)

// topic is whom a question is for.
type topic byte

const (
	aboutKeys  topic = 1 // a rotation
	aboutOther topic = 2 // Options.Answer
)

type question struct {
	from   string
	addr   netip.AddrPort
	boot   uint64 // of who asks
	number uint64
	topic  topic
	body   []byte
}

// asker is the questions that wait for an answer, and those to be answered.
type asker struct {
	questions chan question

	mu     sync.Mutex
	number uint64
	open   map[uint64]chan []byte
}

func newAsker() *asker {
	return &asker{questions: make(chan question, askQueue), open: map[uint64]chan []byte{}}
}

// Ask puts a question to a director that Members names and waits for what its
// Options.Answer says. One at a time to each director.
func (g *Gossip) Ask(ctx context.Context, name string, q []byte) ([]byte, error) {
	return g.ask(ctx, name, aboutOther, q)
}

func (g *Gossip) ask(ctx context.Context, name string, t topic, q []byte) ([]byte, error) {
	if len(q) > maxQuestion {
		return nil, fmt.Errorf("question of %d bytes, at most %d", len(q), maxQuestion)
	}
	answer := make(chan []byte, 1)
	a := g.asker
	a.mu.Lock()
	a.number++
	number := a.number
	a.open[number] = answer
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.open, number)
		a.mu.Unlock()
	}()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		to, boot := g.view.process(name)
		if !to.IsValid() {
			return nil, fmt.Errorf("%s was never seen", name)
		}
		g.out.put(parcel{kind: asked, to: to, payload: askPayload(boot, number, t, q), at: time.Now()})
		select {
		case b := <-answer:
			return b, nil
		case <-again.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("%s doesn't answer", name)
			}
			return nil, ctx.Err()
		}
	}
}

func askPayload(boot, number uint64, t topic, body []byte) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, askHead+len(body)), boot)
	b = append(binary.BigEndian.AppendUint64(b, number), byte(t))
	return append(b, body...)
}

// hearQuestion takes a question or an answer; it runs under memberlist's lock.
func (g *Gossip) hearQuestion(e envelope) {
	if len(e.payload) < askHead || binary.BigEndian.Uint64(e.payload) != g.opts.BootID {
		return
	}
	q := question{
		from: e.name, addr: e.addr, boot: e.boot,
		number: binary.BigEndian.Uint64(e.payload[8:]), topic: topic(e.payload[16]), body: bytes.Clone(e.payload[askHead:]),
	}
	if e.kind == asked {
		select {
		case g.asker.questions <- q:
		default: // it is asked again
		}
		return
	}
	g.asker.mu.Lock()
	defer g.asker.mu.Unlock()
	if open := g.asker.open[q.number]; open != nil {
		select {
		case open <- q.body:
		default:
		}
	}
}

// answer gives the answers, one after the other.
func (g *Gossip) answer(ctx context.Context) {
	type line struct {
		boot  uint64
		topic topic
	}
	type given struct {
		number uint64
		answer []byte
	}
	last := map[line]given{}
	for {
		var q question
		select {
		case <-ctx.Done():
			return
		case q = <-g.asker.questions:
		}
		if _, boot := g.view.process(q.from); boot != q.boot {
			continue // of a process that is no more
		}
		at := line{q.boot, q.topic}
		before := last[at]
		if q.number > before.number {
			if len(last) > maxAnswered {
				clear(last)
			}
			before = given{q.number, g.reply(ctx, q)}
			last[at] = before
		}
		if q.number == before.number && before.answer != nil {
			g.out.put(parcel{kind: answered, to: q.addr, payload: askPayload(q.boot, q.number, q.topic, before.answer), at: time.Now()})
		}
	}
}

// reply is nil where there is nothing to say.
func (g *Gossip) reply(ctx context.Context, q question) []byte {
	var b []byte
	switch {
	case q.topic == aboutKeys:
		b = g.rotation.reply(q)
	case q.topic == aboutOther && g.opts.Answer != nil:
		b = g.opts.Answer(ctx, q.from, q.body)
	}
	if len(b) > maxQuestion {
		return nil
	}
	return b
}
