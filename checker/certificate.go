package checker

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

// The handshake alone, and how long the certificates are still valid.
var tlsKind = kind{typ: TLS, port: 443, tls: alwaysTLS, build: dialogue(talkTLS)}

func talkTLS(_ context.Context, s *session) Result {
	left := time.Until(s.plain.certUntil)
	if left <= 0 { // with verify = false the handshake let it pass
		return bad("certificate expired on " + s.plain.certUntil.UTC().Format(time.DateTime) + " UTC")
	}
	return good("certificate valid for " + days(left) + " more")
}

// days is a span in whole days, which is what an operator counts in.
func days(d time.Duration) string {
	n := int(d / (24 * time.Hour))
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// lasting returns what makes a handshake fail where a certificate runs out too
// soon.
func lasting(minDays int) func(tls.ConnectionState) error {
	if minDays <= 0 {
		return nil
	}
	return func(state tls.ConnectionState) error {
		until := certUntil(state.PeerCertificates)
		left := time.Until(until)
		if left >= time.Duration(minDays)*24*time.Hour {
			return nil
		}
		return refusal(fmt.Sprintf("certificate valid for %s more, until %s UTC; min_days is %d",
			days(max(left, 0)), until.UTC().Format(time.DateTime), minDays))
	}
}
