//go:build servers

package servers

import (
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/checker"
)

func TestUnbound(t *testing.T) {
	h := newHost(t, "dns", "dot")
	h.serve("unbound", "-d", "-p", "-c", h.file("unbound.conf", `server:
  interface: 127.0.0.1@${dns}
  interface: ::1@${dns}
  interface: 127.0.0.1@${dot}
  interface: ::1@${dot}
  tls-port: ${dot}
  tls-service-key: "$key"
  tls-service-pem: "$cert"
  username: ""
  chroot: ""
  directory: "$dir"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  access-control: ::1/128 allow
  local-zone: "example.org." static
  local-data: "www.example.org. A 192.0.2.1"
  local-data: "www.example.org. AAAA 2001:db8::1"
  local-data: 'long.example.org. TXT "`+long+`" "`+long+`" "`+long+`"'
  local-data-ptr: "192.0.2.1 www.example.org"
  local-zone: "refused.example." refuse
remote-control:
  control-enable: no
`))
	udp := checker.Spec{Type: checker.DNS, Request: "www.example.org", Protocol: "udp"}
	tcp := udp
	tcp.Protocol = "tcp"
	h.trials(
		try{name: "udp", port: "dns", spec: udp},
		try{name: "tcp", port: "dns", spec: tcp},
		try{name: "tls", port: "dot", spec: with(tcp, func(s *checker.Spec) { s.TLS, s.CAFile = true, h.ca })},
		try{name: "wrong name", port: "dot", spec: with(tcp, func(s *checker.Spec) { s.TLS, s.CAFile, s.ServerName = true, h.ca, "a.test" }), bad: "certificate is valid for servers.test"},
		try{name: "AAAA", port: "dns", spec: with(udp, func(s *checker.Spec) { s.Record, s.Receive = "AAAA", "^2001:db8::1$" })},
		try{name: "PTR", port: "dns", spec: with(udp, func(s *checker.Spec) { s.Request, s.Receive = "192.0.2.1", `^www\.example\.org$` })},
		try{name: "truncated", port: "dns", spec: with(udp, func(s *checker.Spec) { s.Request, s.Record, s.Receive = "long.example.org", "TXT", "x{200}" })},
		try{name: "another address", port: "dns", spec: with(udp, func(s *checker.Spec) { s.Receive = `^192\.0\.2\.2$` }), bad: "is 192.0.2.1, which lacks"},
		try{name: "NXDOMAIN", port: "dns", spec: with(udp, func(s *checker.Spec) { s.Request = "nobody.example.org" }), bad: "NXDOMAIN"},
		try{name: "REFUSED", port: "dns", spec: with(tcp, func(s *checker.Spec) { s.Request = "www.refused.example" }), bad: "REFUSED"},
		try{name: "no MX", port: "dns", spec: with(udp, func(s *checker.Spec) { s.Record = "MX" }), bad: "the server has no MX record"},
	)
}

