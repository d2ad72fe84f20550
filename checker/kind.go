package checker

import "slices"

// kind is what is particular to one type of check. To add a protocol:
//
//   - write one file for it, named after it: its kind, its dialogue, and the
//     functions that read the answers (each with a fuzz test);
//   - enter the kind in kinds, below, and its constant in spec.go;
//   - a key that no type has yet goes into Spec, into fields, into rawCheck and
//     fill of director/config, and into reference.toml;
//   - fill in its section of docs/checks.md;
//   - test it with the stand-in servers of standin_test.go.
//
// The keys of a kind are the only place that says which of them it uses:
// Validate refuses the others, normal drops them, the file's defaults for them
// aren't taken.
type kind struct {
	typ    Type
	keys   keySet
	port   uint16 // that of a real server that has none; 0: it must have one
	secure uint16 // the same with tls = true
	tls    tlsMode
	target targeting

	fill  func(*Spec)                          // defaults, or nil
	valid func(*problems, Spec)                // what is particular to it, or nil
	build func(*Spec, workshop) (probe, error) // nil: never probed
}

// tlsMode is where TLS begins.
type tlsMode uint8

const (
	noTLS     tlsMode = iota // nowhere, or where the keys tls and starttls say
	alwaysTLS                // from the first byte
)

// targeting is what a check does with the target's port.
type targeting uint8

const (
	portNeeded targeting = iota
	portPassed           // handed on, if there is one
	portless
)

// kinds are all types, in the order in which to name them.
var kinds = []kind{
	connectKind, httpKind, httpsKind, httpProxyKind, tlsKind,
	ftpKind, imapKind, imapsKind, nntpKind, popKind, popsKind, simpleTCPKind,
	smtpKind, submissionKind, smtpsKind, redisKind, memcachedKind, agentKind,
	dnsKind, grpcKind, ldapKind, ldapsKind, mysqlKind, oracleKind, pgsqlKind, radiusKind, sipKind, udpKind,
	pingKind, externalKind, onKind, offKind,
}

var (
	onKind  = kind{typ: On, target: portless}
	offKind = kind{typ: Off, target: portless}
)

// kindOf returns the kind of a type, or nil.
func kindOf(t Type) *kind {
	for i := range kinds {
		if kinds[i].typ == t {
			return &kinds[i]
		}
	}
	return nil
}

// uses returns the keys that a Spec of this kind uses.
func (k *kind) uses(s *Spec) keySet {
	keys := k.keys
	if k.speaksTLS(s) {
		keys |= tlsKeys
	}
	if k.target == portNeeded && k.typ != Connect {
		keys |= ratioKey
	}
	return keys
}

// speaksTLS tells whether the check makes a TLS handshake, or may come to it.
func (k *kind) speaksTLS(s *Spec) bool {
	return k.tls == alwaysTLS || s.TLS && k.keys.has("tls") || s.StartTLS && k.keys.has("starttls") ||
		s.Follow && k.keys.has("follow_redirects")
}

// defaultPort is the port of a real server that has none, or 0.
func (k *kind) defaultPort(s *Spec) uint16 {
	if s.TLS && k.secure != 0 {
		return k.secure
	}
	return k.port
}

// Uses tells whether a key of the file means something to s, which depends on
// its type and on whether it speaks TLS. Keys of every check aren't meant.
func (s Spec) Uses(key string) bool {
	k := kindOf(s.Type)
	switch {
	case k == nil:
		return false
	case key == "port":
		return k.target != portless
	}
	return k.uses(&s).has(key)
}

// DefaultPort is the port to check where neither the real server nor the check
// has one, or 0: the protocol's own.
func (s Spec) DefaultPort() uint16 {
	if k := kindOf(s.Type); k != nil {
		return k.defaultPort(&s)
	}
	return 0
}

// Checked tells whether checks of this type are ever made: on and off aren't.
func (t Type) Checked() bool { return t != On && t != Off }

// field is a part of a Spec that not every type uses, by its key in the file.
type field struct {
	key   string
	isSet func(*Spec) bool
	clear func(*Spec)
}

func fieldAt[T comparable](key string, at func(*Spec) *T) field {
	return field{
		key:   key,
		isSet: func(s *Spec) bool { return *at(s) != *new(T) },
		clear: func(s *Spec) { *at(s) = *new(T) },
	}
}

