package checker

import (
	"strings"
	"testing"
)

func TestUDP(t *testing.T) {
	base := Spec{Type: UDP, Send: "ping\n", Expect: "^pong"}
	pong := reply(func(q []byte) []byte { return []byte(strings.Replace(string(q), "ping", "pong", 1)) })
	tryAllDatagrams(t, base, []datagramTrial{
		{name: "text", serve: pong, ok: true, reason: `the answer has "^pong"`},
		{name: "other text", serve: reply(func(q []byte) []byte { return q }), reason: `the answer lacks "^pong"`},
		{name: "nobody", reason: "port unreachable: nothing listens on UDP port …"},
		{
			name: "hex", serve: reply(func(q []byte) []byte {
				if string(q) != "\xff\xff\x00a" {
					return q
				}
				return []byte("\x01\x02\x03")
			}),
			with: func(s *Spec) { s.Send, s.Expect = "hex:ff ff 00 61", "hex:0203" }, ok: true, reason: `the answer has "hex:0203"`,
		},
		{
			name: "other hex", serve: reply(func([]byte) []byte { return []byte{2, 4} }),
			with: func(s *Spec) { s.Send, s.Expect = "hex:ff", "hex:0203" }, reason: `the answer lacks "hex:0203"`,
		},
	})
	tryHostileDatagrams(t, base)
}
