package checker

import (
	"context"
	"strconv"
	"strings"
)

// An agent is a small program on the real server that is asked over TCP how the
// server is, and answers in one line, as HAProxy's agent-check has it:
// "75%", "up 50%", "drain", "down # disk full". The words:
//
//	up, ready          healthy
//	75%                healthy, and new connections by so many hundredths of the weight
//	drain              healthy, and no new connections
//	maint              down: the operator's word
//	down, fail, failed, stopped   down
//
// What stands after # is the reason. Each answer stands for itself: one without
// a weight gives all of it back.
var agentKind = kind{
	typ: Agent, keys: keysOf("send", "tls"), valid: (*problems).exchange,
	build: func(s *Spec, with workshop) (probe, error) {
		send, hex, err := unhex(s.Send)
		if err != nil {
			return nil, err
		}
		if !hex {
			send = []byte(s.Send)
		}
		return dialogue(agent{send}.talk)(s, with)
	},
}

type agent struct{ send []byte }

func (a agent) talk(_ context.Context, s *session) Result {
	s.await("the agent's word")
	if len(a.send) > 0 {
		if s.t != nil {
			s.t.sent(readable(a.send))
		}
		if _, err := s.conn.Write(a.send); err != nil {
			return s.fail(err)
		}
	}
	line, err := s.line()
	if err != nil {
		return s.fail(err)
	}
	r := agentSays(line)
	if r.OK {
		s.part()
	}
	return r
}

// maxPercent bounds what an agent may ask for; more is a mistake of its.
const maxPercent = 1000

// agentSays reads an agent's line. A word that nobody knows makes all of it
// doubtful, so it speaks against the server; "maxconn:100" and the like are
// HAProxy's own and pass.
func agentSays(line string) Result {
	words, why, _ := strings.Cut(line, "#")
	percent, said, down := fullWeight, false, ""
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		said = true
		switch w := strings.ToLower(word); w {
		case "up", "ready":
		case "drain":
			percent = 0
		case "maint", "down", "fail", "failed", "stopped":
			down = w
		default:
			digits, isPercent := strings.CutSuffix(w, "%")
			n, err := strconv.ParseUint(digits, 10, 16)
			switch {
			case isPercent && err == nil && n <= maxPercent:
				if percent != 0 { // drain goes before
					percent = uint16(n)
				}
			case strings.Contains(w, ":"):
			default:
				return bad("the agent says " + quote(shortened(line)) + `; known are up, ready, drain, maint, down, fail, stopped and "75%"`)
			}
		}
	}
	why = sample([]byte(why), "")
	switch {
	case !said:
		return bad("the agent says nothing")
	case down != "":
		return bad("the agent says " + down + after(why))
	}
	r := good("the agent says " + shortened(strings.TrimSpace(words)) + after(why))
	r.Weighs, r.Percent = true, percent
	return r
}
