package intent

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/director/table"
)

// Limits keep a record, whatever it says, in one message.
const (
	MaxBy     = 64
	MaxReason = 200
	maxName   = 63
	maxTime   = 1 << 62 // the year 2116
)

// written is a record as it stands in the file and on the wire.
type written struct {
	Service  *table.ServiceKey `json:"service,omitempty"`
	Real     netip.AddrPort    `json:"real"`
	Machine  bool              `json:"machine,omitempty"`
	Wish     Wish              `json:"wish,omitempty"` // "": the end of a drain
	Version  Version           `json:"version"`        // of the mark, or of the drain that ended
	Deadline *time.Time        `json:"deadline,omitempty"`
	By       string            `json:"by,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Done     *time.Time        `json:"done,omitempty"`
	Cut      uint32            `json:"cut,omitempty"`
}

// MarshalJSON writes the record.
func (r Record) MarshalJSON() ([]byte, error) {
	var w written
	switch {
	case r.Mark != nil:
		m := r.Mark
		w = written{Real: m.Key.Real, Machine: m.Key.Machine, Wish: m.Wish, Version: m.Version, By: m.By, Reason: m.Reason}
		if m.Key.Service != (table.ServiceKey{}) {
			w.Service = &m.Key.Service
		}
		if !m.Deadline.IsZero() {
			w.Deadline = &m.Deadline
		}
	case r.Done != nil:
		d := r.Done
		w = written{Service: &d.Pair.Service, Real: d.Pair.Real, Version: d.Of, Done: &d.At, Cut: d.Cut}
	}
	return encode(w)
}

// encode leaves <, > and & as they are: they count one byte, not six.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// UnmarshalJSON reads a record and refuses one that can't be ours.
func (r *Record) UnmarshalJSON(b []byte) error {
	var w written
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return err
	}
	var service table.ServiceKey
	if w.Service != nil {
		service = *w.Service
	}
	if w.Wish == "" {
		*r = Record{Done: &Done{Pair: table.Pair{Service: service, Real: w.Real}, Of: w.Version, At: whole(*w.Done), Cut: w.Cut}}
		return nil
	}
	m := &Mark{Key: Key{service, w.Real, w.Machine}, Version: w.Version, Wish: w.Wish, By: w.By, Reason: w.Reason}
	if w.Deadline != nil {
		m.Deadline = whole(*w.Deadline)
	}
	*r = Record{Mark: m}
	return nil
}

func (w *written) check() error {
	a := w.Real.Addr()
	switch {
	case !a.IsValid() || a.Is4In6() || a.Zone() != "":
		return errors.New("real: not an address")
	case w.Machine && w.Real.Port() != 0:
		return errors.New("real: a port, and the whole machine is meant")
	case w.Service != nil && !sound(*w.Service):
		return errors.New("service: not a virtual service")
	case w.Version.Time <= 0 || w.Version.Time >= maxTime || w.Version.Director != Clean(w.Version.Director, maxName):
		return errors.New("version: not one")
	case w.By != Clean(w.By, MaxBy) || w.Reason != Clean(w.Reason, MaxReason):
		return errors.New("by, reason: too long, or not to be printed")
	case w.Deadline != nil && (w.Wish != Drain || !inReach(*w.Deadline)):
		return errors.New("deadline: not one of a drain")
	}
	if w.Wish == "" {
		if w.Done == nil || !inReach(*w.Done) || w.Service == nil || w.Machine || w.By != "" || w.Reason != "" {
			return errors.New("neither a wish nor the end of a drain")
		}
		return nil
	}
	switch w.Wish {
	case Drain, Disable, Enable:
		if w.Done == nil && w.Cut == 0 {
			return nil
		}
	}
	return fmt.Errorf("wish: %q is not known", w.Wish)
}

// sound says whether a key names a virtual service at all.
func sound(k table.ServiceKey) bool {
	if k.Protocol == 0 {
		return k.FWMark != 0 && k.Addr == netip.AddrPort{} && (k.Family == table.IPv4 || k.Family == table.IPv6)
	}
	return k.Addr.Addr().IsValid() && k.Addr.Addr().Zone() == "" && k == table.ByAddr(k.Protocol, k.Addr)
}

// inReach keeps times to what can be written and read back.
func inReach(t time.Time) bool { return t.Unix() > 0 && t.Unix() < maxTime/int64(time.Second) }

// whole is a time that is the same after it was written and read.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// NewMark is a mark with its texts and its deadline in the form that is stored.
func NewMark(k Key, v Version, w Wish, deadline time.Time, by, reason string) Mark {
	m := Mark{Key: k, Version: v, Wish: w, By: Clean(by, MaxBy), Reason: Clean(reason, MaxReason)}
	m.Version.Director = Clean(v.Director, maxName)
	if w == Drain && !deadline.IsZero() {
		m.Deadline = whole(deadline)
	}
	return m
}

// NewDone is the end of a drain in the form that is stored.
func NewDone(p table.Pair, of Version, at time.Time, cut uint32) Done {
	return Done{Pair: p, Of: of, At: whole(at), Cut: cut}
}

// Clean is a text in so many bytes at most, without what a terminal or a log
// would obey.
func Clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, s)
	if s = strings.TrimSpace(s); len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = strings.TrimSpace(s[:limit])
	}
	return s
}

// Digest is the same for two books that hold the same.
func (b Book) Digest() [8]byte {
	text, err := encode(b.Records())
	if err != nil {
		panic("intent: digest: " + err.Error()) // plain values only
	}
	sum := sha256.Sum256(text)
	return [8]byte(sum[:8])
}

// Page writes as many of the records as limit bytes have room for, one at
// least, and says how many those are.
func Page(records []Record, limit int) (page []byte, n int) {
	page = []byte{'['}
	for ; n < len(records); n++ {
		b, err := encode(records[n])
		if err != nil {
			panic("intent: page: " + err.Error())
		}
		if n > 0 && len(page)+len(b)+2 > limit {
			break
		}
		if n > 0 {
			page = append(page, ',')
		}
		page = append(page, b...)
	}
	return append(page, ']'), n
}

// ReadPage reads a page. A record that isn't understood is left out: a newer
// ipvsd may know more.
func ReadPage(page []byte) ([]Record, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(page, &raw); err != nil {
		return nil, fmt.Errorf("operators' wishes: %v", err)
	}
	var out []Record
	for _, b := range raw {
		var r Record
		if r.UnmarshalJSON(b) == nil {
			out = append(out, r)
		}
	}
	return out, nil
}
