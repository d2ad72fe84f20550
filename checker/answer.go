package checker

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"sync"
)

// What is read of an answer at most.
const (
	maxHead = 64 << 10 // status line and headers, all of them
	maxBody = 1 << 20  // of the body; a pattern is looked for in this much
)

var (
	errTooLong = errors.New("the answer's header is longer than 64 KiB")
	errMore    = errors.New("more of the answer has to come")
)

// answer reads one answer, within bounds, into buffers that are used again.
type answer struct {
	memory memory // for an answer that is there already
	src    io.Reader
	err    error // of src: net/http may swallow it after half a line
	left   int   // bytes that may still be read from src
	got    int
	buf    *bufio.Reader
	peek   [maxSample]byte // the first bytes, whatever they are
	body   []byte          // what was kept of the body
	size   int             // what there was of it
}

// answers keeps the buffers. A check takes one when the first byte is there.
var answers = sync.Pool{New: func() any {
	return &answer{buf: bufio.NewReaderSize(nil, 2<<10), body: make([]byte, 0, 4<<10)}
}}

func (a *answer) from(src io.Reader) {
	a.src, a.err, a.left, a.got, a.size, a.body = src, nil, maxHead, 0, 0, a.body[:0]
	a.buf.Reset(a)
}

func (a *answer) release() {
	a.src = nil
	a.memory = memory{}
	a.buf.Reset(nil)
	if cap(a.body) > 64<<10 {
		a.body = make([]byte, 0, 4<<10)
	}
	answers.Put(a)
}

// Read implements io.Reader below the buffer: it is where the bounds are.
func (a *answer) Read(p []byte) (int, error) {
	if a.left <= 0 {
		a.err = errTooLong
		return 0, errTooLong
	}
	n, err := a.src.Read(p[:min(len(p), a.left)])
	if a.got < len(a.peek) {
		copy(a.peek[a.got:], p[:n])
	}
	a.got += n
	a.left -= n
	a.err = err
	return n, err
}

// start returns the first bytes that came, for a sample.
func (a *answer) start() string { return sample(a.peek[:min(a.got, len(a.peek))], "") }

func (a *answer) looksLikeHTTP() bool {
	const magic = "HTTP/"
	n := min(a.got, len(magic))
	return string(a.peek[:n]) == magic[:n]
}

// head reads the status line and the headers, and skips what announces them.
func (a *answer) head(asked *http.Request) (*http.Response, error) {
	for range 5 {
		resp, err := http.ReadResponse(a.buf, asked)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			a.left = 2 * maxBody // chunks have a frame
			return resp, nil
		}
	}
	return nil, errors.New("the server only announces an answer (five 1xx in a row)")
}

// glance takes what is there of the body, without waiting for more.
func (a *answer) glance(body io.Reader) {
	if a.buf.Buffered() > 0 {
		n, _ := body.Read(a.body[:maxSample])
		a.body, a.size = a.body[:n], n
	}
}

// readBody reads the body to its end or to maxBody, and keeps all of it or only
// the beginning. The Body is not closed: that would read on.
func (a *answer) readBody(body io.Reader, keep bool) (cut bool, err error) {
	for a.size < maxBody {
		if len(a.body) == cap(a.body) {
			if keep {
				a.body = append(make([]byte, 0, min(4*cap(a.body), maxBody)), a.body...)
			} else {
				a.body = a.body[:maxSample]
			}
		}
		n, err := body.Read(a.body[len(a.body):cap(a.body)])
		a.body = a.body[:len(a.body)+n]
		a.size += n
		switch {
		case err == io.EOF:
			return false, nil
		case errors.Is(err, errTooLong):
			return true, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}

// memory is what has come of an answer so far.
type memory struct {
	b     []byte
	ended bool // nothing more will come
	short bool // more was asked for than has come
}

func (m *memory) Read(p []byte) (int, error) {
	switch {
	case len(m.b) > 0:
		n := copy(p, m.b)
		m.b = m.b[n:]
		return n, nil
	case m.ended:
		return 0, io.EOF
	}
	m.short = true
	return 0, errMore
}
