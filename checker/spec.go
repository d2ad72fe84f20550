// Package checker decides which real servers are healthy. It owns the check
// history of every watched real server, runs each check by its own timer and
// deadline, and tells a verdict together with its reason. It knows nothing of
// IPVS, of files or of the daemon.
//
// The owner is the goroutine of Checker.Run: the schedule, every Health and
// every history are touched by it alone (schedule.go). It carries TCP connects
// and plain HTTP itself, over sockets that don't block (reactor.go); all else
// runs in a goroutine each, for as long as the check takes, and brings it its
// Result. Each protocol has a file, and kind.go says how one is added; most are a
// dialogue over one connection (session.go). What others may ask for is
// published behind atomic pointers and small locks (checker.go).
//
// The bounds: of equal Specs one check runs at a time, so there are never more
// sockets or goroutines than distinct Specs; external commands beyond
// Options.Commands wait in line; a check that takes longer than its interval
// misses its turn. A want of the director's own (no descriptor, no permission)
// is no verdict: see Result.Void.
//
// HTTP follows RFC 9110 and 9112 as net/http reads them, ICMP echo RFC 792 and
// 4443; what the others follow stands in their files.
package checker

import (
	"net/netip"
	"time"
)

// Type is the kind of a check, with the names of ldirectord's services.
type Type string

// The types. The comments say what goes over the wire; docs/checks.md says what
// counts as healthy.
const (
	Connect    Type = "connect"    // TCP or SCTP handshake; a ping where the service is UDP
	HTTP       Type = "http"       //
	HTTPS      Type = "https"      //
	HTTPProxy  Type = "http_proxy" // a request for a whole URL, to a proxy
	TLS        Type = "tls"        // handshake, and how long the certificate is still valid
	DNS        Type = "dns"        //
	FTP        Type = "ftp"        // login, and perhaps a file
	IMAP       Type = "imap"       //
	IMAPS      Type = "imaps"      //
	LDAP       Type = "ldap"       //
	LDAPS      Type = "ldaps"      //
	MySQL      Type = "mysql"      //
	NNTP       Type = "nntp"       //
	Oracle     Type = "oracle"     //
	PgSQL      Type = "pgsql"      //
	POP        Type = "pop"        //
	POPS       Type = "pops"       //
	Radius     Type = "radius"     //
	SimpleTCP  Type = "simpletcp"  // bytes there and bytes back
	UDP        Type = "udp"        // the same in datagrams
	SIP        Type = "sip"        // OPTIONS
	SMTP       Type = "smtp"       // greeting, EHLO
	Submission Type = "submission" // the same on port 587
	SMTPS      Type = "smtps"      // the same in TLS from the first byte
	GRPC       Type = "grpc"       // grpc.health.v1
	Redis      Type = "redis"      // PING
	Memcached  Type = "memcached"  // version
	Agent      Type = "agent"      // a line that says how the server is and what weight it wants
	Ping       Type = "ping"       // ICMP echo
	External   Type = "external"   // a command
	On         Type = "on"         // always up, never probed
	Off        Type = "off"        // never probed: stays as the kernel has it, or out
)

// Spec says what one check does to one target. It is comparable: two watches
// with equal Specs are served by one and the same check. Lists are therefore
// kept as joined strings.
type Spec struct {
	Type     Type
	Protocol string         // of the virtual service: "tcp", "udp", "sctp"; "" for a firewall mark
	Target   netip.AddrPort // the real server's address, and the port to check; port 0 where the type has none
	Mark     uint32         // 0: straight to Target; else see Via
	Via      netip.AddrPort // Target is the virtual service's address, and the kernel takes what bears Mark to this real server
	Interval time.Duration  // from the start of one check to the start of the next
	Timeout  time.Duration  // for one whole check

	// of more types than one; see the keys of each type's kind
	Request  string // http: path and query; elsewhere a name, a file, a query
	Receive  string // RE2 pattern that the answer must match; "" matches all
	Login    string // user name
	Database string // of an SQL server
	Send     string // bytes to send, as text or "hex:…"
	Expect   string // what must come: RE2 pattern, or bytes as "hex:…"
	Ratio    int    // after a good check, so many that only connect; 0: none

	// Files that hold one secret each, read when the check runs. What is in them
	// never comes into a Spec, a Result or a transcript.
	PasswordFile string
	SecretFile   string

	// http, https and http_proxy
	Method      string // GET, HEAD, POST, …
	VirtualHost string // Host header; "": the target's address
	Status      string // accepted codes, such as "200-299,304"; "": 200-299
	Headers     string // "Name: value" lines joined by "\n"
	Follow      bool   // follow redirects
	JSONField   string // dotted path of a field of the answer, such as "checks.0.status"
	JSONValue   string // what must be there: text, or "/pattern/"; "": anything but null and false

	// whatever speaks TLS
	TLS        bool   // from the first byte, where the type leaves the choice
	StartTLS   bool   // after the protocol's own command for it
	ServerName string // SNI and the name to verify; "": VirtualHost, then none
	CAFile     string // PEM file; "": the system's
	Insecure   bool   // don't verify the certificate
	MinTLS     uint16 // tls.VersionTLS…; 0: Go's default
	ClientCert string // PEM files of the certificate that we show, and of its key
	ClientKey  string
	MinDays    int // for so many days the server's certificates must still be valid

	// one type each
	GRPCService string // grpc: the service to ask for; "": the server as a whole
	Record      string // dns: the type of record to ask for

	// external
	Command     string // the argument vector, joined by "\x00"
	Virtual     string // the arguments ldirectord passes: virtual address or mark,
	VPort       uint16 // virtual port, 0 for a mark,
	RPort       uint16 // real server's own port (not the check's), 0 if none
	VirtualName string // for the command's environment
}
