package core

import (
	"slices"
	"time"
)

// wire is what is known from asking the wire for the group's addresses.
type wire struct {
	on    bool
	faces []face
}

type face struct {
	name    string
	pending bool
	silent  int // questions in a row without an answer that counts
	streak  int // answers in a row before that
	at      time.Duration
	mac     MAC
}

// quietAfter is how many questions in a row must go unanswered: two were not
// enough at 10 % loss. Fewer will do once the addresses of a dead process may
// expire, on a wire that has answered each of many: nothing gets lost there.
const (
	quietAfter     = 5
	quietAfterMany = 3
	many           = 20
)

func (w *wire) configure(names []string) {
	if slices.EqualFunc(w.faces, names, func(f face, n string) bool { return f.name == n }) {
		return
	}
	w.faces = make([]face, len(names))
	for i, n := range names {
		w.faces[i].name = n
	}
}

func (w *wire) begin() {
	w.on = true
	for i := range w.faces {
		w.faces[i] = face{name: w.faces[i].name}
	}
}

func (w *wire) forget() {
	for i := range w.faces {
		w.faces[i].pending, w.faces[i].silent = false, 0
	}
}

func (w *wire) asked(name string) {
	for i := range w.faces {
		if f := &w.faces[i]; f.name == name && w.on {
			if f.pending {
				if f.silent++; f.silent >= quietAfter {
					f.streak = 0
				}
			}
			f.pending = true
		}
	}
}

func (w *wire) quiet(expiring bool) bool {
	for _, f := range w.faces {
		if f.silent < quietAfter && (!expiring || f.silent < quietAfterMany || f.streak < many) {
			return false
		}
	}
	return true
}

// steady is whether the wire has answered each of many questions.
func (w *wire) steady() bool {
	return len(w.faces) > 0 && !slices.ContainsFunc(w.faces, func(f face) bool { return f.streak < many })
}

// answer is the last answer that counts, on any interface.
func (w *wire) answer() (mac MAC, at time.Duration) {
	for _, f := range w.faces {
		if f.at > at {
			mac, at = f.mac, f.at
		}
	}
	return mac, at
}

// answered takes an answer to a question. It counts when it comes from the
// holder, or, while a director isn't heard, from a stranger.
func (g *group) answered(name string, mac MAC) {
	c := g.c
	if slices.Contains(c.macs, mac) {
		return
	}
	counts := g.h.name != "" && (slices.Contains(g.h.macs, mac) || len(g.h.macs) == 0)
	if !counts && (g.h.name == "" || g.h.gone != "") {
		counts = !c.complete()
		for _, p := range c.peers {
			if p.adv != nil && slices.Contains(p.adv.MACs, mac) {
				counts = !c.told(p)
			}
		}
	}
	if !counts {
		g.foreign(mac)
		return
	}
	for i := range g.wire.faces {
		if f := &g.wire.faces[i]; f.name == name {
			if f.streak++; f.silent > 0 {
				f.streak = 0
			}
			f.pending, f.silent, f.at, f.mac = false, 0, c.now, mac
		}
	}
}

func (g *group) foreign(mac MAC) {
	if g.pace.foreign != mac {
		g.pace.foreign = mac
		g.c.note(g.name, Reason{Code: ForeignAnswer, MAC: mac})
	}
}