// fields are all of them, in the order in which to complain. The last two have
// no key of their own: what the file says of the virtual service fills them.
var fields = [...]field{
	fieldAt("request", func(s *Spec) *string { return &s.Request }),
	fieldAt("receive", func(s *Spec) *string { return &s.Receive }),
	fieldAt("method", func(s *Spec) *string { return &s.Method }),
	fieldAt("virtualhost", func(s *Spec) *string { return &s.VirtualHost }),
	fieldAt("status", func(s *Spec) *string { return &s.Status }),
	fieldAt("headers", func(s *Spec) *string { return &s.Headers }),
	fieldAt("follow_redirects", func(s *Spec) *bool { return &s.Follow }),
	fieldAt("json_field", func(s *Spec) *string { return &s.JSONField }),
	fieldAt("json_value", func(s *Spec) *string { return &s.JSONValue }),
	fieldAt("tls", func(s *Spec) *bool { return &s.TLS }),
	fieldAt("starttls", func(s *Spec) *bool { return &s.StartTLS }),
	fieldAt("server_name", func(s *Spec) *string { return &s.ServerName }),
	fieldAt("ca_file", func(s *Spec) *string { return &s.CAFile }),
	fieldAt("verify", func(s *Spec) *bool { return &s.Insecure }),
	fieldAt("min_tls", func(s *Spec) *uint16 { return &s.MinTLS }),
	fieldAt("client_cert", func(s *Spec) *string { return &s.ClientCert }),
	fieldAt("client_key", func(s *Spec) *string { return &s.ClientKey }),
	fieldAt("min_days", func(s *Spec) *int { return &s.MinDays }),
	fieldAt("login", func(s *Spec) *string { return &s.Login }),
	fieldAt("password_file", func(s *Spec) *string { return &s.PasswordFile }),
	fieldAt("database", func(s *Spec) *string { return &s.Database }),
	fieldAt("secret_file", func(s *Spec) *string { return &s.SecretFile }),
	fieldAt("send", func(s *Spec) *string { return &s.Send }),
	fieldAt("expect", func(s *Spec) *string { return &s.Expect }),
	fieldAt("record", func(s *Spec) *string { return &s.Record }),
	fieldAt("grpc_service", func(s *Spec) *string { return &s.GRPCService }),
	fieldAt("connect_ratio", func(s *Spec) *int { return &s.Ratio }),
	fieldAt("command", func(s *Spec) *string { return &s.Command }),
	{
		"protocol",
		func(*Spec) bool { return false }, // it is always set and never wrong
		func(s *Spec) { s.Protocol = "" },
	},
	{
		"virtual",
		func(*Spec) bool { return false },
		func(s *Spec) { s.Virtual, s.VPort, s.RPort, s.VirtualName = "", 0, 0, "" },
	},
}

// keySet is a set of keys: a bit for each of fields.
type keySet uint64

// Keys that many types have.
var (
	tlsKeys  = keysOf("server_name", "ca_file", "verify", "min_tls", "client_cert", "client_key", "min_days")
	ratioKey = keysOf("connect_ratio")
)

func keysOf(names ...string) keySet {
	var set keySet
	for _, name := range names {
		i := slices.IndexFunc(fields[:], func(f field) bool { return f.key == name })
		if i < 0 {
			panic("checker: no field has the key " + name)
		}
		set |= 1 << i
	}
	return set
}

func (k keySet) has(key string) bool {
	for i := range fields {
		if fields[i].key == key {
			return k&(1<<i) != 0
		}
	}
	return false
}

// normal fills in what the zero values mean and drops what the type doesn't
// use, so that Specs that ask for the same are equal.
func (s Spec) normal() Spec {
	k := kindOf(s.Type)
	switch {
	case k == nil:
		return s
	case k.build == nil:
		return Spec{Type: s.Type}
	}
	keys := k.uses(&s)
	for i := range fields {
		if keys&(1<<i) == 0 {
			fields[i].clear(&s)
		}
	}
	if s.Interval <= 0 {
		s.Interval = defaultInterval
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	if s.Target.Port() == 0 {
		s.Target = withPort(s.Target, k.defaultPort(&s))
	}
	if k.fill != nil {
		k.fill(&s)
	}
	return s
}
