package mail

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"
)

// standIn is a mail server for one test. The replies are by the first word of a
// command; "" is the greeting, "." the end of the message.
type standIn struct {
	listener net.Listener
	offers   []string
	replies  map[string]string
	hang     string // after this command it says nothing more
	cert     *tls.Certificate

	mu   sync.Mutex
	said []string // what came, messages as "data"
	data string
}

func (s *standIn) start(t *testing.T) string {
	t.Helper()
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { s.listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer conn.Close(); s.talk(conn) })
		}
	})
	return s.listener.Addr().String()
}

func (s *standIn) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, line)
}

func (s *standIn) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, ", ")
}

func (s *standIn) talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	answer := func(command, usual string) bool {
		if s.hang == command && command != "" || s.hang == "greeting" && command == "" {
			_, _ = in.ReadByte() // until the other side gives up
			return false
		}
		reply := usual
		if own, ok := s.replies[command]; ok {
			reply = own
		}
		_, err := fmt.Fprintf(conn, "%s\r\n", reply)
		return err == nil && !strings.HasPrefix(reply, "421")
	}
	if !answer("", "220 stand-in") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		s.note(line)
		switch word {
		case "EHLO":
			reply := "250-stand-in"
			for _, o := range s.offers {
				if o != "STARTTLS" || !isTLS(conn) {
					reply += "\r\n250-" + o
				}
			}
			if !answer(word, reply+"\r\n250 HELP") {
				return
			}
		case "STARTTLS":
			if !answer(word, "220 go on") {
				return
			}
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
			in = bufio.NewReader(conn)
			s.note("tls")
		case "AUTH":
			if rest == "LOGIN" {
				for _, q := range []string{"Username:", "Password:"} {
					fmt.Fprintf(conn, "334 %s\r\n", base64.StdEncoding.EncodeToString([]byte(q)))
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					s.note(strings.TrimSpace(line))
				}
			}
			if !answer(word, "235 welcome") {
				return
			}
		case "RCPT":
			if !answer(strings.TrimSuffix(strings.TrimPrefix(line, "RCPT TO:<"), ">"), "250 ok") {
				return
			}
		case "DATA":
			if !answer(word, "354 go on") {
				return
			}
			if _, refused := s.replies[word]; refused {
				continue
			}
			var b strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(line)
			}
			s.mu.Lock()
			s.data = b.String()
			s.mu.Unlock()
			if !answer(".", "250 queued") {
				return
			}
		case "QUIT":
			answer(word, "221 bye")
			return
		default:
			if !answer(word, "250 ok") {
				return
			}
		}
	}
}

func isTLS(c net.Conn) bool { _, ok := c.(*tls.Conn); return ok }

