package config

import (
	"net/netip"
	"strings"
	"time"
)

// Track is one [[cluster.track]]: a condition that lowers this director's
// priority while it fails, or rules it out. Kind says which of the fields up to
// FewerReals is set.
type Track struct {
	Line       int
	Kind       TrackKind
	Interface  string
	Gateway    netip.Addr // with a zone where it is link-local
	Command    string     // a program and its arguments, separated by NUL; fails unless it exits with 0
	FewerReals int        // fails while another director has at least so many more real servers up

	Weight     int           // what the priority loses; 0: the director can't be active
	Interval   time.Duration // 0 for an interface, whose state the kernel tells
	Timeout    time.Duration // of one try; 0 where nothing is asked
	Rise, Fall int           // good, bad tries in a row until it holds, fails; at least 1
}

// TrackKind is what is watched; it is the key that names it.
type TrackKind string

// The kinds.
const (
	TrackInterface  TrackKind = "interface"
	TrackGateway    TrackKind = "gateway"
	TrackCommand    TrackKind = "command"
	TrackFewerReals TrackKind = "fewer_reals"
)

var trackKinds = []string{string(TrackInterface), string(TrackGateway), string(TrackCommand), string(TrackFewerReals)}

// String names what is watched: "gateway 192.0.2.1". No two tracks of a file
// have the same name.
func (t Track) String() string {
	switch t.Kind {
	case TrackInterface:
		return "interface " + t.Interface
	case TrackGateway:
		return "gateway " + t.Gateway.String()
	case TrackCommand:
		return "command " + strings.ReplaceAll(t.Command, "\x00", " ")
	}
	return string(t.Kind)
}

// softWeight is the weight of what may be wrong with all directors at once, so
// that it must not rule them out: enough to move the addresses to a director of
// the same priority, which takes more than 10.
const softWeight = 20

func (b *clusterReader) tracks() []Track {
	var list []Track
	first := make(map[string]int)
	for i := range b.raw.Tracks {
		raw := &b.raw.Tracks[i]
		t, ok := b.track(raw)
		if !ok {
			continue
		}
		if line, was := first[t.String()]; was {
			b.key(&raw.at, string(t.Kind), "this is already watched in line %d; remove one of the two", line)
			continue
		}
		first[t.String()] = raw.line(string(t.Kind))
		list = append(list, t)
	}
	return list
}

// track reads one [[cluster.track]]; ok is whether what it watches is known.
func (b *clusterReader) track(raw *rawTrack) (t Track, ok bool) {
	for _, key := range trackKinds {
		switch {
		case !raw.has(key):
		case t.Kind != "":
			b.key(&raw.at, key, "and there is %s in line %d; write a [[cluster.track]] for each", t.Kind, raw.line(string(t.Kind)))
		default:
			t.Kind = TrackKind(key)
		}
	}
	if t.Kind == "" {
		b.errorf(raw.header, "this [[cluster.track]] watches nothing; write one of %s", words(trackKinds))
		return t, false
	}
	t.Line = raw.header
	switch t.Kind {
	case TrackInterface:
		t.Interface = b.interfaceKey(&raw.at, raw.Interface)
	case TrackGateway:
		if raw.Gateway != nil {
			t.Gateway, _ = b.neighbour(&raw.at, "gateway", *raw.Gateway)
		}
	case TrackCommand:
		t.Command = b.program(&raw.at, "command", raw.Command)
	case TrackFewerReals:
		t.FewerReals = int(b.number(&raw.at, "fewer_reals", raw.FewerReals, 1, 1, 65535))
	}
	b.weigh(raw, &t)
	b.pace(raw, &t)
	return t, !raw.bad[string(t.Kind)]
}

func (b *clusterReader) weigh(raw *rawTrack, t *Track) {
	weight := int64(softWeight)
	if t.Kind == TrackInterface {
		weight = 0
	}
	t.Weight = int(b.number(&raw.at, "weight", raw.Weight, weight, 0, 254))
	if t.Kind == TrackGateway && t.Weight == 0 {
		b.warnf(raw.line("weight"), "weight: 0 rules every director out while the gateway itself is down, and nobody has the addresses; with %d it decides between them only", softWeight)
	}
}

// pace reads how often and how long a condition is looked at, as far as it is.
func (b *clusterReader) pace(raw *rawTrack, t *Track) {
	t.Rise, t.Fall = 1, 1
	if t.Kind == TrackInterface {
		b.unused(raw, t, "interval", "timeout", "rise", "fall")
		return
	}
	t.Interval = b.positive(&raw.at, "interval", raw.Interval, span(time.Second))
	t.Rise = int(b.number(&raw.at, "rise", raw.Rise, 2, 1, 65535))
	t.Fall = int(b.number(&raw.at, "fall", raw.Fall, 3, 1, 65535))
	if t.Kind == TrackFewerReals {
		b.unused(raw, t, "timeout")
		return
	}
	t.Timeout = b.positive(&raw.at, "timeout", raw.Timeout, min(span(time.Second), span(t.Interval)))
	if t.Timeout > t.Interval && !raw.bad["interval"] && !raw.bad["timeout"] {
		b.warnf(raw.line("timeout"), "timeout: %s is longer than the interval %s; a try that takes so long delays the next one", t.Timeout, t.Interval)
	}
}

func (b *clusterReader) unused(raw *rawTrack, t *Track, keys ...string) {
	for _, key := range keys {
		if raw.has(key) {
			b.key(&raw.at, key, "it means nothing for %s, of which the director is told without asking; leave it out", t.Kind)
		}
	}
}

// positive reads a duration that can't be zero.
func (r *report) positive(t *at, key string, s *span, def span) time.Duration {
	if s != nil && *s == 0 {
		r.key(t, key, "zero; write a duration such as %s = \"1s\"", key)
	}
	return or(s, def).duration()
}
