package checker

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ID names a watched real server. It is the caller's, stable over reloads: the
// history hangs on it.
type ID string

// Watch is one real server of one virtual service with the check that decides
// over it.
type Watch struct {
	ID   ID
	Spec Spec
	Rise int // good results in a row until it is up; less than 1 counts as 1
	Fall int // bad results in a row until it is down
}

// Result is the outcome of one check.
type Result struct {
	OK       bool
	Void     bool          // nothing was learnt about the server, for a want of our own (no descriptor, no permission): it counts for nothing
	Weighs   bool          // the server says what weight it wants:
	Percent  uint16        // so many hundredths of its own
	Reason   string        // why, in plain words: "status 503", "connection refused"
	Start    time.Time     // zero: there was no check
	Duration time.Duration //
	Sample   string        // the first bytes of the answer, printable, at most maxSample

	CertUntil time.Time // how long the server's certificates are valid; zero: it showed none
}

// Status is what is known of one Watch.
type Status struct {
	State       State
	Since       time.Time // of State
	Last        Result    // of the latest check; its Reason is also the reason of On and Off
	LastFailure Result    // the latest that was not OK
	Good, Bad   uint64    // results so far
	Void        uint64    // checks that could not be made
	Streak      int       // results alike in a row: good ones positive, bad ones negative
	CertUntil   time.Time // of the latest check that was shown a certificate
	Percent     uint16    // of the weight, as the server's agent said last; 100 unless it did
}

// fullWeight is the Percent of a server of which no agent says otherwise.
const fullWeight uint16 = 100

// maxSample bounds Result.Sample, in bytes.
const maxSample = 128

// good is a result that speaks for the server.
func good(reason string) Result { return Result{OK: true, Reason: reason} }

// bad is a result that speaks against it.
func bad(reason string) Result { return Result{Reason: reason} }

// void is a result that says nothing about it.
func void(reason string) Result { return Result{Void: true, Reason: reason} }

// sample makes the first bytes of an answer printable on one line. It returns
// last when the two agree, so that a server that always answers alike costs no
// memory.
func sample(b []byte, last string) string {
	b = b[:min(len(b), maxSample)]
	if string(b) == last { // no allocation
		return last
	}
	var s strings.Builder
	blank := false
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == ' ': // one blank for all in a row
			if !blank {
				s.WriteByte(' ')
			}
			blank = true
			b = b[n:]
			continue
		case r == utf8.RuneError || !unicode.IsPrint(r):
			s.WriteByte('.')
		default:
			s.Write(b[:n])
		}
		blank = false
		b = b[n:]
	}
	out := strings.TrimSpace(s.String())
	if out == last {
		return last
	}
	return out
}
