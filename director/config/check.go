package config

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/table"
)

// notChecked is ldirectord's name for a check of type on.
const notChecked = "none"

// The defaults of every check.
const (
	defaultInterval = span(10 * time.Second)
	defaultTimeout  = span(5 * time.Second)
	defaultGrace    = span(time.Minute)
)

// check is the check of a virtual service, before it has a target.
type check struct {
	raw        *rawCheck    // [virtual.check] over [check], key by key
	spec       checker.Spec // without target, request and receive
	port       uint16       // 0: the real server's
	rise, fall int
	known      bool // the type is
	vip        bool // it goes to the virtual service's address
}

// check reads the check of the virtual service.
func (b *virtualReader) check() check {
	raw := b.raw.Check.over(b.defaults)
	if raw.header == 0 {
		raw.header = b.raw.header
	}
	c := check{
		raw:  raw,
		port: uint16(b.number(&raw.at, "port", raw.Port, 0, 1, 65535)),
		rise: int(b.number(&raw.at, "rise", raw.Rise, 1, 1, 65535)),
		fall: int(b.number(&raw.at, "fall", raw.Fall, 1, 1, 65535)),
	}
	c.spec.Type = checker.Type(or(raw.Type, string(checker.Connect)))
	if c.spec.Type == notChecked {
		c.spec.Type = checker.On
	}
	c.known = !raw.bad["type"]
	for _, p := range c.spec.Validate() {
		if p.Field == "type" && c.known {
			b.report.key(&raw.at, "type", "%s", p.Text)
			c.known = false
		}
	}
	if !c.known {
		return c
	}
	c.spec.Interval = or(raw.Interval, defaultInterval).duration()
	c.spec.Timeout = or(raw.Timeout, defaultTimeout).duration()
	b.fillCheck(&c)
	c.vip = b.path(&c)
	b.adviseCheck(c)
	if len(b.raw.Reals) == 0 { // what nobody uses yet may be wrong all the same
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), max(b.service.Addr.Port(), 1))
		b.spec(c, &rawReal{}, to)
	}
	return c
}

// defaultType judges the type in [check] also where each virtual service has one
// of its own: the next one that is added would take it.
func (r *report) defaultType(raw *rawCheck) {
	t := checker.Type(or(raw.Type, string(checker.Connect)))
	if raw.bad["type"] || t == notChecked {
		return
	}
	for _, p := range (checker.Spec{Type: t}).Validate() {
		if p.Field == "type" {
			r.key(&raw.at, "type", "%s", p.Text)
		}
	}
}

// over lays a check over the defaults, key by key.
func (own *rawCheck) over(defaults *rawCheck) *rawCheck {
	out := *own
	out.keys, out.bad = make(map[string]int), make(map[string]bool)
	for _, from := range []*rawCheck{own, defaults} {
		for key, line := range from.keys {
			if _, ok := out.keys[key]; !ok {
				out.keys[key], out.bad[key] = line, from.bad[key]
			}
		}
	}
	mine, theirs := reflect.ValueOf(&out).Elem(), reflect.ValueOf(defaults).Elem()
	for i := range mine.NumField() {
		key := mine.Type().Field(i).Tag.Get("toml")
		if key != "" && !own.has(key) {
			mine.Field(i).Set(theirs.Field(i))
		}
	}
	return &out
}

// uses tells whether a key goes into the spec. A default goes only where the
// type uses it, so that checks that do the same are equal; a key of the virtual
// service's own goes in any case, and the checker says where it means nothing.
// A check that is switched off keeps its keys for later.
func (b *virtualReader) uses(c *check, own *at, key string) bool {
	if !c.spec.Type.Checked() {
		return false
	}
	return own.has(key) || c.spec.Uses(key)
}

// pick returns a key's value where the check uses it, else nil.
func pick[T any](b *virtualReader, c *check, key string, p *T) *T {
	if !b.uses(c, &b.raw.Check.at, key) {
		return nil
	}
	return p
}

// fillCheck fills in all that doesn't depend on the real server. What decides
// over the use of other keys comes first.
func (b *virtualReader) fillCheck(c *check) {
	raw, spec := c.raw, &c.spec
	spec.Follow = or(pick(b, c, "follow_redirects", raw.FollowRedirects), false)
	spec.TLS = or(pick(b, c, "tls", raw.TLS), false)
	spec.StartTLS = or(pick(b, c, "starttls", raw.StartTLS), false)
	for _, k := range []struct {
		key  string
		into *string
		text *string
	}{
		{"virtualhost", &spec.VirtualHost, raw.VirtualHost},
		{"status", &spec.Status, (*string)(raw.Status)},
		{"headers", &spec.Headers, (*string)(raw.Headers)},
		{"method", &spec.Method, raw.Method},
		{"json_field", &spec.JSONField, raw.JSONField},
		{"json_value", &spec.JSONValue, (*string)(raw.JSONValue)},
		{"login", &spec.Login, raw.Login},
		{"password_file", &spec.PasswordFile, raw.PasswordFile},
		{"secret_file", &spec.SecretFile, raw.SecretFile},
		{"database", &spec.Database, raw.Database},
		{"record", &spec.Record, raw.Record},
		{"grpc_service", &spec.GRPCService, raw.GRPCService},
		{"server_name", &spec.ServerName, raw.ServerName},
		{"ca_file", &spec.CAFile, raw.CAFile},
		{"client_cert", &spec.ClientCert, raw.ClientCert},
		{"client_key", &spec.ClientKey, raw.ClientKey},
	} {
		*k.into = or(pick(b, c, k.key, k.text), "")
	}
	spec.Insecure = !or(pick(b, c, "verify", raw.Verify), true)
	spec.MinTLS = b.minTLS(pick(b, c, "min_tls", raw.MinTLS), c)
	spec.MinDays = b.count(c, "min_days", raw.MinDays)
	spec.Ratio = b.count(c, "connect_ratio", raw.ConnectRatio)
	spec.Command = strings.Join(or(pick(b, c, "command", raw.Command), nil), "\x00")
	b.sameInOtherWords(spec)
	b.tellVirtual(spec)
}

