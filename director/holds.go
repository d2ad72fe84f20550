package director

import (
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/intent"
	"github.com/ipvsd/ipvsd/director/table"
)

// cause is why a real server is held back.
type cause struct {
	hold Hold
	mark intent.Mark  // an operator's; zero: none
	done *intent.Done // the end of the drain that mark is
	file string       // in [director] maintenance_dir; "": none
}

// state is the cause in the word that a status has for it.
func (c cause) state() string {
	switch {
	case c.mark.Wish == intent.Disable:
		return StateDisabled
	case c.mark.Wish == intent.Drain && c.hold == Out:
		return StateDrained
	case c.mark.Wish == intent.Drain:
		return StateDraining
	}
	return StateMaintenance
}

func (c cause) since() time.Time {
	if c.mark.Wish == "" {
		return time.Time{}
	}
	return c.mark.Version.At()
}

func (c cause) String() string {
	if c.mark.Wish == "" {
		return "there is a file " + c.file
	}
	text := c.mark.Cause()
	switch {
	case c.mark.Wish != intent.Drain:
	case c.done != nil && c.done.Cut > 0:
		text += fmt.Sprintf("; the deadline cut %s", connectionsWord(c.done.Cut))
	case c.done != nil:
		text += "; its connections have ended"
	case c.hold == Out:
		text += "; the deadline came"
	}
	return text
}

func connectionsWord(n uint32) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// causes finds who is held back and why. next is when that changes by itself,
// at the nearest deadline; zero: never.
//
// A file in the maintenance directory does what a failed check does, as with
// ldirectord: weight 0, or out where quiescent = false. An operator's drain
// never gives way to it the other way round, and out is out.
func causes(cfg *config.Config, book intent.Book, files maintained, now time.Time) (out map[table.Pair]cause, next time.Time) {
	out = map[table.Pair]cause{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
			var c cause
			if m, ok := book.Of(pair); ok {
				c.mark, c.hold = m, Out
				if d, done := book.Done(pair, m); done {
					c.done = &d
				} else if m.Wish == intent.Drain && (m.Deadline.IsZero() || now.Before(m.Deadline)) {
					c.hold = Quiet
					if !m.Deadline.IsZero() && (next.IsZero() || m.Deadline.Before(next)) {
						next = m.Deadline
					}
				}
			}
			if c.file = files.of(pair); c.file != "" {
				if !v.Quiescent {
					c.hold = Out
				}
				c.hold = max(c.hold, Quiet)
			}
			if c.hold != 0 {
				out[pair] = c
			}
		}
	}
	return out, next
}

func holdsOf(causes map[table.Pair]cause) Holds {
	out := make(Holds, len(causes))
	for pair, c := range causes {
		out[pair] = c.hold
	}
	return out
}

// tellStrangers names the files in the maintenance directory that are about no
// real server of the file: a typing error leaves a server in service.
func (l *loop) tellStrangers() {
	for key, path := range l.maintenance.files() {
		if !l.named(key) {
			l.opts.Log.Warn("file in maintenance_dir names no real server", "file", path)
		}
	}
}

// StoredHolds are the holds that a director which starts now with cfg would
// find: in its state directory and in the maintenance directory. Names of hosts
// there are not looked up.
func StoredHolds(cfg *config.Config) (Holds, error) {
	book, err := intent.Peek(cfg.Director.StateDir)
	if err != nil {
		return nil, err
	}
	book, _, _ = book.Use(namedIn(cfg))
	var files maintained
	if dir := cfg.Director.MaintenanceDir; dir != "" {
		names, err := readMaintenance(dir)
		if err != nil {
			return nil, err
		}
		files = maintainedBy(dir, names, nil)
	}
	found, _ := causes(cfg, book, files, time.Now())
	return holdsOf(found), nil
}

// HoldsOf reads the holds over cfg's real servers from the status of a running
// director.
func HoldsOf(s Status, cfg *config.Config) Holds {
	states := map[string]string{}
	for _, v := range s.Virtuals {
		for _, r := range v.Reals {
			states[v.Service+" -> "+r.Address] = r.State
		}
	}
	out := Holds{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			pair := table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}
			switch states[pair.String()] {
			case StateDraining:
				out[pair] = Quiet
			case StateDrained, StateDisabled:
				out[pair] = Out
			case StateMaintenance:
				out[pair] = Quiet
				if !v.Quiescent {
					out[pair] = Out
				}
			}
		}
	}
	return out
}

// namedIn says which marks are about a real server of the file.
func namedIn(cfg *config.Config) func(intent.Key) bool {
	named := map[intent.Key]bool{}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			for _, k := range intent.KeysOf(table.Pair{Service: v.Service.ServiceKey, Real: r.Addr}) {
				named[k] = true
			}
		}
	}
	return func(k intent.Key) bool { return named[k] }
}
