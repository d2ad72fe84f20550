package checker

import (
	"context"
	"strings"
)

var radiusKind = kind{
	typ:   Radius,
	keys:  keysOf("login", "password_file", "secret_file"),
	port:  1812,
	valid: (*problems).radius,
	build: func(s *Spec, _ workshop) (probe, error) { return &radiusProbe{s}, nil },
}

func (v *problems) radius(s Spec) {
	if s.SecretFile == "" {
		v.add("secret_file", `check type "radius" needs the secret that the server shares with this director, such as secret_file = "/etc/ipvsd/radius.secret"`)
	}
	v.login(s)
}

// radiusProbe sends an Access-Request for its login, or without one a
// Status-Server, and wants the Accept.
type radiusProbe struct{ spec *Spec }

func (p *radiusProbe) check(ctx context.Context, t *transcript) Result {
	q, password, err := p.question()
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	d, err := openDatagrams(ctx, p.spec, t)
	if err != nil {
		return failed(err, connecting, p.spec.Timeout)
	}
	defer d.close()
	d.private = true // a password is in there, and what the secret could be guessed by
	if t != nil {
		t.note("%s", radiusCode(q.packet[0]))
	}
	return d.ask(q.packet, func(b []byte) (Result, error) {
		a, err := q.answer(b)
		if err != nil { // RFC 2865 section 3: silently discarded
			return Result{}, err
		}
		if password != "" { // the server may say it back
			a.message = strings.ReplaceAll(a.message, password, "****")
		}
		r := a.verdict()
		r.Sample = sample([]byte(a.message), "")
		return r, nil
	})
}

func (p *radiusProbe) question() (_ radiusQuestion, password string, _ error) {
	secret, err := p.spec.secret()
	if err != nil {
		return radiusQuestion{}, "", err
	}
	if password, err = p.spec.password(); err != nil {
		return radiusQuestion{}, "", err
	}
	q, err := newRADIUSQuestion(p.spec.Login, password, []byte(secret))
	if err != nil {
		err = &fileError{"password file", err}
	}
	return q, password, err
}

func (a radiusAnswer) verdict() Result {
	reason := a.code.String()
	if a.message != "" {
		reason += ": " + sample([]byte(a.message), "")
	}
	switch a.code {
	case accessAccept, accountingResponse: // the latter is how port 1813 answers Status-Server
		return good(reason)
	case accessChallenge:
		return bad(reason + " (the login needs more than a password)")
	}
	return bad(reason)
}
