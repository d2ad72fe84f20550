package checker

import (
	"net/netip"
	"testing"
	"time"
)

// TestKeysOfProtocols: what the kinds themselves say of their keys.
func TestKeysOfProtocols(t *testing.T) {
	for _, tt := range []struct {
		name string
		spec Spec
		want string // all problems, or their beginning up to "…"
	}{
		{"dns without a name", Spec{Type: DNS}, `request: check type "dns" needs a name…`},
		{"dns, a blank", Spec{Type: DNS, Request: "a b"}, `request: "a b" is no name…`},
		{"dns, an empty label", Spec{Type: DNS, Request: "a..b"}, `request: "a..b" is no name…`},
		{"dns, a transfer", Spec{Type: DNS, Request: "example.org", Record: "AXFR"}, `record: "AXFR" is no type of record…`},
		{"dns, an unknown type", Spec{Type: DNS, Request: "example.org", Record: "X"}, `record: "X" is no type of record…`},
		{"dns", Spec{Type: DNS, Request: "example.org", Record: "mx"}, ""},
		{"dns, the root", Spec{Type: DNS, Request: ".", Record: "NS"}, ""},
		{"dns, an address", Spec{Type: DNS, Request: "2001:db8::1"}, ""},
		{"radius without a secret", Spec{Type: Radius}, `secret_file: check type "radius" needs the secret…`},
		{"radius without a password", Spec{Type: Radius, SecretFile: "/s", Login: "probe"}, "login: needs password_file…"},
		{"radius status", Spec{Type: Radius, SecretFile: "/s"}, ""},
		{"ldap without a password", Spec{Type: LDAP, Login: "cn=probe"}, "login: needs password_file…"},
		{"ldap", Spec{Type: LDAP, Request: "dc=example", StartTLS: true}, ""},
		{"ldaps with starttls", Spec{Type: LDAPS, StartTLS: true}, "starttls: means nothing to check type…"},
		{"mysql query without login", Spec{Type: MySQL, Request: "SELECT 1"}, "request: means nothing without login, the user to log in as"},
		{"mysql starttls without login", Spec{Type: MySQL, StartTLS: true}, "starttls: means nothing without login: …"},
		{"mysql pattern without query", Spec{Type: MySQL, Login: "probe", Receive: "x"}, "receive: needs request, the query…"},
		{"mysql without a password", Spec{Type: MySQL, Login: "probe"}, ""},
		{"pgsql database without login", Spec{Type: PgSQL, Database: "shop"}, "database: means nothing without login…"},
		{"pgsql ready", Spec{Type: PgSQL, StartTLS: true}, ""},
		{"oracle, a descriptor", Spec{Type: Oracle, Database: "(SERVICE_NAME=x)"}, `database: "(SERVICE_NAME=x)" is no service name…`},
		{"oracle with a login", Spec{Type: Oracle, Login: "scott"}, `login: means nothing to check type "oracle"…`},
		{"oracle", Spec{Type: Oracle, Database: "orders.example.org"}, ""},
		{"udp without anything", Spec{Type: UDP}, `send: check type "udp" needs something to send…`},
		{"udp without expect", Spec{Type: UDP, Send: "x"}, `expect: check type "udp" needs what the answer must have…`},
		{"udp, no hex", Spec{Type: UDP, Send: "hex:0", Expect: "."}, `send: "hex:0" is no hex…`},
		{"udp, no pattern", Spec{Type: UDP, Send: "x", Expect: "("}, "expect: pattern…"},
		{"udp, too long", Spec{Type: UDP, Send: string(make([]byte, 3000)), Expect: "."}, "send: is too long…"},
		{"sip, no address", Spec{Type: SIP, Request: "example.org"}, `request: "example.org" is no SIP address…`},
		{"sip, a line end", Spec{Type: SIP, Request: "sip:x\r\nVia: y"}, "request: …"},
		{"sip, no user", Spec{Type: SIP, Login: "probe"}, `login: "probe" is no SIP user…`},
		{"sip", Spec{Type: SIP, Request: "sip:example.org;transport=udp", Login: "probe@example.org"}, ""},
		{"grpc with ca_file, no tls", Spec{Type: GRPC, CAFile: "/ca"}, "ca_file: means nothing…"},
		{"grpc", Spec{Type: GRPC, TLS: true, CAFile: "/ca", VirtualHost: "shop.example.org", GRPCService: "shop.Cart"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.spec
			s.Interval, s.Timeout, s.Target = time.Second, time.Second, netip.MustParseAddrPort("192.0.2.1:53")
			var got string
			for _, p := range s.Validate() {
				got += p.String()
			}
			if !reads(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