// count reads a number of something.
func (b *virtualReader) count(c *check, key string, n *int64) int {
	return int(b.number(&c.raw.at, key, pick(b, c, key, n), 0, 0, 65535))
}

// sameInOtherWords brings what means the same into one form, so that checks
// that do the same are equal.
func (b *virtualReader) sameInOtherWords(spec *checker.Spec) {
	if spec.Status == "200-299" {
		spec.Status = ""
	}
	spec.Method = strings.ToUpper(spec.Method)
	spec.Record = strings.ToUpper(spec.Record)
	if spec.Uses("method") {
		spec.Method = cmp.Or(spec.Method, "GET")
	}
}

// tellVirtual fills in what some checks have to know of the virtual service.
func (b *virtualReader) tellVirtual(spec *checker.Spec) {
	if spec.Uses("protocol") && b.service.Protocol != 0 {
		spec.Protocol = b.service.Protocol.String()
	}
	if !spec.Uses("virtual") {
		return
	}
	spec.VirtualName = b.shown
	if b.service.Protocol == 0 {
		spec.Virtual = strconv.FormatUint(uint64(b.service.FWMark), 10)
	} else {
		spec.Virtual, spec.VPort = bracketed(b.service.Addr.Addr()), b.service.Addr.Port()
	}
}

func (b *virtualReader) minTLS(version *string, c *check) uint16 {
	switch v := or(version, ""); v {
	case "1.0":
		return tls.VersionTLS10
	case "1.1":
		return tls.VersionTLS11
	case "1.2":
		return tls.VersionTLS12
	case "1.3":
		return tls.VersionTLS13
	default:
		if version != nil {
			b.report.key(&c.raw.at, "min_tls", "%q is not a version of TLS; write \"1.0\", \"1.1\", \"1.2\" or \"1.3\"", v)
		}
		return 0
	}
}

// adviseCheck warns of what is legal and probably not meant.
func (b *virtualReader) adviseCheck(c check) {
	t, raw, own := c.spec.Type, c.raw, &b.raw.Check
	if or(raw.Type, "") == notChecked {
		b.warnf(raw.line("type"), "type: %q checks nothing, so its real servers always count as up; type = %q says so", notChecked, checker.On)
	}
	if !t.Checked() {
		return
	}
	if t == checker.Connect && b.service.Protocol == table.UDP {
		line := b.raw.header
		if own.has("type") {
			line = own.line("type")
		}
		b.warnf(line, "type: udp has no connections, so \"connect\" is a ping here; dns, radius, sip and udp ask the service itself")
	}
	if raw.has("timeout") && !raw.bad["timeout"] && !raw.bad["interval"] && c.spec.Timeout > c.spec.Interval {
		b.warnf(raw.line("timeout"), "timeout: %s is longer than the interval %s; a check that takes so long delays the next one", c.spec.Timeout, c.spec.Interval)
	}
	if own.has("port") && !c.spec.Uses("port") {
		b.warnf(own.line("port"), "port: a check of type %q has no port; leave it out", t)
	}
}

// spec gives a check its target and what the real server has of its own, and
// has the checker judge it.
func (b *virtualReader) spec(c check, raw *rawReal, addr netip.AddrPort) checker.Spec {
	spec := c.spec
	if !c.known {
		return spec
	}
	port := uint16(0)
	if spec.Uses("port") {
		port = cmp.Or(c.port, addr.Port(), spec.DefaultPort())
	}
	spec.Target = netip.AddrPortFrom(addr.Addr(), port)
	for _, k := range []struct {
		key          string
		into         *string
		own, virtual *string
	}{
		{"request", &spec.Request, raw.Request, c.raw.Request},
		{"receive", &spec.Receive, raw.Receive, c.raw.Receive},
		{"send", &spec.Send, raw.Send, c.raw.Send},
		{"expect", &spec.Expect, raw.Expect, c.raw.Expect},
	} {
		*k.into = or(pick(b, &c, k.key, k.virtual), "")
		if k.own != nil && b.uses(&c, &raw.at, k.key) {
			*k.into = *k.own
		}
	}
	switch {
	case spec.Uses("method"):
		spec.Request = cmp.Or(spec.Request, "/")
	case spec.Uses("virtual"):
		spec.RPort = addr.Port()
	}
	b.judge(c, raw, spec)
	return spec
}

// judge reports what the checker has to say about a spec, at the key that says
// it: the real server's own, the virtual service's or [check]'s.
func (b *virtualReader) judge(c check, raw *rawReal, spec checker.Spec) {
	for _, p := range b.problemsOf(spec) {
		key, from := p.Field, &c.raw.at
		if raw.has(key) {
			from = &raw.at
		}
		if !from.bad[key] {
			b.errorf(from.line(key), "%s: %s", key, p.Text)
		}
	}
}

// problemsOf asks the checker once for all specs that differ in their target's
// address only.
func (r *report) problemsOf(spec checker.Spec) []checker.Problem {
	key := spec
	key.Target, key.RPort = netip.AddrPortFrom(netip.Addr{}, spec.Target.Port()), 0
	problems, ok := r.judged[key]
	if !ok {
		problems = spec.Validate()
		if r.here != nil {
			problems = append(problems, spec.ValidateFiles()...)
		}
		r.judged[key] = problems
	}
	return problems
}
