// Package checker decides which real servers are healthy. It owns the check
// history of every watched real server, runs each check by its own timer and
// deadline, and tells a verdict together with its reason. It knows nothing of
// IPVS, of files or of the daemon.
//
// The owner is the goroutine of Checker.Run: the schedule, every Health and
// every history are touched by it alone (schedule.go). It carries TCP connects
// and plain HTTP itself, over sockets that don't block (reactor.go); https,
// redirects, ping, SCTP and external commands run in a goroutine each, for as
// long as the check takes, and bring it their Result. What others may ask for is
// published behind atomic pointers and small locks (checker.go).
//
// The bounds: of equal Specs one check runs at a time, so there are never more
// sockets or goroutines than distinct Specs; external commands beyond
// Options.Commands wait in line; a check that takes longer than its interval
// misses its turn. A want of the director's own (no descriptor, no permission)
// is no verdict: see Result.Void.
//
// HTTP follows RFC 9110 and 9112 as net/http reads them, ICMP echo RFC 792 and
// 4443.
package checker

import (
	"net/netip"
	"time"
)

// Type is the kind of a check, with the names of ldirectord's services.
type Type string

// The types of this version.
const (
	Connect  Type = "connect"  // TCP or SCTP handshake; a ping where the service is UDP
	HTTP     Type = "http"     //
	HTTPS    Type = "https"    //
	Ping     Type = "ping"     // ICMP echo
	External Type = "external" // a command
	On       Type = "on"       // always up, never probed
	Off      Type = "off"      // never probed: stays as the kernel has it, or out
)

// Spec says what one check does to one target. It is comparable: two watches
// with equal Specs are served by one and the same check. Lists are therefore
// kept as joined strings.
type Spec struct {
	Type     Type
	Protocol string         // of the virtual service: "tcp", "udp", "sctp"; "" for a firewall mark
	Target   netip.AddrPort // the real server's address, and the port to check; port 0 where the type has none
	Interval time.Duration  // from the start of one check to the start of the next
	Timeout  time.Duration  // for one whole check

	// http and https
	Request     string // path and query of the request, begins with "/"
	Receive     string // RE2 pattern that the body must match; "" matches all
	Method      string // GET, HEAD, POST, …
	VirtualHost string // Host header; "": the target's address
	Status      string // accepted codes, such as "200-299,304"; "": 200-299
	Headers     string // "Name: value" lines joined by "\n"
	Follow      bool   // follow redirects

	// https, and whatever speaks TLS
	ServerName string // SNI and the name to verify; "": VirtualHost, then none
	CAFile     string // PEM file; "": the system's
	Insecure   bool   // don't verify the certificate
	MinTLS     uint16 // tls.VersionTLS…; 0: Go's default

	// external
	Command string // the argument vector, joined by "\x00"
	Virtual string // the arguments ldirectord passes: virtual address or mark,
	VPort   uint16 // virtual port, 0 for a mark,
	RPort   uint16 // real server's own port (not the check's), 0 if none
}
