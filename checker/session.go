package checker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What is read at most, whatever the server sends.
const (
	maxLine   = 8 << 10
	maxDialog = 256 << 10
)

var (
	errLongLine   = errors.New("a line of the answer is longer than 8 KiB")
	errLongDialog = errors.New("the answer is longer than 256 KiB")
)

// talk is the dialogue of one protocol, over a connection that stands (and is
// in TLS already where the type says so). Every wait in it ends at the
// deadline. It returns the verdict; errors become one by session.fail.
type talk func(context.Context, *session) Result

// dialogue returns the build of a kind whose check is one TCP connection.
func dialogue(t talk) func(*Spec, workshop) (probe, error) {
	return func(spec *Spec, with workshop) (probe, error) {
		receive, err := with.pattern(spec.Receive)
		if err != nil {
			return nil, err
		}
		p := &dialogueProbe{spec: spec, env: with.env, talk: t, receive: receive}
		if with.kind.speaksTLS(spec) {
			p.tls = newTLSClient(spec, with.env)
		}
		return p, nil
	}
}

type dialogueProbe struct {
	spec    *Spec
	env     *env
	talk    talk
	receive *regexp.Regexp // nil: anything
	tls     *tlsClient     // nil: plain
	last    string         // the sample of the check before
}

func (p *dialogueProbe) check(ctx context.Context, t *transcript) Result {
	s := &session{
		spec: p.spec, env: p.env, receive: p.receive, tls: p.tls, t: t,
		until: time.Now().Add(p.spec.Timeout), expecting: "the greeting",
	}
	if p.spec.Type == FTP && p.tls != nil { // its data connections go on in the session of the first: servers ask for that, so that nobody else can fetch
		s.resume = tls.NewLRUClientSessionCache(1)
	}
	defer s.close()
	if err := s.dial(ctx, p.spec.Target.Port()); err != nil {
		return s.fail(err)
	}
	if p.tls != nil && !p.spec.StartTLS {
		if err := s.encase(); err != nil {
			r := s.fail(err)
			r.CertUntil = s.plain.certUntil
			return r
		}
	}
	r := p.talk(ctx, s)
	if s.plain != nil {
		r.CertUntil = s.plain.certUntil
	}
	if r.Sample == "" {
		p.last = sample(s.heard, p.last)
		r.Sample = p.last
	}
	r.Reason, r.Sample = s.veil(r.Reason), s.veil(r.Sample)
	s.ok = r.OK
	return r
}

// session is one dialogue under way.
type session struct {
	spec    *Spec
	env     *env
	receive *regexp.Regexp // nil: anything
	tls     *tlsClient     // nil: the Spec speaks no TLS
	resume  tls.ClientSessionCache
	t       *transcript // may be nil
	until   time.Time   // the deadline, which is set on the connection already

	conn   net.Conn // plain, or TLS over it
	plain  *sock
	stop   func() bool
	in     *bufio.Reader
	left   int    // bytes that may still be read
	heard  []byte // the last line, for a sample
	veiled string // a password, which the server may say back
	ok     bool   // the verdict, for the way to part

	expecting string // what is being waited for, for a reason: "the answer to EHLO"
}

// readers keeps the buffers; a line must fit into one.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxLine) }}

// dial connects to a port of the target.
func (s *session) dial(ctx context.Context, port uint16) error {
	target := withPort(s.spec.Target, port)
	if s.t != nil {
		s.t.note("connect tcp %s, timeout %s", target, s.spec.Timeout)
	}
	conn, err := s.env.open(unix.IPPROTO_TCP, s.spec, target)
	if err != nil {
		return err
	}
	s.plain, s.conn = conn, conn
	if s.stop, err = conn.limit(ctx, s.until); err != nil {
		return err
	}
	if err := conn.established(lookTCP); err != nil {
		return err
	}
	if s.t != nil {
		s.t.done("connected from %s", conn.local())
	}
	s.left = maxDialog
	s.in = readers.Get().(*bufio.Reader)
	s.in.Reset(bounded{s})
	return nil
}

// encase makes the TLS handshake; what follows is within TLS.
func (s *session) encase() error {
	if s.in.Buffered() > 0 { // it would be taken for a part of the protected answer
		return errors.New("the server says more before TLS than it was asked")
	}
	s.plain.phase = handshaking
	conn, err := s.tls.handshake(s.plain, s.t, s.resume)
	if err != nil {
		return err
	}
	s.conn = conn
	return nil
}

// encased tells whether the connection is within TLS.
func (s *session) encased() bool {
	_, ok := s.conn.(*tls.Conn)
	return ok
}

// close ends the connection. Where the check failed nobody waits for a goodbye.
func (s *session) close() {
	if s.plain == nil {
		return
	}
	if !s.ok {
		_ = s.plain.raw.Control(func(fd uintptr) { linger(int(fd)) })
	}
	_ = s.conn.Close()
	_ = s.plain.Close()
	if s.stop != nil {
		s.stop()
	}
	if s.in != nil {
		s.in.Reset(nil)
		readers.Put(s.in)
	}
	s.plain, s.in = nil, nil
}

// bounded is the reader below a session's buffer: it is where the bound is.
type bounded struct{ s *session }

func (b bounded) Read(p []byte) (int, error) {
	s := b.s
	if s.left <= 0 {
		return 0, errLongDialog
	}
	n, err := s.conn.Read(p[:min(len(p), s.left)])
	if n > 0 {
		s.left -= n
		s.plain.phase = reading
	}
	return n, err
}