// certificate makes one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestDeliver(t *testing.T) {
	cert, pool := certificate(t)
	own := message{from: "lb@example.org", to: []string{"a@example.org", "b@example.org"}, data: []byte("Subject: x\r\n\r\n.dot\r\n")}
	const envelope = "MAIL FROM:<lb@example.org>, RCPT TO:<a@example.org>, RCPT TO:<b@example.org>, DATA, QUIT"
	secret := func() (string, error) { return "pass word", nil }
	plain := base64.StdEncoding.EncodeToString([]byte("\x00ipvsd\x00pass word"))
	for _, tt := range []struct {
		name     string
		server   *standIn
		settings Settings
		trusted  bool
		want     string // what the server heard, without the EHLO
		err      string
		refused  bool
	}{
		{name: "plain", want: envelope},
		{name: "starttls where offered, any certificate", server: &standIn{offers: []string{"STARTTLS"}}, want: "STARTTLS, tls, " + envelope},
		{name: "starttls never", server: &standIn{offers: []string{"STARTTLS"}}, settings: Settings{TLS: Never}, want: envelope},
		{name: "starttls always", server: &standIn{offers: []string{"STARTTLS"}}, settings: Settings{TLS: Always}, trusted: true, want: "STARTTLS, tls, " + envelope},
		{name: "starttls always, unknown certificate", server: &standIn{offers: []string{"STARTTLS"}}, settings: Settings{TLS: Always}, want: "STARTTLS, tls", err: "STARTTLS: tls: failed to verify certificate"},
		{name: "starttls always, not offered", settings: Settings{TLS: Always}, err: "offers no STARTTLS", refused: true},
		{name: "login", server: &standIn{offers: []string{"STARTTLS", "AUTH PLAIN LOGIN"}}, settings: Settings{Login: "ipvsd", Password: secret}, trusted: true, want: "STARTTLS, tls, AUTH PLAIN " + plain + ", " + envelope},
		{name: "login takes a certificate", server: &standIn{offers: []string{"STARTTLS", "AUTH PLAIN"}}, settings: Settings{Login: "ipvsd", Password: secret}, want: "STARTTLS, tls", err: "certificate"},
		{name: "login by LOGIN", server: &standIn{offers: []string{"AUTH LOGIN"}}, settings: Settings{Login: "ipvsd", Password: secret}, want: "AUTH LOGIN, aXB2c2Q=, cGFzcyB3b3Jk, " + envelope},
		{name: "login nowhere", server: &standIn{offers: []string{"AUTH GSSAPI"}}, settings: Settings{Login: "ipvsd", Password: secret}, want: "QUIT", err: "no login by PLAIN or LOGIN, but GSSAPI"},
		{name: "login refused", server: &standIn{offers: []string{"AUTH PLAIN"}, replies: map[string]string{"AUTH": "535 no"}}, settings: Settings{Login: "ipvsd", Password: secret}, want: "AUTH PLAIN " + plain + ", *, QUIT", err: "AUTH: 535 no", refused: true},
		{name: "no password", settings: Settings{Login: "ipvsd", Password: func() (string, error) { return "", errors.New("no such file") }}, err: "password_file: no such file", refused: true},
		{name: "busy", server: &standIn{replies: map[string]string{"": "421 later"}}, err: "greeting: 421 later"},
		{name: "sender refused", server: &standIn{replies: map[string]string{"MAIL": "553 who are you"}}, want: "MAIL FROM:<lb@example.org>", err: "MAIL FROM lb@example.org: 553 who are you", refused: true},
		{name: "one address refused", server: &standIn{replies: map[string]string{"b@example.org": "550 no such user"}}, want: strings.TrimSuffix(envelope, ", QUIT"), err: "sent, but not to all: RCPT TO b@example.org: 550 no such user", refused: true},
		{name: "all refused", server: &standIn{replies: map[string]string{"a@example.org": "550 no", "b@example.org": "550 no"}}, want: "MAIL FROM:<lb@example.org>, RCPT TO:<a@example.org>, RCPT TO:<b@example.org>", err: "RCPT TO b@example.org: 550 no", refused: true},
		{name: "all refused, one for now", server: &standIn{replies: map[string]string{"a@example.org": "450 greylisted", "b@example.org": "550 no"}}, want: "MAIL FROM:<lb@example.org>, RCPT TO:<a@example.org>, RCPT TO:<b@example.org>", err: "450 greylisted"},
		{name: "message refused", server: &standIn{replies: map[string]string{".": "554 spam"}}, want: strings.TrimSuffix(envelope, ", QUIT"), err: "the message: 554 spam", refused: true},
		{name: "full", server: &standIn{replies: map[string]string{".": "452 full"}}, want: strings.TrimSuffix(envelope, ", QUIT"), err: "452 full"},
		{name: "hangs at once", server: &standIn{hang: "greeting"}, err: "i/o timeout"},
		{name: "hangs in the middle", server: &standIn{hang: "MAIL"}, want: "MAIL FROM:<lb@example.org>", err: "i/o timeout"},
		{name: "hangs at the end", server: &standIn{hang: "."}, want: strings.TrimSuffix(envelope, ", QUIT"), err: "i/o timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testOnlyRoots = x509.NewCertPool()
			if tt.trusted {
				testOnlyRoots = pool
			}
			s := tt.server
			if s == nil {
				s = new(standIn)
			}
			s.cert = cert
			tt.settings.Server = s.start(t)
			limit := 20 * time.Second
			if s.hang != "" {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := deliver(ctx, tt.settings, own)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if got := errors.As(err, new(refusal)); got != tt.refused {
				t.Errorf("refused for good: %v, want %v", got, tt.refused)
			}
			var heard []string
			for part := range strings.SplitSeq(s.heard(), ", ") {
				if !strings.HasPrefix(part, "EHLO ") && part != "" {
					heard = append(heard, strings.TrimSuffix(part, " BODY=8BITMIME"))
				}
			}
			if got := strings.Join(heard, ", "); got != tt.want {
				t.Errorf("it heard %q, want %q", got, tt.want)
			}
			if s.data != "" && s.data != "Subject: x\r\n\r\n..dot\r\n" {
				t.Errorf("data %q", s.data)
			}
		})
	}
}

// A stop ends a dialogue at once.
func TestDeliverEnds(t *testing.T) {
	s := &standIn{hang: "DATA"}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	began := time.Now()
	if err := deliver(ctx, Settings{Server: s.start(t)}, message{from: "a@example.org", to: []string{"b@example.org"}}); err == nil {
		t.Error("sent")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

// A password goes nowhere in the clear, unless the server is this machine.
func TestNoPasswordInTheClear(t *testing.T) {
	s := &standIn{offers: []string{"AUTH PLAIN"}}
	address := s.start(t)
	_, port, _ := net.SplitHostPort(address)
	c := Settings{Server: "elsewhere.example.org:" + port, Login: "ipvsd", Password: func() (string, error) { return "pass word", nil }}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := mustClient(t, conn)
	err = c.open(client, "elsewhere.example.org", port)
	if !errors.As(err, new(refusal)) || strings.Contains(s.heard(), "AUTH") {
		t.Errorf("%v; it heard %s", err, s.heard())
	}
}

func mustClient(t *testing.T, conn net.Conn) *smtp.Client {
	t.Helper()
	c, err := smtp.NewClient(conn, "elsewhere.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
