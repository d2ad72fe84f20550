package api

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// maxSamples are ten minutes, both ends counted. Those of 10,000 real servers
// take 5 MB.
const maxSamples = 61

// samples are the connections of each real server over the last ten minutes. The
// feed's goroutine adds to them, anybody may read them.
type samples struct {
	next time.Time                 // when the next one is due
	list atomic.Pointer[[]*sample] // oldest first; neither it nor what it points to is ever changed
}

// sample is one moment.
type sample struct {
	at               time.Time
	places           *places
	active, inactive []uint32 // by place; nil: the kernel couldn't be read
}

// places says which real servers a sample has, in which order. Samples share it
// while the file stays.
type places struct{ virtuals []place }

type place struct {
	name  string
	reals []string
}

// due says how long there is until the next sample; 0: it is time.
func (s *samples) due(now time.Time) time.Duration { return max(0, s.next.Sub(now)) }

// sample adds the loads, which it asks for only if it is time.
func (s *samples) sample(at time.Time, ask func() director.Loads) {
	if s.due(at) > 0 {
		return
	}
	loads := ask()
	s.next = at.Add(sampleEvery)
	var past []*sample
	if list := s.list.Load(); list != nil {
		past = *list
	}
	one := &sample{at: at}
	if len(past) > 0 && past[len(past)-1].places.fit(loads.Virtuals) {
		one.places = past[len(past)-1].places
	} else {
		one.places = placesOf(loads.Virtuals)
	}
	if loads.Err == nil {
		count := 0
		for _, v := range loads.Virtuals {
			count += len(v.Reals)
		}
		one.active, one.inactive = make([]uint32, 0, count), make([]uint32, 0, count)
		for _, v := range loads.Virtuals {
			for _, r := range v.Reals {
				one.active = append(one.active, r.Active)
				one.inactive = append(one.inactive, r.Inactive)
			}
		}
	}
	list := append(slices.Clone(past[max(0, len(past)+1-maxSamples):]), one)
	s.list.Store(&list)
}

func placesOf(loads []director.VirtualLoad) *places {
	p := &places{virtuals: make([]place, len(loads))}
	for i, v := range loads {
		p.virtuals[i].name = v.Name
		for _, r := range v.Reals {
			p.virtuals[i].reals = append(p.virtuals[i].reals, r.Address)
		}
	}
	return p
}

// fit reports whether p are the places of these loads.
func (p *places) fit(loads []director.VirtualLoad) bool {
	return slices.EqualFunc(p.virtuals, loads, func(p place, v director.VirtualLoad) bool {
		return p.name == v.Name && slices.EqualFunc(p.reals, v.Reals, func(a string, r director.RealLoad) bool { return a == r.Address })
	})
}

// index finds a real server's place.
func (p *places) index() map[[2]string]int {
	out := make(map[[2]string]int)
	for _, v := range p.virtuals {
		for _, r := range v.reals {
			out[[2]string{v.name, r}] = len(out)
		}
	}
	return out
}

// history answers with the connections of the last ten minutes: "times" has the
// moments, and each real server as many counts, null where there is none.
func (p *pages) history(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body, done := compressed(w, r)
	defer done()
	var list []*sample
	if l := p.feed.list.Load(); l != nil {
		list = *l
	}
	out := bufio.NewWriter(body)
	writeHistory(out, list)
	if err := out.Flush(); err != nil {
		p.log.Debug("history not delivered", "client", r.RemoteAddr, "err", err)
	}
}

// writeHistory tells of the real servers that the newest sample has. By hand: as
// values for encoding/json, 10,000 of them would be a million pointers.
func writeHistory(w *bufio.Writer, list []*sample) {
	w.WriteString(`{"interval_seconds":`)
	writeJSON(w, sampleEvery.Seconds())
	w.WriteString(`,"times":[`)
	for i, s := range list {
		comma(w, i)
		writeJSON(w, s.at)
	}
	w.WriteString(`],"virtuals":[`)
	if len(list) > 0 {
		writeVirtuals(w, list)
	}
	w.WriteString("]}\n")
}

func writeVirtuals(w *bufio.Writer, list []*sample) {
	newest := list[len(list)-1].places
	older := make(map[*places]map[[2]string]int)
	for _, s := range list {
		if s.places != newest && older[s.places] == nil {
			older[s.places] = s.places.index()
		}
	}
	at := 0
	for i, v := range newest.virtuals {
		comma(w, i)
		w.WriteString(`{"name":`)
		writeJSON(w, v.name)
		w.WriteString(`,"reals":[`)
		for j, address := range v.reals {
			comma(w, j)
			places := make([]int, len(list)) // in each sample; -1: not there
			for k, s := range list {
				places[k] = at
				if s.places != newest {
					var there bool
					if places[k], there = older[s.places][[2]string{v.name, address}]; !there {
						places[k] = -1
					}
				}
			}
			w.WriteString(`{"address":`)
			writeJSON(w, address)
			w.WriteString(`,"active":`)
			writeCounts(w, list, places, func(s *sample) []uint32 { return s.active })
			w.WriteString(`,"inactive":`)
			writeCounts(w, list, places, func(s *sample) []uint32 { return s.inactive })
			w.WriteByte('}')
			at++
		}
		w.WriteString("]}")
	}
}

func writeCounts(w *bufio.Writer, list []*sample, places []int, of func(*sample) []uint32) {
	w.WriteByte('[')
	for k, s := range list {
		comma(w, k)
		if counts := of(s); counts == nil || places[k] < 0 {
			w.WriteString("null")
		} else {
			w.Write(strconv.AppendUint(w.AvailableBuffer(), uint64(counts[places[k]]), 10))
		}
	}
	w.WriteByte(']')
}

func comma(w io.ByteWriter, i int) {
	if i > 0 {
		_ = w.WriteByte(',') // a bufio.Writer keeps its error until Flush
	}
}

func writeJSON(w io.Writer, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("api: " + err.Error()) // strings, numbers and times
	}
	_, _ = w.Write(text)
}