func TestSlapd(t *testing.T) {
	h := newHost(t, "ldap", "ldaps")
	h.folder("db", "")
	conf := h.file("slapd.conf", `include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $dir/slapd.pid
TLSCACertificateFile $ca
TLSCertificateFile $cert
TLSCertificateKeyFile $key
database mdb
suffix "dc=example,dc=org"
rootdn "cn=probe,dc=example,dc=org"
rootpw $password
directory $dir/db
access to dn.base="" by * read
access to dn.subtree="ou=closed,dc=example,dc=org" by users read by * none
access to * by anonymous auth by * none
`)
	h.run("slapadd", "-f", conf, "-l", h.file("entries.ldif", `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=closed,dc=example,dc=org
objectClass: organizationalUnit
ou: closed
`))
	h.serve("slapd", "-d", "0", "-f", conf, "-h", "ldap://127.0.0.1:${ldap} ldap://[::1]:${ldap} ldaps://127.0.0.1:${ldaps} ldaps://[::1]:${ldaps}")
	root := checker.Spec{Type: checker.LDAP}
	bound := checker.Spec{Type: checker.LDAP, Request: "ou=closed,dc=example,dc=org", Login: "cn=probe,dc=example,dc=org", PasswordFile: h.secret()}
	h.trials(
		try{name: "root", port: "ldap", spec: root},
		try{name: "naming context", port: "ldap", spec: with(root, func(s *checker.Spec) { s.Receive = "^structuralObjectClass|^objectClass: OpenLDAProotDSE" })},
		try{name: "bound", port: "ldap", spec: with(bound, func(s *checker.Spec) { s.Receive = "^ou=closed" })},
		try{name: "starttls", port: "ldap", spec: with(bound, func(s *checker.Spec) { s.StartTLS, s.CAFile = true, h.ca })},
		try{name: "ldaps", port: "ldaps", spec: with(bound, func(s *checker.Spec) { s.Type, s.CAFile = checker.LDAPS, h.ca })},
		try{name: "anonymous", port: "ldap", spec: with(bound, func(s *checker.Spec) { s.Login, s.PasswordFile = "", "" }), bad: "no such object"},
		try{name: "wrong password", port: "ldap", spec: with(bound, func(s *checker.Spec) { s.PasswordFile = h.other() }), bad: "invalid credentials"},
		try{name: "another entry", port: "ldap", spec: with(bound, func(s *checker.Spec) { s.Request = "ou=none,dc=example,dc=org" }), bad: "no such object"},
		try{name: "other content", port: "ldap", spec: with(bound, func(s *checker.Spec) { s.Receive = "ou=open" }), bad: "but it lacks"},
		try{name: "unknown authority", port: "ldaps", spec: with(bound, func(s *checker.Spec) { s.Type = checker.LDAPS }), bad: "certificate signed by unknown authority"},
		try{name: "ldap to ldaps", port: "ldaps", spec: root, bad: "closed"},
	)
}

func TestFreeRADIUS(t *testing.T) {
	h := newHost(t, "radius")
	h.file("radiusd.conf", `prefix = /usr
libdir = /usr/lib/freeradius
logdir = $dir
raddbdir = $dir
run_dir = $dir
name = radiusd
max_requests = 64
security {
  status_server = yes
  reject_delay = 0
}
client four {
  ipaddr = 127.0.0.1
  secret = $password
  require_message_authenticator = yes
}
client six {
  ipv6addr = ::1
  secret = $password
  require_message_authenticator = yes
}
modules {
  pap { }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${radius}
  }
  listen {
    type = auth
    ipv6addr = ::1
    port = ${radius}
  }
  authorize {
    if (User-Name == "probe") {
      update control {
        Cleartext-Password := "$password"
      }
    }
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
  }
}
`)
	h.serve("freeradius", "-f", "-l", "stdout", "-d", "$dir", "-D", "/usr/share/freeradius")
	login := checker.Spec{Type: checker.Radius, Login: "probe", PasswordFile: h.secret(), SecretFile: h.secret()}
	h.trials(
		try{name: "login", port: "radius", spec: login},
		try{name: "status", port: "radius", spec: with(login, func(s *checker.Spec) { s.Login, s.PasswordFile = "", "" })},
		try{name: "wrong password", port: "radius", spec: with(login, func(s *checker.Spec) { s.PasswordFile = h.other() }), bad: "Access-Reject"},
		try{name: "unknown user", port: "radius", spec: with(login, func(s *checker.Spec) { s.Login = "nobody" }), bad: "Access-Reject"},
		try{name: "wrong secret", port: "radius", spec: with(login, func(s *checker.Spec) { s.SecretFile, s.Timeout = h.other(), stalled }), bad: "timeout after 500ms"},
	)
}

// long is a text of which three don't fit into a datagram of DNS.
var long = strings.Repeat("x", 200)
