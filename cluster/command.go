package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/gossip"
)

// Programmed says that the table was programmed once: from now on addresses
// may come.
func (n *Node) Programmed() {
	n.post(func(l *loop) {
		if l.faults.own != nil {
			l.faults.own = nil
			l.push(l.nodeHealth())
			l.flush()
		}
	})
}

// Health says all that is wrong with this director, for one group or for all
// ("").
func (n *Node) Health(group string, faults []core.Fault) {
	faults = slices.Clone(faults)
	n.post(func(l *loop) {
		if l.faults.given == nil {
			l.faults.given = make(map[string][]core.Fault)
		}
		if slices.Equal(l.faults.given[group], faults) {
			return
		}
		l.faults.given[group] = faults
		if group == "" {
			l.push(l.nodeHealth())
		} else {
			l.push(l.groupHealth(group))
		}
		l.flush()
	})
}

// Warmed says that the table of synced connections has arrived: a director
// that preempts waits for it.
func (n *Node) Warmed() {
	n.post(func(l *loop) { l.push(core.Warmed{}); l.flush() })
}

// Tell says something to the other directors, whose Members have it as Told: at
// most once a second, the last one wins.
func (n *Node) Tell(b []byte) error { return n.gossip.SetMeta(b) }

// Ask puts a question to another director, which its Gossip.Answer answers.
func (n *Node) Ask(ctx context.Context, name string, question []byte) ([]byte, error) {
	return n.gossip.Ask(ctx, name, question)
}

// Rotate changes the key of all directors, see gossip.
func (n *Node) Rotate(ctx context.Context, anew bool) (gossip.Rotation, error) {
	return n.gossip.Rotate(ctx, anew)
}

// operation is a failover that somebody waits for.
type operation struct {
	left   int // answers
	answer core.Answer
	reply  chan core.Answer
}

// Failover has a group, or all ("" ), move to a director, or to the best one
// (""). It returns when that is done or has failed, which the answer tells.
func (n *Node) Failover(ctx context.Context, group, to string) (core.Answer, error) {
	reply := make(chan core.Answer, 1)
	err := n.do(ctx, func(l *loop) {
		l.nextID++
		o := &operation{left: 1, reply: reply}
		if group == "" {
			o.left = max(len(l.opts.Groups), 1)
		}
		l.operations[l.nextID] = o
		l.push(core.Failover{ID: l.nextID, Group: group, To: to})
		l.flush()
	})
	if err != nil {
		return core.Answer{}, err
	}
	select {
	case a := <-reply:
		return a, nil
	case <-ctx.Done():
		return core.Answer{}, fmt.Errorf("failover: %w", ctx.Err())
	}
}

// answer gathers what the core says of the groups: the first that failed
// counts, and the longest time without a holder.
func (l *loop) answer(a core.Answer) {
	l.log.Info("failover ended", "group", a.Group, "ok", a.OK, "reason", a.Reason.String(), "code", a.Reason.Code, "nobody_ms", ms(a.Nobody))
	o := l.operations[a.ID]
	if o == nil {
		return
	}
	nobody := max(o.answer.Nobody, a.Nobody)
	if o.answer.ID == 0 || o.answer.OK {
		o.answer = a
	}
	o.answer.Nobody = nobody
	if o.left--; o.left <= 0 {
		delete(l.operations, a.ID)
		o.reply <- o.answer
	}
}

// Stop hands everything over, says goodbye and removes the addresses. When ctx
// ends before that the addresses go at once. Run must go on until it returns.
func (n *Node) Stop(ctx context.Context) error {
	stopped := make(chan struct{})
	err := n.do(ctx, func(l *loop) {
		switch {
		case l.over:
			close(stopped)
		case l.stopped != nil:
			stopped = l.stopped
		default:
			l.stopped = stopped
			l.push(core.Stop{})
			l.flush()
		}
	})
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err == nil {
		select {
		case <-stopped:
		case <-ctx.Done():
			err = fmt.Errorf("hand over: %w", ctx.Err())
		}
	}
	// Whatever became of it: nothing of ours stays.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), kernelLimit+leaveLimit)
	defer cancel()
	clear := n.do(last, func(l *loop) {
		l.over = true
		l.holding = newHolding()
		if _, failed := l.apply(l.holding.order(), kernelLimit); failed != nil {
			l.log.Error("removing the addresses failed; they go when their lifetime is over", "err", failed)
		}
	})
	n.gossip.Leave(last)
	return errors.Join(err, clear)
}

// leaveLimit is how long the farewell may take.
const leaveLimit = 500 * time.Millisecond

// Reload takes other options. What can't be changed while it runs (the names,
// addresses and label of gossip) is told as a problem and stays; keys are
// changed by Keyring.
func (n *Node) Reload(o Options) error {
	n.mu.Lock()
	old := n.opts
	n.mu.Unlock()
	o.Core.Boot, o.Core.Seed = n.boot, old.Core.Seed
	if o.Core.Name != old.Core.Name {
		return fmt.Errorf("name %q: a director keeps its name, %q, until it is restarted", o.Core.Name, old.Core.Name)
	}
	if err := o.check(); err != nil {
		return err
	}
	var problems []string
	fixed := func(what string, same bool) {
		if !same {
			problems = append(problems, fmt.Sprintf("[cluster] %s was changed in the file: that takes a restart", what))
		}
	}
	fixed("listen", o.Gossip.Listen == old.Gossip.Listen && o.Gossip.Advertise == old.Gossip.Advertise)
	fixed("label", o.Gossip.ClusterLabel == old.Gossip.ClusterLabel)
	n.gossip.SetJoin(o.Gossip.Join)
	o.Gossip, o.Hook, o.Moved, o.Log, o.host = old.Gossip, old.Hook, old.Moved, old.Log, old.host
	n.mu.Lock()
	n.opts, n.problems = o, problems
	n.mu.Unlock()
	n.post(func(l *loop) {
		l.opts, l.dirty, l.story.news = o, true, true
		l.settle(findPlaces(l.facts, o))
	})
	return nil
}
