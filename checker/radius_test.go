package checker

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// radiusServer is the other side, written from the RFCs and not from our own
// code: it checks the Message-Authenticator, reads the password and answers.
type radiusServer struct {
	secret   string
	password string // that it accepts
	sign     bool   // with a Message-Authenticator
	spoil    func([]byte) []byte
}

func (s radiusServer) answer(q []byte) []byte {
	attrs := map[byte][]byte{}
	at := map[byte]int{}
	for i := 20; i < len(q); i += int(q[i+1]) {
		attrs[q[i]], at[q[i]] = q[i+2:i+int(q[i+1])], i+2
	}
	plain := bytes.Clone(q)
	copy(plain[at[80]:], make([]byte, 16))
	mac := hmac.New(md5.New, []byte(s.secret))
	mac.Write(plain)
	if !hmac.Equal(mac.Sum(nil), attrs[80]) || len(attrs[32]) == 0 {
		return nil
	}
	code := byte(2)
	if q[0] == 1 {
		var password []byte
		last := q[4:20]
		for hidden := attrs[2]; len(hidden) > 0; hidden = hidden[16:] {
			mask := md5.Sum([]byte(s.secret + string(last)))
			for i := range 16 {
				password = append(password, hidden[i]^mask[i])
			}
			last = hidden[:16]
		}
		if string(attrs[1]) != "probe" || string(bytes.TrimRight(password, "\x00")) != s.password {
			code = 3
		}
	}
	return s.reply(q, code)
}

func (s radiusServer) reply(q []byte, code byte) []byte {
	a := append([]byte{code, q[1], 0, 0}, q[4:20]...)
	if code == 3 {
		const text = "not with open sesame"
		a = append(append(a, 18, byte(2+len(text))), text...)
	}
	signed := len(a) + 2
	if s.sign {
		a = append(a, append([]byte{80, 18}, make([]byte, 16)...)...)
	}
	binary.BigEndian.PutUint16(a[2:], uint16(len(a)))
	if s.sign {
		mac := hmac.New(md5.New, []byte(s.secret))
		mac.Write(a)
		copy(a[signed:], mac.Sum(nil))
	}
	sum := md5.Sum(append(bytes.Clone(a), s.secret...))
	copy(a[4:], sum[:])
	if s.spoil != nil {
		a = s.spoil(a)
	}
	return a
}

func TestRADIUS(t *testing.T) {
	long := strings.Repeat("sixteen bytes ..", 3) + "!"
	base := Spec{Type: Radius, Login: "probe", PasswordFile: secretFile(t, "open sesame"), SecretFile: secretFile(t, "s3cret")}
	sound := radiusServer{secret: "s3cret", password: "open sesame", sign: true}
	quick := func(s *Spec) { s.Timeout = quickTimeout }
	with := func(f func(*radiusServer)) replies {
		s := sound
		f(&s)
		return reply(s.answer)
	}
	tryAllDatagrams(t, base, []datagramTrial{
		{name: "accept", serve: reply(sound.answer), ok: true, reason: "Access-Accept"},
		{name: "unsigned", serve: with(func(s *radiusServer) { s.sign = false }), ok: true, reason: "Access-Accept"},
		{name: "long password", serve: with(func(s *radiusServer) { s.password = long }), with: func(s *Spec) { s.PasswordFile = secretFile(t, long) }, ok: true, reason: "Access-Accept"},
		{name: "reject", serve: with(func(s *radiusServer) { s.password = "x" }), reason: "Access-Reject: not with ****"},
		{
			name: "challenge", reason: "Access-Challenge (the login needs more than a password)",
			serve: reply(func(q []byte) []byte { return sound.reply(q, 11) }),
		},
		{name: "status", serve: reply(sound.answer), with: func(s *Spec) { s.Login, s.PasswordFile = "", "" }, ok: true, reason: "Access-Accept"},
		{
			name: "status of accounting", serve: reply(func(q []byte) []byte { return sound.reply(q, 5) }),
			with: func(s *Spec) { s.Login, s.PasswordFile = "", "" }, ok: true, reason: "Accounting-Response",
		},
		{name: "another secret", serve: reply(radiusServer{secret: "other"}.answer), with: quick, reason: "timeout after 300ms …"},
		{
			name: "forged", with: quick, reason: "timeout after 300ms while waiting for the answer; what came was an answer made with another secret",
			serve: with(func(s *radiusServer) { s.spoil = func(a []byte) []byte { a[0] = 2; a[5] ^= 1; return a } }),
		},
		{
			name: "forged inside", with: quick, reason: "timeout after 300ms while waiting for the answer; what came was an answer made with another secret",
			serve: reply(func(q []byte) []byte {
				a := radiusServer{secret: "s3cret", sign: true}.reply(q, 2)
				a[22] ^= 1 // in the Message-Authenticator; the rest is made anew
				copy(a[4:], q[4:20])
				sum := md5.Sum(append(bytes.Clone(a), "s3cret"...))
				copy(a[4:], sum[:])
				return a
			}),
		},
		{
			name: "an earlier answer first", ok: true, reason: "Access-Accept",
			serve: func(q []byte) [][]byte {
				old := bytes.Clone(q)
				old[1]++
				return [][]byte{sound.reply(old, 3), noise(30), sound.answer(q)}
			},
		},
	})
	tryHostileDatagrams(t, base)
}

// TestRADIUSTells: neither password nor secret, nor what they could be guessed
// by, comes into a transcript.
func TestRADIUSTells(t *testing.T) {
	sound := radiusServer{secret: "s3cret", password: "open sesame", sign: true}
	spec := Spec{
		Type: Radius, Login: "probe", PasswordFile: secretFile(t, "open sesame"), SecretFile: secretFile(t, "s3cret"),
		Target: datagramStandIn(t, "127.0.0.1:0", reply(sound.answer)), Timeout: 5 * time.Second,
	}
	var b bytes.Buffer
	if r := Once(context.Background(), spec, &b); !r.OK || strings.Contains(b.String(), "bytes:") || strings.Contains(b.String(), "sesame") {
		t.Errorf("%+v\n%s", r, b.String())
	}
}

// TestRADIUSKeys: what is wrong with a file of ours is no server's fault.
func TestRADIUSKeys(t *testing.T) {
	spec := Spec{Type: Radius, Login: "probe", PasswordFile: "/nonexistent", SecretFile: secretFile(t, "x"), Timeout: time.Second}
	spec.Target = datagramStandIn(t, "127.0.0.1:0", noReply)
	if r := Once(context.Background(), spec, &bytes.Buffer{}); !r.Void {
		t.Errorf("got %+v", r)
	}
}

func FuzzRADIUS(f *testing.F) {
	q, err := newRADIUSQuestion("probe", "password", []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	copy(q.packet[4:20], make([]byte, 16)) // what the seeds answer to must stay
	s := radiusServer{secret: "secret", sign: true}
	f.Add(s.reply(q.packet, 2)[1:])
	f.Add(s.reply(q.packet, 3)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := q.answer(append([]byte{2}, b...))
		if err == nil && (len(b) < 19 || a.code != accessAccept) {
			t.Errorf("%x is %+v", b, a)
		}
	})
}
