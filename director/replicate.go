package director

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/director/intent"
)

// How directors tell one another what operators want. Each question begins with
// askIntents and one of these; its answer with askIntents. Whoever finds that
// the other's book isn't its own takes the other's records, and gives what the
// other lacks: at once after a change, when a director appears, and every
// replicateEvery, because a message or a director may have been lost.
const (
	askIntents = 'o'

	askDigest  = 'd' // answer: digest 8
	askRecords = 'r' // from 4; answer: next 4 (0: that was all), page
	askTake    = 't' // page; answer: digest 8, of the book with it
)

const (
	replicateEvery = 5 * time.Second
	replicateLook  = time.Second // for new directors
	replicateAsk   = time.Second // one question
	takeLimit      = 800 * time.Millisecond

	// pageLimit leaves room for gossip's own head and ours.
	pageLimit = gossip.MaxPayload - 32
)

// replicate keeps the other directors' books and ours the same until ctx ends.
func (d *Director) replicate(ctx context.Context) {
	tick := time.NewTicker(replicateLook)
	defer tick.Stop()
	synced := map[string]time.Time{} // by director
	for {
		news := false
		select {
		case <-ctx.Done():
			return
		case <-d.bookChanged:
			news = true
		case <-tick.C:
		}
		var due []string
		here := map[string]bool{}
		for _, p := range d.opts.Cluster.Directors() {
			if here[p.Name] = p.There; p.There && (news || time.Since(synced[p.Name]) >= replicateEvery) {
				due = append(due, p.Name)
			}
		}
		for name := range synced {
			if !here[name] {
				delete(synced, name) // when it is back it is asked at once
			}
		}
		var asks sync.WaitGroup
		for _, name := range due {
			synced[name] = time.Now()
			asks.Go(func() {
				limited, cancel := context.WithTimeout(ctx, replicateEvery)
				defer cancel()
				if err := d.syncBook(limited, name); err != nil && ctx.Err() == nil {
					d.opts.Log.Debug("operators' wishes not compared", "director", name, "err", err)
				}
			})
		}
		asks.Wait()
	}
}

// syncBook makes another director's book and ours the same.
func (d *Director) syncBook(ctx context.Context, name string) error {
	mine := d.books.Load()
	if mine == nil {
		return nil // the loop reads it now, and wakes replicate then
	}
	b, err := d.askPeer(ctx, name, []byte{askIntents, askDigest})
	if err != nil {
		return err
	}
	if len(b) != 8 {
		return errOdd
	}
	if [8]byte(b) == mine.Digest() {
		return nil
	}
	theirs, err := d.recordsOf(ctx, name)
	if err != nil {
		return err
	}
	if err := d.learn(ctx, theirs); err != nil {
		return err
	}
	for rest := d.books.Load().News(theirs); len(rest) > 0; {
		page, n := intent.Page(rest, pageLimit)
		if _, err := d.askPeer(ctx, name, append([]byte{askIntents, askTake}, page...)); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// recordsOf reads all that another director knows, page by page. What changes
// there meanwhile is found by the next comparison.
func (d *Director) recordsOf(ctx context.Context, name string) ([]intent.Record, error) {
	var out []intent.Record
	for from := uint32(0); ; {
		b, err := d.askPeer(ctx, name, binary.BigEndian.AppendUint32([]byte{askIntents, askRecords}, from))
		if err != nil {
			return nil, err
		}
		if len(b) < 4 {
			return nil, errOdd
		}
		records, err := intent.ReadPage(b[4:])
		if err != nil {
			return nil, errOdd
		}
		out = append(out, records...)
		next := binary.BigEndian.Uint32(b)
		if next == 0 {
			return out, nil
		}
		if next <= from {
			return nil, errOdd
		}
		from = next
	}
}

// askPeer is the answer without its first byte.
func (d *Director) askPeer(ctx context.Context, name string, question []byte) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, replicateAsk)
	defer cancel()
	b, err := d.opts.Cluster.Ask(limited, name, question)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0] != askIntents {
		return nil, errOdd
	}
	return b[1:], nil
}

// answerPeer answers another director's question; nil where there is nothing to
// say.
func (d *Director) answerPeer(ctx context.Context, question []byte) []byte {
	book := d.books.Load()
	if book == nil || len(question) < 2 {
		return nil
	}
	body := question[2:]
	digest := func() []byte {
		sum := d.books.Load().Digest()
		return append([]byte{askIntents}, sum[:]...)
	}
	switch question[1] {
	case askDigest:
		return digest()
	case askRecords:
		if len(body) != 4 {
			return nil
		}
		return pageFrom(book.Records(), binary.BigEndian.Uint32(body))
	case askTake:
		records, err := intent.ReadPage(body)
		if err == nil {
			limited, cancel := context.WithTimeout(ctx, takeLimit)
			err = d.learn(limited, records)
			cancel()
		}
		if err != nil {
			d.opts.Log.Warn("what another director says of operators' wishes isn't taken", "err", err)
			return nil
		}
		return digest()
	}
	return nil
}

func pageFrom(records []intent.Record, from uint32) []byte {
	if int64(from) > int64(len(records)) {
		from = uint32(len(records))
	}
	page, n := intent.Page(records[from:], pageLimit)
	next := from + uint32(n)
	if int(next) == len(records) {
		next = 0
	}
	return append(binary.BigEndian.AppendUint32([]byte{askIntents}, next), page...)
}

var errLate = errors.New("the director's loop doesn't take it in time")

// learn has the loop take records in, on disk too. It doesn't wait for the
// kernel.
func (d *Director) learn(ctx context.Context, records []intent.Record) error {
	if len(records) == 0 {
		return nil
	}
	if _, changed := d.books.Load().Merge(records); !changed {
		return nil
	}
	taken := make(chan struct{})
	c := func(l *loop) func() {
		if l.learn(records) {
			l.opts.Log.Info("another director told of operators' wishes", "records", len(records))
		}
		close(taken)
		return nil
	}
	select {
	case d.commands <- c:
	case <-ctx.Done():
		return fmt.Errorf("%w: %v", errLate, ctx.Err())
	}
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %v", errLate, ctx.Err())
	}
}
