package checker

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// Bytes there and bytes back, over TCP or TLS.
var simpleTCPKind = kind{
	typ: SimpleTCP, keys: keysOf("send", "expect", "tls"),
	valid: (*problems).exchange,
	build: func(s *Spec, with workshop) (probe, error) {
		send, _, err := unhex(s.Send)
		if err != nil {
			return nil, err
		}
		if send == nil {
			send = []byte(s.Send)
		}
		expect, err := expectation(s.Expect, with)
		if err != nil {
			return nil, err
		}
		return dialogue(simpleTCP{send, expect}.talk)(s, with)
	},
}

// exchange judges send and expect.
func (v *problems) exchange(s Spec) {
	if _, _, err := unhex(s.Send); err != nil {
		v.add("send", "%v", err)
	}
	if _, hex, err := unhex(s.Expect); err != nil {
		v.add("expect", "%v", err)
	} else if !hex {
		if _, err := regexp.Compile(s.Expect); err != nil {
			v.add("expect", "%s", patternReason(s.Expect, err))
		}
	}
}

// expectation returns what tells whether an answer has what it should: bytes,
// or a pattern that may hold in any line, whatever the line's end. "" is any
// answer.
func expectation(text string, with workshop) (func(answer []byte) bool, error) {
	if raw, hex, err := unhex(text); hex {
		return func(b []byte) bool { return bytes.Contains(b, raw) }, err
	}
	if text == "" {
		return func(b []byte) bool { return len(b) > 0 }, nil
	}
	pattern, err := with.pattern("(?m)" + text)
	return func(b []byte) bool {
		return pattern.Match(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
	}, err
}

type simpleTCP struct {
	send   []byte
	expect func([]byte) bool
}

// patience is how long we wait before we close our side: ldirectord does at
// once, and some servers answer only then; others would take it for the end.
const patience = time.Second

func (e simpleTCP) talk(ctx context.Context, s *session) Result {
	s.await("the answer")
	if len(e.send) > 0 {
		if s.t != nil {
			s.t.sent(readable(e.send))
		}
		if _, err := s.conn.Write(e.send); err != nil {
			return s.fail(err)
		}
	}
	conn := s.fixed(ctx)
	_ = conn.SetReadDeadline(time.Now().Add(min(patience, s.spec.Timeout/4)))
	halved, worthwhile := false, 0
	var got []byte
	for {
		var err error
		got, err = s.some(got)
		if err == nil && len(got) < worthwhile {
			continue
		}
		if e.expect(got) {
			return e.success(got)
		}
		switch {
		case err == nil:
			worthwhile = len(got) + max(0, len(got)-maxLine)/4 // else a long answer would be looked through again for each piece
		case isTimeout(err) && !halved && ctx.Err() == nil:
			halved = true
			_ = conn.SetReadDeadline(s.until)
			s.halfClose()
		default:
			return e.verdict(s, got, err)
		}
	}
}

func (e simpleTCP) success(got []byte) Result {
	r := good("the answer is there")
	r.Sample = sample(got, "")
	return r
}

// verdict is that of an answer that ended, or didn't, without what it should
// have.
func (e simpleTCP) verdict(s *session, got []byte, err error) Result {
	r := s.fail(err)
	if len(got) > 0 && s.spec.Expect != "" && !r.Void {
		r.Reason = "the answer lacks " + quote(s.spec.Expect)
		switch {
		case isTimeout(err):
			r.Reason = "timeout after " + s.spec.Timeout.String() + ": " + r.Reason
		case errors.Is(err, errLongDialog):
			r.Reason = "first 256 KiB of " + r.Reason
		}
	}
	r.Sample = sample(got, "")
	return r
}

// halfClose tells the server that nothing more will come.
func (s *session) halfClose() {
	if s.t != nil {
		s.t.note("no answer yet: our side is closed")
	}
	if secure, ok := s.conn.(*tls.Conn); ok {
		_ = secure.CloseWrite()
		return
	}
	_ = s.plain.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
}
