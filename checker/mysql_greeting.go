package checker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// greetMySQL goes by the greeting. It breaks the handshake off, which a server
// counts (max_connect_errors).
func greetMySQL(s *session) Result {
	g, err := readMySQLGreeting(s.in)
	switch {
	case errors.Is(err, errNotMySQL):
		return bad(err.Error())
	case err != nil:
		return s.fail(err)
	}
	if s.t != nil {
		s.t.came(g.String())
	}
	r := bad(g.String())
	if g.code == 0 {
		r = good(g.String())
	}
	r.Sample = sample([]byte(g.text), "")
	return r
}

// mysqlGreeting is what a server says first.
type mysqlGreeting struct {
	code uint16 // of an error; 0: none
	text string // of an error, else the version
}

func (g mysqlGreeting) String() string {
	if g.code != 0 {
		return fmt.Sprintf("refused: %s (%d)", sample([]byte(g.text), ""), g.code)
	}
	return "greeting of version " + sample([]byte(g.text), "")
}

var errNotMySQL = errors.New("not a MySQL greeting")

// maxMySQLGreeting bounds a first packet: real ones have about a hundred bytes.
const maxMySQLGreeting = 4 << 10

// readMySQLGreeting reads the first packet of a server.
func readMySQLGreeting(r io.Reader) (mysqlGreeting, error) {
	var head [4]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if n == 4-1 && head[2] != 0 {
			return mysqlGreeting{}, errNotMySQL
		}
		return mysqlGreeting{}, err
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if size == 0 || size > maxMySQLGreeting || head[3] > 1 { // the number: an error may come as the second
		return mysqlGreeting{}, errNotMySQL
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return mysqlGreeting{}, err
	}
	return parseMySQLGreeting(body)
}

func parseMySQLGreeting(b []byte) (mysqlGreeting, error) {
	switch b[0] {
	case 0xff:
		if len(b) < 3 {
			return mysqlGreeting{}, errNotMySQL
		}
		code, text := binary.LittleEndian.Uint16(b[1:]), b[3:]
		if len(text) >= 6 && text[0] == '#' { // the state of SQL, since 4.1
			text = text[6:]
		}
		if code == 0 {
			return mysqlGreeting{}, errNotMySQL
		}
		return mysqlGreeting{code: code, text: string(text)}, nil
	case 10:
		version, rest, ok := bytes.Cut(b[1:], []byte{0})
		// The connection's number, eight bytes of salt, a zero, capabilities.
		if !ok || len(version) == 0 || len(rest) < 4+8+1+2 || rest[12] != 0 {
			return mysqlGreeting{}, errNotMySQL
		}
		return mysqlGreeting{text: string(version)}, nil
	}
	return mysqlGreeting{}, errNotMySQL
}
