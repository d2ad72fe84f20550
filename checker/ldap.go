package checker

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

var (
	ldapKeys = keysOf("request", "receive", "login", "password_file")

	ldapKind = kind{
		typ: LDAP, keys: ldapKeys | keysOf("starttls"), port: 389,
		valid: (*problems).login, build: dialogue(talkLDAP),
	}
	ldapsKind = kind{
		typ: LDAPS, keys: ldapKeys, port: 636, tls: alwaysTLS,
		valid: (*problems).login, build: dialogue(talkLDAP),
	}
)

// talkLDAP binds, as its login or anonymously, and looks for the entry with the
// name in request; none is the root of the server's tree.
func talkLDAP(_ context.Context, s *session) Result {
	d := ldapDialogue{session: s}
	password, err := s.password()
	if err != nil {
		return s.fail(err)
	}
	if s.spec.StartTLS {
		if r := d.startTLS(); !r.OK {
			return r
		}
	}
	if r := d.bind(s.spec.Login, password); !r.OK {
		return r
	}
	r := d.search(s.spec.Request)
	d.unbind()
	return r
}

// ldapDialogue is a session with the number of its last message.
type ldapDialogue struct {
	*session
	id int
}

// next sends a message and returns the first reply to it.
func (d *ldapDialogue) next(message []byte, shown, what string) (ldapReply, error) {
	if d.t != nil {
		d.t.sent(shown)
	}
	d.await(what)
	if _, err := d.conn.Write(message); err != nil {
		return ldapReply{}, err
	}
	return d.reply()
}

func (d *ldapDialogue) reply() (ldapReply, error) {
	reply, err := readLDAP(d.in)
	switch {
	case err != nil:
		return reply, err
	case d.t != nil && reply.op == ldapEntry:
		d.t.came(d.veil(strings.Join(append([]string{"dn: " + reply.dn}, reply.all...), "\n")))
	case d.t != nil:
		d.t.came(d.veil("result " + strconv.FormatInt(reply.code, 10) + " " + reply.text))
	}
	if reply.id == 0 && reply.op == ldapExtendedDone { // section 4.4.1
		return reply, &ldapRefusal{"the server ends the connection: " + reply.reason()}
	}
	if reply.id != int64(d.id) {
		return reply, errNotLDAP
	}
	return reply, nil
}

// ldapRefusal is a server's own reason.
type ldapRefusal struct{ reason string }

func (e *ldapRefusal) Error() string { return e.reason }

func (d *ldapDialogue) failed(err error) Result {
	if errors.Is(err, errNotLDAP) || errors.As(err, new(*ldapRefusal)) {
		return bad(err.Error())
	}
	return d.fail(err)
}

func (d *ldapDialogue) startTLS() Result {
	d.id++
	reply, err := d.next(startTLSRequest(d.id), "StartTLS", "the answer to StartTLS")
	switch {
	case err != nil:
		return d.failed(err)
	case reply.op != ldapExtendedDone:
		return bad(errNotLDAP.Error())
	case reply.code != ldapSuccess:
		return bad("StartTLS refused: " + reply.reason())
	}
	if err := d.encase(); err != nil {
		return d.fail(err)
	}
	return good("")
}

func (d *ldapDialogue) bind(dn, password string) Result {
	who := or(dn, "anonymous")
	d.id++
	reply, err := d.next(bindRequest(d.id, dn, password), "bind as "+who, "the answer to the bind")
	switch {
	case err != nil:
		return d.failed(err)
	case reply.op != ldapBindDone:
		return bad(errNotLDAP.Error())
	case reply.code != ldapSuccess:
		return bad("bind as " + who + " refused: " + reply.reason())
	}
	return good("")
}

// search wants exactly the entry of that name.
func (d *ldapDialogue) search(base string) Result {
	name := quote(base)
	if base == "" {
		name = "the server's root entry"
	}
	d.id++
	reply, err := d.next(searchRequest(d.id, base, d.receive != nil), "search for "+name, "the answer to the search")
	var entries []ldapReply
	for ; ; reply, err = d.reply() {
		switch {
		case err != nil:
			return d.failed(err)
		case reply.op == ldapEntry:
			entries = append(entries, reply)
		case reply.op == ldapReference: // to other servers; it isn't here
		case reply.op != ldapSearchDone:
			return bad(errNotLDAP.Error())
		case reply.code != ldapSuccess:
			return bad("search for " + name + ": " + reply.reason())
		case len(entries) != 1:
			return bad("search for " + name + " found " + strconv.Itoa(len(entries)) + " entries, not one")
		default:
			return d.judge(entries[0], name)
		}
	}
}

// judge matches the pattern with the entry's name, as ldirectord does, and with
// each of its lines.
func (d *ldapDialogue) judge(entry ldapReply, name string) Result {
	r := good("found " + name)
	if d.receive != nil {
		r = bad("found " + name + ", but it lacks " + quote(d.spec.Receive))
		for _, line := range append([]string{entry.dn}, entry.all...) {
			if d.receive.MatchString(line) {
				r = good("found " + name + ", has " + quote(d.spec.Receive))
				break
			}
		}
	}
	r.Sample = sample([]byte(strings.Join(append([]string{entry.dn}, entry.all...), "\n")), "")
	return r
}

// unbind says goodbye, which has no answer.
func (d *ldapDialogue) unbind() {
	d.id++
	_, _ = d.conn.Write(ldapOperation(d.id, ldapUnbind))
}