// password reads the Spec's password, "" where it has none. Nothing that comes
// out of the session shows it.
func (s *session) password() (string, error) {
	text, err := s.spec.password()
	s.veiled = text
	return text, err
}

// veil hides the password in a text of the server.
func (s *session) veil(text string) string {
	if s.veiled == "" {
		return text
	}
	return strings.ReplaceAll(text, s.veiled, "****")
}

// ask sends one line and returns the first line of the answer.
func (s *session) ask(line string) (string, error) {
	if err := s.send(line); err != nil {
		return "", err
	}
	return s.line()
}

// send sends one line. What it asks for is named by its first word.
func (s *session) send(line string) error {
	word, _, _ := strings.Cut(line, " ")
	return s.sendAs(line, line, word)
}

// sendSecret sends a line that no transcript may show; shown takes its place.
func (s *session) sendSecret(line, shown string) error {
	word, _, _ := strings.Cut(shown, " ")
	return s.sendAs(line, shown, word)
}

func (s *session) sendAs(line, shown, what string) error {
	if s.t != nil {
		s.t.sent(shown)
	}
	s.await("the answer to " + what)
	_, err := io.WriteString(s.conn, line+"\r\n")
	return err
}

// write sends bytes as they are; what names the answer: "the answer to the bind".
func (s *session) write(b []byte, what string) error {
	if s.t != nil {
		s.t.sent(dump(b))
	}
	s.await(what)
	_, err := s.conn.Write(b)
	return err
}

// await says what is waited for from now on.
func (s *session) await(what string) {
	s.expecting, s.plain.phase = what, waiting
}

// line reads one line, without its end. The answer's last line may lack one.
func (s *session) line() (string, error) {
	b, err := s.in.ReadSlice('\n')
	if len(b) > 0 {
		s.heard = append(s.heard[:0], b[:min(len(b), maxSample)]...)
	}
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errLongLine
	case err != nil:
		if s.t != nil && len(b) > 0 {
			s.t.came(s.veil(string(b)))
		}
		return "", err
	}
	line := string(bytes.TrimRight(b, "\r\n"))
	if s.t != nil {
		s.t.came(s.veil(line))
	}
	return line, nil
}

// read fills b.
func (s *session) read(b []byte) error {
	n, err := io.ReadFull(s.in, b)
	s.heard = append(s.heard[:0], b[:min(n, maxSample)]...)
	if s.t != nil && n > 0 {
		s.t.came(readable(b[:n]))
	}
	return err
}

// some reads what comes next, at least one byte, and adds it to b.
func (s *session) some(b []byte) ([]byte, error) {
	if s.in.Buffered() == 0 {
		if _, err := s.in.Peek(1); err != nil {
			return b, err
		}
	}
	n := s.in.Buffered()
	more, _ := s.in.Peek(n)
	if s.t != nil {
		s.t.came(readable(more))
	}
	b = append(b, more...)
	_, _ = s.in.Discard(n)
	s.heard = append(s.heard[:0], b[:min(len(b), maxSample)]...)
	return b, nil
}

// goodbye sends a last line and gives the server a moment to close first: who
// does keeps the connection in TIME_WAIT for a minute. The verdict stands.
func (s *session) goodbye(line string) {
	if s.t != nil {
		s.t.sent(line)
	}
	if _, err := io.WriteString(s.conn, line+"\r\n"); err != nil {
		return
	}
	s.part()
}

// part waits a moment for the server to close.
func (s *session) part() {
	if soon := time.Now().Add(partingTime); soon.Before(s.until) {
		_ = s.conn.SetReadDeadline(soon)
	}
	for {
		if _, err := s.in.Discard(1 + s.in.Buffered()); err != nil {
			return
		}
	}
}

const partingTime = 100 * time.Millisecond

// fail puts an error into a verdict that says at which step it was.
func (s *session) fail(err error) Result {
	at := connecting
	if s.plain != nil {
		at = s.plain.phase
	}
	var no refusal
	if errors.As(err, &no) {
		return bad(no.Error())
	}
	if errors.Is(err, errLongLine) || errors.Is(err, errLongDialog) {
		return bad(err.Error())
	}
	r := failed(err, at, s.spec.Timeout)
	if at == waiting || at == reading {
		r.Reason = s.step(r.Reason)
	}
	return r
}

// step names the step in a general reason.
func (s *session) step(reason string) string {
	an := "an " + strings.TrimPrefix(s.expecting, "the ")
	if strings.HasPrefix(an, "an greeting") {
		an = "a greeting"
	}
	return strings.NewReplacer("the answer", s.expecting, "an answer", an).Replace(reason)
}

// wrong is the verdict over an answer that says no, or something else than what
// it should.
func (s *session) wrong(line string) Result {
	return bad(fmt.Sprintf("%s: %s", strings.TrimPrefix(s.expecting, "the "), shortened(line)))
}

// shortened is a line of a server for a reason.
func shortened(line string) string {
	if line == "" {
		return "an empty line"
	}
	return sample([]byte(line), "")
}

// matched judges a text by the Spec's pattern; what names it: "the greeting".
func (s *session) matched(text []byte, what, success string) Result {
	switch {
	case s.receive == nil:
		return good(success)
	case s.receive.Match(text):
		return good(success + ", has " + quote(s.spec.Receive))
	}
	return bad(what + " lacks " + quote(s.spec.Receive))
}
