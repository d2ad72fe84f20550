package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Rotation is what became of Rotate.
type Rotation struct {
	Key    string         `json:"key"` // fingerprint of the new key; "": it didn't come to that
	Done   bool           `json:"done"`
	Steps  []RotationStep `json:"steps"`            // what each director answered
	Stands string         `json:"stands,omitempty"` // where it stopped and what to do; "": Done
}

// RotationStep is one director's answer.
type RotationStep struct {
	Step     string `json:"step"` // ready, install, use, drop
	Director string `json:"director"`
	OK       bool   `json:"ok"`
	Text     string `json:"text,omitempty"` // why not
}

const (
	// stepLimit is how long a director may take for a step.
	stepLimit = 1500 * time.Millisecond
	// settle is how long messages may be on their way that the old key
	// encrypted.
	settle = time.Second
)

// rotator is a rotation that this director leads.
type rotator struct {
	*Gossip
	key    Key
	anew   bool
	others []string
	stands map[string]stand
	Rotation
}

// Rotate changes the cluster's key: all directors install a new one, then all
// use it, then all drop the others. Each step begins when every director has
// answered the one before, so that at no time two directors don't understand
// each other. Where one doesn't answer or refuses it stops, which harms
// nothing, and to call it again, on any director, goes on. anew begins with
// another key instead.
func (g *Gossip) Rotate(ctx context.Context, anew bool) (Rotation, error) {
	if !g.rotating.TryLock() {
		return Rotation{}, errors.New("a rotation is being carried out at this moment")
	}
	defer g.rotating.Unlock()
	if g.list.Load() == nil {
		return Rotation{}, fmt.Errorf("the cluster isn't running: %v can't be listened on", g.opts.Listen)
	}
	r := &rotator{Gossip: g, anew: anew, stands: map[string]stand{}}
	r.Steps = []RotationStep{}
	r.Stands = r.run(ctx)
	r.Done = r.Stands == ""
	return r.Rotation, nil
}

// run returns where it stopped, "" where all is done.
func (r *rotator) run(ctx context.Context) string {
	if absent := r.findOthers(); absent != "" {
		return "Nothing was changed: " + absent + ". Run it again when every director of [cluster] join is there."
	}
	if bad := r.step(ctx, stepReady, r.all()); bad != "" {
		return "Nothing was changed: " + bad + ". Mend that and run it again."
	}
	if problem := r.choose(); problem != "" {
		return "Nothing was changed: " + problem
	}
	// This director first: whatever happens then, it has the key to go on with.
	if bad := r.step(ctx, stepInstall, []string{r.opts.Name}); bad != "" {
		return "Nothing was changed: " + bad + ". Mend that and run it again."
	}
	if bad := r.step(ctx, stepInstall, r.others); bad != "" {
		return fmt.Sprintf("Not every director has the new key %s yet, and none uses it: %s. Nothing is broken; run it again to go on.", r.Key, bad)
	}
	if bad := r.step(ctx, stepUse, r.all()); bad != "" {
		return fmt.Sprintf("Every director has both keys, not every one uses %s yet: %s. Nothing is broken; run it again to go on.", r.Key, bad)
	}
	if !sleep(ctx, settle) {
		return fmt.Sprintf("Interrupted: every director uses %s and still accepts the old key. Run it again to go on.", r.Key)
	}
	// This director last: until all have, it remembers the rotation.
	bad := r.step(ctx, stepDrop, r.others)
	if bad == "" {
		bad = r.step(ctx, stepDrop, []string{r.opts.Name})
	}
	if bad != "" {
		return fmt.Sprintf("Every director uses %s, not every one has dropped the old key yet: %s. Run it again to go on.", r.Key, bad)
	}
	return ""
}

func (r *rotator) all() []string { return append(slices.Clone(r.others), r.opts.Name) }

// findOthers finds who takes part, which is who is configured or has joined,
// and tells who isn't there.
func (r *rotator) findOthers() (absent string) {
	var gone []string
	for _, m := range r.Members() {
		switch {
		case m.Self:
		case m.joined():
			r.others = append(r.others, m.Name)
		case m.Configured && m.Name == "":
			gone = append(gone, fmt.Sprintf("the director at %v was never seen", m.Addr))
		case m.Configured:
			gone = append(gone, fmt.Sprintf("%s is %v", m.Name, m.State))
		}
	}
	return strings.Join(gone, ", ")
}

// step has directors carry out a step, all at once, and tells who didn't.
func (r *rotator) step(ctx context.Context, step string, directors []string) (bad string) {
	stands, errs := make([]stand, len(directors)), make([]error, len(directors))
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for i, name := range directors {
		wg.Go(func() { stands[i], errs[i] = r.have(ctx, step, name) })
	}
	wg.Wait()
	var failed []string
	for i, name := range directors {
		if step == stepReady {
			r.stands[name] = stands[i]
		}
		s := RotationStep{Step: step, Director: name, OK: errs[i] == nil}
		if !s.OK {
			text := errs[i].Error()
			failed = append(failed, text)
			s.Text = strings.TrimPrefix(strings.TrimPrefix(text, name+": "), name+" ")
		}
		r.Steps = append(r.Steps, s)
	}
	return strings.Join(failed, "; ")
}

// have has one director carry out a step: this one, or another over the wire.
func (r *rotator) have(ctx context.Context, step, name string) (s stand, err error) {
	if name == r.opts.Name {
		switch step {
		case stepReady:
			s, err = r.rotation.stand()
		case stepInstall:
			err = r.rotation.install(r.key, r.anew, name)
		case stepUse:
			err = r.rotation.use(r.Key, name)
		case stepDrop:
			err = r.rotation.drop(r.Key, name)
		}
		if err != nil {
			err = fmt.Errorf("%s: %v", name, err)
		}
		return s, err
	}
	q := append([]byte{stepBytes[step]}, r.Key...)
	if step == stepInstall {
		sealed, err := r.rotation.seal(r.stands[name].to, r.key, r.anew)
		if err != nil {
			return s, fmt.Errorf("%s: %v", name, err)
		}
		q = append(q[:1], sealed...)
	}
	a, err := r.ask(ctx, name, aboutKeys, q)
	switch {
	case err != nil:
		return s, err
	case len(a) == 0 || a[0] != done:
		return s, fmt.Errorf("%s: %s", name, a[min(1, len(a)):])
	}
	if step == stepReady {
		if s, err = decodeStand(a[1:]); err != nil {
			return s, fmt.Errorf("%s answers what isn't understood (%v); does it run another version?", name, err)
		}
	}
	return s, nil
}

// choose takes the key of a rotation that wasn't finished, or makes a new one.
func (r *rotator) choose() (problem string) {
	next := map[string][]string{}
	for _, name := range r.all() {
		if n := r.stands[name].next; n != "" && !r.anew {
			next[n] = append(next[n], name)
		}
	}
	if len(next) > 1 {
		return "two rotations have begun and neither is finished. `ipvsd cluster rotate --anew` begins a third one that ends both."
	}
	r.key = newKey()
	for n, names := range next {
		own, err := r.rotation.ring.kept()
		key, ok := own.find(n)
		if err != nil || !ok {
			return fmt.Sprintf("a rotation was begun that didn't reach this director. Run it on %s, or `ipvsd cluster rotate --anew` here.", strings.Join(names, " or "))
		}
		r.key = key
	}
	r.Key = r.key.String()
	return ""
}
