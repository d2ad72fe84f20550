package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// sample is one request of a Load.
type sample struct {
	start, end time.Time
	server     string
	err        error
}

// Report is what a [Load] saw.
type Report struct {
	Sent    int // begun; OK and Failures together are fewer while requests are on the way
	OK      int
	Failed  []Failure         // by start time
	Servers map[string]Server // good answers by server name
	// Outage is the longest time without service: from the start of the last good request before a failure to the start
	// of the first good one after it. Zero if nothing failed. A late answer counts as a failure here.
	Outage Outage
	// Late are the good answers after the time of the option [Late]; OK has them, too.
	Late int
	// Slowest is the longest time a good request took.
	Slowest time.Duration
}

// Failure is a request without a good answer.
type Failure struct {
	Time   time.Time // of its start
	After  time.Duration
	Server string // if it was a bad answer
	Err    error
}

// Server is what one server answered.
type Server struct {
	Count       int
	First, Last time.Time // start times of requests it answered well
}

// Outage is a time without service.
type Outage struct {
	From, To time.Time
	Failures int
	Open     bool // not over: To is the start of the last request
}

// Duration is the length of the outage.
func (o Outage) Duration() time.Duration { return o.To.Sub(o.From) }

// tooLate is whether a good answer counts for an outage all the same.
func (l *Load) tooLate(x sample) bool {
	return x.err == nil && l.late > 0 && x.end.Sub(x.start) > l.late
}

// report sums up samples; lastGood is the start of the last good request before them, if there was one.
func (l *Load) report(sent int, samples []sample, lastGood time.Time) Report {
	s := slices.Clone(samples)
	slices.SortFunc(s, func(a, b sample) int { return a.start.Compare(b.start) })
	r := Report{Sent: sent, Servers: map[string]Server{}}
	var cur Outage
	for _, x := range s {
		tooLate := l.tooLate(x)
		if x.err != nil {
			r.Failed = append(r.Failed, Failure{Time: x.start, After: x.end.Sub(x.start), Server: x.server, Err: x.err})
		} else {
			r.answered(x)
		}
		if tooLate {
			r.Late++
		}
		if x.err != nil || tooLate {
			if cur.Failures == 0 {
				cur.From = lastGood
				if lastGood.IsZero() {
					cur.From = x.start
				}
			}
			cur.Failures++
			cur.To, cur.Open = x.start, true
			continue
		}
		if cur.Failures > 0 {
			cur.To, cur.Open = x.start, false
			if cur.Duration() > r.Outage.Duration() {
				r.Outage = cur
			}
			cur = Outage{}
		}
		lastGood = x.start
	}
	if cur.Failures > 0 && cur.Duration() >= r.Outage.Duration() {
		r.Outage = cur
	}
	return r
}

// answered counts a good answer.
func (r *Report) answered(x sample) {
	r.OK++
	r.Slowest = max(r.Slowest, x.end.Sub(x.start))
	sv := r.Servers[x.server]
	if sv.Count == 0 {
		sv.First = x.start
	}
	sv.Count++
	sv.Last = x.start
	r.Servers[x.server] = sv
}

// Since is the number of good answers of a server to requests begun after t – zero, if it had to be out by then.
func (l *Load) Since(t time.Time, server string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.samples {
		if s.err == nil && s.server == server && s.start.After(t) {
			n++
		}
	}
	return n
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d ok, %d failed", r.Sent, r.OK, len(r.Failed))
	if r.Outage.Failures > 0 {
		fmt.Fprintf(&b, ", longest outage %v (%d failures)", r.Outage.Duration().Round(time.Millisecond), r.Outage.Failures)
		if r.Outage.Open {
			b.WriteString(" and not over")
		}
	}
	fmt.Fprintf(&b, ", slowest good answer %v\n", r.Slowest.Round(time.Millisecond))
	for _, name := range sortedKeys(r.Servers) {
		s := r.Servers[name]
		fmt.Fprintf(&b, "  %-12s %6d  %s – %s\n", name, s.Count, clock(s.First), clock(s.Last))
	}
	// Equal errors in a row are one line: an outage has hundreds.
	for i := 0; i < len(r.Failed); {
		f := r.Failed[i]
		j := i + 1
		for j < len(r.Failed) && r.Failed[j].Err.Error() == f.Err.Error() {
			j++
		}
		fmt.Fprintf(&b, "  failed %5d×  %s – %s  %v\n", j-i, clock(f.Time), clock(r.Failed[j-1].Time), f.Err)
		i = j
	}
	return b.String()
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
